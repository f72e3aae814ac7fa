"""A tape whose clock is minutes off: who trades is read again, nothing is counted twice, and the skew is reported."""

import asyncio
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tape_server import NOW_MS, TapeServer, serving_tape, trade
from test_crawl_queue import read, sizes

from liqtruth.indexer.audit.status import describe_watch
from liqtruth.indexer.watch.tape import Tape
from liqtruth.indexer.watch.tape_positions import REMEMBERED_S, TapePositions
from liqtruth.indexer.watch.watch import Watch
from liqtruth.storage.store import Store

BUYER = "0x" + "1" * 40
COINS = ["BTC", "ETH", "xyz:TSLA"]
LATER_S = 10.0


async def reported(watch: Watch, server: TapeServer, trades: int) -> None:
    tape = Tape(server.base_url, COINS, watch._note_trades, lambda gap: None)
    watch.state.tape = tape.stats
    listening = asyncio.create_task(tape.run())
    async with asyncio.timeout(300):
        while tape.stats.trades < trades:  # noqa: ASYNC110 - the tape knows nothing of events
            await asyncio.sleep(0.01)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


def is_dirty(watch: Watch) -> bool:
    return not np.isnan(watch.crawl_queue.sizes.dirty_since_s[watch.crawl_queue.rows[(BUYER, "")]])


@pytest.mark.parametrize("skew_s", [300, -300], ids=["ahead", "behind"])
async def test_a_trade_of_another_clock_is_neither_lost_nor_counted_twice(store: Store, skew_s: int) -> None:
    """The buyer had 5 and bought 2: by the tape before it was read, or in five minutes."""
    batch = [trade(number, time=NOW_MS + 1000 * skew_s + number) for number in (1, 2)]
    with serving_tape(TapeServer([[batch, batch]])) as server:
        watch = Watch(store, server.base_url)
        watch.clock.offset_s = NOW_MS / 1000 - time.time()
        watch.clock.note(NOW_MS / 1000)
        read(watch.crawl_queue, 0, {"BTC": 5.0}, BUYER)
        await reported(watch, server, 2)
    assert watch.state.tape_ahead_s == pytest.approx(skew_s, abs=5)
    assert is_dirty(watch), "it must be read again, whatever the tape says of when"
    read(watch.crawl_queue, -1, {"BTC": 5.0}, BUYER)
    assert is_dirty(watch), "an answer that was under way may not have the trades"
    read(watch.crawl_queue, LATER_S, {"BTC": 7.0}, BUYER)
    assert sizes(watch.crawl_queue, BUYER) == {"BTC": 7.0}
    assert not is_dirty(watch)


@pytest.mark.parametrize(("skew_s", "message"), [(300, "300 s ahead of"), (-300, "300 s behind"), (-1, None)])
async def test_a_skew_of_the_tape_is_reported(store: Store, skew_s: int, message: str | None) -> None:
    with serving_tape(TapeServer([[[trade(0, time=NOW_MS + 1000 * skew_s)]]])) as server:
        watch = Watch(store, server.base_url)
        watch.clock.offset_s = NOW_MS / 1000 - time.time()
        await reported(watch, server, 1)
    watch._take_in()
    watch.keeper.resume("here")
    watch._write_state()
    lines = [line for line in describe_watch(watch.state) if "times on the tape" in line]
    assert len(lines) == (message is not None)
    if message is not None:
        assert float(lines[0].split("are ")[1].split(" s ")[0]) == pytest.approx(300, abs=3)
        assert message.split()[-1] in lines[0]


def test_no_reading_is_from_the_future(store: Store) -> None:
    """An endpoint that reports no time answers of its current time; one that does may only be ahead of it."""
    watch = Watch(store, "http://127.0.0.1:9")
    for ahead_s in (300.0, -300.0):
        watch.clock.note(time.time() + ahead_s)
        assert watch.clock.now_s - time.time() == pytest.approx(ahead_s, abs=1)
    watch.clock.is_reported, watch.clock.offset_s = True, 0.0
    watch.clock.note(time.time() - 300)
    assert watch.clock.now_s == pytest.approx(time.time(), abs=1), (
        "what was read a while ago is old, not of another clock"
    )
    watch.clock.note(time.time() + 300)
    assert watch.clock.now_s == pytest.approx(time.time() + 300, abs=1)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(0, 100))
def test_a_doubted_account_is_clean_once_it_was_read_late_enough(reads: list[float], newest_s: float) -> None:
    running = TapePositions.of(1, 1)
    row, none = np.array([0]), np.zeros(0, np.int64)
    running.note_reads(row, np.array([0.0]), none, none, np.zeros(0))
    running.note_doubt(row, newest_s)
    assert running.dirty_since_s[0] == 0.0
    for read_s in reads:
        running.note_reads(row, np.array([read_s]), none, none, np.zeros(0))
        assert np.isnan(running.dirty_since_s[0]) == (read_s >= newest_s)


def test_an_answer_from_before_the_trades_that_are_kept_has_to_be_read_again() -> None:
    """A connection that slept brings what was true an hour ago: nobody knows any more what was traded since."""
    one, coin = np.array([0]), np.array([0])
    holdings = TapePositions.of(2, 1)
    holdings.note_reads(one, np.array([0.0]), one, coin, np.array([5.0]))
    for time_s in (10.0, 2 * REMEMBERED_S):
        holdings.note_trades(one, np.array([1]), coin, np.array([1.0]), np.array([100.0]), np.array([time_s]))
    holdings.note_reads(one, np.array([5.0]), one, coin, np.array([5.0]))
    assert not np.isnan(holdings.dirty_since_s[0])
    holdings.note_reads(one, np.array([2 * REMEMBERED_S + 1]), one, coin, np.array([7.0]))
    assert np.isnan(holdings.dirty_since_s[0])
    assert holdings.open_positions()[2].tolist() == [7.0, -2.0]
