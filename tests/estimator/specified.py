"""Answers of venues as their formats are specified in ccxt's parsing code, with invented numbers, on a real socket.

One market per venue, one hour: a candle from 100 over 90 and 110 to 105, 2,000 coins traded, open interest of 5,000
coins. What differs between venues is how they say so: the unit, the contract size, one side or both, the envelope.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HOUR_MS = 3_600_000
NOW_MS = 494_445 * HOUR_MS
BAR_MS = NOW_MS - HOUR_MS
BAR_S = BAR_MS // 1000
NOW_S = NOW_MS // 1000

Answer = Any
Routes = Mapping[str, Answer | Callable[[Mapping[str, Any]], Answer]]


@dataclass
class Served:
    """A server's address, and what was asked of it: path and query, or the JSON body of a POST."""

    base_url: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def queries(self, path: str) -> list[dict[str, Any]]:
        return [query for at, query in self.asked if at == path]


@asynccontextmanager
async def serving_routes(routes: Routes) -> AsyncIterator[Served]:
    """Answers each path with its JSON, or with what its function makes of the query; anything else is a 404.

    A `web.Response` is sent as it is.
    """
    served = Served()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        query: dict[str, Any] = dict(request.query)
        if request.method == "POST":
            query.update(await request.json())
        served.asked.append((request.path, query))
        if request.path not in routes:
            return web.json_response({"error": f"no {request.path}"}, status=404)
        answer = routes[request.path]
        answer = answer(query) if callable(answer) else answer
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()


BITGET: Routes = {
    "/api/v2/public/time": {"code": "00000", "data": {"serverTime": str(NOW_MS)}},
    "/api/v2/mix/market/contracts": lambda query: {
        "code": "00000",
        "data": [
            {
                **{
                    "symbol": "BTCUSDT",
                    "baseCoin": "BTC",
                    "quoteCoin": "USDT",
                    "supportMarginCoins": ["USDT"],
                },
                **{"symbolType": "perpetual", "symbolStatus": "normal", "minTradeNum": "0.001"},
                **{"pricePlace": "1", "volumePlace": "3", "priceEndStep": "1", "sizeMultiplier": "0.001"},
            }
        ]
        if query["productType"] == "USDT-FUTURES"
        else [],
    },
    "/api/v2/mix/market/candles": {
        "code": "00000",
        "data": [[str(BAR_MS), "100", "110", "90", "105", "2000", "200000"]],
    },
    "/api/v2/mix/market/open-interest": {
        "code": "00000",
        "data": {"openInterestList": [{"symbol": "BTCUSDT", "size": "5000"}], "ts": str(NOW_MS)},
    },
    "/api/v2/mix/market/history-fund-rate": lambda query: {
        "code": "00000",
        "data": [{"symbol": "BTCUSDT", "fundingRate": "0.0002", "fundingTime": str(BAR_MS)}]
        if query["pageNo"] == "1"
        else [],
    },
    "/api/v2/mix/market/account-long-short": {
        "code": "00000",
        "data": [
            {
                **{"longAccountRatio": "0.6", "shortAccountRatio": "0.4"},
                **{"longShortAccountRatio": "0.015", "ts": str(BAR_MS)},
            }
        ],
    },
    "/api/v2/mix/market/query-position-lever": {
        "code": "00000",
        "data": [
            {
                **{"symbol": "BTCUSDT", "level": "1", "startUnit": "0", "endUnit": "150000"},
                **{"leverage": "125", "keepMarginRate": "0.004"},
            }
        ],
    },
}

GATE: Routes = {
    "/api/v4/spot/time": {"server_time": NOW_MS},
    "/api/v4/futures/usdt/contracts": [
        {
            **{"name": "BTC_USDT", "quanto_multiplier": "0.0001", "type": "direct", "status": "trading"},
            **{"order_size_min": 1, "order_size_max": 1000000, "order_price_round": "0.1"},
            **{"order_price_deviate": "0.5", "mark_price_round": "0.01", "leverage_min": "1"},
            **{"leverage_max": "100", "mark_price": "105", "maker_fee_rate": "0", "taker_fee_rate": "0"},
            **{"in_delisting": False, "create_time": 1},
        }
    ],
    "/api/v4/futures/btc/contracts": [],
    "/api/v4/futures/usdt/candlesticks": [
        {"t": BAR_S, "o": "100", "h": "110", "l": "90", "c": "105", "v": 20_000_000, "sum": "200000"}
    ],
    "/api/v4/futures/usdt/contract_stats": lambda query: [
        {
            **{"time": int(query["from"]), "open_interest": 100_000_000, "open_interest_usd": 1_050_000},
            **{"lsr_account": 1.5, "top_lsr_size": 0, "lsr_taker": 0.8, "mark_price": 105},
        }
    ],
    "/api/v4/futures/usdt/funding_rate": [{"r": "0.0002", "t": BAR_S}],
    "/api/v4/futures/usdt/liq_orders": [
        {
            **{"contract": "BTC_USDT", "left": 0, "size": -30_000, "fill_price": "108", "order_price": "109"},
            "time": BAR_S + 7,
        },
        {
            **{
                "contract": "BTC_USDT",
                "left": 5_000,
                "size": 20_000,
                "fill_price": "92",
                "order_price": "91",
            },
            **{"time": BAR_S + 9, "order_size": -20_000},
        },
    ],
    "/api/v4/futures/usdt/risk_limit_tiers": [
        {
            **{"maintenance_rate": "0.004", "tier": 1, "initial_rate": "0.008"},
            **{"leverage_max": "125", "risk_limit": "1000000"},
        },
        {
            **{"maintenance_rate": "0.005", "tier": 2, "initial_rate": "0.01"},
            **{"leverage_max": "100", "risk_limit": "2000000"},
        },
    ],
}

HTX: Routes = {
    "/v1/common/timestamp": {"status": "ok", "data": NOW_MS},
    "/linear-swap-api/v1/swap_contract_info": {
        "status": "ok",
        "data": [
            {
                **{"symbol": "BTC", "contract_code": "BTC-USDT", "contract_size": 0.001, "price_tick": 0.1},
                **{"delivery_date": "", "create_date": "20201021", "contract_status": 1},
                **{"business_type": "swap", "pair": "BTC-USDT", "contract_type": "swap"},
            }
        ],
    },
    "/linear-swap-ex/market/history/kline": {
        "status": "ok",
        "data": [
            {
                **{"id": BAR_S, "open": 100, "high": 110, "low": 90, "close": 105},
                **{"amount": 4000, "vol": 4_000_000, "trade_turnover": 200000, "count": 9},
            }
        ],
    },
    "/index/market/history/linear_swap_mark_price_kline": {
        "status": "ok",
        "data": [
            {
                **{"id": BAR_S, "open": "100", "high": "110", "low": "90", "close": "105"},
                **{"amount": "0", "vol": "0", "trade_turnover": "0", "count": "0"},
            }
        ],
    },
    "/linear-swap-api/v1/swap_his_open_interest": {
        "status": "ok",
        "data": {
            "symbol": "BTC",
            "tick": [{"volume": "10000", "amount_type": "2", "ts": BAR_MS, "value": "1050000"}],
        },
    },
    "/v5/market/open_interest": {
        "code": 200,
        "data": {
            **{"amount": "10000", "volume": "10000000", "value": "1050000", "contract_code": "BTC-USDT"},
            **{"trade_amount": "1", "trade_volume": "1", "trade_turnover": "1"},
        },
        "ts": NOW_MS,
    },
    "/v5/market/funding_rate_history": {
        "code": 200,
        "data": [
            {"contract_code": "BTC-USDT", "funding_rate": "0.0002", "funding_time": str(BAR_MS), "id": "1"}
        ],
    },
    "/linear-swap-api/v1/swap_elite_position_ratio": {
        "status": "ok",
        "data": {
            "symbol": "BTC",
            "list": [{"buy_ratio": 0.6, "sell_ratio": 0.4, "ts": BAR_MS}],
        },
    },
    "/v5/market/liquidation_orders": {
        "code": 200,
        "data": [
            {
                **{"id": "77", "contract_code": "BTC-USDT", "liquidation_time": str(BAR_MS + 7000)},
                **{"side": "buy", "position_side": "short", "volume": "3000", "amount": "3000"},
                **{"bankrupt_price": "108", "trade_turnover": "324"},
            }
        ],
    },
}

MEXC: Routes = {
    "/api/v3/time": {"serverTime": NOW_MS},
    "/api/v1/contract/ping": {"success": True, "code": 0, "data": NOW_MS},
    "/api/v1/contract/detail": {
        "success": True,
        "data": [
            {
                **{"symbol": "BTC_USDT", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT"},
                **{
                    "contractSize": 0.01,
                    "minLeverage": 1,
                    "maxLeverage": 125,
                    "priceUnit": 0.1,
                    "volUnit": 1,
                },
                **{"minVol": 1, "maxVol": 1000, "state": 0, "takerFeeRate": 0, "makerFeeRate": 0},
            }
        ],
    },
    "/api/v1/contract/kline/BTC_USDT": {
        "success": True,
        "data": {
            **{"time": [BAR_S], "open": [100], "close": [105], "high": [110], "low": [90]},
            **{"vol": [200_000], "amount": [200_000]},
        },
    },
    "/api/v1/contract/kline/fair_price/BTC_USDT": {
        "success": True,
        "data": {
            **{"time": [BAR_S], "open": [100], "close": [105], "high": [110], "low": [90]},
            **{"vol": [0], "amount": [0]},
        },
    },
    "/api/v1/contract/ticker": {
        "success": True,
        "data": {"symbol": "BTC_USDT", "holdVol": 500_000, "lastPrice": 105, "timestamp": NOW_MS},
    },
    "/api/v1/contract/funding_rate/history": {
        "success": True,
        "data": {
            "resultList": [{"symbol": "BTC_USDT", "fundingRate": 0.0002, "settleTime": BAR_MS}],
            "totalPage": 1,
        },
    },
}

BINGX: Routes = {
    "/openApi/swap/v2/server/time": {"code": 0, "data": {"serverTime": NOW_MS}},
    "/openApi/swap/v2/quote/contracts": {
        "code": 0,
        "data": [
            {
                **{"contractId": "100", "symbol": "BTC-USDT", "size": "0.0001", "quantityPrecision": 4},
                **{"pricePrecision": 1, "feeRate": 0.0005, "currency": "USDT", "asset": "BTC", "status": 1},
                **{
                    "tradeMinQuantity": 0.0001,
                    "tradeMinUSDT": 2,
                    "apiStateOpen": "true",
                    "apiStateClose": "true",
                },
            }
        ],
    },
    "/openApi/swap/v3/quote/klines": {
        "code": 0,
        "data": [
            {
                **{"open": "100", "close": "105", "high": "110", "low": "90"},
                **{"volume": "2000", "time": BAR_MS},
            }
        ],
    },
    "/openApi/swap/v1/market/markPriceKlines": {
        "code": 0,
        "data": [
            {
                **{"open": "100", "close": "105", "high": "110", "low": "90", "volume": "0"},
                **{"openTime": BAR_MS, "closeTime": NOW_MS - 1},
            }
        ],
    },
    "/openApi/swap/v2/quote/openInterest": {
        "code": 0,
        "data": {"openInterest": "525000", "symbol": "BTC-USDT", "time": NOW_MS},
    },
    "/openApi/swap/v2/quote/fundingRate": {
        "code": 0,
        "data": [{"symbol": "BTC-USDT", "fundingRate": "0.0002", "fundingTime": BAR_MS}],
    },
}

KUCOIN: Routes = {
    "/api/v1/timestamp": {"code": "200000", "data": NOW_MS},
    "/api/v1/contracts/active": {
        "code": "200000",
        "data": [
            {
                **{"symbol": "XBTUSDTM", "type": "FFWCSX", "baseCurrency": "XBT", "quoteCurrency": "USDT"},
                **{"settleCurrency": "USDT", "multiplier": 0.001, "isInverse": False, "status": "Open"},
                **{
                    "lotSize": 1,
                    "tickSize": 0.1,
                    "maxOrderQty": 1000000,
                    "maxPrice": 1000000,
                    "maxLeverage": 125,
                },
                "nextFundingRateTime": 1000,
                **{"makerFeeRate": 0.0002, "takerFeeRate": 0.0006, "firstOpenDate": 1585555200000},
            }
        ],
    },
    "/api/v1/kline/query": {
        "code": "200000",
        "data": [[BAR_MS, 100, 110, 90, 105, 2_000_000]],
    },
    "/api/ua/v1/market/kline": {
        "code": "200000",
        "data": {"list": [[str(BAR_S), "100", "105", "110", "90", "0", "0"]]},
    },
    "/api/ua/v1/market/open-interest": lambda query: {
        "code": "200000",
        "data": [{"symbol": "XBTUSDTM", "openInterest": "5000000", "ts": int(query["startAt"])}],
    },
    "/api/v1/contract/funding-rates": {
        "code": "200000",
        "data": [{"symbol": "XBTUSDTM", "fundingRate": 0.0002, "timepoint": BAR_MS}],
    },
    "/api/v1/contracts/risk-limit/XBTUSDTM": {
        "code": "200000",
        "data": [
            {
                **{"symbol": "XBTUSDTM", "level": 1, "maxRiskLimit": 300000, "minRiskLimit": 0},
                **{"maxLeverage": 125, "initialMargin": 0.008, "maintainMargin": 0.004},
            }
        ],
    },
}

KRAKEN: Routes = {
    "/derivatives/api/v3/instruments": {
        "result": "success",
        "instruments": [
            {
                **{"symbol": "PF_XBTUSD", "type": "flexible_futures", "contractSize": 1, "tradeable": True},
                **{"tickSize": 0.5, "contractValueTradePrecision": 4},
                "marginLevels": [
                    {"numNonContractUnits": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01},
                    {"numNonContractUnits": 500000, "initialMargin": 0.04, "maintenanceMargin": 0.02},
                ],
            },
            {
                **{"symbol": "PI_ETHUSD", "type": "futures_inverse", "contractSize": 1, "tradeable": True},
                **{"tickSize": 0.05, "contractValueTradePrecision": 0},
                "marginLevels": [{"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
            },
        ],
    },
    "/api/charts/v1/trade/PF_XBTUSD/1h": {
        "candles": [
            {
                **{"time": BAR_MS, "open": "100", "high": "110", "low": "90", "close": "105"},
                "volume": "2000",
            }
        ]
    },
    "/api/charts/v1/mark/PF_XBTUSD/1h": {
        "candles": [
            {**{"time": BAR_MS, "open": "100", "high": "110", "low": "90", "close": "105"}, "volume": 0}
        ]
    },
    "/api/charts/v1/trade/PI_ETHUSD/1h": {
        "candles": [
            {
                **{"time": BAR_MS, "open": "100", "high": "110", "low": "90", "close": "105"},
                "volume": "210000",
            }
        ]
    },
    "/api/charts/v1/mark/PI_ETHUSD/1h": {
        "candles": [{"time": BAR_MS, "open": "100", "high": "110", "low": "90", "close": "105", "volume": 0}]
    },
    "/derivatives/api/v3/tickers/PF_XBTUSD": {
        "result": "success",
        "ticker": {"symbol": "PF_XBTUSD", "openInterest": 5000, "markPrice": 105},
    },
    "/derivatives/api/v3/tickers/PI_ETHUSD": {
        "result": "success",
        "ticker": {"symbol": "PI_ETHUSD", "openInterest": 525000, "markPrice": 105},
    },
    "/derivatives/api/v4/historicalfundingrates": {
        "rates": [
            {
                **{"timestamp": "2026-05-28T20:00:00.000Z", "fundingRate": 0.02},
                "relativeFundingRate": 0.0002,
            }
        ]
    },
}

DERIBIT: Routes = {
    "/api/v2/public/get_time": {"jsonrpc": "2.0", "result": NOW_MS},
    "/api/v2/public/get_instruments": {
        "jsonrpc": "2.0",
        "result": [
            {
                **{"instrument_name": "BTC-PERPETUAL", "kind": "future", "base_currency": "BTC"},
                **{"counter_currency": "USD", "settlement_currency": "BTC", "quote_currency": "USD"},
                **{
                    "settlement_period": "perpetual",
                    "contract_size": 10,
                    "tick_size": 0.5,
                    "is_active": True,
                },
                **{"min_trade_amount": 10, "maker_commission": 0, "taker_commission": 0},
                **{"expiration_timestamp": 32503708800000, "creation_timestamp": 1},
            },
            {
                **{"instrument_name": "SOL_USDC-PERPETUAL", "kind": "future", "base_currency": "SOL"},
                **{"counter_currency": "USDC", "settlement_currency": "USDC", "quote_currency": "USDC"},
                **{
                    "settlement_period": "perpetual",
                    "contract_size": 0.1,
                    "tick_size": 0.5,
                    "is_active": True,
                },
                **{"min_trade_amount": 0.1, "maker_commission": 0, "taker_commission": 0},
                **{"expiration_timestamp": 32503708800000, "creation_timestamp": 1},
            },
        ],
    },
    "/api/v2/public/get_tradingview_chart_data": {
        "jsonrpc": "2.0",
        "result": {
            **{"volume": [2000], "cost": [200_000], "ticks": [BAR_MS], "status": "ok"},
            **{"open": [100], "high": [110], "low": [90], "close": [105]},
        },
    },
    "/api/v2/public/get_book_summary_by_instrument": lambda query: {
        "jsonrpc": "2.0",
        "result": [
            {
                **{"instrument_name": query["instrument_name"], "mark_price": 105},
                "open_interest": 525_000 if query["instrument_name"] == "BTC-PERPETUAL" else 5000,
                "creation_timestamp": NOW_MS,
            }
        ],
    },
    "/api/v2/public/get_funding_rate_history": {
        "jsonrpc": "2.0",
        "result": [
            {
                **{"timestamp": BAR_MS, "index_price": 105, "prev_index_price": 100},
                **{"interest_8h": 0.0016, "interest_1h": 0.0002},
            }
        ],
    },
}

BYBIT_LINEAR = {
    **{"symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC"},
    **{"quoteCoin": "USDT", "settleCoin": "USDT", "launchTime": "1", "deliveryTime": "0"},
    **{"priceFilter": {"tickSize": "0.1"}, "fundingInterval": 480, "leverageFilter": {"maxLeverage": "100"}},
    "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "100"},
}
BYBIT_INVERSE = {
    **BYBIT_LINEAR,
    **{"symbol": "ETHUSD", "contractType": "InversePerpetual", "baseCoin": "ETH", "quoteCoin": "USD"},
    **{"settleCoin": "ETH", "lotSizeFilter": {"qtyStep": "1", "minOrderQty": "1", "maxOrderQty": "100"}},
}


def _bybit(rows: Answer, category: str = "linear") -> Answer:
    return {"retCode": 0, "retMsg": "OK", "result": {"category": category, "list": rows}, "time": NOW_MS}


BYBIT: Routes = {
    "/v5/market/time": {
        "retCode": 0,
        "result": {"timeSecond": str(NOW_S), "timeNano": f"{NOW_MS}000000"},
        "time": NOW_MS,
    },
    "/v5/market/instruments-info": lambda query: _bybit(
        [BYBIT_LINEAR if query["category"] == "linear" else BYBIT_INVERSE], query["category"]
    ),
    "/v5/market/kline": lambda query: _bybit(
        [
            [str(BAR_MS), "100", "110", "90", "105"]
            + (["2000", "210000"] if query["category"] == "linear" else ["210000", "2000"])
        ]
    ),
    "/v5/market/mark-price-kline": _bybit([[str(BAR_MS), "100", "110", "90", "105"]]),
    "/v5/market/open-interest": lambda query: {
        "retCode": 0,
        "result": {
            "symbol": query["symbol"],
            "list": [
                {
                    "openInterest": "10000" if query["category"] == "linear" else "1050000",
                    "timestamp": str(BAR_MS),
                }
            ],
        },
    },
    "/v5/market/funding/history": lambda query: _bybit(
        [
            {
                **{"symbol": query["symbol"], "fundingRate": "0.0002"},
                "fundingRateTimestamp": str(BAR_MS),
            }
        ]
    ),
    "/v5/market/account-ratio": lambda query: _bybit(
        [
            {
                **{"symbol": query["symbol"], "buyRatio": "0.6", "sellRatio": "0.4"},
                "timestamp": str(BAR_MS),
            }
        ]
    ),
    "/v5/market/risk-limit": lambda query: _bybit(
        [
            {
                **{"id": 1, "symbol": query["symbol"], "riskLimitValue": "2000000"},
                **{"maintenanceMargin": "0.005", "initialMargin": "0.01", "maxLeverage": "100.00"},
            }
        ]
    ),
}


def _okx_instrument(name: str, kind: str, size: str, quote: str, settle: str) -> Answer:
    base = name.split("-")[0]
    return {
        **{"instId": name, "instType": "SWAP", "instFamily": f"{base}-{quote}", "uly": f"{base}-{quote}"},
        **{"ctVal": size, "ctMult": "1", "ctType": kind, "settleCcy": settle, "state": "live"},
        **{"ctValCcy": base if kind == "linear" else "USD", "lotSz": "1", "minSz": "1", "tickSz": "0.1"},
        **{"baseCcy": "", "quoteCcy": "", "lever": "100", "expTime": "", "listTime": "1", "alias": ""},
    }


def _okx(rows: Answer) -> Answer:
    return {"code": "0", "msg": "", "data": rows}


OKX: Routes = {
    "/api/v5/public/time": _okx([{"ts": str(NOW_MS)}]),
    "/api/v5/public/instruments": _okx(
        [
            _okx_instrument("BTC-USDT-SWAP", "linear", "0.01", "USDT", "USDT"),
            _okx_instrument("ETH-USD-SWAP", "inverse", "10", "USD", "ETH"),
            _okx_instrument("PEPE-USDT-SWAP", "linear", "10000000", "USDT", "USDT"),
        ]
    ),
    "/api/v5/market/candles": _okx(
        [[str(BAR_MS), "100", "110", "90", "105", "200000", "2000", "210000", "1"]]
    ),
    "/api/v5/market/history-candles": _okx(
        [[str(BAR_MS), "100", "110", "90", "105", "200000", "2000", "210000", "1"]]
    ),
    "/api/v5/market/mark-price-candles": _okx([[str(BAR_MS), "100", "110", "90", "105", "1"]]),
    "/api/v5/rubik/stat/contracts/open-interest-history": lambda query: _okx(
        [[str(BAR_MS), "500000" if "USDT" in query["instId"] else "52500", "5000", "525000"]]
    ),
    "/api/v5/public/open-interest": lambda query: _okx(
        [
            {
                **{"instId": query["instId"], "instType": "SWAP", "oi": "500000", "oiCcy": "5000"},
                **{"oiUsd": "525000", "ts": str(NOW_MS)},
            }
        ]
    ),
    "/api/v5/public/funding-rate-history": lambda query: _okx(
        [
            {
                **{"instId": query["instId"], "fundingRate": "0.0003", "realizedRate": "0.0002"},
                **{"fundingTime": str(BAR_MS), "instType": "SWAP"},
            }
        ]
    ),
    "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract": _okx([[str(BAR_MS), "1.5"]]),
    "/api/v5/rubik/stat/contracts/long-short-position-ratio-contract-top-trader": _okx(
        [[str(BAR_MS), "1.25"]]
    ),
    "/api/v5/rubik/stat/taker-volume-contract": _okx([[str(BAR_MS), "500", "400"]]),
    "/api/v5/public/position-tiers": _okx(
        [
            {
                **{"tier": "1", "minSz": "0", "maxSz": "1000", "mmr": "0.004", "imr": "0.01"},
                **{"maxLever": "100", "instFamily": "BTC-USDT", "instId": ""},
            }
        ]
    ),
}


def _binance_symbol(base: str) -> Answer:
    return {
        **{"symbol": f"{base}USDT", "pair": f"{base}USDT", "contractType": "PERPETUAL", "status": "TRADING"},
        **{"baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT", "underlyingType": "COIN"},
        **{"pricePrecision": 2, "quantityPrecision": 3, "filters": [], "deliveryDate": 4133404800000},
    }


BINANCE: Routes = {
    "/fapi/v1/time": {"serverTime": NOW_MS},
    "/fapi/v1/exchangeInfo": {"symbols": [_binance_symbol("BTC"), _binance_symbol("1000PEPE")]},
    "/fapi/v1/klines": [
        [BAR_MS, "100", "110", "90", "105", "2000", NOW_MS - 1, "210000", 9, "1200", "126000", "0"]
    ],
    "/fapi/v1/markPriceKlines": [[BAR_MS, "100", "110", "90", "105", "0", NOW_MS - 1, "0", 9, "0", "0", "0"]],
    "/futures/data/openInterestHist": lambda query: [
        {
            **{"symbol": query["symbol"], "sumOpenInterest": "5000", "sumOpenInterestValue": "525000"},
            "timestamp": BAR_MS,
        }
    ],
    "/fapi/v1/openInterest": lambda query: {
        **{"symbol": query["symbol"], "openInterest": "5000", "time": NOW_MS}
    },
    "/fapi/v1/fundingRate": lambda query: [
        {"symbol": query["symbol"], "fundingRate": "0.0002", "fundingTime": BAR_MS}
    ],
    "/futures/data/globalLongShortAccountRatio": [{"longShortRatio": "1.5", "timestamp": BAR_MS}],
    "/futures/data/topLongShortPositionRatio": [{"longShortRatio": "1.25", "timestamp": BAR_MS}],
    "/futures/data/takerlongshortRatio": [{"buySellRatio": "0.8", "timestamp": BAR_MS}],
}


def _hyperliquid_info(query: Mapping[str, Any]) -> Answer:
    answers: dict[str, Answer] = {
        "exchangeStatus": {"specialStatuses": None, "time": NOW_MS},
        "metaAndAssetCtxs": [
            {
                "universe": [
                    {"name": "BTC", "szDecimals": 5, "maxLeverage": 40},
                    {"name": "kPEPE", "szDecimals": 0, "maxLeverage": 10},
                ]
            },
            [{"openInterest": "5000", "markPx": "105", "funding": "0.0002", "dayNtlVlm": "1"}] * 2,
        ],
        "candleSnapshot": [
            {
                **{"t": BAR_MS, "T": NOW_MS - 1, "s": "BTC", "i": "1h", "o": "100", "h": "110", "l": "90"},
                **{"c": "105", "v": "2000", "n": 9},
            }
        ],
        "fundingHistory": [{"coin": "BTC", "fundingRate": "0.0002", "premium": "0", "time": BAR_MS + 31}],
    }
    return answers[query["type"]]


HYPERLIQUID: Routes = {"/info": _hyperliquid_info}

BY_VENUE: Mapping[str, Routes] = {
    **{"binance": BINANCE, "bybit": BYBIT, "okx": OKX, "bitget": BITGET, "gate": GATE, "htx": HTX},
    **{"mexc": MEXC, "bingx": BINGX, "kucoin": KUCOIN, "kraken": KRAKEN, "deribit": DERIBIT},
    "hyperliquid": HYPERLIQUID,
}
