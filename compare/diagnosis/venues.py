"""Whether a map that is said to be of several venues lacks one: which sum of the venues' own maps fits it best.

Only shapes are compared, since no two vendors' amounts are the same unit: each side within the range is a half, by
distance from the map's own mark. The venues' maps are those of one model, added as they are, all of them and without
each one, and both with their distances multiplied by whatever suits the map best: another leverage than ours is no
missing venue. One is named where the sum without it takes away `LEAST_GAIN` of the difference, and more than what the
draw of price steps may bring: a bootstrap of blocks of steps, corrected for the number of venues.

Where the map is another maker's whole way of modelling, or of positions that were read, what our maps do not explain of
it is larger than what a venue adds: then it is stated that it cannot be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.matching.consensus import venues_of_map
from liqtruth.compare.statistics.distances import log_distance
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.heatmap.clusters.facts import LEVERAGE
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Notes, note, of_codes

ALL: Final = "all"
"""The venue of a vendor's map that does not name those it adds up."""
ROWS: Final = frozenset({"sum_of_venues"})
"""Codes of the notes of maps whose file has a row for each of these venues."""
STEP_PCT: Final = 0.5
"""Log price of a step, about so many percent; shares are compared step by step."""
LEAST_GAIN: Final = 0.15
"""Share of the difference that leaving a venue out must take away; less than other changes must, since the others keep
all of theirs."""
LEAST_SHARE: Final = 0.01
"""And so much of all mass must come to its place."""
BLOCK: Final = 6
"""Neighbouring steps that are drawn together."""
DRAWS: Final = 1000
SEED: Final = 0


@dataclass(frozen=True)
class _Fit:
    """`off` is half of the sum of `apart`, the difference of shares at each step."""

    apart: FloatArray

    @property
    def off(self) -> float:
        return float(self.apart.sum() / 2)


def lacking_venue(heatmap: Heatmap, maps: Sequence[Heatmap], range_pct: float) -> Notes:
    """A note on the venue that the map seems to lack, or that this cannot be told; empty where it lacks none. `maps`
    are all that are compared, of which those of one model and of single venues stand for the venues.

    Of a map that names its venues only those are expected; one whose file has a row for each venue names itself those
    that it lacks."""
    if heatmap.venue != ALL and TOGETHER not in heatmap.venue:
        return ()
    families = _by_model(heatmap, maps)
    rows = {
        str(name).lower() for one in of_codes(heatmap.coverage.notes, ROWS) for name in one.values["names"]
    }
    absent = sorted({venue for parts in families.values() for venue in parts} - rows)
    if rows and absent:
        return (note("venues_not_in_rows", venues=tuple(absent)),)
    found = [one for parts in families.values() if (one := _Without.best_of(heatmap, parts, range_pct))]
    nearest = min(found, key=lambda one: min(one.every.off, one.without.off), default=None)
    if nearest is None:
        return ()
    low, high = _interval((nearest.every.apart - nearest.without.apart) / 2, len(nearest.venues))
    if not low > 0 or nearest.gain < max(LEAST_SHARE, LEAST_GAIN * nearest.every.off):
        return nearest.untold
    return (
        note(
            "venue_missing",
            venue=nearest.venue,
            venues=nearest.venues,
            off=nearest.every.off,
            then=nearest.without.off,
            low=low,
            high=high,
        ),
    )


@dataclass(frozen=True)
class _Without:
    """How the sum of all venues fits, and how that without one of them does."""

    venue: str
    venues: tuple[str, ...]
    every: _Fit
    without: _Fit
    adds: float

    @property
    def gain(self) -> float:
        return self.every.off - self.without.off

    @property
    def untold(self) -> Notes:
        """Where more of the map is not explained than the venue that adds most to the others would move."""
        known = self.every.off < self.adds
        return (
            () if known else (note("venue_untold", venues=self.venues, off=self.every.off, adds=self.adds),)
        )

    @classmethod
    def best_of(cls, heatmap: Heatmap, parts: Mapping[str, Heatmap], range_pct: float) -> "_Without | None":
        """Without the venue that suits best; null where a side of the map, or of the sums, is empty."""
        ends = {side: _ends(side, range_pct) for side in SIDES}
        bands = _bands([*parts.values()])
        columns = {
            venue: {side: _by_leverage(one, bands, side, at) for side, at in ends.items()}
            for venue, one in parts.items()
        }
        wanted = {side: _mass(heatmap, side, at) for side, at in ends.items()}
        every = _fit(wanted, [*columns.values()])
        fits = {
            venue: _fit(wanted, [of for other, of in columns.items() if other != venue]) for venue in parts
        }
        known = {venue: one for venue, one in fits.items() if one is not None}
        if every is None or not known:
            return None
        best = min(known, key=lambda venue: known[venue].off)
        return cls(best, tuple(parts), every, known[best], max(_added(columns, venue) for venue in parts))


def _by_model(heatmap: Heatmap, maps: Sequence[Heatmap]) -> Mapping[str, dict[str, Heatmap]]:
    """Maps of single venues by model, where there are two venues or more."""
    stated = None if heatmap.venue == ALL else set(venues_of_map(heatmap))
    found: dict[str, dict[str, Heatmap]] = {}
    for one in maps:
        single = one.source == "modelled" and TOGETHER not in one.venue and not one.only
        if single and (stated is None or one.venue in stated):
            found.setdefault(one.model, {}).setdefault(one.venue, one)
    return {model: parts for model, parts in found.items() if len(parts) > 1}


def _fit(wanted: Mapping[str, FloatArray], parts: Sequence[Mapping[str, FloatArray]]) -> _Fit | None:
    """How the sum of maps fits, each leverage with the weight that suits best; null where a side of either is empty."""
    from scipy.optimize import nnls

    apart = []
    for side, mass in wanted.items():
        columns = np.sum([part[side] for part in parts], axis=0)
        if not (mass.any() and columns.any()):
            return None
        share = mass / (len(wanted) * mass.sum())
        weight, _ = nnls(columns / columns.sum(), share)
        apart.append(np.abs(share - columns / columns.sum() @ weight))
    return _Fit(np.concatenate(apart))


def _added(columns: Mapping[str, Mapping[str, FloatArray]], venue: str) -> float:
    """Share of all mass that comes to another place where the sum has no such venue."""
    apart = 0.0
    for side in SIDES:
        every = np.sum([of[side] for of in columns.values()], axis=(0, 2))
        others = every - columns[venue][side].sum(axis=1)
        if every.any() and others.any():
            apart += float(np.abs(every / every.sum() - others / others.sum()).sum()) / (2 * len(SIDES))
    return apart


def _ends(side: str, range_pct: float) -> FloatArray:
    """Signed log distances between steps, from the mark outward."""
    reach = float(log_distance(range_pct, side))
    return (-1 if side == "long" else 1) * np.linspace(0.0, reach, max(round(100 * reach / STEP_PCT), 1) + 1)


def _mass(heatmap: Heatmap, side: str, ends: FloatArray) -> FloatArray:
    """USD of a side between the signed log distances, shape (steps,)."""
    return _between(heatmap, heatmap.long_usd if side == "long" else heatmap.short_usd, ends)


def _bands(maps: Sequence[Heatmap]) -> list[str]:
    """Bands of leverage of all the maps; one without a name where they have none."""
    found = {
        band
        for one in maps
        if one.breakdown is not None and LEVERAGE in one.dimensions
        for band in one.breakdown[LEVERAGE].drop_nulls().unique()
    }
    return sorted(found) or [""]


def _by_leverage(heatmap: Heatmap, bands: Sequence[str], side: str, ends: FloatArray) -> FloatArray:
    """The same by band of leverage, shape (steps, bands); in the first column where the
    map has no such breakdown."""
    found = np.zeros((ends.size - 1, len(bands)))
    if heatmap.breakdown is None or LEVERAGE not in heatmap.dimensions:
        found[:, 0] = _mass(heatmap, side, ends)
        return found
    on_grid = pl.col("bin").is_between(0, heatmap.grid.bins - 1)
    rows = heatmap.breakdown.filter((pl.col("side") == side) & on_grid)
    for at, band in enumerate(bands):
        own = rows.filter(pl.col(LEVERAGE) == band)
        mass = np.bincount(own["bin"].to_numpy(), own["notional_usd"].to_numpy(), heatmap.grid.bins)
        found[:, at] = _between(heatmap, np.asarray(mass, dtype=np.float64), ends)
    return found


def _between(heatmap: Heatmap, mass: FloatArray, ends: FloatArray) -> FloatArray:
    grid = heatmap.grid
    at = np.arange(-grid.bins_each_way, grid.bins_each_way + 1) * grid.log_width
    risen = np.concatenate([[0.0], np.cumsum(mass)])
    return np.asarray(np.abs(np.diff(np.interp(ends, at, risen))))


def _interval(gains: FloatArray, venues: int) -> tuple[float, float]:
    """95 % interval of the sum over steps, for the best of so many venues: blocks of neighbouring steps are drawn."""
    draw = np.random.default_rng(SEED)
    blocks = -(-gains.size // BLOCK)
    start = draw.integers(0, gains.size, (DRAWS, blocks))
    drawn = (
        gains[(start[:, :, None] + np.arange(BLOCK)) % gains.size]
        .reshape(DRAWS, -1)[:, : gains.size]
        .sum(axis=1)
    )
    tail = 2.5 / venues
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
