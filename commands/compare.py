"""`liqtruth compare`: modelled heatmaps measured against the truth."""

from typing import Annotated

import typer

from liqtruth.commands.line.output import export_divergence
from liqtruth.commands.line.targets import DivergenceOut
from liqtruth.commands.options.maps import MapFiles, Picture
from liqtruth.commands.options.shared import At, Coin, Range, Window, Windows, any_store


def compare(
    coin: Coin,
    out: DivergenceOut,
    given: MapFiles,
    picture: Picture,
    at: At = None,
    truth: Annotated[
        str, typer.Option(metavar="exact|VENUE:MODEL|FILE", help="The map to measure against.")
    ] = "exact",
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VENUE:MODEL|FILE",
            help="A map to measure, may be repeated; default: binance:vintages (the shipped population), "
            "binance:tiers, binance:bell and, where a model was fitted, binance:calibrated and "
            "hyperliquid:calibrated.",
            rich_help_panel="Model",
        ),
    ] = None,
    window: Window = "30d",
    tolerance_pct: Annotated[
        float, typer.Option(help="Clusters match within this many percent of price.")
    ] = 1.0,
    windows: Windows = False,
    within_pct: Range = "25",
) -> None:
    """Compare modelled heatmaps with the truth: where they diverge, and by how much.

    A map that knows only the mark (the no-information baseline) is scored beside them: a model that is no better does
    not know where liquidations are. The exit code is 3 where a map that was given could not be compared; the others
    are.
    """
    from liqtruth.compare.comparison.session import Files, compare_stored
    from liqtruth.heatmap.errors import PartlyRead

    files = Files(given.maps or (), given.mark, given.shift, picture.given(given.maps or ()))
    with any_store() as store:
        result = compare_stored(
            store,
            coin,
            at=at,
            truth=truth,
            models=model,
            files=files,
            window=window,
            tolerance_pct=tolerance_pct,
            windows=windows,
            within_pct=float(within_pct),
        )
    export_divergence(result, out)
    if result.left_out:
        raise PartlyRead(f"not compared: {'; '.join(result.left_out.values())}")
