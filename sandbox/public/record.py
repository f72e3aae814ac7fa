"""The public record of one venue, rebuilt from its tape: activity by the minute, open interest, candles by interval.

Volume is what traders filled plus the churn of high-frequency traders who end flat, so volume exceeds the change of
open interest in every bar. A record is computed once per market. Of a market that goes on, the record of the whole is
computed and cut where the market stands, so that what was published once stays as it was.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from liqtruth.sandbox.market.ledger import Tape
from liqtruth.sandbox.market.listings import Floats, Ints
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.price import PricePath
from liqtruth.sandbox.market.venue import VenueResult

CHURN_PER_DAY = 0.9
MINUTE_MS: Final = 60_000
INTERVAL_MS: Final = {
    name: minutes * MINUTE_MS
    for name, minutes in {
        "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
        "12h": 720, "1d": 1440, "3d": 4320, "1w": 10080,
    }.items()
}  # fmt: skip
MONDAY_MS: Final = 4 * 86_400_000


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


@dataclass(frozen=True)
class Candles:
    """Columns of one coin; prices in the coin's integer units, sizes in lots, `quote` in micro-dollars."""

    open_ms: Ints
    close_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    taker_buy: Ints
    quote: Ints
    taker_buy_quote: Ints
    trades: Ints

    def between(self, start_ms: int, end_ms: int) -> slice:
        """Rows that open in the closed range."""
        first = int(np.searchsorted(self.open_ms, start_ms, side="left"))
        return slice(first, int(np.searchsorted(self.open_ms, end_ms, side="right")))


def build_candles(
    path: PricePath, activity: Activity, column: int, interval: str, first_point: int, shift_ms: int = 0
) -> Candles:
    """All candles of the served history; the first and last may cover part of their interval only. They open
    `shift_ms` after the interval's start in UTC."""
    px = path.mark_units[first_point:, column]
    minute_ms = path.times_ms[first_point:-1]
    opened, groups = np.unique(_interval_start(minute_ms - shift_ms, interval), return_index=True)
    opened = opened + shift_ms
    ends = np.append(groups[1:], minute_ms.size)
    volume = activity.volume_lots[first_point:, column]
    taker = activity.taker_buy_lots[first_point:, column]
    high, low = np.maximum(px[:-1], px[1:]), np.minimum(px[:-1], px[1:])
    return Candles(
        open_ms=opened,
        close_ms=opened + INTERVAL_MS[interval] - 1,
        open=px[groups],
        high=np.maximum.reduceat(high, groups),
        low=np.minimum.reduceat(low, groups),
        close=px[ends],
        volume=np.add.reduceat(volume, groups),
        taker_buy=np.add.reduceat(taker, groups),
        quote=np.add.reduceat(volume * px[1:], groups),
        taker_buy_quote=np.add.reduceat(taker * px[1:], groups),
        trades=np.add.reduceat(activity.trades[first_point:, column], groups),
    )


def _interval_start(times_ms: Ints, interval: str) -> Ints:
    """Aligned to the epoch, weeks to Monday."""
    offset = MONDAY_MS if interval == "1w" else 0
    return (times_ms - offset) // INTERVAL_MS[interval] * INTERVAL_MS[interval] + offset


@dataclass(frozen=True)
class Whole:
    """Per minute and coin, up to the last minute that was simulated."""

    holdings: Holders
    open_lots: Ints
    activity: Activity

    @classmethod
    def of(cls, market: Market, venue: VenueResult) -> "Whole":
        path = market.path
        holdings = holders(venue, path.times_ms.size)
        open_lots = open_interest_lots(holdings)
        rng = np.random.default_rng(
            [market.spec.seed, len(venue.rules.assets), venue.people.size, *venue.rules.noise]
        )
        return cls(holdings, open_lots, minute_activity(rng, venue, path, open_lots))


@dataclass
class Record:
    """What a venue publishes about everybody together; `venue` is one of those of `market`."""

    market: Market
    venue: VenueResult
    whole: Whole | None = None
    _candles: dict[tuple[int, str, int], Candles] = field(default_factory=dict)

    @classmethod
    def following(cls, earlier: "Record", market: Market, venue: VenueResult) -> "Record":
        """The record of the same market at another point, without computing the whole again."""
        return cls(market, venue, earlier._all)

    @cached_property
    def _all(self) -> Whole:
        if self.whole is not None:
            return self.whole
        if self.market.ahead is None:
            return Whole.of(self.market, self.venue)
        end = self.market.ahead.end
        name = next(name for name, venue in self.market.venues.items() if venue is self.venue)
        return Whole.of(end, end.venues[name])

    @cached_property
    def holdings(self) -> Holders:
        whole, points = self._all.holdings, slice(self.market.point + 1)
        return Holders(
            whole.long_accounts[points],
            whole.short_accounts[points],
            whole.long_lots[points],
            whole.short_lots[points],
        )

    @property
    def open_lots(self) -> Ints:
        return self._all.open_lots[: self.market.point + 1]

    @cached_property
    def activity(self) -> Activity:
        whole, minutes = self._all.activity, slice(self.market.point)
        return Activity(whole.volume_lots[minutes], whole.taker_buy_lots[minutes], whole.trades[minutes])

    def candles(self, column: int, interval: str, shift_ms: int = 0) -> Candles:
        key = (column, interval, shift_ms)
        if key not in self._candles:
            self._candles[key] = build_candles(
                self.market.path, self.activity, column, interval, self.market.first_point, shift_ms
            )
        return self._candles[key]
