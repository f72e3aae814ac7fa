"""A question about now opens as many files and asks the database as often after many books as after few."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from test_latest import book
from test_readings import at, holdings, market

from liqtruth.indexer.audit.status import status_of
from liqtruth.indexer.maps.drilldown import positions_between
from liqtruth.indexer.maps.views import exact_view
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.database.markets import last_markets
from liqtruth.storage.store import Store
from liqtruth.storage.upkeep.compaction import compact
from tests.read_budget import counted_reads

QUESTIONS: dict[str, tuple[Callable[[Store], object], int, int]] = {
    "index status": (status_of, 2, 8),
    "index positions": (positions_as_of, 1, 4),
    "index positions --coin": (lambda store: positions_as_of(store, None, "BTC"), 1, 4),
    "map exact": (lambda store: exact_view(store, "BTC"), 1, 7),
    "map positions": (lambda store: positions_between(store, "BTC", 1.0, 1000.0), 1, 8),
    "the last marks": (lambda store: last_markets(store.database, "hyperliquid"), 0, 1),
}
"""With the most files that may be opened and sessions that may be begun."""


def write_books(store: Store, hours: range) -> None:
    for hour in hours:
        rows = [holdings(who, 1.0, hour, coin) for who in "abc" for coin in ("BTC", "ETH")]
        book(store, hour, *rows)
        market(store, hour, 100.0 + hour)
        keep_latest(store)


def cost_of(store: Store, question: str) -> tuple[int, int]:
    with counted_reads() as reads:
        QUESTIONS[question][0](store)
    assert not reads.repeated
    return len(reads.opened), reads.sessions


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_about_now_slows_down_with_what_is_stored(store: Store, question: str) -> None:
    write_books(store, range(1, 3))
    few = cost_of(store, question)
    write_books(store, range(3, 20))
    many = cost_of(store, question)
    compact(store.lake, now=at(20) + timedelta(days=2))
    compacted = cost_of(store, question)
    assert few == many == compacted
    _, files, sessions = QUESTIONS[question]
    assert few[0] <= files
    assert few[1] <= sessions
