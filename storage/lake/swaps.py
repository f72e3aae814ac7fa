"""The transactions of the lake: which rows take the place of which, at one moment.

Only writers load this, and the tables with it.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlmodel import Session, and_, col, delete, func, or_, select, update

from liqtruth.storage.database import records
from liqtruth.storage.database.tables import Latest, Partition, Reading, upsert
from liqtruth.storage.database.turns import take_turn
from liqtruth.storage.lake.archives import Archive
from liqtruth.storage.lake.manifest import file_in, file_of, month_of


def drop_reading(session: Session, reading_id: str) -> set[str]:
    """Remove the reading from the manifest; returns the files that nothing points to any more."""
    reading = session.get_one(Reading, reading_id)
    take_turn(session, reading.venue)
    note_change(session, reading.venue)
    stale = _without_rows(session, reading_id)
    session.exec(delete(Reading).where(col(Reading.id) == reading_id))
    return stale


def swap_reading(session: Session, reading: records.Reading, rows: Sequence[records.Partition]) -> set[str]:
    """Make `rows` all that the manifest has of the reading; returns the files that nothing points to any more."""
    take_turn(session, reading.venue)
    stale = _without_rows(session, reading.id)
    upsert(session, [reading])
    upsert(session, rows)
    note_change(session, reading.venue)
    return stale - {file_of(row) for row in rows}


def _without_rows(session: Session, reading_id: str) -> set[str]:
    """Remove the reading's rows, and those of its archive where it was the last one in it; gives the files that nothing
    points to any more."""
    archive = session.exec(select(Reading.archive).where(Reading.id == reading_id)).first()
    of_archive = and_(col(Partition.archive).is_not(None), col(Partition.archive) == archive)
    before = _files(session, or_(col(Partition.reading_id) == reading_id, of_archive))
    others = select(Reading.id).where(Reading.archive == archive, Reading.id != reading_id)
    session.exec(delete(Partition).where(col(Partition.reading_id) == reading_id))
    if archive is not None and session.exec(others).first() is None:
        session.exec(delete(Partition).where(of_archive))
    return before - _files(session, of_archive)


def _files(session: Session, where: Any) -> set[str]:
    return {file_in(path) for path in session.exec(select(Partition.path).where(where)).all()}


def note_change(session: Session, venue: str) -> None:
    """What was merged of the venue's readings is no longer what is known now."""
    session.exec(update(Latest).where(col(Latest.venue) == venue).values(changed=uuid4().hex))


def swap_series(
    session: Session, before: Sequence[records.Partition], after: records.Partition, until: date
) -> bool:
    """Point to the new file instead of all that the series has from its day to `until`; false, and nothing is done,
    where these are not the rows `before` any more, for another machine was quicker."""
    take_turn(session, after.venue)
    within = and_(col(Partition.day) >= after.day, col(Partition.day) < until)
    paths = session.exec(
        select(Partition.path).where(
            Partition.dataset == after.dataset,
            Partition.venue == after.venue,
            Partition.coin == after.coin,
            or_(within, Partition.archive == month_of(after.day)),
        )
    )
    there = set(paths.all())
    if there == {after.path}:  # the answer to an earlier commit was lost
        return True
    if there != {row.path for row in before}:
        return False
    session.exec(delete(Partition).where(col(Partition.path).in_(there)))
    upsert(session, [after])
    return True


def swap_archive(session: Session, archive: Archive, rows: Sequence[records.Partition]) -> set[str] | None:
    """Point the readings to the archive; the files that nothing points to any more, or null where nothing was changed
    because a reading was removed or written anew meanwhile."""
    take_turn(session, archive.readings[0].venue)
    query = select(Reading).where(col(Reading.id).in_(archive.before))
    known = {one.id: one for one in session.exec(query).all()}
    if {name: one.archive for name, one in known.items()} != archive.before:
        return None
    old = _of_readings(list(archive.before))
    stale = _files(session, old)
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
    of_archive = and_(col(Partition.reading_id).is_(None), col(Partition.archive).in_(archives))
    return or_(col(Partition.reading_id).in_(ids), of_archive)


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
