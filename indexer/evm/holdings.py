"""Everyone's position in one coin, and what backs it: hundreds of accounts a request, each batch of one block.

`position2` gives size, leverage, margin mode and the cash leg of an isolated position. Whoever holds the coin on cross
margin is asked for `accountMarginSummary` in a batch that has the mark of the coin as well, so that size x mark is
compared with the notional of the whole account at one moment. Accounts are asked for in the order given, in parts, so
that the first ones are whole while the last ones wait.

Sizes are whole numbers of 10^-szDecimals, money of 1e-6 USD. What of that is not documented is compared with the
notional in all coins, which no position can exceed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.evm.abi import (
    ACCOUNT_MARGIN_SUMMARY,
    MARK_PX,
    POSITION_2,
    Once,
    address_words,
    number_words,
    position_arguments,
    summary_arguments,
)
from liqtruth.indexer.evm.batches import Answers, BatchReader
from liqtruth.indexer.evm.client import EvmClient
from liqtruth.indexer.evm.sizing import MICRO, SizesRefused
from liqtruth.indexer.frames import AS_OF, Schema
from liqtruth.indexer.info.wire import Asset

FIRST_OF_BUILDERS: Final = 100_000
PER_BUILDER: Final = 10_000
PRICE_DIGITS: Final = 6
"""A mark has so many decimals less those of the size."""
TOGETHER: Final = 2_000
"""Accounts whose positions are read before what backs them is, at first; each part is twice the one before, since the
last batches of a part are not full, up to `MOST_TOGETHER`, since only whole parts are put to use."""
MOST_TOGETHER: Final = 8_000
ROUNDED: Final = 2
"""Micro-dollars by which a notional may differ from size x mark."""

HOLDINGS: Final[Schema] = {
    "address": pl.String(),
    "szi": pl.Float64(),
    "mark_px": pl.Float64(),  # of the block in which the position was read, or what backs it
    "notional_usd": pl.Float64(),
    "entry_notional_usd": pl.Float64(),
    "leverage": pl.Float64(),
    "is_isolated": pl.Boolean(),
    "isolated_raw_usd": pl.Float64(),  # null for cross
    "account_value_usd": pl.Float64(),  # of the account in the dex; these four null where they were not read
    "margin_used_usd": pl.Float64(),
    "account_notional_usd": pl.Float64(),
    "raw_usd": pl.Float64(),
    "is_alone": pl.Boolean(),  # the account holds nothing else in the dex
    "block": pl.Int64(),
    "as_of": AS_OF,
}


@dataclass(frozen=True)
class Perp:
    """A coin as HyperCore knows it: its number, the number of its dex, and decimals of its sizes."""

    coin: str
    number: int
    dex_number: int
    sz_decimals: int

    @classmethod
    def of(cls, coin: str, dex_number: int, universe: Sequence[Asset]) -> "Perp":
        """By its place in the dex's list; raises `UnknownCoin` where it is not in it."""
        for place, asset in enumerate(universe):
            if asset.name == coin:
                base = FIRST_OF_BUILDERS + PER_BUILDER * dex_number if dex_number else 0
                return cls(coin, base + place, dex_number, asset.sz_decimals)
        raise UnknownCoin(f"no coin {coin!r} in the dexes that were read")

    @property
    def mark(self) -> Once:
        return Once(MARK_PX.address, number_words(np.array([self.number])))


class Part(NamedTuple):
    """`holdings` (`HOLDINGS`) of whoever of `asked` holds the coin; `unread` of them did not answer."""

    holdings: pl.DataFrame
    asked: Sequence[str]
    unread: list[str]


async def read_holders(
    client: EvmClient,
    reader: BatchReader,
    perp: Perp,
    addresses: Sequence[str],
    ahead_s: float = 0.0,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Part]:
    """Who of `addresses` holds the coin, part by part; the exchange's clock is `ahead_s` of ours. Once `stop` is set no
    request is made: who was not asked for by then is among the unread, or in no part.

    Raises `SourceUnreachable` where the node does not answer, `SizesRefused` where most positions exceed the notional
    of their account.
    """
    start, together = 0, TOGETHER
    while start < len(addresses) and not (stop is not None and start and stop.is_set()):
        asked = addresses[start : start + together]
        start, together = start + together, min(2 * together, MOST_TOGETHER)
        ended = (
            stop if start > together else None
        )  # the first part is short, and tells whether units are as expected
        held, unread = await _positions(reader, perp, asked, ahead_s, ended)
        holdings = await _with_backing(reader, perp, held, ahead_s, ended)
        _check(holdings, client.shown_url)
        yield Part(holdings, asked, unread)


async def _positions(
    reader: BatchReader, perp: Perp, addresses: Sequence[str], ahead_s: float, stop: asyncio.Event | None
) -> tuple[pl.DataFrame, list[str]]:
    who = address_words(list(addresses))
    asked = position_arguments(who, np.full(len(who), perp.number))
    answers = await reader.read(POSITION_2, asked, stop=stop, once=[perp.mark])
    lots, entry, raw, leverage, isolated = answers.values.T
    frame = pl.DataFrame(
        {
            "address": pl.Series(addresses, dtype=pl.String),
            "szi": lots / 10**perp.sz_decimals,
            "entry_notional_usd": entry / MICRO,
            "leverage": leverage.astype(np.float64),
            "is_isolated": isolated == 1,
            "isolated_raw_usd": raw / MICRO,
            **_seen(answers, perp, ahead_s),
        }
    ).with_columns(isolated_raw_usd=pl.when("is_isolated").then("isolated_raw_usd"))
    unread = pl.Series(~answers.is_read)
    held = frame.filter(pl.Series((lots != 0) & answers.is_read))
    return held, frame.filter(unread)["address"].to_list()


def _seen(answers: Answers, perp: Perp, ahead_s: float) -> dict[str, pl.Series]:
    """Mark, block and moment of each read; a mark that failed is null."""
    px = answers.once[:, 0] / 10 ** (PRICE_DIGITS - perp.sz_decimals)
    moment_ms = ((answers.read_s + ahead_s) * 1000).astype(np.int64)
    return {
        "mark_px": pl.Series(np.where(px > 0, px, np.nan), nan_to_null=True),
        "block": pl.Series(answers.block),
        "as_of": pl.Series(moment_ms).cast(AS_OF),
    }


async def _with_backing(
    reader: BatchReader, perp: Perp, held: pl.DataFrame, ahead_s: float, stop: asyncio.Event | None
) -> pl.DataFrame:
    """`HOLDINGS`: of cross positions also what their account has, mark and moment those of that."""
    cross = held.filter(~pl.col("is_isolated"))
    who = address_words(cross["address"].to_list()) if cross.height else np.zeros((0, 32), np.uint8)
    asked = summary_arguments(perp.dex_number, who)
    answers = await reader.read(ACCOUNT_MARGIN_SUMMARY, asked, stop=stop, once=[perp.mark])
    value, margin, notional, raw = (answers.values / MICRO).T
    lots = np.rint(cross["szi"].to_numpy() * 10**perp.sz_decimals).astype(np.int64)
    alone = np.abs(np.abs(lots) * answers.once[:, 0] - answers.values[:, 2]) <= ROUNDED
    backing = pl.DataFrame(
        {
            "address": cross["address"],
            "account_value_usd": value,
            "margin_used_usd": margin,
            "account_notional_usd": notional,
            "raw_usd": raw,
            "is_alone": alone,
            **_seen(answers, perp, ahead_s),
        }
    ).filter(pl.Series(answers.is_read))
    both = held.join(backing, on="address", how="left", suffix="_after", maintain_order="left")
    later = {name: pl.coalesce(f"{name}_after", name) for name in ("mark_px", "block", "as_of")}
    whole = both.with_columns(**later).with_columns(notional_usd=pl.col("szi").abs() * pl.col("mark_px"))
    return whole.select(pl.col(name).cast(dtype) for name, dtype in HOLDINGS.items())


APART: Final = 1.1
"""Marks move between two looks."""
LEAST_USD: Final = 10.0


def _check(holdings: pl.DataFrame, shown_url: str) -> None:
    known = holdings.drop_nulls("account_notional_usd")
    beyond = known.filter(pl.col("notional_usd") > APART * pl.col("account_notional_usd") + LEAST_USD).height
    if 2 * beyond > known.height:
        raise SizesRefused(
            "position2",
            shown_url,
            f"{beyond:,} of {known.height:,} positions exceed the notional of their account; szi is not used",
        )


async def check_listing(client: EvmClient, perp: Perp, table_id: int | None) -> None:
    """Raise `SizesRefused` where `perpAssetInfo` knows another coin by that number, or other decimals or table."""
    name, table, decimals = await client.asset_info(perp.number)
    ours = (perp.coin, table_id if table_id is not None else table, perp.sz_decimals)
    if (name, table, decimals) != ours:
        raise SizesRefused(
            "perpAssetInfo",
            client.shown_url,
            f"perp {perp.number} is {name!r}, margin table {table}, {decimals} decimals; meta has {ours[0]!r}, "
            f"{ours[1]}, {ours[2]}: positions are not used",
        )
