"""Tables as people write them are read the same, or refused by the line, item or cell that is at fault."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.tabular import TextTable, parse_columns, parse_rows, to_float, to_time

PATH = Path("table.csv")
ROWS = {"ts": ["1785542400", "1785546000"], "rate": ["0.5", "-1e-3"]}


def read(content: str | bytes) -> TextTable:
    return parse_rows(content.encode() if isinstance(content, str) else content, PATH)


def refusal(content: str | bytes) -> str:
    with pytest.raises(TableRefused) as refused:
        read(content)
    return str(refused.value)


SAME = {
    "commas": "ts,rate\n1785542400,0.5\n1785546000,-1e-3\n",
    "no line break at the end": "ts,rate\n1785542400,0.5\n1785546000,-1e-3",
    "of Windows": "ts,rate\r\n1785542400,0.5\r\n1785546000,-1e-3\r\n",
    "of an old Mac": "ts,rate\r1785542400,0.5\r1785546000,-1e-3\r",
    "semicolons": "ts;rate\n1785542400;0.5\n1785546000;-1e-3\n",
    "tabs": "ts\trate\n1785542400\t0.5\n1785546000\t-1e-3\n",
    "bars": "ts|rate\n1785542400|0.5\n1785546000|-1e-3\n",
    "a line for Excel": "sep=;\nts;rate\n1785542400;0.5\n1785546000;-1e-3\n",
    "quotes": '"ts","rate"\n"1785542400","0.5"\n"1785546000","-1e-3"\n',
    "blank lines": "\nts,rate\n\n1785542400,0.5\n\r\n1785546000,-1e-3\n\n\n",
    "spaces in the header": "ts, rate\n1785542400,0.5\n1785546000,-1e-3\n",
    "a list of objects": '[{"ts":1785542400,"rate":"0.5"},{"rate":"-1e-3","ts":"1785546000"}]',
    "a list of lists": '[["ts","rate"],[1785542400,0.5],["1785546000", "-1e-3"]]',
    "JSON lines": '{"ts":1785542400,"rate":"0.5"}\n{"ts":1785546000,"rate":"-1e-3"}\n',
    "lists in lines": '["ts","rate"]\n[1785542400,0.5]\n[1785546000,"-1e-3"]\n',
    "columns by name": '{"ts":[1785542400,1785546000],"rate":["0.5","-1e-3"]}',
    "an answer": '{"code":"0","data":[{"ts":1785542400,"rate":"0.5"},{"ts":1785546000,"rate":"-1e-3"}]}',
    "an answer in an answer": '{"ok":1,"result":{"list":[["ts","rate"],["1785542400","0.5"],["1785546000","-1e-3"]]}}',
    "printed in many lines": json.dumps(
        [{"ts": 1785542400, "rate": "0.5"}, {"ts": 1785546000, "rate": "-1e-3"}], indent=2
    ),
}


@pytest.mark.parametrize("kind", SAME)
def test_one_table_written_in_many_ways_is_one_table(kind: str) -> None:
    assert read(SAME[kind]).rows.to_dict(as_series=False) == ROWS


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "a short row": ("a,b,c\n1,2,3\n4,5\n6,7,8\n", "line 3 has 2 cells where the first line has 3"),
    "a long row": ("a,b\n1,2\n3,4,5\n6,7\n", "line 3 has 3 cells"),
    "a last row cut off": ("a,b,c\n1,2,3\n4,5", "the file breaks off there"),
    "a title above the header": (
        "made by hand\na,b,c\n1,2,3\n4,5,6\n",
        "line 1 has 1 cells and most lines have 3",
    ),
    "two columns of one name": ("a,b,a\n1,2,3\n", "two columns are called 'a'"),
    "a quote that is not closed": ('a,b\n1,"2\n3,4\n', "line 2: a quote is not closed"),
    "a list of words": ('["a","b"]', "item 1 is neither"),
    "an object of objects": ('{"a":{"b":1}}', "a JSON object of a"),
    "columns of different lengths": ('{"a":[1,2],"b":[1]}', "from 1 to 2 rows"),
    "lists of different lengths": ("[[1,2],[3,4],[5]]", "line 3 has 1 cells"),
    "JSON lines that break off": ('{"a":1}\n{"a":', "line 2 is not a row"),
    "JSON that breaks off": ('[{"a":1},{"a"', "broken JSON"),
    "an object among lists": ('[[1,2],{"a":1}]', "item 2"),
    "deep nesting": ("[" * 100_000, "not a readable table"),
    "many columns": (",".join(f"c{at}" for at in range(2000)), "2000 columns"),
    "a long line": ("x" * 100_000, "line 1 is longer"),
    "nothing": ("", "the file is empty"),
    "blank lines": ("\n\n\r\n", "the file is empty"),
    "no rows": ("[]", "it has no rows"),
    "half a Parquet": (b"PAR1" + bytes(20), "not a readable table"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_table_that_is_broken_is_refused_where_it_is(kind: str) -> None:
    content, message = REFUSED[kind]
    assert message in refusal(content)


def test_a_header_in_mid_file_is_skipped_and_reported() -> None:
    found = read("a,b\n1,2\na,b\n3,4\r\na,b\n")
    assert found.rows.to_dict(as_series=False) == {"a": ["1", "3"], "b": ["2", "4"]}
    assert found.remarks == ("the header stands 2 more times in the file: skipped",)


@pytest.mark.parametrize(
    ("line", "headed"),
    [
        ("1785542400000,77000,1", False),
        ("1785542400000;77000,5;1", False),
        ("2026-08-01 00:00:00,77000,1", False),
        ("BTCUSDT,1785542400000,77000", False),
        ("0.5,,null", False),
        ("ts,price,volume", True),
        ("time,25,50,100", True),
        (",price,volume", True),
    ],
)
def test_a_first_line_of_values_is_no_header(line: str, headed: bool) -> None:
    found = read(f"{line}\n{line.replace('price', 'x').replace('25', '26')}\n")
    assert found.headed == headed
    assert headed or found.rows.columns == ["1", "2", "3"]


def test_a_number_of_json_is_never_rounded_and_one_too_large_is_refused_by_its_cell() -> None:
    table = read('[{"x":0.1234567890123456,"y":1},{"x":12345678901234567890123,"y":1e400}]').rows
    assert to_float(table, ["x"], PATH)["x"].to_list() == [0.1234567890123456, 12345678901234567890123.0]
    with pytest.raises(TableRefused, match="row 2, column 'y': '1e400'"):
        to_float(table, ["y"], PATH)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8).map(str.strip)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_whatever_the_cells_hold_a_quoted_table_reads_back(
    rows: list[tuple[str, ...]], separator: str
) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("one", "two", "three"), *rows])
    found = parse_rows(written.getvalue().encode(), PATH)
    kept = [row for row in rows if row != ("one", "two", "three")]
    assert [tuple(cell or "" for cell in row) for row in found.rows.rows()] == kept


@given(st.integers(2, 6), st.integers(1, 8), st.data())
def test_a_row_of_another_width_is_refused_with_its_line(
    width: int, height: int, data: st.DataObject
) -> None:
    lines = [[f"c{at}" for at in range(width)], *([f"{row}.5"] * width for row in range(height))]
    place = data.draw(st.integers(1, height))
    lines[place] = lines[place][: data.draw(st.integers(1, width - 1))]
    assert f"line {place + 1} has" in refusal("\n".join(map(",".join, lines)))


# ------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (["1,234.5", "12"], [1234.5, 12.0]),
        (["1,234,567", "1"], [1234567.0, 1.0]),
        (["1.234,5", "1.234.567,25"], [1234.5, 1234567.25]),
        (["0,5", "12"], [0.5, 12.0]),
        (["77000,25", "1,234"], [77000.25, 1.234]),
        (["0,001"], [0.001]),
        ([" 1.5 ", ""], [1.5, None]),
        (["1e3", "-.5", "+2."], [1000.0, -0.5, 2.0]),
        (["1.234", "77", "4.001"], [1.234, 77.0, 4.001]),
        (["1.230", "77.000"], [1.23, 77.0]),
        (["0.120", "77", "1.230"], [0.12, 77.0, 1.23]),
    ],
)
def test_numbers_are_read_where_they_are_to_be_read_in_one_way(
    column: list[str], values: list[float]
) -> None:
    assert to_float(pl.DataFrame({"x": column}), ["x"], PATH)["x"].to_list() == values


@pytest.mark.parametrize(
    ("column", "row"),
    [
        (["1,234"], 1),
        (["12", "1,234", "1,234"], 2),
        (["1.5", "1,5"], 2),
        (["1,234.5", "1.234,5"], 2),
        (["77", "1.234", "2.500"], 2),
        (["60.000", "61000"], 1),
        *(
            (["1", bad], 2)
            for bad in (
                "0x10",
                "1e400",
                "nan",
                "inf",
                "-Infinity",
                "1_000",
                "$5",
                "5%",
                "1 2",
                "abc",
                "--1",
                "1e",
                "1,2,3",
            )
        ),
    ],
)
def test_a_cell_that_is_no_number_or_two_is_blamed_and_not_the_first_row(column: list[str], row: int) -> None:
    with pytest.raises(TableRefused) as refused:
        to_float(pl.DataFrame({"x": column}), ["x"], PATH)
    assert f"row {row}, column 'x': {column[row - 1]!r}" in str(refused.value)


@given(st.floats(1e-12, 1e15), st.booleans())
def test_a_number_with_marks_of_thousands_is_the_same_number(value: float, commaed: bool) -> None:
    text = f"{value:,.4f}"
    found = text.translate(str.maketrans(",.", ".,")) if commaed else text
    table = to_float(pl.DataFrame({"x": [found, "0,5" if commaed else "0.5"]}), ["x"], PATH)
    assert table["x"][0] == float(text.replace(",", ""))


# ------------------------------------------------------------------------------------------ times


UNITS = (1, 10**3, 10**6, 10**9)


@given(
    st.lists(
        st.tuples(st.datetimes(datetime(2020, 1, 2), datetime(2026, 1, 1)), st.sampled_from(UNITS)),
        min_size=1,
        max_size=6,
    )
)
def test_every_time_of_a_column_is_read_in_its_own_unit(found: list[tuple[datetime, int]]) -> None:
    moments = [moment.replace(microsecond=0, tzinfo=UTC) for moment, _ in found]
    cells = [str(int(moment.timestamp()) * unit) for moment, (_, unit) in zip(moments, found, strict=True)]
    assert to_time(pl.DataFrame({"ts": cells}), "ts", PATH)["ts"].to_list() == moments
    numbers = pl.DataFrame({"ts": [int(cell) for cell in cells]})
    assert to_time(numbers, "ts", PATH)["ts"].to_list() == moments


@pytest.mark.parametrize(
    "text",
    [
        *("2026-08-01T12:30:00Z", "2026-08-01T12:30:00.000Z", "2026-08-01 12:30:00", "2026-08-01 12:30"),
        *(
            "2026-08-01T12:30",
            "2026-08-01 12:30:00+00:00",
            "2026-08-01 14:30:00+02:00",
            "2026/08/01 12:30:00",
        ),
        *("2026-08-01 12:30:00 UTC", "2026-08-01 12:30:00.000000", " 2026-08-01 12:30:00Z ", "1785587400"),
    ],
)
def test_times_of_one_column_may_be_spelled_in_many_ways(text: str) -> None:
    table = to_time(pl.DataFrame({"ts": [text, "1785587400000", "2026-08-01"]}), "ts", PATH)
    assert table["ts"].to_list() == [
        *[datetime(2026, 8, 1, 12, 30, tzinfo=UTC)] * 2,
        datetime(2026, 8, 1, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("0", "17", "-5", "20260801", "1e30", "9" * 40, "2019-12-31", "2286-11-20T00:00:00Z", "9999999999"),
        *("01.08.2026", "08/01/2026", "2026-13-01", "yesterday", "", "nan", "99999999999999999999"),
    ],
)
def test_what_no_clock_can_have_shown_is_refused_by_its_cell(text: str) -> None:
    with pytest.raises(TableRefused) as refused:
        to_time(pl.DataFrame({"ts": ["2026-08-01T00:00:00Z", "1785546000000", text]}), "ts", PATH)
    assert f"row 3, column 'ts': {text!r}"[:60] in str(refused.value)


def test_a_time_of_the_future_is_refused_and_one_of_now_is_not() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    assert to_time(pl.DataFrame({"ts": [now.isoformat()]}), "ts", PATH)["ts"][0] == now
    with pytest.raises(TableRefused):
        to_time(pl.DataFrame({"ts": [(now + timedelta(hours=1)).isoformat()]}), "ts", PATH)


def test_a_column_that_is_mapped_twice_is_refused() -> None:
    with pytest.raises(TableRefused, match="'ts' is given twice"):
        parse_columns("ts=a,price=b,ts=c")
