"""How Bybit reads a query: symbols, intervals, times and limits; and its answer to a bad one."""

from collections.abc import Mapping
from typing import Final

from liqtruth.sandbox.decimals import fixed
from liqtruth.sandbox.market.assets import Asset

Query = Mapping[str, str]
KLINES: Final = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h",
    "720": "12h", "D": "1d", "W": "1w",
}  # fmt: skip
PERIODS: Final = {"5min": "5m", "15min": "15m", "30min": "30m", "1h": "1h", "4h": "4h", "1d": "1d"}
BAD_PARAMETER: Final = 10001
LAST_MS: Final = 2**62


class Refused(Exception):
    """A request that Bybit would answer with a code and a text."""

    def __init__(self, message: str, code: int = BAD_PARAMETER) -> None:
        super().__init__(message)
        self.code = code


def symbol_of(asset: Asset) -> str:
    return asset.name + "USDT"


def step_of(decimals: int) -> str:
    return fixed(10.0**-decimals, decimals)


def number_of(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise Refused(f"params error: {name} invalid")
    return int(text)


def limit_of(query: Query, default: int, most: int) -> int:
    limit = number_of(query, "limit", default)
    if limit < 1:
        raise Refused("params error: limit invalid")
    return min(limit, most)
