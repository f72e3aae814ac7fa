"""Answers and messages that are not what they should be: each kind of spoiling turns good bytes into bad ones.

What a kind does not find in the bytes (a mark, a time, an account's positions) it leaves alone.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import msgspec

FAR_FUTURE_MS: Final = b"9999999999000"
LONG_AGO_MS: Final = b"86400000000"
DEEP: Final = 50_000
BLOCK: Final = 2**20

_TIME: Final = re.compile(rb"(?<![\d.])1[5-9]\d{11}(?![\d.])")
_DECIMAL: Final = re.compile(rb'"-?\d+\.\d+"')
_MARK: Final = re.compile(rb'"(markPx|mark_px|markPrice)":"[^"]*"')
_ENTRY: Final = re.compile(rb'"position":\{')
_CLOSED: Final = (
    b'{"type":"oneWay","position":{"coin":"SANDBOX-CLOSED","szi":"-0.0","leverage":{"type":"cross","value":20},'
    b'"entryPx":null,"positionValue":"0.0","unrealizedPnl":"0.0","returnOnEquity":"0.0","liquidationPx":null,'
    b'"marginUsed":"0.0","maxLeverage":20}},'
)


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

ODD_RETRY_AFTER: Final = ("²", "1e30", "-5", "nan", "Wed, 21 Oct 2026 07:28:00 GMT", "", "9" * 400)


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
