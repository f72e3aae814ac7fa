"""From what is stored to a transferred model, by the command line; and what is refused, with figures and remedy."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import liqtruth.cli  # noqa: F401 - adds the old spelling
from liqtruth.commands.old_spellings import calibrate_app
from liqtruth.commands.options.shared import GLOBALS
from liqtruth.compare.observed.coverage import joined, known_coverage
from liqtruth.compare.observed.realised import load_liquidations
from liqtruth.compare.transfer.job import Asked, transfer
from liqtruth.compare.transfer.record import load, source_hash_of, training_of
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.brackets import stored_brackets
from liqtruth.estimator.model.leverage_model import LeverageModel, leverage_model_named
from liqtruth.estimator.model.maps import model_map
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.venues.table import VENUES, venue_named
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.words.notes import texts
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.compare.transferred_markets import (
    COIN,
    HOUR,
    fitted_model,
    liquidated,
    random_series,
    store_liquidations,
    store_listening,
    store_market,
    store_series,
)

VENUE = "bybit"
LEVEL = -0.6
"""The venue's liquidations are exp(-0.6) of those on Hyperliquid, beside what the model predicts."""
BIAS = 0.4
"""On both, liquidations are exp(0.4) of what the model predicts."""


@pytest.fixture
def market() -> MarketSeries:
    return random_series(2, 240)


@pytest.fixture
def both(store: Store, market: MarketSeries) -> Store:
    """A fitted model, and both venues with series, liquidations and what was observed."""
    keep(store, fitted_model())
    store_market(store, "hyperliquid", market, BIAS, seed=1)
    store_market(store, VENUE, market, BIAS + LEVEL, seed=2)
    return store


@pytest.fixture
def fitted(store: Store) -> Store:
    """A fitted model, and nothing else."""
    keep(store, fitted_model())
    return store


def keep(store: Store, model: LeverageModel) -> None:
    folder = store.settings.data_dir / "models"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{model.name}.json").write_bytes(model.to_json())


def asked(**more: object) -> Asked:
    return Asked(**{"venue": VENUE, "coins": [COIN], **more})  # type: ignore[arg-type]


class TestTransfer:
    def test_the_venues_level_is_found_and_the_models_own_bias_is_not_in_it(self, both: Store) -> None:
        done = transfer(both, asked())
        for side in (done.record.long, done.record.short):
            assert abs(side.deviation - LEVEL) < 0.25
            assert side.hyperliquid == pytest.approx(BIAS, abs=0.3)
            assert side.realised_usd < side.transferred_usd < side.as_on_hyperliquid_usd

    def test_fewer_liquidations_than_predicted_lower_the_body_as_well_but_less(self, both: Store) -> None:
        done = transfer(both, asked())
        source, leverage = fitted_model(), np.array(done.model.leverage)
        moved = done.model.shares("long").sum(axis=0) / source.shares("long").sum(axis=0)
        assert np.all(moved <= 1 + 1e-6)
        assert moved[leverage < 5].min() > 1.3 * moved[leverage > 40].max()
        assert "how far they speak for others was learned on synthetic venues" in done.model.note

    def test_more_of_them_leave_the_body_alone(self, store: Store, market: MarketSeries) -> None:
        keep(store, fitted_model())
        store_market(store, "hyperliquid", market, 0.0, seed=1)
        store_market(store, VENUE, market, 0.8, seed=2)
        done = transfer(store, asked())
        moved = done.model.shares("long").sum(axis=0) / fitted_model().shares("long").sum(axis=0)
        leverage = np.array(done.model.leverage)
        assert moved[leverage <= 20] == pytest.approx(1.0, abs=1e-6)
        assert moved[(leverage > 40) & (leverage < 50)].min() > 1.4

    def test_imported_liquidations_without_spans_are_taken_day_by_day(
        self, fitted: Store, market: MarketSeries
    ) -> None:
        """As `score` takes them: a file of liquidations states no spans of listening."""
        store_market(fitted, "hyperliquid", market, BIAS, seed=1)
        store_series(fitted, VENUE, market)
        brackets = stored_brackets(fitted, venue_named(VENUE), COIN, market.as_of)
        store_liquidations(fitted, VENUE, liquidated(market, fitted_model(), brackets, BIAS, seed=2))
        done = transfer(fitted, asked())
        assert done.record.by_days
        assert abs(done.record.long.deviation) < 0.35

    def test_without_hyperliquid_the_bias_stays_in_and_errors_are_wider(self, both: Store) -> None:
        done, alone = (
            transfer(both, asked()),
            transfer(both, asked(without_hyperliquid=True)),
        )
        assert alone.record.long.deviation == pytest.approx(BIAS + LEVEL, abs=0.25)
        assert alone.record.long.deviation_sd > done.record.long.deviation_sd
        assert alone.record.hyperliquid is None
        assert "the model's own bias is not removed" in alone.model.note

    def test_a_known_coverage_gives_the_same_level(self, both: Store, market: MarketSeries) -> None:
        store_series(both, "binance", market)
        brackets = stored_brackets(both, venue_named("binance"), COIN, market.as_of)
        result = liquidated(market, fitted_model(), brackets, BIAS + LEVEL, seed=3, coverage=0.3)
        store_liquidations(both, "binance", result)
        store_listening(both, "binance", market.start, market.as_of)
        done = transfer(both, asked(venue="binance", coverage=0.3))
        assert abs(done.record.short.deviation - LEVEL) < 0.3
        assert "of which the feed tells 30%" in done.model.note

    def test_only_hours_that_were_recorded_from_beginning_to_end_count(
        self, store: Store, market: MarketSeries
    ) -> None:
        keep(store, fitted_model())
        store_market(store, VENUE, market)
        whole = transfer(store, asked(without_hyperliquid=True, end=market.start + 200 * HOUR))
        late = asked(
            without_hyperliquid=True, start=market.start + 100.5 * HOUR, end=market.start + 200 * HOUR
        )
        part = transfer(store, late)
        assert whole.record.hours - part.record.hours == pytest.approx(
            100, abs=1.01 + (200 - whole.record.hours)
        )
        assert part.record.start == market.start + 101 * HOUR
        assert part.record.hours == 99

    def test_maps_are_drawn_with_it_by_its_name(self, both: Store, market: MarketSeries) -> None:
        done = transfer(both, asked())
        keep(both, done.model)
        before, after = (
            model_map(both, COIN, VENUE, "vintages", weights=name)
            for name in ("calibrated", f"calibrated-{VENUE}")
        )
        mass = [
            drawn.long_usd.sum() + drawn.beyond_usd.long + drawn.never_usd.long for drawn in (before, after)
        ]
        expected = sum(sum(row) for row in done.model.long) / sum(sum(row) for row in fitted_model().long)
        assert 0.5 * expected < mass[1] / mass[0] < 1.6 * expected
        assert any(f"carried over to {VENUE} by" in line for line in texts(after.assumptions))


class TestRefused:
    @pytest.mark.parametrize("name", ["binance", "okx", "gate"])
    def test_a_feed_of_unknown_coverage(self, fitted: Store, name: str) -> None:
        with pytest.raises(
            BadInput, match=r"what share of all liquidations that is nobody knows.*--coverage SHARE"
        ):
            transfer(fitted, asked(venue=name))

    def test_no_venue_but_one_that_states_it_counts_as_complete(self) -> None:
        complete = []
        for venue in VENUES.values():
            try:
                complete.append((venue.name, known_coverage(venue, None)))
            except BadInput:
                continue
        assert complete == [("bybit", 1.0)]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"coverage": 1.5}, "--coverage must be above 0 and at most 1, got 1.5"),
            ({"horizon": timedelta(hours=3)}, "at most 2.0 h"),
            ({"venue": "hyperliquid"}, "carry it over to another venue"),
            ({"model": "prior"}, "prior is a prior, not fitted"),
            ({"name": "calibrated"}, "--name calibrated is another model's"),
        ],
    )
    def test_what_cannot_be_asked_for(self, fitted: Store, wrong: dict[str, object], message: str) -> None:
        with pytest.raises(BadInput, match=message):
            transfer(fitted, asked(**wrong))

    def test_a_model_that_is_not_there_or_was_carried_over_itself(self, fitted: Store) -> None:
        with pytest.raises(UnknownChoice, match="'mine'"):
            transfer(fitted, asked(model="mine"))
        keep(fitted, msgspec.structs.replace(fitted_model(f"calibrated-{VENUE}"), kind="transferred"))
        with pytest.raises(BadInput, match="was carried over itself: take --model calibrated"):
            transfer(fitted, asked(model=f"calibrated-{VENUE}"))

    def test_a_model_that_was_never_fitted(self, store: Store) -> None:
        with pytest.raises(MissingData, match=r"`liqtruth calibrate fit COIN.* fits one"):
            transfer(store, asked())

    def test_too_few_hours(self, fitted: Store, market: MarketSeries) -> None:
        store_market(fitted, VENUE, market)
        short = asked(start=market.as_of - 20 * HOUR, without_hyperliquid=True)
        with pytest.raises(
            MissingData, match="bybit SOL: 20 h were recorded throughout and have series, 24 are needed"
        ):
            transfer(fitted, short)

    def test_too_few_liquidations(self, fitted: Store, market: MarketSeries) -> None:
        store_series(fitted, VENUE, market)
        store_listening(fitted, VENUE, market.start, market.as_of)
        with pytest.raises(
            MissingData, match=r"0 liquidations of longs and 0 of shorts in .* h, 30 are needed"
        ):
            transfer(fitted, asked(without_hyperliquid=True))

    def test_a_feed_that_nobody_listened_to(self, fitted: Store, market: MarketSeries) -> None:
        store_series(fitted, VENUE, market)
        with pytest.raises(MissingData, match="`liqtruth feed watch bybit SOL` collects them from now on"):
            transfer(fitted, asked())

    def test_liquidations_without_series(self, fitted: Store, market: MarketSeries) -> None:
        store_listening(fitted, VENUE, market.start, market.as_of)
        with pytest.raises(NothingStored, match="no candles of bybit SOL"):
            transfer(fitted, asked())

    def test_no_liquidations_of_hyperliquid(self, fitted: Store, market: MarketSeries) -> None:
        store_market(fitted, VENUE, market)
        with pytest.raises(LiqtruthError, match=r"index fills PATH.*--without-hyperliquid"):
            transfer(fitted, asked())


class TestHeard:
    def test_spans_that_touch_are_one(self) -> None:
        assert joined([5, 0, 20], [9, 5, 30]).tolist() == [[0, 9], [20, 30]]
        assert joined([0, 2], [10, 4]).tolist() == [[0, 10]]

    def test_hyperliquid_is_recorded_from_one_liquidation_to_the_next(self, store: Store) -> None:
        """A node's fills carry no spans: two hours without any liquidation of any coin are not known."""
        start = datetime.fromisoformat("2026-08-01T00:00Z")
        minutes = [0, 30, 80, 300, 340]
        result = pl.DataFrame(
            {
                "ts": [start + timedelta(minutes=minute) for minute in minutes],
                "id": [str(minute) for minute in minutes],
                "side": ["long"] * 5,
                "px": [100.0] * 5,
                "coins": [1.0] * 5,
                "notional_usd": [100.0] * 5,
            },
            schema_overrides={"ts": pl.Datetime("ms", "UTC")},
        )
        store_liquidations(store, "hyperliquid", result)
        observed = load_liquidations(store, venue_named("hyperliquid"), COIN)
        first = int(start.timestamp() * 1000)
        assert ((observed.spans_ms - first) // 60_000).tolist() == [[0, 80], [300, 340]]


class TestCommand:
    @pytest.fixture
    def data_dir(self, both: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(GLOBALS, "data_dir", both.settings.data_dir)
        return both.settings.data_dir

    def test_it_shows_saves_and_is_listed(self, data_dir: Path, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        result = CliRunner().invoke(
            calibrate_app, ["transfer", VENUE, COIN, "--html", str(page)], catch_exceptions=False
        )
        assert result.exit_code == 0
        assert "synthetic: calibrated carried over to bybit SOL: calibrated-bybit" in result.stdout
        assert "within 10 %" in result.stdout
        assert "was learned on synthetic venues" in " ".join(result.stdout.split())
        assert page.stat().st_size > 4e5
        model = leverage_model_named("calibrated-bybit", data_dir)
        assert model.kind == "transferred"
        assert model.correction is not None
        assert model.correction.venue == VENUE
        assert model.correction.source_model == "calibrated"
        listed = CliRunner().invoke(calibrate_app, ["list", "--json", "-"], catch_exceptions=False)
        kinds = {one["name"]: one["kind"] for one in json.loads(listed.stdout)}
        assert kinds["calibrated-bybit"] == "transferred"

    def test_json_tells_the_figures(self, data_dir: Path) -> None:
        result = CliRunner().invoke(
            calibrate_app,
            ["transfer", VENUE, COIN, "--name", "mine", "--json", "-"],
            catch_exceptions=False,
        )
        record = json.loads(result.stdout)
        assert record["schema"] == "liqtruth.leverage_transfer/2"
        assert record["model"] == "mine"
        assert record["coverage"] == 1.0
        assert record["hours"] >= 24
        assert record["events"] == record["long"]["events"] + record["short"]["events"]
        assert record["hyperliquid"]["events"] > 30
        assert (data_dir / "models" / "mine.json").is_file()

    def test_its_record_lies_beside_it_and_is_listed_and_shown(self, data_dir: Path) -> None:
        result = CliRunner().invoke(
            calibrate_app, ["transfer", VENUE, COIN, "--json", "-"], catch_exceptions=False
        )
        record = json.loads(result.stdout)
        shown = CliRunner().invoke(
            calibrate_app, ["show", "calibrated-bybit", "--json", "-"], catch_exceptions=False
        )
        assert json.loads(shown.stdout)["transfer"] == record
        expected = CliRunner().invoke(calibrate_app, ["show", "calibrated-bybit"], catch_exceptions=False)
        assert "within 10 %" in expected.stdout
        listed = CliRunner().invoke(calibrate_app, ["list", "--json", "-"], catch_exceptions=False)
        kept = {one["name"]: one["record"] for one in json.loads(listed.stdout)}
        assert kept == {"prior": None, "population": None, "calibrated": None, "calibrated-bybit": "transfer"}

    def test_a_model_changed_since_has_no_record(self, data_dir: Path) -> None:
        CliRunner().invoke(calibrate_app, ["transfer", VENUE, COIN], catch_exceptions=False)
        path = data_dir / "models" / "calibrated-bybit.json"
        path.write_bytes(path.read_bytes().replace(b"carried over", b"moved over"))
        assert load(data_dir, leverage_model_named("calibrated-bybit", data_dir).hash) is None

    def test_a_record_of_before_still_tells_from_which_model_it_came(self, data_dir: Path) -> None:
        CliRunner().invoke(calibrate_app, ["transfer", VENUE, COIN], catch_exceptions=False)
        path = data_dir / "models" / "transfers" / "calibrated-bybit.json"
        before = json.loads(path.read_text()) | {
            "schema": "liqtruth.leverage_transfer/1",
            "long": {},
            "short": {},
        }
        path.write_text(json.dumps(before))
        model = leverage_model_named("calibrated-bybit", data_dir)
        assert load(data_dir, model.hash) is None
        assert source_hash_of(data_dir, model.hash) == fitted_model().hash
        assert source_hash_of(data_dir, "another") is None

    def test_what_it_was_carried_over_from_saw_is_what_it_has_seen(self, data_dir: Path) -> None:
        """Without a record of the source's fit nothing is known of it, and nothing is made up."""
        CliRunner().invoke(calibrate_app, ["transfer", VENUE, COIN], catch_exceptions=False)
        found = training_of(data_dir, leverage_model_named("calibrated-bybit", data_dir))
        assert found is not None
        assert found.start is None
