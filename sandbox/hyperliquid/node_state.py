"""A synthetic market as a Hyperliquid node would write its state: MessagePack in the documented layout.

`write_state` takes every number from the ledger, so that a reader of the file can be checked against the ledger's
truth. `write_synthetic_state` makes a file of the real one's size quickly: random accounts, sizes that sum to zero per
asset. Both stream to disk. `dexAbstraction` has no documented letter in the state; such accounts are margined per dex
and are written as default ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgpack
import numpy as np

from liqtruth.sandbox.hyperliquid.accounts import AccountBook
from liqtruth.sandbox.hyperliquid.protocol import HYPE, USDC
from liqtruth.sandbox.market.ledger import MICRO
from liqtruth.sandbox.market.listings import BUILDER_DEX, Asset, Floats, Ints, listed, scaled_tiers
from liqtruth.sandbox.market.market import GRANDFATHERED_LEVERAGE, Market
from liqtruth.sandbox.market.population import DISABLED, PORTFOLIO, UNIFIED
from liqtruth.sandbox.truth import is_pooled

HEIGHT: Final = 942_770_000
MODE_LETTERS: Final = {DISABLED: "d", UNIFIED: "u", PORTFOLIO: "p"}
WEI: Final = 10**8
CHUNK: Final = 20_000
Json = Any


class Writer:
    """MessagePack piece by piece: headers of maps and lists first, then their members."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._packer = msgpack.Packer()

    def put(self, *values: Json) -> None:
        for value in values:
            self._file.write(self._packer.pack(value))

    def map_of(self, fields: int) -> None:
        self._file.write(self._packer.pack_map_header(fields))

    def list_of(self, items: int) -> None:
        self._file.write(self._packer.pack_array_header(items))

    def raw(self, packed: bytes) -> None:
        self._file.write(packed)

    def open_exchange(self, height: int, time: str, locus_fields: int) -> None:
        """Everything up to the first part after `ctx`."""
        self.map_of(2)
        self.put("synthetic", True, "exchange")
        self.map_of(2)
        self.put("locus")
        self.map_of(locus_fields)
        self.put("ctx", {"height": height, "time": time})


# ------------------------------------------------------------------------------------- a market's state


def write_state(market: Market, path: Path, binary_addresses: bool = True) -> None:
    """The Hyperliquid venue of `market` at the end of its history; addresses as 20 bytes or as hex text."""
    book = AccountBook(market)
    addresses: list[bytes | str] = [
        bytes.fromhex(one[2:]) if binary_addresses else one for one in market.addresses
    ]
    dexes = [dex for dex in ("", BUILDER_DEX) if any(asset.dex == dex for asset in market.spec.assets)]
    with path.open("wb") as file:
        writer = Writer(file)
        writer.open_exchange(HEIGHT, f"{market.as_of:%Y-%m-%dT%H:%M:%S}.000000000", 4)
        writer.put("cls")
        writer.list_of(len(dexes))
        for index, dex in enumerate(dexes):
            _write_dex(writer, _Dex(market, book, dex, index), addresses)
        writer.put("ust", [[who, _mode(market, row)] for row, who in enumerate(addresses)])
        writer.put("scl", {"user_states": list(_spot_states(market, book, addresses))})
        writer.put("perp_dexs", [{"books": [], "funding_tracker": {}} for _ in dexes])


@dataclass(frozen=True)
class _Dex:
    market: Market
    book: AccountBook
    name: str
    index: int

    @property
    def columns(self) -> list[int]:
        return [column for column, asset in enumerate(self.market.spec.assets) if asset.dex == self.name]

    @property
    def assets(self) -> list[Asset]:
        return [asset for asset in self.market.spec.assets if asset.dex == self.name]

    def account(self, row: int) -> Json:
        ledger = self.market.hyperliquid.ledger
        positions = [
            [place, self._position(row, column)]
            for place, column in enumerate(self.columns)
            if ledger.lots[row, column]
        ]
        return {"u": self._cash(row), "p": {"p": positions}, "S": {"s": 0, "r": 0}, "D": []}

    def _cash(self, row: int) -> int:
        """The cross cash leg: all of it, or for a pooled account what posts the margin in use."""
        if self.name == BUILDER_DEX:
            return 0
        user = self.market.addresses[row]
        shown = self.book.clearinghouse(user, self.name)["crossMarginSummary"]["totalRawUsd"]
        whole, fraction = shown.lstrip("-").split(".")
        return (-1 if shown.startswith("-") else 1) * int(whole + fraction.ljust(6, "0"))

    def _position(self, row: int, column: int) -> Json:
        ledger = self.market.hyperliquid.ledger
        setting = int(ledger.leverage[row, column])
        leverage: Json = {"C": setting}
        if ledger.isolated[row, column]:
            leverage = {"I": {"l": setting, "u": int(ledger.isolated_cash[row, column])}}
        return {
            "s": int(ledger.lots[row, column]),
            "e": abs(int(ledger.cost[row, column])),
            "l": leverage,
            "M": self._table(row, column),
            "f": {"a": int(ledger.funding_all_time[row, column]), "o": 0, "c": 0},
        }

    def _table(self, row: int, column: int) -> int:
        """Id of the position's own table; the rules' last row is the flat one of grandfathered positions."""
        rules = self.market.hyperliquid.rules
        own = int(rules.table[row, column])
        return GRANDFATHERED_LEVERAGE if own == len(rules.assets) else rules.assets[own].table_id


def _write_dex(writer: Writer, dex: _Dex, addresses: list[bytes | str]) -> None:
    lots = dex.market.hyperliquid.ledger.lots[:, dex.columns]
    oracle = dex.market.path.oracle_units[-1][dex.columns]
    writer.map_of(3)
    writer.put("meta", _meta(dex.assets, dex.index), "oracle", {"pxs": [[{"px": int(px)}] for px in oracle]})
    writer.put("user_states")
    writer.map_of(3)
    holders = np.flatnonzero((lots != 0).any(axis=1))
    writer.put("users_with_positions", [addresses[row] for row in holders])
    writer.put("asset_to_oi_szi", np.maximum(lots, 0).sum(axis=0).tolist())
    writer.put("user_to_state")
    writer.list_of(len(addresses))
    for row, who in enumerate(addresses):
        writer.put([who, dex.account(row)])


def _meta(assets: list[Asset], index: int) -> Json:
    tables = sorted({asset.table_id for asset in assets if asset.table_id >= 50})
    flat = [[GRANDFATHERED_LEVERAGE, {"margin_tiers": _tiers(((0.0, GRANDFATHERED_LEVERAGE),))}]]
    return {
        "universe": [_listing(asset) for asset in assets],
        "marginTableIdToMarginTable": flat
        + [[table, {"margin_tiers": _tiers(scaled_tiers(table))}] for table in tables],
        "collateralToken": USDC,
        "pdi": index,
    }


def _listing(asset: Asset) -> Json:
    row = {"name": asset.name, "szDecimals": asset.sz_decimals, "marginTableId": asset.table_id}
    return {**row, "marginMode": "strictIsolated"} if asset.dex else row


def _tiers(tiers: tuple[tuple[float, int], ...]) -> Json:
    """With the deductions that keep the requirement continuous, in micro-dollars."""
    out, deduction, last = [], 0.0, 0.5 / tiers[0][1]
    for bound, leverage in tiers:
        deduction += bound * (0.5 / leverage - last)
        last = 0.5 / leverage
        out.append(
            {
                "lower_bound": round(bound * MICRO),
                "max_leverage": leverage,
                "maintenance_deduction": round(deduction * MICRO),
            }
        )
    return out


def _mode(market: Market, row: int) -> Json:
    letter = MODE_LETTERS.get(int(market.hyperliquid.people.mode[row]))
    return {"a": letter} if letter else {}


def _spot_states(market: Market, book: AccountBook, addresses: list[bytes | str]) -> Iterator[Json]:
    """Pooled accounts hold their whole collateral in USDC, portfolio ones HYPE beside it."""
    ledger = market.hyperliquid.ledger
    for row, who in enumerate(addresses):
        if is_pooled(market.hyperliquid, row):
            value = ledger.lots[row] * book.mark
            isolated = np.where(ledger.isolated[row] & (ledger.lots[row] != 0), ledger.isolated_cash[row], 0)
            total = int(ledger.cash[row] + value.sum() + isolated.sum())
            balances: Json = [[USDC, {"t": total * (WEI // MICRO)}]]
            if market.hyperliquid.people.mode[row] == PORTFOLIO:
                balances.append([HYPE, {"t": int(ledger.collateral_lots[row]) * (WEI // 100)}])
            yield [who, {"b": balances}]


# ----------------------------------------------------------------------------- a file of the real one's size


def write_synthetic_state(
    path: Path,
    accounts: int = 2_000_000,
    holders: int = 60_000,
    positions: int = 250_000,
    seed: int = 7,
    resting_orders: int = 2_000_000,
) -> None:
    """A state of random accounts on one dex; four of five have spot balances, a tenth of the holders are unified.

    `resting_orders` fills `perp_dexs` with books that a reader of positions has to pass over.
    """
    rng = np.random.default_rng(seed)
    assets = listed(("BTC", "ETH", "SOL", "HYPE", "XRP", "DOGE", "LINK", "AVAX"))
    drawn = _draw_positions(rng, assets, holders, positions)
    spread = np.sort(rng.choice(accounts, holders, replace=False))
    names = [rng.bytes(20 * CHUNK) for _ in range(0, accounts, CHUNK)]
    with path.open("wb") as file:
        writer = Writer(file)
        writer.open_exchange(HEIGHT, "2026-09-01T00:00:00.000000000", 4)
        writer.put("cls")
        writer.list_of(1)
        _write_drawn(writer, assets, drawn, _Names(names, accounts, spread))
        _write_members(writer, "ust", _Names(names, accounts, spread), [{}, {}, {"a": "d"}, {"a": "u"}])
        writer.put("scl")
        writer.map_of(1)
        balances = [{"b": [[USDC, {"t": int(usd * WEI)}]]} for usd in rng.lognormal(9, 2, 64)]
        _write_members(writer, "user_states", _Names(names, accounts * 4 // 5, spread), balances)
        writer.put("perp_dexs")
        _write_books(writer, resting_orders)


@dataclass(frozen=True)
class _Names:
    """Addresses in file order, `CHUNK` to a block; `holders` are rows of those with positions."""

    blocks: list[bytes]
    accounts: int
    holders: Ints

    def packed(self) -> Iterator[bytes]:
        """Each address packed as 20 bytes, behind the header of its pair."""
        left = self.accounts
        for block in self.blocks:
            for start in range(0, 20 * min(CHUNK, left), 20):
                yield b"\x92\xc4\x14" + block[start : start + 20]
            left -= min(CHUNK, left)

    def of_holders(self) -> list[bytes]:
        return [
            self.blocks[row // CHUNK][20 * (row % CHUNK) : 20 * (row % CHUNK) + 20]
            for row in self.holders.tolist()
        ]


@dataclass(frozen=True)
class _Drawn:
    """Positions in holder order; `first` is where each holder's begin."""

    first: Ints
    asset: Ints
    lots: Ints
    px: Floats
    isolated: Ints


def _draw_positions(
    rng: np.random.Generator, assets: tuple[Asset, ...], holders: int, positions: int
) -> _Drawn:
    """Every holder holds some assets, each at most once; sizes of each asset sum to zero."""
    many = len(assets)
    each = np.full(holders, positions // holders)
    each[: positions - each.sum()] += 1
    if each.max() > many:
        raise ValueError(f"{positions} positions do not fit {holders} holders of {many} assets")
    order = np.argsort(rng.random((holders, many)), axis=1)
    taken = np.arange(many) < each[:, None]
    asset = order[taken]
    px = np.array([one.start_px for one in assets])
    scale = np.array([one.lot_scale for one in assets])
    usd = rng.lognormal(8, 2, asset.size) * rng.choice([-1.0, 1.0], asset.size)
    lots = np.rint(usd / px[asset] * scale[asset]).astype(np.int64)
    lots[lots == 0] = 1
    for index in range(many):
        mine = np.flatnonzero(asset == index)
        lots[mine[-1]] -= lots[mine].sum()
    first = np.concatenate([[0], np.cumsum(each)])
    return _Drawn(first, asset, lots, px, (rng.random(asset.size) < 0.2).astype(np.int64))


def _write_drawn(writer: Writer, assets: tuple[Asset, ...], drawn: _Drawn, names: _Names) -> None:
    writer.map_of(3)
    oracle = [[{"px": round(asset.start_px * asset.px_scale)}] for asset in assets]
    writer.put("meta", _meta(list(assets), 0), "oracle", {"pxs": oracle}, "user_states")
    writer.map_of(3)
    writer.put("users_with_positions", names.of_holders())
    longs = np.bincount(drawn.asset, np.maximum(drawn.lots, 0), len(assets))
    writer.put("asset_to_oi_szi", [int(total) for total in longs], "user_to_state")
    writer.list_of(names.accounts)
    packer = msgpack.Packer()
    flat = [
        packer.pack({"u": n * 977_003, "p": {"p": []}, "S": {"s": 0, "r": n}, "D": []}) for n in range(64)
    ]
    holding = dict(zip(names.holders.tolist(), range(len(names.holders)), strict=True))
    for row, name in enumerate(names.packed()):
        at = holding.get(row)
        writer.raw(name + (flat[row % 64] if at is None else packer.pack(_drawn_account(assets, drawn, at))))


def _drawn_account(assets: tuple[Asset, ...], drawn: _Drawn, holder: int) -> Json:
    positions, cash = [], 0.0
    for row in range(int(drawn.first[holder]), int(drawn.first[holder + 1])):
        asset, lots = int(drawn.asset[row]), int(drawn.lots[row])
        value = lots / assets[asset].lot_scale * float(drawn.px[asset])
        margin = round((0.1 * abs(value) - value) * MICRO)
        cash += 0.0 if drawn.isolated[row] else 0.2 * abs(value) - value
        leverage: Json = {"I": {"l": 10, "u": margin}} if drawn.isolated[row] else {"C": 10}
        position = {"s": lots, "e": abs(round(value * MICRO)), "l": leverage, "M": assets[asset].table_id}
        positions.append([asset, {**position, "f": {"a": 100_000, "o": 120_000, "c": 110_000}}])
    return {"u": round(cash * MICRO), "p": {"p": positions}, "S": {"s": 0, "r": 0}, "D": []}


def _write_members(writer: Writer, part: str, names: _Names, states: list[Json]) -> None:
    """One of `states` in turn for every account."""
    writer.put(part)
    writer.list_of(names.accounts)
    packed = [msgpack.packb(state) for state in states]
    for row, name in enumerate(names.packed()):
        writer.raw(name + packed[row % len(packed)])


def _write_books(writer: Writer, orders: int) -> None:
    order = {"oid": 214_107_600_128, "c": 0, "s": 123_456, "px": 7_772_500, "sd": "B", "t": 1_761_584_402_387}
    packed = msgpack.packb({**order, "u": b"\x5a" * 20, "r": False})
    writer.list_of(1)
    writer.map_of(1)
    writer.put("books")
    writer.list_of(orders)
    for done in range(0, orders, CHUNK):
        writer.raw(packed * min(CHUNK, orders - done))
