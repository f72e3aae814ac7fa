"""A map has the bounds of its leverage model where they were measured or carried to, and says why it has none."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage import tiers
from liqtruth.estimator.model.leverage_model import (
    CURVE_OFFSET,
    LEVEL,
    Bounds,
    LeverageModel,
    leverage_model_named,
)
from liqtruth.estimator.model.model_in_use import bounds_of
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.distribution import mass_within
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import texts
from tests.estimator.fitted_models import SIDE_BOUNDS, correction_of, fitted
from tests.estimator.markets import bars_of, series_of

HELD_USD = 1.6e5 * 100.0
BARS = bars_of([(98.0, 101.5, 100.0)] * 6, [1e5, 1.2e5, 1.1e5, 1.4e5, 1.3e5, 1.5e5, 1.6e5])


def drawn(model: LeverageModel, venue: str = "hyperliquid", **parts: object) -> Heatmap:
    fitted_to = CohortModel(model, name="calibrated").fit(series_of(BARS), venue_named(venue), "BTC")
    return fitted_to.heatmap(**parts)  # type: ignore[arg-type]


def shown_notes(heatmap: Heatmap) -> str:
    return "; ".join(texts(heatmap.assumptions))


def test_bounds_are_the_formula_of_the_maps_own_curve() -> None:
    made = drawn(fitted())
    assert made.bounds is not None
    assert made.bounds.level == LEVEL
    for side in ("long", "short"):
        found = made.bounds.of(side)
        curve = mass_within(made, SIDE_BOUNDS.distance_pct, side) / HELD_USD
        for factor, amount in ((SIDE_BOUNDS.low, found.low_usd), (SIDE_BOUNDS.high, found.high_usd)):
            expected = np.maximum(np.array(factor) * (curve + CURVE_OFFSET) - CURVE_OFFSET, 0.0) * HELD_USD
            assert amount == pytest.approx(expected)
        assert found.modelled_usd == pytest.approx(curve * HELD_USD)
        likely = np.maximum(np.array(SIDE_BOUNDS.middle) * (curve + CURVE_OFFSET) - CURVE_OFFSET, 0.0)
        assert found.likely_usd == pytest.approx(likely * HELD_USD)
        assert found.crowd_usd == pytest.approx(0.5 * curve * HELD_USD)
        assert found.whales_high_usd == pytest.approx(np.array(SIDE_BOUNDS.whales_high) * HELD_USD)


@given(st.floats(0.1, 1.0), st.floats(1.0, 10.0))
def test_factors_around_one_hold_the_map_between_its_bounds(low: float, high: float) -> None:
    count = len(SIDE_BOUNDS.distance_pct)
    side = replace_bounds(low=(low,) * count, high=(high,) * count)
    made = drawn(fitted(bounds=side))
    assert made.bounds is not None
    for found in (made.bounds.long, made.bounds.short):
        rows = zip(found.low_usd, found.modelled_usd, found.high_usd, strict=True)
        assert all(a <= b * (1 + 1e-9) <= c * (1 + 1e-6) + 1e-6 for a, b, c in rows)


def replace_bounds(**changes: object) -> Bounds:
    side = msgspec.structs.replace(SIDE_BOUNDS, **changes)
    return Bounds(side, side, "synthetic: written for a test")


def test_a_venue_has_bounds_only_where_the_model_was_fitted_or_levelled_to_it() -> None:
    levelled = fitted(kind="transferred", correction=correction_of("okx"))
    assert drawn(fitted()).bounds is not None
    assert drawn(levelled, "okx").bounds is not None
    for model, venue in ((fitted(), "okx"), (levelled, "binance"), (levelled, "hyperliquid")):
        made = drawn(model, venue)
        assert made.bounds is None
        assert f"no bounds: the model is not levelled to {venue} (liqtruth transfer {venue})" in shown_notes(
            made
        )


def test_a_part_of_the_map_has_no_bounds() -> None:
    assert drawn(fitted(), age=["<4h"]).bounds is None


def test_a_model_without_validation_has_a_note_and_a_prior_has_none() -> None:
    bare = drawn(fitted(bounds=None))
    assert bare.bounds is None
    assert "no bounds: the model was not validated on any held-out map" in shown_notes(bare)
    prior = drawn(leverage_model_named())
    assert prior.bounds is None
    assert "bounds" not in shown_notes(prior)


def test_a_baseline_and_a_market_without_open_interest_have_none() -> None:
    made = drawn(fitted())
    assert bounds_of(tiers(), "hyperliquid", made) is None
    empty = replace(made, coverage=replace(made.coverage, open_interest_usd=0.0))
    assert bounds_of(fitted(), "hyperliquid", empty) is None
