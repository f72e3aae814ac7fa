"""What a centralised venue could report about everybody together, before any venue's format: series in columns.

Computed from the venue's own ledger and tape. Points are minute points of the path; a row at a point is how things
stood then, or what happened in the period that ends there.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from liqtruth.sandbox.market.listings import Asset, Floats, Ints
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.venue import FUNDING_HOURS, PublicTier, VenueResult, public_tiers
from liqtruth.sandbox.public.record import MINUTE_MS, Holders, Record, holders, leaning, top_traders

DAY_MINUTES = 1440


@dataclass
class PublicSeries:
    """The public record of the venue `name`, as of the market's moment."""

    market: Market
    name: str
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = Record(self.market, self.venue)

    def at(self, market: Market) -> "PublicSeries":
        """The same venue at another moment of the same market."""
        later = PublicSeries(market, self.name)
        later.record = Record.following(self.record, market, later.venue)
        return later

    @property
    def venue(self) -> VenueResult:
        return self.market.venue(self.name)

    @property
    def assets(self) -> tuple[Asset, ...]:
        return self.venue.rules.assets

    @property
    def now_ms(self) -> int:
        return self.market.as_of_ms

    def tiers(self, column: int) -> list[PublicTier]:
        return public_tiers(self.venue.rules, column)

    def mark(self, points: Ints, column: int) -> Ints:
        """Mark in price units."""
        return np.asarray(self.market.path.mark_units[points, column])

    def points_at(self, times_ms: Ints) -> Ints:
        return np.asarray((times_ms - self.market.path.times_ms[0]) // MINUTE_MS)

    def points_every(self, period_ms: int, oldest_ms: int = 0, offset_ms: int = 0) -> Ints:
        """Points of the served history that lie on the period and not before `oldest_ms`."""
        path = self.market.path
        points = np.arange(max(self.market.first_point, 0), path.times_ms.size)
        times = path.times_ms[points]
        return np.asarray(points[((times - offset_ms) % period_ms == 0) & (times >= oldest_ms)])

    def times(self, points: Ints) -> Ints:
        return np.asarray(self.market.path.times_ms[points])

    def open_lots(self, points: Ints, column: int) -> Ints:
        """One side."""
        return np.asarray(self.record.open_lots[points, column])

    def funding(self) -> tuple[Ints, Floats]:
        """Times and rates (rows of times, columns of coins) of the served history, oldest first."""
        path = self.market.path
        complete = path.funding[: path.funding.shape[0] // FUNDING_HOURS * FUNDING_HOURS]
        rates = complete.reshape(-1, FUNDING_HOURS, path.funding.shape[1]).sum(axis=1)
        points = path.hour_points[FUNDING_HOURS - 1 :: FUNDING_HOURS]
        served = points >= self.market.first_point
        return path.times_ms[points[served]], rates[served]

    @property
    def next_funding_ms(self) -> int:
        period = FUNDING_HOURS * 3_600_000
        return self.now_ms - self.now_ms % period + period

    @cached_property
    def _top(self) -> Holders:
        return holders(self.venue, self.market.path.times_ms.size, top_traders(self.venue))

    def account_share(self, points: Ints, column: int) -> Floats:
        """Long accounts over all accounts that hold the coin."""
        long, short = leaning(self.record.holdings, self.venue.people.makers)
        return _share(long[points, column], short[points, column])

    def top_account_share(self, points: Ints, column: int) -> Floats:
        """The same among the richest fifth."""
        return _share(self._top.long_accounts[points, column], self._top.short_accounts[points, column])

    def top_position_share(self, points: Ints, column: int) -> Floats:
        """Long lots over all lots of the richest fifth."""
        return _share(self._top.long_lots[points, column], self._top.short_lots[points, column])

    def taken(self, points: Ints, period_ms: int, column: int) -> tuple[Ints, Ints]:
        """Lots that takers bought and sold in the period that ends at each point."""
        activity, first = self.record.activity, np.maximum(points - period_ms // MINUTE_MS, 0)
        bought = _running(activity.taker_buy_lots[:, column])
        volume = _running(activity.volume_lots[:, column])
        taken = bought[points] - bought[first]
        return taken, volume[points] - volume[first] - taken

    def day(self, column: int) -> "Day":
        """The last 24 hours, or as much as there is."""
        px = self.market.path.mark_units[-DAY_MINUTES - 1 :, column]
        volume = self.record.activity.volume_lots[-DAY_MINUTES:, column]
        return Day(
            open=int(px[0]),
            high=int(px.max()),
            low=int(px.min()),
            last=int(px[-1]),
            lots=int(volume.sum()),
            quote=int((volume * px[1:]).sum()),
        )


@dataclass(frozen=True)
class Day:
    """Prices in price units, `quote` in micro-dollars."""

    open: int
    high: int
    low: int
    last: int
    lots: int
    quote: int


def _share(long: Floats | Ints, short: Floats | Ints) -> Floats:
    return np.asarray(long / np.maximum(long + short, 1))


def _running(values: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(values)])


def newest_first(times_ms: Ints, first_ms: int, last_ms: int, limit: int) -> tuple[Ints, bool]:
    """Rows of the newest `limit` times in the closed range, newest first, and whether older ones are in it too."""
    rows = np.flatnonzero((times_ms >= first_ms) & (times_ms <= last_ms))
    return rows[-limit:][::-1], rows.size > limit


def oldest_kept(times_ms: Ints, first_ms: int, last_ms: int, limit: int) -> Ints:
    """Rows of the oldest `limit` times in the closed range, newest first."""
    return np.flatnonzero((times_ms >= first_ms) & (times_ms <= last_ms))[:limit][::-1]
