"""A synthetic market in the lake whose liquidations are what a known model's map says they are, hour by hour."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.observed.price_path import load_path, ranges_after
from liqtruth.compare.scoring.ledger.settle import settle
from liqtruth.compare.scoring.realised.map_series import swept_by_series
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.over_time.price_time import model_series
from liqtruth.heatmap.grid import FloatArray
from liqtruth.storage.store import Settings, Store

VENUE: Final = "bybit"
COIN: Final = "SOL"
START: Final = datetime(2026, 8, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
SOURCE: Final = "synthetic: a test"
EVERY: Final = "every liquidation, each 500 ms"
PIECES: Final = 4
"""Liquidations that the mass swept on one side in one hour is made of."""


@dataclass(frozen=True)
class ScoredMarket:
    """`days` of bars of `bar`; liquidations of the last `recorded_days` follow the map of `truth`."""

    days: int = 9
    bar: timedelta = timedelta(minutes=15)
    recorded_days: int = 6
    truth: str = "bell"
    seed: int = 3
    coverage: float = 1.0
    word: str = EVERY
    hourly_volatility: float = 0.006

    @property
    def end(self) -> datetime:
        return START + timedelta(days=self.days)


def store_market(store: Store, market: ScoredMarket) -> None:
    """Candles, open interest, liquidations and the span of listening."""
    store_prices(store, market)
    heard_from = market.end - timedelta(days=market.recorded_days)
    result = {"ts": [heard_from], "until": [market.end], "coverage": [market.word]}
    merge(store, "listening", conform(pl.DataFrame(result), "listening"))
    merge(store, "liquidations", liquidations(store, market))


def store_prices(store: Store, market: ScoredMarket) -> None:
    rng = np.random.default_rng(market.seed)
    count = market.days * round(timedelta(days=1) / market.bar)
    scale = market.hourly_volatility * np.sqrt(market.bar / HOUR)
    close = 100 * np.exp(np.cumsum(rng.normal(0, scale, count)))
    before = np.append(100.0, close[:-1])
    starts = [START + n * market.bar for n in range(count)]
    candles = pl.DataFrame(
        {
            "ts": starts,
            "interval_s": [round(market.bar.total_seconds())] * count,
            "open": before,
            "high": np.maximum(before, close) * np.exp(rng.exponential(scale / 3, count)),
            "low": np.minimum(before, close) * np.exp(-rng.exponential(scale / 3, count)),
            "close": close,
            "volume": rng.gamma(2.0, 900.0, count),
        }
    )
    stored = pl.DataFrame(
        {
            "ts": [START, *(start + market.bar for start in starts)],
            "open_interest": 1e5 * np.exp(np.cumsum(rng.normal(0, 0.008, count + 1))),
        }
    )
    merge(store, "candles", conform(candles, "candles"))
    merge(store, "open_interest", conform(stored, "open_interest"))


def liquidations(store: Store, market: ScoredMarket) -> pl.DataFrame:
    """Of each hour and side, what the map at its start has between the mark and the hour's extreme.

    In `PIECES` equal parts of the way, each at its middle; empty ones are none.
    """
    span = timedelta(days=market.recorded_days)
    series = model_series(store, COIN, VENUE, market.truth, span + HOUR, HOUR, at=market.end)
    moments = np.array([round(at.timestamp() * 1000) for at in series.times])
    path = load_path(store, VENUE, COIN, series.times[0], market.end)
    ranges = ranges_after(path, moments, 3_600_000)
    place = np.flatnonzero(ranges.whole)
    swept = swept_by_series(series, series.mark_px)
    parts = []
    for side, extreme in (("long", ranges.low), ("short", ranges.high)):
        mark, far = series.mark_px[place], extreme[place]
        far = np.minimum(far, mark) if side == "long" else np.maximum(far, mark)
        for piece in range(PIECES):
            near_px, px, far_px = (
                mark * (far / mark) ** ((piece + share) / PIECES) for share in (0.0, 0.5, 1.0)
            )
            usd = market.coverage * (swept(side, place, far_px) - swept(side, place, near_px))
            at = moments[place] + round((piece + 0.5) / PIECES * 3_600_000)
            parts.append(_rows(at, side, px, usd))
    return conform(pl.concat(parts), "liquidations")


def _rows(at_ms: np.ndarray, side: str, px: FloatArray, usd: FloatArray) -> pl.DataFrame:
    result = usd > 0
    return pl.DataFrame(
        {
            "ts": pl.from_epoch(pl.Series(at_ms[result]), "ms").dt.replace_time_zone("UTC"),
            "id": [f"{side} {ms}" for ms in at_ms[result]],
            "side": [side] * int(result.sum()),
            "px": px[result],
            "coins": usd[result] / px[result],
            "notional_usd": usd[result],
        }
    )


def settle_there(data_dir: Path, url: str | None) -> None:
    """For a process of its own."""
    with Store.open(Settings(data_dir=data_dir, database_url=url)) as store:  # type: ignore[arg-type]
        settle(store)


def merge(store: Store, dataset: str, rows: pl.DataFrame) -> None:
    known = DATASETS[dataset]
    store.lake.merge_series(dataset, VENUE, COIN, rows, known.key, SOURCE)
