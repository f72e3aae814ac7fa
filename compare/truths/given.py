"""What `calibrate fit --truth` was given: maps of single moments, tables of positions, or tables of banded sums."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import polars as pl

from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.record import Calibrated
from liqtruth.compare.calibration.samples import LIMITS, Limits
from liqtruth.compare.truths.band_fit import fit_bands
from liqtruth.compare.truths.band_samples import band_samples
from liqtruth.compare.truths.band_table import is_band_table, read_bands
from liqtruth.compare.truths.exact_maps import samples_of_maps
from liqtruth.compare.truths.position_tables import samples_of_tables
from liqtruth.compare.truths.span import ALL, Span, none_left
from liqtruth.estimator.model.leverage_model import PRIOR, leverage_model_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.files.table_imports import is_table_of_positions
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

Kind = Literal["banded sums", "tables of positions", "maps"]
BANDS: Final = "banded sums"
TABLES: Final = "tables of positions"
MAPS: Final = "maps"


def listed(given: Sequence[Path]) -> list[Path]:
    """The files, and in the place of a folder those in it, by name; raises `BadInput` for an empty folder."""
    found: list[Path] = []
    for path in given:
        inside = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        if not inside:
            raise BadInput(
                f"{path}: the folder holds no file; give files of exact maps, positions or banded sums"
            )
        found += inside
    return found


def kind_of(files: Sequence[Path]) -> Kind:
    """What all of the files are; raises `BadInput` where they differ: each kind is fitted in its own way."""
    kinds = {file: _kind_of(file) for file in files}
    first, *others = dict.fromkeys(kinds.values())
    if others:
        odd = next(file for file, kind in kinds.items() if kind == others[0])
        raise BadInput(
            f"{odd}: {others[0]} among {first} are fitted in different ways: give files of one kind"
        )
    return first


def _kind_of(file: Path) -> Kind:
    return BANDS if is_band_table(file) else TABLES if is_table_of_positions(file) else MAPS


def gathered(
    store: Store,
    files: Sequence[Path],
    coins: Sequence[str],
    *,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
    span: Span = ALL,
) -> Gathered:
    """Samples of exact maps (`exact_maps.samples_of_maps`) or of tables of positions
    (`position_tables.samples_of_tables`)."""
    samples = samples_of_tables if kind_of(files) == TABLES else samples_of_maps
    return samples(
        store, files, coins, leverage_model_named(), limits=limits, aggregates=aggregates, span=span
    )


def fit_to_bands(
    store: Store,
    files: Sequence[Path],
    coins: Sequence[str],
    name: str,
    *,
    seed: int = 0,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
    span: Span = ALL,
) -> Calibrated:
    """A model fitted on all rows of the files within `span`, see `band_fit.fit_bands`: in leverage alone, and so drawn
    to published figures."""
    prior, rows = leverage_model_named(PRIOR), pl.concat([read_bands(file) for file in files])
    rows = rows.filter(pl.Series([span.holds(at) for at in rows["ts"]], dtype=pl.Boolean))
    if rows.is_empty():
        raise none_left(coins, f"{len(files)} tables of banded sums", ())
    samples, refused = band_samples(store, rows, coins, prior, limits=limits, aggregates=aggregates)
    return fit_bands(samples, prior, name, refused=refused, seed=seed)
