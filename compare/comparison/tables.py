"""Tables of a comparison in 80 columns: names break where they must, figures never, and scores say how they stand."""

from collections.abc import Sequence
from typing import Final, Literal

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from liqtruth.compare.statistics.scores import SAME_SKILL

SKILL_STYLES: Final = {"better": "bold", "no better": "", "worse": "italic"}
LONGEST_WORD: Final = 16
"""Of a name; a longer one is broken, so that figures find room beside it."""


def empty_table(title: str, *columns: str, left: int = 1) -> Table:
    """An empty table; names of maps are text, never markup."""
    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if position < left else "right"
        table.add_column(Text(column), justify=justify, no_wrap=position < left)
    return table


def folding(table: Table) -> Table:
    """Long names, such as those of filtered maps, take several lines, broken between words; figures never do."""
    for place, column in enumerate(table.columns):
        column.no_wrap, column.overflow = place > 0, "fold"
    words = [word for cell in table.columns[0].cells for word in str(cell).split()]
    table.columns[0].min_width = min(max(map(cell_len, words), default=0), LONGEST_WORD)
    return table


def captioned(table: Table, caption: str) -> Table:
    table.caption, table.caption_justify = Text(caption, style="dim italic"), "left"
    return table


def bullets(remarks: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 1))
    for remark in remarks:
        table.add_row("•", Text(remark))
    return table


def graded(
    value: float | None,
    skill: float | None,
    score: str = "wasserstein_pct",
    *,
    ranked: bool,
    mark: str = "",
    by_chance: bool = False,
) -> Text:
    """A score, and in words how it stands to that of the map that knows only the mark; or, where it ranks no model, at
    most why. What chance may bring is not called better."""
    shown = figure(score, value)
    if not ranked:
        return Text(f"{shown} {mark}".strip(), style="dim")
    if skill is None:
        return Text(shown, style="dim")
    word = "no better" if abs(skill) <= SAME_SKILL else "better" if skill > 0 else "worse"
    if word == "better" and by_chance:
        return Text(f"{shown} as by chance", style="dim")
    return Text.assemble(shown, " ", (f"{word} {skill:+.0%}", SKILL_STYLES[word]))


def figure(score: str, value: float | None) -> str:
    if value is None:
        return "-"
    if score == "share_above_error":
        return f"{100 * value:.0f} pp"
    return f"{value:.2f} %" if score == "wasserstein_pct" else f"{value:.3f}"
