"""`FitRecord`: what a fitted model rests on, as it is shown; fitted models and their records, to files and back.

A model lies in `<data-dir>/models/NAME.json`, where every command finds it by name; what it rests on, with intervals,
lies in `<data-dir>/models/fits/NAME.json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final, Literal

import msgspec

from liqtruth.compare.calibration.bands import Band
from liqtruth.compare.calibration.choices.coordinates import CoordinateScore, PullScore
from liqtruth.compare.calibration.choices.deviations import DeviationScore
from liqtruth.compare.calibration.implied_leverage import EntryCheck, ImpliedLeverageBand
from liqtruth.compare.calibration.side_fit import RIDGE
from liqtruth.compare.calibration.sizes import SizeTable
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage_model import LeverageModel, known_models
from liqtruth.estimator.model.model_in_use import UNPROVEN, in_use
from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.heatmap import Training
from liqtruth.heatmap.levels import TwoSided
from liqtruth.heatmap.words.notes import Notes, as_text, of_codes, reader
from liqtruth.heatmap.writing import write_atomically

SCHEMA: Final = "liqtruth.leverage_fit/2"
NAME: Final = "calibrated"
UNCOUNTED: Final = frozenset({"effective_of_bins", "effective_unknown"})
"""Codes of notes on truths whose single positions nobody knows."""


class SampleRow(msgspec.Struct, frozen=True):
    """One pair: what was covered, what of the mass was left when large positions were cut; long then short."""

    coin: str
    as_of: datetime
    positions: int
    highest_leverage: float
    before_window: float
    coverage: tuple[float, float]
    kept: tuple[float, float]
    effective_positions: tuple[float, float]


class SideRecord(msgspec.Struct, frozen=True, rename={"implied_leverage": "standing"}):
    """One side's bands; `prior_scale` is what the shares that were not fitted were multiplied by; `implied_leverage` is
    what stands within reach, drawn and measured; `entries` null where positions show none."""

    bands: tuple[Band, ...]
    prior_scale: float
    at_most_one: bool
    implied_leverage: tuple[ImpliedLeverageBand, ...]
    entries: EntryCheck | None


class Choices(msgspec.Struct, frozen=True):
    """What the data chose: the coordinate by coins left out, a ridge of coins' own shares by unseen days (null: coins
    do not deviate), classes of size by coins left out, the pull to the prior by coins left out (`pulls` are empty with
    too few coins), and with it whether `only` one coordinate of a mixture is taken."""

    coordinate: str
    coordinates: tuple[CoordinateScore, ...]
    ridge: float | None
    deviations: tuple[DeviationScore, ...]
    sizes: SizeTable
    pull: float = RIDGE
    pulls: tuple[PullScore, ...] = ()
    only: str | None = None


class FitRecord(
    msgspec.Struct,
    TwoSided[SideRecord],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """What a fitted model rests on; `fitted_leverage` are the first and the last node that the data could tell: what
    lies above `observed_to` of it is extrapolation (null where positions show no leverage). `coverage` is the mean
    share of open interest that was seen, long then short."""

    schema: Literal["liqtruth.leverage_fit/2"] = SCHEMA
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
    coverage: tuple[float, float]
    choices: Choices
    long: SideRecord
    short: SideRecord
    pairs: tuple[SampleRow, ...]
    refused: tuple[str, ...]
    notes: Notes = ()
    observed_to: float | None = None

    @property
    def effective_positions(self) -> float:
        """Effective positions a side: median of the pairs and sides."""
        return median(value for row in self.pairs for value in row.effective_positions)

    @property
    def passes(self) -> bool:
        """The gate of a fit: so many effective positions that a shape means something, and that they are known."""
        return self.effective_positions >= ENOUGH and not of_codes(self.notes, UNCOUNTED)

    @property
    def training(self) -> Training:
        """What a map drawn with this fit states of it."""
        return Training(
            self.model, self.model_hash, self.coins, self.start, self.end, self.effective_positions
        )


@dataclass(frozen=True)
class Calibrated:
    """A model with the record of its fit."""

    model: LeverageModel
    record: FitRecord


class Listed(msgspec.Struct, frozen=True):
    """A model that maps can be drawn with: whether `calibrated` means it, what record there is of how it was made
    (`fit`, `transfer` or none), and whether its fit passes its gate (null where no record tells)."""

    name: str
    kind: str
    hash: str
    note: str
    in_use: bool
    record: str | None
    passes: bool | None

    def describe(self) -> tuple[str, ...]:
        parts = [self.note, *(("in use",) if self.in_use else ())]
        if self.kind not in ("prior", "census"):
            parts.append(f"record of its {self.record}" if self.record else "no record of how it was made")
        if self.passes is False:
            parts.append("fails the gate of a fit")
        return (f"{self.name}: {'; '.join(parts)}",)


class FitFailsItsGate(LiqtruthError):
    """A fit that was written and shown, and that rests on too few positions to be put into use."""

    def __init__(self, asked: str, record: FitRecord) -> None:
        kept = (
            f"written as {record.model}, and {asked} stays as it is"
            if record.model != asked
            else "not in use"
        )
        why = (
            "the effective positions of its truth are not known"
            if of_codes(record.notes, UNCOUNTED)
            else f"{record.effective_positions:.0f} effective positions a side, {ENOUGH:.0f} are needed"
        )
        super().__init__(
            f"{record.model} fails its gate ({why}): {kept}; "
            f"`liqtruth calibrate use {record.model}` uses it all the same"
        )


def fit_to_save(data_dir: Path, calibrated: Calibrated) -> Calibrated:
    """The fit under the name that it may have: one that fails its gate never takes the place of the model in use."""
    name = calibrated.model.name
    if calibrated.record.passes or name != in_use(data_dir):
        return calibrated
    aside = f"{name}{UNPROVEN}"
    return Calibrated(
        msgspec.structs.replace(calibrated.model, name=aside),
        msgspec.structs.replace(calibrated.record, model=aside),
    )


def save(data_dir: Path, calibrated: Calibrated) -> Path:
    """Write the record, then the model; each whole or not at all. Returns the model's path."""
    path = data_dir / "models" / f"{calibrated.model.name}.json"
    content = msgspec.json.format(msgspec.json.encode(calibrated.record, enc_hook=as_text), indent=1)
    for target, written in (
        (_record_path(data_dir, path.stem), content + b"\n"),
        (path, calibrated.model.to_json()),
    ):
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
        record = _decoded(path)
    except NOT_DECODED as error:
        raise BadInput(f"{path} is no record of a fit: {error}; fit the model again") from error
    return known[name], record if record.model_hash == known[name].hash else None


def record_of(data_dir: Path, model_hash: str) -> FitRecord | None:
    """The record of the fit with this hash, whatever it is called by now; null where none can be read."""
    for path in sorted((data_dir / "models" / "fits").glob("*.json")):
        try:
            record = _decoded(path)
        except (OSError, *NOT_DECODED):
            continue
        if record.model_hash == model_hash:
            return record
    return None


def listed(
    data_dir: Path, transferred: Callable[[str], bool] = lambda model_hash: False
) -> tuple[Listed, ...]:
    """Shipped models and those of the data directory, by the name under which each is found; `transferred` tells
    whether there is a record of the transfer that made a model."""
    chosen = in_use(data_dir)
    return tuple(
        _listed(name, model, record_of(data_dir, model.hash), chosen, transferred)
        for name, model in known_models(data_dir).items()
    )


def _listed(
    name: str, model: LeverageModel, record: FitRecord | None, chosen: str, transferred: Callable[[str], bool]
) -> Listed:
    kept = "fit" if record else "transfer" if transferred(model.hash) else None
    passes = None if record is None else record.passes
    return Listed(name, model.kind, model.hash, model.note, name == chosen, kept, passes)


def _decoded(path: Path) -> FitRecord:
    return msgspec.json.decode(path.read_bytes(), type=FitRecord, dec_hook=reader(()))


def _record_path(data_dir: Path, name: str) -> Path:
    return data_dir / "models" / "fits" / f"{name}.json"
