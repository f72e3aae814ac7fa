"""Rows of a recognised table as the frames of `indexer.frames`: numbers, times, names, sides and units checked.

Never calls the exchange and stores nothing. A cell that cannot be is refused with its row (1 = first data row), column
and value. Coins are folded into the exchange's names; sizes and prices of a coin that is traded by the thousand there
are turned with it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import AHEAD, EARLIEST, expected_time, is_timely
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.tables.layouts import Place, Recognised
from liqtruth.indexer.frames import MARKETS, POSITION, POSITIONS, conform
from liqtruth.indexer.margin.inferred import with_server_marks
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.coin_names import CoinName, folded, is_outcome
from liqtruth.storage.files.tabular import select_columns, to_float, to_kind, to_text, to_time

SHORTS: Final = ("short", "sell", "s", "a", "ask")
LONGS: Final = ("long", "buy", "l", "b", "bid")
OF_MODES: Final = ("cross_leverage", "isolated_leverage")
"""Leverage in a column of its margin mode: the one that is filled states both."""
FLOATS: Final = (*(name for name, dtype in POSITIONS.items() if dtype == pl.Float64()), *OF_MODES)
TIMES: Final = ("as_of", "held_since")
TEXTS: Final = (
    *(name for name, dtype in POSITIONS.items() if dtype == pl.String()),
    *("side", "exchange_read"),
)
OTHERS: Final = tuple(name for name in POSITIONS if name not in (*FLOATS, *TEXTS, *TIMES))
KEY: Final = ("address", "dex", "coin", "as_of")
PRICES: Final = ("entry_px", "mark_px", "liq_px_exchange")
MARKET_FLOATS: Final = ("mark_px", "open_interest", "funding_rate")
MOST_OPEN_INTEREST: Final = 1e15
"""Coins; no market has had so many, not even of the cheapest."""
MOST_PRICE: Final = 1e15
"""USD; beyond it the exchange sends none."""
MOST_FUNDING: Final = 1.0
"""Of an hour, as a fraction of the notional."""
NEEDED: Final = ("szi", "size")
NO_VALUE: Final = ("null", "none", "n/a", "na", "-", "--", "nan", "nil")
HEX_ADDRESS: Final = "^0x[0-9a-f]{40}$"
SHOWN_NAMES: Final = 6


def typed_rows(
    table: pl.DataFrame,
    known: Recognised,
    path: Path,
    as_of: datetime | None = None,
    dex: str = "",
    coins: Collection[str] = (),
) -> tuple[pl.DataFrame, list[Note]]:
    """Positions under our names and units, with `row`, sizes signed and valued, and notes on names.

    `as_of` stands in where the table has no time; `dex` is whose the coins without prefix are; `coins` are names that
    there are. Raises `ImportRefused` and `TableRefused`.
    """
    place = Place(path, known.columns)
    rows = _selected(table, known, (*FLOATS, "size"), place)
    rows = _timed(rows, place, as_of)
    for name in ("address", "coin"):
        refuse_rows(rows, pl.col(name).fill_null("").str.strip_chars() == "", name, "is empty", place)
    rows, notes = _with_leverage(_margin_mode(rows, place))
    rows = _with_addresses(rows, place)
    rows, renamed = _with_coins(rows, coins, dex, place)
    rows = _valued(_signed_sizes(rows, place), place)
    return rows.with_columns(exchange_read=_exchange_read(rows)), [*notes, *renamed]


def _selected(table: pl.DataFrame, known: Recognised, numbers: Sequence[str], place: Place) -> pl.DataFrame:
    """The mapped columns under our names with their row number; numbers and times are checked before that."""
    if table.is_empty():
        raise ImportRefused(f"{place}: the table has a header and no rows")
    for ours, theirs in place.columns.items():
        if theirs in table.columns and ours in numbers:
            table = table if ours in NEEDED else _without_placeholders(table, theirs)
            table = to_float(table, [theirs], place.path)
        elif theirs in table.columns and ours == "as_of":
            table = to_time(table, theirs, place.path)
        elif theirs in table.columns and ours == "held_since":
            table = to_time(_without_placeholders(table, theirs), theirs, place.path, may_be_empty=True)
    rows = select_columns(table, place.columns, place.path).with_row_index("row", offset=1)
    for ours, value in known.constants.items():
        rows = rows.with_columns(pl.lit(value).alias(ours))
        rows = to_float(rows, [ours], place.path) if ours in numbers else rows
        rows = to_time(rows, ours, place.path) if ours in TIMES else rows
    for name in OTHERS:
        rows = (
            to_kind(rows, name, POSITIONS[name], place.path, place.columns) if name in rows.columns else rows
        )
    return to_text(rows, [name for name in TEXTS if name in rows.columns], place.path, place.columns)


def _without_placeholders(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """The words by which other tools leave a cell empty become nothing."""
    column = pl.col(name)
    if table[name].dtype == pl.String:
        word = column.str.strip_chars().str.to_lowercase()
        return table.with_columns(pl.when(word.is_in(NO_VALUE)).then(None).otherwise(column).alias(name))
    return table.with_columns(column.fill_nan(None)) if table[name].dtype.is_float() else table


def _timed(rows: pl.DataFrame, place: Place, as_of: datetime | None) -> pl.DataFrame:
    if "as_of" not in rows.columns:
        if as_of is None:
            raise ImportRefused(f"{place}: the table has no time at which it was read; give --as-of TIME")
        if not is_timely(as_of):
            raise ImportRefused(f"--as-of {as_of:%Y-%m-%dT%H:%MZ} is not {expected_time()}")
        return rows.with_columns(pl.lit(as_of).alias("as_of").cast(POSITIONS["as_of"]))
    believed = pl.col("as_of").is_between(EARLIEST, datetime.now(EARLIEST.tzinfo) + AHEAD)
    refuse_rows(rows, ~believed, "as_of", f"is not {expected_time()}", place)
    return rows


def _margin_mode(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    if "margin_mode" not in rows.columns:
        return rows
    rows = rows.with_columns(pl.col("margin_mode").str.strip_chars().str.to_lowercase())
    wrong = ~pl.col("margin_mode").is_in(["cross", "isolated"])
    refuse_rows(rows, wrong, "margin_mode", "is neither cross nor isolated", place)
    return rows


def _with_leverage(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Note]]:
    """Leverage and margin mode of the one column of `OF_MODES` that is filled; where both are, neither is known."""
    if not set(OF_MODES) <= set(rows.columns):
        return rows, []
    cross, isolated = ((pl.col(name) > 0).fill_null(False) for name in OF_MODES)
    one = cross != isolated
    rows = rows.with_columns(
        leverage=pl.when(one).then(pl.when(cross).then("cross_leverage").otherwise("isolated_leverage")),
        margin_mode=pl.when(one).then(pl.when(cross).then(pl.lit("cross")).otherwise(pl.lit("isolated"))),
    )
    unknown = rows.select((~one).sum()).item()
    return rows, [note("margin_modes_unclear", count=unknown)] if unknown else []


def _with_addresses(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    """Hexadecimal addresses in lower case; labels as they are, but one that begins like an address must be one."""
    address = pl.col("address").str.strip_chars()
    bare = address.str.contains("^[0-9a-fA-F]{40}$")
    address = pl.when(bare).then(pl.lit("0x") + address).otherwise(address)
    begins = address.str.contains("^0[xX]")
    folded_address = pl.when(begins).then(address.str.to_lowercase()).otherwise(address)
    wrong = begins & ~folded_address.str.contains(HEX_ADDRESS)
    refuse_rows(rows, wrong, "address", "is no whole address (0x and 40 hexadecimal digits)", place)
    return rows.with_columns(address=folded_address)


def _with_coins(
    rows: pl.DataFrame, coins: Collection[str], dex: str, place: Place
) -> tuple[pl.DataFrame, list[Note]]:
    """Coins in the exchange's names with their dex, sizes and prices turned by the name's factor; what was folded."""
    rows, passed_over = _without_outcomes(rows, place)
    names = {given: _name(given, coins, rows, place) for given in rows["coin"].unique(maintain_order=True)}
    changed = [name for name in names.values() if name.is_changed]
    factor = pl.col("coin").replace_strict({given: name.factor for given, name in names.items()})
    turned = [pl.col(name) * factor for name in ("szi", "size", "open_interest") if name in rows.columns]
    turned += [pl.col(name) / factor for name in PRICES if name in rows.columns]
    if any(name.factor != 1.0 for name in names.values()):
        rows = rows.with_columns(turned)
    rows = rows.with_columns(
        coin=pl.col("coin").replace_strict({given: name.coin for given, name in names.items()}),
        given_dex=pl.col("dex") if "dex" in rows.columns else pl.lit(None, pl.String),
    )
    rows = rows.with_columns(dex=_dex(rows, dex, place)).drop("given_dex")
    more = len(changed) - SHOWN_NAMES
    words = [name.words() for name in changed[:SHOWN_NAMES]] + ([f"{more} more"] if more > 0 else [])
    return rows, [*passed_over, *([note("coins_renamed", names=words)] if words else [])]


def _without_outcomes(rows: pl.DataFrame, place: Place) -> tuple[pl.DataFrame, list[Note]]:
    """Holdings in outcome markets are no positions: nothing liquidates them."""
    outcomes = rows["coin"].map_elements(is_outcome, pl.Boolean).fill_null(False)
    count = int(outcomes.sum())
    if not count:
        return rows, []
    if count == rows.height:
        raise ImportRefused(f"{place}: all {count} rows are of outcome markets, which nothing liquidates")
    return rows.filter(~outcomes), [note("outcomes_passed_over", count=count)]


def _name(given: str, coins: Collection[str], rows: pl.DataFrame, place: Place) -> CoinName:
    try:
        name = folded(given, coins)
    except TableRefused as error:
        row = rows.filter(pl.col("coin") == given)["row"][0]
        raise ImportRefused(f"{place}: row {row}, column {place.theirs('coin')!r}: {error}") from None
    if name.delivery:
        row = rows.filter(pl.col("coin") == given)["row"][0]
        raise ImportRefused(
            f"{place}: row {row}, column {place.theirs('coin')!r}: {given!r} ends on a day; only perpetuals are read"
        )
    return name


def _dex(rows: pl.DataFrame, dex: str, place: Place) -> pl.Expr:
    """The coin's prefix, else what the table names, else `dex`; refused where they contradict one another."""
    asked = "" if dex == "main" else dex
    reported = pl.col("given_dex").str.strip_chars().replace(dict.fromkeys(("main", *NO_VALUE), ""))
    prefix = pl.col("coin").str.extract("^([^:]+):")
    named = rows.with_columns(dex=reported)
    refuse_rows(named, (reported != prefix), "dex", "is not the dex of its coin's prefix", place)
    if asked:
        refuse_rows(rows, prefix != asked, "coin", f"is not of --dex {asked}", place)
        refuse_rows(named, reported != asked, "dex", f"is not --dex {asked}", place)
    return pl.coalesce(prefix, reported, pl.lit(asked))


def _signed_sizes(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    """`szi` from `size` and `side` where the table keeps them apart; a size that has a sign must have the side's."""
    if "side" in rows.columns and ("size" in rows.columns or "szi" in rows.columns):
        name = "size" if "size" in rows.columns else "szi"
        side = pl.col("side").str.strip_chars().str.to_lowercase()
        refuse_rows(rows, ~side.is_in([*SHORTS, *LONGS]), "side", "is no side: write long or short", place)
        short = side.is_in(SHORTS)
        refuse_rows(rows, (pl.col(name) < 0) & ~short, name, "is negative beside a side that is long", place)
        if rows.select((pl.col(name) < 0).any()).item():  # signed: then all are
            refuse_rows(
                rows, (pl.col(name) > 0) & short, name, "is positive beside a side that is short", place
            )
        size = pl.col(name).abs()
        rows = rows.with_columns(szi=pl.when(short).then(-size).otherwise(size))
    elif "szi" not in rows.columns:
        rows = rows.with_columns(szi=pl.col("size"))
    refuse_rows(rows, pl.col("szi").is_null(), "szi", "is empty", place)
    return rows


def _valued(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    """Notional from the mark or the mark from notional, both positive; a price of 0 means none was sent.

    Where the table has neither, the mark follows from the margin used or the unrealised profit.
    """
    for name in ("notional_usd", "mark_px", "liq_px_exchange"):
        if name in rows.columns:
            refuse_rows(rows, pl.col(name) < 0, name, "is negative", place)
    for name in PRICES:
        if name in rows.columns:
            refuse_rows(rows, pl.col(name) > MOST_PRICE, name, "is no price that can be", place)
    holdings = pl.col("szi") != 0
    if "notional_usd" not in rows.columns and "mark_px" not in rows.columns:
        reported = with_server_marks(conform(rows.with_columns(exchange_read=True), POSITIONS))
        rows = rows.with_columns(reported.select("mark_px", "mark_from"))
    if "notional_usd" in rows.columns:
        refuse_rows(
            rows, holdings & (pl.col("notional_usd").fill_null(0) == 0), "notional_usd", "is missing", place
        )
        if "mark_px" not in rows.columns:
            rows = rows.with_columns(mark_px=pl.col("notional_usd") / pl.col("szi").abs())
    refuse_rows(rows, holdings & (pl.col("mark_px").fill_null(0) == 0), "mark_px", "is missing", place)
    if "notional_usd" not in rows.columns:
        rows = rows.with_columns(notional_usd=pl.col("szi").abs() * pl.col("mark_px"))
    for name in ("notional_usd", "mark_px"):
        refuse_rows(
            rows, holdings & ~pl.col(name).is_between(0, 1e300), name, "is no amount that can be", place
        )
    return rows


def _exchange_read(rows: pl.DataFrame) -> pl.Expr:
    if "exchange_read" in rows.columns:
        return pl.col("exchange_read").str.to_lowercase() == "true"
    return pl.lit("liq_px_exchange" in rows.columns)


def without_repetitions(rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[Note]]:
    """A `POSITIONS` frame of open positions, each once; raises `ImportRefused` for two rows of one position."""
    holdings = rows.filter(pl.col("szi") != 0)
    frame = holdings.with_columns(_null_if_zero(holdings)).pipe(conform, POSITIONS)
    repeated = ~frame.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    once = holdings.filter(~repeated)
    contradicting = once.filter(pl.struct(KEY).is_duplicated()).sort(*KEY)
    if contradicting.height:
        one, other = contradicting.row(0, named=True), contradicting.row(1, named=True)
        raise ImportRefused(
            f"{path}: rows {one['row']} and {other['row']} both give the {one['coin']} position of "
            f"{one['address']} at {one['as_of']:%Y-%m-%dT%H:%M:%SZ}, and differ; remove one"
        )
    left_out = {"rows_of_size_zero": rows.height - holdings.height, "rows_repeated": int(repeated.sum())}
    notes = [note(code, count=count) for code, count in left_out.items() if count]
    return frame.filter(~repeated), notes


def last_of_each(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Note]]:
    """Of a list whose rows have times of their own each position once, as last seen: pages move while they are read."""
    once = rows.sort("as_of", maintain_order=True).unique(POSITION, keep="last", maintain_order=True)
    again = rows.height - once.height
    return once, [note("positions_again", count=again)] if again else []


def _null_if_zero(rows: pl.DataFrame) -> list[pl.Expr]:
    if "liq_px_exchange" not in rows.columns:
        return []
    price = pl.col("liq_px_exchange")
    return [pl.when(price > 0).then(price).alias("liq_px_exchange")]


def markets_of_table(
    table: pl.DataFrame, known: Recognised, path: Path, dex: str | None, coins: Collection[str] = ()
) -> pl.DataFrame:
    """A `MARKETS` frame; raises `ImportRefused` for a mark that is not positive, for open interest that is negative or
    beyond belief, and for two different rows of one market and moment."""
    place = Place(path, known.columns)
    rows = _timed(_selected(table, known, MARKET_FLOATS, place), place, None)
    refuse_rows(rows, pl.col("coin").fill_null("").str.strip_chars() == "", "coin", "is empty", place)
    refuse_rows(rows, ~(pl.col("mark_px") > 0).fill_null(False), "mark_px", "is not a positive price", place)
    refuse_rows(rows, pl.col("mark_px") > MOST_OPEN_INTEREST, "mark_px", "is no price that can be", place)
    if "open_interest" in rows.columns:
        oi = pl.col("open_interest")
        refuse_rows(rows, oi < 0, "open_interest", "is negative", place)
        refuse_rows(rows, oi > MOST_OPEN_INTEREST, "open_interest", "coins are more than there can be", place)
    if "funding_rate" in rows.columns:
        wrong = pl.col("funding_rate").abs() > MOST_FUNDING
        refuse_rows(rows, wrong, "funding_rate", "is above 100 % an hour; it is a fraction", place)
    rows, _ = _with_coins(rows, coins, dex or "", place)
    once = rows.unique(["coin", "as_of", *(name for name in MARKET_FLOATS if name in rows.columns)])
    wrong_rows = once.filter(pl.struct("coin", "as_of").is_duplicated()).sort("coin", "as_of", "row")
    if wrong_rows.height:
        one, other = wrong_rows["row"][0], wrong_rows["row"][1]
        raise ImportRefused(
            f"{path}: rows {one} and {other} both give {wrong_rows['coin'][0]} at one moment, and differ; remove one"
        )
    return conform(rows, MARKETS)


def refuse_rows(rows: pl.DataFrame, wrong: pl.Expr, name: str, why: str, place: Place) -> None:
    """Raise `ImportRefused` for the first row that is wrong, by its number and value."""
    found = rows.filter(wrong.fill_null(False)).head(1)
    if found.height:
        row, value = found["row"][0], found[name][0]
        raise ImportRefused(f"{place}: row {row}, column {place.theirs(name)!r}: {value!r} {why}")
