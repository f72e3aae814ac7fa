"""The picture holds one line per map and side, named once, rising from the mark to the whole side."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from liqtruth.compare.comparison.report import CROWD_LINE, curves_figure
from liqtruth.compare.divergence.baselines import LABEL
from liqtruth.heatmap.drawing.theme import MODELS
from tests.compare.maps import FAR, NEAR, TRUTH, Level, levels_of_both, map_of


def drawn(*models: list[Level], names: tuple[str, ...] = ("tiers", "bell"), range_pct: float = 50.0) -> Any:
    offered = [map_of(m, venue="binance", model=name) for m, name in zip(models, names, strict=False)]
    return curves_figure(map_of(TRUTH), offered, range_pct)


@settings(max_examples=15)
@given(levels_of_both)
def test_every_line_rises_from_nothing_at_the_mark_to_the_whole_side(levels: list[Level]) -> None:
    for trace in drawn(levels).data:
        assert (trace.x[0], trace.y[0]) == (0, 0)
        assert abs(trace.x[-1]) == pytest.approx(50)
        assert trace.y[-1] == pytest.approx(100)
        assert (np.diff(trace.y) >= 0).all()
        assert (np.diff(np.abs(trace.x)) > 0).all()


def test_each_map_is_named_once_the_truth_last_and_on_top() -> None:
    named = [trace.name for trace in drawn(NEAR, FAR).data if trace.showlegend]
    assert named == [LABEL, "binance tiers", "binance bell", "truth: hyperliquid exact"]


def test_where_the_answer_is_against_the_crowd_its_line_is_the_thick_one() -> None:
    """Else the picture would show another error than the answer states."""
    figure = curves_figure(map_of(TRUTH), [map_of(FAR, venue="binance")], 50.0, map_of(NEAR))
    widths = {trace.name: trace.line.width for trace in figure.data}
    assert max(widths, key=lambda name: widths[name]) == CROWD_LINE
    crowd = [(trace.x, trace.y) for trace in figure.data if trace.name == CROWD_LINE]
    assert crowd == [(trace.x, trace.y) for trace in drawn(NEAR).data if trace.name == "binance tiers"]


def test_two_maps_of_one_name_are_both_named_and_toggled_apart() -> None:
    traces = [
        trace for trace in drawn(NEAR, FAR, names=("tiers", "tiers")).data if trace.name == "binance tiers"
    ]
    assert [trace.showlegend for trace in traces] == [True, False, True, False]
    assert len({trace.legendgroup for trace in traces}) == 2
    assert {trace.line.color for trace in traces} == set(MODELS[:2])


def test_more_maps_than_colours_differ_by_their_dashes() -> None:
    names = tuple(f"model {number}" for number in range(len(MODELS) + 1))
    lines = [(trace.line.color, trace.line.dash) for trace in drawn(*[NEAR] * len(names), names=names).data]
    assert len(set(lines)) == len(names) + 2


def test_a_side_that_a_map_does_not_hold_is_left_out_and_the_map_still_named() -> None:
    traces = [trace for trace in drawn([("short", 4.0, 1e6)]).data if trace.name == "binance tiers"]
    assert [(min(trace.x), trace.showlegend) for trace in traces] == [(0, True)]


@pytest.mark.parametrize(("range_pct", "step"), [(50.0, 10), (9.6, 2), (4.0, 0.5)])
def test_ticks_are_round_and_within_the_range(range_pct: float, step: float) -> None:
    ticks = np.array(drawn(NEAR, range_pct=range_pct).layout.xaxis.tickvals)
    assert (ticks % step == 0).all()
    assert np.abs(ticks).max() <= range_pct
    assert len(ticks) >= 4


def test_a_name_is_drawn_as_text_not_as_the_markup_that_plotly_would_read() -> None:
    assert "binance &lt;b&gt;" in {trace.name for trace in drawn(NEAR, names=("<b>",)).data}
