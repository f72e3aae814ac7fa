"""How much an account is expected to hold that nobody has read yet, learned from those that were."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray

VARIANCE_POWER: Final = 1.8
FIT_STEPS: Final = 12


@dataclass
class SizePrior:
    """Expected notional of accounts nobody has read, learned from those that were.

    Notional given hints is nought or, rarely, large: a compound Poisson-gamma law, of which only mean and variance
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
