"""The view of a command: the same rows as the store's, each file opened once, and what was found handed on."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake import read_once
from liqtruth.storage.store import Store
from tests.read_budget import counted_reads

START = datetime(2026, 8, 1, tzinfo=UTC)
SCHEMA = {"ts": pl.Datetime("ms", "UTC"), "value": pl.Float64()}
SERIES = ("candles", "bybit", "SOL")
HOURS = 96

moments = st.none() | st.integers(-30, HOURS + 30).map(lambda hour: START + timedelta(hours=hour, minutes=7))


@pytest.fixture
def opened(store: Store) -> Store:
    """Four days of hours."""
    rows = pl.DataFrame(
        {
            "ts": [START + timedelta(hours=hour) for hour in range(HOURS)],
            "value": [float(n) for n in range(HOURS)],
        },
        schema=SCHEMA,
    )
    store.lake.merge_series(*SERIES, rows, ("ts",), "a test")
    return store


@pytest.fixture
def files() -> Iterator[list[Path]]:
    """Every opening of a file."""
    with counted_reads() as reads:
        yield reads.opened


def read(store: Store, start: datetime | None = None, end: datetime | None = None) -> pl.DataFrame:
    return store.lake.read_series(*SERIES, SCHEMA, start, end)


def test_windows_of_a_series_have_the_rows_of_the_store_and_open_each_file_once(
    opened: Store, files: list[Path]
) -> None:
    view = opened.view()

    @settings(max_examples=30)
    @given(moments, moments)
    def same(start: datetime | None, end: datetime | None) -> None:
        before = len(files)
        found = read(view, start, end)
        new = files[before:]
        assert not {*new} & {*files[:before]}
        assert found.equals(read(opened, start, end))
        del files[before + len(new) :]

    same()


def test_it_opens_only_what_is_asked_for(opened: Store, files: list[Path]) -> None:
    view = opened.view()
    read(view, START + timedelta(hours=25), START + timedelta(hours=30))
    assert len(files) == 1
    read(view, START + timedelta(hours=20))
    assert len(files) == 4


def test_it_shows_what_was_stored_when_it_looked_and_a_new_one_what_came_since(opened: Store) -> None:
    view = opened.view()
    before = read(view)
    later = pl.DataFrame({"ts": [START + timedelta(days=9)], "value": [1.0]}, schema=SCHEMA)
    opened.lake.merge_series(*SERIES, later, ("ts",), "another")
    assert read(view).equals(before)
    assert view.lake.series_sources(*SERIES) == ["a test"]
    assert read(opened.view()).height == HOURS + 1
    assert opened.view().lake.series_sources(*SERIES) == ["a test", "another"]


def test_a_file_that_was_replaced_before_it_was_opened_is_looked_up_again(opened: Store) -> None:
    view = opened.view()
    read(view, START + timedelta(days=3))
    changed = pl.DataFrame({"ts": [START], "value": [-1.0]}, schema=SCHEMA)
    opened.lake.merge_series(*SERIES, changed, ("ts",), "a test")
    assert read(view)["value"][0] == -1.0


def test_a_damaged_file_is_reported_each_time(opened: Store, files: list[Path]) -> None:
    read(opened)
    files[0].write_bytes(b"no table")
    view = opened.view()
    for _ in range(2):
        with pytest.raises(FileDamaged, match="is damaged"):
            read(view)


def test_what_is_kept_is_bounded(opened: Store, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_once, "MOST_BYTES", 1)
    view = opened.view()
    first, again = read(view), read(view)
    assert first.equals(again)
    assert len(files) == 7, "the last day is kept, the three before it are read again"
    read(view, START + timedelta(days=3, hours=1))
    assert len(files) == 8


@pytest.mark.parametrize(("seen", "asked"), [(lambda store: store.view(), 1), (lambda store: store, 2)])
def test_a_view_asks_once_and_a_store_each_time(
    opened: Store, seen: Callable[[Store], Store], asked: int
) -> None:
    calls = []

    def counted(store: Store, coin: str, *, most: int = 1) -> list[str]:
        calls.append(coin)
        return [coin] * most

    store = seen(opened)
    assert [store.once(counted, "SOL", most=2) for _ in range(2)] == [["SOL", "SOL"]] * 2
    assert len(calls) == asked
    store.once(counted, "SOL")
    assert len(calls) == asked + 1


def test_a_view_of_a_view_is_the_same(opened: Store) -> None:
    view = opened.view()
    assert view.view() is view
