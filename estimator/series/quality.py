"""Checks of a market's series: every fault is repaired, cut out or only reported, never ignored.

`repaired_candles` and `repaired_open_interest` judge single rows; `checked` judges a line of bars and its readings of
open interest together. Frames as in `estimator.frames`; bars also have their `end`. Repairs only leave rows out, never
invent one: what is left out counts as unknown. Wicks and steps beyond the volume may be real: they are reported and
kept.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.errors import SeriesRefused
from liqtruth.estimator.series.outliers import OpenInterest, settle
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.heatmap.words.text import utc_text, utc_text_ms

PRICES: Final = ("open", "high", "low", "close")
DENOMINATION: Final = 2.0
"""A price that opens by this factor away from the last close, and stays, is of a coin counted anew."""
DISAGREE: Final = 0.1
"""Share by which open interest in USD may differ from coins times price: it is valued at another instant's price."""
MOSTLY: Final = 0.5
"""Share of the readings beyond which disagreeing columns are refused instead of left out one by one."""
WICK: Final = 0.1
USUAL_WICKS: Final = 10.0
"""A wick is reported from 10 % of the price on, where it is also ten times the usual range of a bar."""
FROZEN_READINGS: Final = 12
FROZEN_ROUNDED: Final = 48
FROZEN_H: Final = 6.0
"""Readings and hours without any change that are reported; more of them where the source rounds its values."""
WIDE: Final = 1.5
"""Readings further apart than this many usual steps have a gap between them."""


@dataclass(frozen=True, eq=False)
class Checked:
    """What is left of bars and readings, and what was found."""

    bars: pl.DataFrame
    open_interest: pl.DataFrame
    findings: Notes


# ------------------------------------------------------------------------------------- single rows


def repaired_candles(candles: pl.DataFrame) -> tuple[pl.DataFrame, Notes]:
    """Candles in order of time, once each, whose prices can be prices; negative volumes are unknown ones."""
    ordered, findings = _ordered(candles, ["ts", "interval_s"], "candles")
    given = pl.all_horizontal(
        pl.col(name).is_finite().fill_null(False) & (pl.col(name) > 0) for name in PRICES
    )
    spans = (pl.col("high") >= pl.max_horizontal(PRICES)) & (pl.col("low") <= pl.min_horizontal(PRICES))
    priced, unpriced = _parted(ordered, given & (pl.col("interval_s") > 0))
    whole, inverted = _parted(priced, spans)
    volume = pl.col("volume")
    wrong = (volume < 0) | ~volume.is_finite()
    odd = whole.filter(wrong)
    return whole.with_columns(volume=pl.when(~wrong).then(volume)), (
        *findings,
        *_row_notes("unpriced_candles", unpriced),
        *_row_notes("inverted_candles", inverted),
        *_row_notes("negative_volume", odd),
    )


def repaired_open_interest(open_interest: pl.DataFrame) -> tuple[pl.DataFrame, Notes]:
    """Readings in order of time, once each, that are above zero in every unit that they are given in."""
    ordered, findings = _ordered(open_interest, ["ts"], "readings of open interest")
    units = [pl.col(name) for name in ("open_interest", "open_interest_usd")]
    positive = pl.all_horizontal((unit.is_null() | (unit.is_finite() & (unit > 0))) for unit in units)
    usable, unusable = _parted(ordered, positive & ~pl.all_horizontal(unit.is_null() for unit in units))
    return usable, (
        *findings,
        *_row_notes("no_open_interest", unusable),
    )


def _ordered(rows: pl.DataFrame, key: list[str], what: str) -> tuple[pl.DataFrame, Notes]:
    once = rows.unique(key, keep="last", maintain_order=True)
    ordered = once.sort(key)
    twice = rows.filter(rows.select(key).is_duplicated()).unique("ts", maintain_order=True)
    repeated = rows.height - once.height
    return ordered, (
        *((note("repeated", count=repeated, what=what, first=_first(twice)),)
          if repeated else ()),
        *((note("unordered", what=what),) if not once["ts"].is_sorted() else ()),
    )  # fmt: skip


def _parted(rows: pl.DataFrame, good: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows.filter(good), rows.filter(~good)


def _row_notes(code: str, rows: pl.DataFrame, **values: float) -> Notes:
    if rows.is_empty():
        return ()
    return (Note(code, {"count": rows.height, "first": _first(rows), **values}),)


def _first(rows: pl.DataFrame) -> str:
    first = rows["ts"].min()
    assert isinstance(first, datetime)
    return utc_text(first)


# -------------------------------------------------------------------- bars and readings side by side


def checked(bars: pl.DataFrame, open_interest: pl.DataFrame, rounding_usd: float = 0.0) -> Checked:
    """A line of bars without overlaps, and the readings beside it, after all that can only be seen in sequence.

    Raises `SeriesRefused` where coins and USD of most readings contradict each other.
    """
    bars, counted_anew = _one_denomination(bars)
    readings = open_interest if not counted_anew else open_interest.filter(pl.col("ts") >= bars["ts"][0])
    priced, disagreeing = _agreeing(_priced(readings, bars))
    coins = pl.coalesce("open_interest", pl.col("open_interest_usd") / pl.col("px"))
    series = OpenInterest(
        priced["ts"].dt.epoch("ms").to_numpy(),
        priced.select(coins).to_series().to_numpy(),
        traded_between(bars, priced["ts"].dt.epoch("ms").to_numpy()),
        rounding_usd / float(bars["close"][-1]),
    )
    settled = settle(series)
    kept = priced.filter(settled.kept).select(open_interest.columns)
    return Checked(
        bars,
        kept,
        (
            *counted_anew,
            *disagreeing,
            *settled.findings,
            *_gaps(bars),
            *_wide_steps(kept, bars),
            *_frozen(kept, rounding_usd > 0),
            *_still_prices(bars),
            *_wicks(bars),
        ),
    )


def _one_denomination(bars: pl.DataFrame) -> tuple[pl.DataFrame, Notes]:
    """Bars after the last lasting leap of the price by `DENOMINATION`: a coin that is counted anew, or another one."""
    leaps = np.abs(np.log(bars["open"].to_numpy()[1:] / bars["close"].to_numpy()[:-1])) >= np.log(
        DENOMINATION
    )
    adjoins = (bars["ts"].to_numpy()[1:] - bars["end"].to_numpy()[:-1]) <= np.timedelta64(1, "D")
    places = np.flatnonzero(leaps & adjoins) + 1
    if not places.size:
        return bars, ()
    last = int(places[-1])
    factor = float(bars["open"][last] / bars["close"][last - 1])
    before, after = bars["close"][last - 1], bars["open"][last]
    leap = note("price_leaps", before=before, after=after, at=utc_text(bars["ts"][last]), factor=factor)
    return bars[last:], (leap,)


def _priced(open_interest: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Readings with the price `px` of their own moment; before the first bar its open stands, and `guessed` is true."""
    line = pl.DataFrame(
        {
            "ts": pl.concat([bars["ts"].head(1), bars["end"].rename("ts")]),
            "px": pl.concat([bars["open"].head(1), bars["close"].rename("open")]),
        }
    )
    return open_interest.join_asof(line, on="ts", strategy="backward").with_columns(
        px=pl.col("px").fill_null(float(bars["open"][0])), guessed=pl.col("px").is_null()
    )


def _agreeing(priced: pl.DataFrame) -> tuple[pl.DataFrame, Notes]:
    """Readings whose coins and USD agree, or that have one of them; refused where most do not."""
    share = pl.col("open_interest_usd") / (pl.col("open_interest") * pl.col("px"))
    off = (share.log().abs() > np.log1p(DISAGREE)).fill_null(False) & ~pl.col("guessed")
    both = priced.filter(share.is_not_null() & ~pl.col("guessed"))
    wrong = both.filter(off)
    if wrong.is_empty():
        return priced, ()
    usual = float(wrong.select(share.median()).item())
    if wrong.height > MOSTLY * both.height:
        raise SeriesRefused(
            f"open interest in coins and in USD contradict each other in {wrong.height} of {both.height} readings, "
            f"the first of {utc_text(wrong['ts'][0])}: USD are {usual:,.4g} times coins at the price; "
            "import the column whose unit is known (--columns open_interest=NAME or open_interest_usd=NAME)"
        )
    return priced.filter(~off), _row_notes("units_disagree", wrong, share=usual)


def traded_between(bars: pl.DataFrame, at_ms: IntArray) -> FloatArray:
    """Volume (coins) of all bars that touch the time between each two moments; NaN where some of it is not known.

    One entry less than `at_ms`. A bar that is only partly inside counts whole: this is the most that can have traded.
    """
    start, end = (bars[name].dt.epoch("ms").to_numpy() for name in ("ts", "end"))
    volume = bars["volume"].to_numpy()
    known = np.isfinite(volume)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, volume, 0.0))])
    seen_ms = np.concatenate([[0], np.cumsum(np.where(known, end - start, 0))])
    first = np.searchsorted(end, at_ms[:-1], side="right")
    last = np.maximum(np.searchsorted(start, at_ms[1:], side="left"), first)
    outside = (last > first) & (
        (start[np.minimum(first, len(start) - 1)] > at_ms[:-1]) | (end[last - 1] < at_ms[1:])
    )
    lacking = (seen_ms[last] - seen_ms[first] < np.diff(at_ms)) | outside
    return np.where(lacking, np.nan, total[last] - total[first])


# ------------------------------------------------------------------------------------- only reported


def _gaps(bars: pl.DataFrame) -> Notes:
    missing_s = (bars["ts"] - bars["end"].shift(1)).dt.total_seconds().fill_null(0).to_numpy()
    places = np.flatnonzero(missing_s > 0)
    if not places.size:
        return ()
    widest = places[np.argmax(missing_s[places])]
    before = utc_text(bars["ts"][int(widest)])
    return (_gaps_note("gaps_in_candles", missing_s[places], before),)


def wide_steps(steps: FloatArray, least: float = 0.0) -> FloatArray:
    """What each step between readings lacks, zero where it is no gap, in the unit of the steps.

    Readings are as far apart as the wider step beside, for the step of a series may change, and no less than `least`.
    """
    if steps.size < 2:
        return np.zeros(steps.size)
    beside = np.maximum(np.append(steps[1], steps[:-1]), np.append(steps[1:], steps[-2]))
    beside = np.maximum(beside, least)
    return np.where(steps > WIDE * beside, steps - beside, 0.0)


def _wide_steps(open_interest: pl.DataFrame, bars: pl.DataFrame) -> Notes:
    """Readings need not be nearer to one another than the bars beside them."""
    bar_s = (bars["end"] - bars["ts"]).dt.total_seconds().cast(pl.Float64).to_numpy()
    steps_s = open_interest["ts"].diff().dt.total_seconds().drop_nulls().cast(pl.Float64).to_numpy()
    missing_s = wide_steps(steps_s, float(np.median(bar_s)))
    places = np.flatnonzero(missing_s)
    if not places.size:
        return ()
    widest = places[np.argmax(missing_s[places])]
    before = utc_text(open_interest["ts"][int(widest) + 1])
    return (_gaps_note("gaps_in_open_interest", missing_s[places], before),)


def _gaps_note(code: str, gaps_s: FloatArray, before: str) -> Note:
    hours = float(gaps_s.sum()) / 3600
    return Note(code, {"count": gaps_s.size, "hours": hours, "widest_s": gaps_s.max(), "before": before})


def _frozen(open_interest: pl.DataFrame, is_rounded: bool) -> Notes:
    name = "open_interest" if open_interest["open_interest"].count() else "open_interest_usd"
    values, at_ms = open_interest[name].to_numpy(), open_interest["ts"].dt.epoch("ms").to_numpy()
    least = FROZEN_ROUNDED if is_rounded else FROZEN_READINGS
    return _still_notes("open interest stands still", values[:, None], at_ms, least)


def _still_prices(bars: pl.DataFrame) -> Notes:
    prices = bars.select(PRICES).to_numpy()
    flat = (prices.max(axis=1) == prices.min(axis=1)).astype(np.float64)
    values = np.column_stack([np.where(flat > 0, prices[:, 3], np.nan)])
    return _still_notes("prices stand still", values, bars["ts"].dt.epoch("ms").to_numpy(), FROZEN_READINGS)


def _still_notes(what: str, values: FloatArray, at_ms: IntArray, least: int) -> Notes:
    """The longest run of equal rows, where it has `least` rows and lasts `FROZEN_H`."""
    if len(values) < 2:
        return ()
    moved = np.any(values[1:] != values[:-1], axis=1)
    starts = np.concatenate([[0], np.flatnonzero(moved) + 1])
    ends = np.concatenate([starts[1:], [len(values)]]) - 1
    longest = int(np.argmax(at_ms[ends] - at_ms[starts]))
    start, end = starts[longest], ends[longest]
    length_h = (at_ms[end] - at_ms[start]) / 3.6e6
    if end - start + 1 < least or length_h < FROZEN_H:
        return ()
    start_at, end_at = utc_text_ms(at_ms[start]), utc_text_ms(at_ms[end])
    return (note("stands_still", what=what, length_s=3600 * length_h, start=start_at, end=end_at),)


def _wicks(bars: pl.DataFrame) -> Notes:
    opened, high, low, close = (np.log(bars[name].to_numpy()) for name in PRICES)
    reach = np.maximum(high - np.maximum(opened, close), np.minimum(opened, close) - low)
    places = np.flatnonzero(reach > max(np.log1p(WICK), USUAL_WICKS * float(np.median(high - low))))
    if not places.size:
        return ()
    worst = int(places[np.argmax(reach[places])])
    largest_pct = 100 * np.expm1(reach[worst])
    return (note("wicks", count=places.size, largest_pct=largest_pct, at=utc_text(bars["ts"][worst])),)
