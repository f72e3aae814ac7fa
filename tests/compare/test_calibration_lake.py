"""From what is stored to a fitted model, by the command line: pairs are found, refused with a reason, and shown."""

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.options import GLOBALS
from liqtruth.compare.calibration.lake_samples import Gathered, gather, known_positions
from liqtruth.compare.calibration.record import listed, load
from liqtruth.compare.conclusion import barred
from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.model.model_in_use import calibrated_model
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.files import read_map, write_map
from liqtruth.heatmap.notes import texts
from liqtruth.heatmap.text import of_ms
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.markets import store_markets
from liqtruth.storage.database.tables import Market, Reading, Scope
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import PRIOR, random_series, whole_market

COIN = "SOL"
HOUR = timedelta(hours=1)
READ_AT = (200, 224, 248, 300)
"""Bars after which all positions are read."""


def stored_series(store: Store, series: MarketSeries) -> None:
    bars = series.bars
    ends = [of_ms(int(ms)) for ms in series.end_ms]
    candles = pl.DataFrame(
        {
            "ts": [end - HOUR for end in ends],
            "interval_s": [3600] * len(ends),
            "open": bars.close,
            "high": bars.high,
            "low": bars.low,
            "close": bars.close,
            "volume": bars.volume,
            "taker_buy_volume": [None] * len(ends),
        },
        schema=dict(DATASETS["candles"].schema),
    )
    told = {"ts": [series.start, *ends], "open_interest": bars.open_interest}
    open_interest = conform(pl.DataFrame(told), DATASETS["open_interest"].schema)
    for name, rows in (("candles", candles), ("open_interest", open_interest)):
        store.lake.merge_series(name, VENUE, COIN, rows, DATASETS[name].key, "synthetic: a test")


def stored_reading(
    store: Store, series: MarketSeries, bar: int, coverage: float = 1.0, count: int = 300
) -> None:
    """A census right after a bar, and the market row that a sweep stores beside it."""
    at, mark, held = (
        of_ms(int(series.end_ms[bar - 1])),
        float(series.bars.close[bar - 1]),
        float(series.bars.open_interest[bar]),
    )
    last = float(series.bars.open_interest[-1])
    rows = whole_market(series, bar, count, coverage=coverage * held / last).with_columns(
        pl.col("liq_px") * (mark / series.mark_px),
        mark_px=pl.lit(mark),
        coin=pl.lit(COIN),
        dex=pl.lit(""),
        address=pl.int_range(pl.len()).cast(pl.String),
        status=pl.lit("exact"),
        as_of=pl.lit(at),
        source=pl.lit("synthetic: a test"),
    )
    reading = Reading(
        id=f"census-{bar}", venue=VENUE, source="test", scope=Scope.CENSUS, as_of=at, accounts=1, positions=1
    )
    store.lake.write_reading(reading, {"positions": conform(rows, POSITIONS)})
    row = Market(venue=VENUE, dex="", coin=COIN, as_of=at, mark_px=mark, open_interest=held, max_leverage=20)
    store_markets(store.database, [row])


@pytest.fixture
def market(store: Store) -> MarketSeries:
    """Four readings on as many days, the second of them of half of the positions."""
    series = random_series(11)
    stored_series(store, series)
    for bar in READ_AT:
        stored_reading(store, series, bar, coverage=0.5 if bar == READ_AT[1] else 1.0)
    return series


def gathered(store: Store, **more: object) -> Gathered:
    return gather(store, [COIN], PRIOR, **more)  # type: ignore[arg-type]


class TestPairs:
    def test_each_reading_gives_one_pair_at_its_own_moment(self, store: Store, market: MarketSeries) -> None:
        found = gathered(store)
        assert [pair.as_of for pair in found.pairs] == [
            of_ms(int(market.end_ms[bar - 1])) for bar in (200, 248, 300)
        ]
        assert all(pair.synthetic for pair in found.pairs)
        assert {pair.highest_leverage for pair in found.pairs} == {20.0}

    def test_what_has_no_pair_says_why(self, store: Store, market: MarketSeries) -> None:
        reasons = {one.reason for one in gathered(store).refused}
        assert any("50% of open interest is covered by longs, 60% needed" in reason for reason in reasons)
        assert any("no position was read in the 6.0 h before" in reason for reason in reasons)

    def test_only_moments_asked_for_are_taken(self, store: Store, market: MarketSeries) -> None:
        end = of_ms(int(market.end_ms[250]))
        assert len(gathered(store, end=end, step=HOUR).pairs) == 2
        assert len(gathered(store, start=end - 5 * HOUR, end=end, step=HOUR).pairs) == 1

    def test_nothing_left_is_one_line_with_figures_and_remedy(self, store: Store) -> None:
        series = random_series(11)
        stored_series(store, series)
        stored_reading(store, series, 200, coverage=0.3)
        with pytest.raises(
            MissingData, match=r"no pair of SOL is left of 1 moments; SOL 1 times: 30% .*feed watch hyper"
        ):
            gathered(store)

    def test_a_coin_that_nobody_read_is_unknown(self, store: Store, market: MarketSeries) -> None:
        with pytest.raises(UnknownCoin):
            gather(store, ["DOGE"], PRIOR)

    def test_times_that_are_none_are_refused(self, store: Store, market: MarketSeries) -> None:
        with pytest.raises(BadInput, match="nothing lies between"):
            gathered(store, start=market.as_of + HOUR)
        with pytest.raises(BadInput, match="take a longer --step"):
            gathered(store, step=timedelta(seconds=1))

    def test_old_rows_and_unknown_collateral_are_not_known(self) -> None:
        series = random_series(1)
        frame = pl.DataFrame(
            {
                "as_of": [series.as_of, series.as_of - 7 * HOUR, series.as_of, series.as_of],
                "status": ["exact", "exact", "unknown_collateral", None],
                "szi": [1.0, 2.0, 3.0, 4.0],
            }
        )
        assert known_positions(frame)["szi"].to_list() == [1.0, 4.0]


class TestCommands:
    @pytest.fixture
    def data_dir(self, store: Store, market: MarketSeries, monkeypatch: pytest.MonkeyPatch) -> Path:
        settings: Settings = store.settings
        monkeypatch.setattr(GLOBALS, "data_dir", settings.data_dir)
        return settings.data_dir

    def test_fit_show_and_list(self, data_dir: Path, tmp_path: Path) -> None:
        told = CliRunner().invoke(calibrate_app, ["fit", COIN], catch_exceptions=False)
        assert told.exit_code == 0
        assert "synthetic: fitted on exact positions of hyperliquid SOL" in told.stdout
        assert "intervals: 200 draws of 3 blocks" in told.stdout
        assert (data_dir / "models" / "calibrated.json").is_file()
        page = tmp_path / "page.html"
        shown = CliRunner().invoke(
            calibrate_app, ["show", "--html", str(page), "--json", "-"], catch_exceptions=False
        )
        assert page.stat().st_size > 1e6
        answer = json.loads(shown.stdout)
        assert [side["side"] for side in answer["sides"]] == ["long", "short"]
        assert len(answer["record"]["pairs"]) == 3
        assert set(answer["sides"][0]["beside"]) == {"tiers", "bell", "prior"}
        listed = CliRunner().invoke(calibrate_app, ["list", "--json", "-"], catch_exceptions=False)
        assert {one["name"]: one["kind"] for one in json.loads(listed.stdout)} == {
            "prior": "prior",
            "calibrated": "fitted",
        }

    def test_maps_are_drawn_with_the_fitted_model_by_its_name(self, data_dir: Path, store: Store) -> None:
        CliRunner().invoke(calibrate_app, ["fit", COIN, "--name", "mine"], catch_exceptions=False)
        drawn = modelled_map(store, COIN, VENUE, "vintages", weights="mine")
        assert any("leverage model mine (fitted;" in line for line in texts(drawn.assumptions))

    def test_the_prior_is_shown_without_intervals(self, data_dir: Path) -> None:
        told = CliRunner().invoke(calibrate_app, ["show", "prior"], catch_exceptions=False)
        assert "no record of a fit: no intervals are known" in told.stdout
        assert "not known" in told.stdout


class TestGate:
    """A fit on few positions is kept and shown, and takes nobody's place."""

    @pytest.fixture
    def thin(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
        series = random_series(11)
        stored_series(store, series)
        for bar in READ_AT:
            stored_reading(store, series, bar, count=30)
        monkeypatch.setattr(GLOBALS, "data_dir", store.settings.data_dir)
        return store.settings.data_dir

    def fit(self, *words: str) -> int:
        told = CliRunner().invoke(calibrate_app, ["fit", COIN, *words])
        assert told.exception is None or isinstance(told.exception, LiqtruthError)
        return told.exception.exit_code if isinstance(told.exception, LiqtruthError) else told.exit_code

    def test_it_is_not_in_use_until_it_is_chosen(self, thin: Path) -> None:
        assert self.fit() == 1
        with pytest.raises(MissingData, match="`liqtruth calibrate use calibrated-unproven`"):
            calibrated_model(thin, VENUE)
        told = CliRunner().invoke(calibrate_app, ["use", "calibrated-unproven"], catch_exceptions=False)
        assert told.exit_code == 0
        assert calibrated_model(thin, VENUE).name == "calibrated-unproven"

    def test_the_model_in_use_stays_as_it_is(self, thin: Path) -> None:
        kept = msgspec.structs.replace(PRIOR, name="calibrated", kind="fitted")
        (thin / "models").mkdir()
        (thin / "models" / "calibrated.json").write_bytes(kept.to_json())
        assert self.fit() == 1
        assert calibrated_model(thin, VENUE) == kept
        kinds = {one.name: (one.in_use, one.record, one.passes) for one in listed(thin)}
        assert kinds["calibrated"] == (True, None, None)
        assert kinds["calibrated-unproven"] == (False, "fit", False)

    def test_under_a_name_that_is_not_in_use_it_is_written_as_asked(self, thin: Path) -> None:
        assert self.fit("--name", "mine") == 1
        assert {one.name: one.in_use for one in listed(thin)} == {"mine": False, "prior": False}

    def test_a_map_of_it_says_on_how_little_it_rests_and_when_its_fit_saw_what(
        self, thin: Path, store: Store, tmp_path: Path
    ) -> None:
        self.fit("--name", "mine")
        drawn = modelled_map(store, COIN, VENUE, "vintages", weights="mine")
        record = load(thin, "mine")[1]
        assert record is not None
        assert drawn.training == record.training
        assert not record.passes
        write_map(drawn, tmp_path / "map.json")
        assert read_map(tmp_path / "map.json").training == drawn.training


@pytest.mark.usefixtures("market")
def test_a_fit_that_passes_is_in_use_and_its_maps_may_be_ranked_on_what_it_has_not_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GLOBALS, "data_dir", store.settings.data_dir)
    assert CliRunner().invoke(calibrate_app, ["fit", COIN], catch_exceptions=False).exit_code == 0
    drawn = modelled_map(store, COIN, VENUE, "calibrated")
    assert drawn.training is not None
    start, end = drawn.training.start, drawn.training.end
    assert start is not None
    assert end is not None
    for coin, at, code in (
        (COIN, start, "saw_this_moment"),
        (COIN, end, "saw_this_moment"),
        (COIN, end + HOUR, None),
        (COIN, start - HOUR, None),
        ("BTC", start, None),
    ):
        found = barred(drawn.training, coin, at)
        assert (found and found.code) == code
