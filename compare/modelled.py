"""Modelled maps by name, those that start from exact maps included: only here both are seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypedDict, Unpack

from liqtruth.compare.observed.surroundings import depth_of, surroundings_of
from liqtruth.compare.scoring.ledger.leaderboard import flags_of
from liqtruth.compare.transfer.record import training_of
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.baselines import (
    CLIMATOLOGY,
    EXACT_BASED,
    FORMER_NAMES,
    PERSISTENCE,
    climatology,
    persistence,
)
from liqtruth.estimator.model.leverage_model import DEFAULT, known_models, leverage_model_named
from liqtruth.estimator.model.maps import ALONE, TOGETHER, model_map
from liqtruth.estimator.model.model_in_use import CALIBRATED, calibrated_model
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.estimator.series.series import load_series
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.cluster_facts import MapFacts, cluster_facts
from liqtruth.heatmap.distribution import Cluster, find_clusters
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap, Training
from liqtruth.indexer.maps.exact import map_of_positions
from liqtruth.indexer.positions.catalogue import check_coin
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import CoinKnown, coin_over_time
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

EARLIER: Final = timedelta(hours=24)
"""Exact maps that a model starts from are at least this much older than the map it makes."""
WINDOWS_ASKED: Final = ("24h", "7d", "30d")
"""How far back maps of vendors look, of which traders ask that all show a cluster."""
SHAPES: Final = 7
"""So many exact maps, a day apart, make the mean shape."""


class MapOptions(TypedDict, total=False):
    """What `estimator.model.maps.model_map` takes beside the model's name."""

    weights: str | None
    leverage: Sequence[float] | None
    age: Sequence[str] | None
    since: datetime | None
    at: datetime | None
    width_bps: float


def modelled_map(
    store: Store, coin: str, venue: str, model: str, window: str = "30d", **options: Unpack[MapOptions]
) -> Heatmap:
    """As `estimator.model.maps.model_map`, and `climatology` and `persistence` from the stored exact maps of the coin.
    The name of a leverage model stands for `vintages` with it.

    Raises `BadInput` for `persistence` of another venue than Hyperliquid, `NothingStored` without an exact map that is
    old enough. A model that has done worse than its baselines on realised liquidations has a note of it in `quality`.
    """
    model, weights = FORMER_NAMES.get(model, model), options.get("weights")
    if weights is None and _names_weights(store, model):
        model, weights = VINTAGES, model
        options["weights"] = weights
    if model in ALONE:
        drawn = model_map(store, coin, venue, model, window, **options)
    elif model not in EXACT_BASED:
        known = (*ALONE, *EXACT_BASED, *known_models(store.settings.data_dir))
        raise UnknownChoice("model", model, known)
    elif weights or options.get("leverage") or options.get("age") or options.get("since"):
        raise BadInput(
            f"model {model} has neither weights nor ages: leave out --weights, --leverage, --age and --since"
        )
    else:
        width_bps = options.get("width_bps", DEFAULT_WIDTH_BPS)
        drawn = _exact_based(store, coin, venue, model, window, options.get("at"), width_bps)
    against = flags_of(store, model, venue, _weights_name(model, weights))
    return replace(
        drawn,
        quality=(*drawn.quality, *against),
        training=_training(store.settings.data_dir, drawn.venue.split(TOGETHER), model, weights),
    )


def clusters_by_window(
    store: Store, coin: str, venue: str, model: str, **options: Unpack[MapOptions]
) -> dict[str, list[Cluster]]:
    """Clusters of the model's map by how far back it looks (`WINDOWS_ASKED`); a window that cannot be made is left out.
    Raises as `modelled_map` where none can."""
    found: dict[str, list[Cluster]] = {}
    failed = []
    for window in WINDOWS_ASKED:
        try:
            found[window] = find_clusters(modelled_map(store, coin, venue, model, window, **options))
        except MissingData as error:
            failed.append(error)
    if not found:
        raise failed[0]
    return found


def map_facts(
    store: Store, heatmap: Heatmap, windows: Mapping[str, Sequence[Cluster]] | None = None
) -> MapFacts:
    """What is known of each cluster of a map from what is stored of its venue (average true ranges of any), and the
    windows that show it; in the order of `find_clusters`."""
    others = [venue for venue, coin in store.lake.series_coins("candles") if coin == heatmap.coin]
    around = surroundings_of(store, heatmap.coin, heatmap.venue, heatmap.as_of, others)
    depth = store.once(depth_of, around.venue, heatmap.coin, heatmap.as_of)
    return cluster_facts(heatmap, find_clusters(heatmap), around, windows, depth=depth)


def _names_weights(store: Store, model: str) -> bool:
    """Whether it is a leverage model, and no model of maps."""
    return model not in (*ALONE, *EXACT_BASED) and model in known_models(store.settings.data_dir)


def _training(data_dir: Path, venues: Sequence[str], model: str, weights: str | None) -> Training | None:
    """What the fits behind a map have seen, all venues' together; null where none is fitted."""
    if model == CALIBRATED:
        used = [calibrated_model(data_dir, venue) for venue in venues]
    elif model == VINTAGES:
        used = [leverage_model_named(weights, data_dir)]
    else:
        return None
    found = [one for one in (training_of(data_dir, each) for each in used) if one is not None]
    spans = [(one.start, one.end) for one in found if one.start and one.end]
    least = [one.effective_positions for one in found if one.effective_positions is not None]
    if not found or len(spans) < len(found) or len(least) < len(found):
        return next((one for one in found if one.start is None or one.effective_positions is None), None)
    return replace(
        found[0],
        coins=tuple(sorted({coin for one in found for coin in one.coins})),
        start=min(start for start, _ in spans),
        end=max(end for _, end in spans),
        effective_positions=min(least),
    )


def _exact_based(
    store: Store, coin: str, venue: str, model: str, window: str, at: datetime | None, width_bps: float
) -> Heatmap:
    market = venue_named(venue)
    if model == PERSISTENCE and market.name != VENUE:
        raise BadInput(f"{PERSISTENCE} needs exact positions of {venue}: only hyperliquid shows them")
    series = store.once(load_series, market, coin, window, at)
    exact = exact_maps(store, coin, series.as_of, SHAPES if model == CLIMATOLOGY else 1)
    if model == CLIMATOLOGY:
        return climatology(exact, series, market, coin, width_bps)
    return persistence(exact[0], series, market, coin, width_bps)


def _weights_name(model: str, weights: str | None) -> str | None:
    """The leverage model of a map, as the ledger of forecasts knows it."""
    if weights is not None and weights.endswith(".json"):
        return leverage_model_named(weights).name
    return weights or (DEFAULT if model == VINTAGES else None)


def exact_maps(store: Store, coin: str, at: datetime, most: int) -> tuple[Heatmap, ...]:
    """Exact maps known a day before `at` and on the days before that, latest first, each reading once."""
    found: dict[datetime, Heatmap] = {}
    for known in store.once(_known_before, coin, at)[:most]:
        drawn = map_of_positions(known.positions, coin, known.market, notes=known.notes)
        found.setdefault(drawn.as_of, drawn)
    if not found:
        raise NothingStored(
            f"no exact map of {coin} is older than {at - EARLIER:%Y-%m-%dT%H:%MZ}: "
            "`liqtruth index sweep` or `liqtruth index import` brings exact positions"
        )
    return tuple(found.values())


def _known_before(store: Store, coin: str, at: datetime) -> tuple[CoinKnown, ...]:
    """What was known a day before `at` and on `SHAPES` days in all, latest first, read together."""
    check_coin(store, coin)
    moments = [at - EARLIER * (day + 1) for day in reversed(range(SHAPES))]
    return tuple(reversed([one for one in coin_over_time(store, coin, moments) if one is not None]))
