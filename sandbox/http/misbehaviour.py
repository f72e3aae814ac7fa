"""What centralised venues get wrong, at random in an order fixed by the seed: answers and messages that are spoiled.

`sandbox.http.faults` is what happens on the way; this is what a venue itself sends. Switched on by a rate, off by
zero, also while the server runs. Whole answers: a redirect to another host, a gzip bomb, a body without an end,
nesting without end, bytes that are no UTF-8, an error with HTTP 200, nothing. Values: one row or value of an
otherwise sound answer.
"""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from aiohttp import web

Way = tuple[str | int, ...]
ELSEWHERE: Final = "/elsewhere"
"""Where redirects lead; nobody should ever be seen there."""
BOMB: Final = gzip.compress(bytes(50 * 2**20), 9)
DEEP: Final = b"[" * 100_000
NO_UTF8: Final = b'{"e": "\xff\xfe", "topic": "\xc3"}'
ERROR: Final = b'{"code": -1000, "retCode": 10016, "msg": "synthetic error", "retMsg": "synthetic error"}'
PAST_MS, FUTURE_MS = 0, 9_999_999_999_999
WHOLE: Final = ("redirect", "bomb", "endless", "deep", "utf8", "error", "empty")
VALUES: Final = ("no row", "null", "text", "huge", "digits", "negative", "past", "future", "inverted")
ON_SOCKETS: Final = ("utf8", "deep", "page", "error", "digits", "null", "past", "future", "redirect")
DRIP_S: Final = 0.05


@dataclass
class Misbehaviour:
    """`rate` is the share of answers, `socket_rate` of pushed messages and handshakes, that are spoiled in one of
    `kinds`; `met` counts them."""

    rate: float = 0.0
    socket_rate: float = 0.0
    kinds: tuple[str, ...] = (*WHOLE, *VALUES)
    socket_kinds: tuple[str, ...] = ON_SOCKETS
    seed: int = 0
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def _drawn(self, rate: float, kinds: tuple[str, ...], where: str) -> str | None:
        if not kinds or self._rng.random() >= rate:
            return None
        kind = kinds[int(self._rng.integers(len(kinds)))]
        self.met[f"{kind} {where}"] += 1
        return kind

    async def answer(self, request: web.BaseRequest, body: bytes, server: str) -> web.StreamResponse | None:
        """A spoiled answer in place of `body`, as sent by `server`; null where this one is sound."""
        kind = self._drawn(self.rate, self.kinds, "in an answer")
        if kind is None:
            return None
        if kind == "redirect":
            return moved(request, server)
        if kind == "endless":
            return await _endless(request, server)
        headers = {"Content-Type": "application/json", "Server": server} | (
            {"Content-Encoding": "gzip"} if kind == "bomb" else {}
        )
        return web.Response(body=self.spoiled(kind, body), headers=headers)

    def spoiled(self, kind: str, body: bytes) -> bytes:
        """The body of a whole answer, or `body` with one value of it spoiled."""
        whole = {"bomb": BOMB, "deep": DEEP, "utf8": NO_UTF8, "error": ERROR, "empty": b"{}"}
        if kind in whole:
            return whole[kind]
        try:
            answer = json.loads(body)
        except ValueError:
            return body
        ways = [way for way, value in leaves(answer) if way and FITS[kind](value)]
        if not ways:
            return body
        way = ways[int(self._rng.integers(len(ways)))]
        return json.dumps(changed(answer, way, MADE[kind])).encode()

    def meets_a_redirect(self) -> bool:
        """Whether a handshake is redirected."""
        can = tuple(kind for kind in self.socket_kinds if kind == "redirect")
        return self._drawn(self.socket_rate, can, "of a handshake") is not None

    def pushed(self, message: str) -> str | bytes | None:
        """What a venue sends beside `message`; null where it sends nothing wrong."""
        kinds = tuple(kind for kind in self.socket_kinds if kind != "redirect")
        kind = self._drawn(self.socket_rate, kinds, "on a socket")
        if kind is None:
            return None
        if kind == "utf8":
            return NO_UTF8
        whole = {"deep": DEEP.decode(), "page": "<html>busy</html>", "error": REFUSED}
        return whole[kind] if kind in whole else self.spoiled(kind, message.encode()).decode()


REFUSED: Final = '{"event": "error", "success": false, "msg": "synthetic", "ret_msg": "synthetic"}'


def moved(request: web.BaseRequest, server: str) -> web.Response:
    """To another host, which is this machine under another name."""
    port = (request.host or "").partition(":")[2]
    return web.Response(
        status=302, headers={"Location": f"http://localhost:{port}{ELSEWHERE}", "Server": server}
    )


async def _endless(request: web.BaseRequest, server: str) -> web.StreamResponse:
    """Drips until the other side goes away."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Server": server})
    with suppress(ConnectionError):
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(DRIP_S)
    return response


def leaves(answer: Any, way: Way = ()) -> Iterator[tuple[Way, Any]]:
    """Every part of an answer with the way to it."""
    yield way, answer
    parts = (
        answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    )
    for key, value in parts:
        yield from leaves(value, (*way, key))


def changed(answer: Any, way: Way, make: Callable[[Any], Any]) -> Any:
    """`answer` with what is at the end of the way made into something else."""
    if not way:
        return make(answer)
    copy: Any = dict(answer) if isinstance(answer, dict) else list(answer)
    copy[way[0]] = changed(answer[way[0]], way[1:], make)
    return copy


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_time(value: Any) -> bool:
    return _is_number(value) and 1e12 < float(value) < 3e12


def _is_amount(value: Any) -> bool:
    return _is_number(value) and not _is_time(value) and float(value) > 0


def _is_bar(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 5 and all(_is_number(part) for part in value[:5])


def _is_row(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "no row": _is_row,
    "null": _is_number,
    "text": _is_number,
    "huge": _is_amount,
    "digits": _is_number,
    "negative": _is_amount,
    "past": _is_time,
    "future": _is_time,
    "inverted": _is_bar,
}
MADE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "no row": lambda value: None,
    "null": lambda value: None,
    "text": lambda value: "n/a",
    "huge": lambda value: "1e308" if isinstance(value, str) else 1e308,
    "digits": lambda value: "9" * 400 if isinstance(value, str) else int("9" * 400),
    "negative": lambda value: f"-{value}" if isinstance(value, str) else -value,
    "past": lambda value: type(value)(PAST_MS),
    "future": lambda value: type(value)(FUTURE_MS),
    "inverted": lambda value: [*value[:2], value[3], value[2], *value[4:]],
}
