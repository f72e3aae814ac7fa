"""One venue through ccxt: every call has a deadline, is tried again where that may help, and fails in one line.

Tried again with growing, jittered waits: timeouts, broken connections, 429, 5xx, and answers that break off or are no
JSON. Never tried again: what the venue refuses by its own code.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import stamina
import stamina.instrumentation

from liqtruth.estimator.errors import BadAnswer, SourceUnreachable, UnknownMarket
from liqtruth.estimator.venues.bounds import shown
from liqtruth.estimator.venues.spec import CONTRACTS, Contract, Venue, base_names
from liqtruth.estimator.venues.transport import UNREADABLE, Malformed, TurnedAway, strict
from liqtruth.heatmap.words.notes import source_of
from liqtruth.heatmap.words.text import CLOCK_AHEAD, EARLIEST
from liqtruth.storage.net.answers import shown_url

T = TypeVar("T")

Rows = list[Any]
SMALLEST, LARGEST = 1e-9, 1e9
"""Contract sizes."""
TOO_MANY: Final = "too many requests (429)"

stamina.instrumentation.set_on_retry_hooks([])  # its default hook prints to stdout, where results go


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
        settings = {"enableRateLimit": base_url is None, "timeout": int(1000 * self.patience.timeout_s)}
        self.api = strict(str(venue.ccxt_id))({**settings, "options": dict(venue.options)})
        self.api.has["fetchCurrencies"] = False  # not needed, and behind a key at some venues
        if venue.markets_method is not None:
            self.api.fetch_markets = getattr(self.api, venue.markets_method)
        self.shown_url = shown_url(base_url or self._official_url())
        if self.shown_url.startswith("http://"):
            self.api.timeout_on_exit = 0  # ccxt waits for TLS to say goodbye
        if base_url is not None:
            self.api.urls["api"] = redirected(self.api.urls["api"], base_url.rstrip("/"))

    def _official_url(self) -> str:
        """An address of the venue's API, for people."""
        urls = self.api.urls["api"]
        while isinstance(urls, dict):
            urls = next(
                (url for name, url in urls.items() if "utures" in name or name == "fapiPublic"), None
            ) or (next(iter(urls.values())))
        parts = urlsplit(str(urls).replace("{hostname}", str(self.api.hostname)))
        return f"{parts.scheme}://{parts.netloc}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.close()

    @property
    def source(self) -> str:
        """Where rows come from; the sandbox states in its headers that it is synthetic."""
        headers = self.api.last_response_headers or {}
        server = " ".join(str(value) for name, value in headers.items() if name.lower() == "server").lower()
        return source_of(self.shown_url, server)

    async def now_ms(self) -> int:
        """The venue's own clock, ours where it reports none. ccxt then goes by it too: it decides by the time which of
        two endpoints has a page."""
        if not self.api.has["fetchTime"]:
            return int(self.api.milliseconds())
        now_ms = await self.ask("the time", lambda: self.api.fetch_time(), _clock)
        ahead_ms = now_ms - time.time_ns() // 1_000_000
        self.api.milliseconds = lambda: time.time_ns() // 1_000_000 + ahead_ms
        self.api.seconds = lambda: self.api.milliseconds() // 1000
        return now_ms

    async def market(self, coin: str) -> dict[str, Any]:
        """ccxt's market of the perpetual of `coin`; raises `UnknownMarket` with names that are near."""
        return (await self._listed(coin))[0]

    async def list_again(self) -> None:
        """Read the venue's list of markets anew; where that fails the one that was read before stays."""
        await self.ask("the list of markets", lambda: self.api.load_markets(True), _mapping)

    async def contract(self, coin: str) -> Contract:
        """What the numbers of that perpetual mean; raises as `market` does."""
        market, coins_per_base = await self._listed(coin)
        return Contract(
            coin, market["symbol"], market["id"], self._size(market), bool(market["inverse"]), coins_per_base
        )

    def _size(self, market: dict[str, Any]) -> float:
        """Of one contract; a size that is not reported is only passed over where the venue counts in coins or money."""
        size = market["contractSize"]
        counted = any(CONTRACTS in (feed.unit, feed.inverse_unit) for feed in self.venue.feeds.values())
        if size is None and not counted:
            return 1.0
        if isinstance(size, bool) or not isinstance(size, int | float) or not SMALLEST <= size <= LARGEST:
            raise BadAnswer(
                f"{self.venue.name} ({self.shown_url}) gives {shown(size)} as the contract size of {market['id']}"
            )
        return float(size)

    async def _listed(self, coin: str) -> tuple[dict[str, Any], float]:
        """The linear perpetual in the first of the venue's quotes that has one, else the inverse one in USD."""
        markets = await self.ask("the list of markets", lambda: self.api.load_markets(), _mapping)
        listed = {
            (market["base"], market["quote"], bool(market["inverse"])): market
            for market in markets.values()
            if market["swap"] and market["active"] is not False
        }
        reads_inverse = any(feed.inverse_unit is not None for feed in self.venue.feeds.values())
        kinds = [(quote, False) for quote in self.venue.quotes] + [("USD", True)] * reads_inverse
        for base, coins_per_base in base_names(coin):
            for quote, inverse in kinds:
                if (base, quote, inverse) in listed:
                    return dict(listed[base, quote, inverse]), coins_per_base
        raise self._unknown(coin, sorted({base for base, _, _ in listed}))

    def _unknown(self, coin: str, bases: list[str]) -> BadAnswer | UnknownMarket:
        import difflib

        if self.api.unread_markets:
            return BadAnswer(
                f"{self.venue.name} ({self.shown_url}) gave no perpetual of {coin}, but "
                f"{self.api.unread_markets} markets that cannot be read"
            )

        near = ", ".join(difflib.get_close_matches(coin.upper(), bases, n=3)) or ", ".join(bases[:8])
        wanted = f"{coin}{self.venue.quotes[0]}"
        return UnknownMarket(f"{self.venue.name} has no perpetual {wanted}; it has e.g. {near}")

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
            raise self._unreachable(what, error) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _unreachable(self, what: str, error: Exception) -> SourceUnreachable:
        place = f"{self.venue.name} ({self.shown_url}) did not give {what}"
        if worth_another_try(error):
            cause = f"{place} in {self.patience.attempts} attempts: {in_a_few_words(error)}"
            return SourceUnreachable(f"{cause}; is the host right, and does it answer?")
        return BadAnswer(f"{place}: {in_a_few_words(error)}")


def redirected(urls: Any, base_url: str) -> Any:
    """ccxt's addresses, nested as they are, with another scheme and host before the same paths."""
    if isinstance(urls, dict):
        return {name: redirected(url, base_url) for name, url in urls.items()}
    path = str(urls).partition("://")[2].partition("/")[2]
    return f"{base_url}/{path}" if path else base_url


def worth_another_try(error: Exception) -> bool:
    """Faults of the way there, not of what was asked."""
    import aiohttp
    import ccxt

    if isinstance(error, ccxt.ExchangeNotAvailable) and " 404 " in str(error):
        return False
    if isinstance(error, (Malformed, TimeoutError, ccxt.NetworkError, *UNREADABLE)):
        return True
    return isinstance(error, ccxt.ExchangeError) and isinstance(error.__cause__, aiohttp.ClientError)


def in_a_few_words(error: Exception) -> str:
    """The cause on one line, without the address that ccxt puts into its messages."""
    import ccxt

    known: tuple[tuple[type[Exception], str], ...] = (
        (Malformed, f"the answer is not what it should be ({error})"),
        (TurnedAway, str(error)),
        (ccxt.DDoSProtection, TOO_MANY),
        (ccxt.RateLimitExceeded, TOO_MANY),
        (ccxt.RequestTimeout, "no whole answer in time"),
        (TimeoutError, "no whole answer in time"),
    )
    for kind, words in known:
        if isinstance(error, kind):
            return words
    if isinstance(error, UNREADABLE):
        return f"the answer is not what it should be ({type(error).__name__}: {shown(str(error))})"
    if worth_another_try(error) or isinstance(error, ccxt.ExchangeNotAvailable):
        status = re.search(r" ([45]\d\d) ", str(error)) if error.__cause__ is None else None
        if status and status[1] == "429":
            return TOO_MANY
        return f"HTTP {status[1]}" if status else "cannot connect, or the connection broke off"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _clock(answer: Any) -> int:
    """Milliseconds of a venue's clock; raises `Malformed` for a time that cannot be right."""
    if not isinstance(answer, int) or isinstance(answer, bool):
        raise Malformed("no number")
    latest_s = time.time() + CLOCK_AHEAD.total_seconds()
    if not EARLIEST.timestamp() <= answer / 1000 <= latest_s:
        raise Malformed(f"its clock shows {shown(answer)} ms")
    return answer


def _mapping(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not answer:
        raise Malformed("no markets")
    return answer


def _rows(answer: Any) -> Rows:
    if not isinstance(answer, list):
        raise Malformed("no list")
    return answer
