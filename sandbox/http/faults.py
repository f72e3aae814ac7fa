"""What can go wrong on the way: faults injected into answers at stated rates, in an order fixed by the seed.

The rates are shares of requests, or of messages about events on the sockets, and add up; each meets at most one fault.
Requests and socket messages draw from generators of their own. The object may be changed while the server runs.

`SPOILINGS` turn good bytes into bad ones. What a kind does not find in the bytes (a mark, a time, an account's
positions) it leaves alone.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Self

import msgspec
import numpy as np
from aiohttp import web

KINDS: Final = (
    "429",
    "500",
    "reset",
    "truncated",
    "html",
    "redirect",
    "odd_retry_after",
    "bomb",
    "drip",
)
SOCKET_KINDS: Final = ("silent", "drop", "duplicate", "reorder", "gap")
SERVER_NAME: Final = "liqtruth-sandbox (synthetic)"
JSON: Final = "application/json"
PAGE: Final = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>synthetic fault</body></html>"
PIECE: Final = 64 * 1024
DRIP_S: Final = 1.0
ODD_RETRY_AFTER: Final = ("²", "1e30", "-5", "nan", "Wed, 21 Oct 2026 07:28:00 GMT", "", "9" * 400)
FAR_FUTURE_MS: Final = b"9999999999000"
LONG_AGO_MS: Final = b"86400000000"
DEEP: Final = 50_000
BLOCK: Final = 2**20
_TIME: Final = re.compile(rb"(?<![\d.])1[5-9]\d{11}(?![\d.])")
_DECIMAL: Final = re.compile(rb'"-?\d+\.\d+"')
_MARK: Final = re.compile(rb'"(markPx|mark_px|markPrice)":"[^"]*"')
_CLOSED: Final = (
    b'{"type":"oneWay","position":{"coin":"SANDBOX-CLOSED","szi":"-0.0","leverage":{"type":"cross","value":20},'
    b'"entryPx":null,"positionValue":"0.0","unrealizedPnl":"0.0","returnOnEquity":"0.0","liquidationPx":null,'
    b'"marginUsed":"0.0","maxLeverage":20}},'
)


@dataclass
class Faults:
    """`rate_429` is a spurious 429 inside the budget, `rate_reset` closes the connection without an answer,
    `rate_truncated` stops in the middle of the body, `rate_html` answers 200 with a web page, `rate_redirect` answers
    307 and points to `redirect_to`, `rate_odd_retry_after` is a 429 whose wait is no number of seconds, `rate_bomb` is
    a small gzip answer of `bomb_bytes`, `rate_drip` sends a byte a second. A request is counted and answered `delay_s`
    after it came, and up to `delay_spread_s` later, so that later ones overtake it.

    On the socket: `rate_silent` leaves the connection open and never sends anything on it again, pongs included;
    `rate_drop` cuts it without a close frame; `rate_duplicate` sends the message twice, `rate_reorder` after the next
    one; `rate_gap` loses it and the `gap_messages - 1` after it. While `silence` is set every open socket falls silent
    for good. `clock_skew_ms` is added to the times of trades. `rate_socket_redirect` is the share of handshakes that
    are answered with a redirect.

    `spoiled` maps kinds of `SPOILINGS` to rates, for answers and for messages. Of the dexes in
    `failing_dexes` nothing is answered: 500.
    """

    rate_429: float = 0.0
    rate_500: float = 0.0
    rate_reset: float = 0.0
    rate_truncated: float = 0.0
    rate_html: float = 0.0
    delay_s: float = 0.0
    delay_spread_s: float = 0.0
    storm_429: bool = False
    seed: int = 0
    rate_silent: float = 0.0
    rate_drop: float = 0.0
    rate_duplicate: float = 0.0
    rate_reorder: float = 0.0
    rate_gap: float = 0.0
    gap_messages: int = 1
    silence: bool = False
    clock_skew_ms: int = 0
    rate_redirect: float = 0.0
    redirect_to: str = "http://127.0.0.2:9/elsewhere"
    rate_odd_retry_after: float = 0.0
    rate_bomb: float = 0.0
    bomb_bytes: int = 1_500_000_000
    rate_drip: float = 0.0
    rate_socket_redirect: float = 0.0
    spoiled: Mapping[str, float] = field(default_factory=dict)
    failing_dexes: frozenset[str] = frozenset()
    met: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._socket_rng = np.random.default_rng([self.seed, 1])
        self._delay_rng = np.random.default_rng([self.seed, 3])
        self._handshake_rng = np.random.default_rng([self.seed, 2])

    @classmethod
    def of_every_kind(cls, share: float, seed: int = 0, without: frozenset[str] = frozenset()) -> Self:
        """All of them at random: `share` of requests and `share` of messages are bad, each kind as often as another.

        `without` leaves kinds out, e.g. those that make a test wait for deadlines.
        """
        on_request = [kind for kind in KINDS if kind not in without]
        on_socket = [kind for kind in SOCKET_KINDS if kind not in without]
        content = [kind for kind in SPOILINGS if kind not in without]
        each = share / (max(len(on_request), len(on_socket)) + len(content))
        rates = {f"rate_{kind}": each for kind in (*on_request, *on_socket)}
        if "socket_redirect" not in without:
            rates["rate_socket_redirect"] = share
        return cls(**rates, spoiled=dict.fromkeys(content, each), seed=seed)  # type: ignore[arg-type]

    def next_delay_s(self) -> float:
        """How long the next request is on its way."""
        return self.delay_s + self.delay_spread_s * float(self._delay_rng.random())

    def next(self) -> str | None:
        """The fault that the next request meets, if any."""
        draw = float(self._rng.random())
        return self._met("429" if self.storm_429 else self._drawn(KINDS, draw))

    def next_on_socket(self) -> str | None:
        """The fault that the next trade message meets, if any."""
        return self._met(self._drawn(SOCKET_KINDS, float(self._socket_rng.random())))

    def turns_away(self) -> bool:
        """Whether the next handshake of a socket is answered with a redirect."""
        turned = float(self._handshake_rng.random()) < self.rate_socket_redirect
        return self._met("socket_redirect" if turned else None) is not None

    def odd_retry_after(self) -> str:
        """A `Retry-After` that is no number of seconds to wait, another one each time."""
        return ODD_RETRY_AFTER[(self.met.get("odd_retry_after", 1) - 1) % len(ODD_RETRY_AFTER)]

    def _met(self, kind: str | None) -> str | None:
        if kind is not None:
            self.met[kind] = self.met.get(kind, 0) + 1
        return kind

    def _drawn(self, kinds: tuple[str, ...], draw: float) -> str | None:
        rates = {kind: getattr(self, f"rate_{kind}") for kind in kinds} | dict(self.spoiled)
        for kind, edge in zip(rates, np.cumsum(list(rates.values())), strict=True):
            if draw < edge:
                return kind
        return None


def response(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    """An answer of this exchange."""
    is_json = body[:1] in (b"{", b"[", b'"') or body == b"null"
    kind = JSON if is_json else "text/plain"
    sent = {"Server": SERVER_NAME, **(headers or {})}
    return web.Response(status=status, body=body, content_type=kind, headers=sent)


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


def _middle(body: bytes, what: bytes) -> bytes:
    half = len(body) // 2
    return body[:half] + what + body[half:]


def _first(pattern: re.Pattern[bytes], body: bytes, put: bytes) -> bytes:
    return pattern.sub(lambda _: put, body, count=1)


def _twice(body: bytes) -> bytes:
    """The account's last entry once more."""
    account = msgspec.json.decode(body)
    entries = account.get("assetPositions") if isinstance(account, dict) else None
    return msgspec.json.encode({**account, "assetPositions": [*entries, entries[-1]]}) if entries else body


SPOILINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "not_utf8": lambda body: _middle(body, b"\xff\xfe"),
    "nested": lambda body: b"[" * DEEP + b"]" * DEEP,
    "garbage": lambda body: _middle(body, b"}{"),
    "empty_list": lambda body: b"[]",
    "null": lambda body: b"null",
    "long_number": lambda body: _first(_DECIMAL, body, b'"' + b"7" * 400 + b'"'),
    "null_number": lambda body: _first(_DECIMAL, body, b"null"),
    "null_mark": lambda body: _MARK.sub(lambda found: b'"' + found[1] + b'":null', body, count=1),
    "future": lambda body: _TIME.sub(FAR_FUTURE_MS, body),
    "past": lambda body: _TIME.sub(LONG_AGO_MS, body),
    "huge_leverage": lambda body: re.sub(rb'"(value|maxLeverage)":\d+', rb'"\1":1e30', body, count=1),
    "huge_interest": lambda body: re.sub(
        rb'"openInterest":"[^"]*"', b'"openInterest":"1e308"', body, count=1
    ),
    "huge_funding": lambda body: re.sub(rb'"funding":"[^"]*"', b'"funding":"1e308"', body, count=1),
    "closed_entry": lambda body: body.replace(
        b'"assetPositions":[{', b'"assetPositions":[' + _CLOSED + b"{", 1
    ),
    "no_entry_price": lambda body: re.sub(rb'"entryPx":"[^"]*"', b'"entryPx":null', body, count=1),
    "coin_twice": _twice,
    "unknown_dex": lambda body: re.sub(rb'"coin":"([^":]+:)?', b'"coin":"nosuchdex:', body, count=1),
}
"""Kinds of spoiled content, for answers over HTTP and messages of sockets alike."""


def spoiled(kind: str, body: bytes) -> bytes:
    """`body` as a fault of `kind` (a key of `SPOILINGS`) makes it."""
    return SPOILINGS[kind](body)


@cache
def bomb(size: int) -> bytes:
    """A gzip stream of about a thousandth of the `size` bytes of blanks that it holds; its checksum is wrong.

    After a full flush a block compresses to the same bytes whatever came before, so it is compressed once.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(b" " * BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return header + block * -(-size // BLOCK) + b"\x03\x00" + bytes(8)
