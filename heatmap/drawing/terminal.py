"""A heatmap in the terminal: prices from high to low, bars of notional, the mark between the sides."""

from datetime import datetime
from typing import Final

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from liqtruth.heatmap.cluster_facts import MapFacts, leverage_text, surroundings_line
from liqtruth.heatmap.distribution import Balance, Cluster, MapProfile
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
from liqtruth.heatmap.notes import texts
from liqtruth.heatmap.text import STYLES, grade, price, usd

LONG: Final = "green"
SHORT: Final = "red"
ROLES: Final = {(True, True): "near & largest", (True, False): "nearest", (False, True): "largest"}
SHOWN_CLUSTERS: Final = 5
"""Clusters of a side in a table."""
UNKNOWN: Final = "-"
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
        table.add_row(Text(moved, style=LONG if move.side == "long" else SHORT), *amounts)
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
        *_left_out(profile),
        *beside,
    )


def _facts(profile: MapProfile, facts: MapFacts) -> list[RenderableType]:
    """Of the clusters that are shown: distance in usual moves, stacking, windows and leverages."""
    known = dict(zip(map(id, profile.clusters), facts.clusters, strict=True))
    of_windows = any(one.windows is not None for one in facts.clusters)
    of_leverage = any(one.leverage for one in facts.clusters)
    of_depth = any(one.depth_usd is not None for one in facts.clusters)
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for head in ("peak", "in ATR", "class", *(["rests before"] if of_depth else [])):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("stacked", *(["windows"] if of_windows else []), *(["leverage"] if of_leverage else [])):
        table.add_column(head)
    for side, style in (("long", LONG), ("short", SHORT)):
        for one in sorted(_shown(profile, side), key=lambda cluster: cluster.peak_pct):
            fact = known[id(one)]
            cells = [price(one.peak_px), UNKNOWN if fact.distance_atr is None else f"{fact.distance_atr:.1f}"]
            cells += [fact.atr_class or UNKNOWN]
            cells += [UNKNOWN if fact.depth_usd is None else usd(fact.depth_usd)] if of_depth else []
            cells += ["yes" if fact.stacked else "isolated"]
            cells += [" ".join(fact.windows or ()) or "none"] if of_windows else []
            table.add_row(
                Text(side, style=style), *cells, *([leverage_text(fact.leverage)] if of_leverage else [])
            )
    lines = [surroundings_line(facts.surroundings), *texts(facts.lacking)]
    return [table, *(Text(line, style="dim") for line in lines if line)]


def _balances(heatmap: Heatmap, profile: MapProfile) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for head in ("within", "longs", "shorts", "long minus short", "asymmetry"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in profile.balance:
        amounts = (
            UNKNOWN if value is None else amount(heatmap, value) for value in (one.long_usd, one.short_usd)
        )
        table.add_row(f"{one.within_pct:g} %", *amounts, _net(heatmap, one), _asymmetry(one.asymmetry))
    return table


def _net(heatmap: Heatmap, one: Balance) -> str:
    if one.net_usd is None:
        return UNKNOWN
    return f"{'-' if one.net_usd < 0 else '+'}{amount(heatmap, abs(one.net_usd))}"


def _asymmetry(share: float | None) -> Text:
    if share is None:
        return Text(UNKNOWN)
    return Text(f"{100 * share:+.0f} %", style=LONG if share > 0 else SHORT if share < 0 else "")


def _clusters(heatmap: Heatmap, profile: MapProfile) -> Table:
    """Of each side the bin of most mass, then its clusters from the mark outward."""
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for head in ("", "peak", "distance", "zone", "mass", "share", "held", "top"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for side, style, sign in (("long", LONG, "-"), ("short", SHORT, "+")):
        if (heaviest := profile.max_pain[side]) is not None:
            low_px, high_px = heaviest.low_px, heaviest.high_px
            table.add_row(
                Text("max pain", style=style), price((low_px * high_px) ** 0.5),
                f"{sign}{heaviest.distance_pct:.1f} %", f"{price(low_px)}-{price(high_px)}",
                amount(heatmap, heaviest.mass_usd), "", "", "",
            )  # fmt: skip
        for one in sorted(_shown(profile, side), key=lambda cluster: cluster.peak_pct):
            roles = (one == profile.nearest[side], one == profile.largest[side])
            table.add_row(
                Text(ROLES.get(roles, side), style=style), price(one.peak_px), f"{sign}{one.peak_pct:.1f} %",
                f"{price(one.low_px)}-{price(one.high_px)}", amount(heatmap, one.mass_usd),
                f"{100 * one.share_of_side:.0f} %", "" if one.positions is None else f"{one.positions:,}",
                "" if one.largest_holder_share is None else f"{100 * one.largest_holder_share:.0f} %",
            )  # fmt: skip
    return table


def _shown(profile: MapProfile, side: str) -> list[Cluster]:
    """The heaviest clusters of a side, and its nearest."""
    mine = [one for one in profile.clusters if one.side == side]
    near = profile.nearest[side]
    return mine[:SHOWN_CLUSTERS] + ([near] if near is not None and near not in mine[:SHOWN_CLUSTERS] else [])


def _left_out(profile: MapProfile) -> list[RenderableType]:
    shown = sum(len(_shown(profile, side)) for side in ("long", "short"))
    lines = ["share: of the side's mass; held: positions in it; top: the largest one's part of it"]
    if any(None in (one.long_usd, one.short_usd) for one in profile.balance):
        lines.append(f"{UNKNOWN}: the map has no prices so far away, or nothing there")
    if more := len(profile.clusters) - shown:
        lines.append(f"{more} smaller clusters are not shown; --json has them")
    return [Text(line, style="dim") for line in lines]


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
        style = SHORT if bar >= middle else LONG
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
