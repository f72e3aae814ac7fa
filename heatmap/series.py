"""`HeatmapSeries`: maps of one coin stacked over time on one price grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.filtering import filtered_by
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap, Source
from liqtruth.heatmap.levels import SIDE, Sides
from liqtruth.heatmap.words.notes import NOT_USD, SYNTHETIC_NOTES, Notes, of_codes, texts
from liqtruth.heatmap.words.text import age, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCHEMA: Final = "liqtruth.heatmap_series/1"
"""Of the facts beside the rows of a series."""
LEFT_OUT: Final = ("only_leverage", "only_age", "only_since", "venues_lack", "shortest_history")
"""Codes of the notes of what a series does not show."""


@dataclass(frozen=True, eq=False)
class Candles:
    """Prices between each moment and the one before it, arrays of shape (times,); they close at the mark."""

    open: FloatArray
    high: FloatArray
    low: FloatArray


@dataclass(frozen=True, eq=False)
class HeatmapSeries:
    """Maps at ascending moments; USD at each moment's mark. A moment of which nothing is known is NaN throughout.

    Attributes
    ----------
    long_usd, short_usd : arrays of shape (times, grid.bins)
        As in `Heatmap`, but on one grid for all moments: the mark moves through it.
    mark_px : array of shape (times,)
    beyond_usd, never_usd : Sides per time, zero where nothing is known
    coverage : Coverage per time, null where nothing is known; `oldest_age_s` counts back from that moment
    model : what made a modelled series
    quality : what was found wrong with the input, and what was done about it
    candles : Candles, null where only the mark at each moment is known
    only : what the series was filtered by, with the values kept, as in `Heatmap`

    Examples
    --------
    >>> history.coin, history.model, len(history.times)
    ('BTC', 'vintages', 24)
    """

    coin: str
    venue: str
    source: Source
    times: tuple[datetime, ...]
    grid: PriceGrid
    long_usd: FloatArray
    short_usd: FloatArray
    mark_px: FloatArray
    beyond_usd: tuple[Sides, ...]
    never_usd: tuple[Sides, ...]
    coverage: tuple[Coverage | None, ...]
    assumptions: Notes = ()
    model: str = ""
    quality: Notes = ()
    candles: Candles | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.times), self.grid.bins)
        for name in ("long_usd", "short_usd"):
            if getattr(self, name).shape != shape:
                raise BadInput(
                    f"{name} must have shape {shape} (times, bins), got {getattr(self, name).shape}"
                )
        for name in ("mark_px", "beyond_usd", "never_usd", "coverage"):
            if len(getattr(self, name)) != len(self.times):
                raise BadInput(
                    f"{name} must have an entry for each of {len(self.times)} times, got {len(getattr(self, name))}"
                )
        if any(moment.tzinfo is None for moment in self.times):
            raise BadInput("the moments of a series must have a time zone")
        if any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise BadInput("the moments of a series must ascend")

    @property
    def known(self) -> FloatArray:
        """1 where something is known of the moment, else 0."""
        return np.array([float(one is not None) for one in self.coverage])

    def frame(self) -> pl.DataFrame:
        """Long form: `time`, `mark_px`, `side`, `low_px`, `high_px`, `notional_usd`; empty bins are left out.

        Returns
        -------
        polars.DataFrame
            One row per moment, side and bin that holds anything; a filtered series says so in `filtered_by`.

        Examples
        --------
        >>> history.frame().columns
        ['time', 'mark_px', 'side', 'low_px', 'high_px', 'notional_usd']
        """
        parts = []
        for side, mass in (("long", self.long_usd), ("short", self.short_usd)):
            row, bin_ = np.nonzero(np.nan_to_num(mass))
            parts.append(
                pl.DataFrame(
                    {
                        "time": pl.Series([self.times[at] for at in row], dtype=pl.Datetime("ms", "UTC")),
                        "mark_px": self.mark_px[row],
                        "side": pl.repeat(side, row.size, dtype=SIDE, eager=True),
                        "low_px": self.grid.edges[bin_],
                        "high_px": self.grid.edges[bin_ + 1],
                        "notional_usd": mass[row, bin_],
                    }
                )
            )
        rows = pl.concat(parts).sort("time", "low_px")
        return rows.with_columns(filtered_by=pl.lit(filtered_by(self.only))) if self.only else rows

    def about(self) -> dict[str, Any]:
        """Everything but the bins and moments, in JSON types."""
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in ("coin", "venue", "source", "model")},
            "times": [moment.isoformat() for moment in self.times],
            "grid": self.grid.to_dict(),
            "coverage": [
                None if one is None else {**asdict(one), "notes": texts(one.notes)} for one in self.coverage
            ],
            "only": {name: list(values) for name, values in self.only.items()},
            "assumptions": texts(self.assumptions),
            "quality": texts(self.quality),
        }

    @property
    def in_usd(self) -> bool:
        """Whether amounts are USD; vendors state others, or none."""
        return not any(of_codes(known.notes, NOT_USD) for known in self.coverage if known is not None)

    def describe(self) -> list[str]:
        """How many moments, over which span, how much of open interest and how old; what a filter left out."""
        known = [known for known in self.coverage if known is not None]
        shares = [known.share for known in known if known.share is not None]
        ages = [known.oldest_age_s for known in known if known.oldest_age_s is not None]
        span = (
            f"{self.times[0]:%Y-%m-%d %H:%M} to {self.times[-1]:%Y-%m-%d %H:%M} UTC"
            if self.times
            else "no time"
        )
        lines = [f"{len(known)} of {len(self.times)} moments known, {span}"]
        if shares:
            low, high = min(map(min, shares)), max(map(max, shares))
            verb = "places" if self.source == "modelled" else "covers"
            lines.append(f"{verb} {percent(low)} to {percent(high)} of open interest")
        if ages and self.source != "modelled":
            lines.append(f"oldest position read up to {age(max(ages))} before its moment")
        if known and self.source != "exact":
            lines += texts(known[-1].notes)
        else:
            lines += dict.fromkeys(
                text for one in known for text in texts(of_codes(one.notes, SYNTHETIC_NOTES))
            )
        lines += [f"input: {finding}" for finding in self.quality]
        lines += texts(
            of_codes(
                self.assumptions,
                ("only_leverage", "only_age", "only_since", "venues_lack", "shortest_history"),
            )
        )
        return lines

    @property
    def synthetic(self) -> bool:
        """Whether any of it came from the sandbox."""
        return any(one.synthetic for one in self.coverage if one is not None)

    @property
    def data_moment(self) -> datetime | None:
        """When what the last known moment rests on was taken; null where nothing is known."""
        known = [
            (at, coverage)
            for at, coverage in zip(self.times, self.coverage, strict=True)
            if coverage is not None
        ]
        if not known:
            return None
        at, coverage = known[-1]
        behind_s = coverage.oldest_age_s if self.source == "modelled" else None
        return at - timedelta(seconds=max(behind_s or 0.0, 0.0))

    def plot(self) -> go.Figure:
        """Price against time, colour by notional, as `liqtruth map --html` draws it.

        Returns
        -------
        plotly.graph_objects.Figure
            It shows itself in a notebook.

        Examples
        --------
        >>> [trace.name for trace in history.plot().data][:2]
        ['known', 'longs liquidated']
        """
        from liqtruth.heatmap.drawing.series_figure import series_figure

        return series_figure(self)

    def __repr__(self) -> str:
        return (
            f"<HeatmapSeries {self.coin} {self.venue} {self.model or self.source}, {len(self.times)} moments>"
        )

    def _repr_html_(self) -> str:
        from liqtruth.heatmap.drawing.notebook import series_html

        return series_html(self)


def stacked(times: Sequence[datetime], maps: Sequence[Heatmap | None]) -> HeatmapSeries:
    """Maps of one maker at these moments as a series, on the last one's bins, as far from each mark as that one does;
    null where a moment is not known. The last must be known. Mass inside a bin is spread evenly in log price."""
    last = maps[-1]
    assert last is not None
    marks = np.array([np.nan if one is None else one.mark_px for one in maps])
    away = float(np.nanmax(np.abs(np.log(marks / last.mark_px)))) / last.grid.log_width
    grid = PriceGrid(last.mark_px, last.grid.width_bps, last.grid.bins_each_way + ceil(away - 1e-9))
    rows = [None if one is None else _rebinned(one, grid) for one in maps]
    blank = np.full(grid.bins, np.nan)
    return HeatmapSeries(
        coin=last.coin,
        venue=last.venue,
        source=last.source,
        times=tuple(times),
        grid=grid,
        long_usd=np.stack([blank if row is None else row[0] for row in rows]),
        short_usd=np.stack([blank if row is None else row[1] for row in rows]),
        mark_px=marks,
        beyond_usd=tuple(Sides(0.0, 0.0) if one is None else one.beyond_usd for one in maps),
        never_usd=tuple(Sides(0.0, 0.0) if one is None else one.never_usd for one in maps),
        coverage=tuple(None if one is None else one.coverage for one in maps),
        assumptions=last.assumptions,
        model=last.model,
        quality=last.quality,
        only=last.only,
    )


def _rebinned(heatmap: Heatmap, grid: PriceGrid) -> tuple[FloatArray, FloatArray]:
    """Longs and shorts per bin of a grid that holds the map's own."""
    before, after = np.log(heatmap.grid.edges), np.log(grid.edges)
    sums = (np.concatenate([[0.0], np.cumsum(mass)]) for mass in (heatmap.long_usd, heatmap.short_usd))
    long, short = (np.diff(np.interp(after, before, risen)) for risen in sums)
    return long, short
