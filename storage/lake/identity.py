"""One id in the lake and in its database, looked at every time they are opened together.

A lake is of no use without the database that lists its files, and another database would call all of them unknown.
The id is first written to the database, then to the lake, then noted as written: whatever a kill leaves, the next start
goes on from there, and a lake without the id is never taken for one that only lost it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from msgspec.structs import replace

from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.records import LakeId
from liqtruth.storage.errors import NotWritten, OtherDatabase
from liqtruth.storage.lake.manifest import listed_files
from liqtruth.storage.lake.parquet import write_whole

FILE: Final = "id"


def refuse_missing(file: Path | None, root: Path, is_named: bool) -> None:
    """Raises `OtherDatabase` where the `file` of the database is gone or empty and the lake holds anything.

    Looked at before the database is opened, which would make the file. `is_named` is whether the user named it.
    """
    if file is None or (file.exists() and file.stat().st_size > 0):
        return
    if _mark(root) is not None or any(_holds_anything(path) for path in root.rglob("*.parquet")):
        raise OtherDatabase(_refusal(str(file), root, None, is_named))
    if is_named and not file.absolute().parent.is_dir():
        raise BadInput(f"LIQTRUTH_DATABASE_URL: the folder of {file} is not there; make it or name another")


def check_identity(database: Database, root: Path, is_named: bool = True) -> None:
    """Give lake and database their id where they have none yet, else compare them.

    A store of before is taken over where the database knows the files of the lake. Raises `OtherDatabase` where the
    two do not belong together; where this user may only read, an id that is not there yet is not missed.
    """
    known, marked = _id_of(database), _mark(root)
    if known is None and marked is None:
        if database.read_only:
            return
        _check_known(database, root, is_named)
        known = _made(database)
        marked = _mark(root)
    known = known or _id_of(database)  # another process may have given it meanwhile
    if known is None or marked not in (None, known.id) or (marked is None and known.settled):
        place = database.address.place
        if marked is None:
            raise OtherDatabase(_lake_missing(place, root, is_named))
        raise OtherDatabase(_refusal(place, root, known, is_named))
    if not known.settled and not database.read_only:
        _settle(database, root, known)


def _settle(database: Database, root: Path, known: LakeId) -> None:
    from liqtruth.storage.database.tables import upsert

    write_whole(root / FILE, f"{known.id}\n".encode())
    database.transact(lambda session: upsert(session, [replace(known, settled=True)]))


def _id_of(database: Database) -> LakeId | None:
    with database.asking() as asked:
        return asked.row(LakeId, f"SELECT {columns(LakeId)} FROM lakeid")


def _made(database: Database) -> LakeId | None:
    """The row that is there, or a new one."""
    from liqtruth.storage.database.tables import upsert

    new = LakeId(one=1, id=uuid4().hex, made_at=datetime.now(UTC), settled=False)
    database.transact(lambda session: upsert(session, [new], replace=False))
    return _id_of(database)


def _mark(root: Path) -> str | None:
    try:
        return (root / FILE).read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotWritten(f"cannot read {root / FILE}: {error.strerror}") from error


def _check_known(database: Database, root: Path, is_named: bool) -> None:
    """Raises `OtherDatabase` unless most files of the lake are listed, and most that are listed are in it."""
    there = {path.relative_to(root).as_posix() for path in root.rglob("*.parquet") if _holds_anything(path)}
    with database.asking() as asked:
        listed = listed_files(asked)
    both = len(listed & there)
    if 2 * both < max(len(listed), len(there)):
        raise OtherDatabase(
            f"the database {database.address.place} lists {both:,} of the {len(there):,} files in {root} and "
            f"{len(listed) - both:,} others: {_AS_BEFORE[is_named]}, "
            "choose another --data-dir, or move the files away"
        )


def _holds_anything(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


_AS_BEFORE: Final = {
    True: "set LIQTRUTH_DATABASE_URL as it was when they were written",
    False: "restore the database that was there when they were written",
}
"""What helps where the database is another one, by whether the user named it."""


def _refusal(place: str, root: Path, known: LakeId | None, is_named: bool) -> str:
    """For a lake with files beside a database that has never listed them."""
    if known is None and not is_named:
        return (
            f"the database {place} is gone or empty, and it listed the files in {root}: restore it from a copy, or "
            "move the files away and import or fetch again"
        )
    return (
        f"the database {place} is not the one of the files in {root}: {_AS_BEFORE[is_named]}, "
        "choose another --data-dir, or move the files away"
    )


def _lake_missing(place: str, root: Path, is_named: bool) -> str:
    other = "another database with LIQTRUTH_DATABASE_URL, " if is_named else ""
    return (
        f"the database {place} belongs to another data directory than {root.parent}, or {root} was removed: "
        f"choose that one with --data-dir, {other}or restore the lake"
    )
