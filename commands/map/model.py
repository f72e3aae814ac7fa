"""`liqtruth map model`: the heatmap of a venue from its public aggregates."""

from typing import Annotated

import typer

from liqtruth.commands.line.output import export_map, export_series, flattened
from liqtruth.commands.line.targets import MapOut
from liqtruth.commands.line.values import (
    split_names,
)
from liqtruth.commands.map.app import USUAL_WIDTH_BPS, USUAL_WINDOW, OldSeries, map_app, say_moved
from liqtruth.commands.map.over_time import modelled_history
from liqtruth.commands.options.maps import (
    Part,
)
from liqtruth.commands.options.shared import (
    At,
    Clusters,
    Coin,
    WidthBps,
    Window,
    Windows,
    any_store,
)


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
