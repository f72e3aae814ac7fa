"""Rows of the table of venues: those that publish a history of their open interest.

Calls, units and page limits follow the parsing code of the installed ccxt and the payloads noted in it; depths and
coverages the venues' public documentation. What a venue lacks is listed with its reason.
"""

from typing import Final

from liqtruth.estimator.frames import LONG_SHORT_ACCOUNTS, TAKER_BUY_SELL, TOP_LONG_SHORT_POSITIONS
from liqtruth.estimator.venues.spec import (
    COINS,
    CONTRACTS,
    LATEST,
    NO_PUBLIC_CALL,
    PUSHED_ONLY,
    SIGNED,
    USD,
    Call,
    Feed,
    Venue,
    periods,
    present,
)

_BINANCE_SPAN: Final = {
    "symbol": "$id",
    "startTime": "$start_ms",
    "endTime": "$end_ms",
    "limit": "$rows",
}
_BYBIT_PERIODS: Final = {
    300: "5min",
    900: "15min",
    1800: "30min",
    3600: "1h",
    14400: "4h",
    86400: "1d",
}
_OKX_STATISTICS: Final = {300: "5m", 3600: "1H"}
_OKX_SPAN: Final = {
    "instId": "$id",
    "period": "$period",
    "begin": "$before_ms",
    "end": "$until_ms",
    "limit": "$rows",
}
_GATE_STATISTICS: Final = periods(300, 900, 1800, 3600, 14400, 86400)
_HTX_PERIODS: Final = {
    60: "1min",
    300: "5min",
    900: "15min",
    1800: "30min",
    3600: "60min",
    14400: "4hour",
    86400: "1day",
}


def _binance_ratio(method: str, name: str) -> Call:
    query = {**_BINANCE_SPAN, "period": "$period"}
    return Call(method, query, {"ts": "timestamp", "ratio": name})


def _okx_ratio(method: str, ratio: int | tuple[int, int], **more: str) -> Call:
    return Call(method, {**_OKX_SPAN, **more}, {"ts": 0, "ratio": ratio}, ("data",))


def _gate_ratio(name: str) -> Call:
    query: dict[str, str | int] = {
        "settle": "$settle",
        "contract": "$id",
        "interval": "$period",
        "from": "$start_s",
        "limit": "$rows",
    }
    return Call("publicFuturesGetSettleContractStats", query, {"ts": "time", "ratio": name}, in_seconds=True)


BINANCE: Final = Venue(
    name="binance",
    quotes=("USDT", "USDC"),
    ccxt_id="binanceusdm",
    feeds={
        "candles": Feed(
            1000,
            calls={
                "": Call(
                    "fapiPublicGetKlines",
                    {**_BINANCE_SPAN, "interval": "$period"},
                    {
                        **{"ts": 0, "open": 1, "high": 2, "low": 3, "close": 4},
                        **{"volume": 5, "taker_buy_volume": 9},
                    },
                )
            },
        ),
        "mark_candles": Feed(1000),
        "open_interest": Feed(500, depth_days=30, periods=periods(300, 900, 1800, 3600, 7200, 14400, 86400)),
        "funding": Feed(1000),
        "ratios": Feed(
            500,
            depth_days=30,
            periods=periods(300, 900, 1800, 3600, 7200, 14400, 86400),
            calls={
                LONG_SHORT_ACCOUNTS: _binance_ratio(
                    "fapiDataGetGlobalLongShortAccountRatio", "longShortRatio"
                ),
                TOP_LONG_SHORT_POSITIONS: _binance_ratio(
                    "fapiDataGetTopLongShortPositionRatio", "longShortRatio"
                ),
                TAKER_BUY_SELL: _binance_ratio("fapiDataGetTakerlongshortRatio", "buySellRatio"),
            },
        ),
    },
    lacks={"tiers": f"{SIGNED}; a dated table is shipped instead", "liquidations": PUSHED_ONLY},
    open_interest_now=present(),
    liquidation_stream="only the latest order of each symbol and second",
    facts="binance_usdm_2026_09.csv",
    note="USDT-margined perpetuals",
)

BYBIT: Final = Venue(
    name="bybit",
    quotes=("USDT", "USDC"),
    ccxt_id="bybit",
    feeds={
        "candles": Feed(1000, inverse_unit=COINS),
        "mark_candles": Feed(1000, inverse_unit=COINS),
        "open_interest": Feed(200, inverse_unit=USD, sides=2, periods=periods(*_BYBIT_PERIODS)),
        "funding": Feed(200),
        "ratios": Feed(
            500,
            periods=_BYBIT_PERIODS,
            calls={
                LONG_SHORT_ACCOUNTS: Call(
                    "publicGetV5MarketAccountRatio",
                    {
                        "category": "$category",
                        "symbol": "$id",
                        "period": "$period",
                        "startTime": "$start_ms",
                        "endTime": "$end_ms",
                        "limit": "$rows",
                    },
                    {"ts": "timestamp", "ratio": ("buyRatio", "sellRatio")},
                    ("result", "list"),
                )
            },
        ),
        "tiers": Feed(1, LATEST, unit=USD, inverse_unit=COINS),
    },
    lacks={"liquidations": PUSHED_ONLY},
    open_interest_now=present(inverse_unit=USD, sides=2, interval="5m"),
    liquidation_stream="every liquidation, each 500 ms",
    pushes_every_liquidation=True,
    options={"fetchMarkets": {"types": ["linear", "inverse"]}},
    note="perpetuals in USDT, then USDC, then inverse; open interest is reported for both sides and halved",
)

OKX: Final = Venue(
    name="okx",
    quotes=("USDT", "USDC"),
    ccxt_id="okx",
    feeds={
        "candles": Feed(300, inverse_unit=COINS),
        "mark_candles": Feed(100, inverse_unit=COINS),
        "open_interest": Feed(
            100,
            unit=CONTRACTS,
            inverse_unit=CONTRACTS,
            periods=periods(*_OKX_STATISTICS),
            depth_rows=1440,
        ),
        "funding": Feed(100, depth_days=90, params={"after": "$until_ms"}),
        "ratios": Feed(
            100,
            periods=_OKX_STATISTICS,
            depth_rows=1440,
            calls={
                LONG_SHORT_ACCOUNTS: _okx_ratio(
                    "publicGetRubikStatContractsLongShortAccountRatioContract", 1
                ),
                TOP_LONG_SHORT_POSITIONS: _okx_ratio(
                    "publicGetRubikStatContractsLongShortPositionRatioContractTopTrader", 1
                ),
                TAKER_BUY_SELL: _okx_ratio("publicGetRubikStatTakerVolumeContract", (2, 1), unit="1"),
            },
        ),
        "tiers": Feed(1, LATEST, unit=CONTRACTS, inverse_unit=CONTRACTS),
    },
    lacks={"liquidations": PUSHED_ONLY},
    open_interest_now=present(unit=CONTRACTS, inverse_unit=CONTRACTS),
    liquidation_stream="at most one order of each contract and second; not the total, as OKX itself says",
    options={"fetchMarkets": {"types": ["swap"]}},
    note="swaps in USDT, then USDC, then inverse",
)

GATE: Final = Venue(
    name="gate",
    ccxt_id="gate",
    feeds={
        "candles": Feed(1999, unit=CONTRACTS, depth_rows=9_990),
        "mark_candles": Feed(1999, depth_rows=9_990),
        "open_interest": Feed(100, unit=CONTRACTS, sides=2, periods=_GATE_STATISTICS, params={}),
        "funding": Feed(1000),
        "ratios": Feed(
            100,
            periods=_GATE_STATISTICS,
            calls={
                LONG_SHORT_ACCOUNTS: _gate_ratio("lsr_account"),
                TOP_LONG_SHORT_POSITIONS: _gate_ratio("top_lsr_size"),
                TAKER_BUY_SELL: _gate_ratio("lsr_taker"),
            },
        ),
        "liquidations": Feed(
            1000,
            unit=CONTRACTS,
            span_s=3600,
            calls={
                "": Call(
                    "publicFuturesGetSettleLiqOrders",
                    {
                        "settle": "$settle",
                        "contract": "$id",
                        "from": "$start_s",
                        "to": "$end_s",
                        "limit": "$rows",
                    },
                    {
                        "ts": "time",
                        "px": "fill_price",
                        "signed": "size",
                        "ordered": "order_size",
                        "left": "left",
                    },
                    in_seconds=True,
                )
            },
            coverage="liquidation orders by REST; the venue does not say whether all of them",
        ),
        "tiers": Feed(1, LATEST, unit=USD),
    },
    open_interest_now=None,
    options={"fetchMarkets": {"types": ["swap"]}},
    note="USDT-settled perpetuals; candles reach back 10,000 bars; open interest is reported for both sides (as others "
    "measured against the positions it gives) and halved, that of the last bar stands for now",
)

HTX: Final = Venue(
    name="htx",
    ccxt_id="htx",
    feeds={
        "candles": Feed(2000, sides=2, periods=_HTX_PERIODS, states_limit=False),
        "mark_candles": Feed(2000, LATEST, periods=_HTX_PERIODS, params={}, depth_rows=2000),
        "open_interest": Feed(
            200, LATEST, sides=2, periods=periods(3600, 14400, 86400), params={}, depth_rows=200
        ),
        "funding": Feed(100, LATEST, params={}, depth_rows=100),
        "ratios": Feed(
            100,
            LATEST,
            periods={step_s: name for step_s, name in _HTX_PERIODS.items() if step_s >= 300},
            calls={
                TOP_LONG_SHORT_POSITIONS: Call(
                    "contractPublicGetLinearSwapApiV1SwapElitePositionRatio",
                    {"contract_code": "$id", "period": "$period"},
                    {"ts": "ts", "ratio": ("buy_ratio", "sell_ratio")},
                    ("data", "list"),
                )
            },
        ),
        "liquidations": Feed(
            100,
            unit=USD,
            span_s=6 * 3600,
            calls={
                "": Call(
                    "contractPublicGetV5MarketLiquidationOrders",
                    {
                        "contract_code": "$id",
                        "start_time": "$start_ms",
                        "end_time": "$end_ms",
                        "limit": "$rows",
                    },
                    {
                        **{"ts": "liquidation_time", "id": "id", "px": "bankrupt_price"},
                        **{"amount": "trade_turnover", "side": "position_side"},
                    },
                    ("data",),
                )
            },
            coverage="orders by REST at their bankruptcy price; the venue does not say whether all of them",
        ),
    },
    lacks={"tiers": "maintenance depends on the leverage that is set: not a table by notional"},
    open_interest_now=present(unit=CONTRACTS, sides=2),
    options={"fetchMarkets": {"types": {"linear": True, "inverse": False, "spot": False}}},
    note="USDT-margined swaps; open interest, hourly at the finest, and volume are reported for both sides and halved",
)

KUCOIN: Final = Venue(
    name="kucoin",
    ccxt_id="kucoinfutures",
    quotes=("USDT", "USDC"),
    feeds={
        "candles": Feed(200, unit=CONTRACTS, params={}),
        "mark_candles": Feed(1500, params={}),
        "open_interest": Feed(200, unit=CONTRACTS, periods=periods(300, 900, 1800, 3600, 14400, 86400)),
        "funding": Feed(100),
        "tiers": Feed(1, LATEST, unit=USD),
    },
    lacks={"ratios": NO_PUBLIC_CALL, "liquidations": NO_PUBLIC_CALL},
    open_interest_now=None,
    note="KuCoin Futures; contracts by their multiplier; open interest of the last bar stands for now",
)
