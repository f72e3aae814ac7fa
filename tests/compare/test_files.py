"""A divergence goes to JSON and back unchanged; what is none is refused in one line that names the file."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from liqtruth.compare.divergence.divergence import SCHEMA, Divergence, compare_maps
from liqtruth.compare.divergence.files import from_json, read_json, to_json
from liqtruth.compare.errors import DivergenceFileError
from tests.compare.maps import NEAR, TRUTH, Level, levels_of_both, map_of


@pytest.fixture(scope="module")
def divergence() -> Divergence:
    return compare_maps(map_of(TRUTH), [map_of(NEAR, venue="binance", model="tiers")])


@given(levels_of_both, levels_of_both)
def test_what_is_written_is_read_back_equal(truth: list[Level], model: list[Level]) -> None:
    found = compare_maps(map_of(truth), [map_of(model, venue="binance", model="tiers")])
    assert from_json(to_json(found)) == found
    assert to_json(from_json(to_json(found))) == to_json(found)


def test_undefined_figures_are_null_and_come_back_as_such() -> None:
    found = compare_maps(map_of(TRUTH), [map_of([("long", 4.0, 1e6)], model="tiers")])
    content = json.loads(to_json(found))
    assert content["models"][0]["skill"] is None
    assert content["models"][0]["scores"]["mean"]["undefined"].startswith("no shorts")
    assert from_json(to_json(found)) == found


def test_the_schema_comes_first_and_times_are_iso_8601(divergence: Divergence) -> None:
    content = json.loads(to_json(divergence))
    assert next(iter(content.items())) == ("schema", SCHEMA)
    assert content["as_of"] == "2026-08-20T12:00:00Z"
    assert content["truth"]["in_grid_usd"] == list(divergence.truth.in_grid_usd)


def test_a_file_is_read_as_text_is(divergence: Divergence, tmp_path: Path) -> None:
    path = tmp_path / "divergence.json"
    path.write_text(to_json(divergence))
    assert read_json(path) == divergence


BROKEN = {
    "empty": lambda text: "",
    "truncated": lambda text: text[: len(text) // 2],
    "no JSON": lambda text: "side,px\nlong,90\n",
    "a list": lambda text: "[]",
    "no schema": lambda text: "{}",
    "another schema": lambda text: text.replace(SCHEMA, "liqtruth.divergence/2"),
    "a map": lambda text: json.dumps({"schema": "liqtruth.heatmap/1"}),
    "a missing field": lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "bands"}),
    "a wrong type": lambda text: json.dumps({**json.loads(text), "range_pct": "fifty"}),
    "a null that may not be": lambda text: json.dumps({**json.loads(text), "models": None}),
    "a bottomless list": lambda text: "[" * 100_000,
    "other bytes": lambda text: b'{"schema": "\xff\xfe"}',
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_refused_in_one_line_that_names_it(
    divergence: Divergence, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "divergence.json"
    broken = BROKEN[fault](to_json(divergence))
    path.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    with pytest.raises(DivergenceFileError) as refused:
        read_json(path)
    said = str(refused.value)
    assert said.startswith(f"{path} ")
    assert "\n" not in said
    assert len(said) < len(str(path)) + 200
    assert refused.value.exit_code == 2


def test_a_refusal_names_the_schema_that_was_found_and_the_one_that_is_read() -> None:
    with pytest.raises(DivergenceFileError, match=r"'liqtruth.divergence/9'; this program reads '" + SCHEMA):
        from_json('{"schema": "liqtruth.divergence/9"}')


def test_a_refusal_of_a_wrong_type_says_where_it_is(divergence: Divergence) -> None:
    content = json.loads(to_json(divergence))
    content["models"][0]["skill"] = "high"
    with pytest.raises(DivergenceFileError, match=r"models\[...\]\.skill|\$\.models"):
        from_json(json.dumps(content))


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DivergenceFileError, match="cannot read ") as refused:
        read_json(tmp_path / name)
    assert str(tmp_path) in str(refused.value)
