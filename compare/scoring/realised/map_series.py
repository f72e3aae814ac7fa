"""Maps of a model over time, in pieces that memory holds, and the baselines of the same moments beside them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.compare.scoring.realised.swept import SweptUsd, held_usd, swept_by_distance, swept_by_series
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.baselines import TIERS, UNIFORM
from liqtruth.estimator.model.leverage import MODELS
from liqtruth.estimator.model.model_in_use import CALIBRATED
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.estimator.over_time.price_time import model_series
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.notes import Note, Notes, sentence
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.indexer.maps.exact import exact_series
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

EXACT: Final = "exact"
SCORED: Final = (VINTAGES, CALIBRATED, *MODELS, UNIFORM, EXACT)
PIECE_STEPS: Final = 480
"""Moments of one piece; each has a grid and a warm-up of its own."""


@dataclass(frozen=True)
class Asked:
    """Which maps: `weights` are a leverage model's name or file, for `vintages` only."""

    coin: str
    venue: str
    model: str
    weights: str | None
    step: timedelta

    def __post_init__(self) -> None:
        if self.model not in SCORED:
            raise UnknownChoice("model that is scored over time", self.model, SCORED)
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
    said: Notes
    synthetic: bool = False


def pieces(store: Store, asked: Asked, start: datetime, end: datetime) -> Iterator[Piece]:
    """From `start` to `end`; a piece of which nothing can be drawn has no moments and says why."""
    longest = PIECE_STEPS * asked.step
    while start < end:
        until = min(start + longest, end)
        yield _piece(store, asked, start, until)
        start = until


def count_of_pieces(asked: Asked, start: datetime, end: datetime) -> int:
    return -(-(end - start) // (PIECE_STEPS * asked.step))


def _piece(store: Store, asked: Asked, start: datetime, end: datetime) -> Piece:
    try:
        scored, tiers, said = _series(store, asked, start, end)
    except MissingData as error:
        nothing = np.zeros(0)
        return Piece(nothing.astype(np.int64), nothing, {}, (sentence(str(error)),))
    mark = scored.mark_px if tiers is None else tiers.mark_px
    maps = {asked.model: swept_by_series(scored, mark)} if asked.model != UNIFORM else {}
    maps[UNIFORM] = swept_by_distance(mark, held_usd(scored))
    if tiers is not None:
        maps[TIERS] = swept_by_series(tiers, mark)
    known = np.array([held is not None for held in scored.coverage])
    moments = np.array([round(moment.timestamp() * 1000) for moment in scored.times], dtype=np.int64)
    return Piece(moments, np.where(known, mark, np.nan), maps, (*said, *_said(scored)), scored.synthetic)


def _series(
    store: Store, asked: Asked, start: datetime, end: datetime
) -> tuple[HeatmapSeries, HeatmapSeries | None, Notes]:
    """The scored maps, those of `tiers` at the same moments where they can be drawn, and why not."""

    def drawn(model: str, weights: str | None = None) -> HeatmapSeries:
        span = max(end - start, asked.step)
        return model_series(store, asked.coin, asked.venue, model, span, asked.step, weights=weights, at=end)

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
            (sentence(f"no baseline tiers: {error}"),),
        )
    exact = exact_series(store, asked.coin, tiers.times[0], tiers.times[-1], asked.step)
    return exact, tiers, ()


def _said(series: HeatmapSeries) -> Iterator[Note]:
    return (finding.of("input") for finding in series.quality)
