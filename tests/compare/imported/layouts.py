"""Documents of exactly the shapes that vendors and exports have, made of levels that a test knows.

Every function takes levels as pairs of price and amount, below and above `MARK`, and gives what a JSON file would hold.
Numbers are text where the vendor sends text, moments are in the vendor's unit.
"""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Levels = Sequence[tuple[float, float]]

MARK = 60_000.0
AT = datetime(2026, 8, 20, 12, tzinfo=UTC)
AT_S = int(AT.timestamp())
STEP_S = 300
LEVELS: Levels = ((57_000.0, 5e6), (58_500.0, 3e6), (59_400.0, 1e6), (60_600.0, 2e6), (63_000.0, 4e6))
"""9 million below the mark, 6 million above."""
LONG_USD, SHORT_USD = 9e6, 6e6
AXIS = [54_000.0 + 300.0 * at for at in range(41)]
"""Prices from 10 % below the mark to 10 % above, all of `LEVELS` among them."""


def written(folder: Path, document: Any, name: str = "map.json") -> Path:
    """A file of a document; packed where its name ends in gz."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def candles(count: int = 3, last_close: float = MARK, at_s: int = AT_S) -> list[list[Any]]:
    """Time in seconds and five numbers as text; the closes rise to the last by a dollar."""
    return [
        [
            at_s - STEP_S * (count - 1 - at),
            "59990",
            "60010",
            "59980",
            f"{last_close - (count - 1 - at)}",
            "63753192.1",
        ]
        for at in range(count)
    ]


def cells(
    levels: Levels = LEVELS, axis: Sequence[float] = AXIS, columns: Sequence[int] = (0, 1, 2)
) -> list[list[float]]:
    """Each level in every column that it stands in."""
    return [[column, axis.index(px), usd] for column in columns for px, usd in levels]


# -------------------------------------------------------------------------------------- Coinglass


def coinglass_heatmap(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """API v4, models 1 to 3, of a pair or aggregated; as captured, with `update_time` in milliseconds."""
    data = {
        "y_axis": AXIS,
        "liquidation_leverage_data": cells(levels),
        "price_candlesticks": candles(),
        "update_time": AT_S * 1000 + 500,
    }
    return {"code": "0", "msg": "success", "data": {**data, **changed}}


def coinglass_site_heatmap(levels: Levels = LEVELS) -> dict[str, Any]:
    data = {
        "instrument": {"exName": "Binance", "instrumentId": "BTCUSDT", "baseAsset": "BTC"},
        "prices": candles(),
        "y": AXIS,
        "liq": cells(levels),
        "updateTime": AT_S * 1000,
        "maxLiqValue": 5e6,
    }
    return {"code": "0", "success": True, "data": data}


def rows_by_price(levels: Levels, leverage: Any = None, label: Any = None) -> dict[str, list[list[Any]]]:
    """Keys are prices as text, the bucket of the level in each row."""
    return {f"{px:.0f}": [[px, usd, leverage, label]] for px, usd in levels}


def coinglass_map_documented(levels: Levels = LEVELS) -> dict[str, Any]:
    """A pair, no price beside it."""
    return {"code": "0", "msg": "success", "data": {"data": rows_by_price(levels, 25)}}


def coinglass_map_captured(levels: Levels = LEVELS) -> dict[str, Any]:
    """The aggregated map: per exchange, an empty one among them, and the last price."""
    market = {"instrumentId": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "maxLeverage": 125}
    entries = [
        {"instrument": {"exName": "Binance", **market}, "liqMapV2": rows_by_price(levels)},
        {"instrument": {"exName": "Bybit", **market}, "liqMapV2": rows_by_price(levels)},
        {"instrument": {"exName": "OKX", **market}, "liqMapV2": {}},
    ]
    return {"code": "0", "data": {"data": entries, "last_price": MARK}}


def coinglass_site_map(levels: Levels = LEVELS) -> dict[str, Any]:
    """Rows with a leverage and a heat band."""
    half = [(px, usd / 2) for px, usd in levels]
    rows = {
        key: [[row[0], row[1], leverage, band] for leverage, band in ((25, "h1"), (50, "h3"))]
        for key, (row,) in rows_by_price(half).items()
    }
    return {
        "code": "0",
        "success": True,
        "data": {
            "lastPrice": MARK,
            "instrument": {"exName": "Binance", "instrumentId": "BTCUSDT", "baseAsset": "BTC"},
            "liqMapV2": rows,
        },
    }


def coinglass_site_by_exchange(levels: Levels = LEVELS) -> dict[str, Any]:
    entries = [
        {"instrument": {"exName": name, "baseAsset": "BTC"}, "liqMapV2": rows_by_price(levels)}
        for name in ("Binance", "OKX")
    ]
    data = {"lastPrice": MARK, "rangeLow": 54_000, "rangeHigh": 66_000, "data": entries}
    return {"code": "0", "success": True, "data": data}


def coinglass_max_pain() -> dict[str, Any]:
    """As documented the long level stands above the price, as captured below."""
    row = {
        "symbol": "BTC",
        "price": MARK,
        "long_max_pain_liq_level": 3e6,
        "long_max_pain_liq_price": 58_500.0,
        "short_max_pain_liq_level": 2e6,
        "short_max_pain_liq_price": 60_600.0,
    }
    turned = {
        **row,
        "symbol": "ETH",
        "price": 3_000.0,
        "long_max_pain_liq_price": 3_100.0,
        "short_max_pain_liq_price": 2_900.0,
    }
    return {"code": "0", "data": [row, turned]}


def scraped_heatmap(levels: Levels = LEVELS, **changed: Any) -> list[dict[str, Any]]:
    """A scraping service's export: the same object in a list of one."""
    return [
        {
            "success": True,
            "symbol": "BTC",
            "y_axis": AXIS,
            "liquidation_leverage_data": cells(levels),
            "price_candlesticks": candles(),
            "updateTime": AT_S * 1000,
            **changed,
        }
    ]


def scraped_pair_heatmap(levels: Levels = LEVELS) -> list[dict[str, Any]]:
    """Another service's export, with names of its own."""
    return [
        {
            "symbol": "BTC",
            "exchange": "Binance",
            "pair": "BTCUSDT",
            "model": "model1",
            "range": "3d",
            "interval": "5m",
            "priceLevels": AXIS,
            "liquidationLeverageData": cells(levels),
            "candlesticks": candles(),
            "rangeLow": AXIS[0],
            "rangeHigh": AXIS[-1],
            "updateTime": AT_S * 1000,
            "sourceUrl": "https://example.org",
            "scrapedAt": AT.isoformat(),
        }
    ]


# ---------------------------------------------------------------------------------------- CoinAnk


def on_axis(levels: Levels, share: float = 1.0) -> list[float]:
    amounts = dict(levels)
    return [share * amounts.get(px, 0.0) for px in AXIS]


def coinank(data: dict[str, Any], code: Any = 1) -> dict[str, Any]:
    return {
        "success": True,
        "code": code,
        "extCode": None,
        "msg": None,
        "ext": None,
        "ext1": None,
        "data": data,
    }


def coinank_by_leverage(levels: Levels = LEVELS, code: Any = 1, **changed: Any) -> dict[str, Any]:
    tiers = {f"x{tier}": on_axis(levels, 1 / 9) for tier in (25, 30, 40, 50, 60, 70, 80, 90, 100)}
    data = {"symbol": "BTCUSDT", "prices": AXIS, **tiers, "lastIndex": AXIS.index(MARK), "lastPrice": MARK}
    return coinank({**data, **changed}, code)


def coinank_by_exchange(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    rows = {
        "Binance": on_axis(levels, 0.5),
        "Okex": on_axis(levels, 0.25),
        "Hyperliquid": on_axis(levels, 0.25),
    }
    return coinank(
        {"prices": AXIS, **rows, "lastIndex": float(AXIS.index(MARK)), "lastPrice": MARK, **changed}, "1"
    )


def coinank_heatmap(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """Cells of text; no price anywhere."""
    grid = {
        "data": [[str(x), str(y), f"{usd:.0f}"] for x, y, usd in cells(levels)],
        "chartTimeArray": [1000 * (AT_S - STEP_S * back) for back in (2, 1, 0)],
        "priceArray": AXIS,
        "maxLiqValue": 5e6,
    }
    data = {
        "symbol": "BTCUSDT",
        "tickSize": 25,
        "chartInterval": "5m",
        "start": 1000 * (AT_S - 600),
        "end": 1000 * AT_S,
    }
    return coinank({**data, "liqHeatMap": {**grid, **changed}})


def scraped_coinank_heatmap(levels: Levels = LEVELS) -> list[dict[str, Any]]:
    return [{"success": True, "message": "", **coinank_heatmap(levels)["data"]}]


# ----------------------------------------------------------------------------------- other vendors


def side_of(px: float) -> str:
    return "long" if px < MARK else "short"


def hyblock_levels(levels: Levels = LEVELS) -> dict[str, Any]:
    """Leverage as text, a side, a birth date."""
    rows = [
        {"timestamp": AT_S, "creationDate": AT_S - 3600, "size": usd / 2, "price": px, "leverage": leverage,
         "side": side_of(px), "openDuration": 3600}
        for px, usd in levels for leverage in ("25", "100")
    ]  # fmt: skip
    return {"data": rows}


def hyblock_heatmap(levels: Levels = LEVELS) -> dict[str, Any]:
    """Intervals of 200 USD around each level."""
    rows = [
        {
            "timestamp": AT_S,
            "size": usd,
            "startingPrice": px - 100,
            "endingPrice": px + 100,
            "side": side_of(px),
        }
        for px, usd in levels
    ]
    return {"data": rows}


def datamaxi(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    buckets = [
        {"price": px, "side": side_of(px), "l10xUsd": 0.4 * usd, "l25xUsd": 0.3 * usd, "l50xUsd": 0.2 * usd,
         "l100xUsd": 0.1 * usd, "totalUsd": usd}
        for px, usd in levels
    ]  # fmt: skip
    assumed = {
        "entrySamples": 500,
        "entryWindow": "7d",
        "longShareOfOi": 0.5,
        "mmr": 0.005,
        "tiers": [{"leverage": 10, "share": 0.4}, {"leverage": 25, "share": 0.3}, {"leverage": 50, "share": 0.2},
                  {"leverage": 100, "share": 0.1}],
    }  # fmt: skip
    return {
        "exchange": "binance",
        "symbol": "BTC-USDT",
        "base": "BTC",
        "quote": "USDT",
        "currentPrice": MARK,
        "generatedAt": AT.isoformat(),
        "totalOiUsd": 15e6,
        "cumulativeLongUsd": LONG_USD,
        "cumulativeShortUsd": SHORT_USD,
        "assumptions": assumed,
        "buckets": buckets,
        **changed,
    }


def oxarchive(amounts_at: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """Buckets of 300 USD, named by their centres; longs and shorts in each."""
    amounts = dict(amounts_at)
    rows = [
        {"price": px, "long_notional": amounts.get(px, 0.0) if px < MARK else 0.0,
         "short_notional": amounts.get(px, 0.0) if px > MARK else 0.0,
         "long_count": int(px < MARK and px in amounts), "short_count": int(px > MARK and px in amounts)}
        for px in AXIS
    ]  # fmt: skip
    data = {
        "mid_price": MARK,
        "snapshot_ts": AT.isoformat(),
        "snapshot_ts_ms": AT_S * 1000,
        "block_number": 1,
        "total_long": LONG_USD,
        "total_short": SHORT_USD,
        "flagged_notional": 0.0,
        "levels": rows,
    }
    return {"success": True, "data": {**data, **changed}, "meta": {}}


def undertow(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    whole = sum(usd for _, usd in levels)
    return {
        "symbol": "BTC",
        "as_of": AT.isoformat(),
        "generated_at": AT.isoformat(),
        "ref_price": MARK,
        "exact_fraction": 0.2,
        "exact_layer_present": True,
        "stale": False,
        "span_pct": 10.0,
        "oi": {"onchain_usd": 3e6, "cex_usd": 12e6},
        "clusters": [{"price": px, "share": usd / whole, "exact_share": 0.0} for px, usd in levels],
        "provenance": {"venues_onchain": ["hyperliquid"], "leverage_prior": "equal"},
        **changed,
    }


def liquidvision(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """What was modelled, longs and shorts by price."""
    amounts = dict(levels)
    sides = {
        "long": [amounts.get(px, 0.0) if px < MARK else 0.0 for px in AXIS],
        "short": [amounts.get(px, 0.0) if px > MARK else 0.0 for px in AXIS],
    }
    about = {"symbol": "BTCUSDT", "exchange": "all", "range": "1d", "current_price": MARK, "age_s": 30.0}
    return {**about, "bins": AXIS, **sides, **changed}


def liquidvision_measured(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """Positions of the largest accounts; whose venue they are is in the address that was asked, not in the answer."""
    known = {
        "total_long_below": LONG_USD,
        "total_short_above": SHORT_USD,
        "positions": 5,
        "coverage": "large accounts",
    }
    body = {**liquidvision(levels), **known, **changed}
    del body["exchange"]
    return body


def liquidvision_heatmap(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """`grid[time][bin]` with the path of the price; the earlier row holds half."""
    body = liquidvision(levels)
    grid = {
        "grid": [on_axis(levels, 0.5), on_axis(levels)],
        "times": [1000 * (AT_S - STEP_S), 1000 * AT_S],
        "prices": [MARK - 1, MARK],
    }
    del body["long"], body["short"]
    return {**body, **grid, **changed}


def ironflow(levels: Levels = LEVELS, **changed: Any) -> dict[str, Any]:
    """Ranges of 300 USD, valued at the price of liquidation, with running totals from the price outward."""
    rows = []
    for side, sign in (("long", -1), ("short", 1)):
        running = 0.0
        for px in sorted((px for px in AXIS if sign * (px - MARK) > 0), key=lambda px: sign * px):
            notional = dict(levels).get(px, 0.0) * px / MARK
            running += notional
            rows.append(
                {"side": side, "price_low": px - 150, "price_high": px + 150, "notional_usd": notional,
                 "cumulative_usd": running}
            )  # fmt: skip
    snapshot = {"age_s": 420, "timestamp": AT_S * 1000, "block_number": 1}
    return {
        "market": "BTC-PERP",
        "price": MARK,
        "range_pct": 20,
        "snapshot": snapshot,
        "ranges": rows,
        **changed,
    }


def kiyotaka(levels: Levels = LEVELS) -> list[float]:
    return [number for level in levels for number in level]


# ----------------------------------------------------------------------------------------- tables


def table_csv(levels: Levels = LEVELS) -> bytes:
    return b"price,usd\n" + b"".join(f"{px},{usd}\n".encode() for px, usd in levels)


def table_of_sides_csv(levels: Levels = LEVELS) -> bytes:
    rows = (f"{side_of(px)},{px},{usd / 2},{leverage}\n" for px, usd in levels for leverage in (10, 50))
    return b"side,price,usd,leverage\n" + "".join(rows).encode()


def grid_by_time_csv(levels: Levels = LEVELS) -> bytes:
    """Prices down, times across; the earlier column holds half."""
    head = "price,2026-08-20T11:55:00Z,2026-08-20T12:00:00Z\n"
    rows = zip(AXIS, on_axis(levels, 0.5), on_axis(levels), strict=True)
    return (head + "".join(f"{px},{half},{usd}\n" for px, half, usd in rows)).encode()


def grid_by_exchange_csv(levels: Levels = LEVELS) -> bytes:
    rows = zip(AXIS, on_axis(levels, 0.5), strict=True)
    return ("price,Binance,OKX\n" + "".join(f"{px},{half},{half}\n" for px, half in rows)).encode()


def grid_by_price_csv(levels: Levels = LEVELS) -> bytes:
    """Times down, prices across."""
    head = ",".join(["time", *(f"{px}" for px in AXIS)])
    rows = [
        ",".join([at, *(f"{usd}" for usd in on_axis(levels, share))])
        for at, share in (("2026-08-20T11:55:00Z", 0.5), ("2026-08-20T12:00:00Z", 1.0))
    ]
    return "\n".join([head, *rows, ""]).encode()
