"""Maps of providers that read positions themselves: 0xArchive, LiquidVision, Ironflow.

Such a map is exact, with them as the provider, as far as they have read. LiquidVision models centralised exchanges in
the same layout: what states no positions is a model. Ironflow values a position at its liquidation price.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from liqtruth.compare.imported.documents import (
    Answer,
    amounts,
    ascending,
    floats,
    moment_of,
    moments_of,
    price_of,
    prices,
)
from liqtruth.compare.imported.fields import Body, rows_of, sides_of, text_of
from liqtruth.compare.imported.layouts.others import HYPERLIQUID
from liqtruth.compare.imported.levels import LONG, SHORT, Levels, buckets, span
from liqtruth.compare.imported.maps_in_file import MapsInFile, OverTime
from liqtruth.compare.imported.totals import SAME_TOTAL, share_of_total
from liqtruth.compare.imported.vendor_map import VendorMap
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Notes, note

MOST_POSITIONS: Final = 10_000_000
"""In one level; no exchange has so many."""
SAME_MOMENT: Final = timedelta(minutes=1)
"""Two statements of a moment this close are one, rounded."""
OLDEST_S: Final = 366 * 86_400.0
"""Of an answer; older ones are no answer of a map."""


def age_of(value: Any, answer: Answer) -> float | None:
    """Seconds that an answer was old when it was given; null where it states none."""
    if value is None:
        return None
    found = float(floats([value], "age_s", answer, 0.0)[0])
    if found > OLDEST_S:
        raise answer.refuse(f"age_s must be seconds, at most a year of them, got {found:g}")
    return found


# --------------------------------------------------------------------------------------- 0xArchive


def is_oxarchive(body: Any) -> bool:
    return isinstance(body, dict) and "mid_price" in body and "levels" in body


def read_oxarchive(answer: Answer) -> MapsInFile:
    """Buckets named by their centres, longs and shorts in each: positions that the provider has read."""
    body = answer.body
    if body["levels"] is None:
        raise answer.refuse("levels must be there, got null: ask without summary=true")
    rows = rows_of(body["levels"], "levels", answer)
    centres = ascending([row.get("price") for row in rows], "price of level", answer)
    low_px, high_px = buckets(centres)
    long, short = (
        amounts([row.get(f"{side}_notional") for row in rows], f"{side}_notional of level", answer)
        for side in ("long", "short")
    )
    found = [row.get(f"{side}_count") for side in ("long", "short") for row in rows]
    counts = None if any(one is None for one in found) else amounts(found, "count of level", answer)
    if counts is not None and (counts > MOST_POSITIONS).any():
        raise answer.refuse(f"counts of levels must be at most {MOST_POSITIONS:,}, got {counts.max():g}")
    flagged = body.get("flagged_notional")
    notes: Notes = ()
    if flagged is not None and amounts([flagged], "flagged_notional", answer)[0] > 0:
        notes = (note("not_in_buckets", usd=float(flagged)),)
    notes += share_of_total(float(long.sum() + short.sum()), _totals(answer, SIDES), answer)
    return MapsInFile.of_one(
        VendorMap(
            answer,
            "0xarchive",
            "levels",
            Levels(
                np.tile(low_px, 2), np.tile(high_px, 2), np.concatenate([long, short]),
                np.repeat([LONG, SHORT], centres.size),
            ),
            (float(low_px[0]), float(high_px[-1])),
            coin=text_of(body, "coin", "symbol"),
            venue=HYPERLIQUID,
            as_of=_snapshot(answer),
            mark_px=price_of(body["mid_price"], "mid_price", answer),
            unit="usd",
            exact=True,
            counts=counts,
            notes=notes,
        )
    )  # fmt: skip


def _snapshot(answer: Answer) -> datetime | None:
    """The moment, which is stated twice. Raises where they are two."""
    stated = [moment_of(answer.body.get(f"snapshot_ts{end}"), "snapshot_ts", answer) for end in ("_ms", "")]
    known = [one for one in stated if one is not None]
    if len(known) > 1 and abs(known[0] - known[1]) > SAME_MOMENT:
        raise answer.refuse(
            f"snapshot_ts must be snapshot_ts_ms, {known[0]:%Y-%m-%d %H:%M:%S} UTC, got {known[1]:%Y-%m-%d %H:%M:%S}"
        )
    return known[0] if known else None


def _totals(answer: Answer, names: Sequence[str]) -> list[Any]:
    return [answer.body.get(f"total_{name}") for name in names]


# ------------------------------------------------------------------------------------ LiquidVision

VENUE: Final = ("exchange", "venue")
COVERED: Final = ("coverage", "positions")
"""What only a map of positions that were read has."""


def is_liquidvision(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("bins"), list)
        and ("grid" in body or {"long", "short"} <= body.keys())
    )


def read_liquidvision(answer: Answer) -> MapsInFile:
    """Longs and shorts by price, or, as `grid[time][bin]`, over time; bins are named by their centres, or by their
    edges where there is one more of them than amounts."""
    body = answer.body
    if not body["bins"]:
        raise answer.empty()
    return _heat(answer) if "grid" in body else MapsInFile.of_one(_by_side(answer))


def _by_side(answer: Answer) -> VendorMap:
    body = answer.body
    amount = [amounts(body[side], f"{side} of bin", answer) for side in SIDES]
    if amount[0].size != amount[1].size:
        raise answer.refuse(
            f"long and short must be of one length, got {amount[0].size} and {amount[1].size}"
        )
    low_px, high_px = _bins(answer, amount[0].size)
    measured = any(name in body for name in COVERED)
    return VendorMap(
        answer,
        "liquidvision",
        "measured" if measured else "map",
        Levels(
            np.tile(low_px, 2),
            np.tile(high_px, 2),
            np.concatenate(amount),
            np.repeat([LONG, SHORT], low_px.size),
        ),
        (float(low_px[0]), float(high_px[-1])),
        coin=text_of(body, "symbol", "asset"),
        venue=text_of(body, *VENUE),
        as_of=moment_of(body.get("ts"), "ts", answer),
        age_s=age_of(body.get("age_s"), answer),
        mark_px=price_of(body.get("current_price"), "current_price", answer),
        unit="usd" if measured else "unknown",
        exact=measured,
        notes=share_of_total(
            sum(float(one.sum()) for one in amount), _totals(answer, ("long_below", "short_above")), answer
        ),
    )


def _bins(answer: Answer, size: int) -> tuple[FloatArray, FloatArray]:
    """Low and high edges of as many bins as there are amounts."""
    axis = ascending(answer.body["bins"], "bin", answer)
    if axis.size == size + 1:
        return axis[:-1], axis[1:]
    if axis.size != size:
        raise answer.refuse(f"there must be an amount for each of {axis.size} bins, got {size}")
    return buckets(axis)


def _heat(answer: Answer) -> MapsInFile:
    """The map at each of its times; without them columns are numbered."""
    body = answer.body
    grid = body["grid"]
    if not grid:
        raise answer.empty()
    if not isinstance(grid, list) or not all(isinstance(row, list) for row in grid):
        raise answer.refuse("grid must be rows of amounts, one a time")
    if len(widths := set(map(len, grid))) > 1:
        raise answer.refuse(
            f"rows of grid must be of one length, got {min(widths)} and {max(widths)} amounts"
        )
    low_px, high_px = _bins(answer, len(grid[0]))
    amount = np.concatenate([amounts(row, "amount of grid,", answer) for row in grid])
    times = moments_of(body["times"], "time", answer) if body.get("times") else []
    path = body.get("prices") or body.get("price")
    close_px = prices(path, "price", answer) if isinstance(path, list) else None
    for name, found in (("times", times), ("prices", close_px)):
        if found is not None and len(found) not in (0, len(grid)):
            raise answer.refuse(f"{name} must be one for each of {len(grid)} rows of grid, got {len(found)}")
    about = VendorMap(
        answer,
        "liquidvision",
        "heatmap",
        Levels(low_px, high_px, np.zeros(low_px.size)),
        (float(low_px[0]), float(high_px[-1])),
        coin=text_of(body, "symbol", "asset"),
        venue=text_of(body, *VENUE),
        age_s=age_of(body.get("age_s"), answer),
        mark_px=price_of(body.get("current_price"), "current_price", answer),
    )
    column = np.repeat(np.arange(len(grid)), low_px.size)
    level = np.tile(np.arange(low_px.size), len(grid))
    return OverTime(
        about, level, column, amount, times, close_px, moment_of(body.get("ts"), "ts", answer)
    ).maps()


# ---------------------------------------------------------------------------------------- Ironflow


LISTS: Final = ("ranges", "buckets", "levels", "data")
PRICE: Final = ("current_price", "mark_price", "mid_price", "price")
LOW: Final = ("low", "from", "price_low", "price_from", "low_price", "from_price", "min_price", "start")
HIGH: Final = ("high", "to", "price_high", "price_to", "high_price", "to_price", "max_price", "end")
AMOUNT: Final = ("notional_usd", "notional", "usd", "value_usd")
RUNNING: Final = (
    "cumulative_notional_usd",
    "cumulative_notional",
    "cumulative_usd",
    "cumulative",
    "running_total",
)
"""Ironflow states what these fields are and publishes no names: the first that a row has is taken, and the running
totals must be those of the amounts, so that no other number is taken for one."""
MOMENTS: Final = ("timestamp", "timestamp_ms", "ts", "time", "as_of", "as_of_ts")


def is_ironflow(body: Any) -> bool:
    """A snapshot with its age, beside ranges of price."""
    snapshot = body.get("snapshot") if isinstance(body, dict) else None
    return isinstance(snapshot, dict) and "age_s" in snapshot and any(name in body for name in LISTS)


def read_ironflow(answer: Answer) -> MapsInFile:
    """Ranges of price with amounts of one side or of both, and running totals from the price outward; a file that lists
    only some of the ranges is no exact map."""
    body, snapshot = answer.body, answer.body["snapshot"]
    rows = rows_of(next(body[name] for name in LISTS if name in body), "ranges", answer)
    low_px = prices(_column(rows, LOW, "low price", answer), "low price of range", answer)
    high_px = prices(_column(rows, HIGH, "high price", answer), "high price of range", answer)
    if (low_px >= high_px).any():
        at = int(np.flatnonzero(low_px >= high_px)[0])
        raise answer.refuse(
            f"range {at + 1} must end above its beginning, got {low_px[at]:g} to {high_px[at]:g}"
        )
    amount, side, running = _of_sides(rows, answer)
    times = amount.size // low_px.size
    levels = Levels(np.tile(low_px, times), np.tile(high_px, times), amount, side)
    share = _listed(levels, running, answer)
    complete = abs(share - 1) < SAME_TOTAL and (running is not None or _adjoin(low_px, high_px))
    return MapsInFile.of_one(
        VendorMap(
            answer,
            "ironflow",
            "ranges",
            levels,
            span(levels),
            coin=text_of(body, "market", "display_symbol", "coin"),
            venue=HYPERLIQUID,
            as_of=moment_of(
                next((one for name in MOMENTS if (one := snapshot.get(name))), None), "snapshot", answer
            ),
            age_s=age_of(snapshot["age_s"], answer),
            mark_px=price_of(next((body[name] for name in PRICE if name in body), None), "price", answer),
            unit="usd",
            exact=complete,
            at_own_price=True,
            notes=() if complete else (note("ranges_missing", share=None if running is None else share),),
        )
    )


def _column(rows: Sequence[Body], names: Sequence[str], what: str, answer: Answer) -> list[Any]:
    name = next((one for one in names if one in rows[0]), None)
    if name is None:
        raise answer.refuse(
            f"ranges must have a {what} ({', '.join(names[:3])}), got {', '.join(rows[0])[:80]}"
        )
    return [row.get(name) for row in rows]


def _of_sides(rows: Sequence[Body], answer: Answer) -> tuple[FloatArray, IntArray, FloatArray | None]:
    """Amounts, their sides, and running totals where there are any."""
    if "side" in rows[0]:
        amount = amounts(_column(rows, AMOUNT, "notional", answer), "notional of range", answer)
        return amount, sides_of([row.get("side") for row in rows], answer), _running(rows, RUNNING, answer)
    parts, totals = [], []
    for side in SIDES:
        cells = _column(rows, [f"{side}_{name}" for name in AMOUNT], f"{side} notional", answer)
        parts.append(amounts(cells, f"{side} notional of range", answer))
        names = [one for name in RUNNING for one in (f"{side}_{name}", f"{name}_{side}")]
        totals.append(_running(rows, names, answer))
    running = [one for one in totals if one is not None]
    sides = np.repeat([LONG, SHORT], len(rows))
    return np.concatenate(parts), sides, np.concatenate(running) if len(running) == len(SIDES) else None


def _running(rows: Sequence[Body], names: Sequence[str], answer: Answer) -> FloatArray | None:
    known = next((name for name in names if name in rows[0]), None)
    return None if known is None else amounts([row.get(known) for row in rows], f"{known} of range", answer)


def _adjoin(low_px: FloatArray, high_px: FloatArray) -> bool:
    """Whether every range begins where another ends: none is left out."""
    starts, ends = np.unique(low_px), np.unique(high_px)
    return bool(np.allclose(starts[1:], ends[:-1], rtol=SAME_TOTAL)) if starts.size == ends.size else False


def _listed(levels: Levels, running: FloatArray | None, answer: Answer) -> float:
    """The share of all amounts that the ranges list, by their running totals; 1 where there are none. Raises where a
    running total is less than the amounts from the price up to it."""
    if running is None:
        return 1.0
    whole = 0.0
    for side in (LONG, SHORT):
        theirs = np.flatnonzero(levels.sides == side)
        outward = theirs[np.argsort(levels.low_px[theirs] * (1 if side == SHORT else -1))]
        added = np.cumsum(levels.amount[outward])
        short = running[outward] < added * (1 - SAME_TOTAL) - 1.0
        if short.any():
            at = int(np.flatnonzero(short)[0])
            raise answer.refuse(
                "running totals must be those of the ranges from the price outward, "
                f"got {running[outward[at]]:,.6g} after {added[at]:,.6g}"
            )
        whole += float(running[outward].max(initial=0.0))
    listed = float(levels.amount.sum())
    return listed / whole if whole > 0 else 1.0
