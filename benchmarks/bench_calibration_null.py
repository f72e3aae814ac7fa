"""How often skill is claimed where there is none, over many synthetic markets of three coins and sixteen days.

    exchanged   positions answer to their own market's path (entries, leverage, liquidations), then every pair is given
                those of another coin and another day
    rotated     the same, but a coin is given another coin's whole history, begun elsewhere: what stands today still
                resembles what stood yesterday
    unlevered   random walks, open interest of noise, holders who are liquidated nowhere or at a random distance that
                has nothing to do with any path and that they keep for about a week

Coins' paths are independent, so in none of these does a target know anything of its own moment. What is claimed is
what `compare.validation` claims: the fit is nearer to the crowd's map than both the copied shape and chance. `own` is
the market before anything is exchanged, where a claim is right. Bars are hourly and the response matrix has a quarter
of the usual nodes, so that a hundred markets take minutes.

    python benchmarks/bench_calibration_null.py --seeds 100
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.samples import Sample, sample_of
from liqtruth.compare.validation.backtest import CHANCE, backtest, splits_of
from liqtruth.compare.validation.findings import SplitFindings, split_findings
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.baselines import CLIMATOLOGY
from liqtruth.estimator.model.brackets import LONG, SHORT, Brackets, liquidation_factors
from liqtruth.estimator.model.leverage_model import COORDINATES, LeverageModel
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from tests.compare.known_market import last_days
from tests.estimator.shipped_prior import default_prior

COINS: Final = {"BTC": 40.0, "ETH": 25.0, "SOL": 10.0}
"""Highest leverage of each."""
DAYS: Final = 16
WINDOW_DAYS: Final = 10
BEFORE_DAYS: Final = 12
"""Days of a market before the first that has a pair."""
START: Final = datetime(2026, 8, 1, tzinfo=UTC)
HOURLY_VOLATILITY: Final = 0.007
BORN_PER_H: Final = 10
HELD_H: Final = 40.0
MEDIAN_OF_HIGHEST, SPREAD = 0.35, 0.7
"""Log-normal leverage of what is opened, in parts of the coin's highest."""
NOWHERE: Final = 0.3
"""Part of open positions that no price liquidates."""
HOLDERS: Final = 400
RENEWED_PER_DAY: Final = 0.15
MEDIAN_AWAY, AWAY_SPREAD = 0.18, 0.8
SIZE_SPREAD: Final = 0.8
RIVALS: Final = (CLIMATOLOGY, CHANCE)
OWN: Final = "own"
MOST_FALSE: Final = 0.05
NODES: Final = tuple(np.geomspace(1.6, 60.0, 10).tolist())
PRIOR: Final[LeverageModel] = default_prior(START, NODES)

Markets = Callable[[int], list[Sample]]


@dataclass(frozen=True, eq=False)
class Hours:
    """One coin's public hours, (hours,) each, open interest with one more."""

    bars: Bars

    @classmethod
    def of(cls, rng: np.random.Generator) -> "Hours":
        hours = 24 * (BEFORE_DAYS + DAYS)
        close = 100 * np.exp(np.cumsum(rng.normal(0, HOURLY_VOLATILITY, hours)))
        before = np.append(100.0, close[:-1])
        high = np.maximum(before, close) * np.exp(rng.exponential(0.002, hours))
        low = np.minimum(before, close) * np.exp(-rng.exponential(0.002, hours))
        level = np.cumsum(rng.normal(0, 0.01, hours + 1))
        return cls(Bars(high, low, close, 1e4 * np.exp(level), rng.gamma(2.0, 300.0, hours)))

    def until(self, hour: int) -> MarketSeries:
        """What is public after so many hours, at most `WINDOW_DAYS` of it."""
        bars, end = self.bars, START + timedelta(hours=hour)
        first_ms = round(START.timestamp() * 1000)
        volume = None if bars.volume is None else bars.volume[:hour]
        cut = Bars(
            bars.high[:hour], bars.low[:hour], bars.close[:hour], bars.open_interest[: hour + 1], volume
        )
        ends = first_ms + 3_600_000 * np.arange(1, hour + 1)
        return last_days(MarketSeries(cut, START, end, ends, end, 0.0, (), synthetic=True), WINDOW_DAYS)


@lru_cache(maxsize=1)
def levered(seed: int) -> list[Sample]:
    """Opened at the close of an hour, given up at random, liquidated where the path goes there."""
    rng = np.random.default_rng([seed, 1])
    return _market(rng, lambda path, hours, highest: _opened(path, hours, highest, rng))


def unlevered(seed: int) -> list[Sample]:
    rng = np.random.default_rng([seed, 2])
    return _market(rng, lambda path, hours, highest: _holders(path, hours, rng))


def exchanged(seed: int) -> list[Sample]:
    rng = np.random.default_rng([seed, 3])
    return _moved(levered(seed), rng.permutation(DAYS), rng.integers(1, len(COINS), DAYS))


def rotated(seed: int) -> list[Sample]:
    rng = np.random.default_rng([seed, 4])
    days = np.roll(np.arange(DAYS), rng.integers(DAYS // 4, DAYS - DAYS // 4))
    return _moved(levered(seed), days, np.full(DAYS, rng.integers(1, len(COINS))))


MARKETS: Final[dict[str, Markets]] = {
    "exchanged": exchanged,
    "rotated": rotated,
    "unlevered": unlevered,
    OWN: levered,
}


def _market(
    rng: np.random.Generator, holdings_on: Callable[[Hours, list[int], float], list[pl.DataFrame]]
) -> list[Sample]:
    """Days in order, and of a day the coins in theirs."""
    hours = [24 * (BEFORE_DAYS + day + 1) for day in range(DAYS)]
    by_coin = []
    for coin, highest in COINS.items():
        path, brackets = Hours.of(rng), _brackets(coin, highest)
        holdings_then = holdings_on(path, hours, highest)
        by_coin.append(
            [
                sample_of(coin, path.until(hour), venue_named("hyperliquid"), positions, PRIOR, brackets,
                        coordinates=COORDINATES)
                for hour, positions in zip(hours, holdings_then, strict=True)
            ]
        )  # fmt: skip
    return [pair for day in zip(*by_coin, strict=True) for pair in day]


def _brackets(coin: str, highest: float) -> Brackets:
    return Brackets.flat(coin, 0.5 / highest, highest, "half the initial margin")


def _opened(path: Hours, hours: list[int], highest: float, rng: np.random.Generator) -> list[pl.DataFrame]:
    bars, count = path.bars, len(path.bars.close)
    at = np.repeat(np.arange(count), BORN_PER_H)
    found: list[list[pl.DataFrame]] = [[] for _ in hours]
    for sign, side in ((1.0, LONG), (-1.0, SHORT)):
        own = np.clip(highest * MEDIAN_OF_HIGHEST * rng.lognormal(0, SPREAD, at.size), 1.2, highest)
        px = bars.close[at] * liquidation_factors(_brackets("", highest), own, side)
        px[rng.random(at.size) < NOWHERE] = np.nan
        until, coins = at + rng.exponential(HELD_H, at.size), rng.lognormal(0, SIZE_SPREAD, at.size)
        for place, hour in enumerate(hours):
            lowest, highest_px = _extremes_after(bars, hour)
            swept = (px >= lowest[at]) if sign > 0 else (px <= highest_px[at])
            here = (at < hour) & (until >= hour) & ~swept
            found[place].append(_frame(sign, px[here], coins[here], at[here], bars, hour))
    return [pl.concat(parts) for parts in found]


def _extremes_after(bars: Bars, hour: int) -> tuple[FloatArray, FloatArray]:
    """Per hour the lowest and highest price from the next hour to `hour`; nothing is reached by the last."""
    low, high = np.full(len(bars.close), np.inf), np.full(len(bars.close), -np.inf)
    low[: hour - 1] = np.minimum.accumulate(bars.low[1:hour][::-1])[::-1]
    high[: hour - 1] = np.maximum.accumulate(bars.high[1:hour][::-1])[::-1]
    return low, high


def _holders(path: Hours, hours: list[int], rng: np.random.Generator) -> list[pl.DataFrame]:
    found: list[list[pl.DataFrame]] = [[] for _ in hours]
    for sign in (1.0, -1.0):
        away, coins = _distances(rng, HOLDERS), rng.lognormal(0, SIZE_SPREAD, HOLDERS)
        for place, hour in enumerate(hours):
            new = rng.random(HOLDERS) < RENEWED_PER_DAY
            away[new], coins[new] = _distances(rng, new.sum()), rng.lognormal(0, SIZE_SPREAD, new.sum())
            px = path.bars.close[hour - 1] * np.exp(-sign * away)
            found[place].append(_frame(sign, px, coins, np.full(HOLDERS, hour - 1), path.bars, hour))
    return [pl.concat(parts) for parts in found]


def _distances(rng: np.random.Generator, count: int) -> FloatArray:
    away = MEDIAN_AWAY * rng.lognormal(0, AWAY_SPREAD, count)
    return np.where(rng.random(count) < NOWHERE, np.nan, away)


def _frame(
    sign: float, px: FloatArray, coins: FloatArray, opened: IntArray, bars: Bars, hour: int
) -> pl.DataFrame:
    whole = sign * bars.open_interest[hour] / coins.sum()
    mark = np.full(len(px), bars.close[hour - 1])
    columns = {"szi": coins * whole, "liq_px": px, "mark_px": mark, "entry_px": bars.close[opened]}
    return pl.DataFrame(columns)


def _moved(pairs: Sequence[Sample], days: IntArray, steps: IntArray) -> list[Sample]:
    """Per day the positions of another of `days`, each coin's from the coin that is so many `steps` further on."""
    coins = len(COINS)
    return [
        _with_positions(
            pairs[day * coins + place], pairs[int(days[day]) * coins + (place + int(steps[day])) % coins]
        )
        for day in range(DAYS)
        for place in range(coins)
    ]


def _with_positions(pair: Sample, other: Sample) -> Sample:
    """At the distances from the mark at which they are on the other pair."""
    for side in SIDES:
        holdings: Holdings = other.of(side).holdings
        scale = pair.mark_px / other.mark_px
        moved = replace(holdings, px=holdings.px * scale, entry_px=holdings.entry_px * scale)
        pair = replace(pair, **{side: replace(pair.of(side), holdings=moved)})
    return pair


@dataclass
class Tally:
    """Of one split: the gain over each of `RIVALS` and its lower end, a row per seed; `claims` is what proof says."""

    claims: list[bool] = field(default_factory=list)
    gains: list[list[float]] = field(default_factory=list)
    lows: list[list[float]] = field(default_factory=list)

    def add(self, found: SplitFindings) -> None:
        gains = [found.main("crowd").gain(rival) for rival in RIVALS]
        self.claims.append(bool(found.skill))
        self.gains.append([np.nan if one is None else one.gain for one in gains])
        self.lows.append([np.nan if one is None or one.low is None else one.low for one in gains])

    def text(self) -> str:
        alone = (np.array(self.lows) > 0).sum(axis=0)
        means = np.nanmean(self.gains, axis=0)
        each = ", ".join(
            f"over {rival} alone {count} (mean gain {mean:.0%})"
            for rival, count, mean in zip(RIVALS, alone, means, strict=True)
        )
        return f"{as_rate(self.claims)}; {each}"


def run_markets(names: Sequence[str], seeds: int) -> None:
    """Seed by seed, so that markets made of the same positions share them; Ctrl-C tells what was found so far."""
    tallies: dict[str, dict[str, Tally]] = {name: {} for name in names}
    try:
        for seed in range(seeds):
            for name in names:
                with one_blas_thread():
                    judge_market(name, seed, tallies[name])
            so_far = "; ".join(f"{name} {counts(found)}" for name, found in tallies.items())
            sys.stderr.write(f"\r{seed + 1}/{seeds}: {so_far} ")
    except KeyboardInterrupt:
        say("\nstopped")
    for name, found in tallies.items():
        say_market(name, found)


def judge_market(name: str, seed: int, tallies: dict[str, Tally]) -> None:
    pairs = MARKETS[name](seed)
    found = [
        split_findings(backtest(pairs, split, PRIOR, seed=seed), seed=seed) for split in splits_of(pairs)
    ]
    for one in found:
        tallies.setdefault(one.name, Tally()).add(one)


def counts(tallies: dict[str, Tally]) -> str:
    return ", ".join(f"{split} {sum(tally.claims)}" for split, tally in tallies.items())


def say_market(name: str, tallies: dict[str, Tally]) -> None:
    seeds = max((len(tally.claims) for tally in tallies.values()), default=0)
    say(f"\n{name}: {seeds} synthetic markets, {len(COINS)} coins, {DAYS} days; claims of skill")
    if not seeds:
        return
    for split_name, tally in tallies.items():
        say(f"  {split_name}: {tally.text()}")
    every = [claim for tally in tallies.values() for claim in tally.claims]
    say(f"  all splits: {as_rate(every)}")
    if name != OWN:
        worst = max(float(np.mean(tally.claims)) for tally in tallies.values())
        verdict = "holds" if worst <= MOST_FALSE else "does not hold"
        say(f"  at most {MOST_FALSE:.0%} false claims in every split: {worst:.1%} - {verdict}")


def as_rate(claims: Sequence[bool]) -> str:
    """The rate and, by Clopper and Pearson, what it is at most with 95 % confidence."""
    from scipy.stats import beta

    claimed, count = sum(claims), len(claims)
    most = 1.0 if claimed == count else float(beta.ppf(0.95, claimed + 1, count - claimed))
    return f"{claimed} of {count} ({claimed / count:.1%}, at most {most:.1%})"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("markets", nargs="*", default=list(MARKETS), help=f"of {', '.join(MARKETS)}")
    parser.add_argument("--seeds", type=int, default=100)
    asked = parser.parse_args()
    run_markets(asked.markets, asked.seeds)


if __name__ == "__main__":
    main()
