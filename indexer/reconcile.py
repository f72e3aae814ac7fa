"""One rule for the price that the map uses, from the exchange's own and the solved one.

The rule
--------
The exchange's price is used wherever it was read; null from the exchange stays null. Where the source has no
exchange price (node state, some files) the solved one is used, provided that the collateral is known: for
an isolated position its cash leg; for a cross position of an account margined per dex that dex's account
value and maintenance; for a unified or portfolio account K, the pool's margin available. An account whose
mode or collateral was not captured gets no invented price. When marks move on (`remark`), prices that
agreed are solved again at the new marks; prices that differed stay the exchange's, as old as their reading.

==================  =====================================================================================
status              meaning
==================  =====================================================================================
agree               exchange's and solved price within `AGREEMENT`
differs             both known, further apart: other collateral or another margin table than captured
exchange_only       exchange's price read, no margin table or no collateral to check it with
solved_only         no exchange price in the source; solved from known collateral
unknown_collateral  no exchange price in the source and no margin table or no collateral known
never               the exchange sent null, or the solved price is outside (0, 1e15]
==================  =====================================================================================

Columnar throughout; the only loop is over dexes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from indexer.accounts import POOLED_MODES
from indexer.frames import POSITIONS, conform
from indexer.margin import (
    Floats,
    implied_available,
    isolated_constant,
    maintenance_margin,
    pooled_constant,
    solve_liquidation_price,
)
from indexer.margin_tables import MarginTables

AGREEMENT: Final = 1e-5
"""Largest relative difference of the solved price from the exchange's that counts as agreement."""

MISMATCH: Final = 1e-6
"""Smallest relative difference that is kept as a mismatch with its reason (`indexer.mismatch`)."""

SAME_COLLATERAL: Final = 1e-4
"""Relative spread within which an account's prices imply one and the same margin available."""

STATUSES: Final = ("agree", "differs", "exchange_only", "solved_only", "unknown_collateral", "never")

ISOLATED: Final = pl.col("margin_mode") == "isolated"
READ: Final = pl.col("exchange_read").fill_null(False)
PRICED: Final = READ & (pl.col("liq_px_exchange") > 0).fill_null(False)
POOLED: Final = pl.coalesce(
    pl.col("account_mode").is_in(POOLED_MODES), pl.col("pooled_available_usd").is_not_null()
)
AVAILABLE: Final = (
    pl.when(POOLED)
    .then(pl.col("pooled_available_usd"))
    .when(pl.col("account_mode").is_not_null() | READ)
    .then(pl.col("account_value_usd") - pl.col("cross_maintenance_usd"))
)
"""Margin available as captured. An account of unknown mode counts as margined per dex only where the
exchange's price is there to contradict it."""

MODELS: Final = ("own_maintenance_usd", "constant_usd", "liq_px_solved", "row_available_usd")


@dataclass(frozen=True)
class ImpliedCollateral:
    """An account whose exchange prices all imply one margin available (A - M), but not the captured one."""

    address: str
    dex: str
    implied_available_usd: float
    captured_available_usd: float | None
    positions: int

    def __str__(self) -> str:
        captured = self.captured_available_usd
        shown = "none was captured" if captured is None else f"{captured:,.2f} was captured"
        return (
            f"{self.address} on {self.dex or 'the main dex'}: prices of {self.positions} positions imply "
            f"{self.implied_available_usd:,.2f} USD of margin available, {shown}; the exchange's are kept"
        )


def reconcile(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """Fill `liq_px_solved`, `status`, `implied_available_usd` and `liq_px` of a `POSITIONS` frame.

    Parameters
    ----------
    positions : frame of schema `POSITIONS`
    tables : mapping of dex to its margin tables; a dex left out is not solved

    Returns
    -------
    frame of schema `POSITIONS`, rows in the same order
    """
    modelled = with_models(positions, tables).with_columns(status=_status())
    implied = _with_implied(modelled, tables)
    return conform(implied.with_columns(liq_px=_price_used()), POSITIONS)


def implied_collateral_notes(positions: pl.DataFrame) -> list[ImpliedCollateral]:
    """One note per account whose reconciled prices imply other collateral than was captured."""
    rows = (
        positions.filter(pl.col("implied_available_usd").is_not_null())
        .group_by("address", "dex", maintain_order=True)
        .agg(
            pl.col("implied_available_usd").first(),
            AVAILABLE.first().alias("captured_available_usd"),
            pl.len().alias("positions"),
        )
    )
    return [ImpliedCollateral(**row) for row in rows.iter_rows(named=True)]


def remark(positions: pl.DataFrame, marks: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """Move reconciled positions to newer marks, and with them equity, margin and the prices that agreed.

    Parameters
    ----------
    positions : reconciled frame of schema `POSITIONS`, all cross positions of each account
    marks : frame with columns `dex`, `coin`, `mark_px` (a `MARKETS` frame will do)
    tables : mapping of dex to its margin tables

    Returns
    -------
    frame of schema `POSITIONS`; `liq_px_exchange` stays as read
    """
    before = with_models(positions, tables)
    moved = before.join(
        marks.select("dex", "coin", newer_px="mark_px"), on=["dex", "coin"], how="left", maintain_order="left"
    )
    after = with_models(_move_marks(moved, tables), tables)
    follows = pl.col("status").is_in(("agree", "solved_only")) | (
        (pl.col("status") == "never") & before["liq_px_solved"].is_null()
    )
    follows &= pl.col("constant_usd").is_not_null()
    return conform(
        after.with_columns(
            liq_px=pl.when(follows).then("liq_px_solved").otherwise("liq_px"),
            status=pl.when(follows).then(_status_solved()).otherwise("status"),
        ),
        POSITIONS,
    )


def with_models(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """The frame with the columns of `MODELS`: own maintenance, C, solved price, margin available implied by the row."""
    inputs = positions.select(
        "dex",
        "coin",
        "szi",
        "max_leverage",
        "margin_table_id",
        mark_px=pl.coalesce("mark_px", pl.col("notional_usd") / pl.col("szi").abs()),
        isolated_raw_usd=pl.when(ISOLATED).then("isolated_raw_usd"),
        available_usd=pl.when(~ISOLATED).then(AVAILABLE),
        cross_px=pl.when(PRICED & ~ISOLATED).then("liq_px_exchange"),
    ).with_row_index("row")
    results = {name: np.full(positions.height, np.nan) for name in MODELS}
    for (dex,), part in inputs.partition_by("dex", as_dict=True).items():
        if dex in tables:
            at = part["row"].to_numpy()
            for name, values in zip(MODELS, _model_dex(part, tables[str(dex)]), strict=True):
                results[name][at] = values
    return positions.with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in results.items()
    )


def _model_dex(part: pl.DataFrame, tables: MarginTables) -> tuple[Floats, Floats, Floats, Floats]:
    """The arrays named by `MODELS` for the positions of one dex; NaN where an input is unknown."""
    row = tables.rows_of(part["coin"], part["max_leverage"], part["margin_table_id"])
    szi, mark_px = part["szi"].to_numpy(), part["mark_px"].to_numpy()
    own = maintenance_margin(np.abs(szi) * mark_px, row, tables)
    constant = np.where(
        part["isolated_raw_usd"].is_not_null().to_numpy(),
        isolated_constant(part["isolated_raw_usd"].to_numpy()),
        pooled_constant(part["available_usd"].to_numpy(), own, szi, mark_px),
    )
    constant[row == 0] = np.nan
    solved = solve_liquidation_price(szi, constant, row, tables)
    implied = implied_available(szi, part["cross_px"].to_numpy(), mark_px, row, tables)
    return own, constant, solved, implied


def relative_error() -> pl.Expr:
    """Relative difference of the solved price from the exchange's; null where one of them has none."""
    return pl.when(PRICED).then((pl.col("liq_px_solved") / pl.col("liq_px_exchange") - 1).abs())


def _status() -> pl.Expr:
    modelled = pl.col("constant_usd").is_not_null()
    relative = relative_error()
    return (
        pl.when(READ & ~PRICED)
        .then(pl.lit("never"))
        .when(READ & ~modelled)
        .then(pl.lit("exchange_only"))
        .when(READ & (relative <= AGREEMENT))
        .then(pl.lit("agree"))
        .when(READ)
        .then(pl.lit("differs"))
        .when(modelled & ~_bankrupt_short())
        .then(_status_solved())
        .otherwise(pl.lit("unknown_collateral"))
    )


def _status_solved() -> pl.Expr:
    """Status of a row whose price is the solved one."""
    return (
        pl.when(pl.col("liq_px_solved").is_null())
        .then(pl.lit("never"))
        .when(READ)
        .then(pl.lit("agree"))
        .otherwise(pl.lit("solved_only"))
    )


def _bankrupt_short() -> pl.Expr:
    """A short whose equity is negative even at price zero: its real collateral was not captured."""
    return (pl.col("szi") < 0) & (pl.col("constant_usd") <= 0)


def _price_used() -> pl.Expr:
    return (
        pl.when(PRICED).then("liq_px_exchange").when(pl.col("status") == "solved_only").then("liq_px_solved")
    )


def backed_by(tables: Mapping[str, MarginTables]) -> pl.Expr:
    """What backs the cross positions of an account: each dex its own, a pool all dexes of one collateral token."""
    token = {dex: f"token {held.collateral_token}" for dex, held in tables.items()}
    own = pl.concat_str(pl.lit("dex "), "dex")
    return pl.when(POOLED).then(pl.col("dex").replace_strict(token, default=own)).otherwise(own)


def _with_implied(modelled: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """Fill `implied_available_usd` on the rows of accounts whose prices agree on uncaptured collateral."""
    account = [pl.col("address"), backed_by(tables)]
    implied = pl.col("row_available_usd")
    centre = implied.median().over(account)
    spread = (implied.max() - implied.min()).over(account)
    unexplained = pl.col("status").is_in(("differs", "exchange_only")).any().over(account)
    gap = (centre - AVAILABLE).abs()
    other = (gap > SAME_COLLATERAL * centre.abs()).fill_null(True)
    agreed = (implied.count().over(account) >= 2) & (spread <= SAME_COLLATERAL * centre.abs())
    return modelled.with_columns(
        implied_available_usd=pl.when(implied.is_not_null() & agreed & unexplained & other).then(centre)
    )


def _move_marks(moved: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """Marks replaced by `newer_px`, account value, maintenance and K carried along with them."""
    newer = moved.with_columns(mark_px=pl.coalesce("newer_px", "mark_px"), notional_usd=_notional("newer_px"))
    gain = pl.when(~ISOLATED).then(pl.col("szi") * (pl.col("mark_px") - moved["mark_px"]))
    own = with_models(newer, tables)["own_maintenance_usd"] - moved["own_maintenance_usd"]
    token = pl.col("dex").replace_strict({dex: t.collateral_token for dex, t in tables.items()}, default=None)
    steps = newer.with_columns(gain=gain, own=own, token=token).with_columns(
        own=pl.when(~ISOLATED).then("own"), lost=~ISOLATED & pl.col("own").is_null()
    )
    dex, pool = ["address", "dex"], ["address", "token"]
    return steps.with_columns(
        account_value_usd=pl.col("account_value_usd") + pl.col("gain").sum().over(dex),
        cross_maintenance_usd=_unless_lost(
            dex, pl.col("cross_maintenance_usd") + pl.col("own").sum().over(dex)
        ),
        pooled_available_usd=_unless_lost(
            pool, pl.col("pooled_available_usd") + (pl.col("gain") - pl.col("own")).sum().over(pool)
        ),
        unrealized_pnl_usd=pl.col("unrealized_pnl_usd")
        + pl.col("szi") * (pl.col("mark_px") - moved["mark_px"]),
    ).drop(MODELS)


def _notional(price: str) -> pl.Expr:
    return pl.coalesce(pl.col("szi").abs() * pl.col(price), "notional_usd")


def _unless_lost(group: list[str], value: pl.Expr) -> pl.Expr:
    """Null where a position of the group has no margin table: its maintenance cannot be carried along."""
    return pl.when(~pl.col("lost").any().over(group)).then(value)
