"""Whether the clusters of a model lie where exact ones do, beside what shuffled maps give.

Each of the model's major clusters is compared with the exact map's major clusters of the same side, both by distance
from their own mark in percent: its deviation is that to the nearest. It aligns where this is within the tolerance. The
chance level is the same with the exact clusters of other moments, at least a day away, at the same distances from their
own marks: what any plausible map of that market would reach.
"""

from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.scoring.visits.major_zones import MajorZones
from liqtruth.compare.statistics.intervals import (
    BLOCK_DRAWS,
    DAY_MS,
    FEWEST_BLOCKS,
    INTERVAL,
    Estimate,
    blocks_of,
    drawn_blocks,
    estimates,
    weighted_medians,
)
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray

TOLERANCE_PCT: Final = 1.0
SHUFFLES: Final = 50


class Alignment(msgspec.Struct, frozen=True):
    """Of the model's clusters at all `moments`: share that aligns and median deviation, in percent of price.

    Figures of `chance` are those of shuffled exact maps; differences are ours less chance's. Null with the reason in
    `why`.
    """

    moments: int
    clusters: int
    blocks: int
    tolerance_pct: float
    share: Estimate | None
    chance_share: Estimate | None
    share_difference: Estimate | None
    deviation_pct: Estimate | None
    chance_deviation_pct: Estimate | None
    deviation_difference_pct: Estimate | None
    why: str


def paired(model: MajorZones, exact: MajorZones, within_ms: int) -> tuple[MajorZones, MajorZones]:
    """Both at the moments of the model that have an exact map no further than `within_ms` away: the nearest one."""
    if not model.moments or not exact.moments:
        return model.at(np.zeros(0, dtype=np.int64)), exact.at(np.zeros(0, dtype=np.int64))
    later = np.clip(np.searchsorted(exact.times_ms, model.times_ms), 1, max(exact.moments - 1, 1))
    candidates = np.stack([later - 1, np.minimum(later, exact.moments - 1)])
    gaps = np.abs(exact.times_ms[candidates] - model.times_ms)
    nearest = np.take_along_axis(candidates, gaps.argmin(axis=0)[None], axis=0)[0]
    near = np.flatnonzero(gaps.min(axis=0) <= within_ms)
    return model.at(near), exact.at(nearest[near])


def align(
    model: MajorZones, exact: MajorZones, tolerance_pct: float = TOLERANCE_PCT, seed: int = 0
) -> Alignment:
    """Of maps that belong together moment by moment; raises `BadInput` for a tolerance that is no distance."""
    if not 0 < tolerance_pct <= 50:
        raise BadInput(f"the tolerance must be above 0 and at most 50 % of price, got {tolerance_pct!r}")
    ours = deviations(model.away_pct, exact.away_pct)
    known = np.isfinite(ours)
    if not known.any():
        return _nothing(
            model.moments, tolerance_pct, "no moment has clusters on both a modelled and an exact map"
        )
    moment = np.broadcast_to(np.arange(model.moments)[:, None], known.shape)[known]
    block, blocks = blocks_of(exact.times_ms[moment])
    share = (ours[known] <= tolerance_pct).astype(np.float64)
    shuffled = _shuffled(model, exact, known, seed)
    chance = np.zeros((0, share.size)) if shuffled is None else shuffled
    return Alignment(
        model.moments,
        int(known.sum()),
        blocks,
        tolerance_pct,
        *_shares(share, (chance <= tolerance_pct).astype(np.float64), block, seed),
        *_medians(ours[known], chance, block, blocks, seed),
        why=_why(shuffled, blocks),
    )


def deviations(wanted_pct: FloatArray, offered_pct: FloatArray) -> FloatArray:
    """Percent from each wanted cluster to the nearest offered one of the same side and moment: shape of `wanted_pct`.

    NaN where one of them is missing.
    """
    nearest = np.full(wanted_pct.shape, np.inf)
    for place in range(offered_pct.shape[-1]):
        nearest = np.fmin(nearest, np.abs(wanted_pct - offered_pct[..., place : place + 1]))
    return np.where(np.isfinite(nearest) & np.isfinite(wanted_pct), nearest, np.nan)


def _shuffled(model: MajorZones, exact: MajorZones, known: FloatArray, seed: int) -> FloatArray | None:
    """Deviations (shuffles, clusters) from exact maps drawn at least a day away; null where some moment has none."""
    times = exact.times_ms
    first = np.searchsorted(times, times - DAY_MS, side="right")
    after = np.searchsorted(times, times + DAY_MS, side="left")
    others = first + times.size - after
    if times.size == 0 or others.min() < 1:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, others, (SHUFFLES, times.size))
    drawn = np.where(drawn < first, drawn, drawn - first + after)
    offered = exact.away_pct
    return np.stack([deviations(model.away_pct, offered[:, row])[known] for row in drawn])


def _shares(
    share: FloatArray, chance: FloatArray, block: IntArray, seed: int
) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
    weight = np.ones(share.size)
    if not len(chance):
        return estimates(share[None], weight, block, seed)[0], None, None
    by_luck = chance.mean(axis=0)
    ours, luck, gap = estimates(np.stack([share, by_luck, share - by_luck]), weight, block, seed)
    return ours, luck, gap


def _medians(
    ours: FloatArray, chance: FloatArray, block: IntArray, blocks: int, seed: int
) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
    """As `_shares`, of medians; a shuffled map without clusters on a side deviates by nothing and is left out."""
    figure = float(np.median(ours))
    luck = np.nanmedian(chance) if np.isfinite(chance).any() else np.nan
    drawn = np.full((1, 2), np.nan)
    if blocks >= FEWEST_BLOCKS:
        times = drawn_blocks(blocks, seed)[: BLOCK_DRAWS // 2]
        of_chance = np.tile(block, len(chance))
        medians = (
            weighted_medians(ours, block, times, lower=True),
            weighted_medians(chance.ravel(), of_chance, times, lower=True),
        )
        drawn = np.stack(medians, axis=1)
    found = [_estimate(figure, drawn[:, 0])]
    if np.isfinite(luck):
        found += [
            _estimate(float(luck), drawn[:, 1]),
            _estimate(figure - float(luck), drawn[:, 0] - drawn[:, 1]),
        ]
    return found[0], *((found[1], found[2]) if len(found) > 1 else (None, None))


def _estimate(figure: float, drawn: FloatArray) -> Estimate:
    if np.isnan(drawn).all():
        return Estimate(figure)
    low, high = np.nanquantile(drawn, INTERVAL)
    return Estimate(figure, float(low), float(high))


def _why(shuffled: FloatArray | None, blocks: int) -> str:
    if shuffled is None:
        return "there is no chance level: every exact map needs another one at least a day away"
    if blocks < FEWEST_BLOCKS:
        return f"there is no interval: exact maps on {blocks} days, at least {FEWEST_BLOCKS} are needed"
    return ""


def _nothing(moments: int, tolerance_pct: float, why: str) -> Alignment:
    return Alignment(moments, 0, 0, tolerance_pct, None, None, None, None, None, None, why)
