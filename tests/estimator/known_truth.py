"""A synthetic venue whose truth is known: its exact maps, its public series, and its own distribution of leverage.

Truth and series are taken from the sandbox's ledger and record; that the served feed says the same is tested elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl

from liqtruth.compare.statistics.distances import side_curve, wasserstein_pct
from liqtruth.estimator.model.baselines import climatology, persistence, plain_map
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.cohort_model import estimate
from liqtruth.estimator.model.leverage import LeverageWeights, bell, tiers
from liqtruth.estimator.model.leverage_model import LeverageModel, Provenance
from liqtruth.estimator.model.turnover import activity
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import SIDE, SIDES, Sides
from liqtruth.sandbox.market.market import MarketSpec
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import true_positions
from tests.estimator.shipped_prior import NODES
from tests.markets import market_of
from tests.openings import Watched, habits, watch

VENUE: Final = "binance"
COIN: Final = "BTC"
MAINTENANCE_RATE: Final = 0.004
BRACKETS: Final = Brackets.flat("BTCUSDT", MAINTENANCE_RATE, 125.0, "the sandbox's first tier")
PLAIN: Final = ("uniform", "volume-profile")
RANGE_PCT: Final = 25.0
STEP_S: Final = 900.0
RATES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
SHARE_OF_CLOSINGS: Final = 0.5
"""Part of the true rate of closings that a class is given. Decreases of open interest close in every class besides, and
stops and cuts, being close to liquidation, take what the sweep takes anyway. Chosen on seeds 1 to 4 out of 1, 0.7, 0.5,
0.4 and 0.3; none of those seeds is among the reported ones."""
SPLITS: Final = 40


@dataclass(frozen=True)
class Moment:
    """The venue as it stood: every position with its price (`true_positions`), and what was public by then."""

    positions: pl.DataFrame
    series: MarketSeries

    @cached_property
    def grid(self) -> PriceGrid:
        return PriceGrid.around(self.series.mark_px)

    @cached_property
    def truth(self) -> Heatmap:
        return self._map(self.positions)

    def floor_pct(self, side: str, seed: int = 0) -> float:
        """Half the Wasserstein-1 between the maps of two random halves of the accounts, mean of `SPLITS` splits."""
        rng = np.random.default_rng(seed)
        return float(np.mean([self._halves_pct(side, rng) / 2 for _ in range(SPLITS)]))

    def effective_positions(self, side: str) -> float:
        """(sum q)^2 / sum q^2 of the positions within range."""
        sign = 1 if side == "long" else -1
        distance = sign * (1 - pl.col("liq_px") / pl.col("mark_px"))
        holdings = self.positions.filter(pl.col("szi") * sign > 0, distance < RANGE_PCT / 100)["notional_usd"]
        return float(holdings.sum() ** 2 / (holdings**2).sum())

    def distance_pct(self, model: Heatmap, side: str) -> float:
        """Wasserstein-1 from the true map, percent of price."""
        return wasserstein_pct(*(side_curve(drawn, side, RANGE_PCT) for drawn in (self.truth, model)))

    def _halves_pct(self, side: str, rng: np.random.Generator) -> float:
        names = self.positions["address"].unique(maintain_order=True)
        first = pl.Series(rng.random(names.len()) < 0.5)
        one = pl.col("address").is_in(names.filter(first).to_list())
        halves = (self._map(self.positions.filter(chosen)) for chosen in (one, ~one))
        return wasserstein_pct(*(side_curve(half, side, RANGE_PCT) for half in halves))

    def _map(self, positions: pl.DataFrame) -> Heatmap:
        levels = positions.select(
            pl.when(pl.col("szi") > 0)
            .then(pl.lit("long"))
            .otherwise(pl.lit("short"))
            .cast(SIDE)
            .alias("side"),
            pl.col("liq_px").alias("px"),
            "notional_usd",
        )
        seen = (float(levels.filter(pl.col("side") == side)["notional_usd"].sum()) for side in SIDES)
        return Heatmap.from_levels(
            levels,
            self.grid,
            coin=COIN,
            venue=VENUE,
            source="exact",
            as_of=self.series.as_of,
            coverage=Coverage(open_interest_usd=None, seen_usd=Sides(*seen)),
        )


@dataclass(frozen=True)
class KnownVenue:
    """One synthetic history of one coin, looked at after some of its days."""

    watched: Watched
    moments: tuple[Moment, ...]

    @classmethod
    def of(cls, seed: int, accounts: int, days: Sequence[int], **more: int) -> Self:
        """Deterministic; the last of `days` is the end of the history unless `more` says otherwise."""
        spec = MarketSpec(
            seed=seed, accounts=10, cex_accounts=accounts, coins=(COIN,), builder_dex=False,
            **{"days": max(days), **more},
        )  # fmt: skip
        market = market_of(spec)
        watched = watch(market, VENUE, days)
        whole = Record(market, market.venue(VENUE))
        moments = tuple(
            Moment(true_positions(then, VENUE), series_of(Record.following(whole, then, then.venue(VENUE))))
            for then in watched.then
        )
        return cls(watched, moments)

    @cached_property
    def own_model(self) -> LeverageModel:
        """The venue's own distribution of leverage and turnover, out of its placings; no map was looked at."""
        series = self.moments[-1].series
        oi = series.bars.open_interest
        active = activity(oi, series.bars.volume, STEP_S).coins
        active_per_h = float(active.mean() / oi.mean() * 3600 / STEP_S)
        long, short = (own_shares(self.watched.placings, side, active_per_h) for side in SIDES)
        return LeverageModel(
            name="own",
            kind="prior",
            provenance=Provenance(
                datetime(2026, 9, 1, tzinfo=UTC), "the synthetic venue", "placings of its whole history"
            ),
            rates=RATES,
            leverage=NODES,
            long=as_rows(long),
            short=as_rows(short),
        )


def as_rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in shares.tolist())


def own_shares(placings: pl.DataFrame, side: str, active_per_h: float) -> FloatArray:
    """Shares (classes, nodes) of one side's open interest; a kind between two rates belongs to both."""
    kinds = habits(placings, side, np.array(NODES), MAINTENANCE_RATE)
    whole = sum(kind.position_coins for kind in kinds)
    shares = np.zeros((len(RATES), len(NODES)))
    for kind in kinds:
        rate = np.clip(SHARE_OF_CLOSINGS * kind.closed_per_h / active_per_h, RATES[0], RATES[-1])
        place = float(np.interp(np.log(rate), np.log(RATES), np.arange(len(RATES))))
        lower = min(int(place), len(RATES) - 2)
        holdings = kind.by_leverage * (kind.position_coins / whole)
        shares[lower] += holdings * (lower + 1 - place)
        shares[lower + 1] += holdings * (place - lower)
    return shares


def series_of(record: Record, column: int = 0) -> MarketSeries:
    """The public series of one coin (a column of the record): bars of a quarter of an hour, with open interest at each
    end."""
    asset, candles = record.venue.rules.assets[column], record.candles(column, "15m")
    points = (np.append(candles.open_ms[0], candles.close_ms + 1) - record.market.path.times_ms[0]) // 60_000
    px = (np.asarray(part / asset.px_scale) for part in (candles.high, candles.low, candles.close))
    open_interest = np.asarray(record.open_lots[points, column] / asset.lot_scale)
    first, last = (
        datetime.fromtimestamp(ms / 1000, UTC) for ms in (candles.open_ms[0], candles.close_ms[-1] + 1)
    )
    return MarketSeries(
        bars=Bars(*px, open_interest, np.asarray(candles.volume / asset.lot_scale)),
        start=first,
        as_of=last,
        end_ms=candles.close_ms + 1,
        last_oi_at=last,
        oi_rounding_usd=0.0,
        notes=(),
        synthetic=True,
    )


def cohort_map(moment: Moment, model: LeverageModel | LeverageWeights) -> Heatmap:
    return estimate(moment.series, model, venue_named(VENUE), COIN, brackets=BRACKETS).heatmap


def all_maps(moment: Moment, own: LeverageModel, earlier: Sequence[Moment]) -> dict[str, Heatmap]:
    """The model with the venue's own leverage, and by name what knows less; `earlier` exact maps serve the two
    baselines that need some, the last of them `persistence`."""
    series, market = moment.series, venue_named(VENUE)
    width_bps = moment.grid.width_bps
    exact = [one.truth for one in earlier]
    return {
        "own": cohort_map(moment, own),
        "tiers": cohort_map(moment, tiers()),
        "bell": cohort_map(moment, bell()),
        **{name: plain_map(name, series, market, COIN, BRACKETS, width_bps) for name in PLAIN},
        "climatology": climatology(exact, series, market, COIN, width_bps),
        "persistence": persistence(exact[-1], series, market, COIN, width_bps),
    }


def distances(moment: Moment, maps: dict[str, Heatmap], side: str) -> dict[str, float]:
    """Wasserstein-1 in percent of price by model, and the noise floor."""
    found = {name: moment.distance_pct(drawn, side) for name, drawn in maps.items()}
    return {"floor": moment.floor_pct(side), **found}
