"""Bounds go with the whole map and with nothing else, survive its files, and are shown before the picture."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from liqtruth.heatmap.bounds import (
    NOT_HELD,
    NOTES,
    NOTHING_BELOW,
    SHOWN_PCT,
    WITHHELD,
    MapBounds,
    SideBounds,
    moves,
    withheld_notes,
)
from liqtruth.heatmap.drawing.figure import map_figure, to_html
from liqtruth.heatmap.drawing.terminal import map_panel
from liqtruth.heatmap.drawing.view import bounds_lines, side_notes
from liqtruth.heatmap.errors import BadInput, MapFileError
from liqtruth.heatmap.files import from_json, read_map, same, to_json, write_map
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import texts
from tests.heatmap.maps import SUFFIXES, plain


def side_of(scale: float = 1e6, distances: tuple[float, ...] = (2.0, 5.0, 10.0)) -> SideBounds:
    rows = (1.0, 0.5, 2.0, 0.6, 0.1, 0.4, 0.9)
    return SideBounds(distances, *(tuple(row * scale * far for far in distances) for row in rows))


BOUNDS = MapBounds(side_of(), side_of(3e6), 0.8, "120 held-out pairs")
MAP = replace(plain(), bounds=BOUNDS)
amounts = st.lists(st.floats(0.0, 1e12), min_size=3, max_size=3)


@given(amounts, amounts)
def test_bounds_survive_every_float_in_json(low: list[float], more: list[float]) -> None:
    high = tuple(a + b for a, b in zip(low, more, strict=True))
    side = SideBounds((1.0, 2.0, 3.0), high, tuple(low), high, tuple(low), tuple(low), high, high)
    drawn = replace(plain(), bounds=MapBounds(side, side, 0.8, "a test"))
    again = from_json(to_json(drawn))
    assert again.bounds == drawn.bounds
    assert same(again, drawn)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bounds_are_read_back_from_every_file(tmp_path: Path, suffix: str) -> None:
    for drawn in (MAP, plain()):
        write_map(drawn, tmp_path / f"map{suffix}")
        assert read_map(tmp_path / f"map{suffix}").bounds == drawn.bounds


def test_a_part_of_a_map_has_no_bounds_and_another_moment_of_it_keeps_them() -> None:
    assert MAP.filter(margin_mode="cross").bounds is None
    assert replace(MAP, model="other").bounds == BOUNDS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distance_pct": (2.0, 2.0, 10.0)}, "distances that ascend"),
        ({"low_usd": (-1.0, 0.0, 0.0)}, "at least 0"),
        ({"high_usd": (float("nan"), 1.0, 1.0)}, "bounds must be numbers"),
        ({"low_usd": (9e9, 9e9, 9e9)}, "above its upper bound"),
        ({"whales_low_usd": (9e9, 9e9, 9e9)}, "above its upper bound"),
        ({"crowd_usd": (1.0,)}, "crowd_usd must have an amount for each of 3 distances, got 1"),
    ],
)
def test_bounds_that_are_none_are_refused(change: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(side_of(), **change)


def test_a_file_with_bounds_that_are_none_is_refused_with_its_place() -> None:
    with pytest.raises(MapFileError, match=r"there: .*above its upper bound"):
        from_json(to_json(MAP).replace('"low_usd": [1000000.0', '"low_usd": [9e20'), "there")


def test_between_two_distances_a_bound_lies_on_the_line_between_them_and_at_the_mark_is_nothing() -> None:
    side = side_of(1.0)
    assert side.at(5.0) == pytest.approx((5.0, 2.5, 10.0, 3.0, 0.5, 2.0, 4.5))
    assert side.at(3.5) == pytest.approx([3.5 * row for row in (1.0, 0.5, 2.0, 0.6, 0.1, 0.4, 0.9)])
    assert side.at(0.0) == (0.0,) * 7


def test_moves_are_shown_from_the_largest_rise_to_the_largest_fall_as_far_as_bounds_reach() -> None:
    shown = moves(BOUNDS)
    assert [move.move_pct for move in shown] == [10.0, 5.0, 2.0, -2.0, -5.0, -10.0]
    assert [move.side for move in shown] == ["short"] * 3 + ["long"] * 3
    near = MapBounds(side_of(distances=(1.0, 2.0)), side_of(), 0.8, "")
    assert [move.move_pct for move in moves(near)] == [10.0, 5.0, 2.0, -2.0]


def test_a_move_is_stated_in_one_sentence() -> None:
    assert bounds_lines(MAP)[4] == (
        "a move of -5 % likely liquidates $4.5M (80 %: $2.5M to $10M), of it whales $500k to $2M"
    )
    assert bounds_lines(plain()) == ()


def test_on_what_bounds_rest_is_reported_beside_the_map_and_not_beside_its_parts() -> None:
    message = "bounds hold on 80 % of held-out maps: 120 held-out pairs"
    assert message in side_notes(MAP)
    assert message not in side_notes(MAP.filter(margin_mode="cross"))


def rendered(heatmap: Heatmap) -> list[str]:
    console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(map_panel(heatmap))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@given(st.floats(1e-3, 1e11))
def test_in_the_terminal_bounds_stand_before_the_bars_with_nothing_cut_off(scale: float) -> None:
    lines = rendered(replace(MAP, bounds=MapBounds(side_of(scale), side_of(scale), 0.8, "")))
    assert all(cell_len(line) <= 80 for line in lines)
    assert "…" not in "".join(lines)
    first = next(at for at, line in enumerate(lines) if "█" in line)
    shown = [line.split()[0] for line in lines[:first] if re.match(r" *[+-]\d+ %", line)]
    assert shown == ["+10", "+5", "+2", "-2", "-5", "-10"]


def test_the_picture_states_every_move_above_the_bars_and_the_page_below_them_too() -> None:
    message = map_figure(MAP).layout.title.subtitle.text
    page = to_html(MAP)
    table = page[page.index("<table") : page.index("</table>")]
    assert page.index('class="mirror"') < page.index("<table"), "the chart comes first"
    for pct in SHOWN_PCT:
        for sign in "+-":
            assert f"a move of {sign}{pct:g} % likely liquidates" in message
            assert f">{sign}{pct:g}\N{NO-BREAK SPACE}%</td>" in table
    assert "$2.5M to $10M" in table
    assert "<table" not in to_html(plain())


def test_what_is_withheld_is_null_in_files_and_said_to_be_everywhere_it_is_shown(tmp_path: Path) -> None:
    nothing = (None, None, None)
    gone = replace(
        side_of(), low_usd=nothing, high_usd=nothing, whales_low_usd=nothing, whales_high_usd=nothing,
        withheld=(NOTHING_BELOW, NOT_HELD, NOT_HELD),
    )  # fmt: skip
    drawn = replace(plain(), bounds=MapBounds(gone, side_of(), 0.8, "a test"))
    assert json.loads(to_json(drawn))["bounds"]["long"]["low_usd"] == [None] * 3
    assert from_json(to_json(drawn)).bounds == drawn.bounds
    assert bounds_lines(drawn)[4] == "a move of -5 % likely liquidates $4.5M (bounds withheld)"
    assert sum(line.count(WITHHELD) for line in rendered(drawn) if re.match(r" *-\d+ %", line)) == 6
    reasons = [one.code for one in withheld_notes(drawn.bounds)]  # type: ignore[arg-type]
    assert reasons == [NOTES[NOTHING_BELOW], NOTES[NOT_HELD]]
    assert all(text in side_notes(drawn) for text in texts(withheld_notes(drawn.bounds)))  # type: ignore[arg-type]


def test_between_a_distance_with_bounds_and_one_without_there_are_none() -> None:
    half = replace(
        side_of(1.0), low_usd=(None, 2.5, 5.0), high_usd=(None, 10.0, 20.0), whales_low_usd=(None, 0.5, 1.0),
        whales_high_usd=(None, 2.0, 4.0), withheld=(NOT_HELD, None, None),
    )  # fmt: skip
    assert half.at(5.0) == side_of(1.0).at(5.0)
    assert half.at(4.9)[1] is None
    assert half.at(4.9)[0] == pytest.approx(4.9)


@pytest.mark.parametrize(
    "change",
    [
        {"low_usd": (None, 2.5, 5.0)},
        {"withheld": (NOT_HELD, None, None)},
        {"withheld": ("because", None, None), "low_usd": (None, 2.5, 5.0)},
    ],
)
def test_bounds_without_a_reason_or_with_one_too_many_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        replace(side_of(1.0), **change)
