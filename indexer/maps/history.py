"""Exact maps over time from what is stored, on one price grid.

Each moment shows what was known by then (`indexer.positions.readings`), nothing later: between two readings the
earlier one stands, and the coverage says how old it had become. Moments before the first reading stay unknown.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_REACH, DEFAULT_WIDTH_BPS, FloatArray, PriceGrid
from liqtruth.heatmap.levels import NOTHING, Sides
from liqtruth.heatmap.notes import note
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.indexer.maps.exact import ASSUMPTIONS, PlacedLevels, levels_of
from liqtruth.indexer.positions.readings import CoinKnown, Readings, check_coin, coin_over_time, no_positions
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.store import Store

MOST_MOMENTS: Final = 5_000


def exact_series(
    store: Store,
    coin: str,
    start: datetime,
    end: datetime,
    step: timedelta,
    width_bps: float = DEFAULT_WIDTH_BPS,
    earlier: Readings | None = None,
) -> HeatmapSeries:
    """Exact maps at `start`, `start + step`, ... up to `end`, on a grid around the last mark.

    The grid reaches as far from every moment's mark as a single map's. Raises `BadInput` for times that are no
    series, `UnknownCoin`, and `NothingStored` where nothing was read by `end`. `earlier` is what was read of the coin.
    """
    times = moments(start, end, step)
    check_coin(store, coin)
    found = coin_over_time(store, coin, times, earlier)
    known = [None if one is None else _levels(one) for one in found]
    marks = np.array([np.nan if levels is None else levels.mark_px for levels in known])
    if np.isnan(marks).all():
        raise no_positions(coin, end)
    grid = _common_grid(marks, width_bps)
    rows = [_placed(levels, grid) for levels in known]
    return HeatmapSeries(
        coin=coin,
        venue=VENUE,
        source="exact",
        times=times,
        grid=grid,
        long_usd=np.stack([row[0] for row in rows]),
        short_usd=np.stack([row[1] for row in rows]),
        mark_px=marks,
        beyond_usd=tuple(row[2] for row in rows),
        never_usd=tuple(row[3] for row in rows),
        coverage=tuple(None if levels is None else levels.coverage for levels in known),
        assumptions=(*ASSUMPTIONS, note("earlier_reading_stands")),
    )


def moments(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, ...]:
    """`start` and every `step` after it up to `end`; raises `BadInput` where they are none or too many."""
    if start.tzinfo is None or end.tzinfo is None:
        raise BadInput(f"a series needs times with a zone, not {start} to {end}")
    if step <= timedelta(0):
        raise BadInput(f"a series needs a step above zero, not {step}")
    if end < start:
        raise BadInput(f"the series ends at {end}, before it starts at {start}")
    count = (end - start) // step + 1
    if count > MOST_MOMENTS:
        raise BadInput(
            f"{count:,} moments from {start} to {end}; at most {MOST_MOMENTS:,}, take a longer step"
        )
    return tuple(start + n * step for n in range(count))


def _levels(known: CoinKnown) -> PlacedLevels:
    """As a map of that moment has them, with their age at the moment."""
    levels = levels_of(known.positions, known.market, known.notes)
    oldest = known.positions["age_s"].max()
    assert isinstance(oldest, float)
    coverage = replace(levels.coverage, oldest_age_s=oldest)
    return replace(levels, rows=levels.rows.select("side", "px", "notional_usd"), coverage=coverage)


def _common_grid(marks: FloatArray, width_bps: float) -> PriceGrid:
    known = marks[np.isfinite(marks)]
    wandered = float(np.abs(np.log(known / known[-1])).max())
    return PriceGrid.around(float(known[-1]), width_bps, DEFAULT_REACH + wandered)


def _placed(levels: PlacedLevels | None, grid: PriceGrid) -> tuple[FloatArray, FloatArray, Sides, Sides]:
    """Long and short mass per bin of the common grid, mass beyond it, and mass that no price liquidates."""
    if levels is None:
        unknown = np.full(grid.bins, np.nan)
        return unknown, unknown, NOTHING, NOTHING
    placed = [_side(levels, grid, side) for side in ("long", "short")]
    (long_usd, *long_rest), (short_usd, *short_rest) = placed
    beyond, never = (Sides(*pair) for pair in zip(long_rest, short_rest, strict=True))
    return long_usd, short_usd, beyond, never


def _side(levels: PlacedLevels, grid: PriceGrid, side: str) -> tuple[FloatArray, float, float]:
    """Mass per bin, beyond and never of one side; what the mark has passed lies next to the mark, as on a map."""
    rows = levels.rows.filter(pl.col("side") == side)
    priced = rows.drop_nulls("px")
    px, mass = priced["px"].to_numpy(), priced["notional_usd"].to_numpy()
    just_below = float(np.nextafter(levels.mark_px, 0.0))
    px = np.minimum(px, just_below) if side == "long" else np.maximum(px, levels.mark_px)
    binned = np.bincount(grid.bin_of(px) + 1, mass, grid.bins + 2).astype(np.float64)
    never = float(rows.filter(pl.col("px").is_null())["notional_usd"].sum())
    return binned[1:-1], float(binned[0] + binned[-1]), never
