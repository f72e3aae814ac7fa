"""What carrying a model over does to the map of a venue that is unlike the one it was fitted on: the figures.

Synthetic: four coins on one path of prices, five ledgers of 6,000 accounts (`tests/compare/shifted_venues`). The model
is fitted on the source's exact maps; liquidations of days 6 to 16 set the level; maps of days 16 to 24 are judged. A
model is of the crowd (each position cut at 0.3 % of open interest, the rest scaled to the mass within reach), so what
must hold is about the crowd's map: within 10 % of the mark modelled lies within 25 % of true, and Wasserstein-1 within
25 % (percent of price, mean of the maps) is no worse than without transfer. Modelled over true notional of the raw map,
where whales stand further away than the crowd, is shown beside it. Bounds are judged on the raw map, at each distance
where they are given, and how wide they are (upper over lower end, median). What a deviation speaks for was learned on
other venues (`make_speaks.py`), none of these. What was simulated is kept in a folder (`--keep`).

    python benchmarks/bench_transfer.py --seeds 301 302 303
"""

import pickle
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.telling import command_line, say
from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.observed.realised import Liquidations, side_of
from liqtruth.compare.transfer.job import STEP
from liqtruth.compare.transfer.sample import Sample, sample_from
from liqtruth.compare.transfer.transfer import carried_over
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.model.model_in_use import bounds_of
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.bounds import MapBounds
from liqtruth.heatmap.clusters.distribution import mass_within
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.writing import write_atomically
from tests.compare.shifted_venues import SOURCE, VENUES, ShiftedMarket, ShiftedVenue, Then

SEEDS: Final = (301, 302, 303)
ACCOUNTS: Final = 6_000
COINS: Final = ("BTC", "ETH", "SOL", "HYPE")
DAYS: Final = (10, 12, 14, 16, 18, 20, 22, 24)
OBSERVED_DAYS: Final = (6, 16)
REACHES_PCT: Final = (10.0, 5.0, 2.0)
LAYERS: Final = ("crowd", "raw")
UNTOUCHED, TRANSFERRED = "as fitted", "transferred"
SHIFTED: Final = ("hedgers", "high-leverage", "isolated")
HYPERLIQUID: Final = venue_named("hyperliquid")
MUST_HOLD: Final = 0.25
FINE_PCT: Final = np.arange(0.25, 25.01, 0.25)
DAY_MS: Final = 86_400_000
FOLDER: Final = Path(tempfile.gettempdir()) / "liqtruth_shifted"


@dataclass(frozen=True, eq=False)
class Judged:
    """One side of one venue drawn in one way: logarithms of modelled over true notional by reach and layer, each summed
    over coins and the judged days; Wasserstein-1 of each map; whether the truth lay within its bounds and how wide they
    were, (maps, distances), nan where they were withheld."""

    venue: str
    way: str
    logs: Mapping[tuple[float, str], float]
    wasserstein_pct: FloatArray
    inside: FloatArray
    widths: FloatArray

    @property
    def mean_w1(self) -> float:
        return float(np.nanmean(self.wasserstein_pct))

    def holds(self, reach: float, layer: str) -> bool:
        return bool(abs(np.expm1(self.logs[reach, layer])) <= MUST_HOLD)


def observed_on(venue: ShiftedVenue, coin: str, coverage: float) -> Liquidations:
    reported, first_ms = venue.reported(coverage, coin), int(venue.series(coin).start.timestamp() * 1000)
    return Liquidations(
        coin=coin,
        long=side_of(reported, "long"),
        short=side_of(reported, "short"),
        spans_ms=np.array([[first_ms + day * DAY_MS for day in OBSERVED_DAYS]]),
        synthetic=True,
    )


def sample(
    venue: ShiftedVenue,
    model: LeverageModel,
    coverage: float = 1.0,
    step: timedelta = STEP,
    coins: Sequence[str] = COINS,
) -> Sample:
    markets = [
        (venue.series(coin), observed_on(venue, coin, coverage), venue.brackets(coin)) for coin in coins
    ]
    return sample_from(venue.kind.name, markets, model, step)


def judged(venue: ShiftedVenue, way: str, model: LeverageModel) -> Iterator[Judged]:
    """Both sides of a venue as the model draws them."""
    maps = [
        (
            then,
            CohortModel(model, brackets=venue.brackets(coin)).fit(then.series, HYPERLIQUID, coin).heatmap(),
        )
        for coin, moments in venue.moments.items()
        for then in moments[DAYS.index(OBSERVED_DAYS[1]) :]
    ]
    for side in SIDES:
        true = [then.within_usd(side, REACHES_PCT) for then, _ in maps]
        modelled = sum(mass_within(drawn, REACHES_PCT, side) for _, drawn in maps)
        ends = [ends_of(bounds_of(model, venue.kind.name, drawn), then, side) for then, drawn in maps]
        yield Judged(
            venue.kind.name,
            way,
            {
                (reach, layer): float(np.log(modelled[place] / sum(one[layer][place] for one in true)))
                for place, reach in enumerate(REACHES_PCT)
                for layer in LAYERS
            },
            np.array([wasserstein_pct(drawn, then, side) for then, drawn in maps]),
            np.stack([inside for inside, _ in ends]),
            np.stack([wide for _, wide in ends]),
        )


def wasserstein_pct(drawn: Heatmap, then: Then, side: str) -> float:
    """From the crowd's map, both scaled to what lies within range."""
    modelled, true = mass_within(drawn, FINE_PCT, side), then.within_usd(side, FINE_PCT)["crowd"]
    if not (modelled[-1] > 0 and true[-1] > 0):
        return float("nan")
    return float(np.abs(modelled / modelled[-1] - true / true[-1]).sum() * FINE_PCT[0])


def ends_of(bounds: MapBounds | None, then: Then, side: str) -> tuple[FloatArray, FloatArray]:
    """Whether the truth lay within, and upper over lower end."""
    nothing = np.full(len(DISTANCES_PCT), np.nan)
    if bounds is None:
        return nothing, nothing
    own = bounds.of(side)
    low, high = (np.array(ends, dtype=np.float64) for ends in (own.low_usd, own.high_usd))
    true = then.within_usd(side, DISTANCES_PCT)["raw"]
    return np.where(np.isnan(low), np.nan, (low <= true) & (true <= high)), high / low


def market_kept(seed: int, accounts: int, folder: Path) -> ShiftedMarket:
    """Of a seed, simulated or as the folder keeps it."""
    path = folder / f"shifted_{seed}_{accounts}.market"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        began = perf_counter()
        write_atomically(path, pickle.dumps(ShiftedMarket.of(seed, accounts, DAYS, coins=COINS)))
        say(f"seed {seed}: simulated in {perf_counter() - began:.0f} s")
    kept: ShiftedMarket = pickle.loads(path.read_bytes())
    return kept


def judge(market: ShiftedMarket) -> list[Judged]:
    """All venues of one seed in all ways; the source as it was fitted."""
    model, source = market.fitted, market.venues[SOURCE]
    reference = sample(source, model)
    found = list(judged(source, UNTOUCHED, model))
    for name in VENUES:
        if name != SOURCE:
            for way, drawn in ways(market.venues[name], model, reference).items():
                found += judged(market.venues[name], way, drawn)
    return found


def ways(venue: ShiftedVenue, model: LeverageModel, reference: Sample) -> dict[str, LeverageModel]:
    """Models by how they were transferred."""

    def over(coverage: float, reference_sample: Sample | None = reference) -> LeverageModel:
        own = sample(venue, model, coverage)
        return carried_over(model, own, reference_sample, coverage=coverage, name="carried").model

    return {
        UNTOUCHED: model,
        TRANSFERRED: over(1.0),
        "coverage 0.3": over(0.3),
        "without reference": over(1.0, None),
    }


def print_pooled(found: Sequence[Judged], seeds: Sequence[int]) -> None:
    say(
        f"seeds {seeds}: modelled over true, geometric mean; how many lie within 25 %; mean |log|; W1 of the maps"
    )
    rows = [*dict.fromkeys((one.venue, one.way) for one in found)]
    for layer, reach in product(LAYERS, REACHES_PCT):
        must = " (what must hold)" if (layer, reach) == (LAYERS[0], REACHES_PCT[0]) else ""
        say(f" {layer}, within {reach:g} % of the mark{must}")
        for row in rows:
            sides = [one for one in found if (one.venue, one.way) == row]
            say(f"  {row[0]:14s} {row[1]:18s} {as_text(sides, reach, layer)}")
    shifted, before = (
        [one for one in found if one.venue in SHIFTED and one.way == way] for way in (TRANSFERRED, UNTOUCHED)
    )
    held = sum(one.holds(REACHES_PCT[0], LAYERS[0]) for one in shifted)
    say(f" three shifts, transferred: {held} of {len(shifted)} sides within 25 % (within 10 %, crowd)")
    worse = [
        f"{one.venue} {one.mean_w1:.2f} ({first.mean_w1:.2f})"
        for one, first in zip(shifted, before, strict=True)
        if one.mean_w1 > first.mean_w1
    ]
    say(f" sides on which W1 is worse than without transfer: {', '.join(worse) or 'none'}")
    say(f" 80 % bounds, transferred, raw map, within {', '.join(f'{pct:g}' for pct in DISTANCES_PCT)} %:")
    for name in (*(name for name in VENUES if name != SOURCE), "all"):
        sides = [one for one in found if one.way == TRANSFERRED and name in (one.venue, "all")]
        say(f"  {name:14s} {bounds_text(sides)}")


def as_text(sides: Sequence[Judged], reach: float, layer: str) -> str:
    logs = np.array([one.logs[reach, layer] for one in sides])
    held = sum(one.holds(reach, layer) for one in sides)
    apart = np.nanmean(np.concatenate([one.wasserstein_pct for one in sides]))
    return f"{np.exp(logs.mean()):.2f}  {held} of {logs.size}  {np.abs(logs).mean():.2f}  {apart:.2f}"


def bounds_text(sides: Sequence[Judged]) -> str:
    inside, widths = (np.concatenate([getattr(one, name) for one in sides]) for name in ("inside", "widths"))
    given = np.isfinite(inside).mean(axis=0)
    cells = [
        (f"{100 * np.nanmean(rows):.0f}", f"{np.nanmedian(wide):.1f}") if share else ("-", "-")
        for rows, wide, share in zip(inside.T, widths.T, given, strict=True)
    ]
    held, wide = (" ".join(each) for each in zip(*cells, strict=True))
    return (
        f"held {held}; given {' '.join(f'{100 * share:.0f}' for share in given)}; upper over lower end {wide}"
    )


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--keep", type=Path, default=FOLDER, help="keeps what was simulated")
    asked = parser.parse_args()
    say(f"synthetic: {asked.accounts} accounts a venue")
    markets = (market_kept(seed, asked.accounts, asked.keep) for seed in asked.seeds)
    print_pooled([one for market in markets for one in judge(market)], asked.seeds)


if __name__ == "__main__":
    main()
