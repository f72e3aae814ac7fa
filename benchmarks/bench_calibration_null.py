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

With `--keep FOLDER` a run that was stopped goes on, and several may share the seeds (`--first`); a changed fit needs an
empty folder.

    python benchmarks/bench_calibration_null.py own exchanged unlevered --seeds 100 --keep FOLDER
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.samples import Sample, sample_of
from liqtruth.compare.validation.backtest import CHANCE, backtest, splits_of
from liqtruth.compare.validation.findings import BOTH, SplitFindings, split_findings
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.baselines import CLIMATOLOGY
from liqtruth.estimator.model.brackets import LONG, SHORT, Brackets, liquidation_factors
from liqtruth.estimator.model.leverage_model import COORDINATES, LeverageModel
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.writing import write_atomically
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


class Judged(msgspec.Struct, frozen=True):
    """One split of one market: whether skill is claimed, the gain over each of `RIVALS` and its lower end, null where
    there is none; how often bounds of the raw map held by distance, null where none were given."""

    split: str
    claim: bool
    gains: tuple[float | None, ...]
    lows: tuple[float | None, ...]
    held: tuple[float | None, ...] | None

    @classmethod
    def of(cls, found: SplitFindings) -> "Judged":
        gains = [found.main("crowd").gain(rival) for rival in RIVALS]
        bounds = found.of(BOTH, "raw").bounds
        return cls(
            found.name,
            bool(found.skill),
            tuple(None if one is None else one.gain for one in gains),
            tuple(None if one is None else one.low for one in gains),
            None if bounds is None else bounds.inside,
        )


def judged(name: str, seed: int, keep: Path | None) -> tuple[Judged, ...]:
    """A row per split, as the folder keeps them or as found now."""
    path = None if keep is None else keep / f"{name}_{seed}.json"
    if path is not None and path.exists():
        return msgspec.json.decode(path.read_bytes(), type=tuple[Judged, ...])
    with one_blas_thread():
        pairs = MARKETS[name](seed)
        found = tuple(
            Judged.of(split_findings(backtest(pairs, split, PRIOR, seed=seed), seed=seed))
            for split in splits_of(pairs)
        )
    if path is not None:
        write_atomically(path, msgspec.json.encode(found))
    return found


def run_markets(names: Sequence[str], seeds: Sequence[int], keep: Path | None) -> None:
    """Seed by seed, so that markets made of the same positions share them; Ctrl-C tells what was found so far."""
    found: dict[str, list[Judged]] = {name: [] for name in names}
    try:
        for done, seed in enumerate(seeds, start=1):
            for name in names:
                found[name] += judged(name, seed, keep)
            so_far = "; ".join(f"{name} {counts(rows)}" for name, rows in found.items())
            sys.stderr.write(f"\r{done}/{len(seeds)}: {so_far} ")
    except KeyboardInterrupt:
        say("\nstopped")
    for name, rows in found.items():
        say_market(name, rows)


def by_split(rows: Sequence[Judged]) -> dict[str, list[Judged]]:
    return {
        name: [row for row in rows if row.split == name] for name in dict.fromkeys(row.split for row in rows)
    }


def counts(rows: Sequence[Judged]) -> str:
    return ", ".join(f"{name} {sum(row.claim for row in own)}" for name, own in by_split(rows).items())


def say_market(name: str, rows: Sequence[Judged]) -> None:
    splits = by_split(rows)
    seeds = max((len(own) for own in splits.values()), default=0)
    say(f"\n{name}: {seeds} synthetic markets, {len(COINS)} coins, {DAYS} days; claims of skill")
    if not seeds:
        return
    for split, own in splits.items():
        say(f"  {split}: {as_rate([row.claim for row in own])}; {beside_rivals(own)}")
        say(f"    80 % bounds held {held_text(own)}")
    say(f"  all splits: {as_rate([row.claim for row in rows])}")
    if name != OWN:
        worst = max(float(np.mean([row.claim for row in own])) for own in splits.values())
        verdict = "holds" if worst <= MOST_FALSE else "does not hold"
        say(f"  at most {MOST_FALSE:.0%} false claims in every split: {worst:.1%} - {verdict}")


def beside_rivals(rows: Sequence[Judged]) -> str:
    gains, lows = (np.array([getattr(row, name) for row in rows], np.float64) for name in ("gains", "lows"))
    return ", ".join(
        f"over {rival} alone {int((low > 0).sum())} (mean gain {np.nanmean(gain):.0%})"
        for rival, gain, low in zip(RIVALS, gains.T, lows.T, strict=True)
    )


def held_text(rows: Sequence[Judged]) -> str:
    """By distance, the mean of markets with its standard error, and how many markets have any."""
    given = [row.held for row in rows if row.held is not None]
    if not given:
        return "nowhere: none were given"
    cells = []
    for pct, values in zip(DISTANCES_PCT, np.array(given, np.float64).T, strict=True):
        known = values[np.isfinite(values)]
        if known.size > 1:
            error = known.std(ddof=1) / np.sqrt(known.size)
            cells.append(f"{pct:g} %: {known.mean():.0%} +- {error:.0%} ({known.size})")
    return ", ".join(cells)


def as_rate(claims: Sequence[bool]) -> str:
    """The rate and, by Clopper and Pearson, what it is at least and at most, each with 95 % confidence."""
    from scipy.stats import beta

    claimed, count = sum(claims), len(claims)
    least = 0.0 if not claimed else float(beta.ppf(0.05, claimed, count - claimed + 1))
    most = 1.0 if claimed == count else float(beta.ppf(0.95, claimed + 1, count - claimed))
    return f"{claimed} of {count} ({claimed / count:.1%}, at least {least:.1%}, at most {most:.1%})"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("markets", nargs="*", default=list(MARKETS), help=f"of {', '.join(MARKETS)}")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="seed to begin with")
    parser.add_argument("--keep", type=Path, help="folder that keeps what was found by seed")
    asked = parser.parse_args()
    if asked.keep is not None:
        asked.keep.mkdir(parents=True, exist_ok=True)
    run_markets(asked.markets, range(asked.first, asked.first + asked.seeds), asked.keep)


if __name__ == "__main__":
    main()
