"""The same work by others' algorithms (`peers.py`), by ours, and what bare numpy needs: one process, in turns.

Everything is synthetic. Each takes its turn once a round; printed are the least and the median processor time of the
rounds, as multiples of ours and of the floor, and the median of a second call right after the first: in its turn a
contender finds the caches full of the others' data, called again full of its own. The peers begin with a list of
objects, as they keep positions, and ours with columns, as it keeps them; neither is timed for that.

    python benchmarks/bench_peers.py --rounds 7
"""

import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl

from benchmarks.bench_heatmap import GRID, TEXTS, floor_of, levels_of, made
from benchmarks.bench_solver import listed_of, positions_of, solve_one, tables_of
from benchmarks.peers import Candle, Gelatotrade, Held, Liqmap, hyperdata_buckets, published_price
from benchmarks.telling import command_line, say
from liqtruth.estimator.model.turnover import Turnover
from liqtruth.estimator.over_time.time_evolution import PriceTime, Steps, price_time
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.breakdown import break_down
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.levels import bin_levels
from liqtruth.indexer.maps.exact import DIMENSIONS
from liqtruth.indexer.margin.solver import solve_liquidation_price

PRICES: Final = 100_000
HOURS: Final = 720
OURS: Final = "liqtruth"
Contest = dict[str, Callable[[], Any]]


def binning() -> Contest:
    """200,000 positions of one coin to a map; ours of 1,388 bins a side, mass beyond and never, with every check."""
    levels = levels_of()
    bare = levels.select("side", "px", "notional_usd")
    held = [
        Held("BTC", side, usd / 80_000 * (1 if side == "long" else -1), 80_000.0, 20.0, False, usd, px)
        for side, px, usd in bare.iter_rows()
    ]
    binned = bin_levels(levels, GRID)
    told = binned.with_columns(pl.col(TEXTS).cast(pl.String))
    return {
        "floor: one np.bincount": floor_of(levels),
        OURS: lambda: made(levels, DIMENSIONS),
        "its breakdown by six dimensions of Enum": lambda: break_down(binned, DIMENSIONS),
        "its breakdown, two of text as commands have them": lambda: break_down(told, DIMENSIONS),
        "bare polars group_by of that, not sorted": lambda: grouped(binned),
        "HyperData-Terminal (40 buckets)": lambda: hyperdata_buckets(held, GRID.mark_px, "BTC"),
        "gelatotrade (100 levels)": lambda: Gelatotrade().binned(held, "BTC", GRID.mark_px),
    }


def grouped(binned: pl.DataFrame) -> pl.DataFrame:
    usd = pl.col("notional_usd")
    return binned.group_by("side", "bin", *DIMENSIONS).agg(usd.sum(), pl.len(), usd.max().alias("largest"))


def prices() -> Contest:
    """100,000 liquidation prices on tiered margin tables."""
    tables = tables_of()
    szi, constant_usd, rows = positions_of(tables, PRICES)
    listed = listed_of((szi, constant_usd, rows), tables)
    mark_px = np.abs(constant_usd / szi)
    calculator = Gelatotrade()
    entered = list(
        zip(
            mark_px.tolist(),
            szi.tolist(),
            np.full(PRICES, 10.0).tolist(),
            [False] * PRICES,
            ["BTC"] * PRICES,
            strict=True,
        )
    )
    sides, size = np.sign(szi), np.abs(szi)
    usd = size * mark_px
    published = list(
        zip(
            *(one.tolist() for one in (mark_px, sides, usd / 10, usd, size, np.full(PRICES, 40.0))),
            strict=True,
        )
    )
    return {
        "floor: one pass, a division a position": lambda: constant_usd / szi,
        OURS: lambda: solve_liquidation_price(szi, constant_usd, rows, tables),
        "the same solved in a loop": lambda: [solve_one(*one) for one in listed],
        "gelatotrade (from entry and leverage)": lambda: [calculator.price(*one) for one in entered],
        "the exchange's example (one flat table)": lambda: [published_price(*one) for one in published],
    }


def over_time() -> Contest:
    """720 hourly bars by 1,100 bins, four leverages kept apart, a column a bar.

    Made alike: the same candles, ours with four classes of one leverage each that close at liqmap's half-lives and open
    liqmap's amounts, on a grid of as many bins over the same prices (geometric where liqmap's is linear). liqmap
    adds both sides in 32 bits, ours keeps sides and what was swept apart in 64.
    """
    bars, usd = hourly()
    candles = [
        Candle(*one, turnover_usd=amount)
        for *one, amount in zip(
            np.append(bars.close[0], bars.close[:-1]).tolist(),
            bars.high.tolist(),
            bars.low.tolist(),
            bars.close.tolist(),
            usd.tolist(),
            strict=True,
        )
    ]
    peer = Liqmap(candles, bars.open_interest[1:].tolist())
    tiers = np.array(Liqmap.tiers, dtype=np.float64)
    opened = (usd * np.array(peer.growth) / 2 / bars.close)[:, None] * np.array(Liqmap.split)
    closed = np.tile(1 - 2 ** (-1 / 24 / np.array(Liqmap.half_life_days)), (HOURS, 1))
    turnover, weights = Turnover(opened, closed), np.eye(tiers.size)
    reach = max(
        abs(np.log(edge / bars.close[-1])) for edge in (peer.low, peer.low + peer.step * Liqmap.buckets)
    )
    grid = PriceGrid(
        float(bars.close[-1]), float(np.expm1(2 * reach / Liqmap.buckets) * 1e4), Liqmap.buckets // 2
    )
    factors = (1 - 1 / tiers, 1 + 1 / tiers)

    def ours() -> PriceTime:
        return price_time(bars, turnover, factors, (weights, weights), Steps(np.arange(1, HOURS + 1)), grid)

    theirs = sum(float(matrix[-1].sum()) for matrix in peer.draw())
    drawn = ours()
    share = (drawn.long.on_map[-1].sum() + drawn.short.on_map[-1].sum()) * bars.close[-1] / theirs
    say(f"last column of ours beside liqmap's, in USD: {share:.2f}")
    cells = np.zeros((tiers.size, HOURS, Liqmap.buckets), np.float32)
    return {
        "floor: one pass over liqmap's matrices": lambda: cells * np.float32(0.5),
        OURS: ours,
        "liqmap": lambda: Liqmap(candles, bars.open_interest[1:].tolist()).draw(),
    }


def hourly() -> tuple[Bars, np.ndarray]:
    """A synthetic random walk of hours with open interest, and turnover in USD."""
    rng = np.random.default_rng(20260906)
    close = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.004, HOURS)))
    opened = np.append(close[0], close[:-1])
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.002, HOURS)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.002, HOURS)))
    open_interest = 80_000 * np.exp(np.cumsum(rng.normal(0, 0.005, HOURS + 1)))
    return Bars(high, low, close, open_interest), rng.lognormal(18, 1, HOURS)


CONTESTS: Final = {"binning": binning, "prices": prices, "over_time": over_time}


@dataclass
class Spent:
    """Processor milliseconds of every round: of the call in its turn, and of a second one right after it."""

    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)


def in_turns(contest: Contest, rounds: int) -> dict[str, Spent]:
    """What every round took, by who took it; a first round that is not counted warms up."""
    spent = {name: Spent() for name in contest}
    for turn in range(rounds + 1):
        for name, run in contest.items():
            for times in (spent[name].first, spent[name].again):
                before = time.process_time()
                run()
                if turn:
                    times.append((time.process_time() - before) * 1000)
    return spent


def show(name: str, spent: dict[str, Spent]) -> None:
    floor, ours = (float(np.median(spent[one].first)) for one in (next(iter(spent)), OURS))
    ours_again = float(np.median(spent[OURS].again))
    say(f"\n{inspect.getdoc(CONTESTS[name])}\n")
    say("| who | least, ms | median, ms | of ours | of the floor | again, ms | of ours |")
    say("|---|---|---|---|---|---|---|")
    for who, times in spent.items():
        median, again = float(np.median(times.first)), float(np.median(times.again))
        say(
            f"| {who} | {min(times.first):.2f} | {median:.2f} | {median / ours:.2f} | {median / floor:.1f} "
            f"| {again:.2f} | {again / ours_again:.2f} |"
        )


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("contests", nargs="*", default=list(CONTESTS), metavar="|".join(CONTESTS))
    asked = parser.parse_args()
    for name in asked.contests:
        show(name, in_turns(CONTESTS[name](), asked.rounds))


if __name__ == "__main__":
    main()
