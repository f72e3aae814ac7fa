"""What a watch has read is known at once: while it runs, after a kill, and never twice."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from info_endpoint import MARK_PX, META, address_of, btc, state
from test_watch import PATIENCE, QUICK, first_read, going_on, sizes, until, watching  # noqa: F401 - a fixture

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.heatmap.words.notes import texts
from liqtruth.indexer.audit.status import describe_watch, status_of
from liqtruth.indexer.info.wire import decode_clearinghouse_state
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.positions.latest import last_book
from liqtruth.indexer.positions.markets import universe_row
from liqtruth.indexer.positions.readings import Readings, positions_as_of
from liqtruth.indexer.positions.watch_state import (
    WatchState,
    lock_path,
    read_state,
    running_process,
    write_state,
)
from liqtruth.indexer.watch.keeper import Keeper
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.indexer.watch.run import WatchPlan, run_watch
from liqtruth.indexer.watch.watch import Pace
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.tables import Market as MarketRow
from liqtruth.storage.database.tables import Reading
from liqtruth.storage.lock import alone, holder
from liqtruth.storage.store import Settings, Store

START = datetime(2026, 9, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def reading(number: int, second: float, *holdings: dict[str, object]) -> AccountReading:
    watched = msgspec.json.encode(state(*holdings, time=int(at(second).timestamp() * 1000)))
    return AccountReading(address_of(number), decode_clearinghouse_state(watched, "here"), "here")


def open_store(folder: "pytest.TempPathFactory") -> Store:
    return Store.open(Settings(data_dir=folder.mktemp("data")))


class WatchedStore:
    """A keeper as a watch has one, and the state that it writes after each batch."""

    def __init__(self, store: Store, pairs: int = 10) -> None:
        store_universe(store.database, universe_row(msgspec.json.encode(META), "", START))
        store_markets(
            store.database,
            [
                MarketRow(
                    venue="hyperliquid", dex="", coin="BTC", as_of=START, mark_px=MARK_PX, open_interest=100.0
                )
            ],
        )
        self.store, self.pairs = store, pairs
        self.keeper = Keeper(store, "http://127.0.0.1:9", ("",), 60.0, 3600.0)
        self.book = self.keeper.resume("here")
        self.read_so_far: set[str] = set()

    def store_read(self, *readings: AccountReading) -> None:
        self.keeper.read(readings)
        self.book.take(readings)
        asyncio.run(self.keeper.store_read())
        self.read_so_far |= {one.address for one in readings}
        self.write()

    def store_book(self, second: float) -> None:
        asyncio.run(self.keeper.store_book(self.book, at(second)))
        self.write()

    def write(self) -> None:
        written = WatchState(
            as_of=START,
            pairs=self.pairs,
            pairs_read=len(self.read_so_far),
            batches=self.keeper.batches,
            book=self.keeper.book_id,
        )
        write_state(self.store, written)


@pytest.fixture
def watched(store: Store) -> WatchedStore:
    return WatchedStore(store)


def known(store: Store, moment: datetime | None = None) -> dict[str, float]:
    return dict(positions_as_of(store, moment, "BTC").select("address", "szi").iter_rows())


def test_batches_are_known_before_there_is_any_book(watched: WatchedStore) -> None:
    watched.store_read(reading(1, 1, btc(2.0, 40_000.0)), reading(2, 1))
    drawn = exact_map(watched.store, "BTC")
    assert known(watched.store) == {address_of(1): 2.0}
    assert drawn.coverage.share is not None
    assert drawn.coverage.share.long == pytest.approx(0.02)
    assert drawn.in_grid_usd.long == pytest.approx(2 * MARK_PX)
    assert any("2 of 10" in note for note in texts(drawn.coverage.notes)), "it says that it is partial"
    assert Readings(watched.store).accounts().height == 2


def test_a_later_batch_replaces_what_a_book_had_of_its_accounts_and_of_no_other(
    watched: WatchedStore,
) -> None:
    watched.store_read(
        reading(1, 1, btc(2.0, None)), reading(2, 1, btc(3.0, None)), reading(3, 1, btc(4.0, None))
    )
    watched.store_book(2)
    assert last_book(watched.store) is not None
    watched.store_read(reading(1, 3, btc(-5.0, None)), reading(2, 4))
    assert known(watched.store) == {address_of(1): -5.0, address_of(3): 4.0}
    assert known(watched.store, at(2)) == {address_of(1): 2.0, address_of(2): 3.0, address_of(3): 4.0}
    watched.store_book(5)
    assert known(watched.store) == {address_of(1): -5.0, address_of(3): 4.0}


def test_since_when_a_position_was_opened_is_carried_through_batches(watched: WatchedStore) -> None:
    watched.store_read(reading(1, 1, btc(2.0, None)), reading(2, 1))
    watched.store_book(2)
    watched.store_read(
        reading(1, 3, btc(3.0, None)), reading(2, 3, btc(1.0, None)), reading(3, 3, btc(1.0, None))
    )
    since = dict(positions_as_of(watched.store).select("address", "held_since").iter_rows())
    assert since == {address_of(1): at(1), address_of(2): at(3), address_of(3): None}


def test_what_was_all_read_is_not_called_partial(store: Store) -> None:
    watched = WatchedStore(store, pairs=1)
    watched.store_read(reading(1, 1, btc(2.0, None)))
    assert not any(note.code == "watch_is_partial" for note in exact_map(store, "BTC").coverage.notes)


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 30), st.sampled_from([0.0, 1.0, -2.0]), st.booleans()),
        max_size=5,
    )
)
def test_whatever_the_order_the_batches_show_what_the_book_in_memory_shows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, float, bool]]
) -> None:
    with open_store(tmp_path_factory) as store:
        watched = WatchedStore(store)
        for step, (number, second, szi, books) in enumerate(steps):
            holdings = [btc(szi, None)] if szi else []
            watched.store_read(reading(number, second, *holdings))
            if books:
                watched.store_book(40 + step)
            assert known(store) == dict(watched.book.positions.select("address", "szi").iter_rows())
        assert sizes(LiveBook.load(store).positions).keys() <= sizes(watched.book.positions).keys() | {
            (address_of(number), "BTC") for number in (1, 2, 3)
        }


def test_a_running_watch_is_seen_and_so_is_one_that_was_killed(watched: WatchedStore) -> None:
    store = watched.store
    watched.store_read(reading(1, 1, btc(2.0, None)))
    with alone(lock_path(store), "a watch"):
        assert running_process(store) == status_of(store).watch_process
        running = status_of(store)
        assert running.accounts_read == 1
        assert running.coins[0].long_share == pytest.approx(0.02)
        assert f"process {running.watch_process}" in "\n".join(running.describe())
    assert running_process(store) is None
    assert "killed" in "\n".join(status_of(store).describe())
    ended = read_state(store)
    assert ended is not None
    ended.ended_at = START
    assert "killed" not in "\n".join(describe_watch(ended))


def test_status_shows_a_watch_that_has_read_nothing_yet(store: Store) -> None:
    with alone(lock_path(store), "a watch"):
        assert f"process {running_process(store)}" in "\n".join(status_of(store).describe())
        write_state(store, WatchState(started_at=START, written_at=START))
        assert f"process {running_process(store)}" in "\n".join(status_of(store).describe())


def test_asking_for_the_holder_of_a_lock_keeps_nobody_from_it(store: Store) -> None:
    path = lock_path(store)
    assert holder(path) is None
    for _ in range(40):
        with alone(path, "it"):
            assert holder(path) is not None
        assert holder(path) is None


async def test_the_first_book_comes_early_and_the_next_ones_later_and_later(
    store: Store,
    going_on: Market,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock that a test sets forward."""
    now = [0.0]
    monkeypatch.setattr("liqtruth.indexer.watch.keeper.time.monotonic", lambda: now[0])
    watched = Keeper(store, "http://127.0.0.1:9", ("",), 60.0, 600.0)
    book = watched.resume("here")
    book.take([reading(1, 1, btc(2.0, None))])
    stored: list[float] = []
    while now[0] < 2000:
        if watched.book_is_due():
            await watched.store_book(book, at(now[0]))
            stored.append(now[0])
        now[0] += 10
    assert stored == [60, 180, 420, 900, 1500]


async def test_a_map_rests_on_the_running_watch(store: Store, going_on: Market) -> None:  # noqa: F811
    with serving_in_thread(going_on, weight_per_minute=None) as server:
        async with watching(store, server) as watch:
            await first_read(watch, server)
            await until(
                lambda: watch.keeper.waiting == 0 and (read_state(store) or WatchState()).pairs_read > 0
            )
            assert last_book(store) is None
            truth = server.true_positions()
            assert sizes(positions_as_of(store)) == sizes(truth)
            share = exact_map(store, "BTC").coverage.share
            assert share is not None
            assert min(share) == pytest.approx(1.0, rel=1e-9)
        assert sizes(positions_as_of(store)) == sizes(truth)


def test_a_run_says_that_it_began_and_that_it_ended(store: Store, going_on: Market) -> None:  # noqa: F811
    with serving_in_thread(going_on, weight_per_minute=None) as server:
        plan = WatchPlan(
            server.base_url, weight_per_minute=None, pace=QUICK, for_s=2.0, order_books=1, order_books_s=0.3
        )
        begun: list[WatchState | None] = []
        run_watch(store, plan, on_ready=lambda watch, port: begun.append(read_state(store)))
    ended = read_state(store)
    assert begun
    assert begun[0] is not None
    assert begun[0].started_at is not None
    assert begun[0].ended_at is None
    assert ended is not None
    assert ended.ended_at is not None
    assert len(store.lake.series_coins("books")) == 1, "of the largest coin, once it is known"


def test_a_run_that_is_asked_to_stop_at_once_ends(store: Store, going_on: Market) -> None:  # noqa: F811
    with serving_in_thread(going_on) as server:
        run_watch(store, WatchPlan(server.base_url, pace=Pace(), for_s=0.0))
    assert (read_state(store) or WatchState()).ended_at is not None


def test_a_run_that_could_not_begin_says_why(store: Store) -> None:
    plan = WatchPlan("http://127.0.0.1:9", weight_per_minute=None, patience=PATIENCE)
    with pytest.raises(SourceUnreachable):
        run_watch(store, plan)
    assert "cannot connect" in "\n".join(status_of(store).describe())


def test_a_run_puts_the_books_of_earlier_days_together(store: Store, going_on: Market) -> None:  # noqa: F811
    book = LiveBook()
    with serving_in_thread(going_on, weight_per_minute=None) as server:
        start = server.as_of - timedelta(days=2)
        ids = [
            book.write(store, start.replace(hour=1, minute=minute), "synthetic test").id
            for minute in range(3)
        ]
        run_watch(store, WatchPlan(server.base_url, weight_per_minute=None, pace=QUICK, for_s=2.0))
    with store.database.session() as session:
        first, second, last = (session.get_one(Reading, one).archive for one in ids)
    assert first == second
    assert first is not None
    assert last in (None, first), "alone as long as it is the last"
