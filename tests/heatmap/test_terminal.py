"""A map in the terminal: everything that matters in 80 columns."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from liqtruth.heatmap.clusters.distribution import profile_of
from liqtruth.heatmap.drawing.terminal import blocks, map_panel, profile_panel
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import sentence
from tests.heatmap.maps import Level, any_levels, at, map_of

TWO = map_of(
    [("long", 93.0, 2e6), ("short", 108.0, 1e6)],
    coverage=Coverage(4e6, Sides(2e6, 1e6), positions=2, accounts=2, notes=(sentence("a note of its own"),)),
)


def rendered(heatmap: Heatmap, rows: int = 30) -> list[str]:
    console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(map_panel(heatmap, rows=rows))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def profile_lines(heatmap: Heatmap) -> list[str]:
    console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(profile_panel(heatmap, profile_of(heatmap)))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def bars(lines: list[str]) -> list[str]:
    return [line for line in lines if " % " in line and ("█" in line or line.lstrip()[0].isdigit())]


@settings(max_examples=20)
@given(any_levels, st.sampled_from([0.0123457, 3.5, 100.0, 63_123.5, 999_999.0, 1_234_567.0]))
def test_any_map_fits_eighty_columns_with_nothing_cut_off(levels: list[Level], mark_px: float) -> None:
    moved = [(side, px and px * mark_px / 100, usd) for side, px, usd in levels]
    lines = rendered(map_of(moved, PriceGrid.around(mark_px)))
    assert all(cell_len(line) <= 80 for line in lines)
    assert "…" not in "".join(lines)


@settings(max_examples=20)
@given(any_levels, st.sampled_from([0.0123457, 3.5, 100.0, 63_123.5, 999_999.0, 1_234_567.0]))
def test_the_profile_of_any_map_fits_eighty_columns_with_nothing_cut_off(
    levels: list[Level], mark_px: float
) -> None:
    moved = [(side, px and px * mark_px / 100, usd) for side, px, usd in levels]
    lines = profile_lines(map_of(moved, PriceGrid.around(mark_px)))
    assert all(cell_len(line) <= 80 for line in lines)
    assert "…" not in "".join(lines)


def test_the_profile_shows_who_would_be_liquidated_more_and_where() -> None:
    text = " ".join(" ".join(profile_lines(TWO)).split())
    assert "5 % $0 $0 +$0 -" in text
    assert "10 % $2M $1M +$1M +33 %" in text
    assert "max pain 93.0099 -7.0 % 92.9635-93.0564 $2M" in text
    assert "near & largest 107.946 +7.9 % 107.892-108 $1M 100 % 1 100 %" in text


def test_the_panel_shows_mark_sides_and_coverage() -> None:
    text = " ".join(rendered(TWO))
    for message in (
        "BTC on hyperliquid: exact positions",
        "mark 100",
        "covers 50.0 % of long and 25.0 % of short open interest ($4M)",
        "2 positions of 2 accounts",
        "not drawn: no price liquidates",
        "a note of its own",
    ):
        assert message in text


def test_prices_fall_from_top_to_bottom_with_shorts_above_the_mark_and_longs_below() -> None:
    lines = rendered(TWO)
    (mark,) = [n for n, line in enumerate(lines) if line.split()[:2] == ["100", "mark"]]
    drawn = {n: line for n, line in enumerate(lines) if "█" in line}
    above, below = sorted(drawn)
    assert above < mark < below
    assert drawn[above].split()[-2:] == ["$1M", "$1M"]
    assert drawn[below].split()[-2:] == ["$2M", "$2M"]
    prices = [float(line.split()[0]) for line in bars(lines)]
    assert prices == sorted(prices, reverse=True)
    assert prices[0] > 108 > 100 > 93 > prices[-1]


def test_the_last_column_adds_up_from_the_mark_outwards() -> None:
    built = map_of([("short", at(0.02), 1e6), ("short", at(0.05), 2e6), ("short", at(0.08), 4e6)])
    drawn = [line.split()[-2:] for line in rendered(built) if "█" in line]
    assert drawn == [["$4M", "$7M"], ["$2M", "$3M"], ["$1M", "$1M"]]


@pytest.mark.parametrize("rows", [2, 10, 40])
def test_no_more_rows_of_bars_than_asked_for(rows: int) -> None:
    assert 1 <= len(bars(rendered(TWO, rows))) <= rows


def test_an_empty_map_states_how_far_it_looked_and_draws_no_bars() -> None:
    lines = rendered(map_of([("long", 1.0, 5e6)]))
    assert "no liquidation within 10 % of the mark" in lines
    assert "off the grid $5M long" in " ".join(lines)
    assert not [line for line in lines if "█" in line]


@given(st.floats(0.0, 1.0), st.integers(1, 60))
def test_a_bar_is_as_long_as_its_share_to_an_eighth_and_never_longer_than_its_column(
    share: float, width: int
) -> None:
    drawn = blocks(share, width)
    assert cell_len(drawn) <= width
    assert (share > 0) == (drawn != "")
    assert abs(drawn.count("█") - share * width) <= 1.0625


def test_bars_in_eighths() -> None:
    assert [blocks(share, 2) for share in (0.0, 1e-9, 0.25, 0.5, 0.75, 1.0)] == [
        "",
        "▏",
        "▌",
        "█",
        "█▌",
        "██",
    ]
