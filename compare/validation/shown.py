"""A proof in a terminal: the answer, a table of Wasserstein-1 by contestant, and what it does not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from liqtruth.compare.validation.baselines import FITTED, LAYERS
from liqtruth.compare.validation.findings import SplitFindings
from liqtruth.compare.validation.limitations import limitations
from liqtruth.compare.validation.validation import Findings
from liqtruth.compare.validation.verdicts import (
    RIVALS,
    answer,
    bounds_line,
    gate_line,
    recall_line,
    setting_lines,
    skill_line,
    span,
    split_line,
)
from liqtruth.heatmap.notes import SYNTHETIC

if TYPE_CHECKING:
    from rich.table import Table

NOISE_FLOOR = "noise floor"


def proof_table(findings: Findings) -> Table:
    """A row per split and contestant: W1 and what the fit gains, on the crowd's map and on the raw one."""
    from rich.table import Table

    table = Table(title=f"{heading(findings)}: W1 in % of price, both sides' maps", title_justify="left")
    table.add_column("judged on")
    table.add_column("map")
    for layer in LAYERS:
        table.add_column(layer, justify="right", no_wrap=True)
        table.add_column("fit nearer by (95 %)", justify="right", no_wrap=True)
    for split in findings.splits:
        for place, cells in enumerate(split_rows(split)):
            table.add_row(split.name if place == 0 else "", *cells)
        table.add_section()
    return table


def split_rows(split: SplitFindings) -> Iterator[tuple[str, ...]]:
    """Cells of one split: contestant, then W1 and gain per layer."""
    scores = [split.main(layer) for layer in LAYERS]
    for name in (FITTED, *RIVALS):
        cells = []
        for score in scores:
            gain = score.gain(name)
            cells += [number(score.means[name]), "" if gain is None else span(gain)]
        yield name, *cells
    floors = [cell for score in scores for cell in (number(score.floor), "")]
    yield NOISE_FLOOR, *floors


def proof_lines(findings: Findings) -> Iterator[str]:
    """The answer first, then split by split, then what is not shown, then how it was judged."""
    yield answer(findings)
    for split in findings.splits:
        yield ""
        yield skill_line(split)
        yield from (f"  {line}" for line in layer_lines(split, findings.least_effective))
    yield ""
    yield "where it does not:"
    yield from (f"  {line}" for line in limitations(findings))
    yield ""
    yield "how it was judged:"
    yield from (f"  {line}" for line in setting_lines(findings))


def layer_lines(split: SplitFindings, least_effective: float) -> Iterator[str]:
    """Per layer: how near, how many positions, whether the bounds held, and clusters beside chance."""
    unnamed = msgspec.structs.replace(split, name="")
    for layer in LAYERS:
        yield split_line(unnamed, layer)
        yield gate_line(unnamed, layer, least_effective)
        yield bounds_line(unnamed, layer)
        yield recall_line(unnamed, layer)


def heading(findings: Findings) -> str:
    """Whose pairs, and of when."""
    made = f"{SYNTHETIC}: " if findings.synthetic else ""
    return f"{made}proof on {', '.join(findings.coins)}, {findings.start:%Y-%m-%d} to {findings.end:%Y-%m-%d}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
