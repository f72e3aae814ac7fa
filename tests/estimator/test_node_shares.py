"""Nodes of a leverage model stand as they are, or are brought to the market that the map is of."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.model.brackets import LONG, POSITION_USD, SHORT, Brackets, liquidation_factors
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import (
    FADES,
    REFERENCE_MAXIMUM,
    REFERENCE_VOLATILITY,
    CoinShares,
    leverage_model_named,
    rows_of,
)
from liqtruth.estimator.model.node_shares import NodeShares, daily_volatility, node_shares
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.words.notes import note, texts
from tests.estimator.fitted_models import fitted
from tests.estimator.markets import bars_of, random_bars, series_of

PRIOR = leverage_model_named("prior")
OKX = venue_named("okx")


def flat(highest: float) -> Brackets:
    return Brackets.flat("X", 0.5 / highest, highest, "half the initial margin, for the test")


def shares_of(coordinate: str, highest: float = 40.0, volatility: float = 0.03) -> NodeShares:
    model = fitted(coordinate=coordinate)
    return node_shares("calibrated", model, flat(highest), POSITION_USD, daily_volatility=volatility)


@given(st.floats(2.0, 200.0), st.floats(0.0, 0.5))
def test_in_leverage_nodes_and_shares_are_the_models_own_bit_for_bit(
    highest: float, volatility: float
) -> None:
    own, allowed = np.array(PRIOR.leverage), np.array(PRIOR.leverage) <= highest
    for model in (PRIOR, fitted()):
        drawn = node_shares("vintages", model, flat(highest), POSITION_USD, daily_volatility=volatility)
        assert np.array_equal(drawn.leverage, own)
        for side in ("long", "short"):
            assert np.array_equal(drawn.of(side), PRIOR.shares(side) * allowed)
        assert not [line for line in drawn.notes if line.code == "scaled"]


@given(random_bars(at_most=10))
def test_in_leverage_factors_do_not_depend_on_how_much_the_market_moves(bars: object) -> None:
    made = CohortModel(PRIOR, brackets=flat(40.0)).fit(series_of(bars), OKX, "X")  # type: ignore[arg-type]
    for side, factors in zip((LONG, SHORT), made.shares_.factors(flat(40.0), POSITION_USD), strict=True):
        assert np.array_equal(factors, liquidation_factors(flat(40.0), PRIOR.leverage, side))


@given(st.floats(3.0, 200.0))
def test_of_maximum_a_node_keeps_its_share_of_the_markets_highest_leverage(highest: float) -> None:
    drawn = shares_of("of-maximum", highest)
    expected = np.maximum(np.array(PRIOR.leverage) * highest / REFERENCE_MAXIMUM, 1.0)
    assert drawn.leverage == pytest.approx(expected)
    inside = np.array(PRIOR.leverage) <= REFERENCE_MAXIMUM * (1 - 1e-9)
    assert np.array_equal(drawn.long[:, inside], PRIOR.shares("long")[:, inside]), (
        "what the model allows stays allowed"
    )


@given(st.floats(0.005, 0.2))
def test_of_volatility_a_wilder_market_has_lower_leverage_in_proportion(volatility: float) -> None:
    drawn = shares_of("of-volatility", 1e4, volatility)
    expected = np.maximum(np.array(PRIOR.leverage) * REFERENCE_VOLATILITY / volatility, 1.0)
    assert drawn.leverage == pytest.approx(expected)
    assert any(f"{volatility:.2%} a day" in line for line in texts(drawn.notes))


def test_at_the_reference_market_every_coordinate_is_the_same() -> None:
    for coordinate in ("of-maximum", "of-volatility"):
        drawn = shares_of(coordinate, REFERENCE_MAXIMUM, REFERENCE_VOLATILITY)
        assert np.array_equal(drawn.leverage, np.array(PRIOR.leverage))


def test_below_1x_nodes_are_clamped_to_1x_where_no_long_is_liquidated_and_it_is_reported() -> None:
    drawn = shares_of("of-maximum", 4.0)
    holdings = np.array(PRIOR.leverage) < REFERENCE_MAXIMUM / 4
    assert holdings.any()
    assert np.all(drawn.leverage[holdings] == 1.0)
    longs, _ = drawn.factors(flat(4.0), POSITION_USD)
    assert np.all(longs[holdings] <= 0)
    notes = next(line for line in texts(drawn.notes) if "set to 1x" in line)
    assert f"{PRIOR.shares('long')[:, holdings].sum():.1%} of shares" in notes


def test_mass_is_kept_where_many_nodes_are_clamped_to_1x() -> None:
    bars = bars_of([(99.0, 101.0, 100.0)] * 6, [1e5, 1.2e5, 1.1e5, 1.4e5, 1.3e5, 1.5e5, 1.6e5])
    model = CohortModel(fitted(coordinate="of-maximum"), brackets=flat(4.0))
    model.fit(series_of(bars), OKX, "X")
    for balance in model.balance_:
        assert balance.total == pytest.approx(1.6e5)


def test_of_a_mixture_what_does_not_go_by_the_highest_fades_out_towards_it() -> None:
    """On a market of 10x as much stands in each of three coordinates: leverage, the highest (26x as 6.5x, 40x as 10x),
    volatility. Half of what does not go by the highest has room at 6.5x, nothing of it at 10x."""
    rows = rows_of("mixed", len(PRIOR.rates))
    each = ((0.2 / rows,) * 5,) * rows
    whole = fitted(
        leverage=(1.0, 6.5, 10.0, 26.0, 40.0), long=each, short=each, coordinate="mixed", reach=2.0
    )
    fading = msgspec.structs.replace(whole, fades=FADES)
    of_a_node = 0.2 / rows * len(PRIOR.rates)

    for model, expected in ((whole, {1.0: 3, 6.5: 3, 10.0: 3}), (fading, {1.0: 3, 6.5: 2, 10.0: 1})):
        drawn = node_shares(
            "vintages", model, flat(10.0), POSITION_USD, daily_volatility=REFERENCE_VOLATILITY
        )
        found = {value: drawn.long[:, drawn.leverage == value].sum() / of_a_node for value in expected}
        assert found == pytest.approx(expected)
        faded = [line.values["share"] for line in drawn.notes if line.code == "fades_out"]
        assert faded == ([] if model is whole else [pytest.approx(3 * of_a_node)])


def test_volatility_that_is_not_known_is_reported() -> None:
    drawn = shares_of("of-volatility", volatility=0.0)
    assert np.array_equal(drawn.leverage, np.array(PRIOR.leverage))
    assert any(line.code == "volatility_unknown" for line in drawn.notes)


@given(st.floats(0.001, 0.05), st.sampled_from([300.0, 3600.0, 86_400.0]))
def test_volatility_is_a_days_whatever_the_bars(per_bar: float, step_s: float) -> None:
    """Returns that alternate between +r and -r have a standard deviation of r."""
    close = 100 * np.exp(np.tile([0.0, per_bar], 51))[:101]
    days = timedelta(seconds=step_s) / timedelta(days=1)
    assert daily_volatility(close, step_s) == pytest.approx(per_bar / np.sqrt(days))


def test_too_few_bars_have_no_volatility() -> None:
    assert daily_volatility(np.array([100.0, 101.0]), 3600.0) == 0.0


def test_a_coin_has_its_own_shares_where_they_were_fitted_and_the_pooled_ones_elsewhere() -> None:
    own = tuple(tuple(share / 2 for share in row) for row in PRIOR.long)
    model = fitted(coins={"SOL": CoinShares(own, PRIOR.short)})
    for venue, coin, expected in (
        ("hyperliquid", "SOL", np.array(own)),
        ("hyperliquid", "BTC", PRIOR.shares("long")),
        ("okx", "SOL", PRIOR.shares("long")),
    ):
        drawn = node_shares("calibrated", model, flat(1e3), POSITION_USD, venue=venue, coin=coin)
        assert np.array_equal(drawn.long, expected)
        is_own = (venue, coin) == ("hyperliquid", "SOL")
        assert (note("own_shares", coin="SOL") in drawn.notes) == is_own
        assert drawn.notes[0].text == model.note, "the model that is named is the one in the file"


def test_what_a_coins_own_shares_lack_to_one_is_unassigned() -> None:
    own = tuple(tuple(share / 2 for share in row) for row in PRIOR.long)
    model = fitted(coins={"X": CoinShares(own, own)})
    bars = bars_of([(99.0, 101.0, 100.0)] * 6, [1e5, 1.2e5, 1.1e5, 1.4e5, 1.3e5, 1.5e5, 1.6e5])
    made = CohortModel(model, brackets=flat(1e3)).fit(series_of(bars), venue_named("hyperliquid"), "X")
    for balance in made.balance_:
        assert balance.total == pytest.approx(1.6e5)
        assert balance.unassigned == pytest.approx(1.6e5 * (1 - np.sum(own)))
