"""How a venue and its markets are described: what it gives, in which unit, how far back, and by which call.

The descriptions themselves are the table in `estimator/venues/table.py`. Contracts, coins of the venue and USD become
our coins and USD here alone. A coin is Hyperliquid's: `kPEPE` is a thousand PEPE, whatever the venue quotes. Quote
currencies are taken for USD.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.errors import BadInput

COINS: Final = "coins"
CONTRACTS: Final = "contracts"
USD: Final = "usd"
UNITS: Final = (COINS, CONTRACTS, USD)
"""Coins of the market's base, contracts of the market's size, or quote currency, which is taken for USD."""
WINDOW: Final = "window"
LATEST: Final = "latest"
NUMBERED: Final = "numbered"
WHOLE: Final = "whole"
PAGINGS: Final = (WINDOW, LATEST, NUMBERED, WHOLE)
"""Between two times; the newest rows only; the newest first by page number; everything in one answer."""
PERIODS: Final = {
    60: "1m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    7200: "2h",
    14400: "4h",
    86400: "1d",
}
"""Bar lengths in seconds, as ccxt names them."""
COLLECTED: Final = "no history through ccxt: `liqtruth feed watch` collects it from now on"
PUSHED_ONLY: Final = "only pushed, no history: `liqtruth feed watch` collects them from now on"
SIGNED: Final = "behind an API key"
NO_PUBLIC_CALL: Final = "ccxt has no public call for it"
"""Reasons why a venue lacks a dataset."""


def periods(*steps_s: int) -> dict[int, str]:
    """Some of `PERIODS`."""
    return {step_s: PERIODS[step_s] for step_s in steps_s}


@dataclass(frozen=True)
class Call:
    """A raw method of ccxt, for what its unified ones leave out or mistake.

    Values of `query` that begin with `$` are facts of the page (`estimator.venues.requests.page_facts`). `rows` is
    the way to the list inside the answer. `fields` gives our column as a key or place of a row, or as the quotient of
    two.
    """

    method: str
    query: Mapping[str, str | int]
    fields: Mapping[str, str | int | tuple[str | int, str | int]]
    rows: tuple[str | int, ...] = ()
    in_seconds: bool = False


@dataclass(frozen=True)
class Feed:
    """One dataset of a venue.

    `limit` is the largest page in rows, `span_s` the longest time between its ends where the venue limits that.
    `periods` are the bar lengths offered, as the raw calls name them. `depth_days` and `depth_rows` are how far back
    the venue answers; null where no limit is known. `unit` is that of volumes, open interest or tiers of a linear
    market, `inverse_unit` that of an inverse one (null: inverse markets are not read). `sides` is 2 where the venue
    adds up buyers and sellers, which are the same coins twice. `params` go beside ccxt's arguments, `states_limit`
    states whether the limit does; `calls` replace its unified method, by kind where there are several. `coverage` is
    what share of the events the venue reports, in its own words.
    """

    limit: int
    paging: str = WINDOW
    unit: str = COINS
    inverse_unit: str | None = None
    sides: int = 1
    periods: Mapping[int, str] = field(default_factory=lambda: PERIODS)
    depth_days: float | None = None
    depth_rows: int | None = None
    span_s: int | None = None
    params: Mapping[str, Any] = field(default_factory=lambda: {"until": "$until_ms"})
    states_limit: bool = True
    calls: Mapping[str, Call] = field(default_factory=dict)
    coverage: str = ""

    def step_s(self, asked_s: int) -> int:
        """The longest bar offered that is no longer than what was asked for; else the shortest."""
        fitting = [step_s for step_s in self.periods if step_s <= asked_s]
        return max(fitting) if fitting else min(self.periods)

    def depth_s(self, step_s: int) -> float | None:
        """How far back rows of this length are kept; null where no limit is known."""
        limits = [86_400 * self.depth_days] if self.depth_days is not None else []
        if self.depth_rows is not None:
            limits.append(step_s * self.depth_rows)
        return min(limits) if limits else None

    def depth_words(self) -> str:
        """For people."""
        days = None if self.depth_days is None else f"{self.depth_days:g} days"
        rows = None if self.depth_rows is None else f"{self.depth_rows} rows"
        return " or ".join(part for part in (days, rows) if part) or "no limit known"


def present(
    call: Call | None = None,
    unit: str = COINS,
    inverse_unit: str | None = None,
    sides: int = 1,
    **params: str,
) -> Feed:
    """The present open interest: one row."""
    return Feed(1, LATEST, unit, inverse_unit, sides, params=params, calls={"": call} if call else {})


@dataclass(frozen=True)
class Venue:
    """One venue; `name` is what the user types.

    `ccxt_id` is null for a venue whose series only come from files. `lacks` gives the reason for each dataset that is
    not in `feeds`. `quotes` are tried in this order. `options` go to ccxt; `markets_method` reads fewer markets than
    its own. `open_interest_now` reads the present value, for collecting. `liquidation_stream` states how much of the
    realised liquidations the venue pushes. `facts` names the maintenance brackets that are shipped.
    """

    name: str
    quotes: tuple[str, ...] = ("USDT",)
    ccxt_id: str | None = None
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    open_interest_now: Feed | None = None
    liquidation_stream: str | None = None
    pushes_every_liquidation: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    markets_method: str | None = None
    facts: str | None = None
    note: str = ""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def fetchable(self) -> bool:
        return self.ccxt_id is not None

    @property
    def datasets(self) -> tuple[str, ...]:
        """What can be fetched."""
        return tuple(self.feeds)

    def symbol(self, coin: str) -> str:
        """Name of the perpetual in the shipped bracket tables; Hyperliquid's `kPEPE` is `1000PEPE` there."""
        thousand = coin.startswith("k") and coin[1:].isupper()
        return f"{'1000' + coin[1:] if thousand else coin}{self.quotes[0]}"


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
