"""The index of a folder of reports as one page: where each coin stands now, how its figures moved, and every report.

A figure is what its condition would see (`conditions.FIGURES`): one that a gate bars is not shown as a score, and two
figures are subtracted only where both were measured in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from liqtruth.compare.divergence.baselines import LABEL
from liqtruth.compare.reports.conditions import FIGURES, Value
from liqtruth.compare.reports.content import Content
from liqtruth.compare.reports.folder import SHOWN, Past, Reports, read_reports
from liqtruth.heatmap.drawing.page import Section, Table, age_of, write_page
from liqtruth.heatmap.drawing.theme import FAINT, MODELS, themed
from liqtruth.heatmap.words.text import counted, percent, stamp

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from markupsafe import Markup

INDEX: Final = "index.html"
TITLE: Final = "Reports: how far maps are from the chain"
MOVED: Final = ("w1", "within_5", "within_10")
"""Figures of a map that are shown with how they moved."""
UNITS: Final[Mapping[str, str]] = {"w1": " %", "within_5": " %", "within_10": " %"}
LEGEND: Final = (
    "W1: by how much of the price a map's liquidations lie off on average, against what its answer names; within 5 and "
    "10 %: how much of a side lies so near the mark, mean of both sides, the truth whole."
)
DIGITS: Final[Mapping[str, int]] = {"w1": 2, "within_5": 0, "within_10": 0}
ANSWERS: Final[Mapping[str, str]] = {
    "nearest": "{label} is better than knowing only the mark",
    "by_chance": "{label} is no nearer than by chance",
    "none_beats_mark": "none is better than knowing only the mark",
    "too_few_positions": "too few positions to judge",
    "none_scored": "none could be scored",
    "none_ranked": "none may be ranked",
}
"""Codes of conclusions, as short as a cell."""


def write_index(folder: Path) -> Reports:
    """Write `index.html` of what lies in the folder; raises `LiqtruthError` where it cannot be read or written."""
    reports = read_reports(folder)
    by_coin = _by_coin(reports.past)
    latest = max((past[-1].content.as_of for past in by_coin.values()), default=None)
    write_page(
        folder / INDEX,
        TITLE,
        synthetic=any(one.content.synthetic for one in reports.past),
        age=None if latest is None else age_of(latest, lead="latest:"),
        about=[_counts(reports, by_coin)],
        sections=[*_sections(by_coin, folder)],
        notes=[*_remarks(reports)],
        notes_heading="What is not here",
    )
    return reports


def moved(value: Value, before: Value | None) -> float | None:
    """How much a figure rose since the report before; null where either is not known."""
    if value.number is None or before is None or before.number is None:
        return None
    return value.number - before.number


def trend(past: Sequence[Past]) -> dict[str, list[tuple[datetime, float | None]]]:
    """W1 of each map over the reports, null where it is not known or the report lacks the map; a map that has none at
    all is left out. The first is that of a map that knows only the mark."""
    names = list(dict.fromkeys(label for one in past for label in one.content.labels))
    lines = {LABEL: [(one.content.as_of, one.content.mark_only_pct) for one in past]}
    for name in names:
        lines[name] = [(one.content.as_of, _figure(one.content, name, "w1").number) for one in past]
    return {name: line for name, line in lines.items() if any(value is not None for _, value in line)}


def _by_coin(past: Sequence[Past]) -> dict[str, list[Past]]:
    """The earliest first; coins by name."""
    found: dict[str, list[Past]] = {}
    for one in sorted(past, key=lambda one: (one.content.coin, one.content.as_of)):
        found.setdefault(one.content.coin, []).append(one)
    return found


def _sections(by_coin: Mapping[str, Sequence[Past]], folder: Path) -> Iterator[Section]:
    from markupsafe import Markup

    if len(by_coin) > 1:
        yield Section("Now", table=_overview(by_coin, folder))
    for place, (coin, past) in enumerate(by_coin.items()):
        drawn = trend(past) if len(past) > 1 else {}
        latest = past[-1].content
        yield Section(
            coin,
            Markup("{}: {}").format(age_of(latest.as_of), latest.verdict),
            {f"trend-{place}": ("W1, percent of price, over the reports", _trend_figure(drawn))}
            if drawn
            else {},
            _standing(past),
        )
        yield Section(note=LEGEND)
        yield Section(table=_history(past, folder), folded=f"{counted(len(past), 'report')} of {coin}")


def _overview(by_coin: Mapping[str, Sequence[Past]], folder: Path) -> Table:
    """A row per coin: its latest report."""
    rows = []
    for coin, past in by_coin.items():
        latest, before = past[-1].content, _before(past)
        best = None if latest.conclusion is None else latest.conclusion.label
        off = _cell(latest, before, best, "w1") if best is not None else "–"
        rows.append(
            ("", [_link(past[-1], ".html", coin, folder), _words(_answer(latest)), off, _covered(latest)])
        )
    return Table(("coin", _words("answer"), "W1", "coverage"), rows)


def _standing(past: Sequence[Past]) -> Table:
    """The latest report's figures, each with how it moved since the report before."""
    latest, before = past[-1].content, _before(past)
    truth = [_truth_cell(latest, before, name) for name in ("truth_within_5", "truth_within_10")]
    rows = [("", [_truth_covers(latest, before), "", *truth])]
    rows += [
        ("", [label, *(_cell(latest, before, label, name) for name in MOVED)]) for label in latest.labels
    ]
    return Table(("map", "W1", "within 5 %", "within 10 %"), rows)


def _before(past: Sequence[Past]) -> Content | None:
    """The report before the latest, where their figures may be subtracted."""
    comparable = len(past) > 1 and past[-1].content.follows(past[-2].content)
    return past[-2].content if comparable else None


def _truth_covers(latest: Content, before: Content | None) -> Markup:
    """`truth` and how much of open interest it has seen, with how that moved."""
    from markupsafe import Markup

    now, was = latest.truth.coverage_share, None if before is None else before.truth.coverage_share
    by = (
        ""
        if now is None or was is None
        else ", "
        + " / ".join(_signed(100 * (share - earlier)) for share, earlier in zip(now, was, strict=True))
    )
    return Markup('truth <small class="faint">coverage {}{}</small>').format(_covered(latest), by)


def _history(past: Sequence[Past], folder: Path) -> Table:
    """The latest first: answer, coverage, and of every map W1 and the shares within 5 and 10 %."""
    names = list(dict.fromkeys(label for one in past for label in one.content.labels))
    rows = [
        (
            "",
            [
                _moment(one, folder),
                _words(_answer(one.content)),
                _covered(one.content),
                _triple(one.content, None),
                *(_triple(one.content, name) for name in names),
            ],
        )
        for one in reversed(past)
    ]
    heads = (
        "report",
        _words("answer"),
        "coverage",
        "truth: 5 / 10 %",
        *(f"{name}: W1, 5 / 10 %" for name in names),
    )
    return Table(heads, rows)


def _counts(reports: Reports, coins: Iterable[str]) -> str:
    unread = f"; {counted(len(reports.broken), 'file')} could not be read" if reports.broken else ""
    return f"{counted(len(reports.past), 'report')} of {', '.join(coins) or 'no coin'}{unread}"


def _remarks(reports: Reports) -> Iterator[str]:
    for why in reports.broken:
        yield f"Not read: {why}"
    if reports.older:
        yield f"{counted(reports.older, 'earlier report')} of coins that have more than {SHOWN}: their files are there"


def _figure(content: Content, label: str, name: str) -> Value:
    if label not in content.labels:
        return Value(None, "not in this report")
    return FIGURES[name].of(content, content.labels.index(label), content.as_of)


def _cell(latest: Content, before: Content | None, label: str, name: str) -> Markup:
    value = _figure(latest, label, name)
    change = moved(value, None if before is None else _figure(before, label, name))
    return _with_change(value, change, name)


def _truth_cell(latest: Content, before: Content | None, name: str) -> Markup:
    value = FIGURES[name].of(latest, 0, latest.as_of)
    was = None if before is None else FIGURES[name].of(before, 0, before.as_of)
    return _with_change(value, moved(value, was), name.removeprefix("truth_"))


def _with_change(value: Value, change: float | None, name: str) -> Markup:
    """`7.31 % +0.20`, or a dash with why."""
    from markupsafe import Markup

    if value.number is None:
        return Markup('– <small class="undefined">{}</small>').format(value.why)
    digits = DIGITS[name]
    shown = f"{value.number:.{digits}f}{UNITS[name]}"
    by = "" if change is None else _signed(change, max(1, digits))
    return Markup('{} <small class="faint">{}</small>').format(shown, by)


def _signed(change: float, digits: int = 1) -> str:
    return f"{change:+.{digits}f}".replace("-", "−")


def _triple(content: Content, label: str | None) -> str:
    """`7.31 %, 24 / 53 %`; of the truth without the first."""
    if label is None:
        shares = [FIGURES[f"truth_{name}"].of(content, 0, content.as_of) for name in MOVED[1:]]
        return _pair(shares)
    if label not in content.labels:
        return ""
    w1, *shares = (_figure(content, label, name) for name in MOVED)
    return f"{'–' if w1.number is None else f'{w1.number:.2f} %'}, {_pair(shares)}"


def _pair(shares: Sequence[Value]) -> str:
    return " / ".join("–" if one.number is None else f"{one.number:.0f}" for one in shares) + " %"


def _answer(content: Content) -> str:
    found = content.conclusion
    if found is None:
        return content.verdict
    return ANSWERS.get(found.code, content.verdict).format(label=found.label)


def _covered(content: Content) -> str:
    share = content.truth.coverage_share
    return "not known" if share is None else f"{percent(share[0], 0)} / {percent(share[1], 0)}"


def _words(text: str) -> Markup:
    """A sentence in a cell, which breaks into lines."""
    from markupsafe import Markup

    return Markup('<div class="words">{}</div>').format(text)


def _moment(one: Past, folder: Path) -> Markup:
    """The moment as a link to its page, and links to its other files."""
    from markupsafe import Markup

    content = one.content
    files = Markup(" ").join(
        _link(one, suffix, suffix[1:], folder) for suffix in (".json", ".csv") if suffix in one.suffixes
    )
    mark = " SYNTHETIC" if content.synthetic else ""
    return Markup("{} <small>{}{}</small>").format(
        _link(one, ".html", stamp(content.as_of), folder), files, mark
    )


def _link(one: Past, suffix: str, text: str, folder: Path) -> Markup:
    """The text alone where there is no such file."""
    from markupsafe import Markup

    if suffix not in one.suffixes:
        return Markup("{}").format(text)
    place = quote(one.place.file(suffix).relative_to(folder).as_posix())
    return Markup('<a href="{}">{}</a>').format(place, text)


def _trend_figure(lines: Mapping[str, Sequence[tuple[datetime, float | None]]]) -> go.Figure:
    import plotly.graph_objects as go
    from markupsafe import escape

    figure = go.Figure()
    colors = iter(MODELS * (len(lines) // len(MODELS) + 1))
    for name, line in lines.items():
        of_mark = name == LABEL
        drawn = (
            {"color": FAINT, "width": 1.5, "dash": "dot"} if of_mark else {"color": next(colors), "width": 2}
        )
        shown = str(escape(name))
        figure.add_trace(
            go.Scatter(
                x=[at for at, _ in line], y=[value for _, value in line], name=shown, line=drawn,
                mode="lines" if of_mark else "lines+markers",
                hovertemplate=f"{shown}: %{{y:.2f}} %, %{{x|%Y-%m-%d %H:%M}} UTC<extra></extra>",
            )
        )  # fmt: skip
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero", nticks=5)
    return themed(figure, height=300)
