"""The tilt that makes predicted liquidations those that happened, per side (method, section 3, G2d).

With `F` the predicted flow of step h at node l, `y` the reported liquidations, `rho` the share that the feed reports:

    mu[h] = rho * sum_l F[h, l] r(l),    r(l) = exp(b0 + b1 z + b2 z^2),    z = ln(l / 10) / 0.8
    max over b   sum_h {(y + f) ln(mu + f) - mu} / phi - sum_j (b_j - c_j)^2 / (2 sd_j^2)

That is quasi-Poisson with variance phi (mu + f): `f`, 0.3 of the mean of y, keeps empty steps from ruling, phi is
Pearson's. The venue's tilt is pulled towards Hyperliquid's (c), so that what its liquidations cannot tell stays as the
model has it; of Hyperliquid's own level nothing is assumed, so a factor that both share cancels in their ratio.

Liquidations of the next hour are of positions near the mark. What they show holds for those; how far it holds for the
others of the same leverage, which stand about 1 / l away, they do not show. The time that a price takes to come there
grows with the square of it, so a tilt counts for a node in that measure:

    w(l) = min(1, (l / NEAR_LEVERAGE)^2)
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from liqtruth.compare.statistics.intervals import LEAST_DAYS, times_drawn
from liqtruth.heatmap.grid import FloatArray, IntArray

REFERENCE_LEVERAGE: Final = 10.0
LOG_SCALE: Final = 0.8
NEAR_LEVERAGE: Final = 40.0
"""Prices go the 2.5 % to such a position's liquidation in about a day. Chosen on the synthetic venues of
`benchmarks/bench_transfer.py`, where with every node counted whole the mass within 10 % of the mark came out worse than
without any correction."""
PRIOR_SD: Final = (1.0, 0.15, 0.08)
REFERENCE_SD: Final = (np.inf, 0.15, 0.08)
"""Of Hyperliquid's own tilt."""
FLOOR: Final = 0.3
DRAWS: Final = 200
ROUNDS: Final = 25
STEPS: Final = 50

Triple = tuple[float, float, float]
NO_TILT: Final[Triple] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class SideSteps:
    """One side of one venue: `predicted_usd` (steps, nodes), `realised_usd` (steps,) as reported by the feed, the `day`
    of each step as a number, and how many `events` were reported."""

    predicted_usd: FloatArray
    realised_usd: FloatArray
    day: IntArray
    events: int


@dataclass(frozen=True, eq=False)
class Tilt:
    """`b` with its `covariance`: that of the curvature, widened where a bootstrap of days is wider; its standard
    deviations `by_days` are null for fewer than `LEAST_DAYS`. `dispersion` is phi, in USD."""

    b: Triple
    covariance: FloatArray
    by_days: Triple | None
    dispersion: float

    @property
    def sd(self) -> Triple:
        """Standard errors of `b`."""
        return _triple(np.sqrt(np.diag(self.covariance)))


def ratios(leverage: FloatArray, b: Triple) -> FloatArray:
    """r per node."""
    return np.asarray(np.exp(powers(leverage) @ np.array(b)))


def local_powers(leverage: FloatArray) -> FloatArray:
    """`powers` in the measure in which a tilt counts, w of the module's docstring."""
    return np.asarray(powers(leverage) * np.minimum(1.0, (leverage / NEAR_LEVERAGE) ** 2)[:, None])


def local_ratios(leverage: FloatArray, b: Triple) -> FloatArray:
    """r ** w per node: what shares are multiplied by."""
    return np.asarray(np.exp(local_powers(leverage) @ np.array(b)))


def fit_tilt(
    side: SideSteps,
    leverage: FloatArray,
    coverage: float,
    *,
    towards: Triple = NO_TILT,
    prior_sd: Triple = PRIOR_SD,
    seed: int = 0,
) -> Tilt:
    """Fit one side; without any step `towards` and the prior's covariance come back."""
    problem = _Problem(side, leverage, coverage, np.array(towards), 1.0 / np.square(prior_sd))
    b, dispersion = problem.solved()
    covariance = np.asarray(np.linalg.inv(problem.curvature(b, dispersion)))
    by_days = _by_days(problem, b, dispersion, seed)
    if by_days is None:
        return Tilt(_triple(b), covariance, None, dispersion)
    wider = np.maximum(by_days / np.sqrt(np.diag(covariance)), 1.0)
    return Tilt(_triple(b), covariance * np.outer(wider, wider), _triple(by_days), dispersion)


@dataclass(frozen=True, eq=False)
class _Problem:
    side: SideSteps
    leverage: FloatArray
    coverage: float
    towards: FloatArray
    precision: FloatArray

    @cached_property
    def floor(self) -> float:
        observed = self.side.realised_usd
        return max(FLOOR * float(observed.mean()), np.finfo(float).tiny) if observed.size else 1.0

    @cached_property
    def terms(self) -> FloatArray:
        return powers(self.leverage)

    @cached_property
    def reported_usd(self) -> FloatArray:
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
        return np.asarray(self.reported_usd @ np.exp(self.terms @ b))

    def worth(self, b: FloatArray, dispersion: float) -> float:
        """What is maximised."""
        mean = self.expected(b)
        likelihood = (self.side.realised_usd + self.floor) * np.log(mean + self.floor) - mean
        return float(likelihood.sum() / dispersion - (self.precision * (b - self.towards) ** 2).sum() / 2)

    def slope(self, b: FloatArray, dispersion: float) -> FloatArray:
        mean = self.expected(b)
        missed = (self.side.realised_usd - mean) / (mean + self.floor)
        return np.asarray(self._moves(b).T @ missed / dispersion - self.precision * (b - self.towards))

    def curvature(self, b: FloatArray, dispersion: float) -> FloatArray:
        moves = self._moves(b)
        weighed = moves / (self.expected(b) + self.floor)[:, None]
        return np.asarray(moves.T @ weighed / dispersion + np.diag(self.precision))

    def per_day(
        self, b: FloatArray, dispersion: float, of_step: IntArray, days: int
    ) -> tuple[FloatArray, FloatArray]:
        """Slopes (days, 3) and curvatures (days, 3, 3) of what each day's steps add, without the prior."""
        mean, moves = self.expected(b), self._moves(b)
        spread = dispersion * (mean + self.floor)
        member = (of_step == np.arange(days)[:, None]).astype(np.float64)
        each = moves[:, :, None] * moves[:, None, :] / spread[:, None, None]
        missed = (self.side.realised_usd - mean) / spread
        return member @ (moves * missed[:, None]), np.tensordot(member, each, 1)

    def dispersion(self, b: FloatArray) -> float:
        mean, observed = self.expected(b), self.side.realised_usd
        if not observed.size:
            return 1.0
        pearson = float(((observed - mean) ** 2 / (mean + self.floor)).sum()) / max(observed.size - len(b), 1)
        return max(pearson, 1e-9 * self.floor)

    def _moves(self, b: FloatArray) -> FloatArray:
        """Derivative of the mean by b, shape (steps, 3)."""
        return np.asarray(self.reported_usd @ (self.terms * np.exp(self.terms @ b)[:, None]))


def _by_days(problem: _Problem, b: FloatArray, dispersion: float, seed: int) -> FloatArray | None:
    """Standard deviations over draws of as many days as there are, with replacement; null for too few days.

    Each draw is one step of Newton's from the optimum, for which sums per day suffice.
    """
    days, of_step = np.unique(problem.side.day, return_inverse=True)
    if days.size < LEAST_DAYS:
        return None
    slopes, curvatures = problem.per_day(b, dispersion, of_step, days.size)
    times = times_drawn(days.size, seed, DRAWS)
    penalty = np.diag(problem.precision)
    matrix = np.tensordot(times, curvatures, 1) + penalty
    right = times @ slopes - penalty @ (b - problem.towards)
    return np.asarray(np.std(np.linalg.solve(matrix, right[:, :, None])[..., 0], axis=0))


def powers(leverage: FloatArray) -> FloatArray:
    """1, z and z^2 per leverage, shape (leverages, 3)."""
    z = np.log(leverage / REFERENCE_LEVERAGE) / LOG_SCALE
    return np.stack([np.ones_like(z), z, z**2], axis=1)


def _triple(values: FloatArray) -> Triple:
    first, second, third = values.tolist()
    return first, second, third
