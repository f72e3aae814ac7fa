"""Bybit's public REST, version 5, over the synthetic venue `bybit`, in the paths and shapes that ccxt calls.

ccxt reads it after this override, tested in tests/sandbox/test_bybit.py:

    exchange = ccxt.async_support.bybit()
    exchange.urls["api"]["public"] = server.bybit_url

As on the venue: rows come newest first, candles begin with the one that contains `start`, sizes are coins,
`openInterest` counts both sides and `singleOpenInterest` one, a funding history wants an end with its start, and there
is no taker volume. Linear contracts only; other categories list nothing. Errors come with status 200 and a `retCode`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from liqtruth.sandbox.market.listings import Asset, Ints, fixed, from_units
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import BYBIT
from liqtruth.sandbox.market.venue import FUNDING_HOURS
from liqtruth.sandbox.public.record import INTERVAL_MS
from liqtruth.sandbox.public.series import PublicSeries, newest_first, oldest_kept

Json = Any
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


@dataclass
class BybitApi:
    """Answers of the venue as of the market's moment."""

    series: PublicSeries

    @classmethod
    def of(cls, market: Market) -> "BybitApi":
        return cls(PublicSeries(market, BYBIT))

    def __post_init__(self) -> None:
        self._paths: dict[str, Callable[[Query], Json]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/kline": lambda query: self._klines(query, traded=True),
            "/v5/market/mark-price-kline": lambda query: self._klines(query, traded=False),
            "/v5/market/open-interest": self._open_interest,
            "/v5/market/funding/history": self._funding,
            "/v5/market/account-ratio": self._account_ratio,
            "/v5/market/risk-limit": self._risk_limit,
            "/v5/market/tickers": self._tickers,
        }

    def at(self, market: Market) -> "BybitApi":
        """The same venue at another moment of the same market."""
        return BybitApi(self.series.at(market))

    def respond(self, path: str, query: Query) -> tuple[int, Json]:
        """Status and answer, refusals included."""
        if path not in self._paths:
            return 404, ""
        try:
            return 200, self._envelope(0, "OK", self._paths[path](query))
        except Refused as error:
            return 200, self._envelope(error.code, str(error), {})

    def _envelope(self, code: int, message: str, result: Json) -> Json:
        now = self.series.now_ms
        return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now}

    def _time(self, query: Query) -> Json:
        now = self.series.now_ms
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def _columns(self, query: Query) -> list[int]:
        """Columns of a listing: all, or the symbol asked for; none of another category or status."""
        if query.get("category") not in ("linear", "inverse", "spot", "option"):
            raise Refused("params error: Category is invalid")
        if query["category"] != "linear" or query.get("status", "Trading") != "Trading":
            return []
        return [self._column(query)] if "symbol" in query else list(range(len(self.series.assets)))

    def _column(self, query: Query) -> int:
        """Column of the linear contract asked for."""
        if query.get("category", "linear") != "linear":
            raise Refused("params error: only linear contracts are served here (synthetic)")
        symbols = [symbol_of(asset) for asset in self.series.assets]
        if query.get("symbol") not in symbols:
            raise Refused("params error: symbol invalid")
        return symbols.index(query["symbol"])

    def _instruments(self, query: Query) -> Json:
        rows = [self._instrument(column) for column in self._columns(query)]
        return {"category": query["category"], "list": rows, "nextPageCursor": ""}

    def _instrument(self, column: int) -> Json:
        asset, most = self.series.assets[column], self.series.tiers(column)[0].max_leverage
        tick, step = step_of(6 - asset.sz_decimals), step_of(asset.sz_decimals)
        return {
            "symbol": symbol_of(asset),
            "contractType": "LinearPerpetual",
            "status": "Trading",
            "baseCoin": asset.name,
            "quoteCoin": "USDT",
            "settleCoin": "USDT",
            "launchTime": "1585526400000",
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": str(6 - asset.sz_decimals),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": f"{most}.00", "leverageStep": "0.01"},
            "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
            "lotSizeFilter": {
                "maxOrderQty": "1000000",
                "minOrderQty": step,
                "qtyStep": step,
                "postOnlyMaxOrderQty": "1000000",
                "maxMktOrderQty": "1000000",
                "minNotionalValue": "5",
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 60 * FUNDING_HOURS,
            "copyTrading": "none",
            "isPreListing": False,
        }

    def _klines(self, query: Query, traded: bool) -> Json:
        column, interval = self._column(query), query.get("interval", "")
        if interval not in KLINES:
            raise Refused("params error: interval invalid")
        candles = self.series.record.candles(column, KLINES[interval])
        start, end = number_of(query, "start", 0), number_of(query, "end", LAST_MS)
        start -= start % INTERVAL_MS[KLINES[interval]]
        limit = limit_of(query, 200, 1000)
        if "start" in query and "end" not in query:
            rows = oldest_kept(candles.open_ms, start, end, limit)
        else:
            rows, _ = newest_first(candles.open_ms, start, end, limit)
        asset = self.series.assets[column]
        prices = (candles.open, candles.high, candles.low, candles.close)
        return {
            "symbol": query["symbol"],
            "category": "linear",
            "list": [
                [str(candles.open_ms[row]), *(from_units(px[row], 6 - asset.sz_decimals) for px in prices)]
                + (
                    [from_units(candles.volume[row], asset.sz_decimals), from_units(candles.quote[row], 6)]
                    * traded
                )
                for row in rows
            ],
        }

    def _page(self, query: Query, period_name: str, most: int) -> tuple[Ints, str]:
        """Points of a statistic's page, newest first, and the cursor of the next one."""
        period = query.get(period_name)
        if period not in PERIODS:
            raise Refused(f"params error: {period_name} invalid")
        points = self.series.points_every(INTERVAL_MS[PERIODS[period]])
        times, end = self.series.times(points), number_of(query, "endTime", LAST_MS)
        if query.get("cursor"):
            end = min(end, number_of(query, "cursor", 0) - 1)
        rows, more = newest_first(times, number_of(query, "startTime", 0), end, limit_of(query, 50, most))
        return points[rows], str(times[rows[-1]]) if more else ""

    def _open_interest(self, query: Query) -> Json:
        column = self._column(query)
        points, cursor = self._page(query, "intervalTime", 200)
        decimals = self.series.assets[column].sz_decimals
        rows = [
            {
                "openInterest": from_units(2 * int(lots), decimals),
                "singleOpenInterest": from_units(int(lots), decimals),
                "timestamp": str(time),
            }
            for lots, time in zip(
                self.series.open_lots(points, column), self.series.times(points), strict=True
            )
        ]
        return {"symbol": query["symbol"], "category": "linear", "list": rows, "nextPageCursor": cursor}

    def _account_ratio(self, query: Query) -> Json:
        column = self._column(query)
        points, cursor = self._page(query, "period", 500)
        shares, times = self.series.account_share(points, column), self.series.times(points)
        rows = [
            {
                "symbol": query["symbol"],
                "buyRatio": fixed(float(share), 4),
                "sellRatio": fixed(1 - float(fixed(float(share), 4)), 4),
                "timestamp": str(time),
            }
            for share, time in zip(shares, times, strict=True)
        ]
        return {"list": rows, "nextPageCursor": cursor}

    def _funding(self, query: Query) -> Json:
        column = self._column(query)
        if "startTime" in query and "endTime" not in query:
            raise Refused("params error: endTime is required with startTime")
        times, rates = self.series.funding()
        first, last = number_of(query, "startTime", 0), number_of(query, "endTime", LAST_MS)
        rows, _ = newest_first(times, first, last, limit_of(query, 200, 200))
        symbol = query["symbol"]
        listed = [
            {
                "symbol": symbol,
                "fundingRate": fixed(float(rates[row, column]), 8),
                "fundingRateTimestamp": str(times[row]),
            }
            for row in rows
        ]
        return {"category": "linear", "list": listed}

    def _risk_limit(self, query: Query) -> Json:
        columns = self._columns(query)
        rows = [row for column in columns for row in self._limits_of(column)]
        return {"category": query["category"], "list": rows, "nextPageCursor": ""}

    def _limits_of(self, column: int) -> list[Json]:
        tiers = self.series.tiers(column)
        return [
            {
                "id": 100 * column + number + 1,
                "symbol": symbol_of(self.series.assets[column]),
                "riskLimitValue": fixed(tier.upper_usd or 100_000_000.0, 0),
                "maintenanceMargin": fixed(tier.rate, 4),
                "initialMargin": fixed(1 / tier.max_leverage, 4),
                "isLowestRisk": int(number == 0),
                "maxLeverage": f"{tier.max_leverage}.00",
                "mmDeduction": fixed(tier.deduction_usd, 2),
            }
            for number, tier in enumerate(tiers)
        ]

    def _tickers(self, query: Query) -> Json:
        rows = [self._ticker(column) for column in self._columns(query)]
        return {"category": query["category"], "list": rows}

    def _ticker(self, column: int) -> Json:
        asset, day, path = self.series.assets[column], self.series.day(column), self.series.market.path
        px, size = 6 - asset.sz_decimals, asset.sz_decimals
        lots = int(self.series.record.open_lots[-1, column])
        last = from_units(day.last, px)
        return {
            "symbol": symbol_of(asset),
            "lastPrice": last,
            "markPrice": last,
            "indexPrice": from_units(int(path.oracle_units[-1, column]), px),
            "prevPrice24h": from_units(day.open, px),
            "price24hPcnt": fixed(day.last / day.open - 1, 6),
            "highPrice24h": from_units(day.high, px),
            "lowPrice24h": from_units(day.low, px),
            "openInterest": from_units(2 * lots, size),
            "openInterestValue": from_units(2 * lots * day.last, 6),
            "singleOpenInterest": from_units(lots, size),
            "singleOpenInterestValue": from_units(lots * day.last, 6),
            "turnover24h": from_units(day.quote, 6),
            "volume24h": from_units(day.lots, size),
            "fundingRate": fixed(float(self.series.funding()[1][-1, column]), 8),
            "nextFundingTime": str(self.series.next_funding_ms),
            "fundingIntervalHour": str(FUNDING_HOURS),
            "bid1Price": last,
            "bid1Size": from_units(1, size),
            "ask1Price": last,
            "ask1Size": from_units(1, size),
            "deliveryTime": "0",
        }
