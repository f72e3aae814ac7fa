"""Any number of processes on one data directory spend one budget: the exchange refuses none of them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqtruth.indexer.info.budget import Budget
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses

ROOT = Path(__file__).parents[2]
MINUTE_S = 4.0
LIMIT = 400
PROCESSES = 5

SWEEP = """
import asyncio, sys
from pathlib import Path
import liqtruth.indexer.info.budget
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.storage.store import Settings
from liqtruth.storage.store import Store
liqtruth.indexer.info.budget.WINDOW_S = float(sys.argv[3])
store = Store.open(Settings(data_dir=Path(sys.argv[1])))
print("open", flush=True)
sys.stdin.readline()
report = asyncio.run(sweep(store, sys.argv[5:], base_url=sys.argv[2], weight_per_minute=float(sys.argv[4]),
                           on_progress=lambda done: print(done, flush=True)))
assert report.too_many_requests == 0 and not report.failed, report
"""


@pytest.fixture
def limited(small_market: Market, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """An exchange whose minute is four seconds."""
    monkeypatch.setattr("liqtruth.sandbox.hyperliquid.info.WINDOW_S", MINUTE_S)
    with serving_in_thread(small_market, weight_per_minute=LIMIT) as server:
        yield server


def begun(data_dir: Path, server: SandboxServer, listed: list[str]) -> "subprocess.Popen[str]":
    """A sweep that waits to be let go, its store open."""
    words = [str(data_dir), server.base_url, str(MINUTE_S), str(0.8 * LIMIT), *listed]
    child = subprocess.Popen(
        [sys.executable, "-c", SWEEP, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    return child


def let_go(*children: "subprocess.Popen[str]") -> None:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()


def test_sweeps_started_at_once_meet_no_429_and_a_killed_one_holds_up_none(
    tmp_path: Path, limited: SandboxServer
) -> None:
    everyone = addresses(limited.market)
    slices = [everyone[40 * number : 40 * (number + 1)] for number in range(PROCESSES + 1)]
    children = [begun(tmp_path / "data", limited, one) for one in slices]
    let_go(*children)
    victim = children.pop()
    assert victim.stdout is not None
    victim.stdout.readline()
    victim.kill()
    for child in (victim, *children):
        child.communicate(timeout=300)
    assert [child.returncode for child in children] == [0] * PROCESSES
    assert limited.count_429 == 0
    assert limited.weight_spent > LIMIT, "more than one minute's worth was asked for"


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
    held = [max(pace.blocked_s() for pace in budget._paces) for budget in (first, same, other, alone)]
    assert [one > 50 for one in held] == [True, True, False, False]
