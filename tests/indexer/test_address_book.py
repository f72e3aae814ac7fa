"""The address book only ever learns: nothing noted twice, late or out of order changes what it has."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from info_endpoint import address_of
from sqlalchemy import event

from liqtruth.indexer.discovery.address_book import Label, label, note_reads, note_trades, remember
from liqtruth.indexer.discovery.known_accounts import BOOK, YIELDS, book, yields
from liqtruth.indexer.frames import READS
from liqtruth.storage.store import Settings, Store

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def moment(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def reads(*rows: tuple[str, str | None, int, float, datetime]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(READS), orient="row")


def entry(store: Store, address: str) -> dict[str, object]:
    return book(store).row(by_predicate=pl.col("address") == address, named=True)


def test_an_empty_book_has_its_columns(store: Store) -> None:
    assert book(store).schema == dict(BOOK)
    assert yields(store).schema == dict(YIELDS)
    assert remember(store, [], "file", NOON) == 0


def test_an_address_keeps_the_source_and_the_moment_that_met_it_first(store: Store) -> None:
    one, two = address_of(1), address_of(0xABC)
    assert remember(store, [one, two.upper().replace("0X", "0x"), one], "leaderboard", NOON) == 2
    assert remember(store, [one, two, address_of(3)], "file", moment(5)) == 1
    note_trades(store, {one: moment(9)})
    assert entry(store, one)["source"] == "leaderboard"
    assert entry(store, one)["first_seen_at"] == NOON
    assert entry(store, two)["address"] == two


def test_who_is_met_in_a_trade_or_a_reading_is_in_the_book_from_then_on(store: Store) -> None:
    note_trades(store, {address_of(1): moment(1)})
    note_reads(store, reads((address_of(2), None, 0, 0.0, moment(2))))
    assert book(store)["source"].to_list() == ["tape", "sweep"]
    assert book(store)["first_seen_at"].to_list() == [moment(1), moment(2)]


@settings(max_examples=12)
@given(minutes=st.lists(st.integers(-500, 500), min_size=1, max_size=6))
def test_the_last_trade_and_the_last_reading_stay_in_whatever_order_they_are_noted(
    minutes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = address_of(1)
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("book"))) as store:
        for minute in minutes:
            note_trades(store, {one: moment(minute)})
            note_reads(store, reads((one, "unified", 2, float(minute), moment(minute))))
        known = entry(store, one)
    assert known["last_traded_at"] == known["last_read_at"] == moment(max(minutes))
    assert known["notional_usd"] == max(minutes)


def test_of_one_account_twice_in_a_batch_the_later_reading_counts(store: Store) -> None:
    one = address_of(1)
    note_reads(store, reads((one, None, 3, 30.0, moment(3)), (one.upper(), None, 1, 10.0, moment(1))))
    assert entry(store, one)["notional_usd"] == 30.0


def test_a_reading_that_did_not_tell_the_mode_leaves_the_known_one_with_its_age(store: Store) -> None:
    one = address_of(1)
    note_reads(store, reads((one, "unified", 1, 5.0, moment(1))))
    note_reads(store, reads((one, None, 1, 6.0, moment(2))))
    known = entry(store, one)
    assert (known["mode"], known["mode_at"]) == ("unified", moment(1))
    assert (known["notional_usd"], known["last_read_at"]) == (6.0, moment(2))


def test_labels_are_put_on_known_accounts_only(store: Store) -> None:
    vault, child = address_of(1), address_of(2)
    remember(store, [vault, child], "vault", NOON)
    label(store, [Label(vault, "vault"), Label(child, "sub-account", vault), Label(address_of(9), "vault")])
    assert book(store)["label"].to_list() == ["vault", "sub-account"]
    assert book(store)["master"].to_list() == [None, vault]


def test_the_yield_of_a_source_counts_what_it_met_first(store: Store) -> None:
    remember(store, [address_of(n) for n in range(4)], "leaderboard", NOON)
    remember(store, [address_of(3), address_of(4)], "file", NOON)
    rows = [(address_of(n), None, n, 100.0 * n, moment(1)) for n in (0, 2, 4)]
    note_reads(store, reads(*rows))
    assert yields(store).rows() == [("leaderboard", 4, 2, 1, 200.0), ("file", 1, 1, 1, 400.0)]


def test_tens_of_thousands_of_addresses_are_written_down_in_a_few_statements(store: Store) -> None:
    """However many they are."""
    everyone = [address_of(7919 * n) for n in range(40_000)]
    frame = pl.DataFrame({"address": everyone}).with_columns(
        pl.lit("unified").alias("mode"),
        pl.lit(1).alias("positions"),
        pl.lit(5.0).alias("notional_usd"),
        pl.lit(NOON).alias("read_at"),
    )
    statements: list[str] = []
    event.listen(
        store.database.engine, "before_cursor_execute", lambda *message: statements.append(str(message[2]))
    )
    assert remember(store, everyone, "leaderboard", NOON) == 40_000
    note_reads(store, frame)
    assert book(store).height == 40_000
    assert 3 <= len(statements) < 30
