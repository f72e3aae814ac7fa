"""Nothing that comes over the wire ends a watch: what cannot be taken is left out and counted, and the rest goes on."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from info_endpoint import NOW_MS, address_of, btc, state
from sqlmodel import select
from tape_server import trade
from test_live_book import MARKS, NOON, read
from test_watch import DEXES, PATIENCE, agree, first_read, sizes, until, watching
from test_watch import going_on as going_on
from test_watch import short_rests as short_rests

from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.indexer.frames import MARKETS, POSITIONS, conform
from liqtruth.indexer.info.wire import Trade, decode_clearinghouse_state, decode_recent_trades
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.positions.markets import carried_on, market_rows
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.positions.watch_state import WatchState, read_state, write_state
from liqtruth.indexer.watch.crawl_queue import CrawlQueue
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.indexer.watch.marks import ExchangeClock, Marks
from liqtruth.indexer.watch.run import WatchPlan, compacting
from liqtruth.indexer.watch.tape import Gap
from liqtruth.indexer.watch.watch import Watch
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.database.tables import Reading as Tabled
from liqtruth.storage.store import Store
from liqtruth.storage.upkeep.retention import Keep

SLOW = frozenset({"drip", "silent"})
"""Faults that make a test wait for deadlines of seconds."""


@pytest.fixture
def watch(store: Store) -> Watch:
    """One that is not connected to anything."""
    made = Watch(store, "http://127.0.0.1:9")
    made.clock.note(NOW_MS / 1000)
    made.keeper.resume("here")
    return made


async def test_everything_at_once_and_then_the_ledgers_book(store: Store, going_on: Market) -> None:
    """Every kind of fault at random for simulated hours; once they stop, all is known."""
    faults = Faults.of_every_kind(0.25, 3, SLOW)
    faults.bomb_bytes = 70_000_000
    with serving_in_thread(going_on, weight_per_minute=None, faults=faults) as faulty:
        async with watching(store, faulty) as watch:
            for _ in range(4):
                reads = watch.state.reads
                faulty.advance(1200)
                await until(lambda: watch.state.reads > reads + 50)  # noqa: B023 - awaited at once
            calm = Faults()
            faulty.faults = calm
            faulty.advance(60)
            truth = faulty.true_positions()
            await until(lambda: agree(watch.book.positions, truth))
        assert sizes(positions_as_of(store)) == sizes(truth)
    assert sum(faults.met.values()) > 50
    assert watch.state.faults.total > 0


async def test_a_dex_that_fails_holds_up_no_other(store: Store, going_on: Market) -> None:
    faults = Faults(failing_dexes=frozenset({"xyz"}))
    with serving_in_thread(going_on, weight_per_minute=None, faults=faults) as faulty:
        async with watching(store, faulty) as watch:
            main = faulty.true_positions().filter(dex="")
            await until(lambda: agree(watch.book.positions, main))
            assert any("dex xyz" in kind for kind in watch.state.faults.counts)
            faults.failing_dexes = frozenset()
            await until(lambda: "xyz" in watch.book.tables)
            await until(lambda: any(len(one.subscriptions) == 6 for one in faulty.sockets.sessions))
        assert set(watch.marks.markets["dex"]) == set(DEXES)


async def test_where_no_dex_answers_at_the_start_there_is_no_watch(store: Store, going_on: Market) -> None:
    with serving_in_thread(going_on, faults=Faults(failing_dexes=frozenset(DEXES))) as faulty:
        watch = Watch(store, faulty.base_url, DEXES, weight_per_minute=None, patience=PATIENCE)
        with pytest.raises(SourceUnreachable):
            await watch.run(asyncio.Event())


def broken(*_: Any) -> None:
    raise ZeroDivisionError("nobody foresaw this")


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("planner", lambda watch: setattr(watch.crawl_queue, "next", broken)),
        ("follower", lambda watch: setattr(watch.crawl_queue, "learn", broken)),
        ("marker", lambda watch: setattr(watch.book, "remark", broken)),
        ("keeper", lambda watch: setattr(watch.keeper, "_write_markets", broken)),
        ("tape", lambda watch: setattr(watch.crawl_queue, "note_trades", broken)),
    ],
)
async def test_a_task_that_meets_what_nobody_foresaw_goes_on_and_so_do_the_others(
    store: Store, going_on: Market, where: str, what: Callable[[Watch], None]
) -> None:
    with serving_in_thread(going_on, weight_per_minute=None) as server:
        async with watching(store, server) as watch:
            await first_read(watch, server)
            what(watch)
            server.advance(1800)
            await until(lambda: watch.state.faults.counts.get(f"{where}: ZeroDivisionError", 0) > 0)
    assert "ZeroDivisionError" in " ".join(watch.state.faults.describe())


async def test_one_reading_that_cannot_be_taken_is_left_out_and_tried_again(watch: Watch) -> None:
    """A value that fits no column, as one account among others."""
    good = [reading(number, btc(1.0, None)) for number in range(3)]
    bad = reading(7, btc(1.0, None), max_leverage=10**30)
    watch._arrived += [*good[:2], bad, good[2]]
    watch._take_in()
    assert set(watch.book.accounts["address"]) == {one.address for one in good}
    assert watch.keeper.waiting == 3
    again_s = watch.crawl_queue.arrays["tries_again_s"][watch.crawl_queue.rows[bad.address, ""]]
    assert again_s > watch.clock.now_s
    assert watch.state.failures == 1


def reading(number: int, position: dict[str, Any], max_leverage: int | None = None) -> AccountReading:
    reported = decode_clearinghouse_state(msgspec.json.encode(state(position)), "here")
    if max_leverage is not None:
        holdings = msgspec.structs.replace(reported.asset_positions[0].position, max_leverage=max_leverage)
        entry = msgspec.structs.replace(reported.asset_positions[0], position=holdings)
        reported = msgspec.structs.replace(reported, asset_positions=[entry])
    return AccountReading(address_of(number), reported, "here")


@pytest.mark.parametrize(
    "other",
    [
        {"coin": "nosuchdex:BTC"},
        {"users": ["0x" + "1" * 40, "<script>"]},
        {"users": ["", ""]},
        {"sz": "1e17", "px": "1e14"},
        {"time": 1_577_836_800_000 - 1},
    ],
    ids=["unknown-dex", "no-address", "no-users", "more-than-there-is", "long-ago"],
)
def test_a_trade_that_cannot_have_happened_moves_nothing(watch: Watch, other: dict[str, Any]) -> None:
    plain = decoded(trade(1))
    reported = msgspec.structs.replace(
        plain, **{name: converted(name, value) for name, value in other.items()}
    )
    watch._note_trades([reported, plain])
    assert {address for address, _ in watch.crawl_queue.pairs} == set(plain.users)
    assert watch.crawl_queue.take_changes()["szi"].abs().to_list() == [1.0, 1.0]
    assert watch.state.faults.total == 1


def decoded(reported: dict[str, Any]) -> Trade:
    return decode_recent_trades(msgspec.json.encode([reported]), "here")[0]


def converted(name: str, value: Any) -> Any:
    return {"users": tuple, "sz": float, "px": float}.get(name, lambda plain: plain)(value)


@given(st.lists(st.floats(-1e18, 1e18, allow_nan=False), min_size=1, max_size=6), st.floats(0, 1e18))
def test_whatever_positions_there_are_the_next_reads_are_chosen(
    sizes_held: list[float], value: float
) -> None:
    crawl_queue = CrawlQueue()
    pairs = [(address_of(number), "") for number in range(len(sizes_held) + 3)]
    leaders = pl.DataFrame(
        {
            "address": [address for address, _ in pairs],
            "account_value_usd": value,
            "day_pnl_usd": -value,
            "week_volume_usd": value,
        }
    )
    crawl_queue.add(pairs, leaders)
    for number, szi in enumerate(sizes_held):
        if szi:
            crawl_queue.note_reads(*read(address_of(number), 0, BTC=szi))
    crawl_queue.learn()
    chosen = crawl_queue.next(1000.0, NOON.timestamp() + 7200)
    assert set(pairs[len(sizes_held) :]) <= set(chosen), "who was never read is still read"


@given(st.integers(-(10**9), 10**9), st.integers(0, 40))
def test_a_clock_that_jumps_pays_a_days_funding_at_most_and_none_twice(jump_s: int, hours: int) -> None:
    paid: list[datetime] = []
    marks, book = Marks(WatchState(), lambda markets, new: None, markets=MARKS), LiveBook()
    book.pay_funding = lambda rates, hour: paid.append(hour)  # type: ignore[method-assign]
    marks.paid_until = datetime.fromtimestamp(time.time(), UTC) - timedelta(hours=hours)
    for offset_s in (0.0, float(jump_s), 0.0):
        marks.clock.offset_s = offset_s
        before = len(paid)
        marks.pay_funding(book)
        assert len(paid) - before <= 24
    assert len(set(paid)) == len(paid)
    assert len(paid) >= min(hours, 24) - 1


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=400)])
async def test_what_is_old_enough_to_be_given_up_is_decided_by_the_exchanges_clock(
    watch: Watch, ahead: timedelta
) -> None:
    """However far ahead this machine's clock is: a book of the last week stays."""
    watch.clock.offset_s = -ahead.total_seconds()
    hour = watch.clock.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    names = [stored_book(watch.store, hour + timedelta(minutes=minutes)) for minutes in (10, 20, 200)]
    async with compacting(watch, WatchPlan(watch.base_url, keep=Keep(timedelta(days=7)))):
        await until(lambda: archives(watch.store)[names[1]] is not None)
    assert archives(watch.store).keys() == set(names)


def stored_book(store: Store, at: datetime) -> str:
    reading = Reading(
        id=f"book-{at:%H%M}",
        venue="hyperliquid",
        source="here",
        scope=Scope.BOOK,
        as_of=at,
        accounts=1,
        positions=0,
    )
    accounts = pl.DataFrame({"address": [address_of(1)], "dex": [""], "as_of": [at]})
    store.lake.write_reading(reading, {"accounts": accounts})
    return reading.id


def archives(store: Store) -> dict[str, str | None]:
    """Where each reading lies that is stored."""
    with store.database.session() as session:
        return {one.id: one.archive for one in session.exec(select(Tabled)).all()}


@pytest.mark.parametrize("told_s", [None, 1.7e9, 1.6e9])
def test_a_clock_goes_by_what_is_reported_and_stays_where_nothing_is(told_s: float | None) -> None:
    clock = ExchangeClock(offset_s=5.0)
    clock.set(told_s, time.time())
    assert clock.is_reported == (told_s is not None)
    assert clock.offset_s == (5.0 if told_s is None else pytest.approx(told_s - time.time(), abs=5))


@pytest.mark.parametrize("answer_s", [0.0, 1.5e9, None, 1e10])
def test_an_answer_of_no_time_that_can_be_moves_no_clock(answer_s: float | None) -> None:
    clock = ExchangeClock(offset_s=-60.0)
    clock.note(time.time() + 3 * 86400 if answer_s is None else answer_s)
    assert clock.offset_s == -60.0


@given(st.lists(st.sampled_from([None, 1.0, 2.0]), min_size=3, max_size=3))
def test_a_coin_without_a_mark_keeps_its_last_one_with_its_age(marks: list[float | None]) -> None:
    coins = ["BTC", "ETH", "SOL"]
    earlier, later = NOON, NOON + timedelta(minutes=1)
    last, fresh = (
        conform(
            pl.DataFrame(
                {"dex": "", "coin": coins, "mark_px": prices, "as_of": at, "funding_rate": 0.0},
                schema_overrides={"mark_px": pl.Float64()},
            ),
            MARKETS,
        )
        for prices, at in (([7.0, 7.0, None], earlier), (marks, later))
    )
    reported = {row["coin"]: (row["mark_px"], row["as_of"]) for row in carried_on(last, fresh).to_dicts()}
    assert sorted(reported) == coins
    for coin, mark, known in zip(coins, marks, [7.0, 7.0, None], strict=True):
        assert reported[coin] == ((mark, later) if mark is not None or known is None else (known, earlier))
    assert [row.coin for row in market_rows(fresh)] == [
        coin for coin, mark in zip(coins, marks, strict=True) if mark is not None
    ]


def test_null_marks_leave_positions_where_they_are() -> None:
    book = LiveBook()
    book.lay_over(*read(address_of(1), 0, BTC=1.0, ETH=5.0))
    book.remark(MARKS.with_columns(mark_px=pl.when(coin="ETH").then(12.0)))
    assert dict(book.positions.select("coin", "mark_px").iter_rows()) == {"BTC": 100.0, "ETH": 12.0}


def test_an_older_reading_changes_nothing() -> None:
    book = LiveBook()
    book.lay_over(*read(address_of(1), 5, BTC=1.0))
    book.lay_over(*read(address_of(1), 4, BTC=9.0))
    assert book.positions["szi"].to_list() == [1.0]
    assert conform(book.positions, POSITIONS).height == 1


async def test_trades_that_could_not_be_taken_leave_everyone_in_doubt(watch: Watch) -> None:
    watch.crawl_queue.note_reads(*read(address_of(1), 0, BTC=1.0))
    watch.crawl_queue.note_trades = broken  # type: ignore[method-assign]
    watch._note_trades([decoded(trade(1))])
    assert (~np.isnan(watch.crawl_queue.sizes.dirty_since_s)).all()


def test_a_start_without_history_has_missed_nothing_and_one_with_it_has(watch: Watch) -> None:
    watch._note_gap(Gap(None))
    assert not watch.crawl_queue.pairs
    watch.crawl_queue.note_reads(*read(address_of(1), 0, BTC=1.0))
    watch._note_gap(Gap(None))
    assert (~np.isnan(watch.crawl_queue.sizes.dirty_since_s)).all()


def test_what_waits_for_a_database_is_bounded_by_the_accounts_there_are(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liqtruth.indexer.watch.keeper.MOST_WAITING", 10)
    for _ in range(50):
        watch.keeper.read([reading(number, btc(1.0, None)) for number in range(4)])
        watch.keeper.marked(MARKS)
    assert watch.keeper.waiting <= 10 + 4
    assert sum(one.height for one in watch.keeper._markets) <= 10


async def test_marks_that_the_database_refuses_are_let_go_and_readings_stored_all_the_same(
    watch: Watch,
) -> None:
    def refused(*_: object) -> None:
        raise LiqtruthError("no")

    watch.keeper.read([reading(1, btc(1.0, None))])
    watch.keeper.marked(conform(MARKS, MARKETS))
    watch.keeper._write_markets = refused  # type: ignore[method-assign]
    with pytest.raises(LiqtruthError):
        await watch.keeper.store_read()
    assert (watch.keeper.waiting, watch.keeper._markets) == (0, [])
    assert watch.keeper.parts.accounts()["address"].to_list() == [address_of(1)]


@given(st.lists(st.text(max_size=40), max_size=100))
def test_faults_are_counted_in_bounded_memory(kinds: list[str]) -> None:
    state = WatchState()
    for kind in kinds:
        state.note_fault(kind, ValueError("x" * 1_000))
    assert state.faults.total == len(kinds)
    assert len(msgspec.json.encode(state)) < 64_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"as_of":"2026-01-01T00:00:00"}',
        b'{"reads":1e400}',
        b"null",
    ],
)
def test_a_state_that_is_none_is_none(store: Store, content: bytes) -> None:
    write_state(store, WatchState())
    Path(store.settings.data_dir / "watch.json").write_bytes(content)
    assert read_state(store) is None
