"""Binance's statistics under /futures/data: open interest history, long/short ratios, taker volume.

All are computed from the venue's ledger and cover its last 30 days; each answer holds the newest `limit` rows
inside [startTime, endTime], oldest first. Taker volume is of the period that ends at the row's timestamp.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from liqtruth.sandbox.binance.query import Query, Rejected, column_of, limit_of, rows_of, time_of
from liqtruth.sandbox.market.assets import Asset, fixed, from_units
from liqtruth.sandbox.market.margin_rules import Floats, Ints
from liqtruth.sandbox.public.candles import INTERVAL_MS
from liqtruth.sandbox.public.series import PublicSeries

Json = Any
Answer = Callable[[Query], Json]
PERIODS: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
DAYS_KEPT: Final = 30
DAY_MS: Final = 86_400_000


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
