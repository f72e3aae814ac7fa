"""Leverage of what stands, drawn and measured: the fitted shares held against exact entries and liquidation prices.

Shares of births cannot be seen on chain, but what is left of them can: every position shows its entry and its
liquidation price, and so the leverage of the isolated position with that distance,

    1 / leverage = maintenance * r - side * (r - 1),    r = liquidation over entry price

Per band of leverage, in the coordinate that coins share: the crowd's mass within reach as the fit draws it and as it is
measured.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.distance_axis import REACH
from liqtruth.compare.calibration.samples import Pair, nodes_on
from liqtruth.compare.calibration.selection import Fitted
from liqtruth.compare.calibration.uncertainty import Spread
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.grid import FloatArray

EDGES: Final = (0.0, 3.0, 7.0, 15.0, 30.0, 40.0, float("inf"))
BANDS: Final = ("0-3x", "3-7x", "7-15x", "15-30x", "30-40x", "40x+")
LEVEL: Final = 0.95


class StandingBand(msgspec.Struct, frozen=True):
    """Share of open interest within reach: as the fit draws it with its 95 % interval (null with too few blocks), and
    as positions measure it (null where they show no entries)."""

    band: str
    drawn: float
    low: float | None
    high: float | None
    measured: float | None

    @property
    def inside(self) -> bool | None:
        """Whether what is measured lies within the interval; null where either is not known."""
        if self.low is None or self.high is None or self.measured is None:
            return None
        return self.low <= self.measured <= self.high


def standing(
    pairs: Sequence[Pair], fitted: Fitted, side: str, model: LeverageModel, spread: Spread
) -> tuple[StandingBand, ...]:
    """Bands of `BANDS`; `model` gives the nodes that `fitted` was fitted on."""
    place = np.searchsorted(EDGES[1:-1], model.leverage, side="right")
    member = (place[:, None] == np.arange(len(BANDS))).astype(np.float64)
    sums = np.mean([_node_sums(pair, side, fitted, len(model.rates)) for pair in pairs], axis=0)

    def by_band(shares: FloatArray) -> FloatArray:
        return np.asarray((sums * shares).sum(axis=-2) @ member)

    drawn = by_band(fitted.shares(side))
    ends = spread.interval(drawn, by_band, LEVEL) if spread.known else None
    true = measured(pairs, side, fitted, model)
    return tuple(
        StandingBand(
            band,
            float(drawn[at]),
            None if ends is None else float(ends[0][at]),
            None if ends is None else float(ends[1][at]),
            None if true is None else float(true[at]),
        )
        for at, band in enumerate(BANDS)
    )


def measured(pairs: Sequence[Pair], side: str, fitted: Fitted, model: LeverageModel) -> FloatArray | None:
    """The crowd's mass within reach per band of leverage from entry to liquidation: mean of the pairs that show it."""
    found = [_measured_of(pair, side, fitted, model) for pair in pairs]
    known = [one for one in found if one is not None]
    return np.mean(known, axis=0) if known else None


def entry_leverage(entry_px: FloatArray, px: FloatArray, maintenance_rate: float, side: str) -> FloatArray:
    """Leverage of the isolated position with this distance from entry to liquidation; nan where there is none."""
    sign = 1.0 if side == "long" else -1.0
    ratio = px / entry_px
    margin = maintenance_rate * ratio - sign * (ratio - 1.0)
    return np.asarray(np.divide(1.0, margin, out=np.full(margin.shape, np.nan), where=margin > 0))


def _measured_of(pair: Pair, side: str, fitted: Fitted, model: LeverageModel) -> FloatArray | None:
    held = pair.of(side).held
    near = held.away < REACH
    if not np.isfinite(held.entry_px[near]).any():
        return None
    own = entry_leverage(held.entry_px[near], held.px[near], 0.5 / pair.highest_leverage, side)
    nodes = nodes_on(model, fitted.coordinate, pair.highest_leverage, pair.daily_volatility)
    shared = own * (model.leverage[-1] / nodes[-1])
    known = np.isfinite(shared)
    band = np.searchsorted(EDGES[1:-1], shared[known], side="right")
    return np.bincount(band, held.crowd[near][known], len(BANDS)).astype(np.float64)


def _node_sums(pair: Pair, side: str, fitted: Fitted, classes: int) -> FloatArray:
    """What a unit of weight places within reach, (classes, nodes)."""
    columns = pair.of(side).columns[fitted.coordinate]
    return np.asarray(columns.sum(axis=0, dtype=np.float64).reshape(classes, -1))
