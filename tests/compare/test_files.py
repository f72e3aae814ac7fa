"""A divergence as JSON: every field, the schema first, undefined figures null."""

import json
from dataclasses import fields

import pytest
from hypothesis import given

from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.divergence.divergence import SCHEMA, Divergence
from liqtruth.compare.divergence.measure import compare_maps
from tests.compare.maps import NEAR, TRUTH, Level, levels_of_both, map_of


@pytest.fixture(scope="module")
def divergence() -> Divergence:
    return compare_maps(map_of(TRUTH), [map_of(NEAR, venue="binance", model="tiers")])


@given(levels_of_both, levels_of_both)
def test_every_field_is_written_and_the_same_maps_give_the_same_bytes(
    truth: list[Level], model: list[Level]
) -> None:
    maps = map_of(truth), [map_of(model, venue="binance", model="tiers")]
    first = to_json(compare_maps(*maps))
    content = json.loads(first)
    assert [name for name in content if name != "notes"] == [
        "caveat" if field.name == "caveats" else field.name for field in fields(Divergence)
    ]
    assert first == to_json(compare_maps(*maps))


def test_undefined_figures_are_null() -> None:
    found = compare_maps(map_of(TRUTH), [map_of([("long", 4.0, 1e6)], model="tiers")])
    content = json.loads(to_json(found))
    assert content["models"][0]["skill"] is None
    assert content["models"][0]["scores"]["mean"]["undefined"].startswith("no shorts")


def test_the_schema_comes_first_and_times_are_iso_8601(divergence: Divergence) -> None:
    content = json.loads(to_json(divergence))
    assert next(iter(content.items())) == ("schema", SCHEMA)
    assert content["as_of"] == "2026-08-20T12:00:00Z"
    assert content["truth"]["in_grid_usd"] == list(divergence.truth.in_grid_usd)
