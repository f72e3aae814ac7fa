"""Sizes follow the tape between reads, whatever the order in which trades and reads arrive."""

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, from_columns
from liqtruth.indexer.info.wire import Trade, decode_recent_trades
from liqtruth.indexer.watch.crawl_queue import CrawlQueue, dex_of

A, B, C = ("0x" + digit * 40 for digit in "abc")
START_S = 1_788_000_000


def traded(
    number: int, size: float = 1.0, buyer: str = A, seller: str = B, coin: str = "BTC", px: float = 100.0
) -> Trade:
    row = {
        "coin": coin, "side": "B", "px": "100.0", "sz": str(size), "time": 1000 * (START_S + number),
        "hash": "0x0", "tid": number, "users": [buyer, seller],
    }  # fmt: skip
    return decode_recent_trades(msgspec.json.encode([row]), "here")[0]


def read(
    crawl_queue: CrawlQueue,
    at: float,
    holdings: dict[str, float],
    address: str = A,
    mode: str | None = "standard",
) -> None:
    """A reading of the main dex at `START_S + at`; liquidation at half the mark of 100."""
    when = pl.Series([1000 * (START_S + at)]).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    accounts = from_columns({"address": [address], "dex": [""], "account_mode": ["standard"]}, ACCOUNTS)
    accounts = accounts.with_columns(as_of=when)
    rows = len(holdings)
    positions = from_columns(
        {
            "address": [address] * rows,
            "dex": [""] * rows,
            "coin": list(holdings),
            "szi": list(holdings.values()),
            "mark_px": [100.0] * rows,
            "liq_px": [50.0] * rows,
            "notional_usd": [abs(szi) * 100 for szi in holdings.values()],
        },
        POSITIONS,
    )
    crawl_queue.note_reads(accounts, positions)


def sizes(crawl_queue: CrawlQueue, address: str, dex: str = "") -> dict[str, float]:
    """What the account is taken to hold now, by coin."""
    names = list(crawl_queue.coins)
    rows = zip(*crawl_queue.sizes.open_positions(), strict=True)
    return {names[coin]: szi for row, coin, szi in rows if crawl_queue.pairs[row] == (address, dex)}


def dirty_since(crawl_queue: CrawlQueue, *addresses: str) -> list[float]:
    return [float(crawl_queue.sizes.dirty_since_s[crawl_queue.rows[(address, "")]]) for address in addresses]


def test_a_trade_moves_both_sides_at_once_and_makes_both_dirty() -> None:
    crawl_queue = CrawlQueue()
    crawl_queue.note_trades([traded(1, 2.0)])
    assert (sizes(crawl_queue, A), sizes(crawl_queue, B)) == ({"BTC": 2.0}, {"BTC": -2.0})
    assert dirty_since(crawl_queue, A, B) == [START_S + 1] * 2
    assert crawl_queue.sizes.size_usd.tolist() == [200.0, 200.0]


def test_a_coin_of_a_builder_dex_is_another_pair() -> None:
    crawl_queue = CrawlQueue()
    crawl_queue.note_trades([traded(1, coin="xyz:TSLA")])
    assert crawl_queue.pairs == [(A, "xyz"), (B, "xyz")]
    assert dex_of("BTC") == ""


def test_a_reading_counts_and_later_trades_are_laid_over_it() -> None:
    crawl_queue = CrawlQueue()
    crawl_queue.note_trades([traded(1, 2.0), traded(5, 1.0), traded(6, 0.5, buyer=B, seller=A)])
    read(crawl_queue, 5, {"BTC": 10.0})
    assert sizes(crawl_queue, A) == {"BTC": 9.5}, "only the trade after the reading is not in it"
    assert crawl_queue.sizes.traded_usd[crawl_queue.rows[(A, "")]] == 50.0


def test_a_trade_that_the_reading_contained_changes_nothing_when_it_arrives_late() -> None:
    crawl_queue = CrawlQueue()
    read(crawl_queue, 10, {"BTC": 10.0})
    crawl_queue.note_trades([traded(9, 3.0)])
    assert sizes(crawl_queue, A) == {"BTC": 10.0}
    assert np.isnan(dirty_since(crawl_queue, A)[0])


def test_a_position_that_was_closed_is_off_at_once_and_named_as_changed() -> None:
    crawl_queue = CrawlQueue()
    read(crawl_queue, 1, {"BTC": 2.0, "ETH": 1.0})
    crawl_queue.note_trades([traded(2, 2.0, buyer=B, seller=A)])
    changes = crawl_queue.take_changes().filter(pl.col("address") == A)
    assert changes.select("coin", "szi").rows() == [("BTC", 0.0)]
    assert crawl_queue.take_changes().is_empty()


@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.sampled_from([-2.0, -1.0, 0.5, 3.0]), st.booleans()),
        max_size=30,
        unique_by=lambda step: step[0],
    ),
    st.integers(0, 31),
    st.randoms(),
)
def test_sizes_do_not_depend_on_the_order_of_arrival(
    steps: list[tuple[int, float, bool]], read_at: int, random: object
) -> None:
    """The truth at the end is the reading plus every trade after it; trades and reading arrive shuffled."""
    expected = 7.0 + sum(change for number, change, _ in steps if number > read_at)
    crawl_queue = CrawlQueue()
    events: list[tuple[int, float, bool] | None] = [*steps, None]
    random.shuffle(events)  # type: ignore[attr-defined]
    for event in events:
        if event is None:
            read(crawl_queue, read_at, {"BTC": 7.0})
        else:
            number, change, _ = event
            buyer, seller = (A, B) if change > 0 else (B, A)
            crawl_queue.note_trades([traded(number, abs(change), buyer, seller)])
    assert sizes(crawl_queue, A).get("BTC", 0.0) == pytest.approx(expected)


def test_an_older_reading_does_not_undo_a_newer_one() -> None:
    crawl_queue = CrawlQueue()
    read(crawl_queue, 10, {"BTC": 10.0})
    read(crawl_queue, 5, {"BTC": 3.0})
    assert sizes(crawl_queue, A) == {"BTC": 10.0}


def test_after_a_gap_everyone_read_before_is_suspect() -> None:
    crawl_queue = CrawlQueue()
    read(crawl_queue, 1, {"BTC": 1.0})
    read(crawl_queue, 1, {}, address=C)
    crawl_queue.note_gap(START_S + 5.0, START_S + 9.0)
    assert dirty_since(crawl_queue, A, C) == [START_S + 5.0] * 2


def test_who_is_being_read_is_not_chosen_again_and_who_failed_waits() -> None:
    crawl_queue = CrawlQueue()
    hints = {"address": [A], "account_value_usd": [1e6], "day_pnl_usd": [5e3], "week_volume_usd": [1e7]}
    crawl_queue.add([(A, ""), (B, "")], pl.DataFrame(hints))
    assert crawl_queue.next(4, START_S)[0] == (A, ""), (
        "an account that is worth more is expected to hold more"
    )
    assert crawl_queue.next(100, START_S) == [(B, "")]
    assert crawl_queue.next(100, START_S) == []
    crawl_queue.note_failure((A, ""), again_s=START_S + 60)
    assert crawl_queue.next(100, START_S + 59) == []
    assert crawl_queue.next(100, START_S + 60) == [(A, "")]


def test_large_dirty_accounts_come_before_small_clean_ones() -> None:
    crawl_queue = CrawlQueue()
    for address, size in ((A, 100.0), (B, 1.0), (C, 100.0)):
        read(crawl_queue, 1, {"BTC": size}, address=address)
    crawl_queue.note_trades([traded(2, 90.0, buyer="0x" + "d" * 40, seller=A)])
    read(crawl_queue, 2, {"BTC": 90.0}, address="0x" + "d" * 40)
    assert crawl_queue.next(2, START_S + 3)[0] == (A, "")


def test_a_thousand_pairs_more_than_planned_find_their_place() -> None:
    crawl_queue = CrawlQueue()
    pairs = [(f"0x{number:040x}", "") for number in range(3000)]
    assert crawl_queue.add(pairs) == 3000
    assert crawl_queue.add(pairs) == 0
    assert np.isnan(crawl_queue.sizes.read_s).all()
    assert len(crawl_queue.next(8000, START_S)) == 2000


def test_a_reading_older_than_a_trade_that_was_passed_on_already_passes_it_on_again() -> None:
    """The book took the trade over, then the older reading: it must hear of the trade once more."""
    crawl_queue = CrawlQueue()
    crawl_queue.note_trades([traded(9, 2.0)])
    crawl_queue.take_changes()
    read(crawl_queue, 5, {"BTC": 10.0})
    assert crawl_queue.take_changes().rows() == [(A, "", "BTC", 12.0)]


def test_what_rounding_leaves_of_a_closed_position_is_nothing() -> None:
    crawl_queue = CrawlQueue()
    crawl_queue.note_trades([traded(1, 0.1), traded(2, 0.2), traded(3, 0.3, buyer=B, seller=A)])
    assert crawl_queue.take_changes()["szi"].to_list() == [0.0, 0.0]
