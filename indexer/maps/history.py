"""Exact maps over time from what is stored, on one price grid.

Each moment shows what was known by then (`indexer.positions.readings`), nothing later: between two readings the
earlier one stands, and the coverage says how old it had become. Moments before the first reading stay unknown.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_REACH, DEFAULT_WIDTH_BPS, FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import NOTHING, Coverage, Sides
from liqtruth.heatmap.notes import note
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.indexer.maps.exact import ASSUMPTIONS, describe, map_of_positions
from liqtruth.indexer.positions.readings import check_coin, coin_as_of, no_positions
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

MOST_MOMENTS: Final = 5_000


@dataclass(frozen=True, eq=False)
class Moment:
    """What was known at one time; `levels` are side, price and notional as the map of that time has them."""

    levels: pl.DataFrame
    mark_px: float
    coverage: Coverage


def exact_series(
    store: Store,
    coin: str,
    start: datetime,
    end: datetime,
    step: timedelta,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> HeatmapSeries:
    """Exact maps at `start`, `start + step`, ... up to `end`, on a grid around the last mark.

    The grid reaches as far from every moment's mark as a single map's. Raises `BadInput` for times that are no
    series, `UnknownCoin`, and `NothingStored` where nothing was read by `end`.
    """
    times = moments(start, end, step)
    check_coin(store, coin)
    known = [_known_at(store, coin, time, width_bps) for time in times]
    marks = np.array([np.nan if held is None else held.mark_px for held in known])
    if np.isnan(marks).all():
        raise no_positions(coin, end)
    grid = _common_grid(marks, width_bps)
    rows = [_placed(held, grid) for held in known]
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
        coverage=tuple(None if held is None else held.coverage for held in known),
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


def _known_at(store: Store, coin: str, time: datetime, width_bps: float) -> Moment | None:
    try:
        positions, market, notes = coin_as_of(store, coin, time)
    except NothingStored:
        return None
    drawn = map_of_positions(positions, coin, market, width_bps, notes)
    oldest = positions["age_s"].max()
    assert isinstance(oldest, float)
    levels = describe(positions, drawn.mark_px, drawn.as_of).filter(pl.col("status") != "unknown_collateral")
    return Moment(
        levels.select("side", "px", "notional_usd"),
        drawn.mark_px,
        replace(drawn.coverage, oldest_age_s=oldest),
    )


def _common_grid(marks: FloatArray, width_bps: float) -> PriceGrid:
    known = marks[np.isfinite(marks)]
    wandered = float(np.abs(np.log(known / known[-1])).max())
    return PriceGrid.around(float(known[-1]), width_bps, DEFAULT_REACH + wandered)


def _placed(held: Moment | None, grid: PriceGrid) -> tuple[FloatArray, FloatArray, Sides, Sides]:
    """Long and short mass per bin of the common grid, mass beyond it, and mass that no price liquidates."""
    if held is None:
        unknown = np.full(grid.bins, np.nan)
        return unknown, unknown, NOTHING, NOTHING
    placed = [_side(held, grid, side) for side in ("long", "short")]
    (long_usd, *long_rest), (short_usd, *short_rest) = placed
    beyond, never = (Sides(*pair) for pair in zip(long_rest, short_rest, strict=True))
    return long_usd, short_usd, beyond, never


def _side(held: Moment, grid: PriceGrid, side: str) -> tuple[FloatArray, float, float]:
    """Mass per bin, beyond and never of one side; what the mark has passed lies next to the mark, as on a map."""
    rows = held.levels.filter(pl.col("side") == side)
    priced = rows.drop_nulls("px")
    px, mass = priced["px"].to_numpy(), priced["notional_usd"].to_numpy()
    just_below = float(np.nextafter(held.mark_px, 0.0))
    px = np.minimum(px, just_below) if side == "long" else np.maximum(px, held.mark_px)
    binned = np.bincount(grid.bin_of(px) + 1, mass, grid.bins + 2).astype(np.float64)
    never = float(rows.filter(pl.col("px").is_null())["notional_usd"].sum())
    return binned[1:-1], float(binned[0] + binned[-1]), never
