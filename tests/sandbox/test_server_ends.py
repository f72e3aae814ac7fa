"""A served exchange leaves no connection behind, whatever its clients do."""

import asyncio
import gc
import socket
import warnings
from contextlib import ExitStack

import pytest

from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import serving


@pytest.mark.parametrize("turns", range(6))
def test_clients_that_come_while_the_server_ends_are_let_go(market: Market, turns: int) -> None:
    async def come_late(clients: ExitStack) -> None:
        async with serving(market) as server:
            for _ in range(20):
                client = clients.enter_context(socket.socket())
                client.connect((server.host, server.port))
            for _ in range(turns):
                await asyncio.sleep(0)

    with warnings.catch_warnings(record=True) as caught, ExitStack() as clients:
        warnings.simplefilter("always")
        asyncio.run(come_late(clients))
        gc.collect()
    assert [str(one.message) for one in caught if "unclosed" in str(one.message)] == []
