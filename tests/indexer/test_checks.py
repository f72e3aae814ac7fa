"""Agree, differ or not checked, and why not: what was compared with nothing is never agreement."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pooled import HOLDINGS, MARKS, TABLES, holdings, sent

from liqtruth.indexer.frames import POSITIONS
from liqtruth.indexer.margin.checks import AGREE, DIFFER, NOT_CHECKED, Checks, words_of
from liqtruth.indexer.margin.reconcile import reconcile

BTC = {"BTC": -2.0}
FORGOTTEN = ("account_mode", "margin_mode", "pooled_available_usd", "account_value_usd", "max_leverage")
ISOLATED = {"margin_mode": "isolated", "isolated_raw_usd": 170_000.0}
LACKING: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "agree"),
    "the exchange's price": ({"exchange_read": False}, "no_exchange_price"),
    "a margin mode": ({"margin_mode": None}, "no_margin_mode"),
    "tables of its dex": ({"dex": "flx"}, "no_margin_tables"),
    "a table of its coin": ({"coin": "NEW", "max_leverage": 7.0}, "no_table_id"),
    "its cash leg": ({**ISOLATED, "isolated_raw_usd": None}, "no_cash_leg"),
    "nothing, isolated": (ISOLATED, "agree"),
    "its pool": ({"pooled_available_usd": None}, "no_collateral"),
    "its mode and equity": (
        {"account_mode": None, "pooled_available_usd": None, "account_value_usd": None},
        "no_collateral",
    ),
    "a mark": ({"mark_px": None, "notional_usd": None}, "no_mark"),
}


def checked(frame: pl.DataFrame) -> list[str]:
    return reconcile(frame, TABLES)["check"].to_list()


def made(code_facts: dict[str, Any]) -> dict[str, Any]:
    """What the price is made of: of an isolated position its cash leg."""
    return ISOLATED if code_facts.get("margin_mode") == "isolated" else {}


@pytest.mark.parametrize("price", ["sent", "null"])
@pytest.mark.parametrize("lacking", LACKING)
def test_a_position_that_lacks_something_is_not_checked_and_what_is_reported(
    lacking: str, price: str
) -> None:
    facts, code = LACKING[lacking]
    frame = sent(holdings(BTC, **made(facts)), **facts)
    if price == "null":
        frame = frame.with_columns(liq_px_exchange=pl.lit(None, pl.Float64))
        code = "differ" if code == "agree" else code
    assert checked(frame) == [code]


@given(
    st.dictionaries(
        st.sampled_from(list(MARKS)), st.floats(-500, 500).filter(lambda q: abs(q) > 0.01), min_size=1
    ),
    st.sets(
        st.sampled_from(
            ["account_mode", "margin_mode", "pooled_available_usd", "account_value_usd", "max_leverage"]
        )
    ),
    st.floats(1e3, 1e6),
)
def test_nothing_is_called_agreement_without_a_price_of_ours_beside_the_exchanges(
    positions: dict[str, float], forgotten: set[str], available: float
) -> None:
    frame = sent(holdings(positions, pooled_available_usd=available), **dict.fromkeys(forgotten))
    rows = reconcile(frame, TABLES)
    codes = rows.filter(pl.col("check").is_in(["agree", "agree_table"]))
    solved = codes["liq_px_solved"].is_null() == codes["liq_px_exchange"].is_null()
    assert solved.all()
    assert set(rows["check"]) <= {*AGREE, *DIFFER, *NOT_CHECKED}
    counted = Checks.of(rows)
    assert counted.agree + counted.differ + counted.not_checked == rows.height


def test_without_any_table_none_of_many_positions_agrees() -> None:
    counts = Checks.of(reconcile(sent(holdings(HOLDINGS)), {}))
    assert counts == Checks(0, 0, 3, {"no_margin_tables": 3})
    assert str(counts) == "0 agree, 0 differ, 3 not checked (3 no margin tables)"


def test_other_prices_of_the_account_check_each_where_no_collateral_was_captured() -> None:
    frame = sent(holdings(HOLDINGS), pooled_available_usd=None)
    assert checked(frame) == ["agree_others"] * 3
    odd = frame.with_columns(pl.col("liq_px_exchange") * pl.Series([1.0, 1.0, 1 + 2e-6]))
    assert checked(odd) == ["agree_others", "agree_others", "differ_others"]
    never = frame.with_columns(liq_px_exchange=pl.when(pl.col("coin") != "WIF").then("liq_px_exchange"))
    assert checked(never) == ["agree_others", "agree_others", "differ_others"]
    two = frame.filter(pl.col("coin") != "WIF").with_columns(
        pl.col("liq_px_exchange") * pl.Series([1.0, 1.01])
    )
    assert checked(two) == ["no_collateral"] * 2


def test_no_price_of_ours_is_made_of_what_others_imply() -> None:
    rows = reconcile(sent(holdings(HOLDINGS), pooled_available_usd=None), TABLES)
    assert rows["liq_px_solved"].null_count() == 3
    assert rows["liq_px"].equals(rows["liq_px_exchange"].rename("liq_px"))


def test_rows_of_an_earlier_version_are_recognised_by_their_status() -> None:
    rows = pl.DataFrame(
        {"exchange_read": [True, True, True, False], "status": ["agree", "differs", "never", "solved_only"]}
    ).with_columns(check=pl.lit(None, pl.String))
    assert Checks.of(rows).codes == {"agree": 1, "differ": 1, "no_exchange_price": 1, "not_recorded": 1}


def test_every_code_has_its_verdict_in_words() -> None:
    message = {code: words_of(code) for code in (*AGREE, *DIFFER, *NOT_CHECKED)}
    assert message["agree"] == "agree"
    assert message["no_cash_leg"] == "not checked: no cash leg"
    assert len(set(message.values())) == len(message)


def test_the_verdict_survives_reconciling_again() -> None:
    frame = sent(holdings({**HOLDINGS, "INJ": -1_000_000.0}), pooled_available_usd=6e4 + 1)
    once = reconcile(frame, TABLES)
    assert reconcile(once, TABLES).equals(once)
    assert once.columns == list(POSITIONS)
