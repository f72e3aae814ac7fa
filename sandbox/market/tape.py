"""What a venue's traders filled, in columns; what the makers took follows from it (`sandbox.market.matching`)."""

from dataclasses import dataclass

import numpy as np

from liqtruth.sandbox.market.margin_rules import Ints
from liqtruth.sandbox.market.population import Flags

TRADE, LIQUIDATION = 0, 1


@dataclass(frozen=True)
class Tape:
    """Every fill of every trader in time order; `point` is a minute point of the path, `before` the size held.

    Fills of one `batch` were booked together, at most one per account and coin; `isolated` is the margin mode of the
    position, `backstop` says that the liquidator vault took it over.
    """

    point: Ints
    account: Ints
    coin: Ints
    lots: Ints
    before: Ints
    px: Ints
    kind: Ints
    batch: Ints
    isolated: Flags
    backstop: Flags

    def of(self, rows: Ints | Flags | slice) -> "Tape":
        """Only these rows."""
        return Tape(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def until(self, point: int) -> "Tape":
        return self.of(slice(int(np.searchsorted(self.point, point, side="right"))))
