"""A table is adopted where the exchange's price shows it to the last digit, and remembered; chance makes none fit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pooled import META_JSON, NOON, TABLES, holdings, sent

from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.margin.inferred import adopted_tables, with_remembered_tables
from liqtruth.indexer.margin.reconcile import reconcile, remark
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.markets import stored_tables, universe_row
from liqtruth.storage.database.markets import store_universe, universes_at
from liqtruth.storage.store import Store

META = wire.decode_meta(META_JSON, "test")
LOWERED = {"WIF": 4_000_000.0}
"""Its meta says 5x; the position says 10x and follows table 51, whose second tier is reached."""
OF_51 = {"max_leverage": 10.0, "margin_table_id": 51, "pooled_available_usd": 1e6}


def adopted(frame: pl.DataFrame) -> list[tuple[str, int | None, int | None]]:
    return reconcile(frame, TABLES).select("check", "margin_table_id", "tables_matching").rows()


def test_a_lowered_maximum_is_no_flat_table_where_the_price_says_another() -> None:
    assert adopted(sent(holdings(LOWERED, **OF_51), margin_table_id=None)) == [("agree_table", 51, 1)]


def test_a_flat_table_is_one_of_them() -> None:
    """Opened flat at 10x; the coin is now in table 51, whose lowest tier says 10x as well."""
    frame = sent(holdings({"INJ": -1_000_000.0}, margin_table_id=10), margin_table_id=None)
    assert adopted(frame) == [("agree_table", 10, 1)]


def test_the_listed_table_goes_before_all_that_fit_as_well() -> None:
    """Below 3 million flat 10x and table 51 are the same."""
    assert adopted(sent(holdings({"INJ": -1_000.0}))) == [("agree", None, None)]


@pytest.mark.parametrize(("coin", "size"), [("WIF", 4e6), ("BTC", -2.0), ("INJ", -1e6)])
def test_it_is_found_without_the_maximum_leverage(coin: str, size: float) -> None:
    known: dict[str, dict[str, Any]] = {"BTC": {}, "WIF": OF_51, "INJ": {"margin_table_id": 10}}
    frame = sent(holdings({coin: size}, **known[coin]), margin_table_id=None, max_leverage=None)
    [(check, table, _)] = adopted(frame)
    assert (check, table) == ({"BTC": "agree"}.get(coin, "agree_table"), {"WIF": 51, "INJ": 10}.get(coin))


def test_a_coin_that_meta_does_not_list_is_tried_too() -> None:
    frame = sent(holdings({"BTC": -2.0})).with_columns(coin=pl.lit("NEW"))
    assert adopted(frame) == [("agree_table", 40, 2)], "flat 40x, and table 56 below its second tier"


def test_a_table_that_the_source_carries_is_kept() -> None:
    frame = sent(holdings(LOWERED, **OF_51), margin_table_id=5)
    assert adopted(frame) == [("differ", 5, None)]


@given(st.floats(2e-7, 0.3), st.sampled_from([1, -1]), st.sampled_from(["BTC", "ETH", "WIF", "INJ"]))
def test_a_price_that_follows_from_other_collateral_is_not_explained_by_trying_tables(
    error: float, sign: int, coin: str
) -> None:
    """Also where every table may be tried: a near miss is a miss."""
    sizes = {"BTC": -20.0, "ETH": 600.0, "WIF": -2e6, "INJ": 1e6}
    frame = sent(holdings({coin: sizes[coin]}, pooled_available_usd=5e5), max_leverage=None)
    off = frame.with_columns(pl.col("liq_px_exchange") * (1 + sign * error))
    near_a_table = reconcile(off, TABLES)["tables_matching"].drop_nulls()
    every_table = pl.concat(
        frame.with_columns(margin_table_id=pl.lit(table, pl.Int64), address=pl.lit(f"0x{table}"))
        for table in (5, 10, 25, 40, 51, 55, 56)
    )
    exact = reconcile(every_table, TABLES)["liq_px_solved"].to_list()
    sent_px = off["liq_px_exchange"].item()
    assert near_a_table.is_empty() or any(px and abs(px / sent_px - 1) < 1e-7 for px in exact)


def test_dust_whose_last_digit_is_coarser_than_any_table_adopts_none() -> None:
    frame = holdings({"WIF": 1.0}, max_leverage=10.0, pooled_available_usd=0.3)
    off = sent(frame).with_columns(pl.col("liq_px_exchange").round(2))
    assert reconcile(off, TABLES)["tables_matching"].null_count() == 1


def test_prices_of_the_account_choose_a_table_where_no_collateral_was_captured() -> None:
    three = holdings(
        {"BTC": -2.0, "ETH": -30.0, "WIF": 4e6}, max_leverage=[40.0, 25.0, 10.0], pooled_available_usd=1e6
    )
    frame = sent(
        three.with_columns(margin_table_id=pl.Series([None, None, 51])),
        margin_table_id=None,
        pooled_available_usd=None,
    )
    rows = reconcile(frame, TABLES)
    assert rows["check"].to_list() == ["agree_others"] * 3
    assert rows["margin_table_id"].to_list() == [None, None, 51]


def test_what_was_adopted_is_remembered_where_no_price_tells() -> None:
    first = reconcile(sent(holdings(LOWERED, **OF_51), margin_table_id=None), TABLES)
    later = holdings(LOWERED, max_leverage=10.0, pooled_available_usd=9e5, exchange_read=False)
    forgetful = reconcile(later, TABLES)
    knowing = reconcile(with_remembered_tables(later, first), TABLES)
    reported = reconcile(later.with_columns(margin_table_id=pl.lit(51, pl.Int64)), TABLES)
    assert knowing["liq_px"].item() == pytest.approx(reported["liq_px"].item(), rel=1e-12)
    assert knowing["liq_px"].item() != pytest.approx(forgetful["liq_px"].item(), rel=1e-6)
    turned = with_remembered_tables(later.with_columns(szi=-pl.col("szi")), first)
    assert turned["margin_table_id"].null_count() == 1


def test_the_listed_table_is_taken_back_once_the_price_follows_it() -> None:
    first = reconcile(sent(holdings(LOWERED, **OF_51), margin_table_id=None), TABLES)
    reopened = sent(holdings(LOWERED, pooled_available_usd=1e6))
    rows = reconcile(with_remembered_tables(reopened, first), TABLES)
    assert rows.select("check", "margin_table_id", "tables_matching").rows() == [("agree", None, None)]


def test_prices_follow_newer_marks_by_the_adopted_table() -> None:
    first = reconcile(sent(holdings(LOWERED, **OF_51), margin_table_id=None), TABLES)
    marks = pl.DataFrame({"dex": "", "coin": ["WIF"], "mark_px": [1.1]})
    moved = remark(first, marks, TABLES)
    gained = 1e6 + 4e5 - (0.1 * 4.4e6 - 150_000 - (0.1 * 4e6 - 150_000))
    again = holdings(LOWERED, **{**OF_51, "pooled_available_usd": gained}, mark_px=1.1, exchange_read=False)
    assert moved["liq_px"].item() == pytest.approx(reconcile(again, TABLES)["liq_px"].item(), rel=1e-9)


def test_adopted_tables_are_reported_with_how_many_would_have_done() -> None:
    frame = sent(holdings({"BTC": -2.0})).with_columns(coin=pl.lit("NEW"))
    [message] = adopted_tables(reconcile(frame, TABLES))
    assert (message.coin, message.table_id, message.positions, message.matching) == ("NEW", 40, 1, 2)
    assert message.note.values["others"] == 1


class TestDated:
    """An account is solved with the tables of its moment."""

    JULY = datetime(2026, 7, 1, tzinfo=UTC)

    def old_meta(self) -> wire.Meta:
        """In July WIF was in table 51."""
        listed = [wire.Asset(a.name, a.sz_decimals, 10, 51) if a.name == "WIF" else a for a in META.universe]
        return wire.Meta(listed, META.margin_tables, META.collateral_token)

    def tables(self) -> MarginTables:
        return MarginTables.from_metas([(self.JULY, self.old_meta()), (NOON, META)])

    def frame(self, at: datetime) -> pl.DataFrame:
        facts = {**OF_51, "max_leverage": 10.0}
        return sent(holdings(LOWERED, **facts, as_of=at), margin_table_id=None, max_leverage=None)

    @pytest.mark.parametrize(
        ("at", "code"),
        [
            (JULY - timedelta(days=9), "agree"),
            (JULY, "agree"),
            (NOON - timedelta(milliseconds=1), "agree"),
            (NOON, "agree_table"),
            (NOON + timedelta(days=9), "agree_table"),
        ],
    )
    def test_the_table_is_the_one_listed_when_the_position_was_read(self, at: datetime, code: str) -> None:
        assert reconcile(self.frame(at), {"": self.tables()})["check"].to_list() == [code]

    def test_one_frame_may_hold_several_moments(self) -> None:
        both = pl.concat([self.frame(NOON), self.frame(self.JULY).with_columns(address=pl.lit("0xb"))])
        assert Checks.of(reconcile(both, {"": self.tables()})).codes == {"agree": 1, "agree_table": 1}

    def test_a_table_that_is_no_longer_listed_is_still_known(self) -> None:
        without = wire.Meta(META.universe, [one for one in META.margin_tables if one[0] != 51])
        tables = MarginTables.from_metas([(self.JULY, self.old_meta()), (NOON, without)])
        assert reconcile(self.frame(NOON), {"": tables})["margin_table_id"].to_list() == [51]

    def test_only_tables_of_the_moments_are_read_and_what_repeats_is_read_once(self, store: Store) -> None:
        import msgspec

        old = msgspec.json.encode(self.old_meta())
        for day in range(6):
            meta = old if day < 3 else META_JSON
            store_universe(store.database, universe_row(meta, "", self.JULY + timedelta(days=day)))
        days = [self.JULY + timedelta(days=day, hours=1) for day in (-5, 0, 1, 4)]
        found = universes_at(store.database, "hyperliquid", [""], days)[""]
        assert [row.as_of for row in found] == [self.JULY, self.JULY + timedelta(days=4)]
        tables, notes = stored_tables(store, ["", "xyz"], days)
        assert set(tables) == {""}
        assert notes[0].values["later"]
        assert universes_at(store.database, "hyperliquid", ["flx"], days) == {"flx": []}
