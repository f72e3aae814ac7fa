"""Files of aggregates for the tests of the file door, and what is stored of them."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.frames import DATASETS
from liqtruth.storage.store import Store

CANDLES = "ts,open,high,low,close,volume"
BAR = "2026-08-01T0{}:00:00Z,10,12,9,11,5"


def write(tmp_path: Path, lines: Sequence[str], name: str = "feed.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def stored(store: Store, dataset: str, venue: str = "okx", coin: str = "SOL") -> pl.DataFrame:
    return store.lake.read_series(dataset, venue, coin, DATASETS[dataset].schema)


def bring(store: Store, path: Path, **columns: str) -> list[str]:
    return import_feed(store, path, "okx", "SOL", columns or None).describe()
