"""One sample of calibration: the response matrix of a market at a moment, and where its positions stood.

Both on one axis, per side: bins of log price from the mark outward to `REACH`, in shares of open interest. Two layers
are kept apart: in the crowd's map each position counts with at most `LARGEST_SHARE` of open interest, and what is left
is scaled to keep the mass within reach; the raw map is as it stands. Half of real notional lies in a few dozen
positions, which tell nothing of the others, so the crowd is what is fitted (method, sections 0b and 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.calibration.holdings import ENTRY_BINS, Holdings, entry_bin, holdings_on
from liqtruth.compare.statistics.map_scores import (
    BIN,
    BINS,
    EDGES,
    GRID_WIDTH_BPS,
    axis_columns,
)
from liqtruth.estimator.model.at_mark import Reach
from liqtruth.estimator.model.baselines import PLAIN, plain_map
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets
from liqtruth.estimator.model.cohort_model import CohortModel, step_s
from liqtruth.estimator.model.leverage import MODELS, weights_named
from liqtruth.estimator.model.leverage_model import (
    AT_MARK_IN,
    MAINTENANCE,
    MIXED,
    MIXED_OF,
    Coordinate,
    LeverageModel,
    not_faded,
)
from liqtruth.estimator.model.node_shares import daily_volatility
from liqtruth.estimator.model.response_matrix import Lots
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES, TwoSided
from liqtruth.heatmap.words.notes import any_synthetic

SMOOTHING: Final = 0.004
"""Standard deviation, in log price, of the Gaussian that both columns and targets are smoothed with."""
LEAST_COVERAGE: Final = 0.60
MOST_COVERAGE: Final = 1.25
MOST_BEFORE_WINDOW: Final = 0.60
MOST_MARK_GAP: Final = 0.02
RECENT_MS: Final = 3 * 86_400_000
BASELINE_NAMES: Final = (*MODELS, *PLAIN)
"""What a fitted model has to beat and needs no exact positions."""


class SampleRefused(MissingData):
    """A moment that nothing can be fitted on; the message is the reason."""


@dataclass(frozen=True)
class Limits:
    """What a pair must have at least: coverage of each side, and open interest that opened in the window."""

    least_coverage: float = LEAST_COVERAGE
    most_before_window: float = MOST_BEFORE_WINDOW


LIMITS: Final = Limits()


@dataclass(frozen=True, eq=False)
class SideSample:
    """`columns` (bins, classes x nodes) per coordinate; `holdings` are the positions; `baselines` (bins,) by name.

    `at_mark` (bins, nodes) is what a unit of weight that follows the mark places, null where no mixture is asked for;
    `held` (nodes,) which part of each coordinate's columns is in a mixture (`leverage_model.not_faded`), default all.
    `entries` (entry bins, classes) are where the classes have what stands opened, see `holdings.entry_bin`.
    `coverage` is the part of open interest whose positions are known.
    """

    columns: Mapping[Coordinate, FloatArray]
    holdings: Holdings
    baselines: Mapping[str, FloatArray]
    entries: FloatArray
    coverage: float
    at_mark: FloatArray | None = None
    held: Mapping[Coordinate, FloatArray] = field(default_factory=dict)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Those that can be fitted."""
        return (*self.columns, *(() if self.at_mark is None else (MIXED,)))

    def response(self, coordinate: Coordinate) -> FloatArray:
        """Columns (bins, rows x nodes) of a model in this coordinate."""
        parts = [part if kept is None else part * kept for part, kept in self._parts(coordinate)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def drawn(self, coordinate: Coordinate, shares: FloatArray) -> FloatArray:
        """The map (..., bins) that shares (..., rows, nodes) draw, in the precision of the columns."""
        parts, begin = self._parts(coordinate), 0
        own = shares.reshape(*shares.shape[:-2], -1).astype(parts[0][0].dtype)
        found = np.zeros((*own.shape[:-1], len(parts[0][0])))
        for part, kept in parts:
            end = begin + part.shape[1]
            weight = own[..., begin:end] if kept is None else own[..., begin:end] * kept
            found += weight @ part.T
            begin = end
        return found

    def _parts(self, coordinate: Coordinate) -> tuple[tuple[FloatArray, FloatArray | None], ...]:
        """The columns of `response`, side by side, with the part of each that counts; null: all of them."""
        if coordinate != MIXED or self.at_mark is None:
            return ((self.columns[coordinate], None),)
        return (*((self.columns[name], self._held(name)) for name in MIXED_OF), (self.at_mark, None))

    def _held(self, coordinate: Coordinate) -> FloatArray | None:
        """Part of each column (classes x nodes) in a mixture, null where it is all of all."""
        kept = self.held.get(coordinate)
        if kept is None or (kept == 1).all():
            return None
        columns = self.columns[coordinate]
        return np.tile(kept.astype(columns.dtype), columns.shape[1] // len(kept))

    @cached_property
    def crowd(self) -> FloatArray:
        """The crowd's map (bins,), not smoothed."""
        return self.holdings.binned(self.holdings.crowd)

    @cached_property
    def raw(self) -> FloatArray:
        """The map as it stands (bins,), not smoothed."""
        return self.holdings.binned(self.holdings.share)


@dataclass(frozen=True, eq=False)
class Recent:
    """Ends, lows and highs of the last bars of a pair's series, as `RECENT_MS` reaches back."""

    end_ms: np.ndarray
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, series: MarketSeries) -> "Recent":
        near = series.end_ms > series.end_ms[-1] - RECENT_MS
        return cls(series.end_ms[near], series.bars.low[near], series.bars.high[near])


@dataclass(frozen=True, eq=False)
class Sample(TwoSided[SideSample]):
    """One coin at one moment. `synthetic` where any of it is from the sandbox; `before_window` is the mean share of
    classes that opened before the series begin, `daily_volatility` that of the series' log returns, `oi_step_s` the
    usual time between values of open interest (zero: unknown); `assumed_maximum` where the coin's highest leverage is
    not known and a default stands for it."""

    coin: str
    as_of: datetime
    mark_px: float
    open_interest: float
    highest_leverage: float
    daily_volatility: float
    positions: int
    before_window: float
    synthetic: bool
    recent: Recent
    long: SideSample
    short: SideSample
    oi_step_s: float = 0.0
    assumed_maximum: bool = False

    @property
    def day(self) -> int:
        """Days since 1970."""
        return int(self.as_of.timestamp() // 86_400)

    @property
    def block(self) -> str:
        """Pairs of one coin and day resemble each other: they are drawn together."""
        return f"{self.coin} {self.as_of:%Y-%m-%d}"


def sample_of(
    coin: str,
    series: MarketSeries,
    venue: Venue,
    positions: pl.DataFrame,
    prior: LeverageModel,
    brackets: Brackets,
    *,
    coordinates: Sequence[Coordinate] = ("leverage",),
    limits: Limits = LIMITS,
) -> Sample:
    """`positions`, known ones only, has `szi` (signed coins), `liq_px` (null: no price liquidates it) and `mark_px`;
    `address` and `entry_px` are used where they are.

    Classes and nodes are those of `prior`, nodes scaled to the market per coordinate. Raises `SampleRefused` where the
    two sides of the pair do not belong together, or cover too little.
    """
    _check_mark(series.mark_px, positions)
    highest = brackets.highest_leverage(POSITION_USD)
    mixed = MIXED in coordinates
    apart: list[Coordinate] = [name for name in (*coordinates, *(MIXED_OF if mixed else ())) if name != MIXED]
    models: dict[Coordinate, CohortModel] = {
        name: CohortModel(prior.in_coordinate(name), width_bps=GRID_WIDTH_BPS, brackets=brackets).fit(
            series, venue, coin
        )
        for name in dict.fromkeys(apart)
    }
    before = float(next(iter(models.values())).response_matrix_.long.before_window.mean())
    if before > limits.most_before_window:
        raise SampleRefused(f"{before:.0%} of open interest opened before the series begin")
    plain = baseline_maps(series, venue, coin, brackets)
    entries = entry_columns(next(iter(models.values())))
    long, short = (
        _side(side, models, holdings_on(side, positions, series), plain[side], entries, highest, limits)
        for side in SIDES
    )
    if mixed:
        following = models[AT_MARK_IN].shares_.leverage
        held = {name: not_faded(name, models[name].shares_.leverage / highest) for name in MIXED_OF}
        long, short = (
            replace(one, at_mark=mark_columns(following, brackets, side), held=held)
            for one, side in zip((long, short), SIDES, strict=True)
        )
    return Sample(
        coin=coin,
        as_of=series.as_of,
        mark_px=series.mark_px,
        open_interest=float(series.bars.open_interest[-1]),
        highest_leverage=highest,
        daily_volatility=daily_volatility(series.bars.close, step_s(series)),
        positions=positions.height,
        before_window=before,
        synthetic=_synthetic(series, positions),
        recent=Recent.of(series),
        long=long,
        short=short,
        oi_step_s=series.oi_step_s,
        assumed_maximum=brackets.assumed,
    )


def nodes_on(
    model: LeverageModel, coordinate: Coordinate, highest_leverage: float, daily_volatility: float
) -> FloatArray:
    """The model's nodes as plain leverages of one market, where it is taken in this coordinate."""
    taken = model.in_coordinate(coordinate)
    return np.array(model.leverage) * taken.scale(highest_leverage, daily_volatility)


def smoothed(values: FloatArray) -> FloatArray:
    """Along the first axis (bins), in the precision of `values`; mass is kept, reflected at both ends."""
    return np.asarray(_kernel(values.dtype.char) @ values)


@lru_cache
def _kernel(precision: str) -> FloatArray:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(np.eye(BINS), SMOOTHING / BIN, axis=0), dtype=precision)


def _check_mark(mark_px: float, positions: pl.DataFrame) -> None:
    if positions.is_empty():
        raise SampleRefused("no position with a known price")
    own = float(positions["mark_px"].median())  # type: ignore[arg-type]
    if abs(np.log(own / mark_px)) > MOST_MARK_GAP:
        raise SampleRefused(f"the positions' mark {own:,.6g} is not the series' last price {mark_px:,.6g}")


def _synthetic(series: MarketSeries, positions: pl.DataFrame) -> bool:
    marked = "source" in positions.columns and any_synthetic(positions["source"])
    return marked or series.synthetic


def _side(
    side: str,
    models: Mapping[Coordinate, CohortModel],
    holdings: Holdings,
    baselines: Mapping[str, FloatArray],
    entries: FloatArray,
    highest: float,
    limits: Limits,
) -> SideSample:
    coverage = holdings.coverage
    if coverage < limits.least_coverage:
        raise SampleRefused(
            f"{coverage:.0%} of open interest is covered by {side}s, {limits.least_coverage:.0%} needed"
        )
    if coverage > MOST_COVERAGE:
        raise SampleRefused(f"{side}s add up to {coverage:.2f} times the open interest of the series")
    return SideSample(
        {name: _columns(model, side, highest) for name, model in models.items()},
        holdings.as_whole(),
        baselines,
        entries,
        coverage,
    )


def _columns(model: CohortModel, side: str, highest: float) -> FloatArray:
    """Over all ages, (bins, classes x nodes); leverages nearer than maintenance allows place nothing."""
    dictionary, shares = model.response_matrix_, model.shares_
    placed = axis_columns(dictionary.of(side).placed.sum(axis=0), dictionary.grid, side)
    allowed = np.tile(shares.leverage <= MAINTENANCE * highest, len(shares.rates))
    return (placed.reshape(BINS, -1) * allowed).astype(np.float32)


def mark_columns(leverage: FloatArray, brackets: Brackets, side: str) -> FloatArray:
    """What each node places that follows the mark, (bins, nodes)."""
    within = Reach.of(leverage, brackets, side, POSITION_USD).within(EDGES)
    return np.ascontiguousarray(np.diff(within, axis=1).T.astype(np.float32))


def entry_columns(model: CohortModel) -> FloatArray:
    """Share of open interest per entry bin (log price over the mark) and class, (entry bins, classes)."""
    bars = model.series_.bars
    left = Lots.of(bars.open_interest, model.turnover_).left
    entries = bars.entries
    place = entry_bin(np.log(entries.ravel() / model.series_.mark_px))
    each = np.repeat(left / entries.shape[1], entries.shape[1], axis=0)
    near = place >= 0
    return np.stack([np.bincount(place[near], mass[near], ENTRY_BINS) for mass in each.T], axis=1)


def baseline_maps(
    series: MarketSeries, venue: Venue, coin: str, brackets: Brackets
) -> dict[str, dict[str, FloatArray]]:
    """Per side and name shares of open interest per bin; a baseline that the series cannot give is left out."""
    found: dict[str, dict[str, FloatArray]] = {side: {} for side in SIDES}
    for name in MODELS:
        model = CohortModel(weights_named(name), width_bps=GRID_WIDTH_BPS, brackets=brackets)
        model.fit(series, venue, coin)
        for side in SIDES:
            columns = model.response_matrix_.of(side)
            placed = axis_columns(columns.placed.sum(axis=0), model.response_matrix_.grid, side)
            found[side][name] = placed.reshape(BINS, -1) @ model.shares_.of(side).ravel()
    held_usd = float(series.bars.open_interest[-1]) * series.mark_px
    for name in PLAIN:
        try:
            drawn = plain_map(name, series, venue, coin, brackets, GRID_WIDTH_BPS)
        except MissingData:
            continue
        for side in SIDES:
            found[side][name] = _of_map(drawn, side) / held_usd if held_usd > 0 else np.zeros(BINS)
    return found


def _of_map(drawn: Heatmap, side: str) -> FloatArray:
    middle = drawn.grid.bins_each_way
    if side == "long":
        return np.asarray(drawn.long_usd[middle - BINS : middle][::-1])
    return np.asarray(drawn.short_usd[middle : middle + BINS])
