"""Maps of CoinAnk: by leverage, by exchange, and over time.

Amounts stand in lists as long as `prices`, a step of price each; `prices[lastIndex]` is the price that splits sides.
Its own units differ between endpoints, so that one file's amounts are never added to another's.
"""

import re
from typing import Any, Final

import numpy as np

from liqtruth.compare.imported.documents import (
    Answer,
    amounts,
    ascending,
    floats,
    indices,
    moment_of,
    moments_of,
    price_of,
    table,
)
from liqtruth.compare.imported.fields import Body, coin_stated, venue_stated
from liqtruth.compare.imported.levels import Levels, buckets
from liqtruth.compare.imported.maps_in_file import MapsInFile, OverTime
from liqtruth.compare.imported.vendor_map import WHOLE, VendorMap
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.words.notes import note

VENDOR: Final = "coinank"
TIER: Final = re.compile(r"x(\d{1,4}(?:\.\d+)?)")
NO_SERIES: Final = frozenset({"prices"})
LAST_FITS: Final = 1.5
"""The price at the last index is the last price to within so many steps."""


def is_by_price(body: Any) -> bool:
    """`prices`, `lastPrice` and further lists."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("prices"), list)
        and ("lastPrice" in body or "lastIndex" in body)
        and not any(isinstance(one, list) for one in body["prices"][:1])
    )


def read_by_price(answer: Answer) -> MapsInFile:
    """By leverage where the lists are called x25, x50 and so on, else by exchange."""
    body = answer.body
    if not body["prices"]:
        raise answer.empty()
    axis = ascending(body["prices"], "price", answer)
    lists = {
        name: values for name, values in body.items() if name not in NO_SERIES and isinstance(values, list)
    }
    if not lists:
        raise answer.refuse("there must be a list of amounts beside the prices")
    for name, values in lists.items():
        if len(values) != axis.size:
            raise answer.refuse(
                f"{name} must have an amount for each of {axis.size} prices, got {len(values)}"
            )
    mark_px = _last_price(body, axis, answer)
    low_px, high_px = buckets(axis)
    tiers = {name: float(found[1]) for name in lists if (found := TIER.fullmatch(name))}
    if tiers and len(tiers) < len(lists):
        odd = next(name for name in lists if name not in tiers)
        raise answer.refuse(f"lists must be leverages or exchanges, got {odd} beside {next(iter(tiers))}")
    coin, parts = coin_stated(answer, body), {}
    empty = [name for name, values in body.items() if values is None and _is_series(name)]
    for name, values in lists.items():
        amount = amounts(values, f"amount of {name},", answer)
        if not amount.any():
            empty.append(name)
            continue
        filled = np.flatnonzero(amount)
        leverage = None if not tiers else np.full(filled.size, tiers[name])
        parts[name] = VendorMap(
            answer,
            VENDOR,
            "by leverage" if tiers else "by exchange",
            Levels(low_px[filled], high_px[filled], amount[filled], leverage=leverage),
            (float(axis[0]), float(axis[-1])),
            name=name,
            part=name if tiers else "",
            coin=coin,
            venue=None if tiers else name,
            mark_px=mark_px,
            leverages=(tiers[name],) if tiers else (),
        )
    if not parts:
        raise answer.empty()
    notes = (note("empty_parts", names=tuple(empty)),) if empty else ()
    if tiers:
        ordered = {name: parts[name] for name in sorted(parts, key=lambda name: tiers[name])}
        return MapsInFile.with_sum(ordered, notes=notes)
    return MapsInFile.with_sum(parts, WHOLE, notes)


def _is_series(name: str) -> bool:
    """Whether it is called as lists are: by a leverage, or by an exchange, which begins with a capital."""
    return TIER.fullmatch(name) is not None or name[:1].isupper()


def _last_price(body: Body, axis: FloatArray, answer: Answer) -> float | None:
    """The last price, which the last index must point at."""
    stated = price_of(body.get("lastPrice"), "lastPrice", answer)
    if body.get("lastIndex") is None:
        return stated
    found = floats([body["lastIndex"]], "lastIndex", answer)
    at = int(indices(found, axis.size, "lastIndex", answer)[0])
    pointed = float(axis[at])
    step = float(np.diff(axis).max()) if axis.size > 1 else pointed
    if stated is not None and abs(stated - pointed) > LAST_FITS * step:
        raise answer.refuse(
            f"lastIndex must point at lastPrice, got {pointed:,.10g} there and {stated:,.10g}"
        )
    return pointed if stated is None else stated


def is_heatmap(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("liqHeatMap"), dict)


def read_heatmap(answer: Answer) -> MapsInFile:
    """One map per column; the file has no price, so the side of no level is known from it."""
    body, grid = answer.body, answer.body["liqHeatMap"]
    rows = grid.get("data")
    if not rows or not grid.get("priceArray"):
        raise answer.empty()
    if isinstance(rows, list) and isinstance(rows[0], list) and len(rows[0]) == 2:
        raise answer.refuse("cells must be [column, price, amount], got pairs without an amount")
    axis = ascending(grid["priceArray"], "price", answer)
    cells = table(rows, 3, "cell", answer)
    times = (
        moments_of(grid.get("chartTimeArray") or [], "time of column", answer)
        if grid.get("chartTimeArray")
        else []
    )
    level = indices(cells[:, 1], axis.size, "price", answer)
    column = indices(cells[:, 0], len(times) or 2**31, "time", answer)
    low_px, high_px = buckets(axis)
    about = VendorMap(
        answer,
        VENDOR,
        "heatmap",
        Levels(low_px, high_px, np.zeros(axis.size)),
        (float(low_px[0]), float(high_px[-1])),
        coin=coin_stated(answer, body),
        venue=venue_stated(answer, body),
        mark_px=price_of(body.get("lastPrice"), "lastPrice", answer),
    )
    amount = amounts(cells[:, 2], "amount of cell", answer)
    end = moment_of(body.get("end"), "end", answer)
    return OverTime(about, level, column, amount, times, None, end).maps()
