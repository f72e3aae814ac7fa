"""The status says of every stored series how much, how old, with which gaps and findings, and from where."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.feeds.status import (
    SeriesStatus,
    feed_status,
    gaps_of,
    status_table,
    unrecorded_between,
)
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.storage.store import Store
from tests.estimator.markets import HOUR, START, candles, holdings

NOW = START + 30 * HOUR


def keep(store: Store, dataset: str, rows: pl.DataFrame, source: str = "a file", venue: str = "okx") -> None:
    key = DATASETS[dataset].key
    store.lake.merge_series(dataset, venue, "SOL", conform(rows, dataset), key, source)


def one(store: Store, dataset: str) -> SeriesStatus:
    [found] = [series for series in feed_status(store, NOW).series if series.dataset == dataset]
    return found


def span(first: float, last: float) -> pl.DataFrame:
    return pl.DataFrame({"ts": [START + first * HOUR], "until": [START + last * HOUR], "coverage": ["all"]})


def test_an_empty_store_has_no_series(store: Store) -> None:
    assert feed_status(store, NOW).series == ()


def test_rows_span_age_gaps_and_source_are_reported(store: Store) -> None:
    keep(store, "candles", pl.concat([candles(START, 3600, 4), candles(START + 7 * HOUR, 3600, 3)]))
    found = one(store, "candles")
    assert (found.rows, found.first, found.last) == (7, START, START + 9 * HOUR)
    assert (found.gaps, found.gap_hours) == (1, 3.0)
    assert found.age_s == 21 * 3600
    assert (found.sources, found.synthetic) == (("a file",), False)


def test_series_from_the_sandbox_are_synthetic(store: Store) -> None:
    keep(store, "candles", candles(START, 3600, 4), "synthetic: http://127.0.0.1:8351")
    assert one(store, "candles").synthetic


def test_findings_of_the_checks_stand_with_the_open_interest(store: Store) -> None:
    keep(store, "candles", candles(START, 3600, 24))
    coins = [1000.0] * 12 + [1e6] * 13
    keep(store, "open_interest", holdings([START + n * HOUR for n in range(25)], coins))
    found = one(store, "open_interest")
    assert any("changes its unit" in message for message in found.findings)
    assert any("changes its unit" in line for line in feed_status(store, NOW).describe())


def test_a_stream_that_reported_nothing_is_listed_with_how_long_it_was_recorded(store: Store) -> None:
    """Recorded for 3 and 5 hours with 2 unrecorded ones between, last an hour ago: silence, not ignorance."""
    keep(store, "listening", span(19, 22))
    keep(store, "listening", span(24, 29))
    found = one(store, "liquidations")
    assert (found.rows, found.first, found.heard_hours) == (0, None, 8.0)
    assert (found.gaps, found.gap_hours) == (1, 2.0)
    assert found.age_s == 3600
    assert found.coverage == "all"


def test_without_a_record_of_listening_the_venues_word_on_its_stream_stands(store: Store) -> None:
    rows = pl.DataFrame({"ts": [START], "id": ["1"], "side": ["long"], "px": [1.0], "coins": [1.0]})
    keep(store, "liquidations", rows, venue="binance")
    found = one(store, "liquidations")
    assert found.coverage == "only the latest order of each symbol and second"
    assert (found.heard_hours, found.gaps) == (None, None)


@given(st.integers(3, 20), st.sets(st.integers(2, 18)), st.sampled_from([300, 3600]))
def test_each_reading_that_is_missing_is_a_gap_and_its_step_is_what_lacks(
    count: int, lost: set[int], step_s: int
) -> None:
    """No two beside each other, and never the first or the last: two neighbours are one wider gap."""
    lost = {at for at in lost if at < count - 2 and not {at - 1, at - 2} & lost}
    times = [START + at * timedelta(seconds=step_s) for at in range(count) if at not in lost]
    gaps, missing = gaps_of(pl.DataFrame({"ts": times}, schema={"ts": pl.Datetime("ms", "UTC")}))
    assert gaps == len(lost)
    assert missing == pytest.approx(len(lost) * step_s / 3600)


def test_a_series_that_goes_on_in_shorter_steps_has_no_gap() -> None:
    hourly = [START + at * HOUR for at in range(5)]
    finer = [hourly[-1] + at * HOUR / 12 for at in range(1, 30)]
    assert gaps_of(pl.DataFrame({"ts": [*hourly, *finer]})) == (0, 0.0)
    bars = pl.DataFrame(
        {"ts": [*hourly, *(at + HOUR for at in finer)], "interval_s": [3600] * 5 + [300] * 29}
    )
    gaps, missing = gaps_of(bars)
    assert (gaps, missing) == (1, pytest.approx(1 / 12)), (
        "from the end of the last hour to the second finer bar"
    )


def test_spans_that_overlap_leave_no_deafness() -> None:
    spans = pl.concat([span(0, 5), span(1, 2), span(4, 6)])
    assert unrecorded_between(spans) == (0, 0.0)


def test_the_table_has_a_row_per_series_and_names_each_market_once(store: Store) -> None:
    keep(store, "candles", candles(START, 3600, 4))
    keep(store, "open_interest", holdings([START, START + HOUR], [1.0, 1.0]))
    table = status_table(feed_status(store, NOW + timedelta(days=5)))
    assert table.row_count == 2
    assert list(table.columns[0].cells) == ["okx", ""]
    assert list(table.columns[6].cells) == ["6.1 days", "6.2 days"]
