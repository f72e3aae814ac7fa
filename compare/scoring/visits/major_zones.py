"""The major zones of maps over time: the heaviest clusters of each side as arrays, whatever made the maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.compare.matching.matching import in_range
from liqtruth.compare.statistics.distances import RANGE_PCT
from liqtruth.heatmap.clusters.distribution import find_clusters
from liqtruth.heatmap.clusters.facts import is_stacked
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.text import of_ms
from liqtruth.indexer.maps.exact import MOST_MOMENTS, map_of_positions
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import coin_over_time
from liqtruth.storage.store import Store

TOP: Final = 5
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MajorZones:
    """The heaviest clusters of maps at ascending moments, heaviest first.

    Attributes
    ----------
    times_ms, mark_px : arrays of shape (moments,)
    distance : array of shape (2, moments, top)
        Longs, then shorts: log of the peak's price over the moment's mark; NaN where a map has fewer zones.
    mass_usd : array of shape (2, moments, top), zero there
    stacked : array of shape (2, moments, top), false there
        Whether another cluster of the side has its peak within 2 % of price; null where that is not known.
    """

    times_ms: IntArray
    mark_px: FloatArray
    distance: FloatArray
    mass_usd: FloatArray
    stacked: BoolArray | None = None

    @property
    def moments(self) -> int:
        return int(self.times_ms.size)

    @property
    def away_pct(self) -> FloatArray:
        """Distance of each peak from its mark in percent of the mark, positive away from it."""
        return np.asarray(100 * np.abs(np.expm1(self.distance)))

    def at(self, chosen: IntArray | BoolArray) -> "MajorZones":
        """Those of some moments."""
        return MajorZones(
            self.times_ms[chosen],
            self.mark_px[chosen],
            self.distance[:, chosen],
            self.mass_usd[:, chosen],
            None if self.stacked is None else self.stacked[:, chosen],
        )


def zones_of_series(series: HeatmapSeries, top: int = TOP, within_pct: float = RANGE_PCT) -> MajorZones:
    """Of every moment of which something is known."""
    known = np.flatnonzero(series.known)
    return zones_of_maps([_map_at(series, int(at)) for at in known], top, within_pct, series.mark_px[known])


def zones_of_maps(
    maps: Sequence[Heatmap],
    top: int = TOP,
    within_pct: float = RANGE_PCT,
    mark_px: FloatArray | None = None,
) -> MajorZones:
    """Of maps in order of time, no further than `within_pct` of the mark.

    Distances are from `mark_px` where it is given, else from each map's own mark. Raises `BadInput`.
    """
    if top < 1:
        raise BadInput(f"--top {top}: at least one zone a side is needed")
    if not 0 < within_pct <= RANGE_PCT:
        raise BadInput(
            f"--within-pct {within_pct:g}: zones are sought within more than 0 and at most {RANGE_PCT:g} %"
        )
    marks = np.array([heatmap.mark_px for heatmap in maps]) if mark_px is None else mark_px
    shape = (len(SIDES), len(maps), top)
    peaks, mass, stacked = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    for at, heatmap in enumerate(maps):
        clusters = in_range(find_clusters(heatmap), within_pct)
        for side, name in enumerate(SIDES):
            largest = [cluster for cluster in clusters if cluster.side == name][:top]
            peaks[side, at, : len(largest)] = [cluster.peak_px for cluster in largest]
            mass[side, at, : len(largest)] = [cluster.mass_usd for cluster in largest]
            stacked[side, at, : len(largest)] = [is_stacked(cluster, clusters) for cluster in largest]
    times = np.array([round(1000 * heatmap.as_of.timestamp()) for heatmap in maps], dtype=np.int64)
    return MajorZones(times, marks, np.log(peaks / marks[:, None]), mass, stacked)


def exact_maps_between(
    store: Store,
    coin: str,
    start: datetime | None,
    end: datetime | None,
    step: timedelta,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[Heatmap]:
    """Hyperliquid's exact map at the last reading of each `step`, each at the moment of its reading; maybe none.

    Raises `UnknownCoin`, and `NothingStored` where there is no reading of any coin.
    """
    check_coin(store, coin)
    wanted = reading_times(store, coin, start, end, step)
    maps = []
    for at, known in zip(wanted, coin_over_time(store, coin, wanted) if wanted else (), strict=True):
        if known is None:
            raise no_positions(coin, at)
        maps.append(map_of_positions(known.positions, coin, known.market, notes=known.notes))
        on_progress(len(maps) / len(wanted))
    return [maps[0], *(b for a, b in pairwise(maps) if b.as_of > a.as_of)] if maps else []


def reading_times(
    store: Store, coin: str, start: datetime | None, end: datetime | None, step: timedelta
) -> list[datetime]:
    """The last reading of each step (counted from 1970) of the coin's positions; raises `BadInput` for too many."""
    of_coin = "FROM partition WHERE dataset = 'positions' AND venue = :venue AND coin = :coin"
    sql = (
        f"SELECT DISTINCT as_of FROM reading WHERE id IN (SELECT reading_id {of_coin}) "
        f"OR archive IN (SELECT archive {of_coin} AND reading_id IS NULL) ORDER BY as_of"
    )
    with store.database.asking() as look:
        ends = look.column(datetime, sql, venue=VENUE, coin=coin)
    asked = [at for at in ends if (start is None or at >= start) and (end is None or at <= end)]
    step_ms = round(step / timedelta(milliseconds=1))
    last = {round(1000 * at.timestamp()) // step_ms: at for at in asked}
    if len(last) > MOST_MOMENTS:
        raise BadInput(f"{len(last):,} exact maps are more than {MOST_MOMENTS:,}: take a longer --step")
    return list(last.values())


def refuse_empty(zones: MajorZones, of: str) -> None:
    """Raises `MissingData` where no map has a zone."""
    if np.isnan(zones.distance).all():
        when = "" if not zones.moments else f" from {of_ms(int(zones.times_ms[0])):%Y-%m-%d} on"
        raise MissingData(f"no zone stands out on any of {zones.moments} maps of {of}{when}")


def _map_at(series: HeatmapSeries, at: int) -> Heatmap:
    """One moment as a map around the lower edge of the mark's bin; longs of that bin are booked in the next below."""
    grid, mark = series.grid, series.mark_px[at]
    middle = int(grid.bin_of(mark))
    reach = min(middle, grid.bins - middle)
    longs, shorts = np.zeros(2 * reach), np.zeros(2 * reach)
    longs[:reach] = series.long_usd[at, middle - reach : middle]
    longs[reach - 1] += series.long_usd[at, middle]
    shorts[reach:] = series.short_usd[at, middle : middle + reach]
    coverage = series.coverage[at]
    assert coverage is not None
    return Heatmap(
        coin=series.coin,
        venue=series.venue,
        source=series.source,
        as_of=series.times[at],
        grid=PriceGrid(float(grid.edges[middle]), grid.width_bps, reach),
        long_usd=longs,
        short_usd=shorts,
        beyond_usd=series.beyond_usd[at],
        never_usd=series.never_usd[at],
        coverage=coverage,
        model=series.model,
    )
