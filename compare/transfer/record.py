"""What a transferred model rests on, as it is shown and written; the model itself lies in `<data-dir>/models`, its
record in `<data-dir>/models/transfers`."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from liqtruth.compare.calibration.record import record_of
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Training
from liqtruth.heatmap.levels import TwoSided
from liqtruth.heatmap.writing import write_atomically

SCHEMA: Final = "liqtruth.leverage_transfer/2"


class ReferenceRecord(msgspec.Struct, frozen=True):
    """On which of Hyperliquid's liquidations the model's own bias was measured."""

    start: datetime
    end: datetime
    hours: float
    events: int


class SideRecord(msgspec.Struct, frozen=True, rename={"cut_to": "held_to"}):
    """One side. `deviation` is the logarithm of realised over predicted, less the same on `hyperliquid`, with its
    standard error; `counted` what of it shares were corrected by (`transfer.deviation`); `cut_to` what kept shares from
    summing to more than one. `curve_factor` is what that makes of the model's mass within each `distance_pct` of the
    mark, `curve_sd` the standard error of its logarithm.

    Predicted USD are of what the feed would tell: by the source model, by it with Hyperliquid's own ratio, and by the
    transferred model with the same."""

    deviation: float
    deviation_sd: float
    counted: float
    hyperliquid: float
    cut_to: float
    curve_factor: tuple[float, ...]
    curve_sd: tuple[float, ...]
    events: int
    realised_usd: float
    predicted_usd: float
    as_on_hyperliquid_usd: float
    transferred_usd: float


class TransferRecord(msgspec.Struct, TwoSided[SideRecord], frozen=True, kw_only=True):
    """What a transferred model rests on; `hyperliquid` is null where its liquidations were left out,
    `by_days` where the venue's have no spans of listening."""

    schema: Literal["liqtruth.leverage_transfer/2"] = SCHEMA
    model: str
    model_hash: str
    source_model: str
    source_hash: str
    venue: str
    coins: tuple[str, ...]
    start: datetime
    end: datetime
    step_s: float
    hours: float
    events: int
    coverage: float
    distance_pct: tuple[float, ...]
    level_sd: tuple[float, float]
    trained_to: float
    highest_leverage: float
    synthetic: bool
    long: SideRecord
    short: SideRecord
    hyperliquid: ReferenceRecord | None
    by_days: bool = False


@dataclass(frozen=True, eq=False)
class SideHours:
    """One side's steps in USD of what the feed tells: realised, and predicted before and after, both with
    Hyperliquid's own ratio."""

    realised_usd: FloatArray
    before_usd: FloatArray
    after_usd: FloatArray


@dataclass(frozen=True, eq=False)
class Transferred(TwoSided[SideHours]):
    """A model carried over to a venue, its record, and the steps that its page shows."""

    model: LeverageModel
    record: TransferRecord
    long: SideHours
    short: SideHours


def save(data_dir: Path, transferred: Transferred) -> Path:
    """Write the record, then the model; each whole or not at all. Returns the model's path."""
    path = data_dir / "models" / f"{transferred.model.name}.json"
    content = msgspec.json.format(msgspec.json.encode(transferred.record), indent=1)
    for target, written in (
        (_folder(data_dir) / path.name, content + b"\n"),
        (path, transferred.model.to_json()),
    ):
        write_atomically(target, written)
    return path


def load(data_dir: Path, model_hash: str) -> TransferRecord | None:
    """The record of the transfer that made the model with this hash, whatever it is called by now; null where none can
    be read."""
    return _found(data_dir, model_hash, TransferRecord)


def source_hash_of(data_dir: Path, model_hash: str) -> str | None:
    """The model that the one with this hash was carried over from, by a record of any version; null where there is
    none."""
    found = _found(data_dir, model_hash, _Origin)
    return None if found is None else found.source_hash


class _Origin(msgspec.Struct):
    """What is read of records of every version."""

    model_hash: str
    source_hash: str


Record = TypeVar("Record", TransferRecord, _Origin)


def _found(data_dir: Path, model_hash: str, kind: type[Record]) -> Record | None:
    for path in sorted(_folder(data_dir).glob("*.json")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=kind)
        except (OSError, *NOT_DECODED):
            continue
        if record.model_hash == model_hash:
            return record
    return None


def training_of(data_dir: Path, model: LeverageModel) -> Training | None:
    """What the fit behind a model has seen: its own, or that of the model it was carried over from; null for a prior.

    Where records are missing, only the name is known.
    """
    if model.kind == "prior":
        return None
    unknown = Training(model.name, model.hash)
    fitted = model.hash
    if model.kind == "transferred":
        source = source_hash_of(data_dir, model.hash)
        if source is None:
            return unknown
        fitted = source
    record = record_of(data_dir, fitted)
    return unknown if record is None else record.training


def _folder(data_dir: Path) -> Path:
    return data_dir / "models" / "transfers"
