"""From what is stored to a divergence: build the truth and the models of one moment, then compare them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from liqtruth.compare.divergence.comparison import Comparison
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.feeds.fetch import fetch
from liqtruth.estimator.model.model_in_use import CALIBRATED, is_fitted
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.files import read_map
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import Notes, note
from liqtruth.indexer.maps.exact import exact_map, whole_and_layer
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.storage.store import Store

DEFAULT_MODELS: Final = ("binance:tiers", "binance:bell")
FITTED_MODELS: Final = tuple(f"{venue}:{CALIBRATED}" for venue in ("binance", VENUE))
"""Beside the others where a leverage model was fitted and the venue's series are stored."""


def compare_stored(
    store: Store,
    coin: str,
    *,
    at: datetime | None = None,
    truth: str = "exact",
    models: Sequence[str] | None = None,
    window: str = "30d",
    tolerance_pct: float = 1.0,
) -> Comparison:
    """Compare maps of `coin` as of `at`; the models are built for the very moment of the truth's reading.

    `truth` and `models` are `exact`, `VENUE:MODEL`, or the path of a map file. Raises `BadInput` for another
    spelling and whatever the makers raise where data are missing. Without `models` they are `DEFAULT_MODELS`, and
    `FITTED_MODELS` as far as they can be made.
    """
    view = store.view()
    truth_map, crowd = _truth(view, coin, truth, at, window)
    moment = truth_map.as_of
    maps = [make_map(view, coin, spec, moment, window) for spec in models or DEFAULT_MODELS]
    notes: Notes = ()
    if not models:
        fitted, notes = _fitted_maps(view, coin, moment, window)
        maps += fitted
    found = compare_maps(truth_map, maps, tolerance_pct, crowd=crowd, notes=notes)
    return Comparison(found, truth_map, tuple(maps))


def _truth(
    store: Store, coin: str, spec: str, at: datetime | None, window: str
) -> tuple[Heatmap, Heatmap | None]:
    """The truth and its crowd; only the stored exact map knows its positions."""
    if spec == "exact":
        return whole_and_layer(store, coin, "crowd", at)
    return make_map(store, coin, spec, at, window), None


def _fitted_maps(store: Store, coin: str, at: datetime, window: str) -> tuple[list[Heatmap], Notes]:
    """Maps of the fitted model, where there is one, and a remark on those that cannot be made."""
    if not is_fitted(store.settings.data_dir):
        return [], ()
    maps, missing = [], []
    for spec in FITTED_MODELS:
        try:
            maps.append(make_map(store, coin, spec, at, window))
        except MissingData as error:
            missing.append((spec, str(error)))
    return maps, (note("not_compared", missing=missing),) if missing else ()


def make_map(store: Store, coin: str, spec: str, at: datetime | None, window: str) -> Heatmap:
    """The map that a spec names: `exact`, `VENUE:MODEL` or a file."""
    if spec == "exact":
        return store.once(exact_map, coin, at)
    if Path(spec).suffix in (".json", ".csv", ".parquet"):
        return read_map(Path(spec))
    venue, colon, model = spec.partition(":")
    if not (venue and colon and model):
        raise BadInput(f"{spec!r} is no map: write exact, VENUE:MODEL (e.g. binance:tiers) or a map file")
    return modelled_map(store, coin, venue, model, window, at=at)


def read_exchange(
    store: Store,
    coin: str,
    addresses: Sequence[str],
    hyperliquid_url: str,
    binance_url: str,
    *,
    days: int,
    on_progress: Callable[[float], None] | None = None,
) -> SweepReport:
    """Sweep the accounts without a rate limit, and fetch the venue's series of so many days."""
    report = asyncio.run(
        sweep(store, addresses, base_url=hyperliquid_url, weight_per_minute=0, on_progress=on_progress)
    )
    fetch(store, "binance", coin, days, base_url=binance_url)
    return report
