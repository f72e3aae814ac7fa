"""What can be asked of the positions of a coin: the map, a part of it, all coins moved together, and the past."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import LAYERS
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import note
from liqtruth.heatmap.words.text import utc_text
from liqtruth.indexer.maps.exact import (
    Part,
    exact_map,
    exact_series,
    latest_of,
    map_of_positions,
    part_of_map,
)
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.readings import Readings, coin_as_of
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

BETA: Final = "beta"
MOVES: Final = (BETA, "parallel")
STEPS: Final = 48
Filters = Mapping[str, Sequence[str]]
"""Of `indexer.maps.drilldown.FILTERS`, each with the values that pass."""


def exact_view(
    store: Store,
    coin: str,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
    *,
    filters: Filters | None = None,
    holder_share: tuple[float, float] | None = None,
    since: datetime | None = None,
    layer: str | None = None,
) -> Heatmap:
    """The exact map: whole, of the positions that pass the filters, or one of `LAYERS`; raises as `exact_map` does."""
    if layer not in (None, *LAYERS):
        raise BadInput(f"the layer must be {' or '.join(LAYERS)}, got {layer!r}")
    filtered = bool(filters) or holder_share is not None or since is not None
    if filtered and layer is not None:
        raise BadInput("filters and --layer each make a map of their own; choose one")
    if filtered:
        return filtered_map(store, coin, at, width_bps, filters or {}, holder_share, since)
    return exact_map(store, coin, at, width_bps, layer)


def filtered_map(
    store: Store,
    coin: str,
    at: datetime | None,
    width_bps: float,
    filters: Filters,
    holder_share: tuple[float, float] | None,
    since: datetime | None = None,
) -> Heatmap:
    """Only positions that pass the filters; the coverage is the whole map's, and the map says which part it is."""
    from liqtruth.indexer.maps.drilldown import filtered_positions

    positions, market, notes = coin_as_of(store, coin, at)
    kept = filtered_positions(
        positions, holder_share=holder_share, since=since, at=None, strict=True, **filters
    )
    only = named_filters(filters, holder_share, since)
    if kept.is_empty():
        asked = "; ".join(f"{name.replace('_', ' ')} {' or '.join(values)}" for name, values in only.items())
        raise NothingStored(f"no position of {coin} passes: {asked}")
    whole, part = (map_of_positions(rows, coin, market, width_bps, notes) for rows in (positions, kept))
    part = replace(part, only=only)
    stated = note("part_kept", filter=part.filtered_by, count=kept.height, positions=positions.height)
    return part_of_map(whole, part, (stated, *whole.coverage.notes), stated)


def named_filters(
    filters: Filters, holder_share: tuple[float, float] | None, since: datetime | None
) -> dict[str, tuple[str, ...]]:
    """Filters as `Heatmap.only` has them."""
    only = {name: tuple(values) for name, values in filters.items()}
    if holder_share is not None:
        low, high = holder_share
        only["holder_share"] = (f"{100 * low:g}-{100 * high:g} %",)
    if since is not None:
        only["since"] = (utc_text(since),)
    return only


def joint_map(
    store: Store,
    coin: str,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
    *,
    move: str = "parallel",
    betas: Mapping[str, float] | None = None,
) -> tuple[Heatmap, list[str]]:
    """The map when all coins move together (one of `MOVES`), and what there is to say of it.

    `betas` go before fitted ones; coins that have none move like `coin`.
    """
    from liqtruth.indexer.maps.betas import describe_betas, stored_betas
    from liqtruth.indexer.maps.joint import PARALLEL, joint_view

    if move not in MOVES:
        raise BadInput(f"no joint move {move!r}; there are {' and '.join(MOVES)}")
    fitted = stored_betas(store, coin, at) if move == BETA else PARALLEL
    known = {**fitted, **(betas or {})}
    found = joint_view(store, coin, at, known, width_bps)
    lines = describe_betas(known, coin) if known else []
    return found.heatmap, [*found.dragged(), *lines]


def exact_history(
    store: Store,
    coin: str,
    length: timedelta,
    step: timedelta | None = None,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
    *,
    filters: Filters | None = None,
    holder_share: tuple[float, float] | None = None,
    since: datetime | None = None,
) -> HeatmapSeries:
    """Maps over the `length` before `at` (default: the last reading), by default `STEPS` of them: whole, or of the
    positions that pass the filters. Ages count from each moment, `since` stays where it is."""
    check_coin(store, coin)
    now = Readings(store, coin)
    end = at or _latest(now, coin)
    only = named_filters(filters or {}, holder_share, since)

    def keep(positions: pl.DataFrame, moment: datetime) -> pl.DataFrame:
        from liqtruth.indexer.maps.drilldown import filtered_positions

        return filtered_positions(
            positions, holder_share=holder_share, since=since, at=moment, strict=False, **(filters or {})
        )

    part = Part(keep, only) if only else None
    return exact_series(store, coin, end - length, end, step or length / STEPS, width_bps, now, part)


def _latest(now: Readings, coin: str) -> datetime:
    """When the last of what is known was stored: a book is of a later moment than its readings."""
    positions, book = now.known(), now.book()
    if positions.is_empty():
        raise no_positions(coin, None)
    known = latest_of(positions, now.market(coin, positions)[0])
    return known if book is None else max(known, book.as_of)
