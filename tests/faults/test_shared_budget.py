"""Any number of processes on one data directory spend one budget: the exchange refuses none of them."""

import asyncio
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from writers import coin_when_let_go, started, sweep_when_let_go

from liqtruth.indexer.info.budget import Budget
from liqtruth.sandbox.exchange import EVM_PER_MINUTE
from liqtruth.sandbox.hyperliquid.info import WeightBudget
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses
from tests import virtual_clock

MINUTE_S = 4.0
LIMIT = 400
PROCESSES = 5
SHARE = 28
"""Accounts of each."""


@pytest.fixture
def limited(small_market: Market, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """An exchange whose minute is four seconds."""
    monkeypatch.setattr("liqtruth.sandbox.hyperliquid.info.WINDOW_S", MINUTE_S)
    with serving_in_thread(small_market, weight_per_minute=LIMIT) as server:
        yield server


def begun(data_dir: Path, server: SandboxServer, listed: list[str]) -> tuple[BaseProcess, Connection]:
    """A sweep that waits to be let go, its store open."""
    ours, theirs = Pipe()
    child = started(sweep_when_let_go, data_dir, server.base_url, MINUTE_S, 0.8 * LIMIT, listed, theirs)
    assert ours.recv() == "open"
    return child, ours


def test_sweeps_started_at_once_meet_no_429_and_a_killed_one_holds_up_none(
    tmp_path: Path, limited: SandboxServer
) -> None:
    everyone = addresses(limited.market)
    slices = [everyone[SHARE * number : SHARE * (number + 1)] for number in range(PROCESSES + 1)]
    begun_ones = [begun(tmp_path / "data", limited, one) for one in slices]
    for _, line in begun_ones:
        line.send("go")
    victim, line = begun_ones.pop()
    line.recv()
    victim.kill()
    for child in (victim, *(one for one, _ in begun_ones)):
        child.join(300)
    assert [child.exitcode for child, _ in begun_ones] == [0] * PROCESSES
    assert limited.count_429 == 0
    assert limited.weight_spent > LIMIT, "more than one minute's worth was asked for"


def test_three_processes_meet_no_429_on_either_budget(tmp_path: Path, limited: SandboxServer) -> None:
    """Everyone's position and size through HyperEVM, six reads a request, and accounts by the info endpoint. The limits
    are the exchange's own, and requests are on their way for up to an eighth of a minute."""
    limited.evm_node.gas_cap = 140_000
    limited.faults.delay_spread_s = MINUTE_S / 8
    lines = []
    for _ in range(3):
        ours, theirs = Pipe()
        limits = (LIMIT, EVM_PER_MINUTE)
        child = started(coin_when_let_go, tmp_path / "data", limited.base_url, MINUTE_S, limits, theirs)
        assert ours.recv() == "open"
        lines.append((child, ours))
    for _, line in lines:
        line.send(addresses(limited.market)[:60])
    for child, _ in lines:
        child.join(300)
    assert [child.exitcode for child, _ in lines] == [0, 0, 0]
    assert limited.count_429 == 0
    assert limited.requests["/evm"] > EVM_PER_MINUTE, "more than one minute's worth was asked for"
    assert limited.weight_spent > LIMIT


@pytest.mark.parametrize(("late_s", "least"), [(0.2, 0.97), (20.0, 0.5)])
def test_three_at_the_whole_limit_meet_no_429_however_late_requests_arrive(
    tmp_path: Path, late_s: float, least: float
) -> None:
    """Four minutes of a clock that counts no processor time; the server is the sandbox's, which counts at arrival."""
    server, draw, minutes = WeightBudget(EVM_PER_MINUTE), np.random.default_rng(0), 4
    refused = 0

    async def ask(budget: Budget, free: asyncio.Semaphore) -> None:
        nonlocal refused
        async with free, budget.spend(1):
            await asyncio.sleep(late_s * draw.random())
            refused += not server.spend(1, asyncio.get_running_loop().time())
            await asyncio.sleep(late_s * draw.random())

    async def run() -> None:
        one, *others = [
            Budget.shared(EVM_PER_MINUTE, "http://127.0.0.1:1", tmp_path, "evm") for _ in range(3)
        ]
        async with asyncio.timeout(60 * minutes), asyncio.TaskGroup() as group:
            for budget in (one, *others):
                free = asyncio.Semaphore(30)
                for _ in range(minutes * EVM_PER_MINUTE):
                    group.create_task(ask(budget, free))

    with pytest.raises(TimeoutError):
        virtual_clock.run(run())
    assert refused == 0
    assert least * minutes * EVM_PER_MINUTE <= server.spent_total <= minutes * EVM_PER_MINUTE


async def test_different_hosts_have_budgets_of_their_own(tmp_path: Path) -> None:
    first, same, other, unlimited, alone = (
        Budget.shared(weight, url, directory)
        for weight, url, directory in (
            (960, "http://127.0.0.1:1", tmp_path),
            (960, "http://127.0.0.1:1/with/a/path", tmp_path),
            (960, "http://127.0.0.1:2", tmp_path),
            (0, "http://127.0.0.1:3", tmp_path),
            (960, "http://127.0.0.1:4", tmp_path / "absent"),
        )
    )
    for budget in (first, same, other, unlimited, alone):
        async with budget.spend(2):
            pass
    assert sorted(path.name for path in (tmp_path / "pace").iterdir()) == ["127.0.0.1_1", "127.0.0.1_2"]
    assert not (tmp_path / "absent").exists()
    first.hold(60.0)
    holdings = [max(pace.blocked_s() for pace in budget._paces) for budget in (first, same, other, alone)]
    assert [one > 50 for one in holdings] == [True, True, False, False]
