"""What is stored of a market's liquidations: which steps were heard throughout, what they told, and how much of all.

A level can only be set by a feed whose coverage is known: one that pushes every liquidation, or one of which the user
knows the share.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from liqtruth.compare.observed.coverage import check_coverage, spans_heard
from liqtruth.compare.transfer.flow import BoolArray, Flow
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.synthetic import any_synthetic
from liqtruth.indexer.frames import LIQUIDATIONS as NODE_LIQUIDATIONS
from liqtruth.indexer.positions.universe import VENUE as HYPERLIQUID
from liqtruth.storage.store import Store


@dataclass(frozen=True, eq=False)
class Heard:
    """Liquidations of one coin by time: `coins` closed of positions on `side`; `spans_ms` (spans, 2) when they were
    heard, in order and apart from each other."""

    coin: str
    ts_ms: IntArray
    is_long: BoolArray
    coins: FloatArray
    spans_ms: IntArray
    synthetic: bool

    def throughout(self, flow: Flow) -> BoolArray:
        """Which steps lie in one span from beginning to end."""
        span = np.searchsorted(self.spans_ms[:, 0], flow.start_ms, side="right") - 1
        until = np.append(self.spans_ms[:, 1], -1)[span]
        return np.asarray((span >= 0) & (flow.start_ms + flow.step_ms <= until))

    def per_step(self, flow: Flow, side: str) -> tuple[FloatArray, IntArray]:
        """USD at the step's first mark and number of liquidations of one side, shape (steps,)."""
        at = np.searchsorted(flow.start_ms, self.ts_ms, side="right") - 1
        inside = (at >= 0) & (self.is_long == (side == "long"))
        inside &= self.ts_ms < np.append(flow.start_ms + flow.step_ms, -1)[at]
        steps = flow.start_ms.size
        coins = np.bincount(at[inside], self.coins[inside], steps)
        return coins * flow.mark_px, np.bincount(at[inside], minlength=steps)


def known_coverage(venue: Venue, given: float | None) -> float:
    """Share of all liquidations that the venue's feed tells.

    Raises `BadInput` where it is not known, with what the venue says, and for a share that is none.
    """
    if given is not None:
        check_coverage(given)
        return given
    word = venue.liquidation_stream or "nothing"
    if venue.pushes_every_liquidation:
        return 1.0
    raise BadInput(
        f"{venue.name} pushes {word}: what share of all liquidations that is nobody knows, and a level set by it "
        "would be wrong by as much; take a venue that pushes every one (bybit), or give --coverage SHARE if you know it"
    )


def heard_of(store: Store, venue: Venue, coin: str, start: datetime | None, end: datetime | None) -> Heard:
    """What is stored between two times; raises `MissingData` with the remedy where nothing was heard."""
    on_chain = venue.name == HYPERLIQUID
    schema = NODE_LIQUIDATIONS if on_chain else DATASETS["liquidations"].schema
    events = store.lake.read_series("liquidations", venue.name, coin, schema, start, end)
    spans = _clipped(spans_heard(store, venue.name, coin), start, end)
    if not spans.size:
        raise MissingData(_nothing_heard(venue, coin, start, end))
    sources = store.lake.series_sources("liquidations", venue.name, coin)
    return Heard(
        coin=coin,
        ts_ms=events["ts"].dt.epoch("ms").to_numpy(),
        is_long=(events["side"] == "long").to_numpy(),
        coins=events["size" if on_chain else "coins"].fill_null(0.0).to_numpy(),
        spans_ms=spans,
        synthetic=any_synthetic(sources),
    )


def _nothing_heard(venue: Venue, coin: str, start: datetime | None, end: datetime | None) -> str:
    when = "" if start is None and end is None else " between the times that were asked for"
    if venue.name == HYPERLIQUID:
        return (
            f"no liquidations of {coin} on Hyperliquid are stored{when}: `liqtruth index fills PATH` reads a node's "
            "fills; --without-hyperliquid goes without, and leaves the model's own bias in"
        )
    return (
        f"no span is stored{when} in which liquidations of {venue.name} {coin} were listened to: "
        f"`liqtruth feed watch {venue.name} {coin}` collects them from now on"
    )


def _clipped(spans: IntArray, start: datetime | None, end: datetime | None) -> IntArray:
    low, high = (None if at is None else int(at.timestamp() * 1000) for at in (start, end))
    cut = np.clip(spans, low, high) if low is not None or high is not None else spans
    return np.asarray(cut[cut[:, 1] > cut[:, 0]])
