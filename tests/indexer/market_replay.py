"""Replays a synthetic market, so that what a reader knows can be compared with what is true at that moment.

Rows are addresses of the universe: the sandbox's accounts, then `dormant` ones that never hold anything, as most do on
a real exchange. Columns are the market's coins. A reading costs 2 weight, and 2 more where the account holds cross
positions, as in `indexer.sweep.sweep`.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.indexer.discovery.size_prior import PRIOR, SizePrior, hint_columns, probes
from liqtruth.indexer.watch.scheduler import Candidates, choose
from liqtruth.indexer.watch.tape_positions import TapePositions
from liqtruth.sandbox.hyperliquid.accounts import AccountBook
from liqtruth.sandbox.hyperliquid.directory import Directory, account_values, performance
from liqtruth.sandbox.live import Live
from liqtruth.sandbox.market.ledger import MICRO
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.market.matching import Trades
from liqtruth.sandbox.market.roles import draw_roles
from liqtruth.sandbox.truth import open_positions
from tests.markets import market_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

RANGE: Final = float(np.log(2.0))
"""Log distance up to which maps are compared; what lies beyond, or is never liquidated, is booked there."""
BATCH_WEIGHT: Final = 200.0


@dataclass(frozen=True)
class Truth:
    """What every account holds at one moment; `liq_px` is nan where there is no position or no price liquidates it."""

    now_s: float
    szi: Floats
    liq_px: Floats
    mark_px: Floats
    weight: Ints

    @property
    def usd(self) -> Floats:
        return np.asarray(np.abs(self.szi) * self.mark_px)

    @property
    def account_usd(self) -> Floats:
        return np.asarray(self.usd.sum(axis=1))

    def weight_to(self, order: Ints, share: float) -> float:
        """Weight spent when accounts are read in this order until `share` of all notional was read; inf if never."""
        read_usd = np.cumsum(self.account_usd[order])
        place = int(np.searchsorted(read_usd, share * self.account_usd.sum()))
        return float(self.weight[order[: place + 1]].sum()) if place < order.size else np.inf

    @property
    def oracle_order(self) -> Ints:
        """Most notional per weight first: nobody who reads whole accounts can do better."""
        return np.asarray(np.argsort(-self.account_usd / self.weight, kind="stable"))


@dataclass
class Replay:
    """One market, and how far it went."""

    market: Market
    dormant: int
    live: Live = field(init=False)

    def __post_init__(self) -> None:
        self.live = Live(self.market)

    @classmethod
    def of(cls, seed: int, accounts: int, live_hours: int, dormant: int, days: int = 7) -> "Replay":
        spec = MarketSpec(seed=seed, accounts=accounts, days=days, cex_accounts=10, live_hours=live_hours)
        return cls(market_of(spec), dormant)

    @property
    def size(self) -> int:
        """Addresses of the universe."""
        return self.market.hyperliquid.people.size + self.dormant

    @property
    def coins(self) -> int:
        return len(self.market.spec.assets)

    @property
    def now_s(self) -> float:
        return self.live.market.point * 60.0

    def advance(self, minutes: int) -> Trades:
        """Let time pass; the trades of that time."""
        before = self.live.market.point
        trades = self.live.advance_to(before + minutes).trades
        return trades.of(np.flatnonzero(trades.point > before))

    def truth(self) -> Truth:
        market, shape = self.live.market, (self.size, self.coins)
        ledger = market.hyperliquid.ledger
        szi, liq_px, weight = np.zeros(shape), np.full(shape, np.nan), np.full(self.size, 2)
        holdings = open_positions(market, market.hyperliquid)
        szi[holdings.account, holdings.coin] = holdings.exposure.szi
        liq_px[holdings.account, holdings.coin] = holdings.liq_px
        cross = ((ledger.lots != 0) & ~ledger.isolated).any(axis=1)
        weight[: cross.size] += 2 * cross
        return Truth(self.now_s, szi, liq_px, market.path.mark_units[-1] / self.px_scale, weight)

    @property
    def px_scale(self) -> Floats:
        return np.array([asset.px_scale for asset in self.market.spec.assets], float)

    @property
    def lot_scale(self) -> Floats:
        return np.array([asset.lot_scale for asset in self.market.spec.assets], float)

    def note_trades(self, sizes: TapePositions, trades: Trades) -> None:
        """Hand trades to the sizes by the tape as the tape would."""
        sz, px = trades.lots / self.lot_scale[trades.coin], trades.px / self.px_scale[trades.coin]
        sizes.note_trades(trades.buyer, trades.seller, trades.coin, sz, px, trades.point * 60.0)


@dataclass(frozen=True)
class Hints:
    """What is known of a market before its first account is read: `columns` for `SizePrior`, and who is named."""

    columns: Floats
    named: Flags


def hour_of_hints(replay: Replay, board_share: float | None, looks: int = 2) -> Hints:
    """One hour of tape and the leaderboard, looked at once (at its end) or twice (at both ends of the hour).

    `board_share` None takes the sandbox's own leaderboard (profitable accounts, a quarter of holders); a number takes
    the richest of that share of all accounts. Vaults and sub-accounts are on neither.
    """
    before = performance(replay.live.market)["allTime"].pnl
    trades = replay.advance(60)
    market = replay.live.market
    done, real = performance(market), market.hyperliquid.people.size
    listed = _listed(market, board_share)
    board = {
        "account_value_usd": account_values(market),
        "profit_usd": np.abs(done["day"].pnl),
        "volume_usd": done["week"].volume,
        "moved_usd": np.abs(done["allTime"].pnl - before) if looks > 1 else np.full(real, np.nan),
    }
    reported = {name: np.full(replay.size, np.nan) for name in (*board, "traded_usd")}
    for name, values in board.items():
        reported[name][:real][listed] = values[listed]
    net = np.zeros((replay.size, replay.coins))
    value = trades.lots * trades.px / MICRO
    np.add.at(net, (trades.buyer, trades.coin), value)
    np.subtract.at(net, (trades.seller, trades.coin), value)
    seen = np.union1d(trades.buyer, trades.seller)
    reported["traded_usd"][seen] = np.abs(net).sum(axis=1)[seen]
    named = ~np.isnan(reported["account_value_usd"]) | ~np.isnan(reported["traded_usd"])
    return Hints(hint_columns(**reported), named)


def _listed(market: Market, share: float | None) -> Flags:
    roles = draw_roles(market)
    listed = np.zeros(len(market.addresses), np.bool_)
    if share is None:
        listed[Directory(market, AccountBook(market), roles)._listed()] = True
        return listed
    values = account_values(market)
    listed[values > np.quantile(values, 1 - share)] = True
    listed[list(roles.master_of)] = False
    listed[[vault.row for vault in roles.vaults.values() if vault.row is not None]] = False
    return listed


def round_robin_order(size: int, seed: int = 0) -> Ints:
    """Every address of the universe once, in an order that knows nothing."""
    return np.asarray(np.random.default_rng(seed).permutation(size))


def cold_order(truth: Truth, hints: Hints) -> Ints:
    """The order in which our scheduler reads a market it knows by hints alone, learning from what it reads."""
    size = truth.weight.size
    size_prior = SizePrior(PRIOR)
    read_s, read_usd = np.full(size, np.nan), np.zeros(size)
    first = probes(hints.columns, np.zeros(size))
    read_s[first], read_usd[first] = truth.now_s, truth.account_usd[first]
    order: list[Ints] = [first]
    learned = 0
    while np.isnan(read_s).any():
        seen = np.flatnonzero(~np.isnan(read_s))
        if seen.size > max(100, 1.1 * learned):
            learned = seen.size
            size_prior.learn(hints.columns[seen], read_usd[seen])
        expected = size_prior.expected_usd(hints.columns)
        rows = choose(_unread(read_s, expected, np.full(size, 4)), BATCH_WEIGHT, truth.now_s)
        rows = rows[np.isnan(read_s[rows])]
        read_s[rows], read_usd[rows] = truth.now_s, truth.account_usd[rows]
        order.append(rows)
    return np.concatenate(order)


def kept_book(replay: Replay, minutes: int) -> tuple[Truth, Floats, Ints]:
    """Read all, then let time pass with nothing but the tape: the truth then, sizes by the book, weights as read."""
    reader, truth = Reader.of(replay), replay.truth()
    reader.read(np.arange(replay.size), truth)
    replay.note_trades(reader.sizes, replay.advance(minutes))
    now = replay.truth()
    reader.sizes.mark(now.mark_px)
    return now, reader.sizes.size_usd, reader.weight


def warm_order(truth: Truth, book_usd: Floats, book_weight: Ints) -> Ints:
    """The order in which our scheduler reads accounts of which it knows former positions."""
    unread = np.full(book_usd.size, np.nan)
    return choose(_unread(unread, np.maximum(book_usd, 1.0), book_weight), np.inf, truth.now_s)


def _unread(read_s: Floats, expected_usd: Floats, weight: Ints) -> Candidates:
    """Candidates of which those read hold nothing that would be misplaced: time stands still."""
    none = np.zeros(read_s.size)
    return Candidates(
        size_usd=none,
        traded_usd=none,
        expected_usd=expected_usd,
        distance=np.full(read_s.size, np.inf),
        dirty_since_s=np.full(read_s.size, np.nan),
        read_s=read_s,
        weight=weight,
    )


@dataclass
class Reader:
    """A reader's knowledge: last readings with their levels, and sizes kept up by the tape."""

    sizes: TapePositions
    liq_px: Floats
    weight: Ints
    spent: float = 0.0

    @classmethod
    def of(cls, replay: Replay) -> "Reader":
        shape = (replay.size, replay.coins)
        return cls(TapePositions.of(*shape), np.full(shape, np.nan), np.full(replay.size, 2))

    def read(self, rows: Ints, truth: Truth) -> None:
        row, coin = np.nonzero(truth.szi[rows])
        row = rows[row]
        self.sizes.note_reads(rows, np.full(rows.size, truth.now_s), row, coin, truth.szi[row, coin])
        self.liq_px[rows], self.weight[rows] = truth.liq_px[rows], truth.weight[rows]
        self.spent += float(truth.weight[rows].sum())

    def seen(self) -> tuple[Floats, Floats]:
        """Sizes and levels of the map: what was opened or turned round since its reading has no level yet."""
        szi = np.zeros(self.liq_px.shape)
        same = np.sign(self.sizes.szi) == np.sign(self.sizes.read_szi)
        key = self.sizes.key[same]
        szi[key >> 20, key & (2**20 - 1)] = self.sizes.szi[same]
        return szi, self.liq_px

    def candidates(self, truth: Truth) -> Candidates:
        szi, liq_px = self.seen()
        away = np.where((szi != 0) & ~np.isnan(liq_px), np.abs(np.log(liq_px / truth.mark_px)), np.inf)
        return Candidates(
            size_usd=self.sizes.size_usd,
            traded_usd=self.sizes.traded_usd,
            expected_usd=np.full(self.weight.size, 150.0),
            distance=away.min(axis=1),
            dirty_since_s=self.sizes.dirty_since_s,
            read_s=self.sizes.read_s,
            weight=self.weight,
        )


@dataclass
class RoundRobin:
    """Reads one list again and again, as far as the budget goes each time."""

    order: Ints
    place: int = 0

    def next(self, truth: Truth, budget_weight: float) -> Ints:
        turned = np.roll(self.order, -self.place)
        rows = turned[np.cumsum(truth.weight[turned]) <= budget_weight]
        self.place = (self.place + rows.size) % self.order.size
        return rows


@dataclass(frozen=True)
class MapError:
    """`wasserstein_pct`: of shares, as in `compare`; `displaced_pct`: of notional, what is unseen counts as lying at
    `RANGE`. Both in percent of price, averaged over coins and sides by true notional."""

    wasserstein_pct: float
    displaced_pct: float


def map_error(truth: Truth, szi: Floats, liq_px: Floats) -> MapError:
    """Wasserstein-1 of the map of (szi, liq_px) to the true one."""
    normal, displaced = 0.0, 0.0
    for coin, mark_px in enumerate(truth.mark_px):
        for side in (1, -1):
            true = _levels(truth.szi[:, coin], truth.liq_px[:, coin], mark_px, side)
            seen = _levels(szi[:, coin], liq_px[:, coin], mark_px, side)
            mass = true[1].sum()
            displaced += _area(true, seen)
            normal += mass * _area(_shares(true), _shares(seen)) if seen[1].sum() else mass * RANGE
    total = truth.usd.sum()
    return MapError(100 * normal / total, 100 * displaced / total)


Levels = tuple[Floats, Floats]


def _levels(szi: Floats, liq_px: Floats, mark_px: float, side: int) -> Levels:
    """Log distances of one side's levels, within 0 and `RANGE`, and their notional."""
    holdings = np.sign(szi) == side
    away = side * np.log(mark_px / liq_px[holdings])
    return np.clip(np.nan_to_num(away, nan=RANGE), 0.0, RANGE), np.abs(szi[holdings]) * mark_px


def _shares(levels: Levels) -> Levels:
    return levels[0], levels[1] / max(levels[1].sum(), 1e-12)


def _area(a: Levels, b: Levels) -> float:
    """Between the cumulative masses, from the mark to `RANGE`."""
    at, mass = np.concatenate([a[0], b[0]]), np.concatenate([a[1], -b[1]])
    order = np.argsort(at, kind="stable")
    gap = np.abs(np.cumsum(mass[order]))
    return float((gap * np.diff(at[order], append=RANGE)).sum())


@dataclass(frozen=True)
class Errors:
    """Map errors of both policies at every step of a run, and the weight that each spent."""

    ours: list[MapError]
    round_robin: list[MapError]
    spent: tuple[float, float]

    def ratio(self, name: str, skip: int) -> float:
        """Mean error of ours over that of round-robin, without the first `skip` steps."""
        ours, theirs = (
            np.mean([getattr(error, name) for error in run[skip:]]) for run in (self.ours, self.round_robin)
        )
        return float(ours / theirs)


def run_continuously(replay: Replay, hours: int, cycle_hours: float, step_minutes: int = 10) -> Errors:
    """From a map read whole just now, both policies with the same budget: one that reads the list in `cycle_hours`."""
    truth = replay.truth()
    budget = float(truth.weight.sum()) * step_minutes / 60 / cycle_hours
    mine, other = Reader.of(replay), Reader.of(replay)
    for reader in (mine, other):
        reader.read(np.arange(replay.size), truth)
        reader.spent = 0.0
    turn = RoundRobin(round_robin_order(replay.size))
    ours, theirs = [], []
    for step in range(1, hours * 60 // step_minutes + 1):
        trades = replay.advance(step_minutes)
        truth = replay.truth()
        for reader in (mine, other):
            replay.note_trades(reader.sizes, trades)
            reader.sizes.mark(truth.mark_px)
        # What a reading cost more or less than was known before is made up for in the next step.
        left = step * budget - mine.spent
        mine.read(choose(mine.candidates(truth), left, truth.now_s), truth)
        other.read(turn.next(truth, step * budget - other.spent), truth)
        ours.append(map_error(truth, *mine.seen()))
        theirs.append(map_error(truth, *other.seen()))
    return Errors(ours, theirs, (mine.spent, other.spent))
