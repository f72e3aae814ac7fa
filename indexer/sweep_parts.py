"""What an unfinished sweep has stored: batches of accounts, so that a kill at any instant loses at most one batch.

A batch is two Parquet files (positions as decoded, and the list of accounts) and then a row of `SweepPart`; without
the row the files do not exist. The sweep is told again by its addresses, dexes and endpoint.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import polars as pl
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, select

from heatmap.errors import LiqtruthError
from indexer.accounts import AccountReading, accounts_frame, positions_frame
from indexer.frames import ACCOUNTS, POSITIONS, empty
from storage.lake import write_parquet
from storage.store import Store
from storage.tables import Sweep, SweepPart

FOLDER = "sweeps"


def sweep_key(addresses: Sequence[str], dex: str, base_url: str) -> str:
    """The same for the same list in any order, dexes (comma-separated) and endpoint."""
    told = "\n".join([base_url, dex, *sorted(set(addresses))])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass
class SweepParts:
    """The stored batches of one sweep; `stored` are the addresses in them."""

    store: Store
    sweep: Sweep
    parts: list[SweepPart] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)

    @classmethod
    def take_up(
        cls,
        store: Store,
        addresses: Sequence[str],
        dex: str,
        base_url: str,
        shown: str,
        restart: bool = False,
    ) -> Self:
        """The unfinished sweep of the same accounts, or a new one; `restart` forgets the unfinished."""
        key = sweep_key(addresses, dex, base_url)
        query = select(Sweep).where(col(Sweep.id).startswith(key), col(Sweep.finished_at).is_(None))
        with store.database.session() as session:
            unfinished = session.exec(query.order_by(col(Sweep.started_at).desc())).all()
        if restart:
            for sweep in unfinished:
                cls(store, sweep).drop()
        elif unfinished:
            return cls._resumed(store, unfinished[0])
        now = datetime.now(UTC)
        sweep_id = f"{key}-{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}"
        sweep = Sweep(id=sweep_id, base_url=shown, dex=dex, accounts=len(addresses), started_at=now)
        with store.database.session() as session:
            session.add(sweep)
        return cls(store, sweep)

    @classmethod
    def _resumed(cls, store: Store, sweep: Sweep) -> Self:
        query = select(SweepPart).where(SweepPart.sweep_id == sweep.id).order_by(col(SweepPart.part))
        with store.database.session() as session:
            parts = cls(store, sweep, list(session.exec(query).all()))
        parts.stored = set(parts.accounts()["address"])
        return parts

    def add(self, readings: Sequence[AccountReading]) -> None:
        """Store one batch, each account with all its dexes.

        Raises `LiqtruthError` where another run of the same sweep stored meanwhile.
        """
        if not readings:
            return
        number = self.parts[-1].part + 1 if self.parts else 0
        path = f"{FOLDER}/{self.sweep.id}/{number:06d}"
        write_parquet(positions_frame(readings), self.store.lake.root / f"{path}-positions.parquet")
        write_parquet(accounts_frame(readings), self.store.lake.root / f"{path}-accounts.parquet")
        addresses = {reading.address.lower() for reading in readings}
        part = SweepPart(sweep_id=self.sweep.id, part=number, path=path, accounts=len(addresses))
        try:
            with self.store.database.session() as session:
                session.add(part)
        except IntegrityError:
            raise LiqtruthError(
                "the same sweep is under way in another process; wait for it to end"
            ) from None
        self.parts.append(part)
        self.stored |= addresses

    def positions(self) -> pl.DataFrame:
        """Positions of all stored accounts, not reconciled."""
        return self._read("positions", empty(POSITIONS))

    def accounts(self) -> pl.DataFrame:
        """All stored accounts, those without positions included."""
        return self._read("accounts", empty(ACCOUNTS))

    def _read(self, kind: str, none: pl.DataFrame) -> pl.DataFrame:
        root = self.store.lake.root
        return pl.concat(
            [none, *(pl.read_parquet(root / f"{part.path}-{kind}.parquet") for part in self.parts)]
        )

    def finish(self) -> None:
        """Mark the sweep as done and remove its batches."""
        with self.store.database.session() as session:
            session.exec(delete(SweepPart).where(col(SweepPart.sweep_id) == self.sweep.id))
            self.sweep.finished_at = datetime.now(UTC)
            session.merge(self.sweep)
        self._remove_files()

    def drop(self) -> None:
        """Forget the sweep and its batches."""
        with self.store.database.session() as session:
            session.exec(delete(SweepPart).where(col(SweepPart.sweep_id) == self.sweep.id))
            session.exec(delete(Sweep).where(col(Sweep.id) == self.sweep.id))
        self._remove_files()

    def _remove_files(self) -> None:
        shutil.rmtree(self.store.lake.root / FOLDER / self.sweep.id, ignore_errors=True)
