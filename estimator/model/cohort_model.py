"""The modelled heatmap of one market: surviving cohorts of open interest, spread over assumed leverages.

`CohortModel` is fitted to the series of a market and then answers for any part of it; `estimate` is the same for a
baseline's weights. No weight is fitted here, every assumption is on the map, and so is where the rest of open interest
went. `estimator.model.maps` feeds it from the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Final, Self

import numpy as np
import polars as pl

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.ages import AGE_BANDS, age_bands, kept_bars
from liqtruth.estimator.model.at_mark import AT_THE_MARK
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets, brackets_of
from liqtruth.estimator.model.leverage import LeverageWeights, bands_among
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.model.model_in_use import bounds_notes, bounds_of, of_market
from liqtruth.estimator.model.node_shares import VINTAGES, NodeShares, daily_volatility, node_shares
from liqtruth.estimator.model.response_matrix import (
    OUTSIDE,
    Columns,
    Lots,
    ResponseMatrix,
    broken_down,
    build_response_matrix,
)
from liqtruth.estimator.model.turnover import Activity, Turnover, activity, turn_over
from liqtruth.estimator.series.series import MarketSeries, rounding_share
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS, FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import SIDES, BySide, Sides, TwoSided
from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.heatmap.words.text import utc_text

NULL_PARTS: Final = ("before_window", "swept", "unassigned", "unallowed")
"""Parts of a `Balance` that have no place on the map."""


@dataclass(frozen=True)
class Balance:
    """Where one side's open interest went, in coins: the parts sum to it exactly.

    `on_map` is what a price can liquidate, in the grid or beyond it; `unassigned` what the model gives to no leverage;
    `unallowed` what it gives to leverages that the venue does not allow.
    """

    on_map: float
    never: float
    swept: float
    before_window: float
    unassigned: float = 0.0
    unallowed: float = 0.0

    @property
    def null(self) -> float:
        """What has no place on the map."""
        return self.swept + self.before_window + self.unassigned + self.unallowed

    @property
    def total(self) -> float:
        return self.on_map + self.never + self.null


@dataclass(frozen=True)
class Estimate(TwoSided[Balance]):
    """A modelled map with the balance of each side."""

    heatmap: Heatmap
    long: Balance
    short: Balance


class CohortModel:
    """A leverage model (or a baseline's weights) on the series of one market; `name` is what its maps are called.

    Attributes
    ----------
    shares_ : NodeShares, the weights within the venue's highest leverage
    turnover_ : Turnover, openings and closings per bar and class
    clock_ : Activity, and whether volume gave its shape
    response_matrix_ : ResponseMatrix, columns per age band, node, price bin and class
    balance_ : Balance of longs and of shorts, coins
    null_ : Sides, shares of open interest that have no place on the map
    """

    shares_: NodeShares
    turnover_: Turnover
    clock_: Activity
    response_matrix_: ResponseMatrix
    balance_: BySide[Balance]
    null_: Sides

    def __init__(
        self,
        weights: LeverageModel | LeverageWeights,
        *,
        position_usd: float = POSITION_USD,
        width_bps: float = DEFAULT_WIDTH_BPS,
        brackets: Brackets | None = None,
        name: str = VINTAGES,
    ) -> None:
        self.weights = weights
        self.name = name
        self.position_usd = position_usd
        self.width_bps = width_bps
        self.brackets = brackets

    def fit(self, series: MarketSeries, venue: Venue, coin: str) -> Self:
        """Age the open interest and compute the columns; `brackets` default to the venue's facts."""
        self.series_, self.venue_, self.coin_ = series, venue, coin
        self.brackets_ = self.brackets or brackets_of(venue, coin)
        bars = series.bars
        self.shares_ = node_shares(
            self.name,
            self.weights,
            self.brackets_,
            self.position_usd,
            venue=venue.name,
            coin=coin,
            daily_volatility=daily_volatility(bars.close, step_s(series)),
        )
        self.clock_ = activity(bars.open_interest, bars.volume, step_s(series))
        self.turnover_ = turn_over(bars.open_interest, self.clock_.coins, self.shares_.rates)
        self.response_matrix_ = self._matrix(Lots.of(bars.open_interest, self.turnover_))
        self.balance_ = BySide.each(self._balance)
        open_interest = float(bars.open_interest[-1])
        self.null_ = Sides(
            *self.balance_.map(lambda side: side.null / open_interest if open_interest > 0 else 0.0)
        )
        return self

    def _matrix(self, lots: Lots) -> ResponseMatrix:
        series = self.series_
        factors = self.shares_.factors(self.brackets_, self.position_usd)
        grid = PriceGrid.around(series.mark_px, self.width_bps)
        return build_response_matrix(series.bars, lots, age_bands(series), len(AGE_BANDS), factors, grid)

    def heatmap(
        self,
        *,
        leverage: Sequence[float] | None = None,
        age: Sequence[str] | None = None,
        since: datetime | None = None,
    ) -> Heatmap:
        """The map, or its part in the bands of these leverages, of these ages (`heatmap.ages`) and opened after
        `since`; only the whole has bounds. A bar's openings are of the age of its end.

        Raises `UnknownChoice` for a leverage without a band and for what is no age, `BadInput` for ages that overlap
        and for a moment that is not before the map's.
        """
        series = self.series_
        if since is not None or any(name not in AGE_BANDS for name in age or ()):
            kept = kept_bars(series, age, since)
            lots = Lots.of(series.bars.open_interest, self.turnover_)
            matrix = self._matrix(replace(lots, left=lots.left * kept[:, None]))
            only: dict[str, tuple[str, ...]] = {"age_band": tuple(age)} if age else {}
            only |= {"since": (utc_text(since),)} if since else {}
            whole = replace(self._drawn(matrix, aged=True), only=only)
            wanted = wanted_bands(self.shares_, leverage, None)
            return whole.part(wanted) if wanted else whole
        drawn = self._drawn(self.response_matrix_, aged=bool(age))
        wanted = wanted_bands(self.shares_, leverage, age)
        if wanted:
            return drawn.part(wanted)
        return replace(drawn, bounds=bounds_of(self.weights, self.venue_.name, drawn))

    def _drawn(self, matrix: ResponseMatrix, *, aged: bool) -> Heatmap:
        """Without what follows the mark where only what is of some age is wanted (`aged`)."""
        series = self.series_
        usd = float(series.bars.open_interest[-1]) * series.mark_px
        bands = (self.shares_.band, AGE_BANDS)
        frame = broken_down(
            {side: matrix.of(side).weighted(self._weight(side)) * usd for side in SIDES},
            *bands,
            self.venue_.name,
        )
        at_mark = self.shares_.at_mark
        if at_mark is not None and not aged:
            following = {side: self._at_mark(side, matrix.grid)[None] * usd for side in SIDES}
            beside = broken_down(following, at_mark.band, (AT_THE_MARK,), self.venue_.name)
            frame = pl.concat([frame, beside])
        return Heatmap.from_breakdown(
            frame,
            matrix.grid,
            coin=self.coin_,
            venue=self.venue_.name,
            source="modelled",
            model=self.shares_.model,
            as_of=series.as_of,
            coverage=self._coverage(),
            assumptions=(*self._assumptions(), *(ageless_notes(self.shares_) if aged else ())),
            quality=series.quality,
        )

    def _at_mark(self, side: str, grid: PriceGrid) -> FloatArray:
        """Share of open interest that follows the mark, per node and place (nodes, bins + 3); no node without any."""
        at_mark = self.shares_.at_mark
        if at_mark is None:
            return np.zeros((0, grid.bins + OUTSIDE))
        placed = at_mark.reach(self.brackets_, side, self.position_usd).on_grid(grid, side)
        return at_mark.of(side)[:, None] * placed

    def _columns(self, side: str) -> Columns:
        return self.response_matrix_.long if side == "long" else self.response_matrix_.short

    def _weight(self, side: str) -> FloatArray:
        return self.shares_.long if side == "long" else self.shares_.short

    def _balance(self, side: str) -> Balance:
        """Coins of one side."""
        open_interest, weight, columns = (
            float(self.series_.bars.open_interest[-1]),
            self._weight(side),
            self._columns(side),
        )
        following = self._at_mark(side, self.response_matrix_.grid).sum(axis=0)
        placed = columns.weighted(weight).sum(axis=(0, 1)) + following
        assigned = float(weight.sum() + following.sum())
        stated = assigned
        if isinstance(self.weights, LeverageModel):
            stated = float(of_market(self.weights, self.venue_.name, self.coin_).shares(side).sum())
        return Balance(
            on_map=open_interest * float(placed[:-1].sum()),
            never=open_interest * float(placed[-1]),
            swept=open_interest * float((columns.swept * weight).sum()),
            before_window=open_interest * float(columns.before_window @ weight.sum(axis=1)),
            unassigned=open_interest * _share_left(1.0 - stated),
            unallowed=open_interest * _share_left(stated - assigned),
        )

    def _coverage(self) -> Coverage:
        series = self.series_
        known = covered(series, self.balance_, null_notes(series, self.balance_))
        return replace(known, synthetic=known.synthetic or self.shares_.synthetic)

    def _assumptions(self) -> Notes:
        mean_openings = (self.turnover_.openings @ np.ones(len(self.shares_.rates))) / len(self.shares_.rates)
        return (
            *self.shares_.notes,
            *self._clock_notes(),
            note("brackets", source=self.brackets_.source),
            note("isolated", usd=self.position_usd),
            note("opens_evenly"),
            *bounds_notes(self.weights, self.venue_.name, self.coin_),
            *series_notes(self.series_),
            *rounding_notes(self.series_, mean_openings),
        )

    def _clock_notes(self) -> Notes:
        if not self.shares_.rates.any():
            return ()
        return (note("clock_by_volume" if self.clock_.by_volume else "clock_by_open_interest"),)


def estimate(
    series: MarketSeries,
    weights: LeverageWeights | LeverageModel,
    venue: Venue,
    coin: str,
    *,
    brackets: Brackets | None = None,
    position_usd: float = POSITION_USD,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> Estimate:
    """Model one market: notional (USD at the mark) per price bin, leverage band and age band; equal openings."""
    model = CohortModel(weights, brackets=brackets, position_usd=position_usd, width_bps=width_bps)
    return Estimate(model.fit(series, venue, coin).heatmap(), *model.balance_)


def step_s(series: MarketSeries) -> float:
    """Usual length of a bar."""
    ends = np.concatenate([[series.start.timestamp() * 1000], series.end_ms])
    return float(np.median(np.diff(ends))) / 1000


def wanted_bands(
    shares: NodeShares, leverage: Sequence[float] | None, age: Sequence[str] | None
) -> dict[str, list[str]]:
    """Dimensions and labels to filter by; raises `UnknownChoice` for what no band holds."""
    unknown = [label for label in age or () if label not in AGE_BANDS]
    if unknown:
        raise UnknownChoice("age", unknown[0], AGE_BANDS)
    bands = bands_among(shares.model, shares.bands, leverage) if leverage else []
    chosen = {"leverage_band": bands, "age_band": list(age or ())}
    return {name: labels for name, labels in chosen.items() if labels}


def ageless_notes(shares: NodeShares) -> Notes:
    """What a part by age or since a moment leaves out, where something follows the mark."""
    if shares.at_mark is None:
        return ()
    return (note("ageless", share=tuple(float(shares.at_mark.of(side).sum()) for side in SIDES)),)


def covered(series: MarketSeries, balances: BySide[Balance], notes: Sequence[Note]) -> Coverage:
    """How much of open interest has a place, at the mark."""
    mark = series.mark_px
    return Coverage(
        open_interest_usd=float(series.bars.open_interest[-1]) * mark,
        seen_usd=Sides(*balances.map(lambda side: (side.on_map + side.never) * mark)),
        oldest_age_s=series.oldest_age_s,
        notes=(*notes, *series.notes),
        synthetic=series.synthetic,
    )


def null_notes(series: MarketSeries, balances: BySide[Balance]) -> Notes:
    """Where the open interest went that has no place on the map, part by part."""
    open_interest = float(series.bars.open_interest[-1])
    parts = {part: balances.map(attrgetter(part)) for part in NULL_PARTS}
    shares = {
        part: coins.map(lambda usd: usd / open_interest) if open_interest > 0 else None
        for part, coins in parts.items()
    }
    return (note("not_on_map", window_from=f"{series.start:%Y-%m-%dT%H:%MZ}", **shares),)


def _share_left(share: float) -> float:
    """What is left of a share; rounding is nothing."""
    return share if share > 1e-12 else 0.0


def series_notes(series: MarketSeries) -> Notes:
    """How levels are swept, and by which prices."""
    start, by_marks = f"{series.start:%Y-%m-%dT%H:%MZ}", series.bars.swept_low is not None
    return (note("swept_is_gone"), note("bars", bars=len(series.bars.close), start=start, by_marks=by_marks))


def rounding_notes(series: MarketSeries, openings: FloatArray) -> Notes:
    """How coarse the source's open interest is, where it is."""
    if not series.oi_rounding_usd:
        return ()
    share = rounding_share(series, openings)
    return (note("rounded", step_usd=series.oi_rounding_usd, share=share),)
