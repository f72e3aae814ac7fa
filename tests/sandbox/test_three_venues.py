"""Three centralised venues on one price path: ledgers of their own, populations that differ on purpose."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.live import Live, market_at
from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.market.population import CENTRALISED
from liqtruth.sandbox.market.venue import public_tiers
from liqtruth.sandbox.public.series import PublicSeries
from liqtruth.sandbox.truth import true_liquidations, true_positions

VENUES = ("binance", "bybit", "okx")


@pytest.mark.parametrize("venue", VENUES)
def test_longs_equal_shorts_and_open_interest_is_never_negative(three_venues: Market, venue: str) -> None:
    result, series = three_venues.venue(venue), PublicSeries(three_venues, venue)
    assert (result.ledger.lots.sum(axis=0) == 0).all()
    assert (result.long_lots == result.short_lots).all()
    rebuilt = series.record.open_lots
    assert (rebuilt >= 0).all()
    assert (rebuilt[result.step_points] == result.long_lots).all()


@pytest.mark.parametrize("venue", VENUES)
def test_volume_exceeds_every_change_of_open_interest(three_venues: Market, venue: str) -> None:
    record = PublicSeries(three_venues, venue).record
    assert (np.abs(np.diff(record.open_lots, axis=0)) <= record.activity.volume_lots)[1:].all()


@given(other=st.sampled_from([("okx",), ("bybit", "binance")]))
@settings(max_examples=2)
def test_one_venue_more_or_less_changes_none_of_the_others(other: tuple[str, ...]) -> None:
    spec = {
        "seed": 3,
        "accounts": 20,
        "days": 1,
        "cex_accounts": 20,
        "coins": ("BTC",),
        "builder_dex": False,
        "step_minutes": 60,
    }
    every, some = (simulate(MarketSpec(**spec, venues=names)) for names in (VENUES, other))  # type: ignore[arg-type]
    for name in ("hyperliquid", *other):
        assert (every.venue(name).ledger.lots == some.venue(name).ledger.lots).all()
        assert (every.venue(name).ledger.cash == some.venue(name).ledger.cash).all()


def test_longs_equal_shorts_on_every_venue_as_the_market_goes_on(three_venues: Market) -> None:
    live = Live(three_venues)
    for point in range(three_venues.point, three_venues.point + 60, 7):
        now = live.advance_to(point)
        for venue in now.venues.values():
            assert (venue.ledger.lots.sum(axis=0) == 0).all()


def test_stepping_on_ends_where_the_simulation_ended_on_every_venue(three_venues: Market) -> None:
    end = three_venues.ahead.end  # type: ignore[union-attr]
    reached = market_at(three_venues, end.point)
    for name, venue in end.venues.items():
        assert (reached.venue(name).ledger.lots == venue.ledger.lots).all()
        assert (reached.venue(name).ledger.cash == venue.ledger.cash).all()


@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_what_was_published_once_stays_as_it_was(three_venues: Market, venue: str) -> None:
    series = PublicSeries(three_venues, venue)
    later = series.at(market_at(three_venues, three_venues.point + 90))
    points = series.points_every(300_000)
    assert later.points_every(300_000)[: points.size].tolist() == points.tolist()
    assert later.points_every(300_000).size == points.size + 18
    assert (later.open_lots(points, 1) == series.open_lots(points, 1)).all()
    assert (later.account_share(points, 1) == series.account_share(points, 1)).all()
    before, after = (one.record.candles(1, "5m") for one in (series, later))
    assert (after.volume[: before.volume.size] == before.volume).all()


def near_share(market: Market, venue: str, within: float) -> float:
    """Share of notional, makers' left out, whose liquidation price is nearer to the mark than `within`."""
    makers = market.venue(venue).people.makers
    holdings = true_positions(market, venue).filter(
        ~pl.col("address").is_in([f"{venue}-account-{row}" for row in range(makers)])
    )
    distance = (holdings["liq_px"] / holdings["mark_px"] - 1).abs().fill_null(np.inf)
    return float(holdings.filter(distance < within)["notional_usd"].sum() / holdings["notional_usd"].sum())


@pytest.mark.parametrize("within", [0.05, 0.10])
def test_bybits_traders_stand_nearer_to_liquidation_than_binances_and_those_than_okxs(
    three_venues: Market, within: float
) -> None:
    shares = {venue: near_share(three_venues, venue, within) for venue in VENUES}
    assert shares["bybit"] > 1.3 * shares["binance"]
    assert shares["binance"] > 1.3 * shares["okx"]


def test_bybit_goes_up_to_100x_and_is_mostly_isolated(three_venues: Market) -> None:
    holdings = {venue: true_positions(three_venues, venue) for venue in VENUES}
    isolated = {venue: float((rows["margin_mode"] == "isolated").mean()) for venue, rows in holdings.items()}
    assert isolated["bybit"] > 0.5 > isolated["binance"] > isolated["okx"]
    most = {venue: rows["max_leverage"].max() for venue, rows in holdings.items()}
    assert most == {"binance": 75, "bybit": 100, "okx": 50}
    assert all((rows["leverage"] <= rows["max_leverage"]).all() for rows in holdings.values())


def test_bybit_liquidates_the_most_and_okx_the_least(three_venues: Market) -> None:
    rates = {
        venue: true_liquidations(three_venues, venue)["notional_usd"].sum()
        / true_positions(three_venues, venue)["notional_usd"].sum()
        for venue in VENUES
    }
    assert rates["bybit"] > rates["binance"] > rates["okx"] > 0


@pytest.mark.parametrize("venue", VENUES)
def test_every_longs_price_lies_below_the_mark_and_every_shorts_above(
    three_venues: Market, venue: str
) -> None:
    holdings = true_positions(three_venues, venue).drop_nulls("liq_px")
    side = pl.when(pl.col("szi") > 0).then(1).otherwise(-1)
    assert holdings.select((side * (pl.col("mark_px") - pl.col("liq_px")) >= 0).all()).item()


@pytest.mark.parametrize("venue", VENUES)
@given(notional_usd=st.floats(1, 5e6))
def test_published_tiers_give_the_ledgers_maintenance(
    three_venues: Market, venue: str, notional_usd: float
) -> None:
    rules = three_venues.venue(venue).rules
    tiers = public_tiers(rules, 0)
    tier = [one for one in tiers if one.lower_usd <= notional_usd][-1]
    due = rules.margin.maintenance_usd(np.array([notional_usd]), np.array([0]))[0]
    assert notional_usd * tier.rate - tier.deduction_usd == pytest.approx(due, rel=1e-12)


@pytest.mark.parametrize(
    ("venues", "message"), [(("kraken",), "kraken"), ((), "at least one"), (("okx", "okx"), "once")]
)
def test_venues_that_cannot_be_simulated_are_refused_by_name(venues: tuple[str, ...], message: str) -> None:
    with pytest.raises(SandboxRefused, match=message):
        MarketSpec(venues=venues)


def test_the_truth_of_a_venue_that_was_not_simulated_is_refused() -> None:
    spec = MarketSpec(
        accounts=20, days=1, cex_accounts=20, coins=("BTC",), builder_dex=False, step_minutes=60
    )
    market = simulate(spec)
    for found in (true_positions, true_liquidations):
        with pytest.raises(SandboxRefused, match=r"'okx'.*hyperliquid, binance"):
            found(market, "okx")


def test_the_stated_populations_differ_where_it_matters() -> None:
    """Retail's share, its leverage, and the share of whales and hedgers, as the mixes state them."""
    retail = {name: kind.mix[0] for name, kind in CENTRALISED.items()}
    patient = {
        name: sum(one.share for one in kind.mix if one.name in ("whale", "hedger"))
        for name, kind in CENTRALISED.items()
    }
    assert retail["bybit"].leverage.median > retail["binance"].leverage.median > retail["okx"].leverage.median
    assert retail["bybit"].isolated_share > retail["binance"].isolated_share > retail["okx"].isolated_share
    assert patient["okx"] > patient["binance"] > patient["bybit"]
    assert all(sum(one.share for one in kind.mix) == pytest.approx(1) for kind in CENTRALISED.values())
