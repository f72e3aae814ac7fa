"""What earlier readings of an account show about a new one: its mode, and since when each position has been seen.

A standard account's clearinghouse states show all of it; a pooled one (unified, portfolio) needs K, which only the
spot state has and which moves with every mark, so it is read each time. A mode that was not read for `MODE_MAX_AGE_S`
counts as unknown. Ages are by the exchange's clock on both ends. A mode that changed within that age shows in the
prices, which then are not those of the account's own equity: whoever trusts a remembered mode must check them
(`doubted`).

The exchange does not state when a position was opened. What can be known is when it was first seen with its sign: at an
earlier reading, or, where the account was read before without it, at the reading that first showed it (it was opened
since the one before). Of a position in the first reading of its account nothing is known: null.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import polars as pl

from liqtruth.indexer.frames import PAIR, POSITION, POSITIONS, READS, conform
from liqtruth.indexer.info.wire import ClearinghouseState
from liqtruth.indexer.margin.checks import check
from liqtruth.indexer.margin.solver import IS_OFF, ISOLATED
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.positions.markets import VENUE
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
    few = addresses is not None and len(addresses) <= MOST_NAMED
    sql = "SELECT address, mode, mode_at FROM account WHERE venue = :venue AND mode IS NOT NULL AND mode_at IS NOT NULL"
    named = " AND address IN :addresses" if few else ""
    with store.database.asking() as asked:
        rows = asked.rows(
            ModeOf, f"{sql}{named}", venue=VENUE, addresses=list(addresses or ()) if few else []
        )
    wanted = None if addresses is None else set(addresses)
    return {
        row.address: RememberedMode(row.mode, row.at)
        for row in rows
        if wanted is None or row.address in wanted
    }


class ModeOf(NamedTuple):
    """The mode of an account in the address book."""

    address: str
    mode: str
    at: datetime


def spot_needed(
    states: Sequence[ClearinghouseState],
    known: RememberedMode | None,
    max_age_s: float = MODE_MAX_AGE_S,
) -> bool:
    """Whether the account read in these dexes has a cross position whose collateral only its spot state shows."""
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


def with_first_sight(fresh: pl.DataFrame, known: pl.DataFrame, known_accounts: pl.DataFrame) -> pl.DataFrame:
    """`fresh` positions with `held_since` filled from what was `known` of the same accounts before.

    `known` is a `POSITIONS` frame, `known_accounts` has the pairs (`address`, `dex`) that had been read. Rows keep
    their order.
    """
    before = known.select(*POSITION, was_szi="szi", was_since=pl.coalesce("held_since", "as_of")).unique(
        POSITION, keep="last"
    )
    read = known_accounts.select(*PAIR).unique().with_columns(was_read=pl.lit(True))
    joined = fresh.join(before, on=POSITION, how="left", maintain_order="left").join(
        read, on=PAIR, how="left", maintain_order="left"
    )
    same = (pl.col("was_szi") * pl.col("szi") > 0).fill_null(False)
    since = (
        pl.when(same)
        .then("was_since")
        .when(pl.col("was_read").fill_null(False))
        .then("as_of")
        .otherwise("held_since")
    )
    return joined.with_columns(held_since=since).select(*POSITIONS)
