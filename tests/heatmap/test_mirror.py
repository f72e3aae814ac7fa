"""Two maps on one price axis: what the page's script reads, and what it draws at each zoom."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from liqtruth.heatmap.drawing.mirror import RANGES_PCT, Mirror, mirror
from liqtruth.heatmap.drawing.page import Section, render
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap, Origin
from tests.browser import found_by
from tests.heatmap.maps import Level, any_levels, at, map_of

TRUTH = map_of([("long", 93.0, 2e6), ("long", 70.0, 1e6), ("short", at(0.08), 1e6), ("short", at(0.3), 3e6)])
OTHER = map_of(
    [("long", 48_000.0, 5e6), ("short", 51_000.0, 4e6)],
    PriceGrid.around(50_000.0, 25.0),
    source="modelled",
    model="tiers",
)
"""Of another mark and another width of bins: 4 % below, 2 % above."""
OF_A_VENDOR = replace(OTHER, source="imported", origin=Origin("vendor", "map", "all", "unknown"))
ASK = """
  const frame = document.querySelector("iframe"), page = frame.contentDocument, seen = {};
  await frame.contentWindow.eval("unpacked");
  await new Promise((drawn) => setTimeout(drawn, 200));
  for (const button of page.querySelectorAll("[data-pct]")) {
    button.click();
    seen[button.dataset.pct] = page.querySelector(".drawn").data.filter((one) => one.type == "bar")
      .map(({x, y, width}) => ({x: [...x], y: [...y], width: [...width]}));
  }
  page.querySelector("[data-pct='5']").click();
  page.querySelector("[data-unit=share]").click();
  seen.texts = page.querySelector(".drawn").layout.annotations.map((one) => one.text);
  page.querySelector("[data-pct=all]").click();
  page.querySelector("[data-unit=usd]").click();
  const units = () => ["xaxis", "xaxis2"].map((axis) =>
    page.querySelector(".drawn").layout[axis].title.text.split(" per ")[0]);
  const chosen = page.querySelector("select");
  seen.units = [0, 1].map((at) => {
    chosen.selectedIndex = at;
    chosen.dispatchEvent(new Event("change"));
    return units();
  }).reverse();
  chosen.selectedIndex = 0;
  chosen.dispatchEvent(new Event("change"));
  seen.usd = page.querySelector(".drawn").data.filter((one) => one.type == "bar").map((one) => [...one.x]);
  const zoomed = (low, high) => {
    page.querySelector(".drawn").emit("plotly_relayout", {"yaxis.range[0]": low, "yaxis.range[1]": high});
    return page.querySelector(".drawn").data.filter((one) => one.type == "bar").map(({y}) => [...y]);
  };
  seen.away = zoomed(120, 140);
  seen.below_zero = zoomed(-20, 140);
  found(seen);
"""


def content(made: Mirror) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.json)
    return found


@settings(max_examples=12)
@given(any_levels)
def test_every_dollar_of_the_grid_is_in_it_from_the_mark_outward(levels: list[Level]) -> None:
    built = map_of(levels)
    found = content(mirror(built, [TRUTH]))["truth"]
    for side, mass in (("long", built.long_usd), ("short", built.short_usd)):
        assert 1e3 * sum(found[side]) == pytest.approx(mass.sum(), rel=1e-3, abs=1e-6)
        assert not found[side] or found[side][-1] > 0


def test_a_name_from_a_file_cannot_leave_its_element() -> None:
    named = replace(OTHER, venue="</script><b>", model="<i>")
    markup = mirror(TRUTH, [named]).__html__()
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert markup.count("</script>") == 1


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Bars of the truth's longs and shorts and of the other map's, at each width of the axis."""
    folder = tmp_path_factory.mktemp("mirror")
    made = mirror(TRUTH, [OTHER, OF_A_VENDOR])
    page = render("title", mirrored=made, sections=[Section(mirrored=made)])
    (folder / "page.html").write_text(page)
    seen: dict[str, Any] = found_by(ASK, '<iframe src="page.html" width="900" height="900"></iframe>', folder)
    return seen


@pytest.mark.parametrize("pct", [*RANGES_PCT, "all"])
def test_bars_of_each_zoom_hold_what_lies_in_it_and_none_crosses_the_mark(
    drawn: dict[str, Any], pct: int | str
) -> None:
    for bars, (built, side) in zip(
        drawn[str(pct)],
        [(built, side) for built in (TRUTH, OTHER) for side in ("long", "short")],
        strict=True,
    ):
        assert sum(bars["x"]) == pytest.approx(100 * share_within(built, side, pct), abs=0.1)
        for y, width in zip(bars["y"], bars["width"], strict=True):
            assert (y + width / 2 <= 100) if side == "long" else (y - width / 2 >= 100)


@pytest.mark.parametrize("pct", RANGES_PCT)
def test_bars_of_maps_with_other_bins_are_of_one_width(drawn: dict[str, Any], pct: int) -> None:
    """In price of the axis, so that a wide bin does not look like more."""
    pitches = [
        np.log((y + width / 1.8) / (y - width / 1.8))
        for bars in drawn[str(pct)]
        for y, width in zip(bars["y"], bars["width"], strict=True)
    ]
    assert pitches == pytest.approx([pitches[0]] * len(pitches), rel=1e-6)


def test_zoomed_away_from_the_mark_only_what_is_seen_is_drawn(drawn: dict[str, Any]) -> None:
    """What is between the mark and there would make the scale of the bars."""
    drawn_at = [y for bars in drawn["away"] for y in bars]
    assert len(drawn_at) == 1
    assert drawn_at == pytest.approx([135.0], abs=0.5)


def test_an_axis_that_is_drawn_below_zero_still_has_its_bars(drawn: dict[str, Any]) -> None:
    assert sum(map(len, drawn["below_zero"])) >= 4


def share_within(built: Heatmap, side: str, pct: float | str) -> float:
    if pct == "all":
        return 1.0
    assert not isinstance(pct, str)
    distance = 100 * (built.grid.edges / built.mark_px - 1)
    if side == "long":
        return float(built.long_usd[distance[1:] >= -pct].sum() / built.long_usd.sum())
    return float(built.short_usd[distance[:-1] <= pct].sum() / built.short_usd.sum())


def test_in_dollars_bars_are_those_of_the_map(drawn: dict[str, Any]) -> None:
    assert [sum(bars) for bars in drawn["usd"]] == pytest.approx([3e6, 4e6, 5e6, 4e6], rel=1e-3)


def test_a_map_without_anything_in_the_range_says_so(drawn: dict[str, Any]) -> None:
    assert drawn["texts"].count("nothing in this range") == 1, "the truth has nothing within 5 %"


def test_amounts_of_a_vendor_that_states_no_unit_are_not_called_dollars(drawn: dict[str, Any]) -> None:
    assert drawn["units"] == [["USD", "vendor's unit"], ["USD", "USD"]]
