"""The estimator's series: each schema, key and dataset name is written here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from liqtruth.storage.lake.listening import LISTENING, SPAN_KEY, SPANS

UTC_MS: Final = pl.Datetime("ms", "UTC")
Schema = Mapping[str, pl.DataType]

CANDLES: Final[Schema] = {
    "ts": UTC_MS,
    "interval_s": pl.Int64(),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "taker_buy_volume": pl.Float64(),
}
"""`ts` is the bar's open. Volumes are in coins, null where the source has none. A bar made from two price samples
has a null volume and the samples' own distance as its interval."""

MARK_CANDLES: Final[Schema] = {
    name: dtype for name, dtype in CANDLES.items() if name not in ("volume", "taker_buy_volume")
}
"""Bars of the mark price, by which venues liquidate."""

OPEN_INTEREST: Final[Schema] = {
    "ts": UTC_MS,
    "open_interest": pl.Float64(),
    "open_interest_usd": pl.Float64(),
}
"""One side of the market at `ts`; coins or USD may be null, not both."""

FUNDING: Final[Schema] = {"ts": UTC_MS, "rate": pl.Float64()}
"""Funding as a fraction per funding interval, at its settlement."""

RATIOS: Final[Schema] = {"ts": UTC_MS, "kind": pl.String(), "ratio": pl.Float64()}

LONG_SHORT_ACCOUNTS: Final = "long_short_accounts"
TOP_LONG_SHORT_POSITIONS: Final = "top_long_short_positions"
TAKER_BUY_SELL: Final = "taker_buy_sell"
RATIO_KINDS: Final = (LONG_SHORT_ACCOUNTS, TOP_LONG_SHORT_POSITIONS, TAKER_BUY_SELL)
"""Accounts net long over accounts net short; the same of the top traders' position sizes; taker buys over sells."""

LIQUIDATIONS: Final[Schema] = {
    "ts": UTC_MS,
    "id": pl.String(),
    "side": pl.String(),
    "px": pl.Float64(),
    "coins": pl.Float64(),
    "notional_usd": pl.Float64(),
}
"""Realised liquidations as the venue reports them. `side` is that of the position which was closed: `long` or `short`.
`id` distinguishes what happened in one millisecond: the venue's own, else made of the values."""

TIERS: Final[Schema] = {
    "ts": UTC_MS,
    "min_notional_usd": pl.Float64(),
    "max_notional_usd": pl.Float64(),
    "maintenance_margin_rate": pl.Float64(),
    "max_leverage": pl.Float64(),
}
"""A venue's maintenance tiers of one market as reported at `ts`."""


@dataclass(frozen=True)
class Dataset:
    """A series as the lake knows it: a row with a known `key` replaces the old one."""

    name: str
    schema: Schema
    key: tuple[str, ...]


DATASETS: Final[Mapping[str, Dataset]] = {
    dataset.name: dataset
    for dataset in (
        Dataset("candles", CANDLES, ("ts", "interval_s")),
        Dataset("mark_candles", MARK_CANDLES, ("ts", "interval_s")),
        Dataset("open_interest", OPEN_INTEREST, ("ts",)),
        Dataset("funding", FUNDING, ("ts",)),
        Dataset("ratios", RATIOS, ("ts", "kind")),
        Dataset("liquidations", LIQUIDATIONS, ("ts", "id")),
        Dataset(LISTENING, SPANS, SPAN_KEY),
        Dataset("tiers", TIERS, ("ts", "min_notional_usd")),
    )
}


def conform(rows: pl.DataFrame, dataset: str) -> pl.DataFrame:
    """`rows` with exactly the columns of `dataset` in their order and types; absent ones are null."""
    schema = DATASETS[dataset].schema
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
