"""`liqtruth calibrate`: fit the leverage model on exact positions, and look at what was fitted."""

from typing import Annotated, Any

import typer

from liqtruth.commands.options import End, HtmlOut, JsonOut, Start, Step, opened_store
from liqtruth.commands.output import progress, show_summaries, write_json
from liqtruth.commands.terminal import print_view, say

TABLE_WIDTH = 110
"""Columns that the table of a distribution needs."""

LeastCoverage = Annotated[
    float,
    typer.Option(min=0.01, max=1.0, help="Share of open interest that each side of a pair must cover."),
]
Aggregates = Annotated[
    str,
    typer.Option(
        metavar="VENUE",
        help="Whose series are read; another venue stands in where Hyperliquid's were not kept.",
    ),
]
WorkerCount = Annotated[
    int, typer.Option("--workers", min=1, max=256, help="Processes of this machine that read pairs.")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Dask scheduler whose workers read pairs, e.g. tcp://10.0.0.5:8786."
    ),
]

calibrate_app = typer.Typer(
    no_args_is_help=True, help="Fit the leverage model on Hyperliquid's exact positions."
)


@calibrate_app.command("fit")
def calibrate_fit(
    coins: Annotated[
        list[str], typer.Argument(metavar="COIN...", help="Coins to fit on together, e.g. BTC ETH SOL.")
    ],
    start: Start = None,
    end: End = None,
    step: Step = "6h",  # type: ignore[assignment]
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the fitted model.")] = "calibrated",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    least_coverage: LeastCoverage = 0.6,
    aggregates: Aggregates = "hyperliquid",
    workers: WorkerCount = 1,
    cluster: Cluster = None,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Fit leverage on pairs of exact positions and Hyperliquid's own public aggregates of the same moments.

    A model of an earlier fit with the same name is replaced. `liqtruth map model --model calibrated` draws with it. A
    fit on too few positions is written and shown, but not put into use, and the exit code is 1.
    """
    from liqtruth.compare.calibration.lake_samples import gather
    from liqtruth.compare.calibration.leverage_fit import LeverageFit
    from liqtruth.compare.calibration.record import (
        FitFailsItsGate,
        fit_to_save,
        save,
    )
    from liqtruth.compare.calibration.samples import Limits
    from liqtruth.compare.calibration.shown import shown, write_page
    from liqtruth.compare.workers import Workers
    from liqtruth.estimator.model.leverage_model import leverage_model_named

    prior = leverage_model_named()
    with opened_store() as store:
        with progress("pairs", 1.0) as advance:
            gathered = gather(
                store,
                coins,
                prior,
                start=start,
                end=end,
                step=step,
                limits=Limits(least_coverage=least_coverage),
                aggregates=aggregates,
                workers=Workers(workers, cluster),
                on_progress=advance,
            )
        with progress("fit", 1.0) as advance:
            fitted = LeverageFit(prior, name=name, seed=seed).fit(gathered, advance).calibrated_
        data_dir, asked = store.settings.data_dir, fitted.model.name
        fitted = fit_to_save(data_dir, fitted)
        path = save(data_dir, fitted)
    result = shown(fitted.model, fitted.record)
    if html is not None:
        write_page(result, html)
        say(f"wrote {html}", err=True)
    _tell(result, json)
    say(f"wrote {path}", err=True)
    if not fitted.record.passes:
        raise FitFailsItsGate(asked, fitted.record)


@calibrate_app.command("show")
def calibrate_show(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A leverage model.")] = "calibrated",
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Show a model's distribution of leverage, with intervals, beside tiers, bell and the shipped prior."""
    from liqtruth.compare.calibration.record import load
    from liqtruth.compare.calibration.shown import shown, write_page
    from liqtruth.compare.transfer.record import load as load_transfer
    from liqtruth.compare.transfer.shown import ShownTransfer, tell_transfer

    with opened_store() as store:
        model, record = load(store.settings.data_dir, name)
        carried = load_transfer(store.settings.data_dir, model.hash)
    result = shown(model, record)
    if html is not None:
        write_page(result, html)
        say(f"wrote {html}", err=True)
        if json is None:
            return
    if carried is None:
        return _tell(result, json)
    if json is not None:
        return write_json(ShownTransfer(result, carried), json)
    _tell(result, None)
    return tell_transfer(carried)


@calibrate_app.command("list")
def calibrate_list(json: JsonOut = None) -> None:
    """List the leverage models that maps can be drawn with: shipped ones and those of the data directory."""
    from liqtruth.compare.calibration.record import listed
    from liqtruth.compare.transfer.record import load as load_transfer

    with opened_store() as store:
        data_dir = store.settings.data_dir
        show_summaries(
            listed(data_dir, lambda model_hash: load_transfer(data_dir, model_hash) is not None), json
        )


def _tell(result: Any, json: str | None) -> None:
    """The table and its lines, or JSON."""
    if json is not None:
        return write_json(result, json)

    from liqtruth.compare.calibration.shown import shown_lines, shown_table

    print_view(shown_table(result), TABLE_WIDTH)
    for line in shown_lines(result):
        say(line)
    return None


@calibrate_app.command("diff")
def calibrate_diff(
    one: Annotated[str, typer.Argument(metavar="A", help="A leverage model, by name or file.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The one to hold it against.")],
    json: JsonOut = None,
) -> None:
    """How two leverage models differ, band by band, and whether their intervals overlap."""
    from liqtruth.compare.calibration.differences import (
        differences,
        differences_lines,
        differences_table,
        known,
    )

    with opened_store() as store:
        found = differences(*(known(store.settings.data_dir, name) for name in (one, other)))
    if json is not None:
        return write_json(found, json)

    print_view(differences_table(found), TABLE_WIDTH)
    for line in differences_lines(found):
        say(line)
    return None


@calibrate_app.command("use")
def calibrate_use(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A fitted model; see `calibrate list`.")],
) -> None:
    """Choose the fitted model that `--model calibrated` draws with."""
    from liqtruth.estimator.model.model_in_use import use

    with opened_store() as store:
        use(store.settings.data_dir, name)
    say(f"maps of --model calibrated are drawn with {name}")
