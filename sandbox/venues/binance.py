"""Binance USDT-M public REST over the synthetic venue `binance`, in the paths and shapes that ccxt calls.

ccxt reads it after this override, tested in tests/sandbox/test_binance.py:

    exchange = ccxt.async_support.binanceusdm()
    for name, version in (("fapiPublic", 1), ("fapiPublicV2", 2), ("fapiPublicV3", 3)):
        exchange.urls["api"][name] = f"{server.binance_url}/fapi/v{version}"
    exchange.urls["api"]["fapiData"] = f"{server.binance_url}/futures/data"

`options["fetchMarkets"]` needs no change: binanceusdm loads linear markets only. Statistics under /futures/data give
the newest `limit` rows inside [startTime, endTime] and refuse a start more than 30 days back; klines and fundingRate
give the oldest from startTime on, the newest without one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from liqtruth.sandbox.market.listings import Asset, fixed, from_units
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import BINANCE
from liqtruth.sandbox.public.record import INTERVAL_MS
from liqtruth.sandbox.public.series import PublicSeries
from liqtruth.sandbox.venues.binance_statistics import (
    DAY_MS,
    Query,
    Rejected,
    Statistics,
    column_of,
    limit_of,
    rows_of,
)

Json = Any
NOT_FOUND = "<html><body>404 Not found</body></html>"


@dataclass
class BinanceApi:
    """Answers of the venue as of the market's moment."""

    series: PublicSeries

    @classmethod
    def of(cls, market: Market) -> "BinanceApi":
        return cls(PublicSeries(market, BINANCE))

    def __post_init__(self) -> None:
        self._paths: dict[str, Callable[[Query], Json]] = {
            "/fapi/v1/ping": lambda _: {},
            "/fapi/v1/time": lambda _: {"serverTime": self.series.now_ms},
            "/fapi/v1/exchangeInfo": lambda _: self._exchange_info(),
            "/fapi/v1/klines": lambda query: self._klines(query, traded=True),
            "/fapi/v1/markPriceKlines": lambda query: self._klines(query, traded=False),
            "/fapi/v1/fundingRate": self._funding_rate,
            "/fapi/v1/fundingInfo": lambda _: [],
            "/fapi/v1/premiumIndex": self._premium_index,
            "/fapi/v1/openInterest": self._open_interest,
            "/fapi/v1/ticker/24hr": self._ticker,
            **Statistics(self.series).paths(),
        }

    def at(self, market: Market) -> "BinanceApi":
        """The same venue at another moment of the same market."""
        return BinanceApi(self.series.at(market))

    def answer(self, path: str, query: Query) -> Json:
        """The JSON answer; raises `Rejected`, or KeyError for a path that is not served."""
        return self._paths[path](query)

    def respond(self, path: str, query: Query) -> tuple[int, Json]:
        """Status and answer, refusals included; a text is sent as it is."""
        if path not in self._paths:
            return 404, NOT_FOUND
        try:
            return 200, self.answer(path, query)
        except Rejected as error:
            return 400, {"code": error.code, "msg": str(error)}

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return self.series.assets

    def _exchange_info(self) -> Json:
        return {
            "timezone": "UTC",
            "serverTime": self.series.now_ms,
            "futuresType": "U_MARGINED",
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
            ],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [_symbol(asset) for asset in self._assets],
        }

    def _klines(self, query: Query, traded: bool) -> Json:
        column, interval = column_of(query, self._assets), query.get("interval", "")
        if interval not in INTERVAL_MS:
            raise Rejected(-1120, "Invalid interval.")
        candles = self.series.record.candles(column, interval)
        limit = limit_of(query, 500, 1500)
        rows = rows_of(candles.open_ms, query, limit, from_start=True)
        asset = self._assets[column]
        px = 6 - asset.sz_decimals
        return [
            [
                int(candles.open_ms[row]),
                from_units(int(candles.open[row]), px),
                from_units(int(candles.high[row]), px),
                from_units(int(candles.low[row]), px),
                from_units(int(candles.close[row]), px),
                from_units(int(candles.volume[row]), asset.sz_decimals) if traded else "0",
                int(candles.close_ms[row]),
                from_units(int(candles.quote[row]), 6) if traded else "0",
                int(candles.trades[row]),
                from_units(int(candles.taker_buy[row]), asset.sz_decimals) if traded else "0",
                from_units(int(candles.taker_buy_quote[row]), 6) if traded else "0",
                "0",
            ]
            for row in rows
        ]

    def _funding_rate(self, query: Query) -> Json:
        column = column_of(query, self._assets)
        times, rates = self.series.funding()
        px = 6 - self._assets[column].sz_decimals
        rows = rows_of(times, query, limit_of(query, 100, 1000), from_start=True)
        marks = self.series.mark(self.series.points_at(times), column)
        return [
            {
                "symbol": query["symbol"],
                "fundingTime": int(times[row]),
                "fundingRate": fixed(float(rates[row, column]), 8),
                "markPrice": from_units(int(marks[row]), px),
            }
            for row in rows
        ]

    def _premium_index(self, query: Query) -> Json:
        if "symbol" not in query:
            return [self._premium_of(column) for column in range(len(self._assets))]
        return self._premium_of(column_of(query, self._assets))

    def _premium_of(self, column: int) -> Json:
        path, asset = self.series.market.path, self._assets[column]
        px, now = 6 - asset.sz_decimals, self.series.now_ms
        return {
            "symbol": asset.name + "USDT",
            "markPrice": from_units(int(path.mark_units[-1, column]), px),
            "indexPrice": from_units(int(path.oracle_units[-1, column]), px),
            "estimatedSettlePrice": from_units(int(path.oracle_units[-1, column]), px),
            "lastFundingRate": fixed(float(self.series.funding()[1][-1, column]), 8),
            "interestRate": "0.00010000",
            "nextFundingTime": self.series.next_funding_ms,
            "time": now,
        }

    def _open_interest(self, query: Query) -> Json:
        column = column_of(query, self._assets)
        lots = int(self.series.record.open_lots[-1, column])
        amount = from_units(lots, self._assets[column].sz_decimals)
        return {"symbol": query["symbol"], "openInterest": amount, "time": self.series.now_ms}

    def _ticker(self, query: Query) -> Json:
        columns = [column_of(query, self._assets)] if "symbol" in query else range(len(self._assets))
        rows = [self._ticker_of(column) for column in columns]
        return rows[0] if "symbol" in query else rows

    def _ticker_of(self, column: int) -> Json:
        asset, day = self._assets[column], self.series.day(column)
        px_decimals, change = 6 - asset.sz_decimals, day.last - day.open
        return {
            "symbol": asset.name + "USDT",
            "priceChange": from_units(change, px_decimals),
            "priceChangePercent": fixed(100 * change / float(day.open), 3),
            "weightedAvgPrice": from_units(day.quote // max(day.lots, 1), px_decimals),
            "lastPrice": from_units(day.last, px_decimals),
            "lastQty": from_units(1, asset.sz_decimals),
            "openPrice": from_units(day.open, px_decimals),
            "highPrice": from_units(day.high, px_decimals),
            "lowPrice": from_units(day.low, px_decimals),
            "volume": from_units(day.lots, asset.sz_decimals),
            "quoteVolume": from_units(day.quote, 6),
            "openTime": self.series.now_ms - DAY_MS,
            "closeTime": self.series.now_ms,
            "firstId": 1,
            "lastId": 1_000_000,
            "count": 1_000_000,
        }


def _symbol(asset: Asset) -> Json:
    px_decimals = 6 - asset.sz_decimals
    step, tick = fixed(10.0**-asset.sz_decimals, asset.sz_decimals), fixed(10.0**-px_decimals, px_decimals)
    return {
        "symbol": asset.name + "USDT",
        "pair": asset.name + "USDT",
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": asset.name,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "pricePrecision": px_decimals,
        "quantityPrecision": asset.sz_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["SYNTHETIC"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC"],
    }
