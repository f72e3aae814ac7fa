"""One id in the lake and in its database, looked at every time they are opened together.

A lake is of no use without the database that lists its files, and another database would call all of them unknown.
The id is first written to the database, then to the lake, then noted as written: whatever a kill leaves, the next start
goes on from there, and a lake without the id is never taken for one that only lost it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from msgspec.structs import replace

from liqtruth.heatmap.errors import BadInput, SourceUnreachable
from liqtruth.storage.database.address import Address
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.records import LakeId
from liqtruth.storage.errors import NotWritten, OtherDatabase
from liqtruth.storage.lake.manifest import listed_files
from liqtruth.storage.places.parquet import write_whole
from liqtruth.storage.places.places import Folder, Place

FILE: Final = "id"


def is_missing(address: Address, place: Place) -> bool:
    """Whether nothing was ever stored: no folder, or neither a file of a database nor of the lake."""
    if isinstance(place, Folder) and not place.root.is_dir():
        return True
    is_new = address.file is not None and not _is_there(address.file)
    return is_new and not any(_held(place)) and _mark(place) is None


def refuse_missing(file: Path | None, place: Place, is_named: bool) -> None:
    """Raises `OtherDatabase` where the `file` of the database is gone or empty and the lake holds anything.

    Looked at before the database is opened, which would make the file. `is_named` is whether the user named it.
    """
    if file is None or _is_there(file):
        return
    if _mark(place) is not None or any(_held(place)):
        raise OtherDatabase(_refusal(str(file), place, None, is_named))
    if is_named and not file.absolute().parent.is_dir():
        raise BadInput(f"LIQTRUTH_DATABASE_URL: the folder of {file} is not there; make it or name another")


def _is_there(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def check_identity(database: Database, place: Place, is_named: bool = True) -> None:
    """Give lake and database their id where they have none yet, else compare them.

    A store of before is taken over where the database knows the files of the lake. Raises `OtherDatabase` where the
    two do not belong together; where this user may only read, an id that is not there yet is not missed.
    """
    known, marked = _id_of(database), _mark(place)
    if known is None and marked is None:
        if database.read_only:
            return
        _check_known(database, place, is_named)
        known = _made(database)
        marked = _mark(place)
    known = known or _id_of(database)  # another process may have given it meanwhile
    if known is None or marked not in (None, known.id) or (marked is None and known.settled):
        named = database.address.place
        if marked is None:
            raise OtherDatabase(_lake_missing(named, place, is_named))
        raise OtherDatabase(_refusal(named, place, known, is_named))
    if not known.settled and not database.read_only:
        _settle(database, place, known)


def _settle(database: Database, place: Place, known: LakeId) -> None:
    from liqtruth.storage.database.tables import upsert

    write_whole(place, FILE, f"{known.id}\n".encode())
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


def _mark(place: Place) -> str | None:
    try:
        return place.read(FILE).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    except ConnectionError as error:
        raise SourceUnreachable(f"cannot read {place.full(FILE)}: {error.strerror}") from error
    except OSError as error:
        raise NotWritten(f"cannot read {place.full(FILE)}: {error.strerror}") from error


def _check_known(database: Database, place: Place, is_named: bool) -> None:
    """Raises `OtherDatabase` unless most files of the lake are listed, and most that are listed are in it."""
    there = set(_held(place))
    with database.asking() as asked:
        listed = listed_files(asked)
    both = len(listed & there)
    if 2 * both < max(len(listed), len(there)):
        raise OtherDatabase(
            f"the database {database.address.place} lists {both:,} of the {len(there):,} files in "
            f"{place.root} and {len(listed) - both:,} others: {_AS_BEFORE[is_named]}, "
            "choose another --data-dir, or move the files away"
        )


def _held(place: Place) -> Iterator[str]:
    """Files with anything in them."""
    return (one.name for one in place.files() if one.bytes and one.name.endswith(".parquet"))


_AS_BEFORE: Final = {
    True: "set LIQTRUTH_DATABASE_URL as it was when they were written",
    False: "restore the database that was there when they were written",
}
"""What helps where the database is another one, by whether the user named it."""


def _refusal(database: str, place: Place, known: LakeId | None, is_named: bool) -> str:
    """For a lake with files beside a database that has never listed them."""
    if known is None and not is_named:
        return (
            f"the database {database} is gone or empty, and it listed the files in {place.root}: restore it from a "
            "copy, or move the files away and import or fetch again"
        )
    return (
        f"the database {database} is not the one of the files in {place.root}: {_AS_BEFORE[is_named]}, "
        "choose another --data-dir, or move the files away"
    )


def _lake_missing(database: str, place: Place, is_named: bool) -> str:
    other = "another database with LIQTRUTH_DATABASE_URL, " if is_named else ""
    return (
        f"the database {database} belongs to another data directory than {place.beside.root}, or {place.root} was "
        "removed: "
        f"choose that one with --data-dir, {other}or restore the lake"
    )
