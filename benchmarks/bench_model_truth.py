"""How near the vintage model comes to a known truth, given the venue's own distribution of leverage: the figures.

Three synthetic venues, each looked at after four of its days; Wasserstein-1 within 25 % of the mark, over the
noise floor of the truth (half of what two random halves of its accounts differ by). Run as a script it prints them.
"""

import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "estimator"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from known_truth import KnownVenue, all_maps, distances

from benchmarks.telling import say
from liqtruth.heatmap.levels import SIDES

SEEDS: Final = (5, 11, 23)
ACCOUNTS: Final = 16_000
DAYS: Final = (12, 18, 24, 30)
"""Each is scored; the day before each gives the exact map that the baseline `persistence` knows."""


def print_seed(seed: int) -> None:
    venue = KnownVenue.of(seed, ACCOUNTS, [day for scored in DAYS for day in (scored - 1, scored)])
    pooled: dict[str, float] = {}
    for place, day in enumerate(DAYS):
        moment, earlier = venue.moments[2 * place + 1], venue.moments[: 2 * place + 1]
        maps = all_maps(moment, venue.own_model, earlier)
        for side in SIDES:
            found = distances(moment, maps, side)
            pooled = {name: pooled.get(name, 0.0) + value for name, value in found.items()}
            positions = moment.effective_positions(side)
            say(f"seed {seed}, day {day}, {side}: N_eff {positions:.0f}, {as_text(found)}")
    count = len(DAYS) * len(SIDES)
    say(f"seed {seed}, mean: {as_text({name: value / count for name, value in pooled.items()})}")


def as_text(found: dict[str, float]) -> str:
    floor = found["floor"]
    parts = [f"{name} {value:.2f} ({value / floor:.2f}x)" for name, value in found.items() if name != "floor"]
    return f"floor {floor:.2f} %, " + ", ".join(parts)


if __name__ == "__main__":
    for chosen in SEEDS:
        print_seed(chosen)
