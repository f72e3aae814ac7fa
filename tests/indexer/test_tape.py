"""The tape tells each trade once, whatever the connection does, and says where some may be missing."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tape_server import NOW_MS, TapeServer, serving_tape, trade

from indexer.tape import Gap, Seen, Tape
from indexer.wire import Trade, decode_recent_trades

COINS = ["BTC", "ETH", "xyz:TSLA"]


async def listened(
    server: TapeServer, until: Callable[[Tape], bool], **options: float
) -> tuple[Tape, list[int], list[Gap]]:
    """The tape, tids and gaps that it told by the time `until` holds."""
    tids: list[int] = []
    gaps: list[Gap] = []
    settings = {"heartbeat_s": 0.05, "silence_s": 0.2, "first_wait_s": 0.01, **options}
    tape = Tape(
        server.base_url, COINS, lambda new: tids.extend(one.tid for one in new), gaps.append, **settings
    )
    task = asyncio.create_task(tape.run())
    async with asyncio.timeout(10):
        while not until(tape):
            await asyncio.sleep(0.01)
            if task.done():
                task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return tape, tids, gaps


async def test_every_coin_is_subscribed_and_every_trade_told() -> None:
    with serving_tape(TapeServer([[[trade(1), trade(2)], [trade(3, "ETH")]]])) as server:
        tape, tids, gaps = await listened(server, lambda tape: tape.stats.trades == 3)
        await asyncio.sleep(0)
        assert server.subscribed[0] == set(COINS)
    assert tids == [1, 2, 3]
    assert tape.stats.last_trade_ms == NOW_MS + 3000
    assert gaps == [Gap(None)], "before the first connection nothing is known"


async def test_duplicates_and_late_trades_are_told_once_each() -> None:
    plan = [[[trade(5)], [trade(5), trade(3)], [trade(3), trade(4)]]]
    with serving_tape(TapeServer(plan)) as server:
        tape, tids, _ = await listened(server, lambda tape: tape.stats.messages >= 3)
    assert sorted(tids) == [3, 4, 5]
    assert tape.stats.duplicates == 2
    assert tape.stats.last_trade_ms == NOW_MS + 5000, "the latest by its own time, not the last to arrive"


async def test_a_dropped_connection_is_made_again_and_told_as_a_gap() -> None:
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
        tape, _, _ = await listened(server, lambda tape: tape.stats.messages > 15)
    assert tape.stats.connects == 1


@pytest.mark.parametrize(
    "broken",
    ["{", '{"channel":"trades","data":[{"coin":"BTC"}]}', '{"channel":"trades","data":7}', "[]"],
)
async def test_a_malformed_message_is_counted_and_passed_over(broken: str) -> None:
    with serving_tape(TapeServer([[broken, [trade(1)]]])) as server:
        tape, tids, _ = await listened(server, lambda tape: tape.stats.trades == 1)
    assert tids == [1]
    assert tape.stats.malformed == 1
    assert tape.stats.connects == 1


async def test_a_host_that_comes_back_is_found_again() -> None:
    with serving_tape(TapeServer([[[trade(1)]]])) as server:
        url = server.base_url
    tape = Tape(url, COINS, lambda new: None, lambda gap: None, first_wait_s=0.01)
    task = asyncio.create_task(tape.run())
    await asyncio.sleep(0.2)
    assert not task.done()
    assert tape.stats.last_error
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def told(number: int) -> Trade:
    import msgspec

    return decode_recent_trades(msgspec.json.encode([trade(number)]), "here")[0]


@given(st.lists(st.integers(0, 60), max_size=200))
def test_memory_is_bounded_and_tells_every_repetition_within_its_reach(numbers: list[int]) -> None:
    seen, met = Seen(remembered=20), list[int]()
    for number in numbers:
        fresh = seen.is_new(told(number))
        if number in met[-20:]:
            assert not fresh
        if number not in met:
            assert fresh
        if fresh:
            met.append(number)
        assert len(seen.newer) + len(seen.older) <= 40
