"""Claims about the websocket: that each channel is answered, and in which shape."""

import asyncio
import base64
import zlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from websockets.exceptions import WebSocketException

from liqtruth.heatmap.errors import SourceUnreachable, one_line
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.doctor.claims import Check, Seen
from liqtruth.indexer.doctor.evidence import Evidence
from liqtruth.storage.net.long_runs import Straight, within

T = TypeVar("T")
PATIENCE_S: Final = 15.0
LARGEST_MESSAGE: Final = 16 * 2**20
RAW_DEFLATE: Final = -15
MOST_INFLATED: Final = 64 * 2**20


async def first_of(evidence: Evidence, subscription: dict[str, str], shape: Callable[[Any], Seen]) -> Seen:
    """What `shape` says of the first data on the subscription's channel, within `PATIENCE_S`."""
    channel = subscription["type"]
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _listen(evidence.info.socket_url, subscription, channel, shape)
    except TimeoutError:
        return Seen("not_seen", f"nothing came on {channel} within {PATIENCE_S:g} s")
    except (OSError, WebSocketException) as error:
        raise SourceUnreachable(
            f"{evidence.info.shown_url}: the websocket {one_line(str(error), 120)}"
        ) from None


async def _listen(url: str, subscription: dict[str, str], channel: str, shape: Callable[[Any], Seen]) -> Seen:
    async with Straight(
        url, close_timeout=1, open_timeout=PATIENCE_S, max_size=LARGEST_MESSAGE
    ) as connection:
        await connection.send(
            msgspec.json.encode({"method": "subscribe", "subscription": subscription}).decode()
        )
        while True:
            try:
                message = msgspec.json.decode(await within(PATIENCE_S, connection))
            except NOT_DECODED as error:
                return Seen("differs", f"a message that is no JSON ({one_line(str(error), 80)})")
            if not isinstance(message, dict):
                continue
            if message.get("channel") == "error":
                return Seen("differs", f"refused: {one_line(str(message.get('data')), 120)}")
            if message.get("channel") == channel:
                return shape(message.get("data"))


async def contexts(evidence: Evidence) -> Seen:
    """Marks of all dexes at no weight."""

    def shape(data: Any) -> Seen:
        pairs = data.get("ctxs") if isinstance(data, dict) else None
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) and len(pair) == 2 for pair in pairs
        ):
            return Seen("differs", "no pairs of dex and contexts under `ctxs`")
        lengths = {dex: len(of_dex) for dex, of_dex in pairs}
        listed = {dex: len(answer.meta.universe) for dex, answer in evidence.markets.items()}
        wrong = [
            f"{dex or 'main'}: {lengths.get(dex)} of {count}"
            for dex, count in listed.items()
            if lengths.get(dex) != count
        ]
        return Seen.all_of(
            len(listed) - len(wrong), len(listed), "dexes' contexts parallel to their meta", "; ".join(wrong)
        )

    return await first_of(evidence, {"type": "allDexsAssetCtxs"}, shape)


async def trades(evidence: Evidence) -> Seen:
    def shape(data: Any) -> Seen:
        rows = data if isinstance(data, list) else []
        named = [row for row in rows if isinstance(row, dict) and len(row.get("users") or ()) == 2]
        return Seen.all_of(len(named), len(rows), "trades with both addresses", "users are missing")

    coins = [trade.coin for trade in evidence.trades]
    if not coins:
        return Seen("not_seen", "no coin had a recent trade")
    return await first_of(evidence, {"type": "trades", "coin": max(set(coins), key=coins.count)}, shape)


async def fast_contexts(evidence: Evidence) -> Seen:
    def shape(data: Any) -> Seen:
        try:
            inflated = zlib.decompressobj(RAW_DEFLATE).decompress(base64.b64decode(data), MOST_INFLATED)
            fields = msgspec.json.decode(inflated)
        except (*NOT_DECODED, zlib.error, ValueError, TypeError):
            return Seen("differs", "no base64 of raw DEFLATE of JSON")
        marked = (
            [coin for coin, ctx in fields.items() if isinstance(ctx, dict)]
            if isinstance(fields, dict)
            else []
        )
        return Seen.all_of(len(marked), len(fields), "coins' contexts", "they are no objects")

    return await first_of(evidence, {"type": "fastAssetCtxs"}, shape)


CHECKS: Final = (
    Check(
        "ws-contexts",
        "websocket",
        "`allDexsAssetCtxs` pairs each dex with contexts parallel to its meta",
        contexts,
    ),
    Check("ws-trades", "websocket", "`trades` name buyer and seller", trades),
    Check("ws-fast", "websocket", "`fastAssetCtxs` is base64 of raw DEFLATE of JSON by coin", fast_contexts),
)
