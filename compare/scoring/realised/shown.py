"""Scores on realised liquidations as people read them in a terminal: a table per horizon, the verdict, the notes."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from typing import TYPE_CHECKING, Final

from liqtruth.compare.scoring.realised.job import HorizonScore, RealisedScore
from liqtruth.compare.scoring.realised.scores import MapScore, horizon_name
from liqtruth.compare.scoring.realised.windows import Precision
from liqtruth.compare.statistics.intervals import Estimate
from liqtruth.heatmap.notes import Note, of_codes, texts, without_codes
from liqtruth.heatmap.text import usd, utc_text

if TYPE_CHECKING:
    from rich.table import Table

SYNTHETIC_CODES: Final = frozenset({"synthetic_realised"})
UNKNOWN: Final = "not known"


def realised_tables(score: RealisedScore) -> Iterator[Table]:
    """One table per horizon: a row per side and map."""
    for horizon in score.horizons:
        yield _table(score, horizon)


def _table(score: RealisedScore, horizon: HorizonScore) -> Table:
    from rich.table import Table

    pooled = horizon.sides[-1]
    again = ", those of windows that overlap in each" if horizon.horizon_s > score.step_s else ""
    title = (
        f"{score.venue} {score.coin}, {horizon_name(horizon.horizon_s)} after each of {score.moments} moments: "
        f"{pooled.events:,} liquidations of {usd(pooled.told_usd)} told{again}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("side", "map"):
        table.add_column(name, no_wrap=True)
    for heading in (
        "partial rank",
        "plain",
        "predicted/realised",
        "median",
        "top tenth hit by",
        "skill over it",
    ):
        table.add_column(heading, justify="right")
    for side in horizon.sides:
        for place, one in enumerate(side.maps):
            table.add_row(
                "" if place else side.side, one.name, *_cells(one), end_section=one is side.maps[-1]
            )
    return table


def _cells(one: MapScore) -> tuple[str, ...]:
    median = one.median_log_ratio
    return (
        estimate_text(one.partial),
        UNKNOWN if one.plain is None else f"{one.plain.value:.2f}",
        estimate_text(one.ratio, "ratio"),
        UNKNOWN if median is None else ratio_text(exp(median.value)),
        precision_text(one.precision),
        "" if one.skill is None else estimate_text(one.skill, "+"),
    )


def estimate_text(estimate: Estimate | None, kind: str = "") -> str:
    """`0.62 (0.45 to 0.77)`; `ratio` as `ratio_text`, `+` with its sign."""
    if estimate is None:
        return UNKNOWN

    def text(value: float) -> str:
        return ratio_text(value) if kind == "ratio" else f"{value:{kind}.2f}"

    if estimate.low is None or estimate.high is None:
        return text(estimate.value)
    return f"{text(estimate.value)} ({text(estimate.low)} to {text(estimate.high)})"


def ratio_text(value: float) -> str:
    """Two significant figures, and no powers of ten: `0.067`, `2.3`, `1,600`."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.2g}"


def precision_text(found: Precision | None) -> str:
    """`14% of 71 (8 to 24%)`."""
    if found is None:
        return UNKNOWN
    return f"{found.share:.0%} of {found.events} ({100 * found.low:.0f} to {found.high:.0%})"


def realised_lines(score: RealisedScore) -> Iterator[str]:
    """The verdict, then what must be known to believe it; that data are synthetic before all else."""
    yield from texts(of_codes(score.notes, SYNTHETIC_CODES))
    yield from score.verdict
    yield from (one.verdict for one in score.horizons)
    yield from notes_of(score)


def notes_of(score: RealisedScore) -> Iterator[str]:
    """What must be known to believe it."""
    yield from (f"{horizon_name(one.horizon_s)} is not scored: {one.reason}" for one in score.refused)
    yield (
        f"moments from {utc_text(score.start)} to {utc_text(score.end)}; 95 % intervals from whole days drawn again, "
        f"seed {score.seed}"
    )
    yield from _notes_of_horizons(score)
    yield (
        "top tenth: share of liquidations in the tenth of swept zones (25 bps) where the map is thickest; chance is "
        "10 %; bounds by Wilson, as if liquidations were independent, which those of a cascade are not"
    )
    yield from texts(without_codes(score.notes, SYNTHETIC_CODES))


def _notes_of_horizons(score: RealisedScore) -> Iterator[str]:
    """What is lacking with both sides together; what is true of several horizons is noted once."""
    horizons: dict[Note, list[str]] = {}
    for horizon in score.horizons:
        for note in horizon.sides[-1].notes:
            horizons.setdefault(note, []).append(horizon_name(horizon.horizon_s))
    yield from (note.of(", ".join(names)).text for note, names in horizons.items())
