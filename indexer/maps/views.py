"""What can be asked of the exact map: filtered, a layer, all coins moved together, first orders only, over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import LAYERS
from liqtruth.heatmap.notes import note
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.indexer.maps.betas import describe_betas, stored_betas
from liqtruth.indexer.maps.drilldown import filtered_positions
from liqtruth.indexer.maps.exact import exact_map, latest_of, map_of_positions, part_of_map
from liqtruth.indexer.maps.execution import executable_map
from liqtruth.indexer.maps.history import exact_series
from liqtruth.indexer.maps.joint import PARALLEL, joint_view
from liqtruth.indexer.positions.readings import Readings, check_coin, coin_as_of, no_positions
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

BETA: Final = "beta"
JOINT: Final = (BETA, "parallel")
STEPS: Final = 48


@dataclass(frozen=True)
class MapView:
    """One way to look at a coin's positions; `filters` are of `indexer.maps.drilldown.FILTERS`, `joint` one of `JOINT`,
    `layer` one of `heatmap.layers.LAYERS`.

    `betas` go before fitted ones, and move the coins together where `joint` is left out, all others alike.
    """

    coin: str
    at: datetime | None = None
    width_bps: float = DEFAULT_WIDTH_BPS
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    holder_share: tuple[float, float] | None = None
    joint: str | None = None
    betas: Mapping[str, float] = field(default_factory=dict)
    executable: bool = False
    layer: str | None = None

    def __post_init__(self) -> None:
        if self.joint not in (None, *JOINT):
            raise BadInput(f"no joint move {self.joint!r}; there are {' and '.join(JOINT)}")
        if self.layer not in (None, *LAYERS):
            raise BadInput(f"no layer {self.layer!r}; there are {' and '.join(LAYERS)}")
        asked = [self.filtered, self.moved, self.executable, self.layer is not None]
        if sum(asked) > 1:
            raise BadInput(
                "filters, --layer, --joint and --executable each make a map of their own; choose one"
            )

    @property
    def filtered(self) -> bool:
        return bool(self.filters) or self.holder_share is not None

    @property
    def moved(self) -> bool:
        """Whether all coins move together."""
        return self.joint is not None or bool(self.betas)


def view_map(store: Store, view: MapView) -> tuple[Heatmap, list[str]]:
    """The map, and what else there is to say of it; raises as `exact_map` does."""
    if view.moved:
        return _joint(store, view)
    if view.executable:
        return executable_map(store, view.coin, view.at, view.width_bps), []
    if view.filtered:
        return filtered_map(store, view), []
    return exact_map(store, view.coin, view.at, view.width_bps, view.layer), []


def view_series(
    store: Store, view: MapView, length: timedelta, step: timedelta | None = None
) -> HeatmapSeries:
    """Maps over the `length` before `at` (default: the last reading); only whole maps have a history."""
    if view.filtered or view.moved or view.executable or view.layer:
        raise BadInput("--series draws whole maps: leave filters, --layer, --joint and --executable out")
    check_coin(store, view.coin)
    now = Readings(store, view.coin)
    end = view.at or _latest(now, view.coin)
    return exact_series(store, view.coin, end - length, end, step or length / STEPS, view.width_bps, now)


def _latest(now: Readings, coin: str) -> datetime:
    """When the last of what is known was stored: a book is of a later moment than its readings."""
    positions, book = now.known(), now.book()
    if positions.is_empty():
        raise no_positions(coin, None)
    known = latest_of(positions, now.market(coin, positions)[0])
    return known if book is None else max(known, book.as_of)


def filtered_map(store: Store, view: MapView) -> Heatmap:
    """Only positions that pass the filters; the coverage is the whole map's, and the map says which part it is."""
    positions, market, notes = coin_as_of(store, view.coin, view.at)
    kept = filtered_positions(positions, holder_share=view.holder_share, **view.filters)
    only = {name: tuple(values) for name, values in view.filters.items()}
    if view.holder_share is not None:
        low, high = view.holder_share
        only["holder_share"] = (f"{100 * low:g}-{100 * high:g} %",)
    if kept.is_empty():
        text = "; ".join(f"{name.replace('_', ' ')} {' or '.join(values)}" for name, values in only.items())
        raise NothingStored(f"no position of {view.coin} passes: {text}")
    whole, part = (
        map_of_positions(rows, view.coin, market, view.width_bps, notes) for rows in (positions, kept)
    )
    part = replace(part, only=only)
    said = note("part_kept", filter=part.filtered_by, count=kept.height, positions=positions.height)
    return part_of_map(whole, part, (said, *whole.coverage.notes), said)


def _joint(store: Store, view: MapView) -> tuple[Heatmap, list[str]]:
    fitted = stored_betas(store, view.coin, view.at) if view.joint == BETA else PARALLEL
    betas = {**fitted, **view.betas}
    found = joint_view(store, view.coin, view.at, betas, view.width_bps)
    lines = describe_betas(betas, view.coin) if betas else []
    return found.heatmap, [*found.dragged(), *lines]
