"""Positions as a table for people; files and pipes get the whole frame instead."""

from typing import Any

import polars as pl
from rich.table import Table

from liqtruth.heatmap.notes import any_synthetic
from liqtruth.heatmap.text import age, counted, price, usd
from liqtruth.indexer.margin.checks import Checks, code_of, words_of

SHOWN = 40


def positions_table(frame: pl.DataFrame, rows: int = SHOWN) -> Table:
    """The largest positions, with counts below of how many of all agree, differ and were not checked."""
    largest = frame.sort("notional_usd", descending=True).head(rows).with_columns(code=code_of())
    table = Table(
        caption=_caption(frame, largest.height), caption_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for name in ("address", "coin", "side"):
        table.add_column(name, no_wrap=True)
    for name in ("notional", "liquidation", "solved"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("mode", "check"):
        table.add_column(name, no_wrap=True)
    for row in largest.iter_rows(named=True):
        table.add_row(*_cells(row))
    return table


def drilldown_table(frame: pl.DataFrame, rows: int = SHOWN) -> Table:
    """The largest positions behind a zone (`indexer.maps.drilldown.DRILLDOWN`)."""
    total = usd(float(frame["notional_usd"].sum()))
    caption = f"{min(frame.height, rows)} largest of {counted(frame.height, 'position')}, {total} in all"
    table = Table(caption=caption, caption_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("address", no_wrap=True)
    for name in ("notional", "liq.", "away", "lev.", "margin left", "others", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("mode", no_wrap=True)
    for row in frame.head(rows).iter_rows(named=True):
        table.add_row(*_drilled(row))
    return table


def _drilled(row: dict[str, Any]) -> list[str]:
    side = "long" if row["szi"] > 0 else "short"
    leverage = row["effective_leverage"]
    left = row["margin_left_usd"]
    return [
        f"{_short(row['address'])} {row['label'] or ''}".strip(),
        f"{usd(row['notional_usd'])} {side}",
        price(row["liq_px"]),
        f"{row['distance_pct']:+.1f}%",
        "-" if leverage is None else f"{leverage:.1f}x",
        "unknown" if left is None else usd(left),
        usd(row["hedge_usd"] or 0.0),
        age(row["age_s"]),
        row["margin_mode"] or "-",
    ]


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}" if address.startswith("0x") else f"…{address[-11:]}"


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        _short(row["address"]),
        row["coin"],
        "long" if row["szi"] > 0 else "short",
        usd(row["notional_usd"]),
        _price(row["liq_px_exchange"]),
        _price(row["liq_px_solved"]),
        row["margin_mode"] or "-",
        words_of(row["code"]),
    ]


def _price(px: float | None) -> str:
    return "-" if px is None else price(px)


def _caption(frame: pl.DataFrame, shown: int) -> str:
    synthetic = "synthetic, " if any_synthetic(frame["source"]) else ""
    return f"{synthetic}{shown} largest of {frame.height} positions: {Checks.of(frame)}"
