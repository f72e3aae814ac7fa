"""Several venues' series as one: what each has is added bin by bin, around their mark weighted by open interest.

Levels keep their distance from their own venue's last mark, as in `estimator.model.maps.aggregated`: the last moment is
the sum of the venues' maps. Before it each venue's prices are scaled by the same factor, so that its levels stay where
they are over time.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liqtruth.estimator.model.maps import TOGETHER, added_coverage, merged_notes
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.series import Candles, HeatmapSeries
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.words.text import utc_text


def added_series(series: Sequence[HeatmapSeries]) -> HeatmapSeries:
    """The sum of series of one coin and model that end at one moment; a moment that one of them does not know is not
    known. Raises `BadInput` for series that do not fit, `MissingData` where they know no moment together.
    """
    length = min(len(one.times) for one in series)
    shortest = next(one for one in series if len(one.times) == length)
    parts = [_last(one, length) for one in series]
    if len({(one.coin, one.model, one.times, one.grid.width_bps, one.grid.bins) for one in parts}) != 1:
        raise BadInput("only series of one coin, model, step, end and grid can be added; these differ")
    venues = [one.venue for one in parts]
    known = np.logical_and.reduce([one.known > 0 for one in parts])
    if not known.any():
        raise MissingData(
            f"there is no moment at which {', '.join(venues)} all have bars: take a longer --step"
        )
    weight = _weights(parts, known)
    last = weight[:, np.flatnonzero(known)[-1]]
    mark_px = float(sum(share * one.grid.mark_px for share, one in zip(last, parts, strict=True)))
    scaled = weight * np.array([[mark_px / one.grid.mark_px] for one in parts])
    first, blank = parts[0], np.where(known, 0.0, np.nan)
    return HeatmapSeries(
        coin=first.coin,
        venue=TOGETHER.join(venues),
        source=first.source,
        times=first.times,
        grid=PriceGrid(mark_px, first.grid.width_bps, first.grid.bins_each_way),
        long_usd=np.sum([one.long_usd for one in parts], axis=0) + blank[:, None],
        short_usd=np.sum([one.short_usd for one in parts], axis=0) + blank[:, None],
        mark_px=_added([one.mark_px for one in parts], scaled) + blank,
        beyond_usd=_sides([one.beyond_usd for one in parts], known),
        never_usd=_sides([one.never_usd for one in parts], known),
        coverage=tuple(
            _coverage([one.coverage[at] for one in parts], parts, at) if known[at] else None
            for at in range(length)
        ),
        assumptions=_assumptions(parts, shortest, max(len(one.times) for one in series), known, mark_px),
        model=first.model,
        quality=merged_notes([one.quality for one in parts], venues),
        candles=_candles(parts, scaled, blank),
        only=first.only,
    )


def _last(series: HeatmapSeries, count: int) -> HeatmapSeries:
    """Its last `count` moments."""
    cut = slice(len(series.times) - count, None)
    candles = series.candles
    return replace(
        series,
        times=series.times[cut],
        long_usd=series.long_usd[cut],
        short_usd=series.short_usd[cut],
        mark_px=series.mark_px[cut],
        beyond_usd=series.beyond_usd[cut],
        never_usd=series.never_usd[cut],
        coverage=series.coverage[cut],
        candles=None if candles is None else Candles(candles.open[cut], candles.high[cut], candles.low[cut]),
    )


def _weights(parts: Sequence[HeatmapSeries], known: np.ndarray) -> FloatArray:
    """Share of open interest per venue and moment, equal where there is none or it is not known."""
    held = np.array(
        [[0.0 if one is None else one.open_interest_usd or 0.0 for one in part.coverage] for part in parts]
    )
    whole = held.sum(axis=0)
    some = known & (whole > 0)
    return np.where(some, held / np.where(some, whole, 1.0), 1.0 / len(parts))


def _added(values: Sequence[FloatArray], weight: FloatArray) -> FloatArray:
    return np.asarray(np.sum(np.stack(values) * weight, axis=0))


def _sides(parts: Sequence[tuple[Sides, ...]], known: np.ndarray) -> tuple[Sides, ...]:
    rows = zip(*parts, strict=True)
    return tuple(
        Sides(sum(one.long for one in row), sum(one.short for one in row)) if is_known else Sides(0.0, 0.0)
        for row, is_known in zip(rows, known, strict=True)
    )


def _coverage(coverages: Sequence[Coverage | None], parts: Sequence[HeatmapSeries], at: int) -> Coverage:
    there = [one for one in coverages if one is not None]
    held = [one.open_interest_usd or 0.0 for one in there]
    whole = sum(held)
    shares = tuple(
        note(
            "venue_share",
            venue=part.venue,
            share=one / whole if whole > 0 else 0.0,
            usd=one,
            mark_px=float(part.mark_px[at]),
        )
        for part, one in zip(parts, held, strict=True)
    )
    return added_coverage(there, [part.venue for part in parts], shares)


def _candles(parts: Sequence[HeatmapSeries], weight: FloatArray, blank: FloatArray) -> Candles | None:
    candles = [one.candles for one in parts if one.candles is not None]
    if len(candles) < len(parts):
        return None
    return Candles(
        _added([one.open for one in candles], weight) + blank,
        _added([one.high for one in candles], weight) + blank,
        _added([one.low for one in candles], weight) + blank,
    )


def _assumptions(
    parts: Sequence[HeatmapSeries], shortest: HeatmapSeries, longest: int, known: np.ndarray, mark_px: float
) -> Notes:
    unknown = int(known.size - known.sum())
    lacking = (note("venues_lack", count=unknown, moments=known.size),) if unknown else ()
    start = utc_text(shortest.times[0])
    cut = (note("shortest_history", start=start, venue=shortest.venue),) if longest > known.size else ()
    own = merged_notes([one.assumptions for one in parts], [one.venue for one in parts])
    return (note("added_over_time", mark_px=mark_px), *lacking, *cut, *own)
