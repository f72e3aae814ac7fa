"""Whether what is not read of a truth could turn which of two maps is nearer to it.

The unread part of open interest may lie anywhere. With a share r of it, the truth's cumulative share at x is between
(1 - r) T(x) and (1 - r) T(x) + r, and any non-decreasing curve of the unread part is possible. So the difference of
two maps' W1 has a least and a largest value, found by going from the mark outward over a grid of what the unread part
may have reached (dynamic programming, exact to the grid). Only a sign that no placement turns is a claim.
"""

from typing import Final

import numpy as np

from liqtruth.compare.statistics.distances import log_distance, side_curve
from liqtruth.compare.statistics.scores import SAME_SKILL
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

POINTS: Final = 200
LEVELS: Final = 41
WHOLE: Final = 0.95
"""A side of which so much was read counts as read."""


def unread_shares(truth: Heatmap, range_pct: float) -> tuple[float, float]:
    """Of longs and of shorts: the largest share of what lies within the range that may not have been read; 0 where
    coverage is not known, or whole."""
    share, found = truth.coverage.share, []
    for side, seen_usd in zip(SIDES, truth.coverage.seen_usd, strict=True):
        read = 1.0 if share is None else share.of(side)
        if read >= WHOLE:
            found.append(0.0)
            continue
        unread_usd = seen_usd * (1 - read) / read if read > 0 else np.inf
        near_usd = side_curve(truth, side, range_pct).total_usd
        found.append(1.0 if np.isinf(unread_usd) else unread_usd / (unread_usd + near_usd))
    return found[0], found[1]


def turned_at(
    truth: Heatmap, model: Heatmap, null: Heatmap, range_pct: float, gained: float | None
) -> float | None:
    """Coverage of the side that is read less, where the unread part could turn whether the model beats the null, of
    which its skill `gained` is as read; null where it could not, or nothing is claimed."""
    share = truth.coverage.share
    if gained is None or share is None or not any(unread_shares(truth, range_pct)):
        return None
    beats = gained > SAME_SKILL
    lead = least_lead(truth, *((model, null) if beats else (null, model)), range_pct)
    return None if lead is None or lead > 0 else min(share)


def least_lead(truth: Heatmap, near: Heatmap, far: Heatmap, range_pct: float) -> float | None:
    """By how much, in percent of price, the map `near` is at least nearer to the truth (W1, mean of sides) than `far`,
    wherever the unread part lies: below 0 where that could turn it. Null where a side of any of them is empty."""
    found = []
    for side, unread in zip(SIDES, unread_shares(truth, range_pct), strict=True):
        curves = [side_curve(heatmap, side, range_pct) for heatmap in (truth, near, far)]
        if any(curve.empty for curve in curves):
            return None
        end = float(log_distance(range_pct, side))
        at = (np.arange(POINTS) + 0.5) * end / POINTS
        wanted, mine, other = (curve.share(at) for curve in curves)
        found.append(100 * end * _least(wanted, mine, other, unread))
    return float(np.mean(found))


def _least(truth: FloatArray, near: FloatArray, far: FloatArray, unread: float) -> float:
    """Least mean over `POINTS` of |t - far| - |t - near| over all curves t that the truth may have."""
    reached = np.linspace(0.0, 1.0, LEVELS if unread > 0 else 1)
    whole = (1 - unread) * truth[:, None] + unread * reached
    lead = np.abs(whole - far[:, None]) - np.abs(whole - near[:, None])
    best = np.zeros(reached.size)
    for row in lead:
        best = np.minimum.accumulate(best) + row
    return float(best.min()) / POINTS
