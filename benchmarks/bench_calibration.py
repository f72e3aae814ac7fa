"""What the calibrated model is worth on synthetic markets whose every position is known, beside what it must reach.

Per seed a market like Hyperliquid's (`tests/compare/known_market.py`): six coins, 54 days, one map per coin, day and
side. Every split of `compare.validation` is tried as a whole, choices included. The crowd's map is judged on
sides with at least `--gate` effective positions (what a move liquidates and mass on all), the map as it stands on
all. Intervals are of 95 %, by blocks of a coin's days, both sides together. Run as a script it prints the figures;
`--keep DIR` keeps the pairs of a seed for the next run, which then need not simulate for two minutes again.

    python benchmarks/bench_calibration.py 1 2 3
"""

import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import DISTANCES_PCT, spread_of
from liqtruth.compare.calibration.implied_leverage import BANDS, implied_leverage
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.selection import PooledFit, coins_of
from liqtruth.compare.calibration.side_fit import BoolArray
from liqtruth.compare.statistics.intervals import drawn_weights, gain_interval
from liqtruth.compare.validation.backtest import (
    BOTH,
    CHANCE,
    LATER,
    NEW_COINS,
    Backtest,
    SideBacktest,
    backtest,
    blocks_of,
    splits_of,
)
from liqtruth.compare.validation.baselines import BASELINES, FITTED
from liqtruth.compare.validation.findings import BOTH as BOTH_SIDES
from liqtruth.compare.validation.findings import MAIN_SCORE, NAIVE, Gain, SideFindings, split_findings
from liqtruth.estimator.model.baselines import CLIMATOLOGY
from liqtruth.estimator.model.leverage_model import COORDINATES, leverage_model_named
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from tests.compare.known_market import ACCOUNTS, DAYS, samples_of_market, whales_part

Interval = tuple[float, float, float]

SEEDS: Final = (1, 2, 3)
GATE: Final = 80.0
SHOWN: Final = (MAIN_SCORE, "jensen_shannon", "curve_5pct", "mass", "recall_5")
LEAST_OVER_TIERS: Final = {LATER: 0.35, NEW_COINS: 0.30, BOTH: 0.30}
LEAST_OVER_COPY: Final = 0.15
MOST_OVER_FLOOR: Final = 1.3
COVERAGE: Final = (0.74, 0.86)
JUDGED_BANDS: Final = BANDS[1:-1]
REAL_WHALES: Final = {"long": 0.50, "short": 0.54}
"""Part of the notional within reach of a whole real map of BTC (2026-04-05) beyond 0.3 % a position."""
REAL_EFFECTIVE: Final = {"crowd": "155 and 159", "raw": "26 and 41"}


@dataclass
class Ledger:
    """Requirements and what each seed showed: (figure, holds) by requirement."""

    rows: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)

    def note(self, wanted: str, figure: float, holds: bool, shown: str) -> None:
        self.rows.setdefault(wanted, []).append((figure, holds))
        say(f"    {wanted}: {shown} - {as_verdict(holds)}")

    def close(self) -> None:
        say("\nall seeds")
        for wanted, found in self.rows.items():
            figures = ", ".join(f"{figure:.2f}" for figure, _ in found)
            holding = sum(holds for _, holds in found)
            say(f"  {wanted}: {figures} - {as_verdict(holding == len(found))} ({holding} of {len(found)})")


@dataclass(frozen=True, eq=False)
class Cells:
    """The crowd's maps of a trial, both sides after each other, that have enough effective positions."""

    sides: tuple[SideBacktest, ...]
    coins: NDArray[np.str_]
    judged: BoolArray
    weights: IntArray

    @classmethod
    def of(cls, trial: Backtest, least_effective: float, seed: int) -> "Cells":
        sides = tuple(trial.of(side, "crowd") for side in SIDES)
        coins = np.tile([pair.coin for pair in trial.pairs], len(sides))
        judged = np.concatenate([one.effective >= least_effective for one in sides])
        weights = np.tile(drawn_weights(blocks_of(trial.pairs), seed), (1, len(sides)))
        return cls(sides, coins, judged, weights)

    def over_floor(self, coin: str | None = None) -> Interval:
        """Mean of the fitted maps over mean of the floors."""
        rows = self.judged if coin is None else self.judged & (self.coins == coin)
        fitted = np.concatenate([one.score[MAIN_SCORE][FITTED] for one in self.sides])
        floor = np.concatenate([one.floor[MAIN_SCORE] for one in self.sides])
        gain, low, high = gain_interval(
            np.where(rows, fitted, np.nan), np.where(rows, floor, np.nan), self.weights
        )
        return 1 - gain, 1 - high, 1 - low

    def inside(self) -> FloatArray:
        """Share of the maps whose truth lay within the 80 % bounds, per distance."""
        return np.asarray(np.nanmean(np.concatenate([one.inside for one in self.sides])[self.judged], axis=0))


def run_seed(seed: int, pairs: Sequence[Sample], gate: float, ledger: Ledger) -> None:
    prior = leverage_model_named("prior")
    say(f"\nseed {seed}: {len(pairs)} pairs of {', '.join(coins_of(pairs))}, synthetic")
    say_population(pairs)
    for split in splits_of(pairs):
        trial = backtest(pairs, split, prior, seed=seed)
        say(f"  {split.name}: {len(trial.pairs)} pairs judged; chosen {as_choices(trial.fits)}")
        for layer, least in (("crowd", gate), ("raw", 0.0)):
            found = split_findings(trial, seed=seed, least_effective=least).of(BOTH_SIDES, layer)
            say_layer(found)
            if layer == "crowd":
                judge(split.name, found, Cells.of(trial, least, seed), ledger)
    judge_leverage(pairs, PooledFit(prior, COORDINATES).fit(pairs), ledger)


def say_population(pairs: Sequence[Sample]) -> None:
    for side in SIDES:
        beyond = np.array([whales_part(pair, side) for pair in pairs])
        low, middle, high = np.percentile(beyond, [10, 50, 90])
        btc = [whales_part(pair, side) for pair in pairs if pair.coin == "BTC"]
        of_btc = f"BTC {np.median(btc):.0%}; " if btc else ""
        say(
            f"  {side}s beyond {LARGEST_SHARE:.1%} of open interest: {middle:.0%} of the notional within reach "
            f"({of_btc}10 to 90 % of maps: {low:.0%} to {high:.0%}); a real map of BTC: {REAL_WHALES[side]:.0%}"
        )


def say_layer(found: SideFindings) -> None:
    scores = [found.of(score) for score in SHOWN]
    say(
        f"   {found.layer}: {found.enough} of {found.maps} maps of a side have enough, median of {found.effective:.0f} "
        f"effective positions (a real map of BTC: {REAL_EFFECTIVE[found.layer]})"
    )
    say(f"    {'':<15}" + "".join(f"{score:>17}" for score in SHOWN))
    for name in (FITTED, *BASELINES, CHANCE):
        say(f"    {name:<15}" + "".join(f"{known(one.means[name]):>17.3f}" for one in scores))
    say(f"    {'floor':<15}" + "".join(f"{known(one.floor):>17.3f}" for one in scores[:2]))
    main = found.of(MAIN_SCORE)
    say(
        f"    fitted over floor {known(main.over_floor):.2f}, gap from tiers closed {known(main.gap_closed):.0%}"
    )
    say(f"    gain in {MAIN_SCORE} over " + ", ".join(f"{one.rival} {as_gain(one)}" for one in main.gains))
    say(f"    recall_5 beside chance {as_gain(found.of('recall_5').gain(CHANCE))}")
    if found.bounds is not None:
        inside = ", ".join(
            f"{at:g} % {known(part):.2f}" for at, part in zip(DISTANCES_PCT, found.bounds.inside, strict=True)
        )
        say(f"    80 % bounds hold on {found.bounds.overall:.1%} of all {found.bounds.maps} maps: {inside}")


def judge(split: str, found: SideFindings, cells: Cells, ledger: Ledger) -> None:
    if not cells.judged.any():
        say("    no map has enough effective positions: nothing is judged")
        return
    main = found.of(MAIN_SCORE)
    for rival, wanted in ((NAIVE, LEAST_OVER_TIERS[split]), (CLIMATOLOGY, LEAST_OVER_COPY)):
        gain = main.gain(rival)
        figure = np.nan if gain is None else gain.gain
        ledger.note(f"{split}: gain over {rival} >= {wanted:.0%}", figure, figure >= wanted, as_gain(gain))
    by_coin = {coin: cells.over_floor(coin)[0] for coin in dict.fromkeys(cells.coins.tolist())}
    say("    fitted over floor by coin: " + ", ".join(f"{coin} {part:.2f}" for coin, part in by_coin.items()))
    ratio, low, high = cells.over_floor()
    ledger.note(
        f"{split}: Wasserstein-1 <= {MOST_OVER_FLOOR:g} x floor",
        ratio,
        ratio <= MOST_OVER_FLOOR,
        f"{ratio:.2f} [{low:.2f}, {high:.2f}]",
    )
    inside = cells.inside()
    by_distance = ", ".join(f"{at:g} % {part:.2f}" for at, part in zip(DISTANCES_PCT, inside, strict=True))
    ledger.note(
        f"{split}: coverage of the 80 % bounds from {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%}",
        float(np.nanmean(inside)),
        COVERAGE[0] <= np.nanmean(inside) <= COVERAGE[1],
        f"{np.nanmean(inside):.1%} ({by_distance}; nan: withheld)",
    )


def judge_leverage(pairs: Sequence[Sample], pooled: PooledFit, ledger: Ledger) -> None:
    """Of the crowd's mass within reach, what the pooled fit on all pairs draws per band against exact entries."""
    prior, inside = leverage_model_named("prior"), []
    say(f"  leverage of what stands, in open interest ({pooled.fitted_.coordinate}): drawn [95 %], measured")
    for side in SIDES:
        spread = spread_of(pooled.fitted_.of(side), coins_of(pairs), seed=0)
        for band in implied_leverage(pairs, pooled.fitted_, side, prior, spread):
            if band.band in JUDGED_BANDS:
                inside.append(bool(band.inside))
                say(
                    f"    {side:<6}{band.band:<7} {band.drawn:.4f} [{known(band.low):.4f}, {known(band.high):.4f}], "
                    f"{known(band.measured):.4f} - {'inside' if band.inside else 'outside'}"
                )
    ledger.note(
        "measured leverage shares inside their 95 % intervals",
        float(np.mean(inside)),
        all(inside),
        f"{sum(inside)} of {len(inside)}",
    )


def as_choices(fits: Sequence[PooledFit]) -> str:
    return ", ".join(
        one.fitted_.coordinate + ("" if one.ridge_ is None else f" (own shares, ridge {one.ridge_:g})")
        for one in fits
    )


def as_gain(found: Gain | None) -> str:
    if found is None:
        return "not known"
    ends = "no interval" if found.low is None or found.high is None else f"{found.low:.0%}, {found.high:.0%}"
    return f"{found.gain:.0%} [{ends}]"


def known(value: float | None) -> float:
    return float("nan") if value is None else value


def as_verdict(holds: bool) -> str:
    return "holds" if holds else "does not hold"


def pairs_kept(seed: int, accounts: int, days: int, folder: Path | None) -> list[Sample]:
    """Simulated, or as the folder keeps them from an earlier run of one's own."""
    if folder is None:
        return samples_of_market(seed, accounts, days)
    path = folder / f"market_{seed}_{accounts}_{days}.pairs"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(samples_of_market(seed, accounts, days)))
    kept: list[Sample] = pickle.loads(path.read_bytes())
    return kept


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument(
        "--gate", type=float, default=GATE, help="effective positions of a side of the crowd's map"
    )
    parser.add_argument("--keep", type=Path, help="folder that keeps the pairs of a seed")
    asked = parser.parse_args()
    ledger = Ledger()
    for seed in asked.seeds:
        run_seed(seed, pairs_kept(seed, asked.accounts, asked.days, asked.keep), asked.gate, ledger)
    ledger.close()


if __name__ == "__main__":
    main()
