"""The transactions of the lake: which rows take the place of which, at one moment.

Only writers load this, and the tables with it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlmodel import Session, col, delete, func, or_, select, update

from liqtruth.storage.database import records
from liqtruth.storage.database.tables import Latest, Partition, Reading, upsert
from liqtruth.storage.lake.archives import Archive
from liqtruth.storage.lake.manifest import file_in, file_of


def drop_reading(session: Session, reading_id: str) -> set[str]:
    """Remove the reading from the manifest; returns the files that nothing points to any more."""
    query = select(Partition.path).where(Partition.reading_id == reading_id)
    files = {file_in(path) for path in session.exec(query).all()}
    reading = session.get_one(Reading, reading_id)
    note_change(session, reading.venue)
    session.exec(delete(Partition).where(col(Partition.reading_id) == reading_id))
    session.exec(delete(Reading).where(col(Reading.id) == reading_id))
    return files | _emptied(session, reading.archive)


def _emptied(session: Session, archive: str | None) -> set[str]:
    """The files of an archive of which no reading is left, out of the manifest."""
    if archive is None or session.exec(select(Reading.id).where(Reading.archive == archive)).first():
        return set()
    query = select(Partition.path).where(Partition.archive == archive)
    files = {file_in(path) for path in session.exec(query).all()}
    session.exec(delete(Partition).where(col(Partition.archive) == archive))
    return files


def swap_reading(session: Session, reading: records.Reading, rows: Sequence[records.Partition]) -> set[str]:
    """Make `rows` all that the manifest has of the reading; returns the files that nothing points to any more."""
    query = select(Partition.path).where(Partition.reading_id == reading.id)
    before = {file_in(path) for path in session.exec(query).all()}
    session.exec(delete(Partition).where(col(Partition.reading_id) == reading.id))
    upsert(session, [reading])
    upsert(session, rows)
    note_change(session, reading.venue)
    return before - {file_of(row) for row in rows}


def note_change(session: Session, venue: str) -> None:
    """What was merged of the venue's readings is no longer what is known now."""
    session.exec(update(Latest).where(col(Latest.venue) == venue).values(changed=uuid4().hex))


def swap_series(session: Session, before: Sequence[records.Partition], after: records.Partition) -> None:
    """Point to one new file of a series instead of the old ones."""
    session.exec(delete(Partition).where(col(Partition.path).in_([row.path for row in before])))
    upsert(session, [after])


def swap_archive(session: Session, archive: Archive, rows: Sequence[records.Partition]) -> set[str] | None:
    """Point the readings to the archive; the files that nothing points to any more, or null where nothing was changed
    because a reading was removed or written anew meanwhile."""
    query = select(Reading).where(col(Reading.id).in_(archive.before))
    known = {one.id: one for one in session.exec(query).all()}
    if {name: one.archive for name, one in known.items()} != archive.before:
        return None
    old = _of_readings(list(archive.before))
    stale = {file_in(path) for path in session.exec(select(Partition.path).where(old)).all()}
    first = _first_moments(session, list(archive.before))
    session.exec(delete(Partition).where(col(Partition.path).in_(select(Partition.path).where(old))))
    for one in archive.readings:
        row = known[one.id]
        row.archive, row.first_at = archive.name, row.first_at or first.get(one.id)
        session.add(row)
    session.exec(delete(Reading).where(col(Reading.id).in_([one.id for one in archive.dropped])))
    session.flush()
    upsert(session, rows)
    return stale - {file_of(row) for row in rows}


def _first_moments(session: Session, ids: Sequence[str]) -> dict[str, datetime]:
    query = select(Partition.reading_id, func.min(Partition.first_at)).where(
        col(Partition.reading_id).in_(ids)
    )
    found = session.exec(query.group_by(col(Partition.reading_id))).all()
    return {name: first for name, first in found if name is not None}


def _of_readings(ids: Sequence[str]) -> Any:
    """Manifest rows of files of these readings, be they their own or an archive's."""
    archives = select(Reading.archive).where(col(Reading.id).in_(ids), col(Reading.archive).is_not(None))
    return or_(col(Partition.reading_id).in_(ids), col(Partition.archive).in_(archives))


def marked(session: Session, venue: str) -> str:
    """The mark of the readings that are there, made where there is none."""
    upsert(session, [records.Latest(venue=venue, changed=uuid4().hex)], replace=False)
    return session.get_one(Latest, venue).changed


def swap_latest(session: Session, row: records.Latest) -> tuple[bool, set[str]]:
    """Make the row what is known now unless readings were changed since its mark; whether it is, and the files that
    nothing points to any more, empty names among them."""
    new = {row.positions, row.accounts}
    known = session.get_one(Latest, row.venue)
    if known.changed != row.changed:
        return False, new
    before = {known.positions, known.accounts}
    upsert(session, [row])
    return True, before - new
