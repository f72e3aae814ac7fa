"""What the data choose: the coordinate that coins share, coins' own shares, classes of size; and how sure that is."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from liqtruth.compare.calibration.bands import (
    DISTANCES_PCT,
    Spread,
    bounds_of,
    enough_maps,
    known_bounds_of,
    widened,
)
from liqtruth.compare.calibration.choices.coordinates import PULLS, choose_coordinate
from liqtruth.compare.calibration.choices.fitted import (
    coins_of,
    days_left_out,
    distances,
    fit_coordinates,
    left_out,
)
from liqtruth.compare.calibration.choices.pooled_fit import PooledFit
from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.implied_leverage import entry_leverage
from liqtruth.compare.calibration.lake_samples import (
    Gathered,
    mean_coverage,
    reference_mix,
    reweighted,
)
from liqtruth.compare.calibration.leverage_fit import LeverageFit
from liqtruth.compare.calibration.record import Calibrated
from liqtruth.compare.calibration.samples import Sample, nodes_on, sample_of
from liqtruth.compare.calibration.side_fit import Pull, separable
from liqtruth.compare.statistics.intervals import jackknife_error
from liqtruth.compare.statistics.map_scores import BINS, GRID_WIDTH_BPS
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import (
    COORDINATES,
    MAINTENANCE,
    MIXED,
    MIXED_OF,
    Coordinate,
    LeverageModel,
    parts_of,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from tests.compare.calibrated_markets import (
    LEVERAGE,
    PRIOR,
    VENUE,
    holdings_at,
    log_normal_shares,
    random_series,
    whole_market,
)

HIGHEST = {"ONE": 40.0, "TWO": 20.0, "THREE": 10.0}
FOURTH = {"FOUR": 5.0}


def brackets_on(coin: str) -> Brackets:
    highest = (HIGHEST | FOURTH)[coin]
    return Brackets.flat(coin, 0.5 / highest, highest, "synthetic")


def pair_on(seed: int, coin: str) -> Sample:
    series = random_series(seed, start=timedelta(days=seed))
    rows = whole_market(series, seed)
    return sample_of(coin, series, VENUE, rows, PRIOR, brackets_on(coin), coordinates=COORDINATES)


def drawn_in(pair: Sample, coordinate: Coordinate, shares: FloatArray) -> Sample:
    """Positions that stand where these shares draw them in this coordinate."""
    sides = {
        side: replace(
            pair.of(side),
            holdings=holdings_at(pair.of(side).response(coordinate) @ shares.ravel()),
        )
        for side in ("long", "short")
    }
    return replace(pair, **sides)


@pytest.fixture(scope="module")
def pairs() -> tuple[Sample, ...]:
    return tuple(pair_on(10 * place + day, coin) for place, coin in enumerate(HIGHEST) for day in range(7))


@pytest.fixture(scope="module")
def of_four(pairs: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """As many coins as a coordinate alone is taken with."""
    return (*pairs, *(pair_on(30 + day, coin) for coin in FOURTH for day in range(7)))


def whose_shares(coordinate: Coordinate, pairs: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """All coins opened with the same shares in this coordinate."""
    own = log_normal_shares(9.0, 0.5, 0.7)
    return tuple(drawn_in(pair, coordinate, own) for pair in pairs)


@pytest.fixture(scope="module")
def shared(pairs: tuple[Sample, ...]) -> tuple[Sample, ...]:
    return whose_shares("of-maximum", pairs)


@pytest.fixture(scope="module")
def made(shared: tuple[Sample, ...]) -> Calibrated:
    return LeverageFit(PRIOR, draws=20).fit(Gathered(shared, ())).calibrated_


class TestCoordinate:
    @pytest.mark.parametrize("coordinate", ["leverage", "of-maximum"])
    def test_what_coins_share_is_found_by_leaving_coins_out(
        self, pairs: tuple[Sample, ...], coordinate: Coordinate
    ) -> None:
        drawn = whose_shares(coordinate, pairs)
        fitted, table = choose_coordinate(drawn, fit_coordinates(drawn, PRIOR, ("leverage", "of-maximum")))
        assert fitted.coordinate == coordinate
        assert {row.coordinate for row in table} == {"leverage", "of-maximum"}
        assert set(table[0].by_coin) == set(HIGHEST)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("emptied", [{"ONE"}, set(HIGHEST)])
    def test_coins_whose_maps_hold_nothing_are_not_compared(
        self, shared: tuple[Sample, ...], emptied: set[str]
    ) -> None:
        some = [
            drawn_in(pair, "leverage", 0 * log_normal_shares(9.0, 0.5, 0.7)) if pair.coin in emptied else pair
            for pair in shared
        ]
        _, table = choose_coordinate(some, fit_coordinates(shared, PRIOR, ("leverage", "of-maximum")))
        assert all(set(row.by_coin) == set(HIGHEST) - emptied for row in table)
        assert all(np.isfinite(row.left_out_pct) for row in table)
        assert len(table) == (0 if emptied == set(HIGHEST) else 2)

    def test_where_coins_share_one_coordinate_and_one_follows_the_mark_the_mixture_finds_both(
        self, of_four: tuple[Sample, ...]
    ) -> None:
        """A half goes by the coin, a fifth keeps its distance from the mark; nothing is the same on all coins."""
        own = log_normal_shares(9.0, 0.5, 0.5)
        following = log_normal_shares(12.0, 0.3, 0.2).sum(axis=0)
        planted = np.concatenate([0 * own, own, 0 * own, following[None]])
        drawn = [drawn_in(pair, "mixed", planted) for pair in of_four]
        fit = PooledFit(PRIOR, COORDINATES).fit(drawn)
        assert fit.fitted_.coordinate == MIXED
        alone = {row.only: row.left_out_pct for row in fit.pull_scores_ if row.only is not None}
        others = [row.left_out_pct for row in fit.coordinate_scores_ if row.coordinate != MIXED]
        assert min(alone, key=lambda name: alone[name]) == "of-maximum"
        assert alone["of-maximum"] < 2 / 3 * min(others)

    def test_where_samples_cannot_tell_the_fallback_is_taken(self) -> None:
        """Two coins of the same highest leverage: none of the coordinates can be told from another."""
        alike = [replace(pair_on(day, "ONE"), coin=coin) for coin in ("A", "B") for day in range(3)]
        drawn = [drawn_in(pair, "of-maximum", log_normal_shares(9.0, 0.5, 0.7)) for pair in alike]
        for coordinates, taken in ((("of-maximum", "leverage"), "leverage"), (COORDINATES, "mixed")):
            fitted, table = choose_coordinate(drawn, fit_coordinates(drawn, PRIOR, coordinates))
            assert fitted.coordinate == taken
            assert all(row.error_pct is not None for row in table)

    def test_nodes_of_a_coordinate_are_scaled_to_the_market(self) -> None:
        assert nodes_on(PRIOR, "of-maximum", 20.0, 0.03) == pytest.approx(LEVERAGE / 2)
        assert nodes_on(PRIOR, "of-volatility", 20.0, 0.06) == pytest.approx(LEVERAGE / 2)
        assert nodes_on(PRIOR, "leverage", 20.0, 0.06) == pytest.approx(LEVERAGE)

    def test_a_coin_left_out_has_no_part_in_its_own_map(self, shared: tuple[Sample, ...]) -> None:
        """Another coin's positions in its place change nothing of what the others draw of it."""
        other = tuple(
            drawn_in(pair, "of-maximum", log_normal_shares(25.0, 0.3, 0.9)) if pair.coin == "TWO" else pair
            for pair in shared
        )
        rows = [place for place, pair in enumerate(shared) if pair.coin == "TWO"]
        maps = [
            left_out(some, fit_coordinates(some, PRIOR, ("of-maximum",))[0], "long")
            for some in (shared, other)
        ]
        assert maps[0][rows] == pytest.approx(maps[1][rows], rel=0.05, abs=1e-5)

    def test_a_single_coin_chooses_nothing(self, shared: tuple[Sample, ...]) -> None:
        alone = [pair for pair in shared if pair.coin == "ONE"]
        fit = PooledFit(PRIOR, COORDINATES).fit(alone)
        assert fit.fitted_.coordinate == COORDINATES[0]
        assert fit.coordinate_scores_ == ()

    def test_a_node_is_fitted_where_any_market_can_tell_it(self, shared: tuple[Sample, ...]) -> None:
        free = separable(shared, PRIOR, "of-maximum")
        assert LEVERAGE[free].min() >= 3.0
        assert LEVERAGE[free].max() <= MAINTENANCE * 40.0
        small = [pair for pair in shared if pair.coin == "THREE"]
        assert LEVERAGE[separable(small, PRIOR, "of-maximum")].min() >= 12.0


class TestPull:
    def test_where_data_and_prior_differ_the_weakest_pull_is_nearest_to_coins_left_out(
        self, pairs: tuple[Sample, ...]
    ) -> None:
        """Without noise the data say all."""
        drawn = whose_shares("leverage", pairs)
        fit = PooledFit(PRIOR, ("leverage",)).fit(drawn)
        away = {row.ridge: row.left_out_pct for row in fit.pull_scores_}
        assert tuple(away) == PULLS
        assert fit.fitted_.pull.ridge == min(away, key=lambda ridge: away[ridge])

    def test_a_stronger_pull_draws_nearer_to_the_prior(self, shared: tuple[Sample, ...]) -> None:
        fitted = fit_coordinates(shared, PRIOR, ("of-maximum",))[0]
        gaps = [
            float(np.abs(fitted.pulled(Pull(ridge)).shares("long") - PRIOR.shares("long")).sum())
            for ridge in (*PULLS, 100.0)
        ]
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] < 0.01 * gaps[0]

    @pytest.mark.parametrize("only", MIXED_OF)
    def test_a_mixture_is_tried_in_each_of_its_coordinates_alone(
        self, only: Coordinate, of_four: tuple[Sample, ...]
    ) -> None:
        """Positions stand in one of them, the prior has as much in each."""
        fit = PooledFit(PRIOR, (MIXED,)).fit(whose_shares(only, of_four))
        alone = [row for row in fit.pull_scores_ if row.only is not None]
        assert {row.only for row in alone} == set(MIXED_OF)
        assert min(alone, key=lambda row: row.left_out_pct).only == only
        shares = fit.fitted_.pulled(Pull(mean_of=((only,),))).shares("long")
        assert [name for name, part in parts_of(len(shares)).items() if shares[part].any()] == [only]

    def test_with_three_coins_no_coordinate_is_tried_alone(self, shared: tuple[Sample, ...]) -> None:
        fit = PooledFit(PRIOR, (MIXED,)).fit(shared)
        assert [row.ridge for row in fit.pull_scores_] == [*PULLS]
        assert fit.fitted_.pull.only is None

    def test_two_coins_choose_none(self, shared: tuple[Sample, ...]) -> None:
        two = [pair for pair in shared if pair.coin != "THREE"]
        fit = PooledFit(PRIOR, ("leverage",)).fit(two)
        assert fit.pull_scores_ == ()
        assert fit.fitted_.pull.ridge == PULLS[0]

    def test_pooled_shares_are_the_mean_of_fits_without_a_coin(self, shared: tuple[Sample, ...]) -> None:
        fit = fit_coordinates(shared, PRIOR, ("leverage",))[0].long
        each = [fit.leaving(coin) for coin in HIGHEST]
        assert fit.shares == pytest.approx(np.mean(each, axis=0), abs=1e-6)
        assert fit.without("ONE") == pytest.approx(fit.leaving("ONE"), abs=1e-9)


class TestSumsOfBlocks:
    def test_coins_left_out_are_blocks_counted_not_at_all(self, shared: tuple[Sample, ...]) -> None:
        fit = fit_coordinates(shared, PRIOR, ("leverage",))[0].long
        assert fit.blocks is not None
        times = (~fit.blocks.of_coins(["ONE"])).astype(np.int64)
        assert fit.refitted(times) == pytest.approx(fit.leaving("ONE"), abs=1e-5)
        assert np.abs(fit.leaving("ONE") - fit.leaving()).max() > 1e-4

    def test_whoever_asks_first_the_shares_are_the_same(self, shared: tuple[Sample, ...]) -> None:
        one, other = (fit_coordinates(shared, PRIOR, ("leverage",))[0].long for _ in range(2))
        first = one.leaving("TWO", "ONE"), one.leaving("ONE")
        then = other.leaving("ONE"), other.leaving("ONE", "TWO")
        assert np.array_equal(first[0], then[1])
        assert np.array_equal(first[1], then[0])

    def test_without_any_coin_the_prior_is_left(self, shared: tuple[Sample, ...]) -> None:
        fit = fit_coordinates(shared, PRIOR, ("leverage",))[0].long
        assert np.array_equal(fit.leaving(*HIGHEST), PRIOR.shares("long"))


class TestOwnShares:
    def test_coins_that_differ_deviate(self, pairs: tuple[Sample, ...]) -> None:
        """Medians of 6x, 12x and 24x: pooled shares fit none of them, and unseen days say so."""
        medians = dict(zip(HIGHEST, (6.0, 12.0, 24.0), strict=True))
        drawn = [drawn_in(one, "leverage", log_normal_shares(medians[one.coin], 0.3, 0.7)) for one in pairs]
        fit = PooledFit(PRIOR, ("leverage",)).fit(drawn)
        assert fit.ridge_ is not None
        own, pooled = fit.shares("THREE", "long"), fit.fitted_.shares("long")
        centre = [float(shares.sum(axis=0) @ np.log(LEVERAGE) / shares.sum()) for shares in (own, pooled)]
        assert centre[0] > centre[1]

    def test_a_coin_that_was_never_read_gets_the_pooled_shares(self, shared: tuple[Sample, ...]) -> None:
        fit = PooledFit(PRIOR, ("of-maximum",)).fit(shared)
        assert np.array_equal(fit.shares("NEW", "long"), fit.fitted_.shares("long"))


class TestTheModel:
    def test_it_states_what_was_chosen(self, made: Calibrated) -> None:
        """Three coins are too few to leave the mixture for a coordinate, or to take it in one alone."""
        assert made.model.coordinate == "mixed"
        assert "a part goes by their highest" in made.model.note
        assert made.record.choices.coordinate == "mixed"
        assert made.record.choices.only is None
        assert len(made.record.choices.sizes.rows) == 4

    @pytest.mark.parametrize("coin", HIGHEST)
    def test_a_mixture_draws_on_a_market_what_its_fit_draws_of_the_sample(
        self, made: Calibrated, coin: str
    ) -> None:
        model = msgspec.structs.replace(made.model, coins={})
        assert model.coordinate == MIXED
        series = random_series(5, start=timedelta(days=5))
        estimated = CohortModel(model, width_bps=GRID_WIDTH_BPS, brackets=brackets_on(coin))
        found = estimated.fit(series, VENUE, coin).heatmap()
        middle, held_usd = found.grid.bins_each_way, series.bars.open_interest[-1] * series.mark_px
        pair = pair_on(5, coin)
        for side, usd in (
            ("long", found.long_usd[middle - BINS : middle][::-1]),
            ("short", found.short_usd[middle : middle + BINS]),
        ):
            expected = pair.of(side).drawn(MIXED, model.shares(side))
            assert usd / held_usd == pytest.approx(expected, abs=1e-6)

    def test_it_reads_back_as_it_was(self, made: Calibrated) -> None:
        from liqtruth.estimator.model.leverage_model import from_json

        assert from_json(made.model.to_json(), "a file") == made.model

    def test_a_coins_own_shares_are_taken_on_its_maps(self, made: Calibrated) -> None:
        own = made.model.of_coin("ONE")
        assert isinstance(own, LeverageModel)
        if made.model.coins:
            assert own.long == made.model.coins["ONE"].long
        assert made.model.of_coin("NEW") == made.model


class TestBounds:
    def test_bounds_hold_whales_and_crowd_apart(self, shared: tuple[Sample, ...]) -> None:
        fitted = fit_coordinates(shared, PRIOR, ("of-maximum",))[0]
        bounds = bounds_of(shared, fitted)
        assert bounds is not None
        assert bounds.long.distance_pct == DISTANCES_PCT
        ends = zip(
            bounds.long.low, bounds.long.high, bounds.long.whales_high, bounds.long.withheld, strict=True
        )
        given = [row for row in ends if row[3] is None]
        assert given
        assert all(low <= high and whales == 0.0 for low, high, whales, _ in given)  # type: ignore[operator]
        assert bounds.long.crowd_share == pytest.approx(1.0)

    def test_coins_that_have_something_of_their_own_are_drawn_nearer_by_other_days_than_by_other_coins(
        self, pairs: tuple[Sample, ...]
    ) -> None:
        medians = dict(zip(HIGHEST, (6.0, 12.0, 24.0), strict=True))
        own = [drawn_in(one, "leverage", log_normal_shares(medians[one.coin], 0.3, 0.7)) for one in pairs]
        fit = PooledFit(PRIOR, ("leverage",)).fit(own)
        by_days = {side: days_left_out(own, fit.fitted_, side, fit.ridge_) for side in SIDES}
        by_coins = {side: left_out(own, fit.fitted_, side) for side in SIDES}
        assert distances(own, by_days).mean() < distances(own, by_coins).mean()

    def test_a_day_left_out_has_no_part_in_its_own_map(self, shared: tuple[Sample, ...]) -> None:
        """Other people on the later days draw the earlier ones anew, and the later ones as before."""
        days = np.array([pair.day for pair in shared])
        late = days >= np.median(np.unique(days))
        other = log_normal_shares(30.0, 0.3, 0.7)
        changed = [
            drawn_in(pair, "leverage", other) if is_late else pair
            for pair, is_late in zip(shared, late, strict=True)
        ]
        before, after = (
            days_left_out(one, fit_coordinates(one, PRIOR, ("leverage",))[0], "long", None)
            for one in (shared, changed)
        )
        moved = np.abs(after - before).sum(axis=1) / before.sum(axis=1)
        assert moved[late].max() < 0.5 * moved[~late].min()

    def test_half_a_history_of_one_day_bounds_no_known_coin(self, shared: tuple[Sample, ...]) -> None:
        days = sorted({pair.day for pair in shared})
        few = [pair for pair in shared if pair.day in days[:3]]
        assert known_bounds_of(few, fit_coordinates(few, PRIOR, ("leverage",))[0], None) is None
        assert known_bounds_of(shared, fit_coordinates(shared, PRIOR, ("leverage",))[0], None) is not None

    @pytest.mark.parametrize("coins", [("ONE",), ("ONE", "TWO")])
    def test_fewer_than_three_coins_bound_nothing(
        self, shared: tuple[Sample, ...], coins: tuple[str, ...]
    ) -> None:
        few = [pair for pair in shared if pair.coin in coins]
        assert coins_of(few) == coins
        assert bounds_of(few, fit_coordinates(few, PRIOR, ("leverage",))[0]) is None

    def test_many_maps_of_one_day_bound_nothing(self, shared: tuple[Sample, ...]) -> None:
        day = shared[0].as_of
        within = [replace(pair, as_of=day + timedelta(minutes=place)) for place, pair in enumerate(shared)]
        assert enough_maps(shared)
        assert not enough_maps(within)


class TestUncertainty:
    def test_the_jackknife_of_a_mean_is_its_standard_error(self) -> None:
        values = np.random.default_rng(2).normal(size=8)
        left = np.array([np.delete(values, at).mean() for at in range(8)])
        assert jackknife_error(left) == pytest.approx(values.std(ddof=1) / np.sqrt(8))

    def test_the_wider_of_days_and_coins_counts(self) -> None:
        drawn = np.random.default_rng(3).normal(0.5, 0.01, (200, 1, 1))
        alike = Spread(drawn, np.full((6, 1, 1), 0.5))
        apart = Spread(drawn, np.array([0.3, 0.7, 0.4, 0.6, 0.5, 0.5]).reshape(6, 1, 1))
        widths = [
            np.ptp(spread.interval(np.array([0.5]), lambda shares: shares.sum(axis=-2), 0.8), axis=0)
            for spread in (alike, apart)
        ]
        assert widths[0] < 0.05 < widths[1]

    def test_what_was_not_seen_may_be_like_any_class(self) -> None:
        """Half of open interest seen at 40 to 50 %, the rest anywhere from 10 to 90 %."""
        low, high = widened(*(np.array([end]) for end in (0.4, 0.5)), 0.5, np.array([0.1]), np.array([0.9]))
        assert (low[0], high[0]) == pytest.approx((0.25, 0.7))

    def test_full_coverage_widens_nothing(self) -> None:
        low, high = widened(*(np.array([end]) for end in (0.4, 0.5)), 1.0, np.zeros(1), np.ones(1))
        assert (low[0], high[0]) == (0.4, 0.5)


class TestCoverage:
    def known(self, pair: Sample, small: float, coverage: float) -> Sample:
        """Half of the positions are of accounts of 50 thousand USD and hold this much of what was seen."""

        def on(stored: Holdings) -> Holdings:
            count = len(stored.share)
            is_small = np.arange(count) < count // 2
            share = np.where(is_small, small / is_small.sum(), (1 - small) / (~is_small).sum())
            return replace(stored, share=share, account_usd=np.where(is_small, 5e4, 5e6))

        return replace(
            pair,
            long=replace(pair.long, holdings=on(pair.long.holdings), coverage=coverage),
            short=replace(pair.short, holdings=on(pair.short.holdings), coverage=coverage),
        )

    def test_a_reading_of_large_accounts_weighs_like_a_whole_one(self, shared: tuple[Sample, ...]) -> None:
        whole, part = self.known(shared[0], 0.6, 1.0), self.known(shared[1], 0.3, 0.7)
        weighed, notes = reweighted([whole, part])
        assert [one.code for one in notes] == ["weighed_by_account"]
        assert weighed[0].long is whole.long
        assert reference_mix([weighed[1]], "long") is None
        stored = weighed[1].long.holdings
        assert stored.share[stored.account_usd < 1e5].sum() == pytest.approx(0.6)
        assert stored.share.sum() == pytest.approx(1.0)

    def test_without_a_whole_reading_nothing_is_weighed_and_that_is_noted(
        self, shared: tuple[Sample, ...]
    ) -> None:
        part = self.known(shared[1], 0.3, 0.7)
        weighed, notes = reweighted([part])
        assert weighed == (part,)
        assert [one.code for one in notes] == ["account_mix_unknown"]
        assert mean_coverage(weighed, "long") == pytest.approx(0.7)

    def test_whole_readings_are_left_alone(self, shared: tuple[Sample, ...]) -> None:
        assert reweighted(shared) == (shared, ())


class TestEntryLeverage:
    @pytest.mark.parametrize(("side", "sign"), [("long", 1.0), ("short", -1.0)])
    def test_an_isolated_position_shows_its_own_leverage(self, side: str, sign: float) -> None:
        """Liquidated where margin 1/L meets maintenance m of the value: r = (1 - side/L) / (1 - side m)."""
        leverage, rate = np.array([3.0, 10.0, 25.0]), 0.0125
        ratio = (1 - sign / leverage) / (1 - sign * rate)
        assert entry_leverage(np.ones(3), ratio, rate, side) == pytest.approx(leverage)

    def test_no_price_has_no_leverage(self) -> None:
        assert np.isnan(entry_leverage(np.ones(1), np.array([np.nan]), 0.01, "long")[0])
