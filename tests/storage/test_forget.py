"""A reading that should not have been stored can be taken back, with all that it would hide."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from sqlmodel import select
from test_lake import SCHEMA, positions, reading, series

from liqtruth.storage.database.markets import last_market, store_markets, store_universe, universes_at
from liqtruth.storage.database.tables import Account, Market, Partition, Reading, Universe, upsert
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.forget import forget, stored_readings
from liqtruth.storage.store import Store

NOON = datetime(2026, 9, 6, 12, tzinfo=UTC)
IMPOSSIBLE = [datetime(2286, 11, 20, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)]


def keep(store: Store, name: str, as_of: datetime, mark_px: float) -> None:
    """A reading with the mark and the margin tables of its moment, and an account that was read then."""
    store.lake.write_reading(reading(name, as_of), {"positions": positions("BTC", as_of)})
    found = {"venue": "hyperliquid", "dex": "", "as_of": as_of}
    store_markets(store.database, [Market(**found, coin="BTC", mark_px=mark_px)])
    store_universe(store.database, Universe(**found, meta_json=b"{}"))
    account = Account(
        venue="hyperliquid",
        address=name,
        source="file",
        first_seen_at=as_of,
        last_read_at=as_of,
        last_traded_at=as_of,
    )
    store.database.transact(lambda session: upsert(session, [account]))


def ids(store: Store) -> list[str]:
    with store.database.session() as session:
        return sorted(session.exec(select(Reading.id)).all())


def test_a_listed_reading_has_its_age(store: Store) -> None:
    keep(store, "old", datetime.now(UTC) - timedelta(days=100, hours=1), 60_000.0)
    (found,) = stored_readings(store)
    assert "(100 days ago)" in found.describe()[0]


def test_a_reading_goes_with_its_files_and_its_mark_and_the_others_stay(store: Store) -> None:
    keep(store, "good", NOON, 60_000.0)
    keep(store, "bad", NOON + timedelta(hours=1), 1.0)
    (found,) = forget(store, ["bad"])
    assert found.rows == {"mark of that time": 1}
    assert ids(store) == ["good"]
    assert [path.stem for path in store.lake.root.rglob("*.parquet")] == ["good"]
    with pytest.raises(NothingStored):
        store.lake.read_snapshots("positions", ["bad"])
    market = last_market(store.database, "hyperliquid", "BTC")
    assert market is not None
    assert market.mark_px == 60_000.0
    assert store.lake.tidy(older_than=timedelta(seconds=-1)).files == 0


@pytest.mark.parametrize("when", IMPOSSIBLE)
def test_a_reading_of_an_impossible_time_hides_nothing_once_it_is_forgotten(
    store: Store, when: datetime
) -> None:
    keep(store, "good", NOON, 60_000.0)
    keep(store, "bad", when, 1.0)
    wrong = series([2], 0.1).with_columns(ts=pl.lit(when).cast(pl.Datetime("ms", "UTC")))
    store.lake.merge_series("funding", "hyperliquid", "BTC", series([2], 0.2), ["ts"])
    store.lake.merge_series("funding", "hyperliquid", "BTC", wrong, ["ts"])
    assert [one.timely for one in stored_readings(store) if one.id == "bad"] == [False]
    assert sum(forget(store, ["bad"])[0].rows.values()) == 5, (
        "mark, tables, a day of funding, read and traded"
    )
    market = last_market(store.database, "hyperliquid", "BTC")
    (universe,) = universes_at(store.database, "hyperliquid", [""], [NOON + timedelta(days=1)])[""]
    assert market is not None
    assert (market.mark_px, universe.as_of) == (60_000.0, NOON)
    assert store.lake.read_series("funding", "hyperliquid", "BTC", SCHEMA)["rate"].to_list() == [0.2]
    with store.database.session() as session:
        known = {row.address: row for row in session.exec(select(Account)).all()}
    assert (known["bad"].last_read_at, known["bad"].last_traded_at) == (None, None)
    assert (known["good"].last_read_at, known["good"].last_traded_at) == (NOON, NOON)


def test_a_mark_that_another_reading_shares_stays(store: Store) -> None:
    keep(store, "one", NOON, 60_000.0)
    keep(store, "two", NOON, 60_000.0)
    assert forget(store, ["two"])[0].rows == {"mark of that time": 0}
    assert last_market(store.database, "hyperliquid", "BTC") is not None


@pytest.mark.parametrize("when", [NOON, *IMPOSSIBLE])
def test_a_dry_run_counts_and_removes_nothing(store: Store, when: datetime) -> None:
    keep(store, "one", when, 60_000.0)
    planned = forget(store, ["one"], dry=True)
    assert ids(store) == ["one"]
    assert store.lake.read_snapshots("positions", ["one"]).height == 1
    assert forget(store, ["one"])[0].rows == planned[0].rows


def test_a_reading_that_is_not_there_is_named_with_those_that_are(store: Store) -> None:
    keep(store, "there", NOON, 60_000.0)
    with pytest.raises(NothingStored, match=r"'gone'.*there"):
        forget(store, ["there", "gone"])
    assert ids(store) == ["there"]


def test_readings_are_listed_latest_first(store: Store) -> None:
    for hour, name in enumerate("cab"):
        keep(store, name, NOON + timedelta(hours=hour), 1.0)
    assert [one.id for one in stored_readings(store)] == ["b", "a", "c"]


def test_forgetting_leaves_no_row_of_the_manifest(store: Store) -> None:
    keep(store, "one", NOON, 1.0)
    forget(store, ["one"])
    with store.database.session() as session:
        assert session.exec(select(Partition)).all() == []
