"""The exchange's WebSocket on the sandbox: subscriptions, trades as they happen, contexts, ping and pong, and faults.

Served are `trades` and `activeAssetCtx` (per coin), `webData3` (per user: its mode, and no position),
`allDexsAssetCtxs` and `fastAssetCtxs` (always whole); anything else is answered on the channel `error`. A connection is
closed when its client sends nothing for `idle_s`; protocol pings do not count, the exchange's own `{"method": "ping"}`
does. Trades of one coin and one minute come in messages of at most ten.
"""

import base64
import zlib
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, Final

import msgspec

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.sandbox.http.connections import Connections, Session
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.hyperliquid.fills import trade_rows
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint, Unprocessable, user_in
from liqtruth.sandbox.market.market import Market

Json = dict[str, Any]
Subscription = tuple[str, str]
"""Its type, and the coin or user that it is about."""
TRADES_PER_MESSAGE: Final = 10
ABOUT: Final = {
    "trades": "coin",
    "activeAssetCtx": "coin",
    "webData3": "user",
    "allDexsAssetCtxs": "",
    "fastAssetCtxs": "",
}
"""What each type needs to be told."""
RAW_DEFLATE: Final = -15


class NotSubscribable(Exception):
    """What a client asked for that is answered on the channel `error`."""


class Sockets(Connections):
    """All connections of the exchange's socket; `info` gives the endpoint as of now."""

    def __init__(
        self, info: Callable[[], InfoEndpoint], faults: Callable[[], Faults], idle_s: float = 60.0
    ) -> None:
        super().__init__(faults, idle_s)
        self.info = info

    def take(self, session: Session, text: str) -> None:
        try:
            self._obey(session, text)
        except (NotSubscribable, Unprocessable) as error:
            session.send(_on("error", str(error)))

    def _obey(self, session: Session, text: str) -> None:
        asked = _request_of(text)
        if asked["method"] == "ping":
            session.send({"channel": "pong"})
            return
        wanted = self._subscription(asked.get("subscription"))
        kind, subject = wanted
        shown = {"type": kind} | ({ABOUT[kind]: subject} if subject else {})
        changes = asked["method"] == "subscribe"
        if changes == (wanted in session.subscriptions):
            word = "Already subscribed" if changes else "Already unsubscribed"
            raise NotSubscribable(f"{word}: {msgspec.json.encode(shown).decode()}")
        session.send(_on("subscriptionResponse", {"method": asked["method"], "subscription": shown}))
        if changes:
            session.subscriptions.add(wanted)
            self._send_contexts(session, [wanted])
        else:
            session.subscriptions.remove(wanted)

    def _subscription(self, asked: object) -> Subscription:
        fields = asked if isinstance(asked, dict) else {}
        kind = str(fields.get("type"))
        about = ABOUT.get(kind)
        if about == "user":
            return kind, user_in(fields)
        subject = str(fields.get(about, ""))
        if about is None or (about and self.info().market.coin_index(subject) is None):
            raise NotSubscribable(f"Invalid subscription {msgspec.json.encode(asked).decode()}")
        return kind, subject

    def _send_contexts(self, session: Session, wanted: Iterable[Subscription]) -> None:
        info = self.info()
        for kind, subject in wanted:
            if kind == "activeAssetCtx":
                session.send(_on(kind, {"coin": subject, "ctx": info.context(subject)}))
            elif kind == "webData3":
                session.send(_on(kind, _user_data(info, subject)))
            elif kind == "allDexsAssetCtxs":
                session.send(_on(kind, {"ctxs": [[dex, info.contexts(dex)] for dex in info.dexes]}))
            elif kind == "fastAssetCtxs":
                session.send(_on(kind, _fast_contexts(info)))

    def publish(self, market: Market, rows: range) -> None:
        """Send every session the trades `rows` of the market's, and the contexts as they are now."""
        sessions = [session for session in self.sessions if session.subscriptions]
        if not sessions:
            return
        for coin, message in _messages(market, rows, self.faults().clock_skew_ms):
            for session in sessions:
                if ("trades", coin) in session.subscriptions and not session.is_silent:
                    session.send_event(_on("trades", message))
        for session in sessions:
            self._send_contexts(session, sorted(session.subscriptions))


def _user_data(info: InfoEndpoint, user: str) -> Json:
    """An account's mode and role, and of each dex nothing that it holds there."""
    role = info.answer({"type": "userRole", "user": user})["role"]
    state = {
        "user": user,
        "serverTime": info.answer({"type": "exchangeStatus"})["time"],
        "isVault": role == "vault",
        "abstraction": info.answer({"type": "userAbstraction", "user": user}),
    }
    return {"userState": state, "perpDexStates": [{"perpsAtOpenInterestCap": []} for _ in info.dexes]}


def _fast_contexts(info: InfoEndpoint) -> str:
    """Marks and mids by coin: JSON as raw DEFLATE in base64."""
    fields = {
        asset["name"]: {"markPx": ctx["markPx"], "midPx": ctx["midPx"]}
        for dex in info.dexes
        for asset, ctx in zip(info.meta(dex)["universe"], info.contexts(dex), strict=True)
    }
    deflate = zlib.compressobj(wbits=RAW_DEFLATE)
    return base64.b64encode(deflate.compress(msgspec.json.encode(fields)) + deflate.flush()).decode()


def _on(channel: str, data: Any) -> Json:
    return {"channel": channel, "data": data}


def _request_of(text: str) -> Json:
    """A request that can be obeyed."""
    try:
        asked = msgspec.json.decode(text)
    except NOT_DECODED:
        asked = None
    if not isinstance(asked, dict) or asked.get("method") not in ("ping", "subscribe", "unsubscribe"):
        raise NotSubscribable(f"Error parsing JSON into valid websocket request: {text[:200]}")
    return asked


def _messages(market: Market, rows: range, skew_ms: int) -> Iterable[tuple[str, list[Json]]]:
    """Trade messages in order: consecutive trades of one coin and minute, at most ten in each."""
    written = trade_rows(market, rows, skew_ms)
    for (coin, _), group in groupby(written, key=lambda row: (row["coin"], row["time"])):
        of_coin = list(group)
        for start in range(0, len(of_coin), TRADES_PER_MESSAGE):
            yield coin, of_coin[start : start + TRADES_PER_MESSAGE]
