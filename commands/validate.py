"""`liqtruth calibrate test`: what a calibrated model is worth on maps that its fit has not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liqtruth.commands.calibrate import Aggregates, Cluster, LeastCoverage, WorkerCount, calibrate_app
from liqtruth.commands.options import End, HtmlOut, JsonOut, Start, Step, opened_store, parse_time
from liqtruth.commands.output import progress, write_json
from liqtruth.commands.terminal import print_view, say

if TYPE_CHECKING:
    from liqtruth.compare.calibration.lake_samples import Gathered
    from liqtruth.compare.validation.validation import Findings, Plan
    from liqtruth.storage.store import Store

TABLE_WIDTH = 120
"""Columns that the table needs."""


@calibrate_app.command("test")
def calibrate_test(
    coins: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COIN...", help="Coins to judge on together, e.g. BTC ETH SOL.", show_default=False
        ),
    ] = None,
    start: Start = None,
    end: End = None,
    step: Step = "6h",  # type: ignore[assignment]
    seed: Annotated[int, typer.Option(min=0, help="Seed of intervals and of chance.")] = 0,
    embargo_days: Annotated[
        int, typer.Option(min=0, max=30, help="Days between what is fitted and what is judged.")
    ] = 2,
    parted_at: Annotated[
        Any,
        typer.Option(
            "--split-at",
            parser=parse_time,
            metavar="TIME",
            help="Fit on what was known before TIME and judge the rest, instead of the usual splits.",
        ),
    ] = None,
    least_effective: Annotated[
        float, typer.Option(min=0, help="Effective positions a side that a map needs to have a shape.")
    ] = 50.0,
    open_final: Annotated[
        bool, typer.Option("--open-final", help="Judge the days that are set aside. This can be done once.")
    ] = False,
    show_final: Annotated[
        bool, typer.Option("--show-final", help="Show again what the final window said; nothing is computed.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="Under which the result is saved.")] = "proof",
    show: Annotated[
        bool, typer.Option("--show", help="Show the saved result of --name again; nothing is computed.")
    ] = False,
    least_coverage: LeastCoverage = 0.6,
    aggregates: Aggregates = "hyperliquid",
    workers: WorkerCount = 1,
    cluster: Cluster = None,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Fit on some days and coins, judge on others, beside every baseline, chance and the noise floor.

    Later days, coins that the fit has not seen, and both at once. The last fifth of the days is set aside and not
    looked at: --open-final judges it, once. The result is saved in the data directory.
    """
    from liqtruth.compare.validation.final_window import last_opened
    from liqtruth.compare.validation.validation import load, proof_path, save
    from liqtruth.heatmap.errors import BadInput

    if open_final + show_final + show > 1:
        raise BadInput("--open-final, --show-final and --show are three commands: give one of them")
    with opened_store() as store:
        data_dir = store.settings.data_dir
        proof_path(data_dir, name)
        if show_final:
            opened = last_opened(data_dir, coins or [])
            said = f"final window of {opened.told}, opened at {opened.opened_at:%Y-%m-%dT%H:%MZ}"
            say(said, err=True)
            return _tell(opened.findings, json, html)
        if show:
            return _tell(load(data_dir, name), json, html)
        gathered = _gathered(
            store,
            coins or [],
            least_coverage,
            (workers, cluster),
            start=start,
            end=end,
            step=step,
            aggregates=aggregates,
        )
        plan = _planned(
            gathered,
            seed=seed,
            embargo_days=embargo_days,
            least_effective=least_effective,
            parted_at=parted_at,
        )
        found = _judged(data_dir, plan, open_final)
        path = save(data_dir, name, found)
    say(f"wrote {path}", err=True)
    return _tell(found, json, html)


def _gathered(
    store: "Store", coins: list[str], least_coverage: float, where: tuple[int, str | None], **which: Any
) -> "Gathered":
    """Every pair that the lake gives, read by so many processes or a cluster (`where`), under a progress bar."""
    from liqtruth.compare.calibration.lake_samples import gather
    from liqtruth.compare.calibration.samples import Limits
    from liqtruth.compare.workers import Workers
    from liqtruth.estimator.model.leverage_model import leverage_model_named
    from liqtruth.heatmap.errors import BadInput

    if not coins:
        raise BadInput("no coin is given: name those to judge on, e.g. `liqtruth calibrate test BTC ETH SOL`")
    limits, workers = Limits(least_coverage=least_coverage), Workers(*where)
    with progress("pairs", 1.0) as advance:
        return gather(
            store, coins, leverage_model_named(), limits=limits, workers=workers, on_progress=advance, **which
        )


def _planned(gathered: "Gathered", **how: Any) -> "Plan":
    from liqtruth.compare.validation.validation import Plan
    from liqtruth.estimator.model.leverage_model import leverage_model_named

    return Plan.of(gathered, leverage_model_named(), **how)


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


def _tell(found: "Findings", json: str | None, html: Path | None) -> None:
    """Lines and table, or JSON, or a page."""
    if html is not None:
        from liqtruth.compare.validation.page import write_page

        write_page(found, html)
        say(f"wrote {html}", err=True)
    if json is not None:
        return write_json(found, json)

    from liqtruth.compare.validation.shown import proof_lines, proof_table

    for line in proof_lines(found):
        say(line)
    say("")
    print_view(proof_table(found), TABLE_WIDTH)
    return None
