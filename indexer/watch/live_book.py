"""The book of a watch, in memory: the latest reading of each account, its positions reconciled.

It is moved to the last marks (`indexer.watch.marks`) each minute. It is stored as a reading of scope `book`, whole, and
loaded again from the last one and whatever was read after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

import polars as pl

from liqtruth.indexer.frames import ACCOUNTS, PAIR, POSITION, POSITIONS, conform, empty, last_read
from liqtruth.indexer.margin.inferred import with_remembered_tables
from liqtruth.indexer.margin.reconcile import pay_funding, reconcile, remark
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading, accounts_frame, positions_frame
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.positions.remembered import with_first_sight
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.store import Store

TAPE: Final = "tape"


@dataclass
class LiveBook:
    """`positions` (`POSITIONS`, reconciled) and `accounts` (`ACCOUNTS`), one reading per account and dex."""

    positions: pl.DataFrame = field(default_factory=lambda: empty(POSITIONS))
    accounts: pl.DataFrame = field(default_factory=lambda: empty(ACCOUNTS))
    tables: dict[str, MarginTables] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Store) -> Self:
        """What is stored of every account by now, batches of a watch left out; empty in a new data directory."""
        readings = Readings(store)
        return cls(conform(readings.stored(), POSITIONS), readings.stored_accounts())

    def take(self, readings: Sequence[AccountReading]) -> None:
        """Lay readings over what was known of their accounts; of two of one account in one dex the later one counts."""
        if readings:
            last = {
                (one.address.lower(), one.dex): one
                for one in sorted(readings, key=lambda one: one.state.time)
            }
            self.lay_over(accounts_frame(list(last.values())), positions_frame(list(last.values())))

    def lay_over(self, accounts: pl.DataFrame, positions: pl.DataFrame) -> None:
        """The same for frames (`ACCOUNTS`, and `POSITIONS` not reconciled) as batches of readings are stored; what is
        not newer than what is known of its account changes nothing: that was moved on since it was read."""
        last, held = last_read(accounts, positions)
        last = self._newer(last)
        read = held.join(last, on=PAIR, how="semi")
        solved = reconcile(with_remembered_tables(read, self.positions), self.tables)
        fresh = with_first_sight(solved, self.positions, self.accounts)
        self.accounts = pl.concat([self.accounts.join(last, on=PAIR, how="anti"), last])
        self.positions = pl.concat([self.positions.join(last, on=PAIR, how="anti"), fresh])

    def _newer(self, accounts: pl.DataFrame) -> pl.DataFrame:
        known = self.accounts.select(*PAIR, known_at="as_of")
        reported = accounts.join(known, on=PAIR, how="left", maintain_order="left")
        return reported.filter(~(pl.col("known_at") >= pl.col("as_of")).fill_null(False)).drop("known_at")

    def of(self, accounts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What is known of these accounts in these dexes: accounts and positions."""
        return (
            self.accounts.join(accounts, on=PAIR, how="semi"),
            self.positions.join(accounts, on=PAIR, how="semi"),
        )

    def remark(self, marks: pl.DataFrame) -> None:
        """Move every position to `marks` (`dex`, `coin`, `mark_px`)."""
        if not self.positions.is_empty():
            self.positions = remark(self.positions, marks, self.tables)

    def pay_funding(self, rates: pl.DataFrame, hour: datetime) -> None:
        """Let the payment of `hour` pass for whoever was read before it; `rates` as in `indexer.margin.reconcile`."""
        before = pl.col("as_of") < hour
        due = self.positions.filter(before)
        if not due.is_empty():
            paid = pay_funding(due, rates, self.tables)
            self.positions = pl.concat([paid, self.positions.filter(~before)])

    def resize(self, changes: pl.DataFrame, marks: pl.DataFrame, as_of: datetime) -> None:
        """Take over sizes that the tape changed (`address`, `dex`, `coin`, `szi`) until their accounts are read again.

        A closed position leaves; one that grew or shrank keeps the exchange's last price, no longer checked; one that
        turned round or is new has no price that anybody knows, and waits as unknown.
        """
        if changes.is_empty():
            return
        joined = self.positions.join(
            changes.rename({"szi": "newer"}), on=POSITION, how="left", maintain_order="left"
        )
        moved = joined.filter(pl.col("newer").fill_null(1.0) != 0)
        turned = (pl.col("newer") * pl.col("szi") < 0).fill_null(False)
        resized = ((pl.col("newer") - pl.col("szi")).abs() > 1e-9 * pl.col("szi").abs()).fill_null(False)
        kept = moved.with_columns(
            szi=pl.when(resized).then("newer").otherwise("szi"),
            notional_usd=pl.when(resized)
            .then(pl.col("newer").abs() * pl.col("mark_px"))
            .otherwise("notional_usd"),
            liq_px=pl.when(~turned).then("liq_px"),
            status=pl.when(turned)
            .then(pl.lit("unknown_collateral"))
            .when(resized & (pl.col("status") != "never"))
            .then(pl.lit("exchange_only"))
            .otherwise("status"),
            check=pl.when(resized).then(pl.lit("resized")).otherwise("check"),
        )
        new = changes.join(self.positions, on=POSITION, how="anti").filter(pl.col("szi") != 0)
        self.positions = pl.concat([conform(kept, POSITIONS), _unread(new, marks, as_of)])

    def write(self, store: Store, as_of: datetime, source: str) -> Reading:
        """Store everything as one reading, whole or not at all."""
        reading = Reading(
            id=f"book-{as_of:%Y%m%dT%H%M%S%f}",
            venue=VENUE,
            source=source,
            scope=Scope.BOOK,
            as_of=as_of,
            accounts=self.accounts["address"].n_unique(),
            positions=self.positions.height,
        )
        # In this order what stays as it is lies side by side in an archive of many books.
        ordered = {"positions": self.positions.sort("coin", *PAIR), "accounts": self.accounts.sort(*PAIR)}
        store.lake.write_reading(reading, ordered)
        keep_latest(store)
        return reading


def _unread(changes: pl.DataFrame, marks: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Positions that only the tape showed: size and notional, nothing else."""
    priced = changes.join(marks.select("dex", "coin", "mark_px"), on=["dex", "coin"], how="left")
    return conform(
        priced.with_columns(
            notional_usd=pl.col("szi").abs() * pl.col("mark_px"),
            exchange_read=pl.lit(False),
            status=pl.lit("unknown_collateral"),
            check=pl.lit("no_exchange_price"),
            held_since=pl.lit(as_of, POSITIONS["as_of"]),
            as_of=pl.lit(as_of, POSITIONS["as_of"]),
            source=pl.lit(TAPE),
        ).drop_nulls("mark_px"),
        POSITIONS,
    )
