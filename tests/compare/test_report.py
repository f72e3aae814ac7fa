"""The page needs no network, is the same for the same maps, and says what the divergence says."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from liqtruth.compare.comparison.report import (
    away,
    figure,
    grade,
    number,
    render_report,
    signed,
    write_report,
)
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import sentence, texts
from tests.compare.maps import FAR, NEAR, TRUTH, map_of

SCRIPT = re.compile(r"<script[^>]*>.*?</script>", re.DOTALL)


@pytest.fixture(scope="module")
def truth() -> Heatmap:
    return map_of(TRUTH, mark_px=66_907.0, open_interest_usd=2e8)


@pytest.fixture(scope="module")
def models() -> list[Heatmap]:
    shared = {"venue": "binance", "mark_px": 66_933.0}
    return [
        map_of(NEAR, model="tiers", assumptions=(sentence("equal tiers"),), **shared),
        map_of(FAR, model="bell", **shared),
    ]


@pytest.fixture(scope="module")
def divergence(truth: Heatmap, models: list[Heatmap]) -> Divergence:
    return compare_maps(truth, models)


@pytest.fixture(scope="module")
def page(divergence: Divergence, truth: Heatmap, models: list[Heatmap]) -> str:
    return render_report(divergence, truth, models)


def markup(page: str) -> str:
    """The page without its scripts: what a browser would load things from."""
    return SCRIPT.sub("", page)


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", "", markup(page))).split())


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    assert not re.search(r"""<script[^>]+\bsrc\b""", page.split("<body>")[1])
    assert not re.search(r"""(src|href|action|data)\s*=|url\(|@import|https?:""", markup(page))
    assert page.count('type="application/json"') == 2  # the mirror and the curves


def test_the_same_divergence_gives_the_same_bytes(
    page: str, divergence: Divergence, truth: Heatmap, models: list[Heatmap]
) -> None:
    assert render_report(divergence, truth, models) == page


def test_it_shows_the_verdict_the_caveat_every_remark_and_every_assumption(
    page: str, divergence: Divergence
) -> None:
    expected = words(page)
    stated = (divergence.verdict, *texts(divergence.caveats), *texts(divergence.remarks), "equal tiers")
    for line in stated:
        assert line in expected
    assert expected.index(divergence.verdict) < expected.index("What a move would liquidate")


def test_the_maps_stand_first_and_each_model_can_be_chosen_beside_the_truth(
    page: str, models: list[Heatmap]
) -> None:
    body = markup(page)
    assert body.index('class="mirror"') < body.index('class="cards"') < body.index('id="curves"')
    assert re.findall(r"<option>(.*?)</option>", body) == [model.label for model in models]


def test_it_shows_bands_scores_and_coverage_with_their_figures(page: str, divergence: Divergence) -> None:
    expected = words(page)
    for band in divergence.bands:
        for share in (band.truth_share, band.null_share, *band.model_shares):
            assert f"{100 * share:.1f} %" in expected
    for result in divergence.models:
        for row in result.judged:
            assert figure(row.model, row.score) in expected
    covered = divergence.truth.coverage_share
    assert f"{100 * covered.long:.1f} % / {100 * covered.short:.1f} %" in expected


def test_the_synthetic_banner_stands_only_over_the_sandbox(
    page: str, divergence: Divergence, truth: Heatmap, models: list[Heatmap]
) -> None:
    assert "SYNTHETIC" not in markup(page)
    assert "SYNTHETIC MARKET" in markup(render_report(replace(divergence, synthetic=True), truth, models))


def test_names_and_notes_are_text_and_never_tags() -> None:
    hostile = "<b>"
    truth = map_of(TRUTH, coin=hostile, venue=hostile)
    truth = replace(truth, coverage=replace(truth.coverage, notes=(sentence("<script>alert(1)</script>"),)))
    model = map_of(
        NEAR, venue=hostile, model="</script><i>", coin=hostile, assumptions=(sentence("<img src=x>"),)
    )
    page = render_report(compare_maps(truth, [model]), truth, [model])
    plain = render_report(compare_maps(map_of(TRUTH), [model]), map_of(TRUTH), [model])
    assert "<script>alert" not in page
    assert page.count("</script>") == plain.count("</script>")
    for tag in ("<b>&", "<b> ", "<img", "<i>"):
        assert tag not in markup(page)
    assert "&lt;b&gt; liquidations" in markup(page)
    assert "&lt;script&gt;alert(1)" in markup(page)


def test_an_undefined_score_is_a_dash_with_its_reason() -> None:
    truth, model = map_of(TRUTH), map_of([("long", 4.0, 1e6)], venue="binance", model="tiers")
    expected = words(render_report(compare_maps(truth, [model]), truth, [model]))
    assert "W1, short – undefined" in expected
    assert "binance tiers: no shorts of binance tiers within 25 % of the mark" in expected
    assert "None" not in expected


def test_maps_that_know_neither_coverage_nor_positions_are_reported_too() -> None:
    truth = map_of(TRUTH, source="imported")
    truth = replace(truth, coverage=replace(truth.coverage, open_interest_usd=None, positions=None))
    model = map_of(NEAR, venue="binance", model="tiers")
    expected = words(render_report(compare_maps(truth, [model]), truth, [model]))
    assert "truth coversunknown" in expected
    assert "positions that shape the whole truth" not in expected


def test_a_report_is_written_whole_or_not_at_all(
    divergence: Divergence, truth: Heatmap, models: list[Heatmap], page: str, tmp_path: Path
) -> None:
    write_report(divergence, truth, models, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text() == page
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(LiqtruthError, match=r"cannot write .*taken\.html"):
        write_report(divergence, truth, models, tmp_path / "taken.html")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["new", "taken.html"]


def test_figures_carry_their_units_and_signs() -> None:
    assert [number(None), number(1.234), number(1.26, 1)] == ["–", "1.23", "1.3"]
    assert figure(0.061, "share_above_error") == "6 pp"
    assert figure(2.5, "wasserstein_pct") == "2.50 %"
    assert figure(0.1234, "jensen_shannon") == "0.123"
    assert (signed(0.84), signed(-0.4)) == ("+84 %", "−40 %")
    assert (away(5.24, "long"), away(5.24, "short"), away(None, "long")) == ("−5.2 %", "+5.2 %", "none")
    assert [grade(skill) for skill in (0.5, -0.5, 0.01, None)] == ["better", "worse", "same", "undefined"]
