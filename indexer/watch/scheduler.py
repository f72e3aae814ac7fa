"""Whom to read next: where a unit of weight is expected to put most misplaced notional in its place.

The error of a map is the notional that is not where it belongs: positions of accounts never read, positions that
changed since they were read, and positions whose level drifted without a trade (funding, collateral moved, a
liquidation that the tape did not show). For account `i` at time `t` with size `S` (USD, updated by the tape), notional
traded since its reading `T`, age `a` of the reading and log distance `d` from the mark to its nearest level:

    unread     m = E                                   expected notional, `SizePrior`
    read       m = S * (1 - (1 - c) * exp(-r * a))     with c = min(1, 2 T / (S + T)), r = base * (1 + near * e^(-d/s))

`c` is the share of the account's levels that its trades moved: all of them for a position opened or halved, none where
everything was closed, because the tape has taken that off the map already. `r` grows towards the mark, where accounts
act and are acted upon; a gap in the tape multiplies it, because then no trade is known to be absent. Reading takes `m`
to zero for `w` weight, so the greedy choice is by `m / w`. What is decided here is pure: no clock, no I/O.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray

HOUR_S: Final = 3600.0
VARIANCE_POWER: Final = 1.8
FIT_STEPS: Final = 12


@dataclass(frozen=True)
class Settings:
    """Rates of drift per hour; what a flat account is expected to hold when nobody looked for long."""

    drift_per_hour: float = 0.01
    near_gain: float = 4.0
    near_scale: float = 0.05
    gap_gain: float = 10.0
    flat_usd: float = 50.0


@dataclass(frozen=True)
class Candidates:
    """One row per account, all arrays of one length.

    `size_usd`: notional by the last reading and the trades since. `traded_usd`: notional by which sizes changed since
    the reading. `expected_usd`: of an unread account, size times the probability that it holds any. `distance`: log
    distance from the mark to the nearest level, inf where there is none. `dirty_since_s`: first moment since when the
    reading may be wrong, nan for a clean account. `read_s`: nan for an unread one. `weight`: cost of a reading.
    """

    size_usd: FloatArray
    traded_usd: FloatArray
    expected_usd: FloatArray
    distance: FloatArray
    dirty_since_s: FloatArray
    read_s: FloatArray
    weight: IntArray

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of different lengths: {lengths}")


def misplaced_usd(candidates: Candidates, now_s: float, settings: Settings = Settings()) -> FloatArray:
    """`m` of the module's docstring, per account; never negative, never nan."""
    size, traded = candidates.size_usd, candidates.traded_usd
    moved = np.minimum(1.0, 2 * traded / np.maximum(size + traded, 1e-9))
    unseen = ~np.isnan(candidates.dirty_since_s) & (traded == 0)
    near = np.exp(-np.maximum(candidates.distance, 0.0) / settings.near_scale)
    rate = settings.drift_per_hour * (1 + settings.near_gain * near)
    rate = rate * np.where(unseen, settings.gap_gain, 1.0)
    age_h = np.maximum(now_s - candidates.read_s, 0.0) / HOUR_S
    still = np.exp(-rate * age_h)
    read = size * (1 - (1 - moved) * still) + settings.flat_usd * (1 - still)
    return np.where(np.isnan(candidates.read_s), np.maximum(candidates.expected_usd, 0.0), read)


def priorities(candidates: Candidates, now_s: float, settings: Settings = Settings()) -> FloatArray:
    """Misplaced notional per weight, USD."""
    return np.asarray(misplaced_usd(candidates, now_s, settings) / candidates.weight)


def choose(
    candidates: Candidates, budget_weight: float, now_s: float, settings: Settings = Settings()
) -> IntArray:
    """Rows to read within the budget, the most urgent first; rows that nothing is expected of are left out.

    Less than one dearest reading may stay unspent while anything is left to read. Only as many rows as the budget
    could buy at the lowest weight are put in order, so that a decision over 100,000 accounts takes milliseconds.
    """
    payable = candidates.weight <= budget_weight
    urgency = np.where(payable, priorities(candidates, now_s, settings), 0.0)
    most = int(min(budget_weight / candidates.weight.min(initial=2**31), urgency.size))
    head = np.argpartition(-urgency, most)[:most] if most < urgency.size else np.arange(urgency.size)
    head = head[urgency[head] > 0]
    head = head[np.argsort(-urgency[head], kind="stable")]
    return _affordable(head, candidates.weight[head], budget_weight)


def _affordable(head: IntArray, weight: IntArray, budget_weight: float) -> IntArray:
    """As many of the first as can be paid; what is left over goes to the next ones that it pays for."""
    paid = np.cumsum(weight) <= budget_weight
    left = budget_weight - weight[paid].sum()
    cheaper = ~paid & (weight <= left)
    more = np.flatnonzero(cheaper)[np.cumsum(weight[cheaper]) <= left]
    return np.asarray(np.concatenate([head[paid], head[more]]))


@dataclass
class SizePrior:
    """Expected notional of accounts nobody has read, learned from those that were.

    Notional given hints is zero or, rarely, large: a compound Poisson-gamma law, of which only mean and variance
    enter (quasi-likelihood, variance mean**1.8, log link; Jorgensen, The Theory of Dispersion Models, 1997). So
    `E = exp(X @ coefficients)`, fitted by iteratively reweighted least squares and drawn to `prior` by `strength`
    accounts' worth, so that hints order accounts before the first reading and unread kinds keep their prior.
    """

    prior: FloatArray
    strength: float = 10.0
    coefficients: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.coefficients = self.prior.copy()

    def expected_usd(self, hints: FloatArray) -> FloatArray:
        """Per row of `hints`."""
        return np.asarray(np.exp(np.clip(hints @ self.coefficients, -12.0, 25.0)))

    def learn(self, hints: FloatArray, notional_usd: FloatArray) -> None:
        """Fit to accounts that were read; goes on from the last fit."""
        for _ in range(FIT_STEPS):
            step = self._solved(hints, notional_usd) - self.coefficients
            self.coefficients = self.coefficients + np.clip(step, -1.0, 1.0)

    def _solved(self, hints: FloatArray, notional_usd: FloatArray) -> FloatArray:
        mean = self.expected_usd(hints)
        working = np.log(mean) + (notional_usd - mean) / mean
        weight = mean ** (2 - VARIANCE_POWER)
        pull = self.strength * float(np.median(weight)) * np.ones(self.prior.size)
        normal = (hints * weight[:, None]).T @ hints + np.diag(pull)
        return np.asarray(np.linalg.solve(normal, (hints * weight[:, None]).T @ working + pull * self.prior))


PRIOR: Final = np.array([5.0, 2.0, 0.5, 1.0, 0.4, 0.1, 0.1, 0.1, 5.5, 0.5])
"""Coefficients of `hint_columns` before anything was read; an address of which nothing is known holds 150 USD."""
KINDS: Final = (0, 1, 8)
"""Columns of `hint_columns` that say of which kind an account is: not known, listed, met on the tape alone."""
PROBES: Final = 40
PROBED_SHARE: Final = 0.1
"""Accounts of each kind that are read at random first, and the share of the kind that they may be at most."""


def hint_columns(
    account_value_usd: FloatArray,
    profit_usd: FloatArray,
    volume_usd: FloatArray,
    moved_usd: FloatArray,
    traded_usd: FloatArray,
) -> FloatArray:
    """Hints as the columns that `SizePrior` with `PRIOR` takes; nan where a hint is not had.

    `account_value_usd`, `profit_usd` (day, absolute) and `volume_usd` (week) are the leaderboard's, or a vault's.
    `moved_usd` is by how much the all-time profit changed between two looks at the leaderboard: who holds something
    moves with the market, whoever holds nothing stands still. `traded_usd` is the net notional on the tape. Accounts
    of which nothing is known, listed ones, and those met on the tape alone have columns of their own: what was
    learned of one kind must not move another of which nobody was read yet.
    """
    listed = ~np.isnan(account_value_usd)
    seen = ~np.isnan(traded_usd)
    traded = _log(traded_usd)
    columns = (
        ~listed & ~seen,
        listed,
        _log(account_value_usd),
        listed & (np.nan_to_num(moved_usd) > 1e-6),
        _log(moved_usd),
        _log(profit_usd),
        _log(volume_usd),
        traded * listed,
        seen & ~listed,
        traded * ~listed,
    )
    return np.stack(columns, axis=1).astype(np.float64)


def probes(hints: FloatArray, asked: FloatArray) -> IntArray:
    """Rows to read before any prior is trusted: a few at random of each kind that was hardly asked after.

    `hints` as by `hint_columns`; `asked` is 1 where a row was read or is being read. Greedy reading learns nothing of
    kinds that it expects little of, and then reads them last, however much they hold.
    """
    draw = np.random.default_rng(int(asked.sum()))
    rows = []
    for kind in KINDS:
        theirs = hints[:, kind] > 0
        most = min(PROBES, int(PROBED_SHARE * theirs.sum()))
        lacking = max(most - int(asked[theirs].sum()), 0)
        rows.append(draw.permutation(np.flatnonzero(theirs & (asked == 0)))[:lacking])
    return np.concatenate(rows)


def _log(usd: FloatArray) -> FloatArray:
    return np.asarray(np.log1p(np.nan_to_num(np.abs(usd))))
