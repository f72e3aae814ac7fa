"""A table of anyone's realised liquidations: when, which side, at what price, how much.

`side` is that of the position that was closed (`long`, `short`), or of the order that closed it (`sell` closes a long,
`buy` a short): which of the two the words decide. The amount is USD or coins. `--columns` maps other names onto ours;
rows of one moment are all kept, for nothing says that they are the same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.event_files import ReadFile
from liqtruth.estimator.feeds.layouts import NAMES
from liqtruth.estimator.feeds.liquidations import LIQUIDATED_BY
from liqtruth.estimator.feeds.named_markets import of_market
from liqtruth.estimator.venues.parsing import liquidations_of
from liqtruth.estimator.venues.spec import COINS, USD, Contract, Venue
from liqtruth.heatmap.words.notes import source_of_file
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.cells import refuse_first
from liqtruth.storage.files.coin_names import CoinName
from liqtruth.storage.files.tabular import parse_rows, select_columns, shortened, to_float, to_time

NAME: Final = "liquidations (ts, side, price, usd or coins)"
SIDE: Final = "side"
NEEDED: Final = ("ts", SIDE, "price")
AMOUNTS: Final = {"usd": USD, "coins": COINS}
"""Names of the amount, and their units; USD goes first."""
OURS: Final = (*NEEDED, *AMOUNTS, "coin")
POSITIONS: Final = {"LONG": "long", "SHORT": "short"}


def read_liquidation_table(
    content: bytes, path: Path, columns: Mapping[str, str] | None, venue: Venue, coin: CoinName
) -> ReadFile | None:
    """The coin's rows; null for a table that has no side, or where `columns` names none. Raises `TableRefused` and
    `UnknownChoice` for a column that is none of `OURS`."""
    if columns and SIDE not in columns:
        return None
    if not columns and content.lstrip()[:1] in (b"{", b"["):
        return None
    parsed = parse_rows(content, path)
    theirs = _theirs(parsed.rows.columns, columns, path)
    if theirs is None:
        return None
    named = _with_coin(parsed.rows, columns)
    of = of_market(named, path, venue, coin)
    table = select_columns(of.rows, theirs, path)
    amount = next(name for name in AMOUNTS if name in theirs)
    read = to_float(to_time(table, "ts", path, theirs), ["price", amount], path, theirs)
    for name in ("price", amount):
        wrong = (read[name].is_null() | (read[name] <= 0)).fill_null(True)
        refuse_first(path, theirs[name], read[name], wrong, "above zero")
    sides = read[SIDE].str.strip_chars().str.to_uppercase()
    words = {**POSITIONS, **LIQUIDATED_BY}
    refuse_first(path, theirs[SIDE], read[SIDE], ~sides.is_in(list(words)), "long, short, sell or buy")
    by_order = not sides.is_in(list(POSITIONS)).any()
    if not by_order and sides.is_in(list(LIQUIDATED_BY)).any():
        raise TableRefused(
            f"{path}: column {theirs[SIDE]!r} names positions (long) and orders (sell); give one kind"
        )
    rows = read.select("ts", sides.replace_strict(words).alias(SIDE), px="price", amount=pl.col(amount))
    contract = Contract(coin.coin, coin.coin, coin.coin, 1.0, coins_per_base=of.factor)
    meant = "orders: a sell liquidates a long" if by_order else "positions"
    return ReadFile(
        {"liquidations": liquidations_of(rows, contract, AMOUNTS[amount])},
        NAME,
        (
            f"sides are of {meant}; amounts are {'USD' if amount == 'usd' else 'coins'}",
            "what share of all liquidations they are is not stated: each day counts from its first to its last",
            *parsed.remarks,
            *of.remarks,
        ),
        source=source_of_file(str(path), of.rows),
    )


def _theirs(header: list[str], columns: Mapping[str, str] | None, path: Path) -> dict[str, str] | None:
    """Ours -> theirs without the coin; null where the table lacks a side or an amount, or has other columns: trades
    have sides and prices too."""
    if not columns and set(header) - {*OURS, *NAMES}:
        return None
    given = columns or {name: name for name in OURS if name in header}
    for name in given:
        if name not in OURS:
            raise UnknownChoice("column of ours", name, OURS)
    found = {"ts": "ts", **given}
    found.pop("coin", None)
    if set(NEEDED) <= set(found) and set(AMOUNTS) & set(found):
        return found
    if columns:
        raise TableRefused(
            f"{path}: liquidations need ts, side, price and usd or coins, --columns gives {shortened(list(columns))}"
        )
    return None


def _with_coin(rows: pl.DataFrame, columns: Mapping[str, str] | None) -> pl.DataFrame:
    """With the column that names the market under a name that says so."""
    theirs = (columns or {}).get("coin")
    return rows if theirs is None or theirs not in rows.columns else rows.rename({theirs: "coin"})
