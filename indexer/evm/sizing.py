"""How much every known account holds, in every dex, read through HyperEVM in minutes.

The main dex comes first. Most accounts hold nothing in the dexes of builders, so there those are asked for that have
anything in the main one, or were met in that dex before; of the others some thousands at a time, by turns. (A
pooled account may have nothing in the main dex and hold something in another one.) The report counts who was left out:
nothing is stored of them, least of all a zero.

`accountMarginSummary` gives value, margin in use, notional and raw USD of an account in a dex. At 200 accounts a
request and 100 requests a minute 40,000 accounts take two minutes in one dex, where the info endpoint needs more than
an hour. The units of the answers are not documented; so the largest accounts are read through the info endpoint as
well, and where the two differ no size is stored.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput, PartlyRead
from liqtruth.heatmap.words.text import counted, usd
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.evm.abi import ACCOUNT_MARGIN_SUMMARY, address_words, summary_arguments
from liqtruth.indexer.evm.agreement import disagreement
from liqtruth.indexer.evm.batches import Answers, BatchReader
from liqtruth.indexer.evm.client import USUAL_REQUESTS_PER_MINUTE, EvmClient, evm_budget
from liqtruth.indexer.frames import AS_OF, Schema, empty
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.info.client import MAIN, InfoClient
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.lake.lake import ALL_COINS
from liqtruth.storage.store import Store

DATASET: Final = "sizes"
SIZES: Final[Schema] = {
    "address": pl.String(),
    "dex": pl.String(),
    "ts": AS_OF,
    "block": pl.Int64(),  # of HyperCore
    "account_value_usd": pl.Float64(),
    "margin_used_usd": pl.Float64(),
    "notional_usd": pl.Float64(),
    "raw_usd": pl.Float64(),
}
MICRO: Final = 1e6
TOGETHER: Final = 4_000
"""Accounts that are stored together: a dozen seconds at the public limit."""
FIRST_TOGETHER: Final = 500
"""The first ones, so that reading by size begins after two seconds; each part is twice the one before."""
ROOM: Final = 4_000
"""Reads, in all dexes of builders together, of accounts that have nothing in the main one."""
TURN_S: Final = 300.0
"""How long the turn of some of them is."""
MET_WITHIN: Final = timedelta(days=7)
CHECKED: Final = 5
"""Accounts that are read through both doors."""
SHOWN: Final = 5


class SizesRefused(WireError):
    """HyperEVM's sizes are not those of the info endpoint."""

    exit_code = 3


class EvmEndpoint(NamedTuple):
    """Where and how fast HyperEVM is asked."""

    url: str
    requests_per_minute: float | None = USUAL_REQUESTS_PER_MINUTE
    concurrency: int = 4
    patience: Patience | None = None

    def client(self, data_dir: Path | None, timeout_s: float, patience: Patience | None = None) -> EvmClient:
        """A client of the node, to be entered, within the budget of the data directory; `patience` where this has
        none."""
        budget = evm_budget(self.requests_per_minute, self.url, data_dir)
        return EvmClient(self.url, budget, timeout_s, self.concurrency, self.patience or patience)


@dataclass(frozen=True)
class SizeReport:
    """What was sized. `accounts` were asked for, in each of `dexes` but for `left_out` pairs of account and dex whose
    turn it was not (`could_hold`); `unread` pairs could not be read or were not in time; `holders` have a position
    somewhere; `first_block` and `last_block` are HyperCore's; `batch` is how many reads a request had in the end,
    `refused` and `behind` count batches (`indexer.evm.batches`)."""

    source: str
    accounts: int
    dexes: tuple[str, ...]
    left_out: int
    unread: int
    holders: int
    notional_usd: float
    first_block: int | None
    last_block: int | None
    requests: int
    too_many_requests: int
    refused: int
    behind: int
    batch: int
    checked: int
    seconds: float
    largest: list[dict[str, Any]]

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where a read is missing."""
        if self.unread:
            raise PartlyRead(f"{self.unread:,} reads of an account in a dex are missing; the rest is stored")

    def describe(self) -> list[str]:
        """Lines for people."""
        dexes = ", ".join(name or "main" for name in self.dexes)
        blocks = (
            "" if self.first_block is None else f", HyperCore blocks {self.first_block} to {self.last_block}"
        )
        holdings = f"{self.holders:,} hold {usd(self.notional_usd)}"
        lines = [
            f"{counted(self.accounts, 'account')} sized in {dexes}: {holdings}{blocks}",
            f"{counted(self.requests, 'request')} in {self.seconds:.1f} s, {self.batch} reads each in the end; "
            f"units checked on {counted(self.checked, 'account')} through the info endpoint",
        ]
        if self.left_out:
            lines.append(
                f"{self.left_out:,} reads of an account in a dex were left out: it has nothing in the main dex and was "
                "never met in that one; a part of these is read each time"
            )
        if self.unread:
            lines.append(f"{self.unread:,} reads of an account in a dex are missing")
        if self.behind:
            lines.append(
                f"{self.behind} batches came from a node that lags behind another one at this address; not used"
            )
        lines += [
            f"  {one['address']}  {one['dex'] or 'main':<6} {usd(one['notional_usd'])}"
            for one in self.largest
        ]
        return lines


async def size(
    store: Store,
    addresses: Sequence[str],
    evm: EvmEndpoint,
    info: InfoClient,
    dexes: Sequence[str],
    *,
    on_progress: Callable[[int], None] = lambda done: None,
    on_sizes: Callable[[str, pl.DataFrame], None] = lambda dex, sizes: None,
    stop: asyncio.Event | None = None,
) -> SizeReport:
    """Size `addresses` in each of `dexes`, in their order, until `stop` is set; some thousands are stored at a time.

    `on_progress` gets how many pairs of account and dex are done, `on_sizes` each dex and `SIZES` as they are stored.
    Raises `SourceUnreachable` where either door does not
    answer, `SizesRefused` where they differ, `BadInput` for a node of another chain.
    """
    started_s = time.monotonic()
    listed = list(dict.fromkeys(address.lower() for address in addresses))
    numbers = await numbers_of(info, dexes)
    now_s = await info.reported_time_s()
    ordered = sorted(dexes, key=lambda dex: dex != MAIN)
    met = _met(store, ordered[1:]) if MAIN in dexes else {}
    frames, checked, asked = [empty(SIZES)], 0, 0
    async with evm.client(store.settings.data_dir, store.settings.request_timeout_s) as client:
        await client.check_current(now_s)
        reader = BatchReader(client)
        for place, dex in enumerate(ordered):
            room = ROOM // max(len(met), 1)
            ours = could_hold(listed, pl.concat(frames), met[dex], info.now_s, room) if dex in met else listed
            for start, part in parts_of(ours):
                done = place * len(listed) + start
                answers = await reader.read(
                    ACCOUNT_MARGIN_SUMMARY,
                    summary_arguments(numbers[dex], address_words(list(part))),
                    lambda count, done=done: on_progress(done + count),  # type: ignore[misc]
                    stop,
                )
                frames.append(_frame(part, dex, answers, info.ahead_s))
                checked = checked or await _checked(info, frames[-1], client.shown_url)
                store.lake.merge_series(
                    DATASET, VENUE, ALL_COINS, frames[-1], ("address", "dex"), client.source
                )
                on_sizes(dex, frames[-1])
            asked += len(ours)
        sizes = pl.concat(frames)
        largest = _largest(sizes)
        return SizeReport(
            source=client.source,
            accounts=len(listed),
            dexes=tuple(dexes),
            left_out=len(listed) * len(dexes) - asked,
            unread=asked - sizes.height,
            holders=largest["address"].n_unique(),
            notional_usd=float(sizes["notional_usd"].sum()),
            first_block=sizes["block"].min(),  # type: ignore[arg-type]
            last_block=sizes["block"].max(),  # type: ignore[arg-type]
            requests=client.budget.requests,
            too_many_requests=client.budget.refused,
            refused=reader.refused,
            behind=reader.behind,
            batch=reader.size,
            checked=checked,
            seconds=time.monotonic() - started_s,
            largest=largest.head(SHOWN).select("address", "dex", "notional_usd", "raw_usd").to_dicts(),
        )


def parts_of(addresses: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Where each part begins, and the accounts in it."""
    start, together = 0, FIRST_TOGETHER
    while start < len(addresses):
        yield start, addresses[start : start + together]
        start, together = start + together, min(2 * together, TOGETHER)


def could_hold(
    listed: Sequence[str], main: pl.DataFrame, met: set[str], now_s: float, room: int
) -> list[str]:
    """Whom to ask for in the dex of a builder: all but those who have nothing in the `main` dex (rows of `SIZES`) and
    were not `met` in that one; of these those whose turn it is, about `room`. Who was not read in the main dex is asked
    for."""
    amounts = ("account_value_usd", "notional_usd", "raw_usd")
    nothing = pl.all_horizontal(pl.col(name) == 0 for name in amounts)
    idle = set(main.filter(nothing, dex=MAIN)["address"]) - met
    turns = -(-len(idle) // max(room, 1)) or 1
    turn = int(now_s // TURN_S) % turns
    return [address for address in listed if address not in idle or int(address[-6:], 16) % turns == turn]


def _met(store: Store, dexes: Sequence[str]) -> dict[str, set[str]]:
    """Who was ever sized as having something in each of the dexes, by what is stored of the last week."""
    since = datetime.now(UTC) - MET_WITHIN
    known = store.lake.read_series(DATASET, VENUE, ALL_COINS, SIZES, since) if dexes else empty(SIZES)
    held = known.filter((pl.col("notional_usd") > 0) | (pl.col("raw_usd") != 0))
    return {dex: set(held.filter(dex=dex)["address"]) for dex in dexes}


async def _checked(info: InfoClient, sizes: pl.DataFrame, shown_url: str) -> int:
    """How many accounts both doors show alike; raises `SizesRefused` where most are not."""
    some = _largest(sizes).head(CHECKED)
    differs = await disagreement(info, some)
    if differs:
        raise SizesRefused("accountMarginSummary", shown_url, differs)
    return some.height


def _largest(sizes: pl.DataFrame) -> pl.DataFrame:
    """Those that hold something, largest first."""
    return sizes.filter(pl.col("notional_usd") > 0).sort("notional_usd", descending=True)


async def numbers_of(info: InfoClient, dexes: Sequence[str]) -> dict[str, int]:
    """By which number each dex is asked for: its place in the exchange's list, 0 for the main one, which is null there;
    any other null is a dex that there is no more."""
    if list(dexes) == [MAIN]:
        return {MAIN: 0}
    listed = enumerate(await info.perp_dexs())
    numbers = {MAIN: 0} | {entry.name: number for number, entry in listed if entry is not None}
    for name in dexes:
        if name not in numbers:
            raise BadInput(f"no dex {name!r} at {info.shown_url}")
    return numbers


def _frame(addresses: Sequence[str], dex: str, answers: Answers, ahead_s: float) -> pl.DataFrame:
    """`SIZES` of those that were read; the exchange's clock is `ahead_s` of ours."""
    value, margin, notional, raw = (answers.values / MICRO).T
    columns = {
        "address": pl.Series(addresses, dtype=pl.String),
        "dex": pl.Series([dex], dtype=pl.String).new_from_index(0, len(addresses)),
        "ts": pl.Series(((answers.read_s + ahead_s) * 1000).astype(np.int64)).cast(AS_OF),
        "block": answers.block,
        "account_value_usd": value,
        "margin_used_usd": margin,
        "notional_usd": notional,
        "raw_usd": raw,
    }
    return pl.DataFrame(columns, schema=dict(SIZES)).filter(pl.Series(answers.is_read))
