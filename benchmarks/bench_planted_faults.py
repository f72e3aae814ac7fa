"""How often a planted fault is named and a map without one accused, on synthetic markets; run it by itself:
`python -m benchmarks.bench_planted_faults [SEEDS]`.

Maps are the exact one, its crowd, three models of a venue and its real positions, each as a vendor's file beside two of
the models, as it is, with its sides exchanged, and with its prices moved by 3 %, with and without what the move swept.
"""

import asyncio
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from liqtruth.compare.divergence.diagnosis import CHANGED
from liqtruth.compare.divergence.divergence import ModelResult
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.feeds.fetch import fetch
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap, Origin
from liqtruth.heatmap.words.notes import of_codes
from liqtruth.indexer.maps.exact import whole_and_layer
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.sandbox.truth import addresses, true_positions
from liqtruth.storage.store import Settings, Store

VENUE = "binance"
MODELS = ("vintages", "tiers", "bell")
BESIDE = MODELS[:2]
DAYS = 8
MOVE = 0.03


def moved(mass: FloatArray, bins: float, *, swept: bool = False) -> FloatArray:
    at = np.arange(mass.size + 1.0)
    found = np.diff(np.interp(at - bins, at, np.concatenate([[0.0], np.cumsum(mass)])))
    middle, far = mass.size // 2, int(abs(bins))
    if swept:
        found[slice(middle, middle + far) if bins > 0 else slice(middle - far, middle)] = 0.0
    return np.asarray(found)


def faults(bins: float) -> dict[str, Callable[[FloatArray], FloatArray]]:
    return {
        "none": lambda mass: mass,
        "exchanged": lambda mass: mass[::-1],
        "moved up": lambda mass: moved(mass, bins),
        "moved down": lambda mass: moved(mass, -bins),
        "moved up, swept": lambda mass: moved(mass, bins, swept=True),
        "moved down, swept": lambda mass: moved(mass, -bins, swept=True),
    }


def file_of(about: Heatmap, mass: FloatArray) -> Heatmap:
    """A vendor's file of this mass by bin, on the grid of `about`."""
    below = np.arange(mass.size) < mass.size // 2
    return replace(
        about, long_usd=mass * below, short_usd=mass * ~below, source="imported", venue=VENUE, model="theirs",
        origin=Origin("theirs", "a table"), breakdown=None, bounds=None, training=None,
        covers=(0.52 * about.mark_px, 1.9 * about.mark_px),
    )  # fmt: skip


def real(market: Market, about: Heatmap) -> FloatArray:
    rows = true_positions(market, VENUE).filter((pl.col("coin") == "BTC") & pl.col("liq_px").is_not_null())
    px, usd = (rows[name].to_numpy() for name in ("liq_px", "notional_usd"))
    place = np.searchsorted(about.grid.edges, px) - 1
    inside = (place >= 0) & (place < about.grid.bins)
    return np.bincount(place[inside], usd[inside], about.grid.bins)


def results(seed: int) -> Iterator[tuple[str, str, ModelResult]]:
    """Of each map and fault: what is said of it."""
    market = simulate(MarketSpec(seed=seed, accounts=1500, days=DAYS, cex_accounts=1500, coins=("BTC",)))
    with (
        serving_in_thread(market, weight_per_minute=None) as served,
        tempfile.TemporaryDirectory() as folder,
        Store.open(Settings(data_dir=Path(folder))) as store,
    ):
        asyncio.run(sweep(store, addresses(market), base_url=served.base_url, weight_per_minute=0))
        fetch(store, VENUE, "BTC", DAYS, base_url=served.binance_url)
        truth, crowd = whole_and_layer(store, "BTC", "crowd")
        models = {
            name: modelled_map(store, "BTC", VENUE, name, f"{DAYS}d", at=truth.as_of) for name in MODELS
        }
    maps = {"whole": truth, "crowd": crowd, **models}
    mass = {name: one.long_usd + one.short_usd for name, one in maps.items()} | {"real": real(market, truth)}
    for name, whole in mass.items():
        for fault, change in faults(np.log1p(MOVE) / truth.grid.log_width).items():
            given = [file_of(truth, change(whole)), *(models[one] for one in BESIDE)]
            yield name, fault, compare_maps(truth, given, crowd=crowd).models[0]


def said(result: ModelResult, fault: str) -> str:
    """`right`, `wrong` (another change, or one where there is none), `untold` or `silent`."""
    codes = {one.code for one in of_codes(result.diagnosis, CHANGED)}
    wanted = "looks_mirrored" if fault == "exchanged" else "looks_moved"
    if codes:
        return "right" if fault != "none" and wanted in codes else "wrong"
    return "untold" if result.untold else "silent"


if __name__ == "__main__":
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    found = defaultdict(list)
    for seed in range(1, seeds + 1):
        for name, fault, result in results(seed):
            found[name, fault].append(said(result, fault))
    for (name, fault), words in found.items():
        counts = ", ".join(f"{word} {words.count(word)}" for word in ("right", "wrong", "untold", "silent"))
        sys.stdout.write(f"{name:10} {fault:18} {counts} of {len(words)} (synthetic)\n")
