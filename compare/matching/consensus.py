"""Every cluster of the compared maps once, with what is known of it and which maps, venues and windows show it.

A cluster stands in the first map that has it, the truth before the models; another map shows it where it has one of the
same side whose peak is within the tolerance.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from liqtruth.compare.matching.assignment import Zone
from liqtruth.compare.matching.matching import clusters_of, covered_share, in_range
from liqtruth.compare.modelled import WINDOWS_ASKED
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.clusters.facts import (
    AtrClass,
    LeverageShare,
    RestingDepth,
    Surroundings,
    atr_class,
    in_atr,
    is_shown,
    is_stacked,
    leverage_shares,
    leverage_text,
    resting_before,
    shown_in,
    windows_with,
    without_depth,
)
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Heatmap
from liqtruth.heatmap.words.notes import Note, Notes
from liqtruth.heatmap.words.text import SIDE_STYLES, percent, price, usd

if TYPE_CHECKING:
    from rich.table import Table

KEPT: Final = 20
"""Clusters with the largest share of their side."""
SHOWN: Final = 12
MOST_OF_IT: Final = 0.5
ByWindow = Mapping[str, Sequence[Cluster]]
"""Clusters of one model by how far back it looks."""


@dataclass(frozen=True)
class ClusterRow:
    """One cluster as `map` has it; prices and distances are that map's, the distance from its own mark.

    `atr_class` is that of the distance in average true ranges, `stacked` whether another of its side is within 2 % of
    price, `leverage` what makes it where the map is modelled. `shown_by` are labels of all maps that show it and
    `venues` theirs; `by_chance` how many maps would show it if those of the others lay anywhere on the side; `alone`
    whether a single venue does where several are compared. `depth_usd` are the orders that rest between the mark and
    its near edge in the venue's book, null where none that reaches it is stored. `windows` are, by the label of each
    model that shows it, the windows that do; empty where they were not asked for."""

    map: str
    side: str
    low_px: float
    high_px: float
    peak_px: float
    mass_usd: float
    share_of_side: float
    distance_pct: float
    distance_atr: float | None
    atr_class: AtrClass | None
    stacked: bool
    largest_holder_share: float | None
    leverage: tuple[LeverageShare, ...]
    shown_by: tuple[str, ...]
    by_chance: float
    venues: tuple[str, ...]
    alone: bool | None
    windows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    depth_usd: float | None = None


@dataclass(frozen=True)
class Around:
    """What is stored around the compared maps: the market and the order book of each venue, and clusters by window of
    models that were asked for them, by label."""

    markets: Mapping[str, Surroundings] = field(default_factory=dict)
    windows: Mapping[str, ByWindow] = field(default_factory=dict)
    depths: Mapping[str, RestingDepth] = field(default_factory=dict)

    def market(self, heatmap: Heatmap) -> Surroundings | None:
        return self.markets.get(heatmap.venue)

    def completed(self, heatmap: Heatmap, tolerance_pct: float) -> Callable[[str, Zone], Zone]:
        """What is known around each cluster of a map, beside what the map itself shows."""
        market, windows = self.market(heatmap), self.windows.get(heatmap.label)
        atr_pct = None if market is None else market.atr_pct

        def complete(side: str, zone: Zone) -> Zone:
            shown = None if windows is None else windows_with(side, zone.peak_pct, windows, tolerance_pct)
            return replace(
                zone,
                distance_atr=in_atr(zone.peak_pct, atr_pct),
                atr_class=atr_class(zone.peak_pct, atr_pct),
                windows=shown,
            )

        return complete

    @property
    def lacking(self) -> Notes:
        """What is empty for which reason, each once."""
        found: Iterable[Note] = (one for market in self.markets.values() for one in market.lacking)
        return (*dict.fromkeys(found), *without_depth(self.markets.values()))


NOTHING_AROUND: Final = Around()


def cluster_rows(
    maps: Sequence[Heatmap],
    tolerance_pct: float,
    range_pct: float,
    around: Around = NOTHING_AROUND,
    parts: Sequence[Heatmap] | None = None,
) -> tuple[ClusterRow, ...]:
    """The largest by share of their side first, at most `KEPT`; the first of `maps` is the truth. The maps are whole;
    `parts` are they, cut to what all of them cover."""
    every = [clusters_of(whole, part) for whole, part in zip(maps, parts or maps, strict=True)]
    found = [in_range(one, range_pct) for one in every]
    rows = []
    for at, (heatmap, clusters) in enumerate(zip(maps, found, strict=True)):
        for cluster in clusters:
            showing = [one for one, theirs in enumerate(found) if is_shown(cluster, theirs, tolerance_pct)]
            if showing[0] == at:
                others = (theirs for other, theirs in enumerate(found) if other != at)
                luck = 1 + sum(_chance(cluster, theirs, tolerance_pct, range_pct) for theirs in others)
                shown = [maps[one] for one in showing]
                rows.append(_row(cluster, heatmap, every[at], shown, luck, maps, tolerance_pct, around))
    return tuple(sorted(rows, key=lambda row: -row.share_of_side)[:KEPT])


def consensus_sentence(rows: Sequence[ClusterRow], truth: str, maps: int) -> str:
    """How many of the clusters all maps show, and how many a single venue alone; and how many of the other maps show
    one of the map `truth` on average, beside what chance gives: of those of others only the rest is listed. Without a
    `truth` that may judge, nothing of it is stated."""
    everywhere = sum(len(row.shown_by) == maps for row in rows)
    alone = sum(bool(row.alone) for row in rows)
    of_one = f", a single venue alone {alone}" if any(row.alone is not None for row in rows) else ""
    mine = [row for row in rows if row.map == truth]
    if not mine:
        return f"of {len(rows)} clusters all {maps} maps show {everywhere}{of_one}"
    shown = sum(len(row.shown_by) - 1 for row in mine) / len(mine)
    luck = sum(row.by_chance - 1 for row in mine) / len(mine)
    return (
        f"of {len(rows)} clusters all {maps} maps show {everywhere}{of_one}; those of {truth} are shown by {shown:.1f} "
        f"of {maps - 1} others on average, by {luck:.1f} if these lay anywhere"
    )


def venues_of_map(heatmap: Heatmap) -> tuple[str, ...]:
    """Where the positions of a map are; none where its file does not state it."""
    return () if heatmap.venue == UNKNOWN_VENUE else tuple(heatmap.venue.split(TOGETHER))


def _chance(cluster: Cluster, others: Sequence[Cluster], tolerance_pct: float, range_pct: float) -> float:
    """Share of the cluster's side that lies within the tolerance of clusters of another map."""
    return covered_share(
        [one.peak_pct for one in others if one.side == cluster.side], tolerance_pct, range_pct
    )


def _row(
    cluster: Cluster,
    heatmap: Heatmap,
    beside: Sequence[Cluster],
    showing: Sequence[Heatmap],
    by_chance: float,
    maps: Sequence[Heatmap],
    tolerance_pct: float,
    around: Around,
) -> ClusterRow:
    market = around.market(heatmap)
    atr_pct = None if market is None else market.atr_pct
    venues = _venues(showing)
    return ClusterRow(
        map=heatmap.label,
        side=cluster.side,
        low_px=cluster.low_px,
        high_px=cluster.high_px,
        peak_px=cluster.peak_px,
        mass_usd=cluster.mass_usd,
        share_of_side=cluster.share_of_side,
        distance_pct=cluster.peak_pct,
        distance_atr=in_atr(cluster.peak_pct, atr_pct),
        atr_class=atr_class(cluster.peak_pct, atr_pct),
        stacked=is_stacked(cluster, beside),
        largest_holder_share=cluster.largest_holder_share,
        leverage=leverage_shares(heatmap, cluster),
        shown_by=tuple(one.label for one in showing),
        by_chance=by_chance,
        venues=venues,
        alone=len(venues) == 1 if len(_venues(maps)) > 1 else None,
        windows={
            one.label: shown_in(cluster, around.windows[one.label], tolerance_pct)
            for one in showing
            if one.label in around.windows
        },
        depth_usd=resting_before(cluster, heatmap.mark_px, around.depths.get(heatmap.venue)),
    )


def _venues(maps: Iterable[Heatmap]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in maps for name in venues_of_map(one)))


def clusters_table(rows: Sequence[ClusterRow], truth: str, maps: int) -> "Table":
    """The largest clusters from the mark outward, shorts above longs; fits 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text("\nClusters of all maps", style="bold")
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for head in ("", "peak", "distance", "in ATR", "of side", "maps (chance)"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    table.add_column("beside", overflow="fold")
    for row in outward(rows[:SHOWN]):
        table.add_row(
            Text(row.side, style=SIDE_STYLES[row.side]), price(row.peak_px),
            f"{'-' if row.side == 'long' else '+'}{row.distance_pct:.1f} %",
            "-" if row.distance_atr is None else f"{row.distance_atr:.1f}", percent(row.share_of_side, 0),
            f"{len(row.shown_by)} of {maps} ({row.by_chance:.1f})", beside_text(row),
        )  # fmt: skip
    table.caption, table.caption_justify = (
        Text(consensus_sentence(rows, truth, maps), style="dim italic"),
        "left",
    )
    return table


def outward(rows: Sequence[ClusterRow]) -> list[ClusterRow]:
    """As prices fall: shorts from the farthest to the mark, then longs."""
    return sorted(rows, key=lambda row: -row.peak_px)


def beside_text(row: ClusterRow) -> str:
    """`only binance; stacked; 24h 7d; 7-15x 60 %`: what is particular about a cluster."""
    shown = sorted({window for found in row.windows.values() for window in found}, key=WINDOWS_ASKED.index)
    holder = row.largest_holder_share
    parts = (
        f"only {row.venues[0]}" if row.alone else "",
        "stacked" if row.stacked else "",
        " ".join(shown),
        leverage_text(row.leverage, 1),
        f"one holder {percent(holder, 0)}" if holder is not None and holder >= MOST_OF_IT else "",
        f"{usd(row.depth_usd)} rests before it" if row.depth_usd is not None else "",
    )
    return "; ".join(part for part in parts if part)
