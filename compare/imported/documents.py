"""What an answer of a vendor is packed in, and its numbers: taken out of the envelope, or refused in one line.

The same content comes as the API sent it (`code`, `success`, `data`), as a list of one object from a scraping service,
or bare; numbers come as numbers or as text, moments in seconds or milliseconds. All of that ends here.
"""

import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.text import EARLIEST, expected_time, is_timely
from liqtruth.storage.files.json_keys import repeated_key

MOST_BYTES: Final = 64 * 2**20
"""Of a vendor's map once unpacked; the largest that is known has 2.7 million."""
MOST_VALUES: Final = 10_000_000
"""Of a document, so that it fits into memory; the largest map that is known has 400,000."""
SUCCESS: Final = frozenset({"0", "1", "200"})
"""Codes of answers that hold a map: "0" of Coinglass, 1 of CoinAnk, as text or number."""
PER_S: Final = (1.0, 1e3, 1e6, 1e9)
"""How many of an epoch's unit a second has."""
PRICES: Final = (1e-12, 1e12)
"""Between these lie the prices of all markets."""
MOST: Final = 1e24
"""Amounts are in units of each vendor's own; none is larger."""
LONGEST_SHOWN: Final = 40
LONGEST_NAME: Final = 60
"""Of an exchange or a map in a file."""
STATED: Final = ("message", "msg")
"""Where an answer states in words what is wrong."""


@dataclass(frozen=True)
class Answer:
    """The body of an answer, where it came from, and what the envelope states beside it."""

    body: Any
    place: str
    message: str = ""

    def refuse(self, what: str) -> VendorMapRefused:
        """To be raised: `what` must hold and does not."""
        return VendorMapRefused(f"{self.place}: {what}")

    def empty(self) -> VendorMapRefused:
        """To be raised for a map that holds nothing: it is no map of an empty market."""
        stated = f"; the vendor states {self.message!r}" if self.message else ""
        return self.refuse(f"the map is empty: it must hold at least one amount above zero{stated}")


def decoded(content: bytes, place: str | Path) -> Any:
    """JSON of any shape; raises `VendorMapRefused`, also for more values than any map has, and for an object in which a
    key stands twice."""
    if sum(content.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise VendorMapRefused(f"{place}: must hold at most {MOST_VALUES:,} values: is it one map?")
    collecting = gc.isenabled()
    gc.disable()  # a hundred thousand new lists would be searched for garbage again and again: four times the time
    try:
        document = msgspec.json.decode(content)
    except (*NOT_DECODED, ValueError, OverflowError) as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise VendorMapRefused(f"{place}: not a vendor's map: not JSON: {line[:120]}") from None
    finally:
        if collecting:
            gc.enable()
    if (twice := repeated_key(content)) is not None:
        raise VendorMapRefused(
            f"{place}: each key of an object must stand once, got {_short(twice)} twice: which value counts?"
        )
    return document


def opened(document: Any, place: str | Path) -> Answer:
    """The body inside lists of one and envelopes; raises `VendorMapRefused` for an answer that is an error."""
    where, message = str(place), ""
    for _ in range(4):
        if isinstance(document, list) and len(document) == 1 and _holds_more(document[0]):
            document = document[0]
            continue
        if not isinstance(document, dict):
            break
        message = next(
            (one for name in STATED if isinstance(one := document.get(name), str) and one), message
        )
        _check_success(document, where, message)
        if not _is_envelope(document):
            break
        document = document["data"]
        if document is None or document in ([], {}):
            raise Answer(document, where, message).empty()
    return Answer(document, where, "" if message.lower() in ("success", "ok") else message)


def _holds_more(value: Any) -> bool:
    """Whether an object holds lists or objects itself, as a row of a table does not."""
    return isinstance(value, dict) and any(isinstance(one, list | dict) for one in value.values())


def _is_envelope(document: dict[str, Any]) -> bool:
    """A `data` beside nothing but plain values; `data` beside a price belongs to the map."""
    if "data" not in document or not isinstance(document["data"], dict | list | None):
        return False
    named = {"code", "success", "msg", "message", "extCode", "ext", "ext1", "meta", "status"}
    return set(document) - {"data"} <= named


def _check_success(document: dict[str, Any], place: str, message: str) -> None:
    code = document.get("code")
    failed = document.get("success") in (False, "false") or document.get("status") == "error"
    if failed or (code is not None and str(code) not in SUCCESS):
        stated = f": {message!r}" if message else ""
        raise VendorMapRefused(
            f"{place}: the vendor's answer must hold a map, got an error (code {str(code)[:LONGEST_SHOWN]!r}){stated}"
        )


def floats(values: Any, what: str, answer: Answer, least: float | None = None) -> FloatArray:
    """Finite numbers, from numbers or their texts, of at least `least`; raises naming the first that is none."""
    try:
        _check_kinds(values)
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise TypeError
    except (ValueError, TypeError, OverflowError):
        raise answer.refuse(_first_wrong(values, what)) from None
    wrong = ~np.isfinite(array) if least is None else ~(np.isfinite(array) & (array >= least))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        place = np.unravel_index(at, array.shape)[0] if array.ndim else 0
        limit = "" if least is None else f" of at least {least:g}"
        raise answer.refuse(f"{what} {place + 1} must be a finite number{limit}, got {array.flat[at]}")
    return array


def _check_kinds(values: Iterable[Any]) -> None:
    """Raises `TypeError` where numpy would take what is no number for one: true for 1, `1_000` for 1000."""
    kinds = set(map(type, values))
    if bool in kinds or (str in kinds and not all(map(_is_plain, values))):
        raise TypeError


def _is_plain(value: Any) -> bool:
    return not isinstance(value, str) or (value.isascii() and "_" not in value)


def _first_wrong(values: Any, what: str) -> str:
    for place, value in enumerate(values if isinstance(values, list | tuple) else [values]):
        try:
            _check_kinds([value])
            if np.asarray(value, dtype=np.float64).ndim == 0 and isinstance(values, list | tuple):
                continue
        except (ValueError, TypeError, OverflowError):
            pass
        return f"{what} {place + 1} must be a number, got {_short(value)}"
    return f"{what} must be numbers, got {_short(values)}"


def _short(value: Any) -> str:
    """A value as an error shows it; a number of four hundred digits is not spelled out."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number too large"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def prices(values: Any, what: str, answer: Answer) -> FloatArray:
    """Positive finite numbers."""
    found = floats(values, what, answer)
    wrong = (found <= PRICES[0]) | (found > PRICES[1])
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise answer.refuse(f"{what} {at + 1} must be a price above zero, got {found.flat[at]:g}")
    return found


def ascending(values: Any, what: str, answer: Answer) -> FloatArray:
    """Prices of an axis, each above the one before."""
    found = prices(values, what, answer)
    if found.ndim != 1 or not found.size:
        raise answer.refuse(f"{what} must be a list of prices")
    if (steps := np.diff(found)).size and (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0])
        raise answer.refuse(f"{what} must ascend, got {found[at]:g} before {found[at + 1]:g}")
    return found


def check_once(rows: str, answer: Answer, px: FloatArray, *others: Any) -> None:
    """Raises where a price is there twice and nothing beside it (`others`, arrays as long) tells one from the other:
    which amount counts would not be known."""
    order = np.lexsort((*others, px))
    same = np.diff(px[order]) == 0
    for other in others:
        same &= other[order][1:] == other[order][:-1]
    if same.any():
        at = int(np.flatnonzero(same)[0])
        first, second = sorted((order[at] + 1, order[at + 1] + 1))
        raise answer.refuse(
            f"each price must be there once, got {px[order[at]]:.10g} in {rows} {first} and {second}: add their "
            "amounts up, or add what tells them apart"
        )


def amounts(values: Any, what: str, answer: Answer) -> FloatArray:
    """Finite numbers of at least zero, of which no market has so much that sums overflow."""
    found = floats(values, what, answer, 0.0)
    if (found > MOST).any():
        at = int(np.flatnonzero(found > MOST)[0])
        raise answer.refuse(
            f"{what} {at + 1} must be an amount that a market can have, got {found.flat[at]:g}"
        )
    return found


def table(rows: Any, width: int, what: str, answer: Answer) -> FloatArray:
    """Rows of `width` numbers, as an array (rows, width)."""
    if not isinstance(rows, list):
        raise answer.refuse(f"{what}s must be a list of rows, got {_short(rows)}")
    if not rows:
        raise answer.empty()
    try:
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {width}:
            raise TypeError
        _check_kinds(list(chain.from_iterable(rows)))
        flat = np.fromiter(chain.from_iterable(rows), np.float64, width * len(rows))
    except (ValueError, TypeError, OverflowError):
        raise answer.refuse(_first_wrong_row(rows, width, what)) from None
    array = flat.reshape(-1, width)
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise answer.refuse(f"{what} {at + 1} must hold finite numbers, got {_short(rows[at])}")
    return array


def _first_wrong_row(rows: list[Any], width: int, what: str) -> str:
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            return f"{what} {place + 1} must be a list of {width} numbers, got {_short(row)}"
        try:
            _check_kinds(row)
            np.asarray(row, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            return f"{what} {place + 1} must hold numbers, got {_short(row)}"
    return f"{what}s must be lists of {width} numbers"


def indices(values: FloatArray, size: int, what: str, answer: Answer) -> IntArray:
    """Whole numbers from 0 to `size - 1`."""
    wrong = (values != np.floor(values)) | (values < 0) | (values >= size)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise answer.refuse(
            f"{what} of cell {at + 1} must be an index from 0 to {size - 1}, got {values[at]:g}"
        )
    return values.astype(np.int64)


def check_name(name: str, place: str) -> None:
    """Names stand in tables, titles and files: raises for one that is too long, or has what moves a cursor."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise VendorMapRefused(
            f"{place}: names must have at most {LONGEST_NAME} printable characters, got {_short(name)}"
        )


def price_of(value: Any, what: str, answer: Answer) -> float | None:
    """One price; null where the answer has none."""
    return None if value is None else float(prices([value], what, answer)[0])


def moment_of(value: Any, what: str, answer: Answer) -> datetime | None:
    """ISO 8601, or an epoch in the one unit in which it is believed; null where the answer has none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            raise answer.refuse(f"{what} must be a moment, got {_short(value)}") from None
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if not is_timely(found):
            raise answer.refuse(f"{what} must be {expected_time()}, got {found:%Y-%m-%dT%H:%MZ}")
        return found
    return moments_of([value], what, answer)[0]


def moments_of(values: Sequence[Any], what: str, answer: Answer) -> list[datetime]:
    """Moments of a column, all in one unit: seconds, milliseconds, microseconds or nanoseconds."""
    if not isinstance(values, list | tuple):
        raise answer.refuse(f"{what} must be a list, got {_short(values)}")
    found = floats(values, what, answer)
    now_s = datetime.now(UTC).timestamp() + 300
    fitting = [
        unit for unit in PER_S if ((found >= EARLIEST.timestamp() * unit) & (found <= now_s * unit)).all()
    ]
    if not fitting:
        raise answer.refuse(
            f"{what} must be {expected_time()}, got {found.flat[-1] if found.size else 'none'}"
        )
    return [datetime.fromtimestamp(float(one), UTC) for one in np.round(found / fitting[0], 3)]
