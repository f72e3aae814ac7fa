"""Margin tables of one dex as padded arrays, and the choice of a table for each position.

The exchange publishes lower bounds and maximum leverages, never the deductions: those follow from the
continuity of the maintenance margin. Ids up to 50 need not be listed: such a table is flat, its id being its
maximum leverage. A position's own `maxLeverage` goes before `meta`: where the two differ the position was
opened under another table than the coin has now (or belongs to a vault's child). Which one, only the position's
own id shows, or the exchange's price (`indexer.margin.inferred`); until one of them does, it is taken to be flat at
its own leverage. Tables are dated: a position is margined by what was listed when it was read.
Source: Hyperliquid docs, "Margin tiers"; `hyperliquid-dex/ts-examples` LiquidationPx.tsx.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from liqtruth.indexer.info.wire import MarginTier, Meta

FIRST_TIERED_ID = 50
HIGHEST_FLAT_LEVERAGE = 200
NO_TABLE = 0


@dataclass(frozen=True)
class Listing:
    """What `meta` listed at some time: the row of each tiered table and of each coin, and until when (null: now)."""

    row_of_id: Mapping[int, int]
    row_of_coin: Mapping[str, int]
    until: datetime | None = None


@dataclass(frozen=True, eq=False)
class MarginTables:
    """Tiers of every table: row 0 is NaN (no table known), rows 1..200 are flat, then the tiered ones.

    Attributes
    ----------
    lower_bound_usd, rate, deduction_usd : arrays of shape (tables, tiers)
        Unused tiers have an infinite lower bound.
    bound_margin_usd : array of shape (tables, tiers)
        Maintenance margin at each lower bound.
    first_leverage : array of shape (tables,)
        Maximum leverage of the lowest tier.
    row_of_id, row_of_coin : mappings of tiered table id and of coin to row, as listed last
    collateral_token : int
        Spot token index of the dex's collateral; 0 is USDC.
    earlier : what was listed before, newest first
    """

    lower_bound_usd: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]
    deduction_usd: npt.NDArray[np.float64]
    bound_margin_usd: npt.NDArray[np.float64]
    first_leverage: npt.NDArray[np.float64]
    row_of_id: Mapping[int, int]
    row_of_coin: Mapping[str, int]
    collateral_token: int = 0
    earlier: tuple[Listing, ...] = ()

    @classmethod
    def from_meta(cls, meta: Meta) -> "MarginTables":
        """Tables of the dex whose `meta` response this is."""
        return cls.from_metas([(None, meta)])

    @classmethod
    def from_metas(cls, dated: Sequence[tuple[datetime | None, Meta]]) -> "MarginTables":
        """Tables of one dex from its `meta` answers, oldest first, each with the moment from which it is used.

        The first is used for all that was read before it as well.
        """
        tiered = [[(i, table.margin_tiers) for i, table in meta.margin_tables] for _, meta in dated]
        width = max([1, *(len(tiers) for tables in tiered for _, tiers in tables)])
        rows = [_flat_rows(width)]
        listings: list[Listing] = []
        first_row = HIGHEST_FLAT_LEVERAGE + 1
        untils = [since for since, _ in dated[1:]] + [None]
        for (_, meta), tables, until in zip(dated, tiered, untils, strict=True):
            rows += [_tiered_row(tiers, width) for _, tiers in tables]
            row_of_id = {table_id: first_row + i for i, (table_id, _) in enumerate(tables)}
            row_of_coin = {asset.name: _row(asset.margin_table_id, row_of_id) for asset in meta.universe}
            listings.insert(0, Listing(row_of_id, row_of_coin, until))
            first_row += len(tables)
        lower_bound, rate, deduction = np.concatenate(rows, axis=1)
        return cls(
            lower_bound_usd=lower_bound,
            rate=rate,
            deduction_usd=deduction,
            bound_margin_usd=np.where(np.isinf(lower_bound), 0.0, lower_bound * rate - deduction),
            first_leverage=np.rint(0.5 / rate[:, 0]),
            row_of_id=listings[0].row_of_id,
            row_of_coin=listings[0].row_of_coin,
            collateral_token=dated[-1][1].collateral_token,
            earlier=tuple(listings[1:]),
        )

    @property
    def tiers(self) -> int:
        """Most tiers that a table of this dex has."""
        return int(self.rate.shape[1])

    def rows_of(
        self,
        coin: pl.Series,
        max_leverage: pl.Series,
        margin_table_id: pl.Series | None = None,
        as_of: pl.Series | None = None,
    ) -> npt.NDArray[np.int64]:
        """Row of the table that margins each position.

        The position's own table id where it is known; else the coin's table in `meta` where its lowest tier has the
        position's own maximum leverage (or that is null); else flat at the latter. By what was listed at `as_of`
        where that is given, else by what was listed last.

        Returns
        -------
        array of shape (n,)
            Row 0 where the coin is not in this dex's `meta`.
        """
        listed = self._by_date(as_of, len(coin), lambda listing: _rows_listed(coin, listing.row_of_coin))
        leverage = max_leverage.to_numpy().astype(np.float64)
        grandfathered = np.isfinite(leverage) & (self.first_leverage[listed] != leverage)
        rows = np.where(grandfathered & (listed != NO_TABLE), _flat_row(leverage), listed)
        if margin_table_id is None or margin_table_id.null_count() == len(margin_table_id):
            return rows
        ever = self._rows_ever()
        own = self._by_date(
            as_of, len(coin), lambda listing: _rows_of_ids(margin_table_id, {**ever, **listing.row_of_id})
        )
        return np.where(margin_table_id.is_not_null().to_numpy(), own, rows)

    def known_ids(self) -> list[int]:
        """Ids of all tables that were ever listed or used by a coin, tiered ones first, and flat at their leverages."""
        listings = (Listing(self.row_of_id, self.row_of_coin), *self.earlier)
        tiered = set(self._rows_ever())
        used = {row for dex_tables in listings for row in dex_tables.row_of_coin.values()}
        flat = {row for row in used if NO_TABLE < row <= FIRST_TIERED_ID}
        flat |= {int(self.first_leverage[row]) for row in used if row != NO_TABLE}
        return [*sorted(tiered), *sorted(flat - tiered)]

    def _rows_ever(self) -> dict[int, int]:
        """Row of every tiered id that was ever listed, as it was last."""
        rows = {table_id: row for one in reversed(self.earlier) for table_id, row in one.row_of_id.items()}
        return {**rows, **self.row_of_id}

    def _by_date(
        self, as_of: pl.Series | None, n: int, rows_by: Callable[[Listing], npt.NDArray[np.int64]]
    ) -> npt.NDArray[np.int64]:
        """Rows by what was listed at each moment."""
        rows = rows_by(Listing(self.row_of_id, self.row_of_coin))
        for one in self.earlier if as_of is not None else ():
            before = pl.select((pl.lit(as_of) < one.until).fill_null(False)).to_series().to_numpy()
            if before.any():
                rows = np.where(before, rows_by(one), rows)
        return rows


def _rows_listed(coin: pl.Series, row_of_coin: Mapping[str, int]) -> npt.NDArray[np.int64]:
    names, rows = list(row_of_coin), list(row_of_coin.values())
    if not names:
        return np.zeros(len(coin), dtype=np.int64)
    return coin.replace_strict(names, rows, default=NO_TABLE, return_dtype=pl.Int64).to_numpy()


def _rows_of_ids(table_id: pl.Series, row_of_id: Mapping[int, int]) -> npt.NDArray[np.int64]:
    ids = table_id.drop_nulls().unique().to_list()
    rows = [_row(one, row_of_id) for one in ids]
    return table_id.replace_strict(ids, rows, default=NO_TABLE, return_dtype=pl.Int64).to_numpy()


def tiers_by_continuity(tiers: Sequence[MarginTier]) -> list[tuple[float, float, float]]:
    """(lower bound, rate, deduction) of each tier: rate 1/(2 * max leverage), deduction by continuity.

    `deduction_k = deduction_{k-1} + lower_bound_k * (rate_k - rate_{k-1})`, so that the maintenance margin
    has no step at a bound (Hyperliquid docs, "Margin tiers").
    """
    out: list[tuple[float, float, float]] = []
    for tier in sorted(tiers, key=lambda t: t.lower_bound):
        rate = 0.5 / tier.max_leverage
        deduction = out[-1][2] + tier.lower_bound * (rate - out[-1][1]) if out else 0.0
        out.append((tier.lower_bound, rate, deduction))
    return out


def _tiered_row(tiers: Sequence[MarginTier], width: int) -> npt.NDArray[np.float64]:
    """Shape (3, 1, width); padded with an infinite bound and the last tier's rate and deduction."""
    known = tiers_by_continuity(tiers)
    known += [(np.inf, known[-1][1], known[-1][2])] * (width - len(known))
    return np.array(known, dtype=np.float64).T[:, np.newaxis, :]


def _flat_rows(width: int) -> npt.NDArray[np.float64]:
    """Shape (3, 201, width): row L is a single tier of maximum leverage L, row 0 is NaN."""
    rows = np.zeros((3, HIGHEST_FLAT_LEVERAGE + 1, width))
    rows[0, :, 1:] = np.inf
    rows[1] = 0.5 / np.maximum(np.arange(HIGHEST_FLAT_LEVERAGE + 1), 1)[:, np.newaxis]
    rows[:, NO_TABLE, :] = np.nan
    return rows


def _row(table_id: int, row_of_id: Mapping[int, int]) -> int:
    if table_id in row_of_id:
        return row_of_id[table_id]
    return table_id if 0 < table_id <= FIRST_TIERED_ID else NO_TABLE


def _flat_row(leverage: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Row L for a whole leverage L up to 200; row 0 otherwise."""
    usable = (leverage >= 1) & (leverage <= HIGHEST_FLAT_LEVERAGE) & (leverage == np.floor(leverage))
    return np.where(usable, leverage, NO_TABLE).astype(np.int64)
