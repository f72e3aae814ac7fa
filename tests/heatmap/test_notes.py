"""Every note has a text that its values fill, files give notes back, and what this program does not know stays text."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec
import pytest

from liqtruth.heatmap.drawing.view import LACKING
from liqtruth.heatmap.layers import ABOUT_LAYERS
from liqtruth.heatmap.words.note_texts import FORMS, TEXTS
from liqtruth.heatmap.words.notes import (
    SYNTHETIC_NOTES,
    Note,
    WrittenNote,
    as_text,
    note,
    reader,
    sentence,
    texts,
    written,
)

ROOT = Path(__file__).parents[2]
PACKAGES = ("heatmap", "storage", "indexer", "estimator", "compare", "commands")
GOLDEN = Path(__file__).with_name("notes.txt")
CUT = {"cut_share": 0.003, "cut_usd": (2.4e6, 2.4e6), "of_open_interest": True}
COMPUTED: Mapping[str, Mapping[str, Any]] = {
    "filtered": {"kept": {"margin_mode": ("cross", "isolated"), "age_band": ("<1h",)}},
    "whales": {"within_pct": 30, "share": 0.44, "whales": 2, "crowd": 1, "effective": (2.0, 1e3), **CUT},
    "only_crowd": {"shares": (0.5, 0.25), **CUT},
    "only_whales": {"shares": (0.5, 0.25), **CUT, "cut_usd": (3e5, 6e5), "of_open_interest": False},
    "truth_is_incomplete": {"long": 0.5, "short": 0.25, "empty_pct": 10.0},
    "leverage_lacking": {"venue": "okx", "leverages": (75.0, 100.0)},
    "opened_at_mean": {"px": 81_000.0, "window_s": 259_200.0, "by_volume": True, "away": 0.0125},
    "baselines_missing": {"missing": (("moving-average", "no candles"), ("persistence", "no reading"))},
    "ranges_missing": {"share": 0.8},
    "swept_levels": {
        "side": "short",
        "share": 0.12,
        "beside": 0.004,
        "low_px": 76_400.0,
        "high_px": 78_100.0,
        "window_s": 21_600.0,
        "alone": True,
    },
    "phantom_cluster": {"side": "long", "px": 60_894.4, "share": 0.11, "beside": 0.0},
    "heavy_cluster": {"side": "long", "px": 60_894.4, "share": 0.3, "beside": 0.1, "of_crowd": True},
    "missed_cluster": {"side": "long", "px": 60_894.4, "share": 0.11, "beside": 0.0},
    "missed_holder": {"side": "long", "px": 60_894.4, "share": 0.11, "beside": 0.0, "holder": 0.9},
    "missed_by_several": {"side": "long", "px": 60_894.4, "share": 0.11, "holder": None},
    "looks_mirrored": {"value": 0.0, "off_pct": 4.0, "then_pct": 1.0},
    "looks_one_of": {
        "causes": [["looks_mirrored", 0.0], ["looks_moved", -3.0], ["other", 0.0]],
        "alike": 0.52,
        "before": 0.04,
    },
    "looks_scaled": {"value": 2.0, "off_pct": 4.0, "then_pct": 1.0},
    "looks_centred_on_mean": {
        "value": -2.5,
        "off_pct": 4.0,
        "then_pct": 1.0,
        "px": 83_000.0,
        "window_s": 259_200.0,
        "away": 0.025,
    },
    "looks_moved": {"value": -2.5, "off_pct": 4.0, "then_pct": 1.0, "factor": 1.5, "beside": "binance tiers"},
    "untold": {"sides": True, "low_pct": -2.0, "high_pct": 3.5},
    "moments_apart": {"gap_s": 7_819_200.0, "when": "after"},
    "truth_covers": {"label": "hyperliquid exact", "long": 0.5, "short": 0.25, "positions": 1590},
    "banded_truth": {"samples": 4, "ends": (2.0, 5.0)},
    "census_incomplete": {"long": 0.5, "short": 0.25, "middle_usd": 2e6, "large": True},
    "census_maintenance": {"known": False, "highest": 50.0},
    "nothing_near": {
        "label": "hyperliquid exact",
        "near_pct": 10.0,
        "nearest_pct": {"long": 12.0, "short": None},
    },
    "nothing_near_on_side": {
        "label": "hyperliquid exact",
        "near_pct": 10.0,
        "side": "long",
        "nearest_pct": 12.0,
    },
    "few_positions": {
        "sides": (("long", 20, 3.0, 3.0), ("short", 1590, 40.0, 45.0)),
        "enough": 50.0,
        "floor_pct": 1.5,
    },
    "not_compared": {"missing": (("binance:calibrated", "no candles"), ("hyperliquid:calibrated", "no fit"))},
    "not_ranked": {"label": "binance m1", "why": "no_record", "fit": "mine"},
    "open_interest_too_large": {"usd": 2e11},
    "scaled": {"scale": 1.25, "coordinate": "of-maximum", "here": 50.0, "reference": 40.0, "unlevered": 0.1},
    "bars": {"bars": 2, "start": "2026-08-01T00:00Z", "by_marks": True},
    "bins_emptied": {"by_marks": False, "width_bps": 10.0},
    "not_on_map": {
        "window_from": "2026-08-01T00:00Z",
        "before_window": (0.1, 0.1),
        "swept": (0.2, 0.3),
        "unassigned": (0.0, 0.0),
        "unallowed": None,
    },
    "path_prices": {"verb": "visited", "by_marks": 0.5},
    "implied_collateral": {
        "address": "0xa",
        "dex": "xyz",
        "positions": 3,
        "implied_usd": 1590.0,
        "captured_usd": None,
    },
    "other_margin_table": {"coin": "BTC", "table": 51, "positions": 2, "others": 1},
    "margin_tables": {"dex": "xyz", "at": ["2026-08-01T00:00Z"], "earlier": 2, "later": True},
    "moved_by_accounts": {"by_records": False, "readings": 24},
    "coverage_unknown": {"words": ("the latest of each second", "unknown")},
    "picture_read": {
        "form": "PNG",
        "width": 1280,
        "height": 800,
        "first": 1174,
        "last": 1178,
        "palette": "magma",
        "bar": (32, 419, 32, 100),
    },
    "venue_missing": {
        "venue": "okx",
        "venues": ("binance", "bybit", "okx"),
        "off": 0.08,
        "then": 0.01,
        "low": 0.04,
        "high": 0.1,
    },
    "picture_axis": {"rows": 659, "step_px": 39.4, "step_pct": 0.046, "is_log": False},
    "picture_accuracy": {
        "w1_pct": 0.02,
        "rows_pct": 0.01,
        "packing_pct": 0.01,
        "faint_pct": 0.0,
        "floor": 0.01,
    },
}
"""Values of the texts that are functions."""
SAMPLES: Mapping[str, Any] = {
    "names": ("a", "b"),
    "venues": ("a", "b"),
    "venue": "x",
    "rates": (0.5, 2.0),
    "by_side": (0.1, 0.2),
    "pair": (0.1, 0.2),
}


def sample(spec: str) -> Any:
    """A value that a format takes."""
    form = spec.partition(":")[0]
    if form in SAMPLES:
        return SAMPLES[form]
    if form == "counted" or spec == ",":
        return 1590
    return 0.25 if form in FORMS or spec else "x"


def example(code: str) -> Note:
    text = TEXTS[code]
    if not isinstance(text, str):
        return Note(code, COMPUTED[code])
    return Note(code, {name: sample(spec or "") for _, name, spec, _ in Formatter().parse(text) if name})


def made_notes() -> Iterator[tuple[str, ast.Call, str]]:
    """Code, call and place of all notes that the program makes with a code that stands there."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("note", "Note") and node.args:
                    for code in ast.walk(node.args[0]):
                        if isinstance(code, ast.Constant) and isinstance(code.value, str):
                            yield code.value, node, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_texts_are_those_of_the_golden_file() -> None:
    """To change a wording, change it in both; nothing else may depend on it."""
    assert [f"{code}: {example(code).text}" for code in TEXTS] == GOLDEN.read_text().splitlines()


def test_every_note_that_is_made_has_a_text_and_the_values_of_it() -> None:
    found = list(made_notes())
    assert len(found) > 80
    for code, call, place in found:
        assert code in TEXTS or "only_" in code, place
        text = TEXTS.get(code)
        given = {keyword.arg for keyword in call.keywords}
        if isinstance(text, str) and ast.unparse(call.func) == "note" and None not in given:
            assert {name for _, name, _, _ in Formatter().parse(text) if name} == given, place


def test_codes_that_are_picked_out_exist() -> None:
    assert set(TEXTS) >= LACKING | ABOUT_LAYERS | SYNTHETIC_NOTES


def test_a_code_without_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no note has the code 'rumour'"):
        note("rumour")


@pytest.mark.parametrize("code", TEXTS)
def test_a_note_is_found_again_by_its_sentence(code: str) -> None:
    before = (example(code), example(code).of("binance"))
    content = msgspec.json.encode(before, enc_hook=as_text)
    beside = msgspec.json.decode(msgspec.json.encode(written(before)), type=list[WrittenNote])
    after = msgspec.json.decode(content, type=tuple[Note, ...], dec_hook=reader(beside))
    assert texts(after) == texts(before)
    assert after == before or code == "text"


@pytest.mark.parametrize(
    "beside",
    [
        WrittenNote("3 of 10", "a_code_of_tomorrow", {}),
        WrittenNote("3 of 10", "stale_positions", {}),
        WrittenNote("3 of 10", "stale_positions", {"count": 3, "positions": 10, "hours": "six"}),
        WrittenNote("3 of 10", "whales", {"within_pct": "x", "share": None}),
        WrittenNote("3 of 10", "stale_positions", {"count": 3, "positions": 10, "hours": 6.0}),
    ],
)
def test_a_sentence_whose_code_is_not_known_or_states_something_else_stays_a_sentence(
    beside: WrittenNote,
) -> None:
    assert reader([beside])(Note, "3 of 10") == sentence("3 of 10")


def test_the_same_code_with_other_values_is_another_note() -> None:
    one, other = note("no_beta", coins=["A"], taken=1.0), note("no_beta", coins=["B"], taken=1.0)
    assert one != other
    assert one == note("no_beta", coins=("A",), taken=1.0)
    assert one.of("binance").text == f"binance: {one.text}"
    assert len({one, other, note("no_beta", coins=["A"], taken=1.0)}) == 2
