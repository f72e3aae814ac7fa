"""What the content of a file is: a vendor's document, recognised by its structure, or a table.

`LAYOUTS` is the table of everything that is read as a document; what is none of them is read as a table.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import Answer, check_name, decoded, opened
from liqtruth.compare.imported.layouts import coinank, coinglass, measured, others
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.tables.columns import names_any
from liqtruth.compare.imported.tables.table import read_table
from liqtruth.heatmap.words.notes import note
from liqtruth.heatmap.words.text import counted
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import PARQUET
from liqtruth.storage.files.json_rows import begins_with_row
from liqtruth.storage.files.tabular import TextTable, parse_rows


@dataclass(frozen=True)
class Layout:
    """A document of a vendor: whether a body is one, and its maps."""

    vendor: str
    name: str
    recognise: Callable[[Any], bool]
    read: Callable[[Answer], MapsInFile]


LAYOUTS: Final = (
    Layout("coinglass", "heatmap", coinglass.is_heatmap, coinglass.read_heatmap),
    Layout("coinglass", "map by exchange", coinglass.is_by_exchange, coinglass.read_by_exchange),
    Layout("coinglass", "max pain", coinglass.is_max_pain, coinglass.read_max_pain),
    Layout("coinglass", "map", coinglass.is_map, coinglass.read_map),
    Layout("coinank", "heatmap", coinank.is_heatmap, coinank.read_heatmap),
    Layout("coinank", "map", coinank.is_by_price, coinank.read_by_price),
    Layout("datamaxi", "buckets", others.is_datamaxi, others.read_datamaxi),
    Layout("0xarchive", "levels", measured.is_oxarchive, measured.read_oxarchive),
    Layout("ironflow", "ranges", measured.is_ironflow, measured.read_ironflow),
    Layout("liquidvision", "bins", measured.is_liquidvision, measured.read_liquidvision),
    Layout("undertow", "clusters", others.is_undertow, others.read_undertow),
    Layout("kiyotaka", "flat list", others.is_kiyotaka, others.read_kiyotaka),
)


def maps_of(content: bytes, path: Path, columns: Mapping[str, str] = {}) -> MapsInFile:
    """The maps of what `read_content` gave; raises also where one has a name that cannot be shown."""
    found = _maps_of(content, path, columns)
    for name in found.names:
        check_name(name, str(path))
    return found


def _maps_of(content: bytes, path: Path, columns: Mapping[str, str]) -> MapsInFile:
    if not content.startswith(PARQUET) and content.lstrip()[:1] in (b"{", b"["):
        answer = _answer(content, path)
        layout = (
            None if answer is None else next((one for one in LAYOUTS if one.recognise(answer.body)), None)
        )
        if answer is not None and layout is not None:
            if columns:
                raise answer.refuse(
                    f"--columns must be left out: it is a {layout.vendor} {layout.name}, no table"
                )
            return layout.read(answer)
        if answer is not None:
            _check_one(answer)
    table = _table(content, path, columns)
    beside = table.answers[0] if len(table.answers) == 1 else {}
    found = read_table(table.rows, columns, str(path), beside)
    return found.noted(tuple(note("text", text=remark) for remark in table.remarks))


def _check_one(answer: Answer) -> None:
    """Raises for a list of several documents, as a scraping service exports of several coins."""
    if isinstance(answer.body, list) and len(answer.body) > 1:
        layout = next((one for one in LAYOUTS if one.recognise(answer.body[0])), None)
        if layout is not None:
            raise answer.refuse(
                f"must hold one {layout.vendor} {layout.name}, got a list of {len(answer.body)}: make a file of each"
            )


def _answer(content: bytes, path: Path) -> Answer | None:
    """The document; null for JSON lines, which are a table."""
    try:
        document = decoded(content, path)
    except VendorMapRefused:
        if not begins_with_row(content):
            raise
        return None
    return opened(document, path)


def _table(content: bytes, path: Path, columns: Mapping[str, str]) -> TextTable:
    """The rows of a table; raises `VendorMapRefused` with what is read for a text that does not begin as one."""
    try:
        table = parse_rows(content, path)
    except TableRefused as error:
        if columns or _begins_like_a_table(content):
            raise
        raise _no_map(content, path) from error
    if table.rows.width == 1 and not columns:
        raise _no_map(content, path)
    return table


def _begins_like_a_table(content: bytes) -> bool:
    """Whether the first line has names of a map's columns or numbers, whatever separates them; JSON and Parquet, and
    what is no text, have refusals of their own."""
    first = _first_line(content)
    if content.startswith(PARQUET) or first[:1] in ("{", "[", "<", "") or not first.isprintable():
        return True
    rows = [next(csv.reader([first], delimiter=separator), []) for separator in ",;|\t"]
    return any(len(row) > 1 and names_any(row) for row in rows)


def _first_line(content: bytes) -> str:
    return content[:65_536].lstrip().partition(b"\n")[0].decode(errors="replace").strip()


def _no_map(content: bytes, path: Path) -> VendorMapRefused:
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    return VendorMapRefused(
        f"{path}: must be a map: a vendor's JSON, a table of price and usd (CSV, JSON or Parquet; --columns names "
        f"others), or a picture with --price; got a text of {counted(lines, 'line')} that begins "
        f"{_first_line(content)[:40]!r}"
    )
