"""The score of visits as people read it: tables for a terminal; bars, the claims and all figures on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.compare.scoring.visits.claims import Answer
from liqtruth.compare.scoring.visits.groups import GroupRow
from liqtruth.compare.scoring.visits.job import VisitReport
from liqtruth.compare.scoring.visits.visits import BOTH, VisitRow, in_days, visit_sentence
from liqtruth.compare.statistics.intervals import Estimate, scaled
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import FAINT, HATCHED, INK, MARK, MUTED, PAPER, SIDE_COLORS, themed
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType
    from rich.table import Table

GROUP_COLUMNS: Final = (
    "by", "group", "within", "zones", "distance", "visited", "expected", "visited - expected",
)  # fmt: skip
GRADES: Final = {"claim_unknown": "undefined", "claim_holds": "better", "claim_is_chance": "same"}
"""Classes of verdicts on the page; of all others `worse`."""
SIDE_NAMES: Final = {"long": "longs", "short": "shorts", "both": "both"}


def visits_view(report: VisitReport) -> RenderableType:
    """All tables."""
    from rich.console import Group

    groups: list[RenderableType] = [groups_table(report), ""] if report.groups else []
    return Group(visits_table(report), "", *groups, claims_table(report))


def visits_table(report: VisitReport) -> Table:
    """One row per horizon and side; shares by notional, plain ones are in the JSON."""
    from rich.table import Table

    table = Table(title=heading(report), title_justify="left")
    columns = (
        "within", "side", "zones", "distance", "visited", "expected", "visited - expected", "by volatility",
    )  # fmt: skip
    for name in columns:
        table.add_column(name, justify="left" if name in columns[:2] else "right", no_wrap=True)
    for row in report.visits:
        table.add_row(*visit_cells(row), end_section=row.side == "both")
    return table


def visit_cells(row: VisitRow) -> tuple[str, ...]:
    """As in `visits_table`."""
    away = "-" if row.median_distance_pct is None else f"{row.median_distance_pct:.1f} %"
    return (
        in_days(row.horizon_h),
        SIDE_NAMES[row.side],
        f"{row.zones:,}",
        away,
        share(row.weighted.visited),
        share(row.weighted.expected, interval=False),
        points(row.weighted.difference),
        points(row.by_volatility.difference),
    )


def groups_table(report: VisitReport) -> Table:
    """One row per group and horizon; shares by notional."""
    from rich.table import Table

    table = Table(title="By distance in ATR, by stacking, by windows that show a zone", title_justify="left")
    for name in GROUP_COLUMNS:
        table.add_column(name, justify="left" if name in GROUP_COLUMNS[:3] else "right", no_wrap=True)
    for at, row in enumerate(report.groups):
        last = at + 1 == len(report.groups) or report.groups[at + 1].by != row.by
        table.add_row(*group_cells(row), end_section=last)
    return table


def group_cells(row: GroupRow) -> tuple[str, ...]:
    """As in `groups_table`: what zones are grouped by, the group, and its visits."""
    within, _, *rest = visit_cells(row.visits)
    return row.by, row.group, within, *rest[:-1]


def claims_table(report: VisitReport) -> Table:
    """The claims of others beside what was measured."""
    from rich.table import Table

    table = Table(title="Common claims about liquidation heatmaps", title_justify="left")
    for name in ("claim", "measured", "by chance", "verdict"):
        table.add_column(name)
    for answer in report.claims:
        table.add_row(*claim_cells(answer))
    return table


def claim_cells(answer: Answer) -> tuple[str, ...]:
    """Claim, figure with interval, chance level, verdict."""
    figure = _interval(answer.figure, " %") + (f" ({answer.measured_as})" if answer.figure else "")
    chance = "not known" if answer.chance is None else f"{answer.chance.value:.1f} %"
    return answer.claim, figure, chance, answer.verdict.text


def heading(report: VisitReport) -> str:
    """What was scored, and when."""
    made = "SYNTHETIC MARKET: " if report.synthetic else ""
    return (
        f"{made}{report.coin} on {report.venue}, {report.model}: are the major zones visited? "
        f"{report.start:%Y-%m-%d} to {report.end:%Y-%m-%d} every {report.step_h:g} h"
    )


def share(estimate: Estimate | None, *, interval: bool = True) -> str:
    """`43.1 % (38.0 to 47.7)`."""
    if estimate is None:
        return "not known"
    return _interval(scaled(estimate, 100), " %") if interval else f"{100 * estimate.value:.1f} %"


def points(estimate: Estimate | None) -> str:
    """`+4.0 pp (-1.0 to +8.8)`."""
    if estimate is None:
        return "not known"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:+.1f} pp (no interval)"
    return f"{100 * estimate.value:+.1f} pp ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def visits_figure(report: VisitReport, side: str) -> go.Figure:
    """A pair of bars per horizon, visited and expected; as high as the higher of both sides."""
    import plotly.graph_objects as go

    rows = [row for row in report.visits if row.side == side]
    figure = go.Figure(_bars(rows, SIDE_COLORS[side]))
    _say_unknown(figure, rows)
    figure.update_xaxes(type="category")
    figure.update_yaxes(range=[0, _highest(report)], ticksuffix=" %", title_text="share of notional")
    return themed(figure, barmode="group", bargap=0.35, height=400)


def _highest(report: VisitReport) -> float:
    """Percent that has room for every bar and its interval."""
    shown = [one for row in report.visits for one in (row.weighted.visited, row.weighted.expected) if one]
    return 108 * max((one.value if one.high is None else one.high for one in shown), default=0.9)


def write_page(report: VisitReport, path: Path) -> None:
    """A page that needs nothing else."""
    tolerance = f"within {report.tolerance_pct:g} % of the peak counts as visited"
    page.write_page(
        path,
        f"{report.coin} on {report.venue}: are the major zones of {report.model} visited?",
        template="visits.html",
        package="liqtruth.compare",
        synthetic=report.synthetic,
        age=page.age_of(report.end, lead="data to"),
        about=[
            f"{report.moments} maps from {report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC, "
            f"{report.top} heaviest zones a side, {tolerance}"
        ],
        answer=[visit_sentence(row) for row in report.visits if row.side == BOTH],
        notes=texts(report.notes),
        r=report,
        visits=[
            page.panel(f"visits-{side}", visits_figure(report, side), f"zones of {side}s") for side in SIDES
        ],
        rows=[(row, visit_cells(row), points(row.plain.difference)) for row in report.visits],
        groups=[group_cells(row) for row in report.groups],
        group_columns=GROUP_COLUMNS,
        whys=list(dict.fromkeys(row.why for row in report.visits if row.why)),
        claims=[(*claim_cells(answer), _grade(answer)) for answer in report.claims],
    )


def _bars(rows: list[VisitRow], color: str) -> list[Any]:
    """What was visited beside what was to be expected; hatched where there is no interval."""
    labels, side = [in_days(row.horizon_h) for row in rows], SIDE_NAMES[rows[0].side]
    pairs = (
        ([row.weighted.visited for row in rows], f"{side}: visited", color, PAPER),
        ([row.weighted.expected for row in rows], f"{side}: what distance explains", MUTED, INK),
    )
    return [
        _bar(labels, [one if _sure(one) == sure else None for one in shares], name, fill, ink, sure=sure)
        for shares, name, fill, ink in pairs
        for sure in (True, False)
    ]


def _bar(
    labels: list[str], found: list[Estimate | None], name: str, fill: str, ink: str, *, sure: bool
) -> go.Bar:
    import plotly.graph_objects as go

    return go.Bar(
        x=labels,
        y=_figures(found),
        name=name,
        offsetgroup=name,
        marker={
            "color": fill,
            "pattern": {"shape": "" if sure else "/", **HATCHED},
        },
        error_y=_whiskers(found) if sure else None,
        text=[_label(one) for one in found],
        textposition="inside",
        insidetextanchor="start",
        insidetextfont={"color": ink, "size": 13},
        textangle=0,
        hovertemplate=f"{name} within %{{x}}: %{{y:.1f}} %<extra></extra>",
        showlegend=sure,
    )


def _sure(estimate: Estimate | None) -> bool:
    """Whether there is an interval."""
    return estimate is not None and estimate.low is not None


def _figures(found: list[Estimate | None]) -> list[float | None]:
    return [None if one is None else 100 * one.value for one in found]


def _label(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{100 * estimate.value:.0f} %"


def _whiskers(found: list[Estimate | None]) -> dict[str, Any]:
    def lengths(end: str) -> list[float | None]:
        ends = [None if one is None else getattr(one, end) for one in found]
        return [
            None if one is None or at is None else 100 * abs(at - one.value)
            for one, at in zip(found, ends, strict=True)
        ]

    return {
        "type": "data",
        "symmetric": False,
        "array": lengths("high"),
        "arrayminus": lengths("low"),
        "color": MARK,
        "thickness": 1.5,
    }


def _say_unknown(figure: go.Figure, rows: list[VisitRow]) -> None:
    """Where a horizon has no bar."""
    for place, row in enumerate(rows):
        if row.weighted.visited is None:
            figure.add_annotation(
                text="not known yet",
                x=place,
                y=0,
                yshift=14,
                showarrow=False,
                font={"color": FAINT},
            )


def _interval(estimate: Estimate | None, unit: str) -> str:
    if estimate is None:
        return "not known"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.1f}{unit}"
    return f"{estimate.value:.1f}{unit} ({estimate.low:.1f} to {estimate.high:.1f})"


def _grade(answer: Answer) -> str:
    """Class of a verdict on the page."""
    return GRADES.get(answer.verdict.code, "worse")
