"""Maps read from screenshots: how near they come to what was drawn, what does not matter, and what is refused."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.pictures.column import axis_through
from liqtruth.compare.imported.pictures.even_levels import even_levels
from liqtruth.compare.imported.pictures.picture import picture_given
from liqtruth.compare.imported.read import read_map
from liqtruth.compare.imported.vendor_map import PictureGiven
from liqtruth.heatmap.files import write_map
from liqtruth.heatmap.heatmap import Heatmap
from tests.compare.imported import screenshots
from tests.compare.imported.screenshots import MARK, Drawn, Image, cropped, labelled, levels, screenshot
from tests.compare.maps import MANY, map_of
from tests.conftest import Run

PALETTES = ("coinglass", "magma", "ours")
AT = "2026-08-20T12:00Z"


def read(path: Path, drawn: Drawn, **picture: Any) -> Heatmap:
    return read_map(path, coin="BTC", mark=MARK, as_of=AT, picture={**drawn.picture, **picture})


def off_pct(found: Heatmap, drawn: Drawn) -> float:
    """Wasserstein distance to what was drawn, in percent of the mark."""
    edges = found.grid.edges
    mass = found.long_usd + found.short_usd
    at = np.linspace(drawn.edges[0], drawn.edges[-1], 100_001)
    seen = np.interp(at, edges, np.concatenate([[0.0], np.cumsum(mass)])) / mass.sum()
    real = np.interp(at, drawn.edges, np.concatenate([[0.0], np.cumsum(drawn.amounts)])) / drawn.amounts.sum()
    return float(100 * np.abs(seen - real).mean() * (at[-1] - at[0]) / MARK)


def values(found: Heatmap, code: str) -> Any:
    return next(one.values for one in found.coverage.notes if one.code == code)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_png_is_read_within_a_fifth_of_a_percent_of_price(palette: str, seed: int, tmp_path: Path) -> None:
    drawn = screenshot(palette, seed)
    found = read(drawn.saved(tmp_path), drawn)
    assert off_pct(found, drawn) < 0.2
    assert off_pct(found, drawn) < values(found, "picture_accuracy")["w1_pct"] < 0.8
    assert palette in values(found, "picture_read")["palette"]
    assert values(found, "picture_axis")["step_pct"] == pytest.approx(0.046, abs=0.003)


@pytest.mark.parametrize(("palette", "most"), [("coinglass", 0.4), ("magma", 0.2), ("ours", 0.7)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_jpeg_of_quality_85_is_read_less_exactly(
    palette: str, most: float, seed: int, tmp_path: Path
) -> None:
    drawn = screenshot(palette, seed)
    found = read(drawn.saved(tmp_path, "heatmap.jpg", quality=85), drawn)
    assert off_pct(found, drawn) < most
    assert off_pct(found, drawn) < values(found, "picture_accuracy")["w1_pct"] < 4.0


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_a_small_picture_states_how_much_less_exact_it_is(form: str, tmp_path: Path) -> None:
    """Levels of two rows of pixels: where one ends is known to half of its height, and JPEG mixes both."""
    stated = {}
    for size in ((800, 500), (1280, 800)):
        drawn = screenshot("coinglass", 214, size=size)
        found = read(drawn.saved(tmp_path, f"heatmap.{form}"), drawn)
        stated[size] = values(found, "picture_accuracy")["w1_pct"]
        assert off_pct(found, drawn) < stated[size]
    assert stated[800, 500] > 1.2 * stated[1280, 800]


@pytest.mark.parametrize("drawn_as", [{"size": (800, 500)}, {"buckets": 391}, {"log": True}, {"down": True}])
@pytest.mark.parametrize("seed", [211, 303])
def test_levels_of_one_height_are_found_and_read_as_levels(
    drawn_as: dict[str, Any], seed: int, tmp_path: Path
) -> None:
    """Also where one is two rows of pixels high, or one and a half."""
    drawn = screenshot("coinglass", seed, **drawn_as)
    found = read(drawn.saved(tmp_path), drawn)
    assert values(found, "picture_levels")["count"] == pytest.approx(drawn.amounts.size, abs=1)
    assert off_pct(found, drawn) < min(0.2, values(found, "picture_accuracy")["w1_pct"])


@pytest.mark.parametrize(
    ("form", "quality", "scale"),
    [
        ("jpg", 60, 1.0),
        ("jpg", 95, 1.0),
        ("webp", 60, 1.0),
        ("jpg", 85, 0.5),
        ("png", 0, 0.75),
        ("webp", 80, 1.5),
    ],
)
@pytest.mark.parametrize("seed", [301, 302])
def test_the_accuracy_that_is_stated_holds_for_pictures_as_people_post_them(
    form: str, quality: int, scale: float, seed: int, tmp_path: Path
) -> None:
    """Packed by phones, made smaller, and with price lines told to a whole row."""
    drawn = screenshot("coinglass", seed, scale=scale)
    drawn = replace(drawn, lines=tuple((px, round(row)) for px, row in drawn.lines))
    path = drawn.saved(tmp_path, f"map.{form}", **({"quality": quality} if quality else {}))
    found = read(path, drawn)
    assert off_pct(found, drawn) < values(found, "picture_accuracy")["w1_pct"] < 4.0


@given(st.floats(1.7, 9.0), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_height_of_levels_is_found_to_a_part_of_a_row(height: float, phase: float, seed: int) -> None:
    rng, rows = np.random.default_rng(seed), 500
    level = np.floor(np.arange(rows) / height + 0.5 / height + phase).astype(int)
    shades = rng.integers(0, 256, (level.max() + 1, 40))[level]
    plot = np.repeat(shades[..., None], 3, axis=2).astype(np.uint8)
    known = np.ones(rows, dtype=bool)
    found = even_levels(
        plot,
        np.ones(plot.shape[:2], dtype=bool),
        np.arange(rows + 1.0),
        plot[:, -1].astype(float),
        known,
        False,
    )
    assert found is not None
    inner = np.diff(found.ends[1:-1])
    assert inner == pytest.approx(height, rel=0.002)
    assert found.unexplained(plot[:, -1].astype(float), known) < 0.1


def test_levels_of_any_heights_are_not_taken_for_even_ones() -> None:
    rng = np.random.default_rng(3)
    heights = rng.integers(2, 9, 110)
    shades = np.repeat(rng.integers(0, 256, (110, 40)), heights, axis=0)
    plot = np.repeat(shades[..., None], 3, axis=2).astype(np.uint8)
    rows = len(plot)
    known, fits = np.ones(rows, dtype=bool), np.ones(plot.shape[:2], dtype=bool)
    assert even_levels(plot, fits, np.arange(rows + 1.0), plot[:, -1].astype(float), known, False) is None


@pytest.mark.parametrize("changed", [{"down": True}, {"log": True}, {"margin": 60}, {"bar": False}])
def test_axes_either_way_an_empty_margin_and_a_missing_bar_change_nothing(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    drawn = screenshot("coinglass", **changed)
    found = read(drawn.saved(tmp_path), drawn)
    assert off_pct(found, drawn) < 0.2
    assert abs(values(found, "picture_read")["last"] - drawn.right) <= 6
    assert values(found, "picture_axis")["is_log"] == bool(changed.get("log"))


@pytest.mark.parametrize("scale", [0.5, 0.75, 2.0])
def test_the_size_of_a_picture_changes_its_resolution_alone(scale: float, tmp_path: Path) -> None:
    drawn = screenshot("coinglass", scale=scale)
    found = read(drawn.saved(tmp_path), drawn)
    assert off_pct(found, drawn) < 0.2
    assert values(found, "picture_axis")["step_pct"] == pytest.approx(0.0464 / scale, rel=0.02)


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_a_palette_that_is_only_alike_is_refused(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inferno begins as magma does: read as that, every level would be at another amount."""
    stops = "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4"
    monkeypatch.setitem(screenshots.STOPS, "inferno", stops)
    monkeypatch.setitem(screenshots.PAGE, "inferno", screenshots.PAGE["magma"])
    drawn = screenshot("inferno", 211)
    path = drawn.saved(tmp_path, f"heatmap.{form}")
    for stated in ({}, {"palette": "magma"}):
        with pytest.raises(VendorMapRefused, match="--bar"):
            read(path, drawn, **stated)
    assert off_pct(read(path, drawn, bar=drawn.bar), drawn) < (0.2 if form == "png" else 0.7)


@pytest.mark.parametrize("palette", ["coinglass", "magma"])
def test_rows_under_a_label_are_read_to_the_left_of_it(palette: str, tmp_path: Path) -> None:
    drawn = labelled(screenshot(palette, 211))
    found = read(drawn.saved(tmp_path), drawn)
    assert off_pct(found, drawn) < 0.2
    assert values(found, "picture_behind")["behind"] > 50


def test_a_picture_of_little_but_the_plot_is_read(tmp_path: Path) -> None:
    drawn = cropped(screenshot("coinglass", 211))
    assert off_pct(read(drawn.saved(tmp_path), drawn), drawn) < 0.2


def test_amounts_are_percent_of_the_picture_with_sides_by_the_mark(tmp_path: Path) -> None:
    drawn = screenshot("coinglass")
    found = read(drawn.saved(tmp_path), drawn)
    assert found.source == "imported"
    assert found.origin is not None
    assert (found.origin.vendor, found.origin.unit) == ("picture", "percent")
    assert found.long_usd.sum() + found.short_usd.sum() == pytest.approx(100, abs=1e-6)
    assert not found.short_usd[: found.grid.bins_each_way].any()


def test_other_colours_are_read_off_the_stated_bar(tmp_path: Path) -> None:
    drawn = screenshot("magma")
    turned = Image.fromarray(np.asarray(drawn.image)[:, :, ::-1].copy())
    turned.save(tmp_path / "turned.png")
    found = read(tmp_path / "turned.png", drawn, bar=drawn.bar)
    assert off_pct(found, drawn) < 0.2
    assert values(found, "picture_read")["palette"] == "colour bar"


def test_an_earlier_column_can_be_named(tmp_path: Path) -> None:
    drawn = screenshot("coinglass", clutter=False)
    early = read(drawn.saved(tmp_path), drawn, column=300)
    assert values(early, "picture_read")["last"] == 300
    assert off_pct(early, drawn) > 0.5


def test_pixels_that_are_see_through_are_left_out_and_counted(tmp_path: Path) -> None:
    drawn = screenshot("coinglass", clutter=False)
    image = drawn.image.convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 300, image.width, 340))
    image.save(tmp_path / "holes.png")
    assert values(read(tmp_path / "holes.png", drawn), "picture_left_out")["left_out"] == 40


def test_a_picture_of_256_colours_is_read(tmp_path: Path) -> None:
    drawn = screenshot("coinglass", clutter=False)
    drawn.image.quantize(256).save(tmp_path / "few.png")
    assert off_pct(read(tmp_path / "few.png", drawn), drawn) < 0.3


# ----------------------------------------------------------------------------------------- refused


def refused(content: bytes, folder: Path, drawn: Drawn, **picture: Any) -> str:
    path = folder / "map.png"
    path.write_bytes(content)
    with pytest.raises(VendorMapRefused) as found:
        read(path, drawn, **picture)
    text = str(found.value)
    assert "\n" not in text
    assert len(text) <= 300
    return text


def packed(image: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, format="PNG", **options)
    return content.getvalue()


def test_hostile_pictures_are_refused_in_one_line(tmp_path: Path) -> None:
    drawn = screenshot("coinglass", clutter=False)
    whole = drawn.packed()
    assert "cannot be decoded" in refused(whole[: len(whole) // 2], tmp_path, drawn)
    assert "cannot be decoded" in refused(drawn.packed("JPEG")[:9000], tmp_path, drawn)
    assert "cannot be decoded" in refused(b"\x89PNG\r\n\x1a\n", tmp_path, drawn)
    assert "pixels" in refused(packed(Image.new("1", (30_000, 30_000))), tmp_path, drawn)
    assert "pixels" in refused(packed(Image.new("P", (6_000, 4_000))), tmp_path, drawn)
    assert "mode L" in refused(packed(drawn.image.convert("L")), tmp_path, drawn)
    other = screenshot("coinglass", 2, clutter=False).image
    assert "animation" in refused(packed(drawn.image, save_all=True, append_images=[other]), tmp_path, drawn)


def test_pictures_without_levels_or_colours_are_refused(tmp_path: Path) -> None:
    drawn = screenshot("coinglass")
    flat = Image.new("RGB", (800, 800), (0x44, 0x01, 0x54))
    assert "one colour" in refused(packed(flat), tmp_path, drawn)
    assert "colours of" in refused(packed(Image.new("RGB", (800, 800), (255, 255, 255))), tmp_path, drawn)
    nothing = screenshot("coinglass", amounts=np.zeros(165), clutter=False)
    assert "one colour" in refused(nothing.packed(), tmp_path, drawn)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ({"prices": {90_000: 100}}, "two price lines"),
        ({"prices": {90_000: 100, 80_000: 5_000}}, "row from 0 to 799"),
        ({"prices": {80_000: 100, 90_000: 600}}, "swapped"),
        ({"prices": {90_000: 300, 80_000: 300}}, "rows that differ"),
        ({"prices": {90_000: 100, 80_000: 110}}, "20 pixels apart"),
        ({"prices": {90_000: 100, 80_000: 300, 70_000: 600}}, "off the axis"),
        ({"palette": "jet"}, "coinglass, magma, ours"),
        ({"column": 5_000}, "--column"),
        ({"bar": (0, 0, 5_000, 0)}, "--bar"),
        ({"bar": (5, 5, 5, 300)}, "one colour"),
    ],
)
def test_what_is_stated_wrongly_is_refused(picture: dict[str, Any], said: str, tmp_path: Path) -> None:
    drawn = screenshot("coinglass", clutter=False)
    assert said in refused(drawn.packed(), tmp_path, drawn, **picture)


def test_what_is_typed_of_a_picture_is_read() -> None:
    given = picture_given(["92,000@140", "78e3@690.5"], "magma", 7, "1,2,3,4")
    assert given == PictureGiven(((92_000.0, 140.0), (78_000.0, 690.5)), "magma", 7, (1, 2, 3, 4))
    assert picture_given([]) is None
    for words in (["92000"], ["a@b"], ["1@-4"], ["1.2.3@4"]):
        with pytest.raises(VendorMapRefused, match="PRICE@Y"):
            picture_given(words)
    with pytest.raises(VendorMapRefused, match="X1,Y1,X2,Y2"):
        picture_given([], bar="1,2,3")


def test_an_axis_is_of_the_kind_that_three_lines_fit() -> None:
    even, log = (
        axis_through([(90.0, 0), (80.0, 100), (70.0, 200)]),
        axis_through([(64.0, 0), (16.0, 100), (4.0, 200)]),
    )
    assert not isinstance(even, str)
    assert not isinstance(log, str)
    assert (even.is_log, log.is_log) == (False, True)
    assert float(log.price(50)) == pytest.approx(32.0)


# ---------------------------------------------------------------------------------------- commands


@pytest.fixture
def truth(tmp_path: Path) -> str:
    write_map(map_of(MANY), tmp_path / "truth.json")
    return str(tmp_path / "truth.json")


def test_a_picture_is_imported_written_and_compared(run: Run, truth: str, tmp_path: Path) -> None:
    mark = read_map(truth).mark_px
    drawn = screenshot("coinglass", low=mark * 0.85, high=mark * 1.15, amounts=levels(1, 165), clutter=False)
    path, own = str(drawn.saved(tmp_path)), tmp_path / "mine.json"
    words = ["--mark", str(mark), *(word for px, row in drawn.lines for word in ("--price", f"{px}@{row}"))]
    shown = " ".join(run("map", "import", path, "--coin", "BTC", *words, "-o", str(own)).stdout.split())
    assert own.is_file(), shown
    assert "read from a picture" in json.dumps(json.loads(own.read_text()))
    compared = run("compare", "BTC", "--truth", truth, "--map", path, *words, "--json")
    assert json.loads(compared.stdout)
    assert "two price lines" in run("map", "import", path, "--coin", "BTC", "--mark", "1", code=2).stderr
