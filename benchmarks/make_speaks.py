"""How far a venue's liquidations speak for its positions: `SPEAKS`, `LEFT_SD` of `compare/transfer/deviation.py`.

Synthetic: per seed one path of prices, a source whose people are of one family of `sandbox/market/families.py`, and
four venues whose people are the source's or other ones of that family, with 0.5 to 4 times the hedgers, 0.5 to 2 times
the whales, 0.6 to 2 times the retail leverage, another part of isolated margin, and 40 to 125x allowed. A model is
fitted on the source; per venue and side the deviation of liquidations in ten days and the crowd's mass within each
distance on days after them are known. Figures s(l) at `NODES` are those that bring the corrected mass nearest to the
true one (log ratio, Huber's loss, drawn to each other and to zero).

Which nodes may move is chosen by markets left out: every candidate is fitted without one seed and judged on it.

    python benchmarks/make_speaks.py --keep FOLDER
"""

import pickle
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from scipy.optimize import least_squares

from benchmarks.bench_transfer import sample
from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.transfer.deviation import FARTHEST, NODES, SPEAKS
from liqtruth.compare.transfer.flow import mass_by_leverage
from liqtruth.compare.transfer.transfer import Z80
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.writing import write_atomically
from liqtruth.sandbox.market.families import drawn_mix
from liqtruth.sandbox.market.population import HYPERLIQUID_MIX, Centralised, TraderType
from tests.compare.shifted_venues import FORTY, HIGH, ONE_MODE, SOURCE, ShiftedMarket, ShiftedVenue

SEEDS: Final = (1, 2, 3, 4, 11, 12, 13)
FAMILIES: Final = ("absolute", "of-maximum", "of-volatility", "mixed")
"""By seed, so that those above are of all four."""
VENUES: Final = 4
ACCOUNTS: Final = 5_000
COINS: Final = ("BTC", "SOL")
DAYS: Final = (10, 12, 14, 16, 18, 20)
FIRST_JUDGED: Final = 3
TIERS: Final = {
    40: FORTY,
    50: ((0.0, 0.01), (1.2e6, 0.025)),
    75: ((0.0, 0.0065), (300e3, 0.01)),
    100: ((0.0, 0.005), (300e3, 0.01)),
    125: HIGH,
}
STATED: Final = tuple(replace(trader, modes=ONE_MODE) for trader in HYPERLIQUID_MIX)
FITTED_PCT: Final = (2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 25.0)
AT: Final = [DISTANCES_PCT.index(pct) for pct in FITTED_PCT]
PULL: Final = 2.0
HUBER: Final = 0.4
ALL: Final = tuple(range(len(NODES)))
NEAR: Final = tuple(place for place, node in enumerate(NODES) if node >= 40)
CANDIDATES: Final = {
    "nothing": ((), ()),
    "all nodes": (ALL, ALL),
    "more moves 40x and above alone, fewer all": (NEAR, ALL),
    "40x and above alone": (NEAR, NEAR),
}
"""Nodes that may move where more was liquidated than predicted, and where less was."""


@dataclass(frozen=True, eq=False)
class Side:
    """One side of one venue: what a deviation of it counts as, the model's mass (distances, nodes) and the crowd's true
    one (distances,), USD of all coins and judged days."""

    seed: int
    venue: str
    leverage: FloatArray
    deviation: float
    mass: FloatArray
    true: FloatArray

    def missed(self, nodes: FloatArray) -> FloatArray:
        """Logarithm of modelled over true mass per distance, corrected by figures (2, nodes); infinite where nothing
        stands."""
        row = nodes[0] if self.deviation > 0 else nodes[1]
        factor = np.exp(np.interp(np.log(self.leverage), np.log(NODES), row) * self.deviation)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((self.mass @ factor) / self.true))


def kinds_of(seed: int) -> tuple[Centralised, ...]:
    """The source and the venues of a seed."""
    rng = np.random.default_rng([seed, 12])
    family = FAMILIES[(seed % 10 - 1) % len(FAMILIES)]
    first = drawn_mix(family, STATED, rng)
    kinds = [Centralised(SOURCE, first, FORTY, 40, (1, 2))]
    for number in range(VENUES):
        people = first if rng.random() < 0.5 else drawn_mix(family, STATED, rng)
        most = int(rng.choice([40, 40, 50, 75, 100, 125]))
        seeds = (3 + 2 * number, 4 + 2 * number)
        kinds.append(
            Centralised(f"{family}-{number}", shifted(people, rng), TIERS[most], most, seeds, (number + 1,))
        )
    return tuple(kinds)


def shifted(people: Sequence[TraderType], rng: np.random.Generator) -> tuple[TraderType, ...]:
    hedgers, whales, leverage = (
        float(np.exp(rng.uniform(*np.log(ends)))) for ends in ((0.5, 4), (0.5, 2), (0.6, 2))
    )
    isolated, moved = float(rng.uniform(-1, 1)), []
    for trader in people:
        kind = trader.name.split()[-1]
        retail = leverage if kind == "retail" else 1.0
        moved.append(
            replace(
                trader,
                share=trader.share * {"hedger": hedgers, "whale": whales}.get(kind, 1.0),
                leverage=replace(trader.leverage, median=trader.leverage.median * retail),
                isolated_share=trader.isolated_share
                if kind == "hedger"
                else trader.isolated_share + isolated * (1 - trader.isolated_share)
                if isolated > 0
                else trader.isolated_share * (1 + isolated),
            )
        )
    whole = sum(trader.share for trader in moved)
    return tuple(replace(trader, share=trader.share / whole) for trader in moved)


def sides_kept(seed: int, folder: Path, accounts: int) -> list[Side]:
    """Of a seed, simulated or as the folder keeps it."""
    path = folder / f"venues_{seed}_{accounts}.sides"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        market = ShiftedMarket.of(seed, accounts, DAYS, coins=COINS, kinds=kinds_of(seed))
        write_atomically(path, pickle.dumps(sides_of(seed, market)))
        say(f"seed {seed}: simulated")
    kept: list[Side] = pickle.loads(path.read_bytes())
    return kept


def sides_of(seed: int, market: ShiftedMarket) -> list[Side]:
    model = market.fitted
    leverage, found = np.array(model.leverage), []
    reference = sample(market.venues[SOURCE], model, coins=COINS)
    for name, venue in market.venues.items():
        own = sample(venue, model, coins=COINS)
        for side in SIDES:
            known = own.of(side).log_ratio(1.0, 0).beside(reference.of(side).log_ratio(1.0, 0)).shrunk()
            mass = sum(
                (
                    mass_by_leverage(then.series, model, venue.brackets(coin)).of(side)
                    for coin in COINS
                    for then in venue.moments[coin][FIRST_JUDGED:]
                ),
                start=np.zeros((len(DISTANCES_PCT), leverage.size)),
            )
            found.append(Side(seed, name, leverage, known.log, mass, true_usd(venue, side)))
    return found


def true_usd(venue: ShiftedVenue, side: str) -> FloatArray:
    """The crowd's mass within each distance, of all coins and judged days."""
    moments = [then for coin in COINS for then in venue.moments[coin][FIRST_JUDGED:]]
    return np.sum([then.within_usd(side, DISTANCES_PCT)["crowd"] for then in moments], axis=0)


def fitted_nodes(sides: Sequence[Side], moving: tuple[tuple[int, ...], tuple[int, ...]]) -> FloatArray:
    """Figures (2, nodes) that bring the sides nearest; nodes that do not move stay at zero."""
    count = len(moving[0])

    def nodes(values: FloatArray) -> FloatArray:
        found = np.zeros((2, len(NODES)))
        found[0, list(moving[0])], found[1, list(moving[1])] = values[:count], values[count:]
        return found

    def missed(values: FloatArray) -> FloatArray:
        apart = [PULL * np.diff(part) for part in (values[:count], values[count:])]
        found = nodes(values)
        return np.concatenate([*(one.missed(found)[AT] for one in sides), *apart, 0.3 * PULL * values])

    if not any(moving):
        return nodes(np.zeros(0))
    start = np.full(count + len(moving[1]), 0.2)
    return nodes(least_squares(missed, start, loss="soft_l1", f_scale=HUBER).x)


def left_out(sides: Sequence[Side], moving: tuple[tuple[int, ...], tuple[int, ...]]) -> FloatArray:
    """What is missed on each seed by figures of all others, of deviations up to `FARTHEST`."""
    each = [
        of_counted(
            [one for one in sides if one.seed == seed],
            fitted_nodes([one for one in sides if one.seed != seed], moving),
        )
        for seed in sorted({one.seed for one in sides})
    ]
    return np.concatenate(each)


def of_counted(sides: Sequence[Side], nodes: FloatArray) -> FloatArray:
    """What is missed by these figures (sides, distances), of deviations up to `FARTHEST`."""
    counted = [one.missed(nodes) for one in sides if abs(one.deviation) <= FARTHEST]
    return np.array(counted).reshape(-1, len(DISTANCES_PCT))


def spread(missed: FloatArray) -> FloatArray:
    """Standard deviation per distance of a normal distribution with the same 80 %; infinite where nothing stands on
    more than a fifth of sides."""
    return np.asarray(np.quantile(np.abs(missed), 0.8, axis=0, method="inverted_cdf") / Z80)


def say_missed(name: str, missed: FloatArray) -> None:
    within = missed[:, DISTANCES_PCT.index(10.0)]
    held = int((np.abs(np.expm1(within)) <= 0.25).sum())
    middle = float(np.median(within))
    say(
        f"  {as_figures(spread(missed))}  within 10 %: median {middle:+.2f}, "
        f"{held} of {len(missed)} sides within 25 %: {name}"
    )


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path(tempfile.gettempdir()) / "liqtruth_venues",
        help="keeps what was simulated",
    )
    asked = parser.parse_args()
    every = [one for seed in asked.seeds for one in sides_kept(seed, asked.keep, asked.accounts)]
    source, sides = ([one for one in every if (one.venue == SOURCE) == wanted] for wanted in (True, False))
    say(
        f"{len(sides)} sides; left out: spread of ln(modelled / true) within {', '.join(map(str, DISTANCES_PCT))} %"
    )
    say_missed("as shipped, on all", of_counted(sides, np.array(SPEAKS)))
    for name, moving in CANDIDATES.items():
        say_missed(name, left_out(sides, moving))
    chosen = CANDIDATES["more moves 40x and above alone, fewer all"]
    own = spread(np.array([one.missed(np.zeros((2, len(NODES)))) for one in source]))
    left = np.sqrt(np.maximum(spread(left_out(sides, chosen)) ** 2 - own**2, 0.01))
    for row in fitted_nodes(sides, chosen):
        say(f"SPEAKS {as_figures(row)}")
    say(f"LEFT_SD {as_figures(left)}")


def as_figures(values: FloatArray) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
