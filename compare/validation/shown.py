"""A validation in a terminal: the answer, a table of Wasserstein-1 per baseline, and where it does not hold.

It does not hold where there is no skill, baselines are not beaten, positions are too few, or other scores, bounds or
clusters tell against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from liqtruth.compare.statistics.distances import HEADLINE_PCT, RANGES_PCT
from liqtruth.compare.validation.backtest import CHANCE
from liqtruth.compare.validation.baselines import BASELINES, FITTED, LAYERS
from liqtruth.compare.validation.findings import BOTH, SplitFindings
from liqtruth.compare.validation.validation import Findings
from liqtruth.compare.validation.verdicts import (
    RIVALS,
    answer,
    bounds_line,
    gate_line,
    listed,
    proves_little,
    recall_line,
    rival_line,
    rival_name,
    setting_lines,
    skill_line,
    span,
    split_line,
)
from liqtruth.estimator.model.leverage_model import LEVEL
from liqtruth.heatmap.words.notes import SYNTHETIC

if TYPE_CHECKING:
    from rich.table import Table


NOISE_FLOOR = "noise floor"
SCORE_WORDS: Final = {
    "wasserstein_10pct": "the shape within 10 %",
    "jensen_shannon": "the smoothed shape",
    "fractions_1pct": "the share of each zone of 1 %",
    "mass": f"the mass within {HEADLINE_PCT:g} %",
    "curve_2pct": "what a move of 2 % liquidates",
    "curve_5pct": "what a move of 5 % liquidates",
    "curve_10pct": "what a move of 10 % liquidates",
}


def validation_table(findings: Findings) -> Table:
    """A row per split and contestant: W1 within 25 and 10 % and what the fit gains (within 25 %), on the crowd's map
    and on the raw one."""
    from rich.table import Table

    table = Table(title=f"{heading(findings)}: W1 in % of price, both sides' maps", title_justify="left")
    table.add_column("judged on")
    table.add_column("map")
    for layer in LAYERS:
        table.add_column(layer, justify="right", no_wrap=True)
        table.add_column(f"in {RANGES_PCT[0]:g} %", justify="right", no_wrap=True)
        table.add_column("fit nearer by (95 %)", justify="right", no_wrap=True)
    for split in findings.splits:
        for place, cells in enumerate(split_rows(split)):
            table.add_row(split.name if place == 0 else "", *cells)
        table.add_section()
    return table


def split_rows(split: SplitFindings) -> Iterator[tuple[str, ...]]:
    """Cells of one split: contestant, then W1 and gain per layer."""
    scores = [(split.main(layer), split.of(BOTH, layer).near) for layer in LAYERS]
    for name in (FITTED, *RIVALS):
        cells = []
        for score, near in scores:
            gain = score.gain(name)
            within = number(None if near is None else near.means[name])
            cells += [number(score.means[name]), within, "" if gain is None else span(gain)]
        yield rival_name(split, name), *cells
    floors = [
        cell
        for score, near in scores
        for cell in (number(score.floor), number(None if near is None else near.floor), "")
    ]
    yield NOISE_FLOOR, *floors


def validation_lines(findings: Findings) -> Iterator[str]:
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
    """Per layer: how near, how many positions, coverage of the bounds, and clusters beside chance."""
    unnamed = msgspec.structs.replace(split, name="")
    for layer in LAYERS:
        yield split_line(unnamed, layer)
        yield gate_line(unnamed, layer, least_effective)
        yield bounds_line(unnamed, layer)
        yield recall_line(unnamed, layer)


def heading(findings: Findings) -> str:
    """Whose pairs, and of when."""
    made = f"{SYNTHETIC}: " if findings.synthetic else ""
    return f"{made}validation on {', '.join(findings.coins)}, {findings.start:%Y-%m-%d} to {findings.end:%Y-%m-%d}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def limitations(findings: Findings) -> Iterator[str]:
    """Everything that the validation does not show, the worst first."""
    splits = findings.splits
    each = [(split, layer) for split in splits for layer in LAYERS]
    yield from (skill_line(split) for split in splits if not split.skill or proves_little(split, "crowd"))
    for split, layer in each:
        yield from _not_beaten(split, layer)
    for split, layer in each:
        if split.of(BOTH, layer).enough < split.of(BOTH, layer).maps:
            yield gate_line(split, layer, findings.least_effective)
    for split in splits:
        yield from _worse_elsewhere(split)
    for split, layer in each:
        yield from _bounds_and_clusters(split, layer)
    yield from _unknown_rivals(splits)


def _not_beaten(split: SplitFindings, layer: str) -> Iterator[str]:
    """Rivals that are not beaten on maps that pass the gate; without any interval `skill_line` states it."""
    gains = split.main(layer).gains
    if all(gain.shown is None for gain in gains):
        return
    yield from _doubtful(split, layer)
    yield from (rival_line(split, layer, gain.rival) for gain in gains if (gain.high or 0.0) < 0)


def _doubtful(split: SplitFindings, layer: str) -> Iterator[str]:
    """All rivals whose interval holds zero, in one line."""
    gains = [
        gain for gain in split.main(layer).gains if gain.low is None or gain.low <= 0 <= (gain.high or 0.0)
    ]
    if gains:
        doubtful = [f"{rival_name(split, gain.rival)}, {span(gain)}" for gain in gains]
        yield f"{split.name}, {layer}: not shown to be nearer than {'; '.join(doubtful)}"


def _unknown_rivals(splits: Sequence[SplitFindings]) -> Iterator[str]:
    for rival in BASELINES:
        where = [
            split.name
            for split in splits
            if split.of(BOTH, "crowd").enough and split.main("crowd").gain(rival) is None
        ]
        if where:
            yield f"{rival} is known on no map of {listed(where)}: no conclusion there"


def _worse_elsewhere(split: SplitFindings) -> Iterator[str]:
    """Other scores of the crowd's map in which some baseline is better, beyond doubt."""
    for score in split.of(BOTH, "crowd").scores:
        worse = [gain.rival for gain in score.gains if gain.high is not None and gain.high < 0]
        if worse and score.score in SCORE_WORDS:
            yield f"{split.name}, crowd: {SCORE_WORDS[score.score]} is matched better by {listed(worse)}"


def _bounds_and_clusters(split: SplitFindings, layer: str) -> Iterator[str]:
    side = split.of(BOTH, layer)
    found = side.bounds
    most = None if found is None else found.overall if found.high is None else found.high
    if most is None or most < LEVEL or (found is not None and found.too_narrow):
        yield bounds_line(split, layer)
    recalled = side.of("recall_5").gain(CHANCE)
    if recalled is not None and not recalled.shown:
        yield recall_line(split, layer)
