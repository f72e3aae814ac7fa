"""Accounts of one pool with prices as the exchange would send them, and facts to be read with instead."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from liqtruth.indexer.frames import POSITIONS, from_columns
from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables

NOON = datetime(2026, 9, 6, 12, tzinfo=UTC)
META_JSON = b"""{"universe": [
  {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
  {"name": "ETH", "szDecimals": 4, "maxLeverage": 25, "marginTableId": 55},
  {"name": "WIF", "szDecimals": 0, "maxLeverage": 5, "marginTableId": 5},
  {"name": "INJ", "szDecimals": 1, "maxLeverage": 10, "marginTableId": 51}],
 "marginTables": [
  [56, {"marginTiers": [{"lowerBound": "0", "maxLeverage": 40}, {"lowerBound": "150000000", "maxLeverage": 20}]}],
  [55, {"marginTiers": [{"lowerBound": "0", "maxLeverage": 25}, {"lowerBound": "100000000", "maxLeverage": 15}]}],
  [51, {"marginTiers": [{"lowerBound": "0", "maxLeverage": 10}, {"lowerBound": "3000000", "maxLeverage": 5}]}]],
 "collateralToken": 0}"""
TABLE = MarginTables.from_meta(wire.decode_meta(META_JSON, "test"))
TABLES = {"": TABLE, "xyz": TABLE}
MARKS = {"BTC": 80_000.0, "ETH": 2_500.0, "WIF": 1.0, "INJ": 10.0}
LEVERAGE = {"BTC": 40.0, "ETH": 25.0, "WIF": 5.0, "INJ": 10.0}
HOLDINGS = {"BTC": -2.0, "ETH": 30.0, "WIF": -5_000.0}


def holdings(positions: dict[str, float], **facts: Any) -> pl.DataFrame:
    """Cross positions of one pool with 60,000 USD available unless given; prices not yet sent."""
    coins, n = list(positions), len(positions)
    columns: dict[str, Any] = {
        "address": "0xa",
        "account_mode": "unified",
        "dex": "",
        "margin_mode": "cross",
        "account_value_usd": 0.0,
        "cross_maintenance_usd": 0.0,
        "pooled_available_usd": 60_000.0,
        "exchange_read": True,
        "as_of": NOON,
        "source": "test",
        "max_leverage": [LEVERAGE[coin] for coin in coins],
        "mark_px": [MARKS[coin] for coin in coins],
        **facts,
    }
    lists = {name: value if isinstance(value, list) else [value] * n for name, value in columns.items()}
    lists |= {"coin": coins, "szi": list(positions.values())}
    return from_columns(lists, POSITIONS).with_columns(notional_usd=pl.col("szi").abs() * pl.col("mark_px"))


def sent(frame: pl.DataFrame, **facts: Any) -> pl.DataFrame:
    """The frame as the exchange would send it: prices by the facts in it, then read with `facts` instead."""
    prices = reconcile(frame.with_columns(exchange_read=False), TABLES)["liq_px_solved"]
    reported = [pl.lit(value, POSITIONS[name]).alias(name) for name, value in facts.items()]
    return frame.with_columns(prices.alias("liq_px_exchange"), *reported)
