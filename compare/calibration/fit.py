"""Weights of a leverage model by smoothed quasi-Poisson least squares (method, section 3).

Per side, with columns A_n and target e_n of each pair, deviations d = w - prior, and the variance of the last round:

    min over w >= 0, sum w <= 1    mean_n sum_x [e_n - A_n w](x)^2 / (m_n(x) + 0.3 mean e)
                                   + mean diagonal * { 0.1^2 ||D2 d||^2 + 0.03^2 ||d||^2 }

D2 is the second difference over log leverage inside a class. What the data cannot tell (`separable`) is not fitted:
it keeps the prior's shares, smaller where the fitted ones leave less to one. No data at all give back the prior.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compare.calibration.pairs import Pair, SidePair
from heatmap.grid import FloatArray

BoolArray = NDArray[np.bool_]

ROUNDS: Final = 3
BEND: Final = 0.1
RIDGE: Final = 0.03
VARIANCE_FLOOR: Final = 0.3
LEAST_LEVERAGE: Final = 3.0
"""Below it a position's liquidation lies outside of what is fitted, unless the price has moved far."""
SEEN_LEAST: Final = 1e-6
HALVINGS: Final = 40


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations, summed over some pairs, of the free columns."""

    matrix: FloatArray
    right: FloatArray
    pairs: int


@dataclass(frozen=True, eq=False)
class SideFit:
    """`shares` (classes, nodes) sum to at most one; `free` (nodes,) were fitted, the others are the prior's, times
    `prior_scale`. `at_most_one` where the bound on the sum was needed. `blocks` are for the bootstrap."""

    shares: FloatArray
    free: BoolArray
    prior: FloatArray
    prior_scale: float
    at_most_one: bool
    blocks: tuple[Normal, ...]

    def resolution(self) -> FloatArray:
        """How much of a change in each free column's share the data would bring into every other's, shape (free
        columns, free columns): (G + P)^-1 G, that is the identity where the data tell all, nothing where they tell
        nothing. The bounds on the shares are left out of account."""
        columns = len(self.prior) * int(self.free.sum())
        if not self.blocks:
            return np.zeros((columns, columns))
        pooled = _summed(self.blocks)
        matrix, held = pooled.matrix / pooled.pairs, _held(pooled, *self.prior[:, self.free].shape)
        return np.asarray(np.linalg.solve(matrix + held, matrix))

    def refitted(self, drawn: NDArray[np.int64]) -> FloatArray:
        """Shares from each block as often as `drawn` says, under the variances of the last round."""
        chosen = np.repeat(np.arange(len(self.blocks)), drawn)
        weight, _ = solved(_summed([self.blocks[place] for place in chosen]), self.prior[:, self.free])
        return completed(weight, self.prior, self.free)[0]


def separable(pairs: Sequence[Pair], leverage: FloatArray) -> BoolArray:
    """Nodes that can be told from each other: from 3x to the highest leverage allowed, with mass within reach."""
    highest = max((pair.highest_leverage for pair in pairs), default=0.0)
    seen = np.zeros(leverage.size)
    for pair in pairs:
        for side in (pair.long, pair.short):
            seen += side.columns.sum(axis=0).reshape(-1, leverage.size).max(axis=0)
    return np.asarray((leverage >= LEAST_LEVERAGE) & (leverage <= highest) & (seen > SEEN_LEAST))


def fit_side(sides: Sequence[SidePair], blocks: Sequence[str], prior: FloatArray, free: BoolArray) -> SideFit:
    """Fit one side on pairs, each of which belongs to a block; `prior` of shape (classes, nodes)."""
    if not sides or not free.any():
        return SideFit(prior, free & bool(sides), prior, 1.0, False, ())
    chosen = np.tile(free, len(prior))
    columns = np.stack([side.columns for side in sides])
    targets = np.stack([side.target for side in sides])
    fitted, rest = columns[:, :, chosen], columns[:, :, ~chosen] @ prior.ravel()[~chosen]
    floor = max(VARIANCE_FLOOR * float(targets.mean()), np.finfo(float).tiny)
    modelled, scale, bound = np.full(targets.shape, float(targets.mean())), 1.0, False
    shares, each = prior, []
    for _ in range(ROUNDS):
        each = _normals(fitted, targets - scale * rest, modelled + floor)
        weight, bound = solved(_summed(each), prior[:, free])
        shares, scale = completed(weight, prior, free)
        modelled = columns @ shares.ravel()
    return SideFit(shares, free, prior, scale, bound, _by_block(each, blocks))


def solved(normal: Normal, prior: FloatArray) -> tuple[FloatArray, bool]:
    """Weights (classes, free nodes) that are not negative and sum to at most one, and whether that bound was needed."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    matrix, towards = normal.matrix / normal.pairs, normal.right / normal.pairs
    held = _held(normal, *prior.shape)
    upper = cholesky(matrix + held)
    right = towards + held @ prior.ravel()

    def at(price: float) -> FloatArray:
        return np.asarray(nnls(upper, solve_triangular(upper, right - price, trans="T"))[0])

    weight = at(0.0)
    if weight.sum() <= 1.0:
        return weight.reshape(prior.shape), False
    low, high = 0.0, float(right.max())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() > 1.0 else (low, middle)
    return at(high).reshape(prior.shape), True


def completed(weight: FloatArray, prior: FloatArray, free: BoolArray) -> tuple[FloatArray, float]:
    """Fitted shares with the prior's beside them, and by what those were scaled to leave the sum at one or below."""
    rest = float(prior[:, ~free].sum())
    scale = min(1.0, max(0.0, 1.0 - float(weight.sum())) / rest) if rest > 0 else 1.0
    shares = prior * scale
    shares[:, free] = weight
    return shares / max(1.0, float(shares.sum())), scale


def _normals(columns: FloatArray, targets: FloatArray, variance: FloatArray) -> list[Normal]:
    weighed = columns / variance[:, :, None]
    return [
        Normal(one.T @ column, one.T @ target, 1)
        for one, column, target in zip(weighed, columns, targets, strict=True)
    ]


def _summed(each: Sequence[Normal]) -> Normal:
    matrix, right = (np.sum([getattr(one, part) for one in each], axis=0) for part in ("matrix", "right"))
    return Normal(matrix, right, sum(one.pairs for one in each))


def _by_block(each: Sequence[Normal], blocks: Sequence[str]) -> tuple[Normal, ...]:
    members: dict[str, list[Normal]] = {}
    for one, block in zip(each, blocks, strict=True):
        members.setdefault(block, []).append(one)
    return tuple(_summed(held) for held in members.values())


def _held(normal: Normal, classes: int, nodes: int) -> FloatArray:
    """The penalty, of shape (classes x nodes) each way, on the scale of the mean of the diagonal."""
    scale = float(np.trace(normal.matrix)) / normal.pairs / normal.right.size or 1.0
    bend = np.diff(np.eye(nodes), n=2, axis=0) if nodes > 2 else np.zeros((0, nodes))
    one_class = BEND**2 * bend.T @ bend + RIDGE**2 * np.eye(nodes)
    return np.asarray(np.kron(np.eye(classes), scale * one_class), dtype=np.float64)
