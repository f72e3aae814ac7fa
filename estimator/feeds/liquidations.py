"""Realised liquidations as venues push them: addresses, subscriptions, and the content of a message.

`side` is that of the position. A forced order is the other way round: a long is liquidated by a sell. Bybit reports the
position's side itself, OKX both. Prices are what the venue reports: Binance the average fill, Bybit and OKX the
bankruptcy price. Formats are those of the venues' public documentation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl

from liqtruth.estimator.errors import BadAnswer
from liqtruth.estimator.frames import UTC_MS
from liqtruth.estimator.venues.bounds import shown
from liqtruth.estimator.venues.parsing import liquidations_of, number, text_of
from liqtruth.estimator.venues.spec import COINS, CONTRACTS, Contract, Feed
from liqtruth.estimator.venues.transport import UNREADABLE, UNREADABLE_MS, Malformed
from liqtruth.heatmap.errors import LeftOut
from liqtruth.storage.net.answers import socket_url

LIQUIDATED_BY: Final = {"SELL": "long", "BUY": "short"}
BYBIT_SIDE: Final = {"Buy": "long", "Sell": "short"}
ARGUMENTS: Final = 10
"""Markets in one subscription message."""

Event = tuple[str, int, str, float, float]
"""Market id, time (ms), side of the position, price, amount in the stream's unit."""


@dataclass(frozen=True)
class LiquidationStream:
    """One venue's public stream; `rows` gives what a message lists, `event` one of them, null for another kind.

    `unit` is that of amounts on linear markets, `inverse_unit` on inverse ones (null: it does not report those). `ping`
    is what keeps the connection open beside the protocol's own pings.
    """

    host: str
    path: str
    rows: Callable[[Any], list[Any]]
    event: Callable[[Any], Event | None]
    subscriptions: Callable[[Sequence[str]], list[Any]]
    unit: str = COINS
    inverse_unit: str | None = None
    ping: str | None = None

    def covers(self, contract: Contract) -> bool:
        """Whether liquidations of this market are pushed on this stream."""
        return not contract.inverse or self.inverse_unit is not None

    def url(self, base_url: str | None) -> str:
        """Of the socket; `base_url` is http(s) and takes the place of the host."""
        return self.host + self.path if base_url is None else socket_url(base_url, self.path)

    def events(self, raw: str | bytes, left_out: LeftOut | None = None) -> list[Event]:
        """The content of a message; `left_out` counts the rows of it that cannot be read.

        Raises `Malformed` where nothing of it can, and `BadAnswer` where the venue refused the subscription.
        """
        if raw in ("pong", b"pong"):
            return []
        try:
            message = msgspec.json.decode(raw)
            refused = _refusal(message)
            rows = [] if refused else list(self.rows(message))
        except UNREADABLE as error:
            raise Malformed(f"a message that cannot be read ({type(error).__name__})", shown(raw)) from error
        if refused:
            raise BadAnswer(f"the subscription was refused: {refused}")
        return self._read(rows, LeftOut() if left_out is None else left_out)

    def _read(self, rows: list[Any], left_out: LeftOut) -> list[Event]:
        found: list[Event] = []
        missed: tuple[str, str] | None = None
        for row in rows:
            try:
                event = self.event(row)
            except UNREADABLE as error:
                missed = f"a liquidation that cannot be read ({type(error).__name__})", shown(row)
                left_out.note(*missed)
                continue
            if event is not None:
                found.append(event)
        if missed and not found:
            raise Malformed(*missed)
        return found

    def frame(self, events: Iterable[Event], contract: Contract) -> pl.DataFrame:
        """The events of one market out of one message, as `frames.LIQUIDATIONS`."""
        rows = [event[1:] for event in events if event[0] == contract.market_id]
        schema = {"ts": pl.Int64, "side": pl.String, "px": pl.Float64, "amount": pl.Float64}
        table = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").cast(UTC_MS))
        unit = contract.unit(Feed(1, unit=self.unit, inverse_unit=self.inverse_unit))
        return liquidations_of(table, contract, unit)


def _refusal(message: Any) -> str:
    """Why a subscription failed; empty where the message is something else."""
    if not isinstance(message, dict):
        return ""
    if message.get("success") is False:
        return str(message.get("ret_msg") or "no reason given")
    return str(message.get("msg") or "no reason given") if message.get("event") == "error" else ""


def _binance_rows(message: Any) -> list[Any]:
    return message if isinstance(message, list) else [message]


def _binance(row: Any) -> Event | None:
    data = row.get("data", row)
    if data.get("e") != "forceOrder":
        return None
    order = data["o"]
    filled, average = number(order.get("z") or 0), number(order.get("ap") or 0)
    px, coins = average or number(order["p"]), filled or number(order["q"])
    return text_of(order["s"]), _time(order["T"]), LIQUIDATED_BY[order["S"]], _positive(px), _positive(coins)


def _bybit_rows(message: Any) -> list[Any]:
    is_all = str(message.get("topic", "")).startswith("allLiquidation.")
    return _listed(message["data"]) if is_all else []


def _bybit(row: Any) -> Event:
    return text_of(row["s"]), _time(row["T"]), BYBIT_SIDE[row["S"]], _positive(row["p"]), _positive(row["v"])


def _okx_rows(message: Any) -> list[Any]:
    """Pairs of a market and one of its orders; a market whose orders cannot be read is one of them."""
    if message.get("arg", {}).get("channel") != "liquidation-orders" or "data" not in message:
        return []
    return [pair for row in _listed(message["data"]) for pair in _okx_pairs(row)]


def _okx_pairs(row: Any) -> list[Any]:
    try:
        return [(row["instId"], detail) for detail in _listed(row["details"])]
    except UNREADABLE:
        return [row]


def _okx(pair: Any) -> Event:
    market, detail = pair
    return (
        text_of(market),
        _time(detail["ts"]),
        _okx_side(detail),
        _positive(detail["bkPx"]),
        _positive(detail["sz"]),
    )


def _okx_side(detail: Mapping[str, str]) -> str:
    """Accounts in net mode have no `posSide` of their own: there the order's side decides."""
    side = detail.get("posSide")
    return side if side in ("long", "short") else LIQUIDATED_BY[detail["side"].upper()]


def _listed(rows: Any) -> list[Any]:
    if not isinstance(rows, list):
        raise TypeError("no list")
    return rows


def _time(ms: Any) -> int:
    """Whole milliseconds; whether such a time can be is judged by the clock."""
    time = number(ms)
    if not abs(time) < UNREADABLE_MS:
        raise ValueError("no time")
    return int(time)


def _positive(raw: Any) -> float:
    value = number(raw)
    if not 0 < value < float("inf"):
        raise ValueError("no price or amount")
    return value


def _bybit_topics(ids: Sequence[str]) -> list[Any]:
    topics = [f"allLiquidation.{name}" for name in ids]
    return [
        {"op": "subscribe", "args": topics[at : at + ARGUMENTS]} for at in range(0, len(topics), ARGUMENTS)
    ]


STREAMS: Final[Mapping[str, LiquidationStream]] = {
    "binance": LiquidationStream(
        "wss://fstream.binance.com", "/ws/!forceOrder@arr", _binance_rows, _binance, lambda ids: []
    ),
    "bybit": LiquidationStream(
        "wss://stream.bybit.com",
        "/v5/public/linear",
        _bybit_rows,
        _bybit,
        _bybit_topics,
        ping='{"op":"ping"}',
    ),
    "okx": LiquidationStream(
        "wss://ws.okx.com:8443",
        "/ws/v5/public",
        _okx_rows,
        _okx,
        lambda ids: [{"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SWAP"}]}],
        unit=CONTRACTS,
        inverse_unit=CONTRACTS,
        ping="ping",
    ),
}
"""By venue; how much of the liquidations each pushes is `Venue.liquidation_stream`."""
