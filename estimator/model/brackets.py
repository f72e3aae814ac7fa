"""Maintenance brackets of a venue, and the price at which an isolated position of a given size is liquidated.

The brackets are facts copied from the venue (its endpoint is signed, so they are a dated table beside the code).
Liquidation is where equity meets maintenance:

    margin + side * q * (p - entry) = max_k(rate_k * q * p - amount_k),    side = +1 long, -1 short

The maintenance amounts `amount_k` follow from continuity at the bounds, which makes maintenance the largest of its
brackets' lines. Binance's published formula `(WB + cum - side*q*EP) / (q*(MMR - side))` is the root of one line; the
position's own root is the highest of them for a long and the lowest for a short, so no bracket has to be searched.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Final, Self

import msgspec
import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from liqtruth.estimator.frames import TIERS
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.grid import FloatArray
from liqtruth.storage.database.markets import last_market, universes_at
from liqtruth.storage.store import Store

POSITION_USD: Final = 10_000.0
"""Size that a modelled position is assumed to have at entry: public aggregates have no sizes."""

FALLBACK_RATE: Final = 0.01
FALLBACK_MAX_LEVERAGE: Final = 50.0

HALF_OF_INITIAL: Final = "hyperliquid"
"""The venue whose maintenance follows from a coin's highest leverage, which is stored with its markets."""

LONG: Final = 1.0
SHORT: Final = -1.0


@dataclass(frozen=True, eq=False)
class Brackets:
    """Brackets of one market, ascending: lower bounds (USD), maintenance rates and highest leverages."""

    symbol: str
    floor_usd: FloatArray
    rate: FloatArray
    max_leverage: FloatArray
    source: str
    assumed: bool = False
    """Nothing is known of the market: neither rates nor the highest leverage are anyone's."""

    def __post_init__(self) -> None:
        if self.floor_usd[0] != 0 or np.any(np.diff(self.floor_usd) <= 0) or np.any(np.diff(self.rate) < 0):
            raise BadInput(f"brackets of {self.symbol} must start at 0 and ascend in notional and rate")

    @classmethod
    def flat(
        cls, symbol: str, rate: float, max_leverage: float, source: str, *, assumed: bool = False
    ) -> Self:
        """One bracket for every size."""
        return cls(symbol, np.zeros(1), np.array([rate]), np.array([max_leverage]), source, assumed)

    @cached_property
    def amount_usd(self) -> FloatArray:
        """Maintenance amount (`cum`) per bracket: what keeps maintenance continuous at the bounds."""
        return np.concatenate([[0.0], np.cumsum(self.floor_usd[1:] * np.diff(self.rate))])

    def bracket_of(self, notional_usd: float) -> int:
        """Index of the bracket that holds this notional; a bound belongs to the bracket below it."""
        return max(int(np.searchsorted(self.floor_usd, notional_usd, side="left")) - 1, 0)

    def highest_leverage(self, notional_usd: float) -> float:
        """The most leverage that the venue lets a position of this size open with."""
        return float(self.max_leverage[self.bracket_of(notional_usd)])

    def maintenance_usd(self, notional_usd: ArrayLike) -> FloatArray:
        """Maintenance margin of positions of these notionals."""
        notional = np.asarray(notional_usd, dtype=np.float64)[..., None]
        return np.asarray((notional * self.rate - self.amount_usd).max(axis=-1))


def liquidation_price(
    brackets: Brackets, entry_px: ArrayLike, size: ArrayLike, leverage: ArrayLike, side: float
) -> FloatArray:
    """Price where an isolated position of `size` coins meets its maintenance; the arguments broadcast.

    A price that is not positive means that no price liquidates (a long at 1x). The initial margin is
    `size * entry_px / leverage` and nothing is added to it: no funding, fees or further collateral.
    """
    entry, coins, times = (
        np.asarray(value, dtype=np.float64)[..., None] for value in (entry_px, size, leverage)
    )
    margin = coins * entry / times
    roots = (margin + brackets.amount_usd - side * coins * entry) / (coins * (brackets.rate - side))
    return np.asarray(roots.max(axis=-1) if side > 0 else roots.min(axis=-1))


def liquidation_factors(
    brackets: Brackets, leverage: ArrayLike, side: float, position_usd: float = POSITION_USD
) -> FloatArray:
    """Liquidation over entry price per leverage, for positions worth `position_usd` at entry.

    One vector serves every lot: with the size fixed in USD the ratio does not depend on the entry price.
    """
    return liquidation_price(brackets, 1.0, position_usd, leverage, side)


def brackets_of(venue: Venue, coin: str, tiers: pl.DataFrame | None = None) -> Brackets:
    """What the venue reported of `coin` (one reading of `estimator.frames.TIERS`), else the dated table of its facts,
    else one stated default bracket."""
    symbol = venue.symbol(coin)
    unusable = ""
    if tiers is not None and not tiers.is_empty():
        try:
            return _of_tiers(
                symbol,
                tiers,
                f"maintenance tiers of {venue.name} {symbol}, reported {tiers['ts'][0]:%Y-%m-%d}",
            )
        except BadInput as error:
            unusable = f"; the reported tiers are not used: {error}"
    rows = None if venue.facts is None else read_facts(venue.facts).filter(pl.col("symbol") == symbol)
    if venue.facts is None or rows is None or rows.is_empty():
        note = (
            f"no maintenance brackets of {venue.name} {symbol} are known: "
            f"{FALLBACK_RATE:.1%} maintenance and at most {FALLBACK_MAX_LEVERAGE:g}x assumed{unusable}"
        )
        return Brackets.flat(symbol, FALLBACK_RATE, FALLBACK_MAX_LEVERAGE, note, assumed=True)
    source = f"maintenance brackets of {venue.name} {symbol}, {facts_date(venue.facts)}{unusable}"
    return _of_tiers(symbol, rows, source)


def stored_brackets(store: Store, venue: Venue, coin: str, at: datetime) -> Brackets:
    """`brackets_of` with the stored reading of the venue's tiers that is nearest to `at`; on Hyperliquid the coin's own
    bracket, where its market's highest leverage or its dex's `meta` is stored."""
    if venue.name == HALF_OF_INITIAL:
        own = _of_market(store, coin, at) or _of_meta(store, coin, at)
        if own is not None:
            return own
    stored = store.lake.read_series("tiers", venue.name, coin, TIERS)
    moments = stored["ts"].unique()
    if moments.is_empty():
        return brackets_of(venue, coin)
    nearest = moments[int((moments - at).abs().arg_min() or 0)]
    return brackets_of(venue, coin, stored.filter(pl.col("ts") == nearest))


class _Tier(msgspec.Struct, rename="camel"):
    lower_bound: float
    max_leverage: float


class _Table(msgspec.Struct, rename="camel"):
    margin_tiers: list[_Tier]


class _Asset(msgspec.Struct, rename="camel"):
    name: str
    max_leverage: float
    margin_table_id: int = 0


class _Meta(msgspec.Struct, rename="camel"):
    """What is read of Hyperliquid's `meta`: the coins of a dex and its tiered margin tables."""

    universe: list[_Asset]
    margin_tables: list[tuple[int, _Table]] = []


def _of_meta(store: Store, coin: str, at: datetime) -> Brackets | None:
    """The coin's margin table in the stored `meta` of `at`, or else the first later one; null where none has it."""
    dex = coin.partition(":")[0] if ":" in coin else ""
    stored = universes_at(store.database, HALF_OF_INITIAL, [dex], [at])[dex]
    if not stored:
        return None
    try:
        meta = msgspec.json.decode(stored[-1].meta_json, type=_Meta, strict=False)
    except NOT_DECODED:
        return None
    asset = next((one for one in meta.universe if one.name == coin), None)
    if asset is None:
        return None
    tiers = dict(meta.margin_tables).get(asset.margin_table_id, _Table([_Tier(0.0, asset.max_leverage)]))
    floor, highest = np.array([(one.lower_bound, one.max_leverage) for one in tiers.margin_tiers]).T
    source = (
        f"{HALF_OF_INITIAL} {coin}: maintenance is half the initial margin at {highest[0]:g}x, by `meta` of "
        f"{stored[-1].as_of:%Y-%m-%d}{_tiered(highest)}"
    )
    return Brackets(coin, floor, 0.5 / highest, highest, source)


def _tiered(highest: FloatArray) -> str:
    return f", {len(highest)} tiers down to {highest[-1]:g}x" if len(highest) > 1 else ""


def _of_market(store: Store, coin: str, at: datetime) -> Brackets | None:
    """Hyperliquid's maintenance is half of the initial margin at the coin's highest leverage; null where no market row
    reports it. Rows of before `at` go first, but a limit reported later is better than a default."""
    for moment in (at, None):
        market = last_market(store.database, HALF_OF_INITIAL, coin, moment)
        if market is not None and market.max_leverage:
            highest = float(market.max_leverage)
            note = f"{HALF_OF_INITIAL} {coin}: maintenance is half the initial margin at {highest:g}x"
            return Brackets.flat(coin, 0.5 / highest, highest, note)
    return None


def _of_tiers(symbol: str, rows: pl.DataFrame, source: str) -> Brackets:
    """Raises `BadInput` for tiers that do not start at zero or do not ascend."""
    floor, rate, cap = (
        rows.sort("min_notional_usd")[name].to_numpy()
        for name in ("min_notional_usd", "maintenance_margin_rate", "max_leverage")
    )
    if not all(np.all(np.isfinite(values)) for values in (floor, rate, cap)):
        raise BadInput(f"tiers of {symbol} have empty cells")
    return Brackets(symbol, floor, rate, cap, source)


@lru_cache
def read_facts(name: str) -> pl.DataFrame:
    """A bracket table of `estimator/facts`: symbol, coin, bounds (USD), rate, highest leverage."""
    content = (files("liqtruth.estimator") / "facts" / name).read_bytes()
    text = ("symbol", "coin")
    table = pl.read_csv(content, comment_prefix="#", infer_schema=False)
    return table.with_columns(pl.exclude(*text).cast(pl.Float64))


def facts_date(name: str) -> str:
    """The month that a table's name ends with: `binance_usdm_2026_09.csv` is of 2026-09."""
    year, month = name.removesuffix(".csv").split("_")[-2:]
    return f"{year}-{month}"
