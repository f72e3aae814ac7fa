"""The fit finds the shares that drew a map, claims nothing of what it cannot tell, refuses what covers too little."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from liqtruth.compare.calibration.bands import (
    LABELS,
    NULL,
    band_shares,
    bands_of_fit,
    resolved_by_data,
    spread_of,
)
from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.leverage_fit import LeverageFit
from liqtruth.compare.calibration.record import Calibrated, load, save
from liqtruth.compare.calibration.samples import Sample, SampleRefused, SideSample, sample_of, smoothed
from liqtruth.compare.calibration.shown import (
    distribution_figure,
    implied_leverage_figure,
    shown,
    shown_lines,
)
from liqtruth.compare.calibration.side_fit import (
    Normal,
    SideFit,
    completed,
    fit_side,
    separable,
    solved,
)
from liqtruth.compare.statistics.map_scores import BINS
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage_model import MAINTENANCE, leverage_model_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from liqtruth.storage.store import Store
from tests.compare.calibrated_markets import (
    BRACKETS,
    LEVERAGE,
    PRIOR,
    VENUE,
    holdings_at,
    log_normal_shares,
    random_sample,
    random_series,
    retargeted,
    whole_market,
)

PRIOR_SHARES = PRIOR.shares("long")


def drawn(side: SideSample, shares: FloatArray) -> FloatArray:
    return smoothed(side.columns["leverage"] @ shares.ravel())


def without_columns(side: SideSample) -> SideSample:
    return replace(side, columns={name: drawn * 0 for name, drawn in side.columns.items()})


@pytest.fixture(scope="module")
def pairs() -> tuple[Sample, ...]:
    return tuple(random_sample(seed) for seed in range(6))


def fitted(pairs: tuple[Sample, ...], side: str = "long") -> SideFit:
    sides = [pair.of(side) for pair in pairs]
    return fit_side(sides, [pair.block for pair in pairs], PRIOR.shares(side), separable(pairs, PRIOR))


def calibrated(pairs: tuple[Sample, ...], **more: int) -> Calibrated:
    return LeverageFit(PRIOR, **{"draws": 40, **more}).fit(Gathered(pairs, ())).calibrated_  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(pairs: tuple[Sample, ...]) -> Calibrated:
    return calibrated(pairs)


class TestWhatIsFitted:
    @settings(max_examples=4)
    @given(st.floats(4, 15), st.floats(0.4, 0.9), st.floats(0.3, 0.9))
    def test_shares_that_drew_the_maps_are_recovered_per_band(
        self, pairs: tuple[Sample, ...], median: float, spread: float, total: float
    ) -> None:
        """Within 3 points of open interest per band from 3x to 30x. Below 3x the truth is given what the fit assumes
        there, so that only what it claims to tell is judged."""
        free = separable(pairs, PRIOR)
        own = np.where(free, log_normal_shares(median, spread, total), PRIOR_SHARES)
        own *= min(1.0, 1.0 / own.sum())
        for side in SIDES:
            fit = fitted(tuple(retargeted(pair, own) for pair in pairs), side)
            missed = band_shares(fit.shares, LEVERAGE) - band_shares(own, LEVERAGE)
            assert np.abs(missed[1:4]).max() < 0.03

    def test_the_map_is_recovered_nearer_than_the_prior_draws_it(self, pairs: tuple[Sample, ...]) -> None:
        own = log_normal_shares(12.0, 0.5, 0.6)
        targets = tuple(retargeted(pair, own) for pair in pairs)
        fit = fitted(targets)
        for pair in targets:
            missed, before = (
                np.abs(drawn(pair.long, shares) - smoothed(pair.long.crowd)).sum()
                for shares in (fit.shares, PRIOR_SHARES)
            )
            assert missed < 0.2 * before

    def test_half_of_the_mass_is_half_of_the_fitted_shares(self, pairs: tuple[Sample, ...]) -> None:
        """Linear but for the pull of the prior, which weighs a thousandth."""
        own = np.where(separable(pairs, PRIOR), log_normal_shares(8.0, 0.6, 0.8), 0.0)
        without = np.zeros_like(own)
        whole, half = (
            fit_side(
                [retargeted(pair, own * scale).long for pair in pairs],
                [pair.block for pair in pairs],
                without,
                separable(pairs, PRIOR),
            )
            for scale in (1.0, 0.5)
        )
        assert half.shares == pytest.approx(whole.shares / 2, abs=1e-6)

    def test_no_data_give_back_the_prior(self, pairs: tuple[Sample, ...]) -> None:
        free = separable(pairs, PRIOR)
        assert fit_side([], [], PRIOR_SHARES, free).shares == pytest.approx(PRIOR_SHARES)
        nothing = [
            replace(without_columns(pair.long), holdings=holdings_at(np.zeros(BINS))) for pair in pairs
        ]
        fit = fit_side(nothing, [pair.block for pair in pairs], PRIOR_SHARES, free)
        assert fit.shares == pytest.approx(PRIOR_SHARES, abs=1e-9)

    def test_shares_are_those_of_a_whole_whatever_the_target(self, pairs: tuple[Sample, ...]) -> None:
        """A target of five times what all open interest could draw: the sum is limited to one, and that is stated."""
        fit = fitted(tuple(retargeted(pair, log_normal_shares(8.0, 0.6, 5.0)) for pair in pairs))
        assert fit.at_most_one
        assert fit.shares.min() >= 0
        assert fit.shares.sum() == pytest.approx(1.0, abs=1e-6)
        assert fit.shares.sum() <= 1.0 + 1e-12

    def test_what_the_data_cannot_tell_is_the_priors(self, pairs: tuple[Sample, ...]) -> None:
        fit = fitted(tuple(retargeted(pair, log_normal_shares(8.0, 0.6, 0.3)) for pair in pairs))
        assert not fit.free[LEVERAGE < 3].any()
        assert not fit.free[LEVERAGE > MAINTENANCE * 40].any()
        assert fit.prior_scale == 1.0
        assert np.array_equal(fit.shares[:, ~fit.free], PRIOR_SHARES[:, ~fit.free])

    @given(arrays(np.float64, (2, 40), elements=st.floats(0, 0.1)))
    def test_what_is_completed_never_sums_to_more_than_one(self, weight: FloatArray) -> None:
        free = (LEVERAGE >= 3) & (LEVERAGE <= 40)
        shares, scale = completed(weight[:, free], PRIOR_SHARES[:2], free)
        assert 0 <= scale <= 1
        assert shares.sum() <= 1 + 1e-12


class TestNullModel:
    def test_maps_of_other_moments_are_not_explained(self, pairs: tuple[Sample, ...]) -> None:
        """Each target belongs to another moment: what is fitted then draws them far worse."""
        own = log_normal_shares(15.0, 0.4, 0.7)
        right = [retargeted(pair, own).long for pair in pairs]
        wrong = [
            replace(side, holdings=other.holdings)
            for side, other in zip(right, right[1:] + right[:1], strict=True)
        ]
        free, blocks = separable(pairs, PRIOR), [pair.block for pair in pairs]
        missed = [
            sum(
                np.abs(
                    drawn(side, fit_side(sides, blocks, PRIOR_SHARES, free).shares) - smoothed(side.crowd)
                ).sum()
                for side in sides
            )
            for sides in (right, wrong)
        ]
        assert missed[0] < 0.3 * missed[1]


class TestTargets:
    @given(arrays(np.float64, st.integers(1, 60), elements=st.floats(1e-6, 0.2)))
    def test_cutting_large_positions_keeps_the_mass_and_the_order(self, shares: FloatArray) -> None:
        stored = replace(holdings_at(np.ones(len(shares)), parts=1), share=shares)
        assert stored.crowd.sum() == pytest.approx(shares.sum())
        assert stored.cut.max() <= LARGEST_SHARE
        assert np.all(np.diff(stored.crowd[np.argsort(shares)]) >= -1e-15)

    def test_one_whale_does_not_move_the_crowds_shape(self) -> None:
        series = random_series(1)
        crowd = whole_market(series, 1)
        stored = float(series.bars.open_interest[-1])
        whale = pl.DataFrame(
            {"szi": [0.5 * stored], "liq_px": [0.9 * series.mark_px], "mark_px": [series.mark_px]}
        )
        half = crowd.with_columns(
            pl.when(pl.col("szi") > 0).then(pl.col("szi") / 2).otherwise("szi").alias("szi")
        )
        one, other = (
            sample_of("SOL", series, VENUE, rows, PRIOR, BRACKETS).long.crowd
            for rows in (crowd, pl.concat([half, whale]))
        )
        gap = smoothed(one / one.sum() - other / other.sum())
        assert np.abs(gap).sum() < 0.15

    def test_the_target_is_the_share_within_reach(self) -> None:
        series = random_series(2)
        rows = whole_market(series, 2)
        pair = sample_of("SOL", series, VENUE, rows, PRIOR, BRACKETS)
        longs = rows.filter(pl.col("szi") > 0)
        near = (
            longs.filter(pl.col("liq_px") > series.mark_px * np.exp(-0.3))["szi"].sum() / longs["szi"].sum()
        )
        assert pair.long.crowd.sum() == pytest.approx(near, abs=0.005)
        assert pair.long.raw.sum() == pytest.approx(near, abs=0.005)


class TestRefusals:
    def test_too_little_coverage_is_refused_with_the_figure(self) -> None:
        series = random_series(3)
        with pytest.raises(SampleRefused, match="50% of open interest is covered by longs, 60% needed"):
            sample_of("SOL", series, VENUE, whole_market(series, 3, coverage=0.5), PRIOR, BRACKETS)

    def test_more_positions_than_open_interest_are_refused(self) -> None:
        series = random_series(3)
        with pytest.raises(SampleRefused, match=r"longs add up to 2\.00 times the open interest"):
            sample_of("SOL", series, VENUE, whole_market(series, 3, coverage=2.0), PRIOR, BRACKETS)

    def test_positions_of_another_time_are_refused_by_their_mark(self) -> None:
        series = random_series(3)
        rows = whole_market(series, 3).with_columns(pl.col("mark_px") * 1.1)
        with pytest.raises(SampleRefused, match="is not the series' last price"):
            sample_of("SOL", series, VENUE, rows, PRIOR, BRACKETS)

    def test_series_that_know_no_openings_are_refused(self) -> None:
        series = random_series(3, bars=2)
        with pytest.raises(SampleRefused, match="opened before the series begin"):
            sample_of("SOL", series, VENUE, whole_market(series, 3), PRIOR, BRACKETS)

    def test_the_name_of_the_prior_is_refused(self, pairs: tuple[Sample, ...]) -> None:
        with pytest.raises(BadInput, match="'prior' is the name of a shipped model"):
            LeverageFit(PRIOR, name="prior").fit(Gathered(pairs, ()))

    def test_pairs_that_place_nothing_are_refused(self, pairs: tuple[Sample, ...]) -> None:
        bare = tuple(
            replace(pair, long=without_columns(pair.long), short=without_columns(pair.short))
            for pair in pairs
        )
        with pytest.raises(MissingData, match="nothing to fit on in 6 pairs"):
            calibrated(bare)


class TestIntervals:
    def test_the_same_seed_gives_the_same_model_and_intervals(
        self, pairs: tuple[Sample, ...], made: Calibrated
    ) -> None:
        again, other = calibrated(pairs), calibrated(pairs, seed=1)
        assert made.record.long == again.record.long
        assert made.model.long == again.model.long == other.model.long
        assert made.record.long != other.record.long

    def test_every_band_from_3x_has_an_interval_that_holds_its_order(self, made: Calibrated) -> None:
        bands = made.record.short.bands
        assert [band.band for band in bands] == [*LABELS, NULL]
        for band in bands[1:5]:
            assert band.low is not None
            assert band.high is not None
            assert 0 <= band.low <= band.high <= 1
        assert bands[0].low is None
        assert bands[0].from_prior == bands[0].share

    def test_one_block_has_no_interval(self, pairs: tuple[Sample, ...]) -> None:
        fit = fitted(pairs[:1])
        spread = spread_of(fit, ["SOL"], 0)
        assert not spread.known
        assert all(band.low is None for band in bands_of_fit(fit, spread, LEVERAGE))
        alone = calibrated(pairs[:1])
        lines = list(shown_lines(shown(alone.model, alone.record)))
        assert "no intervals: 1 block of coin and day, at least 2 are needed" in lines

    def test_a_block_drawn_once_each_is_the_fit_itself(self, pairs: tuple[Sample, ...]) -> None:
        fit = fitted(pairs)
        assert fit.blocks is not None
        once = np.ones(len(fit.blocks.names), dtype=np.int64)
        assert fit.refitted(once) == pytest.approx(fit.shares, abs=1e-5)


class TestWhatTheDataTell:
    def test_a_band_is_reported_as_far_as_the_fit_follows_it(self, pairs: tuple[Sample, ...]) -> None:
        """A small change of the prior's shares in 7-15x, spread evenly, moves the fitted band as was promised; so
        small that no share comes to its bound up to 40x, above which next to nothing stands."""
        inside = (LEVERAGE >= 7) & (LEVERAGE < 15)
        more = PRIOR_SHARES + 1e-5 * inside
        fits = [fitted(tuple(retargeted(pair, shares) for pair in pairs)) for shares in (PRIOR_SHARES, more)]
        before, after = (band_shares(fit.shares, LEVERAGE)[2] for fit in fits)
        asked = float((more - PRIOR_SHARES).sum())
        assert min(fit.shares[:, fit.free & (LEVERAGE <= 40)].min() for fit in fits) > 0
        assert (after - before) / asked == pytest.approx(resolved_by_data(fits[0], LEVERAGE)[2], abs=0.02)

    def test_without_data_nothing_is_reported(self, pairs: tuple[Sample, ...]) -> None:
        bare = [without_columns(pair.long) for pair in pairs]
        fit = fit_side(bare, [pair.block for pair in pairs], PRIOR_SHARES, separable(pairs, PRIOR))
        known = [value for value in resolved_by_data(fit, LEVERAGE) if value is not None]
        assert len(known) == 5
        assert known == pytest.approx([0.0] * 5)

    def test_bands_below_3x_are_reported_by_nothing(self, made: Calibrated) -> None:
        assert made.record.long.bands[0].resolution is None


class TestFiles:
    def test_a_saved_model_is_found_by_its_name_with_its_record(self, store: Store, made: Calibrated) -> None:
        data_dir = store.settings.data_dir
        save(data_dir, made)
        assert load(data_dir, "calibrated") == (made.model, made.record)
        assert leverage_model_named("calibrated", data_dir) == made.model
        assert made.model.kind == "fitted"
        assert "6 samples, 100% to 100% of open interest covered" in made.model.note

    def test_a_model_changed_since_has_no_record(self, store: Store, made: Calibrated) -> None:
        data_dir = store.settings.data_dir
        path = save(data_dir, made)
        path.write_bytes(path.read_bytes().replace(b"fitted on", b"altered on"))
        assert load(data_dir)[1] is None

    def test_an_unknown_name_lists_the_known_ones(self, store: Store) -> None:
        with pytest.raises(UnknownChoice, match="unknown leverage model 'calibrated'; known: prior"):
            load(store.settings.data_dir)

    def test_a_broken_record_is_refused_by_its_path(self, store: Store, made: Calibrated) -> None:
        data_dir = store.settings.data_dir
        save(data_dir, made)
        (data_dir / "models" / "fits" / "calibrated.json").write_text("{")
        with pytest.raises(BadInput, match=r"fits/calibrated\.json is no record of a fit"):
            load(data_dir)


def test_the_picture_has_bars_with_intervals_and_three_baselines_a_side(made: Calibrated) -> None:
    result = shown(made.model, made.record)
    for side in result.sides:
        figure = distribution_figure(result, side)
        assert [trace.type for trace in figure.data] == ["bar", "scatter", "scatter", "scatter"]
        assert max(end for end in figure.data[0].error_y.array if end is not None) > 0
        assert figure.data[0].error_y.array[0] is None
        assert sum(figure.data[0].y) == pytest.approx(100)
        assert [trace.type for trace in implied_leverage_figure(getattr(made.record, side.side)).data] == [
            "bar"
        ]


def test_the_bound_on_the_sum_is_exact_where_it_is_needed() -> None:
    """Two equal columns that want 0.9 each: by symmetry the bounded optimum is a half each."""
    weight, bound = solved(Normal(np.eye(2), np.array([0.9, 0.9]), 1), np.zeros((1, 2)))
    assert bound
    assert weight == pytest.approx(np.array([[0.5, 0.5]]), abs=1e-6)
