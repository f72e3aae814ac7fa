"""What accounts do with their collateral once an hour: answer margin calls, add margin, take profits out, start again.

Most accounts leave their margin where it is, so that their distance from liquidation is measured from where they
opened. Those who take profits out (`withdraws`), make up for losses (`refills`) or let their size follow their equity
(`resizes`) go back to the leverage at which they left the position: their distance is measured from the mark, whatever
the entry was.
"""

import numpy as np

from liqtruth.sandbox.market.ledger import MICRO, Ledger
from liqtruth.sandbox.market.listings import Floats, Ints, row_sums
from liqtruth.sandbox.market.population import Population
from liqtruth.sandbox.market.trading import Moment, Plans

MARGIN_CALL = 2.0
TOP_UP_CHANCE = 0.25
CUT_CHANCE = 0.35
RESTART_CHANCE = 0.06
FOLLOW_CHANCE = 0.08
"""Per hour that an account looks whether its leverage is still what it was: twice a day."""
TOLERATED = 1.08
"""Ratio of leverages below which nothing is done."""
LARGEST_STEP = 1.5
"""No position is enlarged by more at once."""
MARGIN_CHANCE = 0.02
"""Per hour that an account which adds margin does so to an isolated position."""


def manage_capital(
    rng: np.random.Generator, people: Population, ledger: Ledger, plans: Plans, rows: Ints, now: Moment
) -> Floats:
    """Collateral of `rows` is changed; returned is what each wants its cross positions multiplied by.

    Margin calls are answered with deposits or by halving positions; broke accounts start again, rich idle ones
    withdraw.
    """
    draw = rng.random(rows.size)
    start = people.equity_usd[rows]
    equity = ledger.cross_equity_usd(now.mark, now.oracle, rows)
    due = ledger.cross_maintenance_usd(now.mark, rows)
    idle = row_sums(ledger.lots[rows] != 0) == 0
    called = (due > 0) & (equity < MARGIN_CALL * due)
    restart = idle & ((equity < 0.3 * start) | (equity > 2.5 * start)) & (draw < RESTART_CHANCE)
    deposits = called & (draw < TOP_UP_CHANCE)
    ledger.deposit(rows, np.where(deposits, 0.3 * start, np.where(restart, start - equity, 0.0)))
    cutting = called & (draw > 1 - CUT_CHANCE)
    if people.adds_margin.any():
        _add_margin(rng, people, ledger, plans, rows, now)
    if people.withdraws.any() or people.refills.any() or people.resizes.any():
        return np.where(cutting, 0.5, np.where(called, 1.0, _follow(rng, people, ledger, plans, rows, now)))
    return np.where(cutting, 0.5, 1.0)


def remember(ledger: Ledger, plans: Plans, rows: Ints, now: Moment) -> None:
    """The leverage at which `rows` stand after their orders."""
    gross, equity = _whole(ledger, rows, now)
    plans.whole[rows] = np.where(equity > 0, gross / np.where(equity > 0, equity, 1.0), 0.0)
    plans.alone[rows] = _alone(ledger, rows, now)


def fund_makers(ledger: Ledger, makers: int, now: Moment, leverage: float = 1.2) -> None:
    """Makers add capital whenever their gross exposure passes `leverage`; half of it to thin isolated margin."""
    rows = np.arange(makers)
    gross = np.abs(ledger.lots[:makers] * now.mark).sum(axis=1) / MICRO
    equity = ledger.cross_equity_usd(now.mark, now.oracle, slice(0, makers))
    ledger.deposit(rows, np.maximum(gross / leverage - equity, 0))
    alone = np.where(ledger.isolated[:makers], np.abs(ledger.lots[:makers] * now.mark), 0)
    own = ledger.isolated_cash[:makers] + np.where(
        ledger.isolated[:makers], ledger.lots[:makers] * now.mark, 0
    )
    short = np.maximum(alone // 2 - own, 0)
    ledger.isolated_cash[:makers] += short
    ledger.cash[:makers] -= short.sum(axis=1)


def _whole(ledger: Ledger, rows: Ints, now: Moment) -> tuple[Floats, Floats]:
    """Gross cross notional and cross equity per account, USD."""
    gross = row_sums(np.abs(ledger.cross_lots(rows) * now.mark)) / MICRO
    return gross, ledger.cross_equity_usd(now.mark, now.oracle, rows)


def _alone(ledger: Ledger, rows: Ints, now: Moment) -> Floats:
    """Leverage of each isolated position at the mark; 0 where there is none."""
    equity = ledger.isolated_equity_usd(now.mark, rows)
    notional = np.abs(ledger.lots[rows] * now.mark) / MICRO
    return np.where(equity > 0, notional / np.where(equity > 0, equity, 1.0), 0.0)


def _free_usd(ledger: Ledger, rows: Ints, now: Moment) -> Floats:
    """Cross equity beyond twice the maintenance that it has to bear."""
    equity = ledger.cross_equity_usd(now.mark, now.oracle, rows)
    return np.maximum(equity - MARGIN_CALL * ledger.cross_maintenance_usd(now.mark, rows), 0.0)


def _add_margin(
    rng: np.random.Generator, people: Population, ledger: Ledger, plans: Plans, rows: Ints, now: Moment
) -> None:
    """A fifth to the whole of what backs an isolated position, as far as the account has it free."""
    draws = rng.random((2, rows.size, now.mark.size))
    chosen = people.adds_margin[rows][:, None] & (draws[0] < MARGIN_CHANCE)
    backing = np.maximum(ledger.isolated_equity_usd(now.mark, rows), 0.0)
    wanted = np.where(chosen, backing * (0.2 + 0.8 * draws[1]), 0.0)
    asked = row_sums(wanted)
    part = np.minimum(1.0, 0.5 * _free_usd(ledger, rows, now) / np.where(asked > 0, asked, 1.0))
    row, coin = np.nonzero(wanted * part[:, None])
    ledger.post(rows[row], coin, (wanted * part[:, None])[row, coin])
    plans.alone[rows[row], coin] = _alone(ledger, rows, now)[row, coin]


def _follow(
    rng: np.random.Generator, people: Population, ledger: Ledger, plans: Plans, rows: Ints, now: Moment
) -> Floats:
    """Profits are taken out of the collateral, losses made up for; returned is by how much size is to follow equity."""
    looks = rng.random(rows.size) < FOLLOW_CHANCE
    gross, equity = _whole(ledger, rows, now)
    wanted = np.where(
        plans.whole[rows] > 0, gross / np.where(plans.whole[rows] > 0, plans.whole[rows], 1.0), 0
    )
    richer = np.where(wanted > 0, equity / np.where(wanted > 0, wanted, 1.0), 1.0)
    out, gained, lost = looks & people.withdraws[rows], richer > TOLERATED, richer < 1 / TOLERATED
    kept = (out & gained) | (looks & people.refills[rows] & lost)
    ledger.deposit(rows, np.where(kept, wanted - equity, 0.0))
    _take_out(ledger, plans, rows[out], now)
    moved = looks & people.resizes[rows] & ~people.withdraws[rows] & ~kept & (gained | lost)
    return np.where(moved, np.clip(richer, 0.5, LARGEST_STEP), 1.0)


def _take_out(ledger: Ledger, plans: Plans, rows: Ints, now: Moment) -> None:
    """Isolated positions in profit give back to the account what they had not when they were left."""
    backing, notional = (
        ledger.isolated_equity_usd(now.mark, rows),
        np.abs(ledger.lots[rows] * now.mark) / MICRO,
    )
    left = plans.alone[rows]
    wanted = np.where(left > 0, notional / np.where(left > 0, left, 1.0), np.inf)
    row, coin = np.nonzero(backing > TOLERATED * wanted)
    ledger.post(rows[row], coin, (wanted - backing)[row, coin])
