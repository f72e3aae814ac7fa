"""One rule for the price that the map uses, from the exchange's own and the solved one, and how it follows time.

The rule
--------
The exchange's price is used wherever it was read; null from the exchange stays null. Where the source has no
exchange price (node state, some files) the solved one is used, provided that the collateral is known: for
an isolated position its cash leg; for a cross position of an account margined per dex that dex's account
value and maintenance; for a unified or portfolio account K, the pool's margin available. An account whose
mode or collateral was not captured gets no invented price. When marks move on (`remark`), prices that
agreed are solved again at the new marks; prices that differed stay the exchange's, as old as their reading.
Each full hour funding moves cash (`pay_funding`), and with the cash every liquidation price of the account.

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

Whether the exchange's price was compared with ours at all, and with what result, is in `check`
(`indexer.margin.checks`): to a millionth, where the status asks whether a price may follow newer marks. Columnar; the
only loops are over dexes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.margin.checks import check
from liqtruth.indexer.margin.inferred import adopted_tables, notes_on_marks
from liqtruth.indexer.margin.solver import (
    AGREEMENT,
    AVAILABLE,
    ISOLATED,
    MODELS,
    PRICED,
    READ,
    SAME_COLLATERAL,
    backed_by,
    relative_error,
    with_models,
)
from liqtruth.indexer.margin.tables import MarginTables

STATUSES: Final = ("agree", "differs", "exchange_only", "solved_only", "unknown_collateral", "never")
SHOWN_NOTES: Final = 5
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class ImpliedCollateral:
    """An account whose exchange prices all imply one margin available (A - M), but not the captured one."""

    address: str
    dex: str
    implied_available_usd: float
    captured_available_usd: float | None
    positions: int

    @property
    def note(self) -> Note:
        return note(
            "implied_collateral",
            address=self.address,
            dex=self.dex or "the main dex",
            positions=self.positions,
            implied_usd=self.implied_available_usd,
            captured_usd=self.captured_available_usd,
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
    return reconciled(check(positions, tables), tables)


def reconciled(checked: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """The same of a frame that `check` made, so that who needs its figures solves nothing twice."""
    judged = checked.with_columns(status=_status())
    implied = judged.with_columns(implied_available_usd=_implied_available(tables))
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


def pay_funding(
    positions: pl.DataFrame, rates: pl.DataFrame, tables: Mapping[str, MarginTables], hours: int = 1
) -> pl.DataFrame:
    """Positions after `hours` payments at unchanged rates and prices; `remark` then solves their prices again.

    A position pays `szi * oracle price * rate` (a long pays a positive rate), out of the cash leg of an isolated
    position, out of the dex's balance or the pool of a cross one. Source: Hyperliquid docs, "Funding". The rate that is
    paid is the one of the moment of payment; the last one read before the hour stands for it, and the mark for the
    oracle price where no oracle price was read.

    Parameters
    ----------
    positions : reconciled frame of schema `POSITIONS`, all cross positions of each account
    rates : frame with columns `dex`, `coin`, `funding_rate` (per hour) and `mark_px` or `oracle_px`
    tables : mapping of dex to its margin tables, for the collateral that dexes share

    Returns
    -------
    frame of schema `POSITIONS`; positions of coins without a rate pay nothing
    """
    price = "oracle_px" if "oracle_px" in rates.columns else "mark_px"
    paid = positions.join(
        rates.select("dex", "coin", rate="funding_rate", at_px=price),
        on=["dex", "coin"],
        how="left",
        maintain_order="left",
    ).with_columns(
        paid=(hours * pl.col("szi") * pl.col("at_px") * pl.col("rate")).fill_null(0.0),
        token=pl.col("dex").replace_strict(
            {dex: one.collateral_token for dex, one in tables.items()}, default=None, return_dtype=pl.Int64
        ),
    )
    cross = pl.when(~ISOLATED).then(pl.col("paid")).otherwise(0.0)
    return conform(
        paid.with_columns(
            isolated_raw_usd=pl.when(ISOLATED).then(pl.col("isolated_raw_usd") - pl.col("paid")),
            margin_used_usd=pl.when(ISOLATED)
            .then(pl.col("margin_used_usd") - pl.col("paid"))
            .otherwise("margin_used_usd"),
            account_value_usd=pl.col("account_value_usd") - cross.sum().over("address", "dex"),
            pooled_available_usd=pl.col("pooled_available_usd") - _from_pool(cross),
        ),
        POSITIONS,
    )


def _from_pool(cross: pl.Expr) -> pl.Expr:
    """What a pool pays: the funding of its cross positions, and of isolated ones nothing (their own cash does)."""
    return cross.sum().over("address", "token")


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


def _implied_available(tables: Mapping[str, MarginTables]) -> pl.Expr:
    """What most of an account's prices imply, where it is not what was captured and that leaves a price unexplained."""
    account = [pl.col("address"), backed_by(tables)]
    unexplained = pl.col("status").is_in(("differs", "exchange_only")).any().over(account)
    gap = (pl.col("centre_usd") - AVAILABLE).abs()
    other = (gap > SAME_COLLATERAL * pl.col("centre_usd").abs()).fill_null(True)
    return pl.when(pl.col("implies_centre") & unexplained & other).then("centre_usd")


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
        margin_used_usd=pl.when(ISOLATED)
        .then(pl.col("margin_used_usd") + pl.col("szi") * (pl.col("mark_px") - moved["mark_px"]))
        .otherwise(pl.col("margin_used_usd") * (pl.col("mark_px") / moved["mark_px"])),
    ).drop(MODELS)


def _notional(price: str) -> pl.Expr:
    return pl.coalesce(pl.col("szi").abs() * pl.col(price), "notional_usd")


def _unless_lost(group: list[str], value: pl.Expr) -> pl.Expr:
    """Null where a position of the group has no margin table: its maintenance cannot be carried along."""
    return pl.when(~pl.col("lost").any().over(group)).then(value)


def notes_on_collateral(positions: pl.DataFrame) -> Notes:
    """What a reader must know of reconciled positions: collateral, tables and marks that follow from their prices."""
    collateral = [one.note for one in implied_collateral_notes(positions)]
    tables = [one.note for one in adopted_tables(positions)]
    return (
        *_few(collateral, "more_accounts"),
        *_few(tables, "more_tables"),
        *notes_on_marks(positions),
    )


def _few(notes: Sequence[Note], more: str) -> list[Note]:
    left = len(notes) - SHOWN_NOTES
    return [*notes[:SHOWN_NOTES], *([Note(more, {"count": left})] if left > 0 else [])]
