"""Marks of a watch, pushed on the tape's connection at no weight, over real sockets; and what they are when they are
not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import polars as pl
import pytest

from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.positions.watch_state import WatchState
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.indexer.watch.marks import LISTED_S, Marks
from liqtruth.indexer.watch.tape import Tape
from liqtruth.sandbox.market.market import MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from tests.markets import market_of

DEXES = ("", "xyz")
CLOCK_WEIGHT = 2
ASKED_WEIGHT = CLOCK_WEIGHT + 20 * len(DEXES)


@pytest.fixture
def live() -> Iterator[SandboxServer]:
    market = market_of(MarketSpec(seed=9, accounts=80, days=2, cex_accounts=20, live_hours=6))
    with serving_in_thread(market, weight_per_minute=None) as running:
        yield running


@pytest.fixture
async def client(live: SandboxServer) -> AsyncIterator[InfoClient]:
    async with InfoClient(live.base_url, Budget(None), patience=Patience(attempts=2)) as one:
        yield one


@pytest.fixture
async def marks(client: InfoClient) -> Marks:
    """As at the start of a watch: every dex was asked once."""
    marks = Marks(WatchState(), lambda markets, new: None)
    await marks.read(client, DEXES, LiveBook())
    assert (marks.state.marks_pushed, marks.state.marks_asked) == (0, len(DEXES))
    return marks


@asynccontextmanager
async def pushing(server: SandboxServer, marks: Marks) -> AsyncIterator[None]:
    """The exchange has pushed contexts to a tape, which goes on listening."""
    came = asyncio.Event()

    def take(raw: bytes) -> None:
        marks.note_pushed(raw)
        came.set()

    tape = Tape(server.base_url, marks.coins, lambda trades: None, lambda gap: None, on_contexts=take)
    listening = asyncio.create_task(tape.run())
    try:
        await asyncio.wait_for(came.wait(), 60)
        yield
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def spent(client: InfoClient, marks: Marks) -> int:
    """Weight of taking marks once."""
    before = client.budget.spent
    await marks.read(client, DEXES, LiveBook())
    return client.budget.spent - before


def prices(marks: Marks) -> pl.DataFrame:
    return marks.markets.select("dex", "coin", "mark_px", "open_interest", "funding_rate", "margin_table_id")


async def test_pushed_marks_are_those_that_would_be_asked_for_and_cost_nothing(
    live: SandboxServer, client: InfoClient, marks: Marks
) -> None:
    asked = prices(marks)
    async with pushing(live, marks):
        assert await spent(client, marks) == CLOCK_WEIGHT
    assert (marks.state.marks_pushed, marks.state.marks_from) == (len(DEXES), "pushed")
    assert prices(marks).sort("coin").equals(asked.sort("coin"))


async def test_where_nothing_new_was_pushed_the_exchange_is_asked(
    live: SandboxServer, client: InfoClient, marks: Marks
) -> None:
    async with pushing(live, marks):
        await spent(client, marks)
        assert await spent(client, marks) == ASKED_WEIGHT
    assert marks.state.marks_from == "asked for"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"ctxs":[["",[]],["xyz",[{},{}]]]}',
        b'{"ctxs":[["another",[]]]}',
        b'{"ctxs":7}',
        b"{",
        b"\xff",
    ],
)
async def test_contexts_that_are_not_of_the_listed_coins_are_asked_for(
    client: InfoClient, marks: Marks, raw: bytes
) -> None:
    marks.note_pushed(raw)
    assert await spent(client, marks) == ASKED_WEIGHT
    assert marks.state.marks_pushed == 0


async def test_what_is_listed_is_asked_for_again_after_an_hour(
    live: SandboxServer, client: InfoClient, marks: Marks
) -> None:
    marks._listed[""] = (marks._listed[""][0], marks._listed[""][1] - LISTED_S - 1)
    async with pushing(live, marks):
        assert await spent(client, marks) == CLOCK_WEIGHT + 20
    assert marks.state.marks_pushed == len(DEXES) - 1
