"""What archives hold of the first venue, as files: positions of everyone on earlier days, candles, open interest.

Every row is marked as synthetic in its column `source`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.sandbox.market.market import HYPERLIQUID, Market
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import true_positions

SOURCE: Final = "synthetic: the sandbox"
INTERVAL: Final = "1h"
UNPUBLISHED: Final = ("account_mode", "max_leverage")


@dataclass(frozen=True)
class Archive:
    """Files: one of positions (none without `Market.past`), and per coin of the main dex those of its aggregates."""

    positions: Path | None
    aggregates: dict[str, tuple[Path, ...]]


def write_archive(market: Market, directory: Path) -> Archive:
    """Parquet in an existing directory, replacing files of the same names."""
    record = Record(market, market.hyperliquid)
    positions = _positions(market, directory / "positions.parquet") if market.past else None
    return Archive(positions, {coin: _aggregates(record, coin, directory) for coin in market.spec.coins})


def _positions(market: Market, path: Path) -> Path:
    """Every open position of the main dex at the ends of the earlier days, `liq_px` as the venue shows it."""
    moments = [_at(then) for then in market.past]
    pl.concat(moments).drop(UNPUBLISHED).write_parquet(path)
    return path


def _at(then: Market) -> pl.DataFrame:
    held = true_positions(then, HYPERLIQUID).filter(pl.col("dex") == "")
    return held.with_columns(_moments([then.as_of_ms] * held.height), source=pl.lit(SOURCE))


def _aggregates(record: Record, coin: str, directory: Path) -> tuple[Path, ...]:
    column = record.market.spec.coins.index(coin)
    asset, candles = record.venue.rules.assets[column], record.candles(column, INTERVAL)
    bars = {name: getattr(candles, name) / asset.px_scale for name in ("open", "high", "low", "close")}
    volume = candles.volume / asset.lot_scale
    ends = [*candles.open_ms[:1].tolist(), *(candles.close_ms + 1).tolist()]
    held = record.open_lots[[(end - int(record.market.path.times_ms[0])) // 60_000 for end in ends], column]
    tables = {
        "candles": pl.DataFrame({"ts": _moments(candles.open_ms.tolist()), **bars, "volume": volume}),
        "open-interest": pl.DataFrame({"ts": _moments(ends), "open_interest": held / asset.lot_scale}),
    }
    paths = {name: directory / f"{coin}-{name}.parquet" for name in tables}
    for name, table in tables.items():
        table.with_columns(source=pl.lit(SOURCE)).write_parquet(paths[name])
    return tuple(paths.values())


def _moments(times_ms: list[int]) -> pl.Series:
    return pl.Series("ts", times_ms, dtype=pl.Datetime("ms", "UTC"))
