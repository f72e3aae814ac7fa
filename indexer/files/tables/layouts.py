"""Which tables of positions and marks are recognised, and their rows as the frames of `indexer.frames`.

Never calls the exchange and stores nothing: a table becomes a checked frame, or is refused with the row (1 = first
data row), the column and the value. Three ways to know a column, in this order: `--columns ours=theirs` (`ours=:value`
is the same in every row, `ours=-` leaves a column out), a layout seen before (`PROVIDERS` among them: other people's
exports, with what they lack and whom they list), a name in common use or our own. Rows
that hold nothing (size 0) and exact repetitions are left out and counted; two different rows for one account, coin and
moment are refused, because one of them is wrong.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from liqtruth.heatmap.words.notes import Note
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.tables.providers import EVENTS, PROVIDERS, RECOGNISED_BY, Provider, lacks
from liqtruth.indexer.frames import POSITIONS
from liqtruth.storage.files.tabular import Layout, TextTable, recognise, shortened

LATER: Final = ("mark_from", "tables_matching", "check")
"""Columns that exports of earlier versions lack."""
EXPORT: Final = Layout(
    "liqtruth export",
    "positions",
    {name: name for name in POSITIONS if name not in LATER},
    optional={name: name for name in LATER},
)
RECORDED: Final = Layout(
    "account table (addr, szi, liqPx)",
    "positions",
    {
        "address": "addr",
        "coin": "coin",
        "szi": "szi",
        "notional_usd": "notional",
        "liq_px_exchange": "liqPx",
        "as_of": "ts",
    },
    optional={
        "account_value_usd": "av",
        "entry_px": "entryPx",
        "unrealized_pnl_usd": "upnl",
        "leverage": "lev",
        "margin_mode": "levType",
    },
)
MARKET_TABLE: Final = Layout(
    "market table (ts, mark, oi)",
    "markets",
    {"as_of": "ts", "coin": "coin", "mark_px": "mark"},
    optional={"open_interest": "oi", "funding_rate": "funding"},
)

POSITION_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "address": ("address", "addr", "user", "ethaddress", "account", "wallet", "wallet_address", "trader", "owner"),
    "coin": ("coin", "asset", "symbol", "market", "ticker"),
    "szi": ("szi",),
    "size": ("size", "sz", "qty", "quantity", "amount", "position_size", "positionsize"),
    "side": ("side", "direction"),
    "entry_px": ("entry_px", "entrypx", "entry_price", "entryprice", "avg_entry", "entry"),
    "mark_px": ("mark_px", "markpx", "mark_price", "markprice", "mark"),
    "notional_usd": ("notional_usd", "notional", "position_value", "positionvalue", "value_usd",
                     "position_value_usd", "notional_value"),
    "liq_px_exchange": ("liq_px_exchange", "liq_px", "liqpx", "liquidation_px", "liquidationpx", "liq_price",
                        "liquidation_price", "liquidationprice"),
    "account_value_usd": ("account_value_usd", "account_value", "accountvalue", "av", "equity"),
    "unrealized_pnl_usd": ("unrealized_pnl_usd", "unrealized_pnl", "unrealizedpnl", "upnl",
                           "unrealised_pnl"),
    "leverage": ("leverage", "lev"),
    "margin_mode": ("margin_mode", "levtype", "lev_type", "leverage_type", "margin_type", "marginmode", "leveragetype"),
    "max_leverage": ("max_leverage", "maxleverage"),
    "margin_used_usd": ("margin_used_usd", "margin_used", "marginused"),
    "isolated_raw_usd": ("isolated_raw_usd", "rawusd", "raw_usd"),
    "as_of": ("as_of", "ts", "time", "timestamp", "ts_ms", "snapshot_at", "captured_at", "update_time"),
}  # fmt: skip
MARKET_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "as_of": POSITION_NAMES["as_of"],
    "coin": POSITION_NAMES["coin"],
    "mark_px": POSITION_NAMES["mark_px"],
    "open_interest": ("open_interest", "openinterest", "oi"),
    "funding_rate": ("funding_rate", "fundingrate", "funding"),
}
"""Our column to names in common use (compared in lower case)."""

MAP_NAMES: Final = frozenset({"low_px", "high_px", "long_usd", "short_usd", "usd", "usd_value", "liq_usd"})
"""Columns of a map's levels, in lower case: the mark beside them is that of one map and no market's history."""

ALIASES: Final = {"liq_px": "liq_px_exchange", "addr": "address", "ts": "as_of", "notional": "notional_usd"}
"""Other spellings of our columns that `--columns` takes."""

SOLVED: Final = ("liq_px", "liq_px_solved", "implied_available_usd", "status", *LATER)
"""Columns of ours that are computed from the others; only a whole export is believed about them."""
OWN_NAMES: Final = {
    **{name: (name,) for name in POSITIONS if name not in SOLVED},
    **POSITION_NAMES,
}
CONSTANT: Final = ":"
ABSENT: Final = "-"


@dataclass(frozen=True)
class Place:
    """Where a row came from, to name it in an error by the file's own words."""

    path: Path
    columns: Mapping[str, str]

    def __str__(self) -> str:
        return str(self.path)

    def theirs(self, ours: str) -> str:
        return self.columns.get(ours, ours)


@dataclass(frozen=True)
class Recognised:
    """What a table was taken for: `columns` maps ours to theirs, `constants` ours to the value of every row, `dropped`
    are the columns of theirs that are not used.

    Of a provider's table `is_census` says whether it lists everyone (null: not known), `is_dated` whether it has times.
    """

    kind: str
    layout: str
    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    is_census: bool | None = None
    is_dated: bool = True
    notes: tuple[Note, ...] = ()


def recognise_table(header: Sequence[str], asked: Mapping[str, str], place: Path) -> Recognised:
    """Positions or markets, and by which columns; raises `ImportRefused` naming what is missing."""
    reported = _checked_names(asked)
    constants = {ours: value[1:] for ours, value in reported.items() if value.startswith(CONSTANT)}
    mapped = {ours: theirs for ours, theirs in reported.items() if theirs != ABSENT and ours not in constants}
    if events := recognise(header, EVENTS):
        raise ImportRefused(f"{place}: {events.name}: what was opened and closed, not positions at one time")
    provider = recognise(header, PROVIDERS)
    if isinstance(provider, Provider) and not recognise(header, (EXPORT, RECORDED)):
        constants = {
            **{one: it for one, it in provider.constants.items() if one not in reported},
            **constants,
        }
        kind, layout = provider.kind, provider.name
        columns = {**provider.mapping(header), **mapped}
    else:
        kind, layout, columns = _found(header, mapped, constants, place)
        provider = None
    columns = {ours: theirs for ours, theirs in columns.items() if ours not in reported or ours in mapped}
    if lacking := () if kind == "markets" else _lacking_for_positions({**columns, **constants}):
        if set(lacking) & reported.keys():
            raise ImportRefused(f"{place}: nothing is left for {' or '.join(lacking)}; --columns left it out")
        raise ImportRefused(f"{place}: {layout} have no {lacking[0]}; give it: --columns {lacking[0]}=:VALUE")
    dropped = tuple(name for name in header if name not in columns.values())
    columns = {ours: theirs for ours, theirs in columns.items() if ours not in RECOGNISED_BY}
    known = Recognised(kind, layout, columns, constants, dropped)
    if provider is None:
        return known
    there = {*known.columns, *known.constants}
    return replace(known, is_dated="as_of" in there, notes=lacks(layout, there))


def _found(
    header: Sequence[str], mapped: Mapping[str, str], constants: Mapping[str, str], place: Path
) -> tuple[str, str, dict[str, str]]:
    if layout := recognise(header, (EXPORT, RECORDED)):
        own = {} if layout is EXPORT else _by_common_names(header, OWN_NAMES, layout.mapping(header))
        return layout.kind, layout.name, {**own, **layout.mapping(header), **mapped}
    named = "--columns" if mapped else "common names"
    positions = _by_common_names(header, OWN_NAMES, mapped)
    if not (lacking := _lacking_for_positions({**positions, **constants})):
        return "positions", named, positions
    if layout := recognise(header, (MARKET_TABLE,)):
        return layout.kind, layout.name, {**layout.mapping(header), **mapped}
    markets = _by_common_names(header, MARKET_NAMES, mapped)
    if "address" not in positions and {"as_of", "coin", "mark_px"} <= {**markets, **constants}.keys():
        if not mapped and MAP_NAMES & {name.strip().lower() for name in header}:
            raise ImportRefused(
                f"{place}: must be a table of positions or marks, got a map: `liqtruth map import FILE` shows it, "
                "`check` and `compare` take it with --map"
            )
        return "markets", named, markets
    raise ImportRefused(
        f"{place}: not a table of positions or marks: no column for {' or '.join(lacking)}; it has "
        f"{shortened(header)}; map them with --columns, e.g. --columns {lacking[0]}=THEIRS"
    )


def _checked_names(asked: Mapping[str, str]) -> dict[str, str]:
    known = {*POSITIONS, *POSITION_NAMES, *MARKET_NAMES}
    columns = {ALIASES.get(ours, ours): theirs for ours, theirs in asked.items()}
    for ours in columns:
        if ours not in known:
            near = difflib.get_close_matches(ours, sorted(known), n=3, cutoff=0.4)
            offered = f"near it: {', '.join(near)}" if near else f"ours are {', '.join(POSITION_NAMES)}"
            raise ImportRefused(f"--columns: {ours!r} is no column of ours; {offered}")
    return columns


def _by_common_names(
    header: Sequence[str], names: Mapping[str, Sequence[str]], given: Mapping[str, str]
) -> dict[str, str]:
    """`given`, and by their names those of ours that it does not have from columns that it does not use."""
    theirs = {column.strip().lower(): column for column in reversed(header) if column not in given.values()}
    found = {
        ours: theirs[next(name for name in known if name in theirs)]
        for ours, known in names.items()
        if ours not in given and any(name in theirs for name in known)
    }
    return {**found, **given}


def _lacking_for_positions(columns: Mapping[str, str]) -> Sequence[str]:
    """Names, of which one will do, of the first thing that a table of positions cannot do without; none where it has
    all."""
    marked = ("notional_usd", "mark_px", "margin_used_usd", "unrealized_pnl_usd")
    needs = (("address",), ("coin",), ("szi", "size"), marked)
    return next((names[:2] for names in needs if not set(names) & columns.keys()), ())


def recognised(table: TextTable, columns: Mapping[str, str], path: Path) -> Recognised:
    if not table.headed and not columns:
        raise ImportRefused(
            f"{path}: has no header line; add one, e.g. address,coin,szi,notional,liq_px,ts, or number the columns: "
            "--columns address=1,coin=2,..."
        )
    known = recognise_table(table.rows.columns, columns, path)
    provider = next((one for one in PROVIDERS if one.name == known.layout), None)
    if provider is None or table.rows.is_empty():
        return known
    is_census, notes = provider.lists(table)
    return replace(known, is_census=is_census, notes=(*known.notes, *notes))
