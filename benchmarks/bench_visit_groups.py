"""How often groups of zones of `score visits` are called better than chance where nothing is: the figures.

A hundred random walks of 28 days; zones, whether they are stacked and how many windows show them are drawn without a
look at prices. Printed is, per group, in how many walks the interval of visited less expected lies above zero (better)
or without zero (either way), of how many that have one. Run as a script it prints them.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from liqtruth.compare.scoring.visits.groups import GroupRow, Marks, score_groups
from liqtruth.compare.scoring.visits.visits import TOLERANCE_PCT
from tests.compare.test_visits import random_zones, walk

WALKS: Final = 100
ATR_PCT: Final = 2.5


def rows_of(seed: int) -> tuple[GroupRow, ...]:
    """Of one walk."""
    path, times, mark = walk(seed, days=28)
    zones, rng = random_zones(seed, times, mark, weekly=bool(seed % 2)), np.random.default_rng(seed)
    zones = replace(zones, stacked=rng.random(zones.distance.shape) < 0.3)
    marks = Marks(np.full(times.size, ATR_PCT), rng.integers(1, 4, zones.distance.shape))
    return score_groups(zones, path, marks, tolerance_pct=TOLERANCE_PCT, seed=seed)


def main() -> None:
    known, better, off = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(WALKS):
        for row in rows_of(seed):
            gap, name = row.visits.weighted.difference, f"{row.group} within {row.visits.horizon_h} h"
            if gap is not None and gap.low is not None and gap.high is not None:
                known[name] += 1
                better[name] += gap.low > 0
                off[name] += not gap.low <= 0 <= gap.high
    for name, count in known.items():
        sys.stdout.write(f"{name}: better in {better[name]}, either way in {off[name]} of {count}\n")


if __name__ == "__main__":
    main()
