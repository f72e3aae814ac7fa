"""How far the price has been from where it is, in the hours before a moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.compare.observed.price_path import PricePath, load_path
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

WINDOW: Final = timedelta(hours=6)


@dataclass(frozen=True)
class Reached:
    """The lowest and the highest price of the last `WINDOW`, each over the price at its end."""

    low: float
    high: float

    def away(self, side: str) -> float:
        """Log distance from the mark up to which a side was swept."""
        return float(-np.log(self.low) if side == "long" else np.log(self.high))


def reached_prices(store: Store, coin: str, venues: Iterable[str], at: datetime) -> Reached | None:
    """Of the first of the venues whose bars cover the window; null where none do. Marks where they are stored, else
    last prices."""
    for venue in venues:
        try:
            path = PricePath(load_path(store, venue, coin, at - WINDOW, at))
        except NothingStored:
            continue
        until_ms = np.array([round(1000 * at.timestamp())])
        low, high = path.extremes(until_ms - WINDOW // timedelta(milliseconds=1), until_ms)
        now = path.middle_at(until_ms)
        if np.isfinite([low[0], high[0], now[0]]).all():
            return Reached(min(float(low[0] / now[0]), 1.0), max(float(high[0] / now[0]), 1.0))
    return None
