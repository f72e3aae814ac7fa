"""The table of venues on a terminal: what there is, and under it what is lacking and why."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from liqtruth.estimator.venues.capabilities import FETCHED, Capability, VenueCapabilities


def venue_table(venues: Sequence[VenueCapabilities]) -> Table:
    """One row per venue, one column per dataset: how far back it goes, or a dash."""
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
    yield "yes: no limit known; a bar length with +: the finest one; pushed: `liqtruth feed watch` hears them"
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
