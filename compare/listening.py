"""When a venue's liquidations were listened to, and what its word on its stream says of how many it tells."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatmap.errors import BadInput
from heatmap.grid import IntArray

EVERY: Final = "every liquidation"
"""How a venue's word on its stream begins where it pushes all of them."""


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
