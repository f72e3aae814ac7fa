"""How far liquidation prices of cross positions follow the mark: recorded large accounts, and the sandbox's families.

Of positions whose size stayed within 2 % over about a day, ln(liquidation then / now) over ln(mark then / now): 0 where
the price stayed, 1 where it kept its distance from the mark. Recorded: Hyperliquid 2026-08-20 to 21, BTC, ETH and SOL
(`recorded/hyperliquid/positions-2026-08`; the whole-state map takes no part). Sandbox (synthetic): days on which a mark
moved by 3 % or more, all positions and the tenth of them that is largest.

    python benchmarks/bench_followed.py [--families absolute --seeds 1] [--keep DIR]
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_families import FOLDER, JUDGED, seen_kept
from benchmarks.make_population import ACCOUNTS, DAYS
from benchmarks.telling import command_line
from liqtruth.heatmap.grid import FloatArray

RECORDED: Final = Path(__file__).parents[2] / "shared" / "recorded" / "hyperliquid" / "positions-2026-08"
COINS: Final = ("BTC", "ETH", "SOL")
FEWEST: Final = 50
"""Positions of a snapshot that is whole: the first of BTC is of half the accounts."""
SAME_SIZE: Final = 0.02
LEAST_MOVE: Final = 0.03
LARGEST_PART: Final = 0.10
NAMES: Final = {"addr": "address", "liqPx": "liq_px", "levType": "margin_mode", "notional": "notional_usd"}

Followed = dict[str, FloatArray]
"""Per `winning` and `losing` positions the part of the mark's move."""


def followed(before: pl.DataFrame, after: pl.DataFrame) -> Followed:
    """Frames of one coin: address, szi, mark_px, liq_px, margin_mode."""
    both = before.join(after, on="address", suffix="_after").filter(
        ((pl.col("szi_after") / pl.col("szi") - 1).abs() < SAME_SIZE)
        & (pl.col("margin_mode") == "cross")
        & pl.col("liq_px").is_not_null()
        & pl.col("liq_px_after").is_not_null()
    )
    moved = (both["mark_px_after"] / both["mark_px"]).log().to_numpy()
    part = (both["liq_px_after"] / both["liq_px"]).log().to_numpy() / moved
    winning = np.sign(both["szi"].to_numpy()) == np.sign(moved)
    return {"winning": part[winning], "losing": part[~winning]}


def recorded(folder: Path) -> Iterator[Followed]:
    for coin in COINS:
        marks = pl.read_csv(folder / f"market_{coin}.csv").select("ts", mark_px="mark")
        rows = (
            pl.read_csv(folder / f"positions_{coin}.csv.gz", schema_overrides={"liqPx": pl.Float64})
            .rename(NAMES)
            .join(marks, on="ts")
        )
        whole = [part for _, part in sorted(rows.group_by("ts")) if part.height >= FEWEST]
        yield followed(whole[0], whole[-1])


def synthetic(family: str, seed: int, folder: Path, part: float) -> Iterator[Followed]:
    """From each day to the next, of the largest `part` of positions."""
    seen = seen_kept(family, seed, folder, ACCOUNTS, DAYS)
    for coin in dict.fromkeys(one.coin for one in seen):
        days = [one.positions for one in seen if one.coin == coin]
        for before, after in pairwise(days):
            if abs(np.log(after["mark_px"][0] / before["mark_px"][0])) >= LEAST_MOVE:
                large = pl.col("notional_usd") >= pl.col("notional_usd").quantile(1 - part)
                yield followed(before.filter(large), after)


def say(label: str, each: Sequence[Followed]) -> None:
    for kind in ("winning", "losing"):
        part = np.concatenate([one[kind] for one in each])
        quartiles = " / ".join(f"{value:.2f}" for value in np.quantile(part, [0.25, 0.5, 0.75]))
        stayed, followed_it = np.mean(np.abs(part) < 0.1), np.mean(np.abs(part - 1) < 0.5)
        sys.stdout.write(
            f"{label:<28}{kind:<9}{part.size:>7}{quartiles:>24}{stayed:>10.0%}{followed_it:>12.0%}\n"
        )
        sys.stdout.flush()


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--recorded", type=Path, default=RECORDED)
    parser.add_argument("--families", nargs="*", default=list(JUDGED), choices=JUDGED)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--keep", type=Path, default=FOLDER, help="folder that keeps the markets")
    asked = parser.parse_args()
    columns = f"{'positions':>16}{'quartiles':>24}{'stayed':>10}{'followed':>12}"
    sys.stdout.write(f"{'':<28}{columns}\n")
    say("recorded, large accounts", list(recorded(asked.recorded)))
    for family in asked.families:
        for seed in asked.seeds:
            for part, name in ((1.0, "all"), (LARGEST_PART, "largest")):
                say(f"{family} {seed}, {name}", list(synthetic(family, seed, asked.keep, part)))


if __name__ == "__main__":
    main()
