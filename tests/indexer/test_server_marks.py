"""The exchange's mark is taken from what came with its price, where the file has one of another moment, or none."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pooled import HOLDINGS, MARKS, TABLES, holdings, sent

from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.margin.inferred import notes_on_marks, with_server_marks
from liqtruth.indexer.margin.reconcile import reconcile, remark
from liqtruth.indexer.margin.solver import with_models

ENTRY = {"BTC": 79_100.5, "ETH": 2_444.25, "WIF": 1.062537}
TRUE = {coin: MARKS[coin] for coin in HOLDINGS}


def answered(**facts: Any) -> pl.DataFrame:
    """What the exchange sends of an account, all of one moment."""
    frame = sent(holdings(HOLDINGS, **facts)).with_columns(
        leverage=10.0, entry_px=pl.Series([ENTRY[coin] for coin in HOLDINGS])
    )
    return frame.with_columns(
        margin_used_usd=(pl.col("notional_usd") / 10).round(6),
        unrealized_pnl_usd=(pl.col("szi") * (pl.col("mark_px") - pl.col("entry_px"))).round(6),
    )


def with_marks_of(frame: pl.DataFrame, moved: float | None) -> pl.DataFrame:
    """The same with marks of another moment, or without any."""
    if moved is None:
        return frame.with_columns(mark_px=pl.lit(None, pl.Float64), notional_usd=pl.lit(None, pl.Float64))
    later = frame.with_columns(pl.col("mark_px") * (1 + moved))
    return later.with_columns(notional_usd=pl.col("szi").abs() * pl.col("mark_px"))


@pytest.mark.parametrize("reported", ["margin_used", "unrealized_pnl"])
@pytest.mark.parametrize("moved", [1e-4, -1e-3, 0.015, None])
def test_marks_of_another_moment_are_replaced_and_prices_agree(moved: float | None, reported: str) -> None:
    frame = answered()
    assert Checks.of(reconcile(frame, TABLES)).agree == 3
    lost = {"unrealized_pnl": "margin_used_usd", "margin_used": "unrealized_pnl_usd"}[reported]
    poor = with_marks_of(frame, moved).with_columns(pl.lit(None, pl.Float64).alias(lost))
    rows = reconcile(poor, TABLES)
    assert rows["mark_from"].to_list() == [reported] * 3
    assert rows["mark_px"].to_list() == pytest.approx(list(TRUE.values()), rel=1e-6)
    assert Checks.of(rows).agree == 3
    error = ((rows["liq_px_solved"] / rows["liq_px_exchange"]) - 1).abs().max()
    assert isinstance(error, float)
    assert error < 1e-7
    assert notes_on_marks(rows)[0].values == {"count": 3}


@given(
    st.floats(1e-6, 1e3), st.floats(1e-3, 1e6), st.integers(1, 50), st.floats(-0.5, 0.5), st.integers(2, 8)
)
def test_an_answer_of_one_moment_keeps_its_marks_whatever_its_digits(
    mark: float, size: float, leverage: int, gain: float, decimals: int
) -> None:
    entry = round(mark * (1 + gain), decimals) or mark
    frame = holdings({"WIF": size}, mark_px=mark, leverage=float(leverage), entry_px=entry).with_columns(
        margin_used_usd=(pl.col("notional_usd") / leverage).round(6),
        unrealized_pnl_usd=(size * (pl.col("mark_px") - entry)).round(6),
        notional_usd=pl.col("notional_usd").round(6),
    )
    frame = frame.with_columns(
        mark_px=pl.when(pl.col("notional_usd") > 0).then(pl.col("notional_usd") / size)
    )
    marked = with_server_marks(frame)
    reported = frame["mark_px"].item()
    if reported is not None:
        assert marked["mark_px"].item() == pytest.approx(reported, rel=1e-9)


def test_a_leverage_that_the_tier_does_not_allow_makes_no_mark() -> None:
    """40x on a value whose tier allows 20x: the margin used is twice what the setting says."""
    frame = answered().with_columns(pl.col("margin_used_usd") * 2)
    assert with_server_marks(frame).equals(frame)


def test_where_value_and_mark_differ_the_value_is_the_exchanges() -> None:
    frame = answered().with_columns(pl.col("mark_px") * 1.0003, margin_used_usd=None, unrealized_pnl_usd=None)
    assert Checks.of(reconcile(frame, TABLES)).agree == 3


def test_an_isolated_position_is_recognised_by_its_profit_alone() -> None:
    frame = with_marks_of(
        answered(margin_mode="isolated", isolated_raw_usd=[170_000.0, -60_000.0, 6_000.0]), 1e-3
    )
    rows = reconcile(frame, TABLES)
    assert rows["mark_from"].to_list() == ["unrealized_pnl"] * 3


def test_positions_that_were_moved_to_newer_marks_are_not_moved_back() -> None:
    before = reconcile(answered(), TABLES)
    marks = pl.DataFrame(
        {"dex": "", "coin": list(HOLDINGS), "mark_px": [MARKS[coin] * 1.001 for coin in HOLDINGS]}
    )
    after = remark(before, marks, TABLES)
    assert with_server_marks(after).equals(after)
    assert with_models(after, TABLES)["own_maintenance_usd"].null_count() == 0


def test_a_source_without_the_exchanges_prices_keeps_its_marks() -> None:
    frame = with_marks_of(answered(), 1e-3).with_columns(exchange_read=pl.lit(False))
    assert with_server_marks(frame).equals(frame)


def test_an_entry_of_few_digits_makes_no_price_differ() -> None:
    """A mark by profit is known to half a digit of the entry price, and no price better than that."""
    rough = answered().with_columns(entry_px=pl.Series([79_000.0, 2_440.0, 1.1]))
    reported = pl.col("szi") * (pl.col("mark_px") - pl.col("entry_px") - pl.Series([0.3, 0.3, 0.03]))
    poor = with_marks_of(rough.with_columns(unrealized_pnl_usd=reported), None).with_columns(
        margin_used_usd=None
    )
    assert Checks.of(reconcile(poor, TABLES)).differ == 0
    off = poor.with_columns(pl.col("liq_px_exchange") * 1.2)
    assert Checks.of(reconcile(off, TABLES)).differ > 0
