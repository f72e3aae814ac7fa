"""What is known of a cluster beside its place and size: how far it is in usual moves of price, and what makes it.

The usual move is the average true range of 14 bars of four hours, in percent of price (`Surroundings.atr_pct`); whoever
has the bars computes it. A fact that is not known is null, and `Surroundings.lacking` says why, once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, note, texts
from liqtruth.heatmap.words.text import age, percent

STACKED_PCT: Final = 2.0
"""Another cluster of the same side has its peak within so many percent of price."""
BOOK_WITHIN: Final = timedelta(minutes=65)
"""An order book further from the moment is another one: a watch stores one an hour, which may take its minutes."""
ATR_BOUNDS: Final = (1.0, 2.0)
AtrClass = Literal["<1", "1-2", ">2"]
ATR_CLASSES: Final[tuple[AtrClass, ...]] = ("<1", "1-2", ">2")
LEVERAGE: Final = "leverage_band"


@dataclass(frozen=True, eq=False)
class RestingDepth:
    """Orders that rest in a book as read `at`: by the side whose liquidations they take, prices from the best outward
    and the coins up to each. It reaches as far as its last price."""

    at: datetime
    px: Mapping[str, FloatArray]
    coins: Mapping[str, FloatArray]

    def before(self, side: str, px: float, mark_px: float) -> float | None:
        """USD at the mark that rest from the mark up to a price; null beyond the end of the book. Orders that the mark
        has passed since the book was read are no longer there."""
        prices, coins = self.px.get(side), self.coins.get(side)
        if prices is None or coins is None or not prices.size:
            return None
        away = -1.0 if side == "long" else 1.0
        if away * px > away * prices[-1]:
            return None
        reached = np.searchsorted(away * prices, away * px, side="right")
        passed = np.searchsorted(away * prices, away * mark_px)
        up_to = np.append(0.0, coins)
        return mark_px * max(0.0, float(up_to[reached] - up_to[passed]))


@dataclass(frozen=True)
class Surroundings:
    """The market of a map's `venue` at its moment: average true range in percent of price (of bars of `atr_from`,
    another venue where its own has none), funding paid by longs in 24 h in percent of notional, change of open interest
    in coins in 24 h in percent, seconds by which its order book is older than the moment (negative: read after it).
    Null where the data are not stored, for the reasons in `lacking`."""

    venue: str
    atr_pct: float | None = None
    atr_from: str | None = None
    funding_24h_pct: float | None = None
    open_interest_24h_pct: float | None = None
    lacking: Notes = ()
    book_age_s: float | None = None


@dataclass(frozen=True)
class LeverageShare:
    """The part of a cluster's mass that is of one band of leverage."""

    band: str
    share: float


@dataclass(frozen=True)
class ClusterFacts:
    """Of one cluster: distance of its peak in average true ranges and the class of that, whether another one of its
    side is within 2 % of price, which leverages make it (modelled maps, largest first), and which windows show it (null
    where they were not asked for)."""

    distance_atr: float | None
    atr_class: AtrClass | None
    stacked: bool
    leverage: tuple[LeverageShare, ...] = ()
    windows: tuple[str, ...] | None = None
    depth_usd: float | None = None
    """Orders that rest between the mark and its near edge, at the mark."""


@dataclass(frozen=True)
class MapFacts:
    """Of one map: its market, and facts of each of its clusters in their order."""

    surroundings: Surroundings
    clusters: tuple[ClusterFacts, ...]

    def plain(self, clusters: Sequence[Cluster]) -> dict[str, Any]:
        """As in JSON: each cluster with its side and peak."""
        about = {name: value for name, value in vars(self.surroundings).items() if name != "lacking"}
        rows = [
            {
                "side": one.side,
                "peak_px": one.peak_px,
                "distance_pct": one.peak_pct,
                **{name: value for name, value in vars(facts).items() if name != LEVERAGE},
                "leverage": {part.band: part.share for part in facts.leverage},
            }
            for one, facts in zip(clusters, self.clusters, strict=True)
        ]
        return {**about, "lacking": list(texts(self.lacking)), "clusters": rows}

    @property
    def lacking(self) -> Notes:
        """What is empty, and why."""
        return (*self.surroundings.lacking, *without_depth([self.surroundings]))


def cluster_facts(
    heatmap: Heatmap,
    found: Sequence[Cluster],
    surroundings: Surroundings,
    windows: Mapping[str, Sequence[Cluster]] | None = None,
    tolerance_pct: float = 1.0,
    depth: RestingDepth | None = None,
) -> MapFacts:
    """Facts of the clusters `found` on a map; `windows` are the clusters of the same model by how far back it looks,
    `depth` what rests in the book of its venue."""
    shown = None if windows is None else [shown_in(one, windows, tolerance_pct) for one in found]
    return MapFacts(
        surroundings,
        tuple(
            ClusterFacts(
                in_atr(one.peak_pct, surroundings.atr_pct),
                atr_class(one.peak_pct, surroundings.atr_pct),
                is_stacked(one, found),
                leverage_shares(heatmap, one),
                None if shown is None else shown[at],
                resting_before(one, heatmap.mark_px, depth),
            )
            for at, one in enumerate(found)
        ),
    )


def in_atr(distance_pct: float, atr_pct: float | None) -> float | None:
    """A distance in average true ranges; null where these are not known."""
    return distance_pct / atr_pct if atr_pct else None


def atr_class(distance_pct: float, atr_pct: float | None) -> AtrClass | None:
    """`<1`, `1-2` (bounds included) or `>2`."""
    away = in_atr(distance_pct, atr_pct)
    if away is None:
        return None
    near, far = ATR_BOUNDS
    return "<1" if away < near else ">2" if away > far else "1-2"


def is_stacked(cluster: Cluster, beside: Sequence[Cluster]) -> bool:
    """Whether another cluster of its side has its peak within `STACKED_PCT`; the zones of a map may all touch."""
    return any(
        other is not cluster and other.side == cluster.side and _apart_pct(cluster, other) <= STACKED_PCT
        for other in beside
    )


def is_shown(cluster: Cluster, others: Sequence[Cluster], tolerance_pct: float) -> bool:
    """Whether any of the others is of the same side and has its peak within the tolerance of this one's, each by
    distance from its own mark."""
    return _is_at(cluster.side, cluster.peak_pct, others, tolerance_pct)


def shown_in(
    cluster: Cluster, windows: Mapping[str, Sequence[Cluster]], tolerance_pct: float
) -> tuple[str, ...]:
    """Names of the windows that show this cluster."""
    return windows_with(cluster.side, cluster.peak_pct, windows, tolerance_pct)


def windows_with(
    side: str, peak_pct: float, windows: Mapping[str, Sequence[Cluster]], tolerance_pct: float
) -> tuple[str, ...]:
    """Names of the windows that show a cluster of this side and distance of its peak."""
    return tuple(name for name, others in windows.items() if _is_at(side, peak_pct, others, tolerance_pct))


def _is_at(side: str, peak_pct: float, others: Sequence[Cluster], tolerance_pct: float) -> bool:
    return any(one.side == side and abs(one.peak_pct - peak_pct) <= tolerance_pct for one in others)


def leverage_shares(heatmap: Heatmap, cluster: Cluster) -> tuple[LeverageShare, ...]:
    """Of a modelled map with a breakdown by leverage, largest first; none of others: an exact map has settings of
    accounts there, which are something else."""
    if heatmap.source != "modelled" or LEVERAGE not in heatmap.dimensions or heatmap.breakdown is None:
        return ()
    low, high = bins_of(heatmap.grid, cluster)
    rows = (
        heatmap.breakdown.filter((pl.col("side") == cluster.side) & pl.col("bin").is_between(low, high))
        .group_by(LEVERAGE)
        .agg(pl.col("notional_usd").sum())
        .filter(pl.col("notional_usd") > 0)
        .sort("notional_usd", LEVERAGE, descending=[True, False])
    )
    whole = float(rows["notional_usd"].sum())
    return tuple(LeverageShare(band, usd / whole) for band, usd in rows.iter_rows())


def without_depth(markets: Iterable[Surroundings]) -> Notes:
    """One note of the venues whose order book is not known; none where all are."""
    venues = list(dict.fromkeys(one.venue for one in markets if one.book_age_s is None))
    within_s = BOOK_WITHIN.total_seconds()
    return (note("depth_not_stored", venues=venues, within_s=within_s),) if venues else ()


def resting_before(cluster: Cluster, mark_px: float, depth: RestingDepth | None) -> float | None:
    """USD that rest between the mark and a cluster's near edge; null without a book that reaches it."""
    near_px = cluster.high_px if cluster.side == "long" else cluster.low_px
    return None if depth is None else depth.before(cluster.side, near_px, mark_px)


def bins_of(grid: PriceGrid, cluster: Cluster) -> tuple[int, int]:
    """First and last bin of a cluster on its map's grid; its edges are those of bins, rounded."""
    low, high = grid.bin_of([cluster.low_px * (1 + 1e-9), cluster.high_px * (1 - 1e-9)])
    return int(low), int(high)


def surroundings_line(about: Surroundings) -> str:
    """`ATR(14, 4 h) 1.2 % of price (hyperliquid); funding 24 h +0.03 %; open interest 24 h -1.5 %`; empty where nothing
    is known."""
    return "; ".join(_known_of(about))


def leverage_text(shares: Sequence[LeverageShare], most: int = 2) -> str:
    """`7-15x 60 %, 15-30x 25 %`."""
    return ", ".join(f"{one.band} {percent(one.share, 0)}" for one in shares[:most])


def _known_of(about: Surroundings) -> Iterator[str]:
    if about.atr_pct is not None:
        yield f"ATR(14, 4 h) {about.atr_pct:.2f} % of price ({about.atr_from})"
    if about.funding_24h_pct is not None:
        yield f"funding 24 h {about.funding_24h_pct:+.3f} %"
    if about.open_interest_24h_pct is not None:
        yield f"open interest 24 h {about.open_interest_24h_pct:+.1f} %"
    if about.book_age_s is not None:
        yield f"order book read {age(abs(about.book_age_s))} {'after' if about.book_age_s < 0 else 'before'}"


def _apart_pct(one: Cluster, other: Cluster) -> float:
    low, high = sorted((one.peak_px, other.peak_px))
    return 100 * (high / low - 1)
