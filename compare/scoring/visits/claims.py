"""Claims that are made of liquidation heatmaps, each with what was measured, its chance level and a verdict.

A claim is a range of a figure. It holds where our figure lies in that range and is better than chance; where chance
reaches as much, it is no merit of the map; where our interval lies outside, it does not hold. What the data cannot
decide is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from liqtruth.compare.scoring.visits.alignment import Alignment
from liqtruth.compare.scoring.visits.groups import ATR, CONFLUENCE, TRIPLE, GroupRow, MoveRow
from liqtruth.compare.scoring.visits.visits import BOTH, VisitRow, in_days
from liqtruth.compare.statistics.intervals import Estimate, scaled
from liqtruth.heatmap.clusters.facts import ATR_CLASSES
from liqtruth.heatmap.words.notes import Note, note

NOT_SPLIT: Final = "zones were not grouped by it"
CLAIM_HORIZON_H: Final = 168
"""The claim names no horizon: a week is taken, the others stand in the table of visits."""


@dataclass(frozen=True)
class Claim:
    """A figure in percent claimed to lie from `low` to `high`; `better` is 1 where more of it is better, else -1."""

    name: Literal["visited", "aligned", "deviation", "near", "confluence", "stacked"]
    text: str
    low: float
    high: float
    better: int


CLAIMS: Final = (
    Claim("visited", "60-70 % of hotspots are visited", 60.0, 70.0, 1),
    Claim("aligned", "70-85 % of clusters align", 70.0, 85.0, 1),
    Claim("deviation", "1-3 % deviation", 1.0, 3.0, -1),
)

SPLIT_CLAIMS: Final = (
    Claim("near", "clusters inside 1 ATR are swept within 24 h", 50.0, 100.0, 1),
    Claim("confluence", "65-70 % of clusters with triple confluence are swept", 65.0, 70.0, 1),
    Claim("stacked", "stacked clusters are behind 10 % candles", 0.0, 100.0, 1),
)
"""The first is taken as: more than half of them. The last names no figure: it holds where such moves have stacked
clusters on their way more often than chance."""


class Answer(msgspec.Struct, frozen=True):
    """Our figure for a claim in percent, its chance level and ours less chance's, and the verdict."""

    claim: str
    measured_as: str
    figure: Estimate | None
    chance: Estimate | None
    difference: Estimate | None
    verdict: Note


def answers(visits: Sequence[VisitRow], alignment: Alignment | None, no_exact: str) -> tuple[Answer, ...]:
    """One per claim, in the order of `CLAIMS`; `no_exact` is why there is no alignment where it is null."""
    visited, aligned, deviation = CLAIMS
    return (
        _of_visits(visited, visits),
        _of_alignment(aligned, alignment, no_exact),
        _of_alignment(deviation, alignment, no_exact),
    )


def split_answers(
    groups: Sequence[GroupRow], moves: MoveRow | None, why: Mapping[str, str]
) -> tuple[Answer, ...]:
    """One per claim of `SPLIT_CLAIMS`; `why` has, by what zones are grouped by, the reason for groups that lack."""
    near, confluence, stacked = SPLIT_CLAIMS
    return (
        _of_group(near, groups, ATR, f"{ATR_CLASSES[0]} ATR", 24, why),
        _of_group(confluence, groups, CONFLUENCE, TRIPLE, CLAIM_HORIZON_H, why),
        _of_moves(stacked, moves),
    )


def verdict(claim: Claim, figure: Estimate | None, difference: Estimate | None, why: str) -> Note:
    """Whether the claim holds, holds but is what chance gives, does not hold, or what is lacking to know."""
    if figure is None or figure.low is None or figure.high is None:
        return note("claim_unknown", why=why or "there is no interval")
    if figure.low > claim.high:
        return note("claim_more", against_chance=_against_chance(claim, difference))
    if figure.high < claim.low:
        return note("claim_less", against_chance=_against_chance(claim, difference))
    if not claim.low <= figure.value <= claim.high:
        why = "the interval reaches into the range but the figure is outside"
        return note("claim_unknown", why=why)
    if difference is None or difference.low is None or difference.high is None:
        return note("claim_unknown", why=why or "there is no chance level")
    return note("claim_holds" if _beats_chance(claim, difference) else "claim_is_chance")


def _beats_chance(claim: Claim, difference: Estimate) -> bool:
    nearest = difference.low if claim.better > 0 else difference.high
    return nearest is not None and claim.better * nearest > 0


def _against_chance(claim: Claim, difference: Estimate | None) -> str:
    if difference is None or difference.low is None:
        return "beside chance not known"
    return "better than chance" if _beats_chance(claim, difference) else "no better than chance"


def _of_visits(claim: Claim, visits: Sequence[VisitRow]) -> Answer:
    chosen = [row for row in visits if row.side == BOTH and row.horizon_h == CLAIM_HORIZON_H]
    measured = f"by notional, within {in_days(CLAIM_HORIZON_H)}"
    if not chosen:
        unknown = note("claim_unknown", why="this horizon was not scored")
        return Answer(claim.text, measured, None, None, None, unknown)
    row = chosen[0]
    return _answer(
        claim,
        measured,
        (row.weighted.visited, row.weighted.expected, row.weighted.difference),
        100.0,
        row.why,
    )


def _of_alignment(claim: Claim, found: Alignment | None, no_exact: str) -> Answer:
    if found is None:
        return Answer(claim.text, "", None, None, None, note("claim_unknown", why=no_exact))
    if claim.name == "aligned":
        measured = f"within {found.tolerance_pct:g} % of price of an exact one"
        shares = found.share, found.chance_share, found.share_difference
        return _answer(claim, measured, shares, 100.0, found.why)
    measured = "median, to the nearest exact cluster, % of price"
    medians = found.deviation_pct, found.chance_deviation_pct, found.deviation_difference_pct
    return _answer(claim, measured, medians, 1.0, found.why)


def _of_group(
    claim: Claim, groups: Sequence[GroupRow], by: str, name: str, horizon_h: int, why: Mapping[str, str]
) -> Answer:
    rows = [one.visits for one in groups if one.group == name and one.visits.horizon_h == horizon_h]
    measured = f"{name}, by notional, within {in_days(horizon_h)}"
    if not rows:
        return Answer(
            claim.text, measured, None, None, None, note("claim_unknown", why=why.get(by, NOT_SPLIT))
        )
    found = rows[0].weighted
    return _answer(claim, measured, (found.visited, found.expected, found.difference), 100.0, rows[0].why)


def _of_moves(claim: Claim, found: MoveRow | None) -> Answer:
    if found is None:
        return Answer(claim.text, "", None, None, None, note("claim_unknown", why=NOT_SPLIT))
    moves = f"{found.moves} moves of {found.move_pct:g} % within {found.horizon_h} h"
    measured = f"of {moves}, with a stacked zone on their way"
    return _answer(claim, measured, (found.share, found.chance, found.difference), 100.0, found.why)


def _answer(
    claim: Claim,
    measured_as: str,
    estimates: tuple[Estimate | None, Estimate | None, Estimate | None],
    factor: float,
    why: str,
) -> Answer:
    figure, chance, difference = (scaled(one, factor) for one in estimates)
    return Answer(
        claim.text, measured_as, figure, chance, difference, verdict(claim, figure, difference, why)
    )
