"""Rows of JSON documents: lists of objects, lists of lists, JSON lines, columns by name, or any of these in an answer.

Cells stay the text that the document has, so that a number is never rounded, and one that is too large is refused by
row and column like any other.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from heatmap.decoding import NOT_DECODED
from storage.delimited import TextTable, check_size, is_header, names_of, numbered
from storage.errors import TableRefused

CHUNK: Final = 20_000
DEEPEST: Final = 3
"""So deep inside an answer its rows are looked for: `result.list` of Bybit is at 2."""
WANTED: Final = "a list of rows, JSON lines, or columns by name is wanted"

Raw = msgspec.Raw
OF_RAW: Final = msgspec.json.Decoder(Raw)
OF_LIST: Final = msgspec.json.Decoder(list[Raw])
OF_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
OF_TEXT: Final = msgspec.json.Decoder(str)


def parse_json(content: bytes, path: Path) -> TextTable:
    """The table that a JSON document or JSON lines hold; raises `TableRefused` naming file and line or item."""
    check_size(
        content.count(b",") + content.count(b"{") + content.count(b"[") + content.count(b"\n"), 1, path
    )
    try:
        OF_RAW.decode(content)
    except NOT_DECODED as error:
        lines = [line for line in content.split(b"\n") if line.strip()]
        if len(lines) < 2 or not _is_whole(lines[0]):
            raise TableRefused(
                f"{path}: not a readable table: broken JSON ({error}); export it again"
            ) from None
        return _table(lines, path, "line")
    try:
        return _document(content, path)
    except NOT_DECODED as error:
        raise TableRefused(f"{path}: not a readable table: {error}") from None


def _is_whole(line: bytes) -> bool:
    try:
        OF_RAW.decode(line)
    except NOT_DECODED:
        return False
    return True


def _document(content: bytes, path: Path) -> TextTable:
    if content.lstrip()[:1] == b"[":
        return _table(OF_LIST.decode(content), path, "item")
    fields = OF_OBJECT.decode(content)
    lists = list(_lists(fields, DEEPEST))
    if not lists:
        if any(_begins(value) in b"{" for value in fields.values()) or not fields:
            raise TableRefused(f"{path}: a JSON object of {_some(fields)}: {WANTED}")
        return _table([content], path, "item")
    if len(lists) == len(fields) > 1 and not any(
        _begins(value) in b"[{" for one in lists for value in one[:1]
    ):
        return _columns(fields, path)
    if len(lists) != 1:
        raise TableRefused(f"{path}: a JSON object of {_some(fields)} with {len(lists)} lists: {WANTED}")
    return _table(lists[0], path, "item")


def _some(fields: Sequence[str] | dict[str, Any]) -> str:
    return ", ".join(list(fields)[:6]) or "nothing"


def _lists(fields: dict[str, Raw], depth: int) -> Iterator[list[Raw]]:
    for value in fields.values():
        if _begins(value) == b"[":
            yield OF_LIST.decode(value)
        elif _begins(value) == b"{" and depth > 1:
            yield from _lists(OF_OBJECT.decode(value), depth - 1)


def _begins(raw: Raw | bytes) -> bytes:
    return bytes(raw).lstrip()[:1]


def _columns(fields: dict[str, Raw], path: Path) -> TextTable:
    columns = {name: [_cell(value) for value in OF_LIST.decode(raw)] for name, raw in fields.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise TableRefused(
            f"{path}: a JSON object whose columns have from {min(lengths)} to {max(lengths)} rows"
        )
    check_size(max(lengths), len(columns), path)
    return TextTable(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), headed=True)


def _table(rows: Sequence[Raw | bytes], path: Path, unit: str) -> TextTable:
    if not rows:
        raise TableRefused(f"{path}: not a readable table: it has no rows")
    if _begins(rows[0]) == b"[":
        return _of_lists(rows, path, unit)
    if _begins(rows[0]) == b"{":
        return TextTable(_of_objects(rows, path, unit), headed=True)
    raise TableRefused(f"{path}: {unit} 1 is neither an object nor a list; {WANTED}")


def _decoded(decoder: Any, row: Raw | bytes, place: int, path: Path, unit: str) -> Any:
    try:
        return decoder.decode(row)
    except NOT_DECODED as error:
        raise TableRefused(f"{path}: {unit} {place + 1} is no row like the first ({error})") from None


def _of_objects(rows: Sequence[Raw | bytes], path: Path, unit: str) -> pl.DataFrame:
    chunks, names = [], dict.fromkeys(_decoded(OF_OBJECT, rows[0], 0, path, unit))
    for start in range(0, len(rows), CHUNK):
        part = [
            _decoded(OF_OBJECT, row, start + place, path, unit)
            for place, row in enumerate(rows[start : start + CHUNK])
        ]
        names |= dict.fromkeys(chain.from_iterable(part))
        check_size(len(rows), len(names), path)
        chunks.append(_frame({name: [row.get(name) for row in part] for name in names}))
    return pl.concat(chunks, how="diagonal", rechunk=False)


def _of_lists(rows: Sequence[Raw | bytes], path: Path, unit: str) -> TextTable:
    first = [_cell(value) or "" for value in _decoded(OF_LIST, rows[0], 0, path, unit)]
    headed = is_header(first)
    names = names_of(first, path) if headed else numbered(len(first))
    check_size(len(rows), len(names), path)
    chunks = [_frame({name: [] for name in names})]
    for start in range(int(headed), len(rows), CHUNK):
        part = [
            _decoded(OF_LIST, row, start + place, path, unit)
            for place, row in enumerate(rows[start : start + CHUNK])
        ]
        wrong = next((place for place, row in enumerate(part) if len(row) != len(names)), None)
        if wrong is not None:
            raise TableRefused(
                f"{path}: {unit} {start + wrong + 1} has {len(part[wrong])} cells where the first has {len(names)}"
            )
        chunks.append(_frame(dict(zip(names, zip(*part, strict=True), strict=True))))
    return TextTable(pl.concat(chunks, rechunk=False), headed)


def _frame(columns: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {name: [_cell(value) for value in values] for name, values in columns.items()},
        schema=dict.fromkeys(columns, pl.String),
    )


def _cell(raw: Raw | None) -> str | None:
    """The text of a value; null where there is none."""
    if raw is None:
        return None
    told = bytes(raw)
    if told[:1] == b'"':
        return OF_TEXT.decode(told)
    return None if told == b"null" else told.decode()
