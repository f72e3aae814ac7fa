"""One weight budget for every call to the exchange, so that a 429 is a bug of ours.

The exchange counts weight per address and rolling minute: 1200 at most, 2 for an account or its spot state, 20 for
nearly everything else. A leaky bucket lets through its capacity at once and its rate after that, so a minute can see
both: capacity and rate are chosen to be the budget together. An answer of 429 holds back every caller, not only the
one that got it. Source: Hyperliquid docs, "Rate limits and user limits".
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiolimiter import AsyncLimiter

EXCHANGE_WEIGHT_PER_MINUTE: Final = 1200
WINDOW_S: Final = 60.0
BURST_SHARE: Final = 1 / 40

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
    """Weight that may still be spent; shared by all clients of one address.

    In any `window_s` at most `weight_per_minute` is let through (None or 0: no limit). A weight above a fortieth of
    the budget is paid in slices before its request goes out.
    """

    def __init__(self, weight_per_minute: float | None, window_s: float = WINDOW_S) -> None:
        self.weight_per_minute = weight_per_minute or None
        self.spent = 0
        self.requests = 0
        self.refused = 0
        self._held_until = 0.0
        self._bucket: AsyncLimiter | None = None
        if self.weight_per_minute is not None:
            capacity = self.weight_per_minute * BURST_SHARE
            rate_per_s = (self.weight_per_minute - capacity) / window_s
            self._bucket = AsyncLimiter(capacity, capacity / rate_per_s)

    @asynccontextmanager
    async def spend(self, weight: int) -> AsyncIterator[None]:
        """Wait until `weight` may be spent, and count it."""
        await self._pay(weight)
        await self._wait_while_held()
        self.requests += 1
        yield

    async def charge(self, weight: int) -> None:
        """Count weight that only the answer told of; the next request waits for it."""
        await self._pay(weight)

    def hold(self, seconds: float) -> None:
        """The exchange said 429: nobody asks again for so long."""
        self.refused += 1
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    async def _pay(self, weight: int) -> None:
        self.spent += weight
        if self._bucket is None:
            return
        left = float(weight)
        while left > 0:
            slice_ = min(left, self._bucket.max_rate)
            await self._bucket.acquire(slice_)
            left -= slice_

    async def _wait_while_held(self) -> None:
        held_s = self._held_until - asyncio.get_running_loop().time()
        if held_s > 0:
            await asyncio.sleep(held_s)
            await self._wait_while_held()
