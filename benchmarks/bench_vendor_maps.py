"""A vendor's heatmap of the largest size that is known, 2.7 MB: from the file to its current map, and to a series."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liqtruth.compare.imported.read import read_map, read_series
from liqtruth.heatmap.heatmap import Heatmap

LEVELS, COLUMNS, CELLS = 391, 310, 118_000
AT_S = 1_787_200_000
MARK = 72_000.0


@pytest.fixture(scope="module")
def heatmap_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(4)
    axis = np.round(np.linspace(0.8 * MARK, 1.2 * MARK, LEVELS), 2)
    chosen = np.sort(rng.choice(LEVELS * COLUMNS, CELLS, replace=False))
    column, level = chosen // LEVELS, chosen % LEVELS
    amounts = np.round(rng.lognormal(13, 1.5, CELLS), 2)
    close = MARK * np.exp(np.cumsum(rng.normal(0, 1e-3, COLUMNS)))
    document = {
        "code": "0",
        "msg": "success",
        "data": {
            "y_axis": axis.tolist(),
            "liquidation_leverage_data": [
                [int(x), int(y), float(usd)] for x, y, usd in zip(column, level, amounts, strict=True)
            ],
            "price_candlesticks": [
                [AT_S + 300 * at, *(f"{px:.1f}",) * 4, "63753192.1129"] for at, px in enumerate(close)
            ],
            "update_time": 1000 * (AT_S + 300 * COLUMNS),
        },
    }
    path = tmp_path_factory.mktemp("heatmap") / "heatmap.json"
    path.write_text(json.dumps(document))
    assert path.stat().st_size > 2.6e6
    return path


def test_read_a_heatmap_of_a_vendor(benchmark: Any, heatmap_file: Path) -> None:
    found = benchmark(lambda: read_map(heatmap_file, coin="BTC"))
    assert isinstance(found, Heatmap)
    assert benchmark.stats is None or benchmark.stats.stats.min < 0.2


def test_read_all_columns_of_it(benchmark: Any, heatmap_file: Path) -> None:
    found = benchmark(lambda: read_series(heatmap_file, coin="BTC"))
    assert len(found.times) == COLUMNS
