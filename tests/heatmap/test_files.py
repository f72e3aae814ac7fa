"""Files give back the map that was written, bit by bit, and are written whole or not at all."""

import json
import resource
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.heatmap.errors import LiqtruthError, MapFileError
from liqtruth.heatmap.files import SCHEMA, about, from_json, read_map, same, to_csv, to_json, write_map
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import note, sentence
from liqtruth.heatmap.writing import write_atomically
from tests.heatmap.maps import SUFFIXES, any_level, frame, map_of, plain

odd = st.floats(0.0, 1e300, allow_subnormal=True)
pairs = st.builds(Sides, odd, odd)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
moments = st.datetimes(timezones=st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours))))
known_notes = [note("stale_positions", count=1, positions=2, hours=6.0), note("no_marks").of("binance")]
notes = texts.map(sentence) | st.sampled_from(known_notes)
coverages = st.builds(
    Coverage,
    st.none() | odd,
    pairs,
    pairs,
    positions=st.none() | st.integers(0, 10**12),
    accounts=st.none() | st.integers(0, 10**12),
    crossed_usd=pairs,
    oldest_age_s=st.none() | odd,
    notes=st.lists(notes, max_size=2).map(tuple),
    synthetic=st.booleans(),
)


@st.composite
def odd_maps(draw: st.DrawFn) -> Heatmap:
    """Small grids, masses of any size, every field in use, with a breakdown or without."""
    grid = PriceGrid(draw(st.floats(1e-6, 1e6)), draw(st.floats(1.0, 500.0)), draw(st.integers(1, 6)))
    levels = draw(st.lists(any_level, max_size=6))
    result = frame(levels, margin_mode=draw(st.lists(texts, min_size=len(levels), max_size=len(levels))))
    built = map_of(result, grid, by=["margin_mode"], as_of=draw(moments), coverage=draw(coverages))
    below, above = (draw(st.lists(odd, min_size=n, max_size=n)) for n in [grid.bins_each_way] * 2)
    zeros = [0.0] * grid.bins_each_way
    return replace(
        built,
        coin=draw(texts),
        model=draw(texts),
        source=draw(st.sampled_from(["exact", "modelled", "imported"])),
        long_usd=np.array(below + zeros),
        short_usd=np.array(zeros + above),
        beyond_usd=draw(pairs),
        never_usd=draw(pairs),
        assumptions=tuple(draw(st.lists(notes, max_size=3))),
        quality=tuple(draw(st.lists(notes, max_size=3))),
        breakdown=draw(st.sampled_from([None, built.breakdown])),
    )


@settings(max_examples=20)
@given(odd_maps(), st.sampled_from(SUFFIXES))
def test_a_map_is_read_back_as_it_was_written_in_every_bit(built: Heatmap, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"map{suffix}"
        write_map(built, path)
        found = read_map(path)
    assert same(found, built)
    assert found.long_usd.tobytes() == built.long_usd.tobytes()
    assert found.short_usd.tobytes() == built.short_usd.tobytes()
    assert found.grid.edges.tobytes() == built.grid.edges.tobytes()
    for name in ("coin", "source", "model", "as_of", "beyond_usd", "never_usd", "coverage", "assumptions"):
        assert getattr(found, name) == getattr(built, name), name
    assert (found.breakdown is None) == (built.breakdown is None)
    assert found.breakdown is None or found.breakdown.equals(built.breakdown)


def test_maps_that_differ_in_the_last_bit_are_not_the_same() -> None:
    built = plain()
    assert same(built, plain())
    assert not same(built, replace(built, long_usd=np.nextafter(built.long_usd, 0.0)))
    assert not same(built, replace(built, never_usd=Sides(5e-324, 0.0)))


def test_a_map_read_from_a_file_can_still_be_filtered(tmp_path: Path) -> None:
    write_map(plain(), tmp_path / "map.parquet")
    part = read_map(tmp_path / "map.parquet").filter(margin_mode="isolated")
    assert part.in_grid_usd == (0.0, 1 / 3)


def test_a_csv_has_one_row_per_bin_with_its_edges_and_nothing_else() -> None:
    columns, *rows = to_csv(plain()).splitlines()
    assert columns == "low_px,high_px,long_usd,short_usd"
    assert len(rows) == 40
    assert rows[20].startswith("100.0,")


def test_a_write_that_fails_leaves_the_old_file_and_no_scrap(tmp_path: Path) -> None:
    """The limit on the size of files is the full disk that a test can have."""
    path = tmp_path / "map.csv"
    write_map(plain(), path)
    old, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, limits[1]))
    try:
        with pytest.raises(LiqtruthError, match=r"cannot write .*map\.csv: File too large"):
            write_map(replace(plain(), coin="ETH"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
    assert sorted(found.name for found in tmp_path.iterdir()) == ["map.csv", "map.csv.meta.json"]
    assert read_map(path).coin == plain().coin


def test_the_facts_of_a_csv_stand_beside_it_and_are_needed(tmp_path: Path) -> None:
    write_map(plain(), tmp_path / "map.csv")
    facts = json.loads((tmp_path / "map.csv.meta.json").read_text())
    assert facts == json.loads(json.dumps(about(plain())))
    assert facts["schema"] == SCHEMA
    (tmp_path / "map.csv.meta.json").unlink()
    with pytest.raises(MapFileError, match=r"must have its facts beside it, in .*map\.csv\.meta\.json$"):
        read_map(tmp_path / "map.csv")


def test_facts_of_another_map_are_refused(tmp_path: Path) -> None:
    write_map(plain(), tmp_path / "map.csv")
    beside = tmp_path / "map.csv.meta.json"
    other = json.loads(beside.read_text())
    other["grid"]["mark_px"] *= 1.01
    beside.write_text(json.dumps(other))
    with pytest.raises(MapFileError, match="its facts are those of another map"):
        read_map(tmp_path / "map.csv")


def test_a_csv_of_before_with_its_facts_in_a_comment_line_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(f"# {json.dumps(about(plain()))}\n{to_csv(plain())}")
    assert same(read_map(tmp_path / "map.csv"), plain())


def test_the_json_of_a_map_has_the_edges_of_its_bins() -> None:
    edges = json.loads(to_json(plain()))["edges_px"]
    assert edges == plain().grid.edges.tolist()
    assert len(edges) == plain().grid.bins + 1


def test_whoever_reads_the_old_file_reads_it_to_its_end_while_a_new_one_takes_its_place(
    tmp_path: Path,
) -> None:
    path = tmp_path / "map.json"
    write_map(plain(), path)
    with path.open("rb", buffering=0) as reader:
        start = reader.read(9)
        write_map(replace(plain(), coin="ETH"), path)
        assert (start + reader.read()).decode() == to_json(plain())
    assert read_map(path).coin == "ETH"


def test_a_place_that_is_a_folder_cannot_be_written_and_stays(tmp_path: Path) -> None:
    (tmp_path / "map.json").mkdir()
    with pytest.raises(LiqtruthError, match=r"cannot write .*map\.json: Is a directory"):
        write_map(plain(), tmp_path / "map.json")
    assert [found.name for found in tmp_path.iterdir()] == ["map.json"]


def test_a_place_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(LiqtruthError, match=r"cannot write .*map\.json"):
        write_map(plain(), tmp_path / "file" / "map.json")
    assert (tmp_path / "file").read_text() == "kept"


def test_folders_on_the_way_are_made_and_a_later_write_replaces_the_earlier(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    for content in ("first", b"second"):
        write_atomically(path, content)
    assert path.read_text() == "second"


def test_the_same_map_gives_the_same_bytes_and_its_moment_is_utc() -> None:
    built = replace(plain(), as_of=datetime(2026, 8, 20, 14, tzinfo=timezone(timedelta(hours=2))))
    assert to_json(built) == to_json(from_json(to_json(built)))
    assert from_json(to_json(built)).as_of.isoformat() == "2026-08-20T12:00:00+00:00"


def test_a_file_from_before_there_was_quality_is_read_as_without_findings() -> None:
    content = json.loads(to_json(replace(plain(), quality=(sentence("a gap"),))))
    assert content.pop("quality") == ["a gap"]
    assert same(from_json(json.dumps(content)), plain())
