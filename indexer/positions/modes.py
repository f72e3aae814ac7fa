"""What is remembered of an account's mode, and when that spares the reading of its spot state.

A standard account's clearinghouse states say all about it; a pooled one (unified, portfolio) needs K, which only the
spot state has and which moves with every mark, so it is read each time. A mode that was not read for `MODE_MAX_AGE_S`
counts as unknown. Ages are by the exchange's clock on both ends. A mode that changed within that age shows in the
prices, which then are not those of the account's own equity: whoever trusts a memory must check them (`doubted`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl
from sqlmodel import col, select

from liqtruth.indexer.frames import READS, conform
from liqtruth.indexer.info.wire import ClearinghouseState
from liqtruth.indexer.margin.checks import check
from liqtruth.indexer.margin.solved import IS_OFF, ISOLATED
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.database.tables import Account
from liqtruth.storage.store import Store

MODE_MAX_AGE_S: Final = 24 * 3600.0
MOST_NAMED: Final = 1_000
"""Beyond so many addresses all modes are read: SQLite takes only so many parameters."""
STANDARD: Final = "standard"


@dataclass(frozen=True)
class RememberedMode:
    """An account's mode and when the exchange reported it."""

    mode: str
    at: datetime

    def is_fresh(self, now: datetime, max_age_s: float) -> bool:
        """Not older than `max_age_s`; one from the future is of another clock and not trusted."""
        return 0 <= (now - self.at).total_seconds() <= max_age_s


def remembered_modes(store: Store, addresses: Collection[str] | None = None) -> dict[str, RememberedMode]:
    """Modes in the address book, of `addresses` (lower case) or of everyone; who has none is left out."""
    query = select(Account.address, Account.mode, Account.mode_at).where(
        Account.venue == VENUE, col(Account.mode).is_not(None), col(Account.mode_at).is_not(None)
    )
    if addresses is not None and len(addresses) <= MOST_NAMED:
        query = query.where(col(Account.address).in_(list(addresses)))
    with store.database.session() as session:
        rows = session.exec(query).all()
    wanted = None if addresses is None else set(addresses)
    return {
        address: RememberedMode(mode, at)
        for address, mode, at in rows
        if mode is not None and at is not None and (wanted is None or address in wanted)
    }


def spot_needed(
    states: Sequence[ClearinghouseState],
    known: RememberedMode | None,
    max_age_s: float = MODE_MAX_AGE_S,
) -> bool:
    """Whether the account read in these dexes has a cross position whose collateral only its spot state tells."""
    crosses = [state for state in states if _has_cross(state)]
    if not crosses or known is None or known.mode != STANDARD:
        return bool(crosses)
    now = datetime.fromtimestamp(max(state.time for state in crosses) / 1000, UTC)
    return not known.is_fresh(now, max_age_s)


def _has_cross(state: ClearinghouseState) -> bool:
    return any(entry.position.leverage.type == "cross" for entry in state.asset_positions)


def doubted(
    readings: Sequence[AccountReading], positions: pl.DataFrame, tables: Mapping[str, MarginTables]
) -> set[str]:
    """Accounts of remembered mode whose prices are not those of their own equity: the mode may have changed.

    `positions` is the `POSITIONS` frame of the readings, each account's all.
    """
    trusted = {one.address for one in readings if one.spot is None and one.mode == STANDARD}
    if not trusted:
        return set()
    rows = check(positions.filter(pl.col("address").is_in(list(trusted))), tables).filter(~ISOLATED)
    return set(rows.filter(IS_OFF)["address"])


def reads_of(readings: Sequence[AccountReading], accounts: pl.DataFrame) -> pl.DataFrame:
    """`READS` for the address book; a mode that was only remembered is null, so that its age goes on.

    `accounts` is the `ACCOUNTS` frame of the same readings.
    """
    reported = pl.Series("was_sent", [reading.spot is not None for reading in readings], dtype=pl.Boolean())
    rows = (
        accounts.with_columns(reported)
        .group_by("address", maintain_order=True)
        .agg(
            mode=pl.when("was_sent").then("account_mode").drop_nulls().first(),
            positions=pl.col("positions").sum(),
            notional_usd=pl.col("total_notional_usd").sum(),
            read_at=pl.col("as_of").max().cast(pl.Datetime("us", "UTC")),
        )
    )
    return conform(rows, READS)
