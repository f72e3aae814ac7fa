"""Lengths of time as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.text import LONGEST_DURATION, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("90m", timedelta(minutes=90)),
        ("48h", timedelta(days=2)),
        ("2w", timedelta(weeks=2)),
        ("1y", timedelta(days=365)),
        ("1.5d", timedelta(hours=36)),
        ("1d12h", timedelta(hours=36)),
        (" 3 H ", timedelta(hours=3)),
    ],
)
def test_what_people_write(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "h", "5", "5x", "1h30", "-1h", "1e3d", "0s", "0h0m", "36526d", "1h, 2h", "nan d"]
)
def test_what_is_none_is_refused_with_what_came(text: str) -> None:
    with pytest.raises(BadInput, match=r"^must be .*, got "):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=int(LONGEST_DURATION.total_seconds())))
def test_what_is_written_is_read_back(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert parse_duration(format_duration(length)) == length
