"""What each venue can give, as one table, and as people and programs read it.

The rest of the package reads capabilities and has no branch on a venue. The rows stand in `with_history.py` and
`without_history.py`, their words in `spec.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.frames import DATASETS
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

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["PERIODS", "VENUES", "Feed", "Venue", "venue_named", "venues_named"]
VENUES: Final[Mapping[str, Venue]] = {
    venue.name: venue
    for venue in (
        *(BINANCE, BYBIT, OKX, BITGET, GATE, HTX, MEXC, BINGX, KUCOIN, KRAKEN, DERIBIT, BITMEX),
        HYPERLIQUID,
    )
}
FETCHED = tuple(name for name in DATASETS if name != "listening")
"""Datasets that a venue may give; spans of listening are made here."""


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


@dataclass(frozen=True)
class Capability:
    """One dataset at one venue. `depth` is how far back it is kept, `periods` the bar lengths; `coverage` how much of
    the liquidations is reported. Where `given` is false, `why_not` is the reason."""

    dataset: str
    given: bool
    depth: str | None = None
    periods: tuple[str, ...] = ()
    unit: str | None = None
    counted_sides: int | None = None
    rows_per_page: int | None = None
    coverage: str | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class VenueCapabilities:
    """One row of the table."""

    venue: str
    ccxt_id: str | None
    note: str
    datasets: tuple[Capability, ...]
    liquidation_stream: str | None

    def named(self, dataset: str) -> Capability:
        return next(capability for capability in self.datasets if capability.dataset == dataset)


def capabilities() -> tuple[VenueCapabilities, ...]:
    """All venues, in the order of their table."""
    return tuple(
        VenueCapabilities(
            venue.name,
            venue.ccxt_id,
            venue.note,
            tuple(_capability(venue, dataset) for dataset in FETCHED),
            venue.liquidation_stream,
        )
        for venue in VENUES.values()
    )


def _capability(venue: Venue, dataset: str) -> Capability:
    feed = venue.feeds.get(dataset)
    if feed is None:
        coverage = venue.liquidation_stream if dataset == "liquidations" else None
        why_not = venue.lacks.get(dataset, "from files only")
        return Capability(dataset, given=False, coverage=coverage, why_not=why_not)
    return _given(dataset, feed)


def _given(dataset: str, feed: Feed) -> Capability:
    by_bar = dataset in ("candles", "mark_candles", "open_interest", "ratios")
    in_units = dataset in ("candles", "open_interest", "liquidations", "tiers")
    return Capability(
        dataset,
        given=True,
        depth="as of now" if dataset == "tiers" else feed.depth_words(),
        periods=tuple(PERIODS[step_s] for step_s in feed.periods) if by_bar else (),
        unit=feed.unit if in_units else None,
        counted_sides=feed.sides if dataset in ("candles", "open_interest") else None,
        rows_per_page=None if dataset == "tiers" else feed.limit,
        coverage=feed.coverage or None,
    )


def venue_table(venues: Sequence[VenueCapabilities]) -> "Table":
    """One row per venue, one column per dataset: how far back it goes, or a dash."""
    from rich.table import Table

    table = Table(title="What can be fetched, and how far back", title_justify="left")
    table.add_column("venue")
    for dataset in FETCHED:
        table.add_column(dataset.replace("_", " "))
    for venue in venues:
        table.add_row(venue.venue, *(_cell(capability) for capability in venue.datasets))
    return table


def _cell(capability: Capability) -> str:
    if not capability.given:
        return "-" if capability.coverage is None else "pushed"
    finest = f"{capability.periods[0]}+ " if capability.periods else ""
    return f"{finest}{'yes' if capability.depth == 'no limit known' else capability.depth}"


def venue_words(venues: Sequence[VenueCapabilities]) -> Iterator[str]:
    """What the table has no room for."""
    yield "yes: no limit known; a bar length with +: the finest one; pushed: `liqtruth feed watch` records them"
    for venue in venues:
        yield ""
        yield f"{venue.venue}: {venue.note}"
        if venue.liquidation_stream is not None:
            yield f"  liquidations pushed: {venue.liquidation_stream}"
        yield from _lacking(venue)


def _lacking(venue: VenueCapabilities) -> Iterator[str]:
    """The reason of each dataset that is missing, datasets of one reason on one line; coverages of those given."""
    reasons: dict[str, list[str]] = {}
    for capability in venue.datasets:
        if capability.given and capability.coverage is not None:
            yield f"  {capability.dataset} fetched: {capability.coverage}"
        if capability.why_not is not None and venue.ccxt_id is not None:
            reasons.setdefault(capability.why_not, []).append(capability.dataset)
    for reason, datasets in reasons.items():
        yield f"  no {', '.join(datasets)}: {reason}"
