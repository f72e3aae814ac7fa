"""A table tells whether it lists everyone at its moments, or accounts each as of its own time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from info_endpoint import address_of

from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.files.tables.table_readings import lists_everyone, with_times_of_accounts
from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.store import Store

START = datetime(2026, 8, 21, tzinfo=UTC)
Look = tuple[int, float, str]
"""Account, minutes since the start, coin."""


def rows(looks: list[Look]) -> pl.DataFrame:
    columns = {
        "address": [address_of(number) for number, _, _ in looks],
        "dex": [""] * len(looks),
        "coin": [coin for _, _, coin in looks],
        "as_of": [START + timedelta(minutes=minute) for _, minute, _ in looks],
        "szi": [1.0] * len(looks),
    }
    return conform(pl.DataFrame(columns), POSITIONS)


@pytest.mark.parametrize(
    ("looks", "is_census"),
    [
        pytest.param([(n, 0, "BTC") for n in range(50)], True, id="one moment"),
        pytest.param([(1, 0, "BTC")], True, id="one row"),
        pytest.param([(n, n, "BTC") for n in range(50)], False, id="each account its own time"),
        pytest.param(
            [(n, n, coin) for n in range(50) for coin in ("BTC", "ETH")], False, id="with two coins each"
        ),
        pytest.param([(n // 3, n, f"C{n % 3}") for n in range(60)], False, id="each row its own time"),
        pytest.param([(n, n // 10, "BTC") for n in range(100)], False, id="ten accounts at a time"),
        pytest.param([(n % 50, n, "BTC") for n in range(200)], False, id="accounts one by one, four times"),
        pytest.param([(n % 100, n // 10, "BTC") for n in range(400)], False, id="ten at a time, four times"),
        pytest.param([(1, n, "BTC") for n in range(20)], False, id="one account over time"),
        pytest.param(
            [(n, t, "BTC") for t in range(19) for n in range(80) if (n + t) % 9], True, id="snapshots"
        ),
        pytest.param(
            [(n + 20 * t, t, "BTC") for t in range(30) for n in range(80)], True, id="with turnover"
        ),
        pytest.param([(n, t, "BTC") for t in range(2) for n in range(3 - t)], True, id="one left"),
    ],
)
def test_what_a_table_is_taken_for(looks: list[Look], is_census: bool) -> None:
    assert lists_everyone(rows(looks)) is is_census


@given(st.dictionaries(st.integers(1, 30), st.floats(0, 600), min_size=2), st.randoms())
def test_accounts_with_times_of_their_own_are_all_kept(times: dict[int, float], random: object) -> None:
    looks = [(number, minute, "BTC") for number, minute in times.items()]
    frame = rows(looks)
    if frame["as_of"].n_unique() > 1:
        assert not lists_everyone(frame)
    assert with_times_of_accounts(frame)[0].equals(frame)


def test_rows_of_one_account_with_several_times_are_as_of_its_latest() -> None:
    frame, notes = with_times_of_accounts(rows([(1, 0, "BTC"), (1, 1, "ETH"), (2, 5, "BTC")]))
    assert frame["as_of"].to_list() == [START + timedelta(minutes=m) for m in (1, 1, 5)]
    assert len(notes) == 1
    log = rows([(1, 0, "BTC"), (1, 1, "BTC")])
    assert with_times_of_accounts(log) == (log, [])


def written(path: Path, looks: list[Look]) -> Path:
    table = rows(looks).select("address", "coin", "szi", "as_of").with_columns(mark=pl.lit(50_000.0))
    table.write_csv(path)
    return path


def test_fifty_accounts_each_with_its_own_time_are_fifty_accounts(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", [(n, n, "BTC") for n in range(50)])
    summary = import_paths(store, [path])[0]
    assert (summary.accounts, summary.readings) == (50, 1)
    assert positions_as_of(store).height == 50
    assert positions_as_of(store, START + timedelta(minutes=9)).height == 10, "whoever was read by then"


def test_later_readings_of_an_account_replace_its_coins_of_the_table_and_no_other(
    store: Store, tmp_path: Path
) -> None:
    """A table of ETH shows nothing of BTC; one of both coins shows that an account has no BTC any more."""
    import_paths(store, [written(tmp_path / "p.csv", [(n, n, "BTC") for n in range(5)])])
    import_paths(store, [written(tmp_path / "q.csv", [(n, 60 + n, "ETH") for n in range(2)])])
    assert sorted(positions_as_of(store)["coin"]) == ["BTC"] * 5 + ["ETH"] * 2
    import_paths(store, [written(tmp_path / "r.csv", [(0, 90, "ETH"), (1, 91, "BTC")])])
    known = positions_as_of(store).filter(pl.col("address").is_in([address_of(0), address_of(1)]))
    assert set(known.select("address", "coin").iter_rows()) == {
        (address_of(0), "ETH"),
        (address_of(1), "BTC"),
    }


@pytest.mark.parametrize(("census", "known"), [(True, 1), (False, 3), (None, 3)])
def test_the_option_decides_where_it_is_given(
    store: Store, tmp_path: Path, census: bool | None, known: int
) -> None:
    path = written(tmp_path / "p.csv", [(n, n, "BTC") for n in range(3)])
    import_paths(store, [path], census=census)
    assert positions_as_of(store).height == known


def test_one_moment_as_accounts_says_nothing_of_others(store: Store, tmp_path: Path) -> None:
    import_paths(store, [written(tmp_path / "p.csv", [(1, 0, "BTC"), (2, 0, "BTC")])])
    import_paths(store, [written(tmp_path / "q.csv", [(3, 1, "BTC"), (4, 1, "BTC")])], census=False)
    assert positions_as_of(store).height == 4
