"""What was opened on a synthetic venue: the history run again is the same, and levels lie where they were put."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.market.market import HYPERLIQUID, Market, MarketSpec
from liqtruth.sandbox.truth import true_liquidations, true_positions
from tests.markets import market_of
from tests.openings import (
    CLOSED,
    LIQUIDATED,
    MOVED,
    OPEN,
    Watched,
    effective_leverage,
    habits,
    watch,
)

VENUES = (HYPERLIQUID, "binance")
SIGN = {"long": 1.0, "short": -1.0}


@pytest.fixture(scope="module")
def market() -> Market:
    return market_of(MarketSpec(seed=3, accounts=150, cex_accounts=300, days=3, coins=("BTC", "HYPE")))


@pytest.fixture(scope="module", params=VENUES)
def watched(market: Market, request: pytest.FixtureRequest) -> tuple[str, Watched]:
    return request.param, watch(market, request.param, (2, 3))


def test_the_history_run_again_ends_with_the_same_positions(
    market: Market, watched: tuple[str, Watched]
) -> None:
    venue, history = watched
    again, first = (true_positions(one, venue) for one in (history.then[-1], market))
    assert again.drop("address").equals(first.drop("address"))


def test_what_is_still_open_is_what_the_ledger_holds(market: Market, watched: tuple[str, Watched]) -> None:
    venue, history = watched
    left = history.placings.filter(pl.col("end") == OPEN)
    ledger = market.venue(venue).ledger
    names = [asset.name for asset in market.venue(venue).rules.assets]
    column = np.array([names.index(name) for name in left["coin"]])
    scale = np.array([asset.lot_scale for asset in market.venue(venue).rules.assets])[column]
    holdings = np.abs(ledger.lots[left["account"].to_numpy(), column]) / scale
    assert left["coins"].to_numpy() == pytest.approx(holdings)
    assert left.height == np.count_nonzero(ledger.lots)


def test_a_position_just_placed_has_the_price_that_the_truth_gives_it(watched: tuple[str, Watched]) -> None:
    """Placed at the moment looked at, on the very step; makers are funded after it, so they may move."""
    venue, history = watched
    placed = history.placings.filter(pl.col("trader") != "market_maker")
    for then in history.then:
        new = placed.filter(pl.col("time").dt.epoch("ms") == then.as_of_ms, pl.col("liq_px").is_not_null())
        truth = true_positions(then, venue)
        assert set(new["liq_px"].round(6)) <= set(truth["liq_px"].drop_nulls().round(6))


def test_whoever_is_liquidated_had_been_placed(market: Market, watched: tuple[str, Watched]) -> None:
    venue, history = watched
    forced = true_liquidations(market, venue)
    ended = history.placings.filter(pl.col("end") == LIQUIDATED, pl.col("ended") >= forced["time"].min())
    assert forced.height > 0
    assert ended.height == forced.height


def test_a_placing_ends_when_the_next_one_of_its_position_begins(watched: tuple[str, Watched]) -> None:
    _, history = watched
    placed = history.placings.with_columns(
        next=pl.col("time").shift(-1).over("account", "coin"),
        was=pl.col("coins").shift(-1).over("account", "coin"),
    )
    moved = placed.filter(pl.col("end") == MOVED)
    assert (moved["ended"] == moved["next"]).all()
    assert (placed["ended"] >= placed["time"]).all()
    assert set(placed["end"]) <= {MOVED, CLOSED, LIQUIDATED, OPEN}


def test_leverage_gives_back_the_distance_to_liquidation(watched: tuple[str, Watched]) -> None:
    """liq / px = (1 - side / leverage) / (1 - side * rate), the isolated position's own price."""
    _, history = watched
    priced = history.placings.drop_nulls("leverage")
    side = np.array([SIGN[name] for name in priced["side"]])
    leverage, rate = (priced[name].to_numpy() for name in ("leverage", "maintenance_rate"))
    implied = (1 - side / leverage) / (1 - side * rate)
    assert implied == pytest.approx((priced["liq_px"] / priced["px"]).to_numpy(), rel=1e-9)
    assert history.placings.filter(pl.col("leverage").is_null())["liq_px"].null_count() > 0


def test_retail_is_placed_nearer_than_hedgers(watched: tuple[str, Watched]) -> None:
    _, history = watched
    median = dict(history.placings.group_by("trader").agg(pl.col("leverage").median()).iter_rows())
    assert median["retail"] > 2 * median["hedger"]


def test_habits_account_for_everything_placed(watched: tuple[str, Watched]) -> None:
    """A share of placed coins at each node; what is at none lies below the first or is never liquidated."""
    _, history = watched
    nodes = np.geomspace(1.6, 115.0, 40)
    of_btc = history.placings.filter(pl.col("coin") == "BTC")
    for side in SIGN:
        for kind in habits(of_btc, side, nodes, 0.004):
            assert kind.by_leverage.shape == nodes.shape
            assert (kind.by_leverage >= 0).all()
            assert kind.by_leverage.sum() <= 1 + 1e-12
            assert kind.position_coins >= 0


@given(st.floats(1.01, 200), st.floats(0, 0.004), st.sampled_from([1.0, -1.0]))
def test_effective_leverage_inverts_the_isolated_price(leverage: float, rate: float, side: float) -> None:
    ratio = (1 - side / leverage) / (1 - side * rate)
    assert effective_leverage(np.array([ratio]), rate, side)[0] == pytest.approx(leverage, rel=1e-6)


def test_no_price_no_leverage() -> None:
    assert np.isnan(effective_leverage(np.array([np.nan]), 0.01, 1.0)[0])


def test_a_market_that_goes_on_is_refused() -> None:
    live = market_of(MarketSpec(seed=1, accounts=20, cex_accounts=20, days=1, coins=("BTC",), live_hours=1))
    with pytest.raises(SandboxRefused, match="live_hours"):
        watch(live, "binance")


def test_days_outside_the_history_are_refused(market: Market) -> None:
    with pytest.raises(SandboxRefused, match="from 1 to 3"):
        watch(market, "binance", (4,))
