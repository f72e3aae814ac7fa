"""The figures of a backtest: means, gains over every rival with intervals, noise floors, coverage of the bounds.

Per layer (crowd, raw), per side and over both sides' maps together. Shape scores count only maps with at least
`least_effective` effective positions, level scores count all. The gain over a rival is

    1 - mean(fitted) / mean(rival)      where lower is better: the part of the rival's error that is gone
    mean(fitted - rival)                for `HIGHER_IS_BETTER`

over maps on which both are known, with a 95 % interval by drawing blocks of coin and days; with fewer than
`FEWEST_BLOCKS` there is none, and no claim. A split shows skill where the fit is nearer (Wasserstein-1, crowd) than
both the copied shape and chance, each with its whole interval above zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.calibration.choices.fitted import coins_of
from liqtruth.compare.calibration.choices.pooled_fit import PooledFit
from liqtruth.compare.calibration.side_fit import BoolArray
from liqtruth.compare.statistics.intervals import difference_interval, drawn_weights, gain_interval, widened
from liqtruth.compare.statistics.map_scores import HIGHER_IS_BETTER, SCORES
from liqtruth.compare.validation.backtest import CHANCE, Backtest, SideBacktest, blocks_of
from liqtruth.compare.validation.baselines import FITTED, LAYERS
from liqtruth.estimator.model.baselines import CLIMATOLOGY, FORMER_NAMES, TIERS
from liqtruth.estimator.model.leverage_model import LEVEL
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES

MAIN_SCORE: Final = "wasserstein_pct"
NEAR_SCORE: Final = "wasserstein_10pct"
SHAPE_SCORES: Final = (MAIN_SCORE, NEAR_SCORE, "jensen_shannon", "fractions_1pct", "recall_5")
"""Scores that mean nothing where a handful of positions make the map."""
LEAST_EFFECTIVE: Final = 50.0
FEWEST_BLOCKS: Final = 5
BOTH: Final = "both"
"""The maps of both sides together."""
NAIVE: Final = TIERS
"""The baseline that the gap to the floor is measured from."""


class Gain(msgspec.Struct, frozen=True):
    """What is gained over a rival, a part of its error or a difference; null ends: too few blocks for an interval."""

    rival: str
    gain: float
    low: float | None
    high: float | None
    maps: int
    blocks: int

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "rival", FORMER_NAMES.get(self.rival, self.rival))

    @property
    def shown(self) -> bool | None:
        """Whether the fit is better beyond doubt; null without an interval."""
        return None if self.low is None else self.low > 0


class ScoreFindings(msgspec.Struct, frozen=True):
    """One score: `means` by map (null: known on no map), of `maps`, with `left_out` below the gate.

    `over_floor` is fitted / floor, `gap_closed` the part of the way from tiers to the floor.
    """

    score: str
    maps: int
    left_out: int
    means: dict[str, float | None]
    floor: float | None
    over_floor: float | None
    gap_closed: float | None
    gains: tuple[Gain, ...]

    def __post_init__(self) -> None:
        means = {FORMER_NAMES.get(name, name): mean for name, mean in self.means.items()}
        msgspec.structs.force_setattr(self, "means", means)

    def gain(self, rival: str) -> Gain | None:
        """Null where the rival is known on no map."""
        return next((one for one in self.gains if one.rival == rival), None)


class BoundsFindings(msgspec.Struct, frozen=True):
    """Share of `maps` on which the truth lay within the 80 % bounds, by distance (null: withheld on all) and over all,
    with its interval; by distance that of the share there (`ends`, null with too few blocks), on which share bounds
    were `given`, and their width, upper over lower factor (median)."""

    distance_pct: tuple[float, ...]
    inside: tuple[float | None, ...]
    overall: float
    low: float | None
    high: float | None
    maps: int
    given: tuple[float, ...] = ()
    widths: tuple[float | None, ...] = ()
    ends: tuple[tuple[float, float] | None, ...] = ()

    @property
    def too_narrow(self) -> tuple[float, ...]:
        """Distances at which they held on fewer maps than `LEVEL`, beyond doubt."""
        return self._where(lambda ends: ends[1] < LEVEL)

    @property
    def too_wide(self) -> tuple[float, ...]:
        """Distances at which they held on more maps than `LEVEL`, beyond doubt."""
        return self._where(lambda ends: ends[0] > LEVEL)

    def _where(self, so: Callable[[tuple[float, float]], bool]) -> tuple[float, ...]:
        rows = zip(self.distance_pct, self.ends, strict=True) if self.ends else ()
        return tuple(pct for pct, ends in rows if ends is not None and so(ends))


class SideFindings(msgspec.Struct, frozen=True):
    """One side (or both) and layer: effective positions (median), and how many `maps` have `enough` of them."""

    side: str
    layer: str
    maps: int
    effective: float
    enough: int
    scores: tuple[ScoreFindings, ...]
    bounds: BoundsFindings | None

    def of(self, score: str) -> ScoreFindings:
        return next(one for one in self.scores if one.score == score)

    @property
    def near(self) -> ScoreFindings | None:
        """Wasserstein-1 within 10 %; null in files of before."""
        return next((one for one in self.scores if one.score == NEAR_SCORE), None)


class Chosen(msgspec.Struct, frozen=True):
    """What one fit chose on the pairs that it saw, and out of how many; null `ridge`: coins do not deviate."""

    coordinate: str
    coordinates_tried: int
    ridge: float | None
    ridges_tried: int


class SplitFindings(msgspec.Struct, frozen=True):
    """One split; `skill` is null where there can be no interval. `sides` are both, long and short of each layer.
    `oi_step_s` is the usual time between values of open interest (median of the pairs, null where unknown): a baseline
    that places openings is worse the rarer they are."""

    name: str
    pairs: int
    coins: tuple[str, ...]
    first_day: date
    last_day: date
    days: int
    blocks: int
    skill: bool | None
    chosen: tuple[Chosen, ...]
    sides: tuple[SideFindings, ...]
    oi_step_s: float | None = None

    def of(self, side: str, layer: str) -> SideFindings:
        return next(one for one in self.sides if (one.side, one.layer) == (side, layer))

    def main(self, layer: str) -> ScoreFindings:
        """Wasserstein-1 over the maps of both sides."""
        return self.of(BOTH, layer).of(MAIN_SCORE)


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The block of each row, and how often each draw takes it (draws, rows)."""

    number: IntArray
    weights: IntArray

    @classmethod
    def of(cls, number: IntArray, seed: int) -> "_Blocks":
        return cls(number, drawn_weights(number, seed))

    def counted(self, rows: BoolArray) -> int:
        return len(np.unique(self.number[rows]))


def split_findings(
    tested: Backtest, *, seed: int = 0, least_effective: float = LEAST_EFFECTIVE
) -> SplitFindings:
    """The same backtest and seed give the same figures."""
    number = blocks_of(tested.pairs)
    one_side, both_sides = _Blocks.of(number, seed), _Blocks.of(np.tile(number, len(SIDES)), seed)
    sides = []
    for layer in LAYERS:
        each = [tested.of(side, layer) for side in SIDES]
        sides.append(_side(_joined(each), both_sides, least_effective))
        sides.extend(_side(one, one_side, least_effective) for one in each)
    days = [pair.day for pair in tested.pairs]
    return SplitFindings(
        name=tested.name,
        pairs=len(tested.pairs),
        coins=coins_of(tested.pairs),
        first_day=day_of(min(days)),
        last_day=day_of(max(days)),
        days=len(set(days)),
        blocks=int(number.max()) + 1,
        skill=_skill(sides[0].of(MAIN_SCORE)),
        chosen=tuple(_chosen(fit) for fit in tested.fits),
        sides=tuple(sides),
        oi_step_s=float(np.median([pair.oi_step_s for pair in tested.pairs])) or None,
    )


def day_of(number: int) -> date:
    """Of a day counted from 1970."""
    return date(1970, 1, 1) + timedelta(days=number)


def _skill(crowd: ScoreFindings) -> bool | None:
    shown = [gain.shown for gain in (crowd.gain(CLIMATOLOGY), crowd.gain(CHANCE)) if gain is not None]
    return None if len(shown) < 2 or None in shown else all(shown)


def _chosen(fit: PooledFit) -> Chosen:
    tried = len(fit.coordinate_scores_)
    return Chosen(fit.fitted_.coordinate, tried, fit.ridge_, len(fit.deviation_.table))


def _joined(sides: list[SideBacktest]) -> SideBacktest:
    """The maps of all sides, one after the other."""

    def all_of(each: list[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
        return {name: np.concatenate([one[name] for one in each]) for name in each[0]}

    return SideBacktest(
        BOTH,
        sides[0].layer,
        {score: all_of([side.score[score] for side in sides]) for score in SCORES},
        all_of([side.floor for side in sides]),
        np.concatenate([side.effective for side in sides]),
        np.concatenate([side.inside for side in sides]),
        np.concatenate([side.widths for side in sides]),
    )


def _side(found: SideBacktest, blocks: _Blocks, least_effective: float) -> SideFindings:
    enough = found.effective >= least_effective
    return SideFindings(
        found.side,
        found.layer,
        len(enough),
        float(np.median(found.effective)),
        int(enough.sum()),
        tuple(_score(found, score, enough, blocks) for score in SCORES),
        _bounds(found, blocks),
    )


def _score(found: SideBacktest, score: str, enough: BoolArray, blocks: _Blocks) -> ScoreFindings:
    counted = enough if score in SHAPE_SCORES else np.ones_like(enough)
    values = {name: np.where(counted, rows, np.nan) for name, rows in found.score[score].items()}
    fitted, floor = values[FITTED], found.floor.get(score)
    ratio, closed = (None, None) if floor is None else _beside_floor(fitted, values[NAIVE], floor)
    gains = (_gain(name, score, fitted, rival, blocks) for name, rival in values.items() if name != FITTED)
    return ScoreFindings(
        score,
        int(np.isfinite(fitted).sum()),
        int((~counted).sum()),
        {name: _mean(rows) for name, rows in values.items()},
        None if floor is None else _mean(np.where(counted, floor, np.nan)),
        ratio,
        closed,
        tuple(gain for gain in gains if gain is not None),
    )


def _beside_floor(
    fitted: FloatArray, naive: FloatArray, floor: FloatArray
) -> tuple[float | None, float | None]:
    """Fitted over floor, and the part of the gap from naive to floor that is closed, of maps that have all three."""
    known = np.isfinite(fitted) & np.isfinite(naive) & np.isfinite(floor)
    mine, theirs, least = (float(rows[known].sum()) for rows in (fitted, naive, floor))
    ratio = mine / least if least > 0 else None
    return ratio, (theirs - mine) / (theirs - least) if theirs > least else None


def _gain(name: str, score: str, fitted: FloatArray, rival: FloatArray, blocks: _Blocks) -> Gain | None:
    known = np.isfinite(fitted) & np.isfinite(rival)
    count = blocks.counted(known)
    interval = difference_interval if score in HIGHER_IS_BETTER else gain_interval
    found = interval(fitted, rival, blocks.weights)
    if not np.isfinite(found[0]):
        return None
    return Gain(name, *_with_interval(found, count), int(known.sum()), count)


def _with_interval(
    found: tuple[float, float, float], blocks: int
) -> tuple[float, float | None, float | None]:
    """A value with its interval, or without one."""
    value, low, high = widened(found, blocks) if blocks >= FEWEST_BLOCKS else (found[0], np.nan, np.nan)
    return (value, low, high) if np.isfinite(low) and np.isfinite(high) else (value, None, None)


def _bounds(found: SideBacktest, blocks: _Blocks) -> BoundsFindings | None:
    known = np.isfinite(found.inside)
    given = np.asarray(known.any(axis=1))
    if not given.any():
        return None
    each = np.where(given, np.nan_to_num(found.inside).sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)
    overall, low, high = _share(each, blocks)
    by_distance = [_share(rows, blocks) for rows in found.inside.T]
    return BoundsFindings(
        DISTANCES_PCT,
        tuple(_mean(rows) for rows in found.inside.T),
        overall,
        low,
        high,
        int(given.sum()),
        tuple(known.mean(axis=0).tolist()),
        tuple(
            float(np.median(rows[np.isfinite(rows)])) if np.isfinite(rows).any() else None
            for rows in found.widths.T
        ),
        tuple(None if least is None or most is None else (least, most) for _, least, most in by_distance),
    )


def _share(rows: FloatArray, blocks: _Blocks) -> tuple[float, float | None, float | None]:
    """Mean of the known rows, between 0 and 1, with its interval."""
    found = difference_interval(rows, np.zeros_like(rows), blocks.weights)
    share, low, high = _with_interval(found, blocks.counted(np.isfinite(rows)))
    return share, None if low is None else max(low, 0.0), None if high is None else min(high, 1.0)


def _mean(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _median(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None
