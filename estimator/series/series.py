"""Stored series of one market, put on one time line: non-overlapping bars with the open interest at each bar's end.

Reads the lake; never calls a venue. What had to be chosen or could not be obtained is in `notes`, what was found wrong
in `quality`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.errors import StaleSeries
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.series.quality import checked, repaired_candles, repaired_open_interest
from liqtruth.estimator.series.time_line import (
    Bars,
    bar_ends,
    beside_bars,
    mark_extremes,
    pick_bars,
    rounding_usd,
)
from liqtruth.estimator.venues.bounds import too_large
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.notes import Notes, any_synthetic, note
from liqtruth.heatmap.words.text import format_duration, hours, of_ms, parse_duration, utc_text
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

WINDOWS: Final = {
    "12h": timedelta(hours=12),
    "24h": timedelta(hours=24),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "180d": timedelta(days=180),
}
"""Lengths that are offered; any other between the shortest and the longest will do."""
SHORTEST_WINDOW: Final = timedelta(hours=12)
LONGEST_WINDOW: Final = timedelta(days=365 * 5)
STALE_AFTER: Final = timedelta(hours=6)
"""A map is refused when its last bar ended this long before the moment that was asked for."""

LOOK_BACK: Final = timedelta(days=1)
"""Open interest may be this much older than the first and the last bar that it is put beside."""


@dataclass(frozen=True, eq=False)
class MarketSeries:
    """Bars of one market up to `as_of`; `end_ms` is the end of each bar, `oi_rounding_usd` the step in which the
    source rounds its open interest (zero where it shows none), `last_oi_at` when its last value was taken. `notes` are
    what had to be chosen, `quality` what was found wrong with the series and what was done about it; `synthetic` where
    any of it was fetched from the sandbox. `oi_step_s` is the usual time between its values of open interest, of those
    beside bars (median; zero where only one is known)."""

    bars: Bars
    start: datetime
    as_of: datetime
    end_ms: IntArray
    last_oi_at: datetime
    oi_rounding_usd: float
    notes: Notes
    quality: Notes = ()
    synthetic: bool = False
    oi_step_s: float = 0.0

    @property
    def mark_px(self) -> float:
        """Close of the last bar."""
        return float(self.bars.close[-1])

    @property
    def oldest_age_s(self) -> float:
        """Age at `as_of` of the older of the last price and the last open interest."""
        last = min(self.last_oi_at, of_ms(int(self.end_ms[-1])))
        return (self.as_of - last).total_seconds()


def window_named(name: str) -> timedelta:
    """Any length of time from `SHORTEST_WINDOW` to `LONGEST_WINDOW`; raises `BadInput`."""
    try:
        length = parse_duration(name)
    except BadInput as error:
        raise BadInput(f"window {error}") from None
    if not SHORTEST_WINDOW <= length <= LONGEST_WINDOW:
        allowed = f"{format_duration(SHORTEST_WINDOW)} to {format_duration(LONGEST_WINDOW)}"
        raise BadInput(f"window must be from {allowed} long, got {name!r}")
    return length


def load_series(
    store: Store, venue: Venue, coin: str, window: str, at: datetime | None = None
) -> MarketSeries:
    """What is stored of a market in the `window` before `at` (default: the end of the last bar).

    Raises `NothingStored` where a series is missing altogether, `StaleSeries` where it ends long before `at`.
    """
    length = window_named(window)
    start = None if at is None else at - length - LOOK_BACK
    candles = _stored(store, "candles", venue, coin, start, at)
    as_of = at or bar_ends(candles).max()
    assert isinstance(as_of, datetime)
    open_interest = _stored(store, "open_interest", venue, coin, as_of - length - LOOK_BACK, as_of)
    marks = store.lake.read_series(
        "mark_candles", venue.name, coin, DATASETS["mark_candles"].schema, as_of - length - LOOK_BACK, as_of
    )
    series = align(candles, open_interest, as_of - length, as_of, marks)
    if not _from_sandbox(store, venue, coin):
        return series
    return replace(series, notes=(*series.notes, note("synthetic_series")), synthetic=True)


def _from_sandbox(store: Store, venue: Venue, coin: str) -> bool:
    return any(
        any_synthetic(store.lake.series_sources(dataset, venue.name, coin))
        for dataset in ("candles", "open_interest")
    )


def _stored(
    store: Store, dataset: str, venue: Venue, coin: str, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    rows = store.lake.read_series(dataset, venue.name, coin, DATASETS[dataset].schema, start, end)
    if rows.is_empty():
        before = "" if end is None else f" in the time before {end:%Y-%m-%dT%H:%MZ}"
        fetch = f"liqtruth feed fetch {venue.name} {coin}` or `" if venue.fetchable else ""
        raise NothingStored(
            f"no {dataset} of {venue.name} {coin}{before}: "
            f"`{fetch}liqtruth feed import PATH --venue {venue.name} --coin {coin}` brings them"
        )
    return rows


def align(
    candles: pl.DataFrame,
    open_interest: pl.DataFrame,
    start: datetime,
    as_of: datetime,
    marks: pl.DataFrame | None = None,
) -> MarketSeries:
    """Bars that lie within `start` and `as_of`, with the last open interest known at the end of each.

    Frames as in `estimator.frames`. Open interest in USD is turned into coins at the bar's close. Where `marks` are
    given, they decide what each bar swept. Raises `StaleSeries`, `NothingStored` and `SeriesRefused`.
    """
    inside = candles.filter(pl.col("ts") >= start, bar_ends(candles) <= as_of)
    sound, candle_findings = repaired_candles(inside)
    line = pick_bars(sound, start, as_of)
    _refuse_stale(line, as_of)
    reach = pl.col("ts").is_between(line["ts"][0] - LOOK_BACK, as_of)
    readings, reading_findings = repaired_open_interest(open_interest.filter(reach))
    if readings.is_empty():
        raise NothingStored(f"no open interest before the last bar that ends by {utc_text(as_of)}")
    rounding = rounding_usd(readings, float(line["close"][-1]))
    found = checked(line, readings, rounding)
    bars, joined = _with_known_open_interest(found.bars, found.open_interest, as_of)
    first, last_oi_at = bars["ts"][0], joined["oi_ts"][-1]
    aligned, notes = _bars(bars, joined["coins"].to_numpy(), marks)
    return MarketSeries(
        bars=aligned,
        start=first,
        as_of=as_of,
        end_ms=bars["end"].dt.epoch("ms").to_numpy(),
        last_oi_at=last_oi_at,
        oi_rounding_usd=rounding,
        oi_step_s=_usual_step_s(joined["oi_ts"]),
        notes=(
            *too_large(float(aligned.open_interest[-1] * aligned.close[-1])),
            *_clipped(start, first),
            *_old_open_interest(joined),
            *notes,
        ),
        quality=(*candle_findings, *reading_findings, *found.findings),
    )


def _usual_step_s(oi_ts: pl.Series) -> float:
    """Median distance of the times that differ."""
    step_s = oi_ts.unique().sort().diff().dt.total_seconds().median()
    return float(step_s) if isinstance(step_s, int | float) else 0.0


def _with_known_open_interest(
    bars: pl.DataFrame, open_interest: pl.DataFrame, as_of: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars from the first known open interest on, with what is known beside them; refused where it ended long ago."""
    joined = beside_bars(bars, open_interest)
    lacking = int(joined["coins"].is_null().sum())
    bars, joined = bars[lacking:], joined[lacking:]
    if bars.is_empty():
        raise NothingStored(f"no open interest before the last bar that ends by {utc_text(as_of)}")
    last_oi_at = joined["oi_ts"][-1]
    if as_of - last_oi_at > LOOK_BACK:
        raise StaleSeries(
            f"the last open interest is of {utc_text(last_oi_at)}, {hours(as_of - last_oi_at)} before "
            f"{utc_text(as_of)}: fetch or import later ones, or ask for an earlier --at"
        )
    return bars, joined


def _bars(bars: pl.DataFrame, coins: FloatArray, marks: pl.DataFrame | None) -> tuple[Bars, Notes]:
    """The arrays, and notes on volume and marks."""
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    lacking = bars["volume"].null_count()
    volume = None if lacking else bars["volume"].to_numpy()
    swept_low, swept_high, notes = _swept(bars, marks)
    without = () if not lacking else (note("no_volume", lacking=lacking, bars=bars.height),)
    return Bars(high, low, close, coins, volume, swept_low, swept_high), (*without, *notes)


def _swept(
    bars: pl.DataFrame, marks: pl.DataFrame | None
) -> tuple[FloatArray | None, FloatArray | None, Notes]:
    """Extremes of the mark per bar, of last prices where marks lack; null where there are none at all."""
    if marks is None:
        return None, None, ()
    low, high = mark_extremes(bars, marks)
    known = np.isfinite(low)
    if not known.any():
        return None, None, (note("no_marks"),)
    partial = note("marks_in_part", known=known.sum(), bars=len(known))
    return (
        np.where(known, low, bars["low"].to_numpy()),
        np.where(known, high, bars["high"].to_numpy()),
        () if known.all() else (partial,),
    )


def _refuse_stale(bars: pl.DataFrame, as_of: datetime) -> None:
    last = bars["end"].max() if bars.height else None
    if last is None:
        raise NothingStored(f"no bar ends in the window before {utc_text(as_of)}")
    assert isinstance(last, datetime)
    if as_of - last > STALE_AFTER:
        raise StaleSeries(
            f"the last bar ended at {utc_text(last)}, {hours(as_of - last)} before {utc_text(as_of)}: "
            "fetch or import later candles, or ask for an earlier --at"
        )


def rounding_share(series: MarketSeries, openings: FloatArray) -> float:
    """Share of all openings whose bar opened no more than one rounding step of the source."""
    opened_usd = openings * series.bars.close
    small = opened_usd <= series.oi_rounding_usd
    return float(opened_usd[small].sum() / opened_usd.sum()) if opened_usd.sum() > 0 else 0.0


def _clipped(wanted: datetime, first: datetime) -> Notes:
    if first - wanted <= timedelta(hours=6):
        return ()
    return (note("history_begins", at=utc_text(first), late_s=(first - wanted).total_seconds()),)


def _old_open_interest(joined: pl.DataFrame) -> Notes:
    step_s = float(joined["ts"].diff().dt.total_seconds().median() or 0)  # type: ignore[arg-type]
    late = joined.filter((pl.col("ts") - pl.col("oi_ts")).dt.total_seconds() >= max(step_s, 1.0))
    if late.is_empty():
        return ()
    return (note("late_open_interest", late=late.height, bars=joined.height),)
