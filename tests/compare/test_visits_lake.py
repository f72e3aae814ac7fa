"""`score visits` on stored series: modelled and exact maps, the claims beside them, what is stated where data lack."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select
from typer.testing import CliRunner, Result

from liqtruth.commands.options.shared import GLOBALS
from liqtruth.commands.score import score_app
from liqtruth.compare.scoring.visits.job import VisitPlan, VisitReport, visits_stored
from liqtruth.compare.scoring.visits.major_zones import exact_maps_between, reading_times
from liqtruth.compare.scoring.visits.shown import write_page
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.words.text import of_ms
from liqtruth.storage.database.tables import Reading
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import random_series
from tests.compare.stored_markets import COIN, HOUR, stored_reading, stored_series

READ_AT = range(84, 360, 18)
"""Bars after which all positions are read, some on the same day."""


@pytest.fixture(scope="module")
def market() -> MarketSeries:
    """Fifteen days of hours."""
    return random_series(12)


@pytest.fixture(scope="module")
def stored(market: MarketSeries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The market with exact maps from the fourth day on; tests only read it."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("visits"))) as opened:
        stored_series(opened, market)
        for bar in READ_AT:
            stored_reading(opened, market, bar)
        yield opened


@pytest.fixture(scope="module")
def tiers(stored: Store) -> VisitReport:
    """Scored once for all tests that look at it."""
    return scored(stored)


def scored(store: Store, model: str = "tiers", **more: object) -> VisitReport:
    venue = None if model == "exact" else "hyperliquid"
    return visits_stored(store, VisitPlan(COIN, venue, model, **more))  # type: ignore[arg-type]


class TestStored:
    def test_a_model_is_scored_beside_exact_maps(self, tiers: VisitReport, market: MarketSeries) -> None:
        found = tiers
        assert found.synthetic
        assert found.end == market.as_of
        assert found.start >= market.start + timedelta(days=3), "the first days are warm-up"
        day = next(row for row in found.visits if row.horizon_h == 24 and row.side == "both")
        assert day.blocks == 12, "days with prices for a day after the map"
        assert day.weighted.expected is not None
        assert found.alignment is not None
        assert found.alignment.share is not None
        assert found.alignment.chance_share is not None
        assert found.alignment.moments == len(READ_AT)
        month = next(row for row in found.visits if row.horizon_h == 720)
        assert month.why == "no map has prices for 30 d after it"

    def test_exact_maps_are_scored_on_their_own_prices_at_their_readings(
        self, stored: Store, market: MarketSeries
    ) -> None:
        found = scored(stored, "exact")
        assert (found.venue, found.moments) == ("hyperliquid", len(READ_AT))
        assert found.start == of_ms(int(market.end_ms[READ_AT[0] - 1]))
        assert found.alignment is None
        assert found.claims[1].verdict.text == "not known, because these are the exact maps: score a model"

    def test_zones_are_split_by_distance_in_atr_by_stacking_and_by_windows(
        self, stored: Store, tiers: VisitReport
    ) -> None:
        found = tiers
        day = next(row for row in found.visits if row.horizon_h == 24 and row.side == "both")
        for by in ("stacking", "confluence"):
            zones = [row.visits.zones for row in found.groups if row.by == by and row.visits.horizon_h == 24]
            assert sum(zones) == day.zones, "each zone is in one group"
        of_day = {row.group: row.visits for row in found.groups if row.visits.horizon_h == 24}
        near, far = (of_day[name].median_distance_pct for name in ("<1 ATR", ">2 ATR"))
        assert near is not None
        assert far is not None
        assert near < far
        assert "price moved 10 % within 24 h on" in found.claims[5].verdict.text
        exact = scored(stored, "exact")
        assert exact.claims[4].verdict.text == "not known, because exact maps have no windows"
        assert {row.by for row in exact.groups} == {"ATR", "stacking"}

    def test_only_the_last_reading_of_a_step_is_taken(self, stored: Store, market: MarketSeries) -> None:
        daily = reading_times(stored, COIN, None, None, timedelta(days=1))
        assert len(daily) == len({at.date() for at in daily}) < len(READ_AT)
        maps = exact_maps_between(stored, COIN, daily[0], daily[1], timedelta(days=1))
        assert [heatmap.as_of for heatmap in maps] == daily[:2]

    def test_times_are_kept_to(self, stored: Store, market: MarketSeries) -> None:
        start, end = market.as_of - 100 * HOUR, market.as_of - 40 * HOUR
        found = scored(stored, start=start, end=end)
        assert start <= found.start < found.end <= end
        assert found.visits[2].weighted.visited is not None, "prices after the last moment are used"

    def test_without_exact_maps_claims_on_alignment_are_not_known(self, store: Store) -> None:
        stored_series(store, random_series(12))
        found = scored(store)
        assert found.alignment is None
        assert all(
            "no exact map of SOL is stored near" in answer.verdict.text for answer in found.claims[1:3]
        )

    def test_what_lacks_is_reported_in_a_line(self, store: Store) -> None:
        with pytest.raises(NothingStored, match="no candles of hyperliquid SOL are stored"):
            scored(store)
        stored_series(store, random_series(12, bars=70))
        with pytest.raises(MissingData, match=r"less than a step of 6\.0 h; the first"):
            scored(store)
        stored_reading(store, random_series(12, bars=70), 60)
        with pytest.raises(MissingData, match="no exact map of SOL is stored in that time"):
            scored(store, "exact", end=random_series(12).start)

    def test_exact_maps_are_of_one_venue_and_have_no_weights(self, store: Store) -> None:
        with pytest.raises(BadInput, match="exact maps are those of hyperliquid, not of bybit"):
            visits_stored(store, VisitPlan(COIN, "bybit", "exact"))
        with pytest.raises(BadInput, match="--weights mine"):
            visits_stored(store, VisitPlan(COIN, None, "exact", "mine"))


class TestCommand:
    @pytest.fixture(autouse=True)
    def data_dir(self, stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(GLOBALS, "data_dir", stored.settings.data_dir)

    def called(self, *words: str) -> Result:
        line: Sequence[str] = ["visits", COIN, "--venue", "hyperliquid", "--model", "tiers", *words]
        return CliRunner().invoke(score_app, line, catch_exceptions=False)

    def test_tables_say_what_was_visited_and_what_of_the_claims_holds(self) -> None:
        result = self.called().stdout
        assert "SYNTHETIC MARKET: SOL on hyperliquid, tiers" in result
        assert "60-70 % of hotspots are visited" in result
        assert "is what their distance explains" in result

    def test_json_and_page(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        answer = json.loads(self.called("--json", "-", "--html", str(page), "--top", "3").stdout)
        assert answer["schema"] == "liqtruth.visits/1"
        assert len(answer["visits"]) == 9
        assert [claim["claim"] for claim in answer["claims"]] == [
            "60-70 % of hotspots are visited",
            "70-85 % of clusters align",
            "1-3 % deviation",
            "clusters inside 1 ATR are swept within 24 h",
            "65-70 % of clusters with triple confluence are swept",
            "stacked clusters are behind 10 % candles",
        ]
        html = page.read_text()
        assert "SYNTHETIC MARKET" in html
        assert "http://" not in html.split("</script>")[-1]
        assert html.count("70-85 % of clusters align") == 1

    def test_a_page_is_the_same_for_the_same_input(
        self, stored: Store, tiers: VisitReport, tmp_path: Path
    ) -> None:
        pages = [tmp_path / name for name in ("one.html", "two.html")]
        for page, report in zip(pages, (tiers, scored(stored)), strict=True):
            write_page(report, page)
        assert pages[0].read_bytes() == pages[1].read_bytes()


def test_a_book_is_known_from_its_own_moment_on_although_its_rows_are_older(
    store: Store, market: MarketSeries
) -> None:
    """A watch stores at once what it read in the hours before: asked at the rows' moment nothing would be known."""
    stored_series(store, market)
    stored_reading(store, market, 200)
    with store.database.session() as session:
        book = session.exec(select(Reading)).one()
        book.as_of += HOUR
        session.add(book)
        session.commit()
    stored_at = of_ms(int(market.end_ms[199])) + HOUR
    assert reading_times(store, COIN, None, None, HOUR) == [stored_at]
    assert len(exact_maps_between(store, COIN, None, None, HOUR)) == 1
