"""Positions that other people's services export, through `index import` as it is typed."""

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from liqtruth.indexer.files.imports import ImportSummary, import_paths
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.store import Settings, Store
from tests.conftest import Run
from tests.indexer import provider_tables as tables
from tests.indexer.info_endpoint import btc, state
from tests.indexer.provider_tables import AT, HOLDINGS, MARK, coinglass_page, coinglass_row

Import = Callable[..., dict[str, Any]]


@pytest.fixture
def importing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """`index import` of a file with this content: its summary as JSON, with its notes as they are, or the text of its
    error where `code` is not 0."""
    done_so_far: list[ImportSummary] = []

    def recording(*given: Any, **options: Any) -> list[ImportSummary]:
        done_so_far[:] = import_paths(*given, **options)
        return done_so_far

    monkeypatch.setattr("liqtruth.indexer.files.imports.import_paths", recording)

    def enter(content: object, *words: str, name: str = "positions.txt", code: int = 0) -> Any:
        path = tmp_path / name
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (AT.timestamp(), AT.timestamp()))
        done = run("index", "import", str(path), *words, "--json", code=code)
        return done.stderr if code else {**json.loads(done.stdout)[0], "notes": done_so_far[0].notes}

    return enter


@pytest.fixture
def known(tmp_path: Path) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        with Store.open(Settings(data_dir=tmp_path / "data")) as store:
            return positions_as_of(store, None, "BTC").sort("address")

    return read


Known = Callable[[], pl.DataFrame]


def codes(summary: dict[str, Any]) -> list[str]:
    return [one.code for one in summary["notes"]]


def values_of(summary: dict[str, Any], code: str) -> dict[str, Any]:
    return next(dict(one.values) for one in summary["notes"] if one.code == code)


def assert_holdings(found: pl.DataFrame) -> None:
    """That every position is there with its own size, prices, leverage and margin mode."""
    columns = (
        "address",
        "szi",
        "entry_px",
        "mark_px",
        "notional_usd",
        "liq_px_exchange",
        "leverage",
        "margin_mode",
    )
    assert found.select(columns).rows() == [
        (one.address, one.szi, one.entry_px, MARK, one.value, one.liq_px, one.leverage, one.margin_mode)
        for one in HOLDINGS
    ]
    assert found["exchange_read"].all()


# ------------------------------------------------------------------------------------- HyperTracker


def test_hypertrackers_csv_keeps_sides_leverages_margin_modes_and_opening_times(
    importing: Import, known: Known
) -> None:
    summary = importing(tables.hypertracker())
    assert (summary["layout"], summary["positions"], summary["unpriced"]) == ("HyperTracker", 4, 1)
    found = known()
    assert_holdings(found)
    assert found["held_since"].to_list() == [one.opened for one in HOLDINGS]
    assert found["unrealized_pnl_usd"].to_list() == [one.pnl for one in HOLDINGS]


def test_hypertrackers_csv_is_of_the_files_time_and_what_it_lacks_is_stated_once(
    importing: Import, known: Known
) -> None:
    summary = importing(tables.hypertracker())
    assert summary["first"] == summary["last"] == "2026-08-21T11:00:00Z"
    assert codes(summary).count("layout_lacks") == codes(summary).count("dated_by_file") == 1
    assert values_of(summary, "layout_lacks")["names"] == (
        "time of reading", "mark", "account value", "account mode")  # fmt: skip
    importing(tables.hypertracker(), "--as-of", "2026-08-22T09:00Z")
    assert known()["as_of"].unique().to_list() == [datetime(2026, 8, 22, 9, tzinfo=UTC)]
    by_name = importing(tables.hypertracker(), name="btc-2026-08-23T1000Z.csv")
    assert by_name["last"] == "2026-08-23T10:00:00Z"


def test_two_leverages_or_none_leave_the_margin_mode_unknown(importing: Import, known: Known) -> None:
    summary = importing(tables.hypertracker(isolatedLeverage=10))
    assert values_of(summary, "margin_modes_unclear") == {"count": 1}
    assert known().select("leverage", "margin_mode").rows()[:2] == [(None, None), (10.0, "isolated")]
    importing(tables.hypertracker(crossLeverage=0, isolatedLeverage=7))
    assert known().select("leverage", "margin_mode").row(0) == (7.0, "isolated")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"side": "up"}, "column 'side': 'up' is no side"),
        ({"size": -2.0}, "column 'size': -2.0 is negative beside a side that is long"),
        ({"openTime": "1999-01-01T00:00:00Z"}, "column 'openTime': '1999-01-01T00:00:00Z' is not a time"),
        ({"value": ""}, "column 'value': None is missing"),
    ],
)
def test_a_cell_that_cannot_be_is_refused_by_the_providers_own_column(
    importing: Import, changed: dict[str, Any], message: str
) -> None:
    assert f"row 1, {message}" in importing(tables.hypertracker(**changed), code=2)


def test_an_opening_time_may_be_empty_and_after_the_reading_it_is_left_out(
    importing: Import, known: Known
) -> None:
    importing(tables.hypertracker(openTime=""))
    assert known()["held_since"].is_null().to_list() == [True, False, False, False]
    summary = importing(tables.hypertracker(openTime="2026-09-01T00:00:00Z"))
    assert "openTime 2026-09-01T00:00Z" in values_of(summary, "cells_contradict")["where"]
    assert known()["held_since"].is_null().to_list() == [True, False, False, False]
    before = importing(tables.hypertracker(), "--as-of", "2026-08-01T00:00Z", code=2)
    assert "opened after it was read in 4 of 4 rows" in before


# ---------------------------------------------------------------------------------------- hl-liqmap


def test_a_scan_of_hl_liqmap_takes_coin_mark_and_moment_from_its_first_line(
    importing: Import, known: Known
) -> None:
    summary = importing(tables.packed_scan(), name="scan.csv.gz")
    assert (summary["layout"], summary["coins"], summary["readings"]) == ("hl-liqmap scan", ["BTC"], 1)
    found = known()
    assert_holdings(found)
    assert found["as_of"].unique().to_list() == [AT]
    assert found["account_value_usd"].unique().to_list() == [10_000.0]
    assert values_of(summary, "layout_lacks")["names"] == ("account mode", "opening time")
    assert values_of(summary, "columns_not_used")["names"] == ("#scanned", "#elapsed_s")


@pytest.mark.parametrize(
    ("changed", "left", "code"),
    [
        ({}, 3, None),
        ({"mode": "top"}, 4, "scan_in_part"),
        ({"stated": 9}, 4, "rows_stated"),
    ],
)
def test_only_a_whole_scan_of_mode_full_is_a_census(
    importing: Import, known: Known, changed: dict[str, Any], left: int, code: str | None
) -> None:
    importing(tables.hypertracker(), "--as-of", "2026-08-21T10:00Z")
    summary = importing(tables.liqmap_scan(HOLDINGS[:3], **changed))
    assert known().height == left, "a census takes away who is not in it"
    assert [one for one in codes(summary) if one in ("scan_in_part", "rows_stated")] == (
        [code] if code else []
    )
    importing(tables.liqmap_scan(HOLDINGS[:2], **changed), "--census")
    assert known().height == 2, "--census decides"


def test_a_fault_in_a_scan_is_named_by_its_line_in_the_file(importing: Import) -> None:
    cut = tables.liqmap_scan().rstrip("\n").rpartition(",")[0]
    assert "line 6 has 7 cells" in importing(cut, code=2)
    moved = tables.liqmap_scan().replace("2026-08-21T11", "2036-08-21T11")
    assert "column '#ts': '2036-08-21T11:00:00+00:00' is not a time" in importing(moved, code=2)


def test_a_scan_of_another_coin_must_be_given_its_coin(importing: Import) -> None:
    other = tables.liqmap_scan().replace("btc_positions", "eth_positions")
    assert "no column for coin" in importing(other, code=2)
    given = (
        "--columns",
        "coin=:ETH,as_of=#ts,mark_px=#px,liq_px=liq,margin_mode=margin,unrealized_pnl_usd=pnl",
    )
    assert importing(other, *given)["coins"] == ["ETH"]


# ---------------------------------------------------------------------------------------- Coinglass


COINGLASS = {
    "one page": json.dumps(coinglass_page(tables.coinglass_list())),
    "pages as lines": tables.lines(tables.coinglass_pages()),
    "pages in a list": json.dumps(tables.coinglass_pages()),
    "a list": json.dumps(tables.coinglass_list()),
    "a list in an answer": json.dumps({"code": "0", "msg": "success", "data": tables.coinglass_list()}),
    "rows as lines": tables.lines(tables.coinglass_list()),
}


@pytest.mark.parametrize("shape", COINGLASS)
def test_positions_of_coinglass_are_read_from_every_shape(
    importing: Import, known: Known, shape: str
) -> None:
    summary = importing(COINGLASS[shape])
    assert (summary["layout"], summary["positions"]) == ("Coinglass Hyperliquid positions", 4)
    found = known()
    assert_holdings(found)
    assert found["held_since"].to_list() == [one.opened for one in HOLDINGS]
    assert found["as_of"].dt.second().to_list() == [one.number for one in HOLDINGS]
    assert values_of(summary, "layout_lacks")["names"] == ("account value", "account mode")


@pytest.mark.parametrize(
    ("content", "left", "code"),
    [
        (COINGLASS["pages as lines"], 4, None),
        (tables.lines(tables.coinglass_pages()[:1]), 5, "pages_missing"),
        (COINGLASS["a list"], 5, "pages_not_numbered"),
    ],
)
def test_all_pages_are_a_census_and_anything_less_a_reading_of_accounts(
    importing: Import, known: Known, content: str, left: int, code: str | None
) -> None:
    gone = replace(HOLDINGS[0], number=9)
    importing(tables.hypertracker((*HOLDINGS, gone)), "--as-of", "2026-08-21T10:00Z")
    summary = importing(content)
    assert known().height == left
    assert [one for one in codes(summary) if one.startswith("pages_")] == ([code] if code else [])
    assert ("one_coin_of_accounts" in codes(summary)) == (code is not None)


def test_a_position_on_two_pages_counts_once_as_last_seen(importing: Import, known: Known) -> None:
    first, second = tables.coinglass_pages()
    second["data"]["list"].append(coinglass_row(replace(HOLDINGS[1], szi=-3.0), 30))
    summary = importing([first, second])
    assert values_of(summary, "positions_again") == {"count": 1}
    assert known()["szi"].to_list() == [2.0, -3.0, 0.5, -0.25]


def test_numbers_as_text_and_times_in_seconds_are_the_same_positions(importing: Import, known: Known) -> None:
    rows = [
        {
            name: cell // 1000 if name.endswith("_time") else str(cell) if isinstance(cell, float) else cell
            for name, cell in row.items()
        }
        for row in tables.coinglass_list()
    ]
    importing(coinglass_page(rows))
    assert_holdings(known())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"code": "40001", "msg": "API key missing."}, "got an error (code '40001'): 'API key missing.'"),
        ({"code": "0", "msg": "success", "data": []}, "it has no rows"),
        (coinglass_page([]), "it has no rows"),
        (tables.lines([coinglass_page([], 1, 2), coinglass_page([], 2, 2)]), "its pages have no rows"),
        (
            tables.lines([tables.coinglass_pages()[0], {"code": "40003", "msg": "too many requests"}]),
            "line 2 must be a page of rows like the first",
        ),
        (tables.whale_alerts(), "Coinglass whale alerts: what was opened and closed"),
        (
            coinglass_page([coinglass_row(one, position_action=2) for one in HOLDINGS]),
            "Coinglass whale alerts: what was opened and closed",
        ),
        (
            coinglass_page(
                [coinglass_row(one, position_size=abs(one.szi), unrealized_pnl=None) for one in HOLDINGS]
            ),
            "2 of 3 positions (",
        ),
        (
            coinglass_page([coinglass_row(one, margin_mode="portfolio") for one in HOLDINGS]),
            "column 'margin_mode': 'portfolio' is neither cross nor isolated",
        ),
    ],
)
def test_what_is_no_list_of_positions_is_refused_with_its_reason(
    importing: Import, content: object, message: str
) -> None:
    assert message in importing(content, code=2)


# --------------------------------------------------------------------------------- ccxt, batch answers


def test_positions_saved_from_ccxt_need_their_account(importing: Import, known: Known) -> None:
    content = tables.ccxt_positions()
    assert "ccxt positions have no address; give it: --columns address=:VALUE" in importing(content, code=2)
    summary = importing(content, "--columns", f"address=:{HOLDINGS[0].address}")
    assert (summary["layout"], summary["coins"], summary["accounts"]) == ("ccxt positions", ["BTC"], 1)
    found = known()
    assert found.select("address", "szi", "leverage", "margin_mode").row(0) == (
        HOLDINGS[0].address, 2.0, 20.0, "cross"
    )  # fmt: skip


def test_what_the_python_sdk_printed_is_the_answer_itself(importing: Import, known: Known) -> None:
    holding = HOLDINGS[0]
    answer = state(btc(holding.szi, 45_000.0))
    summary = importing(repr(answer), "--address", holding.address)
    assert (summary["layout"], summary["accounts"]) == ("clearinghouseState", 1)
    printed = known().drop("source", "reading_id")
    assert printed.select("address", "szi", "liq_px_exchange").row(0) == (holding.address, 2.0, 45_000.0)
    importing(answer, "--address", holding.address)
    assert known().drop("source", "reading_id").equals(printed)
    assert importing(repr({holding.address: answer}))["layout"] == "JSON of answers"


@pytest.mark.parametrize(
    "content",
    ["{'a': __import__('os')}", "{'a': [" + "[" * 5_000, "{'a': {1, 2}}", "{'assetPositions': nan}"],
)
def test_what_python_printed_of_something_else_is_refused(importing: Import, content: str) -> None:
    assert "broken JSON" in importing(content, code=2)


def test_a_table_of_the_sandbox_stays_synthetic_in_any_layout(importing: Import, known: Known) -> None:
    header, *rows = tables.hypertracker().splitlines()
    importing("\n".join([f"{header},source", *(f"{row},synthetic: the sandbox" for row in rows)]))
    assert known()["source"].str.starts_with("synthetic").all()


def test_packed_or_not_a_scan_is_the_same(importing: Import, known: Known) -> None:
    importing(tables.liqmap_scan())
    plain = known().drop("source", "reading_id")
    importing(gzip.compress(tables.liqmap_scan().encode()))
    assert known().drop("source", "reading_id").equals(plain)
