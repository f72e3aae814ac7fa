"""A price that is not the exchange's is listed with the reason, and reasons are not confused."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pooled import HOLDINGS, MARKS, META_JSON, NOON, TABLE, TABLES, holdings, sent

from liqtruth.heatmap.words.text import ago
from liqtruth.indexer.audit.mismatch import (
    MISMATCHES,
    REASONS,
    count_reasons,
    mismatches,
)
from liqtruth.indexer.audit.mismatch_report import mismatch_report
from liqtruth.indexer.margin.checks import Checks, check
from liqtruth.indexer.margin.reconcile import implied_collateral_notes, reconcile
from liqtruth.indexer.positions.markets import universe_row
from liqtruth.storage.database.markets import store_universe
from liqtruth.storage.database.tables import Reading, Scope
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.steps import lines_run


def reasons(frame: pl.DataFrame, marks: pl.DataFrame | None = None) -> dict[str, str]:
    found = mismatches(frame, TABLES, marks)
    assert found.schema == pl.Schema(MISMATCHES)
    return dict(found.select("coin", "reason").iter_rows())


class TestWhatIsOne:
    sizes = st.floats(1e-3, 1e4).flatmap(lambda size: st.sampled_from([size, -size]))

    @given(
        st.dictionaries(st.sampled_from(list(MARKS)), sizes, min_size=1),
        st.floats(1.0, 1e6),
        st.sampled_from(["unified", "portfolio", None]),
    )
    def test_prices_that_follow_from_what_was_captured_are_none(
        self, positions: dict[str, float], available: float, mode: str | None
    ) -> None:
        assert reasons(sent(holdings(positions, account_mode=mode, pooled_available_usd=available))) == {}

    @given(st.floats(1.5e-6, 0.5), st.sampled_from([1, -1]))
    def test_any_price_further_off_than_a_millionth_is_one(self, error: float, sign: int) -> None:
        frame = sent(holdings({"BTC": -2.0})).with_columns(pl.col("liq_px_exchange") * (1 + sign * error))
        found = mismatches(frame, TABLES)
        assert found.height == 1
        assert found["relative_error"].item() == pytest.approx(abs(1 / (1 + sign * error) - 1), rel=1e-3)
        assert found["reason"].item() in REASONS

    def test_one_closer_than_a_millionth_is_none(self) -> None:
        frame = sent(holdings({"BTC": -2.0})).with_columns(pl.col("liq_px_exchange") * (1 + 9e-7))
        assert reasons(frame) == {}

    def test_the_last_digit_of_a_tiny_price_is_none(self) -> None:
        """Ten decimals of 0.0000031: half a unit is 1.6e-5 of it."""
        frame = holdings({"WIF": -5_000.0}, mark_px=3e-6, pooled_available_usd=0.002)
        rounded = sent(frame).with_columns(pl.col("liq_px_exchange").round(10))
        assert rounded["liq_px_exchange"].item() != sent(frame)["liq_px_exchange"].item()
        assert reasons(rounded) == {}

    @pytest.mark.parametrize("price", [None, 0.0])
    def test_a_null_where_we_have_a_price_is_one(self, price: float | None) -> None:
        frame = sent(holdings({"BTC": -2.0})).with_columns(liq_px_exchange=pl.lit(price, pl.Float64))
        found = mismatches(frame, TABLES)
        assert found["liq_px_solved"].null_count() == 0
        assert found["relative_error"].null_count() == 1

    def test_a_null_on_both_sides_is_none(self) -> None:
        frame = sent(holdings({"BTC": 1.0}, pooled_available_usd=200_000.0))
        assert frame["liq_px_exchange"].null_count() == 1
        assert reasons(frame) == {}

    def test_a_source_without_the_exchanges_prices_has_none(self) -> None:
        assert reasons(holdings(HOLDINGS, exchange_read=False)) == {}


class TestReasons:
    @pytest.mark.parametrize(
        ("off", "reason"), [(3e-8, "tier_ambiguous"), (9e-7, "tier_ambiguous"), (1e-5, "unexplained")]
    )
    def test_tier_ambiguous_where_another_table_comes_near_but_not_to_the_last_digit(
        self, off: float, reason: str
    ) -> None:
        """Opened flat at 10x; the coin is now in table 51, whose lowest tier says 10x as well."""
        frame = sent(holdings({"INJ": -1_000_000.0}, margin_table_id=10), margin_table_id=None)
        found = mismatches(frame.with_columns(pl.col("liq_px_exchange") * (1 + off)), TABLES)
        assert found["reason"].to_list() == [reason]
        assert found["explaining_table_id"].to_list() == [10 if reason == "tier_ambiguous" else None]

    def test_collateral_unknown_names_what_the_prices_imply(self) -> None:
        frame = sent(
            holdings(HOLDINGS), account_mode=None, pooled_available_usd=None, account_value_usd=9_000.0
        )
        found = mismatches(frame, TABLES)
        assert set(found["reason"]) == {"collateral_unknown"}
        assert found["implied_available_usd"].to_list() == pytest.approx([60_000.0] * 3)
        assert found["captured_available_usd"].to_list() == [9_000.0] * 3
        assert found["implying_prices"].to_list() == [3] * 3

    def test_a_pool_that_was_not_read_is_not_checked_by_a_single_price(self) -> None:
        frame = sent(holdings({"BTC": -2.0}), pooled_available_usd=None)
        assert reasons(frame) == {}
        assert check(frame, TABLES)["check"].to_list() == ["no_collateral"]

    def test_mode_changed_only_where_the_collateral_is_really_another(self) -> None:
        """Half of a ten-thousandth more than was captured is the same collateral, read a moment later."""
        captured = 60_000.0 * (1 - 0.5e-4)
        standard = {"account_mode": "standard", "pooled_available_usd": None, "cross_maintenance_usd": 0.0}
        near = sent(holdings(HOLDINGS), **standard, account_value_usd=captured)
        assert set(reasons(near).values()) == {"unexplained"}
        far = sent(holdings(HOLDINGS), **standard, account_value_usd=60_000.0 * (1 - 3e-4))
        assert set(reasons(far).values()) == {"mode_changed"}

    def test_a_price_that_contradicts_the_accounts_others_differs_and_they_do_not(self) -> None:
        frame = sent(holdings(HOLDINGS), pooled_available_usd=None)
        odd = frame.with_columns(pl.col("liq_px_exchange") * pl.Series([1.0, 1.01, 1.0]))
        found = mismatches(odd, TABLES)
        assert found.select("coin", "reason").rows() == [("ETH", "unexplained")]
        assert found["relative_error"].item() == pytest.approx(1 - 1 / 1.01, rel=1e-6)
        assert check(odd, TABLES)["check"].to_list() == ["agree_others", "differ_others", "agree_others"]

    def test_mode_changed_where_a_standard_accounts_prices_imply_one_pool(self) -> None:
        frame = sent(
            holdings(HOLDINGS), account_mode="standard", pooled_available_usd=None, account_value_usd=9_000.0
        )
        assert set(reasons(frame).values()) == {"mode_changed"}

    def test_mode_changed_where_a_pools_prices_are_those_of_its_dex_alone(self) -> None:
        frame = holdings({"BTC": -2.0}, account_mode="standard", account_value_usd=50_000.0)
        assert reasons(sent(frame, account_mode="unified")) == {"BTC": "mode_changed"}

    def test_a_standard_accounts_single_price_is_unexplained(self) -> None:
        frame = holdings({"BTC": -2.0}, account_mode="standard", account_value_usd=50_000.0)
        assert reasons(sent(frame, account_value_usd=40_000.0)) == {"BTC": "unexplained"}

    def test_prices_that_imply_different_collateral_are_unexplained(self) -> None:
        frame = sent(
            holdings(HOLDINGS), account_mode="standard", pooled_available_usd=None, account_value_usd=9_000.0
        )
        apart = frame.with_columns(pl.col("liq_px_exchange") * pl.Series([1.0, 1.01, 1.02]))
        assert set(reasons(apart).values()) == {"unexplained"}

    def test_an_isolated_price_needs_no_account_to_be_unexplained(self) -> None:
        frame = holdings({"BTC": 1.0}, margin_mode="isolated", isolated_raw_usd=-60_000.0, account_mode=None)
        off = sent(frame).with_columns(pl.col("liq_px_exchange") * 1.001)
        found = mismatches(off, TABLES)
        assert found["reason"].to_list() == ["unexplained"]
        assert found["captured_available_usd"].null_count() == 1

    @pytest.mark.parametrize(("moved", "reason"), [(2e-4, "stale_mark"), (0.5e-4, "unexplained")])
    def test_stale_mark_only_where_marks_moved_enough_to_explain_it(self, moved: float, reason: str) -> None:
        """K is 24 USD behind; 240,000 USD of positions need a move of 1e-4 for that."""
        frame = sent(holdings({"BTC": -2.0, "ETH": 32.0}), pooled_available_usd=60_024.0)
        marks = pl.DataFrame(
            {"dex": "", "coin": ["BTC", "ETH"], "mark_px": [80_000 * (1 + moved), 2_500 * (1 - moved)]}
        )
        assert set(reasons(frame, marks).values()) == {reason}
        found = mismatches(frame, TABLES, marks)
        assert found["drift_usd"].to_list() == pytest.approx([240_000 * moved] * 2)

    def test_other_accounts_marks_of_the_same_moment_tell_how_far_they_moved(self) -> None:
        frame = sent(holdings({"BTC": -2.0}), pooled_available_usd=60_024.0)
        other = sent(holdings({"BTC": 1.0}, address="0xb", mark_px=80_020.0))
        assert reasons(frame) == {"BTC": "unexplained"}
        assert reasons(pl.concat([frame, other])) == {"BTC": "stale_mark"}
        hours = other.with_columns(pl.col("as_of") + pl.duration(hours=3))
        assert reasons(pl.concat([frame, hours])) == {"BTC": "unexplained"}

    def test_an_account_read_whole_in_one_answer_has_no_stale_mark(self) -> None:
        frame = holdings({"BTC": -2.0}, account_mode="standard", account_value_usd=50_000.0)
        marks = pl.DataFrame({"dex": "", "coin": ["BTC"], "mark_px": [80_400.0]})
        off = sent(frame, account_value_usd=50_100.0)
        assert reasons(off, marks) == {"BTC": "unexplained"}

    def test_every_reason_is_counted_most_first(self) -> None:
        frame = sent(
            holdings(HOLDINGS), account_mode=None, pooled_available_usd=None, account_value_usd=9_000.0
        )
        odd = holdings({"BTC": -2.0}, account_mode="standard", account_value_usd=50_000.0, address="0xb")
        counted = count_reasons(mismatches(pl.concat([frame, sent(odd, account_value_usd=4e4)]), TABLES))
        assert list(counted.items()) == [("collateral_unknown", 3), ("unexplained", 1)]


class TestPoolsOverDexes:
    """Dexes that share a collateral token are one pool: one K, and the marks of all of them behind it."""

    def pool(self, available: float, **facts: Any) -> pl.DataFrame:
        main = holdings({"BTC": -2.0, "ETH": 30.0}, pooled_available_usd=available, **facts)
        other = holdings(
            {"INJ": 4_000.0, "WIF": -5_000.0}, pooled_available_usd=available, dex="xyz", **facts
        )
        return pl.concat([main, other])

    @given(st.floats(1_000.0, 60_000.0))
    def test_each_price_is_where_the_whole_pool_has_nothing_left(self, available: float) -> None:
        """The pool by hand: K and what all its positions gain and need less when one mark moves."""
        solved = reconcile(self.pool(available, exchange_read=False), TABLES)
        rate = {"BTC": 0.5 / 40, "ETH": 0.5 / 25, "INJ": 0.5 / 10, "WIF": 0.5 / 5}
        for row in solved.drop_nulls("liq_px_solved").iter_rows(named=True):
            move = row["liq_px_solved"] - row["mark_px"]
            left = available + row["szi"] * move - abs(row["szi"]) * move * rate[row["coin"]]
            assert left == pytest.approx(0.0, abs=1e-9 * max(row["notional_usd"], available))

    def test_prices_of_two_dexes_together_imply_the_pool(self) -> None:
        """One price in each dex would say nothing alone; together they say one K."""
        rows = sent(self.pool(60_000.0)).filter(pl.col("coin").is_in(["BTC", "WIF"]))
        read = reconcile(rows.with_columns(pooled_available_usd=pl.lit(None, pl.Float64)), TABLES)
        assert read["implied_available_usd"].to_list() == pytest.approx([60_000.0] * 2)
        assert sum(note.positions for note in implied_collateral_notes(read)) == 2

    def test_dexes_of_different_collateral_are_different_pools(self) -> None:
        rows = sent(self.pool(60_000.0)).filter(pl.col("coin").is_in(["BTC", "WIF"]))
        apart = {"": TABLE, "xyz": replace(TABLE, collateral_token=360)}
        read = reconcile(rows.with_columns(pooled_available_usd=pl.lit(None, pl.Float64)), apart)
        assert read["implied_available_usd"].null_count() == 2

    def test_marks_of_one_dex_explain_prices_of_the_other(self) -> None:
        frame = sent(self.pool(60_000.0), pooled_available_usd=60_010.0)
        marks = pl.DataFrame({"dex": ["xyz"], "coin": ["INJ"], "mark_px": [10.01]})
        assert set(reasons(frame, marks).values()) == {"stale_mark"}


class TestReport:
    def stored(self, store: Store, frame: pl.DataFrame) -> None:
        store_universe(store.database, universe_row(META_JSON, "", NOON))
        reading = Reading(
            id="r", venue="hyperliquid", source="test", scope=Scope.CENSUS, as_of=NOON, accounts=1,
            positions=frame.height,
        )  # fmt: skip
        store.lake.write_reading(reading, {"positions": reconcile(frame, TABLES)})

    def test_it_counts_all_and_lists_those_that_do_not_fit(self, store: Store) -> None:
        odd = sent(holdings({"INJ": -1_000_000.0}, margin_table_id=10, address="0xb"), margin_table_id=None)
        covered = sent(holdings({"BTC": 1.0}, address="0xc", pooled_available_usd=200_000.0))
        moved = sent(holdings({"BTC": -1.0}, address="0xd"), pooled_available_usd=50_000.0)
        self.stored(store, pl.concat([sent(holdings(HOLDINGS)), odd, covered, moved]))
        report = mismatch_report(store)
        assert (report.positions, report.with_exchange_price, report.solved, report.nulls) == (6, 6, 6, 1)
        assert report.reasons == {"unexplained": 1}
        assert report.checks == Checks(5, 1, 0, {"agree": 4, "agree_table": 1, "differ": 1})
        assert report.worst_fitting is not None
        assert report.worst_fitting < 1e-9
        assert report.share_usd == pytest.approx(80e3 / (160e3 + 75e3 + 5e3 + 1e7 + 80e3 + 80e3))
        [found] = report.mismatches
        assert (found.address, found.explaining_table_id) == ("0xd", None)
        assert any("margin table 10" in note.text for note in report.notes)

    def test_it_says_what_collateral_would_explain(self, store: Store) -> None:
        facts = {"account_mode": None, "pooled_available_usd": None, "account_value_usd": 9_000.0}
        self.stored(store, sent(holdings(HOLDINGS), **facts))
        line = mismatch_report(store).mismatches[0].describe()
        assert "60,000.00 USD available would explain it (9,000.00 captured, 3 prices of the account)" in line

    def test_what_was_not_checked_is_no_agreement(self, store: Store) -> None:
        self.stored(store, sent(holdings({"BTC": -2.0}), pooled_available_usd=None))
        report = mismatch_report(store)
        assert (report.checks, report.solved) == (Checks(0, 0, 1, {"no_collateral": 1}), 0)
        assert f"({ago(report.as_of)})" in report.describe()[0]

    def test_what_was_checked_when_it_was_read_is_reported_where_it_was_something_else(
        self, store: Store
    ) -> None:
        """Stored by tables that did not explain a price, and checked again by those that do."""
        self.stored(store, sent(holdings({"BTC": -2.0})))
        report = mismatch_report(store)
        assert report.stored == report.checks
        assert not any("when they were read" in line for line in report.describe())
        older = replace(report, stored=Checks(0, 1, 0, {"differ": 1}))
        assert (
            "  when they were read, by the margin tables of then: 0 agree, 1 differ, 0 not checked"
            in older.describe()
        )

    def test_of_a_moment_before_anything_was_read_there_is_none(self, store: Store) -> None:
        with pytest.raises(NothingStored, match="no positions are stored yet"):
            mismatch_report(store)
        self.stored(store, sent(holdings(HOLDINGS)))
        with pytest.raises(NothingStored):
            mismatch_report(store, datetime(2026, 9, 5, tzinfo=UTC))


def test_many_positions_are_judged_without_a_loop_over_them() -> None:
    few, many = (lines_run(lambda n=n: judged(n)) for n in (2_000, 20_000))  # type: ignore[misc]
    assert many < 1.5 * few


def judged(n: int) -> None:
    rng = np.random.default_rng(1)
    frame = holdings({"BTC": -2.0}).select(pl.all().gather([0] * n)).with_columns(
        address=pl.Series(rng.integers(0, 60_000, n)).cast(pl.String),
        szi=pl.Series(rng.normal(0, 2, n)),
    )  # fmt: skip
    frame = frame.with_columns(notional_usd=pl.col("szi").abs() * pl.col("mark_px"))
    off = sent(frame).with_columns(pl.col("liq_px_exchange") * pl.Series(1 + 1e-3 * rng.integers(0, 2, n)))
    found = mismatches(off, TABLES)
    assert n / 5 < found.height < n
