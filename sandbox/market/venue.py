"""One venue's history: a population trades the given path on a ledger of its own, step by step.

Within a step the order is: liquidations at every minute mark, funding on its hour, decisions at the step's last mark.
Market makers take the other side of everything, so longs and shorts are equal after every fill. After the history the
venue goes on minute by minute (`minute`), so that its ledger is known at every minute point.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from liqtruth.sandbox.market.collateral import fund_makers, manage_capital, remember
from liqtruth.sandbox.market.ledger import LIQUIDATION, MICRO, TRADE, Fills, Ledger, Tape
from liqtruth.sandbox.market.liquidation import Window, accounts_at_risk, liquidate
from liqtruth.sandbox.market.listings import Asset, Floats, Ints, MarginRules
from liqtruth.sandbox.market.population import PORTFOLIO, Centralised, Flags, Population
from liqtruth.sandbox.market.price import PricePath, reverting, smooth
from liqtruth.sandbox.market.trading import Moment, Orders, Plans, decide

CONTRARIAN = 2.5
LARGEST_SHARE = 0.05
SMALLEST_LIMIT_USD = 20_000.0
FIRST_LARGEST_USD_PER_ACCOUNT = 700.0
FUNDING_HOURS: Final = 8


@dataclass(frozen=True)
class VenueRules:
    """What differs between venues: margin tables per coin, isolated-only coins, hours between fundings; `noise`
    distinguishes the churn of venues that are alike in everything else."""

    assets: tuple[Asset, ...]
    margin: MarginRules
    table: Ints
    isolated_only: Flags
    funding_hours: int
    collateral_coin: int | None = None
    noise: tuple[int, ...] = ()


def rules_of(kind: Centralised, assets: tuple[Asset, ...], people: Population) -> VenueRules:
    """One margin table row per asset."""
    margin = MarginRules.build([kind.tiers] * len(assets), [kind.max_leverage] * len(assets))
    table: Ints = np.tile(np.arange(len(assets)), (people.size, 1))
    isolated_only = np.zeros(len(assets), np.bool_)
    return VenueRules(assets, margin, table, isolated_only, FUNDING_HOURS, noise=kind.noise)


@dataclass(frozen=True)
class PublicTier:
    """One maintenance tier as a venue publishes it; `upper_usd` is None for the last."""

    lower_usd: float
    upper_usd: float | None
    rate: float
    deduction_usd: float
    max_leverage: int


def public_tiers(rules: VenueRules, column: int) -> list[PublicTier]:
    """The tiers that the ledger applies to a coin, lowest first, with the leverage that it allows in each."""
    margin = rules.margin
    lower, rate, deduction = margin.lower_usd[column], margin.rate[column], margin.deduction_usd[column]
    most = int(margin.max_leverage[column])
    uppers = [*(float(bound) for bound in lower[1:]), None]
    return [
        PublicTier(float(low), upper, float(share), float(less), min(most, int(0.5 / share)))
        for low, upper, share, less in zip(lower, uppers, rate, deduction, strict=True)
    ]


@dataclass
class VenueResult:
    """A venue at one moment: accounts as they stand, and all that happened until then."""

    rules: VenueRules
    people: Population
    ledger: Ledger
    tape: Tape
    long_lots: Ints
    short_lots: Ints
    step_points: Ints
    maker_share: Floats

    def until(self, point: int, ledger: Ledger) -> "VenueResult":
        """What had happened by `point`, with the ledger of that moment."""
        steps = int(np.searchsorted(self.step_points, point, side="right"))
        return replace(
            self,
            ledger=ledger,
            tape=self.tape.until(point),
            long_lots=self.long_lots[:steps],
            short_lots=self.short_lots[:steps],
            step_points=self.step_points[:steps],
        )


@dataclass
class Venue:
    """A venue while it runs."""

    rules: VenueRules
    people: Population
    path: PricePath
    step_minutes: int
    rng: np.random.Generator
    ledger: Ledger = field(init=False)
    plans: Plans = field(init=False)
    _watched: Ints = field(init=False)
    _traded: Ints = field(init=False)
    _tape: list[tuple[Ints | Flags, ...]] = field(default_factory=list)
    _open: list[tuple[Ints, Ints]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger.empty(self.rules.margin, self.rules.table, self.rules.collateral_coin)
        self.plans = Plans.none(self.ledger.lots.shape)
        self._activity, self._mood = _climate(self.rng, self.path, self.step_minutes)
        self._maker_share = self.rng.dirichlet(np.full(self.people.makers, 4.0))
        _endow(self.ledger, self.people, self.rules, self.path.oracle_units[0])

    def run(self, steps: int, on_step: Callable[[int], None] | None = None) -> None:
        """The history: `steps` steps from the first point of the path."""
        self._decide(np.arange(self.people.makers, self.people.size), 0, first=True)
        for step in range(1, steps + 1):
            self._step(step)
            if on_step is not None:
                on_step(step)
        self._liquidate(steps * self.step_minutes, steps * self.step_minutes + 1)
        self._open[-1] = self._sides()

    def minute(self, point: int) -> None:
        """One more minute after the history; nobody is below maintenance when it is over."""
        self._liquidate(point, point + 1)
        if point % self.step_minutes:
            return
        self._settle(point // self.step_minutes)
        everybody = np.arange(self.people.makers, self.people.size)
        window = Window.of(self.path, point, point + 1)
        self._book_liquidations(window, accounts_at_risk(self.ledger, window, everybody))
        self._open[-1] = self._sides()

    def fork(self) -> "Venue":
        """This venue as it stands, to go on by itself: the same minutes give the same ledger; its tape starts empty."""
        twin = copy.copy(self)
        twin.ledger, twin.plans, twin.rng = self.ledger.copy(), self.plans.copy(), copy.deepcopy(self.rng)
        twin._watched, twin._traded = self._watched.copy(), self._traded.copy()
        twin._tape, twin._open = [], list(self._open)
        return twin

    def result(self) -> VenueResult:
        """All that happened so far, with the ledger as it stands; not for a fork, whose tape starts late."""
        points = np.arange(1, len(self._open) + 1) * self.step_minutes
        longs, shorts = (np.array(side) for side in zip(*self._open, strict=True))
        tape = self._finished_tape()
        return VenueResult(
            self.rules, self.people, self.ledger, tape, longs, shorts, points, self._maker_share
        )

    def _step(self, step: int) -> None:
        last = step * self.step_minutes
        self._liquidate(last - self.step_minutes + 1, last + 1)
        self._settle(step)

    def _settle(self, step: int) -> None:
        """Funding on its hour, and the decisions of those whose turn it is."""
        last = step * self.step_minutes
        if last % (60 * self.rules.funding_hours) == 0:
            hour = last // 60
            rate = self.path.funding[hour - self.rules.funding_hours : hour].sum(axis=0)
            self.ledger.pay_funding(rate, self.path.oracle_units[last])
        per_hour = 60 // self.step_minutes
        self._decide(np.arange(self.people.makers + step % per_hour, self.people.size, per_hour), step)
        self._open.append(self._sides())

    def _sides(self) -> tuple[Ints, Ints]:
        """Long and short lots per coin, of all accounts."""
        lots = self.ledger.lots
        everybody = np.ones(lots.shape[0])
        longs, shorts = everybody @ np.maximum(lots, 0), -(everybody @ np.minimum(lots, 0))
        return longs.astype(np.int64), shorts.astype(np.int64)

    def _moment(self, step: int, first: bool) -> Moment:
        point = step * self.step_minutes
        mark, oracle = self.path.mark_units[point], self.path.oracle_units[point]
        activity, mood = self._activity[step], self._mood[step] + CONTRARIAN * self._makers_lean()
        return Moment(
            step=step,
            steps_per_hour=60 // self.step_minutes,
            mark=mark,
            oracle=oracle,
            activity=activity,
            mood=mood,
            largest_usd=self._largest_usd(mark),
            isolated_only=self.rules.isolated_only,
            first=first,
        )

    def _largest_usd(self, mark: Ints) -> Floats:
        """A share of open interest, so that no single account is the market; a guess before there is any."""
        if not self._open:
            return np.full(mark.size, FIRST_LARGEST_USD_PER_ACCOUNT * self.people.size)
        return np.maximum(LARGEST_SHARE * self._open[-1][0] * mark / MICRO, SMALLEST_LIMIT_USD)

    def _makers_lean(self) -> Floats:
        """Net size of the makers over open interest: when they are long, funding invites others to be."""
        net = self.ledger.lots[: self.people.makers].sum(axis=0)
        return np.asarray(net / np.maximum(self._open[-1][0], 1)) if self._open else np.zeros(net.size)

    def _decide(self, rows: Ints, step: int, first: bool = False) -> None:
        now = self._moment(step, first)
        resize = manage_capital(self.rng, self.people, self.ledger, self.plans, rows, now)
        orders = decide(self.rng, self.people, self.ledger, self.plans, rows, now, resize)
        self._trade(orders, np.full(orders.opens.size, step * self.step_minutes))
        remember(self.ledger, self.plans, np.unique(orders.fills.account), now)
        fund_makers(self.ledger, self.people.makers, now)

    def _trade(self, orders: Orders, point: Ints) -> None:
        opens = orders.opens
        self.ledger.open_mode(
            orders.fills.account[opens],
            orders.fills.coin[opens],
            orders.isolated[opens],
            orders.leverage[opens],
        )
        at = (orders.fills.account, orders.fills.coin)
        before, isolated = self.ledger.lots[at], self.ledger.isolated[at]
        self.ledger.fill(orders.fills)
        self._traded = orders.fills.account
        self._book(orders.fills, before, point, TRADE, isolated, np.zeros(point.size, np.bool_))

    def _liquidate(self, first_point: int, end_point: int) -> None:
        window = Window.of(self.path, first_point, end_point)
        self._book_liquidations(window, self._endangered(window))

    def _book_liquidations(self, window: Window, endangered: Ints) -> None:
        for done in liquidate(self.ledger, window, endangered):
            isolated = np.full(done.point.size, done.isolated)
            self._book(done.fills, done.before, done.point, LIQUIDATION, isolated, done.backstop)

    def _endangered(self, window: Window) -> Ints:
        """Who could breach in this window: out of those who could within the hour, and those who traded since."""
        if (window.first_point - 1) % 60 == 0:
            hour = Window.of(self.path, window.first_point, window.first_point + 60)
            traders = np.arange(self.people.makers, self.people.size)
            self._watched = accounts_at_risk(self.ledger, hour, traders)
        else:
            self._watched = np.union1d(self._watched, self._traded)
        return accounts_at_risk(self.ledger, window, self._watched)

    def _book(
        self, fills: Fills, before: Ints, point: Ints, kind: int, isolated: Flags, backstop: Flags
    ) -> None:
        """Write the tape and give the makers the other side."""
        if not fills.lots.size:
            return
        kinds, batch = np.full(point.size, kind), np.full(point.size, len(self._tape))
        row = (
            point,
            fills.account,
            fills.coin,
            fills.lots,
            before,
            fills.px,
            kinds,
            batch,
            isolated,
            backstop,
        )
        self._tape.append(row)
        bought = np.zeros(len(self.rules.assets), np.int64)
        spent = np.zeros(len(self.rules.assets), np.int64)
        np.add.at(bought, fills.coin, fills.lots)
        np.add.at(spent, fills.coin, fills.lots * fills.px)
        self._make(bought, spent, self.path.mark_units[point.max()])

    def _make(self, bought: Ints, spent: Ints, px: Ints) -> None:
        """Spread the other side over the makers in fixed shares, so that all of them lean the same way."""
        makers = self.people.makers
        net = self.ledger.lots[:makers].sum(axis=0) - bought
        delta = makers_target(self._maker_share, net) - self.ledger.lots[:makers]
        row, coin = np.nonzero(delta)
        self.ledger.fill(Fills(row, coin, delta[row, coin], px[coin]), fee_ppm=0)
        self.ledger.cash[0] += (spent - bought * px).sum()

    def _finished_tape(self) -> Tape:
        columns = [np.concatenate(column) for column in zip(*self._tape, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return Tape(*(column[order] for column in columns))


def makers_target(share: Floats, net: Ints) -> Ints:
    """Lots of each maker (rows) when all of them together hold `net`, per column; the first takes the rest."""
    target = np.trunc(np.outer(share, net)).astype(np.int64)
    return np.vstack([net - target[1:].sum(axis=0), target[1:]])


def _endow(ledger: Ledger, people: Population, rules: VenueRules, oracle: Ints) -> None:
    """Everybody's first deposit; portfolio-margin accounts hold two fifths of theirs in the collateral coin."""
    coin = rules.collateral_coin
    share = np.where((people.mode == PORTFOLIO) & (coin is not None), 0.4, 0.0)
    ledger.deposit(np.arange(people.size), people.equity_usd * (1 - share))
    if coin is not None:
        ledger.collateral_lots += np.floor(people.equity_usd * share * MICRO / oracle[coin]).astype(np.int64)
    ledger.isolated[: people.makers] = rules.isolated_only
    ledger.leverage[: people.makers] = np.where(rules.isolated_only, 1, 5)


def _climate(rng: np.random.Generator, path: PricePath, step_minutes: int) -> tuple[Floats, Floats]:
    """Per step and coin: how much is opened (waves, more when prices move) and which way people lean."""
    log_px = np.log(path.mark_units[::step_minutes])
    moves = np.diff(log_px, axis=0, prepend=log_px[:1])
    day = 1440 / step_minutes
    variance = smooth(moves**2, day / 6) + 1e-12
    waves = reverting(rng, moves.shape[0], moves.shape[1], day / 2, 0.5)
    activity = np.exp(waves) * np.clip(variance / variance.mean(axis=0), 0.2, 6) ** 0.4
    mood = reverting(rng, moves.shape[0], moves.shape[1], 0.75 * day, 0.6) + 8 * smooth(moves, day) * day
    return activity, np.clip(mood, -1.5, 1.5)
