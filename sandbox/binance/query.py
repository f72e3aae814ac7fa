"""How Binance reads a query: times, limits and the rows they select, and its answer to a bad one."""

from collections.abc import Mapping

import numpy as np

from liqtruth.sandbox.market.assets import Asset
from liqtruth.sandbox.market.margin_rules import Ints

Query = Mapping[str, str]


class Rejected(Exception):
    """A request that Binance would answer with 400, a code and a text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def column_of(query: Query, assets: tuple[Asset, ...]) -> int:
    """Column of the symbol asked for."""
    symbols = [asset.name + "USDT" for asset in assets]
    symbol = query.get("symbol")
    if symbol is None:
        raise Rejected(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    if symbol not in symbols:
        raise Rejected(-1121, "Invalid symbol.")
    return symbols.index(symbol)


def time_of(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise Rejected(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return int(text)


def limit_of(query: Query, default: int, most: int) -> int:
    limit = time_of(query, "limit", default)
    if limit < 1:
        raise Rejected(-1130, "parameter 'limit' is invalid.")
    return min(limit, most)


def rows_of(times_ms: Ints, query: Query, limit: int, from_start: bool) -> Ints:
    """Row numbers inside [startTime, endTime]: the first ones when a start is given and wanted, else the newest."""
    start = time_of(query, "startTime", 0)
    end = time_of(query, "endTime", int(times_ms[-1]) if times_ms.size else 0)
    rows = np.flatnonzero((times_ms >= start) & (times_ms <= end))
    return rows[:limit] if from_start and "startTime" in query else rows[-limit:]
