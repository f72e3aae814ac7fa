"""Makes the shipped leverage model `population`: one mixture fitted on people of every family of the sandbox.

Per family of `sandbox/market/families.py` two markets of five coins, each of a seed and hence of a price path that no
other has; every third day of the last 17 is looked at. Each look counts twice: as the market recorded itself, and as
readers often have it, with hourly bars and the open interest of another market moved to the level (a stand-in). All
markets count alike. The fit is that of `calibrate fit`, pulled to the prior of published figures; no recorded position
takes part. The tables leave coins out of the pooled fit (each coin in all markets at once), per family: Wasserstein-1
within 25 %, percent of price, both sides, own series and stand-ins apart, of fits on either and on both.
Everything here is synthetic, and the model says so.

    python benchmarks/make_population.py [--keep DIR] [--write]
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, repeat
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_families import COINS, FOLDER, seen_kept
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.selection import Fitted, distances, drawn, fit_samples
from liqtruth.compare.validation.baselines import noise_floor
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import (
    MIXED,
    LeverageModel,
    Provenance,
    leverage_model_named,
)
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from tests.compare.known_market import Seen, samples_of

MARKETS: Final[Mapping[str, tuple[int, int]]] = {
    "absolute": (1, 2),
    "of-maximum": (3, 4),
    "of-volatility": (5, 6),
    "mixed": (7, 8),
}
"""Seeds by family."""
ACCOUNTS, DAYS, EVERY = 12_000, 30, 3
BARS_AN_HOUR: Final = 4
RATES: Final = (0.3, 1.5, 8.0)
"""Times the activity; slower and more classes were tried, and moved no figure of the table by more than 3 %."""
GATE: Final = 50.0
SHIPPED: Final = Path(__file__).parents[1] / "estimator" / "facts" / "leverage_population.json"
BASIS: Final = (
    "made-up people, no position of anyone: fitted on {markets} markets of a simulated exchange ({families}; seeds "
    "{seeds}), towards published figures. A part of leverage is the same on all coins, a part goes by their highest "
    "(here as on a market of 40x), a part keeps its distance from the mark. Below 3x it follows published figures"
)


def grid() -> LeverageModel:
    """The prior of published figures with the classes of `RATES`: the profile of each between its neighbours'."""
    prior = leverage_model_named("prior")
    known = np.log(prior.rates)

    def side(name: str) -> tuple[tuple[float, ...], ...]:
        shares = prior.shares(name)
        rows = np.array([[np.interp(np.log(rate), known, node) for node in shares.T] for rate in RATES])
        return as_rows(rows * (shares.sum() / rows.sum()))

    long, short = (side(name) for name in SIDES)
    return msgspec.structs.replace(prior, rates=RATES, long=long, short=short)


@dataclass(frozen=True, eq=False)
class Market:
    """One market's pairs with its own series (`own`) and with a stand-in's (`other`); coins carry the market in their
    names, so that blocks are of one market."""

    family: str
    own: list[Sample]
    other: list[Sample]


def markets(folder: Path, workers: int) -> Iterator[Market]:
    """The stand-in's open interest is that of the next market in turn."""
    listed = [(family, seed) for family, seeds in MARKETS.items() for seed in seeds]
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(market, listed, listed[1:] + listed[:1], repeat(folder))


@one_blas_thread()
def market(own: tuple[str, int], following: tuple[str, int], folder: Path) -> Market:
    seen, others = looked_at(*own, folder), looked_at(*following, folder)
    stood_in = [
        replace(one, series=hourly(stand_in(one.series, other.series)))
        for one, other in zip(seen, others, strict=True)
    ]
    family, seed = own
    pairs, again = (
        [replace(pair, coin=f"{pair.coin}@{family}@{seed}") for pair in samples_of(part, grid(), (MIXED,))]
        for part in (seen, stood_in)
    )
    say(f"{family} {seed}: {len(pairs)} pairs")
    return Market(family, pairs, again)


def looked_at(family: str, seed: int, folder: Path) -> list[Seen]:
    seen = seen_kept(family, seed, folder, ACCOUNTS, DAYS)
    return [one for at, one in enumerate(seen) if at // len(COINS) % EVERY == EVERY - 1]


def stand_in(series: MarketSeries, other: MarketSeries) -> MarketSeries:
    """With the open interest of another market, moved to the level at the end."""
    held, known = series.bars.open_interest, other.bars.open_interest
    moved = np.resize(known[::-1], len(held))[::-1] * (held[-1] / known[-1])
    return replace(series, bars=replace(series.bars, open_interest=moved))


def hourly(series: MarketSeries) -> MarketSeries:
    bars, first = series.bars, len(series.bars.close) % BARS_AN_HOUR

    def by_hour(values: FloatArray, found: Callable[..., FloatArray]) -> FloatArray:
        return found(values[first:].reshape(-1, BARS_AN_HOUR), axis=1)

    def where_known(values: FloatArray | None, found: Callable[..., FloatArray]) -> FloatArray | None:
        return None if values is None else by_hour(values, found)

    merged = Bars(
        by_hour(bars.high, np.max),
        by_hour(bars.low, np.min),
        bars.close[first:][BARS_AN_HOUR - 1 :: BARS_AN_HOUR],
        bars.open_interest[first::BARS_AN_HOUR],
        where_known(bars.volume, np.sum),
        where_known(bars.swept_low, np.min),
        where_known(bars.swept_high, np.max),
    )
    return replace(series, bars=merged, end_ms=series.end_ms[first:][BARS_AN_HOUR - 1 :: BARS_AN_HOUR])


def left_out_pct(pairs: Sequence[Sample], fitted: Fitted) -> FloatArray:
    """W1 of each map drawn by a fit that has not seen its coin in any market, shape (sides, pairs)."""
    names = sorted({pair.coin for pair in pairs})
    alike = {one: [name for name in names if name.split("@")[0] == one.split("@")[0]] for one in names}
    maps = {}
    for side in SIDES:
        shares = {coin: fitted.of(side).without(*alike[coin]) for coin in names}
        maps[side] = drawn(pairs, side, fitted.coordinate, shares)
    return distances(pairs, maps)


def enough(pairs: Sequence[Sample]) -> FloatArray:
    """1 where a side of the crowd's map rests on `GATE` effective positions, else nan, shape (sides, pairs)."""
    holdings = [[pair.of(side).holdings for pair in pairs] for side in SIDES]
    effective = np.array([[one.effective(one.crowd) for one in side] for side in holdings])
    return np.where(effective >= GATE, 1.0, np.nan)


def model_of(fitted: Fitted, prior: LeverageModel) -> LeverageModel:
    long, short = (as_rows(fitted.of(side).shares) for side in SIDES)
    seeds = [seed for each in MARKETS.values() for seed in each]
    basis = BASIS.format(
        markets=len(seeds), families=", ".join(MARKETS), seeds=", ".join(f"{seed}" for seed in seeds)
    )
    return LeverageModel(
        name="population",
        kind="prior",
        provenance=Provenance(
            datetime.now(UTC).replace(microsecond=0),
            f"liqtruth {version('liqtruth')}",
            basis,
            (
                "benchmarks/make_population.py: populations of the sandbox, development seeds",
                *prior.provenance.sources,
            ),
        ),
        rates=prior.rates,
        leverage=prior.leverage,
        long=long,
        short=short,
        coordinate=fitted.coordinate,
    )


def as_rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Cut to nine digits, so that the sum stays at one or below."""
    return tuple(tuple(row) for row in (np.floor(shares * 1e9) / 1e9).tolist())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def table(
    series: str,
    by_market: Sequence[Sequence[Sample]],
    families: Sequence[str],
    fits: Mapping[str, Fitted],
    prior: LeverageModel,
) -> None:
    """Of each fit and of what needs none, the mean per family and over all pairs that have enough positions."""
    pairs = [*chain(*by_market)]
    judged = enough(pairs)
    names = np.repeat(families, [len(market) for market in by_market])

    def row(label: str, values: FloatArray) -> None:
        each = [float(np.nanmean((values * judged)[:, names == family])) for family in MARKETS]
        figures = "".join(f"{value:>15.3f}" for value in each)
        say(f"{label:<24}{figures}{float(np.nanmean(values * judged)):>10.3f}")

    say(f"\n{f'judged on {series}':<24}" + "".join(f"{family:>15}" for family in MARKETS) + f"{'all':>10}")
    for label, fitted in fits.items():
        row(label, left_out_pct(pairs, fitted))
    for label in ("tiers", "bell", "uniform"):
        row(label, distances(pairs, {side: baseline(pairs, side, label) for side in SIDES}))
    row("published", distances(pairs, {side: drawn_plainly(pairs, side, prior) for side in SIDES}))
    row("noise floor", np.stack([noise_floor(pairs, side, "crowd", 0)["wasserstein_pct"] for side in SIDES]))


def baseline(pairs: Sequence[Sample], side: str, name: str) -> FloatArray:
    return np.stack([pair.of(side).baselines[name] for pair in pairs])


def drawn_plainly(pairs: Sequence[Sample], side: str, model: LeverageModel) -> FloatArray:
    return np.stack([pair.of(side).columns["leverage"] @ model.shares(side).ravel() for pair in pairs])


@one_blas_thread()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    parser.add_argument("--workers", type=int, default=2, help="processes that look at markets")
    parser.add_argument("--write", action="store_true", help=f"write {SHIPPED.name}")
    asked = parser.parse_args()
    found, prior = list(markets(asked.keep, asked.workers)), grid()
    known = {"own": [market.own for market in found], "stand-in": [market.other for market in found]}
    known["both"] = [[*market.own, *market.other] for market in found]
    families = [market.family for market in found]
    fits: dict[str, Fitted] = {}
    for series, pairs in known.items():
        fits[f"fitted on {series}"] = fit_samples([*chain(*pairs)], prior, MIXED)
    for series in ("own", "stand-in"):
        table(series, known[series], families, fits, prior)
    if asked.write:
        model = model_of(fits["fitted on both"], prior)
        SHIPPED.write_bytes(model.to_json())
        say(f"wrote {SHIPPED} ({model.hash})")


if __name__ == "__main__":
    main()
