"""What HyperEVM says of who is there: whoever deposits from it, and which addresses have an account at all."""

import time
from dataclasses import replace
from typing import Final

from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.discovery.sources import Found
from liqtruth.indexer.evm.batches import BatchReader
from liqtruth.indexer.evm.deposits import MOST_BEHIND, Deposits, existing
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.storage.store import Store

DEPOSIT: Final = "deposit"
LOOK_BACK: Final = MOST_BEHIND - 1
"""Blocks before the latest that one look takes in: about a quarter of an hour, sixty requests."""


async def deposits(store: Store, evm: EvmEndpoint, since: Deposits | None = None) -> Found:
    """Whoever deposited into HyperCore and has an account there: in the last `LOOK_BACK` blocks, or in those that
    `since` has not read yet."""
    started_s, since = time.monotonic(), since or Deposits(LOOK_BACK)
    async with evm.client(store.settings.data_dir, store.settings.request_timeout_s) as client:
        met = await since.read(client)
        there = await existing(BatchReader(client), met.addresses)
        return Found(
            source=DEPOSIT,
            addresses=tuple(there),
            requests=client.budget.requests,
            seconds=time.monotonic() - started_s,
            problems=(f"{met.missed:,} blocks were not read",) if met.missed else (),
            absent=len(met.addresses) - len(there),
        )


async def with_accounts(store: Store, evm: EvmEndpoint | None, found: Found) -> Found:
    """What a list brought that nobody checked, without addresses that have no account on HyperCore; those that are
    known already are not asked after. Without a node all are taken."""
    if evm is None or not found.addresses:
        return found
    known = set(book(store)["address"])
    new = [address for address in found.addresses if address not in known]
    async with evm.client(store.settings.data_dir, store.settings.request_timeout_s) as client:
        there = known.union(await existing(BatchReader(client), new))
        kept = tuple(address for address in found.addresses if address in there)
        absent = len(found.addresses) - len(kept)
        return replace(found, addresses=kept, absent=absent, requests=found.requests + client.budget.requests)
