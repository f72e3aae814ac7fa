"""Hyperliquid's rate limit: documented weights per request type, spent from a rolling minute."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

LIGHT: Final = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
HEAVY: Final = {"userRole": 60}
DEFAULT_WEIGHT: Final = 20
ITEMS_PER_WEIGHT: Final = {
    "recentTrades": 20, "fundingHistory": 20, "userFills": 20, "userFillsByTime": 20, "candleSnapshot": 60,
}  # fmt: skip
WINDOW_S: Final = 60.0


def weight_of(request_type: str, items: int) -> int:
    """Weight of an answered request; `items` is how many rows it returned."""
    base = 2 if request_type in LIGHT else HEAVY.get(request_type, DEFAULT_WEIGHT)
    per = ITEMS_PER_WEIGHT.get(request_type)
    return base if per is None else base + items // per


@dataclass
class WeightBudget:
    """What may still be spent this minute; None as limit means an own node that has none."""

    per_minute: int | None
    spent_total: int = 0
    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _in_window: int = 0

    def spend(self, weight: int, now_s: float) -> bool:
        """Charge and agree, or refuse and charge nothing."""
        while self._spent and self._spent[0][0] <= now_s - WINDOW_S:
            self._in_window -= self._spent.popleft()[1]
        if self.per_minute is not None and self._in_window + weight > self.per_minute:
            return False
        self._spent.append((now_s, weight))
        self._in_window += weight
        self.spent_total += weight
        return True
