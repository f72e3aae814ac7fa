"""Which moments of given truths are taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from liqtruth.compare.calibration.lake_samples import Refused
from liqtruth.heatmap.errors import MissingData


@dataclass(frozen=True)
class Span:
    """From `start` to `end`, both included; null: without an end."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and (self.end is None or at <= self.end)


ALL: Final = Span()


def none_left(coins: Sequence[str], what: str, refused: Sequence[Refused]) -> MissingData:
    """What to raise where no sample is left: the most frequent reason, or that all lie outside of the span."""
    reasons = [one.reason for one in refused]
    why = (
        max(dict.fromkeys(reasons), key=reasons.count)
        if reasons
        else "no moment lies between --from and --to"
    )
    return MissingData(f"no sample of {', '.join(coins)} is left of {what}: {why}")
