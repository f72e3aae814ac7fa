"""Deposits into HyperCore as HyperEVM logs them, block by block, the same for a block whenever it is asked for.

HYPE goes to an address that logs `Received`, USDC to a wallet and other tokens to an address of theirs, which their
contracts log as `Transfer`; actions sent from HyperEVM are logged as `RawAction`. Beside them are transfers to anyone
else, and deposits of addresses that have no account. Coding of its own, shared with no reader.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.market.market import Market

Json = Any
RECEIVED: Final = "0x88a5966d370b9919b20f3e2c13ff65706f196a4e32cc2c12bf57088f88525874"
RAW_ACTION: Final = "0x8c7f585fb295f7eb1e6aeb8fba61b23a4fe60beda405f0045073b185c74412e3"
TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
HYPE: Final = "0x" + "22" * 20
CORE_WRITER: Final = "0x" + "33" * 20
USDC: Final = "0xb88339cb7199b77e23db6e890353e22632ba630f"
USDC_WALLET: Final = "0x6b9e773128f453f5c2c60935ee2de2cbc5390a24"
TOKENS: Final = (235, 268, 360)
MOST_BLOCKS: Final = 50
MOST_TOPICS: Final = 4
PER_BLOCK: Final = 1.0


class TooMuch(Exception):
    """A filter that the node refuses."""


@dataclass(frozen=True)
class DepositLogs:
    """`people` deposit, `strangers` do too and are accounts of nobody."""

    people: Sequence[str]
    seed: int

    @classmethod
    def of(cls, market: Market) -> "DepositLogs":
        return cls(market.addresses, market.spec.seed)

    def answer(self, asked: Mapping[str, Json], latest: int) -> list[Json]:
        """The logs of `eth_getLogs`, of blocks that the node has; raises `TooMuch` beyond the node's limits."""
        first, last = (_number(asked.get(name), latest) for name in ("fromBlock", "toBlock"))
        topics = [_listed(one) for one in asked.get("topics") or ()]
        if last - first >= MOST_BLOCKS:
            raise TooMuch(f"query exceeds max block range {MOST_BLOCKS}")
        if sum(map(len, topics)) > MOST_TOPICS:
            raise TooMuch(f"query exceeds max topics {MOST_TOPICS}")
        places = _listed(asked.get("address"))
        return [
            log
            for block in range(first, min(last, latest) + 1)
            for log in self.of_block(block)
            if (not places or log["address"] in places) and _matches(log["topics"], topics)
        ]

    def of_block(self, block: int) -> list[Json]:
        draw = np.random.default_rng([self.seed, 30, block])
        return [
            {
                "address": place,
                "topics": topics,
                "data": "0x" + f"{int(draw.integers(1, 10**12)):064x}",
                "blockNumber": hex(block),
                "transactionHash": "0x" + draw.bytes(32).hex(),
                "logIndex": hex(index),
                "removed": False,
            }
            for index, (place, topics) in enumerate(self._events(draw))
        ]

    def _events(self, draw: np.random.Generator) -> Iterator[tuple[str, list[str]]]:
        """Contract and topics of each."""
        for kind in draw.integers(0, 6, int(draw.poisson(PER_BLOCK))).tolist():
            someone = self.people[int(draw.integers(len(self.people)))]
            user = _word("0x" + draw.bytes(20).hex() if kind == 5 else someone)
            token = TOKENS[int(draw.integers(len(TOKENS)))]
            elsewhere = "0x" + draw.bytes(20).hex()
            yield (
                (HYPE, [RECEIVED, user]),
                (CORE_WRITER, [RAW_ACTION, user]),
                (USDC, [TRANSFER, user, _word(USDC_WALLET)]),
                (elsewhere, [TRANSFER, user, _word(f"0x20{token:038x}")]),
                (USDC, [TRANSFER, _word("0x" + draw.bytes(20).hex()), _word(elsewhere)]),
                (HYPE, [RECEIVED, user]),
            )[kind]


def _matches(topics: Sequence[str], asked: Sequence[Sequence[str]]) -> bool:
    return len(topics) >= len(asked) and all(
        not wanted or topic in wanted for topic, wanted in zip(topics, asked, strict=False)
    )


def _listed(value: Json) -> list[str]:
    if value is None:
        return []
    return [str(one).lower() for one in (value if isinstance(value, list) else [value])]


def _number(value: Json, latest: int) -> int:
    return latest if value in (None, "latest") else int(str(value), 16)


def _word(address: str) -> str:
    return "0x" + address.removeprefix("0x").rjust(64, "0")
