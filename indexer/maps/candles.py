"""Hourly candles of the exchange itself, from its info endpoint into the lake: what betas are measured on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import LeftOut, LiqtruthError, PartlyRead
from liqtruth.heatmap.words.text import counted
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient, exchange_time_s, largest_markets
from liqtruth.indexer.info.wire import Candle, decode_candles
from liqtruth.indexer.maps.betas import DATASET
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

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
"""As every venue's candles are stored; the exchange does not report what takers bought."""


@dataclass(frozen=True)
class CandleReport:
    """What `fetch_candles` brought; `failed` maps coins that could not be read to the reason."""

    coins: tuple[str, ...]
    rows: int
    new_rows: int
    weight: int
    failed: dict[str, str] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where a coin or a candle could not be read."""
        lacking = [*(f"{coin} ({why})" for coin, why in self.failed.items()), *self.left_out.describe()]
        if lacking:
            raise PartlyRead(
                f"could not be read: {'; '.join(lacking)}; the rest is stored, fetch again later"
            )

    def describe(self) -> list[str]:
        """Lines for people."""
        text = f"{self.rows:,} hourly candles of {counted(len(self.coins), 'coin')}, {self.new_rows:,} of them new"
        failed = [f"  {coin} could not be read: {why}" for coin, why in self.failed.items()]
        return [f"{text}; weight {self.weight:,}", *failed, *(f"  {one}" for one in self.left_out.describe())]


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

    A coin that cannot be read stops no other. Raises as `InfoClient` does where none can, or two in a row get no
    answer; what came until then is stored.
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
    budget = Budget.shared(weight_per_minute, base_url, store.settings.data_dir)
    rows = new = unanswered = 0
    failed: dict[str, str] = {}
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
            try:
                reported = await client.ask(decode_candles, "candleSnapshot", items=24 * days, req=query)
            except LiqtruthError as error:
                failed[coin] = str(error)
                unanswered = unanswered + 1 if error.retryable else 0
                if len(failed) == len(wanted) or unanswered > 1:
                    raise
            else:
                unanswered = 0
                frame = candle_frame(reported, end_ms)
                rows += frame.height
                if frame.height:
                    new += store.lake.merge_series(DATASET, VENUE, coin, frame, ("ts", "interval_s"), source)
            if on_progress is not None:
                on_progress(done / len(wanted))
    read = tuple(coin for coin in wanted if coin not in failed)
    return CandleReport(read, rows, new, budget.spent, failed, client.left_out)


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
