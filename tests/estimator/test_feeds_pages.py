"""Which part of a page is asked for, and what is called a gap: for any rows that may be stored."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.feeds.backfill import gaps_in, open_part, settled_throughout
from liqtruth.estimator.venues.requests import Page

STEP_MS = 1000
HOUR_MS = 3_600_000
seconds = st.sets(st.integers(0, 50), max_size=50)


def times(rows: set[int]) -> np.ndarray:
    return np.array(sorted(rows), dtype=np.int64) * STEP_MS


@given(seconds)
def test_the_part_that_is_asked_for_holds_every_missing_row_and_ends_on_missing_ones(rows: set[int]) -> None:
    page = Page(0, 50 * STEP_MS, STEP_MS)
    part, missing = open_part(page, times(rows)), sorted(set(range(51)) - rows)
    assert part is not None
    assert (part.start_ms // STEP_MS, part.end_ms // STEP_MS) == (missing[0], missing[-1])


def test_nothing_is_asked_for_where_all_is_stored() -> None:
    assert open_part(Page(0, 50 * STEP_MS, STEP_MS), times(set(range(51)))) is None


@given(seconds)
def test_missing_rows_and_stored_ones_are_all_between_the_first_and_the_last(rows: set[int]) -> None:
    missing, gaps = gaps_in(times(rows), STEP_MS)
    whole = max(rows) - min(rows) + 1 if rows else 0
    assert missing + len(rows) == whole
    assert (missing == 0) == (gaps == ())
    assert len(gaps) <= 3


@given(seconds, st.integers(1, 999))
def test_rows_off_the_step_fill_no_gap(rows: set[int], off_ms: int) -> None:
    late = np.concatenate([times(rows), times(rows) + off_ms])
    assert gaps_in(late, STEP_MS) == gaps_in(times(rows), STEP_MS)


@given(st.integers(2, 40))
def test_a_page_is_split_into_halves_that_share_nothing_and_leave_nothing_out(rows: int) -> None:
    first, second = Page(0, (rows - 1) * STEP_MS, STEP_MS).halves()
    assert first.rows + second.rows == rows
    assert first.end_ms + STEP_MS == second.start_ms
    assert min(first.rows, second.rows) >= 1


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 200), st.data())
def test_funding_is_known_throughout_only_if_no_settlement_is_missing(
    every_h: int, late_ms: int, data: st.DataObject
) -> None:
    """Whatever the interval, and however late within a minute the venue stamps them."""
    page = Page(0, 48 * HOUR_MS, HOUR_MS)
    settled = np.arange(0, 48 * HOUR_MS + 1, every_h * HOUR_MS) + late_ms
    settled = settled[settled <= page.end_ms]
    assert settled_throughout(page, settled)
    lost = data.draw(st.integers(1, settled.size - 2))
    assert not settled_throughout(page, np.delete(settled, lost))
    assert not settled_throughout(page, settled[:1])
