"""What one dex of a node's state lists: coins, scales, margin tables, oracle prices; and the state's own cross-checks.

The node keeps sizes in 10^-szDecimals coins, money in micro-dollars, and oracle prices times 10^(6 - szDecimals), so
that size times price is micro-dollars. Key names are unversioned: `violations_of` says where a dex contradicts what
must hold if they were understood rightly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info.wire import Asset, MarginTable, MarginTier, Meta
from liqtruth.indexer.margin.solver import Floats
from liqtruth.indexer.margin.tables import FIRST_TIERED_ID, MarginTables, tiers_by_continuity
from liqtruth.indexer.node.events import PERPETUAL
from liqtruth.indexer.node.formats import KIND, as_documented
from liqtruth.indexer.node.stream import FIRST_OUTCOME, DexColumns

MICRO: Final = 1e6
DEDUCTION_TOLERANCE_USD: Final = 1e-2
"""Deductions are stored in micro-dollars; thirds of a dollar are rounded there."""

MOST_DECIMALS: Final = 18
MOST_TABLES: Final = 1_000_000
MOST_TOKENS: Final = 1_000_000
MOST_LEVERAGE: Final = 1_000

Json = Any
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Listing:
    """One dex; arrays run parallel to `meta.universe`. A price of zero (never traded) is NaN, `restricted` are coins
    that are not margined cross."""

    dex: str
    meta: Meta
    tables: MarginTables
    lots_per_coin: Floats
    oracle_px: Floats
    restricted: npt.NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @property
    def coins(self) -> list[str]:
        return [asset.name for asset in self.meta.universe]

    @property
    def shown(self) -> str:
        return self.dex or "the main dex"


def listing_of(raw: DexColumns, index: int, source: str) -> Listing:
    """Raises `WireError` naming the field that is missing or of another type than documented."""
    place = f"exchange.locus.cls[{index}].meta"
    if raw.meta is None:
        raise WireError(KIND, source, f"{place} is missing")
    with as_documented(source, lambda: place):
        tiers = dict(_tables_listed(raw.meta["marginTableIdToMarginTable"]))
        entries = raw.meta["universe"]
        dex, prefix = _dex_name(entries, index)
        meta = Meta(
            universe=[_asset(entry, prefix, tiers) for entry in entries],
            margin_tables=[(number, MarginTable(own)) for number, own in tiers.items()],
            collateral_token=_within(raw.meta["collateralToken"], MOST_TOKENS),
        )
        if len({asset.name for asset in meta.universe}) < len(meta.universe):
            raise ValueError("a coin is listed twice")
        decimals = np.array([asset.sz_decimals for asset in meta.universe], np.float64)
        notes = [f"coins of dex {index} carry no dex name; it is called {dex}"] if prefix else []
        return Listing(
            dex=dex,
            meta=meta,
            tables=MarginTables.from_meta(meta),
            lots_per_coin=10.0**decimals,
            oracle_px=_oracle(raw.oracle, decimals),
            restricted=np.array([asset.margin_mode not in (None, "normal") for asset in meta.universe], bool),
            notes=tuple(notes),
        )


def meta_json(listing: Listing) -> bytes:
    """The listing as the exchange's `meta` answer, so that the margin tables can be read again."""
    return msgspec.json.encode(listing.meta)


def _dex_name(entries: Json, index: int) -> tuple[str, str]:
    """(dex, prefix to give its coins): a builder dex's coins name it themselves, as in `xyz:TSLA`."""
    if index == 0 or not entries:
        return ("" if index == 0 else f"dex{index}"), ""
    name, separator, _ = entries[0]["name"].partition(":")
    return (name, "") if separator else (f"dex{index}", f"dex{index}:")


def _asset(entry: Json, prefix: str, tiers: Mapping[int, list[MarginTier]]) -> Asset:
    number = _within(entry["marginTableId"], MOST_TABLES)
    if number >= FIRST_TIERED_ID and number not in tiers:
        raise ValueError(f"{entry['name']} has margin table {number}, which is not listed")
    return Asset(
        name=_named(prefix + entry["name"]),
        sz_decimals=_within(entry["szDecimals"], MOST_DECIMALS),
        max_leverage=tiers[number][0].max_leverage if number in tiers else number,
        margin_table_id=number,
        is_delisted=bool(entry.get("isDelisted", False)),
        margin_mode=entry.get("marginMode"),
    )


def _named(name: str) -> str:
    if not PERPETUAL.match(name):
        raise ValueError(f"{name!r:.60} is no perpetual's name")
    return name


def _within(number: Json, most: int) -> int:
    if type(number) is not int or not 0 <= number <= most:
        raise ValueError(f"{number!r:.40} is not a whole number from 0 to {most}")
    return number


def _tables_listed(pairs: Json) -> Iterator[tuple[int, list[MarginTier]]]:
    """Tiers by table id; flat tables below `FIRST_TIERED_ID` are known by their id alone."""
    for number, table in pairs:
        rows = table["margin_tiers"]
        if number >= FIRST_TIERED_ID:
            tiers = [
                MarginTier(
                    _within(row["lower_bound"], 2**63) / MICRO, _within(row["max_leverage"], MOST_LEVERAGE)
                )
                for row in rows
            ]
            if not tiers or tiers[0].lower_bound != 0:
                raise ValueError(f"margin table {number} has no tier from 0")
            yield _within(number, MOST_TABLES), tiers


def _oracle(pxs: Json, decimals: Floats) -> Floats:
    """Prices, NaN where there are none."""
    if pxs is None:
        return np.full(len(decimals), np.nan)
    raw = np.array([entry[0]["px"] if entry else 0 for entry in pxs[: len(decimals)]], np.float64)
    if len(raw) != len(decimals):
        raise ValueError(f"{len(raw)} oracle prices for {len(decimals)} assets")
    return np.where(raw > 0, raw / 10 ** (6 - decimals), np.nan)


# ------------------------------------------------------------------------------------------ invariants


def violations_of(
    raw: DexColumns, listing: Listing, addresses: Mapping[bytes, int], source: str, whole: bool = True
) -> Iterator[str]:
    """What contradicts the layout as it was understood, one line each; none for a state that is read rightly.

    Sums over all accounts are reported only where the dex was read `whole`. Raises `WireError` as `listing_of`.
    """
    if whole:
        yield from _sums(raw, listing, addresses)
    with as_documented(source, lambda: f"the margin tables of {listing.shown}"):
        yield from _deductions(raw.meta["marginTableIdToMarginTable"], listing)


def _sums(raw: DexColumns, listing: Listing, addresses: Mapping[bytes, int]) -> Iterator[str]:
    """Longs are shorts, and open interest; who is listed as a holder is one."""
    asset, size = (np.asarray(column, np.int64) for column in (raw.asset, raw.size))
    longs = totals(asset, np.maximum(size, 0), len(listing.lots_per_coin))
    net = totals(asset, size, len(listing.lots_per_coin))
    for at in np.flatnonzero(net):
        yield f"sizes of {listing.coins[at]} sum to {net[at] / listing.lots_per_coin[at]:,.6g} coins, not to zero"
    yield from _open_interest(raw.open_interest, longs, listing)
    if raw.listed_holders is not None:
        listed = {addresses.get(one) for one in raw.listed_holders}
        apart = len(listed.symmetric_difference(raw.holder))
        if apart:
            yield f"{apart:,} accounts are in users_with_positions or hold positions on {listing.shown}, not both"


def unchecked_of(raw: DexColumns, listing: Listing) -> Iterator[str]:
    """Cross-checks that this state does not allow."""
    if raw.open_interest is None or _stated_sizes(raw.open_interest, len(listing.lots_per_coin)) is None:
        yield f"open interest of {listing.shown} is not compared with asset_to_oi_szi: absent, or of an unknown form"
    if raw.listed_holders is None:
        yield f"holders on {listing.shown} are not compared with users_with_positions, which is absent"


def totals(asset: Ints, size: Ints, assets: int) -> Ints:
    """Exact sums per asset."""
    out = np.zeros(assets, np.int64)
    np.add.at(out, asset, size)
    return out


def _open_interest(stated: Json, longs: Ints, listing: Listing) -> Iterator[str]:
    if stated is None:
        return
    values = _stated_sizes(stated, len(longs))
    if values is None:
        return
    for at in np.flatnonzero(values != longs):
        coin, scale = listing.coins[at], listing.lots_per_coin[at]
        yield f"longs of {coin} are {longs[at] / scale:,.6g} coins, asset_to_oi_szi has {values[at] / scale:,.6g}"


def _stated_sizes(stated: Json, assets: int) -> Ints | None:
    """Open interest per asset, from a list parallel to the universe or from pairs; None for anything else."""
    try:
        if stated and isinstance(stated[0], list | tuple):
            pairs = np.zeros(assets, np.int64)
            for asset, size in stated:
                if asset < FIRST_OUTCOME:
                    pairs[asset % 10_000] = size
            return pairs
        values = np.array(stated, np.int64)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        return None
    return values if values.shape == (assets,) else None


def _deductions(pairs: Json, listing: Listing) -> Iterator[str]:
    """The stored deductions are those that continuity gives, which is what the solver uses."""
    tiers = {number: table.margin_tiers for number, table in listing.meta.margin_tables}
    for number, table in pairs:
        stored = [row.get("maintenance_deduction") for row in table["margin_tiers"]]
        ours = [deduction for _, _, deduction in tiers_by_continuity(tiers.get(number, []))]
        for deduction, derived in zip(stored, ours, strict=False):
            if deduction is not None and abs(deduction / MICRO - derived) > DEDUCTION_TOLERANCE_USD:
                text = f"deducts {deduction / MICRO:,.2f} USD where continuity gives {derived:,.2f}"
                yield f"margin table {number} of {listing.shown} {text}"
