"""What `calibrate fit --truth` was given: maps of single moments, or tables of banded sums."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.record import Calibrated
from liqtruth.compare.calibration.samples import LIMITS, Limits
from liqtruth.compare.truths.band_fit import fit_bands
from liqtruth.compare.truths.band_samples import band_samples
from liqtruth.compare.truths.band_table import is_band_table, read_bands
from liqtruth.compare.truths.exact_maps import samples_of_maps
from liqtruth.estimator.model.leverage_model import PRIOR, leverage_model_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store


def banded(files: Sequence[Path]) -> bool:
    """Whether the files are banded sums; raises `BadInput` where only some of them are."""
    kinds = {file: is_band_table(file) for file in files}
    if len(set(kinds.values())) > 1:
        first = next(file for file, is_table in kinds.items() if is_table)
        raise BadInput(f"{first}: banded sums and maps are fitted in different ways: give files of one kind")
    return all(kinds.values())


def gathered_maps(
    store: Store,
    files: Sequence[Path],
    coins: Sequence[str],
    *,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
) -> Gathered:
    """Samples of exact maps, see `exact_maps.samples_of_maps`."""
    prior = leverage_model_named()
    return samples_of_maps(store, files, coins, prior, limits=limits, aggregates=aggregates)


def fit_to_bands(
    store: Store,
    files: Sequence[Path],
    coins: Sequence[str],
    name: str,
    *,
    seed: int = 0,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
) -> Calibrated:
    """A model fitted on all rows of the files, see `band_fit.fit_bands`: in leverage alone, and so drawn to published
    figures."""
    prior, rows = leverage_model_named(PRIOR), pl.concat([read_bands(file) for file in files])
    samples, refused = band_samples(store, rows, coins, prior, limits=limits, aggregates=aggregates)
    return fit_bands(samples, prior, name, refused=refused, seed=seed)
