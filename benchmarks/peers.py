"""How others do the same work, restated in our own words to be timed beside ours in one process.

Each function states whose algorithm it is, what was restated and at which commit it was read. None of their code is
here: names, types and checks are ours, the order of their steps and their constants are theirs. Where a peer's own
setting makes less work (fewer bins, a narrower range) it is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass
class Held:
    """A position as the peers keep it: an object each."""

    coin: str
    side: str
    size: float
    entry_px: float
    leverage: float
    is_isolated: bool
    notional_usd: float
    liq_px: float | None


@dataclass
class Bucket:
    low_px: float
    high_px: float
    long_usd: float = 0.0
    short_usd: float = 0.0
    longs: int = 0
    shorts: int = 0


def hyperdata_buckets(
    positions: Sequence[Held], mark_px: float, coin: str, buckets: int = 40, range_pct: float = 15.0
) -> list[Bucket]:
    """The bins of HyperData-Terminal (Co-Messi, `dashboards/liquidation_heatmap.py` at 2f2ae24).

    Positions of the coin by name without regard to case, a list of buckets of equal width within 15 % of the mark, one
    position after the other into its own, by side.
    """
    ours = [one for one in positions if one.coin.upper() == coin.upper()]
    low, high = mark_px * (1 - range_pct / 100), mark_px * (1 + range_pct / 100)
    width = (high - low) / buckets
    made = [Bucket(low + number * width, low + (number + 1) * width) for number in range(buckets)]
    for one in ours:
        px = one.liq_px
        if px is None or px <= 0 or px < low or px > high:
            continue
        bucket = made[max(0, min(int((px - low) / width), buckets - 1))]
        if one.side.lower() == "long":
            bucket.long_usd += one.notional_usd
            bucket.longs += 1
        else:
            bucket.short_usd += one.notional_usd
            bucket.shorts += 1
    return made[::-1]


MOST_LEVERAGE: Final = {"BTC": 40, "ETH": 25, "SOL": 20, "HYPE": 10}


class Gelatotrade:
    """`LiquidationCalculator` of Hyperliquid-Liquidation-Levels (gelatotrade, `liquidation_calculator.py`, ba4a5b0)."""

    levels, range_pct = 100, 20.0

    def price(
        self, entry_px: float, size: float, leverage: float, is_isolated: bool, coin: str
    ) -> float | None:
        """A price from the entry and the leverage that is set: `entry * (1 -+ (1 / leverage - maintenance rate))`, the
        same for cross and isolated. What an account holds does not enter, so it is no liquidation price of a cross
        position; it is timed, not trusted."""
        if size == 0 or entry_px <= 0:
            return None
        side = 1 if size > 0 else -1
        rate = 0.5 / MOST_LEVERAGE.get(coin, 20)
        if is_isolated:
            px = entry_px * (1 - 1 / leverage + rate) if side == 1 else entry_px * (1 + 1 / leverage - rate)
        else:
            margin = 1 / leverage
            px = entry_px * (1 - margin + rate) if side == 1 else entry_px * (1 + margin - rate)
        if px <= 0:
            return None
        if side == 1 and px >= entry_px:
            px = entry_px * (1 - 0.9 / leverage)
        if side == -1 and px <= entry_px:
            px = entry_px * (1 + 0.9 / leverage)
        return max(0.01, px)

    def binned(
        self, positions: Sequence[Held], coin: str, mark_px: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Long and short notional at 100 prices within 20 % of the mark; for each position the nearest of all is
        looked for."""
        ours = [one for one in positions if one.coin == coin]
        low, high = mark_px * (1 - self.range_pct / 100), mark_px * (1 + self.range_pct / 100)
        prices = np.linspace(low, high, self.levels)
        usd = {side: np.zeros(self.levels) for side in ("long", "short")}
        counts = {side: np.zeros(self.levels, dtype=int) for side in ("long", "short")}
        for one in ours:
            px = one.liq_px
            if px is None:
                px = self.price(one.entry_px, one.size, one.leverage, one.is_isolated, coin)
            if px is None or px < low or px > high:
                continue
            nearest = np.argmin(np.abs(prices - px))
            usd[one.side][nearest] += abs(one.size) * one.entry_px
            counts[one.side][nearest] += 1
        return usd["long"], usd["short"]


def published_price(
    mark_px: float,
    side: float,
    account_value_usd: float,
    notional_usd: float,
    size: float,
    most_leverage: float,
) -> float | None:
    """The cross price of the exchange's own example (hyperliquid-dex/ts-examples, `LiquidationPx.tsx` at 1db362c): one
    flat margin table, called once a position. Given what it reads from the answers; looking that up is left out."""
    correction = 1 - side / maintenance_leverage(most_leverage)
    free = account_value_usd - notional_usd / maintenance_leverage(most_leverage)
    px = mark_px - side * free / size / correction
    return None if px <= 0 or px > 1e15 or size == 0 else px


def maintenance_leverage(most_leverage: float) -> float:
    return most_leverage * 2


@dataclass(frozen=True)
class Candle:
    open: float
    high: float
    low: float
    close: float
    turnover_usd: float


class Liqmap:
    """The engine of liqmap (bendizziesmith, `src/engine/` at 2992d59 and a5355ce), hourly candles ("scalping").

    TypeScript there; here its walk over candles with numpy doing the work on the vector of a tier, which is no slower
    than its loops over buckets. Decay is on, as by default.
    """

    buckets: Final = 1100
    tiers: Final = (10, 25, 50, 100)
    split: Final = (0.35, 0.30, 0.20, 0.15)
    half_life_days: Final = (5.0, 2.0, 1.0, 0.5)
    anchors: Final = (("close", 0.45), ("high", 0.275), ("low", 0.275))
    kernel: Final = (0.25, 0.5, 0.25)
    floor: Final = 1e-6

    def __init__(self, candles: Sequence[Candle], open_interest: Sequence[float]) -> None:
        self.candles = candles
        self.low = min(one.low for one in candles) * (1 - 1 / min(self.tiers))
        high = max(one.high for one in candles) * (1 + 1 / min(self.tiers))
        self.step = (high - self.low) / self.buckets
        self.growth = self._growth(open_interest)

    def draw(self) -> list[Floats]:
        """One matrix a tier, a column a candle: decay, clear what the candle traded through, seed, photograph."""
        matrices = [np.zeros((len(self.candles), self.buckets), np.float32) for _ in self.tiers]
        pending = [np.zeros(self.buckets, np.float32) for _ in self.tiers]
        kept = [np.float32(2 ** -(1 / 24 / days)) for days in self.half_life_days]
        for column, candle in enumerate(self.candles):
            first, last = self._bucket(candle.low), self._bucket(candle.high)
            for vector, share in zip(pending, kept, strict=True):
                vector *= share
                vector[first : last + 1] = 0.0
            self._seed(pending, candle, self.growth[column])
            least = max(float(vector.max()) for vector in pending) * self.floor
            for vector, matrix in zip(pending, matrices, strict=True):
                vector[vector < least] = 0.0
                matrix[column] = vector
        return matrices

    def _seed(self, pending: list[Floats], candle: Candle, growth: float) -> None:
        """24 deposits: three entries, two sides, four tiers, each spread over three buckets."""
        usd = candle.turnover_usd * growth
        for vector, leverage, part in zip(pending, self.tiers, self.split, strict=True):
            for name, weight in self.anchors:
                entry, amount = getattr(candle, name), part * usd * weight / 2
                for px in (entry * (1 - 1 / leverage), entry * (1 + 1 / leverage)):
                    middle = self._bucket(px)
                    for beside, share in zip((-1, 0, 1), self.kernel, strict=True):
                        vector[max(0, min(middle + beside, self.buckets - 1))] += amount * share

    def _bucket(self, px: float) -> int:
        return max(0, min(math.floor((px - self.low) / self.step), self.buckets - 1))

    def _growth(self, open_interest: Sequence[float]) -> list[float]:
        """Up to three times the turnover where open interest rose."""
        rises = (
            (now - before) / now if now > 0 and before > 0 else 0.0 for before, now in pairwise(open_interest)
        )
        return [1.0, *(min(1 + 8 * max(rise, 0.0), 3.0) for rise in rises)]
