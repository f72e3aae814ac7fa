"""Answers over HTTP: the address as it may be shown, and the body within a stated size.

A provider's path or user part may hold a key, so neither is shown. Bodies are read piece by piece, whatever they unpack
to.
"""

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx

from liqtruth.heatmap.errors import BadInput, SourceUnreachable, one_line

LAST_PORT: Final = 65_535
LARGEST_ANSWER: Final = 64 * 2**20
"""Bytes of an answer once unpacked; the largest that is known, all markets of an exchange, has about two million."""
PIECE: Final = 2**20
ACCEPTED: Final = {"Accept-Encoding": "gzip"}
"""Headers of every request: what unpacks to a bounded size at a time."""
GZIP: Final = 16 + zlib.MAX_WBITS


def shown_url(base_url: str) -> str:
    """Scheme, host and port; raises `BadInput` for what is no http(s) address."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError, TypeError):  # they show the value, which may hold a key
        raise BadInput("the address cannot be read; write e.g. http://127.0.0.1:3001") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput("the address must begin with http:// or https:// and name a host")
    if url.port is not None and not 0 < url.port <= LAST_PORT:
        raise BadInput(f"the address names port {one_line(str(url.port), 12)}; ports are 1 to {LAST_PORT}")
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}" + ("" if url.path in ("", "/") else "/…")


def socket_url(base_url: str, path: str) -> str:
    """The websocket at the same host."""
    return "ws" + base_url.rstrip("/").removeprefix("http") + path


class AnswerRefused(SourceUnreachable):
    """An answer too long, or packed in a way that was not asked for: the next one would be no better."""

    retryable = False


async def whole_body(response: httpx.Response, shown: str, most: int = LARGEST_ANSWER) -> bytes:
    """The unpacked body of a streamed response; memory stays near `most` whatever is sent.

    Raises as `read_whole`.
    """
    packing = response.headers.get("content-encoding", "")
    return await read_whole(response.aiter_raw(), packing, shown, most)


async def read_whole(
    raw_pieces: AsyncIterator[bytes], packing: str, shown: str, most: int = LARGEST_ANSWER
) -> bytes:
    """What the pieces of a body unpack to; `packing` is its `Content-Encoding`.

    Raises `AnswerRefused` naming `shown` for more than `most` bytes and for packings other than gzip, and
    `httpx.RemoteProtocolError` for a damaged one.
    """
    packing = packing.strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise AnswerRefused(f"{shown}: an answer packed as {packing[:20]!r}, which was not asked for")
    body = bytearray()
    gunzip = Gunzip() if packing.endswith("gzip") else None
    async for raw in raw_pieces:
        for piece in [raw] if gunzip is None else gunzip.pieces(raw):
            body += piece
            if len(body) > most:
                raise AnswerRefused(f"{shown}: an answer of more than {most:,} bytes")
    if gunzip is not None and not gunzip.is_whole:
        raise httpx.RemoteProtocolError("a gzip stream that breaks off")
    return bytes(body)


class Gunzip:
    """Unpacks a gzip stream in pieces of bounded size; raises `httpx.RemoteProtocolError` where it is damaged."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP)
        self._began = False

    @property
    def is_whole(self) -> bool:
        return self._stream.eof or not self._began

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """What `raw` unpacks to, at most `PIECE` bytes at a time."""
        while raw:
            piece, raw = self._next(raw)
            yield piece

    def _next(self, raw: bytes) -> tuple[bytes, bytes]:
        if self._stream.eof:
            self._stream = zlib.decompressobj(GZIP)
        self._began = True
        try:
            piece = self._stream.decompress(raw, PIECE)
        except zlib.error as error:
            raise httpx.RemoteProtocolError(f"a damaged gzip stream ({error})") from None
        return piece, self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
