"""Maintenance margin by tiers, vectorised: the sandbox's own rules, shared with no reader.

Inside a tier the requirement is `notional * rate - deduction`, the deduction keeping it continuous across bounds. With
rates that rise from tier to tier the requirement is convex, hence the largest of its tiers' lines, and no tier
has to be looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class MarginRules:
    """Rows are margin tables, columns tiers; short tables repeat their last tier."""

    max_leverage: Ints
    lower_usd: Floats
    rate: Floats
    deduction_usd: Floats

    @classmethod
    def build(
        cls, tables: Sequence[Sequence[tuple[float, float]]], max_leverage: Sequence[int]
    ) -> "MarginRules":
        """From (lower bound in USD, maintenance rate) per tier and the leverage each table allows at most."""
        width = max(len(tiers) for tiers in tables)
        padded = np.array([[*tiers, *[tiers[-1]] * (width - len(tiers))] for tiers in tables])
        lower, rate = padded[:, :, 0], padded[:, :, 1]
        steps = np.diff(rate, axis=1, prepend=rate[:, :1])
        if (steps < 0).any():
            raise ValueError("maintenance rates must rise from tier to tier")
        return cls(np.array(max_leverage, dtype=np.int64), lower, rate, np.cumsum(lower * steps, axis=1))

    def lines(self, table: Ints) -> "MarginLines":
        """The tiers' lines of each position; `table` holds the row of each. One row stands for all if all are equal."""
        if table.ndim == 2 and table.shape[0] > 1 and (table == table[0]).all():
            table = table[:1]
        rate, deduction = self.rate[table], self.deduction_usd[table]
        return MarginLines(np.moveaxis(rate, -1, 0).copy(), np.moveaxis(deduction, -1, 0).copy())

    def maintenance_usd(self, notional_usd: Floats, table: Ints) -> Floats:
        """Requirement per position; `table` is the row of each."""
        return self.lines(table).maintenance_usd(notional_usd)

    def tier(self, notional_usd: Floats, table: Ints) -> Ints:
        """Index of the tier that holds the notional; a bound belongs to the higher tier."""
        return np.asarray((notional_usd[..., None] >= self.lower_usd[table]).sum(axis=-1) - 1, dtype=np.int64)


@dataclass(frozen=True)
class MarginLines:
    """Maintenance of many positions as the largest of a few lines; the first axis counts tiers."""

    rate: Floats
    deduction_usd: Floats

    def of(self, rows: Ints | slice) -> "MarginLines":
        if self.rate.shape[1] == 1:
            return self
        return MarginLines(self.rate[:, rows], self.deduction_usd[:, rows])

    def over_time(self) -> "MarginLines":
        """For notionals with a time axis between rows and columns."""
        return MarginLines(self.rate[:, :, None], self.deduction_usd[:, :, None])

    def maintenance_usd(self, notional_usd: Floats) -> Floats:
        due: Floats = notional_usd * self.rate[0]
        for rate, deduction in zip(self.rate[1:], self.deduction_usd[1:], strict=True):
            due = np.maximum(due, notional_usd * rate - deduction)
        return due


def row_sums(values: Floats | Ints | NDArray[np.bool_]) -> Floats:
    """Sums over the last, short axis; far faster than `sum`, exact for whole numbers below 2**53."""
    return np.asarray(values @ np.ones(values.shape[-1]))


def half_of_initial(tiers: Sequence[tuple[float, int]]) -> list[tuple[float, float]]:
    """Hyperliquid's rule: the maintenance rate is half the initial rate at the tier's largest leverage."""
    return [(lower, 0.5 / leverage) for lower, leverage in tiers]
