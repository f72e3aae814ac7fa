"""How often 80 % bounds hold, and how wide they are, by family of people, side and distance.

The markets of `bench_families.py` (its folder is shared), judged as `compare.validation` does it: later days of known
coins, and coins left out; raw map, every map with bounds. Everything here is synthetic. Per distance: share of maps on
which the truth lay within, share on which bounds were given and not withheld, upper over lower factor (median). What
must hold is 74 to 86 %; a share over few maps of few days is itself uncertain by several percent. Carried venues are
judged by `bench_transfer.py`.

    python benchmarks/bench_bounds.py --seeds 301 302 --accounts 12000 --days 30
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.bench_families import ACCOUNTS, DAYS, FOLDER, JUDGED, SPLITS, seen_kept
from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.validation.backtest import SideBacktest, backtest, splits_of
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named
from liqtruth.heatmap.levels import SIDES
from tests.compare.known_market import samples_of

SEEDS: Final = (301, 302)
Found = dict[tuple[str, str, str], list[SideBacktest]]
"""By split, family and side."""


def judged(family: str, seed: int, folder: Path, accounts: int, days: int) -> Found:
    prior, found = leverage_model_named(DEFAULT), {}
    with one_blas_thread():
        pairs = samples_of(seen_kept(family, seed, folder, accounts, days), prior)
        for split in splits_of(pairs):
            if split.name in SPLITS:
                trial = backtest(pairs, split, prior, seed=seed)
                found.update({(split.name, family, side): [trial.of(side, "raw")] for side in SIDES})
    return found


def row_text(sides: Sequence[SideBacktest]) -> str:
    inside, widths = (np.concatenate([getattr(one, name) for one in sides]) for name in ("inside", "widths"))
    cells = []
    for rows, wide in zip(inside.T, widths.T, strict=True):
        given = np.isfinite(rows)
        share = f"{100 * rows[given].mean():.0f}" if given.any() else "-"
        width = f"{np.median(wide[given]):.1f}" if given.any() else "-"
        cells.append(f"{share} ({100 * given.mean():.0f}; {width})")
    return f"{len(inside)} | {' | '.join(cells)}"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--families", nargs="*", default=list(JUDGED), choices=JUDGED)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    asked = parser.parse_args()
    found: Found = {}
    for family in asked.families:
        for seed in asked.seeds:
            for key, sides in judged(family, seed, asked.keep, asked.accounts, asked.days).items():
                found.setdefault(key, []).extend(sides)
    say(f"synthetic, seeds {', '.join(map(str, asked.seeds))}: held % (given %; upper over lower factor)")
    for split in SPLITS:
        say(f"\n{split}\n\n| family, side | maps | {' | '.join(f'{pct:g} %' for pct in DISTANCES_PCT)} |")
        say(f"|{'---|' * (len(DISTANCES_PCT) + 2)}")
        for (name, family, side), sides in found.items():
            if name == split:
                say(f"| {family}, {side} | {row_text(sides)} |")
        every = [one for (name, *_), sides in found.items() if name == split for one in sides]
        say(f"| all | {row_text(every)} |")


if __name__ == "__main__":
    main()
