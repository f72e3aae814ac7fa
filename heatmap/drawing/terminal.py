"""A heatmap in the terminal: prices from high to low, bars of notional, the mark between the sides."""

from datetime import datetime
from typing import Final

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from liqtruth.heatmap.clusters.distribution import MapProfile
from liqtruth.heatmap.clusters.facts import MapFacts
from liqtruth.heatmap.drawing.cluster_rows import (
    BALANCE_HEADS,
    CLUSTER_HEADS,
    balance_rows,
    cluster_rows,
    fact_cells,
    fact_heads,
    facts_lines,
    facts_of,
    left_out,
    shown_clusters,
)
from liqtruth.heatmap.drawing.view import (
    View,
    age_line,
    amount,
    data_moment,
    head_lines,
    moves_rows,
    per_bin,
    side_notes,
    title,
    zoomed,
)
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.text import SIDE_STYLES, STYLES, grade, price

WORDS: Final = frozenset({"stacked", "windows", "leverage"})
"""Columns of words, to the left and broken where they are long."""
EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def map_panel(
    heatmap: Heatmap, *, rows: int = 30, bar_width: int = 34, now: datetime | None = None
) -> RenderableType:
    """About `rows` rows of bars with cumulative notional; fits 80 columns. Ages are measured at `now`, by default the
    clock."""
    view = zoomed(heatmap, max(rows // 2, 1))
    parts: list[RenderableType] = [Text(title(heatmap), style="bold")]
    parts.append(Text(age_line(heatmap, now), style=STYLES[grade(data_moment(heatmap), now)]))
    parts += map(Text, head_lines(heatmap))
    if heatmap.bounds is not None:
        parts.append(_moves(heatmap))
    if view.empty:
        reach = 100 * (view.edges[-1] / heatmap.mark_px - 1)
        parts.append(Text(f"\nno liquidation within {reach:.0f} % of the mark\n", style="yellow"))
    else:
        parts.append(_bars(heatmap, view, bar_width))
    parts += [Text(line, style="dim") for line in side_notes(heatmap, view)]
    return Group(*parts)


def _moves(heatmap: Heatmap) -> Table:
    """What moves liquidate, with bounds, the whales' part and what is drawn; the whole width is some 70 columns."""
    heads, rows = moves_rows(heatmap)
    table = Table(box=None, pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for move, (moved, *amounts) in rows:
        table.add_row(Text(moved, style=SIDE_STYLES[move.side]), *amounts)
    return table


def profile_panel(heatmap: Heatmap, profile: MapProfile, facts: MapFacts | None = None) -> RenderableType:
    """Longs against shorts by distance, the clusters of each side with the bin of most mass, and what else is known of
    those; fits 80 columns."""
    beside = [] if facts is None else [Text(""), *_facts(profile, facts)]
    return Group(
        Text(""),
        _balances(heatmap, profile),
        Text(""),
        _clusters(heatmap, profile),
        *(Text(line, style="dim") for line in left_out(profile)),
        *beside,
    )


def _facts(profile: MapProfile, facts: MapFacts) -> list[RenderableType]:
    """Of the clusters that are shown: distance in usual moves, stacking, windows and leverages."""
    known, heads = facts_of(profile, facts), fact_heads(facts)
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for head in ("peak", *heads):
        if head in WORDS:
            table.add_column(head)
        else:
            table.add_column(head, justify="right", no_wrap=True)
    for side in SIDES:
        for one in shown_clusters(profile, side):
            table.add_row(
                Text(side, style=SIDE_STYLES[side]), price(one.peak_px), *fact_cells(known[id(one)], heads)
            )
    return [table, *(Text(line, style="dim") for line in facts_lines(facts))]


def _balances(heatmap: Heatmap, profile: MapProfile) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for head in BALANCE_HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for heavier, (*cells, asymmetry) in balance_rows(heatmap, profile):
        table.add_row(*cells, Text(asymmetry, style=SIDE_STYLES.get(heavier, "")))
    return table


def _clusters(heatmap: Heatmap, profile: MapProfile) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for head in CLUSTER_HEADS:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for (side, (name, *cells)), _ in cluster_rows(heatmap, profile):
        table.add_row(Text(name, style=SIDE_STYLES[side]), *cells)
    return table


def _bars(heatmap: Heatmap, view: View, bar_width: int) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in ("price", "distance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(per_bin(view), width=bar_width, no_wrap=True)
    for name in ("notional", "cumulative"):
        table.add_column(name, justify="right", no_wrap=True)
    mass = view.long_usd + view.short_usd
    middle = mass.size // 2
    cumulative = np.concatenate(
        [np.cumsum(view.long_usd[:middle][::-1])[::-1], np.cumsum(view.short_usd[middle:])]
    )
    top = float(mass.max())
    for bar in range(mass.size - 1, -1, -1):
        if bar == middle - 1:
            table.add_row(Text(price(heatmap.mark_px), style="bold yellow"), "mark", "─" * bar_width, "", "")
        style = SIDE_STYLES["short" if bar >= middle else "long"]
        distance = 100 * (view.centers[bar] / heatmap.mark_px - 1)
        so_far = amount(heatmap, cumulative[bar])
        cells = (amount(heatmap, mass[bar]), so_far) if mass[bar] > 0 else ("", so_far)
        drawn = Text(blocks(mass[bar] / top, bar_width), style=style)
        table.add_row(price(view.centers[bar]), f"{distance:+.1f} %", drawn, *cells)
    return table


def blocks(share: float, width: int) -> str:
    """A bar of `share` of `width` cells, in eighths; any mass shows at least one eighth."""
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
