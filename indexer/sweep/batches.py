"""What an unfinished sweep has stored: batches of accounts, so that a kill at any instant loses at most one batch.

A batch is two Parquet files (positions as decoded, and the list of accounts) and then a row of `SweepPart`; without
the row the files do not exist. Files have names of their own, so that two processes never write to one. The sweep is
recognised by its addresses, dexes and endpoint.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Final, Self

import polars as pl
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, conform, empty
from liqtruth.storage.database.tables import Sweep, SweepPart, upsert
from liqtruth.storage.errors import FileDamaged, FileUnreadable
from liqtruth.storage.places.parquet import gone, put_parquet, read_parquet, unique
from liqtruth.storage.store import Store

FOLDER: Final = "sweeps"
ABANDONED: Final = timedelta(days=1)
"""A sweep that nobody resumes and that began longer ago was broken off."""
KINDS: Final = ("positions", "accounts")
REMEDY: Final = "restore it from a copy, or begin the sweep anew with --restart"
UNDER_WAY: Final = "the same sweep is under way in another process; wait for it to end"


def sweep_key(addresses: Sequence[str], dex: str, base_url: str) -> str:
    """The same for the same list in any order, dexes (comma-separated) and endpoint."""
    reported = "\n".join([base_url, dex, *sorted(set(addresses))])
    return hashlib.sha256(reported.encode()).hexdigest()[:16]


@dataclass
class SweepParts:
    """The stored batches of one sweep; `stored` are the addresses in them."""

    store: Store
    sweep: Sweep
    parts: list[SweepPart] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)

    @classmethod
    def resume(
        cls,
        store: Store,
        addresses: Sequence[str],
        dex: str,
        base_url: str,
        shown: str,
        restart: bool = False,
        damaged: list[FileDamaged] | None = None,
    ) -> Self:
        """The unfinished sweep of the same accounts, or a new one; `restart` forgets the unfinished.

        Raises `FileDamaged` for a batch that cannot be read. Where `damaged` is given, the faults are put there, and
        these batches count as not stored.
        """
        key = sweep_key(addresses, dex, base_url)
        query = select(Sweep).where(col(Sweep.id).startswith(key), col(Sweep.finished_at).is_(None))
        with store.database.session() as session:
            unfinished = session.exec(query.order_by(col(Sweep.started_at).desc())).all()
        if restart:
            for sweep in unfinished:
                cls(store, sweep).drop()
        elif unfinished:
            return cls._resumed(store, unfinished[0], damaged)
        return cls._begun(store, key, addresses, dex, shown)

    @classmethod
    def alone(cls, store: Store, name: str, addresses: Sequence[str], dex: str, shown: str) -> Self:
        """A sweep that is never resumed, beside any others of that name under way; what earlier ones left behind is
        removed."""
        key = sweep_key([name], dex, shown)
        query = select(Sweep).where(col(Sweep.id).startswith(key), col(Sweep.finished_at).is_(None))
        with store.database.session() as session:
            left = session.exec(query.where(Sweep.started_at < datetime.now(UTC) - ABANDONED)).all()
        for sweep in left:
            cls(store, sweep).drop()
        return cls._begun(store, f"{key}{token_hex(4)}", addresses, dex, shown)

    @classmethod
    def _begun(cls, store: Store, key: str, addresses: Sequence[str], dex: str, shown: str) -> Self:
        now = datetime.now(UTC)
        sweep_id = f"{key}-{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}"
        sweep = Sweep(id=sweep_id, base_url=shown, dex=dex, accounts=len(addresses), started_at=now)
        store.database.transact(lambda session: upsert(session, [sweep]))
        return cls(store, sweep)

    @classmethod
    def _resumed(cls, store: Store, sweep: Sweep, damaged: list[FileDamaged] | None) -> Self:
        query = select(SweepPart).where(SweepPart.sweep_id == sweep.id).order_by(col(SweepPart.part))
        with store.database.session() as session:
            parts = cls(store, sweep, list(session.exec(query).all()))
        if damaged is not None:
            parts._leave_out_damaged(damaged)
        parts.stored = set(parts.accounts()["address"])
        return parts

    def add(self, positions: pl.DataFrame, accounts: pl.DataFrame) -> None:
        """Store one batch (`POSITIONS` as decoded, `ACCOUNTS`), each account with all its dexes.

        Raises `LiqtruthError` where another run of the same sweep stored meanwhile.
        """
        if accounts.is_empty():
            return
        number = self.parts[-1].part + 1 if self.parts else 0
        path = f"{FOLDER}/{self.sweep.id}/{unique(f'{number:06d}')}"
        for kind, frame in (("positions", positions), ("accounts", accounts)):
            put_parquet(frame, self.store.lake.place, f"{path}-{kind}.parquet")
        addresses = set(accounts["address"])
        part = SweepPart(sweep_id=self.sweep.id, part=number, path=path, accounts=len(addresses))
        try:
            self.store.database.transact(lambda session: _listed(session, part))
        except IntegrityError:
            raise LiqtruthError(UNDER_WAY) from None
        self.parts.append(part)
        self.stored |= addresses

    def _leave_out_damaged(self, damaged: list[FileDamaged]) -> None:
        for part in list(self.parts):
            try:
                for kind in KINDS:
                    self._file(f"{part.path}-{kind}.parquet")
            except FileUnreadable:
                raise
            except FileDamaged as error:
                damaged.append(error)
                self._leave_out(part)

    def _leave_out(self, part: SweepPart) -> None:
        self.parts.remove(part)
        of_part = (col(SweepPart.sweep_id) == part.sweep_id, col(SweepPart.part) == part.part)

        def left_out(session: Session) -> None:
            session.exec(delete(SweepPart).where(*of_part))

        self.store.database.transact(left_out)

    def positions(self) -> pl.DataFrame:
        """Positions of all stored accounts, not reconciled."""
        return self._read("positions", empty(POSITIONS))

    def accounts(self) -> pl.DataFrame:
        """All stored accounts, those without positions included."""
        return self._read("accounts", empty(ACCOUNTS))

    def _read(self, kind: str, none: pl.DataFrame) -> pl.DataFrame:
        files = (self._file(f"{part.path}-{kind}.parquet") for part in self.parts)
        return pl.concat([none, *(conform(file, none.schema) for file in files)])

    def _file(self, name: str) -> pl.DataFrame:
        try:
            return read_parquet(self.store.lake.place, name, remedy=REMEDY)[0]
        except FileNotFoundError:
            raise gone(self.store.lake.place, name, REMEDY) from None

    def finish(self) -> None:
        """Mark the sweep as done and remove its batches."""
        self.sweep.finished_at = datetime.now(UTC)

        def ended(session: Session) -> None:
            session.exec(delete(SweepPart).where(col(SweepPart.sweep_id) == self.sweep.id))
            upsert(session, [self.sweep])

        self.store.database.transact(ended)
        self._remove_files()

    def drop(self) -> None:
        """Forget the sweep and its batches."""

        def forgotten(session: Session) -> None:
            session.exec(delete(SweepPart).where(col(SweepPart.sweep_id) == self.sweep.id))
            session.exec(delete(Sweep).where(col(Sweep.id) == self.sweep.id))

        self.store.database.transact(forgotten)
        self._remove_files()

    def _remove_files(self) -> None:
        with suppress(OSError):  # what is left `tidy` finds
            self.store.lake.place.remove_folder(f"{FOLDER}/{self.sweep.id}")


def _listed(session: Session, part: SweepPart) -> None:
    """Write the batch's row; it may be there already, where the answer to an earlier commit was lost."""
    there = session.get(SweepPart, (part.sweep_id, part.part))
    if there is None:
        session.add(SweepPart(**part.model_dump()))
    elif there.path != part.path:
        raise LiqtruthError(UNDER_WAY)
