"""`settle`: score every open forecast whose horizon is over and whose prices and liquidations are stored, once."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.errors import ContentChanged
from liqtruth.compare.observed.price_path import MarkPath, load_path, ranges_after
from liqtruth.compare.observed.realised import Realised, load_realised
from liqtruth.compare.scoring.ledger.ledger import Content, open_forecasts, read_content
from liqtruth.compare.scoring.realised.map_series import SweptUsd, swept_by_distance, swept_by_map
from liqtruth.compare.scoring.realised.windows import Windows, windows_of
from liqtruth.estimator.model.baselines import TIERS, UNIFORM
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.text import counted, utc_text
from liqtruth.storage.database.records import Forecast, ForecastScore
from liqtruth.storage.database.tables import insert_new
from liqtruth.storage.store import Store

FORECAST: Final = "forecast"
"""The forecast's own map, beside the baselines."""


class Unsettled(msgspec.Struct, frozen=True):
    """A forecast that was not scored, and why."""

    hash: str
    reason: str


class SettleReport(msgspec.Struct, frozen=True):
    """What one run settled; `refused` are those whose content is not what was stored."""

    settled: int
    waiting: tuple[Unsettled, ...]
    refused: tuple[Unsettled, ...]

    @property
    def exit_code(self) -> int:
        """1 where content was changed."""
        return 1 if self.refused else 0

    def describe(self) -> Iterator[str]:
        """Lines for people; forecasts that wait for the same reason are counted."""
        counts = f"{len(self.waiting):,} waiting, {len(self.refused):,} refused"
        yield f"{counted(self.settled, 'forecast')} scored, {counts}"
        reasons = [one.reason for one in self.waiting]
        for reason in dict.fromkeys(reasons):
            yield f"  waiting ({reasons.count(reason)}): {reason}"
        for one in self.refused:
            yield f"  refused {one.hash[:12]}: {one.reason}"


def settle(
    store: Store,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_progress: Callable[[float], None] = lambda done: None,
) -> SettleReport:
    """Score what can be scored. A second run, or another at the same time, changes nothing that is scored."""
    store, settled, waiting, refused = store.view(), 0, [], []
    pending = open_forecasts(store)
    for number, row in enumerate(pending, start=1):
        try:
            settled += _add(store, _scores(store, row, clock()))
        except ContentChanged as error:
            refused.append(Unsettled(row.hash, str(error)))
        except MissingData as error:
            waiting.append(Unsettled(row.hash, str(error)))
        on_progress(number / len(pending))
    return SettleReport(settled, tuple(waiting), tuple(refused))


def _add(store: Store, scores: Sequence[ForecastScore]) -> bool:
    """Both rows in one transaction; false where another process was first."""
    return store.database.transact(partial(insert_new, rows=scores)) == len(scores)


def _scores(store: Store, row: Forecast, now: datetime) -> list[ForecastScore]:
    """Both sides' rows; raises `ContentChanged`, and `MissingData` where something is not stored yet."""
    content = read_content(store, row)
    until = row.as_of + timedelta(seconds=row.horizon_s)
    if until > now and not row.replayed:
        raise MissingData("the horizon is not over")
    day = timedelta(days=1)
    path = load_path(store, row.venue, row.coin, row.as_of - day, until + day)
    realised = load_realised(store, venue_named(row.venue), row.coin, row.as_of, until).within_bars(path)
    moment = np.array([round(row.as_of.timestamp() * 1000)])
    ranges = ranges_after(path, moment, 1000 * row.horizon_s)
    if not ranges.whole[0]:
        raise MissingData(_uncovered(row, path))
    maps = _maps(content)
    mark = np.array([content.map.mark_px])
    found = [windows_of(moment, mark, maps, ranges, realised, side) for side in SIDES]
    if not found[0].start_ms.size:
        raise MissingData(_not_observed(row, realised))
    return [_row(row, side, one, now) for side, one in zip(SIDES, found, strict=True)]


def _maps(content: Content) -> dict[str, SweptUsd]:
    drawn = content.map
    mark, open_usd = np.array([drawn.mark_px]), np.array([_open_interest_usd(drawn)])
    maps = {FORECAST: swept_by_map(drawn), UNIFORM: swept_by_distance(mark, open_usd)}
    if content.tiers is not None:
        maps[TIERS] = swept_by_map(content.tiers)
    return maps


def _open_interest_usd(drawn: Heatmap) -> float:
    """Open interest, else half of what is on the map."""
    known = drawn.coverage.open_interest_usd
    return drawn.in_grid_usd.total / 2 if known is None else known


def _uncovered(row: Forecast, path: MarkPath) -> str:
    if path.bar_ms > 1000 * row.horizon_s:
        return f"bars of {row.venue} {row.coin} are longer than its horizon: shorter ones are needed"
    return f"bars of {row.venue} {row.coin} do not cover its horizon yet"


def _not_observed(row: Forecast, realised: Realised) -> str:
    last = realised.spans_ms[-1, 1] / 1000
    return (
        f"liquidations of {row.venue} {row.coin} were not observed all through its horizon; the last known are of "
        f"{utc_text(datetime.fromtimestamp(last, UTC))}"
    )


def _row(row: Forecast, side: str, one: Windows, now: datetime) -> ForecastScore:
    def of(values: object) -> float | None:
        return None if values is None else float(np.asarray(values)[0])

    coverage = float(one.coverage[0])
    return ForecastScore(
        forecast_hash=row.hash,
        side=side,
        settled_at=now,
        move=float(one.move[0]),
        volatility=float(one.volatility[0]),
        told_usd=float(one.reported_usd[0]),
        coverage=coverage if np.isfinite(coverage) else None,
        events=int(one.events[0]),
        zoned_events=int(one.zoned_events[0]),
        predicted_usd=float(one.predicted_usd[FORECAST][0]),
        uniform_usd=float(one.predicted_usd[UNIFORM][0]),
        tiers_usd=of(one.predicted_usd.get(TIERS)),
        hits=float(one.hits[FORECAST][0]),
        uniform_hits=float(one.hits[UNIFORM][0]),
        tiers_hits=of(one.hits.get(TIERS)),
    )
