"""Normal equations of least squares as sums over blocks: what leaves a coin out, or draws blocks anew, adds up parts
and looks at no column again.

A block has a name, a coin and a day. What a coin adds is formed at once; what a block adds, much more to hold, when it
is first asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import FloatArray, IntArray

PAIRS_AT_ONCE: Final = 32
"""Pairs whose equations are formed together: few enough to stay in the processor's cache."""
SUMS_AT_ONCE: Final = 50
"""Sums of blocks that are one product of matrices: bounds the memory for many draws."""


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations, summed over some pairs: `matrix` (columns, columns), `right` (columns,)."""

    matrix: NDArray[np.floating]
    right: FloatArray
    pairs: int


def formed(normal: Callable[[IntArray], Normal], rows: IntArray) -> Normal:
    """The equations of pairs by their rows, which ascend, in double precision; `normal` forms those of a few."""
    return summed([normal(rows[at : at + PAIRS_AT_ONCE]) for at in range(0, len(rows), PAIRS_AT_ONCE)])


@dataclass(frozen=True, eq=False)
class Blocks:
    """`of_pairs` is the block of each pair, `normal` forms the equations of pairs by their rows."""

    of_pairs: tuple[str, ...]
    normal: Callable[[IntArray], Normal]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.of_pairs))

    @cached_property
    def by_coin(self) -> dict[str, Normal]:
        return self.by_coin_of(np.ones(len(self.of_pairs), np.bool_))

    def by_coin_of(self, kept: NDArray[np.bool_]) -> dict[str, Normal]:
        """The equations of the pairs that are `kept` (pairs,), by coin; a coin without any is not among them."""
        coins = np.array([_coin(name) for name in self.of_pairs])
        each = dict.fromkeys(coins[kept].tolist())
        return {coin: formed(self.normal, np.flatnonzero(kept & (coins == coin))) for coin in each}

    def of_coins(self, coins: Sequence[str]) -> NDArray[np.bool_]:
        """Which blocks are of these coins."""
        return np.array([_coin(name) in coins for name in self.names])

    def without(self, gone: frozenset[str]) -> Normal | None:
        """All blocks but those of these coins; null where none is left."""
        left = [normal for coin, normal in self.by_coin.items() if coin not in gone]
        return summed(left) if left else None

    def summed(self) -> Normal:
        """All blocks."""
        return summed([*self.by_coin.values()])

    def each_summed(self, times: IntArray) -> Iterator[Normal]:
        """Per row of `times` (sums, blocks) all blocks, each so many times."""
        half, right, pairs = self._each
        mirrored = _mirrored(right.shape[1])
        for start in range(0, len(times), SUMS_AT_ONCE):
            part = times[start : start + SUMS_AT_ONCE]
            for one, side, count in zip(
                part.astype(half.dtype) @ half, part @ right, part @ pairs, strict=True
            ):
                yield Normal(one.astype(np.float64).take(mirrored), side, int(count))

    @cached_property
    def _each(self) -> tuple[NDArray[np.floating], FloatArray, IntArray]:
        """Per block the upper half of its matrix, in the precision that products have, and what is beside it."""
        names = np.array(self.of_pairs)
        rows = [np.flatnonzero(names == name) for name in self.names]
        first = self.normal(rows[0])
        columns = len(first.right)
        upper = np.flatnonzero(np.triu(np.ones((columns, columns), np.bool_)))
        half, right = np.empty((len(rows), upper.size), first.matrix.dtype), np.empty((len(rows), columns))
        for at, own in enumerate(rows):
            one = self.normal(own)
            half[at], right[at] = one.matrix.take(upper), one.right
        return half, right, np.array([own.size for own in rows])


def _mirrored(columns: int) -> IntArray:
    """Where each place of a symmetric matrix (columns, columns) stands in its upper half, row by row."""
    place, upper = np.zeros((columns, columns), np.int64), np.triu_indices(columns)
    place[upper] = place.T[upper] = np.arange(len(upper[0]))
    return place


def summed(parts: Sequence[Normal]) -> Normal:
    """The equations of all parts, of which there is at least one."""
    matrix, right = parts[0].matrix.astype(np.float64), parts[0].right.copy()
    for one in parts[1:]:
        matrix += one.matrix
        right += one.right
    return Normal(matrix, right, sum(one.pairs for one in parts))


def _coin(block: str) -> str:
    return block.split(" ")[0]
