"""Whom to read next: where a unit of weight is expected to put most misplaced notional in its place.

The error of a map is the notional that is not where it belongs: positions of accounts never read, positions that
changed since they were read, and positions whose level drifted without a trade (funding, collateral moved, a
liquidation that the tape did not show). For account `i` at time `t` with size `S` (USD, updated by the tape), notional
traded since its reading `T`, age `a` of the reading and log distance `d` from the mark to its nearest level:

    unread     m = E                                   expected notional, `indexer.discovery.size_prior`
    read       m = S * (1 - (1 - c) * exp(-r * a))     with c = min(1, 2 T / (S + T)), r = base * (1 + near * e^(-d/s))

`c` is the share of the account's levels that its trades moved: all of them for a position opened or halved, none where
everything was closed, because the tape has taken that off the map already. `r` grows towards the mark, where accounts
act and are acted upon; a gap in the tape multiplies it, because then no trade is known to be absent. Reading takes `m`
to zero for `w` weight, so the greedy choice is by `m / w`. What is decided here is pure: no clock, no I/O.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray

HOUR_S: Final = 3600.0


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
