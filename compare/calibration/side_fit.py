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

Likewise of a mixture of coordinates: how open interest divides between them shows in differences between coins alone,
a few points in a plane of highest leverage and volatility. So its shares are the mean of mixtures that leave out one
coordinate each (`Pull.mean_of`), all from the same equations: none stands for another that it resembles here. Where a
single coordinate draws other coins nearer, it is taken alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.compare.calibration.samples import Sample, SideSample, nodes_on, smoothed
from liqtruth.compare.statistics.map_scores import BINS
from liqtruth.compare.statistics.non_negative import at_most_one
from liqtruth.compare.statistics.normal_equations import Blocks, Normal, formed, summed
from liqtruth.estimator.model.leverage_model import (
    MAINTENANCE,
    MIXED,
    MIXED_OF,
    Coordinate,
    LeverageModel,
    parts_of,
)
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
SEEN_LEAST: Final = 1e-6
LEAST_VARIANCE: Final = 1e-12


@dataclass(frozen=True)
class Pull:
    """How strongly shares are drawn to the prior, and with a mixture in which coordinates turnover classes stand: the
    shares are the mean of mixtures of these, empty where all rows are solved for together. What follows the mark is in
    each."""

    ridge: float = RIDGE
    mean_of: tuple[tuple[Coordinate, ...], ...] = ()

    @property
    def only(self) -> Coordinate | None:
        """The one coordinate that classes stand in, null where they stand in several."""
        named = {name for mixture in self.mean_of for name in mixture}
        return named.pop() if len(named) == 1 else None

    def mixtures(self, prior: FloatArray) -> Iterator[tuple[BoolArray, FloatArray]]:
        """Of each mixture the rows (rows,) that may hold anything, and what they are drawn to: the prior (rows, nodes)
        with its classes in equal parts, since how it divides them between coordinates is no knowledge of these coins.
        """
        if not self.mean_of:
            yield np.ones(len(prior), np.bool_), prior
            return
        parts = parts_of(len(prior))
        whole = np.sum([prior[part] for part in parts.values()], axis=0)
        for mixture in self.mean_of:
            kept, towards = np.ones(len(prior), np.bool_), prior.copy()
            for name, part in parts.items():
                kept[part] = name in mixture
                towards[part] = whole / len(mixture) if name in mixture else 0.0
            yield kept, towards

    def towards(self, prior: FloatArray) -> FloatArray:
        """Mean over mixtures of what they are drawn to."""
        return np.asarray(np.mean([towards for _, towards in self.mixtures(prior)], axis=0))


WEAKEST: Final = Pull()
WITHOUT_ONE: Final = Pull(mean_of=tuple(combinations(MIXED_OF, len(MIXED_OF) - 1)))
"""Of a mixture: every one that leaves out a coordinate."""


@dataclass(frozen=True, eq=False)
class SideFit:
    """`shares` (classes, nodes) sum to at most one; `free` (nodes,) were fitted, the others are the prior's, times
    `prior_scale`. `at_most_one` where the bound on the sum was needed. `blocks` are null without data; under `pull`
    they are solved again. `found` are weights of the free columns, mixtures apart, by pull and coins left out: what is
    asked again, by another fold or choice, is not solved again."""

    shares: FloatArray
    free: BoolArray
    prior: FloatArray
    prior_scale: float
    at_most_one: bool
    blocks: Blocks | None
    pull: Pull = WEAKEST
    found: dict[tuple[Pull, frozenset[str]], FloatArray] = field(default_factory=dict, repr=False)

    @cached_property
    def towards(self) -> FloatArray:
        """What the shares are drawn to, of the shape of `prior`."""
        return self.pull.towards(self.prior)

    def resolution(self) -> FloatArray:
        """How much of a change in each free column's share the data would bring into every other's, shape (free
        columns, free columns): (G + P)^-1 G, that is the identity where the data tell all, nothing where they tell
        nothing. The bounds on the shares are left out of account."""
        columns = len(self.prior) * int(self.free.sum())
        if self.blocks is None:
            return np.zeros((columns, columns))
        pooled = self.blocks.summed()
        penalised = _penalised(pooled, _penalty(pooled, int(self.free.sum()), self.pull.ridge))
        rows = np.any([kept for kept, _ in self.pull.mixtures(self.prior)], axis=0)
        kept = np.flatnonzero(np.repeat(rows, int(self.free.sum())))
        matrix = (pooled.matrix / pooled.pairs)[np.ix_(kept, kept)]
        found = np.zeros((columns, columns))
        found[np.ix_(kept, kept)] = np.linalg.solve(penalised[np.ix_(kept, kept)], matrix)
        return found

    def refitted(self, times: IntArray) -> FloatArray:
        """Shares from each block as often as in `times`, under the variances of the last round."""
        return next(self.each_refitted(times[None, :]))

    def each_refitted(self, times: IntArray) -> Iterator[FloatArray]:
        """As `refitted`, for each row of `times` (draws, blocks)."""
        if self.blocks is None:
            yield from (self.towards for _ in times)
            return
        guess = self._weights(frozenset())
        for normal in self.blocks.each_summed(times):
            yield self._completed(self._solved(normal, guess) if normal.pairs else None)

    def without(self, *coins: str) -> FloatArray:
        """Shares from the blocks of all other coins; of three or more the mean of fits that leave one of them out."""
        if self.blocks is None:
            return self.towards
        others = [coin for coin in self.blocks.by_coin if coin not in coins]
        apart = [(coin,) for coin in others] if len(others) >= FEWEST_AVERAGED else [()]
        return np.asarray(np.mean([self.leaving(*coins, *one) for one in apart], axis=0))

    def leaving(self, *coins: str) -> FloatArray:
        """Shares from the blocks of all other coins, in one fit."""
        if self.blocks is None:
            return self.towards
        gone = frozenset(coins).intersection(self.blocks.by_coin)
        return self._completed(self._weights(gone))

    def _weights(self, gone: frozenset[str]) -> FloatArray | None:
        """Weights (mixtures, classes, free nodes) without these coins, null where no other is left; guessed from those
        of one coin more."""
        assert self.blocks is not None
        key = self.pull, gone
        if key not in self.found:
            normal = self.blocks.without(gone)
            if normal is None:
                return None
            guess = self._weights(gone - {max(gone)}) if gone else None
            self.found[key] = self._solved(normal, guess)
        return self.found[key]

    def _solved(self, normal: Normal, guess: FloatArray | None) -> FloatArray:
        return solved_apart(normal, self.prior[:, self.free], self.pull, guess)[0]

    def _completed(self, weights: FloatArray | None) -> FloatArray:
        if weights is None:
            return self.towards
        return completed(weights.mean(axis=0), self.towards, self.free)[0]

    def pulled(self, pull: Pull | None = None) -> "SideFit":
        """Drawn to the prior like this (default: as it is), with the shares that are `without` no coin."""
        anew = self if pull is None else replace(self, pull=pull)
        return replace(anew, shares=anew.without())

    def deviating(self, coin: str, ridge: float) -> FloatArray:
        """Shares of one coin: fitted to its own blocks, penalty to the pooled shares by `ridge`."""
        own = None if self.blocks is None else self.blocks.by_coin.get(coin)
        return self.shares if own is None else self._deviating(own, self.shares, ridge)

    def _deviating(self, own: Normal, pooled: FloatArray, ridge: float) -> FloatArray:
        pull = replace(self.pull, ridge=ridge) if self.pull.only else Pull(ridge)
        weight, _ = solved(own, pooled[:, self.free], pull)
        return completed(weight, self.towards, self.free)[0]

    def of_pairs(self, kept: BoolArray, coins: Sequence[str], ridge: float | None) -> dict[str, FloatArray]:
        """Shares per coin as if only the pairs that are `kept` had been seen, under the variances of the last round:
        pooled, with a `ridge` the coin's own where any of its pairs is."""
        by_coin = {} if self.blocks is None else self.blocks.by_coin_of(kept)
        if not by_coin:
            return dict.fromkeys(coins, self.towards)
        guess = self._weights(frozenset())
        pooled = self._completed(self._solved(summed([*by_coin.values()]), guess))
        if ridge is None:
            return dict.fromkeys(coins, pooled)
        return {
            coin: self._deviating(by_coin[coin], pooled, ridge) if coin in by_coin else pooled
            for coin in coins
        }


def separable(
    pairs: Sequence[Sample], model: LeverageModel, coordinate: Coordinate = "leverage"
) -> BoolArray:
    """Nodes that data can separate: at least 3x and no nearer than maintenance allows (`MAINTENANCE` times the highest
    leverage) on the market of some pair, with mass within reach."""
    nodes = np.array(model.leverage)
    within, seen = np.zeros(nodes.size, np.bool_), np.zeros(nodes.size)
    for pair in pairs:
        for name in MIXED_OF if coordinate == MIXED else (coordinate,):
            own = nodes_on(model, name, pair.highest_leverage, pair.daily_volatility)
            within |= (own >= LEAST_LEVERAGE) & (own <= MAINTENANCE * pair.highest_leverage)
        for side in (pair.long, pair.short):
            seen += side.response(coordinate).sum(axis=0).reshape(-1, nodes.size).max(axis=0)
    return np.asarray(within & (seen > SEEN_LEAST))


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
    pull = WITHOUT_ONE if coordinate == MIXED else WEAKEST
    prior = pull.towards(prior)
    if not sides or not free.any():
        return SideFit(prior, free & bool(sides), prior, 1.0, False, None, pull)
    wanted = [side.crowd for side in sides] if targets is None else targets
    data = _Data.of(sides, wanted, prior, free, coordinate)
    modelled, scale = np.full(data.targets.shape, float(data.targets.mean())), 1.0
    for _ in range(ROUNDS - 1):
        equations = formed(partial(data.normal, modelled, scale), np.arange(len(sides)))
        weight, _ = solved(equations, prior[:, free], pull)
        shares, scale = completed(weight, prior, free)
        modelled = data.drawn(shares[:, free], scale)
    last = Blocks(tuple(blocks), partial(data.normal, modelled, scale))
    weight, bound = solved(last.summed(), prior[:, free], pull)
    shares, scale = completed(weight, prior, free)
    return SideFit(shares, free, prior, scale, bound, last, pull)


def solved(normal: Normal, prior: FloatArray, pull: Pull = WEAKEST) -> tuple[FloatArray, bool]:
    """Weights (classes, free nodes) that are not negative and sum to at most one, and whether that bound was needed;
    drawn to the `prior` by `pull`, the mean of its mixtures."""
    apart, bound = solved_apart(normal, prior, pull)
    return np.asarray(apart.mean(axis=0)), bound


def solved_apart(
    normal: Normal, prior: FloatArray, pull: Pull, guess: FloatArray | None = None
) -> tuple[FloatArray, bool]:
    """As `solved`, of each mixture its own (mixtures, classes, free nodes), and whether one needed the bound. `guess`
    are those of a problem like it: which weights are positive differs more by mixture than by coin or draw."""
    penalty = _penalty(normal, prior.shape[1], pull.ridge)
    matrix = _penalised(normal, penalty)
    found, bounds = [], []
    for at, (rows, towards) in enumerate(pull.mixtures(prior)):
        kept = np.flatnonzero(np.repeat(rows, prior.shape[1]))
        right = normal.right / normal.pairs + (towards @ penalty).ravel()
        start, weight = (towards if guess is None else guess[at]).ravel(), np.zeros(prior.size)
        own = matrix if rows.all() else matrix.take(kept, axis=0).take(kept, axis=1)
        weight[kept], bound = at_most_one(own, right[kept], start[kept])
        found.append(weight.reshape(prior.shape))
        bounds.append(bound)
    return np.stack(found), any(bounds)


def completed(weight: FloatArray, prior: FloatArray, free: BoolArray) -> tuple[FloatArray, float]:
    """Fitted shares with the prior's beside them, and by what those were scaled to leave the sum at one or below."""
    rest = float(prior[:, ~free].sum())
    scale = min(1.0, max(0.0, 1.0 - float(weight.sum())) / rest) if rest > 0 else 1.0
    shares = prior * scale
    shares[:, free] = weight
    return shares / max(1.0, float(shares.sum())), scale


@dataclass(frozen=True, eq=False)
class _Data:
    """Smoothed free `columns` (pairs, bins, columns) in single precision; what the prior's nodes draw, `rest`, and the
    targets, both (pairs, bins)."""

    columns: NDArray[np.float32]
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
        columns = np.empty((len(sides), BINS, chosen.size), np.float32)
        rest = np.empty((len(sides), BINS))
        for at, side in enumerate(sides):
            response = side.response(coordinate)
            columns[at] = smoothed(response.take(chosen, axis=1))
            rest[at] = response.take(others, axis=1) @ fixed
        return cls(columns, smoothed(rest.T).T, smoothed(np.stack(targets).T).T)

    def drawn(self, weight: FloatArray, scale: float) -> FloatArray:
        return np.asarray(self.columns @ weight.ravel().astype(np.float32) + scale * self.rest)

    def normal(self, modelled: FloatArray, scale: float, rows: IntArray) -> Normal:
        """Equations of some pairs: products in single precision, each weighed by the root of its variance."""
        chosen = slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] < len(rows) else rows
        floor = max(VARIANCE_FLOOR * float(self.targets.mean()), LEAST_VARIANCE)
        root = 1.0 / np.sqrt(modelled[chosen] + floor)
        wanted = (self.targets[chosen] - scale * self.rest[chosen]) * root
        flat = self.columns[chosen] * root[:, :, None].astype(np.float32)
        flat = flat.reshape(root.size, self.columns.shape[2])
        return Normal(flat.T @ flat, wanted.ravel() @ flat.astype(np.float64), len(rows))


def _penalised(normal: Normal, penalty: FloatArray) -> FloatArray:
    """The mean of the matrix over pairs (columns, columns), with the penalty of a class (nodes, nodes) on each."""
    matrix = normal.matrix / normal.pairs
    nodes = len(penalty)
    for at in range(0, len(matrix), nodes):
        matrix[at : at + nodes, at : at + nodes] += penalty
    return matrix


def _penalty(normal: Normal, nodes: int, ridge: float) -> FloatArray:
    """The penalty on the weights of one class (nodes, nodes), on the scale of the mean of the diagonal."""
    scale = float(np.trace(normal.matrix)) / normal.pairs / normal.right.size or 1.0
    return scale * _unit_penalty(nodes, ridge)


@lru_cache(maxsize=16)
def _unit_penalty(nodes: int, ridge: float) -> FloatArray:
    bend = np.diff(np.eye(nodes), n=2, axis=0) if nodes > 2 else np.zeros((0, nodes))
    return np.asarray(BEND**2 * bend.T @ bend + ridge**2 * np.eye(nodes))
