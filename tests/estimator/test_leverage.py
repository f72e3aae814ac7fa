"""Leverage weights are shares of opened notional: they sum to one, before and after a venue's cap."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage import (
    BAND_EDGES,
    MODELS,
    LeverageWeights,
    band_of,
    bands_among,
    bell,
    tiers,
    weights_named,
)
from liqtruth.heatmap.errors import BadInput

shares = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=6, max_size=6)
bells = st.builds(bell, st.floats(1, 100), st.floats(0.5, 30))
any_weights = st.one_of(bells, shares.filter(sum).map(tiers))


@given(any_weights)
def test_weights_are_shares(weights: LeverageWeights) -> None:
    assert weights.weight.sum() == pytest.approx(1, abs=1e-12)
    assert np.all(weights.weight >= 0)
    assert np.all(weights.leverage >= 1)


@given(any_weights, st.floats(1, 150))
def test_a_cap_drops_what_is_above_it_and_keeps_the_proportions_of_the_rest(
    weights: LeverageWeights, highest: float
) -> None:
    below = weights.leverage <= highest
    assume(weights.weight[below].sum() > 1e-12)
    capped = weights.up_to(highest)
    assert capped.leverage.tolist() == weights.leverage[below].tolist()
    assert capped.weight.sum() == pytest.approx(1, abs=1e-9)
    assert capped.weight * weights.weight[below].sum() == pytest.approx(weights.weight[below])
    assert len(capped.band) == len(capped.weight)


def test_equal_tiers_are_six_of_one_share() -> None:
    weights = tiers()
    assert weights.leverage.tolist() == [1, 5, 10, 25, 50, 100]
    assert weights.weight == pytest.approx([1 / 6] * 6)
    assert weights.band == ("1x", "5x", "10x", "25x", "50x", "100x")
    assert weights.mean == pytest.approx(191 / 6)
    assert weights.note.startswith("leverage tiers 1x 16.7%, 5x 16.7%")


def test_tiers_take_weights_of_any_scale() -> None:
    assert tiers([0, 15, 30, 25, 20, 10]).weight == pytest.approx([0, 0.15, 0.30, 0.25, 0.20, 0.10])


def test_the_bell_is_a_cut_normal_on_whole_leverages() -> None:
    """Around 12.4x, sd 6x, to five sd above; the cut at 1x lifts the mean to 12.7x."""
    weights = bell()
    assert weights.leverage.tolist() == list(range(1, 44))
    assert weights.leverage[weights.weight.argmax()] == 12
    ratio = weights.weight[19] / weights.weight[9]
    assert ratio == pytest.approx(np.exp(-(7.6**2 - 2.4**2) / 72))
    assert weights.mean == pytest.approx(12.7, abs=0.05)
    assert "mean after the cut 12.7x" in weights.note


def test_a_cap_is_reported() -> None:
    capped = tiers().up_to(50)
    assert capped.weight == pytest.approx([0.2] * 5)
    assert "100x" in capped.note
    assert capped.note.endswith("above the venue's highest of 50x dropped, the rest rescaled")


def test_a_cap_above_everything_changes_nothing() -> None:
    weights = tiers()
    assert weights.up_to(100) is weights


def test_a_cap_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="no leverage at or below the venue's highest, 4x"):
        tiers([0, 1, 1, 1, 1, 1]).up_to(4)


@given(st.floats(1, 200))
def test_a_band_holds_its_leverage(leverage: float) -> None:
    low, _, high = band_of(leverage).removesuffix("x").removesuffix("x+").partition("-")
    assert float(low) <= leverage < float(high or "inf")
    assert float(low) in BAND_EDGES


def test_bands_are_found_by_a_leverage_in_them_in_their_order() -> None:
    assert bands_among("tiers", tiers().band, [100, 5, 5]) == ["5x", "100x"]
    assert bands_among("bell", bell().band, [15, 2, 14.9]) == ["0-3x", "7-15x", "15-30x"]


@pytest.mark.parametrize(
    ("model", "leverage", "known"),
    [("tiers", 20, "known: 1x, 5x, 10x, 25x, 50x, 100x"), ("bell", 75, "known: 0-3x, 3-7x, 7-15x")],
)
def test_a_leverage_that_the_model_has_not_is_refused_with_those_it_has(
    model: str, leverage: float, known: str
) -> None:
    with pytest.raises(UnknownChoice, match=f"unknown leverage of {model} '{leverage}x'; {known}"):
        bands_among(model, weights_named(model).band, [leverage])


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownChoice, match="unknown model 'magic'; known: tiers, bell"):
        weights_named("magic")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_name_by_which_it_is_chosen(name: str) -> None:
    assert weights_named(name).name == name


@pytest.mark.parametrize("weights", [[1, 2], [1, 1, 1, 1, 1, -1], [0] * 6, [float("nan")] * 6])
def test_tiers_without_a_share_each_are_refused(weights: list[float]) -> None:
    with pytest.raises(BadInput, match="tiers need 6 weights"):
        tiers(weights)


@pytest.mark.parametrize(("average", "sd"), [(0.5, 6), (12, 0), (12, -1), (float("nan"), 6)])
def test_a_bell_without_a_shape_is_refused(average: float, sd: float) -> None:
    with pytest.raises(BadInput, match="a bell needs"):
        bell(average, sd)


def test_shares_of_a_leverage_below_1x_or_not_of_the_whole_are_refused() -> None:
    one = np.ones(1)
    for leverage, weight, band in ((0.5 * one, one, ("a",)), (one, 0.9 * one, ("a",)), (one, one, ())):
        with pytest.raises(BadInput, match="odd: "):
            LeverageWeights("odd", leverage, weight, band, "")


@pytest.mark.parametrize("wanted", [float("nan"), float("inf"), -5.0, 0.5])
def test_what_is_no_leverage_is_refused(wanted: float) -> None:
    with pytest.raises(BadInput, match="must be a number of at least 1, got "):
        bands_among("bell", bell().band, [wanted])


def test_every_leverage_that_a_venue_does_not_allow_is_named() -> None:
    assert "25x, 50x, 100x above the venue's highest of 20x dropped" in tiers().up_to(20).note
    assert "26x to 43x above" in bell().up_to(25).note
