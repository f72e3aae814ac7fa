"""Other truths than single positions: exact maps give what their positions give, banded sums level and shares."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.options import GLOBALS
from liqtruth.compare.calibration.lake_samples import gather
from liqtruth.compare.calibration.record import load
from liqtruth.compare.calibration.side_fit import separable
from liqtruth.compare.statistics.map_scores import BIN, BINS, within
from liqtruth.compare.truths.band_fit import fit_side_bands
from liqtruth.compare.truths.band_samples import SideBands, band_operator
from liqtruth.compare.truths.band_table import read_bands
from liqtruth.compare.truths.exact_maps import positions_of_map, samples_of_maps
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.files import write_map
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.text import of_ms
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import LEVERAGE, PRIOR, log_normal_shares, random_sample, random_series
from tests.compare.test_calibration_lake import COIN, stored_reading, stored_series

MARKET = random_series(11)
BARS = (200, 300)
ENDS = (2.0, 5.0, 10.0, 20.0)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two readings of everybody, and the series beside them."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("truths"))) as store:
        stored_series(store, MARKET)
        for bar in BARS:
            stored_reading(store, MARKET, bar)
    return store


@pytest.mark.parametrize("side", SIDES)
def test_a_band_sums_what_a_move_from_its_start_to_its_end_liquidates(side: str) -> None:
    mass = np.random.default_rng(1).random(BINS)
    low, high = np.array([0.0, 2.0, 5.0]), np.array([2.0, 5.0, 10.0])
    summed = np.cumsum(band_operator(low, high, side) @ mass)
    assert summed == pytest.approx(np.array([float(within(mass, move, side)) for move in high]))


def test_an_exact_map_is_as_good_a_truth_as_the_positions_in_its_bins(read: Store, tmp_path: Path) -> None:
    """The same mass in the same bins of the fit, but for what a bin of 10 bps moves over the edge of one of 20."""
    truth, path = exact_map(read, COIN), tmp_path / "truth.json"
    write_map(truth, path)
    own = gather(read, [COIN], PRIOR).pairs[-1]
    found = samples_of_maps(read, [path], [COIN], PRIOR)
    assert [one.code for one in found.notes] == ["effective_of_bins"]
    for side in SIDES:
        given, known = found.pairs[0].of(side), own.of(side)
        assert given.coverage == pytest.approx(known.coverage, rel=1e-6)
        assert np.abs(np.cumsum(given.raw - known.raw)).sum() * BIN < 0.001
        assert given.columns["leverage"] == pytest.approx(known.columns["leverage"])


def test_mass_that_no_price_liquidates_stays_without_one(read: Store) -> None:
    truth = exact_map(read, COIN)
    rows = positions_of_map(truth)
    usd = (rows["szi"].abs() * truth.mark_px).sum()
    assert usd == pytest.approx(truth.total_usd.total)
    unpriced = rows.filter(pl.col("liq_px").is_null())["szi"].abs().sum() * truth.mark_px
    assert unpriced == pytest.approx(truth.never_usd.total)


def bands_of(columns: np.ndarray, shares: np.ndarray, side: str) -> SideBands:
    """What shares (classes, nodes) hold in four bands out to 20 %."""
    operator = band_operator(np.array([0.0, *ENDS[:-1]]), np.array(ENDS), side)
    drawn = operator @ columns
    return SideBands(
        drawn, {}, drawn @ shares.ravel(), operator.sum(axis=1), np.full(4, np.nan), np.array(ENDS)
    )


def test_sums_of_bands_give_level_and_mean_leverage_back() -> None:
    """Of 12 moments, by the columns that drew them; the mean is of what is fitted, within a tenth."""
    pairs = [random_sample(seed) for seed in range(12)]
    free = separable(pairs, PRIOR)
    true = np.where(free, log_normal_shares(12.0, 0.5, 0.6), 0.0)
    sides = [bands_of(one.long.columns["leverage"].astype(float), true, "long") for one in pairs]
    fit = fit_side_bands(sides, [one.block for one in pairs], PRIOR.shares("long") * free, free)

    def mean_leverage(shares: np.ndarray) -> float:
        return float(shares.sum(axis=0) @ np.log(LEVERAGE) / shares.sum())

    assert mean_leverage(fit.shares) == pytest.approx(mean_leverage(true), abs=0.1)
    for side in sides:
        assert (side.columns @ fit.shares.ravel()).sum() == pytest.approx(side.share.sum(), rel=0.05)


def table(path: Path, bands: tuple[str, ...], usd: float = 1e4) -> Path:
    moments = [of_ms(int(MARKET.end_ms[bar - 1])) for bar in BARS]
    watched = [float(MARKET.bars.open_interest[bar] * MARKET.bars.close[bar - 1]) for bar in BARS]
    lines = [
        f"{at:%Y-%m-%dT%H:%M:%SZ},{COIN},{side},{band},{usd},{held},synthetic: a test"
        for at, held in zip(moments, watched, strict=True)
        for side in SIDES
        for band in bands
    ]
    path.write_text("ts,coin,side,band,usd,watched_usd,source\n" + "\n".join(lines))
    return path


class TestCommand:
    @pytest.fixture(autouse=True)
    def data_dir(self, read: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(GLOBALS, "data_dir", read.settings.data_dir)

    def test_banded_sums_are_fitted_shown_and_not_put_into_use(self, read: Store, tmp_path: Path) -> None:
        path, page = table(tmp_path / "bands.csv", ("0-2", "2-5", "5-10 %")), tmp_path / "fit.html"
        line = ["fit", COIN, "--truth", str(path), "--name", "banded", "-o", str(page)]
        shown = CliRunner().invoke(calibrate_app, line)
        assert "they tell level and shares, not shape" in shown.stdout
        assert "cumulative sums of blocks of coin and day left out" in shown.stdout
        assert "the effective positions of its truth are not known" in str(shown.exception)
        model, record = load(read.settings.data_dir, "banded")
        assert record is not None
        assert not record.passes
        assert model.provenance.synthetic
        assert "Wasserstein" not in page.read_text().split("plotlyjs")[0]

    def test_the_sum_within_one_distance_teaches_nothing(self, tmp_path: Path) -> None:
        path = table(tmp_path / "bands.csv", ("8",))
        shown = CliRunner().invoke(calibrate_app, ["fit", COIN, "--truth", str(path)])
        assert isinstance(shown.exception, MissingData)
        assert "the sum within one distance tells no leverage" in str(shown.exception)


@pytest.mark.parametrize(
    ("bands", "usd", "reason"),
    [
        (("0-2", "1-5"), 1.0, "overlap at 1 %"),
        (("2-1",), 1.0, "band must be a distance"),
        (("0-2", "2-5"), 1e12, "must have one watched_usd that its bands do not exceed"),
    ],
)
def test_sums_that_cannot_be_right_are_refused(
    tmp_path: Path, bands: tuple[str, ...], usd: float, reason: str
) -> None:
    with pytest.raises(TableRefused, match=reason):
        read_bands(table(tmp_path / "bands.csv", bands, usd))


def test_a_modelled_map_is_no_truth(read: Store, tmp_path: Path) -> None:
    from dataclasses import replace

    path = tmp_path / "model.json"
    write_map(replace(exact_map(read, COIN), source="modelled", model="tiers"), path)
    with pytest.raises(BadInput, match="must be an exact map"):
        samples_of_maps(read, [path], [COIN], PRIOR)
