"""Which model `calibrated` means for a venue, what its level is of, and which bounds its maps have."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage import tiers
from liqtruth.estimator.model.leverage_model import (
    CURVE_OFFSET,
    LEVEL,
    Bounds,
    Correction,
    LeverageModel,
    leverage_model_named,
)
from liqtruth.estimator.model.maps import default_model, model_map
from liqtruth.estimator.model.model_in_use import (
    bounds_of,
    calibrated_model,
    in_use,
    is_fitted,
    is_levelled,
    use,
)
from liqtruth.estimator.model.node_shares import node_shares
from liqtruth.estimator.over_time.price_time import model_series
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.bounds import NOT_HELD
from liqtruth.heatmap.clusters.distribution import mass_within
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note, texts
from liqtruth.storage.store import Store
from tests.estimator.fitted_models import SIDE_BOUNDS, correction_of, fitted, save, stored_series
from tests.estimator.markets import bars_of, series_of

FLAT = Brackets.flat("X", 0.01, 50.0, "one flat bracket, for the test")


def share_notes(model: LeverageModel, venue: str) -> tuple[str, ...]:
    return texts(node_shares("calibrated", model, FLAT, POSITION_USD, venue=venue).notes)


def test_without_a_choice_it_is_the_model_called_calibrated(tmp_path: Path) -> None:
    assert in_use(tmp_path) == "calibrated"
    assert not is_fitted(tmp_path)
    save(tmp_path, fitted())
    assert is_fitted(tmp_path)
    assert calibrated_model(tmp_path, "binance") == fitted()


def test_the_chosen_model_stays_chosen(tmp_path: Path) -> None:
    save(tmp_path, fitted(), fitted("mine"))
    assert use(tmp_path, "mine") == fitted("mine")
    assert in_use(tmp_path) == "mine"
    assert calibrated_model(tmp_path, "hyperliquid").name == "mine"


def test_only_a_fitted_model_of_all_venues_can_be_chosen(tmp_path: Path) -> None:
    save(tmp_path, fitted(), fitted("calibrated-okx", kind="transferred", correction=correction_of("okx")))
    with pytest.raises(
        UnknownChoice, match="unknown leverage model 'none'; known: prior, population, calibrated"
    ):
        use(tmp_path, "none")
    with pytest.raises(BadInput, match="prior is a prior, not fitted"):
        use(tmp_path, "prior")
    with pytest.raises(BadInput, match="calibrated to okx alone: use calibrated"):
        use(tmp_path, "calibrated-okx")
    assert in_use(tmp_path) == "calibrated"


@pytest.mark.parametrize("data_dir", [None, "empty"])
def test_where_nothing_was_fitted_the_remedy_is_one_line(data_dir: str | None, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="liqtruth calibrate fit COIN") as refused:
        calibrated_model(tmp_path / data_dir if data_dir else None, "binance")
    assert "\n" not in str(refused.value)


def test_a_chosen_model_that_is_gone_is_named(tmp_path: Path) -> None:
    save(tmp_path, fitted("mine"))
    use(tmp_path, "mine")
    (tmp_path / "models" / "mine.json").unlink()
    assert not is_fitted(tmp_path)
    with pytest.raises(MissingData, match=r"no fitted leverage model 'mine' in .*calibrate use NAME"):
        calibrated_model(tmp_path, "hyperliquid")


def test_a_venue_takes_the_model_that_was_levelled_to_it_and_only_that_venue_does(tmp_path: Path) -> None:
    levelled = fitted("calibrated-okx", kind="transferred", correction=correction_of("okx"))
    save(tmp_path, fitted(), levelled)
    assert calibrated_model(tmp_path, "okx") == levelled
    for venue in ("hyperliquid", "binance"):
        assert calibrated_model(tmp_path, venue) == fitted()


def test_that_a_level_is_another_venues_is_reported_and_only_then() -> None:
    levelled = fitted(kind="transferred", correction=correction_of("okx"))
    carried = "not calibrated to binance: shape and level are"
    assert any(line == f"{carried} Hyperliquid's" for line in share_notes(fitted(), "binance"))
    assert any(line == f"{carried} okx's" for line in share_notes(levelled, "binance"))
    for model, venue in (
        (fitted(), "hyperliquid"),
        (levelled, "okx"),
        (leverage_model_named("prior"), "binance"),
    ):
        assert not [line for line in share_notes(model, venue) if "not calibrated" in line]
    assert is_levelled(fitted(), "hyperliquid")
    assert not is_levelled(levelled, "hyperliquid")


def test_where_none_is_named_the_shipped_population_draws_until_a_model_was_fitted(store: Store) -> None:
    stored_series(store, "okx", "SOL")
    data_dir = store.settings.data_dir
    assert default_model(data_dir) == "vintages"
    plain = model_map(store, "SOL", "okx", default_model(data_dir), "3d")
    named = model_map(store, "SOL", "okx", "vintages", "3d", weights="population")
    assert plain.assumptions == named.assumptions
    save(data_dir, fitted())
    assert default_model(data_dir) == "calibrated"
    assert default_model(data_dir, weights="population") == "vintages"


def test_the_map_is_vintages_with_the_model_in_use_under_its_own_name(store: Store) -> None:
    stored_series(store, "okx", "SOL")
    save(store.settings.data_dir, fitted())
    drawn = model_map(store, "SOL", "okx", "calibrated", "3d")
    other = model_map(store, "SOL", "okx", "vintages", "3d", weights="calibrated")
    assert (drawn.label, other.label) == ("okx calibrated", "okx vintages")
    assert np.array_equal(drawn.long_usd, other.long_usd)
    assert drawn.assumptions == other.assumptions
    assert note("not_levelled", venue="okx", whose="Hyperliquid") in drawn.assumptions


def test_over_time_it_has_the_same_name_and_states_the_same(store: Store) -> None:
    stored_series(store, "okx", "SOL")
    save(store.settings.data_dir, fitted())
    series = model_series(store, "SOL", "okx", "calibrated", timedelta(days=1), timedelta(hours=6))
    assert series.model == "calibrated"
    assert any(line.startswith("not calibrated to okx") for line in series.describe())


def test_weights_cannot_be_named_beside_it(store: Store) -> None:
    stored_series(store, "okx", "SOL")
    save(store.settings.data_dir, fitted())
    with pytest.raises(BadInput, match="--weights is for --model vintages"):
        model_map(store, "SOL", "okx", "calibrated", "3d", weights="prior")
    with pytest.raises(BadInput, match="leave --weights out"):
        model_series(store, "SOL", "okx", "calibrated", timedelta(days=1), weights="prior")


def test_a_correction_is_of_the_venue_it_names(tmp_path: Path) -> None:
    """A file that is called after a venue and was levelled to another is not taken for levelled."""
    save(tmp_path, fitted(), fitted("calibrated-okx", kind="transferred", correction=correction_of("bybit")))
    model = calibrated_model(tmp_path, "okx")
    assert isinstance(model.correction, Correction)
    assert any("level are bybit's" in line for line in share_notes(model, "okx"))


def test_a_name_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "models" / "in-use").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"cannot read .*in-use: .*calibrate use NAME"):
        in_use(tmp_path)


OPEN_INTEREST_USD = 1.6e5 * 100.0
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
        curve = mass_within(made, SIDE_BOUNDS.distance_pct, side) / OPEN_INTEREST_USD
        low, high = (
            (np.array(factor) * (curve + CURVE_OFFSET) - CURVE_OFFSET) * OPEN_INTEREST_USD
            for factor in (SIDE_BOUNDS.low, SIDE_BOUNDS.high)
        )
        assert 0 < (low > 0).sum() < low.size
        assert found.reasons == (None,) * low.size
        assert found.low_usd == pytest.approx(np.maximum(low, 0.0))
        assert found.high_usd == pytest.approx(high)
        assert found.modelled_usd == pytest.approx(curve * OPEN_INTEREST_USD)
        likely = np.maximum(np.array(SIDE_BOUNDS.middle) * (curve + CURVE_OFFSET) - CURVE_OFFSET, 0.0)
        assert found.likely_usd == pytest.approx(likely * OPEN_INTEREST_USD)
        assert found.crowd_usd == pytest.approx(0.5 * curve * OPEN_INTEREST_USD)
        assert found.whales_high_usd == pytest.approx(np.array(SIDE_BOUNDS.whales_high) * OPEN_INTEREST_USD)


@given(st.floats(0.1, 1.0), st.floats(1.0, 10.0))
def test_factors_around_one_hold_the_map_between_its_bounds(low: float, high: float) -> None:
    count = len(SIDE_BOUNDS.distance_pct)
    side = replace_bounds(low=(low,) * count, high=(high,) * count)
    made = drawn(fitted(bounds=side))
    assert made.bounds is not None
    for found in (made.bounds.long, made.bounds.short):
        rows = zip(found.low_usd, found.modelled_usd, found.high_usd, strict=True)
        given = [row for row in rows if None not in row]
        assert given
        assert all(a <= b * (1 + 1e-9) <= c * (1 + 1e-6) + 1e-6 for a, b, c in given)


def test_what_a_model_withholds_its_maps_withhold_for_the_same_reason() -> None:
    side = {
        name: (None, *getattr(SIDE_BOUNDS, name)[1:]) for name in ("low", "high", "whales_low", "whales_high")
    }
    made = drawn(fitted(bounds=replace_bounds(**side, withheld=(NOT_HELD, None, None, None))))
    assert made.bounds is not None
    assert made.bounds.long.reasons[0] == NOT_HELD
    assert made.bounds.long.high_usd[0] is None
    assert made.bounds.long.likely_usd[0] >= 0


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
        assert (
            f"no bounds: the model is not calibrated to {venue} (liqtruth transfer {venue})"
            in shown_notes(made)
        )


def test_coins_that_the_fit_has_seen_have_their_own_bounds_on_its_venue_alone() -> None:
    narrow = replace_bounds(low=(0.9,) * 4, high=(1.1,) * 4)
    seen, unseen = (fitted(known_bounds=narrow, known_coins=(coin,)) for coin in ("BTC", "ETH"))
    assert drawn(seen).bounds == drawn(fitted(bounds=narrow)).bounds
    assert drawn(unseen).bounds == drawn(fitted()).bounds
    levelled = msgspec.structs.replace(seen, kind="transferred", correction=correction_of("okx"))
    assert drawn(levelled, "okx").bounds == drawn(fitted(correction=correction_of("okx")), "okx").bounds


def test_a_part_of_the_map_has_no_bounds() -> None:
    assert drawn(fitted(), age=["<4h"]).bounds is None


def test_a_model_without_validation_has_a_note_and_a_prior_has_none() -> None:
    bare = drawn(fitted(bounds=None))
    assert bare.bounds is None
    assert (
        "no bounds: too few coins or maps were held out from the fit to tell how far off it is"
        in shown_notes(bare)
    )
    prior = drawn(leverage_model_named("prior"))
    assert prior.bounds is None
    assert "bounds" not in shown_notes(prior)


def test_a_baseline_and_a_market_without_open_interest_have_none() -> None:
    made = drawn(fitted())
    assert bounds_of(tiers(), "hyperliquid", made) is None
    empty = replace(made, coverage=replace(made.coverage, open_interest_usd=0.0))
    assert bounds_of(fitted(), "hyperliquid", empty) is None
