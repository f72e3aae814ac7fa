"""How Binance reads a query, and its statistics under /futures/data.

Statistics are open interest history, long/short ratios and taker volume, computed from the venue's ledger over its last
30 days; each answer holds the newest `limit` rows inside [startTime, endTime], oldest first. Taker volume is of the
period that ends at the row's timestamp.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.market.listings import Asset, Floats, Ints, fixed, from_units
from liqtruth.sandbox.public.record import INTERVAL_MS
from liqtruth.sandbox.public.series import PublicSeries

Json = Any
Query = Mapping[str, str]
Answer = Callable[[Query], Json]
PERIODS: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
DAYS_KEPT: Final = 30
DAY_MS: Final = 86_400_000


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


@dataclass
class Statistics:
    """Answers of /futures/data."""

    series: PublicSeries

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return self.series.assets

    def paths(self) -> dict[str, Answer]:
        series = self.series
        return {
            "/futures/data/openInterestHist": self._open_interest_history,
            "/futures/data/globalLongShortAccountRatio": lambda query: self._ratio(
                query, series.account_share
            ),
            "/futures/data/topLongShortAccountRatio": lambda query: self._ratio(
                query, series.top_account_share
            ),
            "/futures/data/topLongShortPositionRatio": lambda query: self._ratio(
                query, series.top_position_share
            ),
            "/futures/data/takerlongshortRatio": self._taker_ratio,
        }

    def _statistics(self, query: Query) -> tuple[int, Ints]:
        """Column and minute points of the rows that the query selects, of the last 30 days only."""
        column, period = column_of(query, self._assets), query.get("period", "")
        if period not in PERIODS:
            raise Rejected(-1130, "Data sent for parameter 'period' is not valid.")
        oldest = self.series.now_ms - DAYS_KEPT * DAY_MS
        if time_of(query, "startTime", oldest) < oldest:
            raise Rejected(-1130, "parameter 'startTime' is invalid.")
        points = self.series.points_every(INTERVAL_MS[period], oldest)
        rows = rows_of(self.series.times(points), query, limit_of(query, 30, 500), from_start=False)
        return column, points[rows]

    def _open_interest_history(self, query: Query) -> Json:
        column, points = self._statistics(query)
        asset, lots = self._assets[column], self.series.open_lots(points, column)
        value = lots * self.series.mark(points, column)
        return [
            {
                "symbol": query["symbol"],
                "sumOpenInterest": from_units(int(size), asset.sz_decimals),
                "sumOpenInterestValue": from_units(int(worth), 6),
                "timestamp": int(time),
            }
            for size, worth, time in zip(lots, value, self.series.times(points), strict=True)
        ]

    def _ratio(self, query: Query, share: Callable[[Ints, int], Floats]) -> Json:
        column, points = self._statistics(query)
        return [
            {
                "symbol": query["symbol"],
                "longAccount": fixed(float(part), 4),
                "longShortRatio": fixed(float(part / max(1 - part, 1e-4)), 4),
                "shortAccount": fixed(float(1 - part), 4),
                "timestamp": int(time),
            }
            for part, time in zip(share(points, column), self.series.times(points), strict=True)
        ]

    def _taker_ratio(self, query: Query) -> Json:
        column, points = self._statistics(query)
        decimals = self._assets[column].sz_decimals
        bought, sold = self.series.taken(points, INTERVAL_MS[query["period"]], column)
        return [
            {
                "buySellRatio": fixed(int(buys) / max(int(sells), 1), 4),
                "buyVol": from_units(int(buys), decimals),
                "sellVol": from_units(int(sells), decimals),
                "timestamp": int(time),
            }
            for buys, sells, time in zip(bought, sold, self.series.times(points), strict=True)
        ]
