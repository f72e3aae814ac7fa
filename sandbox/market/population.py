"""Who trades where: the stated distributions of account types, equity, leverage and habits, and the centralised venues.

Everything the calibration is later asked to recover is written here as data: each venue's mix states each type's share
of accounts, Pareto equity, log-normal leverage, margin mode and pace. The venues differ on purpose: Bybit has the most
and the most leveraged retail, mostly on isolated margin; OKX the most hedgers and whales. Centralised venues share the
price path, list the same coins and settle in USDT; each has a ledger of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from liqtruth.sandbox.market.listings import (
    BINANCE_TIERS,
    BYBIT_TIERS,
    OKX_TIERS,
    Asset,
    Floats,
    Ints,
)

BINANCE, BYBIT, OKX = "binance", "bybit", "okx"
Flags = NDArray[np.bool_]
STANDARD, DISABLED, UNIFIED, PORTFOLIO, ABSTRACTION = range(5)
MODE_NAMES: Final = ("default", "disabled", "unifiedAccount", "portfolioMargin", "dexAbstraction")
MAKER_MODES: Final = (0.4, 0.6, 0.0, 0.0, 0.0)
Anchor = Literal["absolute", "of-maximum", "of-volatility"]
ADDS_PER_HOUR: Final = 0.008


@dataclass(frozen=True)
class LeverageMix:
    """Log-normal distribution of the leverage an account aims at when it opens: notional over its equity (cross)
    or over the posted margin (isolated). `median` is a leverage, a part of the coin's highest, or the share of
    equity that a day's volatility moves, as `Habits.anchor` says."""

    median: float
    sigma: float


@dataclass(frozen=True)
class Habits:
    """What else tells one population from another.

    `tiered` settings are whole steps (3, 5, 10, ...); `used` is the median part of its equity that an account backs
    cross positions with, so that it stands at `used` times its setting. `adds_margin`, `withdraws`, `refills` and
    `resizes` are shares of accounts: those that add margin to isolated positions, take profits out of the collateral,
    make up for the losses of cross positions, and enlarge or cut those until their leverage is what it was. `calms` is
    the power of equity, over the least of its type, by which leverage falls and holding times grow.
    """

    anchor: Anchor = "absolute"
    tiered: bool = False
    used: float = 1.0
    adds_per_hour: float = ADDS_PER_HOUR
    adds_margin: float = 0.0
    withdraws: float = 0.0
    resizes: float = 0.0
    refills: float = 0.0
    calms: float = 0.0


@dataclass(frozen=True)
class TraderType:
    """One kind of account. `modes` are the shares of `MODE_NAMES`; `entries_per_day` counts a flat coin."""

    name: str
    share: float
    equity_min_usd: float
    equity_alpha: float
    equity_cap_usd: float
    leverage: LeverageMix
    isolated_share: float
    entries_per_day: float
    hold_hours: float
    stop_share: float
    long_bias: float
    modes: tuple[float, float, float, float, float]
    habits: Habits = Habits()


HYPERLIQUID_MIX: Final = (
    TraderType("retail", 0.635, 1000, 1.10, 250e3, LeverageMix(14, 0.80), 0.40, 1.6, 10, 0.55, 0.15,
               (0.50, 0.10, 0.20, 0.02, 0.18)),
    TraderType("discretionary", 0.26, 12e3, 1.15, 1.0e6, LeverageMix(2.4, 1.0), 0.20, 0.7, 36, 0.45, 0.05,
               (0.30, 0.15, 0.35, 0.05, 0.15)),
    TraderType("whale", 0.050, 200e3, 1.15, 2.2e6, LeverageMix(2.0, 0.75), 0.10, 0.45, 90, 0.35, 0.0,
               (0.25, 0.15, 0.45, 0.10, 0.05)),
    TraderType("hedger", 0.055, 60e3, 1.1, 2e6, LeverageMix(1.0, 0.45), 0.0, 0.25, 300, 0.05, -1.0,
               (0.30, 0.10, 0.40, 0.15, 0.05)),
)  # fmt: skip
BINANCE_MIX: Final = (
    TraderType("retail", 0.67, 1000, 1.10, 250e3, LeverageMix(9, 0.70), 0.50, 1.1, 9, 0.72, 0.20,
               (1.0, 0, 0, 0, 0)),
    TraderType("discretionary", 0.23, 12e3, 1.15, 1.5e6, LeverageMix(2.4, 0.85), 0.25, 0.8, 30, 0.45, 0.05,
               (1.0, 0, 0, 0, 0)),
    TraderType("whale", 0.040, 250e3, 1.15, 3.0e6, LeverageMix(2.2, 0.75), 0.10, 0.45, 90, 0.35, 0.0,
               (1.0, 0, 0, 0, 0)),
    TraderType("hedger", 0.060, 40e3, 1.1, 3e6, LeverageMix(1.0, 0.45), 0.0, 0.25, 300, 0.05, -0.8,
               (1.0, 0, 0, 0, 0)),
)  # fmt: skip
BYBIT_MIX: Final = (
    TraderType("retail", 0.80, 1500, 1.10, 400e3, LeverageMix(13, 0.70), 0.80, 1.4, 8, 0.68, 0.25,
               (1.0, 0, 0, 0, 0)),
    TraderType("discretionary", 0.14, 10e3, 1.15, 1.0e6, LeverageMix(3.2, 0.80), 0.50, 0.9, 24, 0.50, 0.10,
               (1.0, 0, 0, 0, 0)),
    TraderType("whale", 0.030, 150e3, 1.15, 1.5e6, LeverageMix(2.4, 0.70), 0.30, 0.5, 60, 0.35, 0.0,
               (1.0, 0, 0, 0, 0)),
    TraderType("hedger", 0.030, 30e3, 1.1, 1e6, LeverageMix(1.0, 0.45), 0.0, 0.25, 300, 0.05, -0.8,
               (1.0, 0, 0, 0, 0)),
)  # fmt: skip
OKX_MIX: Final = (
    TraderType("retail", 0.44, 1000, 1.10, 200e3, LeverageMix(6, 0.70), 0.35, 1.0, 12, 0.60, 0.15,
               (1.0, 0, 0, 0, 0)),
    TraderType("discretionary", 0.27, 15e3, 1.15, 1.5e6, LeverageMix(2.0, 0.80), 0.15, 0.7, 36, 0.40, 0.05,
               (1.0, 0, 0, 0, 0)),
    TraderType("whale", 0.110, 120e3, 1.15, 2.5e6, LeverageMix(1.6, 0.60), 0.05, 0.40, 120, 0.25, 0.0,
               (1.0, 0, 0, 0, 0)),
    TraderType("hedger", 0.180, 40e3, 1.15, 2e6, LeverageMix(1.0, 0.40), 0.0, 0.25, 400, 0.02, -0.8,
               (1.0, 0, 0, 0, 0)),
)  # fmt: skip


@dataclass(frozen=True)
class Centralised:
    """One venue: `tiers` are (lower bound in USD, maintenance rate); `seeds` which of the market's random streams draw
    its people and their decisions."""

    name: str
    mix: tuple[TraderType, ...]
    tiers: tuple[tuple[float, float], ...]
    max_leverage: int
    seeds: tuple[int, int]
    noise: tuple[int, ...] = ()


CENTRALISED: Final[Mapping[str, Centralised]] = {
    kind.name: kind
    for kind in (
        Centralised(BINANCE, BINANCE_MIX, BINANCE_TIERS, 75, (3, 4)),
        Centralised(BYBIT, BYBIT_MIX, BYBIT_TIERS, 100, (5, 6), (1,)),
        Centralised(OKX, OKX_MIX, OKX_TIERS, 50, (7, 8), (2,)),
    )
}


@dataclass(frozen=True)
class Population:
    """Rows are accounts: first the market makers (row 0 is the liquidator vault), then the traders. `leverage_median`
    and `preference` have a column per coin; for the others see `TraderType` and `Habits`."""

    kind: Ints
    kind_names: tuple[str, ...]
    makers: int
    mode: Ints
    equity_usd: Floats
    leverage_median: Floats
    leverage_sigma: Floats
    isolated_share: Floats
    entries_per_day: Floats
    hold_hours: Floats
    stop_share: Floats
    long_bias: Floats
    preference: Floats
    tiered: Flags
    used: Floats
    adds_per_hour: Floats
    adds_margin: Flags
    withdraws: Flags
    resizes: Flags
    refills: Flags

    @property
    def size(self) -> int:
        return self.kind.size


def draw_population(
    rng: np.random.Generator,
    mix: Sequence[TraderType],
    accounts: int,
    assets: Sequence[Asset],
    highest: Sequence[float] = (),
) -> Population:
    """Exactly the stated shares of each type (rounded); equity, leverage and habits drawn per account. `highest` is
    the leverage that each asset allows, needed where settings are scaled by it."""
    makers = min(8, max(2, accounts // 150))
    counts = _counts(mix, accounts - makers)
    kind = np.repeat(np.arange(len(mix) + 1), [makers, *counts])
    own_leverage = np.exp(0.4 * rng.standard_normal(accounts))
    median = _per_kind(kind, [1.0, *(trader.leverage.median for trader in mix)]) * own_leverage
    habits = (Habits(), *(trader.habits for trader in mix))
    mode, (equity, wealth) = _modes(rng, mix, kind), _equity(rng, mix, kind)
    calm = wealth ** _per_kind(kind, [one.calms for one in habits])
    return Population(
        kind=kind,
        kind_names=("market_maker", *(trader.name for trader in mix)),
        makers=makers,
        mode=mode,
        equity_usd=equity,
        leverage_median=(median / calm)[:, None] * _scales(habits, assets, highest)[kind],
        leverage_sigma=_per_kind(kind, [0.0, *(trader.leverage.sigma for trader in mix)]),
        isolated_share=_per_kind(kind, [0.0, *(trader.isolated_share for trader in mix)]),
        entries_per_day=_per_kind(kind, [0.0, *(trader.entries_per_day for trader in mix)]),
        hold_hours=_per_kind(kind, [1.0, *(trader.hold_hours for trader in mix)]) * calm,
        stop_share=_per_kind(kind, [0.0, *(trader.stop_share for trader in mix)]),
        long_bias=_per_kind(kind, [0.0, *(trader.long_bias for trader in mix)])
        + 0.6 * rng.standard_normal(accounts),
        preference=_preferences(rng, accounts, assets),
        tiered=np.array([one.tiered for one in habits])[kind],
        used=_used(rng, _per_kind(kind, [one.used for one in habits])),
        adds_per_hour=_per_kind(kind, [one.adds_per_hour for one in habits]),
        adds_margin=_some(rng, _per_kind(kind, [one.adds_margin for one in habits])),
        withdraws=_some(rng, _per_kind(kind, [one.withdraws for one in habits])),
        resizes=_some(rng, _per_kind(kind, [one.resizes for one in habits])),
        refills=_some(rng, _per_kind(kind, [one.refills for one in habits])),
    )


def draw_addresses(rng: np.random.Generator, accounts: int) -> list[str]:
    """Lower-case 0x and 40 hex digits, one per account."""
    text = rng.bytes(20 * accounts).hex()
    return ["0x" + text[start : start + 40] for start in range(0, 40 * accounts, 40)]


def _counts(mix: Sequence[TraderType], traders: int) -> list[int]:
    """At least one of each type where there are enough accounts; the largest type takes the remainder."""
    counts = [max(1, round(trader.share * traders)) for trader in mix]
    while sum(counts) > traders:
        counts[int(np.argmax(counts))] -= 1
    counts[int(np.argmax(counts))] += traders - sum(counts)
    return counts


def _scales(habits: Sequence[Habits], assets: Sequence[Asset], highest: Sequence[float]) -> Floats:
    """What the stated medians are multiplied by to be leverages, per type and asset."""
    scales = {
        "absolute": np.ones(len(assets)),
        "of-maximum": np.array(highest),
        "of-volatility": np.array([np.sqrt(365.0) / asset.year_vol for asset in assets]),
    }
    return np.stack([scales[one.anchor] for one in habits])


def _used(rng: np.random.Generator, median: Floats) -> Floats:
    """Nothing is drawn where everybody uses all."""
    if (median == 1.0).all():
        return median
    drawn = median * np.exp(0.5 * rng.standard_normal(median.size))
    return np.where(median == 1.0, 1.0, np.clip(drawn, 0.02, 1.0))


def _some(rng: np.random.Generator, share: Floats) -> Flags:
    """Nothing is drawn where nobody is meant."""
    return rng.random(share.size) < share if share.any() else np.zeros(share.size, np.bool_)


def _per_kind(kind: Ints, values: Sequence[float]) -> Floats:
    return np.asarray(np.array(values, dtype=np.float64)[kind])


def _equity(rng: np.random.Generator, mix: Sequence[TraderType], kind: Ints) -> tuple[Floats, Floats]:
    """Pareto with a cap, and what it is over the least of the type; makers are given theirs as they need it."""
    low = _per_kind(kind, [1e6, *(trader.equity_min_usd for trader in mix)])
    alpha = _per_kind(kind, [1e3, *(trader.equity_alpha for trader in mix)])
    cap = _per_kind(kind, [1e6, *(trader.equity_cap_usd for trader in mix)])
    drawn = np.minimum(low * rng.random(kind.size) ** (-1 / alpha), cap)
    equity = np.asarray(np.round(drawn, 2), dtype=np.float64)
    return equity, np.maximum(equity / low, 1.0)


def _modes(rng: np.random.Generator, mix: Sequence[TraderType], kind: Ints) -> Ints:
    edges = np.cumsum([MAKER_MODES, *(trader.modes for trader in mix)], axis=1)
    return np.asarray((rng.random(kind.size)[:, None] > edges[kind, :-1]).sum(axis=1), dtype=np.int64)


def _preferences(rng: np.random.Generator, accounts: int, assets: Sequence[Asset]) -> Floats:
    """Share of attention per coin, rows sum to one: popular coins first, most accounts trade one or two."""
    popularity = np.array([asset.popularity for asset in assets])
    taste = rng.gamma(0.5, 1.0, (accounts, len(assets))) * popularity
    return np.asarray(taste / taste.sum(axis=1, keepdims=True))
