"""Binance's statistics under /futures/data: open interest history, long/short ratios, taker volume.

All are computed from the second venue's ledger and cover its last 30 days; each answer holds the newest `limit` rows
inside [startTime, endTime], oldest first. Taker volume is of the period that ends at the row's timestamp.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sandbox.activity import Holders, holders, leaning, top_traders
from sandbox.assets import Asset
from sandbox.binance_query import Query, Rejected, column_of, limit_of, rows_of, time_of
from sandbox.candles import INTERVAL_MS, MINUTE_MS
from sandbox.decimals import fixed, from_units
from sandbox.margin_rules import Floats, Ints
from sandbox.market import Market
from sandbox.record import Record

Json = Any
Answer = Callable[[Query], Json]
PERIODS: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
DAYS_KEPT: Final = 30
DAY_MS: Final = 86_400_000


@dataclass
class Statistics:
    """Answers of /futures/data."""

    market: Market
    record: Record

    def __post_init__(self) -> None:
        self._top: Holders | None = None

    @property
    def top(self) -> Holders:
        """The positions of the richest fifth."""
        if self._top is None:
            points = self.market.path.times_ms.size
            self._top = holders(self.market.binance, points, top_traders(self.market.binance))
        return self._top

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return self.market.binance.rules.assets

    def paths(self) -> dict[str, Answer]:
        return {
            "/futures/data/openInterestHist": self._open_interest_history,
            "/futures/data/globalLongShortAccountRatio": lambda query: self._ratio(query, self._all_accounts),
            "/futures/data/topLongShortAccountRatio": lambda query: self._ratio(query, self._top_accounts),
            "/futures/data/topLongShortPositionRatio": lambda query: self._ratio(query, self._top_positions),
            "/futures/data/takerlongshortRatio": self._taker_ratio,
        }

    def _statistics(self, query: Query) -> tuple[int, Ints]:
        """Column and minute points of the rows that the query selects, of the last 30 days only."""
        column, period = column_of(query, self._assets), query.get("period", "")
        if period not in PERIODS:
            raise Rejected(-1130, "Data sent for parameter 'period' is not valid.")
        path, oldest = self.market.path, self.market.as_of_ms - DAYS_KEPT * DAY_MS
        if time_of(query, "startTime", oldest) < oldest:
            raise Rejected(-1130, "parameter 'startTime' is invalid.")
        points = np.arange(max(self.market.first_point, 0), path.times_ms.size)
        times = path.times_ms[points]
        on_period = (times % INTERVAL_MS[period] == 0) & (times >= oldest)
        rows = rows_of(times[on_period], query, limit_of(query, 30, 500), from_start=False)
        return column, points[on_period][rows]

    def _open_interest_history(self, query: Query) -> Json:
        column, points = self._statistics(query)
        path, asset = self.market.path, self._assets[column]
        lots = self.record.open_lots[points, column]
        return [
            {
                "symbol": query["symbol"],
                "sumOpenInterest": from_units(int(held), asset.sz_decimals),
                "sumOpenInterestValue": from_units(int(held * path.mark_units[point, column]), 6),
                "timestamp": int(path.times_ms[point]),
            }
            for held, point in zip(lots, points, strict=True)
        ]

    def _all_accounts(self) -> tuple[Floats, Floats]:
        return leaning(self.record.held, self.market.binance.people.makers)

    def _top_accounts(self) -> tuple[Floats, Floats]:
        return np.asarray(self.top.long_accounts), np.asarray(self.top.short_accounts)

    def _top_positions(self) -> tuple[Floats, Floats]:
        return np.asarray(self.top.long_lots), np.asarray(self.top.short_lots)

    def _ratio(self, query: Query, sides: Callable[[], tuple[Floats, Floats]]) -> Json:
        column, points = self._statistics(query)
        long, short = (side[points, column] for side in sides())
        share = long / np.maximum(long + short, 1)
        return [
            {
                "symbol": query["symbol"],
                "longAccount": fixed(float(part), 4),
                "longShortRatio": fixed(float(part / max(1 - part, 1e-4)), 4),
                "shortAccount": fixed(float(1 - part), 4),
                "timestamp": int(self.market.path.times_ms[point]),
            }
            for part, point in zip(share, points, strict=True)
        ]

    def _taker_ratio(self, query: Query) -> Json:
        """Taker volume of the period that ends at each timestamp."""
        column, points = self._statistics(query)
        minutes = INTERVAL_MS[query["period"]] // MINUTE_MS
        activity, decimals = self.record.activity, self._assets[column].sz_decimals
        rows = []
        for point in points:
            span = slice(max(point - minutes, 0), point)
            bought = int(activity.taker_buy_lots[span, column].sum())
            sold = int(activity.volume_lots[span, column].sum()) - bought
            rows.append(
                {
                    "buySellRatio": fixed(bought / max(sold, 1), 4),
                    "buyVol": from_units(bought, decimals),
                    "sellVol": from_units(sold, decimals),
                    "timestamp": int(self.market.path.times_ms[point]),
                }
            )
        return rows
