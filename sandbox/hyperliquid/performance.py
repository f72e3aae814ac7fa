"""Profit and volume of every account over the exchange's four windows, for the leaderboard and the vaults.

Profit is what positions gained on their marks and fills; fees and funding are left out. `allTime` is all that was
simulated, warm-up included.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.sandbox.market.ledger import MICRO
from liqtruth.sandbox.market.margin_rules import Floats
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.price import MINUTES_PER_DAY

WINDOWS: Final = {"day": 1, "week": 7, "month": 30, "allTime": None}


@dataclass(frozen=True)
class Performance:
    """Per account, in USD."""

    pnl: Floats
    volume: Floats


def account_values(market: Market) -> Floats:
    """Cross equity and isolated equities of every account, in USD."""
    ledger, path = market.hyperliquid.ledger, market.path
    mark, oracle = path.mark_units[-1], path.oracle_units[-1]
    return np.asarray(ledger.cross_equity_usd(mark, oracle) + ledger.isolated_equity_usd(mark).sum(axis=1))


def performance(market: Market) -> dict[str, Performance]:
    """By window."""
    return {name: _since(market, _first_point(market, days)) for name, days in WINDOWS.items()}


def _first_point(market: Market, days: int | None) -> int:
    return -1 if days is None else max(market.point - days * MINUTES_PER_DAY, -1)


def _since(market: Market, point: int) -> Performance:
    """Value now less value at `point` less what was paid in between; nothing was held before the first point."""
    trades, mark = market.trades, market.path.mark_units
    accounts = len(market.addresses)
    later = trades.of(np.flatnonzero(trades.point > point))
    value = later.lots * later.px / MICRO
    paid = _per_account(later.buyer, value, accounts) - _per_account(later.seller, value, accounts)
    # What was traded since is worth its lots at today's mark; what was held before moved with the mark.
    gained = later.lots * mark[-1][later.coin] / MICRO
    bought = _per_account(later.buyer, gained, accounts) - _per_account(later.seller, gained, accounts)
    held = market.hyperliquid.ledger.lots.copy()
    np.subtract.at(held, (later.buyer, later.coin), later.lots)
    np.add.at(held, (later.seller, later.coin), later.lots)
    moved = held @ (mark[-1] - mark[max(point, 0)]) / MICRO
    volume = _per_account(later.buyer, value, accounts) + _per_account(later.seller, value, accounts)
    return Performance(np.asarray(bought - paid + moved), volume)


def _per_account(account: np.ndarray, usd: Floats, accounts: int) -> Floats:
    return np.asarray(np.bincount(account, usd, minlength=accounts))
