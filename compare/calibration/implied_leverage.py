"""Implied leverage, drawn and measured: the fitted shares compared with exact entries and liquidation prices.

Shares of openings cannot be seen on chain, but what is left of them can: every position shows its entry and its
liquidation price, and so the leverage of the isolated position with that distance,

    1 / leverage = maintenance * r - side * (r - 1),    r = liquidation over entry price

Per band of leverage, in the coordinate that coins share: the crowd's mass within reach as the fit draws it and as it is
measured.

Turnover classes are compared with exact entry prices before any leverage: a class that turns over slowly keeps old
entries, far from the mark; a fast one only new ones. The distance between where a class has its open interest
opened and where positions were (Wasserstein-1 over log price) tells turnover apart from leverage. Positions that were
built in parts show one mean entry, and what was liquidated is missing from the truth, so the distance is never zero.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.bands import Spread
from liqtruth.compare.calibration.holdings import ENTRY_BIN, entry_map
from liqtruth.compare.calibration.samples import Sample, nodes_on
from liqtruth.compare.calibration.selection import Fitted
from liqtruth.compare.statistics.map_scores import REACH
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.grid import FloatArray

EDGES: Final = (0.0, 3.0, 7.0, 15.0, 30.0, 40.0, float("inf"))
BANDS: Final = ("0-3x", "3-7x", "7-15x", "15-30x", "30-40x", "40x+")
LEVEL: Final = 0.95


class ImpliedLeverageBand(msgspec.Struct, frozen=True):
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


class EntryCheck(msgspec.Struct, frozen=True):
    """One side: mean Wasserstein-1 (percent of price) between entry prices of the crowd and of each class alone
    (`by_rate`, by multiples of the market's activity), and of the classes as the fit mixes them."""

    mixed_pct: float
    by_rate: dict[str, float]

    @property
    def nearest_rate(self) -> str:
        return min(self.by_rate, key=lambda rate: self.by_rate[rate])


def implied_leverage(
    pairs: Sequence[Sample], fitted: Fitted, side: str, model: LeverageModel, spread: Spread
) -> tuple[ImpliedLeverageBand, ...]:
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
        ImpliedLeverageBand(
            band,
            float(drawn[at]),
            None if ends is None else float(ends[0][at]),
            None if ends is None else float(ends[1][at]),
            None if true is None else float(true[at]),
        )
        for at, band in enumerate(BANDS)
    )


def measured(pairs: Sequence[Sample], side: str, fitted: Fitted, model: LeverageModel) -> FloatArray | None:
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


def entry_check(
    pairs: Sequence[Sample], side: str, shares: FloatArray, rates: Sequence[float]
) -> EntryCheck | None:
    """Over all pairs whose positions show entries; `shares` (classes, nodes) weigh the classes. Null without any."""
    known = [pair.of(side) for pair in pairs]
    found = [
        (entry_map(one.holdings, pair.mark_px), one.entries) for one, pair in zip(known, pairs, strict=True)
    ]
    usable = [(true, columns) for true, columns in found if true.sum() > 0 and columns.sum() > 0]
    if not usable:
        return None
    truth, columns = (np.stack(part) for part in zip(*usable, strict=True))
    each = {f"{rate:g}": _distance_pct(truth, columns[:, :, place]) for place, rate in enumerate(rates)}
    return EntryCheck(_distance_pct(truth, columns @ shares.sum(axis=1)), each)


def _measured_of(pair: Sample, side: str, fitted: Fitted, model: LeverageModel) -> FloatArray | None:
    holdings = pair.of(side).holdings
    near = holdings.away < REACH
    if not np.isfinite(holdings.entry_px[near]).any():
        return None
    own = entry_leverage(holdings.entry_px[near], holdings.px[near], 0.5 / pair.highest_leverage, side)
    nodes = nodes_on(model, fitted.coordinate, pair.highest_leverage, pair.daily_volatility)
    shared = own * (model.leverage[-1] / nodes[-1])
    known = np.isfinite(shared)
    band = np.searchsorted(EDGES[1:-1], shared[known], side="right")
    return np.bincount(band, holdings.crowd[near][known], len(BANDS)).astype(np.float64)


def _node_sums(pair: Sample, side: str, fitted: Fitted, classes: int) -> FloatArray:
    """What a unit of weight places within reach, (classes, nodes)."""
    columns = pair.of(side).columns[fitted.coordinate]
    return np.asarray(columns.sum(axis=0, dtype=np.float64).reshape(classes, -1))


def _distance_pct(truth: FloatArray, model: FloatArray) -> float:
    """Mean over pairs of the area between cumulative shares."""
    shares = [np.cumsum(mass, axis=1) / mass.sum(axis=1, keepdims=True) for mass in (truth, model + 1e-300)]
    return float(100 * ENTRY_BIN * np.abs(shares[0] - shares[1]).sum(axis=1).mean())
