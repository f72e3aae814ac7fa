"""Columns that state one thing twice are compared with each other; what is honest goes through whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.files.tables.contradictions import Consistent, past_share, without_contradictions
from liqtruth.indexer.files.tables.layouts import recognise_table
from liqtruth.indexer.files.tables.position_rows import typed_rows

WHEN = datetime(2026, 8, 21, 11, tzinfo=UTC)
MARKS = {"BTC": 77_725.0, "ETH": 4_300.0, "SOL": 190.0, "DOGE": 0.21}
NO_MARKS = pl.DataFrame(schema={"coin": pl.String(), "mark_px": pl.Float64()})

Columns = dict[str, Any]
Corruption = Callable[[pl.DataFrame], list[pl.Expr]]


def honest(rows: int, seed: int, coins: tuple[str, ...] = tuple(MARKS)) -> pl.DataFrame:
    """A table of positions such as the exchange shows, rounded as it rounds."""
    draw = np.random.default_rng(seed)
    coin = draw.choice(coins, rows)
    mark = np.array([MARKS[str(one)] for one in coin])
    szi = np.round(draw.choice([-1, 1], rows) * draw.lognormal(9, 2, rows) / mark, 5)
    szi = np.where(szi == 0, 0.001, szi)
    entry = np.array([float(f"{one:.5g}") for one in mark * np.exp(draw.normal(0, 0.15, rows))])
    liq = mark * (1 - np.sign(szi) * draw.uniform(0.01, 0.9, rows))
    return pl.DataFrame(
        {
            "address": [f"0x{number + 1:040x}" for number in range(rows)],
            "coin": coin,
            "szi": szi,
            "entry_px": entry,
            "mark_px": mark,
            "notional": np.round(np.abs(szi) * mark, 6),
            "upnl": np.round(szi * (mark - entry), 6),
            "liq_px": np.where(draw.random(rows) < 0.2, 0.0, liq),
            "leverage": draw.integers(1, 40, rows),
            "ts": [WHEN.isoformat()] * rows,
        }
    )


def holdings(table: pl.DataFrame, marks: pl.DataFrame = NO_MARKS, keep: bool = False) -> Consistent:
    known = recognise_table(table.columns, {}, Path("t.csv"))
    rows, _ = typed_rows(table, known, Path("t.csv"))
    given_columns = {**known.columns, "szi": known.columns.get("szi", "size")}
    return without_contradictions(rows, given_columns, "t.csv", marks, keep)


SIZE, SZI, MARK, ENTRY = pl.col("szi").abs(), pl.col("szi"), pl.col("mark_px"), pl.col("entry_px")
WRONG: dict[str, tuple[tuple[str, ...], Corruption]] = {
    # what is dropped from the table first, what is done to its rows
    "size in USD beside the mark": ((), lambda t: [SZI.sign() * pl.col("notional")]),
    "size in USD beside notional and entry": (
        ("mark_px", "upnl"),
        lambda t: [SZI.sign() * pl.col("notional")],
    ),
    "size in contracts": (("upnl",), lambda t: [SZI * 100]),
    "size in thousands": (("mark_px", "upnl"), lambda t: [SZI / 1000]),
    "notional in coins": ((), lambda t: [SIZE.alias("notional")]),
    "notional in thousands of USD": ((), lambda t: [pl.col("notional") / 1000]),
    "notional in cents": (("mark_px", "liq_px"), lambda t: [pl.col("notional") * 100]),
    "mark of another coin": ((), lambda t: [MARK * 20]),
    "sides flipped": (("liq_px",), lambda t: [-SZI]),
    "sides flipped, without profit": (("upnl",), lambda t: [-SZI]),
    "sides missing": (("upnl",), lambda t: [SIZE]),
    "sides missing, with profit": (("liq_px",), lambda t: [SIZE]),
    "profit in percent": ((), lambda t: [pl.col("upnl") / pl.col("notional") * 100]),
    "profit as a fraction": ((), lambda t: [pl.col("upnl") / pl.col("notional")]),
    "liquidation prices that are the mark": ((), lambda t: [MARK.alias("liq_px")]),
    "liquidation prices that are the entry": (("upnl",), lambda t: [ENTRY.alias("liq_px")]),
    "leverage of another kind": ((), lambda t: [pl.col("notional").alias("leverage") + 2000]),
    "leverage below nothing": ((), lambda t: [-pl.col("leverage")]),
    "prices of another moment": (("upnl",), lambda t: [pl.col("liq_px") * 2.5]),
}


@settings(max_examples=8)
@given(rows=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_nothing_honest_is_left_out(rows: int, seed: int) -> None:
    table = honest(rows, seed)
    marks = pl.DataFrame({"coin": list(MARKS), "mark_px": [1.3 * one for one in MARKS.values()]})
    for columns in ((), ("mark_px",), ("notional",), ("upnl",), ("entry_px",), ("liq_px",)):
        found = holdings(table.drop(columns), marks)
        assert (found.left_out, found.notes) == (0, [])
        assert found.rows.height == rows


@pytest.mark.parametrize("wrong", WRONG)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32))
def test_a_column_in_another_unit_is_refused_unless_asked_to_keep_it(wrong: str, seed: int) -> None:
    dropped, corrupt = WRONG[wrong]
    table = honest(60, seed)
    table = table.with_columns(corrupt(table)).drop(dropped)
    with pytest.raises(BadInput) as refused:
        holdings(table)
    assert refused.value.exit_code == 2
    assert "t.csv" in str(refused.value)
    assert holdings(table, keep=True).rows.height == 60


ROWS_OUT = (
    "size in USD beside the mark", "size in contracts", "size in thousands", "notional in coins",
    "notional in thousands of USD", "mark of another coin", "sides flipped", "sides missing, with profit",
)  # fmt: skip


@pytest.mark.parametrize("wrong", ROWS_OUT)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32), bad=st.integers(1, 10))
def test_a_few_rows_that_contradict_themselves_are_left_out(wrong: str, seed: int, bad: int) -> None:
    dropped, corrupt = WRONG[wrong]
    table = honest(100, seed, ("BTC", "ETH", "SOL"))
    table = table.filter(pl.len().over("coin") > 25).with_columns(liq_px=pl.lit(0.0))
    spoiled = pl.concat([table[:bad].with_columns(corrupt(table)), table[bad:]], how="vertical_relaxed")
    found = holdings(spoiled.drop(dropped))
    kept = set(found.rows["row"])
    assert set(range(bad + 1, table.height + 1)) <= kept, "no honest row is left out"
    shown = {row for row in range(1, bad + 1) if _shows(spoiled.row(row - 1, named=True), wrong)}
    assert not shown & kept
    assert found.left_out == table.height - len(kept)


def _shows(row: Columns, wrong: str) -> bool:
    """Whether the row's contradiction is large enough to be distinguished from rounding and from prices that moved."""
    gain = row["szi"] * (row["mark_px"] - row["entry_px"])
    if "side" in wrong:
        return bool(abs(gain) > 6e-3 * row["notional"] and row["notional"] > 1 and gain * row["upnl"] < 0)
    return bool(row["notional"] > 1.5)


def test_profit_of_a_few_rows_that_is_something_else_is_left_out_of_the_row() -> None:
    table = honest(100, 7)
    spoiled = pl.concat([table[:3].with_columns(upnl=pl.col("notional") * 3), table[3:]])
    found = holdings(spoiled)
    assert found.rows.height == 100
    assert found.rows["unrealized_pnl_usd"].head(3).to_list() == [None] * 3
    assert found.rows["unrealized_pnl_usd"].null_count() == 3


@pytest.mark.parametrize("leverage", [1e30, 0.0, -5.0, 1001.0])
def test_a_few_leverages_that_can_be_none_are_left_out_of_their_rows(leverage: float) -> None:
    table = honest(100, 7).with_columns(pl.col("leverage").cast(pl.Float64))
    found = holdings(pl.concat([table[:3].with_columns(leverage=pl.lit(leverage)), table[3:]]))
    assert found.rows["leverage"].head(4).to_list() == [None] * 3 + [table["leverage"][3]]
    assert any("3 of 100" in one.text for one in found.notes)


@pytest.mark.parametrize(("share", "is_refused"), [(0.0, False), (0.04, False), (0.06, True), (0.5, True)])
def test_a_truth_past_its_own_prices_is_refused_from_five_percent_of_notional(
    share: float, is_refused: bool
) -> None:
    past = round(1000 * share)
    table = pl.DataFrame(
        {
            "address": [f"0x{number + 1:040x}" for number in range(1000)],
            "coin": "BTC", "szi": 1.0, "mark": 50_000.0, "ts": WHEN.isoformat(),
            "liq_px": [60_000.0] * past + [40_000.0] * (1000 - past),
        }
    )  # fmt: skip
    if is_refused:
        with pytest.raises(BadInput, match="--keep-contradictions"):
            holdings(table)
    found = holdings(table, keep=True)
    assert past_share(found.rows)[1:] == (past, 1000)
    assert bool(found.notes) == (past > 0)


def test_a_coin_that_crashed_is_no_contradiction() -> None:
    """Entries far from the mark, but each by another factor."""
    draw = np.random.default_rng(3)
    entry = 0.02 * np.exp(draw.uniform(np.log(12), np.log(3000), 50))
    table = pl.DataFrame(
        {
            "address": [f"0x{number + 1:040x}" for number in range(50)],
            "coin": "LUNC", "szi": -1000.0, "mark": 0.02, "entry": entry, "ts": WHEN.isoformat(),
        }
    )  # fmt: skip
    assert holdings(table).rows.height == 50


def test_marks_of_many_days_are_not_compared_with_each_other() -> None:
    days = [WHEN - timedelta(days=n) for n in range(300)]
    table = pl.DataFrame(
        {
            "address": f"0x{1:040x}", "coin": "BTC", "szi": 1.0,
            "mark": [77_000.0 / 1.02**n for n in range(300)], "ts": [day.isoformat() for day in days],
        }
    )  # fmt: skip
    assert holdings(table).rows.height == 300


def test_a_mark_that_is_not_the_markets_is_refused() -> None:
    table = honest(30, 1, ("BTC",)).select("address", "coin", "szi", "notional", "ts")
    table = table.with_columns(szi=pl.col("szi") * 1000)
    holdings(table)  # nothing to hold it against
    with pytest.raises(BadInput):
        holdings(table, pl.DataFrame({"coin": ["BTC"], "mark_px": [77_000.0]}))
