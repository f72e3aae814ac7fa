"""How much of what `map moved` calls consumed was liquidated, by how often positions were read: the figures.

Synthetic: three markets of 4,000 accounts, BTC, ETH and SOL over the last day of their history, where every liquidation
is known. Of the positions that are there when the day begins, in USD at its last mark: the share of what counts as
consumed that was liquidated (right), and the share of what was liquidated that counts as consumed (found). Run as a
script it prints them; seeds may be given.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl

from liqtruth.compare.moved.followed import consumed_between
from liqtruth.heatmap.levels import SIDE
from liqtruth.sandbox.market.market import HYPERLIQUID, Market, MarketSpec, simulate
from liqtruth.sandbox.truth import true_liquidations, true_positions
from tests.openings import at_minutes

SEEDS: Final = (5, 7, 9)
COINS: Final = ("BTC", "ETH", "SOL")
HOURS: Final = 24
EVERY_H: Final = (24, 8, 4, 1)


def readings(seed: int) -> tuple[Market, list[Market]]:
    """A market, and itself at every hour of its last day."""
    spec = MarketSpec(seed=seed, accounts=4_000, days=12, cex_accounts=10, coins=COINS, builder_dex=False)
    market = simulate(spec)
    points = [spec.history_minutes - 60 * hour for hour in range(HOURS, -1, -1)]
    return market, list(at_minutes(market, HYPERLIQUID, points))


def levels_of(market: Market) -> pl.DataFrame:
    """All positions as levels."""
    side = pl.when(pl.col("szi") > 0).then(pl.lit("long")).otherwise(pl.lit("short")).cast(SIDE)
    return true_positions(market).select("address", "dex", "coin", "szi", side=side, px="liq_px")


def liquidated(market: Market, since_ms: int) -> pl.DataFrame:
    """Coins of each account and coin that were liquidated after that moment, as `recorded`."""
    rows = true_liquidations(market).filter(pl.col("time").dt.epoch("ms") > since_ms)
    coins = (pl.col("notional_usd") / pl.col("px")).sum()
    return (
        rows.group_by("address", "side", "coin").agg(recorded=coins).with_columns(pl.col("side").cast(SIDE))
    )


def lost(first: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Coins that each position of the first reading has less in the last."""
    left = last.select("address", "side", left=pl.col("szi").abs())
    both = first.join(left, on=["address", "side"], how="left")
    less = (pl.col("szi").abs() - pl.col("left").fill_null(0.0)).clip(0.0)
    return both.select("address", "side", lost=less)


def compared(market: Market, then: list[Market], every_h: int) -> Iterator[tuple[float, float, float]]:
    """Per coin: USD that count as consumed, that were liquidated, and that are both."""
    px = market.path.mark_px(market.venue(HYPERLIQUID).rules.assets)
    chosen = then[::every_h]
    points = [one.path.times_ms.size - 1 for one in chosen]
    frames = [levels_of(one) for one in chosen]
    recorded = liquidated(market, int(chosen[0].path.times_ms[-1]))
    for column, coin in enumerate(COINS):
        mine = [frame.filter(coin=coin) for frame in frames]

        def prices(at: int, column: int = column) -> tuple[float, float]:
            span = px[points[at] : points[at + 1] + 1, column]
            return float(span.min()), float(span.max())

        gone = lost(mine[0], mine[-1])
        for found in (consumed_between(mine, prices), recorded.filter(coin=coin).drop("coin")):
            gone = gone.join(found, on=["address", "side"], how="left")
        consumed, known = (
            gone.select(pl.min_horizontal("lost", pl.col(name).fill_null(0.0))).to_series().to_numpy()
            for name in ("consumed", "recorded")
        )
        yield tuple(px[-1, column] * part.sum() for part in (consumed, known, np.minimum(consumed, known)))  # type: ignore[misc]


def main(seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        market, then = readings(seed)
        for every_h in EVERY_H:
            consumed, known, both = np.sum(list(compared(market, then, every_h)), axis=0)
            sys.stdout.write(
                f"seed {seed}, read every {every_h:>2} h: {both / consumed:4.0%} right, {both / known:4.0%} found "
                f"({known / 1e6:.2f}M USD liquidated)\n"
            )


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SEEDS)
