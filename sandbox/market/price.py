"""A realistic synthetic price path: one-minute marks of correlated coins, their oracle, premium and funding.

Volatility clusters (a slow and a fast log-volatility), shocks have fat tails, jumps hit the whole market or one
coin. Marks are whole ticks at five significant figures. Pure computation from a generator; no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from liqtruth.sandbox.market.listings import Asset, Floats, Ints

MINUTES_PER_DAY = 1440
MINUTES_PER_YEAR = 365 * MINUTES_PER_DAY
JUMPS_PER_DAY = 0.3
JUMP_SIZE_IN_DAILY_VOLS = 0.6
SHOCK_FREEDOM = 5.0
PREMIUM_SD = 3e-4
HOURLY_INTEREST = 0.0000125
FUNDING_CLAMP = 0.0005
MAX_HOURLY_FUNDING = 0.04


@dataclass(frozen=True)
class PricePath:
    """Rows are minute points, the last at `as_of`; the candle of minute k runs from point k to point k + 1."""

    times_ms: Ints
    mark_units: Ints
    oracle_units: Ints
    premium: Floats
    hour_points: Ints
    funding: Floats

    def mark_px(self, assets: Sequence[Asset]) -> Floats:
        return np.asarray(self.mark_units / np.array([asset.px_scale for asset in assets]))

    def until(self, point: int) -> "PricePath":
        """The same path as it was known at `point`."""
        hours = int(np.searchsorted(self.hour_points, point, side="right"))
        return PricePath(
            self.times_ms[: point + 1],
            self.mark_units[: point + 1],
            self.oracle_units[: point + 1],
            self.premium[: point + 1],
            self.hour_points[:hours],
            self.funding[:hours],
        )


def simulate_path(rng: np.random.Generator, assets: Sequence[Asset], minutes: int, end_ms: int) -> PricePath:
    """Minute points over `minutes`, whole hours, up to and including `end_ms`."""
    returns = _returns(rng, assets, minutes)
    start = np.array([asset.start_px for asset in assets])
    px = start * np.exp(np.vstack([np.zeros(len(assets)), np.cumsum(returns, axis=0)]))
    marks = _to_ticks(px, assets)
    premium = _premium(rng, returns)
    hour_points = np.arange(60, minutes + 1, 60)
    return PricePath(
        times_ms=end_ms - 60_000 * np.arange(minutes, -1, -1, dtype=np.int64),
        mark_units=marks,
        oracle_units=np.rint(marks / (1 + premium)).astype(np.int64),
        premium=premium,
        hour_points=hour_points,
        funding=_funding(premium),
    )


def _returns(rng: np.random.Generator, assets: Sequence[Asset], minutes: int) -> Floats:
    coins = len(assets)
    correlation = np.array([asset.market_corr for asset in assets])
    sigma = np.array([asset.year_vol for asset in assets]) / np.sqrt(MINUTES_PER_YEAR)
    shocks = rng.standard_t(SHOCK_FREEDOM, (minutes, coins + 1)) / np.sqrt(
        SHOCK_FREEDOM / (SHOCK_FREEDOM - 2)
    )
    mixed = correlation * shocks[:, :1] + np.sqrt(1 - correlation**2) * shocks[:, 1:]
    diffusion = mixed * sigma * _volatility(rng, minutes, coins)
    return np.asarray(diffusion + _jumps(rng, minutes, sigma, correlation) - 0.5 * sigma**2)


def _volatility(rng: np.random.Generator, minutes: int, coins: int) -> Floats:
    """Mean-one multiplier: a slow and a fast market factor and one of each coin's own."""
    log_vol = (
        reverting(rng, minutes, 1, 1.5 * MINUTES_PER_DAY, 0.35)
        + reverting(rng, minutes, 1, 60, 0.35)
        + reverting(rng, minutes, coins, 240, 0.25)
    )
    return np.asarray(np.exp(log_vol - log_vol.var(axis=0)))


def reverting(
    rng: np.random.Generator, length: int, columns: int, half_life: float, deviation: float
) -> Floats:
    """Stationary AR(1) columns with the given half-life in rows and standard deviation."""
    keep = 0.5 ** (1 / half_life)
    noise = rng.standard_normal((length, columns)) * deviation * np.sqrt(1 - keep**2)
    noise[0] = rng.standard_normal(columns) * deviation
    return decaying_sum(noise, keep)


def decaying_sum(values: Floats, keep: float) -> Floats:
    """Of each column, the sum down the rows of which a row passes on the share `keep`.

    As `scipy.signal.lfilter` has it, to the bit; that import costs more CPU than most synthetic markets.
    """
    columns = [
        list(accumulate(column, lambda summed, value: value + keep * summed)) for column in values.T.tolist()
    ]
    return np.stack(columns, axis=1)


def smooth(values: Floats, half_life: float) -> Floats:
    """Exponentially weighted mean down the rows."""
    keep = 0.5 ** (1 / half_life)
    return decaying_sum((1 - keep) * values, keep)


def _jumps(rng: np.random.Generator, minutes: int, sigma: Floats, correlation: Floats) -> Floats:
    """Market-wide and single-coin jumps, each spread over a few minutes as a cascade is."""
    daily = sigma * np.sqrt(MINUTES_PER_DAY) * JUMP_SIZE_IN_DAILY_VOLS
    hit = rng.random((minutes, sigma.size + 1)) < JUMPS_PER_DAY / MINUTES_PER_DAY
    size = rng.standard_normal((minutes, sigma.size + 1)) * hit
    moves = (correlation * size[:, :1] + 0.7 * size[:, 1:]) * daily
    spread = np.array([0.4, 0.25, 0.15, 0.1, 0.1])
    return np.stack([np.convolve(spread, column)[:minutes] for column in moves.T], axis=1)


def _to_ticks(px: Floats, assets: Sequence[Asset]) -> Ints:
    """Whole ticks of five significant figures at the start price, in the coin's integer units."""
    columns = []
    for index, asset in enumerate(assets):
        digits_before = int(np.floor(np.log10(asset.start_px)))
        px_decimals = min(6 - asset.sz_decimals, max(0, 4 - digits_before))
        tick = 10 ** (6 - asset.sz_decimals - px_decimals)
        ticks = np.rint(px[:, index] * asset.px_scale / tick)
        columns.append(np.maximum(ticks, 1).astype(np.int64) * tick)
    return np.stack(columns, axis=1)


def _premium(rng: np.random.Generator, returns: Floats) -> Floats:
    """Mark over oracle: noise that reverts within hours, leaning with the last day's trend."""
    points, coins = returns.shape[0] + 1, returns.shape[1]
    noise = reverting(rng, points, coins, 180, PREMIUM_SD)
    trend = np.vstack([np.zeros(coins), decaying_sum(returns, 0.5 ** (1 / 720))])
    return np.asarray(np.clip(noise + 0.006 * trend, -0.01, 0.01))


def _funding(premium: Floats) -> Floats:
    """Hourly rates by Hyperliquid's formula: an eighth of premium plus clamped interest, to 10 decimals."""
    coins = premium.shape[1]
    mean = premium[1:].reshape(-1, 60, coins).mean(axis=1)
    eight_hours = mean + np.clip(8 * HOURLY_INTEREST - mean, -FUNDING_CLAMP, FUNDING_CLAMP)
    return np.asarray(np.round(np.clip(eight_hours / 8, -MAX_HOURLY_FUNDING, MAX_HOURLY_FUNDING), 10))
