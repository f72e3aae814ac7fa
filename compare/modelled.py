"""Modelled maps by name with what stands for and against them, and what is known of their clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Unpack

from liqtruth.compare.drawn import MapOptions, drawn_map
from liqtruth.compare.observed.surroundings import depth_of, surroundings_of
from liqtruth.estimator.model.baselines import FORMER_NAMES
from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named
from liqtruth.estimator.model.maps import TOGETHER, named_model
from liqtruth.estimator.model.model_in_use import CALIBRATED, calibrated_model
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.heatmap.clusters.distribution import Cluster, find_clusters
from liqtruth.heatmap.clusters.facts import MapFacts, cluster_facts
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.heatmap import Heatmap, Training
from liqtruth.heatmap.words.notes import Notes
from liqtruth.storage.store import Store

WINDOWS_ASKED: Final = ("24h", "7d", "30d")
"""How far back maps of vendors look, of which traders ask that all show a cluster."""


def modelled_map(
    store: Store,
    coin: str,
    venue: str,
    model: str | None = None,
    window: str = "30d",
    **options: Unpack[MapOptions],
) -> Heatmap:
    """As `drawn_map`, with what its fit has seen (`training`) and, in `quality`, a note where the model has done worse
    than its baselines on realised liquidations. A null model is the default one (`maps.default_model`)."""
    model, weights = named_model(model, options.get("weights"), store.settings.data_dir)
    drawn = drawn_map(store, coin, venue, model, window, **(options | {"weights": weights}))
    return replace(
        drawn,
        quality=(*drawn.quality, *_against(store, model, venue, weights)),
        training=_training(store.settings.data_dir, drawn.venue.split(TOGETHER), model, weights),
    )


def clusters_by_window(
    store: Store, coin: str, venue: str, model: str | None = None, **options: Unpack[MapOptions]
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
    around = surroundings_of(store, heatmap.coin, heatmap.venue, heatmap.as_of)
    depth = store.once(depth_of, around.venue, heatmap.coin, heatmap.as_of)
    return cluster_facts(heatmap, find_clusters(heatmap), around, windows, depth=depth)


def _against(store: Store, model: str, venue: str, weights: str | None) -> Notes:
    """What the ledger of forecasts has against a model; its scores are loaded only where it has some."""
    if model not in store.once(_scored_models):
        return ()
    from liqtruth.compare.scoring.ledger.leaderboard import flags_of

    return flags_of(store, model, venue, _weights_name(model, weights))


def _scored_models(store: Store) -> set[str]:
    """Models of which the ledger has a score."""
    sql = "SELECT DISTINCT f.model FROM forecast f JOIN forecastscore s ON s.forecast_hash = f.hash"
    with store.database.asking() as asked:
        return {FORMER_NAMES.get(model, model) for model in asked.column(str, sql)}


def _training(data_dir: Path, venues: Sequence[str], model: str, weights: str | None) -> Training | None:
    """What the fits behind a map have seen, all venues' together; null where none is fitted."""
    if model == CALIBRATED:
        used = [calibrated_model(data_dir, venue) for venue in venues]
    elif model == VINTAGES:
        used = [leverage_model_named(weights, data_dir)]
    else:
        return None
    fitted = [one for one in used if one.kind != "prior"]
    if not fitted:
        return None
    from liqtruth.compare.transfer.record import training_of

    found = [one for one in (training_of(data_dir, each) for each in fitted) if one is not None]
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


def _weights_name(model: str, weights: str | None) -> str | None:
    """The leverage model of a map, as the ledger of forecasts knows it."""
    if weights is not None and weights.endswith(".json"):
        return leverage_model_named(weights).name
    return weights or (DEFAULT if model == VINTAGES else None)
