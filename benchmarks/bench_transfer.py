"""What carrying a model over does to the map of a venue that is unlike the one it was fitted on: the figures.

Synthetic: four coins on one path of prices, five ledgers of 6,000 accounts (`tests/compare/shifted_venues`). The model
is fitted on the source's exact maps; liquidations of days 6 to 16 set the level; maps of days 16 to 24 are judged by
modelled over true notional within a distance of the mark: as it is, and over the same ratio at the source, which is
the fit's own error (it is of the crowd, and moves the whales' mass towards the mark). Constants were chosen on seeds
101, 103 and 104; 102, 105 and 106 were looked at afterwards. Run as a script it prints them; seeds may be given.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from compare.transfer.carried import CARRIED, carried_over
from compare.transfer.heard import Heard
from compare.transfer.record import Transferred
from compare.transfer.sample import Sample, sample_from
from compare.transfer.tilted import Z80
from compare.transfer.transferred import STEP
from estimator.leverage_model import LeverageModel
from estimator.venues import venue_named
from estimator.vintage_model import VintageModel
from heatmap.grid import PriceGrid
from heatmap.levels import SIDES
from tests.compare.shifted_venues import SOURCE, VENUES, ShiftedMarket, ShiftedVenue, Then

CHOSEN_ON, CONFIRMED_ON = (101, 103, 104), (102, 105, 106)
ACCOUNTS: Final = 6_000
COINS: Final = ("BTC", "ETH", "SOL", "HYPE")
DAYS: Final = (10, 12, 14, 16, 18, 20, 22, 24)
HEARD_DAYS: Final = (6, 16)
REACHES_PCT: Final = (2.0, 5.0, 10.0)
DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Ratio:
    """Modelled over true on one side of one seed: logarithm, that of the source, and the 80 % error that is told."""

    log: float
    log_of_source: float
    told: float

    @property
    def transferred(self) -> float:
        """What is not the source's own."""
        return self.log - self.log_of_source


Ratios = dict[tuple[str, str, float], list[Ratio]]
"""By venue, way and reach: one for each seed and side."""


def heard_on(venue: ShiftedVenue, coin: str, coverage: float) -> Heard:
    told, first_ms = venue.told(coverage, coin), int(venue.series(coin).start.timestamp() * 1000)
    return Heard(
        coin=coin,
        ts_ms=told["ts"].dt.epoch("ms").to_numpy(),
        is_long=(told["side"] == "long").to_numpy(),
        coins=told["coins"].to_numpy(),
        spans_ms=np.array([[first_ms + day * DAY_MS for day in HEARD_DAYS]]),
        synthetic=True,
    )


def sample(
    venue: ShiftedVenue, model: LeverageModel, coverage: float = 1.0, step: timedelta = STEP
) -> Sample:
    markets = [(venue.series(coin), heard_on(venue, coin, coverage), venue.brackets(coin)) for coin in COINS]
    return sample_from(venue.kind.name, markets, model, step)


def within_usd(venue: ShiftedVenue, model: LeverageModel) -> dict[tuple[str, float], tuple[float, float]]:
    """Modelled and true notional by side and reach, summed over coins and the judged days."""
    found = {(side, reach): (0.0, 0.0) for side in SIDES for reach in REACHES_PCT}
    for coin, moments in venue.moments.items():
        for day, then in zip(DAYS, moments, strict=True):
            if day < HEARD_DAYS[1]:
                continue
            drawn = drawn_usd(venue, coin, then, model)
            for key, (modelled, true) in found.items():
                found[key] = (modelled + drawn[key], true + then.within_usd(*key))
    return found


def drawn_usd(
    venue: ShiftedVenue, coin: str, then: Then, model: LeverageModel
) -> Mapping[tuple[str, float], float]:
    market = venue_named("hyperliquid")
    drawn = VintageModel(model, brackets=venue.brackets(coin)).fit(then.series, market, coin).heatmap()
    return {
        (side, reach): float(
            (drawn.long_usd if side == "long" else drawn.short_usd)[near(drawn.grid, reach)].sum()
        )
        for side in SIDES
        for reach in REACHES_PCT
    }


def near(grid: PriceGrid, reach_pct: float) -> np.ndarray:
    return np.asarray(np.abs(np.sqrt(grid.edges[1:] * grid.edges[:-1]) / grid.mark_px - 1) < reach_pct / 100)


def run_seed(seed: int, pooled: Ratios) -> None:
    began = perf_counter()
    market = ShiftedMarket.of(seed, ACCOUNTS, DAYS, coins=COINS)
    model, source = market.fitted, market.venues[SOURCE]
    own = within_usd(source, model)
    reference = sample(source, model)
    say(f"seed {seed}: simulated and fitted in {perf_counter() - began:.0f} s; source, modelled over true: "
        + ", ".join(f"{side} {reach:g} % {own[side, reach][0] / own[side, reach][1]:.2f}"
                    for side in SIDES for reach in REACHES_PCT))  # fmt: skip
    for name in VENUES:
        if name != SOURCE:
            for way, drawn in ways(market.venues[name], model, reference).items():
                for (side, reach), (modelled, true) in within_usd(market.venues[name], drawn).items():
                    logs = [
                        float(np.log(part / whole)) for part, whole in ((modelled, true), own[side, reach])
                    ]
                    found = Ratio(logs[0], logs[1], told_error(drawn, side))
                    pooled.setdefault((name, way, reach), []).append(found)


def told_error(model: LeverageModel, side: str) -> float:
    """Half the width of the level's 80 % interval; none for a model that was not transferred."""
    return Z80 * model.correction.level_sd[SIDES.index(side)] if model.correction is not None else 0.0


def ways(venue: ShiftedVenue, model: LeverageModel, reference: Sample) -> dict[str, LeverageModel]:
    """Models by how they were carried over."""

    def over(
        coverage: float, carried: float, step: timedelta = STEP, *, doubled: bool = True
    ) -> LeverageModel:
        held = reference if doubled else None
        done: Transferred = carried_over(model, sample(venue, model, coverage, step), held,
                                         coverage=coverage, carried=carried, name="carried")  # fmt: skip
        return done.model

    return {
        "as fitted": model,
        f"carried {CARRIED:.0%}": over(1.0, CARRIED),
        "carried 100%": over(1.0, 1.0),
        f"carried {CARRIED:.0%}, coverage 0.3": over(0.3, CARRIED),
        f"carried {CARRIED:.0%}, without reference": over(1.0, CARRIED, doubled=False),
    }


def print_pooled(pooled: Ratios, seeds: tuple[int, ...]) -> None:
    say(
        f"seeds {seeds}: modelled over true (geometric mean, how many within 30 %); the same over the source's own, "
        "with mean |log|; and how many of the latter lie within the 80 % interval of the level that is told"
    )
    for (name, way, reach), ratios in pooled.items():
        say(f"  {name:14s} {way:32s} {reach:4g} %: {as_text(np.array([one.log for one in ratios]))}; "
            f"{as_text(apart := np.array([one.transferred for one in ratios]))}, {np.abs(apart).mean():.2f}; "
            f"{int((np.abs(apart) <= [one.told for one in ratios]).sum())}")  # fmt: skip


def as_text(logs: np.ndarray) -> str:
    return f"{np.exp(logs.mean()):.2f} ({int((np.abs(np.expm1(logs)) <= 0.3).sum())} of {logs.size})"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = tuple(int(text) for text in sys.argv[1:])
    for seeds in (given,) if given else (CHOSEN_ON, CONFIRMED_ON):
        ratios: Ratios = {}
        for chosen in seeds:
            run_seed(chosen, ratios)
        print_pooled(ratios, seeds)
