"""A filtered map says so wherever it is shown, written and read."""

import io
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from liqtruth.heatmap.drawing.figure import map_figure, to_html
from liqtruth.heatmap.drawing.terminal import map_panel
from liqtruth.heatmap.drawing.view import coverage_line, title
from liqtruth.heatmap.files import read_map, to_json, write_map
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from tests.heatmap.maps import NOON

BANDS = ("0-3x", "3-7x", "15-30x")
MODES = ("cross", "isolated")


def whole(source: str = "exact", model: str = "") -> Heatmap:
    rows = [
        (side, px, 1e6, band, mode)
        for side, px in (("long", 90.0), ("short", 110.0))
        for band in BANDS
        for mode in MODES
    ]
    schema = {"side": pl.Enum(("long", "short")), "px": pl.Float64, "notional_usd": pl.Float64,
              "leverage_band": pl.String, "margin_mode": pl.String}  # fmt: skip
    return Heatmap.from_levels(
        pl.DataFrame(rows, schema=schema, orient="row"),
        PriceGrid.around(100.0),
        coin="BTC",
        venue="binance",
        source=source,  # type: ignore[arg-type]
        model=model,
        as_of=NOON,
        coverage=Coverage(1e7, Sides(6e6, 6e6), positions=12, accounts=12),
        by=("leverage_band", "margin_mode"),
    )


MAPS = [whole(), whole("modelled", "tiers")]


@pytest.mark.parametrize("drawn", MAPS)
@given(kept=st.lists(st.sampled_from(BANDS), min_size=1, unique=True), mode=st.sampled_from((None, *MODES)))
def test_caption_coverage_label_terminal_and_picture_name_the_filter(
    drawn: Heatmap, kept: list[str], mode: str | None
) -> None:
    part = drawn.filter(leverage_band=kept, **({} if mode is None else {"margin_mode": mode}))
    message = f"only leverage {' or '.join(kept)}" + (f"; margin mode {mode}" if mode else "")
    console = Console(width=300, file=io.StringIO(), color_system=None)
    console.print(map_panel(part))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert coverage_line(part).startswith(f"{message}: ")
    assert f"({message})" in part.label
    for text in (title(part), shown, map_figure(part).layout.title.text):
        assert message in text
    for text in (title(drawn), drawn.label, coverage_line(drawn), to_json(drawn)):
        assert "only" not in text


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
@pytest.mark.parametrize("drawn", MAPS)
def test_files_and_the_page_keep_it(drawn: Heatmap, suffix: str, tmp_path: Path) -> None:
    part = drawn.filter(leverage_band="15-30x")
    write_map(part, tmp_path / f"map{suffix}")
    assert read_map(tmp_path / f"map{suffix}").only == part.only == {"leverage_band": ("15-30x",)}
    assert "only leverage 15-30x" in to_html(part)


def test_a_filter_of_a_filter_names_what_is_left() -> None:
    part = whole().filter(leverage_band=BANDS[:2]).filter(leverage_band=BANDS[1:]).filter(margin_mode="cross")
    assert part.only == {"leverage_band": ("3-7x",), "margin_mode": ("cross",)}
    assert replace(part, only={}).label == whole().label
