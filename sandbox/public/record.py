"""The public record of one venue, computed once per market and kept: activity, open interest, candles by interval.

Of a market that goes on, the record of the whole is computed and cut where the market stands, so that what was
published once stays as it was.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from liqtruth.sandbox.market.margin_rules import Ints
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.venue import VenueResult
from liqtruth.sandbox.public.activity import Activity, Holders, holders, minute_activity, open_interest_lots
from liqtruth.sandbox.public.candles import Candles, build_candles


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
