"""What became of clusters as people read it: one table, one line per fate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from liqtruth.compare.moved.moved import FATES, FLOWS, Fate, Moved, MovedCluster, Taken
from liqtruth.heatmap.words.notes import SYNTHETIC_NOTE, texts
from liqtruth.heatmap.words.text import SIDE_STYLES, counted, price, usd, utc_text

SHOWN: Final = 15
UNITS: Final = {
    "usd": "USD at the later mark",
    "percent": "percent of the map, at the later mark",
    "unknown": "in the vendor's own unit, at the later mark",
}
IDS: Final = 3
"""Latest readings of a moment that are named in a line."""
STYLES: Final[dict[Fate, str]] = {
    "born": "bold", "grew": "", "stayed": "dim", "shrank": "", "consumed": "yellow", "closed": "", "moved": "",
    "faded": "dim",
}  # fmt: skip


def moved_view(moved: Moved) -> RenderableType:
    """Fits 80 columns."""
    heading = (
        f"{moved.coin}, {moved.map}: clusters from {utc_text(moved.before_at)} to {utc_text(moved.after_at)}"
    )
    lines = [Text(line) for line in moved_lines(moved)]
    taken = [Text(line, style="dim") for line in readings_lines(moved)]
    notes = [*taken, *(Text(line, style="dim") for line in texts(moved.notes))]
    badge = [Text(SYNTHETIC_NOTE, style="yellow")] if moved.synthetic else []
    return Group(Text(heading, style="bold"), *badge, *lines, moved_table(moved), *notes)


def moved_lines(moved: Moved) -> Iterator[str]:
    """The move of the mark, and each fate with how many clusters and USD it was of."""
    change = 100 * (moved.after_mark_px / moved.before_mark_px - 1)
    yield (
        f"mark {price(moved.before_mark_px)} to {price(moved.after_mark_px)} ({change:+.1f} %), seen between "
        f"{price(moved.low_px)} and {price(moved.high_px)}"
    )
    for fate in FATES:
        if found := moved.of_fate(fate):
            yield f"{fate}: {counted(len(found), 'cluster')}, {_amounts(fate, found, moved.unit)}"


def readings_lines(moved: Moved) -> Iterator[str]:
    """Which readings were taken, with their moments and ids: those of both moments, and how many between."""
    for one in moved.readings:
        if one.role != "between":
            yield f"readings {one.role}: {_read(one)}"
    between = [one for one in moved.readings if one.role == "between"]
    if between:
        first, last = utc_text(between[0].last_read_at), utc_text(between[-1].last_read_at)
        yield f"looked at between: {counted(len(between), 'moment')}, {first} to {last}; --json has their readings"


def _read(one: Taken) -> str:
    """`census@... (2026-08-21T10:00Z, 1,204 positions)`."""
    ids = ", ".join(one.ids[-IDS:]) + (f" and {len(one.ids) - IDS} earlier" if len(one.ids) > IDS else "")
    first, last = utc_text(one.first_read_at), utc_text(one.last_read_at)
    span = last if first == last else f"{first} to {last}"
    return f"{ids} ({span}, {counted(one.positions, 'position')})"


def write_page(moved: Moved, path: Path) -> None:
    """The clusters with their flows, which readings were taken, and what to know of them."""
    from liqtruth.heatmap.drawing import page

    heads = ("", "peak", "now at", *(name.replace("_", " ") for name in FLOWS))
    rows = [
        (
            one.side,
            [f"{one.fate} {one.side}", *_peaks(one), *_amounts_of(one, moved.unit)],
        )
        for one in moved.clusters
    ]
    page.write_page(
        path,
        f"{moved.coin}, {moved.map}: what became of clusters",
        synthetic=moved.synthetic,
        age=page.age_of(moved.after_at),
        about=[f"from {utc_text(moved.before_at)} to {utc_text(moved.after_at)}"],
        answer=list(moved_lines(moved)),
        sections=[
            page.Section("Clusters, the largest first", UNITS[moved.unit], table=page.Table(heads, rows))
        ],
        notes=[*texts(moved.notes), *readings_lines(moved)],
    )


def _amounts_of(one: MovedCluster, unit: str) -> list[str]:
    """Nothing where nothing was, as in the terminal."""
    flows = (vars(one.flows)[name].usd for name in FLOWS)
    return [_amount(flow, unit) if flow else "" for flow in flows]


def _peaks(one: MovedCluster) -> list[str]:
    return ["" if at is None else price(at.peak_px) for at in (one.before, one.after)]


def moved_table(moved: Moved) -> Table:
    """The largest clusters as prices fall: where each was and is, and its flows in USD at the later mark."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("", "", "peak", "now at", "start", "came", "closed", "consumed", "moved", "end"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    shown = sorted(moved.clusters[:SHOWN], key=lambda one: -_peak_px(one))
    for one in shown:
        table.add_row(
            Text(one.fate, style=STYLES[one.fate]), Text(one.side, style=SIDE_STYLES[one.side]),
            *_peaks(one), *_flow_cells(one),
        )  # fmt: skip
    more = len(moved.clusters) - len(shown)
    left_out = f"; {counted(more, 'smaller cluster')} not shown, --json has all" if more else ""
    table.caption, table.caption_justify = (
        Text(f"{UNITS[moved.unit]}{left_out}", style="dim italic"),
        "left",
    )
    return table


def _flow_cells(one: MovedCluster) -> list[str]:
    flows = one.flows
    came = flows.opened.usd + flows.moved_in.usd
    parts = (
        flows.start.usd,
        came,
        flows.closed.usd,
        flows.consumed.usd,
        flows.moved_out.usd,
        flows.end.usd,
    )
    return [usd(part).removeprefix("$") if part else "" for part in parts]


def _peak_px(one: MovedCluster) -> float:
    place = one.after or one.before
    assert place is not None
    return place.peak_px


def _amounts(fate: Fate, found: tuple[MovedCluster, ...], unit: str) -> str:
    start, end = (_amount(sum(vars(one.flows)[name].usd for one in found), unit) for name in ("start", "end"))
    if fate in ("grew", "stayed", "shrank"):
        return f"{start} then, {end} now"
    if fate == "born":
        return f"{end} now"
    had, consumed, closed = (
        sum(vars(one.flows)[name].usd for one in found) for name in ("start", "consumed", "closed")
    )
    rest = _amount(max(had - consumed - closed, 0.0), unit)
    return f"{start} then: {_amount(consumed, unit)} consumed, {_amount(closed, unit)} closed, {rest} elsewhere now"


def _amount(value: float, unit: str) -> str:
    if unit == "percent":
        return f"{value:.1f} %"
    return usd(value) if unit == "usd" else usd(value).removeprefix("$")
