"""What each venue can give, as one table: the rest of the package reads capabilities and has no branch on a venue.

The rows stand in `venues_with_history.py` and `venues_without_history.py`, their words in `venue_spec.py`.
"""

from collections.abc import Mapping
from typing import Final

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.venues.spec import PERIODS, Feed, Venue
from liqtruth.estimator.venues.with_history import BINANCE, BYBIT, GATE, HTX, KUCOIN, OKX
from liqtruth.estimator.venues.without_history import (
    BINGX,
    BITGET,
    BITMEX,
    DERIBIT,
    HYPERLIQUID,
    KRAKEN,
    MEXC,
)

__all__ = ["PERIODS", "VENUES", "Feed", "Venue", "venue_named", "venues_named"]

VENUES: Final[Mapping[str, Venue]] = {
    venue.name: venue
    for venue in (
        *(BINANCE, BYBIT, OKX, BITGET, GATE, HTX, MEXC, BINGX, KUCOIN, KRAKEN, DERIBIT, BITMEX),
        HYPERLIQUID,
    )
}


def venue_named(name: str) -> Venue:
    """The row of `name`; raises `UnknownChoice` listing the known venues."""
    try:
        return VENUES[name]
    except KeyError:
        raise UnknownChoice("venue", name, VENUES) from None


def venues_named(names: str) -> tuple[Venue, ...]:
    """Rows of comma-separated names, each once, or of `all` that can be fetched; raises `UnknownChoice`."""
    if names.strip() == "all":
        return tuple(venue for venue in VENUES.values() if venue.fetchable)
    given = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    return tuple(venue_named(name) for name in given) or (venue_named(names),)
