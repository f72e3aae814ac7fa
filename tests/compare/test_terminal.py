"""In the terminal: the answer first, everything within 80 columns, whatever the maps are called."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from liqtruth.compare.comparison.terminal import divergence_view
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.heatmap.words.notes import sentence, texts
from tests.compare.maps import FAR, MANY, NEAR, TRUTH, Level, map_of

CROWDS = (NEAR, FAR, TRUTH)
LONGS = [("long", 4.0, 1e6)]


def compared(
    *models: list[Level], names: tuple[str, ...] = ("tiers", "bell", "fitted"), **more: object
) -> Divergence:
    truth = map_of(TRUTH, mark_px=66_907.0, open_interest_usd=2e8)
    offered = [
        map_of(levels, venue="binance", model=name, mark_px=66_933.0, **more)
        for levels, name in zip(models, names, strict=False)
    ]
    return compare_maps(truth, offered)


def shown(divergence: Divergence, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(divergence_view(divergence))
    return out.getvalue()


def words(text: str) -> str:
    """Without the frame and line breaks, so that sentences can be looked for."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_line_is_longer_than_80_and_the_answer_comes_first(count: int) -> None:
    divergence = compared(*CROWDS[:count])
    text = shown(divergence)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert words(text).index(divergence.verdict) < text.index("The maps")
    assert divergence.caveat in words(text)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_bands_coverage_scores_and_remarks_are_whole_for_every_model(count: int) -> None:
    divergence = compared(*CROWDS[:count])
    text = shown(divergence)
    assert "…" not in text
    share = divergence.truth.coverage_share
    assert f"{100 * share.long:.3g}/{100 * share.short:.3g}" in text
    for result in divergence.models:
        assert f"{result.scores.wasserstein_pct:.2f} %" in text
        assert f"Clusters: {result.summary.label} (match within 1 % of price)" in text
    for band in divergence.bands:
        for part in (band.truth_share, band.null_share, *band.model_shares):
            assert f"{100 * part:.1f} %" in text
    for remark in texts(divergence.remarks):
        assert remark in words(text)


def test_each_score_stands_beside_that_of_knowing_only_the_mark() -> None:
    truth = map_of(MANY, mark_px=66_907.0)
    divergence = compare_maps(truth, [map_of(NEAR, venue="binance", model="tiers", mark_px=66_933.0)])
    row = next(line for line in shown(divergence).splitlines() if "W1, mean" in line)
    skill = divergence.models[0].skill
    assert f"{divergence.null_scores.wasserstein_pct:.2f} %" in row
    assert f"better {skill:+.0%}" in row


def test_a_model_that_cannot_be_scored_shows_dashes_and_the_reason() -> None:
    text = shown(compared(LONGS))
    row = next(line for line in text.splitlines() if "W1, short" in line)
    assert row.split()[-1] == "-"
    assert "binance tiers: no shorts of binance tiers within 25 % of the mark" in words(text)


def test_the_sandbox_is_named_in_the_heading_and_only_then() -> None:
    divergence = compared(NEAR)
    assert "SYNTHETIC MARKET" not in shown(divergence)
    assert "(SYNTHETIC MARKET)" in shown(replace(divergence, synthetic=True)).splitlines()[0]


@pytest.mark.parametrize("name", ["[bold]x", "[/x]", "<b>", "a" * 60])
def test_names_are_text_and_never_markup(name: str) -> None:
    text = shown(compared(NEAR, names=(name,)))
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert name[:6] in text


def test_remarks_with_brackets_are_printed_as_they_are() -> None:
    divergence = replace(compared(NEAR), remarks=(sentence("dexes [xyz] and [/abc] left out"),))
    assert "• dexes [xyz] and [/abc] left out" in shown(divergence)
