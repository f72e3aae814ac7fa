"""Other people's tables are read as they are, and refused with the place of the fault."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.tabular import (
    Layout,
    parse_columns,
    read_table,
    recognise,
    select_columns,
    to_float,
    to_time,
)

ROWS = {"addr": ["0xa", "0xb"], "szi": ["1.5", "-2"], "liqPx": ["100.25", ""]}
CSV = b"addr,szi,liqPx\n0xa,1.5,100.25\n0xb,-2,\n"


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.jsonl", b'{"addr":"0xa","szi":"1.5","liqPx":"100.25"}\n{"addr":"0xb","szi":"-2","liqPx":""}\n'),
        ("a.json", b'[{"addr":"0xa","szi":"1.5","liqPx":"100.25"},{"addr":"0xb","szi":"-2","liqPx":""}]'),
    ],
)
def test_every_format_gives_the_same_table(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path, name, content)
    table = to_float(read_table(path), ["szi", "liqPx"], path)
    assert table.to_dict(as_series=False) == {
        "addr": ["0xa", "0xb"],
        "szi": [1.5, -2.0],
        "liqPx": [100.25, None],
    }


def test_parquet_is_read_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.pq"
    pl.DataFrame(ROWS).write_parquet(path)
    assert read_table(path).to_dict(as_series=False) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'[{"szi": 1}, {"szi"', "not a readable table"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells"),
        (gzip.compress(CSV, mtime=0)[:30], "Compressed file ended"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, "broken.csv", content)
    with pytest.raises(TableRefused, match=rf"broken\.csv.*{message}"):
        read_table(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableRefused, match=r"nowhere\.csv: no such file"):
        read_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("value", ["abc", "inf", "NaN", "1,5"])
def test_a_cell_that_is_no_number_is_named_by_row_and_column(tmp_path: Path, value: str) -> None:
    table = pl.DataFrame({"szi": ["1.5", value]})
    with pytest.raises(TableRefused, match=rf"row 2, column 'szi': '{value}'"):
        to_float(table, ["szi"], tmp_path)


@pytest.mark.parametrize(
    "column",
    [
        ["2026-08-21T11:01:45+00:00"],
        ["2026-08-21T13:01:45+02:00"],
        ["1787310105"],
        ["1787310105000"],
        [1787310105000],
        [datetime(2026, 8, 21, 11, 1, 45, tzinfo=UTC)],
        [datetime(2026, 8, 21, 11, 1, 45)],
    ],
)
def test_every_spelling_of_a_moment_is_the_same_moment(tmp_path: Path, column: list[object]) -> None:
    table = to_time(pl.DataFrame({"ts": column}), "ts", tmp_path)
    assert table["ts"].to_list() == [datetime(2026, 8, 21, 11, 1, 45, tzinfo=UTC)]


def test_a_time_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableRefused, match=r"row 2, column 'ts': 'yesterday'"):
        to_time(pl.DataFrame({"ts": ["2026-08-21T11:01:45Z", "yesterday"]}), "ts", tmp_path)


def test_the_layout_with_most_columns_is_the_one_recognised() -> None:
    small = Layout("small", "x", {"address": "addr"})
    large = Layout("large", "x", {"address": "addr", "szi": "szi"})
    assert recognise(["addr", "szi", "other"], [small, large]) is large
    assert recognise(["addr"], [small, large]) is small
    assert recognise(["other"], [small, large]) is None


def test_a_mapped_column_that_is_missing_is_named_beside_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(TableRefused, match=r"no column 'liq' \(for liq_px\); the file has addr, szi, liqPx"):
        select_columns(pl.DataFrame(ROWS), {"liq_px": "liq"}, tmp_path)


def test_column_maps_are_pairs() -> None:
    assert parse_columns("address=addr, liq_px=liqPx") == {"address": "addr", "liq_px": "liqPx"}
    assert parse_columns(None) == {}
    with pytest.raises(TableRefused, match="'addr'"):
        parse_columns("address=a,addr")
