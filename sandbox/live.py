"""A synthetic market on a clock: it goes forward into what was simulated beyond its history, and never back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.market.market import Ahead, Market
from liqtruth.sandbox.market.venue import Venue


@dataclass
class Live:
    """A market and how far it has gone; only forward."""

    market: Market
    _venues: Mapping[str, Venue] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        point, ahead = self.market.point, self.market.ahead
        if ahead is not None:
            self._venues = {name: venue.fork() for name, venue in ahead.venues.items()}
            self.market = _start(ahead)
            self.advance_to(point)

    @property
    def last_point(self) -> int:
        """The point beyond which nothing was simulated."""
        return self.market.point if self.market.ahead is None else self.market.ahead.end.point

    def advance_to(self, point: int) -> Market:
        """The market at minute `point`; refuses to go back, and to go where nothing was simulated."""
        if not self.market.point <= point <= self.last_point:
            raise SandboxRefused(
                f"minute point {point} is not between {self.market.point} (now) and {self.last_point} (the end); "
                "MarketSpec(live_hours=...) makes a market that goes on longer"
            )
        if self._venues is None or self.market.ahead is None or point == self.market.point:
            return self.market
        for minute in range(self.market.point + 1, point + 1):
            for venue in self._venues.values():
                venue.minute(minute)
        ledgers = {name: venue.ledger.copy() for name, venue in self._venues.items()}
        self.market = self.market.ahead.market_at(point, ledgers)
        return self.market


def market_at(market: Market, point: int) -> Market:
    """The same market at another minute point of its live period, from its end of history on."""
    if point == market.point:
        return market
    return Live(market if market.ahead is None else _start(market.ahead)).advance_to(point)


def _start(ahead: Ahead) -> Market:
    ledgers = {name: venue.ledger.copy() for name, venue in ahead.venues.items()}
    return ahead.market_at(ahead.end.spec.history_minutes, ledgers)
