"""The modelled heatmap of a venue: surviving vintages of open interest, spread over assumed leverages.

`estimate` is a plain function of series, leverage weights and brackets; `model_map` reads the series from the store
and takes the two baselines by name. Nothing is fitted here, and every assumption is on the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from estimator.brackets import LONG, POSITION_USD, SHORT, Brackets, brackets_of, liquidation_factors
from estimator.leverage import LeverageWeights, weights_named
from estimator.series import MarketSeries, load_series, rounding_share
from estimator.venues import Venue, venue_named
from estimator.vintages import SideLots, Vintages, age_open_interest, spread_lots
from heatmap.grid import DEFAULT_WIDTH_BPS, IntArray, PriceGrid
from heatmap.heatmap import Coverage, Heatmap, Sides
from heatmap.levels import BREAKDOWN, SIDE
from storage.store import Store

AGE_BANDS: Final = ("<4h", "4-24h", "1-7d", ">7d")
AGE_EDGES_H: Final = (4.0, 24.0, 168.0)


@dataclass(frozen=True)
class Balance:
    """Where one side's open interest went, in coins: the four parts sum to it exactly."""

    on_map: float
    never: float
    swept: float
    before_window: float

    @property
    def total(self) -> float:
        return self.on_map + self.never + self.swept + self.before_window


@dataclass(frozen=True)
class Estimate:
    """A modelled map with the balance of each side."""

    heatmap: Heatmap
    long: Balance
    short: Balance


def model_map(
    store: Store,
    coin: str,
    venue: str,
    model: str,
    window: str = "30d",
    *,
    leverage: Sequence[float] | None = None,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> Heatmap:
    """The baseline `model` (tiers or bell) on what is stored of `venue`; `leverage` keeps only those bands' mass.

    Raises `UnknownChoice` for another venue, model, window or leverage; `NothingStored` and `StaleSeries` where
    the series do not reach `at`.
    """
    market, weights = venue_named(venue), weights_named(model)
    series = load_series(store, market, coin, window, at)
    drawn = estimate(series, weights, market, coin, width_bps=width_bps).heatmap
    return drawn.filter(leverage_band=weights.bands_of(leverage)) if leverage else drawn


def estimate(
    series: MarketSeries,
    weights: LeverageWeights,
    venue: Venue,
    coin: str,
    *,
    brackets: Brackets | None = None,
    position_usd: float = POSITION_USD,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> Estimate:
    """Model one market: notional (USD at the mark) per price bin, leverage band and age band, both sides equal births.

    `brackets` default to the venue's facts. Leverages that the venue does not allow at `position_usd` are dropped.
    """
    known = brackets or brackets_of(venue, coin)
    allowed = weights.up_to(known.highest_leverage(position_usd))
    vintages = age_open_interest(series.bars.open_interest)
    long, short = (
        spread_lots(
            series.bars,
            vintages,
            allowed.weight,
            liquidation_factors(known, allowed.leverage, side, position_usd),
            is_long=side > 0,
        )
        for side in (LONG, SHORT)
    )
    balances = (balance(long, vintages), balance(short, vintages))
    grid = PriceGrid.around(series.mark_px, width_bps)
    sides = (
        break_down_lots(lots, name, grid, series, allowed)
        for name, lots in (("long", long), ("short", short))
    )
    drawn = Heatmap.from_breakdown(
        pl.concat(sides).with_columns(venue=pl.lit(venue.name)),
        grid,
        coin=coin,
        venue=venue.name,
        source="modelled",
        model=weights.name,
        as_of=series.as_of,
        coverage=_coverage(series, balances),
        assumptions=_assumptions(series, allowed, known, position_usd, vintages),
    )
    return Estimate(drawn, *balances)


def balance(lots: SideLots, vintages: Vintages) -> Balance:
    """The parts of one side's open interest, coins."""
    return Balance(
        on_map=float(lots.coins[lots.on_map].sum()),
        never=float(lots.coins[lots.never].sum()),
        swept=float(lots.coins[lots.swept].sum()),
        before_window=vintages.before_window,
    )


def break_down_lots(
    lots: SideLots, side: str, grid: PriceGrid, series: MarketSeries, weights: LeverageWeights
) -> pl.DataFrame:
    """The long form of `heatmap.levels.BREAKDOWN` with leverage and age bands, by counting instead of grouping."""
    kept = np.flatnonzero(~lots.swept & (lots.coins > 0))
    bands = list(dict.fromkeys(weights.band))
    band = np.array([bands.index(label) for label in weights.band])[lots.node[kept]]
    age = age_bands(series)[lots.bar[kept]]
    bins = _bins(lots, kept, side, grid)
    shape = (grid.bins + 3, len(bands), len(AGE_BANDS))
    key = np.ravel_multi_index((bins + 1, band, age), shape)
    usd = lots.coins[kept] * series.mark_px
    count = np.bincount(key, minlength=int(np.prod(shape)))
    largest = np.zeros(len(count))
    np.maximum.at(largest, key, usd)
    used = np.flatnonzero(count)
    used_bin, used_band, used_age = np.unravel_index(used, shape)
    frame = pl.DataFrame(
        {
            "side": pl.repeat(side, len(used), dtype=SIDE, eager=True),
            "bin": pl.Series(used_bin - 1, dtype=pl.Int32),
            "notional_usd": np.bincount(key, weights=usd)[used],
            "positions": pl.Series(count[used], dtype=pl.UInt32),
            "largest_usd": largest[used],
            "leverage_band": np.array(bands, dtype=object)[used_band].tolist(),
            "age_band": np.array(AGE_BANDS, dtype=object)[used_age].tolist(),
        },
        schema={**BREAKDOWN, "leverage_band": pl.String(), "age_band": pl.String()},
    )
    return frame.with_columns(pl.when(pl.col("bin") <= grid.bins).then(pl.col("bin")).alias("bin"))


def _bins(lots: SideLots, kept: IntArray, side: str, grid: PriceGrid) -> IntArray:
    """Bin per kept lot, on its own side of the mark; one past `grid.bins` where no price liquidates it."""
    never = lots.never[kept]
    bins = grid.bin_of(np.where(never, grid.mark_px, lots.px[kept]))
    middle = grid.bins_each_way
    bins = np.minimum(bins, middle - 1) if side == "long" else np.maximum(bins, middle)
    return np.where(never, grid.bins + 1, bins)


def age_bands(series: MarketSeries) -> IntArray:
    """Index into `AGE_BANDS` per bar, by the time from the bar's end to the map's moment."""
    age_h = (series.as_of.timestamp() * 1000 - series.end_ms) / 3.6e6
    return np.searchsorted(AGE_EDGES_H, age_h, side="right")


def _coverage(series: MarketSeries, balances: tuple[Balance, Balance]) -> Coverage:
    mark, held = series.mark_px, float(series.bars.open_interest[-1])
    long, short = balances
    return Coverage(
        open_interest_usd=held * mark,
        seen_usd=Sides(*((side.on_map + side.never) * mark for side in balances)),
        oldest_age_s=series.oldest_age_s,
        notes=(
            f"{_share(long.before_window, held)} of open interest is older than the window "
            f"(from {series.start:%Y-%m-%dT%H:%MZ}) and has no place on the map",
            f"later prices swept {_share(long.swept, held)} of open interest off the long side and "
            f"{_share(short.swept, held)} off the short side",
            *series.notes,
        ),
    )


def _assumptions(
    series: MarketSeries,
    weights: LeverageWeights,
    brackets: Brackets,
    position_usd: float,
    vintages: Vintages,
) -> tuple[str, ...]:
    rounding = (
        (
            f"the source rounds open interest to {series.oi_rounding_usd:,.0f} USD: "
            f"{rounding_share(series, vintages.births):.0%} of modelled births are not above one such step",
        )
        if series.oi_rounding_usd
        else ()
    )
    return (
        f"{weights.note}; the same on both sides",
        brackets.source,
        f"isolated positions of {position_usd:,.0f} USD at entry, initial margin only: no fees, no funding",
        "an increase of open interest opens both sides equally, a third each at 1/6, 1/2 and 5/6 of the bar's range",
        "a decrease closes all earlier positions in proportion",
        "a level is gone once its entry bar's close or any later bar's range has reached it; "
        "what was swept is not put elsewhere",
        f"{len(series.bars.close)} bars from {series.start:%Y-%m-%dT%H:%MZ}; last prices, not marks",
        *rounding,
    )


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole > 0 else "none"
