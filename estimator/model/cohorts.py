"""The accounting of open interest: which of it was opened when, and which of that a later price has liquidated.

Arrays in, arrays out; knows neither files nor frames. All quantities are in coins, of one side: every contract has
a long and a short, so births are equal on both sides.

    births_t   = max(0, OI_t - OI_{t-1})
    survival_t = prod_{u > t} min(1, OI_u / OI_{u-1})        a decrease closes all earlier vintages in proportion
    sum_t births_t * survival_t + OI_0 * survival_0 = OI_T   exactly: the sum telescopes
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray


@dataclass(frozen=True, eq=False)
class Vintages:
    """What is left at the end, in coins: `surviving` of each bar's births, and of the stock before the window."""

    births: FloatArray
    surviving: FloatArray
    before_window: float


def age_open_interest(open_interest: FloatArray) -> Vintages:
    """Split the last open interest by the bar in which it was opened; `open_interest` as in `Bars`."""
    earlier, later = open_interest[:-1], open_interest[1:]
    kept = np.divide(later, earlier, out=np.ones_like(later), where=later < earlier)
    to_end = np.append(np.cumprod(kept[::-1])[::-1], 1.0)
    births = np.maximum(later - earlier, 0.0)
    return Vintages(births, births * to_end[1:], float(open_interest[0] * to_end[0]))


def later_extremes(bars: Bars) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest price after entry, per bar: its own close, then the whole range of every later bar.

    The order of prices inside the entry bar is not known; of that bar only the close surely comes last. Ranges are the
    mark's where it is known. The last close is a price of every bar's future too, whatever the marks say.
    """
    low = bars.low if bars.swept_low is None else bars.swept_low
    high = bars.high if bars.swept_high is None else bars.swept_high
    lowest = np.minimum.accumulate(np.append(low[1:], bars.close[-1])[::-1])[::-1]
    highest = np.maximum.accumulate(np.append(high[1:], bars.close[-1])[::-1])[::-1]
    return np.minimum(bars.close, lowest), np.maximum(bars.close, highest)
