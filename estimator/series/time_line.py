"""One line of bars out of candles of several lengths, and what is laid beside it: open interest, mark prices.

Frames as in `estimator.frames`. Pure; knows neither the store nor the clock.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray

NEARLY: Final = 0.98
"""Bar lengths that cover this share of what the best one covers count as equal; the shortest wins."""
ENTRY_POINTS: Final = (1 / 6, 1 / 2, 5 / 6)
"""Where in a bar's range (in log price) a third of its openings enters each: the middles of the range's thirds."""


def pick_bars(candles: pl.DataFrame, start: datetime, as_of: datetime) -> pl.DataFrame:
    """One line of bars (with their `end`) out of all that is stored, which may overlap at several lengths.

    The length that covers most of the window is taken, the shortest among nearly equal ones; others only before
    and after it. Bars made from price samples (no volume) are one length of their own.
    """
    inside = candles.with_columns(
        end=bar_ends(candles),
        group=pl.when(pl.col("volume").is_null()).then(0).otherwise(pl.col("interval_s")),
    ).filter(pl.col("ts") >= start, pl.col("end") <= as_of)
    if inside.is_empty():
        return inside
    covered = inside.group_by("group").agg(
        pl.col("interval_s").sum().alias("covered"), step=pl.col("interval_s").median()
    )
    best = covered.filter(pl.col("covered") >= NEARLY * pl.col("covered").max()).sort("step", "group")[
        "group"
    ][0]
    base = _without_overlaps(inside.filter(pl.col("group") == best).sort("ts", "interval_s"))
    rest = inside.select(candles.columns)
    before = pick_bars(rest.filter(inside["end"] <= base["ts"].min()), start, as_of)
    after = pick_bars(rest.filter(inside["ts"] >= base["end"].max()), start, as_of)
    return pl.concat([before, base, after])


def _without_overlaps(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of one length that begin before an earlier one has ended are left out."""
    return bars.filter((pl.col("ts") >= pl.col("end").cum_max().shift(1)).fill_null(True))


def bar_ends(candles: pl.DataFrame) -> pl.Series:
    return candles.select(pl.col("ts") + pl.duration(seconds=pl.col("interval_s"))).to_series()


def beside_bars(bars: pl.DataFrame, open_interest: pl.DataFrame) -> pl.DataFrame:
    """`coins` and their `oi_ts` at the start of the first bar and the end of every bar (one row more than bars).

    USD become coins at the price of their own moment: at a later one a move of the price would look like openings.
    """
    line = pl.DataFrame(
        {
            "ts": pl.concat([bars["ts"].head(1), bars["end"].rename("ts")]),
            "px": pl.concat([bars["open"].head(1), bars["close"].rename("open")]),
        }
    )
    known = open_interest.sort("ts").with_columns(oi_ts=pl.col("ts"))
    priced = known.join_asof(line, on="ts", strategy="backward").with_columns(
        px=pl.col("px").fill_null(line["px"][0])
    )
    coins = pl.coalesce("open_interest", pl.col("open_interest_usd") / pl.col("px"))
    return line.join_asof(priced.select("ts", "oi_ts", coins=coins), on="ts", strategy="backward")


def rounding_usd(open_interest: pl.DataFrame, px: float) -> float:
    """The decimal step (USD) of which every value is a multiple; zero where it is finer than 1e-5 of the value."""
    name, unit_usd = (
        ("open_interest", px) if open_interest["open_interest"].count() else ("open_interest_usd", 1.0)
    )
    values = open_interest[name].drop_nulls().to_numpy()
    steps = 10.0 ** np.arange(12, -9, -1)
    multiples = values[:, None] / steps
    usual = np.median(values)
    whole = np.all(np.abs(multiples - np.round(multiples)) < 1e-6, axis=0)
    fits = whole & (steps > 1e-5 * usual) & (steps <= usual)
    return float(steps[fits][0] * unit_usd) if len(values) and fits.any() else 0.0


def mark_extremes(bars: pl.DataFrame, marks: pl.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest mark of each bar; NaN where candles of the mark do not cover the bar from end to end.

    Candles of the mark count where they lie inside one bar: longer ones do not state which bar an extreme was in.
    """
    if bars.is_empty() or marks.is_empty():
        nothing = np.full(bars.height, np.nan)
        return nothing, nothing
    blank = [pl.lit(0.0).alias("volume"), pl.lit(None, pl.Float64).alias("taker_buy_volume")]
    line = pick_bars(marks.with_columns(blank), bars["ts"][0], bars["end"][-1])
    places = bars.select("ts", bar_end="end").with_row_index("bar")
    inside = line.join_asof(places, on="ts", strategy="backward").filter(pl.col("end") <= pl.col("bar_end"))
    length = (pl.col("end") - pl.col("ts")).sum()
    found = inside.group_by("bar").agg(pl.col("low").min(), pl.col("high").max(), covered=length)
    beside = places.join(found, on="bar", how="left", maintain_order="left").with_columns(
        whole=pl.col("covered") == pl.col("bar_end") - pl.col("ts")
    )
    low, high = (
        beside.select(pl.when("whole").then(name).fill_null(np.nan)).to_series().to_numpy()
        for name in ("low", "high")
    )
    return low, high


@dataclass(frozen=True, eq=False)
class Bars:
    """Aligned series of `n` bars: prices, and open interest at the end of each with one value before the first.

    `open_interest` has `n + 1` entries, in coins. `volume` (coins per bar) is null where the source has none;
    `swept_low` and `swept_high` are the mark's extremes, by which venues liquidate, null where only traded prices are.
    """

    high: FloatArray
    low: FloatArray
    close: FloatArray
    open_interest: FloatArray
    volume: FloatArray | None = None
    swept_low: FloatArray | None = None
    swept_high: FloatArray | None = None

    def __post_init__(self) -> None:
        count = len(self.close)
        if not (len(self.high) == len(self.low) == count and len(self.open_interest) == count + 1 > 1):
            raise BadInput(f"{count} bars need as many highs and lows and one more open interest")
        if not (np.all(self.open_interest >= 0) and np.all(self.low > 0)):
            raise BadInput("open interest must not be negative or missing, and prices must be positive")

    @property
    def entries(self) -> FloatArray:
        """Entry prices, shape (bars, entry points)."""
        span = np.log(self.high / self.low)
        return np.asarray(self.low[:, None] * np.exp(np.outer(span, ENTRY_POINTS)))
