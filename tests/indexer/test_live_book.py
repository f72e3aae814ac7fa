"""The live book is the latest reading of everyone, moved on by marks, funding and the tape."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, from_columns
from liqtruth.indexer.info.wire import Asset, Meta
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.readings import Readings, positions_as_of
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.storage.store import Store

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
META = Meta(
    universe=[
        Asset(name=name, sz_decimals=2, max_leverage=20, margin_table_id=20) for name in ("BTC", "ETH")
    ],
    margin_tables=[],
)
MARKS = pl.DataFrame(
    {"dex": "", "coin": ["BTC", "ETH"], "mark_px": [100.0, 10.0], "funding_rate": [0.01, 0.0]}
)


def read(address: str, minutes: float, **holdings: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Isolated positions, each with cash for a liquidation price, as a reading stores them."""
    at = NOON + timedelta(minutes=minutes)
    accounts = from_columns(
        {"address": [address], "dex": [""], "as_of": [at], "positions": [len(holdings)]}, ACCOUNTS
    )
    marks = dict(MARKS.select("coin", "mark_px").iter_rows())
    positions = from_columns(
        {
            "address": [address] * len(holdings),
            "dex": [""] * len(holdings),
            "coin": list(holdings),
            "szi": list(holdings.values()),
            "mark_px": [marks[coin] for coin in holdings],
            "notional_usd": [abs(szi) * marks[coin] for coin, szi in holdings.items()],
            "margin_mode": ["isolated"] * len(holdings),
            "isolated_raw_usd": [-0.8 * szi * marks[coin] for coin, szi in holdings.items()],
            "max_leverage": [20.0] * len(holdings),
            "exchange_read": [False] * len(holdings),
            "as_of": [at] * len(holdings),
        },
        POSITIONS,
    )
    return accounts, positions


@pytest.fixture
def book() -> LiveBook:
    made = LiveBook(tables={"": MarginTables.from_meta(META)})
    made.lay_over(*read("0xa", 0, BTC=1.0, ETH=2.0))
    made.lay_over(*read("0xb", 1, BTC=-1.0))
    return made


def sizes(book: LiveBook) -> dict[tuple[str, str], float]:
    return {
        (address, coin): szi
        for address, coin, szi in book.positions.select("address", "coin", "szi").iter_rows()
    }


def changes(*rows: tuple[str, str, float]) -> pl.DataFrame:
    schema = {"address": pl.String, "dex": pl.String, "coin": pl.String, "szi": pl.Float64}
    return pl.DataFrame(
        [(address, "", coin, szi) for address, coin, szi in rows], schema=schema, orient="row"
    )


def test_a_reading_replaces_all_that_was_known_of_its_account(book: LiveBook) -> None:
    book.lay_over(*read("0xa", 5, ETH=3.0))
    assert sizes(book) == {("0xa", "ETH"): 3.0, ("0xb", "BTC"): -1.0}
    book.lay_over(*read("0xb", 6))
    assert sizes(book) == {("0xa", "ETH"): 3.0}
    assert book.accounts.height == 2, "who holds nothing is still known"


def test_an_account_read_twice_at_one_moment_holds_each_position_once(book: LiveBook) -> None:
    """As batches hold it where the exchange's clock stood still between two reads."""
    twice = [
        pl.concat(frames) for frames in zip(read("0xc", 5, BTC=1.0), read("0xc", 5, BTC=2.0), strict=True)
    ]
    book.lay_over(*twice)
    assert sizes(book) == {
        ("0xa", "BTC"): 1.0,
        ("0xa", "ETH"): 2.0,
        ("0xb", "BTC"): -1.0,
        ("0xc", "BTC"): 2.0,
    }
    assert book.positions.height == 4


def test_what_the_tape_closed_leaves_at_once(book: LiveBook) -> None:
    book.resize(changes(("0xa", "BTC", 0.0)), MARKS, NOON)
    assert sizes(book) == {("0xa", "ETH"): 2.0, ("0xb", "BTC"): -1.0}


def test_what_the_tape_resized_keeps_the_last_price_but_is_no_longer_checked(book: LiveBook) -> None:
    before = book.positions.filter(address="0xa", coin="BTC")["liq_px"][0]
    book.resize(changes(("0xa", "BTC", 3.0)), MARKS, NOON)
    row = book.positions.filter(address="0xa", coin="BTC").row(0, named=True)
    assert (row["szi"], row["notional_usd"], row["liq_px"]) == (3.0, 300.0, before)
    assert row["status"] == "exchange_only"


@pytest.mark.parametrize("change", [("0xa", "BTC", -1.0), ("0xc", "ETH", 5.0)])
def test_a_position_that_nobody_read_has_no_price(book: LiveBook, change: tuple[str, str, float]) -> None:
    book.resize(changes(change), MARKS, NOON)
    row = book.positions.filter(address=change[0], coin=change[1]).row(0, named=True)
    assert row["liq_px"] is None
    assert row["status"] == "unknown_collateral"
    assert row["notional_usd"] == pytest.approx(abs(change[2]) * (100 if change[1] == "BTC" else 10))


def test_only_who_was_read_before_the_hour_pays_for_it(book: LiveBook) -> None:
    cash = dict(book.positions.filter(coin="BTC").select("address", "isolated_raw_usd").iter_rows())
    book.pay_funding(MARKS, NOON + timedelta(seconds=30))
    paid = dict(book.positions.filter(coin="BTC").select("address", "isolated_raw_usd").iter_rows())
    assert paid["0xa"] == pytest.approx(cash["0xa"] - 1.0)
    assert paid["0xb"] == cash["0xb"]


def test_a_stored_book_is_taken_up_whole(book: LiveBook, store: Store) -> None:
    book.lay_over(*read("0xc", 2))
    book.write(store, NOON + timedelta(minutes=10), "test")
    again = LiveBook.load(store)
    assert sizes(again) == sizes(book)
    assert sorted(again.accounts["address"]) == ["0xa", "0xb", "0xc"]
    assert Readings(store).accounts()["as_of"].max() == NOON + timedelta(minutes=2)
    assert positions_as_of(store, coin="BTC")["age_s"].to_list() != []


def test_marks_move_prices_that_follow_them(book: LiveBook) -> None:
    moved = MARKS.with_columns(mark_px=pl.col("mark_px") * 1.1)
    before = book.positions.sort("address", "coin")
    book.remark(moved)
    after = book.positions.sort("address", "coin")
    assert after["mark_px"].to_list() == pytest.approx((before["mark_px"] * 1.1).to_list())
    assert after["liq_px"].to_list() == pytest.approx(before["liq_px"].to_list()), (
        "isolated cash did not move"
    )


def test_an_empty_data_directory_gives_an_empty_book(store: Store) -> None:
    assert LiveBook.load(store).accounts.is_empty()
