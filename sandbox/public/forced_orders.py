"""The forced orders of a centralised venue to the millisecond, and which of them a venue's public stream reports.

The ledger knows the minute of a liquidation. A stream that reports one order per second needs more, so each order of a
coin and minute is put into one burst of a few seconds, as cascades come, at milliseconds that depend on the seed alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.sandbox.market.ledger import LIQUIDATION
from liqtruth.sandbox.market.listings import Floats, Ints
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import Flags
from liqtruth.sandbox.public.record import MINUTE_MS

BURST_MS: Final = 3_000
SECOND_MS: Final = 1_000
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class ForcedOrders:
    """In time order; `lots` > 0, `px` in price units, `was_long` is the side of the position that was closed."""

    time_ms: Ints
    coin: Ints
    lots: Ints
    px: Ints
    was_long: Flags

    @property
    def size(self) -> int:
        return self.time_ms.size

    def of(self, rows: Ints | Flags) -> "ForcedOrders":
        return ForcedOrders(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def forced_orders(market: Market, venue: str, after_point: int) -> ForcedOrders:
    """Every forced order after minute point `after_point` up to the market's moment."""
    tape = market.venue(venue).tape
    rows = np.flatnonzero((tape.kind == LIQUIDATION) & (tape.point > after_point))
    times = order_times(market, venue, rows)
    order = np.argsort(times, kind="stable")
    rows = rows[order]
    return ForcedOrders(
        times[order], tape.coin[rows], np.abs(tape.lots[rows]), tape.px[rows], tape.before[rows] > 0
    )


def latest_per_second(orders: ForcedOrders) -> ForcedOrders:
    """Only the last order of each coin and second: what Binance pushes, and OKX promises no more than."""
    second = orders.time_ms // SECOND_MS
    order = np.lexsort((np.arange(orders.size), second, orders.coin))
    later = np.append(
        (np.diff(second[order]) != 0) | (np.diff(orders.coin[order]) != 0), np.ones(min(orders.size, 1), bool)
    )
    return orders.of(np.sort(order[later]))


def order_times(market: Market, venue: str, rows: Ints) -> Ints:
    """Milliseconds of tape rows, inside the minute that ends at their point and in tape order per coin and minute."""
    tape, seed = market.venue(venue).tape, _mixed(np.array([market.spec.seed], np.uint64))
    point, coin = tape.point[rows], tape.coin[rows]
    burst = _mixed(seed + point.astype(np.uint64) * np.uint64(64) + coin.astype(np.uint64))
    start = (_fraction(burst) * (MINUTE_MS - BURST_MS - 1)).astype(np.int64)
    drawn = (_fraction(_mixed(burst + rows.astype(np.uint64))) * BURST_MS).astype(np.int64)
    offset = np.empty_like(drawn)
    offset[np.lexsort((rows, coin, point))] = drawn[np.lexsort((drawn, coin, point))]
    return np.asarray(market.path.times_ms[point] - MINUTE_MS + start + offset)


def _mixed(words: Words) -> Words:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))


def _fraction(words: Words) -> Floats:
    return np.asarray((words >> np.uint64(11)) / 2.0**53)
