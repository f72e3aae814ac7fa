"""`liqtruth map`: draw or export one heatmap, one question per command."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liqtruth.commands.line.grammar import App, Options
from liqtruth.commands.line.output import export_frame, export_map, export_moved, export_series, flattened
from liqtruth.commands.line.targets import MapOut, MovedOut, Outputs, TableOut
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import (
    check_range,
    parse_betas,
    parse_choice,
    parse_duration,
    parse_numbers,
    split_names,
)
from liqtruth.commands.options.maps import (
    FilterOptions,
    Filters,
    Part,
    PartOptions,
    Since,
    exact_filters,
    refuse_filters,
)
from liqtruth.commands.options.shared import (
    At,
    Clusters,
    Coin,
    WidthBps,
    Window,
    Windows,
    any_store,
    existing_store,
    length_option,
    moment_option,
)

if TYPE_CHECKING:
    from liqtruth.heatmap.clusters.facts import MapFacts
    from liqtruth.heatmap.heatmap import Heatmap
    from liqtruth.heatmap.series import HeatmapSeries
    from liqtruth.storage.store import Store

EXACT = "exact"
USUAL_WIDTH_BPS = 10.0
USUAL_WINDOW = "30d"
OLD_FLAGS = {"history": "series", "joint": "joint", "execution": "executable"}
"""Options of `map exact` that are commands now."""

map_app = App("Draw or export one heatmap.")


Hidden = Annotated[str | None, typer.Option(hidden=True)]
HiddenLength = Annotated[Any, typer.Option(parser=parse_duration, hidden=True)]


@dataclass(frozen=True)
class OldSeries(Options):
    """How a history was asked for before `map history`."""

    series: HiddenLength = None
    step: HiddenLength = None


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


def say_moved(before: str, now: str) -> None:
    """One line on stderr about a spelling that the next release no longer takes."""
    say(f"note: `liqtruth {before}` is now `liqtruth {now}`; the next release takes only that", err=True)


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


@map_app.command("history")
def map_history(
    coin: Coin,
    part: Part,
    filters: Filters,
    out: MapOut,
    last: Annotated[timedelta, length_option("--last", help="How far back, e.g. 48h or 7d.")] = "7d",  # type: ignore[assignment]
    step: Annotated[
        Any, length_option("--step", help="Time between moments; default: 48 of them, or bars of a model.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="exact, or any model of `map model`, of one exchange or several.",
            rich_help_panel="Model",
        ),
    ] = EXACT,
    venue: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]|all",
            help="Exchanges of a modelled history, added up; all: every one stored.",
            rich_help_panel="Model",
        ),
    ] = "binance",
    at: At = None,
    width_bps: WidthBps = USUAL_WIDTH_BPS,
) -> None:
    """Draw price against time: the exact heatmap at every step of the last days, or a modelled one."""
    from liqtruth.heatmap.errors import BadInput

    with existing_store() as store:
        if model == EXACT:
            from liqtruth.indexer.maps.views import exact_history

            found = exact_history(
                store,
                coin,
                last,
                step,
                at,
                width_bps,
                filters=exact_filters(part, filters),
                holder_share=filters.holder_share,
                since=part.since,
            )
        else:
            refuse_filters(filters)
            if width_bps != USUAL_WIDTH_BPS:
                raise BadInput(
                    f"--width-bps: a modelled history has bins of {USUAL_WIDTH_BPS:g} bps: leave it out"
                )
            found = modelled_history(store, coin, part, venue, model, last, step, at)
    export_series(found, out)


def modelled_history(
    store: "Store",
    coin: str,
    part: PartOptions,
    venue: str,
    model: str | None,
    last: timedelta,
    step: timedelta | None,
    at: datetime | None,
) -> "HeatmapSeries":
    from liqtruth.compare.drawn import drawn_series

    return drawn_series(
        store,
        coin,
        venue,
        model,
        last,
        step,
        weights=part.weights,
        leverage=flattened(part.leverage),
        age=part.age,
        since=part.since,
        at=at,
    )


@map_app.command("moved")
def map_moved(
    coin: Coin,
    out: MovedOut,
    start: Annotated[
        Any,
        moment_option(
            "--from",
            help="Earlier moment, or a map file; default: 24 h before the later, or the first column of its file.",
        ),
    ] = None,
    end: Annotated[
        Any, moment_option("--to", help="Later moment, or a map file; default: the latest.")
    ] = None,
    mark: Annotated[
        Any,
        typer.Option(
            parser=parse_numbers,
            metavar="PRICE[,PRICE]",
            help="Where files state no price: what splits longs and shorts, then and now.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="exact, or any model of `map model`.", rich_help_panel="Model")
    ] = EXACT,
    venue: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]|all",
            help="Exchanges whose aggregates are modelled.",
            rich_help_panel="Model",
        ),
    ] = "binance",
    window: Window = USUAL_WINDOW,
) -> None:
    """List what became of clusters between two moments: born, grew, shrank, consumed by the price, closed, moved.

    Exact clusters are followed by their accounts, modelled ones and those of map files by their place. Two files must
    be one vendor's map at two moments; of a heatmap over time, FILE#COLUMN names a moment.
    """
    from liqtruth.compare.moved.job import MovedPlan, moved_stored
    from liqtruth.compare.moved.of_files import MovedFiles, are_files, moved_files

    with any_store() as store:
        if are_files(start, end):
            found = moved_files(store, MovedFiles(coin, start, end, mark or ()))
        else:
            found = moved_stored(store, MovedPlan(coin, start, end, model, venue, window))
    export_moved(found, out)


@map_app.command("model")
def map_model(
    coin: Coin,
    part: Part,
    old: Annotated[OldSeries, OldSeries.spread()],
    out: MapOut,
    venue: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]|all",
            help="Exchanges whose aggregates are modelled; all: every one stored.",
            rich_help_panel="Model",
        ),
    ] = "binance",
    model: Annotated[
        str | None,
        typer.Option(
            help="calibrated (the fitted leverage model in use, with its bounds; default where one was fitted); "
            "vintages (any leverage model, the shipped population where --weights names none; default otherwise); a "
            "leverage model by its name in `calibrate list`; or a baseline: tiers (equal weights over 1-100x), bell "
            "(normal around 12.4x), uniform, volume-profile, "
            "moving-average (tiers opened at the mean price of 72 h), climatology, persistence (these two start "
            "from exact maps).",
            rich_help_panel="Model",
        ),
    ] = None,
    window: Window = USUAL_WINDOW,
    at: At = None,
    width_bps: WidthBps = USUAL_WIDTH_BPS,
    clusters: Clusters = False,
    windows: Windows = False,
) -> None:
    """Draw the modelled heatmap of one venue or several, from public aggregates and assumed leverages."""
    from liqtruth.compare.modelled import clusters_by_window, map_facts, modelled_map
    from liqtruth.heatmap.errors import BadInput

    if old.series is not None:
        if clusters or windows or window != USUAL_WINDOW or width_bps != USUAL_WIDTH_BPS:
            raise BadInput(
                "--clusters, --windows, --window and --width-bps are of one moment: leave them or --series out"
            )
        say_moved("map model --series", "map history --model NAME")
        with any_store() as store:
            found = modelled_history(store, coin, part, venue, model, old.series, old.step, at)
        return export_series(found, out)
    with any_store() as store:
        store = store.view()
        chosen = {
            "weights": part.weights,
            "leverage": flattened(part.leverage),
            "age": split_names(part.age) if part.age else None,
            "since": part.since,
            "width_bps": width_bps,
        }
        drawn = modelled_map(store, coin, venue, model, window, **chosen, at=at)
        shown = (
            clusters_by_window(store, coin, venue, model, **{**chosen, "at": drawn.as_of})
            if windows
            else None
        )
        facts = map_facts(store, drawn, shown) if clusters or windows else None
    return export_map(drawn, out, clusters=clusters or windows, facts=facts)


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
