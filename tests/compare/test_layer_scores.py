"""Scores against the whole truth and against its crowd stand side by side, each with what it is worth."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from liqtruth.compare.comparison.comparison import compared
from liqtruth.compare.comparison.report import figure, render_report
from liqtruth.compare.comparison.terminal import divergence_view
from liqtruth.compare.conclusion.sentences import in_words
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.layers import layer_results
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.compare.statistics.scores import score
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import Cut, layer_of
from tests.compare.maps import FAR, NEAR, Level, crowd, frame, map_of, read_whole
from tests.compare.test_report import words

OI_USD = 2e8
WHALES = crowd(1, positions=900, whales=12)
MODELS = [
    map_of(levels, venue="binance", model=name) for levels, name in ((NEAR, "tiers"), (FAR, "calibrated"))
]


def both_of(levels: list[Level], open_interest_usd: float = OI_USD) -> tuple[Heatmap, Heatmap]:
    """The whole map and its crowd."""
    whole = read_whole(map_of(levels, open_interest_usd=open_interest_usd))
    cut = layer_of(frame(levels), Cut.of(whole.coverage), "crowd")
    return whole, read_whole(map_of(cut, open_interest_usd=open_interest_usd))


@pytest.fixture(scope="module")
def whole_and_crowd() -> tuple[Heatmap, Heatmap]:
    return both_of(WHALES)


@pytest.fixture(scope="module")
def divergence(whole_and_crowd: tuple[Heatmap, Heatmap]) -> Divergence:
    """Within 50 %, where the positions lie: within 25 % the better of two is no nearer than by chance."""
    return compare_maps(whole_and_crowd[0], MODELS, crowd=whole_and_crowd[1], within_pct=50.0)


def shown(divergence: Divergence, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(divergence_view(divergence))
    return out.getvalue()


def test_each_layer_has_the_scores_that_its_own_map_gives(
    divergence: Divergence, whole_and_crowd: tuple[Heatmap, Heatmap]
) -> None:
    assert [layer.layer for layer in divergence.layers] == ["raw", "crowd"]
    for layer, truth in zip(divergence.layers, whole_and_crowd, strict=True):
        for row, model in zip(layer.models, MODELS, strict=True):
            assert row.label == model.label
            assert row.scores == score(truth, model, divergence.range_pct)


def test_the_raw_layer_is_what_the_rest_of_the_report_shows(divergence: Divergence) -> None:
    raw = divergence.layers[0]
    assert [row.scores for row in raw.models] == [result.scores for result in divergence.models]
    assert [row.skill for row in raw.models] == [result.skill for result in divergence.models]
    assert raw.granularity == divergence.granularity
    assert raw.noise_floor_pct == divergence.noise_floor_pct


def test_cutting_whales_leaves_more_effective_positions_and_a_lower_floor(divergence: Divergence) -> None:
    raw, cut = divergence.layers
    for mine, other in zip(cut.granularity, raw.granularity, strict=True):
        assert mine.effective_least > other.effective_least
        assert mine.positions == other.positions
    assert cut.noise_floor_pct < raw.noise_floor_pct  # type: ignore[operator]


def test_whether_shape_can_be_claimed_is_reported_for_each_layer_in_words(divergence: Divergence) -> None:
    raw, cut = divergence.layers
    assert (raw.enough, cut.enough) == (False, True)
    numbers = [round(side.effective_least) for side in raw.granularity]
    assert raw.says == (
        f"raw: too few positions for any claim about shape (effective {numbers[0]} longs and {numbers[1]} shorts; "
        f"{ENOUGH:.0f} a side are needed): scores here rank no model"
    )
    assert cut.says.startswith("crowd: enough positions for claims about shape")


def test_where_only_the_crowd_can_be_claimed_the_verdict_is_its(divergence: Divergence) -> None:
    cut = divergence.layers[1]
    nearest = min(cut.models, key=lambda row: row.scores.wasserstein_pct or 0.0)
    found = divergence.conclusion
    assert found is not None
    assert (found.code, found.layer, found.label) == ("nearest", "crowd", nearest.label)
    assert (found.off_pct, found.floor_pct) == (nearest.scores.wasserstein_pct, cut.noise_floor_pct)
    assert found.gap in nearest.gaps
    assert divergence.verdict == in_words(found)
    assert "few_positions_floor" not in {one.code for one in divergence.caveats}, (
        "the crowd has enough of them"
    )


def test_without_whales_both_layers_are_the_same() -> None:
    equal = [(side, away, 1e4) for side, away, _ in crowd(5)]
    raw, cut = layer_results(*both_of(equal, 1e9), MODELS, 50.0)
    assert replace(cut, layer="raw", says=raw.says) == raw


def test_a_truth_whose_positions_are_not_at_hand_has_no_layers(
    whole_and_crowd: tuple[Heatmap, Heatmap],
) -> None:
    found = compare_maps(whole_and_crowd[0], MODELS)
    assert found.layers == ()
    assert "Against the whole map" not in shown(found)
    assert "Against the whole map" not in words(render_report(found, whole_and_crowd[0], MODELS))


def test_beside_a_narrow_map_names_are_broken_between_words_alone() -> None:
    narrow = map_of(WHALES, venue="hyperliquid", model="coinank")
    covers = (narrow.mark_px * 0.924, narrow.mark_px * 1.046)
    narrow = replace(narrow, source="imported", covers=covers)
    text = shown(
        compare_maps(
            map_of(WHALES), [narrow, MODELS[1]], baselines=[replace(MODELS[0], model="moving-average")]
        )
    )
    section = text[text.index("Each map on its own, within") :].split("W1, both sides")[0]
    assert "(to " in section
    for word in ("hyperliquid", "coinank", "calibrated", "moving-average", "(baseline)"):
        assert word in section.replace("\n", " ").split()


def test_the_answer_the_gap_and_the_picture_are_of_one_layer() -> None:
    whole, few = both_of(WHALES)
    found = compared(whole, MODELS, crowd=few, within_pct=50.0)
    assert found.crowd_map is not None
    page = words(render_report(found.divergence, found.truth_map, found.model_maps, crowd=found.crowd_map))
    assert "The area between a line and the crowd of the truth is its error" in page
    assert "its longs, the truth" not in page
    assert "its shorts, the truth" not in page
    alone = compared(whole, MODELS, within_pct=50.0)
    assert alone.crowd_map is None


def test_in_the_terminal_models_stand_under_one_another_and_layers_abreast(divergence: Divergence) -> None:
    text = shown(divergence)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    section = text[text.index("Against the whole map") : text.index("Share of each side")]
    assert "…" not in section
    for raw, cut in zip(*(layer.models for layer in divergence.layers), strict=True):
        row = next(line for line in section.splitlines() if line.strip().startswith(raw.label))
        figures = [f"{one.scores.wasserstein_pct:.2f} %" for one in (raw, cut)]
        assert row.index(figures[0]) < row.index(figures[1])
    flat = " ".join(section.split())
    for layer in divergence.layers:
        assert layer.says in flat
        assert f"{layer.noise_floor_pct:.2f} %" in flat


def test_the_page_shows_all_of_it_before_the_pictures(
    divergence: Divergence, whole_and_crowd: tuple[Heatmap, Heatmap]
) -> None:
    expected = words(render_report(divergence, whole_and_crowd[0], MODELS))
    section = expected[
        expected.index("Against the whole map and against its crowd") : expected.index("What a move would")
    ]
    for layer in divergence.layers:
        assert layer.says in section
        assert layer.effective in section
        for row in layer.models:
            assert figure(row.scores.wasserstein_pct, "wasserstein_pct") in section
    assert "raw no, crowd yes" in expected


def test_a_side_without_positions_is_undefined_and_claims_nothing() -> None:
    longs = [level for level in WHALES if level[0] == "long"]
    found = compare_maps(both_of(longs)[0], MODELS, crowd=both_of(longs)[1])
    assert [layer.enough for layer in found.layers] == [False, False]
    assert found.layers[1].noise_floor_pct is None
    assert [row.skill for row in found.layers[1].models] == [None, None]
    assert "None" not in shown(found)
