"""Stored synthetic series and liquidations for the tests of transfer: liquidations drawn from the model itself."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.transfer.flow import predicted_flow
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.model.brackets import Brackets, stored_brackets
from liqtruth.estimator.model.leverage_model import LeverageModel, Provenance, leverage_model_named
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.text import of_ms
from liqtruth.indexer.frames import LIQUIDATIONS as NODE_LIQUIDATIONS
from liqtruth.indexer.node.fills import KEY
from liqtruth.storage.store import Store
from tests.estimator.markets import series_of

COIN: Final = "SOL"
HOUR: Final = timedelta(hours=1)
BRACKETS: Final = Brackets.flat(COIN, 0.01, 50.0, "a synthetic venue's only tier")


PRIOR: Final = leverage_model_named("prior")


def random_series(seed: int, bars: int = 480, start: timedelta = timedelta(0)) -> MarketSeries:
    """Hours of a random walk around 100 with wicks, open interest around 10,000 coins, some volume."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.009, bars)))
    before = np.append(100.0, close[:-1])
    high = np.maximum(before, close) * np.exp(rng.exponential(0.003, bars))
    low = np.minimum(before, close) * np.exp(-rng.exponential(0.003, bars))
    open_interest = 10_000 * np.exp(np.cumsum(rng.normal(0, 0.01, bars + 1)))
    series = series_of(Bars(high, low, close, open_interest, rng.gamma(2.0, 900.0, bars)))
    return replace(series, start=series.start + start, as_of=series.as_of + start)


def fitted_model(name: str = "calibrated") -> LeverageModel:
    """The prior's shares under the name and kind of a fitted model."""
    return LeverageModel(
        name=name,
        kind="fitted",
        provenance=Provenance(
            datetime.fromisoformat("2026-08-01T00:00Z"), "a test", "synthetic: the prior's shares"
        ),
        rates=PRIOR.rates,
        leverage=PRIOR.leverage,
        long=PRIOR.long,
        short=PRIOR.short,
    )


def liquidated(
    series: MarketSeries,
    model: LeverageModel,
    brackets: Brackets,
    level: float = 0.0,
    *,
    seed: int,
    coverage: float = 1.0,
) -> pl.DataFrame:
    """Liquidations of exp(`level`) times as many positions as the model predicts for each hour, of a coin each."""
    flow = predicted_flow(series, model, brackets, COIN, HOUR)
    rng = np.random.default_rng(seed)
    parts = []
    for side in SIDES:
        mean = coverage * np.exp(level) * flow.of(side).sum(axis=1) / flow.mark_px
        hour = np.repeat(np.arange(mean.size), rng.poisson(mean))
        ts = flow.start_ms[hour] + rng.integers(0, flow.step_ms, hour.size)
        parts.append(
            pl.DataFrame({"ts": ts, "coins": np.ones(hour.size), "px": flow.mark_px[hour]}).with_columns(
                side=pl.lit(side)
            )
        )
    result = pl.concat(parts).sort("ts").with_row_index("id")
    moments = pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC")
    return result.with_columns(
        moments, pl.col("id").cast(pl.String), notional_usd=pl.col("coins") * pl.col("px")
    )


def store_series(store: Store, venue: str, series: MarketSeries) -> None:
    bars = series.bars
    ends = [of_ms(int(ms)) for ms in series.end_ms]
    candles = {"ts": [end - HOUR for end in ends], "interval_s": 3600, "open": bars.close, "high": bars.high,
               "low": bars.low, "close": bars.close, "volume": bars.volume, "taker_buy_volume": None}  # fmt: skip
    stored = {"ts": [series.start, *ends], "open_interest": bars.open_interest, "open_interest_usd": None}
    for name, rows in (("candles", candles), ("open_interest", stored)):
        known = DATASETS[name]
        frame = pl.DataFrame(rows, schema=dict(known.schema))
        store.lake.merge_series(name, venue, COIN, frame, known.key, "synthetic: a test")


def store_liquidations(store: Store, venue: str, result: pl.DataFrame) -> None:
    """As the venue's feed tells them; on Hyperliquid as a node does."""
    if venue == "hyperliquid":
        whole = result.with_columns(
            pl.col("px").alias("mark_px"),
            pl.col("px").alias("mean_px"),
            pl.col("coins").alias("size"),
            pl.col("id").alias("hash"),
            address=pl.lit("0x0"),
            coin=pl.lit(COIN),
            method=pl.lit("market"),
            fills=pl.lit(1),
        )
        rows = whole.select(pl.col(name).cast(dtype) for name, dtype in NODE_LIQUIDATIONS.items())
        store.lake.merge_series("liquidations", venue, COIN, rows, KEY, "synthetic: a test")
        return
    known = DATASETS["liquidations"]
    rows = result.select(pl.col(name).cast(dtype) for name, dtype in known.schema.items())
    store.lake.merge_series("liquidations", venue, COIN, rows, known.key, "synthetic: a test")


def store_listening(store: Store, venue: str, start: datetime, until: datetime) -> None:
    known = DATASETS["listening"]
    row = {"ts": [start], "until": [until], "coverage": ["every liquidation, each 500 ms"]}
    store.lake.merge_series(
        "listening", venue, COIN, pl.DataFrame(row, schema=dict(known.schema)), known.key, "test"
    )


def store_market(store: Store, venue: str, series: MarketSeries, level: float = 0.0, seed: int = 0) -> None:
    """Series, liquidations that are exp(`level`) of the model's, and a feed that was recorded all the time."""
    store_series(store, venue, series)
    brackets = stored_brackets(store, venue_named(venue), COIN, series.as_of)
    store_liquidations(store, venue, liquidated(series, fitted_model(), brackets, level, seed=seed))
    store_listening(store, venue, series.start, series.as_of)
