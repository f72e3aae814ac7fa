"""In which order accounts are read for some coins: what HyperEVM says of them, else what was read or is expected.

Where one coin is asked for, everyone's position in it is read at once; where there are several, everyone is sized first
and the positions are those of whoever holds something. What can be solved needs no reading; of the rest the largest
come first, and are read as soon as they are known, while the positions of the others are asked for.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.coin.census import CoinRead, CoinReport, read_coin
from liqtruth.indexer.discovery.find import Discovery
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.discovery.size_prior import PRIOR, SizePrior, hint_columns
from liqtruth.indexer.evm.sized import RECENT, SizedFirst, size_first, sized_notional
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.frames import POSITIONS, empty
from liqtruth.indexer.info.client import MAIN, InfoClient, exchange_time_s
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.storage.store import Store


@dataclass(frozen=True)
class Ranked:
    """`addresses` to read, largest first; positions (`POSITIONS`) that are `priced` without; reports of the `coins`
    that were read, and why others were not."""

    addresses: list[str]
    priced: pl.DataFrame = field(default_factory=lambda: empty(POSITIONS))
    sized: SizedFirst | None = None
    coins: tuple[CoinReport, ...] = ()
    problem: str = ""


async def ranked_by_evm(
    store: Store,
    discovery: Discovery,
    evm: EvmEndpoint,
    info: InfoClient,
    dexes: Sequence[str],
    coins: Sequence[str],
    *,
    size_within_s: float,
    stop: asyncio.Event,
    on_part: Callable[[pl.DataFrame], None],
    meanwhile: Callable[[], Sequence[AccountReading]],
) -> Ranked:
    """Whom to read of `coins`, which are in `dexes`; HyperEVM is asked until `stop`, for sizes at most `size_within_s`.
    `on_part` gets positions (`POSITIONS`) as they come, `meanwhile` gives accounts that were read since.

    Where it cannot be asked, or shows something else than the info endpoint, the order is that of sizes in all coins,
    and where those are not had either, of what is expected.
    """
    sized = None
    if len(coins) > 1:
        sized = await size_first(
            store, largest_first(store, discovery), evm, info, dexes, within_s=size_within_s, stop=stop
        )
    ranked = largest_first(store, discovery, await _sizes(store, info, dexes))
    reads = list[CoinRead]()
    try:
        for coin in coins:
            read = await read_coin(
                store,
                coin,
                ranked,
                evm,
                info,
                on_part=lambda positions, asked: on_part(positions),
                meanwhile=meanwhile,
                stop=stop,
            )
            reads.append(read)
    except LiqtruthError as error:
        if sized is None:
            sized = await size_first(store, ranked, evm, info, dexes, within_s=size_within_s, stop=stop)
        known = await _sizes(store, info, dexes)
        return Ranked(largest_first(store, discovery, known), sized=sized, problem=str(error))
    return _of_reads(reads, sized)


async def _sizes(store: Store, info: InfoClient, dexes: Sequence[str]) -> pl.DataFrame:
    now = datetime.fromtimestamp(await exchange_time_s(info), UTC)
    return sized_notional(store, dexes, now, RECENT)


def _of_reads(reads: Sequence[CoinRead], sized: SizedFirst | None) -> Ranked:
    """Those whose price is not known, by what they hold of all the coins."""
    waiting = pl.concat([read.waiting for read in reads])
    order = waiting.group_by("address").agg(pl.col("notional_usd").sum()).sort("notional_usd", "address")
    return Ranked(
        addresses=order["address"].reverse().to_list(),
        priced=pl.concat([read.priced for read in reads]),
        sized=sized,
        coins=tuple(read.report for read in reads),
    )


def largest_first(store: Store, discovery: Discovery, sized: pl.DataFrame | None = None) -> list[str]:
    """Everyone in the address book, by the notional sized (`sized_notional`), last read or expected, whichever is had.

    Who was sized and holds nothing is left out.
    """
    known = book(store)
    leaders = [found.leaders for found in discovery.found if found.leaders is not None]
    if leaders:
        known = known.join(pl.concat(leaders), on="address", how="left", maintain_order="left")
    else:
        known = known.with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in ("account_value_usd", "day_pnl_usd", "week_volume_usd")
        )
    value, profit, volume = (
        known[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for name in ("account_value_usd", "day_pnl_usd", "week_volume_usd")
    )
    traded = np.where(known["source"].is_in(["recent trades", "tape"]).to_numpy(), 0.0, np.nan)
    hints = hint_columns(value, np.abs(profit), volume, np.full(known.height, np.nan), traded)
    expected = SizePrior(PRIOR).expected_usd(hints)
    read = known["notional_usd"].fill_null(np.nan).to_numpy()
    size = np.where(np.isnan(read), expected, read)
    if sized is not None:
        now = known.join(sized, on="address", how="left", maintain_order="left")["sized_usd"]
        size = np.where(now.is_null().to_numpy(), size, now.fill_null(0.0).to_numpy())
        may_hold = now.is_null() | (now > 0)
        known, size = known.filter(may_hold), size[may_hold.to_numpy()]
    return known["address"].gather(np.argsort(-size, kind="stable")).to_list()


def dexes_of_coins(coins: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(coin.partition(":")[0] if ":" in coin else MAIN for coin in coins))
