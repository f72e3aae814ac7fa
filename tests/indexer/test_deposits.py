"""Addresses grow by who deposits from HyperEVM, by whom they refer, and by files; who has no account is left out."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.discovery.address_book import remember
from liqtruth.indexer.discovery.address_lists import read_addresses
from liqtruth.indexer.discovery.find import find
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.discovery.on_chain import deposits, with_accounts
from liqtruth.indexer.discovery.sources import Found, listed, referrals
from liqtruth.indexer.evm import deposits as of_evm
from liqtruth.indexer.evm.deposits import MOST_BEHIND, Deposits
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.sandbox.hyperliquid import deposits as of_sandbox
from liqtruth.sandbox.hyperliquid.deposits import DepositLogs
from liqtruth.sandbox.hyperliquid.evm import EvmNode
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Store
from tests.conftest import Run

QUICK = Patience(attempts=4, total_s=5.0, first_wait_s=0.01, pause_s=0.01)
NOBODY = "0x" + "ab" * 20
HYPERCORE_BLOCKS = 10
"""In one of HyperEVM."""


@pytest.fixture(autouse=True)
def node(served: SandboxServer) -> Iterator[EvmNode]:
    yield served.evm_node
    vars(served.evm_node).update(vars(EvmNode()))


def look(store: Store, served: SandboxServer, since: Deposits) -> Found:
    return asyncio.run(deposits(store, EvmEndpoint(served.evm_url, None, patience=QUICK), since))


def depositors(served: SandboxServer, first: int, last: int) -> set[str]:
    """By the sandbox's own account of those blocks: whoever sent something to HyperCore and has an account there."""
    logs = DepositLogs.of(served.market)
    into = {of_sandbox.RECEIVED, of_sandbox.RAW_ACTION}
    wallets = (of_sandbox.USDC_WALLET, *(f"0x20{token:038x}" for token in of_sandbox.TOKENS))
    targets = {"0x" + wallet[2:].rjust(64, "0") for wallet in wallets}
    found = set()
    for block in range(first, last + 1):
        for log in logs.of_block(block):
            kind, user, *to = log["topics"]
            if kind in into or (to and to[0] in targets):
                found.add("0x" + user[-40:])
    return found & set(served.market.addresses)


def test_everyone_who_deposited_in_the_last_blocks_and_has_an_account_is_found(
    store: Store, served: SandboxServer
) -> None:
    """The node refuses more than fifty blocks and more than four topics a request."""
    latest = served._evm.block // HYPERCORE_BLOCKS
    found = look(store, served, Deposits(back=119))
    assert set(found.addresses) == depositors(served, latest - 119, latest) != set()
    assert found.absent > 0
    assert found.problems == ()


def test_each_look_goes_on_where_the_last_one_ended(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    latest, since = served._evm.block // HYPERCORE_BLOCKS, Deposits()
    node.lag_blocks = 60 * HYPERCORE_BLOCKS
    first = look(store, served, since)
    node.lag_blocks = 0
    second = look(store, served, since)
    assert set(first.addresses) == depositors(served, latest - 60 - 49, latest - 60)
    new = depositors(served, latest - 59, latest)
    assert new <= set(second.addresses) <= new | depositors(served, latest - 60 - of_evm.AGAIN, latest)


def test_a_node_that_falls_behind_has_nothing_new_and_nothing_is_skipped_after(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    latest, since = served._evm.block // HYPERCORE_BLOCKS, Deposits()
    node.lag_blocks = 30 * HYPERCORE_BLOCKS
    look(store, served, since)
    node.lag_blocks = 90 * HYPERCORE_BLOCKS
    assert look(store, served, since).addresses == ()
    node.lag_blocks = 0
    assert depositors(served, latest - 29, latest) <= set(look(store, served, since).addresses)


def test_logs_of_a_block_that_the_chain_gave_up_are_no_deposits(
    store: Store, served: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = DepositLogs.of_block
    monkeypatch.setattr(
        DepositLogs, "of_block", lambda logs, block: [{**one, "removed": True} for one in whole(logs, block)]
    )
    assert look(store, served, Deposits()).addresses == ()


def test_blocks_that_are_too_old_are_counted_as_missed(
    store: Store, served: SandboxServer, node: EvmNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_evm, "MOST_BEHIND", 40)
    since = Deposits()
    node.lag_blocks = 100 * HYPERCORE_BLOCKS
    look(store, served, since)
    node.lag_blocks = 0
    [problem] = look(store, served, since).problems
    assert problem.startswith("60 ")
    assert MOST_BEHIND > 40


def test_referrals_are_followed_up_and_down_as_far_as_is_asked(served: SandboxServer) -> None:
    directory = served._info.directory
    names = served.market.addresses
    child, referrer = next(iter(directory._referrers.items()))
    theirs = {names[one] for one, by in directory._referrers.items() if by == referrer}

    async def run(most: int) -> Found:
        async with InfoClient(served.base_url, Budget(None)) as info:
            return await referrals(info, [names[child]], most)

    once, twice = asyncio.run(run(1)), asyncio.run(run(2))
    assert names[referrer] in once.addresses
    assert (once.requests, once.weight) == (1, 20)
    assert theirs <= set(twice.addresses)
    assert twice.requests == 2


def test_addresses_of_a_file_that_have_no_account_are_left_out_and_counted(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    path = tmp_path / "some.txt"
    path.write_text("\n".join([*served.market.addresses[:3], NOBODY]))
    evm = EvmEndpoint(served.evm_url, None, patience=QUICK)

    async def run(endpoint: EvmEndpoint | None) -> Found:
        return await with_accounts(store, endpoint, await listed(path))

    kept = asyncio.run(run(evm))
    assert (kept.addresses, kept.absent) == (tuple(served.market.addresses[:3]), 1)
    assert asyncio.run(run(None)).addresses[-1] == NOBODY
    remember(store, [NOBODY], "tape", served.now)
    assert asyncio.run(run(evm)).absent == 0, "whoever was met elsewhere is known to be there"


@pytest.mark.parametrize("name", ["a.json", "rows.json", "a.jsonl", "a.parquet", "a.csv"])
def test_exports_of_other_tools_are_lists_of_addresses(
    served: SandboxServer, tmp_path: Path, name: str
) -> None:
    some, path = list(served.market.addresses[:3]), tmp_path / name
    table = pl.DataFrame({"rank": [1, 2, 3, 4], "Wallet": [*map(str.upper, some[:1]), *some[1:], some[0]]})
    table = table.with_columns(pl.col("Wallet").str.replace("0X", "0x"))
    writers = {
        "a.json": lambda: path.write_text(json.dumps(table["Wallet"].to_list())),
        "rows.json": lambda: path.write_text(json.dumps({"rows": table.to_dicts()})),
        "a.jsonl": lambda: table.write_ndjson(path),
        "a.parquet": lambda: table.write_parquet(path),
        "a.csv": lambda: table.write_csv(path),
    }
    writers[name]()
    assert read_addresses(path) == some


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", '["0x12"]'), ("b.json", '[{"who": 1}]'), ("c.json", "[]"), ("d.json", "{")],
)
def test_a_document_without_addresses_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput):
        read_addresses(tmp_path / name)


def test_the_book_says_what_deposits_brought(store: Store, served: SandboxServer) -> None:
    evm = EvmEndpoint(served.evm_url, None, patience=QUICK)
    report = find(store, served.base_url, served.base_url, ["deposits"], evm=evm)
    assert [row["source"] for row in report.yields] == ["deposit"]
    assert book(store).height == len(report.discovery.found[0].addresses) > 0


def test_deposits_without_a_node_to_ask_are_refused(run: Run, served: SandboxServer) -> None:
    run("index", "find", "--sources", "deposits", "--base-url", served.base_url, code=2)
