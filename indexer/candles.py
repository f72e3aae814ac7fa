"""Candles of the exchange itself: what betas between coins are fitted to."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from heatmap.money import counted
from indexer.betas import DATASET
from indexer.budget import Budget
from indexer.client import InfoClient, exchange_time_s, largest_markets
from indexer.universe import VENUE
from indexer.wire import Candle, decode_candles
from storage.store import Store

HOUR_S: Final = 3600
LARGEST_COINS: Final = 40
CANDLES: Final = {
    "ts": pl.Datetime("ms", "UTC"),
    "interval_s": pl.Int64(),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "taker_buy_volume": pl.Float64(),
}
"""As every venue's candles are stored; the exchange does not tell what takers bought."""


@dataclass(frozen=True)
class CandleReport:
    """What `fetch_candles` brought."""

    coins: tuple[str, ...]
    rows: int
    new_rows: int
    weight: int

    def describe(self) -> list[str]:
        """Lines for people."""
        said = f"{self.rows:,} hourly candles of {counted(len(self.coins), 'coin')}, {self.new_rows:,} of them new"
        return [f"{said}; weight {self.weight:,}"]


def fetch_candles(
    store: Store,
    base_url: str,
    coins: Sequence[str] = (),
    days: int = 30,
    *,
    weight_per_minute: float | None = 960,
    on_progress: Callable[[float], None] | None = None,
) -> CandleReport:
    """Hourly candles of `coins` (default: the largest markets by open interest) into the lake.

    Raises as `InfoClient` does; what came until then is stored.
    """
    return asyncio.run(_fetch(store, base_url, coins, days, weight_per_minute, on_progress))


async def _fetch(
    store: Store,
    base_url: str,
    coins: Sequence[str],
    days: int,
    weight_per_minute: float | None,
    on_progress: Callable[[float], None] | None,
) -> CandleReport:
    budget = Budget(weight_per_minute)
    rows = new = 0
    async with InfoClient(base_url, budget, store.settings.request_timeout_s, 2) as client:
        wanted = list(coins) or await largest_markets(client, LARGEST_COINS)
        end_ms = int(1000 * await exchange_time_s(client))
        source = client.source
        for done, coin in enumerate(wanted, start=1):
            query = {
                "coin": coin,
                "interval": "1h",
                "startTime": end_ms - days * 86_400_000,
                "endTime": end_ms,
            }
            frame = candle_frame(await client.ask(decode_candles, "candleSnapshot", req=query), end_ms)
            rows += frame.height
            if frame.height:
                new += store.lake.merge_series(DATASET, VENUE, coin, frame, ("ts", "interval_s"), source)
            if on_progress is not None:
                on_progress(done / len(wanted))
    return CandleReport(tuple(wanted), rows, new, budget.spent)


def candle_frame(candles: Sequence[Candle], now_ms: int) -> pl.DataFrame:
    """Bars that have closed by `now_ms`."""
    closed = [one for one in candles if one.close_ms < now_ms]
    return pl.DataFrame(
        {
            "ts": [datetime.fromtimestamp(one.open_ms / 1000, UTC) for one in closed],
            "interval_s": [HOUR_S] * len(closed),
            "open": [one.open_px for one in closed],
            "high": [one.high_px for one in closed],
            "low": [one.low_px for one in closed],
            "close": [one.close_px for one in closed],
            "volume": [one.volume for one in closed],
            "taker_buy_volume": [None] * len(closed),
        },
        schema=CANDLES,
    )
