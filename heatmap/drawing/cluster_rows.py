"""Balance and clusters of a map as rows of text, in a terminal and on a page alike, and the cards that answer first."""

from collections.abc import Iterator
from typing import Final

from liqtruth.heatmap.clusters.distribution import Cluster, MapProfile
from liqtruth.heatmap.clusters.facts import ClusterFacts, MapFacts, leverage_text, surroundings_line
from liqtruth.heatmap.drawing.page import Card, Section, Table
from liqtruth.heatmap.drawing.view import amount
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import texts
from liqtruth.heatmap.words.text import age, counted, percent, price, usd

ROLES: Final = {(True, True): "near & largest", (True, False): "nearest", (False, True): "largest"}
SHOWN_CLUSTERS: Final = 5
"""Clusters of a side in a table."""
NEAR_PCT: Final = 25.0
"""A map that ends nearer to its mark says so beside its clusters."""
UNKNOWN: Final = "-"
SIGNS: Final = {"long": "-", "short": "+"}
BALANCE_HEADS: Final = ("within", "longs", "shorts", "long minus short", "asymmetry")
CLUSTER_HEADS: Final = ("", "peak", "distance", "zone", "mass", "share", "held", "top")
LEGEND: Final = "share: of the side's mass; held: positions in it; top: the largest one's part of it"

Row = tuple[str, tuple[str, ...]]
"""The side that a row is of, empty where of none, and its cells."""


def balance_rows(heatmap: Heatmap, profile: MapProfile) -> list[Row]:
    """Longs against shorts by distance; the side is the one that outweighs the other."""
    rows = []
    for one in profile.balance:
        amounts = (
            UNKNOWN if value is None else amount(heatmap, value) for value in (one.long_usd, one.short_usd)
        )
        net = one.net_usd
        shown = UNKNOWN if net is None else f"{'-' if net < 0 else '+'}{amount(heatmap, abs(net))}"
        share = one.asymmetry
        tilt = UNKNOWN if share is None else f"{100 * share:+.0f} %"
        heavier = "long" if (share or 0) > 0 else "short" if (share or 0) < 0 else ""
        rows.append((heavier, (f"{one.within_pct:g} %", *amounts, shown, tilt)))
    return rows


def cluster_rows(heatmap: Heatmap, profile: MapProfile) -> Iterator[tuple[Row, Cluster | None]]:
    """Of each side the bin of most mass, then its clusters from the mark outward, each beside its row."""
    for side in SIDES:
        if (heaviest := profile.max_pain[side]) is not None:
            low_px, high_px = heaviest.low_px, heaviest.high_px
            cells = (
                "max pain", price((low_px * high_px) ** 0.5), f"{SIGNS[side]}{heaviest.distance_pct:.1f} %",
                f"{price(low_px)}-{price(high_px)}", amount(heatmap, heaviest.mass_usd), "", "", "",
            )  # fmt: skip
            yield (side, cells), None
        for one in shown_clusters(profile, side):
            roles = (one == profile.nearest[side], one == profile.largest[side])
            cells = (
                ROLES.get(roles, side), price(one.peak_px), f"{SIGNS[side]}{one.peak_pct:.1f} %",
                f"{price(one.low_px)}-{price(one.high_px)}", amount(heatmap, one.mass_usd),
                f"{100 * one.share_of_side:.0f} %", "" if one.positions is None else f"{one.positions:,}",
                "" if one.largest_holder_share is None else f"{100 * one.largest_holder_share:.0f} %",
            )  # fmt: skip
            yield (side, cells), one


def shown_clusters(profile: MapProfile, side: str) -> list[Cluster]:
    """The heaviest clusters of a side and its nearest, from the mark outward."""
    mine = [one for one in profile.clusters if one.side == side]
    near = profile.nearest[side]
    shown = mine[:SHOWN_CLUSTERS] + ([near] if near is not None and near not in mine[:SHOWN_CLUSTERS] else [])
    return sorted(shown, key=lambda cluster: cluster.peak_pct)


def fact_heads(facts: MapFacts) -> tuple[str, ...]:
    """Columns of what is known of clusters beside their place; depth, windows, leverages only where any has them."""
    depth = ["rests before"] if any(one.depth_usd is not None for one in facts.clusters) else []
    windows = ["windows"] if any(one.windows is not None for one in facts.clusters) else []
    leverage = ["leverage"] if any(one.leverage for one in facts.clusters) else []
    return ("in ATR", "class", *depth, "stacked", *windows, *leverage)


def fact_cells(fact: ClusterFacts, heads: tuple[str, ...]) -> tuple[str, ...]:
    """A cell for each of the heads."""
    known = {
        "in ATR": UNKNOWN if fact.distance_atr is None else f"{fact.distance_atr:.1f}",
        "class": fact.atr_class or UNKNOWN,
        "rests before": UNKNOWN if fact.depth_usd is None else usd(fact.depth_usd),
        "stacked": "yes" if fact.stacked else "isolated",
        "windows": " ".join(fact.windows or ()) or "none",
        "leverage": leverage_text(fact.leverage),
    }
    return tuple(known[head] for head in heads)


def facts_of(profile: MapProfile, facts: MapFacts) -> dict[int, ClusterFacts]:
    """By the identity of the cluster, since two may be equal."""
    return dict(zip(map(id, profile.clusters), facts.clusters, strict=True))


def facts_lines(facts: MapFacts) -> list[str]:
    """The market around the map, and which facts are empty and why."""
    return [line for line in (surroundings_line(facts.surroundings), *texts(facts.lacking)) if line]


def left_out(profile: MapProfile) -> list[str]:
    """What columns are, and what the rows have no room for."""
    shown = sum(len(shown_clusters(profile, side)) for side in SIDES)
    lines = [LEGEND]
    if any(None in (one.long_usd, one.short_usd) for one in profile.balance):
        lines.append(f"{UNKNOWN}: the map has no prices so far away, or nothing there")
    if more := len(profile.clusters) - shown:
        lines.append(f"{more} smaller clusters are not shown; --json has them")
    return lines


def sections(heatmap: Heatmap, profile: MapProfile, facts: MapFacts | None = None) -> Iterator[Section]:
    """Both tables for a page; facts of clusters are further columns."""
    heads = () if facts is None else fact_heads(facts)
    known = {} if facts is None else facts_of(profile, facts)
    rows = []
    for (side, cells), cluster in cluster_rows(heatmap, profile):
        more = fact_cells(known[id(cluster)], heads) if cluster is not None and heads else ("",) * len(heads)
        rows.append((side, (*cells, *more)))
    lines = [*left_out(profile), *([] if facts is None else facts_lines(facts))]
    yield Section("Clusters", ". ".join(lines), table=Table((*CLUSTER_HEADS, *heads), rows))
    balance = [("", cells) for _, cells in balance_rows(heatmap, profile)]
    yield Section("Longs against shorts", table=Table(BALANCE_HEADS, balance))


def cluster_cards(heatmap: Heatmap, profile: MapProfile, of: str = "") -> list[Card]:
    """Of each side its nearest cluster and its largest; `of` names the map where there are several."""
    return [_cluster_card(heatmap, profile, side, of) for side in SIDES]


def _cluster_card(heatmap: Heatmap, profile: MapProfile, side: str, of: str) -> Card:
    label = f"{of} {side}s".strip()
    near, largest = profile.nearest[side], profile.largest[side]
    end = _as_far_as(heatmap, side)
    if near is None or largest is None:
        return Card(label, "none", f"no cluster on this side{end}", side)
    if near == largest:
        return Card(
            f"{label}: nearest and largest cluster", _place(near), f"{_size(heatmap, near)}{end}", side
        )
    note = f"{_size(heatmap, near)}; largest {_place(largest)}, {_size(heatmap, largest)}{end}"
    return Card(f"{label}: nearest cluster", _place(near), note, side)


def _place(one: Cluster) -> str:
    return f"{price(one.peak_px)} ({_away(one.side, one.peak_pct)})"


def _away(side: str, away_pct: float) -> str:
    return f"{'−' if side == 'long' else '+'}{away_pct:.1f}\N{NO-BREAK SPACE}%"


def _size(heatmap: Heatmap, one: Cluster) -> str:
    return f"{amount(heatmap, one.mass_usd)}, {percent(one.share_of_side, 0)} of the side"


def reach_of(heatmap: Heatmap) -> str:
    """How far from the mark a map was cut, for a sentence: `−7.6 % and +4.6 %`; empty where it was not."""
    if heatmap.covers is None:
        return ""
    return " and ".join(
        _away(side, 100 * abs(end_px / heatmap.mark_px - 1))
        for side, end_px in zip(SIDES, heatmap.covers, strict=True)
    )


def _as_far_as(heatmap: Heatmap, side: str) -> str:
    """Where nothing is known, or nothing was compared, beyond a price near the mark: the side's end."""
    if heatmap.covers is None:
        return ""
    end_px = heatmap.covers[0 if side == "long" else 1]
    away_pct = 100 * abs(end_px / heatmap.mark_px - 1)
    return f" up to {_away(side, away_pct)}" if away_pct < NEAR_PCT else ""


def coverage_card(heatmap: Heatmap, of: str) -> Card:
    """How much of open interest a map has, where no line states it."""
    coverage = heatmap.coverage
    verb = "places" if heatmap.source == "modelled" else "covers"
    share = coverage.share
    value = "unknown" if share is None else f"{percent(share.long)} / {percent(share.short)}"
    parts = ["of long / short open interest"]
    if coverage.positions is not None:
        parts.append(counted(coverage.positions, "position"))
    if coverage.oldest_age_s is not None and heatmap.source == "exact":
        parts.append(f"oldest read {age(coverage.oldest_age_s)} before its moment")
    return Card(f"{of} {verb}", value, "; ".join(parts))
