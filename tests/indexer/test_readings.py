"""What is known as of a moment: the last census, the accounts read since, and nothing from later."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from liqtruth.heatmap.words.notes import texts
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.frames import OF_COINS, POSITIONS, conform
from liqtruth.indexer.positions.catalogue import check_coin, known_coins
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import KNOWN, Readings, positions_as_of
from liqtruth.storage.database.markets import store_markets
from liqtruth.storage.database.tables import Market, Reading, Scope
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store

START = datetime(2026, 8, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hour: float) -> datetime:
    return START + hour * HOUR


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def holdings(address: str, szi: float, hour: float, coin: str = "BTC", dex: str = "") -> dict[str, object]:
    return {
        "address": address, "dex": dex, "coin": coin, "szi": szi, "mark_px": 100.0 + hour,
        "notional_usd": abs(szi) * (100.0 + hour), "as_of": at(hour), "source": "test",
    }  # fmt: skip


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    return conform(pl.DataFrame(rows), POSITIONS) if rows else pl.DataFrame(schema=dict(POSITIONS))


def write(store: Store, name: str, scope: Scope, hour: float, frames: dict[str, pl.DataFrame]) -> None:
    reading = Reading(
        id=name, venue=VENUE, source="test", scope=scope, as_of=at(hour), accounts=1, positions=1
    )
    store.lake.write_reading(reading, frames)


def census(store: Store, hour: float, *rows: dict[str, object], name: str = "") -> None:
    write(store, name or f"census-{hour}", Scope.CENSUS, hour, {"positions": frame(list(rows))})


def accounts(
    store: Store, read: dict[str, float], *rows: dict[str, object], dex: str = "", coins: str | None = None
) -> None:
    """A reading of single accounts, whole or of ` SOME COINS `: address to the hour at which it was read."""
    last = max(read.values())
    listed = pl.DataFrame({"address": list(read), "dex": dex, "as_of": [at(hour) for hour in read.values()]})
    listed = listed.with_columns(coins=pl.lit(coins, pl.String))
    frames = {"positions": frame(list(rows)), "accounts": conform(listed, OF_COINS)}
    write(store, f"accounts-{last}-{'-'.join(read)}-{coins}", Scope.ACCOUNTS, last, frames)


def market_and_notes(
    store: Store, coin: str, moment: datetime | None = None
) -> tuple[Market | None, tuple[str, ...]]:
    check_coin(store, coin)
    readings = Readings(store, coin, [moment])
    market, notes = readings.market(coin, readings.known(moment), moment)
    return market, tuple(texts(notes))


def market_known(store: Store, coin: str, moment: datetime | None = None) -> Market | None:
    return market_and_notes(store, coin, moment)[0]


def sizes(store: Store, hour: float | None = None, coin: str | None = "BTC") -> dict[str, float]:
    known = positions_as_of(store, None if hour is None else at(hour), coin)
    return dict(known.select("address", "szi").sort("address").iter_rows())


def market(store: Store, hour: float, mark_px: float, open_interest: float = 10.0, coin: str = "BTC") -> None:
    row = Market(venue=VENUE, dex="", coin=coin, as_of=at(hour), mark_px=mark_px, open_interest=open_interest)
    store_markets(store.database, [row])


# ----------------------------------------------------------------------------------------- positions


def test_a_census_replaces_the_one_before(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1), holdings("b", 2.0, 1))
    census(store, 2, holdings("b", 3.0, 2))
    assert sizes(store, 1) == {"a": 1.0, "b": 2.0}
    assert sizes(store, 1.9) == {"a": 1.0, "b": 2.0}
    assert sizes(store) == sizes(store, 2) == {"b": 3.0}


def test_an_account_read_later_replaces_its_own_rows_only(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1), holdings("b", 2.0, 1))
    accounts(store, {"b": 2}, holdings("b", -9.0, 2))
    assert sizes(store, 1.5) == {"a": 1.0, "b": 2.0}
    assert sizes(store, 2) == {"a": 1.0, "b": -9.0}


def test_an_account_read_later_without_the_coin_holds_it_no_more(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1), holdings("b", 2.0, 1))
    accounts(store, {"b": 2}, holdings("b", 5.0, 2, coin="ETH"))
    assert sizes(store) == {"a": 1.0}
    assert sizes(store, coin="ETH") == {"b": 5.0}


def test_an_account_read_before_the_census_is_superseded(store: Store) -> None:
    accounts(store, {"b": 1}, holdings("b", 5.0, 1))
    assert sizes(store) == {"b": 5.0}
    census(store, 2, holdings("a", 1.0, 2))
    assert sizes(store) == {"a": 1.0}


def test_a_census_of_one_coin_says_nothing_of_another(store: Store) -> None:
    accounts(store, {"b": 1}, holdings("b", 5.0, 1, coin="ETH"))
    census(store, 2, holdings("a", 1.0, 2))
    assert sizes(store, coin="ETH") == {"b": 5.0}


def test_a_dex_read_later_says_nothing_of_another_dex(store: Store) -> None:
    accounts(store, {"a": 1}, holdings("a", 1.0, 1))
    accounts(store, {"a": 2}, holdings("a", 7.0, 2, coin="xyz:TSLA", dex="xyz"), dex="xyz")
    assert sizes(store) == {"a": 1.0}
    assert sizes(store, coin="xyz:TSLA") == {"a": 7.0}


def test_a_sweep_under_way_counts_with_the_accounts_it_had_read(store: Store) -> None:
    accounts(store, {"a": 1, "b": 1}, holdings("a", 1.0, 1), holdings("b", 2.0, 1))
    accounts(store, {"a": 2, "b": 3}, holdings("a", 10.0, 2), holdings("b", 20.0, 3))
    assert sizes(store, 2.5) == {"a": 10.0, "b": 2.0}


def test_all_coins_are_read_each_by_its_own_readings(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    census(store, 2, holdings("c", 4.0, 2, coin="ETH"))
    assert sizes(store, coin=None) == {"a": 1.0, "c": 4.0}
    assert known_coins(store) == ["BTC", "ETH"]


def test_age_is_counted_from_the_moment_asked_for(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    accounts(store, {"b": 2}, holdings("b", 1.0, 2))
    assert positions_as_of(store, at(3), "BTC").sort("address")["age_s"].to_list() == [7200.0, 3600.0]
    assert positions_as_of(store, None, "BTC").sort("address")["age_s"].to_list() == [3600.0, 0.0]


def test_before_the_first_reading_nothing_is_known(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    known = positions_as_of(store, at(0.5), "BTC")
    assert known.is_empty()
    assert dict(known.schema) == KNOWN


def test_an_unknown_coin_is_refused_with_those_near_it(store: Store) -> None:
    with pytest.raises(NothingStored, match="index import"):
        positions_as_of(store, None, "BTC")
    census(store, 1, holdings("a", 1.0, 1), holdings("a", 1.0, 1, coin="kPEPE"))
    with pytest.raises(UnknownCoin, match=r"'pepe'.*kPEPE"):
        positions_as_of(store, None, "pepe")
    with pytest.raises(UnknownCoin, match=r"'btc'.*BTC") as caught:
        market_known(store, "btc")
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownCoin, match=r"'ZZZZ' is stored; stored are BTC, kPEPE"):
        positions_as_of(store, None, "ZZZZ")


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([Scope.CENSUS, Scope.ACCOUNTS]),
            st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.0, 1.0, -2.0]), min_size=1),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 5),
)
def test_any_history_is_as_if_replayed_in_order(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[Scope, dict[str, float]]], asked: int
) -> None:
    """The store against a dictionary: a census clears it, an account replaces its own entry."""
    expected: dict[str, float] = {}
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("replay"))) as store:
        census(store, -1, holdings("z", 1.0, -1), name="first")
        expected["z"] = 1.0
        for hour, (scope, wanted) in enumerate(history):
            rows = [holdings(who, szi, hour) for who, szi in wanted.items() if szi]
            if scope is Scope.ACCOUNTS:
                accounts(store, dict.fromkeys(wanted, float(hour)), *rows)
            elif rows:
                census(store, hour, *rows)
            if hour <= asked and (rows or scope is Scope.ACCOUNTS):
                kept = {} if scope is Scope.CENSUS else {w: s for w, s in expected.items() if w not in wanted}
                expected = {**kept, **{who: szi for who, szi in wanted.items() if szi}}
        assert sizes(store, asked) == expected


LOOKS = {"whole": ("BTC", "ETH"), "btc": ("BTC",), "eth": ("ETH",)}
HELD = st.fixed_dictionaries({"BTC": st.sampled_from([0.0, 1.0]), "ETH": st.sampled_from([0.0, -2.0])})


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*LOOKS, "census"]), st.dictionaries(st.sampled_from("ab"), HELD, min_size=1)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_reading_of_some_coins_replaces_those_coins_of_its_accounts_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, dict[str, dict[str, float]]]]
) -> None:
    expected = {("a", "BTC"): 5.0, ("b", "ETH"): 6.0, ("c", "BTC"): 7.0, ("c", "ETH"): 8.0}
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("coins"))) as store:
        census(store, -1, *(holdings(who, szi, -1, coin) for (who, coin), szi in expected.items()))
        for hour, (kind, read) in enumerate(history):
            looked = LOOKS.get(kind, ("BTC",))
            of = {(who, coin): held[coin] for who, held in read.items() for coin in looked}
            rows = [holdings(who, szi, hour, coin) for (who, coin), szi in of.items() if szi]
            if kind == "census":
                if not rows:
                    continue
                census(store, hour, *rows)
                expected = {key: szi for key, szi in expected.items() if key[1] != "BTC"}
            else:
                coins = None if kind == "whole" else f" {looked[0]} "
                accounts(store, dict.fromkeys(read, float(hour)), *rows, coins=coins)
            expected = {key: szi for key, szi in (expected | of).items() if szi}
        every = positions_as_of(store).select("address", "coin", "szi").iter_rows()
        assert {(who, coin): szi for who, coin, szi in every} == expected
        for coin in ("BTC", "ETH"):
            assert sizes(store, None, coin) == {who: szi for (who, of), szi in expected.items() if of == coin}


# ------------------------------------------------------------------------------------------- markets


def test_the_market_of_the_same_moment_goes_before_a_later_one(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    market(store, 1, 100.0)
    market(store, 1.5, 105.0)
    found = market_known(store, "BTC", at(2))
    assert found is not None
    assert (found.mark_px, found.as_of) == (100.0, at(1))


def test_a_market_later_than_the_moment_is_never_used(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1))
    market(store, 3, 130.0)
    assert market_known(store, "BTC", at(2)) is None
    found = market_known(store, "BTC")
    assert found is not None
    assert found.mark_px == 130.0


def test_without_a_market_of_its_moment_a_census_gives_the_mark_itself(store: Store) -> None:
    market(store, 1, 100.0, open_interest=55.0)
    census(store, 4, holdings("a", 1.0, 4), holdings("b", 1.0, 4))
    found, notes = market_and_notes(store, "BTC", at(5))
    assert found is not None
    assert (found.mark_px, found.open_interest, found.as_of) == (104.0, 55.0, at(1))
    assert "median of the positions' own" in notes[0]
    assert "3.0 h older" in notes[0]


def test_the_market_read_as_a_sweep_began_stands_for_all_of_it(store: Store) -> None:
    market(store, 1, 100.0)
    accounts(store, {"a": 1, "b": 2.5}, holdings("b", 1.0, 2.5))
    found, notes = market_and_notes(store, "BTC")
    assert found is not None
    assert found.mark_px == 100.0
    (note,) = notes
    assert "1.5 h older" in note


@pytest.mark.parametrize(("minutes", "reported"), [(0.5, ()), (4.9, ()), (9.0, ("9 min older",))])
def test_a_mark_that_is_minutes_older_than_its_positions_says_so(
    store: Store, minutes: float, reported: tuple[str, ...]
) -> None:
    market(store, 1, 100.0)
    later = 1 + minutes / 60
    accounts(store, {"a": 1, "b": later}, holdings("a", 1.0, 1), holdings("b", 1.0, later))
    _, notes = market_and_notes(store, "BTC")
    assert len(notes) == len(reported)
    assert all(words in note for words, note in zip(reported, notes, strict=True))


def test_a_coin_with_a_market_and_no_positions_is_known(store: Store) -> None:
    market(store, 1, 100.0)
    assert positions_as_of(store, None, "BTC").is_empty()
    found = market_known(store, "BTC")
    assert found is not None
    assert found.mark_px == 100.0


# --------------------------------------------------------------------------------------------- books


def book(store: Store, hour: float, *rows: dict[str, object]) -> None:
    write(store, f"book-{hour}", Scope.BOOK, hour, {"positions": frame(list(rows))})


def test_a_book_replaces_every_earlier_reading_of_every_coin(store: Store) -> None:
    census(store, 1, holdings("a", 1.0, 1), holdings("b", 2.0, 1))
    accounts(store, {"c": 2}, holdings("c", 3.0, 2, coin="ETH"))
    book(store, 3, holdings("a", 4.0, 2.5))
    assert sizes(store) == {"a": 4.0}
    assert sizes(store, coin="ETH") == {}, "whoever had it has closed, or the book would have it"
    assert sizes(store, 2) == {"a": 1.0, "b": 2.0}
    assert sizes(store, 2, coin="ETH") == {"c": 3.0}


def test_what_is_read_after_a_book_is_laid_over_it(store: Store) -> None:
    book(store, 3, holdings("a", 4.0, 2.5), holdings("b", 5.0, 1))
    accounts(store, {"a": 4}, holdings("a", 6.0, 4))
    assert sizes(store) == {"a": 6.0, "b": 5.0}
    census(store, 5, holdings("z", 1.0, 5))
    assert sizes(store) == {"z": 1.0}


def test_a_row_of_a_book_keeps_the_moment_at_which_it_was_read(store: Store) -> None:
    book(store, 3, holdings("a", 4.0, 2.5), holdings("b", 5.0, 1))
    ages = dict(positions_as_of(store, at(4), "BTC").select("address", "age_s").iter_rows())
    assert ages == {"a": 1.5 * 3600, "b": 3 * 3600}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Scope)),
            st.dictionaries(
                st.tuples(st.sampled_from("abc"), st.sampled_from(["BTC", "ETH", "SOL"])),
                st.sampled_from([1.0, -2.0]),
                min_size=1,
            ),
        ),
        min_size=1,
        max_size=5,
    ),
    st.one_of(st.none(), st.integers(0, 5)),
)
def test_all_coins_at_once_are_each_coin_on_its_own(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[Scope, dict[tuple[str, str], float]]],
    asked: int | None,
) -> None:
    moment = None if asked is None else at(asked)
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("all"))) as store:
        for hour, (scope, wanted) in enumerate(history):
            rows = [holdings(who, szi, hour, coin=coin) for (who, coin), szi in wanted.items()]
            if scope is Scope.ACCOUNTS:
                accounts(store, {who: float(hour) for who, _ in wanted}, *rows)
            else:
                write(store, f"{scope}-{hour}", scope, hour, {"positions": frame(rows)})
        together = positions_as_of(store, moment)
        apart = [positions_as_of(store, moment, coin) for coin in known_coins(store)]
        assert_frame_equal(together.drop("age_s"), pl.concat(apart).drop("age_s"))
