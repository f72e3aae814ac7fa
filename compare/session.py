"""From what is stored to a divergence: build the truth and the models of one moment, then compare them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from compare.divergence import Divergence, compare_maps
from compare.modelled import modelled_map
from estimator.feeds import fetch
from heatmap.errors import BadInput
from heatmap.files import read_map
from heatmap.heatmap import Heatmap
from indexer.exact import exact_map
from indexer.sweep import SweepReport, sweep
from storage.store import Store

DEFAULT_MODELS: Final = ("binance:tiers", "binance:bell")


@dataclass(frozen=True)
class Comparison:
    """A divergence and the maps it was computed from."""

    divergence: Divergence
    truth_map: Heatmap
    model_maps: tuple[Heatmap, ...]


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
    spelling and whatever the makers raise where data are missing.
    """
    truth_map = make_map(store, coin, truth, at, window)
    model_maps = tuple(
        make_map(store, coin, spec, truth_map.as_of, window) for spec in models or DEFAULT_MODELS
    )
    return Comparison(compare_maps(truth_map, model_maps, tolerance_pct), truth_map, model_maps)


def make_map(store: Store, coin: str, spec: str, at: datetime | None, window: str) -> Heatmap:
    """The map that a spec names: `exact`, `VENUE:MODEL` or a file."""
    if spec == "exact":
        return exact_map(store, coin, at)
    if Path(spec).suffix in (".json", ".csv", ".parquet"):
        return read_map(Path(spec))
    venue, colon, model = spec.partition(":")
    if not (venue and colon and model):
        raise BadInput(f"{spec!r} is no map: write exact, VENUE:MODEL (e.g. binance:tiers) or a map file")
    return modelled_map(store, coin, venue, model, window, at=at)


def compare_exchange(
    store: Store,
    coin: str,
    addresses: Sequence[str],
    hyperliquid_url: str,
    binance_url: str,
    *,
    days: int,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Comparison, SweepReport]:
    """Sweep the accounts without a rate limit, fetch the venue's series, and compare the latest moment."""
    report = asyncio.run(
        sweep(store, addresses, base_url=hyperliquid_url, weight_per_minute=0, on_progress=on_progress)
    )
    fetch(store, "binance", coin, days, base_url=binance_url)
    return compare_stored(store, coin, window=f"{days}d" if days in (3, 7, 30, 90, 180) else "30d"), report
