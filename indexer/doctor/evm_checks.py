"""Claims about HyperEVM: units, blocks, and how much one request may read."""

import asyncio
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.indexer.doctor.claims import Check, Seen
from liqtruth.indexer.doctor.evidence import Evidence, apart
from liqtruth.indexer.evm.abi import (
    ACCOUNT_MARGIN_SUMMARY,
    MARK_PX,
    POSITION_2,
    address_words,
    number_words,
    position_arguments,
    summary_arguments,
)
from liqtruth.indexer.evm.batches import FIRST, BatchReader
from liqtruth.indexer.evm.deposits import Deposits, existing
from liqtruth.indexer.evm.holdings import PRICE_DIGITS
from liqtruth.indexer.evm.sizing import MICRO

SAME: Final = 0.02
"""Both doors are asked seconds apart, in which accounts trade; another unit is off by ten at least."""
MOST_APART: Final = 0.25
"""Share of accounts that may have traded in between."""
MARKS: Final = 20
NOBODY: Final = "0x" + "00" * 12 + "5e1f" * 4
DEPOSIT_BLOCKS: Final = 199
PAUSE_S: Final = 2.0
"""Between two looks at the block."""


async def sizes(evidence: Evidence) -> Seen:
    """`accountMarginSummary` against `marginSummary`, in the main dex."""
    reader = _reader(evidence)
    accounts = [one for one in evidence.accounts if one.states[""].asset_positions]
    who = address_words([one.address for one in accounts])
    answers = await reader.read(ACCOUNT_MARGIN_SUMMARY, summary_arguments(0, who))
    pairs = []
    for one, (value, _, notional, raw) in zip(accounts, answers.values / MICRO, strict=True):
        summary = one.states[""].margin_summary
        pairs += [
            (f"{one.address} {name}", ours, theirs)
            for name, ours, theirs in (
                ("accountValue", value, summary.account_value),
                ("ntlPos", notional, summary.total_ntl_pos),
                ("rawUsd", raw, summary.total_raw_usd),
            )
        ]
    return _same(pairs, "amounts of accounts in 1e-6 USD")


async def positions(evidence: Evidence) -> Seen:
    """`position2` against positions of the main dex: size, entry notional, cash leg."""
    reader, pairs = _reader(evidence), []
    held = evidence.positions.filter(pl.col("dex") == "")
    listed = evidence.markets[""].meta.universe
    place = {asset.name: (number, asset.sz_decimals) for number, asset in enumerate(listed)}
    rows = [row for row in held.iter_rows(named=True) if row["coin"] in place]
    perps = np.array([place[row["coin"]][0] for row in rows], np.int64)
    who = address_words([row["address"] for row in rows])
    read = await reader.read(POSITION_2, position_arguments(who, perps))
    for row, (szi, entry, raw, _, isolated) in zip(rows, read.values, strict=True):
        size = szi / 10 ** place[row["coin"]][1]
        pairs.append((f"{row['address']} {row['coin']} szi", size, row["szi"]))
        pairs.append(
            (f"{row['address']} {row['coin']} entryNtl", entry / MICRO, abs(row["szi"]) * row["entry_px"])
        )
        if isolated:
            pairs.append(
                (f"{row['address']} {row['coin']} isolatedRawUsd", raw / MICRO, row["isolated_raw_usd"])
            )
    return _same(pairs, "amounts of positions in 1e-6 USD and 10^-szDecimals")


async def marks(evidence: Evidence) -> Seen:
    reader = _reader(evidence)
    listed = [
        (n, asset)
        for n, asset in enumerate(evidence.markets[""].meta.universe)
        if asset.name in evidence.marks
    ]
    numbers = np.array([number for number, _ in listed[:MARKS]], np.int64)
    answers = await reader.read(MARK_PX, number_words(numbers))
    pairs = [
        (asset.name, float(value) / 10 ** (PRICE_DIGITS - asset.sz_decimals), evidence.marks[asset.name])
        for (_, asset), value, read in zip(listed, answers.values[:, 0], answers.is_read, strict=False)
        if read
    ]
    return _same(pairs, "marks in 10^(szDecimals - 6)")


async def blocks(evidence: Evidence) -> Seen:
    """`l1BlockNumber` of two requests a moment apart."""
    reader = _reader(evidence)
    first = await _block(reader)
    await asyncio.sleep(PAUSE_S)
    second = await _block(reader)
    words = f"block {first}, {PAUSE_S:g} s later {second}"
    return Seen("holds" if second > first else "differs", words)


async def batch(evidence: Evidence) -> Seen:
    """A request of as many reads as sizing begins with."""
    reader = BatchReader(_reader(evidence).client, size=FIRST)
    who = address_words([f"0x{number:040x}" for number in range(1, FIRST + 1)])
    await reader.read(ACCOUNT_MARGIN_SUMMARY, summary_arguments(0, who))
    if reader.refused:
        return Seen("differs", f"{FIRST} reads were refused; {reader.size} go through")
    return Seen("holds", f"{FIRST} reads in one request")


async def accounts_there(evidence: Evidence) -> Seen:
    """`coreUserExists` of accounts that the info endpoint shows, and of an address that nobody has."""
    reader, there = _reader(evidence), [one.address for one in evidence.accounts]
    seen = set(await existing(reader, [*there, NOBODY]))
    words = f"{len(seen & set(there))} of {len(there)} accounts exist, {NOBODY} does{'' if NOBODY in seen else ' not'}"
    return Seen("holds" if seen == set(there) else "differs", words)


async def deposits(evidence: Evidence) -> Seen:
    """Depositors of the last minutes, most of whom must have an account on HyperCore."""
    reader = _reader(evidence)
    met = (await Deposits(back=DEPOSIT_BLOCKS).read(reader.client)).addresses
    there = await existing(reader, met)
    words = f"{len(there)} of {len(met)} depositors in {DEPOSIT_BLOCKS} blocks have an account"
    if not met:
        return Seen("not_seen", words)
    return Seen("holds" if 2 * len(there) >= len(met) else "differs", words)


async def _block(reader: BatchReader) -> int:
    who = address_words([f"0x{1:040x}"])
    answers = await reader.read(ACCOUNT_MARGIN_SUMMARY, summary_arguments(0, who))
    return int(answers.block[0])


def _reader(evidence: Evidence) -> BatchReader:
    if evidence.evm is None:
        raise SourceUnreachable(f"HyperEVM was not asked: {evidence.evm_lost}")
    return evidence.evm


def _same(pairs: list[tuple[str, float, float]], words: str) -> Seen:
    wrong = [(name, ours, theirs) for name, ours, theirs in pairs if apart(ours, theirs, 1.0) > SAME]
    if pairs and len(wrong) <= MOST_APART * len(pairs):
        return Seen("holds", f"{len(pairs) - len(wrong)} of {len(pairs)} {words}")
    shown = "; ".join(f"{name}: {ours:,.6g} against {theirs:,.6g}" for name, ours, theirs in wrong[:1])
    return Seen.all_of(len(pairs) - len(wrong), len(pairs), words, shown)


CHECKS: Final = (
    Check("evm-sizes", "HyperEVM", "`accountMarginSummary` is in 1e-6 USD", sizes),
    Check("evm-positions", "HyperEVM", "`position2` is in 1e-6 USD and 10^-szDecimals", positions),
    Check("evm-marks", "HyperEVM", "`markPx` is in 10^(szDecimals - 6)", marks),
    Check("evm-blocks", "HyperEVM", "`l1BlockNumber` is HyperCore's and goes on", blocks),
    Check(
        "evm-accounts", "HyperEVM", "`coreUserExists` is true of accounts on HyperCore alone", accounts_there
    ),
    Check("evm-deposits", "HyperEVM", "logs show who deposits into HyperCore", deposits),
    Check("evm-batch", "HyperEVM", f"one request may read {FIRST} accounts", batch),
)
