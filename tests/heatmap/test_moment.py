"""The age of a moment is taken from the clock wherever it is shown, and stored nowhere."""

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from liqtruth.heatmap.drawing.figure import map_figure, to_html
from liqtruth.heatmap.drawing.page import age_of
from liqtruth.heatmap.drawing.terminal import map_panel
from liqtruth.heatmap.drawing.view import age_line, coverage_line, data_moment
from liqtruth.heatmap.files import to_json
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.text import Grade, ago, as_of, grade
from tests.heatmap.maps import map_of

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
TWO = map_of([("long", 93.0, 2e6), ("short", 108.0, 1e6)])
SERIES_END_H = 3
MODELLED = replace(
    TWO,
    source="modelled",
    model="tiers",
    coverage=Coverage(4e6, Sides(2e6, 1e6), oldest_age_s=3600.0 * SERIES_END_H),
)


@pytest.mark.parametrize(
    ("old", "found", "graded"),
    [
        (timedelta(0), "now", "fresh"),
        (timedelta(seconds=59), "now", "fresh"),
        (timedelta(minutes=1), "1 minute ago", "fresh"),
        (timedelta(minutes=60), "60 minutes ago", "fresh"),
        (timedelta(minutes=61), "61 minutes ago", "old"),
        (timedelta(hours=5, minutes=59), "5 hours ago", "old"),
        (timedelta(hours=24), "24 hours ago", "old"),
        (timedelta(hours=24, seconds=1), "24 hours ago", "stale"),
        (timedelta(days=1.5), "1 day ago", "stale"),
        (timedelta(days=100), "100 days ago", "stale"),
        (timedelta(minutes=-4), "4 minutes ahead of the clock", "fresh"),
        (timedelta(minutes=-20), "20 minutes ahead of the clock", "old"),
    ],
)
def test_ages_and_their_grades(old: timedelta, found: str, graded: Grade) -> None:
    assert ago(NOON - old, NOON) == found
    assert grade(NOON - old, NOON) == graded
    assert as_of(NOON - old, NOON).endswith(f" UTC ({found})")
    assert f'class="age {graded}"' in age_of(NOON - old, NOON)


@given(
    st.timedeltas(timedelta(days=-2), timedelta(days=4000)), st.timedeltas(timedelta(0), timedelta(days=40))
)
def test_what_is_older_never_has_a_better_grade(old: timedelta, more: timedelta) -> None:
    order = ("fresh", "old", "stale")
    if old >= timedelta(0):
        assert order.index(grade(NOON - old - more, NOON)) >= order.index(grade(NOON - old, NOON))


def rendered(heatmap: Heatmap, now: datetime) -> str:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(map_panel(heatmap, now=now))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_map_states_its_age_in_the_terminal_on_its_page_and_in_its_picture() -> None:
    later = NOON + timedelta(days=100)
    assert "as of 2026-08-20 12:00 UTC (100 days ago)" in rendered(TWO, later)
    assert re.search(
        r"when drawn: as of 2026-08-20 12:00 UTC \(\d+ days ago\)", map_figure(TWO).layout.title.subtitle.text
    )
    assert re.search(
        r'datetime="2026-08-20T12:00:00Z">2026-08-20 12:00 UTC</time> <span>\(\d+ days ago\)', to_html(TWO)
    )


def test_json_states_the_moment_and_nothing_that_changes_by_itself() -> None:
    assert '"as_of": "2026-08-20T12:00:00+00:00"' in to_json(TWO)
    assert "ago" not in to_json(TWO)


def test_a_modelled_map_is_as_old_as_its_series() -> None:
    assert data_moment(TWO) == TWO.as_of
    assert data_moment(MODELLED) == MODELLED.as_of - timedelta(hours=SERIES_END_H)
    assert (
        age_line(MODELLED, NOON)
        == "as of 2026-08-20 12:00 UTC (now), of series to 2026-08-20 09:00 UTC (3 hours ago)"
    )
    assert "series end 3.0 h before" in coverage_line(MODELLED)
    assert "oldest read" not in coverage_line(MODELLED)
    assert 'class="age stale">of series to <time class="as-of" datetime="2026-08-20T09:00:00Z">' in to_html(
        MODELLED
    )


@pytest.mark.parametrize("drawn", [TWO, MODELLED])
def test_synthetic_data_state_it_beside_the_age(drawn: Heatmap) -> None:
    synthetic = replace(drawn, coverage=replace(drawn.coverage, synthetic=True))
    assert "SYNTHETIC" in age_line(synthetic)
    assert "SYNTHETIC" not in age_line(drawn)
    assert "SYNTHETIC" in rendered(synthetic, NOON).splitlines()[1]
