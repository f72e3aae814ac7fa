"""The market around a map: average true range, funding and change of open interest, as they are stored.

The average true range is Wilder's ("New Concepts in Technical Trading Systems", 1978): a true range is the most of
high - low, |high - last close| and |low - last close|; the first average is the mean of 14 of them, each later one
takes in the next true range with a weight of 1/14. Bars of four hours (UTC) are made of whatever shorter bars are
stored; one that is not whole ends the line, and the average begins anew after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.estimator.series.quality import repaired_candles
from liqtruth.estimator.series.time_line import pick_bars
from liqtruth.heatmap.clusters.facts import BOOK_WITHIN, RestingDepth, Surroundings
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.indexer.frames import BOOK_DATASET, BOOKS
from liqtruth.storage.store import Store

PERIODS: Final = 14
BAR: Final = timedelta(hours=4)
BAR_MS: Final = BAR // timedelta(milliseconds=1)
BARS_READ: Final = 100
"""What is older weighs less than 0.2 % in Wilder's average."""
WHOLE: Final = 0.9
"""Share of four hours that stored bars must cover."""
MOST_AGE: Final = 2 * BAR
"""The last whole bar ended at most this long before the moment."""
DAY: Final = timedelta(days=1)
OI_SLACK: Final = timedelta(hours=4)
"""Open interest may be so much older than the moment that it is taken for."""


@dataclass(frozen=True, eq=False)
class AtrLine:
    """Average true range in percent of the close, at the end (ms) of each bar of four hours that has one."""

    end_ms: IntArray
    atr_pct: FloatArray

    def at(self, times_ms: IntArray) -> FloatArray:
        """Of the last bar that ended by each moment; NaN where that was more than 8 h before."""
        last = np.searchsorted(self.end_ms, times_ms, side="right") - 1
        if not self.end_ms.size:
            return np.full(times_ms.shape, np.nan)
        found = np.maximum(last, 0)
        fresh = (last >= 0) & (times_ms - self.end_ms[found] <= MOST_AGE // timedelta(milliseconds=1))
        return np.where(fresh, self.atr_pct[found], np.nan)


def atr_line(candles: pl.DataFrame, start: datetime, end: datetime) -> AtrLine:
    """Of stored candles (`estimator.frames.CANDLES`) of any lengths between two times."""
    bars = pick_bars(repaired_candles(candles)[0], start, end)
    line = four_hours(bars.filter(pl.col("interval_s") <= BAR.total_seconds()))
    last = pl.col("close").shift(1).over("run")
    true_range = pl.max_horizontal(
        pl.col("high") - pl.col("low"), (pl.col("high") - last).abs(), (pl.col("low") - last).abs()
    )
    place = pl.int_range(pl.len()).over("run")
    ranged = line.with_columns(true_range=pl.when(last.is_not_null()).then(true_range), place=place)
    seeded = ranged.with_columns(
        pl.when(pl.col("place") > PERIODS)
        .then("true_range")
        .when(pl.col("place") == PERIODS)
        .then(pl.col("true_range").rolling_mean(PERIODS).over("run"))
        .alias("seeded")
    )
    averaged = seeded.with_columns(
        atr=pl.col("seeded").ewm_mean(alpha=1 / PERIODS, adjust=False, ignore_nulls=True).over("run")
    ).drop_nulls("atr")
    return AtrLine(
        averaged["ts"].dt.epoch("ms").to_numpy() + BAR_MS,
        (100 * averaged["atr"] / averaged["close"]).to_numpy(),
    )


def four_hours(bars: pl.DataFrame) -> pl.DataFrame:
    """Whole bars of four hours: `ts`, `high`, `low`, `close`, and `run`, the number of the line without gaps."""
    return (
        bars.sort("ts")
        .group_by(pl.col("ts").dt.truncate("4h"), maintain_order=True)
        .agg(
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            covered=pl.col("interval_s").sum(),
        )
        .filter(pl.col("covered") >= WHOLE * BAR.total_seconds())
        .with_columns(run=(pl.col("ts").diff().fill_null(BAR) != BAR).cum_sum())
    )


def surroundings_of(store: Store, coin: str, venue: str, at: datetime) -> Surroundings:
    """The market of a map's `venue` (of several added up, the first) at a moment; where it has no candles of four hours
    and less, the average true range is that of the first other venue that has any of the coin stored."""
    own = venue.split(TOGETHER)[0]
    stored = (name for name, listed in store.lake.series_coins("candles") if listed == coin)
    venues = dict.fromkeys((own, *stored))
    atr_pct, atr_from = next(
        ((found, name) for name in venues if (found := _atr_pct(store, name, coin, at)) is not None),
        (None, None),
    )
    funding, interest = _funding_pct(store, own, coin, at), _interest_pct(store, own, coin, at)
    depth = store.once(depth_of, own, coin, at)
    return Surroundings(
        own,
        atr_pct,
        atr_from,
        funding,
        interest,
        tuple(_lacking(own, list(venues), atr_pct, funding, interest)),
        None if depth is None else (at - depth.at).total_seconds(),
    )


def depth_of(store: Store, venue: str, coin: str, at: datetime) -> RestingDepth | None:
    """The stored order book that was read nearest to the moment; null where none was within `BOOK_WITHIN`."""
    rows = store.lake.read_series(BOOK_DATASET, venue, coin, BOOKS, at - BOOK_WITHIN, at + BOOK_WITHIN)
    if rows.is_empty():
        return None
    moment = min(rows["ts"].unique().to_list(), key=lambda one: abs(one - at))
    sides = {side: rows.filter((pl.col("ts") == moment) & (pl.col("side") == side)) for side in SIDES}
    outward = {side: part.sort("px", descending=side == "long") for side, part in sides.items()}
    return RestingDepth(
        moment,
        {side: part["px"].to_numpy() for side, part in outward.items()},
        {side: part["coins"].to_numpy() for side, part in outward.items()},
    )


def load_atr(store: Store, venue: str, coin: str, start: datetime, end: datetime) -> AtrLine:
    """The line between two times, with as much before as the average needs."""
    begin = start - BARS_READ * BAR
    return atr_line(_series(store, "candles", venue, coin, begin, end), begin, end)


def _atr_pct(store: Store, venue: str, coin: str, at: datetime) -> float | None:
    line = store.once(load_atr, venue, coin, at, at)
    found = float(line.at(np.array([round(1000 * at.timestamp())]))[0])
    return found if np.isfinite(found) else None


def _funding_pct(store: Store, venue: str, coin: str, at: datetime) -> float | None:
    """Rates that were settled in the 24 h up to the moment, added up."""
    rows = _series(store, "funding", venue, coin, at - DAY, at).filter(pl.col("ts") > at - DAY)
    return None if rows.is_empty() else 100 * float(rows["rate"].sum())


def _interest_pct(store: Store, venue: str, coin: str, at: datetime) -> float | None:
    rows = _series(store, "open_interest", venue, coin, at - DAY - OI_SLACK, at)
    for name in ("open_interest", "open_interest_usd"):
        known = rows.drop_nulls(name)
        before, now = (
            known.filter(pl.col("ts").is_between(moment - OI_SLACK, moment))[name].tail(1)
            for moment in (at - DAY, at)
        )
        if before.len() and now.len() and before[0] > 0:
            return 100 * float(now[0] / before[0] - 1)
    return None


def _lacking(
    venue: str, venues: list[str], atr_pct: float | None, funding: float | None, interest: float | None
) -> Iterator[Note]:
    if atr_pct is None:
        yield note("atr_unknown", venues=venues)
    empty = [name for name, value in (("funding", funding), ("open interest", interest)) if value is None]
    if empty:
        yield note("market_unknown", venue=venue, what=empty)


def _series(
    store: Store, dataset: str, venue: str, coin: str, start: datetime, end: datetime
) -> pl.DataFrame:
    return store.lake.read_series(dataset, venue, coin, DATASETS[dataset].schema, start, end)
