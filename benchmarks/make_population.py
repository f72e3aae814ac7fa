"""Makes the shipped leverage model `population`: one mixture fitted on people of every family of the sandbox.

The procedure, written down before its result was compared with any real map:

1. Per family of `sandbox/market/families.py` markets of five coins, of seeds on which nothing is judged later; every
   third day of the last 17 is looked at.
2. What the fit is drawn to are published figures and, as far as it reaches, the census of recorded accounts: large
   ones of August 2026 (BTC, ETH, SOL; `recorded/hyperliquid/positions-2026-08`), capped as everywhere, weighing as
   much of each side as the part of open interest that was recorded. The whole-state map takes no part in anything.
3. Families count alike at first; the one that is farthest beside the published figures counts twice as much, again and
   again, as long as that brings the worst of them nearer.
   Before that, with all alike, of `PULLS` the pull is taken under which coins left out are nearest (each coin in all
   markets at once), mean of families.
4. It replaces the shipped one if it is nearer on seeds that neither has seen (`--untouched`, `--model`), mean of
   families. Then, once, it is laid beside the real map (`bench_real_map.py`), and that is reported whatever it says.

The tables are Wasserstein-1 within 25 %, percent of price, both sides. All people here are synthetic, and the model
says so.

    python benchmarks/make_population.py [--keep DIR] [--write [FILE]]
    python benchmarks/make_population.py --untouched 201 [--model FILE]    # on seeds that they have not seen
"""

import sys
import tempfile
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
from liqtruth.compare.calibration.choices.coordinates import PULLS
from liqtruth.compare.calibration.choices.fitted import Fitted, distances, drawn, fit_samples
from liqtruth.compare.calibration.samples import Sample, SideSample, nodes_on
from liqtruth.compare.calibration.side_fit import SideFit
from liqtruth.compare.census.as_model import census_model
from liqtruth.compare.census.census import census_of, counted_coin
from liqtruth.compare.validation.baselines import noise_floor
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import (
    DEFAULT,
    FADES,
    MAINTENANCE,
    MIXED,
    MIXED_OF,
    PRIOR,
    LeverageModel,
    Provenance,
    leverage_model_named,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.indexer.files.imports import import_paths
from liqtruth.storage.store import Settings, Store
from tests.compare.known_market import Seen, samples_of

MARKETS: Final[Mapping[str, tuple[int, ...]]] = {
    "absolute": (1, 2),
    "of-maximum": (3, 101),
    "of-volatility": (101, 102),
    "mixed": (101,),
    "of-wealth": (101,),
}
"""Seeds by family."""
ACCOUNTS, DAYS, EVERY = 12_000, 30, 3
MOST_DOUBLED: Final = 4
Weights = Mapping[str, int]
"""By family."""
RATES: Final = (0.3, 1.5, 8.0)
"""Times the activity; slower and more classes were tried, and moved no figure of the table by more than 3 %."""
GATE: Final = 50.0
RECORDED: Final = Path(__file__).parents[2] / "shared" / "recorded" / "hyperliquid" / "positions-2026-08"
RECORDED_COINS: Final = ("BTC", "ETH", "SOL")
SHIPPED: Final = Path(__file__).parents[1] / "estimator" / "facts" / "leverage_population.json"
BASIS: Final = (
    "made-up people: fitted on {markets} markets of a simulated exchange ({families}; seeds {seeds}), towards "
    "published figures and a census of recorded large accounts. A part of leverage is the same on all coins, a part "
    "goes by their highest (here as on a market of 40x), a part keeps its distance from the mark. Below 3x it follows "
    "figures and census"
)


def published() -> LeverageModel:
    """Published figures with the classes of `RATES`."""
    return with_classes(leverage_model_named(PRIOR))


def target(recorded: Path) -> LeverageModel:
    """Published figures, and the census of recorded accounts as far as it reaches."""
    prior = leverage_model_named(PRIOR)
    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data_dir=Path(folder))) as store:
        import_paths(
            store,
            [recorded / f"positions_{coin}.csv.gz" for coin in RECORDED_COINS],
            market=[recorded / f"market_{coin}.csv" for coin in RECORDED_COINS],
        )
        counted = [counted_coin(store, coin) for coin in RECORDED_COINS]
    known = [one.read.coverage for one in counted if one.read.coverage is not None]
    census, found = census_model(census_of(counted), [one.rows for one in counted], "recorded"), {}
    for side, part in zip(SIDES, np.mean(known, axis=0).tolist(), strict=True):
        say(f"census of recorded {side}s: weighs {part:.2f}")
        found[side] = as_rows((1 - part) * prior.shares(side) + part * census.shares(side))
    return with_classes(msgspec.structs.replace(prior, **found))


def with_classes(model: LeverageModel) -> LeverageModel:
    """With the classes of `RATES`: the profile of each between its neighbours'."""
    known = np.log(model.rates)

    def side(name: str) -> tuple[tuple[float, ...], ...]:
        shares = model.shares(name)
        rows = np.array([[np.interp(np.log(rate), known, node) for node in shares.T] for rate in RATES])
        return as_rows(rows * (shares.sum() / rows.sum()))

    long, short = (side(name) for name in SIDES)
    return msgspec.structs.replace(model, rates=RATES, long=long, short=short)


def pairs_of(markets: Mapping[str, Sequence[int]], folder: Path, workers: int) -> list[Sample]:
    """Of all markets; coins carry the family and seed in their names, so that blocks are of one market."""
    listed = [(family, seed) for family, seeds in markets.items() for seed in seeds]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return [*chain(*pool.map(of_market, *zip(*listed, strict=True), repeat(folder)))]


@one_blas_thread()
def of_market(family: str, seed: int, folder: Path) -> list[Sample]:
    pairs = samples_of(looked_at(family, seed, folder), published(), (MIXED,))
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
                "large accounts of Hyperliquid, BTC, ETH and SOL, 2026-08-21: their census, by what it covers",
                *prior.provenance.sources,
            ),
        ),
        rates=prior.rates,
        leverage=prior.leverage,
        long=long,
        short=short,
        coordinate=fitted.coordinate,
        reach=MAINTENANCE,
        fades=FADES if fitted.coordinate == MIXED else None,
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


def pulled(judged: Judged, fitted: Fitted) -> Fitted:
    """Drawn to its target as brings coins left out nearest, families alike."""
    found = {}
    for ridge in PULLS:
        one = fitted.pulled(replace(fitted.pull, ridge=ridge))
        away = left_out_pct(judged.pairs, one, dict.fromkeys(MARKETS, 1))
        judged.say(f"pull {ridge:g}", away)
        found[ridge] = float(np.mean([*judged.by_family(away).values()])), one
    return found[min(found, key=lambda ridge: found[ridge][0])][1]


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


def of_model(pairs: Sequence[Sample], model: LeverageModel) -> FloatArray:
    return distances(pairs, {side: drawn_by(pairs, side, model) for side in SIDES})


def drawn_by(pairs: Sequence[Sample], side: str, model: LeverageModel) -> FloatArray:
    return np.stack(
        [columns_of(pair, side, model).drawn(model.coordinate, held(pair, side, model)) for pair in pairs]
    )


def columns_of(pair: Sample, side: str, model: LeverageModel) -> SideSample:
    """What a mixed model draws with: all columns where nothing of it fades out."""
    own = pair.of(side)
    return own if model.fades is not None else replace(own, held={})


def held(pair: Sample, side: str, model: LeverageModel) -> FloatArray:
    """Shares of a model that reach as far as it does on the pair's market; columns reach further."""
    shares, classes = model.shares(side), len(model.rates)
    for at, name in enumerate(MIXED_OF if model.coordinate == MIXED else (model.coordinate,)):
        nodes = nodes_on(model, name, pair.highest_leverage, pair.daily_volatility)
        shares[at * classes : (at + 1) * classes, nodes > model.bound(pair.highest_leverage)] = 0.0
    return shares


@one_blas_thread()
def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    parser.add_argument(
        "--untouched", type=int, nargs="*", help="judge the shipped model on these seeds instead"
    )
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="folder of recorded accounts")
    parser.add_argument("--workers", type=int, default=2, help="processes that look at markets")
    parser.add_argument(
        "--model", action="append", default=[], help="with --untouched: another model, a file"
    )
    parser.add_argument(
        "--write", type=Path, nargs="?", const=SHIPPED, help=f"write it; default: {SHIPPED.name}"
    )
    asked = parser.parse_args()
    markets = dict.fromkeys(MARKETS, asked.untouched) if asked.untouched else MARKETS
    pairs = pairs_of(markets, asked.keep, asked.workers)
    judged = Judged(pairs, enough(pairs))
    say(f"{'':<24}" + "".join(f"{family:>15}" for family in MARKETS) + f"{'all':>10}")
    beside = of_model(pairs, published())
    if asked.untouched:
        for name in (DEFAULT, *asked.model):
            judged.say(Path(name).stem, of_model(pairs, leverage_model_named(name)))
    else:
        prior = target(asked.recorded)
        fitted = pulled(judged, fit_samples(pairs, prior, MIXED))
        weights = balanced(judged, fitted, beside)
    judged.say("published", beside)
    for label in ("tiers", "bell", "uniform"):
        judged.say(label, distances(pairs, {side: baseline(pairs, side, label) for side in SIDES}))
    floor = [noise_floor(pairs, side, "crowd", 0)["wasserstein_pct"] for side in SIDES]
    judged.say("noise floor", np.stack(floor))
    if asked.write and not asked.untouched:
        model = model_of(fitted, weights, prior)
        asked.write.write_bytes(model.to_json())
        say(f"wrote {asked.write} ({model.hash})")


if __name__ == "__main__":
    main()
