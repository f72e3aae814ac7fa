"""What is concluded never contradicts a gate, and terminal, page and JSON conclude the same."""

import io
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from liqtruth.compare.conclusion import MARKS, barred, in_words
from liqtruth.compare.divergence.divergence import Divergence, to_json
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.divergence.report import render_report
from liqtruth.compare.divergence.terminal import divergence_view
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.heatmap.heatmap import Heatmap, Training
from liqtruth.heatmap.layers import Cut, layer_of
from liqtruth.heatmap.notes import of_codes
from tests.compare.maps import FAR, MANY, NEAR, NOON, TRUTH, Level, crowd, frame, map_of, read_whole
from tests.compare.test_report import words

OI_USD = 2e8
RANK = re.compile(r"\b(better|worse|no better|undefined) [+\-−]\d")
"""What a table says of a model that it ranks."""
SEEN = Training("mine", "abc", ("BTC",), NOON - timedelta(days=3), NOON + timedelta(hours=1), 80.0)
EARLIER = replace(SEEN, end=NOON - timedelta(hours=1))
THIN = replace(EARLIER, effective_positions=ENOUGH - 1)
UNKNOWN = Training("mine", "abc")

trainings = st.sampled_from([None, SEEN, EARLIER, THIN, UNKNOWN])
truths = st.builds(
    crowd,
    st.integers(0, 50),
    positions=st.sampled_from([20, 120, 300, 900]),
    whales=st.sampled_from([0, 2, 12]),
)
models = st.lists(
    st.tuples(st.builds(crowd, st.integers(0, 50), middle_pct=st.floats(2.0, 30.0)), trainings),
    min_size=1,
    max_size=3,
)


def compared(
    levels: list[Level], offered: list[tuple[list[Level], Training | None]], *, with_crowd: bool = True
) -> tuple[Divergence, Heatmap, list[Heatmap]]:
    truth = read_whole(map_of(levels, open_interest_usd=OI_USD))
    cut = read_whole(
        map_of(layer_of(frame(levels), Cut.of(truth.coverage), "crowd"), open_interest_usd=OI_USD)
    )
    maps = [
        replace(map_of(each, venue="binance", model=f"m{n}"), training=training)
        for n, (each, training) in enumerate(offered)
    ]
    return compare_maps(truth, maps, crowd=cut if with_crowd else None), truth, maps


def shown(divergence: Divergence) -> str:
    out = io.StringIO()
    Console(file=out, width=240, color_system=None).print(divergence_view(divergence, NOON))
    return out.getvalue()


def open_layers(divergence: Divergence) -> list[str]:
    """Those that the gate lets speak, reckoned anew from the numbers of positions."""
    stored = {"raw": divergence.granularity, **{one.layer: one.granularity for one in divergence.layers}}
    return [name for name, grains in stored.items() if min(side.effective_least for side in grains) >= ENOUGH]


@settings(max_examples=10, deadline=None)
@given(truths, models, st.booleans())
def test_verdict_terminal_page_and_json_agree_and_obey_the_gates(
    levels: list[Level], offered: list[tuple[list[Level], Training | None]], with_crowd: bool
) -> None:
    divergence, truth, maps = compared(levels, offered, with_crowd=with_crowd)
    found = divergence.conclusion
    assert found is not None
    terminal, page = shown(divergence), words(render_report(divergence, truth, maps, NOON))
    expected = json.loads(to_json(divergence))
    assert expected["verdict"] == divergence.verdict == in_words(found)
    assert expected["conclusion"]["code"] == found.code
    assert divergence.verdict in " ".join(terminal.replace("│", " ").split())
    assert divergence.verdict in page

    allowed = open_layers(divergence)
    assert found.layer == ("raw" if "raw" in allowed else "crowd" if "crowd" in allowed else None)
    free = {f"binance m{n}" for n, (_, training) in enumerate(offered) if training in (None, EARLIER)}
    named = {one.label for one in maps if one.label in divergence.verdict}
    if found.layer is None:
        assert found.code == "too_few_positions"
        assert not named
        assert not RANK.search(terminal)
        assert not RANK.search(page)
    elif found.code in ("nearest", "none_beats_mark", "by_chance"):
        assert named == {found.label} <= free
    else:
        assert not (named & free) or found.code == "none_scored"
    for layer in divergence.layers:
        assert layer.enough == (layer.layer in allowed)
        assert [row.ranked for row in layer.models] == [
            layer.enough and row.label in free for row in layer.models
        ]
    for result in divergence.models:
        assert result.ranked == ("raw" in allowed and result.summary.label in free)
        assert all(row.ranked == result.ranked for row in result.judged)
        if not result.ranked:
            assert all(row.verdict == "not ranked" for row in result.judged)


@settings(max_examples=8, deadline=None)
@given(truths, models)
def test_the_one_that_is_named_is_the_nearest_of_those_that_may_be_ranked_on_its_layer(
    levels: list[Level], offered: list[tuple[list[Level], Training | None]]
) -> None:
    divergence, _, _ = compared(levels, offered)
    found = divergence.conclusion
    assert found is not None
    if found.label is None:
        return
    (layer,) = [one for one in divergence.layers if one.layer == found.layer]
    ranked = {row.label: row.scores.wasserstein_pct for row in layer.models if row.ranked}
    assert found.off_pct == ranked[found.label] == min(off for off in ranked.values() if off is not None)
    assert found.null_pct == layer.null_scores.wasserstein_pct


@pytest.mark.parametrize(
    ("training", "code"),
    [
        (None, None),
        (EARLIER, None),
        (SEEN, "saw_this_moment"),
        (THIN, "fails_its_gate"),
        (UNKNOWN, "no_record"),
    ],
)
def test_a_fit_is_barred_by_its_record_of_the_moment(training: Training | None, code: str | None) -> None:
    found = barred(training, "BTC", NOON)
    assert (found and found.code) == code


@pytest.mark.parametrize("hours", [-73, -72, 0, 1, 2])
def test_a_moment_is_seen_from_the_first_to_the_last_of_the_fit_and_of_its_coins_only(hours: int) -> None:
    at = NOON + timedelta(hours=hours)
    assert (barred(SEEN, "BTC", at) is not None) == (-72 <= hours <= 1)
    assert barred(SEEN, "ETH", at) is None


def test_a_barred_fit_that_is_nearest_is_shown_and_marked_and_does_not_headline() -> None:
    divergence, truth, maps = compared(MANY, [(FAR, None), (MANY, SEEN)])
    assert divergence.models[1].skill == 1
    assert divergence.conclusion is not None
    assert divergence.conclusion.label == "binance m0"
    assert divergence.conclusion.barred == ("binance m1",)
    mark = MARKS["saw_this_moment"]
    assert mark in shown(divergence)
    assert mark in words(render_report(divergence, truth, maps))
    (left_out,) = of_codes(divergence.remarks, ["not_ranked"])
    assert (left_out.values["label"], left_out.values["why"]) == ("binance m1", "saw_this_moment")


def test_a_given_map_that_is_not_the_nearest_has_its_own_line_on_the_screen_and_on_the_page() -> None:
    truth = read_whole(map_of(MANY, open_interest_usd=OI_USD))
    given, model = map_of(FAR, source="imported", model="mine"), map_of(MANY, venue="binance", model="m0")
    found = compare_maps(truth, [given, model], crowd=read_whole(map_of(MANY, open_interest_usd=OI_USD)))
    (line,) = found.of_given
    assert line.startswith(f"Within 25 % of the mark {given.label} is off by")
    assert line in " ".join(shown(found).replace("│", " ").split())
    assert line in words(render_report(found, truth, [given, model]))
    assert not compare_maps(truth, [given], crowd=None).of_given, "the verdict is about it already"
    assert not compare_maps(map_of(TRUTH), [given, model]).of_given, (
        "too few positions say nothing of it either"
    )


def test_a_truth_that_is_no_reading_has_no_gate_and_what_is_stated_is_how_alike_maps_are() -> None:
    truth = map_of(TRUTH, source="imported")
    found = compare_maps(truth, [map_of(NEAR, venue="binance", model="m0")])
    assert found.conclusion is not None
    assert found.conclusion.layer == "raw"
    assert [one.code for one in found.caveats] == ["truth_is_no_reading"]
