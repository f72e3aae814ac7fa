"""Sums that stand among what they sum: an exchange called All, a column or a last row called Total.

Counted as one more exchange or level they would double a map. They are left out, and the map states it.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

TOTALS: Final = frozenset(
    {
        "total", "totals", "grand total", "subtotal", "sub-total", "sum", "all", "overall",
        "aggregate", "aggregated", "combined", "all exchanges",
    }
)  # fmt: skip
"""In lower case."""
RUNNING: Final = re.compile(r"cumul|running|(^|[^a-z])cum([^a-z]|$)", re.IGNORECASE)
"""Names of columns that have at each price what all prices up to it have."""
SUM_FITS: Final = 0.01
"""Relative, between a sum and what it is the sum of."""


def is_total(name: Any) -> bool:
    """Whether a name or a cell is a word for a sum."""
    return isinstance(name, str) and name.strip().strip(":").lower().replace("_", " ") in TOTALS


def totals_among(names: Collection[str]) -> tuple[str, ...]:
    """The names of sums, where they are not all there is."""
    found = tuple(name for name in names if is_total(name))
    return found if len(found) < len(names) else ()


def too_small(total: float, parts: Sequence[float]) -> bool:
    """Whether a sum is less than what it is called the sum of; it may be of more than is in the file."""
    return total < sum(parts) * (1 - SUM_FITS)
