"""A node's state file, read as a stream: what holders have, as raw numbers in flat columns.

The file is MessagePack of about 1 GB; it is never decoded whole. A `Cursor` walks the maps that lead to the wanted
parts, skips everything else without building it, and names the path where the layout is not the documented one.
Only accounts with a position stay in memory, so memory grows with holders, not with accounts. Numbers stay the node's
scaled integers; `indexer.node.state` gives them their units.
Layout: the project's protocol notes, section 5.5. Its key names are unversioned, which is why unknown ones are
skipped, missing ones refused by name, and invariants are checked on the result before it is believed.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from liqtruth.heatmap.errors import LeftOut
from liqtruth.indexer.node.formats import NOT_AS_DOCUMENTED, Cursor, OnProgress, open_binary

PARTS: Final = frozenset({"ctx", "cls", "ust", "scl"})
AFTER_HOLDERS: Final = frozenset({"ust", "scl"})
ABSENT: Final = -1
UNREADABLE: Final = "?"
"""Stands for a mode that cannot be read; no letter of the node's."""
MOST_LEVERAGE: Final = 1_000
FIRST_OUTCOME: Final = 100_000_000
"""Ids of assets from here on are of outcome markets."""
ENTRIES_PER_REPORT: Final = 20_000

Column: TypeAlias = "array[int]"


@dataclass
class DexColumns:
    """One dex as the node holds it. Positions and holders are flat columns; `owner` and `holder` are rows of
    `RawState.addresses`, money is micro-dollars, `ABSENT` stands for a field that was not there."""

    meta: Any = None
    oracle: Any = None
    open_interest: Any = None
    listed_holders: list[bytes] | None = None
    accounts: int = 0
    left_out: int = 0
    holder: Column = field(default_factory=lambda: array("q"))
    cash: Column = field(default_factory=lambda: array("q"))
    owner: Column = field(default_factory=lambda: array("q"))
    asset: Column = field(default_factory=lambda: array("q"))
    size: Column = field(default_factory=lambda: array("q"))
    cost: Column = field(default_factory=lambda: array("q"))
    leverage: Column = field(default_factory=lambda: array("q"))
    isolated: Column = field(default_factory=lambda: array("b"))
    isolated_cash: Column = field(default_factory=lambda: array("q"))
    table: Column = field(default_factory=lambda: array("q"))

    def add_account(self, row: int, cash: int, positions: list[tuple[int, ...]]) -> None:
        """An account with its positions, as `_positions` reads them."""
        self.holder.append(row)
        self.cash.append(cash)
        columns = (
            self.asset,
            self.size,
            self.cost,
            self.leverage,
            self.isolated,
            self.isolated_cash,
            self.table,
        )
        for fields in positions:
            self.owner.append(row)
            for column, value in zip(columns, fields, strict=True):
                column.append(value)

    def drop(self, unwanted: set[int]) -> None:
        """Take accounts out again, by their rows."""
        for owners, columns in (
            (
                self.owner,
                ("asset", "size", "cost", "leverage", "isolated", "isolated_cash", "table", "owner"),
            ),
            (self.holder, ("cash", "holder")),
        ):
            kept = [at for at, row in enumerate(owners) if row not in unwanted]
            for name in columns:
                column = getattr(self, name)
                setattr(self, name, array(column.typecode, [column[at] for at in kept]))


@dataclass
class RawState:
    """What was read. `modes` is (row, letter), `spot` (row, token, total in the token's smallest unit); None where
    the file has no such part."""

    height: Any = None
    time: Any = None
    synthetic: bool = False
    dexes: list[DexColumns] = field(default_factory=list)
    addresses: dict[bytes, int] = field(default_factory=dict)
    modes: list[tuple[int, Any]] | None = None
    spot: "tuple[Column, Column, Column] | None" = None
    left_out: LeftOut = field(default_factory=LeftOut)


def read_raw(path: Path, on_progress: OnProgress | None = None) -> RawState:
    """Read `path` (also .gz, .lz4) to its end; raises `WireError` naming the path that is not as documented.

    A second pass is made only where modes or balances stand before the positions of the holders they belong to.
    """
    state = RawState()
    postponed = _pass(path, state, PARTS, on_progress)
    if postponed:
        _pass(path, state, postponed, on_progress)
    return state


def _pass(
    path: Path, state: RawState, wanted: frozenset[str], on_progress: OnProgress | None
) -> frozenset[str]:
    """Read the wanted parts; returns those that have to wait for the holders to be known."""
    seen: set[str] = set()
    postponed: set[str] = set()
    with open_binary(path) as (stream, share_read):
        reader = _Reader(Cursor(stream, str(path)), state, on_progress, share_read)
        with reader.cursor.explained():
            for part in reader.locus():
                seen.add(part)
                if part in wanted and part in AFTER_HOLDERS and not state.dexes:
                    postponed.add(part)
                elif part in wanted:
                    reader.read(part)
    for required in ("ctx", "cls"):
        if required not in seen:
            reader.cursor.refuse(f"exchange.locus.{required} is missing; not a node's state as documented")
    if on_progress:
        on_progress(1.0)
    return frozenset(postponed)


@dataclass
class _Reader:
    """Fills a `RawState` from where its cursor stands."""

    cursor: Cursor
    state: RawState
    on_progress: OnProgress | None
    share_read: Callable[[], float]

    def locus(self) -> Iterator[str]:
        """Names of the parts of `exchange.locus`, each standing before its value."""
        for top in self.cursor.fields():
            if top == "synthetic":
                self.state.synthetic = bool(self.cursor.value())
            elif top == "exchange":
                for name in self.cursor.fields():
                    if name == "locus":
                        yield from self.cursor.fields()

    def read(self, part: str) -> None:
        {"ctx": self._context, "cls": self._dexes, "ust": self._modes, "scl": self._spot}[part]()

    def _context(self) -> None:
        context = self.cursor.value()
        self.state.height, self.state.time = context["height"], context["time"]

    def _dexes(self) -> None:
        for _ in self.cursor.items():
            dex = DexColumns()
            for name in self.cursor.fields():
                if name == "meta":
                    dex.meta = self.cursor.value()
                elif name == "oracle":
                    dex.oracle = self.cursor.value()["pxs"]
                elif name == "user_states":
                    self._users(dex)
            self.state.dexes.append(dex)

    def _users(self, dex: DexColumns) -> None:
        found = False
        for name in self.cursor.fields():
            if name == "users_with_positions":
                dex.listed_holders = [_address(one) for one in self.cursor.entries()]
            elif name == "asset_to_oi_szi":
                dex.open_interest = self.cursor.value()
            elif name == "user_to_state":
                found = True
                self._accounts(dex)
        if not found:
            raise KeyError("user_to_state")

    def _accounts(self, dex: DexColumns) -> None:
        """Accounts with positions; one that is not as documented is left out whole, for its margin is one."""
        rows, seen = self.state.addresses, set[int]()
        for entry in self._reported():
            dex.accounts += 1
            try:
                address, cash, holdings = _account(entry)
                row = rows.setdefault(address, len(rows)) if holdings else -1
                if row in seen:
                    raise ValueError("the account is listed twice")
            except NOT_AS_DOCUMENTED as error:
                self._leave_out("accounts", error)
                dex.left_out += 1
                continue
            if holdings:
                seen.add(row)
                dex.add_account(row, cash, holdings)

    def _leave_out(self, kind: str, error: Exception) -> None:
        lacks = (
            f"lacks {error.args[0]!r}" if isinstance(error, KeyError) else f"is not as documented: {error}"
        )
        self.state.left_out.note(kind, f"{self.cursor.place} {lacks}")

    def _modes(self) -> None:
        """Whose mode cannot be read is of unknown mode; an address that cannot be may be anybody's, and is refused."""
        rows, found = self.state.addresses, []
        for address, setting in self._reported():
            row = rows.get(_address(address))
            if row is not None:
                letter = setting.get("a") if isinstance(setting, dict) else UNREADABLE
                found.append((row, letter if isinstance(letter, str | None) else UNREADABLE))
        self.state.modes = found

    def _spot(self) -> None:
        for name in self.cursor.fields():
            if name == "user_states":
                self._balances()

    def _balances(self) -> None:
        """Whose balances cannot be read has none that are known."""
        rows, seen = self.state.addresses, set[int]()
        owner, token, total = array("q"), array("q"), array("q")
        for entry in self._reported():
            try:
                address, account = entry
                row = rows.get(_address(address))
                if row is None:
                    continue
                balances = {_whole(index): _whole(balance["t"]) for index, balance in account["b"]}
                if row in seen or len(balances) < len(account["b"]):
                    raise ValueError("a balance is listed twice")
            except NOT_AS_DOCUMENTED as error:
                self._leave_out("balances of accounts", error)
                continue
            seen.add(row)
            for index, amount in balances.items():
                owner.append(row)
                token.append(index)
                total.append(amount)
        self.state.spot = owner, token, total

    def _reported(self) -> Iterator[Any]:
        """Entries of a long list, with the share of the file that was read reported now and then."""
        for count, entry in enumerate(self.cursor.entries()):
            if self.on_progress and count % ENTRIES_PER_REPORT == 0:
                self.on_progress(self.share_read())
            yield entry


def _address(raw: Any) -> bytes:
    """Twenty bytes, from bytes or from 0x and hex digits."""
    address = raw if isinstance(raw, bytes) else bytes.fromhex(raw[2:])
    if len(address) != 20:
        raise ValueError(f"{raw!r} is no address")
    return address


def _account(entry: Any) -> tuple[bytes, int, list[tuple[int, ...]]]:
    """Address, cash leg and open positions of an entry of `user_to_state`; no positions for whoever holds nothing."""
    address, account = entry
    positions = account.get("p")
    holdings = (
        [
            _position(asset, position)
            for asset, position in positions["p"]
            if position["s"] and not _is_outcome(asset)
        ]
        if positions
        else []
    )
    if not holdings:
        return b"", 0, []
    if len({fields[0] for fields in holdings}) < len(holdings):
        raise ValueError("an asset is listed twice")
    return _address(address), _whole(account["u"]), holdings


def _is_outcome(asset: Any) -> bool:
    """Whether an asset's id is one of an outcome market, which is no perpetual and would be taken for another one."""
    return _whole(asset) >= FIRST_OUTCOME


def _position(asset: Any, position: Any) -> tuple[int, ...]:
    """asset, size, cost, leverage, isolated, isolated cash, margin table of one position."""
    setting = position.get("l")
    leverage, isolated, cash = _leverage(setting)
    table = position.get("M", position.get("margin", ABSENT))
    cost = _whole(position["e"])
    if cost < 0 or not (leverage == ABSENT or 1 <= leverage <= MOST_LEVERAGE):
        raise ValueError(f"cost {cost}, leverage {leverage}")
    return _whole(asset) % 10_000, _whole(position["s"]), cost, leverage, isolated, cash, _whole(table)


def _whole(number: Any) -> int:
    """A whole number that a column of 64 bits can hold."""
    if type(number) is not int or not -(2**63) < number < 2**63:
        raise ValueError(f"{number!r:.40} is no whole number of 64 bits")
    return number


def _leverage(setting: Any) -> tuple[int, int, int]:
    """(leverage, isolated, isolated cash); ABSENT leverage where the position carries no setting."""
    if setting is None:
        return ABSENT, 0, 0
    if "C" in setting:
        return _whole(setting["C"]), 0, 0
    isolated = setting["I"]
    return _whole(isolated["l"]), 1, _whole(isolated["u"])
