"""The positions of one side at one moment, as calibration sees them: how far from liquidation, how large, whose."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.statistics.effective_sample_size import effective_number
from liqtruth.compare.statistics.map_scores import REACH, binned
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.layers import LARGEST_SHARE

SIZE_EDGES_USD: Final = (10e3, 100e3, 1e6)
SIZES: Final = ("<10k", "10-100k", "100k-1M", ">1M")
"""Size classes of positions, USD at the mark."""


ENTRY_REACH: Final = 0.30
ENTRY_BIN: Final = 0.005
ENTRY_BINS: Final = round(2 * ENTRY_REACH / ENTRY_BIN)
"""Of entry prices, log distance from the mark either way."""


@dataclass(frozen=True, eq=False)
class Holdings:
    """Rows are positions. `away` is the log distance of the liquidation from the mark, outward (0 where the mark has
    crossed it, infinite where no price liquidates); `share` of open interest; `account` codes; `account_usd` what the
    account is worth, `entry_px` and `px` entry and liquidation price (nan where unknown or none)."""

    away: FloatArray
    share: FloatArray
    account: IntArray
    notional_usd: FloatArray
    account_usd: FloatArray
    entry_px: FloatArray
    px: FloatArray

    @property
    def coverage(self) -> float:
        """Share of open interest that these positions hold."""
        return float(self.share.sum())

    def as_whole(self) -> "Holdings":
        """Scaled to hold all open interest: what is not seen is taken to be alike."""
        whole = self.coverage
        return replace(self, share=self.share / whole) if whole > 0 else self

    @cached_property
    def cut(self) -> FloatArray:
        """Share per position, at most `LARGEST_SHARE`: the crowd's part; the rest of `share` is the whales' excess."""
        return np.minimum(self.share, LARGEST_SHARE)

    @cached_property
    def crowd(self) -> FloatArray:
        """`cut`, scaled to the mass that lies within reach."""
        near = self.away < REACH
        left = float(self.cut[near].sum())
        return np.asarray(self.cut * (float(self.share[near].sum()) / left)) if left > 0 else self.cut

    @property
    def kept(self) -> float:
        """Part of the mass within reach that is left when large positions are cut."""
        near = self.away < REACH
        whole = float(self.share[near].sum())
        return float(self.cut[near].sum()) / whole if whole > 0 else 0.0

    @cached_property
    def size_class(self) -> IntArray:
        """Index into `SIZES`."""
        return np.searchsorted(SIZE_EDGES_USD, self.notional_usd, side="right")

    def effective(self, mass: FloatArray, within: float = REACH) -> float:
        """Effective number of a mass per position, of those within a log distance of the mark."""
        return effective_number(mass[self.away < within])

    def binned(self, mass: FloatArray) -> FloatArray:
        """A mass per position as a map (bins,)."""
        return binned(self.away, mass)


def holdings_on(side: str, positions: pl.DataFrame, series: MarketSeries) -> Holdings:
    """Positions of one side, in shares of the last open interest; `positions` as `pairs.sample_of` wants them."""
    sign = 1.0 if side == "long" else -1.0
    rows = positions.filter(pl.col("szi") * sign > 0)
    open_interest, mark = float(series.bars.open_interest[-1]), series.mark_px
    coins = rows["szi"].to_numpy() * sign
    px = rows["liq_px"].cast(pl.Float64).to_numpy()
    priced = np.isfinite(px) & (px > 0)
    return Holdings(
        away=_away(px, mark, sign, priced),
        share=coins / open_interest if open_interest > 0 else np.zeros(len(coins)),
        account=_accounts(rows),
        notional_usd=coins * mark,
        account_usd=_optional(rows, "account_value_usd"),
        entry_px=_optional(rows, "entry_px"),
        px=np.where(priced, px, np.nan),
    )


def entry_map(holdings: Holdings, mark_px: float) -> FloatArray:
    """The crowd's mass per entry bin."""
    known = np.isfinite(holdings.entry_px)
    place = entry_bin(np.log(holdings.entry_px[known] / mark_px))
    near = place >= 0
    return np.bincount(place[near], holdings.cut[known][near], ENTRY_BINS).astype(np.float64)


def entry_bin(log_px: FloatArray) -> np.ndarray:
    place = np.floor((log_px + ENTRY_REACH) / ENTRY_BIN).astype(np.int64)
    return np.where((place >= 0) & (place < ENTRY_BINS), place, -1)


def _away(px: FloatArray, mark: float, sign: float, priced: np.ndarray) -> FloatArray:
    away = np.full(len(px), np.inf)
    away[priced] = np.maximum(-sign * np.log(px[priced] / mark), 0.0)
    return away


def _optional(rows: pl.DataFrame, column: str) -> FloatArray:
    """Positive numbers of a column that may be absent, else nan."""
    if column not in rows.columns:
        return np.full(rows.height, np.nan)
    values = rows[column].cast(pl.Float64).to_numpy()
    return np.where(values > 0, values, np.nan)


def _accounts(rows: pl.DataFrame) -> IntArray:
    """A number per account; without addresses every position is an account."""
    if "address" not in rows.columns:
        return np.arange(rows.height)
    return rows["address"].rank("dense").cast(pl.Int64).to_numpy() - 1
