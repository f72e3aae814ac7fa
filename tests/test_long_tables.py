"""A long table is written some rows at a time, and comes out as if written whole."""

from pathlib import Path

import polars as pl
import pytest

from liqtruth.commands.line.output import ROWS_AT_ONCE, export_frame, pieces_of
from liqtruth.commands.line.targets import Outputs, Target
from liqtruth.heatmap.writing import harmless

LENGTHS = (0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE)


def table(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "coin": ['a"b', None, "=1+1", "ü,\n"] * (rows // 4 + 1),
            "px": [0.1, None, 1e300, -2.0] * (rows // 4 + 1),
        }
    ).head(rows)


@pytest.mark.parametrize("rows", LENGTHS)
def test_pieces_are_the_whole_text(rows: int) -> None:
    frame = table(rows)
    assert "".join(pieces_of(frame, "json")) == frame.write_json()
    assert "".join(pieces_of(frame, "csv")) == harmless(frame).write_csv().removesuffix("\n")


def test_no_piece_has_more_than_its_rows() -> None:
    pieces = list(pieces_of(table(3 * ROWS_AT_ONCE), "json"))
    assert max(piece.count('"coin"') for piece in pieces) == ROWS_AT_ONCE


@pytest.mark.parametrize("rows", [0, 3 * ROWS_AT_ONCE])
def test_files_are_whole_and_end_their_last_line(tmp_path: Path, rows: int) -> None:
    frame = table(rows)
    places = {form: tmp_path / f"table.{form}" for form in ("json", "csv", "parquet")}
    export_frame(frame, Outputs(tuple(Target(form, str(place)) for form, place in places.items())))
    assert places["json"].read_text() == frame.write_json() + "\n"
    assert places["csv"].read_text() == harmless(frame).write_csv()
    assert pl.read_parquet(places["parquet"]).equals(frame)
    assert set(tmp_path.iterdir()) == set(places.values())
