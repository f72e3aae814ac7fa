"""What is known now, merged once by whoever wrote last: the same to the bit as the merge of all readings."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from test_readings import accounts, at, census, frame, holdings, write

from liqtruth.indexer.frames import ACCOUNTS, conform
from liqtruth.indexer.positions.latest import Latest, keep_latest
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.merged import MergedReadings
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.database.tables import Scope
from liqtruth.storage.forget import forget
from liqtruth.storage.lake.latest import LatestKnown
from liqtruth.storage.store import Settings, Store
from tests.read_budget import counted_reads

COINS = ("BTC", "ETH")
HOLDERS = ("a", "b", "c")


def book(store: Store, hour: float, *rows: dict[str, object]) -> None:
    listed = pl.DataFrame({"address": [row["address"] for row in rows], "dex": "", "as_of": at(hour)})
    frames = {"positions": frame(list(rows)), "accounts": conform(listed.unique(), ACCOUNTS)}
    write(store, f"book-{hour}", Scope.BOOK, hour, frames)


def is_merged(store: Store) -> bool:
    return LatestKnown.of(store.lake, VENUE) is not None


def assert_as_merged(store: Store) -> None:
    """Of all coins and of each, positions and accounts, rows in the same order."""
    for coin in (None, *COINS):
        merged, found = MergedReadings(store, coin), Latest.of(store, coin)
        assert found is not None
        assert_frame_equal(found.positions, merged.positions(), check_exact=True)
        assert_frame_equal(found.accounts, merged.accounts(), check_exact=True)
        assert_frame_equal(Readings(store, coin).stored(), merged.positions(), check_exact=True)
        assert (found.book and found.book.id) == ((last := merged.book()) and last.id)


rows_at = st.lists(
    st.tuples(st.sampled_from(HOLDERS), st.sampled_from(COINS), st.floats(-5, 5).filter(bool)),
    unique_by=lambda row: row[:2],
    max_size=6,
)
readings = st.lists(
    st.tuples(st.sampled_from(("census", "book", "accounts")), rows_at), min_size=1, max_size=6
)


def store_all(store: Store, drawn: Sequence[tuple[str, Sequence[tuple[str, str, float]]]]) -> None:
    for hour, (kind, rows) in enumerate(drawn, start=1):
        listed = [holdings(who, szi, hour, coin) for who, coin, szi in rows]
        if kind == "accounts":
            accounts(store, dict.fromkeys(HOLDERS[: 1 + hour % 3], hour), *listed)
        else:
            {"census": census, "book": book}[kind](store, hour, *listed)


@settings(max_examples=8, deadline=None)
@given(readings)
def test_what_is_kept_is_what_the_merge_of_all_readings_gives(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, list[tuple[str, str, float]]]]
) -> None:
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("latest"))) as opened:
        store_all(opened, drawn)
        keep_latest(opened)
        assert_as_merged(opened)


def test_what_is_written_later_puts_it_behind_until_it_is_merged_again(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1), holdings("b", 2.0, 1))
    accounts(store, {"b": 2}, holdings("b", 3.0, 2))
    keep_latest(store)
    accounts(store, {"b": 3}, holdings("b", 4.0, 3))
    assert not is_merged(store)
    assert Readings(store, "BTC").stored().filter(address="b")["szi"].to_list() == [4.0]
    assert not is_merged(store), "a question about one coin does not merge all"
    Readings(store).stored()
    assert_as_merged(store)


def test_a_reading_that_is_forgotten_is_known_no_more(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    census(store, 2, holdings("a", 2.0, 2))
    keep_latest(store)
    forget(store, ["census-2"])
    assert Readings(store, "BTC").stored()["szi"].to_list() == [1.0]


def test_a_reading_stored_while_others_were_merged_is_not_hidden(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    begun, merged = LatestKnown.begin(store.lake, VENUE), MergedReadings(store)
    census(store, 2, holdings("a", 2.0, 2))
    assert not begun.store({"positions": merged.positions(), "accounts": merged.accounts()})
    assert not is_merged(store)
    assert not list((store.lake.root / "latest").rglob("*.parquet"))


def test_a_damaged_or_lost_file_is_merged_again(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    accounts(store, {"b": 2}, holdings("b", 3.0, 2))
    keep_latest(store)
    before = MergedReadings(store, "BTC").positions()
    for spoil in (lambda path: path.write_bytes(b"PAR1"), lambda path: path.unlink()):
        for path in (store.lake.root / "latest").rglob("*.parquet"):
            spoil(path)
        assert_frame_equal(Readings(store, "BTC").stored(), before, check_exact=True)


def test_files_of_what_is_known_now_are_no_orphans(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    keep_latest(store)
    assert store.lake.tidy(older_than=timedelta(seconds=-1)).files == 0


def test_a_question_about_now_opens_one_file_however_many_readings_there_are(store: Store) -> None:
    counts = []
    for hour in range(1, 13):
        accounts(store, {f"{hour}": hour}, holdings(f"{hour}", 1.0, hour))
        keep_latest(store)
        with counted_reads() as reads:
            assert Readings(store, "BTC").known().height == hour
        counts.append((len(reads.opened), reads.sessions))
    assert set(counts) == {(1, 1)}


def test_a_book_that_stands_for_everything_is_not_stored_twice(store: Store) -> None:
    accounts(store, {"b": 1}, holdings("b", 3.0, 1))
    book(store, 2, holdings("a", 1.0, 2))
    keep_latest(store)
    assert not (store.lake.root / "latest").exists()
    assert_as_merged(store)
