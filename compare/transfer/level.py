"""The factors, by leverage, that make predicted liquidations those that happened; per side (method, section 3, G2d).

With `F` the predicted flow of step h at node l, `y` the liquidations that the feed told, `rho` the share it tells:

    mu[h] = rho * sum_l F[h, l] r(l),    ln r = b at `REFERENCE_LEVERAGES`, straight in ln l between them
    max over b   sum_h {(y + f) ln(mu + f) - mu} / phi - (b - c)' P (b - c) / 2
    inverse of P = level_sd^2 + DEVIATION_SD^2 exp(-(x - x')^2 / (2 LENGTH^2)),    x = ln l

That is quasi-Poisson with variance phi (mu + f): `f`, 0.3 of the mean of y, keeps empty steps from ruling, phi is
Pearson's. The correction is local: liquidations of the next hour are of high leverages, and what they say of those
reaches others no further than `LENGTH`; beyond it only a level that all leverages share moves, and that is held to be
small. (The method's level and slope carry what is seen near the mark to positions of which nothing was seen.) The
venue's b is pulled towards Hyperliquid's (c); of Hyperliquid's own level nothing is assumed, so a factor that both share
cancels in their ratio.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from heatmap.grid import FloatArray, IntArray

REFERENCE_LEVERAGES: Final = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Below the first and above the last the factor is that of the nearest."""
LEVEL_SD: Final = 0.3
DEVIATION_SD: Final = 0.7
LENGTH: Final = 0.8
"""Of ln l; chosen with the two above on the synthetic venues of `benchmarks/bench_transfer.py`."""
FLOOR: Final = 0.3
FEWEST_DAYS: Final = 5
DRAWS: Final = 200
ROUNDS: Final = 25
STEPS: Final = 50

Levels = tuple[float, ...]
"""Logarithms of factors at `REFERENCE_LEVERAGES`."""
NO_TILT: Final[Levels] = (0.0,) * len(REFERENCE_LEVERAGES)


@dataclass(frozen=True, eq=False)
class SideSteps:
    """One side of one venue: `predicted_usd` (steps, nodes), `realised_usd` (steps,) as told by the feed, the `day` of
    each step as a number, and how many `events` were told."""

    predicted_usd: FloatArray
    realised_usd: FloatArray
    day: IntArray
    events: int


@dataclass(frozen=True, eq=False)
class Tilt:
    """`b` with its `covariance`: that of the curvature, widened per leverage where a bootstrap of days is wider; its
    standard deviations `by_days` are null for fewer than `FEWEST_DAYS`. `dispersion` is phi, in USD."""

    b: Levels
    covariance: FloatArray
    by_days: Levels | None
    dispersion: float

    @property
    def sd(self) -> Levels:
        """Standard errors of `b`."""
        return _levels(np.sqrt(np.diag(self.covariance)))


def ratios(leverage: FloatArray, b: Levels) -> FloatArray:
    """r per node."""
    return np.asarray(np.exp(hats(leverage) @ np.array(b)))


def fit_tilt(
    side: SideSteps,
    leverage: FloatArray,
    coverage: float,
    *,
    towards: Levels = NO_TILT,
    level_sd: float = LEVEL_SD,
    seed: int = 0,
) -> Tilt:
    """Fit one side; without any step `towards` and the prior's covariance come back. With an infinite `level_sd`
    nothing is assumed of the level."""
    problem = _Problem(side, leverage, coverage, np.array(towards), prior_precision(level_sd))
    b, dispersion = problem.solved()
    covariance = np.linalg.inv(problem.curvature(b, dispersion))
    by_days = _by_days(problem, b, dispersion, seed)
    if by_days is not None:
        wider = np.maximum(by_days / np.sqrt(np.diag(covariance)), 1.0)
        covariance = covariance * np.outer(wider, wider)
    return Tilt(_levels(b), covariance, None if by_days is None else _levels(by_days), dispersion)


def prior_precision(level_sd: float) -> FloatArray:
    """`P` of the module's docstring."""
    x = np.log(REFERENCE_LEVERAGES)
    smooth = DEVIATION_SD**2 * np.exp(-(((x[:, None] - x) / LENGTH) ** 2) / 2)
    local = np.linalg.inv(smooth)
    along = local.sum(axis=0)
    return np.asarray(local - np.outer(along, along) / (along.sum() + level_sd**-2))


@dataclass(frozen=True, eq=False)
class _Problem:
    side: SideSteps
    leverage: FloatArray
    coverage: float
    towards: FloatArray
    precision: FloatArray

    @cached_property
    def floor(self) -> float:
        told = self.side.realised_usd
        return max(FLOOR * float(told.mean()), np.finfo(float).tiny) if told.size else 1.0

    @cached_property
    def terms(self) -> FloatArray:
        return hats(self.leverage)

    @cached_property
    def told_usd(self) -> FloatArray:
        """What the feed would tell of each node's flow."""
        return self.coverage * self.side.predicted_usd

    def solved(self) -> tuple[FloatArray, float]:
        """The optimum, and phi there: found in turns."""
        b, dispersion = self.towards, self.dispersion(self.towards)
        if not self.side.realised_usd.size:
            return b, dispersion
        for _ in range(ROUNDS):
            b = self.optimum(b, dispersion)
            before, dispersion = dispersion, self.dispersion(b)
            if abs(dispersion - before) <= 1e-6 * before:
                break
        return b, dispersion

    def optimum(self, start: FloatArray, dispersion: float) -> FloatArray:
        """Fisher's scoring, each step halved until it does not make things worse."""
        b, worth = start, self.worth(start, dispersion)
        for _ in range(STEPS):
            move = np.linalg.solve(self.curvature(b, dispersion), self.slope(b, dispersion))
            move /= max(1.0, float(np.abs(move).max()))
            found = self.worth(b + move, dispersion)
            while found < worth and np.abs(move).max() > 1e-12:
                move /= 2
                found = self.worth(b + move, dispersion)
            if found < worth or np.abs(move).max() < 1e-10:
                return b
            b, worth = b + move, found
        return b

    def expected(self, b: FloatArray) -> FloatArray:
        return np.asarray(self.told_usd @ np.exp(self.terms @ b))

    def worth(self, b: FloatArray, dispersion: float) -> float:
        """What is maximised."""
        mean = self.expected(b)
        told = (self.side.realised_usd + self.floor) * np.log(mean + self.floor) - mean
        apart = b - self.towards
        return float(told.sum() / dispersion - apart @ self.precision @ apart / 2)

    def slope(self, b: FloatArray, dispersion: float) -> FloatArray:
        mean = self.expected(b)
        missed = (self.side.realised_usd - mean) / (mean + self.floor)
        return np.asarray(self._moves(b).T @ missed / dispersion - self.precision @ (b - self.towards))

    def curvature(self, b: FloatArray, dispersion: float) -> FloatArray:
        moves = self._moves(b)
        weighed = moves / (self.expected(b) + self.floor)[:, None]
        return np.asarray(moves.T @ weighed / dispersion + self.precision)

    def per_day(
        self, b: FloatArray, dispersion: float, of_step: IntArray, days: int
    ) -> tuple[FloatArray, FloatArray]:
        """Slopes (days, levels) and curvatures (days, levels, levels) of what each day's steps add, without the prior."""
        mean, moves = self.expected(b), self._moves(b)
        spread = dispersion * (mean + self.floor)
        member = (of_step == np.arange(days)[:, None]).astype(np.float64)
        each = moves[:, :, None] * moves[:, None, :] / spread[:, None, None]
        missed = (self.side.realised_usd - mean) / spread
        return member @ (moves * missed[:, None]), np.tensordot(member, each, 1)

    def dispersion(self, b: FloatArray) -> float:
        mean, told = self.expected(b), self.side.realised_usd
        if not told.size:
            return 1.0
        pearson = float(((told - mean) ** 2 / (mean + self.floor)).sum()) / max(told.size - len(b), 1)
        return max(pearson, 1e-9 * self.floor)

    def _moves(self, b: FloatArray) -> FloatArray:
        """Derivative of the mean by b, shape (steps, levels)."""
        return np.asarray(self.told_usd @ (self.terms * np.exp(self.terms @ b)[:, None]))


def _by_days(problem: _Problem, b: FloatArray, dispersion: float, seed: int) -> FloatArray | None:
    """Standard deviations over draws of as many days as there are, with replacement; null for too few days.

    Each draw is one step of Newton's from the optimum, for which sums per day suffice.
    """
    days, of_step = np.unique(problem.side.day, return_inverse=True)
    if days.size < FEWEST_DAYS:
        return None
    slopes, curvatures = problem.per_day(b, dispersion, of_step, days.size)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(days.size, np.full(days.size, 1 / days.size), DRAWS).astype(np.float64)
    held = problem.precision
    matrix = np.tensordot(times, curvatures, 1) + held
    right = times @ slopes - held @ (b - problem.towards)
    return np.asarray(np.std(np.linalg.solve(matrix, right[:, :, None])[..., 0], axis=0))


def hats(leverage: FloatArray) -> FloatArray:
    """Weights of `REFERENCE_LEVERAGES` at each leverage, shape (leverages, levels): they sum to one."""
    at = np.log(REFERENCE_LEVERAGES)
    return np.stack([np.interp(np.log(leverage), at, one) for one in np.eye(at.size)], axis=1)


def _levels(values: FloatArray) -> Levels:
    return tuple(values.tolist())
