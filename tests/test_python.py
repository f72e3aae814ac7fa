"""The Python API: every public name is exported and documented, examples and pages give what they show."""

import doctest
import inspect
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import liqtruth as lt
from docs import pages
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import same
from liqtruth.storage.errors import NothingStored
from tests.conftest import called

OBJECTS = [name for name in lt.__all__ if name != "__version__"]
SHOWN = {
    "Lake": [name for name in vars(lt.Lake) if not name.startswith("_")],
    "Heatmap": ["filter", "frame", "plot"],
    "HeatmapSeries": ["frame", "plot"],
    "Comparison": ["frame", "plot"],
    "Divergence": ["frame"],
}
"""Methods that a notebook calls."""
METHODS = [f"{name}.{method}" for name, methods in SHOWN.items() for method in methods]
READABLE = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo of the pages ran."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = called([*pages.DEMO])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def lake(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lt.Lake]:
    monkeypatch.setenv("LIQTRUTH_DATA_DIR", str(demo / "demo" / "data"))
    monkeypatch.chdir(tmp_path)
    with lt.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def examples(demo: Path) -> Iterator[dict[str, Any]]:
    """What examples take as given."""
    with lt.open(demo / "demo" / "data") as lake:
        yield {
            "lt": lt,
            "truth": lake.exact_map("BTC"),
            "model": lake.model_map("BTC", window="3d"),
            "history": lake.model_series("BTC", last="1d", step="1h"),
        }


def found(name: str) -> Any:
    """The object of a public name; `compare` is the function behind the package that is called."""
    if name == "compare":
        from liqtruth.compare.comparison.comparison import compare

        return compare
    first, _, method = name.partition(".")
    return getattr(getattr(lt, first), method) if method else getattr(lt, first)


# ---------------------------------------------------------------------------------------- names


def test_every_public_name_is_exported() -> None:
    assert set(lt.__all__) <= set(dir(lt))
    assert all(getattr(lt, name) is not None for name in lt.__all__)
    assert lt.__version__ == called(["--version"]).stdout.split()[-1]
    with pytest.raises(AttributeError, match="no attribute 'heatmaps'"):
        lt.heatmaps  # noqa: B018


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_every_public_name_is_documented_in_the_manner_of_numpy(name: str) -> None:
    documented = found(name)
    docs = inspect.getdoc(documented) or ""
    assert "Examples\n--------\n>>> " in docs
    if isinstance(documented, type):
        return
    signature = inspect.signature(documented)
    assert ("Returns\n-------" in docs) == (signature.return_annotation not in (None, "None"))
    taken = [one for one in signature.parameters if one != "self"]
    assert ("Parameters\n----------" in docs) == bool(taken)
    described = docs.partition("Parameters")[2].partition("\n\n")[0]
    assert [one for one in taken if one not in described] == []


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_every_public_name_is_on_its_page(name: str) -> None:
    page = (pages.DOCS / "python.md").read_text()
    assert f"`{name.partition('.')[2]}`" in page if "." in name else f"`lt.{name}" in page


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_examples_give_what_they_show(name: str, lake: lt.Lake, examples: dict[str, Any]) -> None:
    names = {**examples, "lake": lake}
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(found(name)) or "", names, name, None, None)
    printed: list[str] = []
    failed, tried = doctest.DocTestRunner(optionflags=READABLE).run(test, out=printed.append)
    assert tried > 0
    assert failed == 0, "".join(printed)


# ---------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_pages_show_what_their_blocks_give(page: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo)
    text = page.read_text()
    assert "```python" in text
    assert pages.rendered(text) == text, "run `make docs`"


def test_a_page_whose_output_is_stale_is_found() -> None:
    page = "```python\nx = 2\nprint('a')\nx + 1\n```\n\n```text\n4\n```\n\n```python\nx\n```\n"
    assert pages.rendered(page) == page.replace("\n4\n", "\na\n3\n")


# ---------------------------------------------------------------------------------------- behaviour


def test_the_same_question_gives_the_same_map_as_the_command_line(lake: lt.Lake, tmp_path: Path) -> None:
    for words, drawn in (
        (["exact", "btc", "--layer", "crowd"], lake.exact_map("BTCUSDT", layer="crowd")),
        (["model", "BTC", "--window", "3d"], lake.model_map("btc", window=timedelta(days=3))),
    ):
        assert called(["map", *words, "--json", str(tmp_path / "map.json")]).returncode == 0
        assert same(lt.read_map(str(tmp_path / "map.json")), drawn)


def test_moments_are_text_or_datetime_and_lie_in_the_past(lake: lt.Lake) -> None:
    latest = lake.exact_map("BTC")
    for at in (
        "2026-09-01",
        "2026-09-01T02:00+02:00",
        datetime(2026, 9, 1),
        datetime(2026, 9, 1, tzinfo=UTC),
    ):
        assert same(lake.exact_map("BTC", at=at), latest)
    assert same(lake.exact_map("BTC", at="2026-08-31"), lake.exact_map("BTC", at="2026-08-30"))
    with pytest.raises(NothingStored):
        lake.exact_map("BTC", at="2026-08-29")
    for wrong in ("yesterday", "2999-01-01", datetime(2999, 1, 1)):
        with pytest.raises(BadInput, match=r"^at must be "):
            lake.exact_map("BTC", at=wrong)


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NothingStored, match="nothing is stored in"):
        lt.open(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_maps_and_comparisons_are_a_line_at_a_prompt(lake: lt.Lake) -> None:
    truth, model = lake.exact_map("BTC"), lake.model_map("BTC", window="3d")
    assert repr(truth).startswith("<Heatmap BTC hyperliquid exact of 20")
    assert repr(lake.exact_series("BTC", last="4h")).startswith("<HeatmapSeries BTC hyperliquid exact, ")
    found = lt.compare(truth, model)
    assert repr(found) == f"<Comparison of BTC: {found.verdict}>"


def test_maps_and_comparisons_show_themselves_without_script(lake: lt.Lake) -> None:
    truth, model = lake.exact_map("BTC"), lake.model_map("BTC", window="3d")
    shown = [truth, model, lake.exact_series("BTC", last="4h"), lake.model_series("BTC", last="4h")]
    for one in (*shown, lt.compare(truth, model)):
        html = one._repr_html_()
        assert "SYNTHETIC: of the sandbox" in html
        assert "BTC" in html
        assert "<script" not in html
        assert len(html) < 20_000
    assert truth._repr_html_().count("<rect") > 10
    assert "only leverage 30x+" in truth.filter(leverage="30x+")._repr_html_()


def test_what_comes_from_outside_is_text_in_a_cell(lake: lt.Lake) -> None:
    from dataclasses import replace

    named = replace(lake.exact_map("BTC"), venue="<img src=x>")
    assert "<img" not in named._repr_html_()
    assert "<img" not in lt.compare(named, named)._repr_html_()


def test_an_empty_map_says_so(lake: lt.Lake) -> None:
    empty = lake.exact_map("BTC").filter(leverage=[])
    assert "no liquidation in view" in empty._repr_html_()
    assert empty.frame().is_empty()


def test_a_filter_takes_short_names_of_bands(lake: lt.Lake) -> None:
    truth = lake.exact_map("BTC")
    assert same(truth.filter(leverage="3-7x", age="<1h"), truth.filter(leverage_band="3-7x", age_band="<1h"))
    with pytest.raises(BadInput, match="no breakdown by 'lever'"):
        truth.filter(lever="3-7x")
    with pytest.raises(BadInput, match="must be named once"):
        truth.filter(leverage="3-7x", leverage_band="30x+")


def test_the_crowd_lets_a_comparison_of_maps_speak_as_one_by_name_does(lake: lt.Lake) -> None:
    truth, crowd = lake.exact_map("BTC"), lake.exact_map("BTC", layer="crowd")
    model = lake.model_map("BTC", model="tiers", window="3d", at=truth.as_of)
    named = lake.compare("BTC", models=["binance:tiers"], window=timedelta(days=3))
    asked = [one.label.split() for one in named.divergence.baselines]
    assert ["binance", "moving-average"] in asked
    free = [
        lake.model_map("BTC", venue=(at or [venue])[-1], model=name, window="3d", at=truth.as_of)
        for venue, name, *at in asked  # `hyperliquid climatology at binance`
    ]
    found, by_name = lt.compare(truth, model, crowd=crowd, baselines=free).divergence, named.divergence
    around = {"clusters": found.clusters, "markets": found.markets, "remarks": found.remarks}
    bare, other = (
        replace(one, models=tuple(replace(model, pairs=()) for model in one.models))
        for one in (by_name, found)
    )
    assert replace(bare, **around) == other, "but for what is stored around the maps and their clusters"
    for mine, theirs in zip(by_name.models, found.models, strict=True):
        assert [(one.fate, one.shift_pct) for one in mine.pairs] == [
            (one.fate, one.shift_pct) for one in theirs.pairs
        ]
    assert set(found.remarks) < set(by_name.remarks)
    assert [(one.map, one.peak_px, one.shown_by) for one in found.clusters] == [
        (one.map, one.peak_px, one.shown_by) for one in by_name.clusters
    ]
    assert lt.compare(truth, model).divergence.layers == ()


def test_the_package_and_the_function_share_their_name() -> None:
    """Whatever was imported first: modules of the package are found, and the name can be called."""
    import liqtruth.compare.errors

    assert isinstance(lt.compare, ModuleType)
    assert callable(lt.compare)
    with pytest.raises(liqtruth.compare.errors.NothingToCompare):
        lt.compare(object())  # type: ignore[arg-type]
