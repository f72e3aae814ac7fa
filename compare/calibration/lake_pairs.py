"""Pairs of calibration from what is stored: Hyperliquid's exact positions beside its own public aggregates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl
from sqlmodel import col, func, select

from compare.calibration.pairs import Pair, PairRefused, pair_of
from estimator.brackets import Brackets, stored_brackets
from estimator.leverage_model import LeverageModel
from estimator.moments import hours
from estimator.series import load_series
from estimator.venues import venue_named
from heatmap.errors import BadInput, MissingData
from indexer.exact import STALE_AGE_S
from indexer.history import MOST_MOMENTS
from indexer.readings import check_coin, coin_as_of
from indexer.universe import VENUE
from storage.errors import NothingStored
from storage.store import Store
from storage.tables import Market, Partition

STEP: Final = timedelta(hours=6)
WINDOW: Final = "30d"
UNKNOWN: Final = "unknown_collateral"


@dataclass(frozen=True)
class Refused:
    """A moment of a coin without a pair, and why."""

    coin: str
    moment: datetime
    reason: str


@dataclass(frozen=True)
class Gathered:
    """All pairs, by coin and time, and the moments that have none."""

    pairs: tuple[Pair, ...]
    refused: tuple[Refused, ...]


def gather(
    store: Store,
    coins: Sequence[str],
    prior: LeverageModel,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    step: timedelta = STEP,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Gathered:
    """A pair per coin and `step`, counted back from `end` (default: the last reading) to `start` (the first one).

    A moment takes the positions as last read by then, and the series up to that reading; no reading is used twice.
    Raises `UnknownCoin`, `BadInput` for times that are none, and `MissingData` with the figures where no pair is left.
    """
    wanted = [
        (coin, moment)
        for coin in dict.fromkeys(coins)
        for moment in _moments(*_span(store, coin, start, end), step)
    ]
    pairs: dict[tuple[str, datetime], Pair] = {}
    refused = []
    for done, (coin, moment) in enumerate(wanted, start=1):
        try:
            found = _stored_pair(store, coin, moment, step, prior)
            pairs.setdefault((coin, found.as_of), found)
        except (MissingData, BadInput) as error:
            refused.append(Refused(coin, moment, str(error)))
        on_progress(done / len(wanted))
    if not pairs:
        raise _none_left(coins, refused)
    return Gathered(tuple(pairs[key] for key in sorted(pairs)), tuple(refused))


def known_positions(positions: pl.DataFrame) -> pl.DataFrame:
    """Those whose collateral is known and which were read no more than `STALE_AGE_S` before the last of them."""
    last = positions["as_of"].max()
    age_s = (pl.lit(last, positions.schema["as_of"]) - pl.col("as_of")).dt.total_milliseconds() / 1000
    return positions.filter(pl.col("status").ne_missing(UNKNOWN), age_s <= STALE_AGE_S)


def _stored_pair(store: Store, coin: str, moment: datetime, step: timedelta, prior: LeverageModel) -> Pair:
    positions, market, _ = coin_as_of(store, coin, moment)
    read_at = positions["as_of"].max()
    assert isinstance(read_at, datetime)
    if moment - read_at >= step:
        raise PairRefused(f"no position was read in the {hours(step)} before")
    venue = venue_named(VENUE)
    series = load_series(store, venue, coin, WINDOW, read_at)
    brackets = _of_market(coin, market) or stored_brackets(store, venue, coin, read_at)
    return pair_of(coin, series, venue, known_positions(positions), prior, brackets)


def _of_market(coin: str, market: Market | None) -> Brackets | None:
    """Hyperliquid's maintenance is half of the initial margin at the highest leverage."""
    if market is None or not market.max_leverage:
        return None
    highest = float(market.max_leverage)
    return Brackets.flat(coin, 0.5 / highest, highest, f"half the initial margin at {highest:g}x")


def _span(store: Store, coin: str, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    check_coin(store, coin)
    query = select(func.min(Partition.first_at), func.max(Partition.last_at)).where(
        Partition.dataset == "positions", Partition.venue == VENUE, col(Partition.coin) == coin
    )
    with store.database.session() as session:
        first, last = session.exec(query).one()
    if first is None:
        raise NothingStored(f"no positions of {coin} are stored; `liqtruth index import` or `index watch`")
    begin, until = start or first, end or last
    if begin > until:
        raise BadInput(f"{coin}: nothing lies between {begin:%Y-%m-%dT%H:%MZ} and {until:%Y-%m-%dT%H:%MZ}")
    return begin, until


def _moments(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    count = int((end - start) / step) + 1
    if count > MOST_MOMENTS:
        raise BadInput(f"{count:,} moments are more than {MOST_MOMENTS:,}: take a longer --step")
    return [end - step * back for back in reversed(range(count))]


def _none_left(coins: Sequence[str], refused: Sequence[Refused]) -> MissingData:
    reasons = [one.reason for one in refused]
    most = max(dict.fromkeys(reasons), key=reasons.count)
    return MissingData(
        f"no pair of {', '.join(coins)} is left of {len(refused)} moments; {reasons.count(most)} times: {most}. "
        "`liqtruth index watch` brings exact positions, `liqtruth feed watch hyperliquid` their aggregates"
    )
