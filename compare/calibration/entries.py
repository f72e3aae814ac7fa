"""Turnover classes held against exact entry prices, before any leverage: where did what stands today come in?

A class that turns over slowly keeps old entries, far from the mark; a fast one only new ones. Each class says by its
births and survival where its open interest was opened; Hyperliquid shows where the positions were. The distance between
the two (Wasserstein-1 over log price) tells turnover apart from leverage. Positions that were built in parts show one
mean entry, and what was liquidated is missing from the truth, so the distance is never nought.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.holdings import Held
from liqtruth.estimator.model.cohort_model import VintageModel
from liqtruth.estimator.model.response_matrix import Lots
from liqtruth.heatmap.grid import FloatArray

if TYPE_CHECKING:
    from liqtruth.compare.calibration.samples import Pair

ENTRY_REACH: Final = 0.30
ENTRY_BIN: Final = 0.005
ENTRY_BINS: Final = round(2 * ENTRY_REACH / ENTRY_BIN)


class EntryCheck(msgspec.Struct, frozen=True):
    """One side: mean Wasserstein-1 (percent of price) between entry prices of the crowd and of each class alone
    (`by_rate`, by multiples of the market's activity), and of the classes as the fit mixes them."""

    mixed_pct: float
    by_rate: dict[str, float]

    @property
    def nearest_rate(self) -> str:
        return min(self.by_rate, key=lambda rate: self.by_rate[rate])


def entry_columns(model: VintageModel) -> FloatArray:
    """Share of open interest per entry bin (log price over the mark) and class, (entry bins, classes)."""
    bars = model.series_.bars
    left = Lots.of(bars.open_interest, model.turnover_).left
    entries = bars.entries
    place = _place(np.log(entries.ravel() / model.series_.mark_px))
    each = np.repeat(left / entries.shape[1], entries.shape[1], axis=0)
    near = place >= 0
    return np.stack([np.bincount(place[near], mass[near], ENTRY_BINS) for mass in each.T], axis=1)


def entry_check(
    pairs: "Sequence[Pair]", side: str, shares: FloatArray, rates: Sequence[float]
) -> EntryCheck | None:
    """Over all pairs whose positions show entries; `shares` (classes, nodes) weigh the classes. Null without any."""
    known = [pair.of(side) for pair in pairs]
    found = [
        (entries_held(one.held, pair.mark_px), one.entries) for one, pair in zip(known, pairs, strict=True)
    ]
    usable = [(true, columns) for true, columns in found if true.sum() > 0 and columns.sum() > 0]
    if not usable:
        return None
    truth, columns = (np.stack(part) for part in zip(*usable, strict=True))
    each = {f"{rate:g}": _distance_pct(truth, columns[:, :, place]) for place, rate in enumerate(rates)}
    return EntryCheck(_distance_pct(truth, columns @ shares.sum(axis=1)), each)


def entries_held(held: Held, mark_px: float) -> FloatArray:
    """The crowd's mass per entry bin."""
    known = np.isfinite(held.entry_px)
    place = _place(np.log(held.entry_px[known] / mark_px))
    near = place >= 0
    return np.bincount(place[near], held.cut[known][near], ENTRY_BINS).astype(np.float64)


def _place(log_px: FloatArray) -> np.ndarray:
    place = np.floor((log_px + ENTRY_REACH) / ENTRY_BIN).astype(np.int64)
    return np.where((place >= 0) & (place < ENTRY_BINS), place, -1)


def _distance_pct(truth: FloatArray, model: FloatArray) -> float:
    """Mean over pairs of the area between cumulative shares."""
    shares = [np.cumsum(mass, axis=1) / mass.sum(axis=1, keepdims=True) for mass in (truth, model + 1e-300)]
    return float(100 * ENTRY_BIN * np.abs(shares[0] - shares[1]).sum(axis=1).mean())
