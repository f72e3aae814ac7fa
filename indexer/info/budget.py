"""How the exchange may be asked: within one weight budget, and again where a fault is worth another attempt.

The exchange counts weight per address and rolling minute: 1200 at most, 2 for an account or its spot state, 20 for
nearly everything else. All processes of one data directory that ask one host keep one pace (`storage.net.pace`):
together they spend at most the largest of their budgets, each at most its own. An answer of 429 stops everybody for a
while, not only the one that got it, and is a bug of ours. Source: Hyperliquid docs, "Rate limits and user limits".
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Self, TypeVar

import httpx
import msgspec
import stamina
import stamina.instrumentation

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.net.pace import SOON_S, Pace, Place

T = TypeVar("T")
USUAL_WEIGHT_PER_MINUTE: Final = 960
WINDOW_S: Final = 60.0
FOLDER: Final = "pace"
MOST_TRIES: Final = 50
"""For a line that others have: who gives a place back in vain leaves it to be given back by itself."""

DEFAULT_WEIGHT: Final = 20
WEIGHTS: Final[Mapping[str, int]] = {
    "l2Book": 2,
    "allMids": 2,
    "clearinghouseState": 2,
    "orderStatus": 2,
    "spotClearinghouseState": 2,
    "exchangeStatus": 2,
    "userRole": 60,
}
ITEMS_PER_WEIGHT: Final[Mapping[str, int]] = {
    "recentTrades": 20,
    "historicalOrders": 20,
    "userFills": 20,
    "userFillsByTime": 20,
    "fundingHistory": 20,
    "userFunding": 20,
    "userNonFundingLedgerUpdates": 20,
    "twapHistory": 20,
    "userTwapSliceFills": 20,
    "userTwapSliceFillsByTime": 20,
    "candleSnapshot": 60,
}
"""Answers that cost one more weight for every so many items in them."""
ASSUMED_PER_ITEM: Final[Mapping[str, int]] = {"batchClearinghouseStates": 2}
"""Requests of which nobody documents the weight: as of so many single ones, and no less than any other."""
TOO_MANY: Final = 429
LONGEST_WAIT_S: Final = 30.0

stamina.instrumentation.set_on_retry_hooks([])  # its default hook prints to stdout, where results go


def check_status(status: int, what: str, stated: str = "") -> None:
    """Raise for an answer that is none: `TransientError` where another try may be answered, else `RequestRefused` with
    `what` was asked and what was `stated`. 429 is each door's own."""
    if status >= 500 or status == 408:
        raise TransientError(f"HTTP {status}")
    if status != 200:
        raise RequestRefused(f"{what} was refused with HTTP {status}{stated}")


def weight_of(request_type: str, items: int = 0) -> int:
    """Weight of an info request whose answer holds `items`; undocumented requests count as 20."""
    if request_type in ASSUMED_PER_ITEM:
        return max(DEFAULT_WEIGHT, ASSUMED_PER_ITEM[request_type] * items)
    per_weight = ITEMS_PER_WEIGHT.get(request_type)
    extra = 0 if per_weight is None else -(-items // per_weight)
    return WEIGHTS.get(request_type, DEFAULT_WEIGHT) + extra


class Budget:
    """Weight that may still be spent; shared by all clients of one address in this process, and by others of `line`.

    In any `window_s` at most `weight_per_minute` arrives, however long requests take to arrive (None or 0: no limit,
    and nothing is shared). Weight that only an answer shows (`charge`) is counted when it is known. Moments are those
    of the running loop.
    """

    def __init__(
        self, weight_per_minute: float | None, window_s: float = WINDOW_S, line: Path | None = None
    ) -> None:
        self.weight_per_minute = weight_per_minute or None
        self.spent = 0
        self.requests = 0
        self.refused = 0
        self._window_s = window_s
        self._turn = asyncio.Lock()
        shared = [] if line is None or self.weight_per_minute is None else [Pace(line, _now_s)]
        self._paces = [Pace(clock=_now_s), *shared]

    @classmethod
    def shared(
        cls, weight_per_minute: float | None, base_url: str, data_dir: Path | None, door: str = ""
    ) -> Self:
        """The budget of everyone who asks the host of `base_url` on this data directory, through the same `door` where
        it has several.

        Where there is none that may be written to, it is this process's own.
        """
        name = "_".join(filter(None, [_name(base_url), door]))
        may_write = data_dir is not None and data_dir.is_dir() and os.access(data_dir, os.W_OK)
        return cls(weight_per_minute, WINDOW_S, data_dir / FOLDER / name if data_dir and may_write else None)

    @asynccontextmanager
    async def spend(self, weight: int) -> AsyncIterator[None]:
        """Wait until `weight` may be spent, and count it; the block ends with the answer. What raises may still be on
        its way, and keeps its place for longest."""
        places = await self._pay(weight)
        await self._wait_while_held()
        self.requests += 1
        yield
        await self._answered(places)

    async def charge(self, weight: int) -> None:
        """Count weight that only the answer shows; the next request waits for it."""
        await self._answered(await self._pay(weight))

    def hold(self, seconds: float) -> None:
        """The exchange answered 429: nobody asks again for so long."""
        self.refused += 1
        for pace in self._paces:
            pace.hold(seconds)

    async def _pay(self, weight: int) -> list[tuple[Pace, Place]]:
        """One caller at a time, first come, first served."""
        self.spent += weight
        limit = self.weight_per_minute
        if limit is None or weight <= 0:
            return []
        async with self._turn:
            return [(pace, await self._taken(pace, weight, limit)) for pace in self._paces]

    async def _taken(self, pace: Pace, weight: int, limit: float) -> Place:
        for _ in count():
            place = pace.take(weight, limit, self._window_s)
            if isinstance(place, Place):
                return place
            await asyncio.sleep(place)
        raise AssertionError

    async def _answered(self, places: list[tuple[Pace, Place]]) -> None:
        for pace, place in places:
            for _ in range(MOST_TRIES):
                if pace.answered(place, self._window_s):
                    break
                await asyncio.sleep(SOON_S)

    async def _wait_while_held(self) -> None:
        for _ in count():
            blocked_s = max(pace.blocked_s() for pace in self._paces)
            if blocked_s <= 0:
                return
            await asyncio.sleep(blocked_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _name(base_url: str) -> str:
    """A file for each host and port; raises `BadInput` for no address."""
    shown_url(base_url)
    url = httpx.URL(base_url)
    port = url.port or {"https": 443}.get(url.scheme, 80)
    return f"{re.sub(r'[^a-z0-9.-]', '_', url.host.lower())}_{port}"


class RequestRefused(SourceUnreachable):
    """The exchange answered 4xx: asking the same again would be answered the same."""

    retryable = False


class TransientError(Exception):
    """A fault of this attempt only; `wait_s` where the exchange or we know how long to wait."""

    def __init__(self, cause: str, wait_s: float | None = None) -> None:
        super().__init__(cause)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Patience:
    """How long a call is tried for: attempts, seconds in all, first wait, pause of all callers after a 429."""

    attempts: int = 5
    total_s: float = 60.0
    first_wait_s: float = 0.5
    pause_s: float = 4.0

    async def until_answered(self, send: Callable[[int], Awaitable[T]], asked: str, place: str) -> T:
        """What `send` gives, called with the number of each attempt after its wait.

        Raises `SourceUnreachable` naming `place` and what was `asked` where all attempts were in vain.
        """
        clock = asyncio.get_running_loop().time
        started_s, attempts = clock(), 1
        try:
            return await send(1)  # stamina, which takes as long as a request, is for what goes wrong
        except TransientError as error:
            first = error
        try:
            async for attempt in self._attempts_made(clock() - started_s):
                with attempt:
                    attempts = attempt.num
                    if attempts == 1:
                        raise first
                    return await send(attempts)
        except TransientError as error:
            waited_s = clock() - started_s
            raise SourceUnreachable(
                f"{place}: no answer to {asked}: {error} ({attempts} attempts in {waited_s:.0f} s)"
            ) from error.__cause__
        raise AssertionError("stamina ends by returning or raising")

    def _attempts_made(self, spent_s: float) -> AsyncIterator[stamina.Attempt]:
        """Each attempt, after its wait; `spent_s` of all the time have passed."""
        return stamina.retry_context(
            on=_wait_before_next,
            attempts=self.attempts,
            timeout=max(self.total_s - spent_s, SOON_S),
            wait_initial=self.first_wait_s,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=self.first_wait_s,
        ).__aiter__()


def _wait_before_next(error: Exception) -> bool | float:
    """What stamina asks: not again, again after its own growing wait, or after so many seconds."""
    if not isinstance(error, TransientError):
        return False
    return True if error.wait_s is None else error.wait_s


def late(timeout_s: float) -> TransientError:
    return TransientError(f"no whole answer within {timeout_s:g} s")


def check_whole(content: bytes) -> None:
    """Raise `TransientError` for what is no whole JSON document."""
    try:
        content.decode()
        msgspec.json.decode(content, type=msgspec.Raw)
    except NOT_DECODED as error:
        raise TransientError(_broken(content, error)) from None


def _broken(content: bytes, error: Exception) -> str:
    if content.lstrip()[:1] == b"<":
        return "a page of HTML instead of an answer"
    if not content.strip():
        return "an empty answer"
    if "truncated" in str(error):
        return f"an answer that breaks off after {len(content)} bytes"
    return f"an answer that is no JSON ({error})"


def too_many(budget: Budget) -> str:
    limit = budget.weight_per_minute
    asked = "without a limit" if limit is None else f"at {limit:g} weight a minute"
    return (
        f"HTTP 429, too many requests ({asked}); lower --weight-per-minute or stop what else asks from here"
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Whole seconds as the exchange sends them; anything else (a date, a sign, an exponent) is as good as nothing."""
    text = headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdigit() else None
