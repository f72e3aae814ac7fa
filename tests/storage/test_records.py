"""Records are the tables: one schema, of which readers load only the names."""

from datetime import UTC, date, datetime
from typing import Any, get_type_hints

import msgspec
import pytest
from sqlmodel import SQLModel

from liqtruth.storage.database import records, tables
from liqtruth.storage.database.asking import columns
from liqtruth.storage.store import Store

NOON = datetime(2026, 9, 6, 12, 0, 0, 250_000, tzinfo=UTC)
RECORDS = records.Record.__args__
OF_TYPE: dict[Any, Any] = {
    str: "ü:x", int: 3, float: 0.1, bool: True, bytes: b"\0\xff", datetime: NOON,
    date: NOON.date(), records.Scope: records.Scope.BOOK,
}  # fmt: skip


def made(record: type, optional: bool) -> Any:
    """A row of it with a value in each field; of those that may be null only where `optional`."""
    kinds = {name: getattr(kind, "__args__", (kind,)) for name, kind in get_type_hints(record).items()}
    return record(
        **{name: OF_TYPE[kind[0]] for name, kind in kinds.items() if optional or type(None) not in kind}
    )


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_has_the_columns_of_its_table_and_their_types_and_defaults(record: type) -> None:
    table: Any = getattr(tables, record.__name__)
    assert issubclass(table, SQLModel)
    declared = {name: field.annotation for name, field in table.model_fields.items()}
    assert get_type_hints(record) == declared
    usual = {
        one.name: one.default
        for one in msgspec.structs.fields(record)
        if one.default is not msgspec.NODEFAULT
    }
    assert usual == {
        name: field.default for name, field in table.model_fields.items() if not field.is_required()
    }
    assert set(declared) == set(table.__table__.columns.keys())


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("record", [one for one in RECORDS if "Forecast" not in one.__name__])
def test_a_row_that_is_written_by_its_table_is_read_as_it_was(
    store: Store, record: type, optional: bool
) -> None:
    """Those of forecasts, which no test can remove again, are read in the tests of the ledger."""
    row = made(record, optional)
    if isinstance(row, records.Partition) and row.reading_id is not None:
        store.database.transact(lambda session: tables.upsert(session, [made(records.Reading, False)]))
        row = msgspec.structs.replace(row, reading_id=made(records.Reading, False).id)
    if isinstance(row, records.LakeId):
        row = msgspec.structs.replace(row, one=7)
    store.database.transact(lambda session: tables.upsert(session, [row]))
    with store.database.asking() as asked:
        found = asked.rows(record, f"SELECT {columns(record)} FROM {record.__name__.lower()}")
    assert row in found
