"""What accounts hold of some coins: `position2` of everyone who was sized as holding something.

Sizes are of all coins of a dex together; who holds most of one coin is known from its positions alone. Sizes are whole
numbers of 10^-szDecimals. That unit is not documented for every asset, so positions are compared with the notional in
all coins, which none of them can exceed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.grid import FloatArray
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.evm.abi import POSITION_2, address_words, number_words
from liqtruth.indexer.evm.batches import BatchReader
from liqtruth.indexer.evm.client import EvmClient, evm_budget
from liqtruth.indexer.evm.sizing import EvmEndpoint, SizesRefused, numbers_of
from liqtruth.indexer.info.client import InfoClient, read_dexes
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.storage.store import Store

FIRST_OF_BUILDERS: Final = 100_000
PER_BUILDER: Final = 10_000
APART: Final = 1.1
"""Marks move between two looks."""
LEAST_USD: Final = 10.0


async def coin_notional(
    store: Store,
    sized: pl.DataFrame,
    evm: EvmEndpoint,
    info: InfoClient,
    dexes: Sequence[str],
    coins: Sequence[str],
) -> pl.DataFrame:
    """`address` and `sized_usd` in `coins` alone, of everyone in `sized` (`address`, `sized_usd` in all coins of
    `dexes`). Who could not be read stays as sized.

    Raises `SourceUnreachable` where a door does not answer, `SizesRefused` where most positions exceed their account's
    notional. Costs a weight of 20 a dex.
    """
    holders = sized.filter(pl.col("sized_usd") > 0)
    if holders.is_empty():
        return sized
    answers, _ = await read_dexes(info, dexes)
    numbers = await numbers_of(info, dexes)
    who = address_words(holders["address"].to_list())
    total, is_read = np.zeros(holders.height), np.ones(holders.height, np.bool_)
    budget = evm_budget(evm.requests_per_minute, evm.url, store.settings.data_dir)
    timeout_s = store.settings.request_timeout_s
    async with EvmClient(evm.url, budget, timeout_s, evm.concurrency, evm.patience) as client:
        reader = BatchReader(client)
        for coin in coins:
            perp, usd_per_unit = _perp(coin, answers, numbers)
            asked = np.concatenate([who, number_words(np.full(len(who), perp))], axis=1)
            read = await reader.read(POSITION_2, asked)
            total += np.abs(read.values[:, 0]) * usd_per_unit
            is_read &= read.is_read
        _check(total, holders["sized_usd"].to_numpy(), client.shown_url)
    found = np.where(is_read, total, holders["sized_usd"].to_numpy())
    return pl.concat(
        [
            holders.with_columns(pl.Series("sized_usd", found)),
            sized.filter(pl.col("sized_usd") <= 0),
        ]
    )


def _perp(coin: str, answers: Mapping[str, DexAnswer], numbers: Mapping[str, int]) -> tuple[int, float]:
    """By which number HyperCore knows the coin, and what one unit of its size is worth at its mark."""
    for dex, answer in answers.items():
        for place, (asset, ctx) in enumerate(zip(answer.meta.universe, answer.ctxs, strict=True)):
            if asset.name == coin:
                base = FIRST_OF_BUILDERS + PER_BUILDER * numbers[dex] if dex else 0
                return base + place, (ctx.mark_px or 0.0) / 10**asset.sz_decimals
    raise UnknownCoin(f"no coin {coin!r} in the dexes that were read")


def _check(in_coins_usd: FloatArray, in_all_usd: FloatArray, shown_url: str) -> None:
    beyond = (in_coins_usd > APART * in_all_usd + LEAST_USD)[in_coins_usd > 0]
    if beyond.size and beyond.mean() > 0.5:
        raise SizesRefused(
            "position2",
            shown_url,
            f"{beyond.sum():,} of {beyond.size:,} positions exceed the notional of their account; szi is not used",
        )
