"""Who deposits into HyperCore, or acts on it, from HyperEVM: addresses that may trade there from now on.

HYPE sent to its system address is logged as `Received`, an action through CoreWriter as `RawAction`, and a token sent
to HyperCore as a `Transfer` of its contract: USDC to Circle's deposit wallet, others to the system address 0x20... with
their number. The public node gives logs of at most 50 blocks a request, for at most four topics. Contracts of
bridges deposit too: `existing` leaves out who has no account on HyperCore.

Sources: Hyperliquid docs, "HyperCore <> HyperEVM transfers", "Interacting with HyperCore", "JSON-RPC"; Circle docs,
"CoreDepositWallet". None of it was verified on the live chain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from liqtruth.indexer.evm.abi import CORE_USER_EXISTS, address_words
from liqtruth.indexer.evm.batches import BatchReader
from liqtruth.indexer.evm.client import EvmClient

RECEIVED: Final = "0x88a5966d370b9919b20f3e2c13ff65706f196a4e32cc2c12bf57088f88525874"
RAW_ACTION: Final = "0x8c7f585fb295f7eb1e6aeb8fba61b23a4fe60beda405f0045073b185c74412e3"
TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
HYPE_SYSTEM: Final = "0x2222222222222222222222222222222222222222"
CORE_WRITER: Final = "0x3333333333333333333333333333333333333333"
USDC_WALLETS: Final = (
    "0x6b9e773128f453f5c2c60935ee2de2cbc5390a24",
    "0x0b80659a4076e9e93c7dbe0f10675a16a3e5c206",
)
"""Circle's, on mainnet and testnet."""
COLLATERAL: Final = (235, 268, 360)
"""Numbers of the tokens other than USDC that back perps: USDE, USDT0, USDH."""
MOST_BLOCKS: Final = 50
MOST_BEHIND: Final = 1_000
"""Blocks that are read after a pause; those before are not."""
AGAIN: Final = 5
"""Blocks that are read a second time, since the newest may be given up by the chain."""


def _word(address: str) -> str:
    return "0x" + address.removeprefix("0x").rjust(64, "0")


FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {"address": [HYPE_SYSTEM, CORE_WRITER], "topics": [[RECEIVED, RAW_ACTION]]},
    {"topics": [[TRANSFER], None, [_word(wallet) for wallet in USDC_WALLETS]]},
    {"topics": [[TRANSFER], None, [_word(f"0x20{token:038x}") for token in COLLATERAL]]},
)
"""In each the user is the first argument that is indexed."""


class Deposited(NamedTuple):
    """`addresses` in the order of their first deposit in blocks `first` to `last` (both null where there was no new
    one); `missed` blocks before were not read."""

    addresses: tuple[str, ...]
    first: int | None
    last: int | None
    missed: int


@dataclass
class Deposits:
    """Reads on from where it was: from `back` blocks before the node's latest at first."""

    back: int = MOST_BLOCKS - 1
    _read_to: int | None = None

    async def read(self, client: EvmClient) -> Deposited:
        """Whoever deposited since; raises what the client raises, and then reads the same blocks again. A node that is
        behind what was read before has nothing new."""
        latest = await client.block_number()
        before = self._read_to
        start = max(latest - self.back if before is None else before + 1, latest - MOST_BEHIND + 1, 0)
        if start > latest:
            return Deposited((), None, None, 0)
        first = start if before is None or start > before + 1 else max(start - AGAIN, 0)
        found: dict[str, None] = {}
        for blocks in _windows(first, latest):
            for asked in FILTERS:
                logs = await client.logs(*blocks, asked)
                found.update(
                    (_user(log.topics[1]), None) for log in logs if not log.removed and log.topics[1:]
                )
        self._read_to = latest
        return Deposited(tuple(found), start, latest, 0 if before is None else start - before - 1)


def _windows(first: int, last: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last + 1, MOST_BLOCKS):
        yield start, min(start + MOST_BLOCKS - 1, last)


def _user(topic: str) -> str:
    return "0x" + topic[-40:].lower()


async def existing(reader: BatchReader, addresses: Sequence[str]) -> list[str]:
    """Those that have an account on HyperCore; who could not be read is taken to have one."""
    if not addresses:
        return []
    answers = await reader.read(CORE_USER_EXISTS, address_words(list(addresses)))
    absent = answers.is_read & (answers.values[:, 0] == 0)
    return [address for address, gone in zip(addresses, absent.tolist(), strict=True) if not gone]
