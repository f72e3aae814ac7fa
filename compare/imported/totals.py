"""Sums that stand among what they sum: an exchange called All, a column or a last row called Total.

Counted as one more exchange or level they would double a map. They are left out, and the map states it.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from liqtruth.compare.imported.documents import Answer, amounts
from liqtruth.heatmap.words.notes import Notes, note

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
SAME_TOTAL: Final = 1e-3
"""Levels and a stated total this close are the same, rounded."""
MOST_OF_TOTAL: Final = 1.1
"""Levels of more than so many times the stated total contradict it: one of both is not what it is taken for."""


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


def share_of_total(in_levels: float, totals: Sequence[Any], answer: Answer) -> Notes:
    """A note where the levels are not all of what the file states of both sides in all; refused where they are far
    more."""
    if any(one is None for one in totals):
        return ()
    total = float(amounts(list(totals), "total of the sides,", answer).sum())
    if in_levels > MOST_OF_TOTAL * total:
        raise answer.refuse(
            f"levels must hold no more than the total beside them, ${total:,.6g}, got ${in_levels:,.6g}"
        )
    share = in_levels / total if total > 0 else 1.0
    return () if abs(share - 1) < SAME_TOTAL else (note("levels_of_total", share=share, usd=total),)
