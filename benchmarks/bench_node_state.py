"""A node's state of 200,000 accounts: the streaming reader beside decoding the whole document and looping over it."""

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.node.state import read_state
from liqtruth.sandbox.hyperliquid.node_state import write_synthetic_state

ACCOUNTS, HOLDERS, POSITIONS = 200_000, 6_000, 25_000
GROUP = f"node state of {ACCOUNTS:,} accounts"


@pytest.fixture(scope="module")
def state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The full layout at a tenth of the real number of accounts, books included."""
    path = tmp_path_factory.mktemp("node") / "state.rmp"
    write_synthetic_state(path, ACCOUNTS, HOLDERS, POSITIONS, resting_orders=600_000)
    return path


def open_sizes(document: Any) -> dict[tuple[str, str], float]:
    """(address, coin) to signed size: the loop that others run over the decoded document."""
    out = {}
    for dex in document["exchange"]["locus"]["cls"]:
        universe = dex["meta"]["universe"]
        for address, account in dex["user_states"]["user_to_state"]:
            for asset, position in account["p"]["p"]:
                listed = universe[asset % 10_000]
                out["0x" + address.hex(), listed["name"]] = position["s"] / 10 ** listed["szDecimals"]
    return out


@pytest.mark.benchmark(group=GROUP)
def test_stream(benchmark: BenchmarkFixture, state_file: Path) -> None:
    """Sizes, margins and solved prices; the loop below has sizes only."""
    state = benchmark.pedantic(lambda: read_state(state_file), rounds=5, warmup_rounds=1)
    sizes = {(a, c): szi for a, c, szi in state.positions.select("address", "coin", "szi").iter_rows()}
    assert sizes == open_sizes(msgpack.unpackb(state_file.read_bytes(), strict_map_key=False))


@pytest.mark.benchmark(group=GROUP)
def test_decode_whole(benchmark: BenchmarkFixture, state_file: Path) -> None:
    sizes = benchmark.pedantic(
        lambda: open_sizes(msgpack.unpackb(state_file.read_bytes(), strict_map_key=False)), rounds=3
    )
    assert len(sizes) == POSITIONS


@pytest.mark.benchmark(group=GROUP)
def test_floor_of_one_pass(benchmark: BenchmarkFixture, state_file: Path) -> None:
    """Over the bytes of the file."""
    assert benchmark(lambda: np.fromfile(state_file, np.uint8).max()) > 0
