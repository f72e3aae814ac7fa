"""Files that are no table of one market: recorded forced orders, and lists of maintenance tiers.

Both hold every market of a venue; the rows of one coin are taken. What cannot be right is refused with row and value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from liqtruth.estimator.feeds.contradictions import Redundancy, hold
from liqtruth.estimator.feeds.liquidations import LIQUIDATED_BY
from liqtruth.estimator.feeds.named_markets import chosen
from liqtruth.estimator.frames import conform
from liqtruth.estimator.venues.parsing import liquidations_of
from liqtruth.estimator.venues.spec import COINS, Contract, Venue
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.text import expected_time, is_timely
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.cells import refuse_first
from liqtruth.storage.files.coin_names import CoinName
from liqtruth.storage.files.tabular import parse_rows, to_float, to_time

FORCED_ORDER: Final = re.compile(
    rb"[^,\r\n]*,\"?(?:BUY|SELL)\"?,\"?[A-Z_]+\"?,\"?[A-Z]{3}\"?,[^,\r\n]*,", re.IGNORECASE
)
LOOKED_AT: Final = 20
"""Lines in which a row of that kind is looked for: the first may be of any market, or broken."""
FORCED_ORDERS: Final = "forced orders of Binance, without a header"
FIELDS: Final = (
    *("symbol", "side", "type", "in_force", "qty", "price", "average", "status", "last", "filled"),
    *("ms", "usd"),
)
NUMBERS: Final = ("price", "filled")
PAID: Final = Redundancy(
    ("usd", "filled", "price"),
    "usd is the filled amount times price",
    pl.col("usd") / pl.col("filled") / pl.coalesce("average", "price"),
    pl.lit(0.8),
    pl.lit(1.25),
)
UNIT: Final = 1.0
"""Steps of tiers that are so far apart touch: a venue lists them in whole numbers."""
TIERS: Final = "maintenance tiers by market (notional in USD)"
TIER_FIELDS: Final = ("min_notional", "max_notional", "maintenance_margin_rate", "max_leverage")
DATED: Final = re.compile(r"(20\d\d)-(\d\d)(?:-(\d\d))?(?!\d)")


@dataclass(frozen=True, eq=False)
class ReadFile:
    """What a file holds of one coin: frames by dataset, its layout's name, and remarks on it; `source` where that is
    more than its path."""

    frames: Mapping[str, pl.DataFrame]
    layout: str
    remarks: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    source: str = ""


class TierFile(msgspec.Struct):
    """Tiers of many markets; those of one are read on."""

    columns: list[str]
    tiers: dict[str, msgspec.Raw]


def read_event_file(content: bytes, path: Path, venue: Venue, coin: CoinName) -> ReadFile | None:
    """The coin's rows of a file of one of these kinds; null for any other file. Raises `TableRefused`."""
    if any(FORCED_ORDER.match(line) for line in content[: LOOKED_AT * 200].splitlines()[:LOOKED_AT]):
        return _forced_orders(content, path, venue, coin)
    if content.lstrip()[:1] == b"{" and b'"tiers"' in content[:4096]:
        return _tiers(content, path, venue, coin)
    return None


def _forced_orders(content: bytes, path: Path, venue: Venue, coin: CoinName) -> ReadFile:
    table = parse_rows(content, path).rows
    if table.width != len(FIELDS):
        raise TableRefused(
            f"{path}: {table.width} columns; forced orders have {len(FIELDS)}: {', '.join(FIELDS)}"
        )
    orders = table.rename(dict(zip(table.columns, FIELDS, strict=True)))
    read = to_float(to_time(orders.rename({"ms": "ts"}), "ts", path), NUMBERS, path)
    _refuse(path, read, "side", ~pl.col("side").is_in(list(LIQUIDATED_BY)), "BUY or SELL")
    for name in NUMBERS:
        _refuse(path, read, name, pl.col(name).is_null() | (pl.col(name) <= 0), "above zero")
    read = read.with_columns(pl.col("average", "usd").cast(pl.Float64, strict=False))
    sound, remarks = hold(read, PAID, path)
    symbols = sound["symbol"].fill_null("").unique(maintain_order=True).to_list()
    kept = listed(symbols, venue, coin, path)
    coins_per_base = next(iter(kept.values())).factor
    rows = sound.filter(pl.col("symbol").is_in(list(kept))).select(
        "ts",
        pl.col("side").replace_strict(LIQUIDATED_BY),
        px="price",
        amount="filled",
    )
    symbol = next(iter(kept))
    contract = Contract(coin.coin, symbol, symbol, 1.0, coins_per_base=coins_per_base)
    coverage = venue.liquidation_stream or "unknown"
    return ReadFile(
        {"liquidations": liquidations_of(rows, contract, COINS)},
        FORCED_ORDERS,
        (
            f"{rows.height} of {read.height} orders are of {symbol}; a sell liquidates a long, a buy a short",
            f"coverage: {coverage}",
            *remarks,
        ),
    )


def _refuse(path: Path, table: pl.DataFrame, name: str, wrong: pl.Expr, wanted: str) -> None:
    refuse_first(path, name, table[name], table.select(wrong.fill_null(True)).to_series(), wanted)


def listed(symbols: Sequence[str], venue: Venue, coin: CoinName, path: Path) -> dict[str, CoinName]:
    """How the file calls the coin's market, with what the name means; raises `TableRefused` where it has none."""
    if kept := chosen(symbols, venue, coin):
        return kept
    shown = ", ".join(sorted(symbols)[:8])
    raise TableRefused(f"{path}: nothing of {coin.coin} among {len(symbols)} markets; it has e.g. {shown}")


def _tiers(content: bytes, path: Path, venue: Venue, coin: CoinName) -> ReadFile:
    try:
        decoded = msgspec.json.decode(content, type=TierFile)
    except NOT_DECODED as error:
        raise TableRefused(f"{path}: not a list of maintenance tiers: {error}") from None
    if tuple(decoded.columns) != TIER_FIELDS:
        raise TableRefused(f"{path}: tiers have the columns {decoded.columns}; known are {TIER_FIELDS}")
    market = next(iter(listed(list(decoded.tiers), venue, coin, path)))
    at = _date_in_name(path)
    try:
        steps = msgspec.json.decode(decoded.tiers[market], type=list[tuple[float, float, float, float]])
    except NOT_DECODED as error:
        raise TableRefused(f"{path}: tiers of {market}: {error}") from None
    rows, remarks = _joined(
        pl.DataFrame(steps, schema=dict.fromkeys(TIER_FIELDS, pl.Float64), orient="row"), market, path
    )
    frame = conform(
        rows.rename({"min_notional": "min_notional_usd", "max_notional": "max_notional_usd"}).with_columns(
            ts=pl.lit(at, dtype=pl.Datetime("ms", "UTC"))
        ),
        "tiers",
    )
    return ReadFile({"tiers": frame}, TIERS, (f"{market}, dated {at:%Y-%m-%d} by the file's name", *remarks))


def _joined(rows: pl.DataFrame, market: str, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Tiers that follow one another: a step from 6500 to 6501 is one at 6500. Raises `TableRefused` naming two rows."""
    least, most, rate = (rows[name] for name in TIER_FIELDS[:3])
    if rows.is_empty() or least[0] != 0:
        raise TableRefused(f"{path}: tiers of {market} must begin at 0")
    for at in (most <= least).arg_true().to_list()[:1]:
        raise TableRefused(
            f"{path}: tiers of {market}, row {at + 1}: {most[at]:g} is not above {least[at]:g}"
        )
    gaps, falls = least[1:] - most[:-1], rate.diff()[1:] < 0
    wrong = ~gaps.is_between(0, UNIT) | falls
    for at in wrong.arg_true().to_list()[:1]:
        raise TableRefused(
            f"{path}: tiers of {market}, rows {at + 1} and {at + 2}: tiers must follow one another with rates that do "
            f"not fall; these are {list(rows.row(at))} and {list(rows.row(at + 1))}"
        )
    if not (gaps > 0).any():
        return rows, ()
    joined = rows.with_columns(min_notional=pl.col("max_notional").shift(1, fill_value=0.0))
    return joined, ("each tier is taken to begin where the one before it ends",)


def _date_in_name(path: Path) -> datetime:
    """The list itself carries no date."""
    found = DATED.search(path.name)
    try:
        at = found and datetime(int(found[1]), int(found[2]), int(found[3] or 1), tzinfo=UTC)
    except ValueError:
        at = None
    if at and is_timely(at):
        return at
    raise TableRefused(
        f"{path}: tiers need the date on which they were read, {expected_time()}: put it into the name, e.g. "
        "tiers_2026-09-15.json"
    )
