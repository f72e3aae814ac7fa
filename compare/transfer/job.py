"""From what is stored to a model that is carried over to a venue: what was asked for, checked, read and fitted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from liqtruth.compare.observed.coverage import known_coverage
from liqtruth.compare.transfer.record import Transferred
from liqtruth.compare.transfer.sample import sample_of
from liqtruth.compare.transfer.transfer import carried_over
from liqtruth.estimator.model.leverage_model import (
    REFERENCE_MAXIMUM,
    LeverageModel,
    check_own_name,
    known_models,
    leverage_model_named,
)
from liqtruth.estimator.over_time.time_grid import in_words
from liqtruth.estimator.venues.table import Venue, venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.positions.markets import VENUE as HYPERLIQUID
from liqtruth.storage.store import Store

MODEL: Final = "calibrated"
STEP: Final = timedelta(hours=1)
LONGEST_STEP: Final = timedelta(hours=2)
"""Beyond it positions opened since make most of what is liquidated (method, section 5.6)."""


@dataclass(frozen=True)
class Asked:
    """What was asked for: `horizon` is the length of a step, `coverage` goes before the venue's own word."""

    venue: str
    coins: Sequence[str]
    model: str = MODEL
    name: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    coverage: float | None = None
    without_hyperliquid: bool = False
    horizon: timedelta = STEP
    seed: int = 0


class _FitFile(msgspec.Struct):
    """What is read of the record of a fit."""

    model_hash: str
    fitted_leverage: tuple[float, float]


def transfer(
    store: Store,
    asked: Asked,
    made_at: datetime | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Transferred:
    """Carry a fitted model over to a venue; deterministic but for `made_at`.

    Raises `BadInput` for a venue without known coverage, a model that was not fitted or a value that is none,
    `MissingData` with the figures where too little is stored, of the venue or of Hyperliquid.
    """
    venue, source, coverage = _checked(store, asked)
    coins = tuple(dict.fromkeys(asked.coins))
    done = iter(range(1, 2 * len(coins) + 1))

    def on_coin() -> None:
        on_progress(next(done) / (2 * len(coins) + 1))

    between = (asked.start, asked.end)
    own = sample_of(store, venue, coins, source, asked.horizon, *between, on_coin)
    reference = (
        None
        if asked.without_hyperliquid
        else sample_of(store, venue_named(HYPERLIQUID), coins, source, asked.horizon, *between, on_coin)
    )
    found = carried_over(
        source,
        own,
        reference,
        coverage=coverage,
        name=asked.name or f"{source.name}-{venue.name}",
        trained_to=trained_to(store.settings.data_dir, source),
        seed=asked.seed,
        made_at=made_at,
    )
    on_progress(1.0)
    return found


def trained_to(data_dir: Path, model: LeverageModel) -> float:
    """The highest leverage that was fitted, by the record of the fit; Hyperliquid's highest where there is none."""
    path = data_dir / "models" / "fits" / f"{model.name}.json"
    try:
        record = msgspec.json.decode(path.read_bytes(), type=_FitFile)
    except (OSError, *NOT_DECODED):
        return REFERENCE_MAXIMUM
    return record.fitted_leverage[1] if record.model_hash == model.hash else REFERENCE_MAXIMUM


def _checked(store: Store, asked: Asked) -> tuple[Venue, LeverageModel, float]:
    """The venue, the model and the coverage, before anything is read."""
    venue = venue_named(asked.venue)
    if venue.name == HYPERLIQUID:
        raise BadInput("a fitted model is of Hyperliquid: carry it over to another venue, e.g. bybit")
    coverage = known_coverage(venue, asked.coverage)
    if not timedelta(0) < asked.horizon <= LONGEST_STEP or timedelta(days=1) % asked.horizon:
        raise BadInput(
            f"--horizon {in_words(asked.horizon)} must divide a day and be at most {in_words(LONGEST_STEP)}: "
            "what stands at its start is not what is liquidated long after"
        )
    return venue, _source(store.settings.data_dir, asked), coverage


def _source(data_dir: Path, asked: Asked) -> LeverageModel:
    if asked.model == MODEL and MODEL not in known_models(data_dir):
        raise MissingData(
            f"no leverage model {MODEL!r} was fitted yet: `liqtruth calibrate fit COIN...` fits one"
        )
    model = leverage_model_named(asked.model, data_dir)
    if model.kind == "transferred":
        origin = model.correction.source_model if model.correction else MODEL
        raise BadInput(f"{asked.model} was carried over itself: take --model {origin}")
    if model.kind != "fitted":
        raise BadInput(
            f"{asked.model} is a {model.kind}, not fitted: `liqtruth calibrate fit COIN...` fits one"
        )
    check_own_name(asked.name or "")
    if asked.name == model.name:
        raise BadInput(f"--name {asked.name} is another model's: give the transferred one a name of its own")
    return model
