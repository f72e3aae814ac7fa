"""A watch over a live synthetic exchange knows what its ledger knows, and loses nothing when it ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from liqtruth.indexer.discovery import address_book, known_accounts
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.positions.watch_state import read_state
from liqtruth.indexer.watch.crawl_queue import Pair
from liqtruth.indexer.watch.watch import Pace, Watch
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.database.sessions import WRITING
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.store import Settings, Store
from tests.markets import market_of

QUICK = Pace(plan_s=0.05, keep_s=0.2, mark_s=0.3, first_book_s=3600)
PATIENCE = Patience(attempts=3, total_s=3.0, first_wait_s=0.02, pause_s=0.05)
DEXES = ("", "xyz")
COINS = 5


@pytest.fixture(scope="module")
def going_on() -> Market:
    """A small market with an afternoon still to come."""
    return market_of(MarketSpec(seed=9, accounts=80, days=2, cex_accounts=20, live_hours=6))


@pytest.fixture(autouse=True)
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts and hosts that failed are asked again soon."""
    monkeypatch.setattr("liqtruth.indexer.watch.watch.FAILURE_WAIT_S", 1.0)
    monkeypatch.setattr("liqtruth.indexer.watch.watch.HOST_GONE_WAIT_S", 0.5)


@pytest.fixture
def live(going_on: Market) -> Iterator[SandboxServer]:
    with serving_in_thread(going_on, weight_per_minute=None) as running:
        yield running


@asynccontextmanager
async def watching(store: Store, server: SandboxServer, **settings: object) -> AsyncIterator[Watch]:
    """A watch that runs until the block ends, and has stored everything after it."""
    address_book.remember(store, addresses(server.market), "file", server.as_of)
    options = {"dexes": DEXES, "weight_per_minute": None, "pace": QUICK, "patience": PATIENCE, **settings}
    watch = Watch(store, server.base_url, **options)  # type: ignore[arg-type]
    stop = asyncio.Event()
    running = asyncio.create_task(watch.run(stop))
    try:
        yield watch
    finally:
        stop.set()
        await running


async def until(holds: Callable[[], bool]) -> None:
    """Waits for as long as a machine may need that has other things to do; what never comes fails all the same."""
    async with asyncio.timeout(300):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.05)


def all_read(watch: Watch) -> bool:
    state = watch.state
    return state.pairs_read == state.pairs > 0 and state.dirty == 0


async def first_read(watch: Watch, server: SandboxServer) -> None:
    """Everyone was read, and from now on every trade is observed."""
    await until(lambda: any(len(one.subscriptions) == COINS + 1 for one in server.sockets.sessions))
    await until(lambda: all_read(watch))


def traded(server: SandboxServer) -> int:
    """Trades that were sent on the socket so far."""
    ahead = server.market.ahead
    assert ahead is not None
    return server.market.trades.size - ahead.end.trades.until(server.market.spec.history_minutes).size


@contextmanager
def arriving(watch: Watch) -> Iterator[set[Pair]]:
    """Who is being read now; whose answer has come leaves the set, also where he is asked again at once."""
    queue = watch.crawl_queue
    asked = {queue.pairs[row] for row in np.flatnonzero(queue.arrays["busy"])}

    def read(accounts: pl.DataFrame, positions: pl.DataFrame) -> None:
        note_reads(accounts, positions)
        asked.difference_update(accounts.select("address", "dex").iter_rows())

    def failed(pair: Pair, again_s: float) -> None:
        note_failure(pair, again_s)
        asked.discard(pair)

    with pytest.MonkeyPatch.context() as patch:
        note_reads, note_failure = queue.note_reads, queue.note_failure
        patch.setattr(queue, "note_reads", read)
        patch.setattr(queue, "note_failure", failed)
        yield asked


async def settled(watch: Watch, server: SandboxServer) -> None:
    """Until every trade was observed and laid over the book, every answer from before them has arrived, and what that
    left wrong was read again."""
    await until(lambda: watch.state.tape.trades == traded(server))
    with arriving(watch) as asked:
        await until(lambda: not asked)
    truth = server.true_positions()
    await until(lambda: not watch.crawl_queue._changed and agree(watch.book.positions, truth))


async def reading_ends(watch: Watch) -> None:
    """Nobody is chosen any more, and whoever was under way has arrived."""
    watch.crawl_queue.next = lambda *_: []  # type: ignore[method-assign]
    await until(lambda: not watch.crawl_queue.arrays["busy"].any())


def sizes(frame: pl.DataFrame) -> dict[tuple[str, str], float]:
    rows = frame.select("address", "coin", "szi").iter_rows()
    return {(address, coin): pytest.approx(szi, rel=1e-9) for address, coin, szi in rows}


def agree(known: pl.DataFrame, truth: pl.DataFrame) -> bool:
    """Whether `sizes` of both are equal, for asking often."""
    one, other = (frame.select("address", "coin", "szi").sort("address", "coin") for frame in (known, truth))
    return one.drop("szi").equals(other.drop("szi")) and np.allclose(
        one["szi"], other["szi"], rtol=1e-9, atol=0
    )


async def test_a_cold_start_ends_with_the_ledgers_book(store: Store, live: SandboxServer) -> None:
    async with watching(store, live) as watch:
        await until(lambda: all_read(watch))
    known, truth = positions_as_of(store), live.true_positions()
    assert sizes(known) == sizes(truth)
    joined = known.join(truth.select("address", "coin", true_px="liq_px"), on=["address", "coin"])
    assert (joined["liq_px"] / joined["true_px"] - 1).abs().max() < 1e-9  # type: ignore[operator]
    assert set(known["status"]) <= {"agree", "never"}
    assert known["source"].str.starts_with("synthetic").all()


async def test_the_book_follows_a_market_that_goes_on(store: Store, live: SandboxServer) -> None:
    async with watching(store, live) as watch:
        await first_read(watch, live)
        live.advance(3600)
        await settled(watch, live)
    assert sizes(positions_as_of(store)) == sizes(live.true_positions())
    assert watch.state.tape.trades > 10


async def test_between_reads_sizes_follow_the_tape_alone(store: Store, live: SandboxServer) -> None:
    """After the first reads nobody may read any more: what the tape tells is enough to know every size."""
    async with watching(store, live) as watch:
        await first_read(watch, live)
        await reading_ends(watch)
        live.advance(1800)
        await until(lambda: watch.state.tape.trades == traded(live) > 0)
        await until(lambda: watch.state.dirty > 0)
    assert sizes(positions_as_of(store)) == sizes(live.true_positions())


async def test_funding_and_marks_move_prices_between_reads(store: Store, live: SandboxServer) -> None:
    """Of whoever did not trade in an hour, the moved prices are the exchange's new ones."""
    async with watching(store, live) as watch:
        await first_read(watch, live)
        await reading_ends(watch)
        before, paid = watch.book.positions, watch.state.funding_hours
        live.advance(3600)
        await until(lambda: watch.state.funding_hours > paid and watch.state.tape.trades == traded(live))
    truth = live.true_positions().select("address", "coin", true_px="liq_px", true_szi="szi")
    old = before.select("address", "coin", old_px="liq_px")
    rows = positions_as_of(store).join(truth, on=["address", "coin"]).join(old, on=["address", "coin"])
    still = rows.filter((pl.col("status") == "agree") & pl.col("true_px").is_not_null())
    assert still.height > 20
    moved = (still["liq_px"] / still["true_px"] - 1).abs()
    stale = (still["old_px"] / still["true_px"] - 1).abs()
    assert moved.median() < 1e-6  # type: ignore[operator]
    assert moved.median() < 0.1 * stale.median()  # type: ignore[operator]


async def test_a_database_that_keeps_a_watch_waiting_holds_up_only_the_keeper(
    store: Store, live: SandboxServer
) -> None:
    """Another writer holds the tables: all goes on in memory, and what was read meanwhile is stored afterwards."""
    async with watching(store, live) as watch:
        await first_read(watch, live)
        await until(lambda: watch.keeper.waiting == 0)
        with store.database.engine.connect().execution_options(**WRITING) as other:
            other.begin()
            if other.dialect.name != "sqlite":
                other.exec_driver_sql("LOCK TABLE market, account, sweeppart")
            stored, reads, marked = len(watch.keeper.parts.parts), watch.state.reads, watch.marks.markets
            live.advance(1800)
            await until(lambda: watch.state.tape.trades == traded(live) and watch.state.reads > reads + 100)
            await until(lambda: watch.keeper.waiting > 0 and not watch.marks.markets.equals(marked))
            assert len(watch.keeper.parts.parts) == stored, "the keeper waits for the tables"
            other.rollback()
        await settled(watch, live)
    assert sizes(positions_as_of(store)) == sizes(live.true_positions())
    book = known_accounts.book(store)
    assert book["last_traded_at"].drop_nulls().len() > 0
    assert book["last_read_at"].null_count() == 0


async def test_a_restart_takes_up_what_was_stored(live: SandboxServer, tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "a")) as store:
        async with watching(store, live) as watch:
            await until(lambda: all_read(watch))
        live.advance(600)
        async with watching(store, live) as again:
            await until(lambda: again.state.pairs > 0)
            assert again.state.resumed_accounts == watch.book.accounts.height
            await until(lambda: again.state.reads >= again.state.pairs)
            await until(lambda: all_read(again))
        assert again.state.reads >= again.state.pairs_read, "trades were missed while nobody listened"
        assert sizes(positions_as_of(store)) == sizes(live.true_positions())


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b"PAR1")], ids=["gone", "cut off"]
)
@pytest.mark.parametrize("kind", ["positions", "accounts"])
async def test_a_batch_that_is_damaged_is_named_and_its_accounts_are_read_anew(
    live: SandboxServer, store: Store, harm: Callable[[Path], object], kind: str
) -> None:
    async with watching(store, live) as watch:
        watch.keeper.store_book = nothing  # type: ignore[method-assign]  # as where it is killed before its first book
        await until(lambda: all_read(watch))
    harm(max(store.lake.root.glob(f"sweeps/*/*-{kind}.parquet")))
    with pytest.raises(FileDamaged, match="start the watch again"):
        positions_as_of(store)
    async with watching(store, live) as again:
        await until(lambda: all_read(again))
        assert again.state.faults.counts["resume: FileDamaged"] == 1
    assert sizes(positions_as_of(store)) == sizes(live.true_positions())


async def nothing(*_: Any) -> None:
    """Done."""


async def test_faults_on_the_way_change_nothing_in_the_end(store: Store, going_on: Market) -> None:
    faults = Faults(
        rate_500=0.03,
        rate_reset=0.03,
        rate_truncated=0.03,
        rate_html=0.03,
        rate_duplicate=0.2,
        rate_reorder=0.2,
        seed=4,
    )
    with serving_in_thread(going_on, weight_per_minute=None, faults=faults) as faulty:
        async with watching(
            store, faulty, patience=Patience(attempts=12, total_s=10, first_wait_s=0.01)
        ) as watch:
            await first_read(watch, faulty)
            faulty.advance(1800)
            faults.rate_reorder = 0.0  # what was delayed goes out with the next message
            faulty.advance(600)
            await settled(watch, faulty)
        assert sizes(positions_as_of(store)) == sizes(faulty.true_positions())


@pytest.mark.parametrize("skew_s", [300, -300], ids=["ahead", "behind"])
async def test_a_tape_whose_clock_is_off_loses_and_doubles_nothing(
    store: Store, going_on: Market, skew_s: int
) -> None:
    """Whoever trades is read again, and in the end every size is the ledger's."""
    faults = Faults(clock_skew_ms=1000 * skew_s)
    with serving_in_thread(going_on, weight_per_minute=None, faults=faults) as skewed:
        async with watching(store, skewed) as watch:
            await first_read(watch, skewed)
            for _ in range(2):
                skewed.advance(1800)
                await settled(watch, skewed)
        assert sizes(positions_as_of(store)) == sizes(skewed.true_positions())
    assert positions_as_of(store)["age_s"].min() >= 0  # type: ignore[operator]
    state = read_state(store)
    assert state is not None
    assert state.age_p50_s is not None
    assert state.age_p50_s >= 0


async def test_the_budget_is_kept_and_used(store: Store, going_on: Market) -> None:
    with serving_in_thread(going_on, weight_per_minute=6000) as limited:
        pace = Pace(plan_s=0.05, keep_s=0.2, mark_s=60, book_s=3600)
        began_s = time.monotonic()
        async with watching(store, limited, weight_per_minute=4800, pace=pace) as watch:
            await until(lambda: watch.state.reads > 10)
        minutes = (time.monotonic() - began_s) / 60
        assert limited.count_429 == 0
        assert limited.weight_spent <= 4800 * (minutes + 1 / 40) + 2 * 20


async def test_the_state_is_written_for_others_to_read(store: Store, live: SandboxServer) -> None:
    async with watching(store, live) as watch:
        await until(lambda: all_read(watch))
    state = read_state(store)
    assert state is not None
    assert (state.pairs, state.positions) == (watch.state.pairs, watch.book.positions.height)
    assert state.statuses == dict(watch.book.positions["status"].value_counts().iter_rows())
