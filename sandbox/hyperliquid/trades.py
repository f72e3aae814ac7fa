"""Trades as the exchange writes them, on the socket and in `recentTrades`: both addresses, buyer first."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.decimals import from_units
from liqtruth.sandbox.market.market import Market

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
