"""OKX's public REST, version 5, over the synthetic venue `okx`, in the paths and shapes that ccxt calls.

ccxt reads it after this override, tested in tests/sandbox/test_okx.py:

    exchange = ccxt.async_support.okx()
    exchange.urls["api"]["rest"] = server.okx_url

As on the venue: rows come newest first, sizes are contracts of `ctVal` coins, `after` means older and `before` newer,
both exclusive; `candles` hold the newest 1,440 bars and `history-candles` all of them. ccxt chooses between the two by
the wall clock, so `params={"type": "HistoryCandles"}` reaches everything whatever the date. USDT swaps only; other
instrument types list nothing. Position tiers are in contracts: the ledger's bounds in USD at the present mark.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from liqtruth.sandbox.market.listings import fixed, from_units
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import OKX
from liqtruth.sandbox.market.venue import FUNDING_HOURS
from liqtruth.sandbox.public.series import PublicSeries
from liqtruth.sandbox.venues.okx_query import Contract, Query, Refused, bar_of, column_of, needed, rows_of
from liqtruth.sandbox.venues.okx_statistics import OkxStatistics

Json = Any
RECENT_BARS: Final = 1440
DAY_MS: Final = 86_400_000
FUNDING_DAYS: Final = 90
PAGE: Final = ("before", "after")


@dataclass
class OkxApi:
    """Answers of the venue as of the market's moment."""

    series: PublicSeries

    @classmethod
    def of(cls, market: Market) -> "OkxApi":
        return cls(PublicSeries(market, OKX))

    def __post_init__(self) -> None:
        self.contracts = tuple(Contract(asset) for asset in self.series.assets)
        self._paths: dict[str, Callable[[Query], list[Json]]] = {
            "public/time": lambda _: [{"ts": str(self.series.now_ms)}],
            "public/instruments": lambda query: self._each(query, self._instrument),
            "public/open-interest": lambda query: self._each(query, self._open_interest),
            "public/mark-price": lambda query: self._each(query, self._mark_price),
            "public/position-tiers": self._position_tiers,
            "public/funding-rate": self._funding_rate,
            "public/funding-rate-history": self._funding_history,
            "market/tickers": lambda query: self._each(query, self._ticker),
            "market/ticker": lambda query: [self._ticker(column_of(query, self.series.assets))],
            "market/candles": lambda query: self._candles(query, traded=True, recent=True, most=300),
            "market/history-candles": lambda query: self._candles(query, traded=True, recent=False, most=300),
            "market/mark-price-candles": lambda query: self._candles(
                query, traded=False, recent=True, most=100
            ),
            "market/history-mark-price-candles": lambda query: self._candles(
                query, traded=False, recent=False, most=100
            ),
            **OkxStatistics(self.series).paths(),
        }

    def at(self, market: Market) -> "OkxApi":
        """The same venue at another moment of the same market."""
        return OkxApi(self.series.at(market))

    def respond(self, path: str, query: Query) -> tuple[int, Json]:
        """Status and answer, refusals included."""
        answer = self._paths.get(path.removeprefix("/api/v5/"))
        if answer is None:
            return 404, {"code": "404", "data": [], "msg": "Invalid URI path"}
        try:
            return 200, {"code": "0", "data": answer(query), "msg": ""}
        except Refused as error:
            return error.status, {"code": error.code, "data": [], "msg": str(error)}

    def _each(self, query: Query, row: Callable[[int], Json]) -> list[Json]:
        """Rows of a listing: all swaps, or those of the instrument or family asked for."""
        if needed(query, "instType") != "SWAP":
            return []
        columns = (
            [column_of(query, self.series.assets)] if query.get("instId") else range(len(self.contracts))
        )
        family = query.get("instFamily") or query.get("uly")
        return [row(column) for column in columns if family in (None, "", self.contracts[column].family)]

    def _instrument(self, column: int) -> Json:
        contract = self.contracts[column]
        px_decimals = 6 - contract.asset.sz_decimals
        lot = fixed(10.0**-contract.lot_decimals, contract.lot_decimals)
        return {
            "instType": "SWAP",
            "instId": contract.inst_id,
            "instFamily": contract.family,
            "uly": contract.family,
            "baseCcy": "",
            "quoteCcy": "",
            "settleCcy": "USDT",
            "ctVal": contract.coins,
            "ctMult": "1",
            "ctValCcy": contract.asset.name,
            "ctType": "linear",
            "lever": str(self.series.tiers(column)[0].max_leverage),
            "tickSz": fixed(10.0**-px_decimals, px_decimals),
            "lotSz": lot,
            "minSz": lot,
            "listTime": "1573557408000",
            "expTime": "",
            "state": "live",
            "ruleType": "normal",
            "category": "1",
            "alias": "",
            "optType": "",
            "stk": "",
            "maxLmtSz": "100000000",
            "maxMktSz": "1000000",
        }

    def _candles(self, query: Query, traded: bool, recent: bool, most: int) -> list[Json]:
        column, bar = column_of(query, self.series.assets), bar_of(query, "bar", "1m")
        candles = self.series.record.candles(column, bar.interval, bar.shift_ms)
        first = max(candles.open_ms.size - RECENT_BARS, 0) if recent else 0
        rows = first + rows_of(candles.open_ms[first:], query, PAGE, most)
        contract, now = self.contracts[column], self.series.now_ms
        prices = (candles.open, candles.high, candles.low, candles.close)
        sizes = (contract.contracts, contract.in_coins)
        return [
            [
                str(candles.open_ms[row]),
                *(contract.price(px[row]) for px in prices),
                *(size(candles.volume[row]) for size in sizes if traded),
                *([from_units(candles.quote[row], 6)] if traded else []),
                str(int(candles.close_ms[row] < now)),
            ]
            for row in rows
        ]

    def _open_interest(self, column: int) -> Json:
        contract, lots = self.contracts[column], int(self.series.record.open_lots[-1, column])
        return {
            "instType": "SWAP",
            "instId": contract.inst_id,
            "oi": contract.contracts(lots),
            "oiCcy": contract.in_coins(lots),
            "oiUsd": from_units(lots * self._mark(column), 6),
            "ts": str(self.series.now_ms),
        }

    def _mark(self, column: int) -> int:
        return int(self.series.market.path.mark_units[-1, column])

    def _mark_price(self, column: int) -> Json:
        contract = self.contracts[column]
        return {
            "instType": "SWAP",
            "instId": contract.inst_id,
            "markPx": contract.price(self._mark(column)),
            "ts": str(self.series.now_ms),
        }

    def _position_tiers(self, query: Query) -> list[Json]:
        if needed(query, "tdMode") not in ("cross", "isolated"):
            raise Refused("51000", "Parameter tdMode error")
        if not (query.get("instFamily") or query.get("uly")):
            raise Refused("50014", "Parameter instFamily can not be empty.")
        found = self._each(query, self._tiers)
        return [tier for tiers in found for tier in tiers]

    def _tiers(self, column: int) -> list[Json]:
        contract, mark = self.contracts[column], self._mark(column)
        tiers = self.series.tiers(column)
        bounds = [int(tier.upper_usd * 1e6 // mark) if tier.upper_usd else 10**12 for tier in tiers]
        return [
            {
                "instFamily": contract.family,
                "uly": contract.family,
                "instId": contract.inst_id,
                "tier": str(number + 1),
                "minSz": contract.contracts(bounds[number - 1] + 1) if number else "0",
                "maxSz": contract.contracts(bounds[number]),
                "mmr": fixed(tier.rate, 4),
                "imr": fixed(1 / tier.max_leverage, 4),
                "maxLever": str(tier.max_leverage),
                "optMgnFactor": "0",
                "quoteMaxLoan": "",
                "baseMaxLoan": "",
            }
            for number, tier in enumerate(tiers)
        ]

    def _funding_rate(self, query: Query) -> list[Json]:
        column = column_of(query, self.series.assets)
        following = self.series.next_funding_ms
        return [
            {
                "instType": "SWAP",
                "instId": query["instId"],
                "method": "current_period",
                "fundingRate": fixed(float(self.series.funding()[1][-1, column]), 10),
                "fundingTime": str(following),
                "nextFundingRate": "",
                "nextFundingTime": str(following + FUNDING_HOURS * 3_600_000),
                "ts": str(self.series.now_ms),
            }
        ]

    def _funding_history(self, query: Query) -> list[Json]:
        column = column_of(query, self.series.assets)
        times, rates = self.series.funding()
        kept = times >= self.series.now_ms - FUNDING_DAYS * DAY_MS
        times, rates = times[kept], rates[kept, column]
        return [
            {
                "instType": "SWAP",
                "instId": query["instId"],
                "fundingRate": fixed(float(rates[row]), 10),
                "realizedRate": fixed(float(rates[row]), 10),
                "fundingTime": str(times[row]),
                "formulaType": "withRate",
                "method": "current_period",
            }
            for row in rows_of(times, query, PAGE, 400)
        ]

    def _ticker(self, column: int) -> Json:
        contract, day = self.contracts[column], self.series.day(column)
        last = contract.price(day.last)
        return {
            "instType": "SWAP",
            "instId": contract.inst_id,
            "last": last,
            "lastSz": contract.contracts(1),
            "askPx": last,
            "askSz": contract.contracts(1),
            "bidPx": last,
            "bidSz": contract.contracts(1),
            "open24h": contract.price(day.open),
            "high24h": contract.price(day.high),
            "low24h": contract.price(day.low),
            "volCcy24h": contract.in_coins(day.lots),
            "vol24h": contract.contracts(day.lots),
            "ts": str(self.series.now_ms),
        }
