"""Pages of series that a venue answers newest first."""

import numpy as np

from liqtruth.sandbox.market.margin_rules import Ints


def newest_first(times_ms: Ints, first_ms: int, last_ms: int, limit: int) -> tuple[Ints, bool]:
    """Rows of the newest `limit` times in the closed range, newest first, and whether older ones are in it too."""
    rows = np.flatnonzero((times_ms >= first_ms) & (times_ms <= last_ms))
    return rows[-limit:][::-1], rows.size > limit


def oldest_kept(times_ms: Ints, first_ms: int, last_ms: int, limit: int) -> Ints:
    """Rows of the oldest `limit` times in the closed range, newest first."""
    return np.flatnonzero((times_ms >= first_ms) & (times_ms <= last_ms))[:limit][::-1]
