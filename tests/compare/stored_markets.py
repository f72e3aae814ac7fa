"""Series and censuses of a drawn market (`random_series`) in a store, as fetching and reading would leave them."""

from datetime import timedelta
from typing import Final

import polars as pl

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.words.text import of_ms
from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.markets import store_markets
from liqtruth.storage.database.tables import Market, Reading, Scope
from liqtruth.storage.store import Store
from tests.compare.calibrated_markets import whole_market

COIN: Final = "SOL"
HOUR: Final = timedelta(hours=1)
SOURCE: Final = "synthetic: a test"


def stored_series(store: Store, series: MarketSeries, venue: str = VENUE, coin: str = COIN) -> None:
    bars = series.bars
    ends = [of_ms(int(ms)) for ms in series.end_ms]
    candles = pl.DataFrame(
        {
            "ts": [end - HOUR for end in ends],
            "interval_s": [3600] * len(ends),
            "open": bars.close,
            "high": bars.high,
            "low": bars.low,
            "close": bars.close,
            "volume": bars.volume,
            "taker_buy_volume": [None] * len(ends),
        },
        schema=dict(DATASETS["candles"].schema),
    )
    held = {"ts": [series.start, *ends], "open_interest": bars.open_interest}
    open_interest = conform(pl.DataFrame(held), DATASETS["open_interest"].schema)
    for name, rows in (("candles", candles), ("open_interest", open_interest)):
        store.lake.merge_series(name, venue, coin, rows, DATASETS[name].key, SOURCE)


def stored_reading(
    store: Store,
    series: MarketSeries,
    bar: int,
    coverage: float = 1.0,
    count: int = 300,
    coin: str = COIN,
) -> None:
    """A census right after a bar, of `count` positions that hold `coverage` of open interest, and the market row that a
    sweep stores beside it."""
    at, mark_px = of_ms(int(series.end_ms[bar - 1])), float(series.bars.close[bar - 1])
    open_interest, last = (float(series.bars.open_interest[place]) for place in (bar, -1))
    rows = whole_market(series, bar, count, coverage=coverage * open_interest / last).with_columns(
        pl.col("liq_px") * (mark_px / series.mark_px),
        mark_px=pl.lit(mark_px),
        coin=pl.lit(coin),
        dex=pl.lit(""),
        address=pl.int_range(pl.len()).cast(pl.String),
        status=pl.lit("exact"),
        as_of=pl.lit(at),
        source=pl.lit(SOURCE),
    )
    reading = Reading(
        id=f"census-{bar}", venue=VENUE, source="test", scope=Scope.CENSUS, as_of=at, accounts=1, positions=1
    )
    store.lake.write_reading(reading, {"positions": conform(rows, POSITIONS)})
    row = Market(
        venue=VENUE,
        dex="",
        coin=coin,
        as_of=at,
        mark_px=mark_px,
        open_interest=open_interest,
        max_leverage=20,
    )
    store_markets(store.database, [row])
