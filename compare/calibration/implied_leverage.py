"""Implied leverage, drawn and measured: the fitted shares compared with exact entries and liquidation prices.

Shares of openings cannot be seen on chain, but what is left of them can: every position shows its entry and its
liquidation price, and so the leverage of the isolated position with that distance,

    1 / leverage = maintenance * r - side * (r - 1),    r = liquidation over entry price

Per band of leverage, in the coordinate that coins share: the crowd's mass within reach as the fit draws it and as it is
measured. What follows the mark has no entry; under a mixed fit both are taken as seen from the mark (r over it), in
plain leverage.

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
from liqtruth.compare.calibration.choices.fitted import Fitted
from liqtruth.compare.calibration.holdings import ENTRY_BIN, entry_map
from liqtruth.compare.calibration.samples import Sample, nodes_on
from liqtruth.compare.statistics.map_scores import BIN, BINS, REACH
from liqtruth.compare.statistics.map_scores import EDGES as MAP_EDGES
from liqtruth.estimator.model.leverage_model import MIXED, LeverageModel
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

EDGES: Final = (0.0, 3.0, 7.0, 15.0, 30.0, 40.0, float("inf"))
BANDS: Final = ("0-3x", "3-7x", "7-15x", "15-30x", "30-40x", "40x+")
LEVEL: Final = 0.95
BARELY: Final = 1e-3
"""Part of the mass that says nothing of a leverage: rounding, a single small position."""


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
    sums = np.mean([_band_sums(pair, side, fitted, model) for pair in pairs], axis=0)

    def by_band(shares: FloatArray) -> FloatArray:
        return np.asarray(np.tensordot(shares, sums, ([-2, -1], [1, 2])))

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


def observed_to(pairs: Sequence[Sample], fitted: Fitted, model: LeverageModel) -> float | None:
    """Leverage above which no more than `BARELY` of the mass within reach lies, of any pair and side, in the fit's
    coordinate (as seen from the mark where it is mixed); null where positions show none. Above it nothing was seen."""
    found = [_highest(pair, side, fitted, model) for pair in pairs for side in SIDES]
    return max((one for one in found if one is not None), default=None)


def _highest(pair: Sample, side: str, fitted: Fitted, model: LeverageModel) -> float | None:
    holdings = pair.of(side).holdings
    near = (holdings.away < REACH) & np.isfinite(holdings.px)
    from_px = (
        np.full(int(near.sum()), pair.mark_px) if fitted.coordinate == MIXED else holdings.entry_px[near]
    )
    own = entry_leverage(from_px, holdings.px[near], 0.5 / pair.highest_leverage, side)
    known = np.isfinite(own)
    mass = holdings.crowd[near][known]
    if not mass.sum() > 0:
        return None
    nodes = nodes_on(model, fitted.coordinate, pair.highest_leverage, pair.daily_volatility)
    order = np.argsort(own[known])
    place = np.searchsorted(np.cumsum(mass[order]), (1 - BARELY) * mass.sum())
    return float(own[known][order][min(place, len(order) - 1)] * (model.leverage[-1] / nodes[-1]))


def entry_check(
    pairs: Sequence[Sample], side: str, shares: FloatArray, rates: Sequence[float]
) -> EntryCheck | None:
    """Over all pairs whose positions show entries; `shares` (classes,) weigh the classes. Null without any."""
    known = [pair.of(side) for pair in pairs]
    found = [
        (entry_map(one.holdings, pair.mark_px), one.entries) for one, pair in zip(known, pairs, strict=True)
    ]
    usable = [(true, columns) for true, columns in found if true.sum() > 0 and columns.sum() > 0]
    if not usable:
        return None
    truth, columns = (np.stack(part) for part in zip(*usable, strict=True))
    each = {f"{rate:g}": _distance_pct(truth, columns[:, :, place]) for place, rate in enumerate(rates)}
    return EntryCheck(_distance_pct(truth, columns @ shares), each)


def _measured_of(pair: Sample, side: str, fitted: Fitted, model: LeverageModel) -> FloatArray | None:
    holdings = pair.of(side).holdings
    near = holdings.away < REACH
    if fitted.coordinate == MIXED:
        return np.asarray(_bands_from_mark(pair, side).T @ holdings.binned(holdings.crowd))
    if not np.isfinite(holdings.entry_px[near]).any():
        return None
    own = entry_leverage(holdings.entry_px[near], holdings.px[near], 0.5 / pair.highest_leverage, side)
    nodes = nodes_on(model, fitted.coordinate, pair.highest_leverage, pair.daily_volatility)
    shared = own * (model.leverage[-1] / nodes[-1])
    known = np.isfinite(shared)
    band = np.searchsorted(EDGES[1:-1], shared[known], side="right")
    return np.bincount(band, holdings.crowd[near][known], len(BANDS)).astype(np.float64)


def _band_sums(pair: Sample, side: str, fitted: Fitted, model: LeverageModel) -> FloatArray:
    """What a unit of weight places within reach, (bands, rows, nodes)."""
    columns = pair.of(side).response(fitted.coordinate).astype(np.float64)
    shape = (-1, len(model.leverage))
    if fitted.coordinate == MIXED:
        return np.stack([one.reshape(shape) for one in _bands_from_mark(pair, side).T @ columns])
    place = np.searchsorted(EDGES[1:-1], model.leverage, side="right")
    member = (place == np.arange(len(BANDS))[:, None]).astype(np.float64)
    return np.asarray(columns.sum(axis=0).reshape(shape) * member[:, None, :])


def _bands_from_mark(pair: Sample, side: str) -> FloatArray:
    """1 where a bin lies in a band of leverage as seen from the mark, else 0, shape (bins, bands)."""
    sign = -1.0 if side == "long" else 1.0
    px = np.exp(sign * (MAP_EDGES[:-1] + BIN / 2))
    leverage = np.nan_to_num(entry_leverage(np.ones(BINS), px, 0.5 / pair.highest_leverage, side), nan=np.inf)
    place = np.searchsorted(EDGES[1:-1], leverage, side="right")
    return np.asarray(place[:, None] == np.arange(len(BANDS)), dtype=np.float64)


def _distance_pct(truth: FloatArray, model: FloatArray) -> float:
    """Mean over pairs of the area between cumulative shares."""
    shares = [np.cumsum(mass, axis=1) / mass.sum(axis=1, keepdims=True) for mass in (truth, model + 1e-300)]
    return float(100 * ENTRY_BIN * np.abs(shares[0] - shares[1]).sum(axis=1).mean())
