"""Incomplete coverage is handled, not ignored: positions weigh as their size class of account does where all are seen.

Who reads accounts finds large ones first. Where some readings of the fit cover nearly everything, their mix of account
sizes says how much each class should weigh in the others; a class that a reading has nothing of cannot be weighed up.
Where no reading covers enough, nothing is known of the mix, and that is said.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from liqtruth.compare.calibration.holdings import Held
from liqtruth.compare.calibration.samples import Pair
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES

ACCOUNT_EDGES_USD: Final = (1e5, 1e6, 1e7)
CLASSES: Final = len(ACCOUNT_EDGES_USD) + 1
WHOLE: Final = 0.95
"""Coverage from which a reading is taken to show the mix of account sizes."""
MOST_TIMES: Final = 5.0
"""A class is weighed up or down by no more than this."""


def reweighted(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], str]:
    """Pairs below `WHOLE`, weighed by size class of account like those above, and what was done in one line."""
    lacking = sum(least_coverage(pair) < WHOLE for pair in pairs)
    if not lacking:
        return tuple(pairs), ""
    reference = {side: reference_mix(pairs, side) for side in SIDES}
    if any(mix is None for mix in reference.values()):
        return tuple(pairs), (
            f"{lacking} of {len(pairs)} pairs cover less than {WHOLE:.0%}, and no reading covers enough to know the "
            "mix of account sizes: what was not seen is taken to be like what was"
        )
    return tuple(_pair(pair, reference) for pair in pairs), (
        f"{lacking} of {len(pairs)} pairs cover less than {WHOLE:.0%}: weighed by size of account like the others"
    )


def least_coverage(pair: Pair) -> float:
    return min(pair.long.coverage, pair.short.coverage)


def mean_coverage(pairs: Sequence[Pair], side: str) -> float:
    """Of all pairs, each with at most one."""
    return float(np.mean([min(1.0, pair.of(side).coverage) for pair in pairs]))


def reference_mix(pairs: Sequence[Pair], side: str) -> FloatArray | None:
    """Share of open interest per size class of account in pairs that cover nearly all; null without any."""
    helds = [pair.of(side).held for pair in pairs if pair.of(side).coverage >= WHOLE]
    known = [mix for mix in (_mix(held) for held in helds) if mix is not None]
    return np.mean(known, axis=0) if known else None


def _pair(pair: Pair, reference: dict[str, FloatArray | None]) -> Pair:
    changed: dict[str, Any] = {}
    for side in SIDES:
        own, mix = pair.of(side), reference[side]
        if own.coverage < WHOLE and mix is not None:
            changed[side] = replace(own, held=_weighed(own.held, mix))
    return replace(pair, **changed)


def _weighed(held: Held, reference: FloatArray) -> Held:
    own, known = _mix(held), np.isfinite(held.account_usd)
    if own is None:
        return held
    times = np.clip(reference / np.maximum(own, 1e-12), 1 / MOST_TIMES, MOST_TIMES)
    share = held.share * np.where(known, times[_class(held)], 1.0)
    return replace(held, share=share / share.sum())


def _mix(held: Held) -> FloatArray | None:
    """Null where no account's worth is known."""
    known = np.isfinite(held.account_usd)
    if not held.share[known].sum() > 0:
        return None
    parts = np.bincount(_class(held)[known], held.share[known], CLASSES)
    return np.asarray(parts / parts.sum())


def _class(held: Held) -> IntArray:
    return np.searchsorted(ACCOUNT_EDGES_USD, np.nan_to_num(held.account_usd), side="right")
