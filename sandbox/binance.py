"""Binance USDT-M public REST over the synthetic second venue, in the paths and shapes that ccxt calls.

ccxt reads it after this override, proved in tests/sandbox/test_binance.py:

    exchange = ccxt.async_support.binanceusdm()
    for name, version in (("fapiPublic", 1), ("fapiPublicV2", 2), ("fapiPublicV3", 3)):
        exchange.urls["api"][name] = f"{server.binance_url}/fapi/v{version}"
    exchange.urls["api"]["fapiData"] = f"{server.binance_url}/futures/data"

`options["fetchMarkets"]` needs no change: binanceusdm loads linear markets only. Statistics under /futures/data give
the newest `limit` rows inside [startTime, endTime] and refuse a start more than 30 days back; klines and fundingRate
give the oldest from startTime on, the newest without one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.assets import Asset
from sandbox.binance_query import Query, Rejected, column_of, limit_of, rows_of
from sandbox.binance_statistics import DAY_MS, Statistics
from sandbox.candles import INTERVAL_MS, MINUTE_MS
from sandbox.decimals import fixed, from_units
from sandbox.margin_rules import Floats, Ints
from sandbox.market import Market
from sandbox.record import Record

Json = Any
FUNDING_HOURS: Final = 8


@dataclass
class BinanceApi:
    """Answers of the second venue as of the market's moment."""

    market: Market
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = Record(self.market, self.market.binance)
        self._paths: dict[str, Callable[[Query], Json]] = {
            "/fapi/v1/ping": lambda _: {},
            "/fapi/v1/time": lambda _: {"serverTime": self.market.as_of_ms},
            "/fapi/v1/exchangeInfo": lambda _: self._exchange_info(),
            "/fapi/v1/klines": lambda query: self._klines(query, traded=True),
            "/fapi/v1/markPriceKlines": lambda query: self._klines(query, traded=False),
            "/fapi/v1/fundingRate": self._funding_rate,
            "/fapi/v1/fundingInfo": lambda _: [],
            "/fapi/v1/premiumIndex": self._premium_index,
            "/fapi/v1/openInterest": self._open_interest,
            "/fapi/v1/ticker/24hr": self._ticker,
            **Statistics(self.market, self.record).paths(),
        }

    def at(self, market: Market) -> "BinanceApi":
        """The same venue at another moment of the same market."""
        later = BinanceApi(market)
        later.record = Record.following(self.record, market, market.binance)
        later._paths.update(Statistics(market, later.record).paths())
        return later

    def answer(self, path: str, query: Query) -> Json:
        """The JSON answer; raises `Rejected`, or KeyError for a path that is not served."""
        return self._paths[path](query)

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return self.market.binance.rules.assets

    def _exchange_info(self) -> Json:
        return {
            "timezone": "UTC",
            "serverTime": self.market.as_of_ms,
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
        candles = self.record.candles(column, interval)
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

    def _funding_times(self) -> tuple[Ints, Floats]:
        """Times and eight-hour rates of the served history."""
        path = self.market.path
        complete = path.funding[: path.funding.shape[0] // FUNDING_HOURS * FUNDING_HOURS]
        rates = complete.reshape(-1, FUNDING_HOURS, path.funding.shape[1]).sum(axis=1)
        points = path.hour_points[FUNDING_HOURS - 1 :: FUNDING_HOURS]
        served = points >= self.market.first_point
        return path.times_ms[points[served]], rates[served]

    def _funding_rate(self, query: Query) -> Json:
        column = column_of(query, self._assets)
        times, rates = self._funding_times()
        px = 6 - self._assets[column].sz_decimals
        rows = rows_of(times, query, limit_of(query, 100, 1000), from_start=True)
        return [
            {
                "symbol": query["symbol"],
                "fundingTime": int(times[row]),
                "fundingRate": fixed(float(rates[row, column]), 8),
                "markPrice": from_units(int(self._mark_at(int(times[row]), column)), px),
            }
            for row in rows
        ]

    def _mark_at(self, time_ms: int, column: int) -> int:
        path = self.market.path
        return int(path.mark_units[(time_ms - path.times_ms[0]) // MINUTE_MS, column])

    def _premium_index(self, query: Query) -> Json:
        if "symbol" not in query:
            return [self._premium_of(column) for column in range(len(self._assets))]
        return self._premium_of(column_of(query, self._assets))

    def _premium_of(self, column: int) -> Json:
        path, asset = self.market.path, self._assets[column]
        px, now = 6 - asset.sz_decimals, self.market.as_of_ms
        return {
            "symbol": asset.name + "USDT",
            "markPrice": from_units(int(path.mark_units[-1, column]), px),
            "indexPrice": from_units(int(path.oracle_units[-1, column]), px),
            "estimatedSettlePrice": from_units(int(path.oracle_units[-1, column]), px),
            "lastFundingRate": fixed(float(self._funding_times()[1][-1, column]), 8),
            "interestRate": "0.00010000",
            "nextFundingTime": now - now % (FUNDING_HOURS * 3_600_000) + FUNDING_HOURS * 3_600_000,
            "time": now,
        }

    def _open_interest(self, query: Query) -> Json:
        column = column_of(query, self._assets)
        lots = int(self.record.open_lots[-1, column])
        amount = from_units(lots, self._assets[column].sz_decimals)
        return {"symbol": query["symbol"], "openInterest": amount, "time": self.market.as_of_ms}

    def _ticker(self, query: Query) -> Json:
        columns = [column_of(query, self._assets)] if "symbol" in query else range(len(self._assets))
        rows = [self._ticker_of(column) for column in columns]
        return rows[0] if "symbol" in query else rows

    def _ticker_of(self, column: int) -> Json:
        asset, path = self._assets[column], self.market.path
        px_decimals, day = 6 - asset.sz_decimals, path.mark_units[-1441:, column]
        volume = self.record.activity.volume_lots[-1440:, column]
        change = int(day[-1] - day[0])
        return {
            "symbol": asset.name + "USDT",
            "priceChange": from_units(change, px_decimals),
            "priceChangePercent": fixed(100 * change / float(day[0]), 3),
            "weightedAvgPrice": from_units(
                int((volume * day[1:]).sum() // max(volume.sum(), 1)), px_decimals
            ),
            "lastPrice": from_units(int(day[-1]), px_decimals),
            "lastQty": from_units(1, asset.sz_decimals),
            "openPrice": from_units(int(day[0]), px_decimals),
            "highPrice": from_units(int(day.max()), px_decimals),
            "lowPrice": from_units(int(day.min()), px_decimals),
            "volume": from_units(int(volume.sum()), asset.sz_decimals),
            "quoteVolume": from_units(int((volume * day[1:]).sum()), 6),
            "openTime": self.market.as_of_ms - DAY_MS,
            "closeTime": self.market.as_of_ms,
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
