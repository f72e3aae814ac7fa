"""What meets the book first, and the prices at which equity is two thirds of maintenance and nothing at all."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.maps.execution import (
    BACKSTOP_FRACTION,
    FIRST_SHARE,
    PARTIAL_ABOVE_USDC,
    executable,
    executable_map,
)
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.indexer.margined import MARKS, TABLES, Holder, Holding, crowds, due_usd, frame_of, stow


def forced(holders: list[Holder]) -> pl.DataFrame:
    return executable(frame_of(holders), TABLES)


def equity_and_due(holder: Holder, coin: str, px: float) -> tuple[float, float]:
    """Equity and maintenance behind one position when its own mark alone moves to `px`."""
    own = next(p for p in holder.holdings if p.coin == coin)
    moved = own.notional_usd * px / MARKS[coin]
    if own.isolated_usd is not None:
        return own.isolated_usd + moved - own.notional_usd, due_usd(coin, abs(moved))
    due_now = sum(p.due_usd for p in holder.pool(coin))
    equity = holder.available_usd + due_now + moved - own.notional_usd
    return equity, due_now - own.due_usd + due_usd(coin, abs(moved))


@settings(max_examples=20)
@given(crowds())
def test_equity_is_that_fraction_of_maintenance_at_each_price(holders: list[Holder]) -> None:
    by_address = {holder.address: holder for holder in holders}
    for row in forced(holders).iter_rows(named=True):
        holder, coin = by_address[row["address"]], row["coin"]
        straight = holder.mode == "portfolio" and row["margin_mode"] == "cross"
        for column, fraction in (
            ("backstop_px", 1.0 if straight else BACKSTOP_FRACTION),
            ("bankruptcy_px", 0.0),
        ):
            if row[column] is not None:
                equity, due = equity_and_due(holder, coin, row[column])
                size = abs(equity) + due + sum(abs(p.notional_usd) for p in holder.holdings)
                moved = size * max(1.0, row[column] / MARKS[coin])
                assert abs(equity - fraction * due) <= 1e-8 * moved


@settings(max_examples=20)
@given(crowds())
def test_the_backstop_lies_beyond_the_liquidation_and_bankruptcy_beyond_the_backstop(
    holders: list[Holder],
) -> None:
    for row in forced(holders).drop_nulls("liq_px").iter_rows(named=True):
        # A null further away is a price that no market reaches: beyond, on its own side.
        end = 0.0 if row["szi"] > 0 else np.inf
        prices = [
            row["liq_px"],
            *(end if row[name] is None else row[name] for name in ("backstop_px", "bankruptcy_px")),
        ]
        order = np.array(prices) * np.sign(row["szi"])
        assert (np.diff(order[np.isfinite(order)]) <= 1e-9 * abs(order[0])).all(), row


def test_isolated_sides_mirror_around_their_cash() -> None:
    """At 40x, equity of 5 % of the notional is gone after a move of 5 %; maintenance is 1/80 of what is left."""
    pair = [
        Holder(a, "standard", 1.0, (Holding("BTC", n, 50.0),))
        for a, n in (("0x1", 1_000.0), ("0x2", -1_000.0))
    ]
    long, short = forced(pair).rows(named=True)
    assert long["bankruptcy_px"] / MARKS["BTC"] == pytest.approx(0.95, rel=1e-12)
    assert short["bankruptcy_px"] / MARKS["BTC"] == pytest.approx(1.05, rel=1e-12)
    for row, sign in ((long, 1), (short, -1)):
        for column, fraction in (("liq_px", 1.0), ("backstop_px", 2 / 3)):
            expected = (1 - sign * 0.05) / (1 - sign * fraction / 80)
            assert row[column] / MARKS["BTC"] == pytest.approx(expected, rel=1e-12)


@settings(max_examples=20)
@given(crowds())
def test_small_positions_go_whole_large_ones_by_a_fifth_and_portfolio_accounts_never(
    holders: list[Holder],
) -> None:
    found = forced(holders)
    assert found["first_order_usd"].is_null().equals(found["liq_px"].is_null())
    for row in found.drop_nulls("liq_px").iter_rows(named=True):
        at_liquidation = abs(row["szi"]) * row["liq_px"]
        share = FIRST_SHARE if at_liquidation > PARTIAL_ABOVE_USDC else 1.0
        if row["account_mode"] == "portfolio" and row["margin_mode"] == "cross":
            share = 0.0
            assert row["backstop_px"] == row["liq_px"]
        assert row["first_order_usd"] == pytest.approx(share * row["notional_usd"], rel=1e-12)


def test_no_margin_table_gives_no_backstop() -> None:
    frame = frame_of([Holder("0x1", "standard", 10.0, (Holding("BTC", 1e3),))], exchange=True)
    (row,) = executable(frame, {}).rows(named=True)
    assert row["liq_px"] is not None
    assert row["backstop_px"] is None
    assert row["bankruptcy_px"] is None
    assert row["first_order_usd"] == pytest.approx(1e3)


def test_the_map_holds_first_orders_and_says_what_it_leaves_out(store: Store) -> None:
    small = Holder("0x1", "standard", 1_000.0, (Holding("BTC", 50_000.0),))
    large = Holder("0x2", "standard", 100_000.0, (Holding("BTC", -1_000_000.0),))
    pooled = Holder("0x3", "portfolio", 1_000.0, (Holding("BTC", 30_000.0),))
    never = Holder("0x4", "standard", 80_000.0, (Holding("BTC", 70_000.0),))
    stow(store, [small, large, pooled, never])
    drawn, whole = executable_map(store, "BTC"), exact_map(store, "BTC")
    assert tuple(drawn.in_grid_usd) == pytest.approx((50_000.0, 200_000.0))
    assert drawn.never_usd == whole.never_usd == (pytest.approx(70_000.0), 0.0)
    assert drawn.coverage.seen_usd == whole.coverage.seen_usd
    assert drawn.coverage.notes[-1].text.startswith("$830k of $1.15M do not meet the book at once")
    assert (drawn.long_usd <= whole.long_usd).all()
    assert (drawn.short_usd <= whole.short_usd).all()
    assert drawn.label == "hyperliquid first orders"


def test_a_coin_without_positions_is_missing(store: Store) -> None:
    stow(store, [Holder("0x1", "standard", 1e3, (Holding("BTC", 1e4),))])
    with pytest.raises(NothingStored, match="no positions of ARB"):
        executable_map(store, "ARB")
