"""The public liquidation streams of the centralised venues, in each one's protocol and with each one's losses.

    binance   /ws/!forceOrder@arr, /ws/btcusdt@forceOrder, /stream?streams=..., or SUBSCRIBE; also under /market, where
              ccxt looks. Only the latest order per symbol and second; `S` is the side of the order.
    bybit     /v5/public/linear, topic allLiquidation.BTCUSDT: every order, batched per half second; `S` is the side of
              the position: Buy is a long that was closed.
    okx       /ws/v5/public, channel liquidation-orders: sizes in contracts, at most one order per contract and second.
              That was the venue's documented rule; of late it only states that not all orders are pushed.

Prices are those at which the order was filled: bankruptcy prices are not simulated.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.sandbox.http.connections import Connections, Json, Session
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.http.misbehaviour import Misbehaviour
from liqtruth.sandbox.market.listings import Asset, from_units
from liqtruth.sandbox.market.population import BINANCE, BYBIT, OKX
from liqtruth.sandbox.public.forced_orders import SECOND_MS, ForcedOrders, latest_per_second
from liqtruth.sandbox.venues.okx_query import Contract

BATCH_MS: Final = 500
BYBIT_PLACE: Final = "/v5/public/linear"
OKX_PLACE: Final = "/ws/v5/public"
BINANCE_PLACES: Final = ("/ws/", "/stream", "/market/ws", "/market/stream")
ALL_ORDERS: Final = "!forceOrder@arr"
OKX_CHANNEL: Final = {"channel": "liquidation-orders", "instType": "SWAP"}


@dataclass(frozen=True)
class Order:
    """One forced order with its coin, ready to be written."""

    asset: Asset
    time_ms: int
    lots: int
    px: int
    was_long: bool

    @property
    def symbol(self) -> str:
        return self.asset.name + "USDT"

    @property
    def size(self) -> str:
        return from_units(self.lots, self.asset.sz_decimals)

    @property
    def price(self) -> str:
        return from_units(self.px, 6 - self.asset.sz_decimals)


def orders_of(orders: ForcedOrders, assets: tuple[Asset, ...], skew_ms: int = 0) -> list[Order]:
    columns = (orders.time_ms, orders.coin, orders.lots, orders.px, orders.was_long)
    return [
        Order(assets[coin], time + skew_ms, lots, px, was_long)
        for time, coin, lots, px, was_long in zip(*(column.tolist() for column in columns), strict=True)
    ]


class LiquidationStream(Connections):
    """One venue's stream: `publish` sends every session what it subscribed to."""

    def __init__(
        self, assets: tuple[Asset, ...], faults: Callable[[], Faults], idle_s: float | None = None
    ) -> None:
        super().__init__(faults, idle_s)
        self.assets = assets
        self.misbehaviour = Misbehaviour()

    def publish(self, orders: ForcedOrders) -> None:
        """Push the orders of a stretch of whole minutes."""
        sessions = [session for session in self.sessions if session.subscriptions]
        if not sessions or not orders.size:
            return
        written = orders_of(self.pushed(orders), self.assets, self.faults().clock_skew_ms)
        for topics, message in self.messages(written):
            for session in sessions:
                for topic in topics:
                    if topic in session.subscriptions:
                        self._tell(session, self.wrapped(session, topic, message))

    def _tell(self, session: Session, message: Json) -> None:
        """The message, after what the venue gets wrong."""
        wrong = self.misbehaviour.pushed(msgspec.json.encode(message).decode())
        if isinstance(wrong, bytes):
            session.send_bytes(wrong)
        elif wrong is not None:
            session.send(wrong)
        session.send_event(message)

    def pushed(self, orders: ForcedOrders) -> ForcedOrders:
        """Those orders that the venue pushes."""
        return latest_per_second(orders)

    def messages(self, orders: list[Order]) -> Iterable[tuple[tuple[str, ...], Json]]:
        """The topics that each message belongs to, and the message."""
        raise NotImplementedError

    def wrapped(self, session: Session, topic: str, message: Json) -> Json:
        return message


class BinanceStream(LiquidationStream):
    """Streams are named by the address or by SUBSCRIBE; a name without a stream here is accepted, as on the venue."""

    def welcome(self, session: Session) -> None:
        place, query = session.place.removeprefix("/market"), parse_qs(session.request.query_string)
        if place.startswith("/ws/"):
            session.subscriptions.add(unquote(place.removeprefix("/ws/")))
        for names in query.get("streams", []):
            session.subscriptions.update(names.split("/"))

    def take(self, session: Session, text: str) -> None:
        asked = _object(text)
        method, names, number = asked.get("method"), asked.get("params", []), asked.get("id")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            method = None
        if method == "SUBSCRIBE":
            session.subscriptions.update(names)
        elif method == "UNSUBSCRIBE":
            session.subscriptions.difference_update(names)
        elif method != "LIST_SUBSCRIPTIONS":
            session.send(
                {"error": {"code": 2, "msg": "Invalid request: unknown method or params"}, "id": number}
            )
            return
        listed = sorted(session.subscriptions) if method == "LIST_SUBSCRIPTIONS" else None
        session.send({"result": listed, "id": number})

    def messages(self, orders: list[Order]) -> Iterator[tuple[tuple[str, ...], Json]]:
        for order in orders:
            topics = (ALL_ORDERS, f"{order.symbol.lower()}@forceOrder")
            yield topics, {"e": "forceOrder", "E": _next_second(order.time_ms), "o": _binance_order(order)}

    def wrapped(self, session: Session, topic: str, message: Json) -> Json:
        """Combined streams name the stream of each message."""
        return {"stream": topic, "data": message} if session.place.endswith("/stream") else message


class BybitStream(LiquidationStream):
    """Topics by `{"op": "subscribe", "args": [...]}`; a request with a topic that does not exist is refused whole."""

    def pushed(self, orders: ForcedOrders) -> ForcedOrders:
        return orders

    def take(self, session: Session, text: str) -> None:
        asked = _object(text)
        op, number, topics = asked.get("op"), str(asked.get("req_id", "")), asked.get("args", [])
        if op == "ping":
            session.send(_bybit_answer(session, number, "ping", "pong"))
            return
        known = {f"allLiquidation.{asset.name}USDT" for asset in self.assets}
        if op not in ("subscribe", "unsubscribe") or not isinstance(topics, list):
            session.send(_bybit_answer(session, number, str(op), "error:unknown op", success=False))
            return
        wrong = [topic for topic in topics if topic not in known]
        if wrong:
            message = f"error:handler not found,topic:{wrong[0]}"
            session.send(_bybit_answer(session, number, op, message, success=False))
            return
        change = (
            session.subscriptions.update if op == "subscribe" else session.subscriptions.difference_update
        )
        change(topics)
        session.send(_bybit_answer(session, number, op, ""))

    def messages(self, orders: list[Order]) -> Iterator[tuple[tuple[str, ...], Json]]:
        batches = sorted(orders, key=_half_second)
        for (half, symbol), batch in groupby(batches, key=_half_second):
            rows = [
                {
                    "T": order.time_ms,
                    "s": symbol,
                    "S": "Buy" if order.was_long else "Sell",
                    "v": order.size,
                    "p": order.price,
                }
                for order in batch
            ]
            topic = f"allLiquidation.{symbol}"
            yield (topic,), {"topic": topic, "type": "snapshot", "ts": (half + 1) * BATCH_MS, "data": rows}


class OkxStream(LiquidationStream):
    """One channel for all swaps; the text `ping` is answered with the text `pong`."""

    def take(self, session: Session, text: str) -> None:
        if text == "ping":
            session.send("pong")
            return
        asked = _object(text)
        op, args = asked.get("op"), asked.get("args")
        if op not in ("subscribe", "unsubscribe") or not isinstance(args, list):
            session.send(_okx_error("60012", f"Illegal request: {text[:200]}"))
            return
        for arg in args:
            self._change(session, op, arg)

    def _change(self, session: Session, op: str, arg: Any) -> None:
        asked = {name: arg.get(name) for name in OKX_CHANNEL} if isinstance(arg, dict) else {}
        if asked != OKX_CHANNEL:
            shown = msgspec.json.encode(arg).decode()[:200]
            session.send(
                _okx_error("60018", f"Wrong URL or channel, or not served here (synthetic): {shown}")
            )
            return
        topic = OKX_CHANNEL["channel"]
        (session.subscriptions.add if op == "subscribe" else session.subscriptions.discard)(topic)
        session.send({"event": op, "arg": OKX_CHANNEL, "connId": _connection(session)})

    def messages(self, orders: list[Order]) -> Iterator[tuple[tuple[str, ...], Json]]:
        for order in orders:
            yield (OKX_CHANNEL["channel"],), {"arg": OKX_CHANNEL, "data": [_okx_order(order)]}


STREAMS: Final[dict[str, type[LiquidationStream]]] = {
    BINANCE: BinanceStream,
    BYBIT: BybitStream,
    OKX: OkxStream,
}
NEEDS_PINGS: Final = (BYBIT, OKX)


def venue_at(path: str) -> str | None:
    """The venue whose stream is at this path."""
    if path == OKX_PLACE:
        return OKX
    if path == BYBIT_PLACE:
        return BYBIT
    return BINANCE if path.startswith(BINANCE_PLACES) else None


def _object(text: str) -> Json:
    """What the client sent, or nothing if that is no JSON object."""
    try:
        decoded = msgspec.json.decode(text)
    except NOT_DECODED:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _next_second(time_ms: int) -> int:
    return time_ms // SECOND_MS * SECOND_MS + SECOND_MS


def _half_second(order: Order) -> tuple[int, str]:
    return order.time_ms // BATCH_MS, order.symbol


def _connection(session: Session) -> str:
    return f"{id(session) & 0xFFFFFFFF:08x}"


def _binance_order(order: Order) -> Json:
    return {
        "s": order.symbol,
        "S": "SELL" if order.was_long else "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": order.size,
        "p": order.price,
        "ap": order.price,
        "X": "FILLED",
        "l": order.size,
        "z": order.size,
        "T": order.time_ms,
    }


def _bybit_answer(session: Session, number: str, op: str, message: str, success: bool = True) -> Json:
    answer = {"success": success, "ret_msg": message, "conn_id": _connection(session), "op": op}
    return {**answer, "req_id": number}


def _okx_order(order: Order) -> Json:
    contract = Contract(order.asset)
    detail = {
        "bkLoss": "0",
        "bkPx": order.price,
        "ccy": "",
        "posSide": "long" if order.was_long else "short",
        "side": "sell" if order.was_long else "buy",
        "sz": contract.contracts(order.lots),
        "ts": str(order.time_ms),
    }
    names = {"instFamily": contract.family, "instId": contract.inst_id, "instType": "SWAP"}
    return {"details": [detail], **names, "uly": contract.family}


def _okx_error(code: str, message: str) -> Json:
    return {"event": "error", "code": code, "msg": message}
