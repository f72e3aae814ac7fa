"""Banded sums of exact positions: what lies within stretches of the price, per moment, coin and side.

A table `ts, coin, side, band, usd, watched_usd` and, where it is known, `effective`. `band` is a distance from the mark
in percent: `0-2`, `2-5 %`, or `2`, which is `0-2`. `usd` is liquidated inside of it, out of `watched_usd` that all
watched positions of the side hold, those without liquidation price included. `effective` is the effective sample size
of the positions in the band: zero where there are none, otherwise at least one.
"""

import re
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.heatmap.levels import SIDES
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.cells import refuse_first
from liqtruth.storage.files.content import read_content
from liqtruth.storage.files.tabular import UTC_MS, parse_rows, to_float, to_time

NEEDED: Final = ("ts", "coin", "side", "band", "usd", "watched_usd")
EFFECTIVE: Final = "effective"
BANDS: Final = {
    "ts": UTC_MS,
    "coin": pl.String(),
    "side": pl.String(),
    "low_pct": pl.Float64(),
    "high_pct": pl.Float64(),
    "usd": pl.Float64(),
    "watched_usd": pl.Float64(),
    "effective": pl.Float64(),  # null: not known
    "source": pl.String(),
}
BAND: Final = re.compile(r"\s*(?:(\d+(?:\.\d+)?)\s*%?\s*[-–]\s*)?(\d+(?:\.\d+)?)\s*%?\s*")
ROUNDING: Final = 1.001
"""Bands of a side may add up to this many times what was watched."""


def is_band_table(path: Path) -> bool:
    """Whether a file has the columns of banded sums."""
    try:
        return set(NEEDED) <= set(parse_rows(read_content(path), path).rows.columns)
    except TableRefused:
        return False


def read_bands(path: Path) -> pl.DataFrame:
    """Rows in order, columns `BANDS`; raises `TableRefused` naming what cannot be right."""
    raw = parse_rows(read_content(path), path).rows
    known = [*NEEDED, *([EFFECTIVE] if EFFECTIVE in raw.columns else [])]
    numbers = ["usd", "watched_usd", *known[len(NEEDED) :]]
    table = to_float(to_time(raw, "ts", path), numbers, path)
    for name, least in (("usd", 0.0), ("watched_usd", None)):
        column = table[name]
        wrong = column.is_null() | (column < 0 if least is not None else column <= 0)
        refuse_first(path, name, column, wrong, "zero or more" if least is not None else "above zero")
    if EFFECTIVE in known:
        column, usd = table[EFFECTIVE], table["usd"]
        wrong = ~column.is_finite() | ((usd > 0) & (column < 1)) | ((usd == 0) & (column != 0))
        refuse_first(
            path, EFFECTIVE, column, wrong.fill_null(False), "at least one where usd is above zero, else zero"
        )
    side = table["side"].str.strip_chars().str.to_lowercase()
    refuse_first(path, "side", table["side"], (~side.is_in(list(SIDES))).fill_null(True), "long or short")
    ends = [_ends(path, row + 1, text) for row, text in enumerate(table["band"].cast(pl.String).to_list())]
    marked = "source" in raw.columns and raw.schema["source"] == pl.String
    found = table.select(
        "ts",
        pl.col("coin").str.strip_chars(),
        pl.lit(side).alias("side"),
        pl.Series("low_pct", [low for low, _ in ends], pl.Float64),
        pl.Series("high_pct", [high for _, high in ends], pl.Float64),
        "usd",
        "watched_usd",
        (pl.col(EFFECTIVE) if EFFECTIVE in known else pl.lit(None, pl.Float64)).alias(EFFECTIVE),
        (pl.col("source") if marked else pl.lit(str(path))).alias("source"),
    ).sort("coin", "ts", "side", "low_pct")
    _check(path, found)
    return found


def _ends(path: Path, row: int, text: str | None) -> tuple[float, float]:
    found = BAND.fullmatch(text or "")
    if found is None or float(found[1] or 0) >= float(found[2]):
        raise TableRefused(
            f"{path}, row {row}: band must be a distance from the mark in percent, e.g. 0-2 or 2-5, got {text!r}"
        )
    return float(found[1] or 0), float(found[2])


def _check(path: Path, rows: pl.DataFrame) -> None:
    """Bands of one side and moment must not overlap nor hold more than was watched."""
    keys = ("coin", "ts", "side")
    over = rows.filter((pl.col("low_pct") < pl.col("high_pct").shift(1).over(keys)).fill_null(False))
    if over.height:
        first = over.row(0, named=True)
        raise TableRefused(
            f"{path}: bands of {first['coin']} {first['side']} at {first['ts']:%Y-%m-%dT%H:%MZ} overlap at "
            f"{first['low_pct']:g} %: give sums that lie beside each other"
        )
    sums = rows.group_by(keys, maintain_order=True).agg(
        pl.col("usd").sum(), least=pl.col("watched_usd").min(), most=pl.col("watched_usd").max()
    )
    wrong = sums.filter((pl.col("usd") > ROUNDING * pl.col("least")) | (pl.col("least") != pl.col("most")))
    if wrong.height:
        first = wrong.row(0, named=True)
        raise TableRefused(
            f"{path}: {first['coin']} {first['side']} at {first['ts']:%Y-%m-%dT%H:%MZ} must have one watched_usd that "
            f"its bands do not exceed, got {first['usd']:,.0f} in bands of {first['least']:,.0f}"
        )
