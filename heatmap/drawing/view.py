"""What every drawing of a map shows: the prices in view, in visible bins, and the text beside them.

In view are the prices around the mark that hold most of the mass. The text states what the map is, how much it has
seen and what is not on it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.heatmap.bounds import Move, moves, withheld_notes
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import MORE_THAN_ALL, Coverage, Heatmap
from liqtruth.heatmap.layers import ABOUT_LAYERS
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import SYNTHETIC_NOTE, of_codes, texts, without_codes
from liqtruth.heatmap.words.text import age, ago, as_of, counted, percent, price, stamp, usd, venue_words

SHOWN_SHARE: Final = 0.90
LEAST_REACH_PCT: Final = 10.0
TOO_MUCH_USD: Final = 1e12
"""Open interest that no market has had."""
LACKING: Final = frozenset({"not_levelled", "unbounded", "unbounded_not_levelled"})
"""Codes of assumptions that must be read before the map is."""
CUMULATIVE: Final = "cumulative liquidations"
KIND = {"exact": "exact positions", "modelled": "model", "imported": "imported map"}


@dataclass(frozen=True)
class View:
    """Bars of a picture: `edges` ascending (one more than the bars), mass per side, positions where known."""

    edges: FloatArray
    long_usd: FloatArray
    short_usd: FloatArray
    positions: FloatArray | None

    @property
    def centers(self) -> FloatArray:
        return np.asarray(np.sqrt(self.edges[:-1] * self.edges[1:]), dtype=np.float64)

    @property
    def empty(self) -> bool:
        return not (self.long_usd.any() or self.short_usd.any())


def reach_bins(heatmap: Heatmap, share: float = SHOWN_SHARE) -> int:
    """Bins each way that hold `share` of either side's in-grid mass, at least 10 percent of price."""
    middle = heatmap.grid.bins_each_way
    needed = int(np.ceil(np.log1p(LEAST_REACH_PCT / 100) / heatmap.grid.log_width))
    for mass in (heatmap.long_usd[:middle][::-1], heatmap.short_usd[middle:]):
        if mass.any():
            needed = max(needed, int(np.searchsorted(np.cumsum(mass), share * mass.sum())) + 2)
    return min(needed, middle)


def zoomed(heatmap: Heatmap, bars_each_way: int) -> View:
    """Pool bins into at most `bars_each_way` bars on either side of the mark; whole bins only, so exact.

    The outermost bars may reach past the grid, where no mass is.
    """
    wanted = reach_bins(heatmap)
    pooled = max(1, int(np.ceil(wanted / bars_each_way)))
    bars = int(np.ceil(wanted / pooled))
    steps = np.arange(-bars, bars + 1) * pooled
    counts = position_counts(heatmap)
    return View(
        edges=np.asarray(heatmap.mark_px * np.exp(steps * heatmap.grid.log_width), dtype=np.float64),
        long_usd=_pool(heatmap.long_usd, bars, pooled),
        short_usd=_pool(heatmap.short_usd, bars, pooled),
        positions=None if counts is None else _pool(counts, bars, pooled),
    )


def position_counts(heatmap: Heatmap) -> FloatArray | None:
    """Positions per bin; null where a map does not know."""
    if heatmap.source != "exact" or heatmap.breakdown is None:
        return None
    rows = heatmap.breakdown.drop_nulls("bin")
    bins = np.clip(rows["bin"].to_numpy() + 1, 0, heatmap.grid.bins + 1)
    return np.bincount(bins, rows["positions"].to_numpy(), heatmap.grid.bins + 2)[1:-1].astype(np.float64)


def _pool(mass: FloatArray, bars: int, pooled: int) -> FloatArray:
    """Sums of `pooled` bins, `bars` of them on either side of the middle."""
    middle, reach = mass.size // 2, bars * pooled
    beyond = max(reach - middle, 0)
    window = np.pad(mass, beyond)[middle + beyond - reach : middle + beyond + reach]
    return np.asarray(window.reshape(-1, pooled).sum(axis=1), dtype=np.float64)


def kind(heatmap: Heatmap) -> str:
    """`exact positions`, `exact positions, crowd`, `model tiers`, `imported map coinank`."""
    between = ", " if heatmap.source == "exact" and heatmap.model else " "
    return f"{KIND[heatmap.source]}{between}{heatmap.model}".strip()


def title(heatmap: Heatmap) -> str:
    """Coin, venue, kind, filter, moment and mark."""
    only = f"{heatmap.filtered_by}, " if heatmap.only else ""
    where = venue_words(heatmap.venue)
    return (
        f"{heatmap.coin} on {where}: {kind(heatmap)}, {only}{heatmap.as_of:%Y-%m-%d %H:%M:%S} UTC, "
        f"mark {price(heatmap.mark_px)}"
    )


def per_bin(view: View) -> str:
    """`liquidations per 0.5 % bin`: what a bar is."""
    return f"liquidations per {100 * (view.edges[1] / view.edges[0] - 1):.2g} % bin"


def data_moment(heatmap: Heatmap) -> datetime:
    """When what the map rests on was taken: a modelled map is no newer than the older of its last price and its last
    open interest."""
    behind_s = heatmap.coverage.oldest_age_s if heatmap.source == "modelled" else None
    return heatmap.as_of - timedelta(seconds=max(behind_s or 0.0, 0.0))


def age_line(heatmap: Heatmap, now: datetime | None = None) -> str:
    """`as of 2026-08-21 11:01 UTC (100 days ago)`; of a model whose series end before its moment, when they do."""
    taken = data_moment(heatmap)
    parts = [as_of(heatmap.as_of, now)]
    if taken < heatmap.as_of:
        parts.append(f"of series to {stamp(taken)} ({ago(taken, now)})")
    return ", ".join((*parts, *beside_age(heatmap)))


def beside_age(heatmap: Heatmap) -> tuple[str, ...]:
    """What must stand beside every age: that the data are the sandbox's, where they are."""
    return (SYNTHETIC_NOTE,) if heatmap.synthetic else ()


def coverage_line(heatmap: Heatmap) -> str:
    """Share of open interest per side, positions and age; a filtered map states the filter, then this of the whole."""
    coverage = heatmap.coverage
    share = coverage.share
    seen = _sides(heatmap, coverage.seen_usd)
    if share is None and not in_usd(heatmap):
        line = f"adds up to {seen} in the vendor's own unit"
    elif share is None:
        line = f"open interest unknown; {'seen' if heatmap.source == 'exact' else 'adds up to'} {seen}"
    else:
        verb = "places" if heatmap.source == "modelled" else "covers"
        line = (
            f"{verb} {percent(share.long)} of long and {percent(share.short)} of short open interest "
            f"({usd(coverage.open_interest_usd or 0.0)}){_doubt(coverage)}"
        )
    if coverage.positions is not None:
        line += f"; {counted(coverage.positions, 'position')}"
        if coverage.accounts is not None:
            line += f" of {counted(coverage.accounts, 'account')}"
    if coverage.oldest_age_s is not None:
        last = "series end" if heatmap.source == "modelled" else "oldest read"
        line += f", {last} {age(coverage.oldest_age_s)} before its moment"
    return (
        f"{heatmap.filtered_by}: {_sides(heatmap, heatmap.total_usd)}, of a whole that {line}"
        if heatmap.only
        else line
    )


def _doubt(coverage: Coverage) -> str:
    """What makes the coverage unbelievable; mostly a column in another unit than it was taken for."""
    if (coverage.open_interest_usd or 0.0) > TOO_MUCH_USD:
        return ", WHICH CANNOT BE: open interest in another unit?"
    if max(coverage.share or (0.0, 0.0)) > MORE_THAN_ALL:
        return ", MORE THAN THERE IS: sizes or open interest in another unit, or positions twice?"
    return ""


def head_lines(heatmap: Heatmap) -> tuple[str, ...]:
    """What must be read first: how much was seen, and how much of it is whales'."""
    return (coverage_line(heatmap), *texts(of_codes(heatmap.coverage.notes, ABOUT_LAYERS)))


def remainder_line(heatmap: Heatmap) -> str:
    """Notional that is not in the grid, and why."""
    never, beyond = (_sides(heatmap, part) for part in (heatmap.never_usd, heatmap.beyond_usd))
    parts = [f"no price liquidates {never}", f"off the grid {beyond}"]
    if heatmap.coverage.unknown_usd.total:
        parts.append(f"collateral unknown {_sides(heatmap, heatmap.coverage.unknown_usd)}")
    if heatmap.coverage.crossed_positions:
        parts.append(
            f"already past their price {_sides(heatmap, heatmap.coverage.crossed_usd)}, booked at the mark"
        )
    return "not drawn: " + "; ".join(parts)


def moves_rows(heatmap: Heatmap) -> tuple[tuple[str, ...], list[tuple[Move, tuple[str, ...]]]]:
    """Heads and cells of a table of what moves of the mark liquidate; no rows where the map has no bounds."""
    bounds = heatmap.bounds
    if bounds is None:
        return (), []
    heads = ("a move of", "likely liquidates", f"{percent(bounds.level, 0)} range", "of it whales", "drawn")
    return heads, [(move, _move_cells(move)) for move in moves(bounds)]


def _move_cells(move: Move) -> tuple[str, ...]:
    return (
        f"{move.move_pct:+g} %",
        usd(move.likely_usd),
        move.range_text,
        move.whales_text,
        usd(move.modelled_usd),
    )


def bounds_lines(heatmap: Heatmap) -> tuple[str, ...]:
    """What moves of the mark liquidate, with bounds and the whales' part; none where the map has no bounds."""
    bounds = heatmap.bounds
    return () if bounds is None else tuple(move.text(bounds.level) for move in moves(bounds))


def outside_line(heatmap: Heatmap, view: View) -> str:
    """Mass of the grid that lies past the picture's ends; empty where there is none."""
    drawn = Sides(float(view.long_usd.sum()), float(view.short_usd.sum()))
    least = 1e-9 * heatmap.in_grid_usd.total
    whole = (float(heatmap.long_usd.sum()), float(heatmap.short_usd.sum()))
    past = Sides(
        *(more if (more := all_of - seen) > least else 0.0 for all_of, seen in zip(whole, drawn, strict=True))
    )
    if not any(past):
        return ""
    low, high = (100 * (view.edges[end] / heatmap.mark_px - 1) for end in (0, -1))
    return f"past the ends of the picture, {low:+.0f} and {high:+.0f} %: {_sides(heatmap, past)}"


def side_notes(heatmap: Heatmap, view: View | None = None) -> tuple[str, ...]:
    """What is not drawn (of the picture `view` also what lies past its ends), what a fitted model does not know here,
    what was found wrong with the input, and the notes of the coverage that is not in `head_lines`."""
    bounds = heatmap.bounds
    bounds_note = (
        ()
        if bounds is None
        else (
            f"bounds hold on {percent(bounds.level, 0)} of held-out maps: {bounds.basis}",
            *texts(withheld_notes(bounds)),
        )
    )
    lacking = texts(of_codes(heatmap.assumptions, LACKING))
    found = tuple(f"input: {finding}" for finding in heatmap.quality)
    notes = texts(without_codes(heatmap.coverage.notes, ABOUT_LAYERS))
    outside = outside_line(heatmap, view) if view is not None else ""
    return (remainder_line(heatmap), *filter(None, [outside]), *bounds_note, *lacking, *found, *notes)


def _sides(heatmap: Heatmap, amounts: Sides) -> str:
    return f"{amount(heatmap, amounts.long)} long / {amount(heatmap, amounts.short)} short"


def amount(heatmap: Heatmap, value: float) -> str:
    """An amount of a map in the map's own unit: `$1.2M`, `1.2M` where a vendor does not state it, `1.2 %`."""
    if in_usd(heatmap):
        return usd(value)
    return f"{value:.3g} %" if axis_unit(heatmap)[0] == 1.0 else usd(value).removeprefix("$")


def axis_unit(heatmap: Heatmap) -> tuple[float, str]:
    """By what amounts are divided to be drawn, and what they are then."""
    if in_usd(heatmap):
        return 1e6, "million USD"
    percent_of_map = heatmap.origin is not None and heatmap.origin.unit == "percent"
    return (1.0, "percent of the map") if percent_of_map else (1e6, "million, in the vendor's own unit")


def in_usd(heatmap: Heatmap) -> bool:
    """Whether amounts are USD; vendors state others, or none."""
    return heatmap.origin is None or heatmap.origin.unit == "usd"
