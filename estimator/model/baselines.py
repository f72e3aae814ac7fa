"""What a model has to beat: maps that take little or nothing from the accounting of open interest.

`uniform`, `volume-profile` and `moving-average` need a venue's series. `climatology` and `persistence` need exact maps;
they are plain functions of heatmaps, and who has such maps calls them. Like all models they account for the
whole open interest and leave nothing at prices that the market has been at.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.model.brackets import LONG, POSITION_USD, SHORT, Brackets, liquidation_factors
from liqtruth.estimator.model.cohort_model import Balance, covered, null_notes, series_notes
from liqtruth.estimator.model.leverage import tiers
from liqtruth.estimator.model.response_matrix import Lots, build_response_matrix, places
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES, BySide
from liqtruth.heatmap.words.notes import Note, note

TIERS: Final = "tiers"
"""The naive map, of `leverage.MODELS`."""
CLIMATOLOGY, PERSISTENCE = "climatology", "persistence"
EXACT_BASED: Final = (CLIMATOLOGY, PERSISTENCE)
FORMER_NAMES: Final = {"shape-copy": CLIMATOLOGY, "last-exact": PERSISTENCE}
"""What they were called, in commands, in the ledger and in records of validations."""
UNIFORM: Final = "uniform"
UNIFORM_REACH: Final = 0.30
"""`uniform` spreads each side evenly in log price over this much from the mark."""
PLAIN: Final = (UNIFORM, "volume-profile")
MOVING_AVERAGE: Final = "moving-average"
AVERAGED: Final = timedelta(hours=72)
"""Time before the map's moment over which `moving-average` takes the mean price."""
OF_SERIES: Final = (*PLAIN, MOVING_AVERAGE)
"""All that `plain_map` draws; a validation counts only `PLAIN` among a model's rivals."""

ROUNDING: Final = 1e-12

Placed = tuple[FloatArray, float]
"""Shares of open interest of one side: at each place (below the grid, bins, above it, never), and swept."""


def plain_map(
    model: str, series: MarketSeries, venue: Venue, coin: str, brackets: Brackets, width_bps: float
) -> Heatmap:
    """One of `OF_SERIES`; `volume-profile` raises `MissingData` where the series lack volume."""
    grid = PriceGrid.around(series.mark_px, width_bps)
    if model == UNIFORM:
        reach = note("uniform", reach=UNIFORM_REACH)
        return _drawn(model, series, venue, coin, grid, _uniform(series, grid), (reach,))
    weights = tiers().up_to(brackets.highest_leverage(POSITION_USD))
    notes = (
        note("by_volume"),
        note("weights", weights=weights.note),
        note("brackets", source=brackets.source),
    )
    if model == MOVING_AVERAGE:
        px, about = mean_price(series)
        placed = _opened_at(px, series, brackets, grid)
        return _drawn(model, series, venue, coin, grid, placed, (about, *notes[1:]))
    profile = _volume_profile(series, venue, coin, brackets, grid)
    return _drawn(model, series, venue, coin, grid, profile, notes)


def uniform_share(away: FloatArray) -> FloatArray:
    """Share of a side that `uniform` has between the mark and a price so far from it in log price; none on the other
    side of the mark."""
    return np.asarray(np.clip(away / UNIFORM_REACH, 0.0, 1.0))


def _uniform(series: MarketSeries, grid: PriceGrid) -> BySide[Placed]:
    """What lies where the last bar has been is swept."""
    away = np.log(grid.edges / grid.mark_px)
    inward = uniform_share(-away[: grid.bins_each_way + 1])
    outward = uniform_share(away[grid.bins_each_way :])
    empty = np.zeros(grid.bins_each_way)
    long = np.concatenate([[0.0], -np.diff(inward), empty, [0.0, 0.0]])
    short = np.concatenate([[0.0], empty, np.diff(outward), [0.0, 0.0]])
    long[0], short[-2] = 1 - inward[0], 1 - outward[-1]
    return _cleared(long, short, grid, *_last_range(series))


def _volume_profile(
    series: MarketSeries, venue: Venue, coin: str, brackets: Brackets, grid: PriceGrid
) -> BySide[Placed]:
    volume = series.bars.volume
    if volume is None or not volume.sum() > 0:
        raise MissingData(
            f"volume-profile needs volume, and the series of {venue.name} {coin} have none for all bars: "
            "fetch or import candles with volume, or take another model"
        )
    weights = tiers().up_to(brackets.highest_leverage(POSITION_USD))
    share = volume / volume.sum() * float(series.bars.open_interest[-1] > 0)
    lots = Lots(np.asarray(share)[:, None], np.zeros(1))
    factors = tuple(liquidation_factors(brackets, weights.leverage, side) for side in (LONG, SHORT))
    bars = np.zeros(len(share), dtype=np.int64)
    columns = build_response_matrix(series.bars, lots, bars, 1, (factors[0], factors[1]), grid)
    return columns.sides.map(
        lambda side: (
            side.weighted(weights.weight[None, :])[0].sum(axis=0),
            float(side.swept[0] @ weights.weight),
        )
    )


def mean_price(series: MarketSeries) -> tuple[float, Note]:
    """The mean price of the bars that ended in the last `AVERAGED`, weighted by volume where that is known, and a note
    of its window and its distance from the mark. A bar's price is the mean of its high, low and close."""
    bars = series.bars
    first_ms = series.as_of.timestamp() * 1000 - AVERAGED / timedelta(milliseconds=1)
    within = series.end_ms > first_ms
    if not within.any():
        within[-1] = True
    price = (bars.high + bars.low + bars.close)[within] / 3
    volume = None if bars.volume is None else bars.volume[within]
    by_volume = volume is not None and bool(volume.sum() > 0)
    px = float(np.average(price, weights=volume if by_volume else None))
    began_ms = series.start.timestamp() * 1000 if within[0] else float(series.end_ms[~within][-1])
    window_s = series.as_of.timestamp() - max(began_ms, first_ms) / 1000
    away = px / series.mark_px - 1
    return px, note("opened_at_mean", px=px, window_s=window_s, by_volume=by_volume, away=away)


def _opened_at(px: float, series: MarketSeries, brackets: Brackets, grid: PriceGrid) -> BySide[Placed]:
    """The tiers of both sides, all entered at one price."""
    weights = tiers().up_to(brackets.highest_leverage(POSITION_USD))
    share = weights.weight * float(series.bars.open_interest[-1] > 0)
    masses = []
    for side in (LONG, SHORT):
        factors = liquidation_factors(brackets, weights.leverage, side)
        mass = np.zeros(grid.bins + 3)
        steps = np.log(px * factors[factors > 0] / grid.mark_px) / grid.log_width + grid.bins_each_way
        place = np.clip(np.floor(steps + ROUNDING).astype(np.int64), -1, grid.bins) + 1
        np.add.at(mass, place, share[factors > 0])
        mass[-1] = share[factors <= 0].sum()
        masses.append(mass)
    return _cleared(masses[0], masses[1], grid, *_last_range(series))


def climatology(
    exact: Sequence[Heatmap], series: MarketSeries, venue: Venue, coin: str, width_bps: float
) -> Heatmap:
    """The mean of exact maps as shares of their open interest by distance from their marks, on this market.

    Raises `BadInput` without maps.
    """
    if not exact:
        raise BadInput(f"climatology of {coin} needs at least one exact map")
    grid = PriceGrid.around(series.mark_px, width_bps)
    is_open = float(series.bars.open_interest[-1] > 0)
    long, short = (
        is_open * np.mean([_shares(one, side, grid, shift=0.0) for one in exact], axis=0) for side in SIDES
    )
    times = f"{exact[0].as_of:%Y-%m-%dT%H:%MZ}"
    copied = note("mean_shape", maps=len(exact), coin=coin, at=times, of=exact[0].venue)
    placed = _cleared(long, short, grid, *_last_range(series))
    return _drawn(CLIMATOLOGY, series, venue, coin, grid, placed, (copied,))


def persistence(exact: Heatmap, series: MarketSeries, venue: Venue, coin: str, width_bps: float) -> Heatmap:
    """An earlier exact map at its own prices, without the levels that later bars of the series have reached.

    Where open interest has fallen since, every position has shrunk alike; what has been opened since is not known.
    Raises `BadInput` where the series do not begin before the map.
    """
    bars, moment_ms = series.bars, round(exact.as_of.timestamp() * 1000)
    later = np.flatnonzero(series.end_ms > moment_ms)
    if series.start > exact.as_of or not later.size:
        raise BadInput(
            f"persistence: the exact map is of {exact.as_of:%Y-%m-%dT%H:%MZ}, the series from "
            f"{series.start:%Y-%m-%dT%H:%MZ} to {series.as_of:%Y-%m-%dT%H:%MZ}: take a longer "
            "--window, or a later --at where candles and open interest begin after the map"
        )
    grid = PriceGrid.around(series.mark_px, width_bps)
    then, now = float(bars.open_interest[later[0]]), float(bars.open_interest[-1])
    kept = still_open(then, now)
    shift = float(np.log(exact.mark_px / grid.mark_px))
    long, short = (kept * _shares(exact, side, grid, shift=shift) for side in SIDES)
    low = bars.low if bars.swept_low is None else bars.swept_low
    high = bars.high if bars.swept_high is None else bars.swept_high
    copied = note("earlier_exact", at=f"{exact.as_of:%Y-%m-%dT%H:%MZ}", of=exact.venue)
    placed = _cleared(long, short, grid, float(low[later].min()), float(high[later].max()))
    return _drawn(PERSISTENCE, series, venue, coin, grid, placed, (copied,))


def still_open(then: float, now: float) -> float:
    """Share of the open interest `now` that positions of `then` are: where it has fallen, all have shrunk alike."""
    return min(1.0, then / now) if now > 0 else 0.0


def _shares(exact: Heatmap, side: str, grid: PriceGrid, *, shift: float) -> FloatArray:
    """A map's side as shares of its open interest (of what was seen, where that is more) at the places of `grid`.

    `shift` is its mark over the grid's, in log price; inside a bin mass is taken as even in log price.
    """
    mass = exact.long_usd if side == "long" else exact.short_usd
    never, beyond = (part.of(side) for part in (exact.never_usd, exact.beyond_usd))
    whole = max(exact.coverage.open_interest_usd or 0.0, exact.total_usd.of(side))
    if not whole > 0:
        return np.zeros(grid.bins + 3)
    steps = np.arange(-exact.grid.bins_each_way, exact.grid.bins_each_way + 1) * exact.grid.log_width + shift
    risen = np.concatenate([[0.0], np.cumsum(mass)])
    wanted = np.arange(-grid.bins_each_way, grid.bins_each_way + 1) * grid.log_width
    at = np.interp(wanted, steps, risen)
    below = (at[0] + beyond) if side == "long" else at[0]
    above = risen[-1] - at[-1] + (0.0 if side == "long" else beyond)
    return np.asarray(np.concatenate([[below], np.maximum(np.diff(at), 0.0), [above, never]]) / whole)


def _last_range(series: MarketSeries) -> tuple[float, float]:
    """Where the last bar has been."""
    bars = series.bars
    low = bars.low if bars.swept_low is None else bars.swept_low
    high = bars.high if bars.swept_high is None else bars.swept_high
    return float(low[-1]), float(high[-1])


def _cleared(
    long: FloatArray, short: FloatArray, grid: PriceGrid, lowest: float, highest: float
) -> BySide[Placed]:
    """Longs above `lowest` and shorts below `highest` are swept, of a bin that is reached in part that part."""
    middle = grid.bins_each_way
    down = np.log(min(lowest, grid.mark_px) / grid.mark_px) / grid.log_width + middle
    up = np.log(max(highest, grid.mark_px) / grid.mark_px) / grid.log_width + middle
    bins = np.arange(grid.bins)
    kept_long = np.concatenate([[1.0], np.clip(down - bins, 0, 1), [0.0, 1.0]])
    kept_short = np.concatenate([[0.0], np.clip(bins + 1 - up, 0, 1), [1.0, 1.0]])
    return BySide(_kept(long, kept_long), _kept(short, kept_short))


def _kept(mass: FloatArray, kept: FloatArray) -> Placed:
    left = mass * kept
    return left, max(0.0, float((mass - left).sum()))


def _drawn(
    model: str,
    series: MarketSeries,
    venue: Venue,
    coin: str,
    grid: PriceGrid,
    placed: BySide[Placed],
    notes: Sequence[Note],
) -> Heatmap:
    open_interest = float(series.bars.open_interest[-1])
    balances = placed.map(lambda side: _balance(side, open_interest))
    frames = [
        _frame(side, mass * open_interest * series.mark_px)
        for side, (mass, _) in zip(SIDES, placed, strict=True)
    ]
    return Heatmap.from_breakdown(
        pl.concat(frames).with_columns(venue=pl.lit(venue.name)),
        grid,
        coin=coin,
        venue=venue.name,
        source="modelled",
        model=model,
        as_of=series.as_of,
        coverage=covered(series, balances, null_notes(series, balances)),
        assumptions=(*notes, *series_notes(series)),
        quality=series.quality,
    )


def _frame(side: str, mass_usd: FloatArray) -> pl.DataFrame:
    place = np.flatnonzero(mass_usd)
    return places(side, np.where(place == len(mass_usd) - 1, -2, place - 1), mass_usd[place])


def _balance(placed: Placed, open_interest: float) -> Balance:
    mass, swept = placed
    left = 1.0 - float(mass.sum()) - swept if open_interest > 0 else 0.0
    return Balance(
        on_map=open_interest * float(mass[:-1].sum()),
        never=open_interest * float(mass[-1]),
        swept=open_interest * swept,
        before_window=0.0,
        unassigned=open_interest * (left if left > ROUNDING else 0.0),
    )
