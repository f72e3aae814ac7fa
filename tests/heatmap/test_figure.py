"""A map as a figure: bars per side, cumulative lines, the mark, and pages that need nothing else."""

import importlib.util
import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from markupsafe import Markup

from liqtruth.heatmap.clusters.distribution import MapProfile, profile_of
from liqtruth.heatmap.clusters.facts import MapFacts, Surroundings, cluster_facts
from liqtruth.heatmap.drawing import cluster_rows
from liqtruth.heatmap.drawing.figure import map_figure, to_html, write_html, write_png
from liqtruth.heatmap.drawing.page import unbroken
from liqtruth.heatmap.drawing.view import zoomed
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note, sentence
from liqtruth.heatmap.words.text import price
from tests.heatmap.maps import Level, any_levels, at, map_of

TWO = map_of([("long", 93.0, 2e6), ("short", at(0.05), 1e6), ("short", at(0.08), 3e6)])
EMPTY = map_of([("long", 1.0, 5e6)])

needs_kaleido = pytest.mark.skipif(
    not importlib.util.find_spec("kaleido"), reason="the extra `png` is absent"
)
needs_chromium = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), reason="no Chromium"
)


def traces(figure: Any, kind: str) -> dict[str, Any]:
    return {trace.name.split()[0].strip(","): trace for trace in figure.data if trace.type == kind}


def annotations(figure: Any) -> list[str]:
    return [note.text for note in figure.layout.annotations]


@settings(max_examples=12)
@given(any_levels)
def test_bars_are_the_mass_in_view_in_millions_and_lines_end_at_its_sum(levels: list[Level]) -> None:
    built = map_of(levels)
    figure, view = map_figure(built), zoomed(built, 60)
    for name, mass in (("longs", view.long_usd), ("shorts", view.short_usd)):
        bar, line = traces(figure, "bar")[name], traces(figure, "scatter")[name]
        assert np.allclose(bar.x, mass[mass > 0] / 1e6)
        assert np.allclose(bar.y, view.centers[mass > 0])
        assert np.isclose(max(line.x), mass.sum() / 1e6)
        assert min(line.x) == 0.0


def test_longs_are_drawn_below_the_mark_and_shorts_above_it() -> None:
    figure = map_figure(TWO)
    assert [trace.type for trace in figure.data] == ["bar", "bar", "scatter", "scatter"]
    for kind in ("bar", "scatter"):
        found = traces(figure, kind)
        assert max(found["longs"].y) <= 100.0 <= min(found["shorts"].y)
    assert {trace.orientation for trace in figure.data if trace.type == "bar"} == {"h"}
    assert traces(figure, "scatter")["shorts"].x[-1] == pytest.approx(4.0)


def test_the_mark_is_a_line_with_its_price() -> None:
    figure = map_figure(TWO)
    (line,) = figure.layout.shapes
    assert (line.y0, line.y1) == (100.0, 100.0)
    assert "mark 100" in annotations(figure)


def test_axes_have_units_and_the_heading_states_what_the_map_is() -> None:
    layout = map_figure(TWO).layout
    assert layout.xaxis.title.text == "liquidations per 0.2 % bin (million USD)"
    assert layout.xaxis2.title.text == "cumulative liquidations (million USD)"
    assert layout.yaxis.title.text == "price (USD)"
    assert layout.title.text.startswith("BTC on hyperliquid: exact positions")
    assert "open interest unknown" in layout.title.subtitle.text
    assert "not drawn: no price liquidates" in layout.title.subtitle.text


def test_an_empty_map_states_it_instead_of_an_empty_picture() -> None:
    assert "no liquidation within 10 % of the mark" in annotations(map_figure(EMPTY))
    assert not [text for text in annotations(map_figure(TWO)) if "no liquidation" in text]


class Loads(HTMLParser):
    """Addresses that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_page_loads_nothing_from_elsewhere_and_contains_the_library_and_the_map() -> None:
    page, loads = to_html(TWO), Loads()
    loads.feed(page)
    assert loads.addresses == []
    assert len(page) > 400_000
    assert page.count('<div class="mirror">') == 1
    assert "BTC on hyperliquid: exact positions" in page


def test_a_page_of_the_sandbox_states_it_above_the_picture_and_one_of_an_exchange_does_not() -> None:
    coverage = replace(TWO.coverage, notes=(note("synthetic_positions"),), synthetic=True)
    page = to_html(replace(TWO, coverage=coverage))
    assert page.index('<span class="synthetic">SYNTHETIC') < page.index('class="mirror"')
    assert '<span class="synthetic">' not in to_html(TWO)


def test_what_maps_are_called_is_text_and_never_a_tag() -> None:
    hostile = replace(TWO, coin="<b>", model="</script><i>", assumptions=(sentence("<img src=x>"),))
    loads = Loads()
    loads.feed(to_html(hostile))
    assert loads.addresses == []
    assert "<h1>&lt;b&gt; on hyperliquid" in to_html(hostile)


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    write_html(TWO, tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert page.count("<body>") == 1


@needs_kaleido
@needs_chromium
def test_a_picture_is_a_png_of_the_size_of_the_figure(tmp_path: Path) -> None:
    write_png(TWO, tmp_path / "map.png")
    content = (tmp_path / "map.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert [int.from_bytes(content[at : at + 4]) for at in (16, 20)] == [1280, 880]


@needs_kaleido
def test_without_chromium_the_remedy_is_reported_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))
    with pytest.raises(LiqtruthError, match="is Chromium installed") as refused:
        write_png(TWO, tmp_path / "map.png")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def listed() -> tuple[Heatmap, MapProfile, MapFacts]:
    built = map_of(
        [("long", 93.0, 2e6), ("long", 80.0, 5e6), ("short", at(0.04), 1e6), ("short", at(0.2), 3e6)]
    )
    profile = profile_of(built)
    return built, profile, cluster_facts(built, profile.clusters, Surroundings("hyperliquid", atr_pct=2.0))


def test_a_page_lists_the_clusters_that_the_terminal_lists(
    listed: tuple[Heatmap, MapProfile, MapFacts],
) -> None:
    built, profile, facts = listed
    page = unescape(re.sub(r"<[^>]+>", "|", to_html(built, profile=profile, facts=facts)))
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    rows = [cells for (_, cells), _ in cluster_rows.cluster_rows(built, profile)]
    assert len(rows) == 6, "two clusters a side, and the bin of most mass"
    for cell in {cell for cells in rows for cell in cells if cell}:
        assert f"|{cell}|" in page
    for fact in facts.clusters:
        assert f"|{fact.distance_atr:.1f}|" in page


def test_every_page_answers_with_the_nearest_and_the_largest_cluster_of_each_side(
    listed: tuple[Heatmap, MapProfile, MapFacts],
) -> None:
    built, profile, _ = listed
    head = to_html(built).replace("\N{NO-BREAK SPACE}", " ").split('<div class="mirror">')[0]
    for side, sign in (("long", "−"), ("short", "+")):
        for one in (profile.nearest[side], profile.largest[side]):
            assert one is not None
            assert f"{price(one.peak_px)} ({sign}{one.peak_pct:.1f} %)" in head
    assert "no cluster on this side<" in to_html(EMPTY)


def test_where_a_map_ends_near_its_mark_an_empty_side_is_empty_only_so_far() -> None:
    mark_px = EMPTY.mark_px
    page = to_html(replace(EMPTY, covers=(0.925 * mark_px, 1.5 * mark_px))).replace("\N{NO-BREAK SPACE}", " ")
    assert "no cluster on this side up to −7.5 %" in page
    assert page.count("no cluster on this side") == 2
    assert page.count(" up to ") == 1


def test_lines_break_in_a_cell_where_no_figure_is_torn_and_links_stay_as_they_are() -> None:
    assert unbroken("14.3 % (10.4-19.5)") == '14.3\N{NO-BREAK SPACE}% <span class="ends">(10.4-19.5)</span>'
    assert unbroken("<b>1-2</b>") == '&lt;b&gt;<span class="ends">1-2</span>&lt;/b&gt;'
    assert unbroken(Markup('<a href="BTC/2026-08">1</a>')) == '<a href="BTC/2026-08">1</a>'
