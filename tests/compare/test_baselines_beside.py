"""Maps that anyone has for free stand beside the scores: they change none, and the verdict states which are nearer."""

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from liqtruth.compare.comparison.report import render_report
from liqtruth.compare.comparison.session import BASELINES, compare_stored
from liqtruth.compare.comparison.terminal import divergence_view
from liqtruth.compare.conclusion.conclusion import rivals_of
from liqtruth.compare.conclusion.sentences import RIVALS
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import Cut, layer_of
from liqtruth.heatmap.words.notes import of_codes
from tests.compare.conftest import ExchangeRead
from tests.compare.maps import NOON, Level, crowd, frame, map_of, read_whole
from tests.compare.test_report import words

OI_USD = 2e8
ADDED = {"baselines", "notes"}


def with_baseline(
    levels: list[Level], offered: list[Level], free: list[Level], *, with_crowd: bool = True
) -> tuple[Divergence, Divergence, Heatmap, Heatmap]:
    """The same comparison with and without a baseline, and its maps."""
    truth = read_whole(map_of(levels, open_interest_usd=OI_USD))
    cut = read_whole(
        map_of(layer_of(frame(levels), Cut.of(truth.coverage), "crowd"), open_interest_usd=OI_USD)
    )
    model = replace(map_of(offered, venue="binance", model="mine"))
    baseline = map_of(free, venue="binance", model="moving-average")
    whole = cut if with_crowd else None
    beside = compare_maps(truth, [model], crowd=whole, baselines=[baseline])
    return beside, compare_maps(truth, [model], crowd=whole), truth, model


def shown(divergence: Divergence) -> str:
    out = io.StringIO()
    Console(file=out, width=240, color_system=None).print(divergence_view(divergence, NOON))
    return " ".join(out.getvalue().replace("│", " ").split())


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.sampled_from([20, 300, 900]), st.booleans()
)
def test_a_baseline_changes_no_score_and_obeys_the_gates(
    one: int, other: int, third: int, positions: int, with_crowd: bool
) -> None:
    beside, without, truth, model = with_baseline(
        crowd(one, positions=positions), crowd(other, middle_pct=12.0), crowd(third), with_crowd=with_crowd
    )
    ours, theirs = json.loads(to_json(beside)), json.loads(to_json(without))
    for layer in (*ours["layers"], *theirs["layers"]):
        layer.pop("baselines")
    for within in (*ours["ranges"], *theirs["ranges"]):
        within.pop("baselines")
    for key in ours.keys() - ADDED - {"verdict", "conclusion"}:
        assert ours[key] == theirs[key], key
    found = beside.conclusion
    assert found is not None
    assert {**vars(found), "baselines": ()} == vars(without.conclusion)
    spoken = found.layer is not None and found.label is not None
    assert bool(found.baselines) == spoken
    assert (RIVALS["moving-average"] in beside.verdict.replace("A map", "a map")) <= spoken
    assert "moving-average (baseline)" in shown(beside)
    assert "moving-average (baseline)" in words(render_report(beside, truth, [model], NOON))


def test_a_baseline_that_is_nearer_is_stated_with_its_distance() -> None:
    levels = crowd(3, positions=900)
    beside, _, _, _ = with_baseline(levels, crowd(4, positions=900, middle_pct=25.0), levels)
    found = beside.conclusion
    assert found is not None
    assert [one.stands for one in found.baselines] == ["nearer"]
    assert "A map that only follows the mean price of three days is nearer: 0.0 %." in beside.verdict


def test_a_baseline_that_is_farther_is_stated_of_a_map_that_is_better_than_the_mark() -> None:
    levels = crowd(3, positions=900, middle_pct=6.0)
    beside, _, _, _ = with_baseline(levels, levels, crowd(4, positions=900, middle_pct=28.0))
    found = beside.conclusion
    assert found is not None
    assert found.code == "nearest"
    assert (
        "binance mine is nearer than a map that only follows the mean price of three days (" in beside.verdict
    )


def test_beside_a_map_that_is_better_than_the_mark_stands_the_baseline_that_is_nearer() -> None:
    levels = crowd(3, positions=900, middle_pct=6.0)
    truth = read_whole(map_of(levels, open_interest_usd=OI_USD))
    near, far = (
        map_of(crowd(5, positions=900, middle_pct=pct), venue="binance", model=f"m{pct:g}")
        for pct in (8.0, 28.0)
    )
    free = map_of(levels, venue="hyperliquid", model="persistence")
    beside = compare_maps(truth, [near, far], baselines=[free])
    assert beside.conclusion is not None
    assert beside.conclusion.code == "nearest"
    assert beside.headline.startswith("binance m8 ")
    assert "nearest" not in beside.verdict
    assert "The exact map of a day before is nearer: 0.0 %." in beside.verdict


def test_no_map_is_called_unbeaten_beside_a_baseline_that_is_nearer() -> None:
    levels = crowd(3, positions=900, middle_pct=6.0)
    truth = read_whole(map_of(levels, open_interest_usd=OI_USD))
    poor = [
        map_of(crowd(5, positions=900, middle_pct=pct), venue="binance", model=f"m{pct:g}")
        for pct in (26.0, 28.0)
    ]
    alone, beside = (
        compare_maps(truth, poor, baselines=baselines)
        for baselines in ([], [map_of(levels, venue="hyperliquid", model="persistence")])
    )
    assert [found.conclusion and found.conclusion.code for found in (alone, beside)] == 2 * [
        "none_beats_mark"
    ]
    assert "No other map is nearer." in alone.verdict
    assert "No other map is nearer." not in beside.verdict
    assert "The exact map of a day before is nearer: 0.0 %." in beside.verdict


@pytest.mark.parametrize(
    ("off_pct", "stands"),
    [(0.0, "nearer"), (1.85, "nearer"), (1.95, "as_near"), (2.05, "as_near"), (2.2, "beaten")],
)
def test_differences_up_to_a_twentieth_are_none(off_pct: float, stands: str) -> None:
    """As in skills: 2.0 % and 1.95 % of price are the same to what positions can show."""
    (found,) = rivals_of([("moving-average", off_pct)], 2.0)
    assert found.stands == stands


def test_a_baseline_without_a_score_says_nothing() -> None:
    assert rivals_of([("moving-average", None)], 2.0) == ()


def test_where_only_candles_are_stored_the_moving_average_stands_alone_and_one_remark_names_the_rest(
    exchange: ExchangeRead,
) -> None:
    found = exchange.comparison.divergence
    assert [one.label for one in found.baselines] == ["binance moving-average"]
    assert found.baselines[0].assumptions[0].code == "opened_at_mean"
    (missing,) = of_codes(found.remarks, ["baselines_missing"])
    assert [model for model, _ in missing.values["missing"]] == [*BASELINES[1:]]
    assert [len(layer.baselines) for layer in found.layers] == [1, 1]


def test_a_baseline_that_is_asked_for_is_a_map_like_any_other(exchange: ExchangeRead) -> None:
    found = compare_stored(exchange.store, "BTC", models=["binance:moving-average"], window="3d").divergence
    assert [one.summary.label for one in found.models] == ["binance moving-average"]
    assert found.baselines == ()
