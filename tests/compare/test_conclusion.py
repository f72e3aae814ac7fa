"""What is concluded never contradicts a gate, and terminal, page and JSON conclude the same."""

import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from liqtruth.compare.comparison.report import render_report
from liqtruth.compare.comparison.terminal import divergence_view
from liqtruth.compare.conclusion.conclusion import barred
from liqtruth.compare.conclusion.records import Conclusion
from liqtruth.compare.conclusion.sentences import MARKS, in_words
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.reports.rows import report_frame
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.heatmap.heatmap import Heatmap, Training
from liqtruth.heatmap.layers import Cut, layer_of
from liqtruth.heatmap.words.notes import of_codes
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
    assert divergence.headline in page
    assert divergence.beside in page
    assert f"{divergence.headline} {divergence.beside}".strip() == divergence.verdict
    assert len(re.sub(r"(?<=\d) %", "%", divergence.headline).split()) <= 30

    allowed = open_layers(divergence)
    assert found.layer == ("raw" if "raw" in allowed else "crowd" if "crowd" in allowed else None)
    free = {f"binance m{n}" for n, (_, training) in enumerate(offered) if training in (None, EARLIER)}
    named = {one.label for one in maps if one.label in divergence.verdict}
    if found.layer is None:
        assert found.code == "too_few_positions"
        assert f"within {divergence.range_pct:.3g} %" in divergence.headline
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
    obey_gates_of_clusters(divergence, terminal, page, expected)
    ranked = [one for one in divergence.ranking if one.place is not None]
    assert {one.label for one in ranked} <= (free if found.layer else set())
    assert [one.off_pct for one in ranked] == sorted(one.off_pct or 0.0 for one in ranked)
    assert all(line in page for line in divergence.of_maps)


SINGLE = {"phantom_cluster", "heavy_cluster", "missed_cluster", "missed_holder"}


def obey_gates_of_clusters(divergence: Divergence, terminal: str, page: str, content: dict[str, Any]) -> None:
    """Clusters are matched by the layer that speaks or by none, and what is off names one only where they are."""
    for result, stored in zip(divergence.models, content["models"], strict=True):
        assert result.clusters_of in (None, divergence.layer)
        named = {one.code for one in result.diagnosis} & SINGLE
        table = report_frame(divergence).filter(kind="cluster", model=result.summary.label)
        if result.clusters_of is None:
            assert not named
            assert not result.recall
            assert {one["fate"] for one in stored["pairs"]} <= {None}
            assert {one["matched"] for one in stored["matches"]} <= {None}
            assert table["fate"].null_count() == table.height
        else:
            assert None not in {one["fate"] for one in stored["pairs"]}
    if all(result.clusters_of for result in divergence.models):
        assert "would rank no model" not in terminal + page
    if not any(result.clusters_of for result in divergence.models):
        assert "missed" not in page.split("Before you believe it")[0]


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


def test_every_map_has_a_short_line_in_the_order_of_how_near_it_is_and_the_headline_is_one_sentence() -> None:
    truth = read_whole(map_of(MANY, open_interest_usd=OI_USD))
    given, model = map_of(FAR, source="imported", model="mine"), map_of(MANY, venue="binance", model="m0")
    found = compare_maps(truth, [given, model], crowd=read_whole(map_of(MANY, open_interest_usd=OI_USD)))
    first, second = found.of_maps
    assert first == "1. binance m0: off by 0.0 %, better than knowing only the mark"
    assert re.match(
        rf"2. {given.label}: off by \d+.\d %, worse than knowing only the mark. .* {given.label}", second
    )
    for line in (first, second):
        assert line in " ".join(shown(found).replace("│", " ").split())
        assert line in words(render_report(found, truth, [given, model]))
    assert not re.search(r"\.\s", found.headline)
    assert len(re.sub(r"(?<=\d) %", "%", found.headline).split()) <= 30
    assert [one["label"] for one in json.loads(to_json(found))["ranking"]] == [model.label, given.label]
    page = render_report(found, truth, [given, model])
    assert words(page).index(second) < words(page).index("More (") < words(page).index(first), (
        "whoever asks of a map is told of it without opening anything"
    )
    assert not compare_maps(truth, [given], crowd=None).of_first_given, "the headline is about it already"
    assert not compare_maps(truth, [model], crowd=None).of_first_given, "no map was given"
    assert not compare_maps(truth, [given], crowd=None).of_maps, "the verdict is about it already"
    assert not compare_maps(map_of(TRUTH), [given, model]).of_maps, (
        "too few positions say nothing of it either"
    )


def test_the_range_of_the_answer_is_the_one_that_is_marked_and_has_the_figures_of_the_headline() -> None:
    """A map of a narrow axis narrows what all are ranked on; each map's own figures stay beside it."""
    truth = read_whole(map_of(MANY, open_interest_usd=OI_USD))
    narrow = replace(map_of(MANY, source="imported", model="mine"), covers=(89.0, 111.0))
    found = compare_maps(truth, [narrow, map_of(NEAR, venue="binance", model="m0")])
    assert found.conclusion is not None
    assert found.range_pct == found.conclusion.range_pct == pytest.approx(11, abs=0.2)
    [starred] = [one for one in found.shown_ranges if found.is_answers(one)]
    assert starred.range_pct == found.range_pct
    assert found.conclusion.off_pct in [one.scores.wasserstein_pct for one in starred.models]
    assert starred.null_pct == found.conclusion.null_pct
    named = f"{found.range_pct:.3g} %"
    assert f"of price within {named}" in found.headline
    for text in (shown(found), words(render_report(found, truth, [narrow, map_of(NEAR, venue="binance")]))):
        assert re.findall(r"([\d.]+ %) \*", text) == [named]
    assert json.loads(to_json(found))["range_pct"] == found.range_pct


def test_a_truth_that_is_no_reading_has_no_gate_and_what_is_stated_is_how_alike_maps_are() -> None:
    truth = map_of(TRUTH, source="imported")
    found = compare_maps(truth, [map_of(NEAR, venue="binance", model="m0")])
    assert found.conclusion is not None
    assert found.conclusion.layer == "raw"
    assert [one.code for one in found.caveats] == ["truth_is_no_reading"]


@pytest.mark.parametrize(
    ("off_pct", "words_of_both"),
    [(0.86, "off by 0.86 % of price within 25 % of the mark (mark only: 0.93 %)"),
     (0.5, "off by 0.5 % of price within 25 % of the mark (mark only: 0.9 %)")],
)  # fmt: skip
def test_figures_of_which_one_is_called_better_are_not_shown_as_equal(
    off_pct: float, words_of_both: str
) -> None:
    found = Conclusion("nearest", "raw", "mine", 1, off_pct, 0.93, skill=0.08)
    assert words_of_both in in_words(found)
