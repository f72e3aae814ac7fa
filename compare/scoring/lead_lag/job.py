"""From what is stored to the answer whether Hyperliquid's exact map leads the liquidations of a venue."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.observed.mark_path import load_path
from liqtruth.compare.observed.price_path import PricePath
from liqtruth.compare.observed.realised import Realised, load_realised
from liqtruth.compare.scoring.lead_lag.lead_lag import SHUFFLES, Lead, lead_of
from liqtruth.compare.scoring.lead_lag.swept_steps import StepClock, step_clock, swept_steps
from liqtruth.compare.scoring.visits.major_zones import exact_maps_between
from liqtruth.estimator.moments import hours, of_ms, utc_text
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.notes import texts
from liqtruth.indexer.maps.exact import STALE_AGE_S
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

SCHEMA: Final = "liqtruth.leads/1"
STEP: Final = timedelta(minutes=15)
MAX_LAG: Final = 12
STALE: Final = timedelta(seconds=STALE_AGE_S)


class LeadReport(msgspec.Struct, frozen=True):
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
    notes: tuple[str, ...]

    def describe(self) -> list[str]:
        """The answer in words, and what must be known beside it."""
        return [self.answer, *self.notes]


@dataclass(frozen=True)
class LeadPlan:
    """What to hold against what; null times mean all that is stored."""

    coin: str
    venue: str
    start: datetime | None = None
    end: datetime | None = None
    step: timedelta = STEP
    max_lag: int = MAX_LAG
    shuffles: int = SHUFFLES
    seed: int = 0


def leads_stored(
    store: Store, plan: LeadPlan, on_progress: Callable[[float], None] = lambda share: None
) -> LeadReport:
    """Raises `MissingData` where maps, prices or liquidations are lacking or cover too few days, `UnknownCoin`."""
    venue = venue_named(plan.venue)
    realised = load_realised(store, venue, plan.coin, plan.start, plan.end)
    asked = _asked(realised, plan)
    clock = step_clock(*asked, plan.step)
    first, last = of_ms(int(clock.start_ms[0])), of_ms(int(clock.end_ms[-1]))
    maps = exact_maps_between(store, plan.coin, first - STALE, last, plan.step, on_progress)
    if not maps:
        raise MissingData(
            f"no exact map of {plan.coin} is stored from {utc_text(first)} to {utc_text(last)}, when liquidations of "
            f"{venue.name} were listened to: let `liqtruth index watch` run beside `liqtruth feed watch`"
        )
    prices_of, path = _prices(store, plan, first, last)
    swept = swept_steps(maps, path, clock, own_prices=prices_of == VENUE)
    leads = _leads(swept.usd, _liquidated(realised, clock, *asked), swept.move, clock, plan)
    return LeadReport(
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
            f"{len(maps)} exact maps of {VENUE}, swept by the prices of {prices_of} in bars of {path.bar_min:g} min; "
            f"a map counts for {hours(STALE)} after its reading",
            path.bars.prices().text,
            "correlations of ranks, rid of their day's mean and of the rank of the step's own move to the side; lag 1 "
            "holds what was swept in a step against the liquidations of the next",
            "null: whole days of liquidations shuffled; the p-value is of the highest correlation over all lags",
            *texts(realised.said),
        ),
    )


def lead_sentence(lead: Lead, venue: str, step: timedelta) -> str:
    """The answer in one sentence."""
    if lead.p_value is None or lead.best_lag is None or lead.best is None:
        return f"Not known: {lead.why}."
    steps = f"{abs(lead.best_lag)} step{'s' if abs(lead.best_lag) > 1 else ''}"
    apart = f"{steps} ({hours(abs(lead.best_lag) * step) if step >= timedelta(hours=1) else _minutes(lead, step)})"
    sure = f"p = {lead.p_value:.3f}, {lead.exceeding} of {lead.shuffles} shuffles reach it at any lag"
    said = {
        "leads": f"The exact map leads {venue} by {apart}",
        "lags": f"The exact map lags {venue} by {apart}",
        "same step": f"The exact map neither leads nor lags {venue}: both go together within a step",
        "neither": f"The exact map neither leads nor lags {venue}: no lag stands out from shuffled days",
    }[lead.answer]
    here = lead.partial[lead.lags.index(0)]
    beside = "" if lead.best_lag == 0 or here is None else f", {here:.2f} at lag 0"
    return (
        f"{said} (highest partial rank correlation {lead.best:.2f} at lag {lead.best_lag}{beside}; {sure})."
    )


def _minutes(lead: Lead, step: timedelta) -> str:
    return f"{abs(lead.best_lag or 0) * step / timedelta(minutes=1):g} min"


def _asked(realised: Realised, plan: LeadPlan) -> tuple[int, int]:
    """From the first to the last moment that was listened to, within what was asked for, in epoch milliseconds."""
    first, last = int(realised.spans_ms[:, 0].min()), int(realised.spans_ms[:, 1].max())
    if plan.start is not None:
        first = max(first, round(1000 * plan.start.timestamp()))
    if plan.end is not None:
        last = min(last, round(1000 * plan.end.timestamp()))
    if last <= first:
        raise MissingData(f"no liquidations of {plan.venue} {plan.coin} were listened to in that time")
    return first, last


def _prices(store: Store, plan: LeadPlan, first: datetime, last: datetime) -> tuple[str, PricePath]:
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
    """USD per side and step, NaN in steps that were not listened to or lie outside what was asked for."""
    heard = realised.heard(clock.start_ms, clock.end_ms)
    heard &= (clock.start_ms >= first_ms) & (clock.end_ms <= last_ms)
    rows = []
    for side in SIDES:
        events = realised.of(side)
        first, last = events.within(clock.start_ms, clock.end_ms)
        rows.append(np.where(heard, events.risen_usd[last] - events.risen_usd[first], np.nan))
    return np.stack(rows)


def _leads(
    swept: FloatArray, realised: FloatArray, move: FloatArray, clock: StepClock, plan: LeadPlan
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
