"""The exchange's clock as a watch knows it: ours, corrected by what its answers said, never by what cannot be true."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from liqtruth.storage.clock import CLOCK_AHEAD, EARLIEST


@dataclass
class ExchangeClock:
    """`offset_s` is the exchange's clock less ours; `is_told` whether the endpoint tells its time at all."""

    offset_s: float = 0.0
    is_told: bool = False

    @property
    def now_s(self) -> float:
        """Epoch seconds by the exchange's clock."""
        return time.time() + self.offset_s

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def set(self, told_s: float | None, asked_s: float) -> None:
        """Go by what was told in answer to a question of `asked_s` (our clock); null where nothing was told that can
        be believed, which leaves the clock as it was."""
        self.is_told = told_s is not None
        if told_s is not None:
            self.offset_s = told_s - (asked_s + time.time()) / 2

    def note(self, answer_s: float) -> None:
        """No answer is from the future; where the endpoint tells no time, what it answers is of its now."""
        if _may_be(answer_s) and (not self.is_told or answer_s > self.now_s):
            self.offset_s = answer_s - time.time()


def _may_be(told_s: float) -> bool:
    return EARLIEST.timestamp() <= told_s <= time.time() + CLOCK_AHEAD.total_seconds()
