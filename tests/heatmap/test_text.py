"""Amounts, prices, shares, ages and lengths of time as people write them."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput, one_line
from liqtruth.heatmap.words.text import (
    LONGEST_DURATION,
    age,
    format_duration,
    parse_duration,
    percent,
    price,
    usd,
)

UNITS = {"k": 1e3, "M": 1e6, "B": 1e9}


def read_usd(message: str) -> float:
    return float(message[1:].rstrip("kMB")) * UNITS.get(message[-1], 1.0)


@given(st.floats(100.0, 9e14))
def test_an_amount_is_written_to_three_figures(amount: float) -> None:
    assert read_usd(usd(amount)) == pytest.approx(amount, rel=0.00501)


@given(st.floats(0.0, 9.99e11))
def test_an_amount_below_a_trillion_takes_at_most_six_characters(amount: float) -> None:
    assert len(usd(amount)) <= 6
    assert "e" not in usd(amount)


@given(st.floats(1e-4, 999_999.0))
def test_a_price_is_written_to_six_figures(px: float) -> None:
    message = price(px)
    assert float(message.replace(",", "")) == pytest.approx(px, rel=5.01e-6)
    assert "e" not in message


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (0.0, "$0"),
        (12.4, "$12"),
        (999.4, "$999"),
        (999.6, "$1k"),  # not $1000
        (1_234.0, "$1.23k"),
        (99_950.0, "$100k"),
        (999_600.0, "$1M"),  # not $1000k
        (1_234_567.0, "$1.23M"),
        (2.5e9, "$2.5B"),
        (1.2345e12, "$1234B"),
    ],
)
def test_units_of_amounts(amount: float, message: str) -> None:
    assert usd(amount) == message


@pytest.mark.parametrize(
    ("px", "message"),
    [(0.0123456, "0.0123456"), (63_123.456, "63,123.5"), (100.0, "100"), (1_234_567.8, "1,234,568")],
)
def test_prices(px: float, message: str) -> None:
    assert price(px) == message


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(None, "unknown"), (42.0, "42 s"), (720.0, "12 min"), (12_600.0, "3.5 h"), (181_440.0, "2.1 d")],
)
def test_ages(seconds: float | None, message: str) -> None:
    assert age(seconds) == message


def test_a_share_is_written_in_percent_and_unknown_where_there_is_none() -> None:
    assert percent(0.1234) == "12.3 %"
    assert percent(0.1234, 0) == "12 %"
    assert percent(None) == "unknown"
    assert percent(-1e-12) == "0.0 %"
    assert percent(-0.1234) == "-12.3 %"


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


@given(
    st.lists(
        st.sampled_from(["word", "`liqtruth feed import PATH --venue okx`", "2026-09-01", "it's"]),
        min_size=90,
    )
)
def test_a_long_line_loses_whole_words_and_whole_commands(parts: list[str]) -> None:
    begin, end = one_line(" ".join(parts)).split(" … ")
    commands = [part for part in (begin, end) for part in re.findall("`[^`]*`", part)]
    assert set(commands) <= {"`liqtruth feed import PATH --venue okx`"}
    assert " ".join(parts).startswith(f"{begin} ")
    assert " ".join(parts).endswith(f" {end}")
    assert len(begin) + len(end) > 200
