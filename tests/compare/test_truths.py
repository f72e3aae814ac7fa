"""Other truths than single positions: exact maps give what their positions give, banded sums level and shares."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.options.shared import GLOBALS
from liqtruth.compare.calibration.lake_samples import gather
from liqtruth.compare.calibration.record import load
from liqtruth.compare.calibration.side_fit import separable
from liqtruth.compare.statistics.map_scores import BIN, BINS, within
from liqtruth.compare.truths.band_fit import fit_side_bands
from liqtruth.compare.truths.band_samples import SideBands, band_operator
from liqtruth.compare.truths.band_table import read_bands
from liqtruth.compare.truths.exact_maps import positions_of_map, samples_of_maps
from liqtruth.compare.truths.given import TABLES, gathered, kind_of, listed
from liqtruth.compare.truths.span import Span
from liqtruth.estimator.model.leverage_model import RESERVED, leverage_model_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.files import write_map
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.text import of_ms
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import (
    LEVERAGE,
    PRIOR,
    log_normal_shares,
    random_sample,
    random_series,
    whole_market,
)
from tests.compare.stored_markets import COIN, stored_reading, stored_series

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


def test_a_band_that_holds_nothing_is_fitted_like_the_others() -> None:
    pairs = [random_sample(seed) for seed in range(4)]
    free = separable(pairs, PRIOR)
    true = np.where(free, log_normal_shares(5.0, 0.5, 0.6), 0.0)
    unknown = [bands_of(one.long.columns["leverage"].astype(float), true, "long") for one in pairs]
    for side in unknown:
        side.share[0] = 0.0
    known = [replace(side, effective=np.array([0.0, 60.0, 60.0, 60.0])) for side in unknown]
    first, second = (
        fit_side_bands(sides, [one.block for one in pairs], PRIOR.shares("long") * free, free)
        for sides in (known, unknown)
    )
    assert np.array_equal(first.shares, second.shares)


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


def positions_table(path: Path, bar: int) -> Path:
    """Everyone's positions after a bar as HyperTracker exports them, which states neither mark nor moment."""
    mark = float(MARKET.bars.close[bar - 1])
    rows = whole_market(
        MARKET, bar, 300, coverage=float(MARKET.bars.open_interest[bar] / MARKET.bars.open_interest[-1])
    )
    lines = [
        f"{number},0x{number:040x},{COIN},{'long' if szi > 0 else 'short'},,{abs(szi)},{abs(szi) * mark},{mark},0,0,"
        f"{'' if px is None else px * mark / MARKET.mark_px},0,,5,2024-01-01T00:00:00.000Z,synthetic: a test"
        for number, (szi, px) in enumerate(rows.select("szi", "liq_px").iter_rows())
    ]
    path.write_text("\n".join([HYPERTRACKER, *lines]))
    return path


def stored_files(store: Store) -> set[Path]:
    return set(store.settings.data_dir.rglob("*.parquet"))


HYPERTRACKER = (
    "id,address,coin,side,dex,size,value,entryPrice,unrealizedPnl,funding,liquidationPrice,liquidationProgress,"
    "crossLeverage,isolatedLeverage,openTime,source"
)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table per moment, each named by it."""
    folder = tmp_path_factory.mktemp("history")
    for bar in BARS:
        moment = of_ms(int(MARKET.end_ms[bar - 1]))
        positions_table(folder / f"{COIN}-{moment:%Y-%m-%dT%H%MZ}.csv", bar)
    return folder


class TestTablesOfPositions:
    def test_a_history_of_tables_gives_what_stored_readings_give(self, read: Store, history: Path) -> None:
        files = listed([history])
        assert kind_of(files) == TABLES
        given = gathered(read, files, [COIN])
        own = gather(read, [COIN], leverage_model_named()).pairs
        assert [one.as_of for one in given.pairs] == [one.as_of for one in own]
        for found, known in zip(given.pairs, own, strict=True):
            assert found.synthetic
            for side in SIDES:
                assert found.of(side).crowd == pytest.approx(known.of(side).crowd, abs=1e-9)
                assert found.of(side).coverage == pytest.approx(known.of(side).coverage)

    def test_series_of_another_venue_stand_in_scaled_to_the_larger_side(
        self, tmp_path: Path, history: Path
    ) -> None:
        with Store.open(Settings(data_dir=tmp_path)) as store:
            stored_series(store, MARKET, venue="okx")
            found = gathered(store, listed([history]), [COIN], aggregates="okx")
        assert [one.code for one in found.notes][:1] == ["aggregates_stand_in"]
        assert len(found.pairs) == len(BARS)
        for pair in found.pairs:
            held = [pair.of(side).coverage for side in SIDES]
            assert max(held) == pytest.approx(1.0)
            assert min(held) <= 1.0

    def test_nothing_of_them_is_stored(self, read: Store, history: Path) -> None:
        before = stored_files(read)
        gathered(read, listed([history]), [COIN])
        assert stored_files(read) == before

    def test_a_moment_without_series_is_left_out_by_its_reason(
        self, read: Store, history: Path, tmp_path: Path
    ) -> None:
        early = positions_table(tmp_path / f"{COIN}-2024-06-01T0000Z.csv", BARS[0])
        found = gathered(read, [*listed([history]), early], [COIN])
        assert len(found.pairs) == len(BARS)
        assert [one.moment.year for one in found.refused] == [2024]

    def test_only_moments_within_the_span_are_taken(self, read: Store, history: Path) -> None:
        files = listed([history])
        first, last = (one.as_of for one in gathered(read, files, [COIN]).pairs)
        for span, taken in (
            (Span(end=first), [first]),
            (Span(start=last), [last]),
            (Span(first, last), [first, last]),
        ):
            assert [one.as_of for one in gathered(read, files, [COIN], span=span).pairs] == taken
        with pytest.raises(MissingData, match="no moment lies between --from and --to"):
            gathered(read, files, [COIN], span=Span(start=last + timedelta(hours=1)))

    def test_a_table_that_states_no_moment_is_refused(self, read: Store, tmp_path: Path) -> None:
        """The file's own time is that of the last copy."""
        with pytest.raises(BadInput, match="no moment stands in it"):
            gathered(read, [positions_table(tmp_path / "positions.csv", BARS[0])], [COIN])

    def test_a_moment_given_twice_is_refused(self, read: Store, history: Path, tmp_path: Path) -> None:
        files = listed([history])
        copy = tmp_path / files[0].name
        copy.write_bytes(files[0].read_bytes())
        with pytest.raises(BadInput, match="was given before"):
            gathered(read, [*files, copy], [COIN])

    def test_files_of_several_kinds_are_refused_by_name(self, history: Path, tmp_path: Path) -> None:
        bands = table(tmp_path / "bands.csv", ("0-2", "2-5"))
        with pytest.raises(BadInput, match=r"bands.csv: banded sums among tables of positions"):
            kind_of([*listed([history]), bands])

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="holds no file"):
            listed([tmp_path])


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

    @pytest.mark.parametrize(("effective", "passes"), [(500, True), (5, False)])
    def test_a_band_that_holds_nothing_closes_no_gate(
        self, read: Store, tmp_path: Path, effective: int, passes: bool
    ) -> None:
        path = tmp_path / "bands.csv"
        header, *rows = table(path, ("0-2", "2-5", "5-10")).read_text().splitlines()
        counted = [
            f"{row},0".replace(",10000.0,", ",0,") if ",0-2," in row else f"{row},{effective}" for row in rows
        ]
        path.write_text("\n".join([f"{header},effective", *counted]))
        CliRunner().invoke(calibrate_app, ["fit", COIN, "--truth", str(path), "--name", "one-empty"])
        _, record = load(read.settings.data_dir, "one-empty")
        assert record is not None
        assert record.effective_positions == effective
        assert record.passes == passes

    def test_a_folder_of_tables_is_fitted_under_its_name(self, read: Store, history: Path) -> None:
        line = ["fit", COIN, "--truth", str(history), "--name", "of-tables"]
        CliRunner().invoke(calibrate_app, line)
        _, record = load(read.settings.data_dir, "of-tables")
        assert record is not None
        assert len(record.pairs) == len(BARS)

    @pytest.mark.parametrize("kind", ["tables", "bands"])
    def test_a_fit_on_files_keeps_to_its_span(
        self, read: Store, history: Path, tmp_path: Path, kind: str
    ) -> None:
        given = history if kind == "tables" else table(tmp_path / "bands.csv", ("0-2", "2-5", "5-10"))
        until = of_ms(int(MARKET.end_ms[BARS[0] - 1]))
        line = ["fit", COIN, "--truth", str(given), "--name", f"early-{kind}", "--to", until.isoformat()]
        CliRunner().invoke(calibrate_app, line)
        _, record = load(read.settings.data_dir, f"early-{kind}")
        assert record is not None
        assert record.end == until

    @pytest.mark.parametrize("option", ["--step=1h", "--workers=2", "--cluster=tcp://127.0.0.1:8786"])
    def test_what_means_nothing_for_files_is_refused(self, history: Path, option: str) -> None:
        shown = CliRunner().invoke(calibrate_app, ["fit", COIN, "--truth", str(history), option])
        assert isinstance(shown.exception, BadInput)

    @pytest.mark.parametrize("name", RESERVED)
    def test_no_fit_takes_the_name_of_a_shipped_model(self, tmp_path: Path, name: str) -> None:
        path = table(tmp_path / "bands.csv", ("0-2", "2-5"))
        line = ["fit", COIN, "--truth", str(path), "--name", name]
        assert isinstance(CliRunner().invoke(calibrate_app, line).exception, BadInput)

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


@pytest.mark.parametrize(("usd", "effective"), [(0, 60), (1e4, 0), (1e4, -3), (1e4, "nan"), (1e4, 0.5)])
def test_as_many_positions_as_cannot_have_made_a_sum_are_refused(
    tmp_path: Path, usd: float, effective: float | str
) -> None:
    lines = table(tmp_path / "bands.csv", ("0-2", "2-5"), usd).read_text().splitlines()
    path = tmp_path / "counted.csv"
    path.write_text("\n".join([f"{lines[0]},effective", *(f"{line},{effective}" for line in lines[1:])]))
    with pytest.raises(TableRefused, match="column 'effective'"):
        read_bands(path)


def test_a_modelled_map_is_no_truth(read: Store, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_map(replace(exact_map(read, COIN), source="modelled", model="tiers"), path)
    with pytest.raises(BadInput, match="must be an exact map"):
        samples_of_maps(read, [path], [COIN], PRIOR)
