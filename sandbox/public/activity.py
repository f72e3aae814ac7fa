"""Minute by minute activity of a venue, rebuilt from its tape: open interest, who is long, volume, taker side.

Volume is what traders filled plus the churn of high-frequency traders who end flat, so volume exceeds the change of
open interest in every bar.
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.sandbox.market.ledger import Tape
from liqtruth.sandbox.market.margin_rules import Floats, Ints
from liqtruth.sandbox.market.price import PricePath
from liqtruth.sandbox.market.venue import VenueResult

CHURN_PER_DAY = 0.9


@dataclass(frozen=True)
class Holders:
    """Per minute point and coin: accounts and lots on each side, makers not counted."""

    long_accounts: Ints
    short_accounts: Ints
    long_lots: Ints
    short_lots: Ints


@dataclass(frozen=True)
class Activity:
    """Per minute candle and coin (candle k ends at point k + 1): lots traded, taker-bought lots, trades."""

    volume_lots: Ints
    taker_buy_lots: Ints
    trades: Ints


def holders(result: VenueResult, points: int, among: Ints | None = None) -> Holders:
    """Running totals over the tape, of all traders or of the accounts `among`."""
    tape = result.tape if among is None else result.tape.of(np.isin(result.tape.account, among))
    after = tape.before + tape.lots
    shape = (points, len(result.rules.assets))

    def running(change: Ints) -> Ints:
        grid = np.zeros(shape, np.int64)
        np.add.at(grid, (tape.point, tape.coin), change)
        return np.cumsum(grid, axis=0)

    return Holders(
        long_accounts=running((after > 0).astype(np.int64) - (tape.before > 0)),
        short_accounts=running((after < 0).astype(np.int64) - (tape.before < 0)),
        long_lots=running(np.maximum(after, 0) - np.maximum(tape.before, 0)),
        short_lots=running(np.maximum(-after, 0) - np.maximum(-tape.before, 0)),
    )


def open_interest_lots(holdings: Holders) -> Ints:
    """One side, makers included: they all lean the same way, against the traders' net."""
    return np.maximum(holdings.long_lots, holdings.short_lots)


def minute_activity(
    rng: np.random.Generator, result: VenueResult, path: PricePath, open_lots: Ints
) -> Activity:
    """Fills at their minute plus churn in proportion to open interest, more when the price moves."""
    bought = _filled(result.tape, open_lots.shape, 1)
    sold = _filled(result.tape, open_lots.shape, -1)
    moves = np.diff(np.log(path.mark_units[:, : open_lots.shape[1]]), axis=0)
    pace = np.abs(moves) / np.maximum(np.abs(moves).mean(axis=0), 1e-12)
    noise = np.exp(0.6 * rng.standard_normal(moves.shape) - 0.18)
    churn = open_lots[1:] * (CHURN_PER_DAY / 1440) * (0.35 + 0.65 * pace) * noise
    lean = (
        0.5
        + 0.25 * np.tanh(moves / np.maximum(moves.std(axis=0), 1e-12))
        + 0.06 * rng.standard_normal(moves.shape)
    )
    churn_bought = np.rint(churn * np.clip(lean, 0.05, 0.95)).astype(np.int64)
    volume = bought + sold + np.rint(churn).astype(np.int64)
    trades = 1 + rng.poisson(np.minimum(20 * (0.35 + 0.65 * pace), 500))
    return Activity(volume, np.minimum(bought + churn_bought, volume), np.asarray(trades, dtype=np.int64))


def _filled(tape: Tape, shape: tuple[int, ...], side: int) -> Ints:
    """Lots that traders bought (1) or sold (-1) per minute candle; fills at the very first point join the first."""
    grid = np.zeros((shape[0] - 1, shape[1]), np.int64)
    chosen = np.sign(tape.lots) == side
    np.add.at(grid, (np.maximum(tape.point[chosen] - 1, 0), tape.coin[chosen]), np.abs(tape.lots[chosen]))
    return grid


def top_traders(result: VenueResult, share: float = 0.2) -> Ints:
    """The richest fifth by first deposit, as Binance calls its top traders by margin balance."""
    traders = np.arange(result.people.makers, result.people.size)
    count = max(1, round(share * traders.size))
    return traders[np.argsort(-result.people.equity_usd[traders], kind="stable")[:count]]


def leaning(holdings: Holders, makers: int) -> tuple[Floats, Floats]:
    """Accounts long and short with the makers on the side opposite to the traders' net."""
    net = holdings.long_lots - holdings.short_lots
    return holdings.long_accounts + makers * (net < 0), holdings.short_accounts + makers * (net > 0)
