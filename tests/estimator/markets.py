"""Markets for the tests of `estimator`: drawn at random, and written out bar by bar."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import strategies as st

from liqtruth.estimator.frames import CANDLES, OPEN_INTEREST
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars

START = datetime(2026, 8, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

open_interests = st.one_of(st.just(0.0), st.floats(1e-3, 1e6))
paths = st.lists(open_interests, min_size=2, max_size=40).map(np.array)

_moves = st.tuples(st.floats(-0.12, 0.12), st.floats(0, 0.08), st.floats(0, 0.08), open_interests)


@st.composite
def random_bars(draw: st.DrawFn, at_most: int = 25) -> Bars:
    """Connected bars around 100 with wicks, and any open interest."""
    rows = np.array(draw(st.lists(_moves, min_size=1, max_size=at_most)))
    close = 100 * np.exp(np.cumsum(rows[:, 0]))
    before = np.append(100.0, close[:-1])
    high = np.maximum(before, close) * np.exp(rows[:, 1])
    low = np.minimum(before, close) * np.exp(-rows[:, 2])
    return Bars(high, low, close, np.append(draw(open_interests), rows[:, 3]))


def bars_of(rows: Sequence[tuple[float, float, float]], open_interest: Sequence[float]) -> Bars:
    """Bars from (low, high, close) and one open interest more than bars."""
    low, high, close = np.array(rows, dtype=np.float64).T
    return Bars(high, low, close, np.array(open_interest, dtype=np.float64))


def series_of(bars: Bars, step: timedelta = HOUR) -> MarketSeries:
    """The bars as one gapless series from `START`, looked at when the last one ends."""
    count = len(bars.close)
    end = START + count * step
    first_ms, step_ms = round(START.timestamp() * 1000), round(step.total_seconds() * 1000)
    return MarketSeries(
        bars=bars,
        start=START,
        as_of=end,
        end_ms=first_ms + step_ms * np.arange(1, count + 1),
        last_oi_at=end,
        oi_rounding_usd=0.0,
        notes=(),
    )


def candles(
    start: datetime, interval_s: int, count: int, px: float = 100.0, volume: float | None = 1.0
) -> pl.DataFrame:
    """`count` flat bars one after the other."""
    rows = {
        "ts": [start + timedelta(seconds=interval_s * n) for n in range(count)],
        "interval_s": [interval_s] * count,
        **{name: [px] * count for name in ("open", "high", "low", "close")},
        "volume": [volume] * count,
        "taker_buy_volume": [None] * count,
    }
    return pl.DataFrame(rows, schema=dict(CANDLES))


def holdings(
    times: Sequence[datetime], coins: Sequence[float] | None = None, usd: Sequence[float] | None = None
) -> pl.DataFrame:
    """Open interest at `times`, in coins or USD."""
    blank = [None] * len(times)
    rows = {"ts": list(times), "open_interest": coins or blank, "open_interest_usd": usd or blank}
    return pl.DataFrame(rows, schema=dict(OPEN_INTEREST))
