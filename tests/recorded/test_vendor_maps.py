"""The recorded maps of CoinAnk: read, listed, and compared with the exact map of the whole population.

`vendor_maps.json` holds what comes out. To change it, delete it and run this file: it is written anew, and fails once.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import liqtruth as lt
from liqtruth.indexer.files.imports import import_paths
from liqtruth.storage.store import Settings, Store
from tests.conftest import called

pytestmark = pytest.mark.recorded

GOLDEN: Final = Path(__file__).with_name("vendor_maps.json")
TAKEN: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
FILES: Final = ("binance_btc_by_leverage.json.gz", "btc_by_exchange.json.gz")
EXCHANGES: Final = {"Binance": 117.5e9, "Okex": 60.7e9, "Bybit": 44.6e9, "Hyperliquid": 23.3e9, "Aster": 10.4e9,
                    "Lighter": 7.1e9}  # fmt: skip
"""Sums as they were measured by hand."""


@pytest.fixture(scope="module")
def maps(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies whose time is the day of the recording: the files state none."""
    folder = tmp_path_factory.mktemp("maps")
    for name in FILES:
        shutil.copyfile(recorded / "maps" / "coinank-2026-03-10" / name, folder / name)
        os.utime(folder / name, (TAKEN.timestamp(),) * 2)
    return folder


@pytest.fixture(scope="module")
def data_dir(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exact map of a node's whole state, a month later."""
    folder = recorded / "hyperliquid" / "whole-state-BTC-2026-04-05"
    path = tmp_path_factory.mktemp("whole")
    with Store.open(Settings(data_dir=path)) as opened:
        import_paths(opened, [folder / "positions_BTC.csv.gz"], market=folder / "market.csv")
    return path


def test_every_amount_of_the_files_is_on_the_maps(maps: Path) -> None:
    by_exchange = lt.read_maps(maps / FILES[1], coin="BTC")
    assert {
        name: by_exchange[name].total_usd.total for name in by_exchange if name != "all"
    } == pytest.approx(EXCHANGES, rel=0.01)
    assert by_exchange["all"].total_usd.total == pytest.approx(sum(EXCHANGES.values()), rel=0.01)
    by_leverage = lt.read_maps(maps / FILES[0], venue="binance")
    assert by_leverage["all"].total_usd.total == pytest.approx(34.1e9, rel=0.01)
    parts = [by_leverage[name].total_usd.total for name in by_leverage if name != "all"]
    assert len(parts) == 9
    assert min(parts) == pytest.approx(2.97e9, rel=0.01)
    assert max(parts) == pytest.approx(4.99e9, rel=0.01)
    assert by_leverage["all"].as_of == TAKEN


OF_FILES: Final = {
    "cut_to_common", "map_of_file", "marks_apart", "moment_of_file", "moments_apart", "tiers_missing", "tiers_present",
    "unit_unknown", "vendor_prices", "empty_parts", "side_contradicted", "shifted",
}  # fmt: skip
"""Codes of notes on maps of others."""


def rounded(value: Any) -> Any:
    """Figures to six digits, so that another machine gives the same."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def test_both_files_are_compared_with_the_exact_map_like_any_other(maps: Path, data_dir: Path) -> None:
    words = [f"{maps / FILES[1]}#Hyperliquid", f"{maps / FILES[1]}#Binance", str(maps / FILES[0])]
    line = ["--data-dir", str(data_dir), "compare", "BTC", "--json"]
    done = called([*line, *(part for word in words for part in ("--map", word))])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    kept = {name: found[name] for name in ("range_pct", "null_scores", "bands")}
    kept["models"] = [
        {
            "label": one["summary"]["label"],
            "mark_px": one["summary"]["mark_px"],
            "in_grid": one["summary"]["in_grid_usd"],
            "beyond": one["summary"]["beyond_usd"],
            "scores": one["scores"],
            "ranked": one["ranked"],
        }
        for one in found["models"]
    ]
    kept["notes"] = sorted({one["code"] for one in found["notes"]} & OF_FILES)
    kept = rounded(kept)
    if not GOLDEN.is_file():
        GOLDEN.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        pytest.fail("written anew")
    assert kept == json.loads(GOLDEN.read_text())


def test_the_hyperliquid_row_ranks_no_worse_for_its_unit(maps: Path, data_dir: Path) -> None:
    """Amounts a thousand times the exact map's: only its shape is scored, within the prices of the file."""
    with lt.open(data_dir) as lake:
        truth = lake.exact_map("BTC")
        row = lt.read_map(f"{maps / FILES[1]}#Hyperliquid", coin="BTC")
        found = lt.compare(truth, row)
    assert row.venue == truth.venue == "hyperliquid"
    assert found.divergence.range_pct == pytest.approx(7.5, abs=0.1)
    assert found.divergence.models[0].scores.wasserstein_pct < 3
    assert np.isfinite(found.divergence.models[0].skill or 0.0)
    assert {"moments_apart", "marks_apart"} <= {
        one.code for one in found.divergence.models[0].summary.coverage.notes
    }
