"""A vendor's map that is moved or exchanged is told by its peaks, though its broad shape is of another family; by other
peaks than those of the market nothing is told."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from liqtruth.compare.diagnosis.peaks import Places, one_of, places_of
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Note, Notes, note
from tests.compare.maps import MANY, map_of

EXACT = map_of(MANY)
AT = np.log(EXACT.grid.centers / EXACT.mark_px)


def around(seed: int) -> FloatArray:
    """Places and heights of what all makers have of one market."""
    draw = np.random.default_rng(seed)
    return np.column_stack([draw.uniform(-0.3, 0.3, 60), draw.lognormal(0.0, 1.0, 60)])


def mass(seed: int, maker: int, middle: float) -> FloatArray:
    """A maker's own heights of them, on its own broad shape, `middle` being how far its middle is from the mark."""
    draw = np.random.default_rng([seed, maker])
    at, height = around(seed).T
    height = height * draw.lognormal(0.0, 0.8, height.size)
    peaks = np.exp(-0.5 * ((AT[:, None] - at) / 0.003) ** 2) @ height
    return np.asarray((0.05 + peaks) * np.exp(-0.5 * ((np.abs(AT) - middle) / 0.12) ** 2))


def drawn(usd: FloatArray, source: str = "imported") -> Heatmap:
    below = AT < 0
    return replace(
        EXACT,
        source=source,  # type: ignore[arg-type]
        long_usd=usd * below,
        short_usd=usd * ~below,
        breakdown=None,
    )


def moved(usd: FloatArray, pct: float) -> FloatArray:
    return np.asarray(np.interp(AT - np.log1p(pct / 100), AT, usd))


def told(seed: int, usd: FloatArray) -> Notes:
    truth, ours = drawn(mass(seed, 0, 0.05), "exact"), drawn(mass(seed, 1, 0.2), "modelled")
    found = places_of(drawn(usd), truth, [ours])
    assert found is not None
    return found.noted()


@pytest.mark.parametrize("pct", [-4.0, -2.0, 3.0])
def test_a_moved_map_of_another_family_is_named_with_how_far_it_must_be_moved(pct: float) -> None:
    for seed in range(5):
        [found] = told(seed, moved(mass(seed, 2, 0.1), pct))
        assert found.code == "looks_moved"
        assert found.values["value"] == pytest.approx(100 * (1 / (1 + pct / 100) - 1), abs=0.3)


def test_exchanged_sides_are_named_though_both_sides_have_one_broad_shape() -> None:
    for seed in range(5):
        [found] = told(seed, mass(seed, 2, 0.1)[::-1])
        assert found.code == "looks_mirrored"


def test_of_honest_maps_of_another_family_none_is_accused() -> None:
    assert not any(told(seed, mass(seed, 2, 0.1)) for seed in range(100))


def test_of_maps_whose_peaks_are_shuffled_at_most_five_of_a_hundred_are_given_a_single_cause() -> None:
    """What is said of others leaves open that they are of other positions altogether."""
    found = [told(seed, mass(1000 + seed, 2, 0.1)) for seed in range(100)]
    assert sum(one.code != "looks_one_of" for notes in found for one in notes) <= 5
    sets = [one.values["causes"] for notes in found for one in notes if one.code == "looks_one_of"]
    assert sum("other" not in {code for code, _ in causes} for causes in sets) <= 5


def test_causes_that_fit_about_as_well_are_named_together() -> None:
    """A map that is a mixture of one that was moved up and one that was moved down."""
    both = mass(1, 0, 0.1)
    [found] = told(1, np.asarray(moved(both, 3.0) + moved(both, -3.0)))
    assert found.code == "looks_one_of"
    moves = [value for code, value in found.values["causes"] if code == "looks_moved"]
    assert sorted(moves) == pytest.approx([-3.0, 3.0], abs=0.4)


@pytest.mark.parametrize(
    ("single", "among"),
    [
        (note("looks_moved", value=-2.5, alike=0.5, before=0.1), True),
        (note("looks_moved", value=2.5, alike=0.5, before=0.1), False),
        (note("looks_mirrored", value=0.0, alike=0.5, before=0.1), False),
    ],
)
def test_a_single_finding_agrees_with_a_set_that_has_a_move_the_same_way(single: Note, among: bool) -> None:
    causes = note("looks_one_of", causes=[("looks_moved", -3.0), ("other", 0.0)], alike=0.5, before=0.1)
    assert one_of(causes, single) == among


def test_a_map_in_its_place_is_known_to_be() -> None:
    truth = drawn(mass(2, 0, 0.05), "exact")
    found = places_of(drawn(mass(2, 2, 0.1)), truth, [drawn(mass(2, 1, 0.2), "modelled")])
    assert found is not None
    assert found.in_place


def test_only_vendors_maps_beside_a_model_of_their_market_are_looked_at() -> None:
    truth, ours = drawn(mass(1, 0, 0.05), "exact"), drawn(mass(1, 1, 0.2), "modelled")
    theirs = drawn(mass(1, 2, 0.1))
    assert places_of(theirs, truth, []) is None
    assert places_of(ours, truth, [ours]) is None
    late = replace(theirs, as_of=theirs.as_of + timedelta(hours=1))
    assert places_of(late, truth, [ours]) is None


def test_a_map_that_reaches_no_farther_than_peaks_may_be_moved_is_not_looked_at() -> None:
    near = replace(drawn(mass(1, 2, 0.1)), covers=(EXACT.mark_px * 0.85, EXACT.mark_px * 1.15))
    assert Places.of(near, [drawn(mass(1, 0, 0.05), "exact")]) is None
