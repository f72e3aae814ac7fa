"""Ways to look at the same positions: what each leaves out is noted, and nothing is counted twice."""

from datetime import timedelta

import pytest

from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.indexer.maps.candles import fetch_candles
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.maps.execution import executable_map
from liqtruth.indexer.maps.views import exact_history, exact_view, joint_map
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Store


def test_the_parts_by_a_filter_sum_to_the_whole(swept: Store) -> None:
    whole = exact_map(swept, "BTC")
    parts = [exact_view(swept, "BTC", filters={"margin_mode": [mode]}) for mode in ("cross", "isolated")]
    assert sum(part.total_usd.total for part in parts) == pytest.approx(whole.total_usd.total)
    assert all("of " in part.coverage.notes[0].text for part in parts), "what was left out is noted"
    assert parts[0].coverage.share == whole.coverage.share, "coverage is the whole map's"


def test_large_and_small_holders_are_the_whole(swept: Store) -> None:
    whole = exact_map(swept, "BTC").total_usd.total
    large, small = (exact_view(swept, "BTC", holder_share=shares) for shares in ((0.02, 1.0), (0.0, 0.02)))
    assert large.total_usd.total + small.total_usd.total == pytest.approx(whole)
    assert large.coverage.positions > 0  # type: ignore[operator]


def test_first_orders_are_a_part_of_the_map(swept: Store) -> None:
    whole = exact_map(swept, "BTC")
    first = executable_map(swept, "BTC")
    assert 0 < first.in_grid_usd.total < whole.in_grid_usd.total
    assert (first.long_usd <= whole.long_usd * (1 + 1e-12)).all()


def test_a_joint_move_changes_where_not_how_much(swept: Store) -> None:
    whole = exact_map(swept, "BTC")
    joint, lines = joint_map(swept, "BTC")
    assert joint.total_usd.total == pytest.approx(whole.total_usd.total)
    assert any("drag" in line for line in lines)


def test_betas_come_from_the_exchanges_own_candles(swept: Store, served: SandboxServer) -> None:
    with pytest.raises(MissingData, match="liqtruth index candles"):
        joint_map(swept, "BTC", move="beta")
    report = fetch_candles(swept, served.base_url, days=5, weight_per_minute=None)
    assert "BTC" in report.coins
    assert report.new_rows == report.rows > 100
    _, lines = joint_map(swept, "BTC", move="beta")
    assert any("ETH" in line for line in lines)
    assert fetch_candles(swept, served.base_url, ["BTC"], 5, weight_per_minute=None).new_rows == 0


def test_given_betas_need_no_candles(swept: Store) -> None:
    drawn, _ = joint_map(swept, "BTC", betas={"ETH": 2.0})
    assert drawn.model == "joint"


def test_a_series_ends_with_the_map_of_today(swept: Store) -> None:
    series = exact_history(swept, "BTC", timedelta(hours=2), timedelta(hours=1))
    assert series.long_usd.shape[0] == 3
    assert series.frame().filter(time=series.times[-1])["notional_usd"].sum() == pytest.approx(
        exact_map(swept, "BTC").in_grid_usd.total
    )


def test_a_move_that_is_none_is_refused(swept: Store) -> None:
    with pytest.raises(BadInput, match="'sideways'; there are beta and parallel"):
        joint_map(swept, "BTC", move="sideways")


def test_filters_and_a_layer_exclude_one_another(swept: Store) -> None:
    with pytest.raises(BadInput, match="choose one"):
        exact_view(swept, "BTC", filters={"margin_mode": ["cross"]}, layer="crowd")


def test_a_filter_that_nobody_passes_names_what_there_is(swept: Store) -> None:
    with pytest.raises(BadInput, match="leveraged"):
        exact_view(swept, "BTC", filters={"margin_mode": ["leveraged"]})
