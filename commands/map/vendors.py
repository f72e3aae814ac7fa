"""`liqtruth map import` and `map fetch`: maps that others made."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from liqtruth.commands.line.grammar import Options
from liqtruth.commands.line.output import deliver, export_map, export_series, json_of, say_lines
from liqtruth.commands.line.targets import MapOut, Outputs
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import parse_coin, parse_past, parse_url
from liqtruth.commands.map.app import map_app
from liqtruth.commands.options.maps import Picture
from liqtruth.commands.options.shared import Clusters, Coin, Columns, WidthBps, any_store, settings

if TYPE_CHECKING:
    from liqtruth.compare.imported.maps_in_file import MapsInFile
    from liqtruth.heatmap.heatmap import Heatmap


@dataclass(frozen=True)
class FileOptions(Options):
    """What a file does not state itself."""

    heading: ClassVar[str] = "Where the file does not state it"

    coin: Annotated[str | None, typer.Option(parser=parse_coin, metavar="COIN", help="The coin.")] = None
    venue: Annotated[str | None, typer.Option(metavar="NAME", help="The venue.")] = None
    mark: Annotated[float | None, typer.Option(help="The price that splits longs and shorts.")] = None
    as_of: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_past, metavar="TIME", help="The map's moment; default: the file's own time."
        ),
    ] = None
    columns: Columns = None


File = Annotated[FileOptions, FileOptions.spread()]


@map_app.command("import")
def map_import(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE[#NAME]", help="A vendor's map: JSON, CSV or Parquet, or a picture."),
    ],
    given: File,
    picture: Picture,
    out: MapOut,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which map of the file; default: the one it is about.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the maps in the file.")] = False,
    series: Annotated[
        bool, typer.Option("--series", help="All columns of a heatmap, price against time.")
    ] = False,
    leverage_model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="Write the leverages that the vendor assumes, where stated, as a model."
        ),
    ] = None,
    width_bps: WidthBps = 10.0,
    clusters: Clusters = False,
) -> None:
    """A map that someone else made, from a file: Coinglass, CoinAnk, Hyblock and others, or a table of price and usd.

    The layout is recognised by its structure. What the file states goes before what is given. Of a screenshot
    (PNG, JPEG, WebP) the last column is read by its colours, between price lines that are given.
    """
    from liqtruth.compare.imported.named_files import parted
    from liqtruth.compare.imported.read import given_of, open_maps, read_leverage_model
    from liqtruth.heatmap.files import is_own, read_map

    path, part = parted(file)
    shown = picture.given([file])
    if is_own(path) and not (listed or series or leverage_model):
        return export_made(read_map(path), out, clusters)
    if leverage_model is not None:
        write_model(read_leverage_model(path).to_json(), leverage_model)
    maps = open_maps(
        path,
        given_of(given.coin, given.venue, given.mark, given.as_of, given.columns, shown),
        width_bps,
    )
    if listed:
        return list_maps(maps.held, out)
    if series:
        return export_series(maps.series(), out)
    return export_made(maps.map(name or part), out, clusters)


def export_made(drawn: "Heatmap", out: Outputs, clusters: bool) -> None:
    """A map of anyone; facts of its clusters are from what is stored here of its market."""
    if not clusters:
        return export_map(drawn, out)
    from liqtruth.compare.modelled import map_facts

    with any_store() as store:
        facts = map_facts(store, drawn)
    return export_map(drawn, out, clusters=True, facts=facts)


def list_maps(held: "MapsInFile", out: Outputs) -> None:
    """Layout and names; the one that is taken by default is marked."""
    over_time = held.over_time is not None
    about = {
        "vendor": held.vendor,
        "layout": held.layout,
        "default": held.default,
        "series": over_time,
        "names": held.names,
    }
    if out.asks("csv", "parquet", "html", "png"):
        raise typer.BadParameter("--list must go to the terminal or to JSON")
    deliver(out, {"json": lambda: json_of(about)}, {})
    if not out.asks("json"):
        say(f"{held.vendor} {held.layout}{', also as --series' if over_time else ''}:")
        say_lines(f"  {one}{'  (default)' if one == held.default else ''}" for one in held.names)


def write_model(content: bytes, path: Path) -> None:
    from liqtruth.heatmap.writing import write_atomically

    write_atomically(path, content.decode())
    say(f"wrote {path}", err=True)


@map_app.command("fetch")
def map_fetch(
    vendor: Annotated[str, typer.Argument(metavar="VENDOR", help="coinglass or coinank.")],
    coin: Coin,
    out: MapOut,
    venue: Annotated[str, typer.Option(metavar="NAME|all", help="One venue, or all together.")] = "all",
    kind: Annotated[
        str | None,
        typer.Option(metavar="heatmap|map", help="Default: heatmap of coinglass, map of coinank."),
    ] = None,
    model: Annotated[int, typer.Option(help="Coinglass' model of a heatmap: 1, 2 or 3.")] = 1,
    range_: Annotated[
        str | None, typer.Option("--range", metavar="LENGTH", help="How far back the vendor looks, e.g. 3d.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="The market as the vendor calls it.")] = None,
    mark: Annotated[
        float | None, typer.Option(help="The price that splits longs and shorts, where the answer has none.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(parser=parse_url, metavar="URL", help="Another endpoint of the same API.")
    ] = None,
) -> None:
    """A map from a vendor's documented API, with your own key from the environment.

    Set LIQTRUTH_COINGLASS_KEY or LIQTRUTH_COINANK_KEY. The answer is stored as it came and read as by `map import`.
    """
    from liqtruth.compare.imported.fetch import Asked, fetch_map
    from liqtruth.compare.imported.read import given_of, open_maps

    file = fetch_map(settings(), vendor, Asked(coin, venue, kind, range_, model, symbol), base_url)
    say(f"stored {file}", err=True)
    export_map(open_maps(file, given_of(coin, mark=mark)).map(), out)
