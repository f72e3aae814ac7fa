"""A file that is no map is refused with one line that begins with its name."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from liqtruth.heatmap.errors import MapFileError
from liqtruth.heatmap.files import SCHEMA, from_csv, from_json, read_map, to_csv, to_json, write_map
from liqtruth.heatmap.writing import facts_of
from tests.heatmap.maps import SUFFIXES, plain


def refusal(path: Path) -> str:
    """The refusal of a file that is no map: one line which begins with its name."""
    with pytest.raises(MapFileError) as refused:
        read_map(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"map{suffix}"
    write_map(plain(), path)
    whole = path.read_bytes()
    for part in (0.0, 0.001, 0.2, 0.5, 0.8, 0.95, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        refusal(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"hello\n", b"null", b"# \n", b"PAR1PAR1"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_reported_as_missing(tmp_path: Path, suffix: str) -> None:
    assert refusal(tmp_path / f"none{suffix}") == "no such file"


def test_another_suffix_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    assert refusal(tmp_path / "map.xlsx") == "cannot read '.xlsx'; use .json, .csv or .parquet"
    with pytest.raises(MapFileError, match=r"cannot write '\.xlsx'; use \.json, \.csv or \.parquet"):
        write_map(plain(), tmp_path / "map.xlsx")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_schema_version_is_refused_with_the_one_that_is_read(tmp_path: Path, suffix: str) -> None:
    path, content = tmp_path / f"map{suffix}", to_json(plain())
    later = content.replace(SCHEMA, "liqtruth.heatmap/2")
    match suffix:
        case ".json":
            path.write_text(later)
        case ".csv":
            path.write_text(to_csv(plain()))
            facts_of(path).write_text(later)
        case _:
            pl.DataFrame({"long_usd": [0.0]}).write_parquet(path, metadata={"liqtruth": later})
    assert refusal(path) == f"schema 'liqtruth.heatmap/2'; this liqtruth reads {SCHEMA!r}"


WRONG: dict[str, tuple[str, Any]] = {
    "negative mass": ("long_usd", [-1.0] + [0.0] * 39),
    "mass that is no number": ("long_usd", [None] * 40),
    "mass as text": ("long_usd", ["much"] * 40),
    "no list of masses": ("short_usd", {"0": 1.0}),
    "too few bins": ("long_usd", [0.0] * 39),
    "too many bins": ("short_usd", [0.0] * 41),
    "longs above the mark": ("long_usd", [0.0] * 39 + [1.0]),
    "no zone": ("as_of", "2026-08-20T12:00:00"),
    "no moment": ("as_of", "noon"),
    "moment as number": ("as_of", 5),
    "half a grid": ("grid", {"mark_px": 100.0, "width_bps": 100.0, "bins_each_way": 20.5}),
    "grid without mark": ("grid", {"mark_px": "high", "width_bps": 100.0, "bins_each_way": 20}),
    "grid below zero": ("grid", {"mark_px": -1.0, "width_bps": 100.0, "bins_each_way": 20}),
    "no grid": ("grid", None),
    "one side": ("never_usd", [1.0]),
    "no coverage": ("coverage", []),
    "unknown coverage": ("coverage", {"luck": 1.0}),
    "no list of assumptions": ("assumptions", 5),
    "breakdown of strange sides": ("breakdown", {"side": ["up"], "bin": [1]}),
}


@pytest.mark.parametrize(("name", "value"), WRONG.values(), ids=WRONG)
def test_a_field_with_a_wrong_value_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({**json.loads(to_json(plain())), name: value}))
    refusal(path)


def test_a_missing_field_is_named() -> None:
    whole = json.loads(to_json(plain()))
    for name in set(whole) - {"schema", "edges_px", "long_usd", "short_usd", "quality", "bounds"}:
        with pytest.raises(MapFileError, match=f"there: .*missing required field `{name}`"):
            from_json(json.dumps({key: value for key, value in whole.items() if key != name}), "there")


@pytest.mark.parametrize(
    "wrong",
    [
        {"beyond_usd": [-1, 0]},
        {"beyond_usd": "ab"},
        {"never_usd": [1]},
        {"source": "banana"},
        {"coin": 5},
        {"model": None},
        {"assumptions": "abc"},
        {"as_of": "yesterday"},
        {"grid": {"mark_px": -1, "width_bps": 10, "bins_each_way": 4}},
        {"coverage": {"open_interest_usd": "x", "seen_usd": [0, 0]}},
        {"coverage": {"open_interest_usd": 1, "seen_usd": ["a", 0]}},
        {"breakdown": []},
        {"breakdown": {"bin": [1]}},
    ],
    ids=str,
)
def test_a_field_of_another_kind_is_refused(wrong: dict[str, object]) -> None:
    content = {**json.loads(to_json(plain())), **wrong}
    with pytest.raises(MapFileError, match=r"^there: not a heatmap: [^\n]+$"):
        from_json(json.dumps(content), "there")


@pytest.mark.parametrize("text", ["# 5\nlow_px,high_px\n", "# []\nlow_px\n", "# {}\nlow_px\n"])
def test_a_csv_under_another_header_is_refused(text: str) -> None:
    with pytest.raises(MapFileError, match=r"^there: "):
        from_csv(text, "there")


def test_a_csv_that_was_cut_off_inside_its_last_number_is_refused() -> None:
    with pytest.raises(MapFileError, match="cut off"):
        from_csv(to_csv(plain())[:-3], "there", to_json(plain()))


@pytest.mark.parametrize("rows", [0, 1, 20_000_000])
def test_a_parquet_map_of_other_rows_than_its_grid_has_is_not_read(tmp_path: Path, rows: int) -> None:
    """A few kilobytes of Parquet can stand for as many equal rows as one likes."""
    path = tmp_path / "map.parquet"
    write_map(plain(), path)
    header = pl.read_parquet_metadata(path)["liqtruth"]
    zeros = pl.Series([0.0]).new_from_index(0, rows)
    table = pl.DataFrame({"long_usd": zeros, "short_usd": zeros})
    table.write_parquet(path, metadata={"liqtruth": header})
    assert "bins" in refusal(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["grid"].update(bins_each_way=10**9),
        lambda content: content["grid"].update(bins_each_way=10**30),
        lambda content: content.update(breakdown=broken_down(bin=2**31 - 1)),
        lambda content: content.update(breakdown=broken_down(bin=-2)),
        lambda content: content.update(breakdown=broken_down(notional_usd=-1.0)),
        lambda content: content.update(breakdown=broken_down(notional_usd=None)),
        lambda content: content.update(breakdown=broken_down(side=None)),
        lambda content: content.update(breakdown=broken_down(positions=[1])),
        lambda content: content.update(breakdown=broken_down(positions=10**300)),
        lambda content: content.update(long_usd=[[]]),
    ],
)
def test_a_map_whose_parts_cannot_be_is_refused(tmp_path: Path, change: Any) -> None:
    path, content = tmp_path / "map.json", json.loads(to_json(plain()))
    change(content)
    path.write_text(json.dumps(content))
    refusal(path)


def broken_down(**cell: Any) -> dict[str, list[Any]]:
    sound = {"side": "long", "bin": 0, "notional_usd": 1.0, "positions": 1, "largest_usd": 1.0}
    return {name: [value] for name, value in {**sound, **cell}.items()}


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"schema": NaN}', b'{"schema": "\\ud800"}', b"1e999"])
def test_what_a_decoder_chokes_on_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "map.json"
    path.write_bytes(content)
    refusal(path)
