"""The steps of a venue that a deviation is measured on: what the model predicted for each, beside what was liquidated.

A step counts where the feed was observed and bars are stored throughout, and where no more than `MOST_BEFORE_WINDOW` of
open interest opened before the series.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.compare.observed.coverage import partly_seen
from liqtruth.compare.observed.realised import Liquidations, Side, load_liquidations
from liqtruth.compare.transfer.deviation import SideSteps
from liqtruth.compare.transfer.flow import Flow, MassByLeverage, mass_by_leverage, predicted_flow
from liqtruth.estimator.errors import StaleSeries
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets, stored_brackets
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.series.series import WINDOWS, MarketSeries, load_series
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES, TwoSided
from liqtruth.heatmap.words.text import counted, of_ms
from liqtruth.indexer.positions.markets import VENUE as HYPERLIQUID
from liqtruth.storage.store import Store

LEAST_HOURS: Final = 24
FEWEST_EVENTS: Final = 30
FEWEST_A_SIDE: Final = 10
MOST_BEFORE_WINDOW: Final = 0.6
WARM_UP_DAYS: Final = 30
"""Days of series before the first step, where they are stored."""
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, eq=False)
class Sample(TwoSided[SideSteps]):
    """One row per coin and step that counts; `start_ms` of each row; what stands at the end, of all coins; `by_days`
    where liquidations of some coin have no spans of listening (`observed.realised.Liquidations`)."""

    venue: str
    coins: tuple[str, ...]
    step_ms: int
    start_ms: IntArray
    long: SideSteps
    short: SideSteps
    mass_by_leverage: MassByLeverage
    highest_leverage: float
    synthetic: bool
    by_days: bool = False

    @property
    def hours(self) -> float:
        """Length of the steps, each once however many coins it has."""
        return float(np.unique(self.start_ms).size * self.step_ms / 3.6e6)

    @property
    def events(self) -> int:
        return self.long.events + self.short.events

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first step's start to the last one's end."""
        return of_ms(int(self.start_ms.min())), of_ms(int(self.start_ms.max()) + self.step_ms)


PARTLY_SEEN: Final = (
    "liquidations of {coin} on Hyperliquid are those that public fills showed, and nobody knows what share that is: "
    "`liqtruth index fills PATH` in a data directory of its own reads a node's; --without-hyperliquid goes without"
)


def sample_of(
    store: Store,
    venue: Venue,
    coins: Sequence[str],
    model: LeverageModel,
    step: timedelta,
    start: datetime | None = None,
    end: datetime | None = None,
    on_coin: Callable[[], None] = lambda: None,
) -> Sample:
    """All coins together. Raises `MissingData` with the figures where too little was recorded, and as reading does."""
    parts = []
    for coin in coins:
        if venue.name == HYPERLIQUID and partly_seen(store, coin):
            raise MissingData(PARTLY_SEEN.format(coin=coin))
        observed = load_liquidations(store, venue, coin, start, end)
        if not observed.spans_ms.size:
            raise MissingData(_nothing_observed(venue, coin, start, end))
        series = _series(store, venue, coin, observed)
        brackets = stored_brackets(store, venue, coin, series.as_of)
        parts.append(_part(series, observed, model, brackets, step))
        on_coin()
    sample = _pooled(venue.name, tuple(coins), parts)
    check_enough(sample)
    return sample


def sample_from(
    venue: str,
    markets: Sequence[tuple[MarketSeries, Liquidations, Brackets]],
    model: LeverageModel,
    step: timedelta,
) -> Sample:
    """As `sample_of`, of series and liquidations that are at hand already."""
    parts = [_part(series, observed, model, brackets, step) for series, observed, brackets in markets]
    return _pooled(venue, tuple(observed.coin for _, observed, _ in markets), parts)


def _nothing_observed(venue: Venue, coin: str, start: datetime | None, end: datetime | None) -> str:
    when = "" if start is None and end is None else " between the times that were asked for"
    if venue.name == HYPERLIQUID:
        return (
            f"no liquidations of {coin} on Hyperliquid are stored{when}: `liqtruth index fills PATH` reads a node's "
            "fills; --without-hyperliquid goes without, and leaves the model's own bias in"
        )
    return (
        f"no liquidations of {venue.name} {coin} are stored{when}, nor spans in which they were recorded: "
        f"`liqtruth feed watch {venue.name} {coin}` collects them from now on, `feed import` reads files of them"
    )


def check_enough(sample: Sample) -> None:
    """Raises `MissingData` where hours or liquidations are too few to set a level by."""
    where = f"{sample.venue} {', '.join(sample.coins)}"
    if sample.hours < LEAST_HOURS:
        raise MissingData(
            f"{where}: {sample.hours:g} h were recorded throughout and have series, {LEAST_HOURS} are needed: "
            f"{_remedy(sample.venue)}"
        )
    long, short = sample.long.events, sample.short.events
    if long + short < FEWEST_EVENTS or min(long, short) < FEWEST_A_SIDE:
        raise MissingData(
            f"{where}: {counted(long, 'liquidation')} of longs and {short} of shorts in {sample.hours:g} h, "
            f"{FEWEST_EVENTS} are needed and {FEWEST_A_SIDE} of each side: more coins, or {_remedy(sample.venue)}"
        )
    for side in SIDES:
        if not sample.of(side).predicted_usd.sum() > 0:
            raise MissingData(
                f"{where}: the model predicts no liquidation of {side}s: is its series too short?"
            )


def _remedy(venue: str) -> str:
    if venue == "hyperliquid":
        return (
            "`liqtruth index import PATH` reads a node's fills, `liqtruth feed watch hyperliquid` its series"
        )
    return f"let `liqtruth feed watch {venue}` run on, and fetch series back to before it began"


@dataclass(frozen=True, eq=False)
class _Part:
    """One coin's steps that count."""

    flow: Flow
    observed: Liquidations
    mass_by_leverage: MassByLeverage
    highest_leverage: float
    synthetic: bool


def _part(
    series: MarketSeries, observed: Liquidations, model: LeverageModel, brackets: Brackets, step: timedelta
) -> _Part:
    flow = predicted_flow(series, model, brackets, observed.coin, step)
    counts = observed.observed_throughout(flow.start_ms, flow.start_ms + flow.step_ms)
    counts &= flow.before_window <= MOST_BEFORE_WINDOW
    synthetic = observed.synthetic or series.synthetic
    highest = brackets.highest_leverage(POSITION_USD)
    return _Part(flow.only(counts), observed, mass_by_leverage(series, model, brackets), highest, synthetic)


def _pooled(venue: str, coins: tuple[str, ...], parts: Sequence[_Part]) -> Sample:
    start_ms = np.concatenate([part.flow.start_ms for part in parts])
    long, short = (_side(parts, side) for side in SIDES)
    return Sample(
        venue=venue,
        coins=coins,
        step_ms=parts[0].flow.step_ms,
        start_ms=start_ms,
        long=long,
        short=short,
        mass_by_leverage=MassByLeverage(
            *(np.sum([part.mass_by_leverage.of(side) for part in parts], axis=0) for side in SIDES)
        ),
        highest_leverage=max(part.highest_leverage for part in parts),
        synthetic=any(part.synthetic for part in parts),
        by_days=any(part.observed.by_days for part in parts),
    )


def _side(parts: Sequence[_Part], side: str) -> SideSteps:
    steps = [_per_step(part.observed.of(side), part.flow) for part in parts]
    return SideSteps(
        predicted_usd=np.concatenate([part.flow.of(side) for part in parts]),
        realised_usd=np.concatenate([usd for usd, _ in steps]),
        day=np.concatenate([part.flow.start_ms // DAY_MS for part in parts]),
        events=int(sum(events.sum() for _, events in steps)),
    )


def _per_step(events: Side, flow: Flow) -> tuple[FloatArray, IntArray]:
    """USD at the step's first mark and number of liquidations, shape (steps,)."""
    at = np.searchsorted(flow.start_ms, events.ts_ms, side="right") - 1
    inside = (at >= 0) & (events.ts_ms < np.append(flow.start_ms + flow.step_ms, -1)[at])
    steps = flow.start_ms.size
    coins = np.bincount(at[inside], events.coins[inside], steps)
    return coins * flow.mark_px, np.bincount(at[inside], minlength=steps)


def _series(store: Store, venue: Venue, coin: str, observed: Liquidations) -> MarketSeries:
    """Back to `WARM_UP_DAYS` before what was observed; to its end, or as far as bars are stored."""
    first, last = of_ms(int(observed.spans_ms[0, 0])), of_ms(int(observed.spans_ms[-1, 1]))
    longest = max(WINDOWS.values()) // timedelta(days=1)
    days = min(-(-(last - first) // timedelta(days=1)) + WARM_UP_DAYS, longest)
    try:
        return load_series(store, venue, coin, f"{days}d", last)
    except StaleSeries:
        return load_series(store, venue, coin, f"{longest}d")
