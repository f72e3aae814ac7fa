"""What is stored of every venue's series: how much, how old, with which gaps, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.series.quality import checked, repaired_candles, repaired_open_interest, wide_steps
from liqtruth.estimator.series.series import LOOK_BACK
from liqtruth.estimator.series.time_line import pick_bars, rounding_usd
from liqtruth.estimator.venues.table import VENUES
from liqtruth.heatmap.errors import LiqtruthError, PartlyRead
from liqtruth.heatmap.words.notes import SYNTHETIC, any_synthetic, texts
from liqtruth.heatmap.words.text import hours, utc_text
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.store import Store

if TYPE_CHECKING:
    from rich.table import Table

STEADY: Final = ("candles", "mark_candles", "open_interest", "funding", "ratios")
"""Series whose rows come at equal steps, so that a missing one is seen."""
ORDER: Final = {dataset: place for place, dataset in enumerate(DATASETS)}


@dataclass(frozen=True)
class SeriesStatus:
    """One stored series. `gaps` and `gap_hours` are null where rows come at no equal steps. Of liquidations `coverage`
    is how much the venue pushes, `heard_hours` for how long its stream was recorded, gaps when it was not in between,
    and the age that of the last moment at which it was; `first` is null where none was reported yet. `damaged` names
    the files of it cannot be read; the rest is of the others."""

    venue: str
    coin: str
    dataset: str
    rows: int
    first: datetime | None
    last: datetime | None
    age_s: float
    gaps: int | None
    gap_hours: float | None
    sources: tuple[str, ...]
    synthetic: bool
    findings: tuple[str, ...] = ()
    coverage: str = ""
    heard_hours: float | None = None
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeedStatus:
    """All stored series by venue, coin and dataset, as of `as_of`."""

    as_of: datetime
    series: tuple[SeriesStatus, ...]

    def describe(self) -> list[str]:
        """Findings and coverages, which no table has room for."""
        return [
            f"{one.venue} {one.coin} {one.dataset}: {line}" for one in self.series for line in _lines_of(one)
        ]

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where the file of a day could not be read."""
        hurt = [one for one in self.series if one.damaged]
        if hurt:
            first = hurt[0]
            raise PartlyRead(
                f"{len(hurt)} of {len(self.series)} series have damaged files, {first.venue} {first.coin} "
                f"{first.dataset} the first: {first.damaged[0]}"
            )


def feed_status(store: Store, as_of: datetime | None = None) -> FeedStatus:
    """Every series of the estimator's datasets that the lake holds."""
    now = as_of or datetime.now(UTC)
    return FeedStatus(now, tuple(sorted(_statuses(store, now), key=_place)))


def _place(one: SeriesStatus) -> tuple[str, str, int]:
    return one.venue, one.coin, ORDER[one.dataset]


def _statuses(store: Store, now: datetime) -> Iterator[SeriesStatus]:
    for dataset in DATASETS:
        if dataset == "listening":
            continue
        markets = set(store.lake.series_coins(dataset))
        if dataset == "liquidations":
            markets |= set(store.lake.series_coins("listening"))
        for venue, coin in markets:
            if venue not in VENUES or (dataset == "liquidations" and _is_indexers(store, venue, coin)):
                continue
            yield _status(store, dataset, venue, coin, now)


def _is_indexers(store: Store, venue: str, coin: str) -> bool:
    """Liquidations out of a node's fills are the indexer's: exact, with addresses, of columns of their own."""
    return "address" in store.lake.read_series("liquidations", venue, coin, {}, damaged=[]).columns


def _status(store: Store, dataset: str, venue: str, coin: str, now: datetime) -> SeriesStatus:
    damaged: list[FileDamaged] = []
    rows = store.lake.read_series(dataset, venue, coin, DATASETS[dataset].schema, damaged=damaged)
    sources = tuple(store.lake.series_sources(dataset, venue, coin))
    gaps, gap_hours = gaps_of(rows) if dataset in STEADY else (None, None)
    first, last = (rows["ts"][0], rows["ts"][-1]) if rows.height else (None, None)
    known_until = last
    spans = _spans(store, venue, coin, damaged) if dataset == "liquidations" else pl.DataFrame()
    if not spans.is_empty():
        gaps, gap_hours = unrecorded_between(spans)
        known_until = spans["until"].max()
    return SeriesStatus(
        venue=venue,
        coin=coin,
        dataset=dataset,
        rows=rows.height,
        first=first,
        last=last,
        age_s=0.0 if known_until is None else (now - known_until).total_seconds(),
        gaps=gaps,
        gap_hours=gap_hours,
        sources=sources,
        synthetic=any_synthetic(sources),
        findings=_findings(store, venue, coin, rows) if dataset == "open_interest" else (),
        coverage=_coverage(venue, spans) if dataset == "liquidations" else "",
        heard_hours=_recorded_hours(spans),
        damaged=tuple(str(fault) for fault in damaged),
    )


def _spans(store: Store, venue: str, coin: str, damaged: list[FileDamaged]) -> pl.DataFrame:
    return store.lake.read_series("listening", venue, coin, DATASETS["listening"].schema, damaged=damaged)


def gaps_of(rows: pl.DataFrame) -> tuple[int, float]:
    """How many gaps a series has, and the hours that they lack.

    Bars end after their own length; of readings see `wide_steps`.
    """
    if "interval_s" in rows.columns:
        return unrecorded_between(
            rows.with_columns(until=pl.col("ts") + pl.duration(seconds="interval_s")).sort("ts")
        )
    steps_ms = np.diff(rows["ts"].unique().sort().dt.epoch("ms").to_numpy()).astype(np.float64)
    missing_ms = wide_steps(steps_ms)
    return int(np.count_nonzero(missing_ms)), float(missing_ms.sum() / 3.6e6)


def unrecorded_between(spans: pl.DataFrame) -> tuple[int, float]:
    """How often, and for how many hours, nothing was recorded between the first span and the last (`ts`, `until`)."""
    start, until = (spans[name].dt.epoch("ms").to_numpy() for name in ("ts", "until"))
    unrecorded = np.maximum(start[1:] - np.maximum.accumulate(until)[:-1], 0)
    return int((unrecorded > 0).sum()), float(unrecorded.sum() / 3.6e6)


def _recorded_hours(spans: pl.DataFrame) -> float | None:
    if spans.is_empty():
        return None
    return float((spans["until"] - spans["ts"]).dt.total_milliseconds().sum()) / 3.6e6


def _coverage(venue: str, spans: pl.DataFrame) -> str:
    """As stored with the last span of the stream, else the venue's statement on its feed."""
    if not spans.is_empty():
        return str(spans["coverage"][-1])
    known, feed = VENUES[venue], VENUES[venue].feeds.get("liquidations")
    return (feed.coverage if feed is not None else known.liquidation_stream) or "unknown"


def _findings(store: Store, venue: str, coin: str, open_interest: pl.DataFrame) -> tuple[str, ...]:
    """Findings of the checks on all that is stored of a market; why they cannot run is a finding too."""
    candles = store.lake.read_series("candles", venue, coin, DATASETS["candles"].schema, damaged=[])
    readings, about_readings = repaired_open_interest(open_interest)
    sound, about_candles = repaired_candles(candles)
    if readings.is_empty() or sound.is_empty():
        return texts((*about_candles, *about_readings))
    last = sound["ts"].max() + timedelta(days=7)  # type: ignore[operator]
    line = pick_bars(sound, sound["ts"].min(), last)  # type: ignore[arg-type]
    readings = readings.filter(pl.col("ts").is_between(line["ts"][0] - LOOK_BACK, line["end"][-1]))
    if readings.is_empty():
        return (*texts((*about_candles, *about_readings)), "no open interest beside the candles")
    try:
        found = texts(checked(line, readings, rounding_usd(readings, float(line["close"][-1]))).findings)
    except LiqtruthError as error:
        found = (str(error),)
    return (*texts((*about_candles, *about_readings)), *found)


def _lines_of(one: SeriesStatus) -> Iterator[str]:
    yield from one.damaged
    yield from one.findings
    if one.coverage:
        recorded = "" if one.heard_hours is None else f"; recorded for {one.heard_hours:.1f} h"
        yield f"coverage: {one.coverage}{recorded}"


def status_table(status: FeedStatus) -> "Table":
    """For a terminal: one row per series, repeated names left blank."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, side in zip(COLUMNS, SIDES, strict=True):
        table.add_column(name, justify=side, no_wrap=name != "source")  # type: ignore[arg-type]
    before: tuple[str, str] = ("", "")
    for one in status.series:
        market = (one.venue, one.coin)
        table.add_row(*(("", "") if market == before else market), *_cells(one))
        before = market
    return table


COLUMNS: Final = ("venue", "coin", "series", "rows", "first (UTC)", "last (UTC)", "age", "gaps", "source")
SIDES: Final = ("left", "left", "left", "right", "left", "left", "right", "right", "left")


def _cells(one: SeriesStatus) -> tuple[str, ...]:
    gaps = "" if one.gaps is None else "none" if not one.gaps else f"{one.gaps}, {one.gap_hours:.1f} h"
    marked = "*" if one.findings else ""
    source = SYNTHETIC if one.synthetic else ", ".join(one.sources)
    age = hours(timedelta(seconds=max(one.age_s, 0.0)))
    span = tuple(
        "" if moment is None else utc_text(moment).replace("T", " ").removesuffix("Z")
        for moment in (one.first, one.last)
    )
    return one.dataset + marked, f"{one.rows:,}", *span, age, gaps, source
