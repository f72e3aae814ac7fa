"""Each map is judged as far as it and the truth reach: a narrow one takes nothing from the others, and a reading of the
same positions is held against all of them."""

from dataclasses import replace

import numpy as np
import pytest

from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.imported.overlap import Reach, cut
from liqtruth.heatmap.heatmap import Heatmap, Origin
from liqtruth.heatmap.layers import Cut, layer_of
from liqtruth.heatmap.words.notes import of_codes
from tests.compare.maps import MANY, NEAR, Level, crowd, frame, map_of, read_whole

OI_USD = 2e8
WHALES = crowd(1, positions=900, whales=12)
"""The whole rests on too few positions, its crowd on enough."""
MODEL = map_of(NEAR, venue="binance", model="tiers")


def both_of(levels: list[Level]) -> tuple[Heatmap, Heatmap]:
    whole = read_whole(map_of(levels, open_interest_usd=OI_USD))
    part = layer_of(frame(levels), Cut.of(whole.coverage), "crowd")
    return whole, read_whole(map_of(part, open_interest_usd=OI_USD))


def file_of(heatmap: Heatmap, low_pct: float = -49.0, high_pct: float = 99.0) -> Heatmap:
    """A vendor's, which does not say what it rests on and ends somewhere."""
    covers = heatmap.mark_px * (1 + low_pct / 100), heatmap.mark_px * (1 + high_pct / 100)
    about = {"source": "imported", "model": "theirs", "origin": Origin("theirs", "a table"), "covers": covers}
    return replace(cut(heatmap, Reach.of(replace(heatmap, covers=covers))), breakdown=None, **about)


def of_models(found: Divergence) -> list[tuple[object, ...]]:
    return [
        (one.scores, one.verdict, one.diagnosis, one.clusters_of)
        for one in found.models
        if not one.summary.label.endswith("theirs")
    ]


@pytest.mark.parametrize("levels", [MANY, WHALES], ids=["whole", "crowd"])
@pytest.mark.parametrize("ends", [(-1.5, 1.5), (-1.0, 99.0), (-49.0, 0.8)])
def test_a_narrow_map_is_not_judged_and_changes_nothing_that_is_said_of_the_others(
    levels: list[Level], ends: tuple[float, float]
) -> None:
    truth, few = both_of(levels)
    narrow = file_of(MODEL, *ends)
    alone = compare_maps(truth, [MODEL], crowd=few)
    found = compare_maps(truth, [narrow, MODEL], crowd=few)
    assert found.conclusion == alone.conclusion
    assert (found.range_pct, found.granularity, found.noise_floor_pct) == (
        alone.range_pct,
        alone.granularity,
        alone.noise_floor_pct,
    )
    assert of_models(found) == of_models(alone)
    first = found.models[0]
    assert (first.aside, first.ranked, first.clusters_of, first.diagnosis) == ("too_few", False, None, ())
    assert [(one.label, one.place, one.says) for one in found.ranking][-1] == (
        first.summary.label,
        None,
        "too_few",
    )
    assert [one.about for one in of_codes(found.remarks, ("set_aside",))] == [first.summary.label]
    assert {band.model_shares[0] for band in found.bands} == {None}


def test_a_map_that_reaches_enough_positions_is_ranked_on_what_it_covers() -> None:
    truth, few = both_of(MANY)
    found = compare_maps(truth, [file_of(MODEL, -9.0, 9.0), MODEL], crowd=few)
    assert [one.aside for one in found.models] == [None, None]
    assert found.range_pct == pytest.approx(9.0, abs=0.2)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("models", [[], [MODEL]])
@pytest.mark.parametrize("levels", [MANY, WHALES, crowd(3, positions=60)], ids=["whole", "crowd", "none"])
def test_a_copy_of_the_whole_map_agrees_whatever_stands_beside_it(
    levels: list[Level], models: list[Heatmap], labelled: bool
) -> None:
    truth, few = both_of(levels)
    copy = replace(truth, model="theirs") if labelled else file_of(truth)
    found = compare_maps(truth, [copy, *models], crowd=few)
    first = found.models[0]
    assert first.scores.wasserstein_pct == pytest.approx(0.0, abs=1e-6)
    assert first.diagnosis == ()
    assert found.conclusion is not None
    whales = levels is WHALES
    if labelled or whales:  # without whales nothing tells it from a model that is right
        assert first.aside == "reading"
        assert [one.says for one in found.conclusion.readings] == ["agrees"]
        assert first.summary.label in found.verdict
        assert found.conclusion.code == "readings" or models
        assert all(
            row.scores.wasserstein_pct == pytest.approx(0.0, abs=1e-6) and row.ranked
            for row in (layer.models[0] for layer in found.layers)
        )
        codes = {"held_against_whole"} if labelled else {"looks_read"}
        assert {one.code for one in of_codes(found.remarks, {"held_against_whole", "looks_read"})} == codes
    if models:
        assert of_models(found) == of_models(compare_maps(truth, models, crowd=few))
    assert to_json(found)


def test_a_reading_of_other_places_does_not_agree_though_the_whole_rests_on_few_positions() -> None:
    truth, few = both_of(WHALES)
    moved = map_of([(side, away + 6.0, usd) for side, away, usd in WHALES], model="theirs", source="exact")
    found = compare_maps(truth, [moved, MODEL], crowd=few)
    assert found.conclusion is not None
    assert [one.says for one in found.conclusion.readings] == ["differs"]
    assert found.conclusion.label == MODEL.label


def test_a_map_of_one_layer_or_of_another_venue_is_no_reading_of_the_same_positions() -> None:
    truth, few = both_of(WHALES)
    others = [replace(few, only={"layer": ("crowd",)}), replace(truth, venue="lighter")]
    assert [one.aside for one in compare_maps(truth, others, crowd=few).models] == [None, None]


def test_of_maps_that_know_nothing_none_is_taken_for_a_reading() -> None:
    """A few whales make the truth; the others have as many lumps as large, anywhere."""
    taken = 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 17])

        def lumpy(rng: np.random.Generator) -> list[Level]:
            few = crowd(int(rng.integers(1, 10_000)), positions=300)
            usd = sum(usd for _, _, usd in few) / 4
            return [*few, *((side, float(rng.uniform(0.5, 24)), usd) for side in ("long", "short") * 2)]

        truth, part = both_of(lumpy(rng))
        found = compare_maps(truth, [file_of(map_of(lumpy(rng)))], crowd=part)
        taken += found.models[0].aside == "reading"
    assert taken == 0
