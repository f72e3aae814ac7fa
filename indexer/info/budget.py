"""One weight budget for every call to the exchange, so that a 429 is a bug of ours.

The exchange counts weight per address and rolling minute: 1200 at most, 2 for an account or its spot state, 20 for
nearly everything else. All processes of one data directory that ask one host keep one pace (`storage.net.pace`):
together they spend at most the largest of their budgets, each at most its own. An answer of 429 holds back everybody,
not only the one that got it. Source: Hyperliquid docs, "Rate limits and user limits".
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final, Self

import httpx

from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.net.pace import LATE_SHARE, Pace

USUAL_WEIGHT_PER_MINUTE: Final = 960
WINDOW_S: Final = 60.0
FOLDER: Final = "pace"
SOON_S: Final = 0.002
LATE_TRIES: Final = 3

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


def weight_of(request_type: str, items: int = 0) -> int:
    """Weight of an info request whose answer holds `items`; undocumented requests count as 20."""
    per_weight = ITEMS_PER_WEIGHT.get(request_type)
    extra = 0 if per_weight is None else -(-items // per_weight)
    return WEIGHTS.get(request_type, DEFAULT_WEIGHT) + extra


class Budget:
    """Weight that may still be spent; shared by all clients of one address in this process, and by others of `line`.

    In any `window_s` at most `weight_per_minute` is let through, and one request that is heavier than a fortieth of it
    (None or 0: no limit, and nothing is shared).
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
        shared = [] if line is None or self.weight_per_minute is None else [Pace(line)]
        self._paces = [Pace(), *shared]

    @classmethod
    def shared(cls, weight_per_minute: float | None, base_url: str, data_dir: Path | None) -> Self:
        """The budget of everyone who asks the host of `base_url` on this data directory.

        Where there is none that may be written to, it is this process's own.
        """
        name = _name(base_url)
        may_write = data_dir is not None and data_dir.is_dir() and os.access(data_dir, os.W_OK)
        return cls(weight_per_minute, WINDOW_S, data_dir / FOLDER / name if data_dir and may_write else None)

    @asynccontextmanager
    async def spend(self, weight: int) -> AsyncIterator[None]:
        """Wait until `weight` may be spent, and count it."""
        await self._pay(weight)
        await self._wait_while_held()
        self.requests += 1
        yield

    async def charge(self, weight: int) -> None:
        """Count weight that only the answer shows; the next request waits for it."""
        await self._pay(weight)

    def hold(self, seconds: float) -> None:
        """The exchange answered 429: nobody asks again for so long."""
        self.refused += 1
        for pace in self._paces:
            pace.hold(seconds)

    async def _pay(self, weight: int) -> None:
        """One caller at a time, so that a process has one place reserved at most."""
        self.spent += weight
        limit = self.weight_per_minute
        if limit is None or weight <= 0:
            return
        async with self._turn:
            for pace in self._paces:
                await self._pass(pace, weight, limit)

    async def _pass(self, pace: Pace, weight: int, limit: float) -> None:
        """Wait for a place on the line and use it; one that was slept through is left for another one."""
        for _ in range(LATE_TRIES):
            moment_s = await self._reserved(pace, weight, limit)
            if (wait_s := moment_s - pace.clock()) > 0:
                await asyncio.sleep(wait_s)
            if pace.clock() - moment_s <= LATE_SHARE * self._window_s:
                return

    async def _reserved(self, pace: Pace, weight: int, limit: float) -> float:
        for _ in count():
            moment_s = pace.reserve(weight, limit, self._window_s)
            if moment_s is not None:
                return moment_s
            await asyncio.sleep(SOON_S)  # another process has the line, for microseconds
        raise AssertionError

    async def _wait_while_held(self) -> None:
        for _ in count():
            blocked_s = max(pace.blocked_s() for pace in self._paces)
            if blocked_s <= 0:
                return
            await asyncio.sleep(blocked_s)


def _name(base_url: str) -> str:
    """A file for each host and port; raises `BadInput` for no address."""
    shown_url(base_url)
    url = httpx.URL(base_url)
    port = url.port or {"https": 443}.get(url.scheme, 80)
    return f"{re.sub(r'[^a-z0-9.-]', '_', url.host.lower())}_{port}"
