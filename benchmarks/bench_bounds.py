"""How often 80 % bounds hold, and how wide they are, by family of people, side and distance.

The markets of `bench_families.py` (its folder is shared), judged as `compare.validation` does it: later days of known
coins, and coins left out; raw map, every map with bounds. Everything here is synthetic. Per distance: share of maps on
which the truth lay within; share on which bounds were given and not withheld; upper over lower factor (median). What
must hold is 74 to 86 %. Maps of a coin within four days are drawn together, so that each share has an interval (95 %):
a cell fails where that lies whole outside of what must hold, and holds where the share itself lies inside it; of the
others a run says nothing. Carried venues are judged by `bench_transfer.py`.

    python benchmarks/bench_bounds.py --seeds 301 302 --accounts 12000 --days 30
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.bench_families import ACCOUNTS, DAYS, FOLDER, JUDGED, SPLITS, seen_kept
from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.statistics.intervals import drawn_weights
from liqtruth.compare.validation.backtest import backtest, blocks_of, splits_of
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from tests.compare.known_market import samples_of

SEEDS: Final = (301, 302)
MUST_HOLD: Final = (0.74, 0.86)
INTERVAL: Final = (2.5, 97.5)
FEWEST: Final = 20
"""Maps with bounds below which a cell is not judged."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Maps of one split, family and side (both: one after the other): within bounds or not and their width, (maps,
    distances), nan where withheld; the `block` of each map, (maps,)."""

    split: str
    family: str
    side: str
    inside: FloatArray
    widths: FloatArray
    block: IntArray


def judged(family: str, seed: int, folder: Path, accounts: int, days: int) -> list[Judged]:
    prior, found = leverage_model_named(DEFAULT), []
    with one_blas_thread():
        pairs = samples_of(seen_kept(family, seed, folder, accounts, days), prior)
        for split in splits_of(pairs):
            if split.name in SPLITS:
                trial = backtest(pairs, split, prior, seed=seed)
                block = blocks_of(trial.pairs)
                for side in SIDES:
                    one = trial.of(side, "raw")
                    found.append(Judged(split.name, family, side, one.inside, one.widths, block))
    return found


def joined(family: str, side: str, each: Sequence[Judged]) -> Judged:
    """Maps of several; blocks of different ones stay apart."""
    shifts = np.cumsum([0, *(one.block.max() + 1 for one in each[:-1])])
    block = np.concatenate([one.block + shift for one, shift in zip(each, shifts, strict=True)])
    inside, widths = (np.concatenate([getattr(one, name) for one in each]) for name in ("inside", "widths"))
    return Judged(each[0].split, family, side, inside, widths, block)


def shares(found: Judged) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share of maps within by distance, and the ends of its interval; nan where there are none."""
    times = np.vstack([np.ones(len(found.block)), drawn_weights(found.block, seed=0)])
    known = np.isfinite(found.inside)
    with np.errstate(invalid="ignore"):
        drawn = (times @ np.nan_to_num(found.inside)) / (times @ known)
    low, high = np.full((2, drawn.shape[1]), np.nan)
    some = known.any(axis=0)
    low[some], high[some] = np.nanpercentile(drawn[1:, some], INTERVAL, axis=0)
    return drawn[0], low, high


def row_text(found: Judged) -> str:
    cells = []
    for rows, wide, share, low, high in zip(
        found.inside.T, found.widths.T, *(100 * one for one in shares(found)), strict=True
    ):
        given = np.isfinite(rows)
        if given.any():
            width = f"{100 * given.mean():.0f}; {np.median(wide[given]):.1f}"
            cells.append(f"{share:.0f} [{low:.0f}, {high:.0f}] ({width})")
        else:
            cells.append("-")
    return f"{len(found.inside)} | {' | '.join(cells)}"


def verdicts(found: Sequence[Judged]) -> str:
    """How many cells of at least `FEWEST` maps hold, how many fail beyond doubt, and which."""
    inside, fails, cells = 0, [], 0
    for one in found:
        counts = np.isfinite(one.inside).sum(axis=0)
        for pct, count, share, low, high in zip(DISTANCES_PCT, counts, *shares(one), strict=True):
            if count < FEWEST:
                continue
            cells += 1
            inside += bool(MUST_HOLD[0] <= share <= MUST_HOLD[1])
            if high < MUST_HOLD[0] or low > MUST_HOLD[1]:
                fails.append(f"{one.family} {one.side} {pct:g} % ({share:.0%})")
    failed = f"{len(fails)} outside beyond doubt{': ' if fails else ''}{', '.join(fails)}"
    return f"{inside} of {cells} cells within {MUST_HOLD[0]:.0%} to {MUST_HOLD[1]:.0%}, {failed}"


def say_split(found: Sequence[Judged]) -> None:
    say(
        f"\n{found[0].split}\n\n| family, side | maps | {' | '.join(f'{pct:g} %' for pct in DISTANCES_PCT)} |"
    )
    say(f"|{'---|' * (len(DISTANCES_PCT) + 2)}")
    families = list(dict.fromkeys(one.family for one in found))
    sides = [
        joined(family, side, [one for one in found if (one.family, one.side) == (family, side)])
        for family in families
        for side in SIDES
    ]
    whole = [joined(name, "both", [one for one in found if one.family == name]) for name in families]
    for one in (*sides, *whole, joined("all", "both", found)):
        say(f"| {one.family}, {one.side} | {row_text(one)} |")
    say(f"\nfamilies: {verdicts(whole)}\nfamilies and sides: {verdicts(sides)}")


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--families", nargs="*", default=list(JUDGED), choices=JUDGED)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    asked = parser.parse_args()
    found = [
        one
        for family in asked.families
        for seed in asked.seeds
        for one in judged(family, seed, asked.keep, asked.accounts, asked.days)
    ]
    seeds = ", ".join(map(str, asked.seeds))
    say(
        f"synthetic, seeds {seeds}, {asked.accounts} accounts: held % [95 %] (given %; upper over lower factor)"
    )
    for split in SPLITS:
        say_split([one for one in found if one.split == split])


if __name__ == "__main__":
    main()
