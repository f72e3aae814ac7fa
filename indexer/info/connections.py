"""Connections to one address that answers POST requests, by aiohttp: a fifth of what httpx takes of a core for each.

What goes wrong with an attempt is a `TransientError` in a few words, without the address. A proxy is taken from the
environment, certificates are httpx' own.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

from liqtruth.indexer.info.budget import TransientError, late
from liqtruth.storage.net.answers import ACCEPTED, LARGEST_ANSWER, read_whole

HEADERS = {"Content-Type": "application/json", **ACCEPTED}
IDLE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """Status, headers (their names in any case) and the unpacked body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Connections:
    """At most `most` connections to `url`, kept open for the next request; make it in a running loop, and close it.

    `shown` is the address as errors may name it; `headers` go beside the usual ones.
    """

    def __init__(
        self,
        url: str,
        shown: str,
        timeout_s: float,
        most: int,
        headers: Mapping[str, str] | None = None,
        largest_answer: int = LARGEST_ANSWER,
    ) -> None:
        self._url = url
        self._shown = shown
        self._timeout_s = timeout_s
        self._largest_answer = largest_answer
        self._proxy = _proxy_of(url)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=most, keepalive_timeout=IDLE_S, ssl=_verification(urlsplit(url).scheme)
            ),
            headers={**HEADERS, **(headers or {})},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
        )

    async def post(self, body: bytes) -> Answer:
        """One answer, whole within the deadline; raises `AnswerRefused` for one that is too long."""
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(
                    self._url, data=body, allow_redirects=False, proxy=self._proxy
                ) as response,
            ):
                packing = response.headers.get("content-encoding", "")
                content = await read_whole(
                    response.content.iter_any(), packing, self._shown, self._largest_answer
                )
                return Answer(response.status, response.headers, content)
        except TimeoutError as error:
            raise late(self._timeout_s) from error
        except (aiohttp.ClientError, httpx.RemoteProtocolError, OSError) as error:
            connecting = isinstance(error, aiohttp.ClientConnectorError)
            raise TransientError("cannot connect" if connecting else "the connection broke off") from error

    async def close(self) -> None:
        await self._session.close()


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for the address."""
    named, address = getproxies(), urlsplit(url)
    proxy = named.get(address.scheme) or named.get("all")
    return None if proxy is None or proxy_bypass(address.hostname or "") else proxy


@cache
def _verification(scheme: str) -> ssl.SSLContext | bool:
    """Certificates are loaded once, and only where they are needed: it takes 30 ms."""
    return httpx.create_ssl_context() if scheme == "https" else True
