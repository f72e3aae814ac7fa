"""Liquidation prices by our own solver, of arrays and of `POSITIONS` frames, and how far they are from the exchange's.

The condition, for a position of signed size q (z = |q|) at mark x::

    C + q*x = z*x*r - d            equity = maintenance margin

r and d are the rate and the deduction of the tier that contains the notional z*x, so the tier is taken at the
liquidation notional, half-open [lower bound, next). Only C depends on how the position is margined:
`isolated_constant`, `pooled_constant`. A price is null (NaN) outside (0, 1e15], as on the
exchange. Source: Hyperliquid docs, "Liquidations" and "Margin tiers"; the front end's own
`hyperliquid-dex/ts-examples` LiquidationPx.tsx. tests/indexer/test_margin.py checks that the residual is zero.

For arrays: pure arithmetic, float64, no loop over positions. For frames: what is known of the margin behind each
position, as expressions; the solver's figures as columns (`MODELS`); the difference that counts. Columnar; the only
loops are over dexes.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from liqtruth.indexer.frames import POOLED_MODES
from liqtruth.indexer.margin.tables import NO_TABLE, MarginTables

AGREEMENT: Final = 1e-5
"""Largest relative difference from the exchange's price within which a position follows newer marks by our own."""

MISMATCH: Final = 1e-6
"""Largest relative difference of the solved price from the exchange's that counts as the same price."""

SAME_COLLATERAL: Final = 1e-4
"""Relative difference within which prices imply one and the same margin available."""

MONEY_DIGITS_USD: Final = 2e-6
"""Values arrive with six decimals; a handful of them enter one price."""
PRICE_DIGITS: Final = 1e-10
"""Liquidation prices arrive with ten decimals."""

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

MARK: Final = pl.coalesce("mark_px", pl.col("notional_usd") / pl.col("szi").abs())
LAST_DIGITS: Final = (MONEY_DIGITS_USD / pl.col("szi").abs() + PRICE_DIGITS) / pl.col("liq_px_exchange")
"""What the last digits that the exchange sends are worth, as a part of its price."""

MODELS: Final = ("own_maintenance_usd", "constant_usd", "liq_px_solved", "row_available_usd", "table_row")
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

HIGHEST_PRICE = 1e15


def maintenance_margin(notional_usd: Floats, table_row: Rows, tables: MarginTables) -> Floats:
    """Maintenance margin of a notional, `notional * rate - deduction` of the tier that contains it.

    Parameters
    ----------
    notional_usd : array of shape (n,)
        Unsigned notional at the price considered.
    table_row : array of shape (n,)
        Rows of `tables`; row 0 (no table known) gives NaN.

    Returns
    -------
    array of shape (n,), USD
    """
    tier = np.zeros(len(notional_usd), dtype=np.int64)
    for k in range(1, tables.tiers):
        tier += notional_usd >= tables.lower_bound_usd[table_row, k]
    return notional_usd * tables.rate[table_row, tier] - tables.deduction_usd[table_row, tier]


def isolated_constant(raw_usd: Floats) -> Floats:
    """C of an isolated position, USD: its cash leg `leverage.rawUsd`, which is not its collateral."""
    return raw_usd


def pooled_constant(
    available_usd: Floats, own_maintenance_usd: Floats, szi: Floats, mark_px: Floats
) -> Floats:
    """C of a cross position backed by a pool, USD: K + own maintenance - szi * mark.

    `available_usd` is K, `tokenToAvailableAfterMaintenance` of the collateral token. For an account
    margined per dex the same quantity is account value less cross maintenance.
    """
    return available_usd + own_maintenance_usd - szi * mark_px


def solve_liquidation_price(
    szi: Floats, constant_usd: Floats, table_row: Rows, tables: MarginTables
) -> Floats:
    """Price at which `constant_usd + szi * x` equals the maintenance margin of `|szi| * x`.

    Nearly all roots lie in the lowest tier, where nothing is deducted: it is solved for everyone, and the others for
    those alone whose notional at that price reaches a higher one.

    Parameters
    ----------
    szi, constant_usd, table_row : arrays of shape (n,)
        Signed sizes in coins, C in USD, rows of `tables`.

    Returns
    -------
    array of shape (n,)
        Prices; NaN where the root is outside (0, 1e15], and where an input is NaN or the row is 0.
    """
    size = np.abs(szi)
    slope = tables.rate[:, 0].take(table_row)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        slope *= size
        slope -= szi
        price = np.divide(constant_usd, slope, out=slope)
        if tables.tiers > 1:
            size *= price
            higher = np.flatnonzero(size >= tables.lower_bound_usd[:, 1].take(table_row))
            price[higher] = _in_any_tier(szi[higher], constant_usd[higher], table_row[higher], tables)
    is_none = price <= 0
    is_none |= price > HIGHEST_PRICE
    _void(price, is_none, size)
    return price


def _void(price: Floats, is_none: npt.NDArray[np.bool_], room: Floats) -> None:
    """NaN, which is what all bits set are, in place of some prices; `room` is as long and overwritten.

    Choosing between two values takes a branch, and one that is guessed wrongly costs as much as ten divisions.
    """
    every_bit, bits = room.view(np.int64), price.view(np.int64)
    np.negative(is_none.view(np.int8), out=every_bit)
    bits |= every_bit


def _in_any_tier(szi: Floats, constant_usd: Floats, table_row: Rows, tables: MarginTables) -> Floats:
    """The root in the tier that contains it.

    Equity less maintenance is continuous and strictly monotone in the price, so its sign at a tier's lower bound shows
    on which side of the bound the root lies: exactly one tier is chosen, whatever the rounding.
    """
    side = np.sign(szi)
    tier = np.zeros(len(szi), dtype=np.int64)
    for k in range(1, tables.tiers):
        bound = tables.lower_bound_usd[table_row, k]
        margin = tables.bound_margin_usd[table_row, k]
        tier += side * (constant_usd - margin) <= -bound
    rate, deduction = tables.rate[table_row, tier], tables.deduction_usd[table_row, tier]
    return np.asarray(-(constant_usd + deduction) / ((side - rate) * np.abs(szi)))


def implied_constant(szi: Floats, liq_px: Floats, table_row: Rows, tables: MarginTables) -> Floats:
    """C which makes `liq_px` the liquidation price, USD: the solver run backwards."""
    return maintenance_margin(np.abs(szi) * liq_px, table_row, tables) - szi * liq_px


def implied_available(
    szi: Floats, liq_px: Floats, mark_px: Floats, table_row: Rows, tables: MarginTables
) -> Floats:
    """Margin available (account value less maintenance, A - M, or K) which `liq_px` implies, USD.

    The exchange holds one number per account, so all its cross positions must imply the same.
    """
    own = maintenance_margin(np.abs(szi) * mark_px, table_row, tables)
    return implied_constant(szi, liq_px, table_row, tables) - own + szi * mark_px


def with_models(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """The frame with the columns of `MODELS`.

    They are own maintenance, C, solved price, margin available implied by the row, and row of its margin table: 0 where
    no table of the coin is known, null where the dex has none at all.
    """
    inputs = positions.select(
        "dex",
        "coin",
        "szi",
        "max_leverage",
        "margin_table_id",
        "as_of",
        mark_px=MARK,
        isolated_raw_usd=pl.when(ISOLATED).then("isolated_raw_usd"),
        available_usd=pl.when(~ISOLATED).then(AVAILABLE),
        cross_px=pl.when(PRICED & ~ISOLATED).then("liq_px_exchange"),
    )
    results = {name: np.full(positions.height, np.nan) for name in MODELS}
    for at, part, dex_tables in by_dex(inputs, tables):
        for name, values in zip(MODELS, _model_dex(part, dex_tables), strict=True):
            results[name][at] = values
    return positions.with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in results.items()
    )


def _model_dex(part: pl.DataFrame, tables: MarginTables) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """The arrays named by `MODELS` for the positions of one dex; NaN where an input is unknown."""
    row = rows_of(part, tables)
    szi, mark_px = part["szi"].to_numpy(), part["mark_px"].to_numpy()
    own = maintenance_margin(np.abs(szi) * mark_px, row, tables)
    constant = np.where(
        part["isolated_raw_usd"].is_not_null().to_numpy(),
        isolated_constant(part["isolated_raw_usd"].to_numpy()),
        pooled_constant(part["available_usd"].to_numpy(), own, szi, mark_px),
    )
    constant[row == NO_TABLE] = np.nan
    solved = solve_liquidation_price(szi, constant, row, tables)
    implied = implied_available(szi, part["cross_px"].to_numpy(), mark_px, row, tables)
    return own, constant, solved, implied, row.astype(np.float64)


def by_dex(
    rows: pl.DataFrame, tables: Mapping[str, MarginTables]
) -> Iterator[tuple[Rows, pl.DataFrame, MarginTables]]:
    """Row numbers, rows and tables of each dex that has tables and rows."""
    for dex, dex_tables in tables.items():
        at = np.flatnonzero((rows["dex"] == dex).fill_null(False).to_numpy())
        if len(at):
            yield at, rows[at] if len(at) < rows.height else rows, dex_tables


def rows_of(part: pl.DataFrame, tables: MarginTables) -> Rows:
    """Row of the margin table of each position of one dex, by what was listed when it was read."""
    return tables.rows_of(part["coin"], part["max_leverage"], part["margin_table_id"], part["as_of"])


def relative_error() -> pl.Expr:
    """Relative difference of the solved price from the exchange's; null where one of them has none."""
    return pl.when(PRICED).then((pl.col("liq_px_solved") / pl.col("liq_px_exchange") - 1).abs())


def is_off(error: pl.Expr, solved_px: pl.Expr, unsure_usd: pl.Expr | None = None) -> pl.Expr:
    """Whether a price is not the exchange's: too far apart, or one of them null and the other not.

    `unsure_usd` is what the position's equity is not known to, beside the digits that the exchange sends.
    """
    unsure = (
        pl.lit(0.0) if unsure_usd is None else unsure_usd / (pl.col("szi").abs() * pl.col("liq_px_exchange"))
    )
    within = error <= pl.max_horizontal(pl.lit(MISMATCH), LAST_DIGITS, unsure)
    return (PRICED & ~within.fill_null(False)) | (READ & ~PRICED & solved_px.is_not_null())


IS_OFF: Final = is_off(relative_error(), pl.col("liq_px_solved"))
"""The same for a row of `with_models`."""


def solve_with(part: pl.DataFrame, row: Rows, tables: MarginTables, available_usd: Floats) -> Floats:
    """Prices of positions of one dex with these table rows and this margin available; NaN where there is none.

    An isolated position is solved from its cash leg, whatever is available.
    """
    szi, mark_px = part["szi"].to_numpy(), _floats(part, MARK)
    isolated = part.select(ISOLATED.fill_null(False)).to_series().to_numpy()
    own = maintenance_margin(np.abs(szi) * mark_px, row, tables)
    constant = np.where(
        isolated,
        isolated_constant(_floats(part, pl.col("isolated_raw_usd"))),
        pooled_constant(available_usd, own, szi, mark_px),
    )
    return solve_liquidation_price(szi, constant, row, tables)


def error_with(part: pl.DataFrame, row: Rows, tables: MarginTables, available_usd: Floats) -> Floats:
    """Relative difference from the exchange's of prices solved like that; infinite where one of the two is null."""
    solved = solve_with(part, row, tables, available_usd)
    error = np.abs(solved / _floats(part, pl.when(PRICED).then("liq_px_exchange")) - 1)
    return np.where(np.isnan(error), np.inf, error)


def _floats(part: pl.DataFrame, value: pl.Expr) -> Floats:
    """A column as float64, null as NaN."""
    return part.select(value.cast(pl.Float64)).to_series().to_numpy()


def backed_by(tables: Mapping[str, MarginTables]) -> pl.Expr:
    """What backs the cross positions of an account: each dex its own, a pool all dexes of one collateral token."""
    token = {dex: f"token {dex_tables.collateral_token}" for dex, dex_tables in tables.items()}
    own = pl.concat_str(pl.lit("dex "), "dex")
    return pl.when(POOLED).then(pl.col("dex").replace_strict(token, default=own)).otherwise(own)
