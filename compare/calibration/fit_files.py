"""Fitted models and the records of their fits, to files and back.

A model lies in `<data-dir>/models/NAME.json`, where every command finds it by name; what it rests on, with intervals,
lies in `<data-dir>/models/fits/NAME.json`.
"""

from pathlib import Path

import msgspec

from compare.calibration.calibrated import NAME, Calibrated
from compare.calibration.record import FitRecord
from estimator.errors import UnknownChoice
from estimator.leverage_model import LeverageModel, known_models
from heatmap.decoding import NOT_DECODED
from heatmap.errors import BadInput
from heatmap.files import write_atomically


class Listed(msgspec.Struct, frozen=True):
    """A model that maps can be drawn with."""

    name: str
    kind: str
    hash: str
    note: str

    def describe(self) -> tuple[str, ...]:
        return (f"{self.name}: {self.note}",)


def save(data_dir: Path, calibrated: Calibrated) -> Path:
    """Write the record, then the model; each whole or not at all. Returns the model's path."""
    path = data_dir / "models" / f"{calibrated.model.name}.json"
    content = msgspec.json.format(msgspec.json.encode(calibrated.record), indent=1)
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
        record = msgspec.json.decode(path.read_bytes(), type=FitRecord)
    except NOT_DECODED as error:
        raise BadInput(f"{path} is no record of a fit: {error}; fit the model again") from error
    return known[name], record if record.model_hash == known[name].hash else None


def listed(data_dir: Path) -> tuple[Listed, ...]:
    """Shipped models and those of the data directory, by the name under which each is found."""
    known = known_models(data_dir)
    return tuple(Listed(name, model.kind, model.hash, model.note) for name, model in known.items())


def _record_path(data_dir: Path, name: str) -> Path:
    return data_dir / "models" / "fits" / f"{name}.json"
