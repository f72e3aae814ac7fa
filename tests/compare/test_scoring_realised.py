"""From what is stored to a score on realised liquidations, by functions and by the command line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner

from liqtruth.commands.options.shared import GLOBALS
from liqtruth.commands.score import score_app
from liqtruth.compare.observed.realised import load_liquidations, load_realised
from liqtruth.compare.scoring.realised.job import RealisedScore, score_realised
from liqtruth.compare.scoring.realised.scores import MapScore
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.notes import note, of_codes
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.node.fills import KEY
from liqtruth.indexer.positions.markets import VENUE as HYPERLIQUID
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import random_series
from tests.compare.scored_markets import (
    COIN,
    HOUR,
    START,
    VENUE,
    ScoredMarket,
    merge,
    store_market,
    store_prices,
)
from tests.compare.stored_markets import stored_reading, stored_series
from tests.estimator.fitted_models import correction_of

MARKET = ScoredMarket()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Six days of liquidations that follow the map of `bell` hour by hour; only read."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("market"))) as opened:
        store_market(opened, MARKET)
        yield opened


def scored(store: Store, model: str = "bell", **more: object) -> RealisedScore:
    return score_realised(store, COIN, VENUE, model, **more).score  # type: ignore[arg-type]


def pooled(score: RealisedScore, horizon_s: int = 3600) -> dict[str, MapScore]:
    found = next(one for one in score.horizons if one.horizon_s == horizon_s)
    return {one.name: one for one in found.sides[-1].maps}


class TestScore:
    def test_the_map_that_made_the_liquidations_is_perfect_at_its_own_horizon(self, market: Store) -> None:
        found = scored(market)
        model = pooled(found)["bell"]
        assert model.partial is not None
        assert model.ratio is not None
        assert model.partial.value == pytest.approx(1.0)
        assert model.ratio.value == pytest.approx(1.0)
        assert found.verdict[0] == "bell beats uniform at 15 min, 1 h, 2 h"
        assert found.coverage == 1.0
        assert found.synthetic

    def test_others_are_worse_and_a_map_of_distance_only_knows_nothing_beyond_the_move(
        self, market: Store
    ) -> None:
        found = pooled(scored(market, "tiers"))
        assert list(found) == ["tiers", "uniform"], "a baseline is not compared with itself"
        tiers, uniform = found["tiers"].partial, found["uniform"]
        assert tiers is not None
        assert uniform.partial is not None
        assert uniform.plain is not None
        assert uniform.partial.value + 0.4 < tiers.value < 1
        assert abs(uniform.partial.value) < 0.2 < uniform.plain.value

    def test_only_moments_that_were_listened_to_are_scored(self, market: Store) -> None:
        found = scored(market)
        assert found.start == MARKET.end - timedelta(days=MARKET.recorded_days)
        assert found.horizons[1].sides[0].windows == 24 * MARKET.recorded_days
        start = MARKET.end - timedelta(days=2)
        assert scored(market, start=start, end=start + HOUR * 30).moments == 30

    def test_the_step_and_pieces_of_the_series_change_no_window(
        self, market: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Grids of different pieces cut the same mass at other places: only rounding differs."""
        whole = pooled(scored(market, "tiers"))["tiers"]
        monkeypatch.setattr("liqtruth.compare.scoring.realised.map_series.PIECE_STEPS", 24)
        parts = pooled(scored(market, "tiers"))["tiers"]
        assert parts.predicted_usd == pytest.approx(whole.predicted_usd, rel=0.02)

    def test_horizons_shorter_than_the_bars_are_refused_each_with_the_reason(self, store: Store) -> None:
        store_market(store, replace(MARKET, bar=HOUR))
        found = scored(store)
        assert [one.horizon_s for one in found.horizons] == [3600, 7200]
        assert [one.horizon_s for one in found.refused] == [900]
        assert "bars of 1.0 h are longer than 15 min" in found.refused[0].reason

    def test_a_coverage_that_the_venue_does_not_report_leaves_ratios_null_until_it_is_given(
        self, store: Store
    ) -> None:
        word = "only the latest order of each symbol and second"
        store_market(store, replace(MARKET, word=word, coverage=0.25))
        untold = scored(store)
        unknown, given = pooled(untold)["bell"], pooled(scored(store, coverage=0.25))["bell"]
        assert unknown.ratio is None
        assert given.ratio is not None
        assert given.ratio.value == pytest.approx(1.0)
        assert unknown.partial == given.partial
        assert note("coverage_unknown", words=[word]) in untold.notes

    def test_marks_sweep_where_they_are_stored(self, store: Store) -> None:
        """Marks that stay at the bars' closes sweep less than last prices with their wicks."""
        store_market(store, MARKET)
        scored_without_marks = scored(store, "uniform")
        candles = store.lake.read_series("candles", VENUE, COIN, DATASETS["candles"].schema)
        still = candles.with_columns(*(pl.col("close").alias(name) for name in ("open", "high", "low"))).drop(
            "volume", "taker_buy_volume"
        )
        merge(store, "mark_candles", conform(still, "mark_candles"))
        found = scored(store, "uniform")
        assert note("path_prices", verb="swept", by_marks=1.0) in found.notes
        sides = found.horizons[0].sides[-1]
        assert sides.maps[0].predicted_usd < pooled(scored_without_marks, 900)["uniform"].predicted_usd

    def test_without_liquidations_the_command_that_brings_them_is_named(self, store: Store) -> None:
        store_prices(store, MARKET)
        with pytest.raises(NothingStored, match=f"liqtruth feed watch {VENUE} {COIN}"):
            scored(store)

    def test_wrong_names_and_shares_are_refused(self, market: Store) -> None:
        with pytest.raises(UnknownChoice, match="by-volume"):
            scored(market, "by-volume")
        with pytest.raises(BadInput, match="only hyperliquid shows them"):
            scored(market, "exact")
        with pytest.raises(BadInput, match="--coverage must be above 0 and at most 1, got 30"):
            scored(market, coverage=30.0)
        with pytest.raises(BadInput, match="--weights is for --model vintages"):
            scored(market, weights="mine")
        with pytest.raises(BadInput, match="is not before"):
            scored(market, start=MARKET.end, end=MARKET.end - HOUR)


class TestListening:
    def test_days_without_a_liquidation_are_not_known_where_no_listening_is_stored(
        self, store: Store
    ) -> None:
        ts = [START + timedelta(days=day, hours=hour) for day in (0, 1, 5) for hour in (2, 20)]
        rows = pl.DataFrame(
            {
                "ts": ts,
                "id": [str(at) for at in ts],
                "side": ["long"] * 6,
                "px": [99.0] * 6,
                "coins": [1.0] * 6,
                "notional_usd": [99.0] * 6,
            }
        )
        merge(store, "liquidations", conform(rows, "liquidations"))
        found = load_realised(store, venue_named(VENUE), COIN)
        hours = (found.spans_ms - round(START.timestamp() * 1000)) / 3.6e6
        assert hours.tolist() == [[2.0, 44.0], [122.0, 140.0]]
        assert any(line.code == "spans_of_days" for line in found.notes)

    def test_spans_that_overlap_are_joined(self, store: Store) -> None:
        result = [(0, 5), (3, 4), (5, 7), (9, 10)]
        rows = pl.DataFrame(
            {
                "ts": [START + HOUR * start for start, _ in result],
                "until": [START + HOUR * until for _, until in result],
                "coverage": ["every liquidation"] * 4,
            }
        )
        merge(store, "listening", conform(rows, "listening"))
        found = load_realised(store, venue_named(VENUE), COIN)
        hours = (found.spans_ms - round(START.timestamp() * 1000)) / 3.6e6
        assert hours.tolist() == [[0.0, 7.0], [9.0, 10.0]]


def test_exact_maps_are_scored_on_a_nodes_liquidations(store: Store) -> None:
    """Hours of liquidations of any coin tell when the node was read; their marks place them in zones."""
    series = random_series(11)
    stored_series(store, series)
    for bar in (200, 224, 248, 300):
        stored_reading(store, series, bar)
    first = series.start + 200 * HOUR
    times = [first + HOUR * n + timedelta(minutes=30) for n in range(150)]
    close = series.bars.close[200:350]
    rows = pl.DataFrame(
        {
            "ts": times,
            "address": [f"0x{n}" for n in range(150)],
            "coin": ["SOL"] * 150,
            "side": ["long", "short"] * 75,
            "method": ["market"] * 150,
            "mark_px": close,
            "mean_px": close,
            "size": [10.0] * 150,
            "notional_usd": 10.0 * close,
            "fills": [1] * 150,
            "hash": [f"0x{n}" for n in range(150)],
        },
        schema=dict(LIQUIDATIONS),
    )
    store.lake.merge_series("liquidations", HYPERLIQUID, "SOL", rows, KEY, "synthetic: a test")
    end = first + 60 * HOUR
    found = score_realised(store, "SOL", HYPERLIQUID, "exact", start=first, end=end).score
    assert found.coverage == 1.0
    assert [one.name for one in found.horizons[0].sides[-1].maps] == ["exact", "uniform", "tiers"]
    assert found.horizons[0].sides[-1].events >= 55
    assert found.horizons[0].sides[-1].maps[0].predicted_usd > 0
    assert load_realised(store, venue_named(HYPERLIQUID), "SOL").spans_ms.tolist() == (
        load_liquidations(store, venue_named(HYPERLIQUID), "SOL").spans_ms.tolist()
    )


class TestCommands:
    @pytest.fixture
    def data_dir(self, market: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(GLOBALS, "data_dir", market.settings.data_dir)
        return market.settings.data_dir

    def test_tables_verdict_and_what_must_be_known(self, data_dir: Path) -> None:
        words = ["realised", COIN, "--venue", VENUE, "--model", "bell"]
        result = CliRunner().invoke(score_app, words, catch_exceptions=False)
        assert result.exit_code == 0
        assert "bell beats tiers at" in result.stdout
        assert "synthetic: liquidations or series of the sandbox" in result.stdout
        assert "plain rank correlation flatters" in result.stdout
        assert "coverage 100%: bybit pushes every liquidation" in result.stdout

    def test_json_and_a_page_that_needs_nothing_else(self, data_dir: Path, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        words = ["realised", COIN, "--step", "2h", "--html", str(page), "--json", "-"]
        result = CliRunner().invoke(score_app, words, catch_exceptions=False)
        answer = json.loads(result.stdout)
        assert (answer["model"], answer["weights"], answer["step_s"]) == ("vintages", "population", 7200)
        sides = answer["horizons"][0]["sides"]
        assert [side["side"] for side in sides] == ["long", "short", "pooled"]
        assert [one["name"] for one in sides[2]["maps"]] == ["vintages", "uniform", "tiers"]
        html = page.read_text()
        assert "against realised liquidations" in html
        assert "chance 10 %" in html
        assert 'src="http' not in html

    def test_weights_that_were_made_later_are_stated(self, data_dir: Path, market: Store) -> None:
        prior = leverage_model_named("prior")
        made = msgspec.structs.replace(prior.provenance, made_at=datetime(2026, 8, 20, tzinfo=UTC))
        fitted = msgspec.structs.replace(prior, name="mine", kind="fitted", provenance=made)
        folder = data_dir / "models"
        folder.mkdir(exist_ok=True)
        (folder / "mine.json").write_bytes(fitted.to_json())
        found = score_realised(market, COIN, VENUE, "vintages", weights="mine").score
        assert [one.values for one in of_codes(found.notes, ["weights_made_later"])] == [
            {"weights": "mine", "made": "2026-08-20T00:00Z"}
        ]
        assert not any("is not ranked" in line for line in found.verdict), "no fit has seen another venue's"

    @pytest.mark.parametrize(("days", "seen"), [(0, True), (400, False)])
    def test_a_model_levelled_on_these_very_liquidations_is_scored_and_not_ranked(
        self, data_dir: Path, market: Store, days: int, seen: bool
    ) -> None:
        end = MARKET.end - timedelta(days=days)
        levelled = msgspec.structs.replace(
            correction_of(VENUE), start=end - timedelta(days=9), end=end - timedelta(hours=1)
        )
        model = msgspec.structs.replace(
            leverage_model_named("prior"), name=f"of-{days}", kind="transferred", correction=levelled
        )
        folder = data_dir / "models"
        folder.mkdir(exist_ok=True)
        (folder / f"of-{days}.json").write_bytes(model.to_json())
        found = score_realised(market, COIN, VENUE, "vintages", weights=f"of-{days}").score
        result = [*found.verdict, *(one.verdict for one in found.horizons)]
        assert all("is not ranked" in line for line in result) == seen
        assert any(word in line for line in result for word in ("beats", "worse")) != seen
