"""Samples of calibration from other people's tables of positions, each a census of one moment or more.

Read and checked as `index import` does it, in any of its layouts, but nothing is stored: what is fitted on stays in the
files. The moment of a table must stand in it or in the name of its file or folder, since a file's own time changes when
it is copied. A table that lists accounts at times of their own is no census and is refused.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.compare.calibration.lake_samples import (
    Gathered,
    Refused,
    known_positions,
    reweighted,
    sample_beside,
    stood_in,
)
from liqtruth.compare.calibration.samples import LIMITS, Limits, Sample
from liqtruth.compare.truths.span import ALL, Span, none_left
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.indexer.files.table_imports import prepared_table
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.store import Store

BY_FILE: Final = "dated_by_file"


def samples_of_tables(
    store: Store,
    files: Sequence[Path],
    coins: Sequence[str],
    prior: LeverageModel,
    *,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
    span: Span = ALL,
) -> Gathered:
    """A sample per coin and moment of the files within `span`, each beside the stored series of its moment; moments
    that give none are `refused` with the reason.

    Raises `BadInput` for a file that is no census or states no moment, or one moment of a coin twice; `MissingData`
    where no sample is left.
    """
    kept: dict[tuple[str, datetime], Sample] = {}
    refused: list[Refused] = []
    for file in files:
        for reading, positions in _censuses(store, file):
            if not span.holds(reading.as_of):
                continue
            for coin in dict.fromkeys(coins):
                own = positions.filter(pl.col("coin") == coin)
                try:
                    sample = _sample(store, coin, reading, own, prior, limits, aggregates)
                except MissingData as error:
                    refused.append(Refused(coin, reading.as_of, str(error)))
                    continue
                if (coin, sample.as_of) in kept:
                    raise BadInput(
                        f"{file}: {coin} at {sample.as_of:%Y-%m-%dT%H:%MZ} was given before; give each moment once"
                    )
                kept[coin, sample.as_of] = sample
    if not kept:
        raise none_left(coins, f"{len(files)} tables", refused)
    weighed, weighing = reweighted([kept[key] for key in sorted(kept)])
    return Gathered(weighed, tuple(refused), (*stood_in(aggregates), *weighing))


def _censuses(store: Store, file: Path) -> Iterator[tuple[Reading, pl.DataFrame]]:
    """Moments of a file in order, with everyone's positions."""
    prepared = prepared_table(store, file)
    if any(one.code == BY_FILE for one in prepared.summary.notes):
        raise BadInput(
            f"{file}: no moment stands in it: put it in the name, e.g. {file.stem}-2026-08-21T1000Z{file.suffix}"
        )
    for reading, frames in prepared.readings:
        if reading.scope != Scope.CENSUS:
            raise BadInput(
                f"{file}: must list everyone at one moment, got accounts at times of their own; "
                "`liqtruth index import` stores those, and `calibrate fit` without --truth fits on them"
            )
        yield reading, frames["positions"]


def _sample(
    store: Store,
    coin: str,
    reading: Reading,
    positions: pl.DataFrame,
    prior: LeverageModel,
    limits: Limits,
    aggregates: str,
) -> Sample:
    if positions.is_empty():
        raise MissingData(f"the table has no position of {coin}")
    szi = positions["szi"]
    held = float(max(szi.filter(szi > 0).sum(), -szi.filter(szi < 0).sum()))
    return sample_beside(
        store, coin, reading.as_of, known_positions(positions), held, prior, limits, aggregates
    )
