"""Accounts to read, the largest by what is known at that moment: sizes come by HyperEVM while the info endpoint reads,
each on a budget of its own."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

import polars as pl


class LargestFirst:
    """Gives each address once, to any number of readers. While accounts are being sized those come that were found to
    hold something, the largest first, and readers wait where there is none; after that the rest in its order."""

    def __init__(self, addresses: Sequence[str], sizing: bool = False) -> None:
        self._left = dict.fromkeys(addresses)
        self._usd: dict[str, float] = {}
        self._largest: list[tuple[float, str]] = []
        self._sizing = sizing
        self._changed = asyncio.Event()
        self._when_settled: Callable[[list[str]], None] = lambda left: None
        self.given = 0

    def __len__(self) -> int:
        return len(self._left)

    @property
    def left(self) -> list[str]:
        """Those that nobody has taken yet."""
        return list(self._left)

    def note(self, dex: str, sizes: pl.DataFrame) -> None:
        """What accounts hold in one more dex (`indexer.evm.sizing.SIZES`)."""
        held = sizes.filter(pl.col("notional_usd") > 0).select("address", "notional_usd")
        for address, notional_usd in held.iter_rows():
            if address in self._left:
                self._usd[address] = self._usd.get(address, 0.0) + notional_usd
                heappush(self._largest, (-self._usd[address], address))
        self._changed.set()

    def when_settled(self, told: Callable[[list[str]], None]) -> None:
        """Tell who is left, in their order, once no more sizes come: at once where none do."""
        self._when_settled = told
        if not self._sizing:
            told(self.left)

    def settle(self, order: Iterable[str]) -> None:
        """No more sizes come: those who are left go in this order."""
        self._left = {address: None for address in order if address in self._left}
        self._largest.clear()
        if self._sizing:
            self._sizing = False
            self._when_settled(self.left)
        self._changed.set()

    def __aiter__(self) -> "LargestFirst":
        return self

    async def __anext__(self) -> str:
        while self._left:
            address = self._next()
            if address is not None:
                del self._left[address]
                self.given += 1
                return address
            self._changed.clear()
            await self._changed.wait()
        self._changed.set()  # whoever waits has nothing to wait for
        raise StopAsyncIteration

    def _next(self) -> str | None:
        """The largest that is known; null where sizes have to come first."""
        while self._largest:
            usd, address = heappop(self._largest)
            if address in self._left and -usd == self._usd[address]:
                return address
        return None if self._sizing else next(iter(self._left))
