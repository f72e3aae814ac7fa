"""`liqtruth map`: draw or export one heatmap."""

from typing import Annotated, Any

import typer

from liqtruth.commands.options import (
    At,
    Coin,
    CsvOut,
    HtmlOut,
    JsonOut,
    ParquetOut,
    PngOut,
    Window,
    opened_store,
    parse_betas,
    parse_duration,
    parse_numbers,
    parse_shares,
    split_names,
)
from liqtruth.commands.output import export_frame, export_map, export_series, flattened
from liqtruth.commands.terminal import say

map_app = typer.Typer(no_args_is_help=True, help="Draw or export one heatmap.")


@map_app.command("exact")
def map_exact(
    coin: Coin,
    at: At = None,
    width_bps: Annotated[float, typer.Option(help="Width of a price bin in basis points.")] = 10.0,
    leverage_band: Annotated[str | None, typer.Option(help="Only 0-3x, 3-7x, 7-15x, 15-30x or 30x+.")] = None,
    margin_mode: Annotated[str | None, typer.Option(help="Only cross or isolated.")] = None,
    account_mode: Annotated[
        str | None, typer.Option(help="Only standard, unified, portfolio, dexAbstraction or unknown.")
    ] = None,
    account_size: Annotated[str | None, typer.Option(help="Only <100k, 100k-1M, 1M-10M or >10M.")] = None,
    age_band: Annotated[
        str | None, typer.Option(help="Only readings <1h, 1-4h, 4-24h, 1-7d or >7d old.")
    ] = None,
    position_age: Annotated[
        str | None, typer.Option(help="Only positions first seen <4h, 4-24h, 1-7d or >7d ago, or unknown.")
    ] = None,
    holder_share: Annotated[
        Any,
        typer.Option(
            parser=parse_shares,
            metavar="LOW-HIGH",
            help="Only holders of so many percent of their side, e.g. 5-100.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="crowd|whales",
            help="Only the crowd (each position with at most 0.3 % of open interest) or what whales hold above it.",
        ),
    ] = None,
    joint: Annotated[
        str | None,
        typer.Option(help="Move all coins together: beta (from stored candles) or parallel (all alike)."),
    ] = None,
    betas: Annotated[
        str | None,
        typer.Option(
            metavar="COIN=BETA,...", help="Betas to COIN instead of fitted ones; others move alike."
        ),
    ] = None,
    executable: Annotated[
        bool, typer.Option("--executable", help="Only what meets the book first at each level.")
    ] = False,
    series: Annotated[
        Any,
        typer.Option(
            parser=parse_duration, metavar="TIME", help="Price-time heatmap of the last TIME, e.g. 7d."
        ),
    ] = None,
    step: Annotated[
        Any, typer.Option(parser=parse_duration, metavar="TIME", help="Step of --series; default 48 steps.")
    ] = None,
    json: JsonOut = None,
    csv: CsvOut = None,
    parquet: ParquetOut = None,
    html: HtmlOut = None,
    png: PngOut = None,
) -> None:
    """The exact heatmap of a coin: actual positions at their actual liquidation prices.

    Filters take one value or several with commas. --layer, --joint, --executable, --series and filters exclude one
    another.
    """
    from liqtruth.indexer.maps.views import MapView, view_map, view_series

    filters = {
        "leverage_band": leverage_band,
        "margin_mode": margin_mode,
        "account_mode": account_mode,
        "account_size": account_size,
        "age_band": age_band,
        "position_age": position_age,
    }
    view = MapView(
        coin,
        at,
        width_bps,
        {name: split_names(values) for name, values in filters.items() if values},
        holder_share,
        joint,
        parse_betas(betas),
        executable,
        layer,
    )
    with opened_store() as store:
        if series is not None:
            return export_series(view_series(store, view, series, step), json, csv, parquet, html, png)
        drawn, lines = view_map(store, view)
    export_map(drawn, json, csv, parquet, html, png)
    for line in lines if json is None and csv is None else ():
        say(line)


@map_app.command("positions")
def map_positions(
    coin: Coin,
    between: Annotated[
        tuple[float, float], typer.Option(metavar="LOW HIGH", help="Liquidation prices from LOW up to HIGH.")
    ],
    at: At = None,
    json: JsonOut = None,
    csv: CsvOut = None,
    parquet: ParquetOut = None,
) -> None:
    """The positions behind a zone: leverage, margin left, distance, age, and what their accounts hold beside."""
    from liqtruth.indexer.maps.drilldown import positions_between
    from liqtruth.indexer.positions.listing import drilldown_table

    with opened_store() as store:
        frame = positions_between(store, coin, *between, at)
    export_frame(frame, json, csv, parquet, drilldown_table)


@map_app.command("model")
def map_model(
    coin: Coin,
    venue: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]|all", help="Exchanges whose aggregates are modelled; all: every one stored."
        ),
    ] = "binance",
    model: Annotated[
        str,
        typer.Option(
            help="calibrated (the fitted leverage model in use, with its bounds); vintages (any leverage model); or a "
            "baseline: tiers (equal weights over 1-100x), bell (normal around 12.4x), uniform, volume-profile, "
            "shape-copy, last-exact (the last two start from exact maps)."
        ),
    ] = "tiers",
    window: Window = "30d",
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Leverage model of vintages; default: the shipped prior."),
    ] = None,
    leverage: Annotated[
        list[Any] | None, typer.Option(parser=parse_numbers, metavar="25,50", help="Only these leverages.")
    ] = None,
    age: Annotated[
        str | None,
        typer.Option(
            metavar="BAND[,BAND]",
            help="Only what opened <4h, 4-24h, 1-7d or >7d ago; with --series also fresh (under a day) or stale.",
        ),
    ] = None,
    series: Annotated[
        Any,
        typer.Option(
            parser=parse_duration,
            metavar="TIME",
            help="Price-time heatmap of the last TIME, e.g. 30d, of one venue; calibrated, vintages, tiers or bell.",
        ),
    ] = None,
    step: Annotated[
        Any, typer.Option(parser=parse_duration, metavar="TIME", help="Step of --series, e.g. 1h.")
    ] = None,
    at: At = None,
    width_bps: Annotated[float, typer.Option(help="Width of a price bin in basis points.")] = 10.0,
    json: JsonOut = None,
    csv: CsvOut = None,
    parquet: ParquetOut = None,
    html: HtmlOut = None,
    png: PngOut = None,
) -> None:
    """The modelled heatmap of one venue or several, from public aggregates and assumed leverages."""
    chosen: dict[str, Any] = {"weights": weights, "leverage": flattened(leverage), "at": at}
    ages = split_names(age) if age else None
    with opened_store() as store:
        if series is not None:
            from liqtruth.estimator.over_time.price_time import model_series

            over_time = model_series(store, coin, venue, model, series, step, **chosen, age=age)
            return export_series(over_time, json, csv, parquet, html, png)
        from liqtruth.compare.modelled import modelled_map

        drawn = modelled_map(store, coin, venue, model, window, **chosen, age=ages, width_bps=width_bps)
    export_map(drawn, json, csv, parquet, html, png)
