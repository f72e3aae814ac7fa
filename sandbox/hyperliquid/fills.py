"""Trades as the socket and `recentTrades` write them, and one account's fills as `userFills` and `userFillsByTime` do.

Forced ones carry the `liquidation` object. The counterparty of a liquidation carries the object too, so it is an
account's own only if `liquidatedUser` is that account. The wording of `dir` for liquidations is the reference's
guess; readers should go by the object.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.hyperliquid.protocol import FIRST_OUTCOME_ASSET, OUTCOMES, ProtocolParts
from liqtruth.sandbox.market.ledger import MICRO, TAKER_FEE_PPM
from liqtruth.sandbox.market.listings import from_units
from liqtruth.sandbox.market.market import Market

Json = dict[str, Any]
PAGE: Final = 2000
KEPT: Final = 10_000
NEWEST: Final = 10


def trade_rows(market: Market, rows: Iterable[int], skew_ms: int = 0) -> list[dict[str, Any]]:
    """Rows of `market.trades` on the wire; `skew_ms` is added to their time."""
    trades, assets = market.trades, market.spec.assets
    written = []
    for row in rows:
        asset = assets[trades.coin[row]]
        written.append(
            {
                "coin": asset.name,
                "side": "B" if trades.bought[row] else "A",
                "px": from_units(int(trades.px[row]), 6 - asset.sz_decimals),
                "sz": from_units(int(trades.lots[row]), asset.sz_decimals),
                "time": int(market.path.times_ms[trades.point[row]]) + skew_ms,
                "hash": order_hash(market, int(trades.order[row])),
                "tid": trade_id(market, row),
                "users": [market.addresses[trades.buyer[row]], market.addresses[trades.seller[row]]],
            }
        )
    return written


def recent_trades(market: Market, column: int) -> list[dict[str, Any]]:
    """Newest first."""
    rows = np.flatnonzero(market.trades.coin == column)[-NEWEST:][::-1]
    return trade_rows(market, rows.tolist())


def order_hash(market: Market, order: int) -> str:
    """One transaction hash per order of a taker."""
    return "0x" + hashlib.sha256(f"{market.spec.seed}:{order}".encode()).hexdigest()


def trade_id(market: Market, row: int) -> int:
    """50 bits, as on the exchange."""
    digest = hashlib.sha256(f"{market.spec.seed}/{row}".encode()).hexdigest()
    return int(digest[:13], 16) >> 2


@dataclass
class _Holding:
    """Lots and cost of one coin while fills are replayed; cost is in micro-dollars, negative for shorts."""

    lots: int = 0
    cost: int = 0

    def take(self, lots: int, px: int) -> int:
        """Apply a fill; the realised profit in micro-dollars."""
        closed = min(abs(lots), abs(self.lots)) if lots * self.lots < 0 else 0
        sign = 1 if self.lots > 0 else -1
        freed = round(self.cost * closed / abs(self.lots)) if closed else 0
        opened = lots + sign * closed
        self.lots += lots
        self.cost += opened * px - freed
        return sign * closed * px - freed


def newest_fills(market: Market, row: int, form: ProtocolParts | None = None) -> list[Json]:
    """At most a page, newest first."""
    return _fills(market, row, 0, market.as_of_ms, form or ProtocolParts())[-PAGE:][::-1]


def fills_by_time(market: Market, row: int, start_ms: int, end_ms: int, form: ProtocolParts) -> list[Json]:
    """Oldest first from `start_ms`, at most a page; only the newest ten thousand of an account are kept."""
    return _fills(market, row, start_ms, end_ms, form)[:PAGE]


def fill_of(market: Market, account: int, row: int, form: ProtocolParts) -> Json:
    """One side of the trade, no other one replayed: nothing was held before, but by the account that is liquidated."""
    trades = market.trades
    lots = int(trades.lots[row]) * (1 if trades.buyer[row] == account else -1)
    return _fill(market, account, row, lots, -lots if trades.liquidated[row] == account else 0, 0, form)


def _fills(market: Market, account: int, start_ms: int, end_ms: int, form: ProtocolParts) -> list[Json]:
    trades = market.trades
    rows = np.flatnonzero((trades.buyer == account) | (trades.seller == account))
    times = market.path.times_ms[trades.point[rows]]
    kept = (times >= max(start_ms, int(market.path.times_ms[market.first_point]))) & (times <= end_ms)
    kept[: max(0, rows.size - KEPT)] = False
    holdings = [_Holding() for _ in market.spec.assets]
    signs = np.where(trades.buyer[rows] == account, 1, -1)
    columns = (rows, trades.coin[rows], signs * trades.lots[rows], trades.px[rows], kept)
    written = []
    for row, coin, lots, px, shown in zip(*(column.tolist() for column in columns), strict=True):
        before = holdings[coin].lots
        profit = holdings[coin].take(lots, px)
        if shown:
            written.append(_fill(market, account, row, lots, before, profit, form))
    return [*([_outcome_fill(written[0])] if form.outcomes and written else []), *written]


def _outcome_fill(beside: Json) -> Json:
    """A trade of an outcome at the time of another one."""
    number = OUTCOMES[0]
    changed = {"coin": f"#{number}", "px": "0.37", "sz": "25.0", "startPosition": "0.0", "closedPnl": "0.0"}
    kept = {name: value for name, value in beside.items() if name != "liquidation"}
    return {**kept, **changed, "dir": "Buy", "oid": FIRST_OUTCOME_ASSET + number, "tid": number}


def _fill(
    market: Market, account: int, row: int, lots: int, before: int, profit: int, form: ProtocolParts
) -> Json:
    trades, asset = market.trades, market.spec.assets[market.trades.coin[row]]
    forced, px_text = int(trades.liquidated[row]), from_units(int(trades.px[row]), 6 - asset.sz_decimals)
    fill: Json = {
        "coin": asset.name,
        "px": px_text,
        "sz": from_units(abs(lots), asset.sz_decimals),
        "side": "B" if lots > 0 else "A",
        "time": int(market.path.times_ms[trades.point[row]]),
        "startPosition": from_units(before, asset.sz_decimals),
        "dir": _direction(lots, before, _forced_mode(market, row) if forced == account else None),
        "closedPnl": from_units(profit, 6),
        "hash": order_hash(market, int(trades.order[row])),
        "oid": int(trades.order[row]) + 1,
        "crossed": bool(trades.bought[row]) == (lots > 0),
        "fee": from_units(_fee(market, account, row), 6),
        "tid": trade_id(market, row),
        "feeToken": "USDC",
        "feeTrialEscrow": "0.0",
        "twapId": None,
    }
    if forced >= 0:
        method = "backstop" if trades.backstop[row] else "market"
        user = market.addresses[forced]
        named = {"liquidatedUser": user} if form.names_liquidated(forced == account) else {}
        fill["liquidation"] = {**named, "markPx": px_text, "method": method}
    return fill


def _fee(market: Market, account: int, row: int) -> int:
    """Traders pay the taker fee, makers none, and a liquidation costs none."""
    trades = market.trades
    if account < market.hyperliquid.people.makers or trades.liquidated[row] >= 0:
        return 0
    return int(trades.lots[row]) * int(trades.px[row]) * TAKER_FEE_PPM // MICRO


def _forced_mode(market: Market, row: int) -> str:
    return "Isolated" if market.trades.isolated[row] else "Cross"


def _direction(lots: int, before: int, forced: str | None) -> str:
    side = "Long" if before > 0 or (before == 0 and lots > 0) else "Short"
    if forced is not None:
        return f"Liquidated {forced} {side}"
    after = before + lots
    if before * after < 0:
        return "Long > Short" if before > 0 else "Short > Long"
    return f"{'Open' if abs(after) > abs(before) else 'Close'} {side}"
