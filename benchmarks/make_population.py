"""Makes the shipped leverage model `population`: one mixture fitted on people of every family of the sandbox.

Per family of `sandbox/market/families.py` two markets of five coins, each of a seed and hence of a price path that no
other has; every third day of the last 17 is looked at. The fit is that of `calibrate fit`, pulled to the prior of
published figures; no recorded position takes part. The tables leave coins out of the pooled fit (each coin in all
markets at once), per family: Wasserstein-1 within 25 %, percent of price, both sides. Families count alike at first;
the one that is farthest beside the published figures counts twice as much, again and again, as long as that brings the
worst of them nearer. Everything here is synthetic, and the model says so.

    python benchmarks/make_population.py [--keep DIR] [--write]
    python benchmarks/make_population.py --untouched 201      # the shipped one on seeds that it has not seen
"""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_families import COINS, FOLDER, seen_kept
from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.selection import Fitted, distances, drawn, fit_samples
from liqtruth.compare.calibration.side_fit import SideFit
from liqtruth.compare.validation.baselines import noise_floor
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import (
    MIXED,
    LeverageModel,
    Provenance,
    leverage_model_named,
)
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
MOST_DOUBLED: Final = 4
Weights = Mapping[str, int]
"""By family."""
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


def pairs_of(markets: Mapping[str, Sequence[int]], folder: Path, workers: int) -> list[Sample]:
    """Of all markets; coins carry the family and seed in their names, so that blocks are of one market."""
    listed = [(family, seed) for family, seeds in markets.items() for seed in seeds]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return [*chain(*pool.map(of_market, *zip(*listed, strict=True), repeat(folder)))]


@one_blas_thread()
def of_market(family: str, seed: int, folder: Path) -> list[Sample]:
    pairs = samples_of(looked_at(family, seed, folder), grid(), (MIXED,))
    say(f"{family} {seed}: {len(pairs)} pairs")
    return [replace(pair, coin=f"{pair.coin}@{family}@{seed}") for pair in pairs]


def looked_at(family: str, seed: int, folder: Path) -> list[Seen]:
    seen = seen_kept(family, seed, folder, ACCOUNTS, DAYS)
    return [one for at, one in enumerate(seen) if at // len(COINS) % EVERY == EVERY - 1]


def family_of(name: str) -> str:
    """Of a coin or a block of one."""
    return name.split("@")[1]


def refitted(fitted: SideFit, weights: Weights, *leaving: str) -> FloatArray:
    """Shares with so much weight on each family's blocks, those of some coins left out."""
    blocks = fitted.blocks
    assert blocks is not None
    times = np.array([weights[family_of(name)] for name in blocks.names])
    return fitted.refitted(np.where(blocks.of_coins(leaving), 0, times))


def left_out_pct(pairs: Sequence[Sample], fitted: Fitted, weights: Weights) -> FloatArray:
    """W1 of each map drawn by a fit that has not seen its coin in any market, shape (sides, pairs)."""
    names = sorted({pair.coin for pair in pairs})
    maps = {}
    for side in SIDES:
        shares = {}
        for coin in COINS:
            alike = [name for name in names if name.split("@")[0] == coin]
            shares.update(dict.fromkeys(alike, refitted(fitted.of(side), weights, *alike)))
        maps[side] = drawn(pairs, side, fitted.coordinate, shares)
    return distances(pairs, maps)


def enough(pairs: Sequence[Sample]) -> FloatArray:
    """1 where a side of the crowd's map rests on `GATE` effective positions, else nan, shape (sides, pairs)."""
    holdings = [[pair.of(side).holdings for pair in pairs] for side in SIDES]
    effective = np.array([[one.effective(one.crowd) for one in side] for side in holdings])
    return np.where(effective >= GATE, 1.0, np.nan)


def model_of(fitted: Fitted, weights: Weights, prior: LeverageModel) -> LeverageModel:
    long, short = (as_rows(refitted(fitted.of(side), weights)) for side in SIDES)
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


@dataclass(frozen=True, eq=False)
class Judged:
    """Pairs, and which of their sides have enough positions, (sides, pairs)."""

    pairs: list[Sample]
    counted: FloatArray

    def by_family(self, values: FloatArray) -> dict[str, float]:
        names = np.array([family_of(pair.coin) for pair in self.pairs])
        return {name: float(np.nanmean((values * self.counted)[:, names == name])) for name in MARKETS}

    def say(self, label: str, values: FloatArray) -> None:
        figures = "".join(f"{value:>15.3f}" for value in self.by_family(values).values())
        say(f"{label:<24}{figures}{float(np.nanmean(values * self.counted)):>10.3f}")


def balanced(judged: Judged, fitted: Fitted, published: FloatArray) -> Weights:
    """Weights of families under which the worst of them, beside the published figures, is nearest."""
    weights, beside = dict.fromkeys(MARKETS, 1), judged.by_family(published)

    def ratios(tried: Weights) -> dict[str, float]:
        away = left_out_pct(judged.pairs, fitted, tried)
        judged.say(" ".join(f"{weight}" for weight in tried.values()), away)
        found = judged.by_family(away)
        return {name: found[name] / beside[name] for name in MARKETS}

    found = ratios(weights)
    for _ in range(MOST_DOUBLED):
        worst = max(found, key=lambda name: found[name])
        tried = {**weights, worst: 2 * weights[worst]}
        then = ratios(tried)
        if max(then.values()) >= max(found.values()):
            break
        weights, found = tried, then
    return weights


def baseline(pairs: Sequence[Sample], side: str, name: str) -> FloatArray:
    return np.stack([pair.of(side).baselines[name] for pair in pairs])


def drawn_by(pairs: Sequence[Sample], side: str, model: LeverageModel) -> FloatArray:
    columns = (pair.of(side).response(model.coordinate) for pair in pairs)
    return np.stack([one @ model.shares(side).ravel() for one in columns])


@one_blas_thread()
def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    parser.add_argument(
        "--untouched", type=int, nargs="*", help="judge the shipped model on these seeds instead"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that look at markets")
    parser.add_argument("--write", action="store_true", help=f"write {SHIPPED.name}")
    asked = parser.parse_args()
    prior, markets = grid(), dict.fromkeys(MARKETS, asked.untouched) if asked.untouched else MARKETS
    pairs = pairs_of(markets, asked.keep, asked.workers)
    judged = Judged(pairs, enough(pairs))
    say(f"{'':<24}" + "".join(f"{family:>15}" for family in MARKETS) + f"{'all':>10}")
    published = distances(pairs, {side: drawn_by(pairs, side, prior) for side in SIDES})
    if asked.untouched:
        shipped = leverage_model_named("population")
        judged.say("population", distances(pairs, {side: drawn_by(pairs, side, shipped) for side in SIDES}))
    else:
        fitted = fit_samples(pairs, prior, MIXED)
        weights = balanced(judged, fitted, published)
    judged.say("published", published)
    for label in ("tiers", "bell", "uniform"):
        judged.say(label, distances(pairs, {side: baseline(pairs, side, label) for side in SIDES}))
    floor = [noise_floor(pairs, side, "crowd", 0)["wasserstein_pct"] for side in SIDES]
    judged.say("noise floor", np.stack(floor))
    if asked.write and not asked.untouched:
        model = model_of(fitted, weights, prior)
        SHIPPED.write_bytes(model.to_json())
        say(f"wrote {SHIPPED} ({model.hash})")


if __name__ == "__main__":
    main()
