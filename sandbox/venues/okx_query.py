"""How OKX reads a query: instruments, periods, exclusive bounds and limits; and its contracts.

A contract is `ctVal` coins; sizes on the wire are contracts unless a field is in another unit. Bars and periods of six
hours and more follow the day of UTC+8, those whose name ends in `utc` the day of UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from liqtruth.sandbox.market.listings import Asset, Ints, fixed, from_units
from liqtruth.sandbox.public.record import INTERVAL_MS
from liqtruth.sandbox.public.series import newest_first

Query = Mapping[str, str]
CONTRACT_EXPONENT: Final = {
    "BTC": -2, "ETH": -1, "SOL": 0, "HYPE": -1, "XRP": 2, "DOGE": 3, "LINK": 0, "AVAX": 0,
}  # fmt: skip
BARS: Final = {
    "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h", "6H": "6h",
    "12H": "12h", "1D": "1d", "1W": "1w",
}  # fmt: skip
EAST_MS: Final = -8 * 3_600_000
LAST_MS: Final = 2**62


class Refused(Exception):
    """A request that OKX would answer with a status, a code and a text."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Bar:
    """A bar or period: one of `INTERVAL_MS` and how much after midnight in UTC it opens."""

    interval: str
    shift_ms: int

    @property
    def length_ms(self) -> int:
        return INTERVAL_MS[self.interval]


@dataclass(frozen=True)
class Contract:
    """The perpetual of one coin; one lot of the ledger is 10**-lot_decimals contracts."""

    asset: Asset

    @property
    def inst_id(self) -> str:
        return f"{self.asset.name}-USDT-SWAP"

    @property
    def family(self) -> str:
        return f"{self.asset.name}-USDT"

    @property
    def exponent(self) -> int:
        return CONTRACT_EXPONENT[self.asset.name]

    @property
    def coins(self) -> str:
        """`ctVal`."""
        return fixed(10.0**self.exponent, max(-self.exponent, 0))

    @property
    def lot_decimals(self) -> int:
        return self.asset.sz_decimals + self.exponent

    def contracts(self, lots: int) -> str:
        return from_units(lots, self.lot_decimals)

    def in_coins(self, lots: int) -> str:
        return from_units(lots, self.asset.sz_decimals)

    def price(self, units: int) -> str:
        return from_units(units, 6 - self.asset.sz_decimals)


def needed(query: Query, name: str) -> str:
    if not query.get(name):
        raise Refused("50014", f"Parameter {name} can not be empty.")
    return query[name]


def column_of(query: Query, assets: tuple[Asset, ...]) -> int:
    """Column of the instrument asked for."""
    wanted, known = needed(query, "instId"), [Contract(asset).inst_id for asset in assets]
    if wanted not in known:
        raise Refused("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.", 200)
    return known.index(wanted)


def coin_column_of(query: Query, assets: tuple[Asset, ...]) -> int:
    """Column of the coin asked for, in the statistics of a coin."""
    wanted, known = needed(query, "ccy"), [asset.name for asset in assets]
    if wanted not in known:
        raise Refused("51000", "Parameter ccy error")
    return known.index(wanted)


def bar_of(query: Query, name: str, default: str) -> Bar:
    text = query.get(name, default)
    bar = text.removesuffix("utc")
    if bar not in BARS or (bar != text and bar not in ("6H", "12H", "1D", "1W")):
        raise Refused("51000", f"Parameter {name} error")
    return Bar(BARS[bar], 0 if bar != text else EAST_MS)


def number_of(query: Query, name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not text.isdigit():
        raise Refused("51000", f"Parameter {name} error")
    return int(text)


def rows_of(times_ms: Ints, query: Query, names: tuple[str, str], most: int, usual: int = 100) -> Ints:
    """The newest rows between two exclusive bounds, newest first; `names` are those of the older and newer bound."""
    older, newer = number_of(query, names[0], 0), number_of(query, names[1], LAST_MS)
    limit = number_of(query, "limit", usual)
    if limit < 1:
        raise Refused("51000", "Parameter limit error")
    first = older + 1 if query.get(names[0]) else 0
    return newest_first(times_ms, first, newer - 1, min(limit, most))[0]
