"""What calibration is worth on each family of populations (`sandbox/market/families.py`), and on which it is worst.

Per family and seed a market of five coins (highest leverage 10 to 40x, a day's volatility 2.6 to 5 %): 38 days of which
the last 25 are looked at, one map per coin, day and side. Later days of known coins and coins left out are judged as
`compare.validation` does it, choices included, on sides of the crowd's map with at least `--gate` effective positions.
`--accounts` and `--days` make it smaller. Everything here is synthetic. What is judged:

    W1              Wasserstein-1 within 25 %, percent of price, of both sides: mean over maps and seeds
    x floor         fitted over the noise floor, which a perfect model would not beat
    over tiers, over copy   part of their W1 that the fit takes away; the copied shape is `climatology`
    80 % bounds     share of maps within them, mean of all distances; at the distances with the least and the most
    shares          of what stands by band of leverage, drawn intervals (95 %) that hold the measured share; their
                    width over what is drawn, median of bands. The fit has seen these maps

Markets are kept in a folder (`--keep`), without any model's columns, so that a changed model is judged on the same ones
in half a minute a family and seed.

    python benchmarks/bench_families.py --seeds 1 2 3 --families absolute mixed
"""

import pickle
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import spread_of
from liqtruth.compare.calibration.choices.fitted import coins_of
from liqtruth.compare.calibration.choices.pooled_fit import PooledFit
from liqtruth.compare.calibration.implied_leverage import BANDS, implied_leverage
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.validation.backtest import LATER, NEW_COINS, backtest, splits_of
from liqtruth.compare.validation.baselines import FITTED
from liqtruth.compare.validation.findings import BOTH, MAIN_SCORE, SideFindings, split_findings
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.baselines import CLIMATOLOGY, TIERS, UNIFORM
from liqtruth.estimator.model.leverage_model import COORDINATES, DEFAULT, LeverageModel, leverage_model_named
from liqtruth.heatmap.levels import SIDES
from liqtruth.sandbox.market.families import DEFAULT as STATED
from liqtruth.sandbox.market.families import POPULATIONS
from liqtruth.sandbox.market.market import MarketSpec
from tests.compare.known_market import Seen, samples_of, seen_on

SEEDS: Final = (1, 2, 3)
JUDGED: Final = tuple(name for name in POPULATIONS if name != STATED)
COINS: Final = ("BTC", "ETH", "SOL", "HYPE", "XRP")
ACCOUNTS: Final = 24_000
DAYS: Final = 38
FIRST_DAY: Final = 14
GATE: Final = 80.0
SPLITS: Final = (LATER, NEW_COINS)
MAPS: Final = (FITTED, TIERS, UNIFORM, CLIMATOLOGY)
JUDGED_BANDS: Final = BANDS[1:-1]
HIGHER_IS_WORSE: Final = (*MAPS, "floor", "x floor")
COLUMNS: Final = (
    *HIGHER_IS_WORSE,
    "over tiers",
    "over copy",
    "80 % bounds",
    "least",
    "most",
    "shares",
    "width",
)
COVERAGE: Final = 0.80
FOLDER: Final = Path(tempfile.gettempdir()) / "liqtruth_families"


@dataclass(frozen=True)
class Row:
    """One family, seed and split: the figures by column, nan where one is not known; `coordinates` as chosen."""

    family: str
    seed: int
    split: str
    figures: dict[str, float]
    maps: int
    effective: float
    coordinates: tuple[str, ...]


def seen_kept(
    family: str, seed: int, folder: Path = FOLDER, accounts: int = ACCOUNTS, days: int = DAYS
) -> list[Seen]:
    """The market of a family and seed, simulated or as the folder keeps it; `samples_of` makes pairs of it."""
    path = folder / f"{family}_{seed}_{accounts}_{days}.seen"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        spec = MarketSpec(
            seed=seed,
            accounts=accounts,
            cex_accounts=10,
            days=days,
            coins=COINS,
            builder_dex=False,
            population=family,
        )
        seen = seen_on(
            spec, FIRST_DAY, on_progress=lambda share: tell(f"{family} {seed}: simulated {share:.0%}")
        )
        unready = path.with_suffix(".unready")
        unready.write_bytes(pickle.dumps(seen, pickle.HIGHEST_PROTOCOL))
        unready.replace(path)
    kept: list[Seen] = pickle.loads(path.read_bytes())
    return kept


def judged(family: str, seed: int, pairs: Sequence[Sample], prior: LeverageModel, gate: float) -> list[Row]:
    rows, shares = [], shares_inside(pairs, prior)
    for split in splits_of(pairs):
        if split.name not in SPLITS:
            continue
        trial = backtest(
            pairs,
            split,
            prior,
            seed=seed,
            on_progress=lambda share, on=split.name: tell(f"{family} {seed}: {on} {share:.0%}"),
        )
        found = split_findings(trial, seed=seed, least_effective=gate).of(BOTH, "crowd")
        chosen = tuple(fit.fitted_.coordinate for fit in trial.fits)
        rows.append(
            Row(
                family,
                seed,
                split.name,
                figures_of(found, shares),
                found.of(MAIN_SCORE).maps,
                found.effective,
                chosen,
            )
        )
    return rows


def figures_of(found: SideFindings, shares: dict[str, float]) -> dict[str, float]:
    main = found.of(MAIN_SCORE)
    gains = {
        column: main.gain(rival) for column, rival in (("over tiers", TIERS), ("over copy", CLIMATOLOGY))
    }
    return {
        **{name: known(main.means.get(name)) for name in MAPS},
        "floor": known(main.floor),
        "x floor": known(main.over_floor),
        **{column: np.nan if gain is None else gain.gain for column, gain in gains.items()},
        "80 % bounds": np.nan if found.bounds is None else found.bounds.overall,
        "least": np.nan if found.bounds is None else min(known_of(found.bounds.inside)),
        "most": np.nan if found.bounds is None else max(known_of(found.bounds.inside)),
        **shares,
    }


def shares_inside(pairs: Sequence[Sample], prior: LeverageModel) -> dict[str, float]:
    """Of the leverage bands of both sides from 3x to 40x, the part whose measured share lies in its drawn interval, and
    the interval's width over what is drawn."""
    pooled = PooledFit(prior, COORDINATES).fit(pairs)
    bands = [
        band
        for side in SIDES
        for band in implied_leverage(
            pairs, pooled.fitted_, side, prior, spread_of(pooled.fitted_.of(side), coins_of(pairs), seed=0)
        )
        if band.band in JUDGED_BANDS
    ]
    widths = [(known(band.high) - known(band.low)) / band.drawn for band in bands if band.drawn > 0]
    return {
        "shares": float(np.mean([bool(band.inside) for band in bands])),
        "width": float(np.median(widths)),
    }


def say_row(row: Row) -> None:
    shown = ", ".join(f"{name} {as_figure(name, row.figures[name])}" for name in COLUMNS)
    chosen = ", ".join(f"{row.coordinates.count(name)} x {name}" for name in dict.fromkeys(row.coordinates))
    enough = f"{row.maps} maps with enough, median of all {row.effective:.0f} effective positions"
    say(f"{row.family} {row.seed}, {row.split}, {enough}: {shown}; chosen {chosen}")


def say_table(rows: Sequence[Row]) -> None:
    """A mean over seeds per family; in each column the worst family is bold."""
    for split in SPLITS:
        means = {
            family: {
                name: mean_of(
                    [row.figures[name] for row in rows if (row.family, row.split) == (family, split)]
                )
                for name in COLUMNS
            }
            for family in dict.fromkeys(row.family for row in rows)
        }
        seeds = sorted({row.seed for row in rows})
        say(f"\n{split}, synthetic, seeds {', '.join(map(str, seeds))}; worst family bold\n")
        say(f"| family | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
        for family, figures in means.items():
            cells = [
                bold(as_figure(name, figures[name]), family == worst(name, means) and len(means) > 1)
                for name in COLUMNS
            ]
            say(f"| {family} | {' | '.join(cells)} |")


def worst(column: str, means: dict[str, dict[str, float]]) -> str | None:
    """The family that does worst in a column; none in columns that the fit has no part in."""
    if column not in (FITTED, "x floor", "over tiers", "over copy", "80 % bounds", "shares"):
        return None
    badness = {
        family: figures[column]
        if column in HIGHER_IS_WORSE
        else abs(figures[column] - COVERAGE)
        if column == "80 % bounds"
        else -figures[column]
        for family, figures in means.items()
        if np.isfinite(figures[column])
    }
    return max(badness, key=lambda family: badness[family]) if badness else None


def as_figure(column: str, value: float) -> str:
    return f"{value:.2f}" if column in HIGHER_IS_WORSE else f"{value:.0%}"


def bold(text: str, marked: bool) -> str:
    return f"**{text}**" if marked else text


def known(value: float | None) -> float:
    return float("nan") if value is None else value


def known_of(values: Sequence[float | None]) -> list[float]:
    """Without distances at which bounds are withheld."""
    return [value for value in values if value is not None]


def mean_of(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def tell(line: str) -> None:
    """Progress, where someone looks at it."""
    if not sys.stderr.isatty():
        return
    sys.stderr.write(f"\r{line:<50}")
    sys.stderr.flush()


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--families", nargs="*", default=list(JUDGED), choices=POPULATIONS)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument(
        "--gate", type=float, default=GATE, help="effective positions of a side of the crowd's map"
    )
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    parser.add_argument("--only-keep", action="store_true", help="simulate and keep, judge nothing")
    asked = parser.parse_args()
    prior, rows = leverage_model_named(DEFAULT), []
    for family in asked.families:
        for seed in asked.seeds:
            begun = time.monotonic()
            seen = seen_kept(family, seed, asked.keep, asked.accounts, asked.days)
            if not asked.only_keep:
                with one_blas_thread():
                    found = judged(family, seed, samples_of(seen, prior), prior, asked.gate)
                rows += found
                tell("")
                for row in found:
                    say_row(row)
            tell(f"{family} {seed}: {time.monotonic() - begun:.0f} s\n")
    if rows:
        say_table(rows)


if __name__ == "__main__":
    main()
