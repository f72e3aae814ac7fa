"""When a venue's liquidations were listened to, and what its word on its stream says of how many it tells.

A venue's pushed liquidations are known in its spans of `listening`. A node's fills on Hyperliquid have none: there the
exchange is taken as heard from one liquidation of any coin to the next, if that is soon enough.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.table import VENUES
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import IntArray
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.positions.universe import VENUE as HYPERLIQUID
from liqtruth.storage.store import Store

EVERY: Final = frozenset(
    venue.liquidation_stream for venue in VENUES.values() if venue.pushes_every_liquidation
)
"""What is stored as the coverage of streams that push all liquidations."""

LONGEST_QUIET_MS: Final = 3_600_000
"""On a whole exchange an hour without any liquidation is an hour of which no file was read."""


def spans_heard(store: Store, venue: str, coin: str) -> IntArray:
    """When the liquidations of a market were heard, ms, shape (spans, 2): in order and apart from each other; none
    where nothing tells."""
    rows = store.lake.read_series("listening", venue, coin, DATASETS["listening"].schema)
    if rows.height:
        return joined(*(rows[name].dt.epoch("ms").to_numpy() for name in ("ts", "until")))
    if venue != HYPERLIQUID:
        return np.zeros((0, 2), dtype=np.int64)
    times = _any_liquidation(store)
    soon = np.diff(times) <= LONGEST_QUIET_MS
    return joined(times[:-1][soon], times[1:][soon])


def _any_liquidation(store: Store) -> IntArray:
    """When anything was liquidated on Hyperliquid, whatever the coin."""
    coins = [coin for venue, coin in store.lake.series_coins("liquidations") if venue == HYPERLIQUID]
    parts = [store.lake.read_series("liquidations", HYPERLIQUID, coin, LIQUIDATIONS)["ts"] for coin in coins]
    return np.unique(pl.concat(parts).dt.epoch("ms").to_numpy()) if parts else np.zeros(0, dtype=np.int64)


def joined(start_ms: IntArray | Sequence[int], until_ms: IntArray | Sequence[int]) -> IntArray:
    """Spans that overlap or touch as one, in order, shape (spans, 2)."""
    order = np.argsort(start_ms, kind="stable")
    start, until = np.asarray(start_ms, dtype=np.int64)[order], np.asarray(until_ms, dtype=np.int64)[order]
    if not start.size:
        return np.zeros((0, 2), dtype=np.int64)
    latest = np.maximum.accumulate(until)
    first = np.flatnonzero(np.append(True, start[1:] > latest[:-1]))
    return np.stack([start[first], latest[np.append(first[1:], start.size) - 1]], axis=1)


def check_coverage(share: float) -> None:
    """Raises `BadInput` for a share of liquidations that is none."""
    if not 0 < share <= 1:
        raise BadInput(
            f"--coverage {share:g} is no share: write e.g. 0.3 for three tenths of what is liquidated"
        )
