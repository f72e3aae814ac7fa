"""Synthetic markets whose maps are known, and the faults that are planted in them; `bench_planted_faults` counts.

Every map is written as a vendor's file in the form of Coinglass' heatmap and read back, so that no sides are stated:
levels below the mark are longs. Of each kind there is the map of a day before as well, for files that are stale.
"""

import asyncio
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from liqtruth.compare.imported.read import read_map
from liqtruth.compare.modelled import modelled_map
from liqtruth.compare.observed.reached import Reached, reached_prices
from liqtruth.estimator.feeds.fetch import fetch
from liqtruth.estimator.model.baselines import MOVING_AVERAGE
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.indexer.maps.exact import whole_and_layer
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.live import market_at
from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.sandbox.truth import addresses, true_positions
from liqtruth.storage.store import Settings, Store

VENUE: Final = "binance"
VENUES: Final = (VENUE, "bybit", "okx")
MODELS: Final = ("vintages", "tiers", "bell")
BESIDE: Final = MODELS[:2]
"""Models that stand beside the files, as `check` makes them."""
DAYS: Final = 8
STALE: Final = timedelta(hours=24)
MOVE: Final = 0.03
PLANTED_AT: Final = 1.12
"""Of the mark: where a phantom cluster is; a whale is as far below it."""
PLANTED: Final = 0.35
"""Of its side."""
CAP: Final = 0.003
"""Of open interest: the crowd's part of a position."""


@dataclass(frozen=True)
class Ground:
    """One market. `mass` and `older` are USD by bin of the truth's grid, per kind of map: now, and a day before at its
    own prices; `sums` are the parts of maps of several venues; `mean_away` is how far the mean price is off."""

    truth: Heatmap
    crowd: Heatmap
    models: Mapping[str, Mapping[str, Heatmap]]
    baseline: Heatmap
    mass: Mapping[str, FloatArray]
    older: Mapping[str, FloatArray]
    sums: Mapping[str, Mapping[str, FloatArray]]
    reached: Reached | None

    @property
    def mean_away(self) -> float:
        [found] = [one for one in self.baseline.assumptions if one.code == "opened_at_mean"]
        return float(found.values["away"])

    @property
    def move_bins(self) -> float:
        return float(np.log1p(MOVE)) / self.truth.grid.log_width

    @property
    def above(self) -> int:
        """Bin of a phantom cluster."""
        return int(np.searchsorted(self.truth.grid.edges, PLANTED_AT * self.truth.mark_px)) - 1

    @property
    def below(self) -> int:
        """Bin of a whale."""
        return self.truth.grid.bins - 1 - self.above


def ground_of(seed: int, keep: Path | None = None) -> Ground:
    """Made, or as it was kept."""
    path = None if keep is None else keep / f"planted_{seed}.pickle"
    if path is not None and path.exists():
        kept: Ground = pickle.loads(path.read_bytes())
        return kept
    made = _made(seed)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
    return made


def _made(seed: int) -> Ground:
    spec = MarketSpec(
        seed=seed,
        accounts=1500,
        days=DAYS - 1,
        live_hours=STALE // timedelta(hours=1),
        cex_accounts=1500,
        coins=("BTC",),
        venues=VENUES,
    )
    before = simulate(spec)
    now = market_at(before, before.point + STALE // timedelta(minutes=1))
    with (
        serving_in_thread(now, weight_per_minute=None) as served,
        tempfile.TemporaryDirectory() as folder,
        Store.open(Settings(data_dir=Path(folder))) as store,
    ):
        asyncio.run(sweep(store, addresses(now), base_url=served.base_url, weight_per_minute=0))
        for venue in VENUES:
            fetch(store, venue, "BTC", DAYS, base_url=served.base_url)
        truth, crowd = whole_and_layer(store, "BTC", "crowd")
        at, window = truth.as_of, f"{DAYS}d"
        models, earlier = (
            {
                name: {venue: modelled_map(store, "BTC", venue, name, window, at=when) for venue in VENUES}
                for name in MODELS
            }
            for when in (at, at - STALE)
        )
        reached = reached_prices(store, "BTC", VENUES, at)
        baseline = modelled_map(store, "BTC", VENUE, MOVING_AVERAGE, window, at=at)
    grid = truth.grid
    sums = _by_venue(models, grid, seed) | {"real": {one: _real(now, one, grid) for one in VENUES}}
    old = _by_venue(earlier, grid, seed) | {"real": {VENUE: _real(before, VENUE, grid)}}
    exact = {"whole": _on(truth, grid), "crowd": _on(crowd, grid)}
    older = {"whole": _real(before, "hyperliquid", grid), "crowd": _real(before, "hyperliquid", grid, CAP)}
    return Ground(
        truth,
        crowd,
        {name: models[name] for name in BESIDE},
        baseline,
        exact | {kind: of[VENUE] for kind, of in sums.items()},
        older | {kind: of[VENUE] for kind, of in old.items()},
        {kind: of for kind, of in sums.items() if kind != "vintages"},
        reached,
    )


def _by_venue(
    models: Mapping[str, Mapping[str, Heatmap]], grid: PriceGrid, seed: int
) -> dict[str, dict[str, FloatArray]]:
    """Our models, and a vendor's: tiers with shares of its own, in price steps of a quarter of a percent, and noise."""
    found = {name: {venue: _on(one, grid) for venue, one in of.items()} for name, of in models.items()}
    return found | {"vendor": {venue: _vendors(one, grid, seed) for venue, one in models["tiers"].items()}}


def _vendors(tiers: Heatmap, grid: PriceGrid, seed: int) -> FloatArray:
    """The same leverages at all venues and moments; the noise is the venue's own."""
    assert tiers.breakdown is not None
    bands = sorted(tiers.breakdown["leverage_band"].unique().to_list())
    shares = dict(zip(bands, np.random.default_rng(seed).dirichlet(np.full(len(bands), 2.0)), strict=True))
    rows = tiers.breakdown.filter(pl.col("bin").is_between(0, tiers.grid.bins - 1))
    weight = np.array([shares[band] for band in rows["leverage_band"].to_list()])
    mass = np.bincount(rows["bin"].to_numpy(), rows["notional_usd"].to_numpy() * weight, tiers.grid.bins)
    step, noise = 3, np.random.default_rng([seed, len(tiers.venue)])
    coarse = np.add.reduceat(mass, np.arange(0, mass.size, step))
    return _of_price(
        np.repeat(coarse * noise.lognormal(0.0, 0.15, coarse.size) / step, step)[: mass.size],
        tiers.grid,
        grid,
    )


def _on(heatmap: Heatmap, grid: PriceGrid) -> FloatArray:
    return _of_price(heatmap.long_usd + heatmap.short_usd, heatmap.grid, grid)


def _of_price(mass: FloatArray, own: PriceGrid, grid: PriceGrid) -> FloatArray:
    """By the same prices on another grid."""
    risen = np.concatenate([[0.0], np.cumsum(mass)])
    return np.asarray(np.diff(np.interp(np.log(grid.edges), np.log(own.edges), risen)))


def _real(market: Market, venue: str, grid: PriceGrid, cap: float = np.inf) -> FloatArray:
    rows = true_positions(market, venue).filter((pl.col("coin") == "BTC") & (pl.col("dex") == ""))
    most_usd = cap * float(rows["notional_usd"].sum()) / 2 if np.isfinite(cap) else np.inf
    rows = rows.filter(pl.col("liq_px").is_not_null())
    px, usd = rows["liq_px"].to_numpy(), np.minimum(rows["notional_usd"].to_numpy(), most_usd)
    place = np.searchsorted(grid.edges, px) - 1
    inside = (place >= 0) & (place < grid.bins)
    return np.asarray(np.bincount(place[inside], usd[inside], grid.bins), dtype=np.float64)


# ----------------------------------------------------------------------------------------- faults


def faults(ground: Ground, kind: str) -> Iterator[tuple[str, FloatArray]]:
    """Each fault, and the kind of map with it, USD by bin."""
    mass, bins = ground.mass[kind], ground.move_bins
    to_mean = float(np.log1p(ground.mean_away)) / ground.truth.grid.log_width
    yield "none", mass
    yield "exchanged", mass[::-1]
    yield "moved up", moved(mass, bins)
    yield "moved down", moved(mass, -bins)
    yield "moved up, swept", moved(mass, bins, swept=True)
    yield "moved down, swept", moved(mass, -bins, swept=True)
    yield "centred on the mean", moved(mass, to_mean)
    yield "leverage doubled", scaled(mass, 0.5)
    yield "leverage halved", scaled(mass, 2.0)
    yield "phantom", with_cluster(mass, ground.above)
    yield "stale", ground.older[kind]
    yield "whale", mass


def moved(mass: FloatArray, bins: float, *, swept: bool = False) -> FloatArray:
    at = np.arange(mass.size + 1.0)
    found = np.diff(np.interp(at - bins, at, np.concatenate([[0.0], np.cumsum(mass)])))
    middle, far = mass.size // 2, int(abs(bins))
    if swept:
        found[slice(middle, middle + far) if bins > 0 else slice(middle - far, middle)] = 0.0
    return np.asarray(found)


def scaled(mass: FloatArray, factor: float) -> FloatArray:
    """Log distances from the mark times the factor."""
    at = np.arange(mass.size + 1.0)
    risen = np.concatenate([[0.0], np.cumsum(mass)])
    return np.asarray(np.diff(np.interp((at - mass.size / 2) / factor + mass.size / 2, at, risen)))


def with_cluster(mass: FloatArray, place: int) -> FloatArray:
    """With one that has `PLANTED` of its side."""
    side = slice(mass.size // 2, None) if place >= mass.size // 2 else slice(0, mass.size // 2)
    found = mass.copy()
    found[place] += mass[side].sum() * PLANTED / (1 - PLANTED)
    return found


def with_whale(truth: Heatmap, place: int) -> Heatmap:
    """A position more, which has `PLANTED` of its side."""
    assert truth.breakdown is not None
    both = with_cluster(truth.long_usd + truth.short_usd, place)
    below = np.arange(both.size) < both.size // 2
    side = "long" if below[place] else "short"
    usd = float(both[place] - (truth.long_usd + truth.short_usd)[place])
    row = truth.breakdown.filter(pl.col("side") == side).head(1)
    row = row.with_columns(
        pl.lit(place, pl.Int32).alias("bin"),
        pl.lit(usd).alias("notional_usd"),
        pl.lit(1, pl.UInt32).alias("positions"),
        pl.lit(usd).alias("largest_usd"),
    )
    return replace(
        truth,
        long_usd=both * below,
        short_usd=both * ~below,
        breakdown=pl.concat([truth.breakdown, row.select(truth.breakdown.columns)]),
    )


def file_of(about: Heatmap, mass: FloatArray, folder: Path, venue: str = VENUE) -> Heatmap:
    """What a vendor's file of this mass by bin is read as, on the grid of `about`."""
    near = np.abs(np.log(about.grid.centers / about.mark_px)) < np.log(1.9)
    close, at = repr(about.mark_px), int(about.as_of.timestamp())
    amounts = mass[near]
    data = {
        "y_axis": about.grid.centers[near].tolist(),
        "liquidation_leverage_data": [[0, int(one), float(amounts[one])] for one in np.flatnonzero(amounts)],
        "price_candlesticks": [[at, close, close, close, close, "0"]],
        "update_time": 1000 * at,
    }
    path = folder / "theirs.json"
    path.write_bytes(msgspec.json.encode({"code": "0", "msg": "synthetic", "data": data}))
    return read_map(path, coin=about.coin, venue=venue)
