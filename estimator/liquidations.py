"""Realised liquidations as venues push them: addresses, subscriptions, and what a message says.

`side` is that of the position. A forced order is the other way round: a long is liquidated by a sell. Bybit tells the
position's side itself, OKX both. Prices are what the venue tells: Binance the average fill, Bybit and OKX the
bankruptcy price. Formats are those of the venues' public documentation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl

from estimator.answers import liquidations_of
from estimator.errors import BadAnswer
from estimator.transport import Malformed
from estimator.units import Contract
from estimator.venue_spec import COINS, CONTRACTS, Feed
from heatmap.decoding import NOT_DECODED

LIQUIDATED_BY: Final = {"SELL": "long", "BUY": "short"}
BYBIT_SIDE: Final = {"Buy": "long", "Sell": "short"}
ARGUMENTS: Final = 10
"""Markets in one subscription message."""

Event = tuple[str, int, str, float, float]
"""Market id, time (ms), side of the position, price, amount in the stream's unit."""


@dataclass(frozen=True)
class LiquidationStream:
    """One venue's public stream; `read` gives the events of a message, null for one of another kind.

    `unit` is that of amounts on linear markets, `inverse_unit` on inverse ones (null: it does not tell those). `ping`
    is what keeps the connection open beside the protocol's own pings.
    """

    host: str
    path: str
    read: Callable[[Any], list[Event] | None]
    subscriptions: Callable[[Sequence[str]], list[Any]]
    unit: str = COINS
    inverse_unit: str | None = None
    ping: str | None = None

    def tells(self, contract: Contract) -> bool:
        """Whether liquidations of this market are pushed on this stream."""
        return not contract.inverse or self.inverse_unit is not None

    def url(self, base_url: str | None) -> str:
        """Of the socket; `base_url` is http(s) and takes the place of the host."""
        base = self.host if base_url is None else "ws" + base_url.rstrip("/").removeprefix("http")
        return base + self.path

    def events(self, raw: str | bytes) -> list[Event]:
        """What a message says. Raises `Malformed`, and `BadAnswer` where the venue refused the subscription."""
        if raw in ("pong", b"pong"):
            return []
        try:
            message = msgspec.json.decode(raw)
            refused = _refusal(message)
            found = None if refused else self.read(message)
        except (*NOT_DECODED, AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise Malformed(f"{type(error).__name__}: {error}") from error
        if refused:
            raise BadAnswer(f"the subscription was refused: {refused}")
        return found or []

    def frame(self, events: Iterable[Event], contract: Contract) -> pl.DataFrame:
        """The events of one market out of one message, as `frames.LIQUIDATIONS`."""
        rows = [event[1:] for event in events if event[0] == contract.market_id]
        schema = {"ts": pl.Int64, "side": pl.String, "px": pl.Float64, "amount": pl.Float64}
        told = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            pl.from_epoch("ts", "ms").dt.replace_time_zone("UTC")
        )
        unit = contract.unit(Feed(1, unit=self.unit, inverse_unit=self.inverse_unit))
        return liquidations_of(told, contract, unit)


def _refusal(message: Any) -> str:
    """Why a subscription failed; empty where the message is something else."""
    if not isinstance(message, dict):
        return ""
    if message.get("success") is False:
        return str(message.get("ret_msg") or "no reason given")
    return str(message.get("msg") or "no reason given") if message.get("event") == "error" else ""


def _binance(message: Any) -> list[Event] | None:
    rows = message if isinstance(message, list) else [message]
    orders = [row.get("data", row) for row in rows]
    return [_binance_order(order["o"]) for order in orders if order.get("e") == "forceOrder"]


def _binance_order(order: Mapping[str, Any]) -> Event:
    filled, average = float(order.get("z") or 0), float(order.get("ap") or 0)
    px, coins = average or float(order["p"]), filled or float(order["q"])
    return order["s"], int(order["T"]), LIQUIDATED_BY[order["S"]], _positive(px), _positive(coins)


def _bybit(message: Any) -> list[Event] | None:
    if not str(message.get("topic", "")).startswith("allLiquidation."):
        return None
    return [
        (row["s"], int(row["T"]), BYBIT_SIDE[row["S"]], _positive(row["p"]), _positive(row["v"]))
        for row in message["data"]
    ]


def _okx(message: Any) -> list[Event] | None:
    if message.get("arg", {}).get("channel") != "liquidation-orders" or "data" not in message:
        return None
    return [
        (
            row["instId"],
            int(detail["ts"]),
            _okx_side(detail),
            _positive(detail["bkPx"]),
            _positive(detail["sz"]),
        )
        for row in message["data"]
        for detail in row["details"]
    ]


def _okx_side(detail: Mapping[str, str]) -> str:
    """Accounts in net mode have no `posSide` of their own: there the order's side tells."""
    told = detail.get("posSide")
    return told if told in ("long", "short") else LIQUIDATED_BY[detail["side"].upper()]


def _positive(number: Any) -> float:
    value = float(number)
    if not 0 < value < float("inf"):
        raise ValueError(f"{number!r} is no price or amount")
    return value


def _bybit_topics(ids: Sequence[str]) -> list[Any]:
    topics = [f"allLiquidation.{name}" for name in ids]
    return [
        {"op": "subscribe", "args": topics[at : at + ARGUMENTS]} for at in range(0, len(topics), ARGUMENTS)
    ]


STREAMS: Final[Mapping[str, LiquidationStream]] = {
    "binance": LiquidationStream(
        "wss://fstream.binance.com", "/ws/!forceOrder@arr", _binance, lambda ids: []
    ),
    "bybit": LiquidationStream(
        "wss://stream.bybit.com",
        "/v5/public/linear",
        _bybit,
        _bybit_topics,
        ping='{"op":"ping"}',
    ),
    "okx": LiquidationStream(
        "wss://ws.okx.com:8443",
        "/ws/v5/public",
        _okx,
        lambda ids: [{"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SWAP"}]}],
        unit=CONTRACTS,
        inverse_unit=CONTRACTS,
        ping="ping",
    ),
}
"""By venue; how much of the liquidations each pushes is `Venue.liquidation_stream`."""
