"""A table is recognised by its columns, and its units are its layout's."""

import pytest

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.layouts import LAYOUTS, OURS, FeedLayout, checked, layout_of


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("ts price oi funding source", "hourly aggregates with a source"),
        ("ts open high low close volume dt", "candles (volume in coins)"),
        ("ts open high low close", "candles (volume in coins)"),
        (
            "open_time open high low close volume close_time quote_volume count taker_buy_volume ignore",
            "Binance archive of klines",
        ),
        (
            "create_time symbol sum_open_interest sum_open_interest_value count_long_short_ratio",
            "Binance archive of metrics",
        ),
        ("ts oi oi_value dt", "OKX open interest"),
        ("ts open_interest", "open interest"),
        ("ts open_interest_usd", "open interest (USD)"),
        ("ts sellVol buyVol dt", "OKX taker volume (USD)"),
        ("symbol sumOpenInterest sumOpenInterestValue timestamp", "Binance answer of openInterestHist"),
        ("symbol fundingTime fundingRate", "Binance answer of fundingRate"),
        ("buySellRatio buyVol sellVol timestamp", "Binance answer of takerlongshortRatio"),
        ("ts fundingRate dt", "OKX funding (fraction)"),
        ("ts rate", "funding (fraction)"),
        ("ts ratio dt", "OKX long/short ratio"),
    ],
)
def test_a_header_is_recognised_in_any_order(header: str, name: str) -> None:
    columns = header.split()
    for order in (columns, columns[::-1]):
        found = layout_of(order, None)
        assert found is not None
        assert found.name.startswith(name)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_recognised_by_its_own_columns_and_fills_only_ours(layout: FeedLayout) -> None:
    table = layout.table
    theirs = [*table.columns.values(), *table.optional.values(), *([layout.marker] if layout.marker else [])]
    assert layout_of(theirs, None) is layout
    extra = {"oi"}  # OKX's coins column, which holds USD and is not kept
    assert {*table.columns, *table.optional, *layout.scale, *layout.below} <= {*OURS, *extra}


@pytest.mark.parametrize("missing", ["ts", "open", "high", "low", "close"])
def test_a_table_without_a_required_column_is_not_recognised(missing: str) -> None:
    assert (
        layout_of([name for name in ("ts", "open", "high", "low", "close") if name != missing], None) is None
    )


def test_billions_are_only_assumed_where_a_source_column_names_the_collector() -> None:
    """`ts, price, oi, funding` alone could be any unit: units are never guessed."""
    assert layout_of(["ts", "price", "oi", "funding"], None) is None


def test_only_the_aggregates_are_in_billions_and_percent() -> None:
    assert [dict(layout.scale) for layout in LAYOUTS if layout.scale] == [
        {"open_interest_usd": 1e9, "rate": 0.01}
    ]


def test_a_mapping_wins_over_recognition_and_fills_in_the_time() -> None:
    found = layout_of(["ts", "rate", "px"], {"price": "px"})
    assert found is not None
    assert found.name == "columns as given"
    assert dict(found.table.columns) == {"ts": "ts", "price": "px"}
    assert dict(checked({"ts": "when"})) == {"ts": "when"}


def test_a_mapping_to_a_name_that_is_not_ours_is_refused_with_ours() -> None:
    with pytest.raises(UnknownChoice, match="unknown column of ours 'px'; known: ts, open, high"):
        layout_of(["ts", "price"], {"px": "price"})
