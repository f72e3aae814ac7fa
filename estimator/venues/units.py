"""Units of a market, in one place: contracts, coins of the venue and USD become our coins and USD.

A coin is Hyperliquid's: `kPEPE` is a thousand PEPE, whatever the venue quotes. Quote currencies are taken for USD.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from liqtruth.estimator.venues.spec import COINS, CONTRACTS, USD, Feed
from liqtruth.heatmap.errors import BadInput


@dataclass(frozen=True)
class Contract:
    """What the numbers of one perpetual mean.

    `size` is coins of the base per contract, for an inverse market USD per contract. `coins_per_base` is how many of
    our coins are in one of the market's base: 1000 for `PEPE` where `1000PEPE` is traded.
    """

    coin: str
    symbol: str
    market_id: str
    size: float
    inverse: bool = False
    coins_per_base: float = 1.0

    def unit(self, feed: Feed) -> str:
        """The unit of `feed` here; raises `BadInput` for an inverse market of a venue whose units are not known."""
        if not self.inverse:
            return feed.unit
        if feed.inverse_unit is None:
            raise BadInput(
                f"{self.symbol} is inverse, and the units of this feed are only known for linear ones"
            )
        return feed.inverse_unit

    def px(self, venue_px: pl.Expr) -> pl.Expr:
        """USD per our coin."""
        return venue_px / self.coins_per_base

    def coins(self, amount: pl.Expr, unit: str, px: pl.Expr) -> pl.Expr:
        """Our coins; `px` is USD per our coin and only looked at where the amount is money."""
        if unit == COINS:
            return amount * self.coins_per_base
        if unit == CONTRACTS and not self.inverse:
            return amount * (self.size * self.coins_per_base)
        return self.usd(amount, unit, px) / px

    def usd(self, amount: pl.Expr, unit: str, px: pl.Expr) -> pl.Expr:
        """USD; `px` is only looked at where the amount is coins."""
        if unit == USD:
            return amount
        if unit == CONTRACTS and self.inverse:
            return amount * self.size
        return self.coins(amount, unit, px) * px

    def is_money(self, unit: str) -> bool:
        """Whether an amount of this unit is USD, and coins need a price."""
        return unit == USD or (unit == CONTRACTS and self.inverse)


def base_names(coin: str) -> Iterator[tuple[str, float]]:
    """Names that venues may give to `coin`, with how many of our coins one of theirs is; the likeliest first.

    Hyperliquid's `kPEPE` is traded as `1000PEPE` or `PEPE1000` or, per single coin, as `PEPE`.
    """
    yield coin, 1.0
    if coin != coin.upper():
        yield coin.upper(), 1.0  # ccxt writes every base in capitals
    thousand = coin.startswith("k") and coin[1:].isupper()
    single, per_single = (coin[1:], 1e-3) if thousand else (coin, 1.0)
    for prefix, many in (("1000", 1e3), ("10000", 1e4), ("1000000", 1e6), ("1M", 1e6)):
        yield f"{prefix}{single}", many * per_single
        yield f"{single}{prefix}", many * per_single
    if thousand:
        yield single, per_single
    else:
        yield f"K{single}", 1e3
