"""`FitRecord`: what a fitted model rests on, as it is stored beside the model and shown."""

from datetime import datetime
from statistics import median
from typing import Final, Literal

import msgspec

from liqtruth.compare.calibration.bands import Band
from liqtruth.compare.calibration.entries import EntryCheck
from liqtruth.compare.calibration.implied_leverage import StandingBand
from liqtruth.compare.calibration.selection import CoordinateScore, DeviationScore
from liqtruth.compare.calibration.sizes import SizeTable
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.heatmap.heatmap import Training
from liqtruth.heatmap.sides import TwoSided

SCHEMA: Final = "liqtruth.leverage_fit/2"


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
    """One side's bands; `prior_scale` is what the shares that were not fitted were multiplied by; `standing` is what
    stands within reach, drawn and measured; `entries` null where positions show none."""

    bands: tuple[Band, ...]
    prior_scale: float
    at_most_one: bool
    standing: tuple[StandingBand, ...]
    entries: EntryCheck | None


class Choices(msgspec.Struct, frozen=True):
    """What the data chose: the coordinate by coins left out, a ridge of coins' own shares by unseen days (null: coins
    do not deviate), classes of size by coins left out."""

    coordinate: str
    coordinates: tuple[CoordinateScore, ...]
    ridge: float | None
    deviations: tuple[DeviationScore, ...]
    sizes: SizeTable


class FitRecord(msgspec.Struct, TwoSided[SideRecord], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fitted model rests on; `fitted_leverage` are the first and the last node that the data could tell,
    `coverage` the mean share of open interest that was seen, long then short."""

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
    pairs: tuple[PairRow, ...]
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def effective_positions(self) -> float:
        """Effective positions a side: median of the pairs and sides."""
        return median(value for row in self.pairs for value in row.effective_positions)

    @property
    def passes(self) -> bool:
        """The gate of a fit: so many effective positions that a shape means something."""
        return self.effective_positions >= ENOUGH

    @property
    def training(self) -> Training:
        """What a map drawn with this fit says of it."""
        return Training(
            self.model, self.model_hash, self.coins, self.start, self.end, self.effective_positions
        )
