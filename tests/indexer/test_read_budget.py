"""What a command may read: each file once, and a number of sessions that does not grow with moments or history."""

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import polars as pl
import pytest
from info_endpoint import InfoEndpoint, address_of, btc, serving, state

from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.indexer.audit.mismatch_report import mismatch_report
from liqtruth.indexer.audit.status import status_of
from liqtruth.indexer.maps.views import exact_history, exact_view
from liqtruth.indexer.margin import checks
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.storage.store import Store
from tests.indexer.margined import NOON, Holder, Holding, stow
from tests.read_budget import Reads, counted_reads

CENSUSES = 6
STEP = timedelta(hours=1)
LONG = Holder("0x1", "standard", 10_000.0, (Holding("BTC", 100_000.0),))
SHORT = Holder("0x2", "standard", 5_000.0, (Holding("BTC", -50_000.0),))


@pytest.fixture
def stowed(store: Store) -> Store:
    for number in range(CENSUSES):
        stow(store, [LONG, SHORT], NOON + number * STEP)
    return store


def read_by_series(store: Store, moments: int) -> Reads:
    length = (CENSUSES - 1) * STEP
    with counted_reads() as reads:
        series = exact_history(store, "BTC", length, length / (moments - 1))
    assert len(series.times) == moments
    return reads


def test_an_exact_map_opens_what_is_known_now_alone(stowed: Store) -> None:
    with counted_reads() as reads:
        exact_view(stowed, "BTC")
    assert len(reads.opened) == 1
    assert reads.sessions <= 5


def test_an_exact_map_of_a_moment_opens_nothing_of_another(stowed: Store) -> None:
    with counted_reads() as reads:
        exact_view(stowed, "BTC", NOON + 2.5 * STEP)
    assert [f"census-{NOON + 2 * STEP:%dT%H%M}" in path.name for path in reads.opened] == [True]


def test_a_series_opens_each_reading_of_its_window_once_however_many_moments(stowed: Store) -> None:
    few, many = read_by_series(stowed, 6), read_by_series(stowed, 61)
    for reads in (few, many):
        assert len(reads.opened) == CENSUSES + 1, "and what is known now, which says where the series ends"
        assert not reads.repeated
    assert many.sessions == few.sessions <= 10


def test_a_series_opens_nothing_from_before_its_window(stowed: Store) -> None:
    with counted_reads() as reads:
        exact_history(stowed, "BTC", STEP, STEP)
    assert len(reads.opened) == 2 + 1, "and what is known now"


def test_a_series_bins_each_moment_once_and_on_its_own_grid_only(stowed: Store) -> None:
    with patch.object(
        Heatmap, "from_breakdown", side_effect=AssertionError("a map was drawn beside the series")
    ):
        read_by_series(stowed, 6)


def test_a_status_opens_what_is_known_now_once(stowed: Store) -> None:
    with counted_reads() as reads:
        status_of(stowed)
    assert len(reads.opened) == 1
    assert reads.sessions <= 5


def test_solving_everything_again_asks_for_all_marks_at_once(stowed: Store) -> None:
    with counted_reads() as reads:
        mismatch_report(stowed)
    assert len(reads.opened) == 1
    assert reads.sessions <= 4


@pytest.fixture
def endpoint() -> Iterator[InfoEndpoint]:
    states = {address_of(number): state(btc(-1.0, 89_000.0)) for number in range(40)}
    with serving(InfoEndpoint(states=states)) as served:
        yield served


async def test_a_sweep_reads_its_batches_back_once_and_solves_each_position_once(
    store: Store, endpoint: InfoEndpoint
) -> None:
    solved: list[int] = []
    marked = checks.with_server_marks

    def counted(positions: pl.DataFrame) -> pl.DataFrame:
        solved.append(positions.height)
        return marked(positions)

    listed = [address_of(number) for number in range(40)]
    with (
        patch.object(checks, "with_server_marks", counted),
        patch("liqtruth.indexer.sweep.sweep.BATCH_ACCOUNTS", 10),
        counted_reads() as reads,
    ):
        report = await sweep(store, listed, base_url=endpoint.base_url, weight_per_minute=None, concurrency=4)
    assert report.positions == 40
    assert not reads.repeated
    assert len(reads.opened) == 8 + 2, (
        "positions and accounts of four batches, and of the reading they became"
    )
    assert sum(solved) == 40
