"""Makes the shipped leverage model `population`: one mixture fitted on people of every family of the sandbox.

Per family of `sandbox/market/families.py` and seed a market of five coins: 40 days of which every second of the last 25
is looked at. All markets count alike. The fit is that of `calibrate fit`, pulled to the prior of published figures; no
recorded position takes part. The table that is printed leaves coins out of the pooled fit (each coin in all markets at
once), per family, and says which coordinate draws them best: Wasserstein-1 within 25 %, percent of price, both sides.
Everything here is synthetic, and the model says so.

    python benchmarks/make_population.py [--keep DIR] [--write]
"""

import argparse
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from liqtruth.compare.calibration.samples import Sample, sample_of
from liqtruth.compare.calibration.selection import Fitted, distances, drawn, fit_samples
from liqtruth.compare.validation.baselines import noise_floor
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import (
    COORDINATES,
    MIXED,
    Coordinate,
    LeverageModel,
    Provenance,
    leverage_model_named,
)
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

FAMILIES: Final = ("absolute", "of-maximum", "of-volatility", "mixed")
SEEDS: Final = (1, 2)
COINS: Final = ("BTC", "ETH", "SOL", "HYPE", "XRP")
ACCOUNTS, DAYS, FIRST_DAY, EVERY = 16_000, 40, 16, 2
RATES: Final = (0.3, 1.5, 8.0)
"""Times the activity; slower and more classes were tried, and moved no figure of the table by more than 3 %."""
GATE: Final = 50.0
SHIPPED: Final = Path(__file__).parents[1] / "estimator" / "facts" / "leverage_population.json"
FOLDER: Final = Path(tempfile.gettempdir()) / "liqtruth_population"
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


def samples(folder: Path) -> Iterator[tuple[str, list[Sample]]]:
    """Per market its family and pairs, whose coins carry the market in their names: blocks are of one market."""
    venue, prior = venue_named("hyperliquid"), grid()
    for family in FAMILIES:
        for seed in SEEDS:
            pairs = [
                sample_of(coin, series, venue, positions, prior, brackets, coordinates=COORDINATES)
                for coin, series, positions, brackets in market_kept(family, seed, folder)
            ]
            say(f"{family} {seed}: {len(pairs)} pairs")
            yield family, [replace(pair, coin=f"{pair.coin}@{family}@{seed}") for pair in pairs]


def market_kept(family: str, seed: int, folder: Path) -> list[tuple]:  # type: ignore[type-arg]
    """What is known of each coin and moment: simulated, or as the folder keeps it from a run of one's own."""
    path = folder / f"{family}_{seed}_{ACCOUNTS}_{DAYS}.market"
    if not path.exists():
        from liqtruth.sandbox.market.market import MarketSpec
        from tests.compare.known_market import seen_on

        spec = MarketSpec(
            seed=seed, accounts=ACCOUNTS, cex_accounts=10, days=DAYS, coins=COINS, builder_dex=False,
            population=family,
        )  # fmt: skip
        seen = [
            (one.coin, one.series, one.positions, one.brackets) for one in seen_on(spec, FIRST_DAY, EVERY)
        ]
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(seen, pickle.HIGHEST_PROTOCOL))
    kept: list[tuple] = pickle.loads(path.read_bytes())  # type: ignore[type-arg]
    return kept


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
    listed, seeds = ", ".join(FAMILIES), ", ".join(f"{seed}" for seed in SEEDS)
    basis = BASIS.format(markets=len(FAMILIES) * len(SEEDS), families=listed, seeds=seeds)
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


@one_blas_thread()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    parser.add_argument("--write", action="store_true", help=f"write {SHIPPED.name}")
    asked = parser.parse_args()
    pairs, families = [], []
    for family, found in samples(asked.keep):
        pairs += found
        families += [family] * len(found)
    judged, names, prior = enough(pairs), np.array(families), grid()

    def row(label: str, values: FloatArray) -> None:
        each = [float(np.nanmean((values * judged)[:, names == family])) for family in FAMILIES]
        figures = "".join(f"{value:>15.3f}" for value in each)
        say(f"{label:<16}{figures}{float(np.nanmean(values * judged)):>10.3f}")

    say(f"{'coins left out':<16}" + "".join(f"{family:>15}" for family in FAMILIES) + f"{'all':>10}")
    fits: dict[Coordinate, Fitted] = {}
    for coordinate in COORDINATES:
        fits[coordinate] = fit_samples(pairs, prior, coordinate)
        row(coordinate, left_out_pct(pairs, fits[coordinate]))
    for label in ("tiers", "bell", "uniform"):
        maps = {side: np.stack([pair.of(side).baselines[label] for pair in pairs]) for side in SIDES}
        row(label, distances(pairs, maps))
    towards = {
        side: np.stack([pair.of(side).columns["leverage"] @ prior.shares(side).ravel() for pair in pairs])
        for side in SIDES
    }
    row("published", distances(pairs, towards))
    floor = np.stack([noise_floor(pairs, side, "crowd", 0)["wasserstein_pct"] for side in SIDES])
    row("noise floor", floor)
    if asked.write:
        model = model_of(fits[MIXED], prior)
        SHIPPED.write_bytes(model.to_json())
        say(f"wrote {SHIPPED} ({model.hash})")


if __name__ == "__main__":
    main()
