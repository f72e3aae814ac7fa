"""`liqtruth calibrate`: fit the leverage model on exact positions, and look at what was fitted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liqtruth.commands.line.grammar import App
from liqtruth.commands.line.output import progress, say_lines, tell, tell_rows
from liqtruth.commands.line.targets import JsonOut, Outputs, PageOut, TableOut
from liqtruth.commands.line.terminal import print_view, say
from liqtruth.commands.options.samples import SampleOptions, Samples
from liqtruth.commands.options.shared import At, Coins, Seed, existing_store, settings

if TYPE_CHECKING:
    from liqtruth.storage.store import Store

TABLE_WIDTH = 110
"""Columns that the table of a distribution needs."""

calibrate_app = App("Fit the leverage model on Hyperliquid's exact positions.")


@calibrate_app.command("fit")
def calibrate_fit(
    coins: Coins,
    samples: Samples,
    out: PageOut,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the fitted model.")] = "calibrated",
    truth: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Fit on this exact map, table of positions or of banded sums, or a folder of such, instead of stored "
            "positions; may be repeated.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Fit leverage on exact positions and Hyperliquid's own public aggregates of the same moments.

    A model of an earlier fit with the same name is replaced. `liqtruth map model --model calibrated` draws with it. A
    fit on too few positions is written and shown, but not put into use, and the exit code is 1.
    """
    from liqtruth.compare.calibration.record import FitFailsItsGate
    from liqtruth.compare.calibration.shown import shown

    with existing_store() as store:
        fitted, path = fitted_on(store, coins, samples, truth or [], name, seed)
    _tell(shown(fitted.model, fitted.record), out)
    say(f"wrote {path}", err=True)
    if not fitted.record.passes:
        raise FitFailsItsGate(name, fitted.record)


def fitted_on(
    store: "Store", coins: list[str], samples: SampleOptions, truth: list[Path], name: str, seed: int
) -> tuple[Any, Path]:
    """The fit on stored positions or on what the files of `truth` are, and where it was written."""
    from liqtruth.compare.calibration.record import fit_to_save, save
    from liqtruth.compare.truths.given import BANDS, fit_to_bands, gathered, kind_of, listed

    data_dir, wanted = store.settings.data_dir, samples.wanted
    if not truth:
        return fit_and_save(data_dir, samples.gathered(store, coins), name, seed)
    span = samples.span_of_files()
    files = listed(truth)
    if kind_of(files) == BANDS:
        fitted = fit_to_save(
            data_dir, fit_to_bands(store, files, coins, name, seed=seed, span=span, **wanted)
        )
        return fitted, save(data_dir, fitted)
    return fit_and_save(data_dir, gathered(store, files, coins, span=span, **wanted), name, seed)


def fit_and_save(data_dir: Path, gathered: Any, name: str = "calibrated", seed: int = 0) -> tuple[Any, Path]:
    """The fit under a progress bar, as it was written, and where; one that fails its gate replaces nothing in use."""
    from liqtruth.compare.calibration.leverage_fit import LeverageFit
    from liqtruth.compare.calibration.record import fit_to_save, save
    from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named

    with progress("fit", 1.0) as advance:
        fit = LeverageFit(leverage_model_named(DEFAULT), name=name, seed=seed).fit(gathered, advance)
    fitted = fit_to_save(data_dir, fit.calibrated_)
    return fitted, save(data_dir, fitted)


@calibrate_app.command("show")
def calibrate_show(
    out: PageOut,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A leverage model.")] = "calibrated",
) -> None:
    """Show a model's distribution of leverage, with intervals, beside tiers, bell and the shipped prior."""
    from liqtruth.compare.calibration.record import load
    from liqtruth.compare.calibration.shown import shown, write_page
    from liqtruth.compare.transfer.record import load as load_transfer
    from liqtruth.compare.transfer.shown import ShownTransfer, tell_transfer

    data_dir = settings().data_dir
    model, record = load(data_dir, name)
    carried = load_transfer(data_dir, model.hash)
    result = shown(model, record)
    if carried is None:
        return _tell(result, out)

    def for_people() -> None:
        _print(result)
        tell_transfer(carried)

    return tell(ShownTransfer(result, carried), out, for_people, lambda _, path: write_page(result, path))


@calibrate_app.command("list")
def calibrate_list(out: TableOut) -> None:
    """List the leverage models that maps can be drawn with: shipped ones and those of the data directory."""
    from liqtruth.compare.calibration.record import listed
    from liqtruth.compare.transfer.record import load as load_transfer

    data_dir = settings().data_dir
    models = listed(data_dir, lambda model_hash: load_transfer(data_dir, model_hash) is not None)
    tell_rows(models, out, lambda: say_lines(line for one in models for line in one.describe()))


def _tell(result: Any, out: Outputs) -> None:
    """The table and its lines, or JSON, and the page."""
    from liqtruth.compare.calibration.shown import write_page

    tell(result, out, lambda: _print(result), write_page)


def _print(result: Any) -> None:
    from liqtruth.compare.calibration.shown import shown_lines, shown_table

    print_view(shown_table(result), TABLE_WIDTH)
    say_lines(shown_lines(result))


@calibrate_app.command("census")
def calibrate_census(
    coins: Coins,
    out: PageOut,
    at: At = None,
    save: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Also write it as a leverage model: `map model --model NAME`."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Count which effective leverages stand, straight from stored positions and without any model.

    From entry and from the mark to liquidation, by side, size, the coin's maximum and margin mode, with intervals,
    beside what maps assume.
    """
    from liqtruth.compare.census.as_model import census_model, save_census
    from liqtruth.compare.census.census import census_of, counted_coin
    from liqtruth.compare.census.shown import write_page

    with existing_store() as store:
        counted = [counted_coin(store, coin, at) for coin in dict.fromkeys(coins)]
        data_dir = store.settings.data_dir
    census = census_of(counted, seed)
    tell(census, out, lambda: _print_census(census), write_page)
    if save is not None:
        path = save_census(data_dir, census_model(census, [one.rows for one in counted], save))
        say(f"wrote {path}", err=True)


def _print_census(census: Any) -> None:
    from liqtruth.compare.census.shown import census_lines, census_table, groups_table

    print_view(census_table(census), TABLE_WIDTH)
    groups = groups_table(census)
    if groups is not None:
        print_view(groups, TABLE_WIDTH)
    say_lines(census_lines(census))


@calibrate_app.command("diff")
def calibrate_diff(
    out: JsonOut,
    one: Annotated[str, typer.Argument(metavar="A", help="A leverage model, by name or file.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The model to compare it with.")],
) -> None:
    """Show how two leverage models differ, band by band, and whether their intervals overlap."""
    from liqtruth.compare.calibration.differences import (
        differences,
        differences_lines,
        differences_table,
        known,
    )

    data_dir = settings().data_dir
    found = differences(*(known(data_dir, name) for name in (one, other)))

    def shown() -> None:
        print_view(differences_table(found), TABLE_WIDTH)
        say_lines(differences_lines(found))

    tell(found, out, shown)


@calibrate_app.command("use")
def calibrate_use(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A fitted model; see `calibrate list`.")],
) -> None:
    """Choose the fitted model that `--model calibrated` draws with."""
    from liqtruth.estimator.model.model_in_use import use

    use(settings().data_dir, name)
    say(f"maps of --model calibrated are drawn with {name}")
