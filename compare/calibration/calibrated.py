"""From pairs to a fitted leverage model and the record of its fit, and both to files and back.

The model lies in `<data-dir>/models/NAME.json`, where every command finds it by name; what it rests on, with
intervals, lies in `<data-dir>/models/fits/NAME.json`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from compare.calibration.bands import DRAWS, Band, bands_of_fit, bootstrap
from compare.calibration.fit import BoolArray, SideFit, fit_side, separable
from compare.calibration.lake_pairs import Gathered
from compare.calibration.pairs import LARGEST_SHARE, Pair
from estimator.errors import UnknownChoice
from estimator.leverage_model import DEFAULT, LeverageModel, Provenance, known_models
from heatmap.errors import BadInput, MissingData
from heatmap.files import write_atomically
from heatmap.grid import FloatArray
from heatmap.levels import SIDES
from heatmap.synthetic import SYNTHETIC
from indexer.universe import VENUE

SCHEMA: Final = "liqtruth.leverage_fit/1"
NAME: Final = "calibrated"


class PairRow(msgspec.Struct, frozen=True):
    """One pair: what was covered, what of the mass was left when large positions were cut; long then short."""

    coin: str
    as_of: datetime
    positions: int
    highest_leverage: float
    before_window: float
    coverage: tuple[float, float]
    kept: tuple[float, float]
    effective_positions: tuple[float, float]


class SideRecord(msgspec.Struct, frozen=True):
    """One side's bands; `prior_scale` is what the shares that were not fitted were multiplied by."""

    bands: tuple[Band, ...]
    prior_scale: float
    at_most_one: bool


class FitRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fitted model rests on; `fitted_leverage` are the first and the last node that the data could tell."""

    schema: Literal["liqtruth.leverage_fit/1"] = SCHEMA
    model: str
    model_hash: str
    venue: str
    coins: tuple[str, ...]
    start: datetime
    end: datetime
    blocks: int
    draws: int
    seed: int
    fitted_leverage: tuple[float, float]
    long: SideRecord
    short: SideRecord
    pairs: tuple[PairRow, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Calibrated:
    """A model with the record of its fit."""

    model: LeverageModel
    record: FitRecord


class Listed(msgspec.Struct, frozen=True):
    """A model that maps can be drawn with."""

    name: str
    kind: str
    hash: str
    note: str

    def describe(self) -> tuple[str, ...]:
        return (f"{self.name}: {self.note}",)


def calibrate(
    gathered: Gathered,
    prior: LeverageModel,
    *,
    name: str = NAME,
    seed: int = 0,
    made_at: datetime | None = None,
    venue: str = VENUE,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Calibrated:
    """Fit both sides on all pairs together; `prior` gives classes, nodes, and the shares that cannot be fitted.

    The same pairs and seed give the same shares and intervals. Raises `BadInput` for a name that cannot be used,
    `MissingData` where the series place nothing.
    """
    if name == DEFAULT:
        raise BadInput(f"{name!r} is the shipped prior's name: give the fitted model another --name")
    pairs = gathered.pairs
    leverage = np.array(prior.leverage)
    free = separable(pairs, leverage)
    if not free.any():
        raise MissingData(
            f"nothing to fit on in {len(pairs)} pairs: no open interest has a place within reach"
        )
    blocks = [pair.block for pair in pairs]
    long, short = (
        fit_side([getattr(pair, side) for pair in pairs], blocks, prior.shares(side), free) for side in SIDES
    )
    made = (made_at or datetime.now(UTC)).astimezone(UTC)
    model = LeverageModel(
        name=name,
        kind="fitted",
        provenance=Provenance(made, f"liqtruth {version('liqtruth')}", _basis(pairs, venue, leverage, free)),
        rates=prior.rates,
        leverage=prior.leverage,
        long=_rows(long.shares),
        short=_rows(short.shares),
    )
    done = iter(range(1, 2 * DRAWS + 1))
    records = [
        _side_record(fit, seed, leverage, lambda: on_progress(next(done) / (2 * DRAWS)))
        for fit in (long, short)
    ]
    return Calibrated(model, _record(gathered, model, venue, seed, leverage[free], *records))


def save(data_dir: Path, calibrated: Calibrated) -> Path:
    """Write the record, then the model; each whole or not at all. Returns the model's path."""
    path = data_dir / "models" / f"{calibrated.model.name}.json"
    content = msgspec.json.format(msgspec.json.encode(calibrated.record), indent=1)
    for target, written in (
        (_record_path(data_dir, path.stem), content + b"\n"),
        (path, calibrated.model.to_json()),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, written)
    return path


def load(data_dir: Path, name: str = NAME) -> tuple[LeverageModel, FitRecord | None]:
    """A known model, and the record of its fit; null where it was not fitted here, or was changed since.

    Raises `UnknownChoice` with the known names and `BadInput` for a file that cannot be used.
    """
    known = known_models(data_dir)
    if name not in known:
        raise UnknownChoice("leverage model", name, known)
    path = _record_path(data_dir, name)
    if not path.is_file():
        return known[name], None
    try:
        record = msgspec.json.decode(path.read_bytes(), type=FitRecord)
    except msgspec.DecodeError as error:
        raise BadInput(f"{path} is no record of a fit: {error}; fit the model again") from error
    return known[name], record if record.model_hash == known[name].hash else None


def listed(data_dir: Path) -> tuple[Listed, ...]:
    """Shipped models and those of the data directory, by the name under which each is found."""
    known = known_models(data_dir)
    return tuple(Listed(name, model.kind, model.hash, model.note) for name, model in known.items())


def _record_path(data_dir: Path, name: str) -> Path:
    return data_dir / "models" / "fits" / f"{name}.json"


def _basis(pairs: Sequence[Pair], venue: str, leverage: FloatArray, free: BoolArray) -> str:
    """One line for the assumptions of every map that the model draws."""
    sides = [side for pair in pairs for side in (pair.long, pair.short)]
    coverage = np.array([side.coverage for side in sides])
    effective = float(np.median([side.effective_positions for side in sides]))
    fitted = f"{leverage[free][0]:.3g}x to {leverage[free][-1]:.3g}x"
    whose = f"{SYNTHETIC}: " if any(pair.synthetic for pair in pairs) else ""
    return (
        f"{whose}fitted on exact positions of {venue} {', '.join(sorted({pair.coin for pair in pairs}))}, "
        f"{min(pair.as_of for pair in pairs):%Y-%m-%dT%H:%MZ} to {max(pair.as_of for pair in pairs):%Y-%m-%dT%H:%MZ}: "
        f"{len(pairs)} pairs, {coverage.min():.0%} to {coverage.max():.0%} of open interest covered and the rest "
        f"taken to be alike, {effective:.0f} effective positions a side (median) with each cut at "
        f"{LARGEST_SHARE:.1%} of open interest; {fitted} is fitted, other leverages are the prior's"
    )


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Cut to nine digits, so that the sum stays at one or below."""
    return tuple(tuple(row) for row in (np.floor(shares * 1e9) / 1e9).tolist())


def _side_record(fit: SideFit, seed: int, leverage: FloatArray, on_draw: Callable[[], None]) -> SideRecord:
    drawn = bootstrap(fit, seed, on_draw=on_draw)
    return SideRecord(bands_of_fit(fit, drawn, leverage), fit.prior_scale, fit.at_most_one)


def _record(
    gathered: Gathered,
    model: LeverageModel,
    venue: str,
    seed: int,
    fitted: FloatArray,
    long: SideRecord,
    short: SideRecord,
) -> FitRecord:
    pairs = gathered.pairs
    blocks = len({pair.block for pair in pairs})
    return FitRecord(
        model=model.name,
        model_hash=model.hash,
        venue=venue,
        coins=tuple(sorted({pair.coin for pair in pairs})),
        start=min(pair.as_of for pair in pairs),
        end=max(pair.as_of for pair in pairs),
        blocks=blocks,
        draws=DRAWS if long.bands[-1].low is not None else 0,
        seed=seed,
        fitted_leverage=(float(fitted[0]), float(fitted[-1])),
        long=long,
        short=short,
        pairs=tuple(_row(pair) for pair in pairs),
        refused=tuple(f"{one.coin} {one.moment:%Y-%m-%dT%H:%MZ}: {one.reason}" for one in gathered.refused),
    )


def _row(pair: Pair) -> PairRow:
    sides = (pair.long, pair.short)

    def both(name: str) -> tuple[float, float]:
        first, second = (float(getattr(side, name)) for side in sides)
        return first, second

    return PairRow(
        pair.coin,
        pair.as_of,
        pair.positions,
        pair.highest_leverage,
        pair.before_window,
        both("coverage"),
        both("kept"),
        both("effective_positions"),
    )
