"""`VendorMap`: one map as a vendor's file has it, and how it becomes a `Heatmap` or a `HeatmapSeries`.

No vendor but a few names sides: a level below the mark is one of longs, above it of shorts. Where a side is named and
the price contradicts it, the level is swept already or its side is that of the closing order: a little of it is left
out and counted, and more than `MOST_CONTRADICTED` is refused, since the mark or the sides must be wrong.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import Answer, check_name
from liqtruth.compare.imported.fields import venue_called
from liqtruth.compare.imported.levels import LONG, SHORT, Levels, misplaced, split, spread
from liqtruth.estimator.model.response_matrix import places
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS, FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Coverage, Heatmap, Origin
from liqtruth.heatmap.levels import SIDES, Sides
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import SYNTHETIC, Note, Notes, note
from liqtruth.heatmap.words.text import expected_time, is_timely
from liqtruth.storage.files.coin_names import folded

MOST_CONTRADICTED: Final = 0.1
"""Share of the amounts whose named side the price may contradict."""
USUAL_LEVERAGES: Final = (5.0, 10.0, 25.0, 50.0, 100.0)
"""Tiers that people expect of a map by leverage; those that a map lacks are named."""
MOST_TIERS: Final = 200
"""More different leverages are no tiers."""
MOST_COLUMNS: Final = 4000
"""Moments of a series; more are no map over time."""
STATED_TO: Final = timedelta(minutes=1)
"""A moment that is typed has no seconds."""
WHOLE: Final = "all"
"""Name of the sum of a file's maps."""
TABLE: Final = "table"
"""The vendor of tables of any columns."""
LONGEST_LABEL: Final = 40


@dataclass(frozen=True)
class PictureGiven:
    """What the user states of a picture, in pixels from its upper left: `prices` are prices of lines and the rows they
    are drawn at, `bar` the ends of the colour bar, from none to the most."""

    prices: tuple[tuple[float, float], ...] = ()
    palette: str | None = None
    column: int | None = None
    bar: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Given:
    """What the user states of a file, which may not contradict what the file states itself; `fetched_venue` and
    `fetched_at` were noted when it was fetched, and the file goes before them."""

    coin: str | None = None
    venue: str | None = None
    mark_px: float | None = None
    as_of: datetime | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fetched_venue: str | None = None
    fetched_at: datetime | None = None
    file_time: datetime | None = None
    """The moment of a file that states none."""
    picture: PictureGiven | None = None


@dataclass(frozen=True, eq=False)
class VendorMap:
    """One map of a file. What is null is not stated there. `covers` are the lowest and highest price of its axis;
    `exact` where its levels are positions that were read, not a model, and `counts` how many each level has."""

    answer: Answer
    vendor: str
    layout: str
    levels: Levels
    covers: tuple[float, float]
    name: str = WHOLE
    part: str = ""
    """What the map is a part of its whole by, for its label: a leverage."""
    coin: str | None = None
    venue: str | None = None
    as_of: datetime | None = None
    mark_px: float | None = None
    leverages: tuple[float, ...] = ()
    unit: Literal["usd", "percent", "unknown"] = "unknown"
    exact: bool = False
    counts: FloatArray | None = None
    open_interest_usd: float | None = None
    notes: Notes = ()
    age_s: float | None = None
    """How old it was when it was given, where no moment is stated."""
    at_own_price: bool = False
    """Whether amounts are valued at each level's price and not at the mark."""


@dataclass(frozen=True, eq=False)
class Columns:
    """A map over time, as cells: `level` (place in `low_px`), `column` (place in `times`), amount; prices close at
    `close_px`."""

    level: IntArray
    column: IntArray
    amount: FloatArray
    low_px: FloatArray
    high_px: FloatArray
    times: Sequence[datetime]
    close_px: FloatArray

    def levels_of(self, column: int) -> Levels:
        """What stood at one moment."""
        cells = self.column == column
        level = self.level[cells]
        return Levels(self.low_px[level], self.high_px[level], self.amount[cells])


# ---------------------------------------------------------------------------------------- a heatmap


def heatmap_of(found: VendorMap, given: Given, width_bps: float = DEFAULT_WIDTH_BPS) -> Heatmap:
    """The map as the type that everything after it takes.

    Raises `VendorMapRefused` where coin or mark are not known, nothing is on the map, or named sides are contradicted.
    """
    coin, factor = coin_of(found, given)
    levels = found.levels.times(1 / factor)
    mark_px, notes = mark_of(found, given, factor)
    low_px, high_px = (one / factor for one in found.covers)
    if (wrong_place := misplaced(levels, mark_px, (low_px, high_px), MOST_CONTRADICTED)) is not None:
        raise found.answer.refuse(wrong_place)
    as_of, when = moment_given(found, given)
    if found.at_own_price:
        levels = replace(levels, amount=levels.amount * 2 * mark_px / (levels.low_px + levels.high_px))
        notes += (note("revalued_at_mark", vendor=found.vendor),)
    kept, _, wrong = split(levels, mark_px)
    total, contradicted = float(levels.amount.sum()), float(wrong.sum())
    if total <= 0:
        raise found.answer.empty()
    if contradicted > MOST_CONTRADICTED * total:
        raise found.answer.refuse(
            f"sides must follow the price, got {100 * contradicted / total:.0f} % of the amounts named long above or "
            f"short below {mark_px:,.6g}: is the mark right?"
        )
    if contradicted > 0:
        count = int((wrong > 0).sum())
        notes += (note("side_contradicted", count=count, share=contradicted / total, mark_px=mark_px),)
    grid = PriceGrid.around(mark_px, width_bps)
    tiers, which = _tiers(kept.leverage)
    breakdown = _breakdown(spread(kept, grid, which, max(len(tiers), 1)), tiers, grid)
    seen = [float(kept.amount[kept.sides == side].sum()) for side in (LONG, SHORT)]
    made_up = found.answer.message.strip().casefold() == SYNTHETIC
    said = (note("synthetic_map"),) if made_up else ()
    drawn = Heatmap.from_breakdown(
        breakdown,
        grid,
        coin=coin,
        venue=venue_of(found, given),
        source="exact" if found.exact else "imported",
        model=" ".join(filter(None, (SYNTHETIC if made_up else "", made_by(found), found.part))),
        as_of=as_of,
        coverage=Coverage(
            open_interest_usd=found.open_interest_usd,
            seen_usd=Sides(*seen),
            positions=None if found.counts is None else int(found.counts.sum()),
            notes=(*found.notes, *notes, *when, *_about(found, mark_px, low_px, high_px), *said),
            synthetic=made_up,
        ),
    )
    return replace(
        drawn,
        origin=Origin(found.vendor, found.layout, found.name, found.unit, found.leverages),
        covers=(min(low_px, mark_px), max(high_px, mark_px)),
        breakdown=_counted(breakdown, found, levels, mark_px, grid)
        if found.exact
        else breakdown
        if tiers
        else None,
    )


def _tiers(leverage: FloatArray | None) -> tuple[list[float], IntArray | None]:
    """Different leverages, and which each level has; none where they are not known or no tiers."""
    if leverage is None or not np.isfinite(leverage).all():
        return [], None
    found, which = np.unique(leverage, return_inverse=True)
    return (found.tolist(), which) if found.size <= MOST_TIERS else ([], None)


def _breakdown(mass: FloatArray, tiers: Sequence[float], grid: PriceGrid) -> pl.DataFrame:
    """Long form with a leverage band per tier; a vendor's map knows no single positions, like a model's."""
    group, side, place = np.nonzero(mass)
    rows = []
    for at, name in enumerate(SIDES):
        theirs = side == at
        frame = places(name, place[theirs] - 1, mass[group[theirs], at, place[theirs]])
        if tiers:
            bands = pl.Series([f"{tier:g}x" for tier in tiers], dtype=pl.String())
            frame = frame.with_columns(leverage_band=bands.gather(group[theirs]))
        rows.append(frame)
    return pl.concat(rows)


def _counted(
    breakdown: pl.DataFrame, found: VendorMap, levels: Levels, mark_px: float, grid: PriceGrid
) -> pl.DataFrame:
    """With the number of positions in each bin, one where they are not counted; the largest may be all of it, so that
    no more is claimed of the shape than so many bins can bear."""
    counts = np.ones(levels.amount.size) if found.counts is None else found.counts
    kept, _, _ = split(replace(levels, amount=counts), mark_px)
    placed = np.ceil(spread(kept, grid)[0])
    sides, places_ = breakdown["side"].to_physical().to_numpy(), breakdown["bin"].to_numpy() + 1
    positions = pl.Series(np.maximum(placed[sides, places_], 1), dtype=pl.UInt32)
    return breakdown.with_columns(positions=positions, largest_usd=pl.col("notional_usd"))


def coin_of(found: VendorMap, given: Given) -> tuple[str, float]:
    """Hyperliquid's name of the coin, and how many of it one of the file's is."""
    stated, wanted = found.coin, given.coin
    if not (stated or wanted):
        raise found.answer.refuse("the file must state its coin, or it must be given: --coin BTC")
    name = folded(stated or wanted or "")
    if wanted and stated and folded(wanted).coin != name.coin:
        raise found.answer.refuse(f"must be a map of {wanted}, got one of {name.coin}")
    return name.coin, name.factor


def venue_of(found: VendorMap, given: Given) -> str:
    """In lower case, as this program calls it; raises where it is no name, an exact map is of none, or another was
    given."""
    stated = found.venue or given.venue or given.fetched_venue
    if found.exact and not stated:
        raise found.answer.refuse(
            "the file must state whose positions it has: give it with --venue hyperliquid"
        )
    check_name(stated or "", found.answer.place)
    name, wanted = (venue_called(one or UNKNOWN_VENUE) for one in (stated, given.venue or stated))
    if name != wanted:
        raise found.answer.refuse(f"must be a map of {wanted}, got one of {name}: leave --venue out")
    return name


def made_by(found: VendorMap) -> str:
    """What the map is called by: its vendor, or the name of the file where that is anybody's table."""
    if found.vendor != TABLE:
        return found.vendor
    return re.sub(r"[^\w.-]+", "_", Path(found.answer.place).name)[:LONGEST_LABEL] or TABLE


def mark_of(found: VendorMap, given: Given, factor: float = 1.0) -> tuple[float, Notes]:
    """The price that splits sides: the file's, else the one that was given."""
    if found.mark_px is not None:
        mark_px = found.mark_px / factor
        if given.mark_px is not None and not abs(given.mark_px / mark_px - 1) <= 1e-9:
            raise found.answer.refuse(
                f"the mark must be the file's own, {mark_px:,.10g}, got {given.mark_px:,.10g}: leave --mark out; "
                "--shift moves a map to another mark"
            )
        return mark_px, ()
    if given.mark_px is None:
        raise found.answer.refuse(
            "the file states no price that would split longs and shorts: give it with --mark"
        )
    if not (np.isfinite(given.mark_px) and given.mark_px > 0):
        raise VendorMapRefused(f"the mark must be a number above zero, got {given.mark_px!r}: --mark")
    return given.mark_px, (note("mark_given", mark_px=given.mark_px),)


def moment_given(found: VendorMap, given: Given) -> tuple[datetime, Notes]:
    """The map's moment: the file's own, the one that was given, or that of the file itself, less the age
    that it states, which is noted. Raises where another was given than the file states."""
    if found.as_of and given.as_of and abs(found.as_of - given.as_of) >= STATED_TO:
        raise found.answer.refuse(
            f"the moment must be the file's own, {found.as_of:%Y-%m-%dT%H:%M:%SZ}, got "
            f"{given.as_of:%Y-%m-%dT%H:%M:%SZ}: leave --as-of out"
        )
    if (known := found.as_of or given.as_of or given.fetched_at) is not None:
        return known, ()
    if given.file_time is None:
        raise found.answer.refuse("the file states no moment: give it with --as-of")
    at = given.file_time.astimezone(UTC) - timedelta(seconds=found.age_s or 0.0)
    if not is_timely(at):
        raise found.answer.refuse(
            f"the file's own time must be {expected_time()}, got {at:%Y-%m-%d}: give --as-of"
        )
    shown = f"{at:%Y-%m-%d %H:%M} UTC"
    return at, (note("moment_of_file", at=shown) if found.age_s is None else note("moment_by_age", at=shown),)


def _about(found: VendorMap, mark_px: float, low_px: float, high_px: float) -> list[Note]:
    """What a reader must know of the file's amounts, prices and tiers."""
    notes = [note("vendor_prices", low_px=low_px, high_px=high_px,
                  below_pct=100 * (low_px / mark_px - 1), above_pct=100 * (high_px / mark_px - 1))]  # fmt: skip
    if found.exact:
        notes.append(note("exact_of", provider=found.vendor))
    elif found.unit == "unknown":
        notes.append(note("unit_unknown", vendor=found.vendor))
    elif found.unit == "percent":
        notes.append(note("unit_percent"))
    if found.leverages:
        has = tuple(f"{one:g}x" for one in found.leverages)
        missing = tuple(f"{one:g}x" for one in USUAL_LEVERAGES if one not in found.leverages)
        lowest = found.leverages[0]
        if missing:
            notes.append(note("tiers_missing", has=has, missing=missing, reach=1 / lowest, lowest=lowest))
        else:
            notes.append(note("tiers_present", has=has))
    return notes


# ----------------------------------------------------------------------------------------- over time


def series_of(
    found: VendorMap, columns: Columns, given: Given, width_bps: float = DEFAULT_WIDTH_BPS
) -> HeatmapSeries:
    """All columns of a map over time; a moment without any cell is not known."""
    if len(columns.times) > MOST_COLUMNS:
        raise found.answer.refuse(
            f"a map over time must have at most {MOST_COLUMNS} columns, got {len(columns.times)}"
        )
    coin, factor = coin_of(found, given)
    mark_px = columns.close_px / factor
    levels = Levels(
        columns.low_px[columns.level] / factor, columns.high_px[columns.level] / factor, columns.amount
    )
    if (wrong_place := misplaced(levels, float(mark_px[-1]), (0.0, np.inf), MOST_CONTRADICTED)) is not None:
        raise found.answer.refuse(wrong_place)
    grid = PriceGrid.around(float(mark_px[-1]), width_bps)
    kept, which, _ = split(levels, mark_px[columns.column])
    mass = spread(kept, grid, columns.column[which], len(columns.times), at_mark=False)
    known = np.bincount(columns.column, minlength=len(columns.times)) > 0
    sums, beyond = mass.sum(axis=2).tolist(), (mass[:, :, 0] + mass[:, :, -1]).tolist()
    mass[~known] = np.nan
    notes = (*found.notes, *_about(found, float(mark_px[-1]), *(one / factor for one in found.covers)))
    return HeatmapSeries(
        coin=coin,
        venue=venue_of(found, given),
        source="imported",
        model=made_by(found),
        times=tuple(columns.times),
        grid=grid,
        long_usd=mass[:, 0, 1:-1],
        short_usd=mass[:, 1, 1:-1],
        mark_px=mark_px,
        beyond_usd=tuple(Sides(*row) for row in beyond),
        never_usd=(Sides(0.0, 0.0),) * len(columns.times),
        coverage=tuple(
            Coverage(None, Sides(*row), notes=notes) if one else None
            for one, row in zip(known.tolist(), sums, strict=True)
        ),
    )
