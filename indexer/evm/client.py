"""HyperEVM's JSON-RPC: each call has a deadline, takes its place in a budget of its own, and is tried again where that
may help.

The public node takes 100 requests a minute and IP, whatever they ask; the info endpoint's weight is another budget.
`eth_call` answers for the latest block alone. Tried again: 429, 5xx, timeouts, broken connections, answers that break
off. A call that the node refuses (out of gas, too large, reverted) is `CallRefused`: a smaller one may go through.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
import numpy as np

from liqtruth.heatmap.errors import BadInput, SourceUnreachable, one_line
from liqtruth.heatmap.words.notes import source_of
from liqtruth.indexer.evm.abi import (
    MULTICALL3,
    PERP_ASSET_INFO,
    BrokenAnswer,
    asset_info,
    encoded,
    number_words,
)
from liqtruth.indexer.info.budget import (
    TOO_MANY,
    Budget,
    Patience,
    RequestRefused,
    TransientError,
    check_status,
    check_whole,
    retry_after_s,
)
from liqtruth.indexer.info.connections import Answer, Connections
from liqtruth.storage.net.answers import shown_url

T = TypeVar("T")
MAINNET_URL: Final = "https://rpc.hyperliquid.xyz/evm"
USUAL_REQUESTS_PER_MINUTE: Final = 100
CHAINS: Final = {999: "mainnet", 998: "testnet"}
STALE_S: Final = 30.0
"""HyperEVM makes a block a second or two."""
TOO_LARGE: Final = 413
LIMITED: Final = -32005
"""JSON-RPC's code for too many requests, as EIP-1474 has it."""
BROKEN: Final = (
    BrokenAnswer,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    msgspec.ValidationError,
)
LASTING: Final = (-32700, -32600, -32601)
"""Codes of what is refused whatever its size: no JSON, no request, no such method."""


class CallRefused(SourceUnreachable):
    """The node did not run the call: out of gas, too large, or reverted."""

    retryable = False


class NodeBehind(SourceUnreachable):
    """The node does not follow the chain."""

    retryable = False


class Log(msgspec.Struct, frozen=True):
    """An event of a contract; `removed` where its block was given up again."""

    address: str
    topics: list[str]
    removed: bool = False


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    result: Any = None
    error: _Error | None = None


class EvmClient:
    """Use as an async context manager, which raises `BadInput` where the node is of another chain.

    Methods raise `SourceUnreachable` when all attempts failed, `CallRefused` and `RequestRefused` for what was refused.
    """

    def __init__(
        self,
        url: str,
        budget: Budget,
        timeout_s: float = 10.0,
        concurrency: int = 4,
        patience: Patience | None = None,
    ) -> None:
        self.shown_url = shown_url(url)
        self.budget = budget
        self.timeout_s = timeout_s
        self.concurrency = concurrency
        self.patience = patience or Patience()
        self.server = ""
        self._connections = Connections(url, self.shown_url, timeout_s, concurrency)

    async def __aenter__(self) -> Self:
        try:
            chain = await self._ask("eth_chainId", [], number)
            if chain not in CHAINS:
                known = ", ".join(f"{number} ({name})" for number, name in CHAINS.items())
                raise BadInput(f"{self.shown_url} is of chain {chain}; HyperEVM is {known}: check --evm-url")
        except BaseException:
            await self._connections.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.close()

    @property
    def source(self) -> str:
        """Where answers come from; the sandbox says in its headers that it is synthetic."""
        return source_of(self.shown_url, self.server)

    async def aggregate(self, data: bytes, decode: Callable[[bytes], T]) -> T:
        """What Multicall3 returns to `data`, decoded; one that `decode` finds broken is asked for again."""
        call = {"to": MULTICALL3, "data": "0x" + data.hex()}
        return await self._ask("eth_call", [call, "latest"], lambda text: decode(_returned(text)))

    async def asset_info(self, perp: int) -> tuple[str, int, int]:
        """Coin, margin table and decimals of sizes of the perp of that number; an empty name where there is none."""
        return await self.aggregate(encoded(PERP_ASSET_INFO, number_words(np.array([perp]))), asset_info)

    async def latest_s(self) -> float | None:
        """When the node's latest block was made (epoch); null where it does not tell."""
        try:
            return await self._ask(
                "eth_getBlockByNumber", ["latest", False], lambda block: number(block["timestamp"])
            )
        except SourceUnreachable:
            return None

    async def block_number(self) -> int:
        """Of the node's latest block."""
        return await self._ask("eth_blockNumber", [], number)

    async def logs(self, first: int, last: int, asked: dict[str, Any]) -> list[Log]:
        """Events of these blocks, which the public node takes fifty of at most, that the filter lets through."""
        wanted = {"fromBlock": hex(first), "toBlock": hex(last), **asked}
        return await self._ask("eth_getLogs", [wanted], lambda rows: msgspec.convert(rows or [], list[Log]))

    async def check_current(self, now_s: float | None) -> None:
        """Raise `NodeBehind` for a node whose latest block is `STALE_S` older than the exchange's clock, `now_s`; where
        either is not known nothing is checked."""
        latest_s = None if now_s is None else await self.latest_s()
        if latest_s is not None and now_s is not None and now_s - latest_s > STALE_S:
            raise NodeBehind(
                f"{self.shown_url} is {now_s - latest_s:,.0f} s behind the exchange's clock: what it says is not used; "
                "give another node by --evm-url"
            )

    async def _ask(self, method: str, params: list[Any], decode: Callable[[Any], T]) -> T:
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        return await self.patience.until_answered(
            lambda _: self._send(method, body, decode), method, self.shown_url
        )

    async def _send(self, method: str, body: bytes, decode: Callable[[Any], T]) -> T:
        async with self.budget.spend(1):
            sent = await self._connections.post(body)
        self.server = sent.headers.get("server", "")
        self._check_status(sent, method)
        check_whole(sent.content)
        try:
            answer = msgspec.json.decode(sent.content, type=_Answer)
        except msgspec.ValidationError as error:
            raise TransientError(f"an answer that is no JSON-RPC ({error})") from None
        if answer.error is not None:
            self._refuse(answer.error, method)
        try:
            return decode(answer.result or "")
        except BROKEN as error:
            raise TransientError(f"an answer that cannot be decoded ({error})") from None

    def _check_status(self, sent: Answer, method: str) -> None:
        status = sent.status
        if status == TOO_MANY:
            raise self._limited(retry_after_s(sent.headers))
        if status == TOO_LARGE:
            raise CallRefused(f"{self.shown_url}: {method} was refused with HTTP {status}")
        check_status(status, f"{self.shown_url}: {method}")

    def _limited(self, wait_s: float | None) -> TransientError:
        """Nobody of this data directory asks for a while."""
        wait_s = wait_s or self.patience.pause_s
        self.budget.hold(wait_s)
        return TransientError("too many requests; lower --evm-requests-per-minute", wait_s)

    def _refuse(self, error: _Error, method: str) -> None:
        if error.code == LIMITED:
            raise self._limited(None)
        refused = RequestRefused if error.code in LASTING else CallRefused
        raise refused(
            f"{self.shown_url}: {method} was refused: {one_line(error.message, 120)} ({error.code})"
        )


def evm_budget(requests_per_minute: float | None, url: str, data_dir: Path | None) -> Budget:
    """Requests as weight of one each, on a line of their own beside that of an info endpoint at the same host."""
    return Budget.shared(requests_per_minute, url, data_dir, door="evm")


def number(text: str) -> int:
    return int(text, 16)


def _returned(text: str) -> bytes:
    if text == "0x":
        raise RequestRefused(f"there is no Multicall3 at {MULTICALL3} on this chain")
    if not text.startswith("0x"):
        raise BrokenAnswer("no bytes")
    return bytes.fromhex(text[2:])
