"""Fills as providers push them, each at its path and in its dialect, over one synthetic market.

    /alchemy/v2/KEY             allFills: every fill, pairs of address and fill in `data.fills`
    /goldrush/ws?key=KEY        liquidationFills: the counterparties' fills of liquidations, pairs in `fills`
    /hydromancer/ws?token=KEY   liquidationFills: both sides' fills of liquidations, pairs in `fills`

A connection without the key that was set is refused with 401. Positions before a fill and realised profits are not
replayed: they are zero, but for the account that is liquidated.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.sandbox.http.connections import Connections, Session
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.hyperliquid.fills import fill_of
from liqtruth.sandbox.hyperliquid.protocol import ProtocolParts
from liqtruth.sandbox.market.market import Market

Json = dict[str, Any]
ALCHEMY, GOLDRUSH, HYDROMANCER = "/alchemy", "/goldrush", "/hydromancer"
CHANNELS: Final = {ALCHEMY: "allFills", GOLDRUSH: "liquidationFills", HYDROMANCER: "liquidationFills"}
KEYS: Final = {GOLDRUSH: "key", HYDROMANCER: "token"}
WORDS: Final = {ALCHEMY: "method", GOLDRUSH: "method", HYDROMANCER: "type"}
"""Under which name each calls what a client wants."""


def provider_at(path: str) -> str | None:
    """The provider whose path it is."""
    return next((name for name in CHANNELS if path.startswith(f"{name}/")), None)


class ProviderStreams(Connections):
    """All connections of all providers; with `key` empty anyone may listen."""

    def __init__(
        self, faults: Callable[[], Faults], protocol: ProtocolParts, idle_s: float | None = None
    ) -> None:
        super().__init__(faults, idle_s)
        self.key = ""
        self.protocol = protocol

    async def handle(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        if self.key and _key_of(request) != self.key:
            return web.Response(status=401, headers=headers)
        return await super().handle(request, headers)

    def take(self, session: Session, text: str) -> None:
        """A subscription to the provider's own channel is acknowledged; anything else is an error."""
        name = str(provider_at(session.place))
        try:
            asked = msgspec.json.decode(text, type=dict[str, Any])
        except NOT_DECODED:
            asked = {}
        if asked.get("method") == "ping":
            return session.send({"channel": "pong"})
        if asked.get("type") == "pong":
            return None
        subscription = asked.get("subscription")
        kind = subscription.get("type") if isinstance(subscription, dict) else None
        if asked.get(WORDS[name]) != "subscribe" or kind != CHANNELS[name]:
            return session.send({"type": "error", "channel": "error", "message": "no such subscription"})
        session.subscriptions.add(CHANNELS[name])
        word = "subscriptionUpdate" if name == HYDROMANCER else "subscriptionResponse"
        return session.send({"type": word, "channel": word, "data": {"type": kind}})

    def ask_for_a_sign(self) -> None:
        """What a server sends to see whether its clients are still there."""
        for session in self.sessions:
            session.send({"type": "ping"})

    def publish(self, market: Market, rows: range) -> None:
        """Send every session what happened in the trades `rows` of the market's."""
        sessions = [session for session in self.sessions if session.subscriptions]
        if not sessions:
            return
        forced = [row for row in rows if market.trades.liquidated[row] >= 0]
        for session in sessions:
            name = str(provider_at(session.place))
            shown = rows if name == ALCHEMY else forced
            for message in _messages(name, list(self._pairs(market, shown, name))):
                session.send_event(message)

    def _pairs(self, market: Market, rows: Iterable[int], name: str) -> Iterable[list[Any]]:
        trades = market.trades
        for row in rows:
            for account in (int(trades.buyer[row]), int(trades.seller[row])):
                if name != GOLDRUSH or account != trades.liquidated[row]:
                    yield [market.addresses[account], fill_of(market, account, row, self.protocol)]


def _messages(name: str, pairs: list[list[Any]], most: int = 50) -> Iterable[Json]:
    channel = CHANNELS[name]
    for start in range(0, len(pairs), most):
        fills = pairs[start : start + most]
        if name == ALCHEMY:
            yield {"channel": channel, "subscriptionId": "s", "data": {"blockNumber": 1, "fills": fills}}
        else:
            yield {"type": channel, "channel": channel, "seq": start // most + 1, "fills": fills}


def _key_of(request: web.BaseRequest) -> str:
    name = provider_at(request.path)
    if name == ALCHEMY:
        return request.path.rsplit("/", 1)[-1]
    return parse_qs(request.query_string).get(KEYS.get(str(name), ""), [""])[0]
