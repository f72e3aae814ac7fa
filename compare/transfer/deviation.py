"""How far a venue's liquidations deviate from what a model predicts, per side, and what that tells of its positions.

With `F` the predicted flow of step h at node l, `y` the reported liquidations, `rho` the share that the feed reports:

    d = ln(sum_h y / (rho sum_hl F))  on the venue,  less the same on Hyperliquid

so that what the model mispredicts on both is divided out. Venues differ by `VENUES_SD`, so a deviation that few
liquidations tell, with standard error s, counts as

    d* = d VENUES_SD^2 / (VENUES_SD^2 + s^2),    its error  sqrt(VENUES_SD^2 s^2 / (VENUES_SD^2 + s^2))

Liquidations of the next hour are of positions near the mark. How far they speak for those of each leverage was learned
on synthetic venues (`benchmarks/make_speaks.py`): shares are multiplied by exp(s(l) d*), s from `SPEAKS`, and the mass
within a distance is then still off by `LEFT_SD`. More liquidations than predicted mean the same money at higher
leverage, fewer mean money that is not at stake: so more of them hardly move the body of the map, and fewer do.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.statistics.intervals import LEAST_DAYS, times_drawn
from liqtruth.heatmap.grid import FloatArray, IntArray

NODES: Final = (2.0, 5.0, 10.0, 20.0, 40.0, 100.0)
"""Leverages of `SPEAKS`; in between on the line over log leverage, beyond as at the ends."""
VENUES_SD: Final = 0.83
BIAS_SD: Final = 0.8
"""Error of a deviation where Hyperliquid's is not divided out: the logarithm of predicted over realised was 0.5 to 1.1
on synthetic Hyperliquid-like venues."""
DRAWS: Final = 200


@dataclass(frozen=True, eq=False)
class SideSteps:
    """One side of one venue: `predicted_usd` (steps, nodes), `realised_usd` (steps,) as reported by the feed, the `day`
    of each step as a number, and how many `events` were reported."""

    predicted_usd: FloatArray
    realised_usd: FloatArray
    day: IntArray
    events: int

    def log_ratio(self, coverage: float, seed: int) -> "Known":
        """Of reported over predicted, with its standard error: days drawn with replacement, or steps where days are
        fewer than `LEAST_DAYS`. One where nothing is predicted."""
        predicted = coverage * self.predicted_usd.sum(axis=1)
        _, block = np.unique(self.day, return_inverse=True)
        if not self.day.size or block.max() + 1 < LEAST_DAYS:
            block = np.arange(self.day.size)
        blocks = int(block.max(initial=-1)) + 1
        sums = np.stack([np.bincount(block, of, blocks) for of in (self.realised_usd, predicted)], axis=1)
        whole = sums.sum(axis=0)
        if not (whole > 0).all():
            return Known(0.0, VENUES_SD)
        drawn = times_drawn(blocks, seed, DRAWS) @ sums
        drawn = drawn[(drawn > 0).all(axis=1)]
        error = float(np.std(np.log(drawn[:, 0] / drawn[:, 1]))) if len(drawn) > 1 else VENUES_SD
        return Known(float(np.log(whole[0] / whole[1])), error)


@dataclass(frozen=True)
class Known:
    """The logarithm of a ratio and its standard error."""

    log: float
    sd: float

    def beside(self, other: "Known") -> "Known":
        """Divided by the other."""
        return Known(self.log - other.log, float(np.hypot(self.sd, other.sd)))

    def shrunk(self) -> "Known":
        """As far as it counts beside what venues differ by."""
        part = VENUES_SD**2 / (VENUES_SD**2 + self.sd**2)
        return Known(part * self.log, float(np.sqrt(part) * self.sd))


UNKNOWN: Final = Known(0.0, BIAS_SD)
"""Of Hyperliquid, where its liquidations are left out."""


def speaks(leverage: FloatArray, log_ratio: float) -> FloatArray:
    """s per node: how far a deviation of this sign speaks for its positions."""
    row = SPEAKS[0] if log_ratio > 0 else SPEAKS[1]
    return np.interp(np.log(leverage), np.log(NODES), row)


SPEAKS: Final = (
    (0.0, 0.0, 0.0, 0.0, 0.88, 0.98),
    (0.07, 0.07, 0.14, 0.42, 1.36, 1.34),
)
"""Where more was liquidated than predicted, and where less was; one figure for each of `NODES`."""
LEFT_PCT: Final = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0)
LEFT_SD: Final = (1.0, 0.64, 0.43, 0.37, 0.38, 0.29, 0.27, 0.27, 0.24)
"""Standard error of the logarithm of the mass within each distance (percent), beyond the fit's own: what venues that
were left out still missed after the correction. Within 1 % the source itself is missed by as much; there it is set."""
WIDENING: Final = 0.5
"""Part of it by which bounds widen: those of coins left out hold some of it already. Chosen on the venues of
`benchmarks/bench_transfer.py`, seed 1, where bounds widened by all of it held on 84 to 93 % of maps."""
FARTHEST: Final = 1.5
"""Deviation beyond which bounds are withheld: few venues that were learned from deviate more."""
