"""Tables of positions that other people's services and programs export: how each is recognised, what it does not have,
and whether it lists everyone.

A provider's layout is recognised when all its columns are there, whatever the file is called. Reads no file.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.storage.files.tabular import Layout, TextTable

Listing = tuple[bool | None, Notes]
"""Whether a table lists all holders of its coins (null: its moments show it), and notes on that."""


@dataclass(frozen=True)
class Provider(Layout):
    """A table that somebody else's service or program writes; one without a time is dated by its file.

    `constants` hold in every row; `lists` says whether the table has all holders, null where its moments show it.
    """

    constants: Mapping[str, str] = field(default_factory=dict)
    lists: Callable[[TextTable], Listing] = lambda table: (None, ())


def _of_full_scan(table: TextTable) -> Listing:
    mode, stated = table.rows["#mode"][0], table.rows["#btc_positions"][0]
    if mode != "full":
        return False, (note("scan_in_part", mode=mode),)
    if stated.isdigit() and int(stated[:15]) != table.rows.height:
        counts = note("rows_stated", stated=int(stated[:15]), count=table.rows.height)
        return table.rows.height > int(stated[:15]), (counts,)
    return True, ()


def _of_all_pages(table: TextTable) -> Listing:
    """A census only where every page is there; a list without page numbers may be of the largest holders."""
    pages = {page for answer in table.answers if (page := answer.get("current_page"))}
    totals = {total for answer in table.answers if (total := answer.get("total_pages"))}
    if not pages or len(totals) != 1:
        return False, (note("pages_not_numbered"),)
    total = totals.pop()
    missing = str(len(pages)) != total or pages != {str(page) for page in range(1, len(pages) + 1)}
    return (False, (note("pages_missing", count=len(pages), total=total),)) if missing else (True, ())


def _of_some(table: TextTable) -> Listing:
    return False, ()


PROVIDERS: Final = (
    Provider(
        "HyperTracker",
        "positions",
        {
            "address": "address",
            "coin": "coin",
            "side": "side",
            "size": "size",
            "notional_usd": "value",
            "entry_px": "entryPrice",
            "liq_px_exchange": "liquidationPrice",
            "cross_leverage": "crossLeverage",
            "isolated_leverage": "isolatedLeverage",
            "held_since": "openTime",
        },
        optional={"dex": "dex", "unrealized_pnl_usd": "unrealizedPnl"},
    ),
    Provider(
        "hl-liqmap scan",
        "positions",
        {
            "as_of": "#ts",
            "mark_px": "#px",
            "address": "addr",
            "szi": "size",
            "entry_px": "entry",
            "liq_px_exchange": "liq",
            "leverage": "lev",
            "margin_mode": "margin",
            "unrealized_pnl_usd": "pnl",
            "account_value_usd": "acct_value",
            "counted": "#btc_positions",
            "mode": "#mode",
        },
        constants={"coin": "BTC"},
        lists=_of_full_scan,
    ),
    Provider(
        "Coinglass Hyperliquid positions",
        "positions",
        {
            "address": "user",
            "coin": "symbol",
            "szi": "position_size",
            "entry_px": "entry_price",
            "liq_px_exchange": "liq_price",
            "notional_usd": "position_value_usd",
            "held_since": "create_time",
            "as_of": "update_time",
        },
        optional={
            "mark_px": "mark_price",
            "leverage": "leverage",
            "margin_mode": "margin_mode",
            "margin_used_usd": "margin_balance",
            "unrealized_pnl_usd": "unrealized_pnl",
        },
        lists=_of_all_pages,
    ),
    Provider(
        "ccxt positions",
        "positions",
        {
            "coin": "symbol",
            "side": "side",
            "size": "contracts",
            "notional_usd": "notional",
            "entry_px": "entryPrice",
            "liq_px_exchange": "liquidationPrice",
            "leverage": "leverage",
            "margin_mode": "marginMode",
        },
        optional={
            "address": "address",
            "unrealized_pnl_usd": "unrealizedPnl",
            "margin_used_usd": "collateral",
        },
        lists=_of_some,
    ),
)
"""Recognised when all their columns are there."""
EVENTS: Final = (
    Layout(
        "Coinglass whale alerts",
        "alerts",
        {"address": "user", "coin": "symbol", "szi": "position_size", "action": "position_action"},
    ),
)
"""Looked for first: with further columns they have all that tables of positions have, and rows of closed ones too."""
RECOGNISED_BY: Final = ("counted", "mode")
"""Columns by which a provider's table is recognised and judged, and that no position has."""
MAY_LACK: Final = {
    "as_of": "time of reading",
    "mark_px": "mark",
    "entry_px": "entry price",
    "leverage": "leverage",
    "margin_mode": "margin mode",
    "account_value_usd": "account value",
    "account_mode": "account mode",
    "held_since": "opening time",
}
"""What a reader of a provider's table would expect in it."""


def lacks(layout: str, there: Collection[str]) -> Notes:
    """A note on what a provider's table does not have, of which `there` are our columns."""
    has = {*there, *(("leverage", "margin_mode") if "cross_leverage" in there else ())}
    lacking = tuple(words for name, words in MAY_LACK.items() if name not in has)
    return (note("layout_lacks", layout=layout, names=lacking),) if lacking else ()
