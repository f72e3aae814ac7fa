"""How often a command opens Parquet and asks the database: counts, which do not depend on the machine."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest

from liqtruth.compare.comparison.session import compare_stored
from liqtruth.compare.scoring.forecasting import ForecastPlan, make_forecast
from liqtruth.compare.scoring.lead_lag.job import LeadLagPlan, lead_lag_stored
from liqtruth.compare.scoring.ledger.settle import settle
from liqtruth.compare.scoring.realised.job import score_realised
from liqtruth.compare.scoring.visits.job import VisitPlan, visits_stored
from liqtruth.compare.scoring.visits.major_zones import exact_maps_between
from liqtruth.storage.store import Settings, Store
from tests.compare.scored_markets import COIN, START, VENUE, ScoredMarket, store_market
from tests.compare.test_lead_lag_lake import HOUR, opened, series
from tests.read_budget import Reads, counted_reads

__all__ = ["opened", "series"]


@pytest.fixture
def reads() -> Iterator[Reads]:
    with counted_reads() as counted:
        yield counted


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Nine days of a venue with liquidations of six."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("budget"))) as stored:
        store_market(stored, ScoredMarket())
        yield stored


MODELS = tuple(f"hyperliquid:{name}" for name in ("tiers", "bell", "uniform", "volume-profile", "vintages"))
FROM_EXACT_MAPS = ("hyperliquid:persistence", "hyperliquid:climatology")


def compared(reads: Reads, store: Store, models: Sequence[str]) -> tuple[int, int]:
    """Sessions and files."""
    reads.start()
    compare_stored(store, COIN, window="7d", models=models)
    assert not reads.repeated
    return reads.sessions, reads.files


def test_a_comparison_of_five_models_reads_no_more_than_one_of_a_single_model(
    opened: Store, reads: Reads
) -> None:
    one, five = compared(reads, opened, MODELS[:1]), compared(reads, opened, MODELS)
    assert one == five
    earlier_maps, funding, order_book, whose_candles, is_merged = 4, 1, 1, 1, 1
    assert one[0] <= 10 + earlier_maps + funding + order_book + whose_candles + is_merged, (
        "of the baselines, all days together; beside the clusters"
    )


def test_models_that_start_from_exact_maps_share_them(opened: Store, reads: Reads) -> None:
    both, shape = compared(reads, opened, FROM_EXACT_MAPS), compared(reads, opened, FROM_EXACT_MAPS[1:])
    assert both == shape


def test_a_score_on_liquidations_reads_each_day_once_whatever_its_steps(market: Store, reads: Reads) -> None:
    found = []
    for step in (HOUR, HOUR / 4):
        reads.start()
        score_realised(market, COIN, VENUE, "bell", step=step)
        assert not reads.repeated
        found.append((reads.sessions, reads.files))
    assert found[0] == found[1]
    assert found[0][0] <= 6


def test_visits_and_lead_lag_ask_the_database_as_often_however_many_maps_there_are(
    opened: Store, reads: Reads
) -> None:
    asked: Sequence[Callable[[], int]] = (
        lambda: len(exact_maps_between(opened, COIN, None, None, VisitPlan(COIN).step)),
        lambda: visits_stored(opened, VisitPlan(COIN, "hyperliquid", "tiers")).moments,
        lambda: visits_stored(opened, VisitPlan(COIN, None, "exact")).moments,
        lambda: lead_lag_stored(opened, LeadLagPlan(COIN, VENUE, step=HOUR, max_lag=4, shuffles=200)).maps,
    )
    maps = asked[0]()
    for command in asked[1:]:
        reads.start()
        assert 0 < command() <= maps
        assert not reads.repeated
        assert reads.sessions <= 10


def test_the_ledger_reads_a_market_once_for_all_its_forecasts(market: Store, reads: Reads) -> None:
    sessions = []
    for count in (1, 8):
        for hour in range(count):
            reads.start()
            at = START + timedelta(days=3 + count // 4, hours=hour)
            make_forecast(market, ForecastPlan(COIN, VENUE, "bell", at=at, replay=True))
            assert not reads.repeated
            assert reads.sessions <= 7, "two of them for what the ledger holds against the model"
        reads.start()
        assert settle(market).settled == count
        assert not reads.repeated
        sessions.append(reads.sessions)
    assert sessions[0] == sessions[1] <= 5
