"""Answers of many accounts through the file door: from one file of JSON lines, and from a folder of files."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.files.imports import import_paths
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint
from liqtruth.sandbox.market.market import MarketSpec, simulate
from liqtruth.storage.store import Settings, Store

ACCOUNTS: Final = 20_000
FILES: Final = 10_000


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`many.jsonl`, and `folder` with a file an account; the states of a synthetic market, over and over."""
    folder = tmp_path_factory.mktemp("saved")
    market = simulate(MarketSpec(seed=5, accounts=600, days=5, cex_accounts=500))
    endpoint = InfoEndpoint(market)
    states = [endpoint.answer({"type": "clearinghouseState", "user": user}) for user in market.addresses]
    (folder / "folder").mkdir()
    with (folder / "many.jsonl").open("w") as lines:
        for number in range(ACCOUNTS):
            state: Any = states[number % len(states)]
            address = f"0x{number + 1:040x}"
            lines.write(json.dumps({"user": address, "clearinghouseState": state}) + "\n")
            if number < FILES:
                (folder / "folder" / f"{address}.json").write_text(json.dumps(state))
    return folder


@pytest.mark.parametrize(("name", "accounts"), [("many.jsonl", ACCOUNTS), ("folder", FILES)])
def test_import(benchmark: BenchmarkFixture, saved: Path, tmp_path: Path, name: str, accounts: int) -> None:
    with Store.open(Settings(data_dir=tmp_path)) as store:
        summaries = benchmark.pedantic(import_paths, (store, [saved / name]), rounds=3)
    assert summaries[0].accounts == accounts
    benchmark.extra_info["accounts per second"] = round(accounts / benchmark.stats["min"])
