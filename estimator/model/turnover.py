"""The accounting of open interest by turnover: what opens and what closes in each bar, per class of traders.

A change of open interest is the small difference of what was opened and what was closed. Volume shows when people were
active, the changes of open interest how much of that activity was not one market maker passing on to another:

    v_t = V_t / mean V * mean |OI_t - OI_{t-H}| / H        activity, coins per bar; means over the 30 days up to t

with `H` the bars of one hour, so that a rate means the same on bars of any length. Class `c` turns over at the rate
`eta_c` of that activity, and whatever open interest did beyond opens or closes in every class alike:

    closings_t = max(eta_c v_t, -dOI_t), openings_t = dOI_t + closings_t

Openings minus closings are the change of open interest exactly, so what survives of all openings and of the stock
before the window is open interest, for each class by itself. At rate 0 this is the accounting that field practice uses:
only net increases open, and a decrease closes everything in proportion. What a later price has liquidated of it is
judged by the extremes after entry (`later_extremes`). Arrays in, arrays out; all in coins of one side.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray

MOST_CLOSED: Final = 0.95
"""Share of open interest that activity alone may close in a bar; a collapse of open interest may close more."""
MEMORY_S: Final = 30 * 86_400.0
HOUR_S: Final = 3600.0


@dataclass(frozen=True, eq=False)
class Turnover:
    """`openings` (coins) and `closed` (share of what stood before the bar), both of shape (bars, classes)."""

    openings: FloatArray
    closed: FloatArray

    @property
    def survival(self) -> FloatArray:
        """Share of each bar's openings that no later bar closed, shape (bars, classes)."""
        kept = np.cumprod((1.0 - self.closed)[::-1], axis=0)[::-1]
        return np.concatenate([kept[1:], np.ones((1, kept.shape[1]))])

    def survival_from_start(self) -> FloatArray:
        """Share of the stock before the first bar that is left at the end, per class."""
        return np.asarray(np.prod(1.0 - self.closed, axis=0))


@dataclass(frozen=True, eq=False)
class Activity:
    """`coins` per bar that change hands between holders; `by_volume` is false where volume was not known throughout."""

    coins: FloatArray
    by_volume: bool


def activity(open_interest: FloatArray, volume: FloatArray | None, step_s: float) -> Activity:
    """`v` of the module's docstring; `open_interest` has one value before the first bar.

    It looks back only, so the activity of a bar never changes when later bars come. Without volume (null, or nan or
    zero in any mean) the shape is that of |dOI| itself.
    """
    per_hour = max(1, round(HOUR_S / step_s))
    memory = max(1, round(MEMORY_S / step_s))
    level = trailing_mean(_hourly_change(open_interest, per_hour), memory) / per_hour
    usable = volume is not None and bool(np.all(volume >= 0) and volume.sum() > 0)
    shape = np.asarray(volume if usable else np.abs(np.diff(open_interest)), dtype=np.float64)
    usual = trailing_mean(shape, memory)
    return Activity(np.divide(shape, usual, out=np.zeros_like(shape), where=usual > 0) * level, usable)


def turn_over(open_interest: FloatArray, active: FloatArray, rates: FloatArray) -> Turnover:
    """Openings and closings of classes that turn over at `rates` of `active` (coins per bar), as in the docstring."""
    before, change = open_interest[:-1, None], np.diff(open_interest)[:, None]
    wanted = np.minimum(np.outer(active, rates), MOST_CLOSED * before)
    closings = np.minimum(np.maximum(wanted, -change), before)
    closed = np.divide(closings, before, out=np.zeros_like(closings), where=before > 0)
    return Turnover(np.maximum(change + closings, 0.0), closed)


def trailing_mean(values: FloatArray, length: int) -> FloatArray:
    """Mean of each value and the `length - 1` before it, of fewer at the start."""
    if length < 1:
        raise BadInput(f"a mean must be over at least one bar, got {length}")
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, values.size + 1)
    start = np.maximum(end - length, 0)
    return np.asarray((total[end] - total[start]) / (end - start))


def _hourly_change(open_interest: FloatArray, per_hour: int) -> FloatArray:
    """|OI_t - OI_{t-H}| per bar, over as many bars as there are at the start, scaled up to the hour's square root."""
    end = np.arange(1, open_interest.size)
    start = np.maximum(end - per_hour, 0)
    short = np.sqrt(per_hour / (end - start))
    return np.asarray(np.abs(open_interest[end] - open_interest[start]) * short)


def later_extremes(bars: Bars) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest price after entry, per bar: its own close, then the whole range of every later bar.

    The order of prices inside the entry bar is not known; of that bar only the close surely comes last. Ranges are the
    mark's where it is known. The last close is a price of every bar's future too, whatever the marks are.
    """
    low = bars.low if bars.swept_low is None else bars.swept_low
    high = bars.high if bars.swept_high is None else bars.swept_high
    lowest = np.minimum.accumulate(np.append(low[1:], bars.close[-1])[::-1])[::-1]
    highest = np.maximum.accumulate(np.append(high[1:], bars.close[-1])[::-1])[::-1]
    return np.minimum(bars.close, lowest), np.maximum(bars.close, highest)
