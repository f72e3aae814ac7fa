"""Margin tables of one dex as padded arrays, and the choice of a table for each position.

The exchange publishes lower bounds and maximum leverages, never the deductions: those follow from the
continuity of the maintenance margin. Ids below 50 are not listed: such a table is flat, its id being its
maximum leverage. A position's own `maxLeverage` goes before `meta`: where the two differ the position was
opened under an older table (or belongs to a vault's child) and is margined flat at its own leverage.
Source: Hyperliquid docs, "Margin tiers"; `hyperliquid-dex/ts-examples` LiquidationPx.tsx.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from indexer.wire import MarginTier, Meta

FIRST_TIERED_ID = 50
HIGHEST_FLAT_LEVERAGE = 200
NO_TABLE = 0


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
    row_of_id, row_of_coin : mappings of tiered table id and of coin to row
    collateral_token : int
        Spot token index of the dex's collateral; 0 is USDC.
    """

    lower_bound_usd: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]
    deduction_usd: npt.NDArray[np.float64]
    bound_margin_usd: npt.NDArray[np.float64]
    first_leverage: npt.NDArray[np.float64]
    row_of_id: dict[int, int]
    row_of_coin: dict[str, int]
    collateral_token: int = 0

    @classmethod
    def from_meta(cls, meta: Meta) -> "MarginTables":
        """Tables of the dex whose `meta` response this is."""
        tiered = [(table_id, table.margin_tiers) for table_id, table in meta.margin_tables]
        width = max([1, *(len(tiers) for _, tiers in tiered)])
        rows = np.concatenate(
            [_flat_rows(width), *(_tiered_row(tiers, width) for _, tiers in tiered)], axis=1
        )
        row_of_id = {table_id: HIGHEST_FLAT_LEVERAGE + 1 + i for i, (table_id, _) in enumerate(tiered)}
        lower_bound, rate, deduction = rows
        bound_margin = np.where(np.isinf(lower_bound), 0.0, lower_bound * rate - deduction)
        return cls(
            lower_bound_usd=lower_bound,
            rate=rate,
            deduction_usd=deduction,
            bound_margin_usd=bound_margin,
            first_leverage=np.rint(0.5 / rate[:, 0]),
            row_of_id=row_of_id,
            row_of_coin={asset.name: _row(asset.margin_table_id, row_of_id) for asset in meta.universe},
            collateral_token=meta.collateral_token,
        )

    @property
    def tiers(self) -> int:
        """Most tiers that a table of this dex has."""
        return int(self.rate.shape[1])

    def rows_of(
        self, coin: pl.Series, max_leverage: pl.Series, margin_table_id: pl.Series | None = None
    ) -> npt.NDArray[np.int64]:
        """Row of the table that margins each position.

        The position's own table id where the source carried one; else the coin's table in `meta` where
        its lowest tier has the position's own maximum leverage (or that is null); else flat at the latter.

        Returns
        -------
        array of shape (n,)
            Row 0 where the coin is not in this dex's `meta`.
        """
        listed = self._rows_listed(coin)
        leverage = max_leverage.to_numpy().astype(np.float64)
        grandfathered = np.isfinite(leverage) & (self.first_leverage[listed] != leverage)
        rows = np.where(grandfathered & (listed != NO_TABLE), _flat_row(leverage), listed)
        return rows if margin_table_id is None else self._prefer_ids(rows, margin_table_id)

    def _rows_listed(self, coin: pl.Series) -> npt.NDArray[np.int64]:
        names, rows = list(self.row_of_coin), list(self.row_of_coin.values())
        if not names:
            return np.zeros(len(coin), dtype=np.int64)
        return coin.replace_strict(names, rows, default=NO_TABLE, return_dtype=pl.Int64).to_numpy()

    def _prefer_ids(self, rows: npt.NDArray[np.int64], table_id: pl.Series) -> npt.NDArray[np.int64]:
        if table_id.null_count() == len(table_id):
            return rows
        ids = table_id.drop_nulls().unique().to_list()
        own = table_id.replace_strict(ids, [_row(i, self.row_of_id) for i in ids], default=None)
        return own.cast(pl.Int64).fill_null(pl.Series(rows)).to_numpy()


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


def _row(table_id: int, row_of_id: dict[int, int]) -> int:
    if table_id in row_of_id:
        return row_of_id[table_id]
    return table_id if 0 < table_id < FIRST_TIERED_ID else NO_TABLE


def _flat_row(leverage: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Row L for a whole leverage L up to 200; row 0 otherwise."""
    usable = (leverage >= 1) & (leverage <= HIGHEST_FLAT_LEVERAGE) & (leverage == np.floor(leverage))
    return np.where(usable, leverage, NO_TABLE).astype(np.int64)
