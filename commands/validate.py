"""`liqtruth validate`: a calibrated model judged on maps that its fit has not seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from liqtruth.commands.line.grammar import App, Options
from liqtruth.commands.line.output import progress, say_lines, tell
from liqtruth.commands.line.targets import Outputs, PageOut
from liqtruth.commands.line.terminal import print_view, say
from liqtruth.commands.line.values import parse_coin
from liqtruth.commands.options.samples import SampleOptions, Samples
from liqtruth.commands.options.shared import Coins, Seed, existing_store, settings, time_option

if TYPE_CHECKING:
    from liqtruth.compare.calibration.lake_samples import Gathered
    from liqtruth.compare.validation.validation import Findings, Plan

TABLE_WIDTH = 120
"""Columns that the table needs."""

validate_app = App("Judge a calibrated model on maps that its fit has not seen.")

Name = Annotated[str, typer.Option(metavar="NAME", help="Under which the result is saved.")]


@dataclass(frozen=True)
class SplitOptions(Options):
    """What is fitted and what is judged."""

    heading: ClassVar[str] = "Splits"

    seed: Seed = 0
    embargo_days: Annotated[
        int, typer.Option(min=0, max=30, help="Days between what is fitted and what is judged.")
    ] = 2
    parted_at: Annotated[
        Any,
        time_option(
            "--split-at",
            help="Fit on what was known before TIME and judge the rest, instead of the usual splits.",
            heading="Splits",
        ),
    ] = None
    least_effective: Annotated[
        float, typer.Option(min=0, help="Effective positions a side below which a map's shape is not judged.")
    ] = 50.0


Splits = Annotated[SplitOptions, SplitOptions.spread()]


@validate_app.command("run")
def validate_run(coins: Coins, samples: Samples, splits: Splits, out: PageOut, name: Name = "proof") -> None:
    """Fit on some days and coins, judge on others, beside every baseline, chance and the noise floor.

    Later days, coins that the fit has not seen, and both at once. The last fifth of the days is set aside and not
    looked at: `validate open-final` judges it, once. The result is saved in the data directory.
    """
    judge(coins, samples, splits, out, name, open_final=False)


@validate_app.command("open-final")
def validate_open_final(
    coins: Coins, samples: Samples, splits: Splits, out: PageOut, name: Name = "proof"
) -> None:
    """Judge also the days that are set aside. This can be done once."""
    judge(coins, samples, splits, out, name, open_final=True)


@validate_app.command("show")
def validate_show(
    out: PageOut,
    coins: Annotated[
        list[str] | None,
        typer.Argument(
            parser=parse_coin, metavar="COIN", help="With --final: of one of these coins.", show_default=False
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The saved result to show.")] = "proof",
    final: Annotated[
        bool, typer.Option("--final", help="Show the result of the final window that was opened last.")
    ] = False,
) -> None:
    """Show a saved result again; nothing is computed."""
    from liqtruth.compare.validation.final_window import last_opened
    from liqtruth.compare.validation.validation import load, validation_path
    from liqtruth.heatmap.errors import BadInput

    if coins and not final:
        raise BadInput(
            f"{coins[0]} must come with --final: a saved result has the coins that it was judged on"
        )
    data_dir = settings().data_dir
    validation_path(data_dir, name)
    if not final:
        return _tell(load(data_dir, name), out)
    opened = last_opened(data_dir, coins or [])
    say(f"final window of {opened.coins_and_days}, opened at {opened.opened_at:%Y-%m-%dT%H:%MZ}", err=True)
    return _tell(opened.findings, out)


def judge(
    coins: list[str],
    samples: SampleOptions,
    splits: SplitOptions,
    out: Outputs,
    name: str,
    *,
    open_final: bool,
) -> None:
    """Fit and judge, save what was found, and show it."""
    from liqtruth.compare.validation.validation import save, validation_path

    with existing_store() as store:
        data_dir = store.settings.data_dir
        validation_path(data_dir, name)
        plan = _planned(samples.gathered(store, coins), **vars(splits))
        found = _judged(data_dir, plan, open_final)
        path = save(data_dir, name, found)
    say(f"wrote {path}", err=True)
    _tell(found, out)


def _planned(gathered: "Gathered", **how: Any) -> "Plan":
    from liqtruth.compare.validation.validation import Plan
    from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named

    return Plan.of(gathered, leverage_model_named(DEFAULT), **how)


def _judged(data_dir: Path, plan: "Plan", open_final: bool) -> "Findings":
    """All splits that may be looked at, and the final window where it is to be opened."""
    from liqtruth.compare.validation.final_window import check_unopened, open_window

    if open_final:
        check_unopened(data_dir, plan)
    splits = []
    for split in plan.splits():
        with progress(split.name, 1.0) as advance:
            splits.append(plan.judged(split, advance))
    if open_final:
        with progress("final window", 1.0) as advance:
            splits.extend(open_window(data_dir, plan, advance).findings.splits)
    return plan.findings(splits)


def _tell(found: "Findings", out: Outputs) -> None:
    """Lines and table, or JSON, and a page."""
    from liqtruth.compare.validation.page import write_page
    from liqtruth.compare.validation.shown import validation_lines, validation_table

    def shown() -> None:
        say_lines([*validation_lines(found), ""])
        print_view(validation_table(found), TABLE_WIDTH)

    tell(found, out, shown, write_page)
