"""How the sandbox answers a request that meets a fault."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.http.spoiled import SPOILINGS, bomb, spoiled

SERVER_NAME: Final = "liqtruth-sandbox (synthetic)"
JSON: Final = "application/json"
PAGE: Final = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>synthetic fault</body></html>"
PIECE: Final = 64 * 1024
DRIP_S: Final = 1.0


def response(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    """An answer of this exchange."""
    is_json = body[:1] in (b"{", b"[", b'"') or body == b"null"
    kind = JSON if is_json else "text/plain"
    told = {"Server": SERVER_NAME, **(headers or {})}
    return web.Response(status=status, body=body, content_type=kind, headers=told)


async def faulty(
    fault: str, faults: Faults, request: web.BaseRequest, status: int, body: bytes
) -> web.StreamResponse:
    """The answer of `status` and `body` as `fault` leaves it; `fault` is one of `Faults.next`."""
    if fault in SPOILINGS:
        return response(status, spoiled(fault, body))
    whole = {
        "429": lambda: response(429, b"null"),
        "odd_retry_after": lambda: response(429, b"null", {"Retry-After": faults.odd_retry_after()}),
        "500": lambda: response(500, b"Internal Server Error"),
        "redirect": lambda: response(307, b"", {"Location": faults.redirect_to}),
        "html": lambda: web.Response(body=PAGE, content_type="text/html", headers={"Server": SERVER_NAME}),
    }
    if fault in whole:
        return whole[fault]()
    if fault == "bomb":
        packed = {"Content-Encoding": "gzip"}
        return await _in_pieces(request, bomb(faults.bomb_bytes), PIECE, 0.0, packed)
    if fault == "drip":
        return await _in_pieces(request, body, 1, DRIP_S, {})
    return await _cut_off(request, body if fault == "truncated" else b"")


async def _in_pieces(
    request: web.BaseRequest, body: bytes, size: int, pause_s: float, headers: dict[str, str]
) -> web.StreamResponse:
    """The whole body piece by piece, for as long as somebody reads it."""
    answer = web.StreamResponse(headers={"Server": SERVER_NAME, "Content-Type": JSON, **headers})
    answer.content_length = len(body)
    with suppress(ConnectionError):
        await answer.prepare(request)
        for start in range(0, len(body), size):
            await answer.write(body[start : start + size])
            await asyncio.sleep(pause_s)
    return answer


async def _cut_off(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """Close the connection, for a truncated answer after half of the promised body."""
    answer = web.StreamResponse(headers={"Server": SERVER_NAME, "Content-Type": JSON})
    if body:
        answer.content_length = len(body)
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer
