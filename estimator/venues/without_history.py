"""Rows of the table of venues: those that publish no history of their open interest, or nothing that is read here.

Sources as in `estimator/venues/with_history.py`.
"""

from typing import Final

from liqtruth.estimator.frames import LONG_SHORT_ACCOUNTS
from liqtruth.estimator.venues.spec import (
    COINS,
    COLLECTED,
    CONTRACTS,
    LATEST,
    NO_PUBLIC_CALL,
    NUMBERED,
    SIGNED,
    USD,
    WHOLE,
    Call,
    Feed,
    Venue,
    periods,
    present,
)

BITGET: Final = Venue(
    name="bitget",
    quotes=("USDT", "USDC"),
    ccxt_id="bitget",
    feeds={
        "candles": Feed(200),
        "mark_candles": Feed(200),
        "funding": Feed(100, NUMBERED, params={"pageNo": "$page"}),
        "ratios": Feed(
            100,
            LATEST,
            periods=periods(300, 900, 1800, 3600, 7200, 14400, 86400),
            calls={
                LONG_SHORT_ACCOUNTS: Call(
                    "publicMixGetV2MixMarketAccountLongShort",
                    {"symbol": "$id", "period": "$period"},
                    {"ts": "ts", "ratio": ("longAccountRatio", "shortAccountRatio")},
                    ("data",),
                )
            },
        ),
        "tiers": Feed(1, LATEST, unit=USD),
    },
    lacks={"open_interest": COLLECTED, "liquidations": NO_PUBLIC_CALL},
    open_interest_now=present(),
    options={"fetchMarkets": {"types": ["swap"]}},
    note="USDT futures, then USDC futures",
)

MEXC: Final = Venue(
    name="mexc",
    ccxt_id="mexc",
    feeds={
        "candles": Feed(2000, unit=CONTRACTS, periods=periods(60, 300, 900, 1800, 3600, 14400, 86400)),
        "mark_candles": Feed(2000, periods=periods(60, 300, 900, 1800, 3600, 14400, 86400)),
        "funding": Feed(100, NUMBERED, params={"page_num": "$page"}),
    },
    lacks={
        "open_interest": COLLECTED,
        "ratios": NO_PUBLIC_CALL,
        "liquidations": NO_PUBLIC_CALL,
        "tiers": "reported as steps whose unit (contracts or value) differs by market, and ccxt does not state which",
    },
    open_interest_now=present(
        Call(
            "contractPublicGetTicker",
            {"symbol": "$id"},
            {"ts": "timestamp", "amount": "holdVol"},
            ("data",),
        ),
        unit=CONTRACTS,
    ),
    markets_method="fetch_swap_markets",
    note="mark candles are of its fair price",
)

BINGX: Final = Venue(
    name="bingx",
    quotes=("USDT", "USDC"),
    ccxt_id="bingx",
    feeds={
        "candles": Feed(1440),
        "mark_candles": Feed(
            1440,
            calls={
                "": Call(
                    "swapV1PublicGetMarketMarkPriceKlines",
                    {
                        "symbol": "$id",
                        "interval": "$period",
                        "startTime": "$start_ms",
                        "endTime": "$until_ms",
                        "limit": "$rows",
                    },
                    {"ts": "openTime", "open": "open", "high": "high", "low": "low", "close": "close"},
                    ("data",),
                )
            },
        ),
        "funding": Feed(1000),
    },
    lacks={
        "open_interest": COLLECTED,
        "ratios": NO_PUBLIC_CALL,
        "liquidations": NO_PUBLIC_CALL,
        "tiers": SIGNED,
    },
    open_interest_now=present(unit=USD),
    markets_method="fetch_swap_markets",
    note="open interest is reported in USDT",
)

KRAKEN: Final = Venue(
    name="kraken",
    quotes=("USD",),
    ccxt_id="krakenfutures",
    feeds={
        "candles": Feed(
            2000,
            inverse_unit=CONTRACTS,
            periods=periods(60, 300, 900, 1800, 3600, 14400, 86400),
            params={},
        ),
        "mark_candles": Feed(
            2000,
            inverse_unit=CONTRACTS,
            periods=periods(60, 300, 900, 1800, 3600, 14400, 86400),
            params={},
        ),
        "funding": Feed(100_000, WHOLE, params={}),
        "tiers": Feed(1, LATEST, unit=USD, inverse_unit=CONTRACTS),
    },
    lacks={
        "open_interest": COLLECTED,
        "ratios": NO_PUBLIC_CALL,
        "liquidations": "only marked in the public trades, which are not read",
    },
    open_interest_now=present(
        Call("publicGetTickersSymbol", {"symbol": "$id"}, {"amount": "openInterest"}, ("ticker",)),
        inverse_unit=CONTRACTS,
    ),
    note="Kraken Futures: multi-collateral linear perpetuals in USD, then inverse; funding is per hour",
)

DERIBIT: Final = Venue(
    name="deribit",
    quotes=("USDC", "USDT"),
    ccxt_id="deribit",
    feeds={
        "candles": Feed(1000, inverse_unit=COINS, periods=periods(60, 300, 900, 1800, 3600, 7200, 86400)),
        "funding": Feed(
            744,
            calls={
                "": Call(
                    "publicGetGetFundingRateHistory",
                    {
                        "instrument_name": "$id",
                        "start_timestamp": "$before_ms",
                        "end_timestamp": "$until_ms",
                    },
                    {"ts": "timestamp", "rate": "interest_1h"},
                    ("result",),
                )
            },
        ),
    },
    lacks={
        "mark_candles": NO_PUBLIC_CALL,
        "open_interest": COLLECTED,
        "ratios": NO_PUBLIC_CALL,
        "liquidations": "only marked in the public trades; its bankruptcies have neither side nor price",
        "tiers": "maintenance is a formula of the portfolio, not a table",
    },
    open_interest_now=present(
        Call(
            "publicGetGetBookSummaryByInstrument",
            {"instrument_name": "$id"},
            {"ts": "creation_timestamp", "amount": "open_interest"},
            ("result",),
        ),
        inverse_unit=USD,
    ),
    note="perpetuals in USDC first, then the inverse ones; funding accrues, reported per hour",
)

BITMEX: Final = Venue(
    name="bitmex",
    quotes=("USDT",),
    note="from files only: the installed ccxt 4.5.90 has no such exchange any more; liqtruth feed import",
)

HYPERLIQUID: Final = Venue(
    name="hyperliquid",
    quotes=("USDC",),
    ccxt_id="hyperliquid",
    feeds={
        "candles": Feed(5000, depth_rows=5000),
        "funding": Feed(500),
    },
    lacks={
        "mark_candles": "only the present mark is reported",
        "open_interest": "no history is published: `liqtruth feed watch` collects it from now on",
        "ratios": NO_PUBLIC_CALL,
        "liquidations": "read by `liqtruth index`, exactly",
        "tiers": "read by `liqtruth index`, exactly",
    },
    open_interest_now=present(),
    options={"fetchMarkets": {"types": ["swap"]}},
    note="its public aggregates only, never its positions: for modelling it as if it were any other venue",
)
