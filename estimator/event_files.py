"""Files that are no table of one market: recorded forced orders, and lists of maintenance tiers.

Both hold every market of a venue; the rows of one coin are taken. What cannot be right is refused with row and value.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from estimator.answers import liquidations_of
from estimator.frames import conform
from estimator.liquidations import LIQUIDATED_BY
from estimator.units import Contract, base_names
from estimator.venue_spec import COINS, Venue
from storage.errors import TableRefused
from storage.tabular import to_float, to_time

FORCED_ORDER: Final = re.compile(rb"[A-Z0-9]+,(BUY|SELL),[A-Z_]+,(IOC|GTC|FOK),")
FORCED_ORDERS: Final = "forced orders of Binance, without a header"
FIELDS: Final = (
    *("symbol", "side", "type", "in_force", "qty", "price", "average", "status", "last", "filled"),
    *("ms", "usd"),
)
TIERS: Final = "maintenance tiers by market (notional in USD)"
TIER_FIELDS: Final = ("min_notional", "max_notional", "maintenance_margin_rate", "max_leverage")
DATED: Final = re.compile(r"(20\d\d)-(\d\d)(?:-(\d\d))?(?!\d)")


@dataclass(frozen=True, eq=False)
class ReadFile:
    """What a file holds of one coin: frames by dataset, its layout's name, and what is said of it."""

    frames: Mapping[str, pl.DataFrame]
    layout: str
    remarks: tuple[str, ...]


def read_event_file(path: Path, venue: Venue, coin: str) -> ReadFile | None:
    """The coin's rows of a file of one of these kinds; null for any other file. Raises `TableRefused`."""
    content = _content(path)
    if FORCED_ORDER.match(content):
        return _forced_orders(content, path, venue, coin)
    if content[:1] == b"{" and b'"tiers"' in content[:4096]:
        return _tiers(content, path, venue, coin)
    return None


def _content(path: Path) -> bytes:
    """Empty for what cannot be read: the table reader says why."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error):
        return b""


def _forced_orders(content: bytes, path: Path, venue: Venue, coin: str) -> ReadFile:
    try:
        table = pl.read_csv(content, has_header=False, new_columns=list(FIELDS), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise TableRefused(f"{path}: not a table of forced orders: {str(error).splitlines()[0]}") from error
    if table.width != len(FIELDS):
        raise TableRefused(
            f"{path}: {table.width} columns; forced orders have {len(FIELDS)}: {', '.join(FIELDS)}"
        )
    numbers = ("price", "filled")
    told = to_float(to_time(table.rename({"ms": "ts"}), "ts", path), numbers, path)
    _refuse(path, told, "side", ~pl.col("side").is_in(list(LIQUIDATED_BY)), "BUY or SELL")
    for name in numbers:
        _refuse(path, told, name, pl.col(name).is_null() | (pl.col(name) <= 0), "above zero")
    symbol, coins_per_base = _listed(told["symbol"].unique().to_list(), venue, coin, path)
    rows = told.filter(pl.col("symbol") == symbol).select(
        "ts",
        pl.col("side").replace_strict(LIQUIDATED_BY),
        px="price",
        amount="filled",
    )
    contract = Contract(coin, symbol, symbol, 1.0, coins_per_base=coins_per_base)
    coverage = venue.liquidation_stream or "unknown"
    return ReadFile(
        {"liquidations": liquidations_of(rows, contract, COINS)},
        FORCED_ORDERS,
        (
            f"{rows.height} of {told.height} orders are of {symbol}; a sell liquidates a long, a buy a short",
            f"coverage: {coverage}",
        ),
    )


def _refuse(path: Path, table: pl.DataFrame, name: str, wrong: pl.Expr, wanted: str) -> None:
    row = table.select(wrong.fill_null(True)).to_series().arg_true().first()
    if isinstance(row, int):
        raise TableRefused(f"{path}: row {row + 1}, column {name!r}: {table[name][row]!r} is not {wanted}")


def _listed(symbols: Iterable[str], venue: Venue, coin: str, path: Path) -> tuple[str, float]:
    """How the file calls the coin, and how many of our coins are one of its."""
    known = set(symbols)
    for base, coins_per_base in base_names(coin):
        for quote in venue.quotes:
            for name in (base, f"{base}{quote}", f"{base}/{quote}:{quote}"):
                if name in known:
                    return name, coins_per_base
    shown = ", ".join(sorted(known)[:8])
    raise TableRefused(f"{path}: nothing of {coin} among {len(known)} markets; it has e.g. {shown}")


def _tiers(content: bytes, path: Path, venue: Venue, coin: str) -> ReadFile:
    try:
        told: Any = json.loads(content)
        columns, markets = tuple(told["columns"]), dict(told["tiers"])
    except (ValueError, LookupError, TypeError) as error:
        raise TableRefused(f"{path}: not a list of maintenance tiers: {error}") from error
    if columns != TIER_FIELDS:
        raise TableRefused(f"{path}: tiers have the columns {columns}; known are {TIER_FIELDS}")
    market, _ = _listed(markets, venue, coin, path)
    at = _date_in_name(path)
    try:
        rows = pl.DataFrame(markets[market], schema=dict.fromkeys(TIER_FIELDS, pl.Float64), orient="row")
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise TableRefused(f"{path}: tiers of {market}: {str(error).splitlines()[0]}") from error
    _check_tiers(rows, market, path)
    frame = conform(
        rows.rename({"min_notional": "min_notional_usd", "max_notional": "max_notional_usd"}).with_columns(
            ts=pl.lit(at, dtype=pl.Datetime("ms", "UTC"))
        ),
        "tiers",
    )
    return ReadFile({"tiers": frame}, TIERS, (f"{market}, dated {at:%Y-%m-%d} by the file's name",))


def _check_tiers(rows: pl.DataFrame, market: str, path: Path) -> None:
    least, most, rate = (rows[name] for name in TIER_FIELDS[:3])
    if rows.is_empty() or rows.null_count().sum_horizontal()[0] or least[0] != 0:
        raise TableRefused(f"{path}: tiers of {market} must begin at 0 and have no empty cell")
    if (most <= least).any() or (least[1:] != most[:-1]).any() or (rate.diff().drop_nulls() < 0).any():
        raise TableRefused(f"{path}: tiers of {market} must follow one another with rates that do not fall")


def _date_in_name(path: Path) -> datetime:
    """The list itself carries no date."""
    found = DATED.search(path.name)
    try:
        if found is not None:
            return datetime(int(found[1]), int(found[2]), int(found[3] or 1), tzinfo=UTC)
    except ValueError:
        pass
    raise TableRefused(
        f"{path}: tiers need the date on which they were read: put it into the name, e.g. tiers_2026-09-15.json"
    )
