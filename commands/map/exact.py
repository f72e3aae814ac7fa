"""`liqtruth map exact` and what else is asked of actual positions at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from liqtruth.commands.line.output import export_frame, export_map
from liqtruth.commands.line.targets import MapOut, Outputs, TableOut
from liqtruth.commands.line.values import (
    check_range,
    parse_betas,
    parse_choice,
)
from liqtruth.commands.map.app import (
    USUAL_WIDTH_BPS,
    Hidden,
    OldSeries,
    map_app,
    say_moved,
)
from liqtruth.commands.options.maps import (
    FilterOptions,
    Filters,
    PartOptions,
    Since,
)
from liqtruth.commands.options.shared import (
    At,
    Clusters,
    Coin,
    WidthBps,
    existing_store,
)

if TYPE_CHECKING:
    from liqtruth.heatmap.clusters.facts import MapFacts
    from liqtruth.heatmap.heatmap import Heatmap
    from liqtruth.storage.store import Store

OLD_FLAGS = {"history": "series", "joint": "joint", "execution": "executable"}
"""Options of `map exact` that are commands now."""


@dataclass(frozen=True)
class OldViews(OldSeries):
    """How other questions were asked of `map exact`, before each had a command."""

    joint: Hidden = None
    betas: Hidden = None
    executable: Annotated[bool, typer.Option("--executable", hidden=True)] = False

    def asked(self) -> list[str]:
        named = {"history": self.series, "joint": self.joint or self.betas, "execution": self.executable}
        return [name for name, value in named.items() if value]


@map_app.command("exact")
def map_exact(
    coin: Coin,
    filters: Filters,
    old: Annotated[OldViews, OldViews.spread()],
    out: MapOut,
    at: At = None,
    width_bps: WidthBps = USUAL_WIDTH_BPS,
    clusters: Clusters = False,
    layer: Annotated[
        str | None,
        typer.Option(
            parser=parse_choice("crowd", "whales"),
            metavar="crowd|whales",
            help="Only the crowd (each position with at most 0.3 % of open interest) or what whales hold above it.",
        ),
    ] = None,
    since: Since = None,
) -> None:
    """Draw the exact heatmap of a coin: actual positions at their actual liquidation prices."""
    from liqtruth.indexer.maps.views import exact_view

    if old.asked():
        whole = not (filters.values() or filters.holder_share or layer or since or clusters)
        return _as_before(old, whole, coin, at, width_bps, out)
    with existing_store() as store:
        drawn = exact_view(
            store,
            coin,
            at,
            width_bps,
            filters=filters.values(),
            holder_share=filters.holder_share,
            since=since,
            layer=layer,
        )
        facts = _facts(store, drawn) if clusters else None
    return export_map(drawn, out, clusters=clusters, facts=facts)


def _facts(store: "Store", drawn: "Heatmap") -> "MapFacts":
    """Their rooms are loaded for those who ask for clusters."""
    from liqtruth.compare.modelled import map_facts

    return map_facts(store, drawn)


def _as_before(
    old: OldViews, whole: bool, coin: str, at: datetime | None, width_bps: float, out: Outputs
) -> None:
    """`map exact --joint`, `--executable` and `--series`, for one release."""
    from liqtruth.commands.map.over_time import map_history
    from liqtruth.heatmap.errors import BadInput

    name, *others = old.asked()
    if others or not whole:
        raise BadInput(
            f"`map {name}` draws whole maps: leave filters, --layer, --clusters and other questions out"
        )
    say_moved(f"map exact --{OLD_FLAGS[name]}", f"map {name}")
    if name == "history":
        return map_history(
            coin,
            PartOptions(),
            FilterOptions(),
            out,
            last=old.series,
            step=old.step,
            at=at,
            width_bps=width_bps,
        )
    if name == "joint":
        return map_joint(coin, out, old.joint or "parallel", old.betas, at, width_bps)
    return map_execution(coin, out, at, width_bps)


@map_app.command("joint")
def map_joint(
    coin: Coin,
    out: MapOut,
    move: Annotated[
        str,
        typer.Option(
            parser=parse_choice("parallel", "beta"),
            metavar="parallel|beta",
            help="How other coins move: parallel (all alike) or beta (by betas from stored candles).",
        ),
    ] = "parallel",
    betas: Annotated[
        str | None,
        typer.Option(
            metavar="COIN=BETA,...", help="Betas to COIN instead of fitted ones; others move alike."
        ),
    ] = None,
    at: At = None,
    width_bps: WidthBps = USUAL_WIDTH_BPS,
) -> None:
    """Draw the exact heatmap where all coins move together: cross positions lose on every coin that they hold."""
    from liqtruth.indexer.maps.views import joint_map

    given = parse_betas(betas)
    with existing_store() as store:
        drawn, lines = joint_map(store, coin, at, width_bps, move=move, betas=given)
    export_map(drawn, out, lines)


@map_app.command("execution")
def map_execution(coin: Coin, out: MapOut, at: At = None, width_bps: WidthBps = USUAL_WIDTH_BPS) -> None:
    """Draw what meets the order book first at each level: the first orders of liquidations, not whole positions."""
    from liqtruth.indexer.maps.execution import executable_map

    with existing_store() as store:
        drawn = executable_map(store, coin, at, width_bps)
    export_map(drawn, out)


@map_app.command("positions")
def map_positions(
    coin: Coin,
    out: TableOut,
    between: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="LOW HIGH", callback=check_range, help="Liquidation prices from LOW up to HIGH."
        ),
    ],
    at: At = None,
) -> None:
    """List the positions behind a zone: leverage, margin left, distance, age, and their accounts' other positions."""
    from liqtruth.indexer.maps.drilldown import drilldown_table, positions_between

    with existing_store() as store:
        frame = positions_between(store, coin, *between, at)
    export_frame(frame, out, drilldown_table)
