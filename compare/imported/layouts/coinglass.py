"""Maps of Coinglass: the heatmap and the map of its API v4, the same of its site, max pain, and exports of both.

A heatmap is cells [place of the candle, place of the price, amount]: a level stands in every column that it survives,
so that the current map is the last column that has any cells, and never the sum over time. A map is rows [price,
amount, leverage or null, anything] under keys that are buckets of the same prices. Sides follow the price: no layout
names them, and max pain's fields that do (`long_...`, `short_...`) are contradicted by the vendor's own answers.
"""

from collections.abc import Callable, Iterator
from itertools import chain
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
    prices,
    table,
)
from liqtruth.compare.imported.fields import Body, coin_stated, first_of, venue_stated
from liqtruth.compare.imported.levels import Levels, buckets, span
from liqtruth.compare.imported.maps_in_file import MapsInFile, OverTime, listed
from liqtruth.compare.imported.vendor_map import WHOLE, VendorMap
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.words.notes import note
from liqtruth.storage.files.coin_names import folded

VENDOR: Final = "coinglass"
AXES: Final = ("y_axis", "y", "priceLevels")
CELLS: Final = ("liquidation_leverage_data", "liq", "liquidationLeverageData")
CANDLES: Final = ("price_candlesticks", "prices", "candlesticks")
UPDATED: Final = ("update_time", "updateTime")
LAST: Final = ("last_price", "lastPrice")
ROUNDED: Final = 1e-3
"""Relative, between prices of one candle."""
WIDEST_BUCKET: Final = 0.1
"""Of price: so far from the key of its bucket a level may lie."""
LAST_FITS: Final = 0.05
"""Relative, between a stated last price and what the last candle closed at."""
PAIN: Final = ("symbol", "price", "long_max_pain_liq_price", "short_max_pain_liq_price")


# ------------------------------------------------------------------------------------------ heatmap


def is_heatmap(body: Any) -> bool:
    return isinstance(body, dict) and all(
        any(name in body for name in names) for names in (AXES, CELLS, CANDLES)
    )


def read_heatmap(answer: Answer) -> MapsInFile:
    """One map per column that has cells; by default the last."""
    body = answer.body
    rows = first_of(body, CELLS) or []
    if not rows or not first_of(body, AXES):
        raise answer.empty()
    axis = ascending(first_of(body, AXES), "price of the axis", answer)
    cells = table(rows, 3, "cell", answer)
    candles = _candles(first_of(body, CANDLES) or [], answer)
    level = indices(cells[:, 1], axis.size, "price", answer)
    column = indices(cells[:, 0], max(len(candles), 1) if candles else 2**31, "candle", answer)
    amount = amounts(cells[:, 2], "amount of cell", answer)
    times = moments_of([row[0] for row in candles], "time of candle", answer) if candles else []
    close = _closes(candles, answer) if candles else None
    last_px = price_of(first_of(body, LAST), "last price", answer)
    if close is not None and last_px is not None and abs(last_px / close[-1] - 1) > LAST_FITS:
        raise answer.refuse(
            f"the last price must be that of the last candle, {close[-1]:,.10g}, got {last_px:,.10g}"
        )
    low_px, high_px = buckets(axis)
    stated = _range(body, answer)
    instrument = body.get("instrument") if isinstance(body.get("instrument"), dict) else body
    about = VendorMap(
        answer,
        VENDOR,
        "heatmap",
        Levels(low_px, high_px, np.zeros(axis.size)),
        (stated[0] or float(low_px[0]), stated[1] or float(high_px[-1])),
        coin=coin_stated(answer, instrument, body),
        venue=venue_stated(answer, instrument, body),
        mark_px=last_px,
    )
    updated = moment_of(first_of(body, UPDATED), "time of update", answer)
    return OverTime(about, level, column, amount, times, close, updated).maps()


def _range(body: Body, answer: Answer) -> tuple[float | None, float | None]:
    """The lowest and the highest price that the document states."""
    low_px, high_px = (price_of(body.get(name), name, answer) for name in ("rangeLow", "rangeHigh"))
    return low_px, high_px


def _candles(rows: Any, answer: Answer) -> list[Any]:
    if not isinstance(rows, list) or any(not isinstance(row, list) or len(row) < 5 for row in rows):
        raise answer.refuse("candles must be lists of a time and four prices")
    return rows


def _closes(candles: list[Any], answer: Answer) -> FloatArray:
    """What the prices closed at, which no candle has above its high or below its low."""
    high, low, close = (
        prices([row[at] for row in candles], f"{name} of candle", answer)
        for at, name in ((2, "high"), (3, "low"), (4, "close"))
    )
    wrong = (close < low * (1 - ROUNDED)) | (close > high * (1 + ROUNDED))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise answer.refuse(
            f"close of candle {at + 1} must lie between its low and its high, {low[at]:,.10g} and {high[at]:,.10g}, "
            f"got {close[at]:,.10g}"
        )
    return close


# ---------------------------------------------------------------------------------------------- map


def is_map(body: Any) -> bool:
    """`liqMapV2` of one market, or prices as keys (by `data`, as the API's document has it)."""
    return isinstance(body, dict) and (
        _is_by_price(body.get("liqMapV2")) or _is_by_price(body.get("data", body))
    )


def _is_by_price(value: Any) -> bool:
    """An object whose keys are numbers and whose values are rows."""
    if not isinstance(value, dict) or not value:
        return False
    key, rows = next(iter(value.items()))
    return _is_number(key) and isinstance(rows, list) and (not rows or isinstance(rows[0], list))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_map(answer: Answer) -> MapsInFile:
    body = answer.body
    rows = body.get("liqMapV2") or body.get("data") or body
    instrument = body.get("instrument") if isinstance(body.get("instrument"), dict) else {}
    found = _by_price(answer, body, instrument, rows, WHOLE)
    if found is None:
        raise answer.empty()
    return MapsInFile.by_leverage(found)


def is_by_exchange(body: Any) -> bool:
    """A list of instruments, bare or under `data` beside a price."""
    rows = body.get("data") if isinstance(body, dict) else body
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, dict) and "instrument" in row for row in rows)
        and any("liqMapV2" in row for row in rows)
    )


def read_by_exchange(answer: Answer) -> MapsInFile:
    """One map per exchange, and their sum; exchanges without any level are named in a note of the sum."""
    body = answer.body if isinstance(answer.body, dict) else {"data": answer.body}
    _check_one_coin(body["data"], answer)
    maps, empty = {}, []
    for at, row in enumerate(body["data"]):
        instrument = row["instrument"] if isinstance(row["instrument"], dict) else {}
        name = venue_stated(answer, instrument) or f"exchange {at + 1}"
        found = _by_price(answer, body, instrument, row.get("liqMapV2") or {}, name)
        if found is None:
            empty.append(name)
        elif name in maps:
            raise answer.refuse(f"each exchange must be there once, got {name!r} twice")
        else:
            maps[name] = found
    if not maps:
        raise answer.empty()
    notes = (note("empty_parts", names=tuple(empty)),) if empty else ()
    return MapsInFile.with_sum(maps, WHOLE, notes)


def _check_one_coin(rows: list[Any], answer: Answer) -> None:
    """Raises where exchanges have maps of several coins, whose sum would be none of any."""
    found = [coin_stated(answer, row["instrument"]) for row in rows if isinstance(row["instrument"], dict)]
    coins = [folded(one) for one in found if one]
    names = {(one.coin, one.factor): one.given for one in coins}
    if len(names) > 1:
        raise answer.refuse(f"the coin must be one, got {listed(tuple(names.values()))}: make a file of each")


def _by_price(answer: Answer, body: Body, instrument: Body, rows: Any, name: str) -> VendorMap | None:
    """A map of prices as keys; null where it has no rows."""
    if not isinstance(rows, dict) or not all(isinstance(one, list) for one in rows.values()):
        raise answer.refuse("levels must be lists under their prices")
    found = list(chain.from_iterable(rows.values()))
    if not found:
        return None
    if any(not isinstance(row, list) or len(row) < 3 for row in found):
        raise answer.refuse("each level must be a list of a price, an amount and a leverage or null")
    keys = prices(list(rows), "price", answer)
    px = prices([row[0] for row in found], "price of level", answer)
    _check_keys(keys, px, [len(one) for one in rows.values()], answer)
    amount = amounts([row[1] for row in found], "amount of level", answer)
    tiers = [row[2] for row in found]
    leverage = None
    if any(tier is not None for tier in tiers):
        leverage = floats([1.0 if tier is None else tier for tier in tiers], "leverage of level", answer, 1.0)
        leverage[[tier is None for tier in tiers]] = np.nan
    levels = Levels(px, px, amount, leverage=leverage)
    stated = _range(body, answer)
    low_px, high_px = span(levels)
    return VendorMap(
        answer,
        VENDOR,
        "map",
        levels,
        (stated[0] or min(low_px, float(keys.min())), stated[1] or max(high_px, float(keys.max()))),
        name=name,
        coin=coin_stated(answer, instrument, body),
        venue=venue_stated(answer, instrument, body),
        as_of=moment_of(first_of(body, UPDATED), "time of update", answer),
        mark_px=price_of(first_of(body, LAST), "last price", answer),
        leverages=_tiers_of(leverage),
    )


def _check_keys(keys: FloatArray, px: FloatArray, count: list[int], answer: Answer) -> None:
    """Raises where a level is not within the bucket that it stands under."""
    off = np.abs(px / np.repeat(keys, count) - 1) > WIDEST_BUCKET
    if off.any():
        at = int(np.flatnonzero(off)[0])
        raise answer.refuse(
            f"level {at + 1} must lie near the price it stands under, {np.repeat(keys, count)[at]:,.10g}, "
            f"got {px[at]:,.10g}"
        )


def _tiers_of(leverage: Any) -> tuple[float, ...]:
    if leverage is None or not np.isfinite(leverage).all():
        return ()
    return tuple(np.unique(leverage).tolist())


# ----------------------------------------------------------------------------------------- max pain


def is_max_pain(body: Any) -> bool:
    rows = body if isinstance(body, list) else [body]
    return bool(rows) and all(isinstance(row, dict) and all(name in row for name in PAIN) for row in rows)


def read_max_pain(answer: Answer) -> MapsInFile:
    """Per coin the two levels that hold most; their sides follow the price, whatever the fields are called."""
    rows = answer.body if isinstance(answer.body, list) else [answer.body]
    makers: dict[str, Callable[[], VendorMap]] = {}
    for name, row in _named_rows(rows, answer):
        makers[name] = lambda row=row, name=name: _pain(answer, row, name)  # type: ignore[misc]
    return MapsInFile(
        VENDOR, "max pain", makers, None if len(makers) > 1 else next(iter(makers)), by_coin=True
    )


def _named_rows(rows: list[Any], answer: Answer) -> Iterator[tuple[str, Body]]:
    seen = set()
    for row in rows:
        name = str(row["symbol"])
        if name in seen:
            raise answer.refuse(f"each coin must be there once, got {name!r} twice")
        seen.add(name)
        yield name, row


def _pain(answer: Answer, row: Body, name: str) -> VendorMap:
    sides = [side for side in ("long", "short") if row[f"{side}_max_pain_liq_price"] is not None]
    px = prices([row[f"{side}_max_pain_liq_price"] for side in sides], "max pain price", answer)
    amount = amounts([row.get(f"{side}_max_pain_liq_level") for side in sides], "max pain level", answer)
    if not px.size:
        raise answer.empty()
    levels = Levels(px, px, amount)
    return VendorMap(
        answer,
        VENDOR,
        "max pain",
        levels,
        span(levels),
        name=name,
        coin=name,
        venue=WHOLE,
        mark_px=price_of(row["price"], "price", answer),
    )
