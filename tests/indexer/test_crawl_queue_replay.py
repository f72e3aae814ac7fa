"""The crawl queue on a synthetic market, fed as a watch feeds it: what it reads first, compared with what is true."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from market_replay import Replay, round_robin_order

from liqtruth.indexer.info.wire import Trade
from liqtruth.indexer.watch.crawl_queue import CrawlQueue
from liqtruth.sandbox.hyperliquid.directory import account_values, performance
from liqtruth.sandbox.truth import true_positions

BATCH_WEIGHT = 200
LISTED = 0.75


def leaderboard(replay: Replay) -> pl.DataFrame:
    """The richest three quarters of the accounts, with the hints of `indexer.discovery.source_answers.LEADERS`."""
    market = replay.live.market
    values, done = account_values(market), performance(market)
    board = pl.DataFrame(
        {
            "address": market.addresses,
            "account_value_usd": values,
            "day_pnl_usd": done["day"].pnl,
            "week_volume_usd": done["week"].volume,
        }
    )
    return board.filter(pl.col("account_value_usd") > np.quantile(values, 1 - LISTED))


def tape(replay: Replay, minutes: int) -> list[Trade]:
    names, trades = replay.market.addresses, replay.advance(minutes)
    coins = [asset.name for asset in replay.market.spec.assets]
    sz, px = trades.lots / replay.lot_scale[trades.coin], trades.px / replay.px_scale[trades.coin]
    return [
        Trade(coins[coin], "B", price, size, int(point * 60_000), "0x", number, (names[buyer], names[seller]))
        for number, (coin, price, size, point, buyer, seller) in enumerate(
            zip(trades.coin, px, sz, trades.point, trades.buyer, trades.seller, strict=True)
        )
    ]


def read_all(crawl_queue: CrawlQueue, positions: pl.DataFrame, now_s: float) -> list[str]:
    """Addresses in the order in which the crawl queue has them read, each answered at once."""
    order: list[str] = []
    holdings = positions.partition_by("address", as_dict=True)
    at = datetime.fromtimestamp(now_s, UTC)
    while batch := crawl_queue.next(BATCH_WEIGHT, now_s):
        names = [address for address, _ in batch]
        accounts = pl.DataFrame(
            {
                "address": names,
                "dex": "",
                "as_of": pl.Series([at] * len(names), dtype=pl.Datetime("ms", "UTC")),
                "account_mode": "standard",
            }
        )
        theirs = [holdings[(name,)] for name in names if (name,) in holdings]
        crawl_queue.note_reads(accounts, pl.concat(theirs) if theirs else positions.clear())
        crawl_queue.learn()
        order += names
    return order


@pytest.mark.parametrize("seed", [5, 11])
def test_a_cold_watch_reads_what_its_hints_name_for_a_third_of_the_weight_of_going_through_the_list(
    seed: int,
) -> None:
    """To 95 % of the open interest of accounts that the leaderboard or an hour of tape names, among addresses of which
    three in four hold nothing: 0.13 to 0.14 of the readings of an order that knows nothing."""
    replay = Replay.of(seed, accounts=800, live_hours=1, dormant=2400, days=3)
    reported, board = tape(replay, 60), leaderboard(replay)
    positions = true_positions(replay.live.market).filter(pl.col("dex") == "")
    crawl_queue = CrawlQueue()
    names = [*replay.market.addresses, *(f"0xdead{row:036x}" for row in range(replay.dormant))]
    crawl_queue.add([(name, "") for name in np.random.default_rng(seed).permutation(names).tolist()], board)
    crawl_queue.note_trades([trade for trade in reported if ":" not in trade.coin])
    order = read_all(crawl_queue, positions, replay.now_s)
    assert sorted(set(order)) == sorted(set(names)), "in the end everyone is read"
    holds = dict(positions.group_by("address").agg(pl.col("notional_usd").sum()).iter_rows())
    known = {*board["address"], *(user for trade in reported for user in trade.users)}
    aim = 0.95 * sum(usd for name, usd in holds.items() if name in known)
    blind = [names[row] for row in round_robin_order(len(names), seed)]
    assert readings_to(order, holds, aim) <= readings_to(blind, holds, aim) / 3


def readings_to(order: list[str], holds: dict[str, float], aim_usd: float) -> int:
    return int(np.searchsorted(np.cumsum([holds.get(name, 0.0) for name in order]), aim_usd)) + 1
