"""Who is liquidated inside a window of minutes, and how: the exchange's rules on the sandbox's ledger.

An account-level test for cross margin, a test per position for isolated margin, at every minute mark. A position above
100,000 USD first loses a fifth; below two thirds of maintenance the liquidator vault takes what is left, debt included.
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.sandbox.market.ledger import MICRO, Fills, Ledger
from liqtruth.sandbox.market.listings import Floats, Ints, row_sums
from liqtruth.sandbox.market.population import Flags
from liqtruth.sandbox.market.price import PricePath

PARTIAL_ABOVE_USD = 100_000
PARTIAL_FRACTION = 0.2
BACKSTOP_FRACTION = 2 / 3


@dataclass(frozen=True)
class Window:
    """Consecutive minute points: marks and oracles in price units, rows are points."""

    first_point: int
    mark: Ints
    oracle: Ints

    @classmethod
    def of(cls, path: PricePath, first_point: int, end_point: int) -> "Window":
        span = slice(first_point, end_point)
        return cls(first_point, path.mark_units[span], path.oracle_units[span])


@dataclass(frozen=True)
class Liquidation:
    """Fills of one round; per fill the size before it, the point, and whether the liquidator vault took it over."""

    fills: Fills
    before: Ints
    point: Ints
    backstop: Flags
    isolated: bool


def accounts_at_risk(ledger: Ledger, window: Window, rows: Ints) -> Ints:
    """Those of `rows` that could breach somewhere in the window, every coin at its worst mark at once."""
    low, high = window.mark.min(axis=0), window.mark.max(axis=0)
    lots, isolated = ledger.lots[rows], ledger.isolated[rows]
    worst = lots * np.where(lots > 0, low, high)
    due = ledger.lines.of(rows).maintenance_usd(np.abs(worst) / MICRO)
    net = worst - due * MICRO
    collateral = ledger.collateral_usd(window.oracle.min(axis=0), rows) * MICRO
    cross_net = row_sums(np.where(isolated, 0.0, net))
    cross_risk = (cross_net != 0) & (ledger.cash[rows] + collateral + cross_net < 0)
    isolated_risk = row_sums(isolated & (ledger.isolated_cash[rows] + net < 0) & (lots != 0)) > 0
    return np.asarray(rows[cross_risk | isolated_risk])


def liquidate(ledger: Ledger, window: Window, rows: Ints) -> list[Liquidation]:
    """Liquidate until none of `rows` is below maintenance in the window; the makers' side is the caller's to book."""
    rounds: list[Liquidation] = []
    resume = np.zeros(rows.size, np.int64)
    hit_before = np.zeros(rows.size, np.bool_)
    while rows.size:
        found = _isolated_round(ledger, window, rows) + _cross_round(ledger, window, rows, resume, hit_before)
        if not found:
            break
        rounds += found
    return rounds


def _isolated_round(ledger: Ledger, window: Window, rows: Ints) -> list[Liquidation]:
    """Every isolated position that breaches is closed whole at its first breach."""
    lots, own = ledger.lots[rows][:, None, :], ledger.isolated_cash[rows][:, None, :]
    value = lots * window.mark
    equity = (own + value) / MICRO
    due = ledger.lines.of(rows).over_time().maintenance_usd(np.abs(value) / MICRO)
    breach = (equity < due) & (ledger.isolated[rows] & (ledger.lots[rows] != 0))[:, None, :]
    row, coin = np.nonzero(breach.any(axis=1))
    if not row.size:
        return []
    minute = breach.argmax(axis=1)[row, coin]
    before = ledger.lots[rows[row], coin]
    fills = Fills(rows[row], coin, -before, window.mark[minute, coin])
    ledger.fill(fills, fee_ppm=0)
    wiped = equity[row, minute, coin] < BACKSTOP_FRACTION * due[row, minute, coin]
    _hand_over(ledger, fills.account[wiped], equity[row, minute, coin][wiped])
    return [Liquidation(fills, before, window.first_point + minute, wiped, isolated=True)]


def _cross_round(
    ledger: Ledger, window: Window, rows: Ints, resume: Ints, hit_before: Flags
) -> list[Liquidation]:
    """Each account's next breach; large positions are cut first, then closed, unless the cut rescued it."""
    equity, due = _cross_state(ledger, window, rows)
    later = np.arange(window.mark.shape[0]) >= resume[:, None]
    breach = (equity < due) & later & (due > 0)
    row = np.flatnonzero(breach.any(axis=1))
    if not row.size:
        return []
    minute = breach.argmax(axis=1)[row]
    wiped = equity[row, minute] < BACKSTOP_FRACTION * due[row, minute]
    whole = wiped | hit_before[row]
    fills, breached = _cross_fills(ledger, window, rows[row], minute, whole)
    before = ledger.lots[fills.account, fills.coin]
    ledger.fill(fills, fee_ppm=0)
    _hand_over(ledger, rows[row][wiped], ledger.cash[rows[row][wiped]] / MICRO)
    ledger.collateral_lots[rows[row][wiped]] = 0
    resume[row], hit_before[row] = minute, True
    point = window.first_point + minute[breached]
    return [Liquidation(fills, before, point, wiped[breached], isolated=False)]


def _cross_state(ledger: Ledger, window: Window, rows: Ints) -> tuple[Floats, Floats]:
    """Equity and maintenance per account and point."""
    value = ledger.cross_lots(rows)[:, None, :] * window.mark
    equity = (ledger.cash[rows][:, None] + row_sums(value)) / MICRO
    if ledger.collateral_coin is not None:
        haircut = window.oracle[:, ledger.collateral_coin] * 0.75 / MICRO
        equity = equity + ledger.collateral_lots[rows][:, None] * haircut
    due = row_sums(ledger.lines.of(rows).over_time().maintenance_usd(np.abs(value) / MICRO))
    return equity, due


def _cross_fills(
    ledger: Ledger, window: Window, rows: Ints, minute: Ints, whole: Flags
) -> tuple[Fills, Ints]:
    """The fills, and for each the place of its account in `rows`."""
    lots = ledger.cross_lots(rows)
    px = window.mark[minute]
    large = np.abs(lots * px) > PARTIAL_ABOVE_USD * MICRO
    cut = np.where(large & ~whole[:, None], np.ceil(np.abs(lots) * PARTIAL_FRACTION), np.abs(lots))
    closing = (-np.sign(lots) * cut).astype(np.int64)
    row, coin = np.nonzero(closing)
    return Fills(rows[row], coin, closing[row, coin], px[row, coin]), row


def _hand_over(ledger: Ledger, account: Ints, left_usd: Floats) -> None:
    """What is left in the margin, or owed, goes to the liquidator vault (row 0)."""
    left = np.rint(left_usd * MICRO).astype(np.int64)
    np.subtract.at(ledger.cash, account, left)
    ledger.cash[0] += left.sum()
