"""Which market a file is of: columns that name a symbol or an exchange, and the file's own name.

They must agree with the coin and the venue that the user gives. A file of several markets gives the asked one's rows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.venues.spec import Venue
from liqtruth.estimator.venues.table import VENUES
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.coin_names import QUOTES, CoinName, folded

MARKET_COLUMNS: Final = (
    *("symbol", "symbols", "pair", "instid", "inst_id", "instrument", "instrument_name", "instrumentname"),
    *("market", "contract", "contract_code", "ticker", "coin", "asset", "base", "base_asset", "baseasset"),
    *("underlying", "uly", "instfamily", "ccy", "currency", "s"),
    *("code", "product_id", "productid"),
)
"""Names of columns that name a market, in small letters."""
EXCHANGE_COLUMNS: Final = ("exchange", "exchange_name", "exchangename", "exchange_id", "venue", "ex")
HINT_COLUMNS: Final = ("source", "provider")
"""These need not name an exchange, but where they do it counts."""
EXCHANGE_NAMES: Final = {"okex": "okx", "huobi": "htx", "gateio": "gate", **{name: name for name in VENUES}}
KINDS: Final = frozenset(
    {"spot", "future", "futures", "perp", "perpetual", "swap", "linear", "um", "usdt", "usdc", "usd", ""}
)
"""What such columns hold where they name a kind of market or money instead."""
IN_COIN: Final = frozenset({"inverse", "cm", "coin-m", "coinm", "dapi", "coin-margined"})
WELL_KNOWN: Final = frozenset(
    (
        *("BTC", "XBT", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "AVAX", "LTC"),
        *("LINK", "DOT", "TRX", "SUI", "HYPE", "PEPE", "SHIB", "WIF", "ARB", "OP"),
        *("APT", "NEAR", "ATOM", "ETC", "FIL", "AAVE", "UNI", "INJ", "TIA", "SEI"),
        *("BCH", "XLM", "TON", "TAO", "ENA", "ONDO", "WLD", "KPEPE", "KSHIB", "KBONK"),
        *("FARTCOIN", "PUMP"),
    )
)
"""Coins that are recognised in a file's name although no quote currency follows them."""
ENGLISH: Final = frozenset({"DOT", "NEAR", "OP"})
"""Of these, those that are words where they stand in small letters."""
WORDS: Final = frozenset(
    (
        "OI",
        "INTEREST",
        "VOLUME",
        "VALUE",
        "PRICE",
        "NOTIONAL",
        "FUNDING",
        "IN",
        "OF",
        "AMOUNT",
        "SIZE",
        "MARGIN",
        "TOTAL",
        "RATE",
        "VOLUSD",
    )
)
"""What stands before `usd` in the name of a file without being a coin."""
QUOTED: Final = "|".join(sorted(QUOTES, key=len, reverse=True))
IN_NAME: Final = re.compile(
    rf"(?<![A-Za-z0-9])([A-Z0-9]{{1,14}}?[-_]?(?:{QUOTED})(?:_PERP|[-_]SWAP|[-_]PERP|_USD[TC])?(?:[-_]\d{{6}}(?!\d))?)"
    r"(?![A-Za-z0-9])"
)
MOST_SHOWN: Final = 4


@dataclass(frozen=True)
class OfMarket:
    """The rows of one market, how many of our coins one of its own is, and remarks on the choice."""

    rows: pl.DataFrame
    factor: float
    remarks: tuple[str, ...] = ()


def of_market(table: pl.DataFrame, path: Path, venue: Venue, coin: CoinName) -> OfMarket:
    """The rows of `coin` on `venue`; raises `TableRefused` where the file names another market.

    The columns decide; where none names a market, the file's own name does.
    """
    by_exchange, beside = _of_exchange(table, path, venue)
    factor, remarks = None, list(beside)
    for name in _named(by_exchange, MARKET_COLUMNS, path):
        if (kept := _of_coin(by_exchange, name, path, venue, coin)) is not None:
            by_exchange, remarks = kept.rows, [*remarks, *kept.remarks]
            factor = kept.factor if factor is None else factor
    if factor is None:
        factor = _by_name(path, venue, coin)
    if factor != 1.0:
        remarks.append(f"one coin of the file is {factor:g} {coin.coin}: prices and amounts are converted")
    return OfMarket(by_exchange, factor, tuple(remarks))


def _named(table: pl.DataFrame, names: Sequence[str], path: Path) -> list[str]:
    """Columns of text of one of these names, in the order of `names`; raises `TableRefused` for lists and bytes."""
    for name, kind in table.schema.items():
        if name.strip().lower() in names and (kind.is_nested() or kind == pl.Binary):
            raise TableRefused(f"{path}: column {name!r} holds {kind}, not names; write it as text")
    text = {name.strip().lower(): name for name, kind in table.schema.items() if kind == pl.String}
    return [text[name] for name in names if name in text]


def _values(table: pl.DataFrame, name: str) -> list[str]:
    return [value or "" for value in table[name].unique(maintain_order=True).to_list()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")


# ---------------------------------------------------------------------------------------- by coin


def is_market_of(market: CoinName, venue: Venue, coin: CoinName) -> bool:
    """Whether a market is the perpetual in dollars of `coin` that `venue` is known by."""
    same = market.coin in (coin.coin, coin.coin.partition(":")[2])
    return same and not market.delivery and not (market.inverse and "USD" not in venue.quotes)


def market_named(value: str, coin: CoinName) -> CoinName | None:
    """What a cell calls a market; null where it is no name of one."""
    try:
        return folded(value, (coin.coin,))
    except TableRefused:
        return None


def chosen(names: Sequence[str], venue: Venue, coin: CoinName) -> dict[str, CoinName]:
    """Those of `names` that are the market of `coin` on `venue`; of several, the one that the venue is known by."""
    markets = {name: found for name in names if (found := market_named(name, coin)) is not None}
    fitting = {name: found for name, found in markets.items() if is_market_of(found, venue, coin)}

    def rank(found: CoinName) -> tuple[int, float]:
        """A name without a quote currency is of the venue's first."""
        quote = found.quote or venue.quotes[0]
        place = venue.quotes.index(quote) if quote in venue.quotes else len(venue.quotes)
        return place, abs(found.factor - 1.0)

    best = min(map(rank, fitting.values()), default=None)
    return {name: found for name, found in fitting.items() if rank(found) == best}


def _of_coin(table: pl.DataFrame, name: str, path: Path, venue: Venue, coin: CoinName) -> OfMarket | None:
    """The rows whose cell names the market; null for a column that names none."""
    values = _values(table, name)
    if {value.strip().lower() for value in values} & IN_COIN:
        raise TableRefused(f"{path}: column {name!r} names {values[0]}: {other_market(coin, venue)}")
    if all(value.strip().lower() in KINDS or value.strip().replace(".", "").isdigit() for value in values):
        return None
    kept = chosen(values, venue, coin)
    if not kept:
        raise TableRefused(f"{path}: column {name!r} names {_some(values)}: {_not(values, venue, coin)}")
    rows = table.filter(pl.col(name).is_in(list(kept)))
    others = [value for value in values if value not in kept]
    remark = (
        (
            f"{table.height - rows.height} of {table.height} rows are of other markets "
            f"({_some(others)}): left out; kept are those of {_some(list(kept))}",
        )
        if others
        else ()
    )
    return OfMarket(rows, next(iter(kept.values())).factor, remark)


def _not(values: Sequence[str], venue: Venue, coin: CoinName) -> str:
    """Why these are not the market, and what to do."""
    markets = [found for value in values if (found := market_named(value, coin)) is not None]
    if any(found.coin == coin.coin for found in markets):
        return other_market(coin, venue)
    names = sorted({found.coin for found in markets})
    return f"not {coin.coin}; give --coin {names[0]}" if len(names) == 1 else f"none is {coin.coin}"


def other_market(coin: CoinName, venue: Venue) -> str:
    return (
        f"it is margined in {coin.coin} or ends on a day, another market with other units (contracts of USD); "
        f"give the files of {coin.coin}{venue.quotes[0]}"
    )


# ---------------------------------------------------------------------------------------- by exchange


def exchange_named(value: str) -> str | None:
    """The venue that a cell names, however it goes on (`Binance Futures`, `binanceusdm`); null for others."""
    letters = re.sub(r"[^a-z]", "", value.lower())
    return next((venue for name, venue in EXCHANGE_NAMES.items() if letters.startswith(name)), None)


def _of_exchange(table: pl.DataFrame, path: Path, venue: Venue) -> tuple[pl.DataFrame, tuple[str, ...]]:
    for name in _named(table, HINT_COLUMNS, path):
        exchanges = {exchange_in(value) for value in _values(table, name)} - {None}
        if exchanges and venue.name not in exchanges:
            raise TableRefused(
                f"{path}: column {name!r} names {_some(sorted(filter(None, exchanges)))}, not {venue.name}"
            )
    for name in _named(table, EXCHANGE_COLUMNS, path):
        values = _values(table, name)
        kept = [value for value in values if exchange_named(value) == venue.name]
        if not kept:
            raise TableRefused(
                f"{path}: column {name!r} names {_some(values)}, not {venue.name}; give --venue as the file has it"
            )
        rows = table.filter(pl.col(name).is_in(kept))
        if rows.height < table.height:
            others = [value for value in values if value not in kept]
            return rows, (
                f"{table.height - rows.height} of {table.height} rows are of other exchanges ({_some(others)}): "
                "left out",
            )
    return table, ()


def exchange_in(text: str) -> str | None:
    """The first venue that stands in a text as a word of its own."""
    words = re.split(r"[^a-z]+", text.lower())
    return next((EXCHANGE_NAMES[word] for word in words if word in EXCHANGE_NAMES), None)


# ---------------------------------------------------------------------------------------- by the file's name


def _by_name(path: Path, venue: Venue, coin: CoinName) -> float:
    """How many of our coins one of the file's is; raises `TableRefused` where its name is of another market."""
    words = re.split(r"[^a-z]+", path.name.lower())
    venues = {EXCHANGE_NAMES[word] for word in words if word in EXCHANGE_NAMES}
    if venues and venue.name not in venues:
        raise TableRefused(
            f"{path}: by its name it is of {sorted(venues)[0]}, not {venue.name}; give --venue, or rename the file"
        )
    names = markets_in_name(path)
    if not names:
        return coin.factor
    kept = chosen(names, venue, coin)
    if not kept:
        raise TableRefused(
            f"{path}: by its name it is of {_some(names)}: {_not(names, venue, coin)}, or rename the file"
        )
    return next(iter(kept.values())).factor


def markets_in_name(path: Path) -> list[str]:
    """Markets (`BTCUSDT`, `SOL-USDT-SWAP`) and well-known coins (`ETH`) that the name of a file has in it."""
    stem = path.name.upper() if path.name.islower() else path.name
    pairs = [
        match
        for match in IN_NAME.findall(stem)
        if re.split(r"[-_]", match)[0] not in WORDS
        and not re.fullmatch(rf"(?:[A-Z]\d+[-_]?|\d*)({QUOTED})", match)
    ]
    known = WELL_KNOWN - ENGLISH if path.name.islower() else WELL_KNOWN
    words = [word for word in re.split(r"[^A-Za-z0-9]+", stem) if word in known]
    return list(dict.fromkeys(pairs or words))
