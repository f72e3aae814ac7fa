"""Candles of any interval from the one-minute path: open, high, low, close, volume, taker volume, trades."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.sandbox.market.margin_rules import Ints
from liqtruth.sandbox.market.price import PricePath
from liqtruth.sandbox.public.activity import Activity

MINUTE_MS: Final = 60_000
INTERVAL_MS: Final = {
    name: minutes * MINUTE_MS
    for name, minutes in {
        "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
        "12h": 720, "1d": 1440, "3d": 4320, "1w": 10080,
    }.items()
}  # fmt: skip
MONDAY_MS: Final = 4 * 86_400_000


@dataclass(frozen=True)
class Candles:
    """Columns of one coin; prices in the coin's integer units, sizes in lots, `quote` in micro-dollars."""

    open_ms: Ints
    close_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    taker_buy: Ints
    quote: Ints
    taker_buy_quote: Ints
    trades: Ints

    def between(self, start_ms: int, end_ms: int) -> slice:
        """Rows that open in the closed range."""
        first = int(np.searchsorted(self.open_ms, start_ms, side="left"))
        return slice(first, int(np.searchsorted(self.open_ms, end_ms, side="right")))


def build_candles(
    path: PricePath, activity: Activity, column: int, interval: str, first_point: int, shift_ms: int = 0
) -> Candles:
    """All candles of the served history; the first and last may cover part of their interval only. They open
    `shift_ms` after the interval's start in UTC."""
    px = path.mark_units[first_point:, column]
    minute_ms = path.times_ms[first_point:-1]
    opened, groups = np.unique(_interval_start(minute_ms - shift_ms, interval), return_index=True)
    opened = opened + shift_ms
    ends = np.append(groups[1:], minute_ms.size)
    volume = activity.volume_lots[first_point:, column]
    taker = activity.taker_buy_lots[first_point:, column]
    high, low = np.maximum(px[:-1], px[1:]), np.minimum(px[:-1], px[1:])
    return Candles(
        open_ms=opened,
        close_ms=opened + INTERVAL_MS[interval] - 1,
        open=px[groups],
        high=np.maximum.reduceat(high, groups),
        low=np.minimum.reduceat(low, groups),
        close=px[ends],
        volume=np.add.reduceat(volume, groups),
        taker_buy=np.add.reduceat(taker, groups),
        quote=np.add.reduceat(volume * px[1:], groups),
        taker_buy_quote=np.add.reduceat(taker * px[1:], groups),
        trades=np.add.reduceat(activity.trades[first_point:, column], groups),
    )


def _interval_start(times_ms: Ints, interval: str) -> Ints:
    """Aligned to the epoch, weeks to Monday."""
    offset = MONDAY_MS if interval == "1w" else 0
    return (times_ms - offset) // INTERVAL_MS[interval] * INTERVAL_MS[interval] + offset
