"""Positions to the exact heatmap: which price each position is booked at, and how much of the market that covers.

The price is `liq_px`, chosen once in `indexer.margin.reconcile`. A position with status `never` keeps its null and
counts as mass that no price liquidates; one with status `unknown_collateral` has no place on the map and is counted
as unknown. A map may show one layer only (`heatmap.layers`): a position is what one account holds of the coin.

Maps over time (`exact_series`) are on one price grid. Each moment shows what was known by then
(`indexer.positions.readings`), nothing later: between two readings the earlier one stands, and the coverage says how
old it had become. Moments before the first reading stay unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.filtering import filtered_by
from liqtruth.heatmap.grid import DEFAULT_REACH, DEFAULT_WIDTH_BPS, FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.layers import Cut, layer_note, layer_of, whales_note
from liqtruth.heatmap.levels import SIDE, BinSums, BySide, Sides, bin_sums, count_crossed
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import Note, Notes, any_synthetic, note
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import CoinKnown, Readings, coin_as_of, coin_over_time
from liqtruth.storage.database.records import Market
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

DIMENSIONS: Final = (
    "leverage_band",
    "margin_mode",
    "account_mode",
    "account_size",
    "age_band",
    "position_age",
)
AGE_LABELS: Final = ("<4h", "4-24h", "1-7d", ">7d")
"""Of `position_age`, beside `unknown`."""
STALE_AGE_S: Final = 6 * 3600.0

VALUED_AT_MARK: Final = note("valued_at_mark")
ASSUMPTIONS: Final = (note("prices_as_sent"), note("other_marks_still"), VALUED_AT_MARK)
MOST_MOMENTS: Final = 5_000
OF_MAP: Final = (
    *("address", "dex", "coin", "szi", "mark_px", "liq_px", "status", "as_of", "age_s", "held_since"),
    *("leverage", "margin_mode", "account_mode", "account_value_usd", "source", "reading_id"),
)
"""Columns of positions that a map and what it says of them are made of."""


def exact_map(
    store: Store,
    coin: str,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
    layer: str | None = None,
) -> Heatmap:
    """The map of everything known of `coin` at `at` (default: the latest reading), or one of its layers
    (`heatmap.layers.LAYERS`).

    Raises `UnknownCoin` for a coin that no reading holds, `NothingStored` where there is none by `at`, `BadInput` for
    another layer.
    """
    if layer is not None:
        return whole_and_layer(store, coin, layer, at, width_bps)[1]
    positions, market, notes = coin_as_of(store, coin, at, OF_MAP)
    return map_of_positions(positions, coin, market, width_bps, notes)


def whole_and_layer(
    store: Store,
    coin: str,
    layer: str,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> tuple[Heatmap, Heatmap]:
    """The whole map and that of a layer, of the same reading; raises as `exact_map`."""
    levels = levels_of(*coin_as_of(store, coin, at, OF_MAP))
    whole = _map_of_levels(levels, coin, width_bps, ASSUMPTIONS)
    return whole, _layer_map(whole, levels.rows, layer)


@dataclass(frozen=True, eq=False)
class PlacedLevels:
    """Positions of a coin that have a place on its map, among mass that no price liquidates too: `rows` as `describe`
    has them."""

    rows: pl.DataFrame
    mark_px: float
    as_of: datetime
    coverage: Coverage


def levels_of(positions: pl.DataFrame, market: Market | None, notes: Sequence[Note] = ()) -> PlacedLevels:
    """A positions frame of one coin as levels, with how much of the market they cover."""
    as_of = latest_of(positions, market)
    mark_px = market.mark_px if market else float(positions["mark_px"].median())  # type: ignore[arg-type]
    valued = describe(positions, mark_px, as_of)
    levels = valued.filter(pl.col("status") != "unknown_collateral")
    coverage = _coverage(valued, levels, market, mark_px, (*notes, *_notes(valued, market)))
    whales = whales_note(levels, Cut.of(coverage), mark_px)
    return PlacedLevels(levels, mark_px, as_of, replace(coverage, notes=(whales, *coverage.notes)))


def _map_of_levels(levels: PlacedLevels, coin: str, width_bps: float, assumptions: Sequence[Note]) -> Heatmap:
    return Heatmap.from_levels(
        levels.rows.select("side", "px", "notional_usd", *DIMENSIONS),
        PriceGrid.around(levels.mark_px, width_bps),
        coin=coin,
        venue=VENUE,
        source="exact",
        as_of=levels.as_of,
        coverage=levels.coverage,
        assumptions=tuple(assumptions),
        by=DIMENSIONS,
    )


def map_of_positions(
    positions: pl.DataFrame,
    coin: str,
    market: Market | None,
    width_bps: float = DEFAULT_WIDTH_BPS,
    notes: Sequence[Note] = (),
    assumptions: Sequence[Note] = ASSUMPTIONS,
) -> Heatmap:
    """Bin a positions frame of one coin; `market` gives the mark, and the open interest to measure coverage by."""
    return _map_of_levels(levels_of(positions, market, notes), coin, width_bps, assumptions)


def exact_series(
    store: Store,
    coin: str,
    start: datetime,
    end: datetime,
    step: timedelta,
    width_bps: float = DEFAULT_WIDTH_BPS,
    earlier: Readings | None = None,
    part: "Part | None" = None,
) -> HeatmapSeries:
    """Exact maps at `start`, `start + step`, ... up to `end`, on a grid around the last mark.

    The grid reaches as far from every moment's mark as a single map's. Raises `BadInput` for times that are no
    series, `UnknownCoin`, and `NothingStored` where nothing was read by `end`, or where no position is of `part` at any
    moment. `earlier` is what was read of the coin.
    """
    times = moments(start, end, step)
    check_coin(store, coin)
    found = coin_over_time(store, coin, times, earlier)
    known = [
        None if one is None else _levels(one, part, moment) for one, moment in zip(found, times, strict=True)
    ]
    marks = np.array([np.nan if levels is None else levels.mark_px for levels in known])
    if np.isnan(marks).all():
        raise no_positions(coin, end)
    if part is not None and all(levels is None or levels.rows.is_empty() for levels in known):
        raise NothingStored(f"no position of {coin} passes at any moment: {filtered_by(part.only)}")
    grid = _common_grid(marks, width_bps)
    sums = [_placed(levels, grid) for levels in known]
    return HeatmapSeries(
        coin=coin,
        venue=VENUE,
        source="exact",
        times=times,
        grid=grid,
        long_usd=np.stack([one.long.on_grid for one in sums]),
        short_usd=np.stack([one.short.on_grid for one in sums]),
        mark_px=marks,
        beyond_usd=tuple(Sides(*(side.beyond for side in one)) for one in sums),
        never_usd=tuple(Sides(*(side.never for side in one)) for one in sums),
        coverage=tuple(None if levels is None else levels.coverage for levels in known),
        assumptions=(*ASSUMPTIONS, note("earlier_reading_stands")),
        only={} if part is None else part.only,
    )


def moments(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, ...]:
    """`start` and every `step` after it up to `end`; raises `BadInput` where they are none or too many."""
    if start.tzinfo is None or end.tzinfo is None:
        raise BadInput(f"a series needs times with a zone, not {start} to {end}")
    if step <= timedelta(0):
        raise BadInput(f"a series needs a step above zero, not {step}")
    if end < start:
        raise BadInput(f"the series ends at {end}, before it starts at {start}")
    count = (end - start) // step + 1
    if count > MOST_MOMENTS:
        raise BadInput(
            f"{count:,} moments from {start} to {end}; at most {MOST_MOMENTS:,}, take a longer step"
        )
    return tuple(start + n * step for n in range(count))


@dataclass(frozen=True)
class Part:
    """Which positions a series shows: `keep` takes those of a moment and the moment, `only` names the filters."""

    keep: Callable[[pl.DataFrame, datetime], pl.DataFrame]
    only: Mapping[str, tuple[str, ...]]


def _levels(known: CoinKnown, part: Part | None, moment: datetime) -> PlacedLevels:
    """As a map of that moment has them, with their age at the moment; of a part, with the coverage of the whole."""
    levels = levels_of(known.positions, known.market, known.notes)
    oldest = known.positions["age_s"].max()
    assert isinstance(oldest, float)
    coverage = replace(levels.coverage, oldest_age_s=oldest)
    rows = levels.rows
    if part is not None:
        kept = part.keep(known.positions, moment)
        valued = describe(kept, levels.mark_px, levels.as_of)
        rows = valued.filter(pl.col("status") != "unknown_collateral")
        counted = note(
            "part_kept", filter=filtered_by(part.only), count=kept.height, positions=known.positions.height
        )
        coverage = replace(coverage, notes=(counted, *coverage.notes))
    return replace(levels, rows=rows.select("side", "px", "notional_usd"), coverage=coverage)


def _common_grid(marks: FloatArray, width_bps: float) -> PriceGrid:
    known = marks[np.isfinite(marks)]
    wandered = float(np.abs(np.log(known / known[-1])).max())
    return PriceGrid.around(float(known[-1]), width_bps, DEFAULT_REACH + wandered)


def _placed(levels: PlacedLevels | None, grid: PriceGrid) -> BySide[BinSums]:
    """What a moment has on the common grid; what the mark has passed lies next to the mark, as on a map."""
    if levels is None:
        unknown = BinSums(np.full(grid.bins, np.nan), 0.0, 0.0)
        return BySide(unknown, unknown)
    return bin_sums(levels.rows, grid, levels.mark_px)


def _layer_map(whole: Heatmap, rows: pl.DataFrame, layer: str) -> Heatmap:
    """One layer of the levels that `whole` was drawn from."""
    cut = Cut.of(whole.coverage)
    levels = layer_of(rows, cut, layer)
    part = Heatmap.from_levels(
        levels.select("side", "px", "notional_usd", *DIMENSIONS),
        whole.grid,
        coin=whole.coin,
        venue=whole.venue,
        source=whole.source,
        model=layer,
        as_of=whole.as_of,
        coverage=whole.coverage,
        assumptions=whole.assumptions,
        by=DIMENSIONS,
    )
    stated = layer_note(layer, part.total_usd, whole.total_usd, cut)
    return part_of_map(whole, part, (stated, *whole.coverage.notes), stated)


def part_of_map(whole: Heatmap, part: Heatmap, notes: Sequence[Note], assumption: Note) -> Heatmap:
    """A map of some of the whole map's positions: its moment and coverage, `notes` beside it."""
    return replace(
        part,
        as_of=whole.as_of,
        coverage=replace(whole.coverage, notes=tuple(notes)),
        assumptions=(*part.assumptions, assumption),
    )


def describe(positions: pl.DataFrame, mark_px: float, as_of: datetime) -> pl.DataFrame:
    """Positions as levels: side, price, notional at this mark, and the dimensions a map is broken down by."""
    age_s = (pl.lit(as_of) - pl.col("as_of")).dt.total_milliseconds() / 1000
    return positions.with_columns(
        pl.when(pl.col("szi") > 0).then(pl.lit("long")).otherwise(pl.lit("short")).cast(SIDE).alias("side"),
        pl.col("liq_px").alias("px"),
        (pl.col("szi").abs() * mark_px).alias("notional_usd"),
        age_s.alias("age_s"),
        ((pl.lit(as_of) - pl.col("held_since")).dt.total_milliseconds() / 1000).alias("held_s"),
        _band("leverage", [3, 7, 15, 30], ["0-3x", "3-7x", "7-15x", "15-30x", "30x+"]).alias("leverage_band"),
        pl.col("account_mode").fill_null("unknown"),
        _band("account_value_usd", [1e5, 1e6, 1e7], ["<100k", "100k-1M", "1M-10M", ">10M"]).alias(
            "account_size"
        ),
    ).with_columns(
        _band("age_s", [3600, 4 * 3600, 86400, 7 * 86400], ["<1h", "1-4h", "4-24h", "1-7d", ">7d"]).alias(
            "age_band"
        ),
        _band("held_s", [4 * 3600, 86400, 7 * 86400], list(AGE_LABELS)).alias("position_age"),
    )


def _band(column: str, bounds: list[float], labels: list[str]) -> pl.Expr:
    """Label of the band that holds the value, lower bounds included; `unknown` where there is none."""
    kind = pl.Enum([*labels, "unknown"])
    band = pl.lit(labels[-1], kind)
    for bound, label in zip(reversed(bounds), reversed(labels[:-1]), strict=True):
        band = pl.when(pl.col(column) < bound).then(pl.lit(label, kind)).otherwise(band)
    return pl.when(pl.col(column).is_null()).then(pl.lit("unknown", kind)).otherwise(band)


def latest_of(positions: pl.DataFrame, market: Market | None) -> datetime:
    """The moment of a map of these positions: of what was read last."""
    read_at = positions["as_of"].max()
    assert isinstance(read_at, datetime)
    return max(read_at, market.as_of) if market else read_at


def _coverage(
    valued: pl.DataFrame,
    levels: pl.DataFrame,
    market: Market | None,
    mark_px: float,
    notes: Notes,
) -> Coverage:
    open_interest = market.open_interest if market else None
    crossed_positions, crossed_usd = count_crossed(levels, mark_px)
    oldest = valued["age_s"].max()
    return Coverage(
        open_interest_usd=None if open_interest is None else open_interest * mark_px,
        seen_usd=_by_side(valued),
        unknown_usd=_by_side(valued.filter(pl.col("status") == "unknown_collateral")),
        positions=valued.height,
        accounts=valued["address"].n_unique(),
        unpriced_positions=int(levels["px"].null_count()),
        crossed_positions=crossed_positions,
        crossed_usd=crossed_usd,
        oldest_age_s=float(oldest) if isinstance(oldest, int | float) else None,
        notes=notes,
        synthetic=any_synthetic(valued["source"]),
    )


def _by_side(rows: pl.DataFrame) -> Sides:
    sums = dict(rows.group_by("side").agg(pl.col("notional_usd").sum()).iter_rows())
    return Sides(sums.get("long", 0.0), sums.get("short", 0.0))


def _notes(valued: pl.DataFrame, market: Market | None) -> list[Note]:
    notes = []
    if market is None:
        notes.append(note("no_market"))
    stale = valued.filter(pl.col("age_s") > STALE_AGE_S).height
    if stale:
        notes.append(note("stale_positions", count=stale, positions=valued.height, hours=STALE_AGE_S / 3600))
    if any_synthetic(valued["source"]):
        notes.append(note("synthetic_positions"))
    return notes
