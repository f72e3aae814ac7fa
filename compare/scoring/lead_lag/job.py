"""From what is stored to the answer whether Hyperliquid's exact map leads the liquidations of a venue.

What price swept is taken step by step. Each step stands on the last map that was read before it began. From one reading
to the next a level is swept once: the mass of a step is what lies between the furthest price since the reading before
the step and that after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.observed.price_path import PricePath, load_path
from liqtruth.compare.observed.realised import Realised, load_realised
from liqtruth.compare.scoring.lead_lag.lead_lag import SHUFFLES, Lead, lead_of
from liqtruth.compare.scoring.realised.map_series import swept_by_map
from liqtruth.compare.scoring.visits.major_zones import exact_maps_between
from liqtruth.compare.statistics.intervals import DAY_MS
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Notes, note, texts
from liqtruth.heatmap.words.text import hours, of_ms, utc_text
from liqtruth.indexer.maps.exact import STALE_AGE_S
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

SCHEMA: Final = "liqtruth.leads/1"
STEP: Final = timedelta(minutes=15)
MAX_LAG: Final = 12
STALE: Final = timedelta(seconds=STALE_AGE_S)


class LeadLagReport(msgspec.Struct, frozen=True):
    """The answer for both sides together, then longs and shorts."""

    schema: str
    coin: str
    venue: str
    synthetic: bool
    start: datetime
    end: datetime
    step_min: float
    maps: int
    prices_of: str
    seed: int
    answer: str
    leads: tuple[Lead, ...]
    notes: Notes

    def describe(self) -> list[str]:
        """The answer in words, and what must be known beside it."""
        return [self.answer, *texts(self.notes)]


@dataclass(frozen=True)
class LeadLagPlan:
    """What to compare with what; null times mean all that is stored."""

    coin: str
    venue: str
    start: datetime | None = None
    end: datetime | None = None
    step: timedelta = STEP
    max_lag: int = MAX_LAG
    shuffles: int = SHUFFLES
    seed: int = 0


def lead_lag_stored(
    store: Store, plan: LeadLagPlan, on_progress: Callable[[float], None] = lambda share: None
) -> LeadLagReport:
    """Raises `MissingData` where maps, prices or liquidations are lacking or cover too few days, `UnknownCoin`."""
    store, venue = store.view(), venue_named(plan.venue)
    realised = load_realised(store, venue, plan.coin, plan.start, plan.end)
    asked = _asked(realised, plan)
    clock = step_clock(*asked, plan.step)
    first, last = of_ms(int(clock.start_ms[0])), of_ms(int(clock.end_ms[-1]))
    maps = exact_maps_between(store, plan.coin, first - STALE, last, plan.step, on_progress)
    if not maps:
        raise MissingData(
            f"no exact map of {plan.coin} is stored from {utc_text(first)} to {utc_text(last)}, when liquidations of "
            f"{venue.name} were observed: let `liqtruth index watch` run beside `liqtruth feed watch`"
        )
    prices_of, path = _prices(store, plan, first, last)
    swept = swept_steps(maps, path, clock, own_prices=prices_of == VENUE)
    leads = _leads(swept.usd, _liquidated(realised, clock, *asked), swept.move, clock, plan)
    return LeadLagReport(
        schema=SCHEMA,
        coin=plan.coin,
        venue=venue.name,
        synthetic=realised.synthetic or any(heatmap.synthetic for heatmap in maps),
        start=first,
        end=last,
        step_min=plan.step / timedelta(minutes=1),
        maps=len(maps),
        prices_of=prices_of,
        seed=plan.seed,
        answer=lead_sentence(leads[0], venue.name, plan.step),
        leads=leads,
        notes=(
            note(
                "exact_maps_swept",
                maps=len(maps),
                venue=VENUE,
                prices_of=prices_of,
                bar_min=path.bar_min,
                counts_for=hours(STALE),
            ),
            path.bars.prices(),
            note("correlated_within_days"),
            note("null_of_shuffled_days"),
            *realised.notes,
        ),
    )


@dataclass(frozen=True, eq=False)
class StepClock:
    """Steps of `step_ms` through whole days (UTC); `start_ms` is of shape (days * per_day,)."""

    start_ms: IntArray
    step_ms: int

    @property
    def per_day(self) -> int:
        return DAY_MS // self.step_ms

    @property
    def end_ms(self) -> IntArray:
        return self.start_ms + self.step_ms

    def by_day(self, values: FloatArray) -> FloatArray:
        """A series of the steps as (..., days, per_day)."""
        return values.reshape(*values.shape[:-1], -1, self.per_day)


@dataclass(frozen=True, eq=False)
class SweptSteps:
    """Longs, then shorts, of shape (2, steps): USD swept, and how far price went to that side of where it came from
    (log price); NaN where prices are lacking or no map was read in the `STALE_AGE_S` before."""

    usd: FloatArray
    move: FloatArray


def step_clock(first_ms: int, last_ms: int, step: timedelta) -> StepClock:
    """All steps of the days from one moment to another; raises `BadInput` for a step that does not divide a day."""
    step_ms = round(step / timedelta(milliseconds=1))
    if not 0 < step_ms <= DAY_MS // 4 or DAY_MS % step_ms:
        raise BadInput(
            f"a step of {step} does not divide a day into four or more: take e.g. --step 15m or 1h"
        )
    first, stop = first_ms // DAY_MS * DAY_MS, -(-last_ms // DAY_MS) * DAY_MS
    return StepClock(np.arange(first, stop, step_ms), step_ms)


def swept_steps(maps: Sequence[Heatmap], path: PricePath, clock: StepClock, own_prices: bool) -> SweptSteps:
    """Sweep `maps` (by time) with the prices of `path`, which are scaled to each map's mark unless they are its own."""
    low, high = path.extremes(clock.start_ms, clock.end_ms)
    came_from = path.middle_at(clock.start_ms)
    usd = np.full((2, clock.start_ms.size), np.nan)
    read_ms = np.array([round(1000 * heatmap.as_of.timestamp()) for heatmap in maps], dtype=np.int64)
    begins = np.searchsorted(clock.start_ms, read_ms)
    stale = np.searchsorted(clock.start_ms, read_ms + round(1000 * STALE_AGE_S), side="right")
    ends = np.minimum(np.append(begins[1:], clock.start_ms.size), stale)
    scales = np.ones(len(maps)) if own_prices else _marks(maps) / path.middle_at(read_ms)
    for heatmap, scale, begin, end in zip(maps, scales, begins, ends, strict=True):
        if end > begin:
            span = slice(int(begin), int(end))
            usd[:, span] = _swept(heatmap, low[span] * scale, high[span] * scale)
    move = np.stack([np.log(came_from / low), np.log(high / came_from)])
    return SweptSteps(usd, np.where(np.isfinite(usd), np.maximum(move, 0.0), np.nan))


def _swept(heatmap: Heatmap, low: FloatArray, high: FloatArray) -> FloatArray:
    """Of the steps of one reading; a step after one without prices is not known either, its share is not known."""
    swept = swept_by_map(heatmap)
    known = np.isfinite(low)
    after_known = known & np.append(True, known[:-1])
    rows = []
    for side, extremes, furthest in zip(SIDES, (low, high), (np.fmin, np.fmax), strict=True):
        reached = furthest.accumulate(np.append(heatmap.mark_px, extremes))
        mass = swept(side, np.zeros(reached.size, dtype=np.int64), reached)
        rows.append(np.where(after_known, np.maximum(np.diff(mass), 0.0), np.nan))
    return np.stack(rows)


def _marks(maps: Sequence[Heatmap]) -> FloatArray:
    return np.array([heatmap.mark_px for heatmap in maps])


def lead_sentence(lead: Lead, venue: str, step: timedelta) -> str:
    """The answer in one sentence."""
    if lead.p_value is None or lead.best_lag is None or lead.best is None:
        return f"Not known: {lead.why}."
    steps = f"{abs(lead.best_lag)} step{'s' if abs(lead.best_lag) > 1 else ''}"
    apart = f"{steps} ({hours(abs(lead.best_lag) * step) if step >= timedelta(hours=1) else _minutes(lead, step)})"
    sure = f"p = {lead.p_value:.3f}, {lead.exceeding} of {lead.shuffles} shuffles reach it at any lag"
    relation = {
        "leads": f"The exact map leads {venue} by {apart}",
        "lags": f"The exact map lags {venue} by {apart}",
        "same step": f"The exact map neither leads nor lags {venue}: both go together within a step",
        "neither": f"The exact map neither leads nor lags {venue}: no lag stands out from shuffled days",
    }[lead.answer]
    here = lead.partial[lead.lags.index(0)]
    beside = "" if lead.best_lag == 0 or here is None else f", {here:.2f} at lag 0"
    return f"{relation} (highest partial rank correlation {lead.best:.2f} at lag {lead.best_lag}{beside}; {sure})."


def _minutes(lead: Lead, step: timedelta) -> str:
    return f"{abs(lead.best_lag or 0) * step / timedelta(minutes=1):g} min"


def _asked(realised: Realised, plan: LeadLagPlan) -> tuple[int, int]:
    """From the first to the last moment that was observed, within what was asked for, in epoch milliseconds."""
    first, last = int(realised.spans_ms[:, 0].min()), int(realised.spans_ms[:, 1].max())
    if plan.start is not None:
        first = max(first, round(1000 * plan.start.timestamp()))
    if plan.end is not None:
        last = min(last, round(1000 * plan.end.timestamp()))
    if last <= first:
        raise MissingData(f"no liquidations of {plan.venue} {plan.coin} were observed in that time")
    return first, last


def _prices(store: Store, plan: LeadLagPlan, first: datetime, last: datetime) -> tuple[str, PricePath]:
    """Hyperliquid's own prices where they are fine enough, else the venue's."""
    for name in dict.fromkeys((VENUE, plan.venue)):
        try:
            path = PricePath(load_path(store, name, plan.coin, first - STALE, last))
        except NothingStored:
            continue
        if path.bar_min <= plan.step / timedelta(minutes=1):
            return name, path
    minutes = plan.step / timedelta(minutes=1)
    raise MissingData(
        f"no candles of {VENUE} or {plan.venue} {plan.coin} in bars of at most {minutes:g} min are stored: "
        f"`liqtruth feed fetch {VENUE} {plan.coin} --interval 5m`, or take a longer --step"
    )


def _liquidated(realised: Realised, clock: StepClock, first_ms: int, last_ms: int) -> FloatArray:
    """USD per side and step, NaN in steps that were not observed or lie outside what was asked for."""
    observed = realised.observed(clock.start_ms, clock.end_ms)
    observed &= (clock.start_ms >= first_ms) & (clock.end_ms <= last_ms)
    rows = []
    for side in SIDES:
        events = realised.of(side)
        first, last = events.within(clock.start_ms, clock.end_ms)
        rows.append(np.where(observed, events.risen_usd[last] - events.risen_usd[first], np.nan))
    return np.stack(rows)


def _leads(
    swept: FloatArray, realised: FloatArray, move: FloatArray, clock: StepClock, plan: LeadLagPlan
) -> tuple[Lead, ...]:
    parts = [("both", swept.sum(axis=0), realised.sum(axis=0), move.max(axis=0))]
    parts += [(side, swept[at], realised[at], move[at]) for at, side in enumerate(SIDES)]
    return tuple(
        lead_of(
            side,
            *(clock.by_day(series) for series in of_side),
            max_lag=plan.max_lag,
            shuffles=plan.shuffles,
            seed=plan.seed,
        )
        for side, *of_side in parts
    )
