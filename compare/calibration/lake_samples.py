"""Samples of calibration from what is stored: Hyperliquid's exact positions beside its own public aggregates.

Where a market's own aggregates were not kept, another venue's may stand in (`aggregates`): its prices and the shape of
its open interest, at Hyperliquid's level. That is another market with another history, and every fit on it states so.

Incomplete coverage is handled, not ignored: who reads accounts finds large ones first. Where some readings cover nearly
everything, their mix of account sizes shows how much each class weighs in the others; a class that a reading lacks
cannot be weighed up. Where no reading covers enough, nothing is known of the mix, and that is stated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.samples import LIMITS, Limits, Sample, SampleRefused, sample_of
from liqtruth.compare.workers import Workers, run_all
from liqtruth.estimator.model.brackets import stored_brackets
from liqtruth.estimator.model.leverage_model import COORDINATES, Coordinate, LeverageModel
from liqtruth.estimator.series.series import MarketSeries, load_series
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.words.text import hours
from liqtruth.indexer.maps.exact import MOST_MOMENTS, STALE_AGE_S
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import CoinKnown, coin_over_time
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store

STEP: Final = timedelta(hours=6)
WINDOW: Final = "30d"
UNKNOWN: Final = "unknown_collateral"
AT_ONCE: Final = 16
"""Moments of a task: enough that opening the lake costs little, few enough that a lost worker does."""
ACCOUNT_EDGES_USD: Final = (1e5, 1e6, 1e7)
CLASSES: Final = len(ACCOUNT_EDGES_USD) + 1
WHOLE: Final = 0.95
"""Coverage from which a reading is taken to show the mix of account sizes."""
MOST_TIMES: Final = 5.0
"""A class is weighed up or down by no more than this."""

HERE: Final = Workers()


class NotRead(SampleRefused):
    """Nothing was read since the moment before."""


@dataclass(frozen=True)
class Refused:
    """A moment of a coin without a pair, and why; `read` where positions were read for it."""

    coin: str
    moment: datetime
    reason: str
    read: bool = True


@dataclass(frozen=True)
class Gathered:
    """All pairs, by coin and time, and the moments that have none; `notes` are what was chosen on the way."""

    pairs: tuple[Sample, ...]
    refused: tuple[Refused, ...]
    notes: Notes = ()


@dataclass(frozen=True)
class Wanted:
    """What a pair is made of beside its moment; `aggregates` is the venue whose series are taken."""

    prior: LeverageModel
    step: timedelta = STEP
    coordinates: tuple[Coordinate, ...] = COORDINATES
    limits: Limits = LIMITS
    aggregates: str = VENUE


@dataclass(frozen=True)
class SampleTask:
    """Some moments of one coin, and where they are stored."""

    settings: Settings
    coin: str
    moments: tuple[datetime, ...]
    wanted: Wanted


def gather(
    store: Store,
    coins: Sequence[str],
    prior: LeverageModel,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    step: timedelta = STEP,
    coordinates: tuple[Coordinate, ...] = COORDINATES,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
    workers: Workers = HERE,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Gathered:
    """A pair per coin and `step`, counted back from `end` (default: the last reading) to `start` (the first one).

    A moment takes the positions as last read by then, and the series up to that reading; no reading is used twice.
    Raises `UnknownCoin`, `BadInput` for times that are none, and `MissingData` with the figures where no pair is left.
    """
    venue_named(aggregates)
    wanted = Wanted(prior, step, coordinates, limits, aggregates)
    tasks = [
        SampleTask(store.settings, coin, moments, wanted)
        for coin in dict.fromkeys(coins)
        for moments in _batches(_moments(*_span(store, coin, start, end), step))
    ]
    found = [one for part in run_all(samples_of, tasks, workers, on_progress=on_progress) for one in part]
    refused = tuple(one for one in found if isinstance(one, Refused))
    pairs = {(one.coin, one.as_of): one for one in reversed(found) if isinstance(one, Sample)}
    if not pairs:
        raise _none_left(coins, refused)
    weighed, weighing = reweighted([pairs[key] for key in sorted(pairs)])
    return Gathered(weighed, refused, (*stood_in(aggregates), *weighing))


def samples_of(task: SampleTask) -> list[Sample | Refused]:
    """What a worker does: the pairs of a task's moments, or why there is none."""
    with Store.open(task.settings) as opened:
        store = opened.view()
        known = coin_over_time(store, task.coin, task.moments)
        return [
            _pair_or_reason(store, task.coin, moment, one, task.wanted)
            for moment, one in zip(task.moments, known, strict=True)
        ]


def known_positions(positions: pl.DataFrame) -> pl.DataFrame:
    """Those whose collateral is known and which were read no more than `STALE_AGE_S` before the last of them."""
    last = positions["as_of"].max()
    age_s = (pl.lit(last, positions.schema["as_of"]) - pl.col("as_of")).dt.total_milliseconds() / 1000
    return positions.filter(pl.col("status").ne_missing(UNKNOWN), age_s <= STALE_AGE_S)


def standing_in(series: MarketSeries, open_interest: float | None) -> MarketSeries:
    """Another venue's series with its open interest scaled to end at this many coins."""
    last = float(series.bars.open_interest[-1])
    if not open_interest or not last > 0:
        raise SampleRefused(
            "the market's own open interest is not known, so that no other venue's can stand in"
        )
    bars = replace(series.bars, open_interest=series.bars.open_interest * (open_interest / last))
    return replace(series, bars=bars)


def _batches(moments: Sequence[datetime]) -> list[tuple[datetime, ...]]:
    return [tuple(moments[start : start + AT_ONCE]) for start in range(0, len(moments), AT_ONCE)]


def _pair_or_reason(
    store: Store, coin: str, moment: datetime, known: CoinKnown | None, wanted: Wanted
) -> Sample | Refused:
    try:
        if known is None:
            raise no_positions(coin, moment)
        return _stored_pair(store, coin, moment, known, wanted)
    except (MissingData, BadInput) as error:
        return Refused(coin, moment, str(error), not isinstance(error, NotRead))


def _stored_pair(store: Store, coin: str, moment: datetime, known: CoinKnown, wanted: Wanted) -> Sample:
    positions, market = known.positions, known.market
    read_at = positions["as_of"].max()
    assert isinstance(read_at, datetime)
    if moment - read_at >= wanted.step:
        raise NotRead(f"no position was read in the {hours(wanted.step)} before")
    held = None if market is None else market.open_interest
    return sample_beside(
        store,
        coin,
        read_at,
        known_positions(positions),
        held,
        wanted.prior,
        wanted.limits,
        wanted.aggregates,
        wanted.coordinates,
    )


def sample_beside(
    store: Store,
    coin: str,
    at: datetime,
    positions: pl.DataFrame,
    open_interest: float | None,
    prior: LeverageModel,
    limits: Limits,
    aggregates: str,
    coordinates: Sequence[Coordinate] = COORDINATES,
) -> Sample:
    """Positions of a moment beside the stored series of `aggregates`; those of another venue are scaled to the
    `open_interest` (coins) of this one."""
    venue = venue_named(aggregates)
    series = load_series(store, venue, coin, WINDOW, at)
    if aggregates != VENUE:
        series = standing_in(series, open_interest)
    brackets = stored_brackets(store, venue_named(VENUE), coin, at)
    return sample_of(coin, series, venue, positions, prior, brackets, coordinates=coordinates, limits=limits)


def stood_in(aggregates: str) -> Notes:
    """That another venue's series stand in, where they do."""
    return () if aggregates == VENUE else (note("aggregates_stand_in", venue=aggregates),)


class Stored(NamedTuple):
    """The first and the last moment of what is stored; null where nothing is."""

    first: datetime | None
    last: datetime | None


def _span(store: Store, coin: str, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    check_coin(store, coin)
    sql = (
        "SELECT min(p.first_at), max(coalesce(r.as_of, p.last_at)) FROM partition p "
        "LEFT JOIN reading r ON p.reading_id = r.id "
        "WHERE p.dataset = 'positions' AND p.venue = :venue AND p.coin = :coin"
    )
    with store.database.asking() as asked:
        [(first, last)] = asked.rows(Stored, sql, venue=VENUE, coin=coin)
    if first is None:
        raise NothingStored(f"no positions of {coin} are stored; `liqtruth index import` or `index watch`")
    begin, until = start or first, end or last
    assert until is not None
    if begin > until:
        raise BadInput(f"{coin}: nothing lies between {begin:%Y-%m-%dT%H:%MZ} and {until:%Y-%m-%dT%H:%MZ}")
    return begin, until


def _moments(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    count = int((end - start) / step) + 1
    if count > MOST_MOMENTS:
        raise BadInput(f"{count:,} moments are more than {MOST_MOMENTS:,}: take a longer --step")
    return [end - step * back for back in reversed(range(count))]


def _none_left(coins: Sequence[str], refused: Sequence[Refused]) -> MissingData:
    """The most frequent reason of each coin, of the moments for which positions were read where there are any."""
    most = []
    for coin in dict.fromkeys(coins):
        own = [one for one in refused if one.coin == coin]
        reasons = [one.reason for one in own if one.read] or [one.reason for one in own]
        first = max(dict.fromkeys(reasons), key=reasons.count)
        most.append(f"{coin} {reasons.count(first)} times: {first}")
    return MissingData(
        f"no pair of {', '.join(coins)} is left of {len(refused)} moments; {'; '.join(most)}. `liqtruth index watch` "
        "brings exact positions, `liqtruth feed watch hyperliquid` their aggregates"
    )


def reweighted(pairs: Sequence[Sample]) -> tuple[tuple[Sample, ...], Notes]:
    """Pairs below `WHOLE`, weighed by size class of account like those above, and a note on what was done."""
    lacking = sum(least_coverage(pair) < WHOLE for pair in pairs)
    if not lacking:
        return tuple(pairs), ()
    lacks = {"lacking": lacking, "pairs": len(pairs), "whole": WHOLE}
    reference = {side: reference_mix(pairs, side) for side in SIDES}
    if any(mix is None for mix in reference.values()):
        return tuple(pairs), (note("account_mix_unknown", **lacks),)
    return tuple(_pair(pair, reference) for pair in pairs), (note("weighed_by_account", **lacks),)


def least_coverage(pair: Sample) -> float:
    return min(pair.long.coverage, pair.short.coverage)


def mean_coverage(pairs: Sequence[Sample], side: str) -> float:
    """Of all pairs, each with at most one."""
    return float(np.mean([min(1.0, pair.of(side).coverage) for pair in pairs]))


def reference_mix(pairs: Sequence[Sample], side: str) -> FloatArray | None:
    """Share of open interest per size class of account in pairs that cover nearly all; null without any."""
    whole = [pair.of(side).holdings for pair in pairs if pair.of(side).coverage >= WHOLE]
    known = [mix for mix in (_mix(holdings) for holdings in whole) if mix is not None]
    return np.mean(known, axis=0) if known else None


def _pair(pair: Sample, reference: dict[str, FloatArray | None]) -> Sample:
    changed: dict[str, Any] = {}
    for side in SIDES:
        own, mix = pair.of(side), reference[side]
        if own.coverage < WHOLE and mix is not None:
            changed[side] = replace(own, holdings=_weighed(own.holdings, mix))
    return replace(pair, **changed)


def _weighed(holdings: Holdings, reference: FloatArray) -> Holdings:
    own, known = _mix(holdings), np.isfinite(holdings.account_usd)
    if own is None:
        return holdings
    times = np.clip(reference / np.maximum(own, 1e-12), 1 / MOST_TIMES, MOST_TIMES)
    share = holdings.share * np.where(known, times[_class(holdings)], 1.0)
    return replace(holdings, share=share / share.sum())


def _mix(holdings: Holdings) -> FloatArray | None:
    """Null where no account's worth is known."""
    known = np.isfinite(holdings.account_usd)
    if not holdings.share[known].sum() > 0:
        return None
    parts = np.bincount(_class(holdings)[known], holdings.share[known], CLASSES)
    return np.asarray(parts / parts.sum())


def _class(holdings: Holdings) -> IntArray:
    return np.searchsorted(ACCOUNT_EDGES_USD, np.nan_to_num(holdings.account_usd), side="right")
