"""What accounts decide once an hour: open, add, trim, take profit, stop, close, top up.

Reads the ledger and answers with orders; never fills them. Decisions are drawn per account and coin, all at once.
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.sandbox.market.ledger import MICRO, Fills, Ledger
from liqtruth.sandbox.market.listings import Floats, Ints, row_sums
from liqtruth.sandbox.market.population import Flags, Population

HOLD_SIGMA = 1.1
TRIM_CHANCE = 0.006
SMALLEST_ORDER_USD = 25.0
MARGIN_USE = 0.45
TIERS = np.array([1.0, 2, 3, 5, 10, 20, 25, 40, 50, 75, 100])
"""Leverage settings of those who choose in steps."""


@dataclass
class Plans:
    """What holders intend with each open position: when to leave, where to stop, where to take profit; and the leverage
    at which they last left their cross account (`whole`) and each isolated position (`alone`)."""

    expires: Ints
    stop: Floats
    take: Floats
    whole: Floats
    alone: Floats

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> "Plans":
        never = np.full(shape, np.inf)
        return cls(np.zeros(shape, np.int64), never, never.copy(), np.zeros(shape[0]), np.zeros(shape))

    def copy(self) -> "Plans":
        return Plans(*(getattr(self, name).copy() for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Moment:
    """The market as seen by those who decide now; `mood` > 0 leans long, `activity` multiplies entries, nobody's
    position in a coin grows beyond `largest_usd`."""

    step: int
    steps_per_hour: int
    mark: Ints
    oracle: Ints
    activity: Floats
    mood: Floats
    largest_usd: Floats
    isolated_only: Flags
    first: bool = False


@dataclass(frozen=True)
class Intent:
    """Which coins an account wants to open, and where it adds to what it has: `more` of it, nan where it has no figure
    in mind."""

    opening: Flags
    adding: Flags
    more: Floats


@dataclass(frozen=True)
class Orders:
    """Fills wanted now, and the settings of those that open a position."""

    fills: Fills
    opens: Flags
    isolated: Flags
    leverage: Ints


def decide(
    rng: np.random.Generator,
    people: Population,
    ledger: Ledger,
    plans: Plans,
    rows: Ints,
    now: Moment,
    resize: Floats,
) -> Orders:
    """Orders of `rows`; what they hold on cross is to be `resize` times as much. Plans of positions that open are
    written."""
    draws = rng.random((4, rows.size, now.mark.size))
    lots = ledger.lots[rows]
    leaving = _leaving(ledger, plans, rows, now, draws)
    flat = lots == 0
    whole = ~ledger.isolated[rows] & ~flat
    less = np.where(whole, 1 - resize[:, None], 0.0)
    leaving = np.where(less > 0, np.maximum(leaving, less), leaving)
    more = np.where(less < 0, -less, np.nan)
    opening = flat & (draws[2] < _entry_chance(people, rows, now))
    adding = ~flat & (leaving == 0) & ((draws[3] < people.adds_per_hour[rows][:, None]) | (less < 0))
    left, coin = np.nonzero(leaving)
    sold = -np.sign(lots[left, coin]) * np.ceil(np.abs(lots[left, coin]) * leaving[left, coin]).astype(
        np.int64
    )
    busy = np.flatnonzero(row_sums(opening | adding))
    intent = Intent(opening[busy], adding[busy], more[busy])
    larger = _enlarge(rng, people, ledger, plans, rows[busy], now, intent)
    exits = Fills(rows[left], coin, sold, now.mark[coin])
    return _joined(exits, larger)


def _joined(exits: Fills, more: Orders) -> Orders:
    nothing = np.zeros(exits.lots.size, np.int64)
    fills = Fills(
        np.concatenate([exits.account, more.fills.account]),
        np.concatenate([exits.coin, more.fills.coin]),
        np.concatenate([exits.lots, more.fills.lots]),
        np.concatenate([exits.px, more.fills.px]),
    )
    return Orders(
        fills,
        np.concatenate([nothing > 0, more.opens]),
        np.concatenate([nothing > 0, more.isolated]),
        np.concatenate([nothing, more.leverage]),
    )


def _enlarge(
    rng: np.random.Generator,
    people: Population,
    ledger: Ledger,
    plans: Plans,
    rows: Ints,
    now: Moment,
    intent: Intent,
) -> Orders:
    """Openings and additions of the accounts that want any."""
    draws = rng.random((6, rows.size, now.mark.size))
    noise = rng.standard_normal((2, rows.size, now.mark.size))
    wanted, isolated, leverage = _wanted_usd(people, ledger, rows, now, intent, draws, noise[0])
    bought = np.floor(wanted * MICRO / now.mark).astype(np.int64)
    leaning = people.long_bias[rows][:, None] + now.mood
    chosen = np.where(draws[3] < 1 / (1 + np.exp(-leaning)), 1, -1)
    delta = np.where(intent.opening, chosen, np.sign(ledger.lots[rows])) * bought
    row, coin = np.nonzero(delta)
    opens = intent.opening[row, coin]
    _plan(people, plans, (rows[row], coin), opens, now, draws[4:6, row, coin], noise[1][row, coin])
    fills = Fills(rows[row], coin, delta[row, coin], now.mark[coin])
    return Orders(fills, opens, isolated[row, coin], leverage[row, coin])


def _entry_chance(people: Population, rows: Ints, now: Moment) -> Floats:
    """Per hourly decision; at the very start everybody has had a few weeks to open something."""
    hourly = people.entries_per_day[rows][:, None] / 24 * people.preference[rows] * now.activity
    if now.first:
        occupied = hourly * people.hold_hours[rows][:, None] * np.exp(HOLD_SIGMA**2 / 2)
        return np.asarray(occupied / (1 + occupied))
    return np.asarray(hourly)


def _leaving(ledger: Ledger, plans: Plans, rows: Ints, now: Moment, draws: Floats) -> Floats:
    """Fraction of each position to sell now: all at the end of its time or a stop, half at some targets."""
    cost = ledger.cost[rows]
    gain = (ledger.lots[rows] * now.mark - cost) / np.maximum(np.abs(cost), 1)
    is_open = ledger.lots[rows] != 0
    taken = gain > plans.take[rows]
    over = (plans.expires[rows] <= now.step) | (gain < -plans.stop[rows]) | taken
    fraction = np.where(over, np.where(taken & (draws[0] < 0.4), 0.5, 1.0), 0.0)
    fraction = np.where((fraction == 0) & (draws[1] < TRIM_CHANCE), 0.3, fraction)
    return np.where(is_open, fraction, 0.0)


def _wanted_usd(
    people: Population,
    ledger: Ledger,
    rows: Ints,
    now: Moment,
    intent: Intent,
    draws: Floats,
    noise: Floats,
) -> tuple[Floats, Flags, Ints]:
    """Notional to buy, whether isolated, and the leverage setting; margin in use stays below `MARGIN_USE`."""
    opening = intent.opening
    equity = ledger.cross_equity_usd(now.mark, now.oracle, rows)[:, None]
    due = ledger.cross_maintenance_usd(now.mark, rows)[:, None]
    free = np.maximum(equity - 2 * due, 0) / np.maximum(row_sums(opening), 1)[:, None]
    position_usd = np.abs(ledger.lots[rows] * now.mark) / MICRO
    target = _target(people, ledger, rows, noise)
    alone = (draws[0] < people.isolated_share[rows][:, None]) | now.isolated_only
    isolated = np.where(opening, alone, ledger.isolated[rows])
    alone_usd = free * (0.1 + 0.4 * draws[1]) * np.maximum(np.rint(target), 1)
    used = people.used[rows][:, None]
    shared_usd = np.maximum(target * used * equity - row_sums(position_usd)[:, None], 0)
    opened_usd = np.where(isolated, alone_usd, shared_usd)
    more = np.where(np.isnan(intent.more), 0.2 + 0.4 * draws[1], intent.more)
    added_usd = np.where(intent.adding, position_usd * more, 0.0)
    wanted = np.minimum(
        np.where(opening, opened_usd, added_usd), np.maximum(now.largest_usd - position_usd, 0)
    )
    wanted, rate = _affordable(ledger, rows, wanted, position_usd, equity, due)
    allowed = np.maximum(np.floor(np.minimum(ledger.max_leverage[rows], 0.5 / rate)), 1)
    exactly = isolated | people.tiered[rows][:, None]
    asked = np.where(exactly, np.rint(target), np.ceil(1.2 * target * used + 15 * draws[2] ** 2))
    setting = np.where(opening, np.clip(asked, 1, allowed), ledger.leverage[rows]).astype(np.int64)
    wanted = np.where(isolated, np.minimum(wanted, 0.8 * free * setting), wanted)
    return np.where(wanted >= SMALLEST_ORDER_USD, wanted, 0.0), isolated, setting


def _target(people: Population, ledger: Ledger, rows: Ints, noise: Floats) -> Floats:
    """Leverage that each account has in mind per coin, at most what the coin allows; in steps where it is tiered."""
    target = people.leverage_median[rows] * np.exp(people.leverage_sigma[rows][:, None] * noise)
    tiered = people.tiered[rows]
    if tiered.any():
        place = np.searchsorted(np.sqrt(TIERS[1:] * TIERS[:-1]), target)
        target = np.where(tiered[:, None], TIERS[place], target)
    return np.asarray(np.clip(target, 0.2, ledger.max_leverage[rows]))


def _affordable(
    ledger: Ledger, rows: Ints, wanted: Floats, position_usd: Floats, equity: Floats, due: Floats
) -> tuple[Floats, Floats]:
    """Orders cut so that maintenance stays below the permitted share of equity; and the rate that then applies."""
    lines = ledger.lines.of(rows)
    after = np.maximum(position_usd + wanted, 1e-6)
    rate = lines.maintenance_usd(after) / after
    budget = np.maximum(MARGIN_USE * equity - due, 0)
    asked = np.maximum(row_sums(wanted * lines.rate[-1]), 1e-9)[:, None]
    return wanted * np.minimum(1, budget / asked), rate


def _plan(
    people: Population,
    plans: Plans,
    at: tuple[Ints, Ints],
    opens: Flags,
    now: Moment,
    draws: Floats,
    noise: Floats,
) -> None:
    """Holding time, stop and target of the positions that open."""
    where = (at[0][opens], at[1][opens])
    hours = people.hold_hours[where[0]] * np.exp(HOLD_SIGMA * noise[opens])
    if now.first:
        hours *= draws[0][opens]
    plans.expires[where] = now.step + np.maximum(hours * now.steps_per_hour, 1).astype(np.int64)
    stops = draws[0][opens] < people.stop_share[where[0]]
    width = 0.3 / np.maximum(people.leverage_median[where], 1.5) * np.exp(0.5 * noise[opens])
    plans.stop[where] = np.where(stops, width, np.inf)
    plans.take[where] = np.where(draws[1][opens] < 0.5, 2 * width, np.inf)
