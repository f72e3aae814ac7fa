"""From what is stored to a fitted model, by the command line: pairs are found, refused with a reason, and shown."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.options.shared import GLOBALS
from liqtruth.compare.calibration.lake_samples import Gathered, gather, known_positions
from liqtruth.compare.calibration.record import listed, load
from liqtruth.compare.conclusion.conclusion import barred
from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.model.model_in_use import calibrated_model
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.files import read_map, write_map
from liqtruth.heatmap.words.notes import texts
from liqtruth.heatmap.words.text import of_ms
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import PRIOR, random_series
from tests.compare.stored_markets import COIN, HOUR, stored_reading, stored_series

READ_AT = (200, 224, 248, 300)
"""Bars after which all positions are read."""


@pytest.fixture(scope="module")
def market() -> MarketSeries:
    return random_series(11)


@pytest.fixture(scope="module")
def read(market: MarketSeries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Four readings on as many days, the second of them of half of the positions."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("calibration"))) as store:
        stored_series(store, market)
        for bar in READ_AT:
            stored_reading(store, market, bar, coverage=0.5 if bar == READ_AT[1] else 1.0)
        yield store


@dataclass(frozen=True)
class Fitted:
    """A store with a fit of all its readings, and what `calibrate fit` printed."""

    store: Store
    printed: str


@pytest.fixture(scope="module")
def fitted(read: Store) -> Iterator[Fitted]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GLOBALS, "data_dir", read.settings.data_dir)
        result = CliRunner().invoke(calibrate_app, ["fit", COIN], catch_exceptions=False)
        assert result.exit_code == 0
        yield Fitted(read, result.stdout)


def gathered(store: Store, **more: object) -> Gathered:
    return gather(store, [COIN], PRIOR, **more)  # type: ignore[arg-type]


class TestPairs:
    def test_each_reading_gives_one_pair_at_its_own_moment(self, read: Store, market: MarketSeries) -> None:
        found = gathered(read)
        assert [pair.as_of for pair in found.pairs] == [
            of_ms(int(market.end_ms[bar - 1])) for bar in (200, 248, 300)
        ]
        assert all(pair.synthetic for pair in found.pairs)
        assert {pair.highest_leverage for pair in found.pairs} == {20.0}

    def test_what_has_no_pair_gives_the_reason(self, read: Store) -> None:
        reasons = {one.reason for one in gathered(read).refused}
        assert any("50% of open interest is covered by longs, 60% needed" in reason for reason in reasons)
        assert any("no position was read in the 6.0 h before" in reason for reason in reasons)

    def test_only_moments_asked_for_are_taken(self, read: Store, market: MarketSeries) -> None:
        end = of_ms(int(market.end_ms[250]))
        assert len(gathered(read, end=end, step=HOUR).pairs) == 2
        assert len(gathered(read, start=end - 5 * HOUR, end=end, step=HOUR).pairs) == 1

    def test_nothing_left_is_one_line_with_figures_and_remedy(
        self, store: Store, market: MarketSeries
    ) -> None:
        """The cause is that of the moments that were read, however few they are."""
        stored_series(store, market)
        for bar in (200, 300):
            stored_reading(store, market, bar, coverage=0.3)
        with pytest.raises(
            MissingData, match=r"no pair of SOL is left of 17 moments; SOL 2 times: 30% .*feed watch hyper"
        ):
            gathered(store)

    def test_a_coin_that_nobody_read_is_unknown(self, read: Store) -> None:
        with pytest.raises(UnknownCoin):
            gather(read, ["DOGE"], PRIOR)

    def test_times_that_are_none_are_refused(self, read: Store, market: MarketSeries) -> None:
        with pytest.raises(BadInput, match="nothing lies between"):
            gathered(read, start=market.as_of + HOUR)
        with pytest.raises(BadInput, match="take a longer --step"):
            gathered(read, step=timedelta(seconds=1))

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
    def test_fit_show_and_list(self, fitted: Fitted, tmp_path: Path) -> None:
        assert "synthetic: fitted on exact positions of hyperliquid SOL" in fitted.printed
        assert "intervals: 200 draws of 3 blocks" in fitted.printed
        assert (fitted.store.settings.data_dir / "models" / "calibrated.json").is_file()
        page = tmp_path / "page.html"
        shown = CliRunner().invoke(
            calibrate_app, ["show", "--html", str(page), "--json", "-"], catch_exceptions=False
        )
        assert page.stat().st_size > 4e5
        answer = json.loads(shown.stdout)
        assert [side["side"] for side in answer["sides"]] == ["long", "short"]
        assert len(answer["record"]["pairs"]) == 3
        assert set(answer["sides"][0]["beside"]) == {"tiers", "bell", "prior"}
        found = CliRunner().invoke(calibrate_app, ["list", "--json", "-"], catch_exceptions=False)
        assert {one["name"]: one["kind"] for one in json.loads(found.stdout)} == {
            "prior": "prior",
            "population": "prior",
            "calibrated": "fitted",
        }

    def test_maps_are_drawn_with_the_fitted_model_by_its_name(self, fitted: Fitted) -> None:
        drawn = modelled_map(fitted.store, COIN, VENUE, "vintages", weights="calibrated")
        assert any("leverage model calibrated (fitted;" in line for line in texts(drawn.assumptions))

    @pytest.mark.usefixtures("fitted")
    def test_the_prior_is_shown_without_intervals(self) -> None:
        result = CliRunner().invoke(calibrate_app, ["show", "prior"], catch_exceptions=False)
        assert "no record of a fit: no intervals are known" in result.stdout
        assert "not known" in result.stdout


class TestGate:
    """A fit on few positions is kept and shown, and takes nobody's place."""

    @pytest.fixture
    def thin(self, store: Store, market: MarketSeries, monkeypatch: pytest.MonkeyPatch) -> Path:
        stored_series(store, market)
        for bar in READ_AT:
            stored_reading(store, market, bar, count=30)
        monkeypatch.setattr(GLOBALS, "data_dir", store.settings.data_dir)
        return store.settings.data_dir

    def fit(self, *words: str) -> int:
        result = CliRunner().invoke(calibrate_app, ["fit", COIN, *words])
        assert result.exception is None or isinstance(result.exception, LiqtruthError)
        return result.exception.exit_code if isinstance(result.exception, LiqtruthError) else result.exit_code

    def test_it_is_not_in_use_until_it_is_chosen(self, thin: Path) -> None:
        assert self.fit() == 1
        with pytest.raises(MissingData, match="`liqtruth calibrate use calibrated-unproven`"):
            calibrated_model(thin, VENUE)
        result = CliRunner().invoke(calibrate_app, ["use", "calibrated-unproven"], catch_exceptions=False)
        assert result.exit_code == 0
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

    def test_under_a_name_that_is_not_in_use_it_is_written_as_asked_and_its_maps_state_what_it_saw(
        self, thin: Path, store: Store, tmp_path: Path
    ) -> None:
        assert self.fit("--name", "mine") == 1
        assert {one.name: one.in_use for one in listed(thin)} == {
            "mine": False,
            "prior": False,
            "population": False,
        }
        drawn = modelled_map(store, COIN, VENUE, "vintages", weights="mine")
        record = load(thin, "mine")[1]
        assert record is not None
        assert drawn.training == record.training
        assert not record.passes
        write_map(drawn, tmp_path / "map.json")
        assert read_map(tmp_path / "map.json").training == drawn.training


def test_a_fit_that_passes_is_in_use_and_its_maps_may_be_ranked_on_what_it_has_not_seen(
    fitted: Fitted,
) -> None:
    drawn = modelled_map(fitted.store, COIN, VENUE, "calibrated")
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
