"""Fitted leverage models written out by hand, and the stored series of a synthetic market to draw them on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.model.leverage_model import (
    Bounds,
    Correction,
    LeverageModel,
    SideBounds,
    leverage_model_named,
)
from liqtruth.indexer.frames import conform
from liqtruth.storage.store import Store
from tests.estimator.markets import START

HOUR = timedelta(hours=1)

SIDE_BOUNDS = SideBounds(
    distance_pct=(1.0, 2.0, 5.0, 10.0),
    low=(0.4, 0.5, 0.6, 0.7),
    high=(2.5, 2.0, 1.6, 1.4),
    crowd_share=0.5,
    whales_low=(0.0, 0.01, 0.02, 0.05),
    whales_high=(0.02, 0.05, 0.1, 0.2),
    middle=(0.9, 0.85, 0.8, 0.8),
)
BOUNDS = Bounds(SIDE_BOUNDS, SIDE_BOUNDS, "synthetic: written for a test")


def fitted(name: str = "calibrated", **changes: Any) -> LeverageModel:
    """The prior's shares under the name of a fit, with bounds."""
    prior = leverage_model_named("prior")
    about = {"name": name, "kind": "fitted", "bounds": BOUNDS}
    return msgspec.structs.replace(prior, **{**about, **changes})


def correction_of(venue: str) -> Correction:
    start = datetime(2026, 8, 1, tzinfo=UTC)
    none = (0.0, 0.0, 0.0)
    return Correction(
        venue, "calibrated", 0.3, start, start + 240 * HOUR, 240, 900, none, none, (0.1, 0.1), 40.0, 40.0
    )


def save(data_dir: Path, *models: LeverageModel) -> None:
    (data_dir / "models").mkdir(parents=True, exist_ok=True)
    for model in models:
        (data_dir / "models" / f"{model.name}.json").write_bytes(model.to_json())


def stored_series(store: Store, venue: str, coin: str, hours: int = 96) -> datetime:
    """Hourly candles and open interest of a wave around 100 from `START`; returns when the last bar ends."""
    hour = np.arange(hours + 1)
    close = 100 + 5 * np.sin(hour / 7) + 2 * np.sin(hour / 1.7)
    opened, closed = close[:-1], close[1:]
    candles = pl.DataFrame(
        {
            "ts": [START + n * HOUR for n in range(hours)],
            "interval_s": [3600] * hours,
            "open": opened,
            "high": np.maximum(opened, closed) * 1.001,
            "low": np.minimum(opened, closed) / 1.001,
            "close": closed,
            "volume": 1e5 * (2 + np.sin(hour[1:] / 3)),
            "taker_buy_volume": [None] * hours,
        },
        schema=dict(DATASETS["candles"].schema),
    )
    holdings = {
        "ts": [START + n * HOUR for n in range(hours + 1)],
        "open_interest": 1e5 * (3 + np.sin(hour / 11)),
    }
    found = conform(pl.DataFrame(holdings), DATASETS["open_interest"].schema)
    for name, rows in (("candles", candles), ("open_interest", found)):
        store.lake.merge_series(name, venue, coin, rows, DATASETS[name].key, "synthetic: a test")
    return START + hours * HOUR
