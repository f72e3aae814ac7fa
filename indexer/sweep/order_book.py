"""The order book of a coin, read at four roundings: what rests up to each price, cumulative from the best one outward.

An answer has at most 20 levels a side. With `nSigFigs` prices are rounded away from the mark (bids down, asks up) and
what they hold is added up, so that the sum up to a rounded price is the sum of all orders up to it: finer answers tell
of prices near the mark, rounder ones of those farther away. Source: Hyperliquid docs, "Info endpoint", `l2Book`.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.grid import FloatArray
from liqtruth.indexer.errors import AnswerMalformed
from liqtruth.indexer.frames import BOOK_DATASET, BOOK_KEY, BOOKS, conform
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.decoding import Decoder
from liqtruth.indexer.info.wire import Amount, EpochMs, Name, Payload, Price
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.net.long_runs import aside
from liqtruth.storage.store import Store

ROUNDINGS: Final = (None, 4, 3, 2)
"""Significant digits of prices, the finest first; weight 2 each."""
LARGEST: Final = 3
"""Coins whose books are stored where no coin is asked for."""
MAY_S: Final = 10.0
"""So long a book may take."""


class BookLevel(Payload, frozen=True):
    px: Price
    sz: Amount


class L2Book(Payload, frozen=True):
    """Bids from the highest down, asks from the lowest up."""

    coin: Name
    time: EpochMs
    levels: tuple[list[BookLevel], list[BookLevel]]


decode_book: Final[Decoder[L2Book]] = Decoder("l2Book", L2Book)


async def read_book(client: InfoClient, coin: str) -> pl.DataFrame:
    """What rests, as `BOOKS`; raises as `InfoClient`, and `AnswerMalformed` for the book of another coin, one without
    orders on a side, or prices out of order."""
    answers = await asyncio.gather(*(_asked(client, coin, digits) for digits in ROUNDINGS))
    at = datetime.fromtimestamp(max(one.time for one in answers) / 1000, UTC)
    sides = []
    for number, side in enumerate(("long", "short")):
        px, coins = merged([one.levels[number] for one in answers], rising=side == "short")
        rows = {"ts": [at] * px.size, "side": [side] * px.size, "px": px, "coins": coins}
        sides.append(pl.DataFrame(rows, schema_overrides={"ts": BOOKS["ts"]}))
    return conform(pl.concat(sides), BOOKS)


async def store_book(store: Store, client: InfoClient, coin: str) -> int:
    """Read one and add it to the series, in a thread; how many prices it has."""
    rows = await read_book(client, coin)
    await aside(store.lake.merge_series, BOOK_DATASET, VENUE, coin, rows, BOOK_KEY, client.source)
    return rows.height


async def store_books(store: Store, client: InfoClient, coins: Sequence[str]) -> list[str]:
    """A line of what came of each coin's book; nothing else waits for one that does not come, or fails by it."""
    lines = []
    for coin in coins:
        try:
            async with asyncio.timeout(MAY_S):
                prices = await store_book(store, client, coin)
            lines.append(f"order book of {coin}: {prices} prices")
        except (LiqtruthError, TimeoutError) as error:
            lines.append(f"no order book of {coin}: {error or f'no answer within {MAY_S:g} s'}")
    return lines


def largest_coins(markets: pl.DataFrame, count: int = LARGEST) -> list[str]:
    """Those of most open interest in USD, of `MARKETS`."""
    known = markets.filter(pl.col("open_interest_usd") > 0)
    return known.sort("open_interest_usd", descending=True).head(count)["coin"].to_list()


async def _asked(client: InfoClient, coin: str, digits: int | None) -> L2Book:
    rounded = {} if digits is None else {"nSigFigs": digits}
    book = await client.ask(decode_book, "l2Book", coin=coin, **rounded)
    if book.coin != coin:
        raise AnswerMalformed("l2Book", client.shown_url, f"must be of {coin}, got {book.coin}")
    for levels, rising in zip(book.levels, (False, True), strict=True):
        steps = np.diff([one.px for one in levels])
        if not levels or ((steps <= 0) if rising else (steps >= 0)).any():
            raise AnswerMalformed(
                "l2Book", client.shown_url, "prices must go outward from the best of each side"
            )
    return book


def merged(answers: Sequence[Sequence[BookLevel]], *, rising: bool) -> tuple[FloatArray, FloatArray]:
    """Prices from the best outward and the coins up to each, of answers of one side, the finest first: of a rounder
    answer only what lies beyond the finer ones."""
    px, coins = np.empty(0), np.empty(0)
    for levels in answers:
        at = np.array([one.px for one in levels])
        held = np.cumsum([one.sz for one in levels])
        beyond = np.ones(at.size, np.bool_) if not px.size else (at > px[-1] if rising else at < px[-1])
        px, coins = np.append(px, at[beyond]), np.append(coins, held[beyond])
    return px, np.maximum.accumulate(coins)
