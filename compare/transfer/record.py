"""What a transferred model rests on, as it is shown and written; the model itself lies in `<data-dir>/models`."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from compare.transfer.level import Triple
from estimator.leverage_model import LeverageModel
from heatmap.files import write_atomically
from heatmap.grid import FloatArray

SCHEMA: Final = "liqtruth.leverage_transfer/1"


class ReferenceRecord(msgspec.Struct, frozen=True):
    """On which of Hyperliquid's liquidations the model's own bias was measured."""

    start: datetime
    end: datetime
    hours: float
    events: int


class SideRecord(msgspec.Struct, frozen=True):
    """One side. `b` is the tilt (`level.local_ratios`) that shares were multiplied by, with its covariance;
    `venue_tilt` and `hyperliquid_tilt` the two fits behind it; `held_to` what kept shares from summing to more than
    one. `curve_factor` is what that makes of the model's mass within each `distance_pct` of the mark, `curve_sd` the
    standard error of its logarithm.

    Predicted USD are of what the feed would tell: by the source model, by it with Hyperliquid's own tilt, and by the
    transferred model with the same."""

    b: Triple
    covariance: tuple[Triple, Triple, Triple]
    venue_tilt: Triple
    hyperliquid_tilt: Triple
    held_to: float
    curve_factor: tuple[float, ...]
    curve_sd: tuple[float, ...]
    events: int
    realised_usd: float
    predicted_usd: float
    as_on_hyperliquid_usd: float
    transferred_usd: float


class TransferRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a transferred model rests on; `hyperliquid` is null where its liquidations were left out."""

    schema: Literal["liqtruth.leverage_transfer/1"] = SCHEMA
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


@dataclass(frozen=True, eq=False)
class SideHours:
    """One side's steps in USD of what the feed tells: realised, and predicted before and after, both with
    Hyperliquid's own tilt."""

    realised_usd: FloatArray
    before_usd: FloatArray
    after_usd: FloatArray


@dataclass(frozen=True, eq=False)
class Transferred:
    """A model carried over to a venue, its record, and the steps that its page shows."""

    model: LeverageModel
    record: TransferRecord
    long: SideHours
    short: SideHours


def save(data_dir: Path, transferred: Transferred) -> Path:
    """Write the model, whole or not at all; returns its path."""
    path = data_dir / "models" / f"{transferred.model.name}.json"
    write_atomically(path, transferred.model.to_json())
    return path
