"""PostgreSQL restarted under a writer: the writer waits, goes on by itself, and no row is lost or there twice."""

import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from private_server import Server, private_server
from sqlmodel import col, select
from test_kill import assert_whole
from writers import COINS, START, frames, opened, reading

from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.markets import store_markets
from liqtruth.storage.database.tables import Market, Partition, Reading
from liqtruth.storage.errors import DatabaseLost
from liqtruth.storage.store import Store


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_server() as running:
        yield running


class Writer(threading.Thread):
    """Writes readings and market rows until asked to stop; `written` counts what was reported as stored."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store, self.written, self.stopping = store, 0, threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for number in count():
                if self.stopping.is_set():
                    return
                self.store.lake.write_reading(reading(f"r{number}", number), frames(number))
                row = reading("", number)
                store_markets(
                    self.store.database,
                    [
                        Market(venue="hyperliquid", dex="", coin=coin, as_of=row.as_of, mark_px=1.0)
                        for coin in COINS
                    ],
                )
                self.written = number + 1
        except BaseException as error:
            self.failed = error

    def wait_for(self, more: int) -> None:
        wanted, until_s = self.written + more, time.monotonic() + 300
        while self.written < wanted and self.failed is None and time.monotonic() < until_s:
            time.sleep(0.01)
        assert self.failed is None
        assert self.written >= wanted


def test_a_writer_outlives_restarts_and_crashes_of_its_server(tmp_path: Path, server: Server) -> None:
    with opened(tmp_path, server.url) as store:
        writer = Writer(store)
        writer.start()
        try:
            for mode in ("fast", "immediate", "immediate"):
                writer.wait_for(5)
                server.stop(mode)
                time.sleep(0.5)
                server.start()
            writer.wait_for(5)
        finally:
            writer.stopping.set()
            writer.join()
        assert writer.failed is None
        assert assert_whole(store) == writer.written
        with store.database.session() as session:
            ids = session.exec(select(Reading.id)).all()
            markets = session.exec(select(Market.coin, Market.as_of)).all()
            rows = session.exec(select(Partition.path)).all()
        assert sorted(ids) == sorted(f"r{number}" for number in range(writer.written))
        assert len(markets) == writer.written * len(COINS)
        assert len(rows) == writer.written * (len(COINS) + 1)


def test_a_server_that_stays_away_ends_the_wait_with_one_line(server: Server) -> None:
    database = Database(server.url.replace("postgres@", "postgres:hunter2@"), patience_s=1.0)
    with database.session() as session:
        assert session.exec(select(Reading).where(col(Reading.as_of) < START)).all() == []
    server.stop("fast")
    began_s = time.monotonic()
    try:
        with pytest.raises(DatabaseLost, match=r"does not answer: .*refused") as raised, database.session():
            pass
    finally:
        server.start()
    assert time.monotonic() - began_s > 0.5
    assert raised.value.retryable
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)
    with database.session() as session:
        session.exec(select(Reading).limit(1)).all()
    database.close()
