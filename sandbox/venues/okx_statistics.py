"""OKX's statistics under /rubik/stat: open interest, long/short ratios and taker volume, rows newest first.

Those of a contract keep 1,440 rows and take exclusive bounds; those of a coin are in USD, take inclusive bounds and
keep two days of 5m, thirty of 1H and 180 of 1D rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from liqtruth.sandbox.market.listings import Floats, Ints, fixed, from_units
from liqtruth.sandbox.public.series import PublicSeries, newest_first
from liqtruth.sandbox.venues.okx_query import (
    LAST_MS,
    Bar,
    Contract,
    Query,
    Refused,
    bar_of,
    coin_column_of,
    column_of,
    number_of,
    rows_of,
)

Rows = list[list[str]]
Answer = Callable[[Query], list[Any]]
Share = Callable[[Ints, int], Floats]
ROWS_KEPT: Final = 1440
ROWS_AT_MOST: Final = 100
DAYS_KEPT: Final = {"5m": 2, "1h": 30, "1d": 180}
DAY_MS: Final = 86_400_000


@dataclass
class OkxStatistics:
    """Answers of /rubik/stat."""

    series: PublicSeries

    def paths(self) -> dict[str, Answer]:
        series = self.series
        contract = "rubik/stat/contracts/long-short-{}-ratio-contract{}".format
        return {
            "rubik/stat/contracts/open-interest-history": self._open_interest,
            "rubik/stat/contracts/open-interest-volume": self._coin_open_interest,
            "rubik/stat/contracts/long-short-account-ratio": self._coin_ratio,
            contract("account", ""): lambda query: self._ratio(query, series.account_share),
            contract("account", "-top-trader"): lambda query: self._ratio(query, series.top_account_share),
            contract("position", "-top-trader"): lambda query: self._ratio(query, series.top_position_share),
            "rubik/stat/taker-volume-contract": self._taker_volume,
        }

    def _selected(self, query: Query) -> tuple[int, Bar, Ints]:
        """Column, period and points of a contract's statistic."""
        column, period = column_of(query, self.series.assets), bar_of(query, "period", "5m")
        points = self.series.points_every(period.length_ms, offset_ms=period.shift_ms)[-ROWS_KEPT:]
        return (
            column,
            period,
            points[rows_of(self.series.times(points), query, ("begin", "end"), ROWS_AT_MOST)],
        )

    def _selected_of_coin(self, query: Query) -> tuple[int, Bar, Ints]:
        """Column, period and points of a coin's statistic."""
        column, period = coin_column_of(query, self.series.assets), bar_of(query, "period", "5m")
        if period.interval not in DAYS_KEPT:
            raise Refused("51000", "Parameter period error")
        oldest = self.series.now_ms - DAYS_KEPT[period.interval] * DAY_MS
        points = self.series.points_every(period.length_ms, oldest, period.shift_ms)
        first, last = number_of(query, "begin", 0), number_of(query, "end", LAST_MS)
        return column, period, points[newest_first(self.series.times(points), first, last, ROWS_KEPT)[0]]

    def _contract(self, column: int) -> Contract:
        return Contract(self.series.assets[column])

    def _open_interest(self, query: Query) -> Rows:
        column, _, points = self._selected(query)
        contract, lots = self._contract(column), self.series.open_lots(points, column)
        value = lots * self.series.mark(points, column)
        return [
            [str(time), contract.contracts(size), contract.in_coins(size), from_units(worth, 6)]
            for time, size, worth in zip(self.series.times(points), lots, value, strict=True)
        ]

    def _coin_open_interest(self, query: Query) -> Rows:
        """Open interest and turnover, valued at the mark of the row."""
        column, period, points = self._selected_of_coin(query)
        mark = self.series.mark(points, column)
        open_interest = self.series.open_lots(points, column) * mark
        traded = sum(self.series.taken(points, period.length_ms, column)) * mark
        return [
            [str(time), from_units(open_usd, 6), from_units(traded_usd, 6)]
            for time, open_usd, traded_usd in zip(
                self.series.times(points), open_interest, traded, strict=True
            )
        ]

    def _ratio(self, query: Query, share: Share) -> Rows:
        column, _, points = self._selected(query)
        return self._ratios(points, share(points, column))

    def _coin_ratio(self, query: Query) -> Rows:
        column, _, points = self._selected_of_coin(query)
        return self._ratios(points, self.series.account_share(points, column))

    def _ratios(self, points: Ints, share: Floats) -> Rows:
        return [
            [str(time), fixed(float(long / max(1 - long, 1e-4)), 4)]
            for time, long in zip(self.series.times(points), share, strict=True)
        ]

    def _taker_volume(self, query: Query) -> Rows:
        """[time, sold, bought] of the period that ends at the time; unit 0 is coins, 1 contracts, 2 USD."""
        column, period, points = self._selected(query)
        bought, sold = self.series.taken(points, period.length_ms, column)
        amount = self._amount_in(query.get("unit") or "1", column)
        times, marks = self.series.times(points), self.series.mark(points, column)
        return [
            [str(time), amount(sells, mark), amount(buys, mark)]
            for time, sells, buys, mark in zip(times, sold, bought, marks, strict=True)
        ]

    def _amount_in(self, unit: str, column: int) -> Callable[[int, int], str]:
        contract = self._contract(column)
        amounts: dict[str, Callable[[int, int], str]] = {
            "0": lambda lots, _: contract.in_coins(lots),
            "1": lambda lots, _: contract.contracts(lots),
            "2": lambda lots, mark: from_units(lots * mark, 6),
        }
        if unit not in amounts:
            raise Refused("51000", "Parameter unit error")
        return amounts[unit]
