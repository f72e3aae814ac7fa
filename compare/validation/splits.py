"""Which pairs a fit may see and which it is judged on: later days, new coins, and both at once.

Positions stand for days, so days next to each other resemble each other: between the last day that is fitted and the
first that is judged lie `EMBARGO_DAYS` others. The last part of the history is the final window: no split looks at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np

from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.selection import coins_of
from liqtruth.compare.calibration.side_fit import BoolArray
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray

EMBARGO_DAYS: Final = 2
ORIGINS: Final = 3
"""From so many moments on, one after the other, later days are judged by what was known before."""
FIRST_ORIGIN: Final = 0.4
"""Part of the days that the first of these fits sees."""
FINAL_SHARE: Final = 0.2
FEWEST_DAYS: Final = 6

LATER, NEW_COINS, BOTH, FINAL = "later days", "new coins", "new coins on later days", "the final window"
BLOCK_DAYS: Final = 4
"""Days of a coin that are drawn together: a map of tomorrow holds most of today's positions."""


@dataclass(frozen=True, eq=False)
class Fold:
    """`train` and `test` flag pairs; with a `coin`, that coin's pairs are kept from the fit although `train` may hold
    some, and are what is judged."""

    train: BoolArray
    test: BoolArray
    coin: str | None = None


@dataclass(frozen=True, eq=False)
class Split:
    name: str
    folds: tuple[Fold, ...]


def day_numbers(pairs: Sequence[Sample]) -> FloatArray:
    return np.array([pair.day for pair in pairs], dtype=np.float64)


def final_start(pairs: Sequence[Sample], share: float = FINAL_SHARE) -> int:
    """First day (since 1970) of the final window: the last `share` of the days that have pairs."""
    days = np.unique([pair.day for pair in pairs])
    return int(days[min(len(days) - 1, round(len(days) * (1 - share)))])


def splits_of(pairs: Sequence[Sample], embargo_days: int = EMBARGO_DAYS) -> tuple[Split, ...]:
    """All that the pairs allow: with a single coin only later days.

    Raises `MissingData` where there are too few days and a single coin.
    """
    found = []
    days, coins = day_numbers(pairs), coins_of(pairs)
    enough = len(np.unique(days)) >= FEWEST_DAYS
    if enough:
        found.append(Split(LATER, _later(days, embargo_days)))
    if len(coins) > 1:
        found.append(Split(NEW_COINS, tuple(_new_coin(pairs, coin) for coin in coins)))
        if enough:
            found.append(Split(BOTH, _both(pairs, embargo_days)))
    if not found:
        raise MissingData(
            f"nothing can be left out of {len(np.unique(days))} days of {', '.join(coins)}: "
            f"at least {FEWEST_DAYS} days or a second coin are needed"
        )
    return tuple(found)


def final_split(pairs: Sequence[Sample], start: int, embargo_days: int = EMBARGO_DAYS) -> Split:
    """Everything before the final window, less the embargo, against the window."""
    days = day_numbers(pairs)
    return Split(FINAL, (Fold(days < start - embargo_days, days >= start),))


def split_at(pairs: Sequence[Sample], moment: datetime) -> Split:
    """What was known before a moment against what came from it on, without an embargo.

    Raises `MissingData` where one of the two has no pair.
    """
    later = np.array([pair.as_of >= moment for pair in pairs])
    if later.all() or not later.any():
        first, last = min(pair.as_of for pair in pairs), max(pair.as_of for pair in pairs)
        raise MissingData(
            f"{moment:%Y-%m-%dT%H:%MZ} does not part the pairs, which are from {first:%Y-%m-%dT%H:%MZ} to "
            f"{last:%Y-%m-%dT%H:%MZ}"
        )
    return Split(f"from {moment:%Y-%m-%dT%H:%MZ} on", (Fold(~later, later),))


def _later(days: FloatArray, embargo_days: int) -> tuple[Fold, ...]:
    each = np.unique(days)
    first = max(1, round(len(each) * FIRST_ORIGIN))
    bounds = np.unique(np.linspace(first, len(each), ORIGINS + 1).round().astype(np.int64))
    folds = []
    for low, high in pairwise(bounds.tolist()):
        begin, end = each[low], each[high - 1]
        seen, judged = days < begin - embargo_days, (days >= begin) & (days <= end)
        if seen.any() and judged.any():
            folds.append(Fold(seen, judged))
    return tuple(folds)


def _new_coin(pairs: Sequence[Sample], coin: str) -> Fold:
    own = np.array([pair.coin == coin for pair in pairs])
    return Fold(np.ones(len(pairs), np.bool_), own, coin)


def _both(pairs: Sequence[Sample], embargo_days: int) -> tuple[Fold, ...]:
    names = np.array([pair.coin for pair in pairs])
    return tuple(
        Fold(fold.train, fold.test & (names == coin), coin)
        for fold in _later(day_numbers(pairs), embargo_days)
        for coin in coins_of(pairs)
        if (fold.test & (names == coin)).any() and (fold.train & (names != coin)).any()
    )


def blocks_of(pairs: Sequence[Sample], days: int = BLOCK_DAYS) -> IntArray:
    """A number per pair; pairs of one coin within the same `days` share it."""
    first = min(pair.day for pair in pairs)
    names = [(pair.coin, (pair.day - first) // days) for pair in pairs]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names])
