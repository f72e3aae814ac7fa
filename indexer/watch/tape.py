"""The trade tape: every trade of every coin, with both addresses, over one websocket that is never trusted.

The connection is made again (`storage.net.long_runs`) and resubscribed whenever it drops, and also when nothing at all
comes for `silence_s` although pings are sent. No trade is passed on twice, whatever is resent: a trade is known by its
time, coin and tid. What was missed while the connection was down is not available again, so every reconnect is reported
as a gap, and whoever keeps sizes must read again what may have changed in it. Trades may come late or out of order:
their own times count, never the moment they arrive. A message or a trade that cannot be what it claims to be (no text,
no JSON, another coin, another time) is counted by its kind, logged once per kind, and left out.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from liqtruth.heatmap.errors import one_line
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.text import EARLIEST, is_timely_ms
from liqtruth.indexer.discovery.address_lists import ADDRESS
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info.wire import Trade, decode_recent_trades
from liqtruth.indexer.positions.watch_state import TapeStats
from liqtruth.storage.net.answers import shown_url, socket_url
from liqtruth.storage.net.long_runs import FAULTS, Waits, beat, stay_connected, within

HEARTBEAT_S: Final = 20.0
SILENCE_S: Final = 50.0
CONTEXTS: Final = "allDexsAssetCtxs"
PING: Final = '{"method":"ping"}'
LARGEST_MESSAGE: Final = 16 * 2**20
"""Bytes, unpacked."""
REMEMBERED: Final = 200_000
"""Trades per generation of the memory that finds duplicates; there are two generations."""

LARGEST_TRADE_USD: Final = 1e12
"""More than all open interest there is: such a trade is none."""

Key = tuple[int, str, int]

log = structlog.get_logger("liqtruth.tape")


class _Message(msgspec.Struct):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True)
class Gap:
    """Trades after `since_ms` may be missing; null: everything before the first connection."""

    since_ms: int | None


@dataclass
class Seen:
    """Which trades were passed on already, in bounded memory: the last `remembered` at least, twice that at most."""

    remembered: int = REMEMBERED
    newer: set[Key] = field(default_factory=set)
    older: set[Key] = field(default_factory=set)

    def is_new(self, trade: Trade) -> bool:
        """Whether the trade has not been met before; from now on it has."""
        key = (trade.time, trade.coin, trade.tid)
        if key in self.newer or key in self.older:
            return False
        if len(self.newer) >= self.remembered:
            self.newer, self.older = set(), self.newer
        self.newer.add(key)
        return True


class Tape:
    """The tape of `coins` at `base_url`; `on_trades` gets each trade once, `on_gap` each time some may be missing.

    `on_contexts` gets each message of all coins' marks as it was sent; null asks for none. `now_s` is the exchange's
    clock: a trade beyond it by more than minutes is none, nor is one of another coin.
    """

    def __init__(
        self,
        base_url: str,
        coins: Sequence[str],
        on_trades: Callable[[list[Trade]], None],
        on_gap: Callable[[Gap], None],
        *,
        on_contexts: Callable[[bytes], None] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        silence_s: float = SILENCE_S,
        first_wait_s: float = 0.5,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.shown_url = shown_url(base_url)
        self.coins = tuple(coins)
        self.stats = TapeStats()
        self._url = socket_url(base_url, "/ws")
        self._on_trades, self._on_gap, self._on_contexts = on_trades, on_gap, on_contexts
        self._heartbeat_s, self._silence_s = heartbeat_s, silence_s
        self._waits = Waits(first_wait_s)
        self._seen = Seen()
        self._wanted = frozenset(coins)
        self._now_s = now_s

    async def run(self) -> None:
        """Listen until cancelled. Faults of the network never end it; they are counted and reported as gaps."""
        await stay_connected(
            self._url,
            self._listen,
            self._note_fault,
            self._waits,
            ping_interval=None,  # the exchange answers its own pings, in JSON
            max_size=LARGEST_MESSAGE,
        )

    async def _listen(self, connection: ClientConnection) -> None:
        self.stats.connects += 1
        for coin in self.coins:
            await connection.send(_subscription("trades", coin=coin))
        if self._on_contexts is not None:
            await connection.send(_subscription(CONTEXTS))
        self.stats.gaps += self.stats.connects > 1
        self._on_gap(Gap(self.stats.last_trade_ms))
        heart = asyncio.create_task(beat(connection, PING, self._heartbeat_s))
        try:
            while True:
                self._take(await within(self._silence_s, connection))
        finally:
            heart.cancel()

    def _take(self, raw: bytes) -> None:
        self.stats.messages += 1
        try:
            message = msgspec.json.decode(raw, type=_Message)
        except NOT_DECODED as error:
            return self._pass_over("messages that are no JSON of the exchange", str(error))
        if message.channel == "error":
            self.stats.last_error = one_line(bytes(message.data)[:200].decode(errors="replace"))
        if message.channel == "trades":
            self._take_trades(bytes(message.data))
        if message.channel == CONTEXTS and self._on_contexts is not None:
            self._on_contexts(bytes(message.data))

    def _take_trades(self, raw: bytes) -> None:
        try:
            trades, sifted = decode_recent_trades.read(raw, self.shown_url)
        except WireError as error:
            return self._pass_over("messages without a trade that can be read", error.problem)
        for problem in sifted.problems:
            self._pass_over("trades that cannot be read", problem)
        self._pass_on([trade for trade in trades if self._is_believed(trade)])

    def _is_believed(self, trade: Trade) -> bool:
        if trade.coin not in self._wanted:
            self._pass_over("trades of coins that were not asked for", f"{trade.coin!r}")
        elif not is_timely_ms(trade.time, self._now_s()):
            self._pass_over("trades of an impossible time", f"{trade.coin} at {trade.time}")
        else:
            return True
        return False

    def _pass_over(self, kind: str, what: str) -> None:
        self.stats.malformed += 1
        self.stats.last_error = one_line(f"{kind}: {what}")
        if self.stats.left_out.note(kind, what):
            log.warning("left out", kind=kind, first=one_line(what))

    def _pass_on(self, trades: Sequence[Trade]) -> None:
        new = [trade for trade in trades if self._seen.is_new(trade)]
        self.stats.trades += len(new)
        self.stats.duplicates += len(trades) - len(new)
        if new:
            self.stats.last_trade_ms = max(self.stats.last_trade_ms or 0, *(trade.time for trade in new))
            self._on_trades(new)

    def _note_fault(self, error: Exception) -> None:
        """Every fault of the network is worth another try; anything else is a bug and is raised."""
        self.stats.last_error = _cause(error, self._silence_s)
        if not isinstance(error, FAULTS):
            raise error


def is_possible(trade: Trade) -> bool:
    """Whether its time, its value and both its addresses can be true."""
    if trade.time / 1000 < EARLIEST.timestamp() or trade.px * trade.sz >= LARGEST_TRADE_USD:
        return False
    return all(ADDRESS.fullmatch(user) for user in trade.users)


def _subscription(kind: str, **to: str) -> str:
    return msgspec.json.encode({"method": "subscribe", "subscription": {"type": kind, **to}}).decode()


def _cause(error: Exception, silence_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came for {silence_s:g} s"
    return one_line(str(error)) or type(error).__name__
