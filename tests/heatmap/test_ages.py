"""Ages of any length, as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.ages import NAMED, age_range, in_order
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.text import format_duration

HOUR = timedelta(hours=1)
lengths = st.integers(1, 10_000).map(lambda minutes: timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("name", "youngest_h", "oldest_h"),
    [
        ("<4h", 0, 4),
        ("4-24h", 4, 24),
        ("1-7d", 24, 168),
        (">7d", 168, None),
        ("<90m", 0, 1.5),
        ("4h-2d", 4, 48),
        (" >1d12h ", 36, None),
        ("fresh", 0, 24),
        ("stale", 24, None),
    ],
)
def test_an_age_is_from_and_up_to(name: str, youngest_h: float, oldest_h: float | None) -> None:
    found = age_range(name)
    assert found is not None
    assert found.youngest == youngest_h * HOUR
    assert found.oldest == (None if oldest_h is None else oldest_h * HOUR)
    assert found.name == name.strip()


@pytest.mark.parametrize(
    "name", ["", "old", "4h", "<", "<h", "4-4h", "2d-4h", "4-24", "<0h", "-4h", "<4h>", "4-8-9h"]
)
def test_what_is_no_age_is_none(name: str) -> None:
    assert age_range(name) is None


@given(lengths, lengths)
def test_two_lengths_are_an_age_where_the_first_is_shorter(one: timedelta, other: timedelta) -> None:
    found = age_range(f"{format_duration(one)}-{format_duration(other)}")
    assert (found is not None) == (one < other)
    if found is not None:
        assert (found.youngest, found.oldest) == (one, other)


def test_ages_come_in_order_and_do_not_overlap() -> None:
    ages = [age_range(name) for name in (">2d", "<90m", "90m-2d")]
    assert [one.name for one in in_order([one for one in ages if one])] == ["<90m", "90m-2d", ">2d"]
    for pair in (("<4h", "fresh"), (">4h", ">7d"), ("1-7d", "6-8d")):
        with pytest.raises(BadInput, match="overlap"):
            in_order([one for one in map(age_range, pair) if one])


def test_every_name_is_an_age() -> None:
    assert all(age_range(name) for name in NAMED)
