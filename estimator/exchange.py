"""One venue through ccxt: every call has a deadline, is tried again where that may help, and fails in one line.

Tried again with growing, jittered waits: timeouts, broken connections, 429, 5xx, and answers that break off or are no
JSON. Never tried again: what the venue refuses by its own code.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import stamina
import stamina.instrumentation

from estimator.errors import BadAnswer, SourceUnreachable, UnknownMarket
from estimator.venues import Venue
from heatmap.errors import BadInput

T = TypeVar("T")

Rows = list[Any]
SYNTHETIC: Final = "synthetic"

stamina.instrumentation.set_on_retry_hooks([])  # its default hook prints to stdout, where results go


class Malformed(Exception):
    """An answer of another shape than documented: a gateway's page, or one that broke off."""


@dataclass(frozen=True)
class Patience:
    """How long a call is tried for: seconds per attempt, attempts, seconds in all, first wait."""

    timeout_s: float = 10.0
    attempts: int = 5
    total_s: float = 60.0
    first_wait_s: float = 0.5


class Exchange:
    """A ccxt exchange of `venue`, at another address where `base_url` is given; use as an async context manager.

    Calls raise `SourceUnreachable` when all attempts failed, `BadAnswer` when the venue refused.
    """

    def __init__(self, venue: Venue, base_url: str | None = None, patience: Patience | None = None) -> None:
        self.venue = venue
        self.patience = patience or Patience()
        self.shown_url = shown_url(base_url or f"https://{venue.api_host}")
        self.api = _strict(str(venue.ccxt_id))(
            {"enableRateLimit": base_url is None, "timeout": int(1000 * self.patience.timeout_s)}
        )
        if base_url is not None:
            self._redirect(base_url.rstrip("/"))

    def _redirect(self, base_url: str) -> None:
        official = f"https://{self.venue.api_host}"
        urls = self.api.urls["api"]
        for name, url in urls.items():
            if isinstance(url, str) and url.startswith(official):
                urls[name] = base_url + url.removeprefix(official)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.close()

    @property
    def source(self) -> str:
        """Where rows come from; the sandbox says in its headers that it is synthetic."""
        headers = self.api.last_response_headers or {}
        said = " ".join(str(value) for name, value in headers.items() if name.lower() == "server").lower()
        return f"{SYNTHETIC}: {self.shown_url}" if SYNTHETIC in said else self.shown_url

    async def now_ms(self) -> int:
        """The venue's own clock."""
        return await self.ask("the time", lambda: self.api.fetch_time(), _whole_number)

    async def market(self, coin: str) -> dict[str, Any]:
        """The linear perpetual of `coin`; raises `UnknownMarket` with names that are near."""
        markets = await self.ask("the list of markets", lambda: self.api.load_markets(), _mapping)
        wanted = self.venue.symbol(coin)
        for market in markets.values():
            if market["id"] == wanted and market["swap"] and market["linear"]:
                return dict(market)
        import difflib

        bases = sorted({str(market["base"]) for market in markets.values() if market["swap"]})
        near = ", ".join(difflib.get_close_matches(coin.upper(), bases, n=3)) or ", ".join(bases[:8])
        raise UnknownMarket(f"{self.venue.name} has no perpetual {wanted}; it has e.g. {near}")

    async def rows(self, what: str, method: Callable[[], Awaitable[Any]]) -> Rows:
        """A call whose answer is a list."""
        return await self.ask(what, method, _rows)

    async def ask(self, what: str, method: Callable[[], Awaitable[Any]], read: Callable[[Any], T]) -> T:
        """`read` of the answer to `method`, after as many attempts as patience allows."""
        patience = self.patience
        try:
            async for attempt in stamina.retry_context(
                on=worth_another_try,
                attempts=patience.attempts,
                timeout=patience.total_s,
                wait_initial=patience.first_wait_s,
                wait_jitter=patience.first_wait_s,
            ):
                with attempt:
                    return read(await asyncio.wait_for(method(), 2 * patience.timeout_s))
        except Exception as error:
            raise self._told(what, error) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _told(self, what: str, error: Exception) -> SourceUnreachable:
        place = f"{self.venue.name} ({self.shown_url}) did not give {what}"
        if worth_another_try(error):
            cause = f"{place} in {self.patience.attempts} attempts: {in_a_few_words(error)}"
            return SourceUnreachable(f"{cause}; is the host right, and does it answer?")
        return BadAnswer(f"{place}: {in_a_few_words(error)}")


def _strict(ccxt_id: str) -> Any:
    """ccxt's class of that name, but a page that is no JSON is an error: ccxt would make an empty list of it."""
    import ccxt.async_support

    base: Any = getattr(ccxt.async_support, ccxt_id)

    class Strict(base):  # type: ignore[misc]
        def handle_errors(self, status: int, *more: Any) -> Any:
            answer = more[5]
            if status < 400 and answer is None:
                raise Malformed("no JSON")
            return super().handle_errors(status, *more)

    return Strict


def worth_another_try(error: Exception) -> bool:
    """Faults of the way there, not of what was asked."""
    import aiohttp
    import ccxt

    if isinstance(error, Malformed | TimeoutError | ccxt.NetworkError):
        return True
    return isinstance(error, ccxt.ExchangeError) and isinstance(error.__cause__, aiohttp.ClientError)


def in_a_few_words(error: Exception) -> str:
    """The cause on one line, without the address that ccxt puts into its messages."""
    import ccxt

    known: tuple[tuple[type[Exception], str], ...] = (
        (Malformed, f"the answer is not what it should be ({error})"),
        (ccxt.DDoSProtection, "too many requests (429)"),
        (ccxt.RateLimitExceeded, "too many requests (429)"),
        (ccxt.RequestTimeout, "no whole answer in time"),
        (TimeoutError, "no whole answer in time"),
    )
    for kind, words in known:
        if isinstance(error, kind):
            return words
    if worth_another_try(error):
        status = re.search(r" ([45]\d\d) ", str(error)) if error.__cause__ is None else None
        return f"HTTP {status[1]}" if status else "cannot connect, or the connection broke off"
    return " ".join(str(error).split())[:200] or type(error).__name__


def shown_url(url: str) -> str:
    """Scheme, host and port, for a path or user part may hold a key; raises `BadInput` for what is no address."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadInput(f"the base URL cannot be read ({error}); write e.g. http://127.0.0.1:8351") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("the base URL must begin with http:// or https:// and name a host")
    return f"{parts.scheme}://{parts.hostname}{port}"


def _whole_number(answer: Any) -> int:
    if not isinstance(answer, int):
        raise Malformed("no number")
    return answer


def _mapping(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not answer:
        raise Malformed("no markets")
    return answer


def _rows(answer: Any) -> Rows:
    if not isinstance(answer, list):
        raise Malformed("no list")
    return answer
