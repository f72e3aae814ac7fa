"""Options of maps: files of anyone, pictures, which positions are drawn, which part of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from liqtruth.commands.line.grammar import Options
from liqtruth.commands.line.values import parse_numbers, parse_shares, split_names
from liqtruth.commands.options.shared import Weights, time_option

if TYPE_CHECKING:
    from liqtruth.compare.imported.vendor_map import PictureGiven


@dataclass(frozen=True)
class MapFileOptions(Options):
    """Map files of anyone."""

    heading: ClassVar[str] = "Maps"

    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FILE[#NAME]",
            help="A map file of anyone, read as by `map import`; may be repeated. #NAME chooses one of several maps.",
        ),
    ] = None
    mark: Annotated[
        float | None,
        typer.Option(help="The price that splits longs and shorts, where --map does not state it."),
    ] = None
    shift: Annotated[
        bool,
        typer.Option("--shift", help="See the levels of --map from the truth's mark instead of their own."),
    ] = False


MapFiles = Annotated[MapFileOptions, MapFileOptions.spread()]


@dataclass(frozen=True)
class PictureOptions(Options):
    """Where things are in a screenshot of a map."""

    heading: ClassVar[str] = "Where a map is a picture"

    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PRICE@Y",
            help="A price and the row of pixels, from the top, where its line is; at least two, near both ends.",
        ),
    ] = None
    palette: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Its colours: coinglass (viridis), magma or ours; default: whichever fit."
        ),
    ] = None
    column: Annotated[
        int | None,
        typer.Option(metavar="X", help="The column of pixels to read; default: the last of the plot."),
    ] = None
    bar: Annotated[
        str | None,
        typer.Option(
            metavar="X1,Y1,X2,Y2", help="Ends of its colour bar, from none to the most; default: found."
        ),
    ] = None

    def given(self, maps: Sequence[str]) -> "PictureGiven | None":
        """Null where nothing is stated; refused where none of the files is a picture."""
        from liqtruth.compare.imported.pictures.picture import picture_given
        from liqtruth.compare.imported.read import check_picture

        if not self._any:
            return None
        found = picture_given(self.price or (), self.palette, self.column, self.bar)
        check_picture(maps, found)
        return found

    @property
    def _any(self) -> bool:
        return any(one is not None for one in (self.price, self.palette, self.column, self.bar))


Picture = Annotated[PictureOptions, PictureOptions.spread()]


def only(help: str) -> Any:
    return typer.Option(metavar="A[,B]", help=help)


Since = Annotated[Any, time_option("--since", help="Only what opened after this moment.", heading="Filters")]


@dataclass(frozen=True)
class FilterOptions(Options):
    """Which positions are on an exact map."""

    heading: ClassVar[str] = "Filters (several values with commas)"

    leverage_band: Annotated[str | None, only("Only 0-3x, 3-7x, 7-15x, 15-30x or 30x+.")] = None
    margin_mode: Annotated[str | None, only("Only cross or isolated.")] = None
    account_mode: Annotated[
        str | None, only("Only standard, unified, portfolio, dexAbstraction or unknown.")
    ] = None
    account_size: Annotated[str | None, only("Only <100k, 100k-1M, 1M-10M or >10M.")] = None
    age_band: Annotated[str | None, only("Only readings <1h, 1-4h, 4-24h, 1-7d or >7d old.")] = None
    position_age: Annotated[
        str | None,
        only(
            "Only positions first seen <4h, 4-24h, 1-7d, >7d or any other length ago (<90m, 4h-2d), or unknown."
        ),
    ] = None
    holder_share: Annotated[
        Any,
        typer.Option(
            parser=parse_shares,
            metavar="LOW-HIGH",
            help="Only holders of so many percent of their side, e.g. 5-100.",
        ),
    ] = None

    def values(self) -> dict[str, list[str]]:
        """By name, of those that are given, but for the share of holders."""
        given = {name: value for name, value in vars(self).items() if name != "holder_share" and value}
        return {name: split_names(values) for name, values in given.items()}


@dataclass(frozen=True)
class PartOptions(Options):
    """Which part of a modelled map is drawn, and with what leverages."""

    heading: ClassVar[str] = "Model"

    weights: Weights = None
    leverage: Annotated[
        list[Any] | None, typer.Option(parser=parse_numbers, metavar="25,50", help="Only these leverages.")
    ] = None
    age: Annotated[
        str | None,
        typer.Option(
            metavar="AGE[,AGE]",
            help="Only what opened so long ago: <4h, 4-24h, 1-7d, >7d, fresh (under a day), stale, or any other such "
            "as <90m or 4h-2d.",
        ),
    ] = None
    since: Since = None


Filters = Annotated[FilterOptions, FilterOptions.spread()]
Part = Annotated[PartOptions, PartOptions.spread()]


def exact_filters(part: PartOptions, filters: FilterOptions) -> dict[str, list[str]]:
    """Filters of an exact history: `--age` is the time since a position was first seen."""
    from liqtruth.heatmap.errors import BadInput

    for name in ("weights", "leverage"):
        if getattr(part, name):
            instead = ", or --leverage-band for exact maps" if name == "leverage" else ""
            raise BadInput(
                f"--{name} must come with a model: give --model{instead}, or leave it out for exact maps"
            )
    found = filters.values()
    if part.age and filters.position_age:
        raise BadInput("--age and --position-age are the same of exact maps: give one of them")
    return {**found, "position_age": split_names(part.age)} if part.age else found


def refuse_filters(filters: FilterOptions) -> None:
    from liqtruth.heatmap.errors import BadInput

    if given := [name.replace("_", "-") for name, value in vars(filters).items() if value]:
        raise BadInput(
            f"--{given[0]} must come with exact maps, got it with --model: take --leverage, --age or --since"
        )
