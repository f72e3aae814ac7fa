"""`liqtruth map history` and `map moved`: price against time, and clusters between two moments."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liqtruth.commands.line.output import export_moved, export_series, flattened
from liqtruth.commands.line.targets import MapOut, MovedOut
from liqtruth.commands.line.values import (
    parse_numbers,
)
from liqtruth.commands.map.app import EXACT, USUAL_WIDTH_BPS, USUAL_WINDOW, map_app
from liqtruth.commands.options.maps import (
    Filters,
    Part,
    PartOptions,
    exact_filters,
    refuse_filters,
)
from liqtruth.commands.options.shared import (
    At,
    Coin,
    WidthBps,
    Window,
    any_store,
    existing_store,
    length_option,
    moment_option,
)

if TYPE_CHECKING:
    from liqtruth.heatmap.series import HeatmapSeries
    from liqtruth.storage.store import Store


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
