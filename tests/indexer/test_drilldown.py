"""The positions behind a stretch of the map, and those that match a filter."""

import io
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.maps.drilldown import DRILLDOWN, drilldown_table, filtered_positions, positions_between
from liqtruth.indexer.maps.exact import describe, exact_map
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.tables import Account
from liqtruth.storage.store import Store
from tests.indexer.margined import MARKS, NOON, Holder, Holding, frame_of, stow

HEDGED = Holder("0xhedged", "standard", 10_000.0, (Holding("BTC", 100_000.0), Holding("ARB", -40_000.0)))
ALONE = Holder("0xalone", "unified", 5_000.0, (Holding("BTC", 60_000.0),))
OWN = Holder("0xown", "standard", 1.0, (Holding("BTC", -20_000.0, 2_000.0),))
SAFE = Holder("0xsafe", "standard", 1e6, (Holding("BTC", 500.0),))
PEOPLE = [HEDGED, ALONE, OWN, SAFE]
BTC = MARKS["BTC"]


def test_each_position_of_the_range_comes_with_what_is_behind_it(store: Store) -> None:
    stow(store, PEOPLE)
    with store.database.session() as session:
        session.add(
            Account(venue=VENUE, address="0xhedged", source="test", first_seen_at=NOON, label="vault")
        )
    found = positions_between(store, "BTC", 1.0, BTC, at=NOON + timedelta(minutes=5))
    assert found["address"].to_list() == ["0xhedged", "0xalone"]
    assert dict(zip(found.columns, found.dtypes, strict=True)) == dict(DRILLDOWN)
    hedged, alone = found.rows(named=True)
    assert (hedged["label"], alone["label"]) == ("vault", None)
    assert (hedged["hedge_usd"], alone["hedge_usd"]) == pytest.approx((-40_000.0, 0.0))
    assert (hedged["margin_left_usd"], alone["margin_left_usd"]) == pytest.approx((10_000.0, 5_000.0))
    # Equity is what is left plus maintenance: 1/80 of BTC, 1/20 of ARB.
    assert hedged["effective_leverage"] == pytest.approx(140_000 / (10_000 + 1_250 + 2_000))
    assert alone["effective_leverage"] == pytest.approx(60_000 / (5_000 + 750))
    assert found["share"].to_list() == pytest.approx([100 / 160, 60 / 160])
    assert found["age_s"].to_list() == [300.0, 300.0]
    assert found["distance_pct"].to_list() == pytest.approx(
        [100 * (px / BTC - 1) for px in found["liq_px"].to_list()]
    )


def test_a_builder_dexes_backstop_is_recognised_by_its_address(store: Store) -> None:
    backstop, stranger = f"0x4{5:039x}", f"0x4{1 << 20:039x}"
    stow(
        store, [Holder(who, "unified", 5_000.0, (Holding("BTC", 60_000.0),)) for who in (backstop, stranger)]
    )
    found = positions_between(store, "BTC", 1.0, BTC)
    assert dict(found.select("address", "label").iter_rows()) == {backstop: "liquidator", stranger: None}


def test_an_isolated_position_has_its_own_margin(store: Store) -> None:
    stow(store, PEOPLE)
    (row,) = positions_between(store, "BTC", BTC, 10 * BTC).rows(named=True)
    assert row["margin_mode"] == "isolated"
    assert row["margin_left_usd"] == pytest.approx(2_000 - 250)
    assert row["effective_leverage"] == pytest.approx(10.0)
    assert row["share"] == 1.0


def test_ranges_side_by_side_hold_every_priced_position_once(swept: Store) -> None:
    drawn = exact_map(swept, "BTC")
    bounds = [
        drawn.grid.edges[0],
        0.9 * drawn.mark_px,
        drawn.mark_px,
        1.1 * drawn.mark_px,
        drawn.grid.edges[-1],
    ]
    parts = [positions_between(swept, "BTC", *pair) for pair in pairwise(bounds)]
    total = sum(part["notional_usd"].sum() for part in parts)
    assert min(part.height for part in parts) > 0
    assert total == pytest.approx(drawn.in_grid_usd.total, rel=1e-9)
    assert pl.concat(parts).select("address").is_duplicated().sum() == 0
    left = pl.concat(parts).filter(pl.col("margin_left_usd").is_not_null())
    assert left.height == sum(part.height for part in parts)
    assert (left["margin_left_usd"] > 0).all()


def test_an_empty_range_is_an_empty_table_and_a_bad_one_is_refused(store: Store) -> None:
    stow(store, PEOPLE)
    assert positions_between(store, "BTC", 1.0, 2.0).schema == pl.Schema(dict(DRILLDOWN))
    for low, high in ((2.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(BadInput, match="no range"):
            positions_between(store, "BTC", low, high)
    with pytest.raises(UnknownCoin, match="BTC"):
        positions_between(store, "BTX", 1.0, 2.0)


def test_what_was_read_later_is_not_shown(store: Store) -> None:
    stow(store, [ALONE])
    stow(store, PEOPLE, NOON + timedelta(hours=1))
    assert positions_between(store, "BTC", 1.0, BTC, at=NOON)["address"].to_list() == ["0xalone"]
    assert positions_between(store, "BTC", 1.0, BTC).height == 2


def test_an_unknown_collateral_shows_no_margin(store: Store) -> None:
    stow(store, [OWN], isolated_raw_usd=pl.lit(None, pl.Float64))
    (row,) = positions_between(store, "BTC", BTC, 10 * BTC).rows(named=True)
    assert (row["margin_left_usd"], row["effective_leverage"]) == (None, None)
    assert row["notional_usd"] == pytest.approx(20_000)


# ---------------------------------------------------------------------------------------------- filters


@pytest.fixture
def mixed() -> pl.DataFrame:
    frame = frame_of(PEOPLE)
    # 100,000 of BTC longs' 160,500 are the hedged account's.
    return frame.with_columns(leverage=pl.Series([3.0, 40.0, 10.0, 20.0, 2.0]))


def test_filters_keep_what_the_maps_breakdown_keeps(mixed: pl.DataFrame) -> None:
    bands = describe(mixed, 1.0, NOON)
    for name in ("leverage_band", "margin_mode", "account_mode", "account_size", "age_band"):
        labels = bands[name].unique().to_list()
        parts = [filtered_positions(mixed, **{name: label}) for label in labels]
        assert sum(part.height for part in parts) == mixed.height
        for label, part in zip(labels, parts, strict=True):
            assert part.height == bands.filter(pl.col(name) == label).height > 0
            assert part.columns == mixed.columns
    assert filtered_positions(mixed, **{"leverage_band": bands["leverage_band"].unique().to_list()}).equals(
        mixed
    )


def test_filters_combine_and_none_changes_nothing(mixed: pl.DataFrame) -> None:
    assert filtered_positions(mixed).equals(mixed)
    both = filtered_positions(mixed, margin_mode="cross", account_mode="unified")
    assert both["address"].to_list() == ["0xalone"]
    assert filtered_positions(mixed.clear(), margin_mode="cross").is_empty()


AGED_H = [0.5, 1.5, 30.0, 200.0, None]
"""Hours since each position of `mixed` was first seen; of the last it is not known."""


@pytest.fixture
def aged(mixed: pl.DataFrame) -> pl.DataFrame:
    last = mixed["as_of"].max()
    assert isinstance(last, datetime)
    seen = [None if hours is None else last - timedelta(hours=hours) for hours in AGED_H]
    return mixed.with_columns(held_since=pl.Series(seen, dtype=mixed.schema["held_since"]))


@given(st.integers(1, 20_000))
def test_an_age_of_any_length_its_complement_and_the_unknown_are_all_positions(minutes: int) -> None:
    mixed = frame_of(PEOPLE)
    seen = [None if hours is None else NOON - timedelta(hours=hours) for hours in AGED_H]
    aged = mixed.with_columns(held_since=pl.Series(seen, dtype=mixed.schema["held_since"]))
    young, old, unknown = (
        filtered_positions(aged, strict=False, at=NOON, position_age=one)
        for one in (f"<{minutes}m", f">{minutes}m", "unknown")
    )
    assert young.height == sum(hours is not None and hours * 60 < minutes for hours in AGED_H)
    assert (unknown.height, young.height + old.height) == (1, 4)
    since = filtered_positions(aged, since=NOON - timedelta(minutes=minutes))
    assert since.equals(young) or any(hours is not None and hours * 60 == minutes for hours in AGED_H)


def test_ages_of_any_length_stand_beside_the_bands(aged: pl.DataFrame) -> None:
    assert filtered_positions(aged, position_age=["<90m", ">7d"]).height == 2
    assert filtered_positions(aged, position_age=["90m-2d", "unknown"]).height == 3
    assert filtered_positions(aged, position_age="<4h").height == 2
    with pytest.raises(BadInput, match="overlap"):
        filtered_positions(aged, position_age=["<90m", "<4h"])
    with pytest.raises(BadInput, match="no position has position_age 'old'"):
        filtered_positions(aged, position_age="old")


def test_large_holders_of_a_side_can_be_kept_or_left_out(mixed: pl.DataFrame) -> None:
    large = filtered_positions(mixed, holder_share=(0.5, 1.0))
    assert set(large.select("address", "coin").rows()) == {
        ("0xhedged", "BTC"),
        ("0xhedged", "ARB"),
        ("0xown", "BTC"),
    }
    small = filtered_positions(mixed, holder_share=(0.0, 0.01))
    assert small["address"].to_list() == ["0xsafe"]


@pytest.mark.parametrize(
    ("wanted", "reported"),
    [
        ({"size": "x"}, "no filter 'size'; there are leverage_band"),
        ({"margin_mode": "isolate"}, "no position has margin_mode 'isolate'; known here: cross, isolated"),
        ({"holder_share": (1.0, 0.1)}, "no range of shares"),
    ],
)
def test_unknown_filters_and_values_are_refused(
    mixed: pl.DataFrame, wanted: dict[str, str], reported: str
) -> None:
    with pytest.raises(BadInput, match=reported):
        filtered_positions(mixed, **wanted)  # type: ignore[arg-type]


def test_no_figure_of_the_table_is_cut_off_at_80_columns(store: Store) -> None:
    stow(store, PEOPLE)
    with store.database.session() as session:
        session.add(
            Account(venue=VENUE, address="0xhedged", source="test", first_seen_at=NOON, label="sub-account")
        )
    out = io.StringIO()
    found = positions_between(store, "BTC", 1.0, 2 * BTC, at=NOON + timedelta(minutes=5))
    Console(file=out, width=80, color_system=None).print(drilldown_table(found))
    assert out.getvalue().count("…") == found.height, "only of addresses"
    assert "sub-account" in out.getvalue()
    assert all(cell_len(line) <= 80 for line in out.getvalue().splitlines())
