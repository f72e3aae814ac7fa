"""No question reads through the manifest or the markets: SQLite says so of each statement that a command runs."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from liqtruth.estimator.frames import DATASETS
from liqtruth.indexer.positions.catalogue import check_coin, known_coins
from liqtruth.indexer.positions.merged import MergedReadings
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.database.markets import last_market, last_markets, store_markets
from liqtruth.storage.database.tables import Market
from liqtruth.storage.store import Store

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
LARGE = ("partition", "market", "reading")
"""Tables that grow as long as a watch runs."""


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
    "the readings of a window": lambda store: MergedReadings(store, "BTC", [NOON, NOON + timedelta(hours=1)]),
    "the files of a series": of_series,
    "the markets of a dataset": lambda store: store.lake.series_coins("candles"),
}


@contextmanager
def statements_of(store: Store) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(store.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_searches_large_tables_by_an_index(store: Store, question: str) -> None:
    if store.database.engine.dialect.name != "sqlite":
        pytest.skip("the plan is read in SQLite's words")
    markets = [
        Market(venue="hyperliquid", dex="", coin=coin, as_of=NOON, mark_px=1.0) for coin in ("BTC", "ETH")
    ]
    store_markets(store.database, markets)
    with statements_of(store) as seen:
        QUESTIONS[question](store)
    asked = [pair for pair in seen if pair[0].lstrip().upper().startswith(("SELECT", "WITH"))]
    assert asked
    with store.database.engine.connect() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            read_through = [row[3] for row in plan if re.match(rf"SCAN ({'|'.join(LARGE)})\b", row[3])]
            assert not read_through, statement
