"""Maps over time as a picture: colour is notional, the mark is a line, what is not known stays empty."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.heatmap.drawing.series_figure import ROWS_SHOWN, series_figure, write_html
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage
from liqtruth.heatmap.levels import NOTHING, Sides
from liqtruth.heatmap.series import Candles, HeatmapSeries
from liqtruth.heatmap.words.notes import note, sentence
from tests.heatmap.maps import MARK, NOON, at

HOURS = 6
GRID = PriceGrid.around(MARK)
SINGLE = 1e-6
"""A picture's numbers are of single precision, to keep the page small."""


def series_of(levels: list[tuple[int, str, float, float]], unknown: int = 0, **more: Any) -> HeatmapSeries:
    """Levels as hour, side, price and notional on a flat mark of 100; the first `unknown` hours hold nothing."""
    mass = {side: np.zeros((HOURS, GRID.bins)) for side in ("long", "short")}
    for hour, side, px, notional in levels:
        mass[side][hour, GRID.bin_of(px)] += notional
    marks = np.full(HOURS, MARK)
    for values in (*mass.values(), marks):
        values[:unknown] = np.nan
    known: Coverage = Coverage(open_interest_usd=100.0, seen_usd=Sides(80.0, 90.0), oldest_age_s=60.0)
    about: dict[str, Any] = {
        "coin": "BTC",
        "venue": "hyperliquid",
        "source": "exact",
        "times": tuple(NOON + timedelta(hours=n) for n in range(HOURS)),
        "grid": GRID,
        "long_usd": mass["long"],
        "short_usd": mass["short"],
        "mark_px": marks,
        "beyond_usd": (NOTHING,) * HOURS,
        "never_usd": (NOTHING,) * HOURS,
        "coverage": tuple(None if n < unknown else known for n in range(HOURS)),
    }
    return HeatmapSeries(**{**about, **more})


def layers(series: HeatmapSeries) -> dict[str, Any]:
    return {trace.name.split()[0]: trace for trace in series_figure(series).data}


near_levels = st.lists(
    st.tuples(
        st.integers(0, HOURS - 1),
        st.sampled_from(["long", "short"]),
        st.floats(0.01, 0.09),
        st.floats(1.0, 1e9),
    ),
    min_size=1,
    max_size=15,
).map(
    lambda rows: [(hour, side, at(-move if side == "long" else move), usd) for hour, side, move, usd in rows]
)


@settings(max_examples=15)
@given(near_levels)
def test_the_picture_holds_all_mass_near_the_mark_each_side_in_its_own_layer(
    levels: list[tuple[int, str, float, float]],
) -> None:
    series, drawn = series_of(levels), layers(series_of(levels))
    for name, mass in (("longs", series.long_usd), ("shorts", series.short_usd)):
        shown = np.nan_to_num(np.asarray(drawn[name].customdata, dtype=float))
        assert np.allclose(shown.sum(axis=0), mass.sum(axis=1), rtol=SINGLE)
        colours = np.nan_to_num(np.asarray(drawn[name].z, dtype=float))
        assert np.allclose(colours, np.log10(np.where(shown > 0, shown, 1.0)), rtol=SINGLE, atol=SINGLE)
        assert len(drawn[name].y) == len(drawn[name].z) + 1 <= ROWS_SHOWN + 1


def test_a_level_is_drawn_at_its_price_and_time_and_empty_zones_are_see_through() -> None:
    drawn = layers(series_of([(2, "long", 95.0, 1e6)]))["longs"]
    cells = np.argwhere(np.isfinite(np.asarray(drawn.z, dtype=float)))
    ((row, column),) = cells.tolist()
    assert column == 2
    assert drawn.y[row] <= 95.0 < drawn.y[row + 1]
    assert drawn.z[row][column] == pytest.approx(6.0)
    assert drawn.customdata[row][column] == pytest.approx(1e6)
    assert not np.isfinite(
        np.asarray(layers(series_of([(2, "long", 95.0, 1e6)]))["shorts"].z, dtype=float)
    ).any()


def test_both_sides_are_on_one_colour_scale_and_the_mark_is_a_line() -> None:
    series = series_of([(2, "long", 95.0, 1e6), (3, "short", 104.0, 1e4)])
    drawn, scale = layers(series), series_figure(series).layout.coloraxis
    assert drawn["longs"].coloraxis == drawn["shorts"].coloraxis == "coloraxis"
    assert (scale.cmin, scale.cmax) == pytest.approx((3.0, 6.0))
    assert list(scale.colorbar.ticktext) == ["$1k", "$10k", "$100k", "$1M"]
    assert drawn["mark"].type == "scatter"
    assert list(drawn["mark"].y) == [MARK] * HOURS


def test_hours_of_which_nothing_is_known_are_empty_and_counted() -> None:
    series = series_of([(n, "long", 95.0, 1e6) for n in range(HOURS)], unknown=2)
    drawn = layers(series)
    for name in ("longs", "known"):
        assert np.isnan(np.asarray(drawn[name].z, dtype=float)[:, :2]).all()
    assert np.isfinite(np.asarray(drawn["known"].z, dtype=float)[:, 2:]).all()
    assert np.isnan(np.asarray(drawn["mark"].y, dtype=float)[:2]).all()
    assert series.describe() == [
        "4 of 6 moments known, 2026-08-20 12:00 to 2026-08-20 17:00 UTC",
        "covers 80.0 % to 90.0 % of open interest",
        "oldest position read up to 1 min before its moment",
    ]


def test_axes_have_units_and_the_heading_states_what_it_is() -> None:
    layout = series_figure(series_of([(2, "long", 95.0, 1e6)])).layout
    assert layout.xaxis.title.text == "time (UTC)"
    assert layout.yaxis.title.text == "price (USD)"
    assert layout.title.text == "BTC on hyperliquid: exact positions over time"


def modelled(levels: list[tuple[int, str, float, float]], **more: Any) -> HeatmapSeries:
    marks = np.full(HOURS, MARK)
    return series_of(
        levels,
        **{
            "source": "modelled",
            "model": "vintages",
            "candles": Candles(open=marks - 0.5, high=marks + 1, low=marks - 1),
            **more,
        },
    )


def test_a_models_scale_is_linear_and_its_heading_names_it() -> None:
    series = modelled([(n, "long", 95.0 + n / 5, 1e6 * (n + 1)) for n in range(HOURS)])
    longs, scale = layers(series)["longs"], series_figure(series).layout.coloraxis
    assert scale.cmin == 0
    assert scale.cmax == pytest.approx(np.quantile(1e6 * np.arange(1, HOURS + 1), 0.99))
    assert np.nanmax(np.asarray(longs.z, dtype=float)) == pytest.approx(6e6)
    assert scale.colorbar.ticktext[-1].endswith("+")
    assert longs.customdata is None
    assert series_figure(series).layout.title.text == "BTC on hyperliquid: model vintages over time"


def test_candles_are_drawn_while_they_can_be_distinguished_else_the_mark() -> None:
    assert layers(modelled([]))["price"].type == "candlestick"
    assert list(layers(modelled([]))["price"].close) == [MARK] * HOURS
    assert layers(modelled([], candles=None))["mark"].type == "scatter"


def test_a_models_view_stays_near_the_path_and_an_exact_one_holds_most_of_the_mass() -> None:
    far = [(0, "long", 60.0, 1e9), (0, "long", 95.0, 1.0)]
    model_low, exact_low = (layers(one)["longs"].y[0] for one in (modelled(far), series_of(far)))
    assert model_low > 90
    assert exact_low < 61


def test_the_subtitle_states_what_is_filtered_what_is_null_and_what_was_wrong() -> None:
    known = Coverage(open_interest_usd=100.0, seen_usd=Sides(80.0, 90.0), notes=(sentence("some is null"),))
    series = modelled(
        [],
        coverage=(known,) * HOURS,
        assumptions=(note("only_age", age="fresh"), note("increases_open")),
        quality=(sentence("2 bars dropped"),),
    )
    found = series_figure(series).layout.title.subtitle.text.split("<br>")
    assert found[1:5] == [
        "places 80.0 % to 90.0 % of open interest",
        "some is null",
        "input: 2 bars dropped",
        "only positions of age fresh are shown",
    ]
    assert not any("increase" in line for line in found)


def test_an_empty_series_states_it() -> None:
    message = [note.text for note in series_figure(series_of([])).layout.annotations]
    assert message == ["no liquidation in view"]


def test_a_page_is_written_whole_with_the_library_inside(tmp_path: Path) -> None:
    write_html(series_of([(2, "long", 95.0, 1e6)], coin="<b>BTC"), tmp_path / "series.html")
    page = (tmp_path / "series.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert page.count("<body>") == 1
    assert len(page) > 400_000
    assert "<h1>&lt;b&gt;BTC on" in page


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"long_usd": np.zeros((HOURS, 3))}, "long_usd must have shape"),
        ({"mark_px": np.zeros(2)}, "mark_px must have an entry for each of 6 times, got 2"),
        ({"times": (NOON,) * HOURS}, "must ascend"),
        (
            {"times": tuple((NOON + timedelta(hours=n)).replace(tzinfo=None) for n in range(HOURS))},
            "must have a time zone",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(more: dict[str, Any], found: str) -> None:
    with pytest.raises(BadInput, match=found):
        series_of([], **more)


def test_a_page_opens_near_the_path_of_the_price_and_has_all_that_a_picture_has() -> None:
    series = series_of([(n, "long", px, 1e6) for n in range(HOURS) for px in (60.0, 95.0)])
    picture, page = series_figure(series), series_figure(series, captioned=False)
    low, high = 10 ** np.array(page.layout.yaxis.range)
    assert low == pytest.approx(series.mark_px.min() / 1.25)
    assert high <= series.mark_px.max() * 1.25
    assert 10 ** picture.layout.yaxis.range[0] <= 60.0 < low
    assert [len(trace.y) for trace in page.data] == [len(trace.y) for trace in picture.data]
