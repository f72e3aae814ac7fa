"""Weights of a leverage model by smoothed quasi-Poisson least squares (method, section 3).

Per side, with columns A_n and the crowd's map e_n of each pair, both smoothed, deviations d = w - prior, and the
variance of the last round:

    min over w >= 0, sum w <= 1    mean_n sum_x [e_n - A_n w](x)^2 / (m_n(x) + 0.3 mean e)
                                   + mean diagonal * { 0.1^2 ||D2 d||^2 + 0.03^2 ||d||^2 }

D2 is the second difference over log leverage inside a class. What the data cannot tell (`separable`) is not fitted:
it keeps the prior's shares, smaller where the fitted ones leave less to one. No data at all give back the prior.

Everything after the last round (coins left out, bootstrap, a coin's own deviation) is sums of the normal equations of
blocks, so it costs a solution each and never looks at columns again. With three coins or more the shares are the mean
of fits that leave one out (`without`): coins disagree by more than days do, and no single one should decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.compare.calibration.samples import Sample, SideSample, nodes_on, smoothed
from liqtruth.compare.statistics.non_negative import at_most_one
from liqtruth.estimator.model.leverage_model import MIXED, MIXED_OF, Coordinate, LeverageModel
from liqtruth.heatmap.grid import FloatArray, IntArray

BoolArray = NDArray[np.bool_]

ROUNDS: Final = 3
BEND: Final = 0.1
RIDGE: Final = 0.03
"""The weakest pull to the prior; `selection` tries stronger ones."""
FEWEST_AVERAGED: Final = 3
"""Coins below which fits without one of them rest on too little."""
VARIANCE_FLOOR: Final = 0.3
LEAST_LEVERAGE: Final = 3.0
"""Below it a position's liquidation lies outside of what is fitted, unless the price has moved far."""
MAINTENANCE: Final = 2.0
"""Maintenance is half the initial margin at the highest leverage, so a position that stands may be as near to its
liquidation as twice that leverage would be."""
SEEN_LEAST: Final = 1e-6
LEAST_VARIANCE: Final = 1e-12
AT_ONCE: Final = 128
"""Pairs whose equations are formed together: bounds the memory for months of history."""


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations, summed over some pairs, of the free columns."""

    matrix: FloatArray
    right: FloatArray
    pairs: int


@dataclass(frozen=True, eq=False)
class Blocks:
    """Normal equations per block: `matrix` (blocks, columns, columns) in single precision, which their products have,
    `right` (blocks, columns), `pairs` (blocks,)."""

    names: tuple[str, ...]
    matrix: NDArray[np.float32]
    right: FloatArray
    pairs: IntArray

    def summed(self, times: IntArray | None = None) -> Normal:
        """All blocks, each so many times (default once)."""
        count = np.ones(len(self.names), np.int64) if times is None else times
        return Normal(
            np.tensordot(count.astype(self.matrix.dtype), self.matrix, 1).astype(np.float64),
            count.astype(np.float64) @ self.right,
            int(count @ self.pairs),
        )

    def of_coins(self, coins: Sequence[str]) -> BoolArray:
        """Which blocks are of these coins."""
        return np.array([name.split(" ")[0] in coins for name in self.names])

    @property
    def coins(self) -> tuple[str, ...]:
        """Those that any block is of."""
        return tuple(dict.fromkeys(name.split(" ")[0] for name in self.names))


@dataclass(frozen=True, eq=False)
class SideFit:
    """`shares` (classes, nodes) sum to at most one; `free` (nodes,) were fitted, the others are the prior's, times
    `prior_scale`. `at_most_one` where the bound on the sum was needed. `blocks` are null without data; `ridge` is the
    pull to the prior under which they are solved again."""

    shares: FloatArray
    free: BoolArray
    prior: FloatArray
    prior_scale: float
    at_most_one: bool
    blocks: Blocks | None
    ridge: float = RIDGE

    def resolution(self) -> FloatArray:
        """How much of a change in each free column's share the data would bring into every other's, shape (free
        columns, free columns): (G + P)^-1 G, that is the identity where the data tell all, nothing where they tell
        nothing. The bounds on the shares are left out of account."""
        columns = len(self.prior) * int(self.free.sum())
        if self.blocks is None:
            return np.zeros((columns, columns))
        pooled = self.blocks.summed()
        matrix, penalty = (
            pooled.matrix / pooled.pairs,
            _penalty(pooled, self.prior[:, self.free].shape, self.ridge),
        )
        return np.asarray(np.linalg.solve(matrix + penalty, matrix))

    def refitted(self, times: IntArray) -> FloatArray:
        """Shares from each block as often as in `times`, under the variances of the last round."""
        if self.blocks is None or not times.any():
            return self.prior
        guess = self.shares[:, self.free]
        weight, _ = solved(self.blocks.summed(times), self.prior[:, self.free], self.ridge, guess)
        return completed(weight, self.prior, self.free)[0]

    def without(self, *coins: str) -> FloatArray:
        """Shares from the blocks of all other coins; of three or more the mean of fits that leave one of them out."""
        if self.blocks is None:
            return self.prior
        others = [coin for coin in self.blocks.coins if coin not in coins]
        apart = [(coin,) for coin in others] if len(others) >= FEWEST_AVERAGED else [()]
        return np.asarray(np.mean([self.leaving(*coins, *one) for one in apart], axis=0))

    def leaving(self, *coins: str) -> FloatArray:
        """Shares from the blocks of all other coins, in one fit."""
        if self.blocks is None:
            return self.prior
        return self.refitted((~self.blocks.of_coins(coins)).astype(np.int64))

    def pulled(self, ridge: float = RIDGE) -> "SideFit":
        """Drawn to the prior by so much, with the shares that are `without` no coin."""
        anew = replace(self, ridge=ridge)
        return replace(anew, shares=anew.without())

    def deviating(self, coin: str, ridge: float) -> FloatArray:
        """Shares of one coin: fitted to its own blocks, penalty to the pooled shares by `ridge`."""
        mine = None if self.blocks is None else self.blocks.of_coins([coin])
        if self.blocks is None or mine is None or not mine.any():
            return self.shares
        own = self.blocks.summed(mine.astype(np.int64))
        weight, _ = solved(own, self.shares[:, self.free], ridge)
        return completed(weight, self.prior, self.free)[0]


def separable(
    pairs: Sequence[Sample], model: LeverageModel, coordinate: Coordinate = "leverage"
) -> BoolArray:
    """Nodes that data can separate: at least 3x and at most the highest leverage on the market of some pair, with mass
    within reach. What follows the mark is bounded by maintenance alone: by `MAINTENANCE` times the highest."""
    nodes = np.array(model.leverage)
    within, seen = np.zeros(nodes.size, np.bool_), np.zeros(nodes.size)
    for pair in pairs:
        for name, times in reaching(coordinate):
            own = nodes_on(model, name, pair.highest_leverage, pair.daily_volatility)
            within |= (own >= LEAST_LEVERAGE) & (own <= times * pair.highest_leverage)
        for side in (pair.long, pair.short):
            seen += side.response(coordinate).sum(axis=0).reshape(-1, nodes.size).max(axis=0)
    return np.asarray(within & (seen > SEEN_LEAST))


def reaching(coordinate: Coordinate) -> tuple[tuple[Coordinate, float], ...]:
    """Coordinates of the rows of a model, and up to how many times the highest leverage each places anything."""
    if coordinate != MIXED:
        return ((coordinate, 1.0),)
    return (*((name, 1.0) for name in MIXED_OF), (MIXED_OF[-1], MAINTENANCE))


def fit_side(
    sides: Sequence[SideSample],
    blocks: Sequence[str],
    prior: FloatArray,
    free: BoolArray,
    coordinate: Coordinate = "leverage",
    targets: Sequence[FloatArray] | None = None,
) -> SideFit:
    """Fit one side on pairs, each of which belongs to a block; `prior` of shape (classes, nodes).

    `targets` (bins,) per pair, not smoothed; by default the crowd's maps.
    """
    if not sides or not free.any():
        return SideFit(prior, free & bool(sides), prior, 1.0, False, None)
    wanted = [side.crowd for side in sides] if targets is None else targets
    data = _Data.of(sides, wanted, prior, free, coordinate)
    modelled, scale, bound = np.full(data.targets.shape, float(data.targets.mean())), 1.0, False
    shares, weighed = prior, (modelled, scale)
    for _ in range(ROUNDS):
        weighed = (modelled, scale)
        weight, bound = solved(data.pooled(*weighed), prior[:, free])
        shares, scale = completed(weight, prior, free)
        modelled = data.drawn(shares[:, free], scale)
    return SideFit(shares, free, prior, scale, bound, data.blocks(blocks, *weighed))


def solved(
    normal: Normal, prior: FloatArray, ridge: float = RIDGE, guess: FloatArray | None = None
) -> tuple[FloatArray, bool]:
    """Weights (classes, free nodes) that are not negative and sum to at most one, and whether that bound was needed;
    `guess` are those of a problem like it."""
    matrix, towards = normal.matrix / normal.pairs, normal.right / normal.pairs
    penalty = _penalty(normal, prior.shape, ridge)
    start = prior if guess is None else guess
    weight, bound = at_most_one(matrix + penalty, towards + penalty @ prior.ravel(), start.ravel())
    return weight.reshape(prior.shape), bound


def completed(weight: FloatArray, prior: FloatArray, free: BoolArray) -> tuple[FloatArray, float]:
    """Fitted shares with the prior's beside them, and by what those were scaled to leave the sum at one or below."""
    rest = float(prior[:, ~free].sum())
    scale = min(1.0, max(0.0, 1.0 - float(weight.sum())) / rest) if rest > 0 else 1.0
    shares = prior * scale
    shares[:, free] = weight
    return shares / max(1.0, float(shares.sum())), scale


@dataclass(frozen=True, eq=False)
class _Data:
    """Smoothed `columns` (pairs, bins, filled columns) in single precision; which of the free columns place anything
    (`filled`); what the prior's nodes draw, `rest`, and the targets, both (pairs, bins)."""

    columns: NDArray[np.float32]
    filled: BoolArray
    rest: FloatArray
    targets: FloatArray

    @classmethod
    def of(
        cls,
        sides: Sequence[SideSample],
        targets: Sequence[FloatArray],
        prior: FloatArray,
        free: BoolArray,
        coordinate: Coordinate,
    ) -> "_Data":
        chosen, others = (np.flatnonzero(np.tile(part, len(prior))) for part in (free, ~free))
        fixed = prior.ravel()[others].astype(np.float32)
        drawn = [side.response(coordinate) for side in sides]
        filled: BoolArray = np.stack([np.abs(one).max(axis=0)[chosen] for one in drawn]).max(axis=0) > 0
        columns = np.stack([smoothed(one.take(chosen[filled], axis=1)) for one in drawn], dtype=np.float32)
        rest = np.stack([one.take(others, axis=1) @ fixed for one in drawn])
        return cls(columns, filled, smoothed(rest.T).T, smoothed(np.stack(targets).T).T)

    def drawn(self, weight: FloatArray, scale: float) -> FloatArray:
        own = weight.ravel()[self.filled].astype(np.float32)
        return np.asarray(self.columns @ own + scale * self.rest)

    def blocks(self, names: Sequence[str], modelled: FloatArray, scale: float) -> Blocks:
        members: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            members.setdefault(name, []).append(row)
        each = [self._normal(rows, modelled, scale) for rows in members.values()]
        return Blocks(
            tuple(members),
            np.stack([one.matrix.astype(np.float32) for one in each]),
            np.stack([one.right for one in each]),
            np.array([one.pairs for one in each]),
        )

    def pooled(self, modelled: FloatArray, scale: float) -> Normal:
        count = len(self.targets)
        parts = [range(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]
        each = [self._normal(rows, modelled, scale) for rows in parts]
        return Normal(sum(one.matrix for one in each), sum(one.right for one in each), count)  # type: ignore[arg-type]

    def _normal(self, rows: Sequence[int], modelled: FloatArray, scale: float) -> Normal:
        """Equations of some pairs: products in single precision, each weighed by the root of its variance."""
        floor = max(VARIANCE_FLOOR * float(self.targets.mean()), LEAST_VARIANCE)
        chosen = slice(rows[0], rows[-1] + 1) if isinstance(rows, range) else rows
        root = 1.0 / np.sqrt(modelled[chosen] + floor)
        wanted = (self.targets[chosen] - scale * self.rest[chosen]) * root
        flat = self.columns[chosen] * root[:, :, None].astype(np.float32)
        flat = flat.reshape(root.size, self.columns.shape[2])
        matrix, right = np.zeros((self.filled.size, self.filled.size)), np.zeros(self.filled.size)
        matrix[np.ix_(self.filled, self.filled)] = flat.T @ flat
        right[self.filled] = wanted.ravel() @ flat.astype(np.float64)
        return Normal(matrix, right, len(rows))


def _penalty(normal: Normal, shape: tuple[int, ...], ridge: float = RIDGE) -> FloatArray:
    """The penalty on weights of `shape` (classes, nodes), on the scale of the mean of the diagonal."""
    classes, nodes = shape
    scale = float(np.trace(normal.matrix)) / normal.pairs / normal.right.size or 1.0
    bend = np.diff(np.eye(nodes), n=2, axis=0) if nodes > 2 else np.zeros((0, nodes))
    one_class = BEND**2 * bend.T @ bend + ridge**2 * np.eye(nodes)
    return np.asarray(np.kron(np.eye(classes), scale * one_class), dtype=np.float64)
