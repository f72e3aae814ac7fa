"""Whether a vendor's map has its sides exchanged or its prices moved, by where its peaks and gaps are: no truth needed.

A modelled level stands at the price of an opening times what its leverage allows, so that maps of one venue have their
fine structure at the same prices, whatever weights their makers give to leverages. What a map has beyond its own smooth
course is fitted by that of the venue's models, one column for each of their leverages with a weight of its own: as it
is, with the sides exchanged, and at every move. Where one of these explains most and no other comes near, it is named,
or the map is known to be neither. Another maker's whole way of modelling, and positions that were read, have another
fine structure: then nothing is said. Nor is a change named of a map of another day, or whose peaks are too few.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import numpy as np
import polars as pl

from liqtruth.compare.statistics.changes import SHIFTS_PCT
from liqtruth.compare.statistics.distances import log_distance
from liqtruth.heatmap.clusters.facts import LEVERAGE
from liqtruth.heatmap.clusters.smoothing import gaussian
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, note, of_codes

STEP: Final = 0.0025
"""Log price: peaks that are nearer to one another are one."""
SMOOTH: Final = 8
"""Steps: what is as wide is no fine structure."""
LEAST_EXPLAINED: Final = 0.5
"""Of the squares of the fine structure."""
LEAST_AHEAD: Final = 0.7
"""What is left is at most this part of what any other change leaves."""
SAME_PLACE_PCT: Final = 0.5
"""Moves that differ by no more are one."""
LEAST_STEPS: Final = 80
LEAST_PEAKS: Final = 10.0
"""So many steps of one size that the fine structure weighs like: fewer fit at some move of some leverage."""
MOST_APART: Final = timedelta(hours=12)
"""A map that is older than its venue's models by more has other levels near its mark, which an exchange or a move may
fit by chance: neither is named of it."""
UNSTATED: Final = ("moment_of_file",)
"""Codes of the notes of maps whose moment is not known."""

Kind = Literal["as_it_is", "exchanged", "moved"]


@dataclass(frozen=True)
class Fitted:
    """A change of the map and the share of its fine structure that the models then explain; `as_it_is` is that share
    without a change. A move is in percent of price: what would bring the map to where the models are."""

    kind: Kind
    move_pct: float
    explained: float
    as_it_is: float

    @property
    def noted(self) -> Notes:
        """What is wrong with the map; empty where nothing is."""
        about = {"explained": self.explained, "as_it_is": self.as_it_is}
        if self.kind == "exchanged":
            return (note("looks_mirrored", value=0.0, **about),)
        return (note("looks_moved", value=self.move_pct, **about),) if self.kind == "moved" else ()


def placed(heatmap: Heatmap, models: Sequence[Heatmap], range_pct: float) -> Fitted | None:
    """The change that suits the map best beside models of its venue; null where the fine structure does not tell."""
    inside = _edges(heatmap, range_pct)
    columns = [of for model in models for of in _by_leverage(model)]
    if inside is None or not columns:
        return None
    wanted = _fine(
        np.diff(np.interp(inside, *_risen(heatmap, heatmap.long_usd + heatmap.short_usd, heatmap.mark_px)))
    )
    if not wanted.any():
        return None
    wanted /= np.linalg.norm(wanted)
    if 1 / np.sum(wanted**4) < LEAST_PEAKS:
        return None
    told = _told([*_tried(wanted, columns, inside, heatmap.mark_px)])
    return None if told is None or (told.kind != "as_it_is" and _is_apart(heatmap, models)) else told


def _is_apart(heatmap: Heatmap, models: Sequence[Heatmap]) -> bool:
    """Whether the map's moment is stated and is no model's."""
    if of_codes(heatmap.coverage.notes, UNSTATED):
        return False
    return all(abs(model.as_of - heatmap.as_of) > MOST_APART for model in models)


def _edges(heatmap: Heatmap, range_pct: float) -> FloatArray | None:
    """Ends of steps as log distances from the mark, as far as the map reaches; null where that is too little."""
    low, high = -float(log_distance(range_pct, "long")), float(log_distance(range_pct, "short"))
    if heatmap.covers is not None:
        reach = np.log(np.array(heatmap.covers) / heatmap.mark_px)
        low, high = max(low, float(reach[0])), min(high, float(reach[1]))
    steps = int((high - low) / STEP)
    return np.asarray(low + STEP * np.arange(steps + 1.0)) if steps >= LEAST_STEPS else None


def _risen(heatmap: Heatmap, mass: FloatArray, mark_px: float) -> tuple[FloatArray, FloatArray]:
    """Ends of the grid as log distances from `mark_px`, and the mass below each."""
    return np.log(heatmap.grid.edges / mark_px), np.concatenate([[0.0], np.cumsum(mass)])


def _by_leverage(model: Heatmap) -> Iterator[tuple[Heatmap, FloatArray]]:
    """The model's mass by bin, of each of its leverages; whole where it has none."""
    if model.breakdown is None or LEVERAGE not in model.dimensions:
        yield model, model.long_usd + model.short_usd
        return
    rows = model.breakdown.filter(pl.col("bin").is_between(0, model.grid.bins - 1))
    for part in rows.partition_by(LEVERAGE, maintain_order=True):
        mass = np.bincount(part["bin"].to_numpy(), part["notional_usd"].to_numpy(), model.grid.bins)
        yield model, np.asarray(mass, dtype=np.float64)


def _tried(
    wanted: FloatArray, columns: Sequence[tuple[Heatmap, FloatArray]], inside: FloatArray, mark_px: float
) -> Iterator[Fitted]:
    """What the columns explain after each change; sides are exchanged in log price, as programs with bins do, and in
    percent of the mark, as those with prices do."""
    from scipy.optimize import nnls

    risen = [_risen(model, mass, mark_px) for model, mass in columns]

    def explained(at: FloatArray) -> float:
        fine = np.stack([_fine(np.abs(np.diff(np.interp(at, *one)))) for one in risen], axis=1)
        sizes = np.linalg.norm(fine, axis=0)
        kept = sizes > 0
        return 1 - nnls(fine[:, kept] / sizes[kept], wanted)[1] ** 2 if kept.any() else 0.0

    moves = {pct: float(np.log1p(pct / 100)) for pct in SHIFTS_PCT.tolist()}
    found = {pct: explained(inside + move) for pct, move in moves.items()}
    as_it_is = found[0.0]
    for pct, share in found.items():
        yield Fitted("moved" if abs(pct) > SAME_PLACE_PCT else "as_it_is", pct, share, as_it_is)
        yield Fitted("exchanged", pct, explained(-inside + moves[pct]), as_it_is)
    yield Fitted("exchanged", 0.0, explained(np.log(2 - np.exp(inside))), as_it_is)


def _told(tried: Sequence[Fitted]) -> Fitted | None:
    """The best where it explains most and nothing else comes near; an exchange with a move beside it is none."""
    best = max(tried, key=lambda one: one.explained)
    others = [one.explained for one in tried if _is_other(one, best)]
    if best.explained < LEAST_EXPLAINED or 1 - best.explained > LEAST_AHEAD * (1 - max(others)):
        return None
    return None if best.kind == "exchanged" and abs(best.move_pct) > SAME_PLACE_PCT else best


def _is_other(one: Fitted, best: Fitted) -> bool:
    return (one.kind == "exchanged") != (best.kind == "exchanged") or abs(
        one.move_pct - best.move_pct
    ) > SAME_PLACE_PCT


def _fine(mass: FloatArray) -> FloatArray:
    """What stands out from the smooth course."""
    return mass - gaussian(mass, SMOOTH, reflect=True)
