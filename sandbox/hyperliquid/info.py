"""Hyperliquid's `POST /info` over a synthetic market: request body in, JSON out, no network here.

Accounts: clearinghouseState, spotClearinghouseState, userAbstraction, liquidatable, and batchClearinghouseStates where
that is switched on. Markets: meta, allPerpMetas, metaAndAssetCtxs, marginTable, outcomeMeta, allMids, l2Book, perpDexs,
spotMeta, candleSnapshot, fundingHistory, recentTrades, exchangeStatus. Who is who: userRole, subAccounts, subAccounts2,
referral, vaultDetails, vaultSummaries. Fills: userFills, userFillsByTime. Everything else is refused with 422, as the
exchange does. The rate limit is the documented weight per request type in a rolling minute. `protocol` has the newer
parts.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.hyperliquid.accounts import (
    SPOT_META,
    AccountBook,
    builder_dex,
    listing,
    margin_table,
)
from liqtruth.sandbox.hyperliquid.batches import BY_INFO, Batches
from liqtruth.sandbox.hyperliquid.directory import Directory
from liqtruth.sandbox.hyperliquid.fills import fills_by_time, newest_fills, recent_trades
from liqtruth.sandbox.hyperliquid.orders import DIGITS, l2_book
from liqtruth.sandbox.hyperliquid.protocol import OUTCOMES, USDC, ProtocolParts
from liqtruth.sandbox.market.listings import BUILDER_DEX, Asset, fixed, from_float, from_units
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.roles import Roles, draw_roles
from liqtruth.sandbox.public.record import INTERVAL_MS, Record

Json = Any
Body = Mapping[str, Any]
MOST_CANDLES: Final = 5000
MOST_FUNDINGS: Final = 500
INTERVALS: Final = frozenset(INTERVAL_MS) - {"6h"}
LIGHT: Final = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
HEAVY: Final = {"userRole": 60}
DEFAULT_WEIGHT: Final = 20
ITEMS_PER_WEIGHT: Final = {
    "recentTrades": 20, "fundingHistory": 20, "userFills": 20, "userFillsByTime": 20, "candleSnapshot": 60,
}  # fmt: skip
ASSUMED_PER_ITEM: Final = {BY_INFO: 2}
"""Nobody documents it: as of so many single requests."""
WINDOW_S: Final = 60.0


def weight_of(request_type: str, items: int) -> int:
    """Weight of an answered request; `items` is how many rows it returned."""
    if request_type in ASSUMED_PER_ITEM:
        return max(DEFAULT_WEIGHT, ASSUMED_PER_ITEM[request_type] * items)
    base = 2 if request_type in LIGHT else HEAVY.get(request_type, DEFAULT_WEIGHT)
    per = ITEMS_PER_WEIGHT.get(request_type)
    return base if per is None else base + items // per


@dataclass
class WeightBudget:
    """What may still be spent this minute; None as limit means an own node that has none."""

    per_minute: int | None
    spent_total: int = 0
    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _in_window: int = 0

    def spend(self, weight: int, now_s: float) -> bool:
        """Charge and agree, or refuse and charge nothing."""
        while self._spent and self._spent[0][0] <= now_s - WINDOW_S:
            self._in_window -= self._spent.popleft()[1]
        if self.per_minute is not None and self._in_window + weight > self.per_minute:
            return False
        self._spent.append((now_s, weight))
        self._in_window += weight
        self.spent_total += weight
        return True


class Unprocessable(Exception):
    """A request that the exchange would answer with 422."""


@dataclass
class InfoEndpoint:
    """Answers of the info endpoint as of the market's moment; `now_ms` is the time it reports, if not that moment."""

    market: Market
    now_ms: Callable[[], int] | None = None
    batches: Batches = field(default_factory=Batches)
    protocol: ProtocolParts = field(default_factory=ProtocolParts)
    book: AccountBook = field(init=False)
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.book = AccountBook(self.market, self.now_ms, self.protocol)
        self.record = Record(self.market, self.market.hyperliquid)
        self._handlers: dict[str, Callable[[Body], Json]] = {
            "clearinghouseState": lambda body: self.book.clearinghouse(user_in(body), self._dex(body)),
            BY_INFO: self._batch,
            "spotClearinghouseState": lambda body: self.book.spot(user_in(body)),
            "userAbstraction": lambda body: self.book.abstraction(user_in(body)),
            "meta": lambda body: self.meta(self._dex(body)),
            "metaAndAssetCtxs": self._meta_and_contexts,
            "marginTable": self._margin_table,
            "outcomeMeta": lambda _: {"outcomes": [{"outcome": number} for number in self._outcomes]},
            "allMids": self._all_mids,
            "perpDexs": lambda _: self._perp_dexs(),
            "spotMeta": lambda _: SPOT_META,
            "candleSnapshot": self._candles,
            "fundingHistory": self._funding,
            "recentTrades": lambda body: recent_trades(self.market, self._column(body.get("coin"))),
            "l2Book": self._book,
            "exchangeStatus": lambda _: {"time": self._time_ms, "specialStatuses": None},
            "allPerpMetas": lambda _: [self.meta(dex) for dex in self.dexes],
            "liquidatable": lambda _: self.book.liquidatable(),
            "userRole": lambda body: self.directory.role(user_in(body)),
            "subAccounts": lambda body: self.directory.sub_accounts(user_in(body), all_dexs=False),
            "subAccounts2": lambda body: self.directory.sub_accounts(user_in(body), all_dexs=True),
            "referral": lambda body: self.directory.referral(user_in(body)),
            "vaultDetails": lambda body: self.directory.vault_details(_address(body, "vaultAddress")),
            "vaultSummaries": lambda _: self.directory.vault_summaries(),
            "userFills": self._newest_fills,
            "userFillsByTime": self._fills_by_time,
        }

    def at(self, market: Market) -> "InfoEndpoint":
        """The same endpoint at another moment of the same market."""
        later = InfoEndpoint(market, self.now_ms, self.batches, self.protocol)
        later.record = Record.following(self.record, market, market.hyperliquid)
        if "roles" in self.__dict__:
            later.__dict__["roles"] = self.roles
        return later

    @cached_property
    def roles(self) -> Roles:
        return draw_roles(self.market)

    @cached_property
    def directory(self) -> Directory:
        return Directory(self.market, self.book, self.roles)

    @property
    def dexes(self) -> list[str]:
        """In the order of `perpDexs`, the main one first."""
        return list(dict.fromkeys(asset.dex for asset in self._assets))

    @property
    def _time_ms(self) -> int:
        return self.market.as_of_ms if self.now_ms is None else self.now_ms()

    def answer(self, body: Body) -> Json:
        """The JSON answer; raises `Unprocessable` for what the exchange would not read."""
        handler = self._handlers.get(str(body.get("type")))
        if handler is None:
            raise Unprocessable("Failed to deserialize the JSON body into the target type")
        return handler(body)

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return self.market.spec.assets

    def _dex(self, body: Body) -> str:
        dex = body.get("dex") or ""
        if dex not in {asset.dex for asset in self._assets}:
            raise Unprocessable(f"no dex {dex!r}")
        return str(dex)

    def _column(self, coin: object) -> int:
        column = self.market.coin_index(str(coin))
        if column is None:
            raise Unprocessable(f"no coin {coin!r}")
        return column

    def _on(self, dex: str) -> list[tuple[int, Asset]]:
        return [(column, asset) for column, asset in enumerate(self._assets) if asset.dex == dex]

    def meta(self, dex: str) -> Json:
        assets = [asset for _, asset in self._on(dex)]
        tiered = sorted({asset.table_id for asset in assets if asset.table_id >= 50})
        listed = tiered if self.protocol.lists_tables else []
        return {
            "universe": [listing(asset) for asset in assets],
            "marginTables": [[table, margin_table(table)] for table in listed],
            "collateralToken": self.protocol.collateral_token if dex == BUILDER_DEX else USDC,
        }

    def _margin_table(self, body: Body) -> Json:
        """One of the dex's, whether its `meta` lists it or not."""
        number = _integer(body, "id", 0)
        if number not in {asset.table_id for _, asset in self._on(self._dex(body))}:
            raise Unprocessable(f"no margin table {number}")
        return margin_table(number)

    def _batch(self, body: Body) -> Json:
        dex = self._dex(body)
        states = (
            self.batches.listed(body.get("users"), dex, self.book.clearinghouse)
            if self.batches.public
            else None
        )
        if states is None:
            raise Unprocessable("Failed to deserialize the JSON body into the target type")
        return states

    def _meta_and_contexts(self, body: Body) -> Json:
        dex = self._dex(body)
        return [self.meta(dex), self.contexts(dex)]

    def contexts(self, dex: str) -> list[Json]:
        """Contexts of a dex's coins, parallel to its universe."""
        return [self._context(column, asset) for column, asset in self._on(dex)]

    def context(self, coin: str) -> Json:
        column = self._column(coin)
        return self._context(column, self._assets[column])

    def _context(self, column: int, asset: Asset) -> Json:
        path, day = self.market.path, slice(-1440, None)
        px_decimals = 6 - asset.sz_decimals
        volume = self.record.activity.volume_lots[day, column]
        mark = int(path.mark_units[-1, column])
        return {
            "funding": from_float(float(path.funding[-1, column])),
            "openInterest": from_units(int(self.record.open_lots[-1, column]), asset.sz_decimals),
            "prevDayPx": from_units(int(path.mark_units[-1441, column]), px_decimals),
            "dayNtlVlm": from_units(int((volume * path.mark_units[1:, column][day]).sum()), 6),
            "premium": fixed(float(path.premium[-1, column]), 10),
            "oraclePx": from_units(int(path.oracle_units[-1, column]), px_decimals),
            "markPx": from_units(mark, px_decimals),
            "midPx": from_units(mark, px_decimals),
            "impactPxs": [from_units(mark, px_decimals), from_units(mark, px_decimals)],
            "dayBaseVlm": from_units(int(volume.sum()), asset.sz_decimals),
        }

    def _all_mids(self, body: Body) -> Json:
        marks, dex = self.market.path.mark_units[-1], self._dex(body)
        return {
            asset.name: from_units(int(marks[column]), 6 - asset.sz_decimals)
            for column, asset in self._on(dex)
        } | ({} if dex else {f"#{number}": "0.37" for number in self._outcomes})

    @property
    def _outcomes(self) -> tuple[int, ...]:
        return OUTCOMES if self.protocol.outcomes else ()

    def _newest_fills(self, body: Body) -> Json:
        row = self.book.row_of.get(user_in(body))
        return [] if row is None else newest_fills(self.market, row, self.protocol)

    def _fills_by_time(self, body: Body) -> Json:
        if "startTime" not in body:
            raise Unprocessable("userFillsByTime needs startTime")
        row = self.book.row_of.get(user_in(body))
        start, end = _integer(body, "startTime", 0), _integer(body, "endTime", self.market.as_of_ms)
        return [] if row is None else fills_by_time(self.market, row, start, end, self.protocol)

    def _perp_dexs(self) -> Json:
        names = [asset.name for _, asset in self._on(BUILDER_DEX)]
        return [None, *[None] * self.protocol.disabled, builder_dex(names)] if names else [None]

    def _book(self, body: Body) -> Json:
        digits = body.get("nSigFigs")
        if digits is not None and digits not in DIGITS:
            raise Unprocessable(f"nSigFigs must be 2 to 5, not {digits!r}")
        return l2_book(self.market, self._column(body.get("coin")), digits, self._time_ms)

    def _candles(self, body: Body) -> Json:
        request = body.get("req")
        if not isinstance(request, Mapping) or request.get("interval") not in INTERVALS:
            raise Unprocessable("candleSnapshot needs req with coin, interval, startTime, endTime")
        column, interval = self._column(request.get("coin")), str(request["interval"])
        candles = self.record.candles(column, interval)
        start, end = _integer(request, "startTime", 0), _integer(request, "endTime", self.market.as_of_ms)
        rows = candles.between(start, end)
        first = max(rows.start, candles.open_ms.size - MOST_CANDLES)
        px_decimals = 6 - self._assets[column].sz_decimals
        return [
            {
                "t": int(candles.open_ms[row]),
                "T": int(candles.close_ms[row]),
                "s": self._assets[column].name,
                "i": interval,
                "o": from_units(int(candles.open[row]), px_decimals),
                "c": from_units(int(candles.close[row]), px_decimals),
                "h": from_units(int(candles.high[row]), px_decimals),
                "l": from_units(int(candles.low[row]), px_decimals),
                "v": from_units(int(candles.volume[row]), self._assets[column].sz_decimals),
                "n": int(candles.trades[row]),
            }
            for row in range(first, rows.stop)
        ]

    def _funding(self, body: Body) -> Json:
        """Oldest first from `startTime`, at most one page."""
        column, path = self._column(body.get("coin")), self.market.path
        start, end = _integer(body, "startTime", 0), _integer(body, "endTime", self.market.as_of_ms)
        times = path.times_ms[path.hour_points]
        earliest = path.times_ms[self.market.first_point]
        hours = np.flatnonzero((times >= max(start, earliest)) & (times <= end))[:MOST_FUNDINGS]
        return [
            {
                "coin": self._assets[column].name,
                "fundingRate": from_float(float(path.funding[hour, column])),
                "premium": fixed(float(path.premium[path.hour_points[hour], column]), 10),
                "time": int(times[hour]),
            }
            for hour in hours
        ]


def user_in(body: Body) -> str:
    """The account that a body asks about; raises `Unprocessable` where it names none."""
    return _address(body, "user")


def _address(body: Body, name: str) -> str:
    """The address, whatever its case; the exchange refuses anything else."""
    user = str(body.get(name, "")).lower()
    if len(user) != 42 or not user.startswith("0x"):
        raise Unprocessable(f"no address {user!r}")
    return user


def _integer(body: Body, name: str, default: int) -> int:
    value = body.get(name, default)
    if value is None:
        return default
    if not isinstance(value, int):
        raise Unprocessable(f"{name} must be an integer, not {value!r}")
    return value


def items_of(request_type: str, answer: Json) -> int:
    """Rows that count toward the weight."""
    return len(answer) if request_type in ITEMS_PER_WEIGHT or request_type in ASSUMED_PER_ITEM else 0
