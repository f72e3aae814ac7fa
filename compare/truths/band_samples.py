"""Samples from banded sums: the response matrix of a moment, summed to the bands that are known.

With K (bands, bins) the part of each bin that lies in a band, a model's columns A draw K A w, to be compared with what
each band holds of all that was watched. Nothing is known inside a band, and positions are not cut: the whole map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.calibration.lake_samples import WINDOW, Refused, standing_in
from liqtruth.compare.calibration.samples import LIMITS, Limits, Sample, SampleRefused, SideSample, sample_of
from liqtruth.compare.statistics.distances import log_distance
from liqtruth.compare.statistics.map_scores import BIN, BINS, EDGES, REACH
from liqtruth.estimator.model.brackets import stored_brackets
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.series.series import load_series
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES, TwoSided
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

FEWEST_BANDS: Final = 2
"""A side's sum within one distance fits any leverage: with level alone nothing is learnt."""


@dataclass(frozen=True, eq=False)
class SideBands:
    """One side: `columns` (bands, classes x nodes) and `baselines` (bands,) in shares of open interest, `share`
    (bands,) of what was watched, the number of `bins` in each band, `effective` sample sizes (nan where unknown), and
    where bands end (percent of the mark)."""

    columns: FloatArray
    baselines: dict[str, FloatArray]
    share: FloatArray
    bins: FloatArray
    effective: FloatArray
    high_pct: FloatArray


@dataclass(frozen=True, eq=False)
class BandSample(TwoSided[SideBands]):
    """One coin at one moment. `sample` has its series' facts; its positions are made up from the sums."""

    sample: Sample
    watched: tuple[float, float]
    long: SideBands
    short: SideBands


def band_samples(
    store: Store,
    rows: pl.DataFrame,
    coins: Sequence[str],
    prior: LeverageModel,
    *,
    limits: Limits = LIMITS,
    aggregates: str = VENUE,
) -> tuple[tuple[BandSample, ...], tuple[Refused, ...]]:
    """A sample per coin and moment of `band_table.BANDS`; raises `MissingData` where none is left."""
    kept: list[BandSample] = []
    refused: list[Refused] = []
    for (coin, at), own in rows.filter(pl.col("coin").is_in(list(coins))).group_by(
        "coin", "ts", maintain_order=True
    ):
        assert isinstance(coin, str)
        assert isinstance(at, datetime)
        try:
            kept.append(_sample(store, coin, at, own, prior, limits, aggregates))
        except (MissingData, BadInput) as error:
            refused.append(Refused(coin, at, str(error)))
    if not kept:
        why = refused[-1].reason if refused else f"the table is of {', '.join(rows['coin'].unique())}"
        raise MissingData(f"no sample of {', '.join(coins)} is left of {rows.height} banded sums: {why}")
    return tuple(kept), tuple(refused)


def band_operator(low_pct: FloatArray, high_pct: FloatArray, side: str) -> FloatArray:
    """The part of each bin that lies in each band, (bands, bins)."""
    low, high = log_distance(low_pct, side)[:, None], log_distance(high_pct, side)[:, None]
    inside = np.minimum(EDGES[1:], high) - np.maximum(EDGES[:-1], low)
    return np.asarray(np.clip(inside / BIN, 0.0, 1.0))


def _sample(
    store: Store,
    coin: str,
    at: datetime,
    rows: pl.DataFrame,
    prior: LeverageModel,
    limits: Limits,
    aggregates: str,
) -> BandSample:
    venue = venue_named(aggregates)
    series = load_series(store, venue, coin, WINDOW, at)
    watched = {side: float(rows.filter(pl.col("side") == side)["watched_usd"].max() or 0.0) for side in SIDES}  # type: ignore[arg-type]
    if aggregates != VENUE:
        series = standing_in(series, max(watched.values()) / series.mark_px)
    usd = float(series.bars.open_interest[-1]) * series.mark_px
    coverage = {side: held / usd if usd > 0 else 0.0 for side, held in watched.items()}
    for side in SIDES:
        if coverage[side] < limits.least_coverage:
            raise SampleRefused(
                f"{coverage[side]:.0%} of open interest is watched on the {side} side, "
                f"{limits.least_coverage:.0%} needed"
            )
    near = {side: _within_reach(rows.filter(pl.col("side") == side), side) for side in SIDES}
    brackets = stored_brackets(store, venue_named(VENUE), coin, at)
    positions = pl.concat([_made_up(near[side], side, series.mark_px, usd) for side in SIDES])
    sample = sample_of(coin, series, venue, positions, prior, brackets, limits=limits)
    long, short = (_side(near[side], sample.of(side), side) for side in SIDES)
    return BandSample(sample, (coverage["long"], coverage["short"]), long, short)


def _within_reach(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    """Bands that end where maps are fitted; raises `SampleRefused` for too few."""
    kept = rows.filter(pl.Series(log_distance(rows["high_pct"].to_numpy(), side) <= REACH))
    if kept.height < FEWEST_BANDS:
        raise SampleRefused(
            f"{kept.height} band of {side}s ends within reach: the sum within one distance tells no leverage, at least "
            f"{FEWEST_BANDS} are needed"
        )
    return kept


def _made_up(rows: pl.DataFrame, side: str, mark_px: float, open_interest_usd: float) -> pl.DataFrame:
    """A position in the middle of each band, and one that no price liquidates for the rest of open interest."""
    sign = 1.0 if side == "long" else -1.0
    share = rows["usd"].to_numpy() / rows["watched_usd"].to_numpy()
    middle = rows.select((pl.col("low_pct") + pl.col("high_pct")) / 200).to_series().to_numpy()
    px = np.append(mark_px * (1 - sign * middle), np.nan)
    coins = np.append(share, max(1.0 - share.sum(), 0.0)) * open_interest_usd / mark_px
    made = {"szi": sign * coins, "liq_px": px, "mark_px": np.full(len(px), mark_px)}
    return pl.DataFrame(made).with_columns(
        pl.col("liq_px").fill_nan(None), source=pl.lit(rows["source"][0], pl.String)
    )


def _side(rows: pl.DataFrame, side: SideSample, name: str) -> SideBands:
    low, high = rows["low_pct"].to_numpy(), rows["high_pct"].to_numpy()
    operator = band_operator(low, high, name)
    assert operator.shape[1] == BINS
    return SideBands(
        columns=operator @ side.columns["leverage"].astype(np.float64),
        baselines={baseline: operator @ drawn for baseline, drawn in side.baselines.items()},
        share=rows["usd"].to_numpy() / rows["watched_usd"].to_numpy(),
        bins=operator.sum(axis=1),
        effective=rows["effective"].fill_null(np.nan).to_numpy(),
        high_pct=high,
    )
