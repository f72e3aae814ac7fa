"""Maps of a model over time, in pieces that memory holds, and the baselines of the same moments beside them.

Of a map only one thing is asked: the mass that a move liquidates, between the mark and a price, at many moments at once
(`SweptUsd`). Within a bin mass is spread evenly in log price; in the mark's own bin between the mark and the bin's far
edge. Shorts are longs on the mirrored axis.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.compare.drawn import drawn_series
from liqtruth.estimator.model.baselines import TIERS, UNIFORM, uniform_share
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import Note, Notes, note, sentence
from liqtruth.indexer.maps.exact import exact_series
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

SweptUsd = Callable[[str, IntArray, FloatArray], FloatArray]
"""Of a side, moments (by place) and prices: USD between each moment's mark and the price."""
EXACT: Final = "exact"
PIECE_STEPS: Final = 480
"""Moments of one piece; each has a grid and a warm-up of its own."""


@dataclass(frozen=True, eq=False)
class _Rising:
    """Mass per moment on an axis of bins that rises towards the mark, which is at `mark` bins."""

    mass: FloatArray
    risen: FloatArray
    mark: FloatArray

    def until(self, moment: IntArray, place: FloatArray) -> FloatArray:
        """Between the mark and `place`, in bins; nothing where `place` is behind the mark."""
        last = self.mass.shape[1] - 1
        mark = self.mark[moment]
        at = np.minimum(np.clip(place, 0.0, last + 1.0), mark)
        own = np.minimum(np.floor(mark), last).astype(np.int64)
        bin_ = np.minimum(np.floor(at).astype(np.int64), own)
        within = at - bin_
        share = np.where(bin_ == own, within / np.maximum(mark - own, 1e-12), within)
        share = np.where(place >= mark, 1.0, np.clip(share, 0.0, 1.0))
        below = self.risen[moment, bin_] + self.mass[moment, bin_] * share
        left = np.where(place >= mark, 0.0, self.risen[moment, own + 1] - below)
        return np.maximum(left, 0.0)


def swept_by(grid: PriceGrid, long_usd: FloatArray, short_usd: FloatArray, mark_px: FloatArray) -> SweptUsd:
    """Of maps of shape (moments, bins) on one grid."""
    mark = _place(grid, mark_px)
    sides = {
        "long": _rising(long_usd, mark),
        "short": _rising(short_usd[:, ::-1], grid.bins - mark),
    }

    def swept(side: str, moment: IntArray, px: FloatArray) -> FloatArray:
        place = _place(grid, px)
        return sides[side].until(moment, place if side == "long" else grid.bins - place)

    return swept


def swept_by_series(series: HeatmapSeries, mark_px: FloatArray) -> SweptUsd:
    """From these marks, which may be later than the maps' own."""
    return swept_by(series.grid, series.long_usd, series.short_usd, mark_px)


def swept_by_map(heatmap: Heatmap) -> SweptUsd:
    """Of one map: the only moment is 0."""
    mark = np.array([heatmap.mark_px])
    return swept_by(heatmap.grid, heatmap.long_usd[None, :], heatmap.short_usd[None, :], mark)


def swept_by_distance(mark_px: FloatArray, side_usd: FloatArray) -> SweptUsd:
    """Of the baseline `uniform`, which knows the mark and how much is open: `side_usd` per moment."""

    def swept(side: str, moment: IntArray, px: FloatArray) -> FloatArray:
        away = np.log(mark_px[moment] / px) * (1 if side == "long" else -1)
        return np.asarray(side_usd[moment] * uniform_share(away))

    return swept


def open_interest_usd(series: HeatmapSeries) -> FloatArray:
    """Open interest of each moment; where it is not known, half of what is on the map."""
    on_map = (np.nan_to_num(series.long_usd) + np.nan_to_num(series.short_usd)).sum(axis=1) / 2
    known = [each.open_interest_usd if each else None for each in series.coverage]
    return np.array([half if usd is None else usd for usd, half in zip(known, on_map, strict=True)])


@dataclass(frozen=True)
class Asked:
    """Which maps: `weights` are a leverage model's name or file, for `vintages` only."""

    coin: str
    venue: str
    model: str
    weights: str | None
    step: timedelta

    def __post_init__(self) -> None:
        if self.model == EXACT and self.venue != VENUE:
            raise BadInput(f"exact positions of {self.venue} are not to be had: only {VENUE} shows them")
        if self.weights is not None and self.model != VINTAGES:
            raise BadInput(f"model {self.model} has its own weights; --weights is for --model {VINTAGES}")


@dataclass(frozen=True, eq=False)
class Piece:
    """Some moments: their marks (NaN where the map is not known) and what each map has; the scored one is first.

    The mark is that of the moment: an exact map may be of a reading before it, and what was swept since is gone.
    """

    moments_ms: IntArray
    mark_px: FloatArray
    maps: dict[str, SweptUsd]
    notes: Notes
    synthetic: bool = False


def pieces(store: Store, asked: Asked, start: datetime, end: datetime) -> Iterator[Piece]:
    """From `start` to `end`; a piece of which nothing can be drawn has no moments and a note why."""
    longest = PIECE_STEPS * asked.step
    while start < end:
        until = min(start + longest, end)
        yield _piece(store, asked, start, until)
        start = until


def count_of_pieces(asked: Asked, start: datetime, end: datetime) -> int:
    return -(-(end - start) // (PIECE_STEPS * asked.step))


def _rising(mass: FloatArray, mark: FloatArray) -> _Rising:
    known = np.nan_to_num(mass)
    return _Rising(known, np.concatenate([np.zeros((len(known), 1)), np.cumsum(known, axis=1)], axis=1), mark)


def _place(grid: PriceGrid, px: FloatArray) -> FloatArray:
    """In bins from the lowest edge; one within rounding of an edge is on it."""
    place = np.log(px / grid.mark_px) / grid.log_width + grid.bins_each_way
    near = np.round(place)
    return np.asarray(np.where(np.abs(place - near) < 1e-9, near, place))


def _piece(store: Store, asked: Asked, start: datetime, end: datetime) -> Piece:
    try:
        scored, tiers, notes = _series(store, asked, start, end)
    except MissingData as error:
        nothing = np.zeros(0)
        return Piece(nothing.astype(np.int64), nothing, {}, (sentence(str(error)),))
    mark = scored.mark_px if tiers is None else tiers.mark_px
    maps = {asked.model: swept_by_series(scored, mark)} if asked.model != UNIFORM else {}
    maps[UNIFORM] = swept_by_distance(mark, open_interest_usd(scored))
    if tiers is not None:
        maps[TIERS] = swept_by_series(tiers, mark)
    known = np.array([coverage is not None for coverage in scored.coverage])
    moments = np.array([round(moment.timestamp() * 1000) for moment in scored.times], dtype=np.int64)
    return Piece(
        moments, np.where(known, mark, np.nan), maps, (*notes, *_input_notes(scored)), scored.synthetic
    )


def _series(
    store: Store, asked: Asked, start: datetime, end: datetime
) -> tuple[HeatmapSeries, HeatmapSeries | None, Notes]:
    """The scored maps, those of `tiers` at the same moments where they can be drawn, and why not."""

    def drawn(model: str, weights: str | None = None) -> HeatmapSeries:
        span = max(end - start, asked.step)
        return drawn_series(store, asked.coin, asked.venue, model, span, asked.step, weights=weights, at=end)

    if asked.model == EXACT:
        return _exact(store, asked, start, end, drawn)
    tiers = drawn(TIERS)
    return (tiers if asked.model in (TIERS, UNIFORM) else drawn(asked.model, asked.weights)), tiers, ()


def _exact(
    store: Store, asked: Asked, start: datetime, end: datetime, drawn: Callable[[str], HeatmapSeries]
) -> tuple[HeatmapSeries, HeatmapSeries | None, Notes]:
    """At the moments of `tiers` where its series are stored, else at steps from `start`."""
    try:
        tiers = drawn(TIERS)
    except MissingData as error:
        last = end - (end - start) % asked.step
        return (
            exact_series(store, asked.coin, start, last, asked.step),
            None,
            (note("no_tiers", reason=str(error)),),
        )
    exact = exact_series(store, asked.coin, tiers.times[0], tiers.times[-1], asked.step)
    return exact, tiers, ()


def _input_notes(series: HeatmapSeries) -> Iterator[Note]:
    return (finding.of("input") for finding in series.quality)
