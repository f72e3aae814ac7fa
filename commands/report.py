"""`liqtruth report`: a page, a JSON and a table of each coin, for a timer; conditions that make it fail."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from liqtruth.commands.line.grammar import Options
from liqtruth.commands.line.output import json_of, write_text
from liqtruth.commands.line.targets import STDOUT
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import refusing, split_names
from liqtruth.commands.options.maps import MapFiles, Picture
from liqtruth.commands.options.shared import At, Coins, Days, Range, existing_store

if TYPE_CHECKING:
    from liqtruth.compare.reports.conditions import Condition
    from liqtruth.compare.reports.run import Made, Run


@refusing
def parse_condition(text: str) -> Any:
    """`w1 > 5`."""
    from liqtruth.compare.reports.conditions import parse_condition as parse

    return parse(text)


@dataclass(frozen=True)
class FolderOptions(Options):
    """Where reports are kept, what is printed of them, and what must not be."""

    heading: ClassVar[str] = "Output"

    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where reports are kept.")
    ] = Path("reports")
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object in place of the answers: figures and files of each coin, and which --fail-if "
            "failed.",
        ),
    ] = False
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Remove all but the latest N reports of each of these coins; default: none is removed.",
        ),
    ] = None
    fail_if: Annotated[
        list[Any] | None,
        typer.Option(
            "--fail-if",
            parser=parse_condition,
            metavar="'FIGURE OP NUMBER'",
            help="End with exit code 1 where this holds of any coin and map, or is not known, e.g. 'w1 > 5'; may be "
            "repeated. OP is < <= > >= == or !=. FIGURE is w1, w1_long or w1_short (percent of price), skill (%), "
            "within_5 or within_10 (% of a map within 5 or 10 % of its mark), within_5_off or within_10_off (less "
            "the truth's), truth_within_5, truth_within_10, coverage, coverage_long or coverage_short (%), or age_h "
            "(hours).",
        ),
    ] = None

    @property
    def conditions(self) -> "tuple[Condition, ...]":
        return tuple(dict.fromkeys(self.fail_if or ()))


@dataclass(frozen=True)
class ComparedOptions(Options):
    """Which models are compared beside the map files."""

    heading: ClassVar[str] = "Maps"

    venue: Annotated[
        str,
        typer.Option(
            metavar="VENUE,...",
            help="Venues whose map is modelled; stored: those of binance, bybit and okx whose series are; none: only "
            "--map.",
        ),
    ] = "stored"
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VENUE:MODEL|FILE",
            help="A map to compare in place of those of --venue; may be repeated.",
        ),
    ] = None

    @property
    def venues(self) -> list[str]:
        return [] if self.venue == "none" or self.model else split_names(self.venue)


def report(
    coins: Coins,
    given: MapFiles,
    picture: Picture,
    kept: Annotated[FolderOptions, FolderOptions.spread()],
    compared: Annotated[ComparedOptions, ComparedOptions.spread()],
    days: Days = "30d",
    at: At = None,
    within_pct: Range = "25",
) -> None:
    """Compare what is stored of each coin, and keep a page, a JSON and a CSV of it beside earlier ones.

    Reads no host: `index watch` and `feed watch`, or `check`, keep what it compares. index.html lists every report in
    the folder and how its figures moved. The exit code is 3 where a coin, or a map that was named, could not be
    compared; the others are.
    """
    from liqtruth.compare.check import CheckPlan
    from liqtruth.compare.reports.run import write_reports

    plan = CheckPlan(
        coins=tuple(dict.fromkeys(coins)),
        maps=given.maps or (),
        venues=compared.venues,
        days=days,
        mark_px=given.mark,
        shift=given.shift,
        picture=picture.given(given.maps or ()),
        models=tuple(dict.fromkeys(compared.model or ())),
        at=at,
        within_pct=float(within_pct),
        windows=True,
    )
    with existing_store() as store:
        on_made = partial(tell_made, quiet=kept.json)
        run = write_reports(store, plan, kept.folder, keep=kept.keep, on_made=on_made)
    now = datetime.now(UTC)
    index = indexed(run, kept.folder)
    if kept.json:
        tell_summary(run, kept, index, now)
    refuse_failed(run, kept, now)


def indexed(run: "Run", folder: Path) -> Path | None:
    """The page of all reports in the folder, written again; null where there is none."""
    from liqtruth.compare.reports.index_page import INDEX, write_index

    if not (run.made or folder.is_dir()):
        return None
    for line in write_index(folder).broken:
        say(f"left out of the index: {line}", err=True)
    say(f"wrote {folder / INDEX}", err=True)
    return folder / INDEX


def tell_summary(run: "Run", kept: FolderOptions, index: Path | None, now: datetime) -> None:
    from liqtruth.compare.reports.summary import summary_of

    write_text(json_of(summary_of(run, kept.conditions, index, now)), STDOUT)


def refuse_failed(run: "Run", kept: FolderOptions, now: datetime) -> None:
    """Name the coins without a report, the figures that did not pass and the maps that were left out; the gravest of
    them is raised, what failed a condition before what could not be read."""
    from liqtruth.heatmap.errors import LiqtruthError, PartlyRead
    from liqtruth.heatmap.words.text import counted

    for coin, why in run.failed if run.made else run.failed[1:]:
        say(f"{coin} has no report: {why}", err=True)
    if not run.made:
        raise run.failed[0][1]
    lines = [one.describe() for one in run.held(kept.conditions, now)]
    if lines:
        for line in (*(f"not compared: {one}" for one in run.left_out), *lines[1:]):
            say(line, err=True)
        raise LiqtruthError(f"{counted(len(lines), 'figure')} did not pass: {lines[0]}")
    if lacking := [*(coin for coin, _ in run.failed), *run.left_out]:
        raise PartlyRead(f"not all could be compared: {', '.join(lacking)}")


def tell_made(made: "Made", quiet: bool = False) -> None:
    """The answer, and where it was written; `quiet` leaves stdout alone."""
    if not quiet:
        say(f"{made.content.coin}: {made.content.verdict}")
    say(f"wrote {made.place.file('.html')}, .json and .csv", err=True)
