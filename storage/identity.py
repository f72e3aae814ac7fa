"""One id in the lake and in its database, looked at every time they are opened together.

A lake is of no use without the database that lists its files, and another database would call all of them unknown.
The id is first written to the database, then to the lake, then noted as written: whatever a kill leaves, the next start
goes on from there, and a lake without the id is never taken for one that only lost it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlmodel import Session, select

from storage.database import Database
from storage.errors import NotWritten, OtherDatabase
from storage.manifest import listed_files
from storage.outage import place_of
from storage.parquet import write_whole
from storage.tables import LakeId
from storage.upsert import upsert

FILE: Final = "id"


def check_identity(database: Database, root: Path) -> None:
    """Give lake and database their id where they have none yet, else hold one against the other.

    A store of before is taken over where the database knows the files of the lake. Raises `OtherDatabase` where the
    two do not belong together; where this user may only read, an id that is not there yet is not missed.
    """
    known, marked = _id_of(database), _mark(root)
    if known is None and marked is None:
        if database.read_only:
            return
        _check_known(database, root)
        known = database.transact(_made)
        marked = _mark(root)
    known = known or _id_of(database)  # another process may have given it meanwhile
    if known is None or marked not in (None, known.id) or (marked is None and known.settled):
        raise OtherDatabase(_refusal(database, root, known, marked))
    if not known.settled and not database.read_only:
        _settle(database, root, known)


def _settle(database: Database, root: Path, known: LakeId) -> None:
    write_whole(root / FILE, f"{known.id}\n".encode())

    row = LakeId(**{**known.model_dump(), "settled": True})
    database.transact(lambda session: upsert(session, [row]))


def _id_of(database: Database) -> LakeId | None:
    with database.session() as session:
        return session.exec(select(LakeId)).first()


def _made(session: Session) -> LakeId:
    """The row that is there, or a new one."""
    new = LakeId(one=1, id=uuid4().hex, made_at=datetime.now(UTC), settled=False)
    upsert(session, [new], replace=False)
    return session.exec(select(LakeId)).one()


def _mark(root: Path) -> str | None:
    try:
        return (root / FILE).read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotWritten(f"cannot read {root / FILE}: {error.strerror}") from error


def _check_known(database: Database, root: Path) -> None:
    """Raises `OtherDatabase` unless most files of the lake are listed, and most that are listed are in it."""
    there = {path.relative_to(root).as_posix() for path in root.rglob("*.parquet") if _holds_anything(path)}
    with database.session() as session:
        listed = listed_files(session)
    both = len(listed & there)
    if 2 * both < max(len(listed), len(there)):
        raise OtherDatabase(
            f"the database {place_of(database.engine.url)} lists {both:,} of the {len(there):,} files in {root} and "
            f"{len(listed) - both:,} others: set LIQTRUTH_DATABASE_URL as it was when they were written, "
            "choose another --data-dir, or move the files away"
        )


def _holds_anything(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _refusal(database: Database, root: Path, known: LakeId | None, marked: str | None) -> str:
    place = place_of(database.engine.url)
    if marked is None:
        return (
            f"the database {place} belongs to another data directory than {root.parent}, or {root} was removed: "
            "choose that one with --data-dir, another database with LIQTRUTH_DATABASE_URL, or restore the lake"
        )
    return (
        f"the files in {root} belong to another database than {place}: set LIQTRUTH_DATABASE_URL as it was when they "
        "were written, or choose another --data-dir"
    )
