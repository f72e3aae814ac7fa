"""No question reads through the manifest or the markets: SQLite says so of each statement that a command runs."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqtruth.estimator.frames import DATASETS
from liqtruth.indexer.positions.catalogue import check_coin, known_coins
from liqtruth.indexer.positions.merged import MergedReadings
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.database import asking
from liqtruth.storage.database.markets import last_market, last_markets, store_markets
from liqtruth.storage.database.tables import Market
from liqtruth.storage.store import Store

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
LARGE = ("partition", "market", "reading", "p", "r", "m", "o")
"""Tables that grow as long as a watch runs, also by what statements call them."""
WHOLE_DATASET = "USING INDEX ix_partition_series (dataset=?)"
"""Every file of a dataset, for want of a better index; one that covers the question is asked for one value."""


def of_series(store: Store) -> object:
    return store.lake.read_series("candles", "binance", "BTC", DATASETS["candles"].schema, NOON, NOON)


QUESTIONS: dict[str, Callable[[Store], object]] = {
    "whether a coin is known": lambda store: check_coin(store, "BTC"),
    "which coins are known": known_coins,
    "the last market of a coin": lambda store: last_market(store.database, "hyperliquid", "BTC"),
    "the last market of a coin by then": lambda store: last_market(
        store.database, "hyperliquid", "BTC", NOON
    ),
    "the last market of every coin": lambda store: last_markets(store.database, "hyperliquid"),
    "what is known of a coin now": lambda store: Readings(store, "BTC").book(),
    "what is known of all coins now": lambda store: Readings(store).book(),
    "the readings of a coin": lambda store: MergedReadings(store, "BTC"),
    "the readings of all coins": MergedReadings,
    "the positions of a reading": lambda store: store.lake.snapshots("positions", ["r1"], ("BTC",)),
    "the positions of readings": lambda store: store.lake.snapshots("positions", ["r1", "r2"]),
    "the readings of a window": lambda store: MergedReadings(store, "BTC", [NOON, NOON + timedelta(hours=1)]),
    "the files of a series": of_series,
    "the markets of a dataset": lambda store: store.lake.series_coins("candles"),
}


@contextmanager
def statements_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """What is asked within the block, and with which values."""
    seen: list[tuple[str, Any]] = []
    answers = asking._answers

    def noted(connection: sqlite3.Connection, sql: str, values: Any) -> list[Any]:
        seen.append((sql, {name: str(value) for name, value in values.items()}))
        return answers(connection, sql, values)

    with monkeypatch.context() as patch:
        patch.setattr(asking, "_answers", noted)
        yield seen


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_searches_large_tables_by_an_index(
    store: Store, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.database.address.file is None:
        pytest.skip("the plan is read in SQLite's words")
    markets = [
        Market(venue="hyperliquid", dex="", coin=coin, as_of=NOON, mark_px=1.0) for coin in ("BTC", "ETH")
    ]
    store_markets(store.database, markets)
    with statements_of(monkeypatch) as seen:
        QUESTIONS[question](store)
    assert seen
    with closing(sqlite3.connect(store.database.address.file)) as connection:
        for statement, parameters in seen:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            read_through = [row[3] for row in plan if re.match(rf"SCAN ({'|'.join(LARGE)})\b", row[3])]
            read_through += [row[3] for row in plan if row[3].endswith(WHOLE_DATASET)]
            assert not read_through, statement
