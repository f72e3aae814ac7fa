"""What follows the mark keeps its distance: no entry, no sweep, no age, drawn anew at each moment's mark."""

from datetime import timedelta
from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.model.at_mark import AT_THE_MARK, Reach
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import MIXED, MIXED_OF, LeverageModel, leverage_model_named
from liqtruth.estimator.model.node_shares import VINTAGES, node_shares
from liqtruth.estimator.over_time.price_time import drawn_series
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import of_codes
from tests.estimator.markets import random_bars, series_of

OKX: Final = venue_named("okx")
PRIOR: Final = leverage_model_named("prior")
NODES: Final = np.array(PRIOR.leverage)
AT_40: Final = Brackets.flat("X", 0.5 / 40, 40.0, "half of the initial margin at 40x")
AT_10: Final = Brackets.flat("X", 0.5 / 10, 10.0, "half of the initial margin at 10x")
FOLLOWING: Final = 0.3


def rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in shares.tolist())


def mixed(following: float = FOLLOWING) -> LeverageModel:
    """The prior in equal parts of both coordinates, less so much at the mark, evenly over the nodes."""
    model = PRIOR.in_coordinate(MIXED)

    def side(name: str) -> tuple[tuple[float, ...], ...]:
        shares = model.shares(name) * (1 - following)
        shares[-1] = following / shares.shape[1]
        return rows(shares)

    return msgspec.structs.replace(model, name="mixed", long=side("long"), short=side("short"))


def fitted(bars: Bars, model: LeverageModel, brackets: Brackets = AT_40) -> CohortModel:
    return CohortModel(model, brackets=brackets).fit(series_of(bars), OKX, "X")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("brackets", [AT_40, AT_10])
def test_every_node_lies_where_an_isolated_position_opened_at_the_mark_would(
    side: str, brackets: Brackets
) -> None:
    """Half of a node's mass is nearer than the distance of its own leverage, give or take the width of a node."""
    reach = Reach.of(NODES, brackets, side, POSITION_USD)
    rate, sign = brackets.rate[0], -1.0 if side == "long" else 1.0
    away = np.abs(np.log((1 + sign / NODES) / (1 + sign * rate)))
    inside = rate * 1.2 < 1 / NODES
    assert np.all((reach.near <= away + 1e-12)[inside])
    assert np.all((reach.far >= away - 1e-12)[inside])
    np.testing.assert_allclose(reach.far[1:], reach.near[:-1])
    assert not reach.placed[rate * 0.9 > 1 / NODES].any()


@given(st.floats(5.0, 200.0), st.sampled_from(SIDES))
def test_all_of_a_node_is_on_the_grid_beyond_it_or_at_no_price(width_bps: float, side: str) -> None:
    reach = Reach.of(NODES, AT_40, side, POSITION_USD)
    placed = reach.on_grid(PriceGrid.around(100.0, width_bps), side)
    np.testing.assert_allclose(placed.sum(axis=1), reach.placed, atol=1e-12)
    assert placed.min() > -1e-12


def test_a_copied_shape_is_a_case_of_it() -> None:
    """Shares at the nodes draw any curve that is even in log price between the nodes' ends, whatever prices did."""
    reach = Reach.of(NODES, AT_40, "short", POSITION_USD)
    ends = np.sort(reach.far[reach.far > 0])
    wanted = np.random.default_rng(7).dirichlet(np.ones(len(NODES))) * (reach.placed > 0)
    curve = wanted @ reach.within(ends)
    np.testing.assert_allclose(np.diff(curve), wanted[reach.placed > 0][::-1][1:], atol=1e-12)


@given(random_bars())
def test_the_map_accounts_for_all_open_interest_and_what_follows_is_never_swept(bars: Bars) -> None:
    whole, without = (fitted(bars, mixed(part)) for part in (FOLLOWING, 0.0))
    for side in SIDES:
        balance = whole.balance_.of(side)
        assert balance.total == pytest.approx(bars.open_interest[-1], rel=1e-9, abs=1e-6)
        cohorts = without.balance_.of(side)
        assert balance.swept == pytest.approx((1 - FOLLOWING) * cohorts.swept, abs=1e-6)
    drawn = whole.heatmap()
    seen = [whole.balance_.of(side).on_map + whole.balance_.of(side).never for side in SIDES]
    assert list(drawn.total_usd) == pytest.approx([coins * drawn.mark_px for coins in seen], rel=1e-9)


@given(random_bars())
def test_it_is_of_no_age_and_a_part_by_age_says_what_it_leaves_out(bars: Bars) -> None:
    made = fitted(bars, mixed())
    whole, fresh = made.heatmap(), made.heatmap(age=["<4h", "4-24h", "1-7d", ">7d"])
    following = whole.part({"age_band": [AT_THE_MARK]})
    assert fresh.total_usd.long + following.total_usd.long == pytest.approx(whole.total_usd.long)
    assert [bool(of_codes(one.assumptions, ("ageless",))) for one in (fresh, whole)] == [True, False]
    assert made.heatmap(age=["<400d"]).total_usd.long == pytest.approx(fresh.total_usd.long)


def test_bands_of_leverage_are_those_seen_from_the_mark() -> None:
    bars = _flat_bars()
    made = fitted(bars, mixed(1.0))
    parts = [made.heatmap(leverage=[value]).total_usd.long for value in (2, 5, 10, 20, 40, 100)]
    assert sum(parts) == pytest.approx(made.heatmap().total_usd.long)


def test_over_time_it_is_at_the_same_distance_from_every_mark() -> None:
    bars = _flat_bars(drift=0.01)
    series = series_of(bars)
    shares = node_shares(VINTAGES, mixed(1.0), AT_40, POSITION_USD)
    drawn = drawn_series(series, shares, AT_40, OKX, "X", timedelta(hours=10), timedelta(hours=1))
    edges = drawn.grid.edges
    for at, mark in enumerate(drawn.mark_px):
        near = drawn.long_usd[at][edges[:-1] >= mark * 0.9].sum() / (bars.open_interest[-1] * mark)
        single = fitted(_flat_bars(), mixed(1.0)).heatmap()
        same = single.long_usd[single.grid.edges[:-1] >= single.mark_px * 0.9].sum()
        assert near == pytest.approx(same / (bars.open_interest[-1] * single.mark_px), abs=0.01)


def test_the_last_moment_over_time_is_the_map() -> None:
    bars = _flat_bars(drift=0.002)
    series, model = series_of(bars), mixed()
    shares = node_shares(VINTAGES, model, AT_10, POSITION_USD)
    last = drawn_series(series, shares, AT_10, OKX, "X", timedelta(hours=10), timedelta(hours=1))
    single = fitted(bars, model, AT_10).heatmap()
    for side in SIDES:
        there = getattr(last, f"{side}_usd")[-1].sum() + last.beyond_usd[-1].of(side)
        here = single.in_grid_usd.of(side) + single.beyond_usd.of(side)
        assert there == pytest.approx(here, rel=0.05)


def test_on_a_market_of_the_reference_a_mixture_of_one_model_draws_that_model() -> None:
    bars = _flat_bars(drift=0.002)
    one, two = (fitted(bars, model).heatmap() for model in (PRIOR, PRIOR.in_coordinate(MIXED)))
    np.testing.assert_allclose(two.long_usd, one.long_usd, atol=1e-6)
    np.testing.assert_allclose(two.short_usd, one.short_usd, atol=1e-6)


def test_an_even_mixture_is_the_mean_of_its_coordinates() -> None:
    bars = _flat_bars(drift=0.002)
    apart = [fitted(bars, PRIOR.in_coordinate(name), AT_10).heatmap() for name in MIXED_OF]
    both = fitted(bars, PRIOR.in_coordinate(MIXED), AT_10).heatmap()
    mean = np.mean([one.long_usd for one in apart], axis=0)
    np.testing.assert_allclose(both.long_usd, mean, atol=1e-3)


def test_no_leverage_is_scaled_beyond_the_markets_that_a_mixture_was_fitted_on() -> None:
    assert mixed().scale(125.0, 0.03) == 1.0
    assert mixed().scale(10.0, 0.03) == 0.25


def test_rows_of_a_mixture_are_each_rate_in_every_coordinate_and_the_mark() -> None:
    model = mixed()
    assert model.rows == len(MIXED_OF) * len(model.rates) + 1
    with pytest.raises(BadInput, match=f"{model.rows} rows"):
        msgspec.structs.replace(model, long=PRIOR.long)
    assert model.in_coordinate("leverage").shares("long").sum() == pytest.approx(model.shares("long").sum())


def _flat_bars(count: int = 200, drift: float = 0.0) -> Bars:
    close = 100.0 * np.exp(drift * np.sin(np.arange(count) / 7))
    oi = np.full(count + 1, 1_000.0)
    return Bars(close * 1.001, close * 0.999, close, oi, np.full(count, 500.0))
