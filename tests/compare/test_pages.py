"""Every kind of page: one shell, the badge of the sandbox and the age in its head; nothing wider than the window, no
text of a figure over another or cut, every table whole on a desk and whole in a box of its own on a phone."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.leverage_fit import LeverageFit
from liqtruth.compare.calibration.shown import shown
from liqtruth.compare.calibration.shown import write_page as fit_page
from liqtruth.compare.census.census import CoinRead, CountedCoin, census_of
from liqtruth.compare.census.shown import write_page as write_census
from liqtruth.compare.comparison.report import write_report
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.reports.index_page import INDEX, write_index
from liqtruth.compare.scoring.lead_lag.shown import write_page as lead_page
from liqtruth.compare.scoring.realised.job import score_realised
from liqtruth.compare.scoring.realised.shown import write_page as realised_page
from liqtruth.compare.scoring.visits.job import VisitPlan, visits_stored
from liqtruth.compare.scoring.visits.shown import write_page as visits_page
from liqtruth.compare.transfer.shown import write_page as transfer_page
from liqtruth.compare.transfer.transfer import carried_over
from liqtruth.compare.validation.findings import SplitFindings
from liqtruth.compare.validation.page import write_page as validation_page
from liqtruth.heatmap.clusters.distribution import profile_of
from liqtruth.heatmap.clusters.facts import Surroundings, cluster_facts
from liqtruth.heatmap.drawing import figure, series_figure, theme
from liqtruth.heatmap.words.notes import sentence
from liqtruth.storage.store import Settings, Store
from tests.browser import found_by
from tests.compare import test_lead_lag_lake as leads
from tests.compare import test_scoring_realised as realised
from tests.compare import test_transfer_model as transfers
from tests.compare.calibrated_markets import PRIOR, random_sample, random_series
from tests.compare.maps import FAR, MANY, NEAR, NOON, TRUTH, map_of
from tests.compare.test_leverage_census import people
from tests.compare.test_reports import comparison, written
from tests.compare.test_validation_verdicts import DOUBTFUL, WORSE, findings_of, split_of
from tests.compare.test_visits_lake import COIN, READ_AT, stored_reading, stored_series
from tests.heatmap.test_bounds import MAP
from tests.heatmap.test_series import modelled, series_of

PHONE_PX, DESK_PX = 390, 1280
PHONE_SCREEN_PX = 844
LARGEST_BYTES = 1_000_000
LONG_WORD = "synthetic: " + "0123456789abcdef" * 8
MEASURE = Path(__file__).with_name("measure_pages.js").read_text()


def map_page(path: Path) -> None:
    coverage = replace(MAP.coverage, synthetic=True, notes=(sentence(LONG_WORD),))
    figure.write_html(replace(MAP, coverage=coverage), path)


def model_page(path: Path) -> None:
    drawn = map_of(TRUTH, venue="binance", source="modelled", model="calibrated")
    assumed = (sentence(LONG_WORD),)
    coverage = replace(drawn.coverage, synthetic=True)
    figure.write_html(replace(drawn, coverage=coverage, assumptions=assumed, bounds=MAP.bounds), path)


def time_page(path: Path) -> None:
    series_figure.write_html(series_of([(2, "long", 95.0, 1e6), (3, "short", 107.0, 3e6)]), path)


def candles_page(path: Path) -> None:
    levels = [(hour, "long", 95.0 - hour / 5, 1e6) for hour in range(6)]
    series_figure.write_html(modelled([*levels, (3, "short", 104.0, 3e6)]), path)


def clusters_page(path: Path) -> None:
    drawn = map_of(MANY, open_interest_usd=2e8)
    profile = profile_of(drawn)
    facts = cluster_facts(drawn, profile.clusters, Surroundings("hyperliquid", atr_pct=1.5))
    coverage = replace(drawn.coverage, synthetic=True)
    figure.write_html(replace(drawn, coverage=coverage), path, profile, facts)


def census_page(path: Path) -> None:
    longs = people(np.random.default_rng(4), 300)
    rows = pl.concat([longs, longs.with_columns(side=pl.lit("short"))])
    read = CoinRead("BTC", NOON, 100.0, 600, 600, (0.9, 0.9), 40.0)
    write_census(census_of([CountedCoin(rows, read, (), synthetic=True)], draws=20), path)


def index_page(path: Path) -> None:
    folder = path.with_suffix("")
    for day in range(3):
        found = comparison(at=NOON + timedelta(days=day))
        written(folder, replace(found, divergence=replace(found.divergence, synthetic=True)))
    write_index(folder)
    path.write_text((folder / INDEX).read_text())


def report_page(path: Path) -> None:
    truth = map_of(MANY, mark_px=66_907.0, open_interest_usd=2e8)
    made = ((NEAR, "tiers"), (FAR, "calibrated"))
    models = [
        map_of(one, venue=venue, model=name, mark_px=66_933.0)
        for venue in ("binance", "bybit", "okx")
        for one, name in made
    ]
    divergence = replace(compare_maps(truth, models), synthetic=True)
    assert len(divergence.of_maps) == len(models)
    write_report(divergence, truth, models, path)


def fitted_page(path: Path) -> None:
    samples = Gathered(tuple(random_sample(seed) for seed in range(4)), ())
    made = LeverageFit(PRIOR, draws=20).fit(samples).calibrated_
    fit_page(shown(made.model, made.record), path)


def transferred_page(path: Path) -> None:
    own, reference = transfers.sample(transfers.WIDE, 0.3, 1), transfers.sample(transfers.BRACKETS, 0.0, 2)
    transfer_page(carried_over(transfers.MODEL, own, reference, coverage=1.0, name="carried"), path)


def validated_page(path: Path) -> None:
    splits = (split_of(), split_of("coins left out", tiers=DOUBTFUL, climatology=WORSE), split_of("both"))
    findings = findings_of(*(on_every_side(split) for split in splits))
    validation_page(findings, path)


def on_every_side(split: SplitFindings) -> SplitFindings:
    sides = [
        msgspec.structs.replace(one, side=side) for side in ("both", "long", "short") for one in split.sides
    ]
    return msgspec.structs.replace(split, sides=tuple(sides))


def scored_page(path: Path) -> None:
    with Store.open(Settings(data_dir=path.with_suffix(""))) as store:
        realised.store_market(store, realised.MARKET)
        realised_page(score_realised(store, realised.COIN, realised.VENUE, "bell"), path)


def visited_page(path: Path) -> None:
    market = random_series(12)
    with Store.open(Settings(data_dir=path.with_suffix(""))) as store:
        stored_series(store, market)
        for bar in READ_AT:
            stored_reading(store, market, bar)
        visits_page(visits_stored(store, VisitPlan(COIN, "hyperliquid", "tiers")), path)


def lead_lag_page(path: Path) -> None:
    series = random_series(13, bars=leads.BARS)
    with Store.open(Settings(data_dir=path.with_suffix(""))) as store:
        stored_series(store, series)
        for bar in range(4, leads.BARS, 6):
            stored_reading(store, series, bar)
        leads.stored_liquidations(store, *leads.swept_usd(store, series))
        leads.recorded(store, series)
        lead_page(leads.asked(store), path)


KINDS: dict[str, Callable[[Path], None]] = {
    "map": map_page,
    "model": model_page,
    "clusters": clusters_page,
    "series": time_page,
    "candles": candles_page,
    "census": census_page,
    "index": index_page,
    "report": report_page,
    "fit": fitted_page,
    "transfer": transferred_page,
    "validation": validated_page,
    "realised": scored_page,
    "visits": visited_page,
    "leads": lead_lag_page,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for kind, write in KINDS.items():
        write(folder / f"{kind}.html")
    return {kind: folder / f"{kind}.html" for kind in KINDS}


@pytest.fixture(scope="module")
def measured(pages: dict[str, Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """Of every page, by width of the window, what `MEASURE` finds."""
    frames = "".join(
        f'<iframe id="{kind}" width="{PHONE_PX}" height="3000" style="border:0" src="{path.name}"></iframe>'
        for kind, path in pages.items()
    )
    found: dict[str, dict[str, dict[str, Any]]] = found_by(
        f"const WIDTHS = [{PHONE_PX}, {DESK_PX}];\n{MEASURE}", frames, next(iter(pages.values())).parent
    )
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [PHONE_PX, DESK_PX])
def test_nothing_is_wider_than_the_window_cut_or_over_another(
    measured: dict[str, dict[str, dict[str, Any]]], kind: str, width: int
) -> None:
    found = measured[kind][str(width)]
    assert found["width"] == width
    assert found["undrawn"] == found["unboxed"] == found["hidden"] == 0
    assert found["overlaps"] == found["cut"] == []
    assert found["texts"] > 5 * found["figures"] > 0
    if width == DESK_PX:
        assert found["sideways"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_charts_have_a_new_width_in_the_next_picture(measured: dict[str, dict[str, Any]], kind: str) -> None:
    assert measured[kind]["late"] == 0


@pytest.mark.parametrize("kind", ["map", "model", "clusters", "series", "candles", "report"])
def test_most_of_a_map_is_on_the_first_screen_of_a_phone(
    measured: dict[str, dict[str, dict[str, Any]]], kind: str
) -> None:
    """A report is here one of six maps, whose answers are folded."""
    assert 0 < measured[kind][str(PHONE_PX)]["top"] < PHONE_SCREEN_PX / 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_has_the_shell_and_the_colours_of_the_theme(pages: dict[str, Path], kind: str) -> None:
    page = pages[kind].read_text()
    head, body = page.rsplit("<body>", 1)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in head
    assert re.search(r"<title>(.+)</title>", head)[1] == re.search(r"<h1>(.+)</h1>", body)[1]  # type: ignore[index]
    assert "prefers-color-scheme: light" in head
    assert re.search(r'<time class="as-of" datetime="2026-08-', body)
    assert ("SYNTHETIC MARKET" in body) == (kind not in ("series", "candles", "fit"))
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""src\s*=|href\s*=(?!"BTC/2026)|url\(|@import""", markup), (
        "only an index has links"
    )
    for content in re.findall(r'<script type="application/json">(.*?)</script>', body):
        drawn = json.loads(content)
        if "maps" not in drawn:  # the mirror takes its colours from the style sheet
            assert drawn["layout"]["template"] == json.loads(json.dumps(theme.template()))


def test_every_page_is_small(pages: dict[str, Path]) -> None:
    for path in pages.values():
        assert path.stat().st_size < LARGEST_BYTES, path.name


def test_a_table_that_is_wider_scrolls_in_its_own_box(pages: dict[str, Path]) -> None:
    for path in pages.values():
        body = path.read_text().rsplit("<body>", 1)[1]
        assert body.count("<table") == len(re.findall(r'<div class="scroll">\s*<table', body))


def test_every_colour_of_the_dark_theme_has_another_in_the_light() -> None:
    light = theme.LIGHT
    assert set(theme.VARIABLES.values()) <= set(light)
    assert not set(light) & set(light.values())
    assert len(set(light)) == len(set(light.values()))
