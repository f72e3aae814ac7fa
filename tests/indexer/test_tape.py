"""The tape tells each trade once, whatever the connection does, and says where some may be missing."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tape_server import NOW_MS, TapeServer, serving_tape, trade

from liqtruth.indexer.info.wire import Trade, decode_recent_trades
from liqtruth.indexer.watch.tape import Gap, Seen, Tape

COINS = ["BTC", "ETH", "xyz:TSLA"]


def reported(*trades: dict[str, Any]) -> str:
    return msgspec.json.encode({"channel": "trades", "data": trades}).decode()


async def listened(
    server: TapeServer, until: Callable[[Tape], bool], **options: float
) -> tuple[Tape, list[int], list[Gap]]:
    """The tape, tids and gaps that it reported by the time `until` holds."""
    tids: list[int] = []
    gaps: list[Gap] = []
    settings = {"heartbeat_s": 0.05, "silence_s": 0.2, "first_wait_s": 0.01, **options}
    tape = Tape(
        server.base_url, COINS, lambda new: tids.extend(one.tid for one in new), gaps.append, **settings
    )
    task = asyncio.create_task(tape.run())
    async with asyncio.timeout(300):
        while not until(tape):
            await asyncio.sleep(0.01)
            if task.done():
                task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return tape, tids, gaps


async def test_every_coin_is_subscribed_and_every_trade_passed_on() -> None:
    with serving_tape(TapeServer([[[trade(1), trade(2)], [trade(3, "ETH")]]])) as server:
        tape, tids, gaps = await listened(server, lambda tape: tape.stats.trades == 3)
        await asyncio.sleep(0)
        assert server.subscribed[0] == set(COINS)
    assert tids == [1, 2, 3]
    assert tape.stats.last_trade_ms == NOW_MS + 3000
    assert gaps == [Gap(None)], "before the first connection nothing is known"


async def test_duplicates_and_late_trades_are_passed_on_once_each() -> None:
    plan = [[[trade(5)], [trade(5), trade(3)], [trade(3), trade(4)]]]
    with serving_tape(TapeServer(plan)) as server:
        tape, tids, _ = await listened(server, lambda tape: tape.stats.messages >= 3)
    assert sorted(tids) == [3, 4, 5]
    assert tape.stats.duplicates == 2
    assert tape.stats.last_trade_ms == NOW_MS + 5000, "the latest by its own time, not the last to arrive"


async def test_a_dropped_connection_is_made_again_and_reported_as_a_gap() -> None:
    plan = [[[trade(1)]], [[trade(1), trade(2)]], [[trade(3)]]]
    with serving_tape(TapeServer(plan, then="drop")) as server:
        tape, tids, gaps = await listened(server, lambda tape: tape.stats.trades == 3)
        assert [coins == set(COINS) for coins in server.subscribed[:2]] == [True, True]
    assert tids == [1, 2, 3]
    assert gaps == [Gap(None), Gap(NOW_MS + 1000), Gap(NOW_MS + 2000)]
    assert (tape.stats.connects, tape.stats.gaps, tape.stats.duplicates) == (3, 2, 1)


async def test_a_connection_that_dies_silently_is_left() -> None:
    """The socket stays open, but not even pings are answered any more."""
    with serving_tape(TapeServer([[[trade(1)]], [[trade(2)]]], then="die")) as server:
        tape, tids, _ = await listened(server, lambda tape: tape.stats.trades == 2)
    assert tids == [1, 2]
    assert tape.stats.connects == 2
    assert "nothing came for 0.2 s" in tape.stats.last_error


async def test_a_quiet_market_is_no_dead_connection() -> None:
    with serving_tape(TapeServer([[[trade(1)]]])) as server:
        tape, _, _ = await listened(server, lambda tape: tape.stats.messages > 15, silence_s=60.0)
    assert tape.stats.connects == 1


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "",
        "[]",
        "null",
        "[" * 200_000,
        '{"channel":"trades","data":' + "[" * 200_000,
        b'{"channel":"trades","data":"\xff\xfe"}',
        b"\xff" * 50,
        '{"channel":"trades","data":[{"coin":"BTC"}]}',
        '{"channel":"trades","data":7}',
        '{"channel":"trades","data":null}',
        '{"channel":7}',
        *(
            reported(trade(9, **bad))
            for bad in (
                {"px": "7" * 400},
                {"px": "-1"},
                {"sz": "1e308"},
                {"tid": 10**30},
                {"users": []},
                {"users": None},
                {"side": "C"},
                {"time": 9_999_999_999_000},
                {"time": 86_400_000},
                {"time": 10**30},
                {"coin": "nosuchdex:BTC"},
                {"coin": ".."},
                {"coin": ""},
            )
        ),
    ],
    ids=lambda broken: str(broken)[-70:],
)
async def test_a_malformed_message_is_counted_and_passed_over(broken: str | bytes) -> None:
    with serving_tape(TapeServer([[broken, broken, [trade(1)]]])) as server:
        tape, tids, _ = await listened(server, lambda tape: tape.stats.trades == 1)
    assert tids == [1]
    assert tape.stats.malformed == 2
    assert list(tape.stats.left_out.counts.values()) == [2], "one kind, of which the first is named"
    assert tape.stats.connects == 1


async def test_a_bad_trade_voids_no_other_of_its_message() -> None:
    batch = [
        trade(1),
        trade(2, px="x"),
        trade(3, time=9_999_999_999_000),
        trade(4, coin="nosuch:X"),
        trade(5),
    ]
    with serving_tape(TapeServer([[batch]])) as server:
        tape, tids, _ = await listened(server, lambda tape: tape.stats.trades == 2)
    assert tids == [1, 5]
    assert tape.stats.malformed == 3
    assert tape.stats.last_trade_ms == NOW_MS + 5000, "a trade of the year 2286 is not the latest"


async def test_each_kind_is_logged_once() -> None:
    plan = [["{", "[", *[[trade(9, coin="nosuch:X")]] * 5, [trade(1)]]]
    with structlog.testing.capture_logs() as logged, serving_tape(TapeServer(plan)) as server:
        tape, _, _ = await listened(server, lambda tape: tape.stats.trades == 1)
    message = [entry["kind"] for entry in logged if entry["event"] == "left out"]
    assert len(message) == len(set(message)) == 2
    assert tape.stats.malformed == 7


@pytest.mark.parametrize(
    "answer",
    [
        *(
            lambda status=status: web.Response(status=status, headers={"Location": "http://127.0.0.2:9/else"})
            for status in (301, 302, 303, 307, 308)
        ),
        lambda: web.Response(status=307, headers={"Location": "ftp://else"}),
        lambda: web.Response(status=302, headers={"Location": "::::"}),
        lambda: web.Response(status=200, text="<html>busy</html>"),
        lambda: web.Response(status=429, headers={"Retry-After": "1e30"}),
        lambda: web.Response(status=503, headers={"Retry-After": "2,5"}),
        lambda: web.Response(status=403),
    ],
)
async def test_a_handshake_that_is_turned_away_is_tried_again_at_the_same_place(
    answer: Callable[[], web.Response],
) -> None:
    server = TapeServer([[[trade(1)]]], turns_away=[answer(), answer()])
    with serving_tape(server):
        tape, tids, _ = await listened(server, lambda tape: tape.stats.trades == 1)
    assert tids == [1]
    assert server.turned_away == 2
    assert tape.stats.last_error


async def test_any_bytes_at_all_are_passed_over() -> None:
    @given(st.binary(max_size=300))
    def taken(raw: bytes) -> None:
        tape = Tape("http://127.0.0.1:9", COINS, lambda new: None, lambda gap: None)
        for content in (raw, b'{"channel":"trades","data":' + raw + b"}"):
            tape._take(content)
        assert tape.stats.trades == 0

    await asyncio.to_thread(taken)


async def test_a_host_that_comes_back_is_found_again() -> None:
    with serving_tape(TapeServer([[[trade(1)]]])) as server:
        url = server.base_url
    tape = Tape(url, COINS, lambda new: None, lambda gap: None, first_wait_s=0.01)
    task = asyncio.create_task(tape.run())
    async with asyncio.timeout(300):
        while not tape.stats.last_error:  # noqa: ASYNC110 - the tape knows nothing of events
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def nth(number: int) -> Trade:
    return decode_recent_trades(msgspec.json.encode([trade(number)]), "here")[0]


@given(st.lists(st.integers(0, 60), max_size=200))
def test_memory_is_bounded_and_finds_every_repetition_within_its_reach(numbers: list[int]) -> None:
    seen, met = Seen(remembered=20), list[int]()
    for number in numbers:
        fresh = seen.is_new(nth(number))
        if number in met[-20:]:
            assert not fresh
        if number not in met:
            assert fresh
        if fresh:
            met.append(number)
        assert len(seen.newer) + len(seen.older) <= 40
