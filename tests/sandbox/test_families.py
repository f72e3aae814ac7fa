"""Each family of populations does on its ledger what it says; everything here is synthetic."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pytest

from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.market.families import FAMILIES, MIXED, MIXED_OF, OF_WEALTH, POPULATIONS, drawn_mix
from liqtruth.sandbox.market.listings import Floats, listed
from liqtruth.sandbox.market.market import Market, MarketSpec, people_of, simulate
from liqtruth.sandbox.market.population import CENTRALISED, HYPERLIQUID_MIX, draw_population
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.sandbox.truth import addresses, open_positions, true_positions
from liqtruth.storage.store import Settings, Store

SEEDS: Final = (3, 5)
HIGHEST_OF_HYPE: Final = 10
TIMES_THE_HIGHEST: Final = 40 / HIGHEST_OF_HYPE
"""Highest leverage of BTC over that of HYPE."""
TIMES_AS_CALM: Final = 0.95 / 0.50
"""Yearly volatility of HYPE over that of BTC."""


@cache
def market(population: str, seed: int) -> Market:
    return simulate(
        MarketSpec(
            seed=seed,
            accounts=800,
            days=1,
            cex_accounts=10,
            coins=("BTC", "HYPE"),
            builder_dex=False,
            step_minutes=60,
            population=population,
        )
    )


def median_leverage(population: str, seed: int) -> Floats:
    """Per coin the median of notional over what backs it, of traders that hold one position and aim, on HYPE, below
    half of what it allows: those that aim higher are held by its limit alone."""
    then = market(population, seed)
    venue, held = then.hyperliquid, open_positions(then, then.hyperliquid)
    alone = np.bincount(held.account, minlength=venue.people.size)[held.account] == 1
    alone &= held.account >= venue.people.makers
    alone &= venue.people.leverage_median[held.account, 1] < HIGHEST_OF_HYPE / 2
    leverage = np.abs(held.exposure.szi) * held.exposure.mark_px / held.exposure.equity_usd
    return np.array([np.median(leverage[alone & (held.coin == coin)]) for coin in (0, 1)])


@pytest.mark.parametrize(
    ("population", "times"),
    [("absolute", 1.0), ("of-maximum", TIMES_THE_HIGHEST), ("of-volatility", TIMES_AS_CALM)],
)
def test_leverage_goes_by_what_the_family_goes_by(population: str, times: float) -> None:
    """BTC's over HYPE's, mean of two seeds by ratio; about 100 positions a coin leave a fourth open."""
    medians = np.array([median_leverage(population, seed) for seed in SEEDS])
    found = float(np.exp(np.log(medians[:, 0] / medians[:, 1]).mean()))
    assert found == pytest.approx(times, rel=0.25)


def test_collateral_follows_the_mark_where_profits_are_taken_out_and_losses_made_up_for() -> None:
    """Equity over what accounts began with: less of winners who take profits out, more of losers who make up for it."""
    then = simulate(
        MarketSpec(
            seed=3, accounts=1_200, days=4, cex_accounts=10, coins=("BTC",), builder_dex=False, step_minutes=60,
            population="of-volatility",
        )
    )  # fmt: skip
    ledger, people, mark = then.hyperliquid.ledger, then.hyperliquid.people, then.path.mark_units[-1, 0]
    lots, cost = ledger.lots[:, 0], ledger.cost[:, 0]
    gain = (lots * mark - cost) / np.maximum(np.abs(cost), 1)
    equity = ledger.cross_equity_usd(then.path.mark_units[-1], then.path.oracle_units[-1])
    richer = equity / people.equity_usd
    traders = (np.arange(people.size) >= people.makers) & ~ledger.isolated[:, 0]
    winners, losers = traders & (gain > 0.02), traders & (gain < -0.02)
    for group, habit, side in ((winners, people.withdraws, -1), (losers, people.refills, 1)):
        assert min((group & habit).sum(), (group & ~habit).sum()) >= 20
        assert side * np.median(richer[group & habit]) > side * np.median(richer[group & ~habit])


def test_the_rich_of_a_family_that_goes_by_wealth_have_less_leverage_and_stay_longer() -> None:
    """Of each type, by rank correlation with equity; in another family neither goes by it."""
    assets = listed(("BTC", "HYPE"))
    for name, least, most in ((OF_WEALTH.name, 0.25, 1.0), ("absolute", -0.1, 0.1)):
        rng = np.random.default_rng(2)
        people = draw_population(rng, drawn_mix(name, HYPERLIQUID_MIX, rng), 6_000, assets)
        for kind in (place for place, label in enumerate(people.kind_names) if label.endswith("retail")):
            own = people.kind == kind
            equity, leverage = people.equity_usd[own], people.leverage_median[own, 0]
            assert least < -rank_correlation(equity, leverage) < most
            stays = people.hold_hours[own]
            assert (rank_correlation(equity, stays) > 0.99) == (name == OF_WEALTH.name)


def rank_correlation(first: Floats, second: Floats) -> float:
    """Zero where one of them is the same throughout."""
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    same = np.ptp(first) == 0 or np.ptp(second) == 0
    return 0.0 if same else float(np.corrcoef(*ranks)[0, 1])


@pytest.mark.parametrize("population", [*FAMILIES, MIXED])
def test_longs_equal_shorts_and_no_family_breaks_the_ledger(population: str) -> None:
    venue = market(population, SEEDS[0]).hyperliquid
    assert (venue.ledger.lots.sum(axis=0) == 0).all()
    assert (venue.long_lots == venue.short_lots).all()


def test_the_solver_finds_the_ledgers_prices_of_a_mixture(tmp_path: Path) -> None:
    spec = MarketSpec(seed=4, accounts=120, days=1, cex_accounts=10, step_minutes=60, population=MIXED)
    then = simulate(spec)
    with (
        Store.open(Settings(data_dir=tmp_path)) as store,
        serving_in_thread(then, weight_per_minute=None) as served,
    ):
        asyncio.run(sweep(store, addresses(then), base_url=served.base_url, weight_per_minute=0))
        read = positions_as_of(store, None, None)
    truth = true_positions(then).filter(pl.col("dex") == "").select("address", "coin", true_px="liq_px")
    both = read.join(truth, on=["address", "coin"])
    assert both.height == truth.height > 60
    assert (both["liq_px_solved"].is_null() == both["true_px"].is_null()).all()
    assert both.select((pl.col("liq_px_solved") / pl.col("true_px") - 1).abs().max()).item() < 1e-9


def test_the_same_seed_draws_the_same_people_and_venues_draw_their_own() -> None:
    spec = MarketSpec(seed=8, population=MIXED)
    assert people_of(spec, "hyperliquid") == people_of(spec, "hyperliquid")
    drawn = {venue: people_of(spec, venue) for venue in ("hyperliquid", *CENTRALISED)}
    assert len({tuple(trader.share for trader in mix) for mix in drawn.values()}) == len(drawn)
    for mix in drawn.values():
        assert sum(trader.share for trader in mix) == pytest.approx(1)
        assert {trader.habits.anchor for trader in mix} == {family.anchor for family in MIXED_OF}


def test_every_figure_lies_in_its_range() -> None:
    for name, family in FAMILIES.items():
        for trader in drawn_mix(name, HYPERLIQUID_MIX, np.random.default_rng(1)):
            low, high = family.types[trader.name.split()[-1]].median
            assert low <= trader.leverage.median <= high


def test_a_population_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(SandboxRefused, match="no population 'monkeys'; there are " + ", ".join(POPULATIONS)):
        MarketSpec(population="monkeys")
