"""Where a validation does not hold: no skill, rivals not beaten, too few positions, other scores, bounds, clusters."""

from collections.abc import Iterator, Sequence
from typing import Final

from liqtruth.compare.validation.backtest import CHANCE
from liqtruth.compare.validation.baselines import BASELINES, LAYERS
from liqtruth.compare.validation.findings import BOTH, SplitFindings
from liqtruth.compare.validation.validation import Findings
from liqtruth.compare.validation.verdicts import (
    bounds_line,
    gate_line,
    listed,
    proves_little,
    recall_line,
    rival_line,
    skill_line,
    span,
)
from liqtruth.estimator.model.leverage_model import LEVEL

SCORE_WORDS: Final = {
    "jensen_shannon": "the smoothed shape",
    "fractions_1pct": "the share of each zone of 1 %",
    "mass": "the mass within 25 %",
    "curve_2pct": "what a move of 2 % liquidates",
    "curve_5pct": "what a move of 5 % liquidates",
    "curve_10pct": "what a move of 10 % liquidates",
}


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
        doubtful = [f"{gain.rival}, {span(gain)}" for gain in gains]
        yield f"{split.name}, {layer}: not shown to be nearer than {'; '.join(doubtful)}"


def _unknown_rivals(splits: Sequence[SplitFindings]) -> Iterator[str]:
    for rival in BASELINES:
        where = [
            split.name
            for split in splits
            if split.of(BOTH, "crowd").enough and split.main("crowd").gain(rival) is None
        ]
        if where:
            yield f"{rival} is known on no map of {listed(where)}: nothing is said of it there"


def _worse_elsewhere(split: SplitFindings) -> Iterator[str]:
    """Other scores of the crowd's map in which some baseline is better, beyond doubt."""
    for name, words in SCORE_WORDS.items():
        gains = split.of(BOTH, "crowd").of(name).gains
        worse = [gain.rival for gain in gains if gain.high is not None and gain.high < 0]
        if worse:
            yield f"{split.name}, crowd: {words} is told better by {listed(worse)}"


def _bounds_and_clusters(split: SplitFindings, layer: str) -> Iterator[str]:
    side = split.of(BOTH, layer)
    found = side.bounds
    most = None if found is None else found.overall if found.high is None else found.high
    if most is None or most < LEVEL:
        yield bounds_line(split, layer)
    recalled = side.of("recall_5").gain(CHANCE)
    if recalled is not None and not recalled.shown:
        yield recall_line(split, layer)
