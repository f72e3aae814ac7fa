"""Right inputs for every door: what a small synthetic market gives, and recorded payloads where they are at hand."""

import gzip
import io
import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from liqtruth.estimator.model.leverage_model import known_models
from liqtruth.heatmap.files import about, to_csv, to_json, write_map
from liqtruth.sandbox.hyperliquid.fills import newest_fills
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint
from liqtruth.sandbox.hyperliquid.node_state import write_state
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.truth import true_positions
from liqtruth.sandbox.venues.binance import BinanceApi
from tests.compare.imported import layouts
from tests.conftest import RECORDED
from tests.heatmap.maps import plain
from tests.indexer import provider_tables
from tests.markets import market_of

LONGEST: Final = 20_000
ADDRESS: Final = "0x" + "a1" * 20


@cache
def market() -> Market:
    return market_of(MarketSpec(seed=5, accounts=60, days=3, cex_accounts=60))


@cache
def seeds() -> dict[str, list[bytes]]:
    """By door."""
    answers = list(_answers())
    return {
        "positions table": [*_positions(), *_recorded("hyperliquid/positions-2026-08/positions_*.csv.gz")],
        "market table": [
            b"ts,coin,mark,oi,funding\n2026-08-21T11:01:45Z,BTC,77725.0,34872.8,0.0000125\n",
            b"coin,markPx,openInterest,time\nBTC,77725.0,34872.8,1787310105000\n",
        ],
        "account answer": [
            *(_json({"type": "clearinghouseState", "user": user}) for user in _holders()),
            *_wrapped(),
            *_batches(),
        ],
        "meta answer": [_json({"type": "metaAndAssetCtxs"}), _json({"type": "meta"})],
        "spot answer": [_json({"type": "spotClearinghouseState", "user": user}) for user in _holders()],
        "feed table": [*_feed_tables(), *_recorded("cex/okx-sol/*.csv")],
        "feed events": [*_event_files(), *_recorded("cex/force-orders/*.csv")],
        "node state": [_node_state()],
        "node fills": [*_fill_lines(), *_recorded("hyperliquid/node_fills*.gz")],
        "address list": [f"{ADDRESS}\n{ADDRESS[:-1]}2\n".encode(), f"address,x\n{ADDRESS},1\n".encode()],
        "map file": _maps(),
        "vendor map": _vendor_maps(),
        "leverage model": [model.to_json() for model in known_models().values()],
        "records": [b'{"windows": []}', b'{"as_of": null, "reads": 5, "tape": {"trades": 3}}', b"{}"],
        "info answers": answers,
        "account to positions": [_json({"type": "clearinghouseState", "user": user}) for user in _holders()],
        "tape": list(_tape_messages()),
        "liquidation streams": list(_pushed()),
        "venue answers": list(_venue_answers()),
        "leaderboard and vaults": [_json(_performers()), b'[{"apr": 0.1, "summary": {"name": "x"}}]'],
    }


def _dumped(answer: Any) -> bytes:
    return json.dumps(answer).encode()


def _wrapped() -> Iterator[bytes]:
    """Answers of several accounts in one document, as they are saved."""
    states = {user: json.loads(_json({"type": "clearinghouseState", "user": user})) for user in _holders()}
    entries = [{"user": user, "clearinghouseState": state} for user, state in states.items()]
    yield b"\n".join(map(_dumped, entries))
    yield b"\n".join(_dumped({"channel": "webData2", "data": entry}) for entry in entries)
    yield _dumped(entries)
    yield _dumped(states)


def _batches() -> Iterator[bytes]:
    """Answers of several accounts in the order asked for, and as a provider sorts them."""
    states = {user: json.loads(_json({"type": "clearinghouseState", "user": user})) for user in _holders()}
    yield repr(states).encode()
    asked = {"type": "batchClearinghouseStates", "users": [*states]}
    yield _dumped({"request": asked, "response": [*states.values()]})
    entries = [{"address": user, "data": state} for user, state in states.items()]
    yield _dumped({"jsonrpc": "2.0", "result": {"successful_states": entries, "failed_wallets": [ADDRESS]}})


@cache
def _endpoint() -> InfoEndpoint:
    return InfoEndpoint(market())


def _json(asked: dict[str, Any]) -> bytes:
    answer = _endpoint().answer(asked) if "type" in asked else asked
    return _dumped(answer)


def _holders() -> list[str]:
    return [str(user) for user in true_positions(market())["address"].unique(maintain_order=True)[:4]]


def _answers() -> Iterator[bytes]:
    user = _holders()[0]
    for kind in (
        *(
            "clearinghouseState",
            "spotClearinghouseState",
            "userAbstraction",
            "meta",
            "metaAndAssetCtxs",
            "allMids",
        ),
        *(
            "perpDexs",
            "candleSnapshot",
            "fundingHistory",
            "recentTrades",
            "exchangeStatus",
            "allPerpMetas",
            "userFills",
        ),
    ):
        span = {"startTime": market().as_of_ms - 3_600_000 * 3, "endTime": market().as_of_ms}
        asked = {
            "type": kind,
            "user": user,
            "coin": "BTC",
            "req": {"coin": "BTC", "interval": "1h", **span},
            **span,
        }
        content = _json(asked)
        yield content if len(content) <= LONGEST else _dumped(json.loads(content)[:20])


def _performers() -> dict[str, Any]:
    window = ["allTime", {"pnl": "1.0", "roi": "0.1", "vlm": "100.0"}]
    row = {"ethAddress": ADDRESS, "accountValue": "1000.0", "windowPerformances": [window], "prize": 0}
    return {"leaderboardRows": [{**row, "displayName": None}, {**row, "displayName": "x"}]}


def _positions() -> Iterator[bytes]:
    rows = true_positions(market()).head(12)
    named = rows.select(
        addr="address",
        coin="coin",
        szi="szi",
        entryPx="entry_px",
        notional=pl.col("szi").abs() * pl.col("mark_px"),
        liqPx="liq_px" if "liq_px" in rows.columns else pl.lit(None, pl.Float64),
        ts=pl.lit("2026-08-21T11:01:45Z"),
    )
    yield provider_tables.hypertracker().encode()
    yield provider_tables.packed_scan()
    yield _dumped(provider_tables.coinglass_page(provider_tables.coinglass_list()))
    yield provider_tables.lines(provider_tables.coinglass_pages()).encode()
    yield _dumped(provider_tables.coinglass_list())
    yield named.write_csv().encode()
    yield named.write_ndjson().encode()
    yield named.write_json().encode()
    packed = io.BytesIO()
    named.write_parquet(packed)
    yield packed.getvalue()


def _feed_tables() -> Iterator[bytes]:
    hours = range(1_787_000_400_000, 1_787_000_400_000 + 30 * 3_600_000, 3_600_000)
    bars = [f"{ms},100.0,102.5,99.0,101.0,12.5" for ms in hours]
    yield "\n".join(["ts,open,high,low,close,volume", *bars]).encode()
    archive = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore"
    )
    long = [f"{ms},100.0,102.5,99.0,101.0,12.5,{ms + 3_599_999},1262.5,7,6.0,606.0,0" for ms in hours]
    yield "\n".join([archive, *long]).encode()
    yield "\n".join(long).encode()
    yield "\n".join(
        ["timestamp,open_interest,open_interest_usd", *(f"{ms},1000,101000" for ms in hours)]
    ).encode()
    yield "\n".join(["timestamp,funding_rate", *(f"{ms},0.0001" for ms in hours)]).encode()
    yield json.dumps([{"timestamp": ms, "open_interest": 1000.0, "price": 101.0} for ms in hours]).encode()
    yield "\n".join(json.dumps({"timestamp": ms, "oi": 5.03, "price": 101.0}) for ms in hours).encode()


def _event_files() -> Iterator[bytes]:
    row = "{},SELL,LIMIT,IOC,0.014,104000,104500.1,FILLED,0.014,0.014,1750651234567,1463.0"
    yield "\n".join(row.format(name) for name in ("BTCUSDT", "ETHUSDT", "BTCUSDT_250627")).encode()
    tiers = [
        {
            "tier": n,
            "minNotional": low,
            "maxNotional": high,
            "maintenanceMarginRate": rate,
            "maxLeverage": most,
        }
        for n, low, high, rate, most in ((1, 0, 50_000, 0.004, 125), (2, 50_000, 600_000, 0.005, 100))
    ]
    yield _dumped({"BTC/USDT:USDT": tiers})
    yield _dumped(tiers)


def _node_state() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.rmp"
        write_state(market_of(MarketSpec(seed=5, accounts=20, days=2, cex_accounts=20)), path)
        return path.read_bytes()


def _fill_lines() -> Iterator[bytes]:
    made = [
        [user, fill]
        for row, user in enumerate(market().addresses[:20])
        for fill in newest_fills(market(), row)[:3]
    ]
    block = {"local_time": "2026-09-01T00:00:00.1", "block_time": "2026-09-01T00:00:00.0", "block_number": 1}
    yield b"\n".join(_dumped(pair) for pair in made[:20])
    yield b"\n".join(_dumped({**block, "events": [pair]}) for pair in made[:20])


def _vendor_maps() -> list[bytes]:
    makers = [
        *(layouts.coinglass_heatmap, layouts.coinglass_site_map, layouts.coinglass_map_captured),
        *(layouts.coinglass_max_pain, layouts.coinank_by_leverage, layouts.coinank_by_exchange),
        *(layouts.coinank_heatmap, layouts.hyblock_levels, layouts.datamaxi, layouts.oxarchive),
        *(layouts.undertow, layouts.kiyotaka, layouts.liquidvision_measured, layouts.liquidvision_heatmap),
        layouts.ironflow,
    ]
    tables = [layouts.table_of_sides_csv, layouts.grid_by_time_csv, layouts.grid_by_price_csv]
    return [*(json.dumps(make()).encode() for make in makers), *(make() for make in tables)]


def _maps() -> list[bytes]:
    drawn = plain()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.parquet"
        write_map(drawn, path)
        csv = f"# {json.dumps(about(drawn))}\n{to_csv(drawn)}"
        return [to_json(drawn).encode(), csv.encode(), path.read_bytes()]


def _tape_messages() -> Iterator[bytes]:
    trades = _endpoint().answer({"type": "recentTrades", "coin": "BTC"})[:4]
    yield _dumped({"channel": "trades", "data": trades})
    yield b'{"channel":"pong"}'
    yield b'{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"trades"}}}'
    yield b'{"channel":"error","data":"Invalid subscription"}'


def _pushed() -> Iterator[bytes]:
    order = {
        "s": "BTCUSDT",
        "S": "SELL",
        "q": "0.014",
        "p": "9910",
        "ap": "9910",
        "z": "0.014",
        "T": 1787000400000,
    }
    yield _dumped({"e": "forceOrder", "E": 1787000400000, "o": order})
    yield _dumped({"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "E": 1787000400000, "o": order}})
    row = {"T": 1787000400000, "s": "BTCUSDT", "S": "Sell", "v": "20.3", "p": "9910"}
    yield _dumped({"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": 1787000400000, "data": [row]})
    detail = {"bkPx": "9910", "posSide": "short", "side": "buy", "sz": "13", "ts": "1787000400000"}
    told = [{"details": [detail], "instFamily": "BTC-USDT", "instId": "BTC-USDT-SWAP", "instType": "SWAP"}]
    yield _dumped({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": told})
    yield b"pong"
    yield b'{"success":true,"ret_msg":"","op":"subscribe"}'


def _venue_answers() -> Iterator[bytes]:
    api, span = BinanceApi.of(market()), {"symbol": "BTCUSDT", "interval": "1h", "period": "1h", "limit": "5"}
    for path in (
        *("/fapi/v1/klines", "/fapi/v1/fundingRate", "/futures/data/openInterestHist"),
        *("/futures/data/topLongShortPositionRatio", "/fapi/v1/premiumIndex", "/fapi/v1/openInterest"),
    ):
        yield _dumped(api.answer(path, span))


def _recorded(pattern: str) -> list[bytes]:
    """The beginnings of recorded files that match, unpacked."""
    if not RECORDED.is_dir():
        return []
    found = [path.read_bytes() for path in sorted(RECORDED.glob(pattern))]
    whole = [gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content for content in found]
    return [content[:LONGEST].rpartition(b"\n")[0] for content in whole]
