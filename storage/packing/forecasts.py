"""What is foretold of the columns of a position that move with its mark, by simple arithmetic.

The forecasts are part of the format: changing one needs a new name among `FORMATS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.storage.packing.digits import Floats

Rows = Mapping[str, Floats]
"""Columns as arrays of equal length; null is nan."""
COLLATERAL: Final = ("account_value_usd", "cross_maintenance_usd", "pooled_available_usd")
TICK: Final = "tick_px"
"""The mark with the decimals that the notional needs, see `storage.packing.marks`."""
IS_RATIO: Final = "mark_is_ratio"
"""Not stored by row: whether the marks of its reading are notional over size."""
SAME_TIER: Final = 1e-12
"""Relative difference of a price from that of the lowest tier within which it is of that tier."""


@dataclass(frozen=True)
class Forecast:
    """What is expected of a column: `first` of the first row of a position, `next` from the row before too. Decimals
    that `first` gave of the row before are expected of it again."""

    column: str
    needs: tuple[str, ...]
    first: Callable[[Rows], Floats]
    next: Callable[[Rows, Rows], Floats]


def _moved(name: str) -> Callable[[Rows, Rows], Floats]:
    return lambda now, then: then[name] + now["szi"] * (now["mark_px"] - then["mark_px"])


def _margin(now: Rows, then: Rows) -> Floats:
    """Of a cross position in proportion to its mark, of an isolated one, which has a cash leg, with its profit."""
    cross = then["margin_used_usd"] * (now["mark_px"] / then["mark_px"])
    return np.where(np.isnan(now["isolated_raw_usd"]), cross, _moved("margin_used_usd")(now, then))


def _price_moved(now: Rows, then: Rows) -> Floats:
    """`mark - margin available / (szi * d)` of a cross position, with the d that the row before had."""
    divisor = _available(then) / (then["szi"] * (then["mark_px"] - then["liq_px_solved"]))
    cross = now["mark_px"] - _available(now) / (now["szi"] * divisor)
    return np.where(np.isnan(now["isolated_raw_usd"]), cross, then["liq_px_solved"])


def _price(now: Rows) -> Floats:
    """As `indexer.margin.solver` has it of the lowest tier."""
    size, rate = np.abs(now["szi"]), 1 / (2 * now["max_leverage"])
    cross = _available(now) + size * now["mark_px"] * rate - now["szi"] * now["mark_px"]
    constant = np.where(np.isnan(now["isolated_raw_usd"]), cross, now["isolated_raw_usd"])
    return np.asarray(constant / (rate * size - now["szi"]))


def _price_next(now: Rows, then: Rows) -> Floats:
    was_lowest = np.abs(_price(then) / then["liq_px_solved"] - 1) < SAME_TIER
    return np.where(was_lowest, _price(now), _price_moved(now, then))


def _notional(now: Rows) -> Floats:
    return np.abs(now["szi"]) * now[TICK]


def _mark(now: Rows) -> Floats:
    return np.where(now[IS_RATIO] > 0, now["notional_usd"] / np.abs(now["szi"]), now[TICK])


def _sent_price(now: Rows) -> Floats:
    return now["liq_px_solved"]


def _used_price(now: Rows) -> Floats:
    return np.where(np.isnan(now["liq_px_exchange"]), now["liq_px_solved"], now["liq_px_exchange"])


def _used_price_next(now: Rows, then: Rows) -> Floats:
    return np.where(then["liq_px"] == then["liq_px_solved"], now["liq_px_solved"], _used_price(now))


def _available(rows: Rows) -> Floats:
    pooled = rows["pooled_available_usd"]
    own = rows["account_value_usd"] - rows["cross_maintenance_usd"]
    return np.where(np.isnan(pooled), own, pooled)


def _pool(now: Rows, then: Rows) -> Floats:
    gain = now["account_value_usd"] - then["account_value_usd"]
    return then["pooled_available_usd"] + (
        gain - (now["cross_maintenance_usd"] - then["cross_maintenance_usd"])
    )


PROFIT: Final = Forecast(
    "unrealized_pnl_usd",
    ("szi", "mark_px", "entry_px"),
    lambda now: now["szi"] * (now["mark_px"] - now["entry_px"]),
    _moved("unrealized_pnl_usd"),
)
MARGIN: Final = Forecast(
    "margin_used_usd",
    ("szi", "mark_px", "isolated_raw_usd", "leverage"),
    lambda now: np.abs(now["szi"]) * now["mark_px"] / now["leverage"],
    _margin,
)
OF_PRICE: Final = ("szi", "mark_px", "isolated_raw_usd", "liq_px_exchange", *COLLATERAL)


def _from_row(column: str, needs: tuple[str, ...], expected: Callable[[Rows], Floats]) -> Forecast:
    return Forecast(column, needs, expected, lambda now, then: expected(now))


OF_POSITIONS: Final = (
    _from_row("notional_usd", ("szi", TICK), _notional),
    _from_row("mark_px", ("szi", TICK, "notional_usd"), _mark),
    PROFIT,
    MARGIN,
    Forecast("liq_px_solved", (*OF_PRICE, "max_leverage"), _price, _price_next),
    _from_row("liq_px_exchange", ("liq_px_solved",), _sent_price),
    Forecast("liq_px", ("liq_px_solved", "liq_px_exchange"), _used_price, _used_price_next),
)
BEFORE: Final = (
    _from_row("notional_usd", ("szi", "mark_px"), lambda now: np.abs(now["szi"]) * now["mark_px"]),
    PROFIT,
    MARGIN,
    Forecast("liq_px_solved", OF_PRICE, lambda now: now["liq_px_exchange"], _price_moved),
    _from_row("liq_px", ("liq_px_solved",), lambda now: now["liq_px_solved"]),
)
"""Of positions in archives of before."""
OF_COLLATERAL: Final = (
    Forecast("pooled_available_usd", COLLATERAL[:2], lambda now: np.zeros_like(now[COLLATERAL[0]]), _pool),
)


FORMAT: Final = "moving-2"
FORMATS: Final[Mapping[str, tuple[Forecast, ...]]] = {FORMAT: OF_POSITIONS, "moving-1": BEFORE}
"""Forecasts of positions by the name under which a file has its layout."""
