"""Samples of calibration from other people's exact maps: levels of mass instead of positions.

Each bin that holds anything counts as one position: of what lies inside it nothing is known, so that a cut at 0.3 % of
open interest cuts bins, and the effective sample size is that of bins. Where a map was smoothed that is too high, so
that a fit on such maps never passes its gate by it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.calibration.lake_samples import Gathered, Refused, sample_beside, stood_in
from liqtruth.compare.calibration.samples import LIMITS, Limits, Sample, SampleRefused
from liqtruth.compare.imported.read import read_map
from liqtruth.compare.truths.span import ALL, Span, none_left
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

FAR: Final = 100.0
"""Times the mark, or a part of it, at which mass beyond the grid is put: further than anything that is fitted."""


def samples_of_maps(
    store: Store,
    files: Sequence[Path],
    coins: Sequence[str],
    prior: LeverageModel,
    *,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
    span: Span = ALL,
) -> Gathered:
    """A sample per file (`FILE` or `FILE#NAME`, as `map import` reads them) within `span`, beside the stored series of
    its moment; raises `BadInput` for a map that is no exact one, `MissingData` where no sample is left."""
    kept: list[Sample] = []
    refused: list[Refused] = []
    for file in files:
        truth = read_map(file, coin=coins[0] if len(coins) == 1 else None)
        if truth.source != "exact":
            raise BadInput(
                f"{file}: must be an exact map to be fitted on, got a map of source {truth.source}"
            )
        if not span.holds(truth.as_of):
            continue
        try:
            kept.append(_sample(store, truth, coins, prior, limits, aggregates))
        except MissingData as error:
            refused.append(Refused(truth.coin, truth.as_of, str(error)))
    if not kept:
        raise none_left(coins, f"{len(files)} maps", refused)
    kept.sort(key=lambda one: (one.coin, one.as_of))
    return Gathered(tuple(kept), tuple(refused), _notes(len(kept), aggregates))


def positions_of_map(truth: Heatmap) -> pl.DataFrame:
    """Each bin of each side as one made-up position: signed coins, the middle of the bin as its price, far away what
    lies beyond the grid, null what no price liquidates."""
    parts = []
    for side, mass in zip(SIDES, (truth.long_usd, truth.short_usd), strict=True):
        held = np.flatnonzero(mass > 0)
        beyond, never = truth.beyond_usd.of(side), truth.never_usd.of(side)
        far = truth.mark_px / FAR if side == "long" else truth.mark_px * FAR
        usd = np.concatenate([mass[held], [beyond, never]])
        px = np.concatenate([truth.grid.centers[held], [far, np.nan]])
        sign = 1.0 if side == "long" else -1.0
        parts.append(
            pl.DataFrame({"szi": sign * usd / truth.mark_px, "liq_px": px}).filter(pl.col("szi") != 0)
        )
    source = "synthetic: a map" if truth.coverage.synthetic else "a map"
    return pl.concat(parts).with_columns(
        pl.col("liq_px").fill_nan(None), mark_px=pl.lit(truth.mark_px), source=pl.lit(source)
    )


def _sample(
    store: Store,
    truth: Heatmap,
    coins: Sequence[str],
    prior: LeverageModel,
    limits: Limits,
    aggregates: str,
) -> Sample:
    if truth.coin not in coins:
        raise SampleRefused(f"the map is of {truth.coin}, which was not asked for")
    usd = truth.coverage.open_interest_usd
    held = None if usd is None else usd / truth.mark_px
    return sample_beside(
        store, truth.coin, truth.as_of, positions_of_map(truth), held, prior, limits, aggregates
    )


def _notes(maps: int, aggregates: str) -> tuple[Note, ...]:
    return (note("effective_of_bins", maps=maps), *stood_in(aggregates))
