"""Maps and series of any model by its name, those that start from exact maps included: only here both are seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypedDict, Unpack

from liqtruth.estimator.model.baselines import CLIMATOLOGY, PERSISTENCE, climatology, persistence
from liqtruth.estimator.model.maps import ALONE, OVER_TIME, model_map, named_model
from liqtruth.estimator.over_time.price_time import model_series
from liqtruth.estimator.series.series import load_series
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.series import HeatmapSeries, stacked
from liqtruth.indexer.maps.exact import map_of_positions
from liqtruth.indexer.positions.catalogue import check_coin
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import CoinKnown, coin_over_time
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

EARLIER: Final = timedelta(hours=24)
"""Exact maps that a model starts from are at least this much older than the map it makes."""
MAPS, MOST_MAPS = 48, 720
"""Moments of a series of a model that is drawn anew at each: by default, and at most."""
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


class SeriesOptions(TypedDict, total=False):
    """What `estimator.over_time.price_time.model_series` takes beside the model's name, the span and the step."""

    weights: str | None
    leverage: Sequence[float] | None
    age: str | None
    since: datetime | None
    at: datetime | None


def drawn_map(
    store: Store,
    coin: str,
    venue: str,
    model: str | None = None,
    window: str = "30d",
    **options: Unpack[MapOptions],
) -> Heatmap:
    """As `estimator.model.maps.model_map`, and `climatology` and `persistence` from the stored exact maps of the coin.
    The name of a leverage model stands for `vintages` with it.

    Raises `BadInput` for `persistence` of another venue than Hyperliquid, `NothingStored` without an exact map that is
    old enough."""
    model, weights = named_model(model, options.get("weights"), store.settings.data_dir)
    options["weights"] = weights
    if model in ALONE:
        return model_map(store, coin, venue, model, window, **options)
    if weights or options.get("leverage") or options.get("age") or options.get("since"):
        raise BadInput(
            f"model {model} has neither weights nor ages: leave out --weights, --leverage, --age and --since"
        )
    width_bps = options.get("width_bps", DEFAULT_WIDTH_BPS)
    return _exact_based(store, coin, venue, model, window, options.get("at"), width_bps)


def drawn_series(
    store: Store,
    coin: str,
    venue: str,
    model: str | None,
    span: timedelta,
    step: timedelta | None = None,
    **options: Unpack[SeriesOptions],
) -> HeatmapSeries:
    """As `estimator.over_time.price_time.model_series`, of every model that `drawn_map` draws: of one that has no
    recursion over time a map at each step, by default `MAPS` of them. A moment that cannot be drawn is not known.

    Raises as `drawn_map` where the last moment cannot be drawn."""
    store = store.view()
    model, weights = named_model(model, options.get("weights"), store.settings.data_dir)
    options["weights"] = weights
    if model in OVER_TIME:
        return model_series(store, coin, venue, model, span, step, **options)
    chosen = step or span / MAPS
    if not timedelta(0) < chosen <= span:
        raise BadInput(f"--step must be above zero and at most the span {span}, got {chosen}")
    if (count := span // chosen) > MOST_MAPS:
        raise BadInput(f"model {model} takes at most {MOST_MAPS} moments, got {count}: take a longer --step")
    age = options.get("age")
    part: MapOptions = {
        "weights": weights,
        "leverage": options.get("leverage"),
        "age": age.split(",") if age else None,
        "since": options.get("since"),
        "at": options.get("at"),
    }
    last = drawn_map(store, coin, venue, model, **part)
    times = [last.as_of - n * chosen for n in range(count - 1, 0, -1)]
    earlier = [_map_at(store, coin, venue, model, part, at) for at in times]
    return stacked([*times, last.as_of], [*earlier, last])


def _map_at(
    store: Store, coin: str, venue: str, model: str, part: MapOptions, at: datetime
) -> Heatmap | None:
    try:
        asked: MapOptions = {**part, "at": at}
        return drawn_map(store, coin, venue, model, **asked)
    except MissingData:
        return None


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
