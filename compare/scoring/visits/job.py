"""From what is stored to the score of visits: maps over time, prices after them, exact maps beside, common claims."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.drawn import drawn_series
from liqtruth.compare.observed.price_path import PricePath, last_bar_end, load_path
from liqtruth.compare.observed.surroundings import load_atr
from liqtruth.compare.scoring.realised.map_series import EXACT
from liqtruth.compare.scoring.visits.alignment import Alignment, align, paired
from liqtruth.compare.scoring.visits.claims import Answer, answers, split_answers
from liqtruth.compare.scoring.visits.groups import (
    ATR,
    CONFLUENCE,
    GroupRow,
    Marks,
    MoveRow,
    score_groups,
    score_moves,
    windows_showing,
)
from liqtruth.compare.scoring.visits.major_zones import (
    TOP,
    MajorZones,
    exact_maps_between,
    refuse_empty,
    zones_of_maps,
    zones_of_series,
)
from liqtruth.compare.scoring.visits.visits import (
    HORIZONS_H,
    TOLERANCE_PCT,
    VOLATILITY_BACK_MS,
    VisitRow,
    at_the_mark,
    score_visits,
    visit_sentence,
)
from liqtruth.compare.statistics.distances import RANGE_PCT
from liqtruth.estimator.model.maps import named_model
from liqtruth.estimator.over_time.price_time import SHORTEST_LEAD
from liqtruth.estimator.series.series import WINDOWS
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.words.notes import SYNTHETIC_NOTES, Notes, note, of_codes, texts
from liqtruth.heatmap.words.text import hours, of_ms, utc_text
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

SCHEMA: Final = "liqtruth.visits/1"
AGES: Final = ("<24h", "<7d")
"""What the windows of 24 h and 7 d show; all of it stands for 30 d."""
ALL_OF_WINDOW: Final = 20
STEP: Final = timedelta(hours=6)
DEFAULT_VENUE: Final = "binance"


class VisitReport(msgspec.Struct, frozen=True):
    """Everything about visits. `alignment` is null for exact maps themselves and where none are stored."""

    schema: str
    coin: str
    venue: str
    model: str
    synthetic: bool
    start: datetime
    end: datetime
    step_h: float
    moments: int
    top: int
    within_pct: float
    tolerance_pct: float
    seed: int
    at_mark: int
    visits: tuple[VisitRow, ...]
    alignment: Alignment | None
    claims: tuple[Answer, ...]
    groups: tuple[GroupRow, ...]
    moves: MoveRow | None
    notes: Notes

    def describe(self) -> list[str]:
        """What the tables have no room for."""
        return [visit_sentence(row) for row in self.visits if row.side == "both"] + list(texts(self.notes))


@dataclass(frozen=True)
class VisitPlan:
    """What to score; null times mean all that is stored. `venue` is by default that of the model."""

    coin: str
    venue: str | None = None
    model: str = "vintages"
    weights: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    step: timedelta = STEP
    top: int = TOP
    within_pct: float = RANGE_PCT
    tolerance_pct: float = TOLERANCE_PCT
    seed: int = 0

    @property
    def priced_on(self) -> str:
        """The venue whose maps and prices these are; raises `BadInput` for exact maps of another than Hyperliquid."""
        if self.model != EXACT:
            return venue_named(self.venue or DEFAULT_VENUE).name
        if self.venue not in (None, VENUE):
            raise BadInput(f"exact maps are those of {VENUE}, not of {self.venue}: leave --venue out")
        if self.weights is not None:
            raise BadInput(f"--weights {self.weights}: exact maps have none")
        return VENUE


def visits_stored(
    store: Store, plan: VisitPlan, on_progress: Callable[[float], None] = lambda share: None
) -> VisitReport:
    """Score the plan on what is stored.

    Raises `MissingData` where no map or no price is there, `BadInput` for what cannot be asked, and as `model_series`.
    """
    store, venue = store.view(), plan.priced_on
    if plan.model != EXACT:
        model, weights = named_model(plan.model, plan.weights, store.settings.data_dir)
        plan = replace(plan, model=model, weights=weights)
    zones, exact, notes, synthetic = _zones(store, plan, venue, on_progress)
    marks, why = _marks(store, plan, venue, zones)
    path = _path(store, plan, venue, zones)
    visits = score_visits(zones, path, tolerance_pct=plan.tolerance_pct, seed=plan.seed)
    alignment, no_exact = _alignment(zones, exact, plan)
    groups = score_groups(zones, path, marks, tolerance_pct=plan.tolerance_pct, seed=plan.seed)
    moves = score_moves(zones, path, plan.seed)
    return VisitReport(
        schema=SCHEMA,
        coin=plan.coin,
        venue=venue,
        model=plan.model if plan.weights is None else f"{plan.model} ({plan.weights})",
        synthetic=synthetic,
        start=of_ms(int(zones.times_ms[0])),
        end=of_ms(int(zones.times_ms[-1])),
        step_h=plan.step / timedelta(hours=1),
        moments=zones.moments,
        top=plan.top,
        within_pct=plan.within_pct,
        tolerance_pct=plan.tolerance_pct,
        seed=plan.seed,
        at_mark=at_the_mark(zones, plan.tolerance_pct),
        visits=visits,
        alignment=alignment,
        claims=(*answers(visits, alignment, no_exact), *split_answers(groups, moves, why)),
        groups=groups,
        moves=moves,
        notes=(
            *_reading_notes(plan, zones, path),
            *(note("not_grouped", by=by, why=one) for by, one in why.items()),
            *notes,
        ),
    )


def _zones(
    store: Store, plan: VisitPlan, venue: str, on_progress: Callable[[float], None]
) -> tuple[MajorZones, list[Heatmap], Notes, bool]:
    """Zones of the plan's maps, the exact maps of the same time, the maps' own notes, and whether they are
    of the sandbox."""
    if plan.model == EXACT:
        maps = exact_maps_between(store, plan.coin, plan.start, plan.end, plan.step, on_progress)
        if not maps:
            raise MissingData(
                f"no exact map of {plan.coin} is stored in that time: `liqtruth index watch` or `index import`"
            )
        zones = zones_of_maps(maps, plan.top, plan.within_pct)
        refuse_empty(zones, f"{venue} {plan.coin}")
        return zones, maps, _synthetic(one.coverage for one in maps), any(one.synthetic for one in maps)
    start, end = _span(store, plan, venue)
    series = drawn_series(
        store, plan.coin, venue, plan.model, end - start, plan.step, weights=plan.weights, at=end
    )
    zones = zones_of_series(series, plan.top, plan.within_pct)
    refuse_empty(zones, f"{venue} {plan.coin} {plan.model}")
    exact = _exact_beside(store, plan, zones, on_progress)
    synthetic = _synthetic(coverage for coverage in series.coverage if coverage is not None)
    quality = (finding.of("input") for finding in series.quality)
    return zones, exact, (*synthetic, *quality, *series.assumptions), series.synthetic


def _marks(store: Store, plan: VisitPlan, venue: str, zones: MajorZones) -> tuple[Marks, dict[str, str]]:
    """What zones are grouped by, and the reason for each of it that is not known."""
    first, last = (of_ms(int(zones.times_ms[at])) for at in (0, -1))
    atr_pct = load_atr(store, venue, plan.coin, first, last).at(zones.times_ms)
    why = (
        {}
        if np.isfinite(atr_pct).any()
        else {ATR: f"no 60 h of candles of {venue} are stored before any map"}
    )
    if plan.model == EXACT:
        return Marks(atr_pct), {**why, CONFLUENCE: "exact maps have no windows"}
    try:
        shown = windows_showing(zones, [_window_zones(store, plan, venue, zones, age) for age in AGES])
    except BadInput as error:
        return Marks(atr_pct), {**why, CONFLUENCE: str(error)}
    return Marks(atr_pct, shown), why


def _window_zones(store: Store, plan: VisitPlan, venue: str, zones: MajorZones, age: str) -> MajorZones:
    """Zones of what was opened so shortly before each moment; smaller ones count too."""
    first, last = (of_ms(int(zones.times_ms[at])) for at in (0, -1))
    length = max(last - first, plan.step)
    series = drawn_series(
        store, plan.coin, venue, plan.model, length, plan.step, weights=plan.weights, age=age, at=last
    )
    return zones_of_series(series, ALL_OF_WINDOW, plan.within_pct)


def _exact_beside(
    store: Store, plan: VisitPlan, zones: MajorZones, on_progress: Callable[[float], None]
) -> list[Heatmap]:
    """Exact maps of the time of the model's; none where nothing of the coin was ever read."""
    ends = (of_ms(int(zones.times_ms[at])) for at in (0, -1))
    begin, until = ends
    try:
        return exact_maps_between(
            store, plan.coin, begin - plan.step / 2, until + plan.step / 2, plan.step, on_progress
        )
    except (NothingStored, UnknownCoin):
        return []


def _span(store: Store, plan: VisitPlan, venue: str) -> tuple[datetime, datetime]:
    """All that is stored but the warm-up, at most the longest window; raises `MissingData` where that is too little."""
    files = store.lake.series_files("candles", venue, plan.coin)
    first = min((file.first_at for file in files), default=None)
    if first is None or (plan.end is not None and first > plan.end):
        raise NothingStored(
            f"no candles of {venue} {plan.coin} are stored: `liqtruth feed fetch {venue} {plan.coin} --days 90`"
        )
    end = plan.end or last_bar_end(store, venue, plan.coin)
    assert end is not None
    start = plan.start or max(first, end - max(WINDOWS.values())) + SHORTEST_LEAD
    if end - start < plan.step:
        raise MissingData(
            f"{venue} {plan.coin}: {utc_text(start)} to {utc_text(end)} is less than a step of {hours(plan.step)}; the "
            f"first {hours(SHORTEST_LEAD)} stored are warm-up, fetch or import a longer history"
        )
    return start, end


def _path(store: Store, plan: VisitPlan, venue: str, zones: MajorZones) -> PricePath:
    """Prices from before the first moment's volatility to the longest horizon after the last moment."""
    begin, until = of_ms(int(zones.times_ms[0])), of_ms(int(zones.times_ms[-1]))
    before, after = timedelta(milliseconds=VOLATILITY_BACK_MS), timedelta(hours=max(HORIZONS_H))
    return PricePath(load_path(store, venue, plan.coin, begin - before, until + after))


def _alignment(zones: MajorZones, exact: list[Heatmap], plan: VisitPlan) -> tuple[Alignment | None, str]:
    """The alignment with exact maps, else why there is none."""
    if plan.model == EXACT:
        return None, "these are the exact maps: score a model"
    near = paired(
        zones,
        zones_of_maps(exact, plan.top, plan.within_pct),
        round(plan.step / timedelta(milliseconds=1)) // 2,
    )
    if not near[0].moments:
        return None, f"no exact map of {plan.coin} is stored near any modelled one (`liqtruth index watch`)"
    return align(*near, seed=plan.seed), ""


def _synthetic(coverages: Iterable[Coverage]) -> Notes:
    """That maps are of the sandbox, once."""
    notes = (one for coverage in coverages for one in of_codes(coverage.notes, SYNTHETIC_NOTES))
    return tuple(dict.fromkeys(notes))


def _reading_notes(plan: VisitPlan, zones: MajorZones, path: PricePath) -> Notes:
    left_out = at_the_mark(zones, plan.tolerance_pct)
    return (
        note(
            "zones_visited",
            maps=zones.moments,
            top=plan.top,
            within_pct=plan.within_pct,
            tolerance_pct=plan.tolerance_pct,
            bar_min=path.bar_min,
        ),
        path.bars.prices("visited"),
        *((note("zones_at_the_mark", count=left_out),) if left_out else ()),
        note("expected_visits"),
    )
