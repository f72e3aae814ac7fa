"""A market that goes on is one market: its tape gives its ledger at every minute, however the clock was moved."""

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint
from liqtruth.sandbox.live import Live, market_at
from liqtruth.sandbox.market.ledger import MICRO, STATE
from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import true_liquidations, true_positions

HOUR = 60


def replayed(market: Market, start: Market | None = None) -> np.ndarray:
    """Lots by account and coin: those at `start`, nothing without it, and every trade after it."""
    trades, lots = market.trades, np.zeros_like(market.hyperliquid.ledger.lots)
    after = -1
    if start is not None:
        lots, after = start.hyperliquid.ledger.lots.copy(), start.point
    later = trades.of(np.flatnonzero(trades.point > after))
    np.add.at(lots, (later.buyer, later.coin), later.lots)
    np.subtract.at(lots, (later.seller, later.coin), later.lots)
    return lots


def test_every_trade_since_the_beginning_gives_every_accounts_size(market: Market, going_on: Market) -> None:
    for one in (market, going_on):
        assert (replayed(one) == one.hyperliquid.ledger.lots).all()


def test_the_tape_replayed_from_the_start_gives_the_later_ledger_at_every_minute(going_on: Market) -> None:
    live, minutes = Live(going_on), 3 * HOUR
    for point in range(going_on.point + 1, going_on.point + minutes + 1):
        now = live.advance_to(point)
        assert (replayed(now, going_on) == now.hyperliquid.ledger.lots).all()
    assert now.trades.size > going_on.trades.size + 50


def test_longs_equal_shorts_at_every_minute_on_both_venues(going_on: Market) -> None:
    live = Live(going_on)
    for point in range(going_on.point, going_on.point + 2 * HOUR):
        now = live.advance_to(point)
        for venue in (now.hyperliquid, now.binance):
            assert (venue.ledger.lots.sum(axis=0) == 0).all()
            longs = np.maximum(venue.ledger.lots, 0).sum(axis=0)
            assert (Record(now, venue).open_lots[-1] == longs).all()


def test_nobody_trades_with_himself_and_every_trade_has_a_size(going_on: Market) -> None:
    trades = going_on.ahead.end.trades  # type: ignore[union-attr]
    assert (trades.buyer != trades.seller).all()
    assert (trades.lots > 0).all()
    assert (np.diff(trades.point) >= 0).all()
    takers = np.where(trades.bought, trades.buyer, trades.seller)
    forced = trades.liquidated >= 0
    assert (trades.liquidated[forced] == takers[forced]).all()
    assert (takers >= going_on.hyperliquid.people.makers).all()


@given(stops=st.lists(st.integers(0, 8 * HOUR), min_size=1, max_size=4))
@settings(max_examples=8)
def test_however_the_clock_is_moved_the_ledger_is_the_same(going_on: Market, stops: list[int]) -> None:
    live = Live(going_on)
    for stop in sorted(stops):
        now = live.advance_to(going_on.point + stop)
    direct = market_at(going_on, going_on.point + max(stops))
    for one, other in ((now.hyperliquid, direct.hyperliquid), (now.binance, direct.binance)):
        assert all((getattr(one.ledger, name) == getattr(other.ledger, name)).all() for name in STATE)


def test_stepping_on_ends_where_the_simulation_ended(going_on: Market) -> None:
    end = going_on.ahead.end  # type: ignore[union-attr]
    reached = market_at(going_on, end.point)
    for one, other in ((reached.hyperliquid, end.hyperliquid), (reached.binance, end.binance)):
        assert all((getattr(one.ledger, name) == getattr(other.ledger, name)).all() for name in STATE)


def test_a_market_taken_at_a_point_stays_there_while_the_clock_goes_on(going_on: Market) -> None:
    live = Live(going_on)
    early = live.advance_to(going_on.point + 15)
    before = true_positions(early)
    live.advance_to(live.last_point)
    assert true_positions(early).equals(before)
    assert not true_positions(live.market).equals(before)


def test_nobody_is_below_maintenance_at_any_minute(going_on: Market) -> None:
    live, checked = Live(going_on), 0
    for point in range(going_on.point, going_on.point + 2 * HOUR, 5):
        info = InfoEndpoint(live.advance_to(point))
        assert info.answer({"type": "liquidatable"}) == []
        checked += len(true_positions(live.market))
    assert checked > 1000


def test_whoever_is_below_maintenance_is_liquidatable(going_on: Market) -> None:
    """The same ledger with one account's cash and one position's margin taken away."""
    ruined = market_at(going_on, going_on.point + 1)
    ledger, makers = ruined.hyperliquid.ledger, ruined.hyperliquid.people.makers
    cross = next(row for row in range(makers, 400) if ledger.cross_lots(slice(row, row + 1)).any())
    alone = next(
        (row, column)
        for row, column in np.argwhere(ledger.isolated & (ledger.lots != 0)).tolist()
        if row not in (cross, *range(makers))
    )
    ledger.cash[cross] -= 10**9 * MICRO
    ledger.isolated_cash[alone] -= 10**9 * MICRO
    found = {
        row["user"]: row["positionIndex"] for row in InfoEndpoint(ruined).answer({"type": "liquidatable"})
    }
    asset = alone[1] if alone[1] < 4 else 110_000
    assert found == {
        ruined.addresses[cross]: "cross",
        ruined.addresses[alone[0]]: {"isolated": {"asset": asset}},
    }


def test_what_was_published_once_stays_as_it_was(going_on: Market) -> None:
    def seen(market: Market, end_ms: int) -> bytes:
        info = InfoEndpoint(market)
        asked = {"coin": "ETH", "interval": "15m", "startTime": 0, "endTime": end_ms - 15 * 60_000}
        candles = info.answer({"type": "candleSnapshot", "req": asked})
        start = end_ms - 12 * 3_600_000
        funding = info.answer(
            {"type": "fundingHistory", "coin": "ETH", "startTime": start, "endTime": end_ms}
        )
        liquidated = true_liquidations(market).filter(pl.col("time").dt.epoch("ms") <= end_ms)
        return msgspec.json.encode([candles, funding, liquidated.height])

    later = market_at(going_on, going_on.point + 5 * HOUR + 7)
    assert seen(later, going_on.as_of_ms) == seen(going_on, going_on.as_of_ms)
    assert seen(later, later.as_of_ms) != seen(going_on, going_on.as_of_ms)


def test_open_interest_is_what_the_longs_hold_at_any_minute(going_on: Market) -> None:
    later = market_at(going_on, going_on.point + 2 * HOUR + 37)
    meta, contexts = InfoEndpoint(later).answer({"type": "metaAndAssetCtxs"})
    holdings = true_positions(later).filter(pl.col("szi") > 0).group_by("coin").agg(pl.col("szi").sum())
    longs = dict(holdings.iter_rows())
    for asset, context in zip(meta["universe"], contexts, strict=True):
        assert float(context["openInterest"]) == pytest.approx(longs[asset["name"]], rel=1e-12)


def test_the_truth_of_a_later_minute_is_asked_by_its_point(going_on: Market) -> None:
    point = going_on.point + HOUR
    assert true_positions(going_on, at=point).equals(true_positions(market_at(going_on, point)))
    assert true_positions(going_on, "binance", at=point).height > 0
    assert true_liquidations(going_on, at=point).height >= true_liquidations(going_on).height


def test_a_minute_that_was_never_simulated_is_refused(going_on: Market, market: Market) -> None:
    for one, point in (
        (going_on, going_on.point + 8 * HOUR + 1),
        (going_on, going_on.point - 1),
        (market, 10**6),
    ):
        with pytest.raises(SandboxRefused, match=f"{point} is not between.*live_hours"):
            market_at(one, point)


def test_a_market_without_live_hours_has_nothing_ahead_and_none_are_negative() -> None:
    spec = MarketSpec(accounts=20, days=1, cex_accounts=20, coins=("BTC",), builder_dex=False)
    assert simulate(spec).ahead is None
    with pytest.raises(SandboxRefused, match="live_hours"):
        MarketSpec(live_hours=-1)
