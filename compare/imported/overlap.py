"""What of two maps can be compared: the range of prices that both state anything about, and how far apart they are.

A map is compared by distance from its own mark, so its range is one of distances too, for each side: what lies outside
the range of either is cut off both. Totals are never compared, since no two vendors' amounts are the same unit. Where
the moments or the marks are far apart, the levels themselves do not fit: `shift` looks at a map from another mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.imported.levels import Levels, split, spread
from liqtruth.compare.statistics.distances import common_range_pct, once_per_map
from liqtruth.estimator.model.response_matrix import places
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import BELOW, SIDES, Sides
from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.heatmap.words.text import price

IMPORTED: Final = "imported"
APART: Final = frozenset({"moments_apart", "marks_apart"})
"""Codes of the notes that a headline must state."""
APART_S: Final = 900.0
"""Maps of moments further apart are not of the same market."""
APART_SHARE: Final = 0.005
"""Nor are maps whose marks differ by more."""
SAME: Final = 1e-9


@dataclass(frozen=True)
class Reach:
    """How far from its mark a map states anything, in log distance to the end of the last bin: infinite where it has no
    end."""

    long: float
    short: float

    @classmethod
    def of(cls, heatmap: Heatmap) -> "Reach":
        if heatmap.covers is None:
            return cls(np.inf, np.inf)
        low_px, high_px = heatmap.covers
        width = heatmap.grid.log_width
        away = (float(np.log(heatmap.mark_px / low_px)), float(np.log(high_px / heatmap.mark_px)))
        return cls(*(max(float(np.ceil(one / width - SAME)), 0.0) * width for one in away))

    def common(self, other: "Reach") -> "Reach":
        return Reach(min(self.long, other.long), min(self.short, other.short))

    @property
    def pct(self) -> tuple[float, float]:
        """Signed, in percent of the mark."""
        return 100 * float(np.expm1(-self.long)), 100 * float(np.expm1(self.short))

    @property
    def farthest_pct(self) -> float:
        """The longer of both sides in percent of the mark."""
        low, high = self.pct
        return max(-low, high)


def common_reach(*maps: Heatmap) -> Reach:
    """What all of these maps state anything about; a map that has nothing on a side takes that side from no other."""
    reaches = [Reach.of(heatmap) for heatmap in maps]
    return Reach(
        min((one.long for one in reaches if one.long > 0), default=0.0),
        min((one.short for one in reaches if one.short > 0), default=0.0),
    )


@once_per_map
def cut(heatmap: Heatmap, reach: Reach) -> Heatmap:
    """The map within `reach`; what lies outside is counted as beyond it, and a note states how much that is.

    A bin at the end of the range is cut in proportion. The map's bounds are of the whole and are left out.
    """
    own = Reach.of(heatmap)
    if own.long <= reach.long + SAME and own.short <= reach.short + SAME:
        return heatmap
    grid = heatmap.grid
    within = _within(grid, reach)
    kept = [within * mass for mass in (heatmap.long_usd, heatmap.short_usd)]
    lost = [
        float((whole - part).sum())
        for whole, part in zip((heatmap.long_usd, heatmap.short_usd), kept, strict=True)
    ]
    sums = [float(one) for one in heatmap.in_grid_usd]
    shares = tuple(
        (cut_off + beyond) / (whole + beyond) if whole + beyond > 0 else 0.0
        for cut_off, whole, beyond in zip(lost, sums, heatmap.beyond_usd, strict=True)
    )
    whole_grid = grid.bins_each_way * grid.log_width
    ends = own.common(reach).common(Reach(whole_grid, whole_grid))
    notes = heatmap.coverage.notes
    if max(shares) > 0:
        low_pct, high_pct = ends.pct
        notes += (note("cut_to_common", low_pct=low_pct, high_pct=high_pct, shares=shares),)
    return replace(
        heatmap,
        long_usd=kept[0],
        short_usd=kept[1],
        beyond_usd=Sides(*(beyond + one for beyond, one in zip(heatmap.beyond_usd, lost, strict=True))),
        breakdown=None if heatmap.breakdown is None else _cut_rows(heatmap.breakdown, grid, within),
        bounds=None,
        covers=(heatmap.mark_px * float(np.exp(-ends.long)), heatmap.mark_px * float(np.exp(ends.short))),
        coverage=replace(heatmap.coverage, notes=notes),
    )


def _within(grid: PriceGrid, reach: Reach) -> FloatArray:
    """Share of each bin that lies within, in log price."""
    steps = np.arange(grid.bins_each_way) * grid.log_width
    long, short = (np.clip((end - steps) / grid.log_width, 0.0, 1.0) for end in (reach.long, reach.short))
    return np.concatenate([long[::-1], short])


def _cut_rows(breakdown: pl.DataFrame, grid: PriceGrid, within: FloatArray) -> pl.DataFrame:
    """Rows with what is left of them, and what was cut off as rows beyond the grid."""
    on_grid = breakdown["bin"].is_between(0, grid.bins - 1).fill_null(False)
    rows, others = breakdown.filter(on_grid), breakdown.filter(~on_grid)
    share = pl.Series(within[rows["bin"].to_numpy()], dtype=pl.Float64())
    beyond = pl.when(pl.col("side") == "long").then(BELOW).otherwise(grid.bins).cast(pl.Int32)
    inside = rows.with_columns(pl.col("notional_usd") * share, pl.col("largest_usd") * share).filter(
        share > 0
    )
    outside = rows.with_columns(
        pl.col("notional_usd") * (1 - share), pl.col("largest_usd") * (1 - share), bin=beyond
    ).filter(share < 1)
    return pl.concat([inside, outside.select(inside.columns), others.select(inside.columns)])


def apart(truth: Heatmap, model: Heatmap) -> Notes:
    """Whether two maps of which one is imported are of different moments or marks: what a headline must state."""
    if IMPORTED not in (truth.source, model.source) and truth.origin is None and model.origin is None:
        return ()
    found: Notes = ()
    gap_s = (model.as_of - truth.as_of).total_seconds()
    if abs(gap_s) > APART_S:
        found += (
            note(
                "moments_apart", gap_s=60.0 * round(abs(gap_s) / 60), when="after" if gap_s > 0 else "before"
            ),
        )
    basis = model.mark_px / truth.mark_px - 1
    if abs(basis) > APART_SHARE:
        found += (note("marks_apart", basis_pct=100 * basis, model_px=model.mark_px, truth_px=truth.mark_px),)
    return found


def lined_up(
    truth: Heatmap,
    models: Sequence[Heatmap],
    crowd: Heatmap | None = None,
    ranked: Sequence[Heatmap] | None = None,
) -> tuple[Heatmap, tuple[Heatmap, ...], Heatmap | None, Notes]:
    """Maps cut to the range that the truth and those that are `ranked`, by default all, cover; and what the headline
    must state of how far apart they are.

    Maps that cover all prices stay as they are; those of one label are numbered. The same maps again give the same.
    """
    whose: dict[Note, list[str]] = {}
    noted = []
    for model in told_apart(models):
        about = apart(truth, model)
        for one in about:
            whose.setdefault(one, []).append(model.label)
        new = tuple(one for one in about if one not in model.coverage.notes)
        coverage = replace(model.coverage, notes=(*model.coverage.notes, *new))
        noted.append(replace(model, coverage=coverage) if new else model)
    reach = common_reach(truth, *(models if ranked is None else ranked))
    cuts = [cut(one, reach) for one in (truth, *noted)]
    found = tuple(one.of(", ".join(dict.fromkeys(labels))) for one, labels in whose.items())
    return cuts[0], tuple(cuts[1:]), None if crowd is None else cut(crowd, reach), found


def told_apart(maps: Sequence[Heatmap]) -> list[Heatmap]:
    """A second map of the same label is number 2, so that what is stated of one is not taken for the other's."""
    found: list[Heatmap] = []
    labels: set[str] = set()
    for one in maps:
        named, number = one, 1
        while named.label in labels:
            number += 1
            named = replace(one, model=f"{one.model or one.source} ({number})")
        labels.add(named.label)
        found.append(named)
    return found


def shift(heatmap: Heatmap, mark_px: float) -> Heatmap:
    """The same levels seen from another mark: prices stay, distances and sides are those from the new mark.

    What lies between both marks is swept by the move, and left out; a note states how much. Raises `BadInput` for a
    mark that is no price, or lies where the map states nothing.
    """
    if not (np.isfinite(mark_px) and mark_px > 0):
        raise BadInput(f"the mark to shift to must be a number above zero, got {mark_px!r}")
    if mark_px == heatmap.mark_px:
        return heatmap
    low_px, high_px = heatmap.covers or (0.0, np.inf)
    if not low_px <= mark_px <= high_px:
        raise BadInput(
            f"{heatmap.label} has prices from {price(low_px)} to {price(high_px)}: nothing is known around "
            f"{price(mark_px)}, to which it was to be shifted"
        )
    before = heatmap.grid
    grid = PriceGrid(mark_px, before.width_bps, before.bins_each_way)
    breakdown = heatmap.breakdown if heatmap.source == IMPORTED else None
    dimensions = [] if breakdown is None else list(heatmap.dimensions)
    rows = _rows(heatmap) if breakdown is None else breakdown
    on_grid = rows["bin"].is_between(0, before.bins - 1).fill_null(False)
    moved, others = rows.filter(on_grid), rows.filter(~on_grid)
    groups = (
        moved.select(dimensions).unique(maintain_order=True).with_row_index("group") if dimensions else None
    )
    group = np.zeros(moved.height, dtype=np.int64)
    if groups is not None:
        joined = moved.join(groups, on=dimensions, how="left", nulls_equal=True, maintain_order="left")
        group = joined["group"].to_numpy().astype(np.int64)
    place = moved["bin"].to_numpy()
    side = moved["side"].to_physical().to_numpy().astype(np.int64)
    levels = Levels(before.edges[place], before.edges[place + 1], moved["notional_usd"].to_numpy(), side)
    kept, which, swept = split(levels, mark_px)
    mass = spread(kept, grid, group[which], max(int(group.max(initial=0)) + 1, 1))
    total = float(heatmap.in_grid_usd.total)
    about = note(
        "shifted",
        before_px=heatmap.mark_px,
        after_px=mark_px,
        swept=float(swept.sum()) / total if total > 0 else 0.0,
    )
    by_side = [mass[:, at].sum(axis=0) for at in range(len(SIDES))]
    return replace(
        heatmap,
        grid=grid,
        long_usd=by_side[0][1:-1],
        short_usd=by_side[1][1:-1],
        beyond_usd=Sides(
            *(old + float(new[0] + new[-1]) for old, new in zip(heatmap.beyond_usd, by_side, strict=True))
        ),
        breakdown=None if breakdown is None else _moved_rows(mass, groups, others),
        bounds=None,
        covers=heatmap.covers,
        coverage=replace(heatmap.coverage, notes=(*heatmap.coverage.notes, about)),
    )


def _rows(heatmap: Heatmap) -> pl.DataFrame:
    """Bins that hold anything, as a breakdown by nothing."""
    return pl.concat(
        places(side, np.flatnonzero(mass), mass[mass > 0])
        for side, mass in zip(SIDES, (heatmap.long_usd, heatmap.short_usd), strict=True)
    )


def _moved_rows(mass: FloatArray, groups: pl.DataFrame | None, others: pl.DataFrame) -> pl.DataFrame:
    group, side, place = np.nonzero(mass)
    parts = []
    for at, name in enumerate(SIDES):
        theirs = side == at
        frame = places(name, place[theirs] - 1, mass[group[theirs], at, place[theirs]])
        if groups is not None:
            frame = pl.concat([frame, groups.drop("group")[group[theirs]]], how="horizontal")
        parts.append(frame)
    return pl.concat([*parts, others.select(parts[0].columns)])


def pair(truth: Heatmap, model: Heatmap, range_pct: float) -> tuple[Heatmap, Heatmap, float]:
    """Model and truth cut to what both cover, and how far that reaches within the range, in percent of the mark."""
    reach = common_reach(truth, model)
    reach_pct = min(common_range_pct(truth, model, within_pct=range_pct), reach.farthest_pct)
    return cut(model, reach), cut(truth, reach), reach_pct
