"""The price grid: geometric bins around a mark, so that one grid serves every coin and distances compare."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liqtruth.heatmap.errors import BadInput

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DEFAULT_WIDTH_BPS = 10.0
DEFAULT_REACH = float(np.log(2.0))
"""Half width of the grid in log price: from half the mark to twice the mark."""


@dataclass(frozen=True)
class PriceGrid:
    """`bins_each_way` bins on either side of `mark_px`; each edge is `1 + width_bps / 10_000` times the one below."""

    mark_px: float
    width_bps: float
    bins_each_way: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mark_px) and self.mark_px > 0):
            raise BadInput(f"the mark price must be a positive number, got {self.mark_px!r}")
        if not 0.01 <= self.width_bps <= 2_000:
            raise BadInput(f"the bin width must be from 0.01 to 2000 bps, got {self.width_bps!r}")
        if self.bins_each_way < 1:
            raise BadInput(f"bins each way must be at least 1, got {self.bins_each_way}")

    @classmethod
    def around(
        cls, mark_px: float, width_bps: float = DEFAULT_WIDTH_BPS, reach: float = DEFAULT_REACH
    ) -> Self:
        """Cover at least `mark * exp(±reach)` with bins of `width_bps`."""
        if not (np.isfinite(reach) and reach > 0):
            raise BadInput(f"the reach in log price must be a positive number, got {reach!r}")
        cls(mark_px, width_bps, 1)
        bins = int(np.ceil(reach / np.log1p(width_bps / 1e4)))
        return cls(float(mark_px), float(width_bps), bins)

    @property
    def log_width(self) -> float:
        """Width of every bin in log price."""
        return float(np.log1p(self.width_bps / 1e4))

    @property
    def bins(self) -> int:
        """Bins on both sides together."""
        return 2 * self.bins_each_way

    @cached_property
    def edges(self) -> FloatArray:
        """Prices of the `bins + 1` edges, ascending; the middle one is the mark itself."""
        steps = np.arange(-self.bins_each_way, self.bins_each_way + 1)
        return fixed(self.mark_px * np.exp(steps * self.log_width))

    @cached_property
    def centers(self) -> FloatArray:
        """Geometric middle of each bin."""
        return fixed(np.sqrt(self.edges[:-1] * self.edges[1:]))

    def bin_of(self, prices: ArrayLike) -> IntArray:
        """Bin index per price: -1 below the grid, `bins` above it. Prices must be positive.

        Bins are half-open, `[edge, next edge)`; a price within 1e-9 of a bin below an edge counts as on it, so that
        an edge that was rounded belongs to the bin above it.
        """
        return self.column_of(prices) - 1

    def column_of(self, prices: ArrayLike) -> IntArray:
        """The same counted from 0 below the grid: bins are 1 to `bins`, `bins + 1` is above it, `bins + 2` of NaN."""
        steps = np.atleast_1d(np.asarray(prices, dtype=np.float64) / self.mark_px)
        np.log(steps, out=steps)
        steps /= self.log_width
        steps += self.bins_each_way + 1 + 1e-9
        np.clip(steps, 0, self.bins + 1, out=steps)
        np.fmin(steps, self.bins + 2, out=steps)
        return steps.astype(np.int64).reshape(np.shape(prices))

    def columns_beside(self, price: float) -> tuple[int, int]:
        """The columns just below a price on the grid and just above it: one and the same unless an edge lies there."""
        at = float(np.log(price / self.mark_px)) / self.log_width + self.bins_each_way + 1
        return int(np.ceil(at - 1e-9)) - 1, int(np.floor(at + 1e-9))

    def refined(self, factor: int) -> "PriceGrid":
        """The same reach with every bin cut into `factor` equal parts (in log price)."""
        width_bps = float(np.expm1(self.log_width / factor) * 1e4)
        return PriceGrid(self.mark_px, width_bps, self.bins_each_way * factor)

    def to_dict(self) -> dict[str, Any]:
        return {
            "mark_px": self.mark_px,
            "width_bps": self.width_bps,
            "bins_each_way": self.bins_each_way,
        }


def fixed(values: ArrayLike) -> FloatArray:
    """The values as an array that cannot be written to."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array
