"""`liqtruth map`, to which the modules beside this one add a command for each question."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from liqtruth.commands.line.grammar import App, Options
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import parse_duration

EXACT = "exact"
USUAL_WIDTH_BPS = 10.0
USUAL_WINDOW = "30d"

map_app = App("Draw or export one heatmap.")

Hidden = Annotated[str | None, typer.Option(hidden=True)]
HiddenLength = Annotated[Any, typer.Option(parser=parse_duration, hidden=True)]


@dataclass(frozen=True)
class OldSeries(Options):
    """How a history was asked for before `map history`."""

    series: HiddenLength = None
    step: HiddenLength = None


def say_moved(before: str, now: str) -> None:
    """One line on stderr about a spelling that the next release no longer takes."""
    say(f"note: `liqtruth {before}` is now `liqtruth {now}`; the next release takes only that", err=True)
