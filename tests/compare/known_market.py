"""A synthetic market of several coins whose every position is known, as pairs of calibration: one per coin and day.

The population is one of the sandbox's for Hyperliquid (retail and discretionary traders, whales and hedgers, cross and
isolated), the price paths of its coins move together, and none of it follows the estimator's model. Positions and
series are taken from the ledger and its record; that the served feed says the same is tested elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import polars as pl

from liqtruth.compare.calibration.samples import Sample, sample_of
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.leverage_model import (
    COORDINATES,
    Coordinate,
    LeverageModel,
    leverage_model_named,
)
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.sandbox.market.listings import HYPERLIQUID_TIERS, listed
from liqtruth.sandbox.market.market import HYPERLIQUID, Market, MarketSpec, simulate
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import true_positions
from tests.estimator.known_truth import series_of

COINS: Final = ("BTC", "ETH", "SOL", "HYPE", "XRP", "DOGE")
ACCOUNTS: Final = 12_000
DAYS: Final = 75
FIRST_DAY: Final = 22
WINDOW_DAYS: Final = 30
HALF_OF_INITIAL: Final = 0.5


@dataclass(frozen=True, eq=False)
class Seen:
    """What a pair of calibration is made of, whatever model it is made for."""

    coin: str
    series: MarketSeries
    positions: pl.DataFrame
    brackets: Brackets


def seen_on(
    spec: MarketSpec,
    first: int = FIRST_DAY,
    every: int = 1,
    window_days: int = WINDOW_DAYS,
    on_progress: Callable[[float], None] | None = None,
) -> list[Seen]:
    """Deterministic. Each coin at the end of every `every`-th day from the `first` to the last of the history, read
    from bars of the last `window_days`; days in order, coins in theirs."""
    market = simulate(spec, on_progress, range(first, spec.days + 1, every))
    whole = Record(market, market.venue(HYPERLIQUID))
    return [one for then in market.past for one in _seen_then(then, whole, window_days)]


def samples_of(
    seen: Sequence[Seen],
    prior: LeverageModel | None = None,
    coordinates: Sequence[Coordinate] = COORDINATES,
) -> list[Sample]:
    """A pair of each, for the classes and nodes of `prior`."""
    model, venue = prior or leverage_model_named("prior"), venue_named(HYPERLIQUID)
    return [
        sample_of(one.coin, one.series, venue, one.positions, model, one.brackets, coordinates=coordinates)
        for one in seen
    ]


def samples_of_market(seed: int, accounts: int = ACCOUNTS, days: int = DAYS) -> list[Sample]:
    """The default population on six coins, a pair of each at the end of every day from the first that has enough
    history."""
    spec = MarketSpec(
        seed=seed, accounts=accounts, cex_accounts=10, days=days, coins=COINS, builder_dex=False
    )
    return samples_of(seen_on(spec))


def half_of_initial(coin: str) -> Brackets:
    """Half the initial margin at the coin's highest leverage, whatever the size: real bounds of tiers are far."""
    highest = float(HYPERLIQUID_TIERS[listed((coin,))[0].table_id][0][1])
    return Brackets.flat(coin, HALF_OF_INITIAL / highest, highest, "the sandbox's first tier")


def last_days(series: MarketSeries, days: int) -> MarketSeries:
    """The series without what is older than so many days."""
    start = max(series.start, series.as_of - timedelta(days=days))
    bars, count = series.bars, int((series.end_ms > start.timestamp() * 1000).sum())
    kept = Bars(
        bars.high[-count:],
        bars.low[-count:],
        bars.close[-count:],
        bars.open_interest[-count - 1 :],
        None if bars.volume is None else bars.volume[-count:],
    )
    return replace(series, bars=kept, end_ms=series.end_ms[-count:], start=start)


def whales_part(pair: Sample, side: str) -> float:
    """Part of the notional within reach that lies beyond what each position counts with in the crowd's map."""
    return 1.0 - float(pair.of(side).holdings.kept)


def _seen_then(then: Market, whole: Record, window_days: int) -> list[Seen]:
    stored = true_positions(then, HYPERLIQUID)
    record = Record.following(whole, then, then.venue(HYPERLIQUID))
    return [
        Seen(
            coin,
            last_days(series_of(record, column), window_days),
            stored.filter(pl.col("coin") == coin),
            half_of_initial(coin),
        )
        for column, coin in enumerate(then.spec.coins)
    ]
