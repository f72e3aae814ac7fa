"""Amounts, prices, shares and ages as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.text import age, percent, price, usd

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
