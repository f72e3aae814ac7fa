"""Rows of JSON documents: lists of objects, lists of lists, JSON lines, columns by name, or any of these in an answer,
also in answers of several pages.

Cells stay the text that the document has, so that a number is never rounded, and one that is too large is refused by
row and column like any other.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.delimited import (
    MOST_COLUMNS,
    TextTable,
    check_size,
    is_header,
    names_of,
    numbered,
    parse_delimited,
)
from liqtruth.storage.files.json_keys import may_repeat, repeated_key

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
        if not begins_with_row(content):
            raise TableRefused(
                f"{path}: not a readable table: broken JSON ({error}); export it again"
            ) from None
        return _table([line for line in content.split(b"\n") if line.strip()], path, "line")
    try:
        return _document(content, path)
    except NOT_DECODED as error:
        raise TableRefused(f"{path}: not a readable table: {error}") from None


def holds_rows(content: bytes) -> bool:
    """Whether a JSON object is an answer round one list of objects, at most three deep."""
    try:
        return _page_of(content) is not None
    except NOT_DECODED:
        return False


def _page_of(row: Raw | bytes) -> tuple[list[Raw], dict[str, str]] | None:
    """The rows of an answer that holds one list, of objects or empty, and the plain values beside it."""
    fields = OF_OBJECT.decode(row)
    lists = list(_lists(fields, DEEPEST))
    if len(lists) != 1 or any(_begins(one) != b"{" for one in lists[0][:1]):
        return None
    return lists[0], dict(_plain_values(fields, DEEPEST))


def _plain_values(fields: dict[str, Raw], depth: int) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if _begins(value) == b"{" and depth > 1:
            yield from _plain_values(OF_OBJECT.decode(value), depth - 1)
        elif _begins(value) not in b"[{" and (text := _cell(value)) is not None:
            yield name, text


def _pages_of(rows: Sequence[Raw | bytes], path: Path, unit: str) -> TextTable | None:
    """The rows of all pages, where each item is an answer with its rows in `data`; null where the first is none."""
    if b'"data"' not in bytes(rows[0]) or "data" not in OF_OBJECT.decode(rows[0]):
        return None
    if _page_of(rows[0]) is None:
        return None
    inner, answers = list[Raw](), list[dict[str, str]]()
    for place, row in enumerate(rows):
        page = _page_of(row) if _begins(row) == b"{" else None
        if page is None:
            raise TableRefused(f"{path}: {unit} {place + 1} must be a page of rows like the first")
        inner += page[0]
        answers.append(page[1])
    if not inner:
        raise TableRefused(f"{path}: not a readable table: its pages have no rows")
    return TextTable(_of_objects(inner, path, "row"), headed=True, answers=tuple(answers))


def begins_with_row(content: bytes) -> bool:
    """Whether the first line is JSON by itself, and more follows: the content is JSON lines."""
    first, _, rest = content.lstrip().partition(b"\n")
    return bool(rest.strip()) and _is_whole(first)


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
    return replace(
        _table(lists[0], path, "item"),
        beside=dict(_texts(fields, DEEPEST)),
        answers=(dict(_plain_values(fields, DEEPEST)),),
    )


def _texts(fields: dict[str, Raw], depth: int) -> Iterator[tuple[str, str]]:
    """What an answer states in words beside its rows."""
    for name, value in fields.items():
        if _begins(value) == b'"':
            yield name, OF_TEXT.decode(value)
        elif _begins(value) == b"{" and depth > 1:
            yield from _texts(OF_OBJECT.decode(value), depth - 1)


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
        if (pages := _pages_of(rows, path, unit)) is not None:
            return pages
        return TextTable(_of_objects(rows, path, unit), headed=True)
    raise TableRefused(f"{path}: {unit} 1 is neither an object nor a list; {WANTED}")


def _decoded(decoder: Any, row: Raw | bytes, place: int, path: Path, unit: str) -> Any:
    try:
        return decoder.decode(row)
    except NOT_DECODED as error:
        raise TableRefused(f"{path}: {unit} {place + 1} is not a row like the first ({error})") from None


def _of_objects(rows: Sequence[Raw | bytes], path: Path, unit: str) -> pl.DataFrame:
    names = dict.fromkeys(_decoded(OF_OBJECT, rows[0], 0, path, unit))
    for place, row in enumerate(rows):
        fields = _decoded(OF_OBJECT, row, place, path, unit)
        _check_keys(bytes(row), len(fields), place, path, unit)
        names |= dict.fromkeys(fields)
        if len(names) > MOST_COLUMNS:
            break
    check_size(len(rows), len(names), path)
    lines = b"\n".join(bytes(row).replace(b"\n", b" ") for row in rows)
    with suppress(pl.exceptions.PolarsError):  # it knows no numbers that are too large
        return pl.read_ndjson(io.BytesIO(lines), schema=dict.fromkeys(names, pl.String))
    return pl.concat(
        _frame({name: [row.get(name) for row in part] for name in names})
        for part in (
            [OF_OBJECT.decode(row) for row in rows[at : at + CHUNK]] for at in range(0, len(rows), CHUNK)
        )
    )


def _check_keys(row: bytes, fields: int, place: int, path: Path, unit: str) -> None:
    """Raises for a row in which a key stands twice: one of its values would be lost."""
    if may_repeat(row, fields) and (twice := repeated_key(row)) is not None:
        raise TableRefused(
            f"{path}: {unit} {place + 1}: each key must stand once, got {twice[:40]!r} twice; remove the wrong value"
        )


def _of_lists(rows: Sequence[Raw | bytes], path: Path, unit: str) -> TextTable:
    """Lists of plain values are lines of text; others are taken apart one by one."""
    for at, row in enumerate(rows):
        if bytes(row).lstrip()[:1] != b"[":
            raise TableRefused(f"{path}: {unit} {at + 1} is not a row like the first, which is a list")
    lines = [bytes(row).strip()[1:-1].replace(b"\n", b" ").replace(b', "', b',"') for row in rows]
    text = b"\n".join(lines)
    if any(sign in text for sign in (b"\\", b"[", b"{")) or not all(lines):
        return _of_nested_lists(rows, path, unit)
    table = parse_delimited(text, path, b",")
    return replace(table, rows=table.rows.with_columns(pl.all().str.strip_chars().replace("null", None)))


def _of_nested_lists(rows: Sequence[Raw | bytes], path: Path, unit: str) -> TextTable:
    cells = [
        [_cell(value) for value in _decoded(OF_LIST, row, at, path, unit)] for at, row in enumerate(rows)
    ]
    first = [cell or "" for cell in cells[0]]
    headed = is_header(first)
    names = names_of(first, path) if headed else numbered(len(first))
    check_size(len(rows), len(names), path)
    for at, row in enumerate(cells):
        if len(row) != len(names):
            raise TableRefused(
                f"{path}: {unit} {at + 1} has {len(row)} cells where the first has {len(names)}"
            )
    return TextTable(
        pl.DataFrame(cells[headed:], schema=dict.fromkeys(names, pl.String), orient="row"), headed
    )


def _frame(columns: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {name: [_cell(value) for value in values] for name, values in columns.items()},
        schema=dict.fromkeys(columns, pl.String),
    )


def _cell(raw: Raw | None) -> str | None:
    """The text of a value; null where there is none."""
    if raw is None:
        return None
    content = bytes(raw)
    if content[:1] == b'"':
        return OF_TEXT.decode(content)
    return None if content == b"null" else content.decode()
