"""States read ahead, many accounts a request, for readers that ask for one account at a time.

A reader says in which order it will ask; the first of a batch that is asked for brings the others. Whoever is absent
from an answer, or cannot be read in it, is asked for singly. Before anything of a door is used, a few of its first
accounts in each dex are read singly as well: where most of them differ the door is given up with one line, and so is
one that refuses even small batches, or does not answer twice in a row.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, Protocol

from liqtruth.heatmap.errors import LiqtruthError, one_line
from liqtruth.indexer.info.batch_doors import (
    WORTH_ASKING,
    BatchDoor,
    BatchEndpoint,
    BatchUse,
    KeyRefused,
    ProviderDoor,
    public_door,
)
from liqtruth.indexer.info.batch_forms import PUBLIC
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import ClearinghouseState, SpotClearinghouseState
from liqtruth.storage.store import Store

Pair = tuple[str, str]
"""Address and dex."""
States = dict[str, ClearinghouseState]
CHECKED: Final = 4
"""Accounts with positions that are read through both doors, in each dex."""
FEWEST: Final = 10
"""A door that refuses so few accounts refuses any."""
MOST_FAILURES: Final = 2
APART: Final = 0.1
"""Both are asked seconds apart, in which marks move; another account's is another amount altogether."""
LEAST_USD: Final = 1.0


class AccountSource(Protocol):
    """Where an account is read."""

    async def clearinghouse_state(self, address: str, dex: str = "") -> ClearinghouseState: ...

    async def spot_state(self, address: str) -> SpotClearinghouseState: ...


class Ahead:
    """An `AccountSource` that reads states through `door` and everything else, or whoever is left, through `client`."""

    def __init__(
        self, client: InfoClient, door: BatchDoor, on_closed: Callable[[str], None] = lambda problem: None
    ) -> None:
        self.use = BatchUse(door.shown, door.form)
        self._client, self._door, self._on_closed = client, door, on_closed
        self._size = door.form.most
        self._waiting: dict[str, dict[str, None]] = {}
        self._coming: dict[Pair, asyncio.Task[States]] = {}
        self._to_check: dict[str, int] = {}
        self._failures = 0

    @property
    def beyond_weight(self) -> int:
        """Accounts of a request that costs nothing of the exchange's weight; none where there is no such door."""
        return 0 if self.is_closed or self.use.form is PUBLIC else self._size

    @property
    def is_closed(self) -> bool:
        """Whether the door was given up."""
        return bool(self.use.problem)

    def expect(self, pairs: Iterable[Pair]) -> None:
        """They will be asked for, in this order."""
        if not self.is_closed:
            for address, dex in pairs:
                self._waiting.setdefault(dex, {})[address] = None

    async def clearinghouse_state(self, address: str, dex: str = "") -> ClearinghouseState:
        """The account in that dex; raises what the client raises."""
        state = await self._of_batch(address, dex)
        return state or await self._client.clearinghouse_state(address, dex)

    async def spot_state(self, address: str) -> SpotClearinghouseState:
        return await self._client.spot_state(address)

    async def close(self) -> None:
        """End what is under way."""
        tasks = set(self._coming.values())
        self._coming, self._waiting = {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._door.close()

    async def _of_batch(self, address: str, dex: str) -> ClearinghouseState | None:
        """Null where no batch has it."""
        if (address, dex) not in self._coming and address in self._waiting.get(dex, {}):
            self._begin(address, dex)
        task = self._coming.pop((address, dex), None)
        if task is None:
            return None
        state = (await asyncio.shield(task)).pop(address.lower(), None)
        if state is None:
            self.use.singly += 1
        else:
            self.use.served += 1
        return state

    def _begin(self, address: str, dex: str) -> None:
        waiting = self._waiting[dex]
        del waiting[address]
        users = [address, *islice(waiting, self._size - 1)]
        for user in users[1:]:
            del waiting[user]
        task = asyncio.create_task(self._read(users, dex))
        self._coming |= dict.fromkeys(((user, dex) for user in users), task)

    async def _read(self, users: Sequence[str], dex: str) -> States:
        """The states of a batch that can be used; none where the door is given up."""
        raw = await self._asked(users, dex)
        found: States = {}
        for address, state in raw.items():
            try:
                found[address] = await self._client.read_state(state, address)
            except LiqtruthError:
                continue  # the single request may be answered better, and says what is wrong where it is not
        await self._check(found, dex)
        return {} if self.is_closed else found

    async def _asked(self, users: Sequence[str], dex: str) -> dict[str, bytes]:
        """Raw states; once a request is refused this one and the next ones are for half as many."""
        found: dict[str, bytes] = {}
        rest = list(users)
        while rest and not self.is_closed:
            part = rest[: self._size]
            self.use.requests += 1
            try:
                found |= await self._door.ask(part, dex)
            except LiqtruthError as error:
                if error.retryable:
                    self._fail(error)
                    break
                if len(part) <= FEWEST or isinstance(error, KeyRefused):
                    self._close(str(error))
                    break
                self._size = min(self._size, max(len(part) // 2, FEWEST))
            else:
                self._failures = 0
                rest = rest[len(part) :]
        return found

    def _fail(self, error: LiqtruthError) -> None:
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._close(str(error))

    def _close(self, problem: str) -> None:
        if not self.is_closed:
            self.use.problem = one_line(problem)
            self._on_closed(self.use.problem)
        self._waiting = {}

    async def _check(self, found: Mapping[str, ClearinghouseState], dex: str) -> None:
        """Compare some of the first with single answers; who holds nothing is compared in the first batch alone."""
        left, is_first = self._to_check.get(dex, CHECKED), dex not in self._to_check
        if not left or self.is_closed or not found:
            return
        holders = [address for address, state in found.items() if state.asset_positions][:left]
        others = [address for address in found if address not in holders] if is_first else []
        compared = [*holders, *others[: CHECKED - len(holders)]]
        self._to_check[dex] = left - len(holders)
        differing = []
        for address in compared:
            try:
                single = await self._client.clearinghouse_state(address, dex)
            except LiqtruthError:
                continue
            self.use.checked += 1
            if differs := difference(found[address], single):
                differing.append(f"{address}: {differs}")
        if 2 * len(differing) > len(compared):
            self._close(
                f"its states differ from clearinghouseState for {len(differing)} of {len(compared)} accounts "
                f"({differing[0]}), so accounts are read one by one"
            )


@asynccontextmanager
async def reading_ahead(
    store: Store,
    client: InfoClient,
    provider: BatchEndpoint | None,
    addresses: Sequence[str],
    dexes: int,
    on_closed: Callable[[str], None] = lambda problem: None,
) -> AsyncIterator[Ahead | None]:
    """Through `provider` where one is given, else the endpoint's own door where it answers and there is much to read;
    null where accounts are read one by one. `on_closed` gets why a door was given up."""
    door: BatchDoor | None = None
    if provider is not None:
        door = ProviderDoor(provider, store.settings.request_timeout_s, store.settings.data_dir)
    elif len(addresses) * dexes >= WORTH_ASKING:
        door = await public_door(store, client, addresses)
    if door is None:
        yield None
        return
    ahead = Ahead(client, door, on_closed)
    try:
        yield ahead
    finally:
        await ahead.close()


def difference(one: ClearinghouseState, other: ClearinghouseState) -> str:
    """What differs between two states of one account read at about the same time; empty where they agree."""
    ours, theirs = (
        {entry.position.coin: entry.position.szi for entry in state.asset_positions} for state in (one, other)
    )
    for coin in sorted(ours.keys() | theirs.keys()):
        if ours.get(coin) != theirs.get(coin):
            return f"{coin} {ours.get(coin, 0.0):g} against {theirs.get(coin, 0.0):g}"
    for name in ("total_raw_usd", "account_value"):
        left, right = (float(getattr(state.margin_summary, name)) for state in (one, other))
        if abs(left - right) > max(APART * max(abs(left), abs(right)), LEAST_USD):
            return f"{name} {left:,.2f} against {right:,.2f}"
    return ""
