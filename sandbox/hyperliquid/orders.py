"""Orders that rest in the books of a synthetic market: drawn once per coin, the same whenever and however asked."""

from typing import Any, Final

import numpy as np

from liqtruth.sandbox.market.listings import from_units
from liqtruth.sandbox.market.market import Market

LEVELS: Final = 20
"""Of a side in an answer."""
ORDERS: Final = 4_000
FARTHEST: Final = 0.3
"""Of the mark."""
DIGITS: Final = (2, 3, 4, 5)


def resting(market: Market, column: int, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Prices and lots of every order of a side (`bid`, `ask`) from the best outward, in units."""
    rng = np.random.default_rng([market.spec.seed, column, side == "ask"])
    mark = int(market.path.mark_units[-1, column])
    away = np.sort(rng.uniform(0.0, np.sqrt(FARTHEST), ORDERS)) ** 2 * mark
    px = mark + np.ceil(away + 1) if side == "ask" else mark - np.ceil(away + 1)
    usd = rng.lognormal(9, 1.5, ORDERS) * (1 + 20 * away / mark)
    decimals = market.spec.assets[column].sz_decimals
    price = px / 10.0 ** (6 - decimals)
    return px.astype(np.int64), np.maximum(np.round(usd / price * 10**decimals), 1).astype(np.int64)


def l2_book(market: Market, column: int, digits: int | None, time_ms: int) -> dict[str, Any]:
    """The answer: prices rounded away from the mark to `digits` significant ones, or as they are."""
    asset = market.spec.assets[column]
    sides = []
    for side in ("bid", "ask"):
        px, lots = resting(market, column, side)
        if digits is not None:
            step = 10 ** np.maximum(np.floor(np.log10(px)) - digits + 1, 0)
            px = ((np.ceil if side == "ask" else np.floor)(px / step) * step).astype(np.int64)
        prices, place = np.unique(px, return_inverse=True)
        sums, counts = np.bincount(place, lots).astype(np.int64), np.bincount(place)
        order = slice(None, LEVELS) if side == "ask" else slice(None, -LEVELS - 1, -1)
        rows = zip(prices[order].tolist(), sums[order].tolist(), counts[order].tolist(), strict=True)
        sides.append(
            [
                {
                    "px": from_units(at, 6 - asset.sz_decimals),
                    "sz": from_units(size, asset.sz_decimals),
                    "n": count,
                }
                for at, size, count in rows
            ]
        )
    return {"coin": asset.name, "time": time_ms, "levels": sides}
