"""Positions whose size is known and whose price is not yet: the interval in which their liquidation price lies.

Stored beside the reading that has the positions (with status `unknown_collateral`, so that no map books them), and
asked for by that reading's id.
"""

from typing import Final

import polars as pl

from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.indexer.frames import AS_OF, POSITION, Schema, conform, empty
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

DATASET: Final = "intervals"
INTERVALS: Final[Schema] = {
    "address": pl.String(),
    "dex": pl.String(),
    "coin": pl.String(),
    "szi": pl.Float64(),
    "notional_usd": pl.Float64(),
    "low_px": pl.Float64(),
    "high_px": pl.Float64(),  # infinite where nothing bounds it
    "may_be_never": pl.Boolean(),  # it may be that no price liquidates it
    "as_of": AS_OF,
}
NEAR: Final = 0.1
"""A share of the mark within which mass is looked for."""


def stored_intervals(store: Store, positions: pl.DataFrame) -> pl.DataFrame:
    """`INTERVALS` of those of `positions` (with `reading_id`) whose price is not known."""
    waiting = positions.filter(pl.col("status") == "unknown_collateral")
    readings = waiting["reading_id"].drop_nulls().unique().sort().to_list()
    try:
        stored = store.lake.read_snapshots(DATASET, readings) if readings else empty(INTERVALS)
    except NothingStored:
        stored = empty(INTERVALS)
    return conform(stored, INTERVALS).join(waiting, on=[*POSITION, "szi"], how="semi", maintain_order="left")


def interval_notes(intervals: pl.DataFrame, mark_px: float) -> Notes:
    """How many positions of a coin wait for their price, and how much of them may lie, and does lie, near the mark."""
    if intervals.is_empty():
        return ()
    low, high = (1 - NEAR) * mark_px, (1 + NEAR) * mark_px
    may = (pl.col("low_px") <= high) & (pl.col("high_px") >= low)
    must = (pl.col("low_px") >= low) & (pl.col("high_px") <= high) & ~pl.col("may_be_never")
    usd = pl.col("notional_usd")
    sums = intervals.select(usd=usd.sum(), least=usd.filter(must).sum(), most=usd.filter(may).sum())
    return (
        note(
            "known_to_an_interval", count=intervals.height, within_pct=100 * NEAR, **sums.row(0, named=True)
        ),
    )
