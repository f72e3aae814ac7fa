"""What a row of a series can be: one table of bounds for every door.

Bounds are wide: they keep out what no market can show (a negative amount, funding of more than all positions, a
time of 1970 or of the future), never what is only unusual. Frames are those of `estimator.frames`.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import LeftOut, one_line
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.words.text import AHEAD, EARLIEST, of_ms

LOWEST_PX, HIGHEST_PX = 1e-15, 1e9
MOST_COINS: Final = 1e18
MOST_USD: Final = 1e13
MOST_RATE: Final = 1.0
"""Funding per interval, and maintenance: a whole position."""
MOST_RATIO: Final = 1e6
MOST_LEVERAGE: Final = 1e3
TAKERS_BEYOND: Final = 1.001
"""Volume may be exceeded by what takers bought of it by so much: both are rounded."""
LAST_MS: Final = 62_000_000_000_000
"""Within these milliseconds of 1970 on either side there is a calendar."""
PRICES: Final = ("open", "high", "low", "close")
MOST_OF_ONE: Final = 1e11
"""USD of open interest that no single market has had."""


@dataclass(frozen=True)
class Bound:
    """`wrong` is true of rows whose `column` cannot be right; `wanted` is what it should be ("is not ...")."""

    column: str
    wrong: pl.Expr
    wanted: str


def within(column: str, least: float, most: float, required: bool = False) -> Bound:
    """Null is only wrong where the column is `required`; what is no number always."""
    value = pl.col(column)
    outside = ~value.is_between(least, most)
    wrong = (outside | value.is_null()) if required else outside
    return Bound(column, wrong, f"a number from {least:g} to {most:g}")


def timely(now: datetime) -> Bound:
    """Not before there were such markets, and not of the future by the clock `now`."""
    value = pl.col("ts")
    wrong = value.is_null() | ~value.is_between(EARLIEST, now + AHEAD)
    return Bound("ts", wrong, f"a time from {EARLIEST:%Y} to now")


_priced: Final = (
    *(within(name, LOWEST_PX, HIGHEST_PX, required=True) for name in PRICES),
    Bound("high", pl.col("high") < pl.max_horizontal(PRICES), "the highest price of its bar"),
    Bound("low", pl.col("low") > pl.min_horizontal(PRICES), "the lowest price of its bar"),
    within("interval_s", 1, 366 * 86_400, required=True),
)

BOUNDS: Final[Mapping[str, tuple[Bound, ...]]] = {
    "candles": (
        *_priced,
        within("volume", 0, MOST_COINS),
        within("taker_buy_volume", 0, MOST_COINS),
        Bound(
            "taker_buy_volume",
            pl.col("taker_buy_volume") > TAKERS_BEYOND * pl.col("volume"),
            "a part of the volume",
        ),
    ),
    "mark_candles": _priced,
    "open_interest": (
        within("open_interest", 0, MOST_COINS),
        within("open_interest_usd", 0, MOST_USD),
        Bound(
            "open_interest",
            pl.col("open_interest").is_null() & pl.col("open_interest_usd").is_null(),
            "given, in coins or in USD",
        ),
    ),
    "funding": (within("rate", -MOST_RATE, MOST_RATE, required=True),),
    "ratios": (within("ratio", 0, MOST_RATIO, required=True),),
    "liquidations": (
        Bound("side", ~pl.col("side").is_in(["long", "short"]).fill_null(False), "long or short"),
        within("px", LOWEST_PX, HIGHEST_PX, required=True),
        within("coins", 1e-18, MOST_COINS, required=True),
        within("notional_usd", 1e-18, MOST_USD, required=True),
    ),
    "tiers": (
        within("min_notional_usd", 0, MOST_USD, required=True),
        Bound(
            "max_notional_usd",
            (pl.col("max_notional_usd") <= pl.col("min_notional_usd")) | pl.col("max_notional_usd").is_nan(),
            "above the tier's lower end",
        ),
        within("maintenance_margin_rate", 1e-9, MOST_RATE, required=True),
        within("max_leverage", 1, MOST_LEVERAGE),
    ),
}
"""By dataset, in coins, USD and fractions. The upper end of the last tier is whatever the venue writes for none."""


def shown(value: object) -> str:
    """Any value on one short line, however large it is."""
    return one_line(value if isinstance(value, str) and len(value) < 80 else reprlib.repr(value), 80)


def possible(rows: pl.DataFrame, dataset: str, now: datetime, left_out: LeftOut) -> pl.DataFrame:
    """The rows with possible values by the clock `now`; `left_out` counts the others, each for one reason."""
    bounds = (timely(now), *BOUNDS[dataset])
    flags = rows.select(bound.wrong.fill_null(False).alias(str(at)) for at, bound in enumerate(bounds))
    wrong = flags.select(pl.any_horizontal(pl.all())).to_series()
    if not wrong.any():
        return rows
    names = list(flags.columns)
    reason = flags.select(
        pl.coalesce(pl.when(pl.col(name)).then(pl.lit(int(name))) for name in names)
    ).to_series()
    for at in reason.drop_nulls().unique(maintain_order=True):
        bound, those = bounds[at], rows.filter((reason == at).fill_null(False))
        left_out.note(
            f"{dataset}, {bound.column} is not {bound.wanted}", _cell(those, bound.column), those.height
        )
    return rows.filter(~wrong)


def _cell(rows: pl.DataFrame, column: str) -> str:
    """The first row's value and its time; a time that no calendar knows stands as milliseconds."""
    ms = rows["ts"].dt.epoch("ms")[0]
    knows = ms is not None and abs(ms) < LAST_MS
    at = f"{of_ms(ms):%Y-%m-%dT%H:%MZ}" if knows else f"{ms} ms"
    return at if column == "ts" else f"{shown(rows[column][0])} of {at}"


def too_large(usd: float | None) -> Notes:
    """The warning of so many USD in one market, where they are too many; empty where they are not."""
    if usd is None or usd < MOST_OF_ONE:
        return ()
    return (note("open_interest_too_large", usd=usd),)
