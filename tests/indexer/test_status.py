"""Status says how much is known, how old it is, and nothing that is not known."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.indexer.audit.status import age_shares, describe_watch, status_of
from liqtruth.indexer.positions.watch_state import WatchState, read_state, state_path, write_state
from liqtruth.storage.store import Store

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def aged(rows: list[tuple[int, float]]) -> pl.DataFrame:
    """Positions by age (s) and notional."""
    return pl.DataFrame(
        {
            "as_of": [NOON - timedelta(seconds=age) for age, _ in rows],
            "notional_usd": [usd for _, usd in rows],
        },
        schema={"as_of": pl.Datetime("ms", "UTC"), "notional_usd": pl.Float64},
    )


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.01, 1e6)), min_size=1, max_size=40))
def test_at_least_the_share_was_read_within_its_age_and_less_within_any_shorter_one(
    rows: list[tuple[int, float]],
) -> None:
    total = sum(usd for _, usd in rows)
    for share, age_s in age_shares(aged(rows), NOON).items():
        wanted = float(share.removesuffix(" %")) / 100
        within = sum(usd for age, usd in rows if age <= age_s)
        before = sum(usd for age, usd in rows if age < age_s)
        assert within >= wanted * total * (1 - 1e-9)
        assert before <= wanted * total * (1 + 1e-9)


def test_without_notional_there_are_no_ages() -> None:
    assert age_shares(aged([]), NOON) == {}


def test_an_empty_data_directory_says_what_to_run(store: Store) -> None:
    status = status_of(store)
    assert status.as_of is None
    assert "liqtruth index sweep" in status.describe()[0]


@pytest.mark.parametrize(
    ("offset_s", "message"),
    [
        (300.0, "300 s ahead of"),
        (-300.0, "300 s behind"),
        (-7_729_270.0, "89.5 d behind"),
        (7200.0, "2.0 h ahead of"),
    ],
)
def test_a_clock_that_is_far_off_is_shown_in_hours_and_days(offset_s: float, message: str) -> None:
    assert any(message in line for line in describe_watch(WatchState(clock_offset_s=offset_s)))


def test_every_moment_of_a_watch_has_its_age() -> None:
    then = datetime.now(UTC) - timedelta(days=3, hours=1)
    (line,) = describe_watch(WatchState(started_at=then, written_at=then, ended_at=then))
    assert line.count("(3 days ago)") == line.count(" UTC") == 2


def test_a_swept_market_is_covered_and_called_synthetic(swept: Store) -> None:
    status = status_of(swept)
    assert status.synthetic
    assert (status.addresses, status.accounts_read) == (600, 600)
    assert {row.coin for row in status.coins} == {"BTC", "ETH", "SOL", "HYPE", "xyz:TSLA"}
    for row in status.coins:
        assert (row.long_share, row.short_share) == pytest.approx((1.0, 1.0), rel=1e-9)
    assert status.watch is None
    assert any("none ran" in line for line in status.describe())


def test_a_watchs_state_survives_writing_and_another_version_is_no_state(store: Store) -> None:
    write_state(store, WatchState(reads=7, as_of=NOON, statuses={"agree": 3}))
    assert read_state(store) == WatchState(reads=7, as_of=NOON, statuses={"agree": 3})
    state_path(store).write_text('{"reads": "many"}')
    assert read_state(store) is None
