"""Synthetic venues that differ from the one on which leverage is fitted: who trades there, and how far they may go.

One price path, several ledgers: `source`, where every position can be read and the leverage model is fitted, and
venues whose people are shifted from its. Truth comes from the ledgers, public series from their records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from liqtruth.compare.calibration.holdings import holdings_on
from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.leverage_fit import LeverageFit
from liqtruth.compare.calibration.samples import sample_of
from liqtruth.estimator.frames import LIQUIDATIONS
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.leverage_model import (
    COORDINATES,
    DEFAULT,
    LeverageModel,
    leverage_model_named,
)
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray
from liqtruth.sandbox.market.ledger import LIQUIDATION, Ledger
from liqtruth.sandbox.market.listings import listed
from liqtruth.sandbox.market.market import HYPERLIQUID, Market, MarketSpec
from liqtruth.sandbox.market.population import (
    HYPERLIQUID_MIX,
    Centralised,
    LeverageMix,
    TraderType,
    draw_population,
)
from liqtruth.sandbox.market.price import MINUTES_PER_DAY, simulate_path
from liqtruth.sandbox.market.venue import Venue, VenueResult, rules_of
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import true_positions
from tests.estimator.known_truth import series_of

COIN: Final = "BTC"
SOURCE: Final = "source"
ONE_MODE: Final = (1.0, 0.0, 0.0, 0.0, 0.0)


def _mix(
    shares: Sequence[float], retail: LeverageMix | None = None, isolated: float | None = None
) -> tuple[TraderType, ...]:
    """Hyperliquid's synthetic people with other shares of the four kinds, retail leverage or isolated share."""
    mixed = [
        replace(trader, share=share, modes=ONE_MODE)
        for trader, share in zip(HYPERLIQUID_MIX, shares, strict=True)
    ]
    if retail is not None:
        mixed[0] = replace(mixed[0], leverage=retail)
    if isolated is not None:
        mixed = [replace(trader, isolated_share=isolated) for trader in mixed[:3]] + mixed[3:]
    return tuple(mixed)


SAME: Final = tuple(trader.share for trader in HYPERLIQUID_MIX)
FORTY: Final = ((0.0, 0.0125), (1.2e6, 0.025))
HIGH: Final = ((0.0, 0.004), (50e3, 0.005), (600e3, 0.01))
VENUES: Final[Mapping[str, Centralised]] = {
    kind.name: kind
    for kind in (
        Centralised(SOURCE, _mix(SAME), FORTY, 40, (1, 2)),
        Centralised("same", _mix(SAME), FORTY, 40, (3, 4), (1,)),
        Centralised("hedgers", _mix((0.475, 0.26, 0.10, 0.165)), FORTY, 40, (5, 6), (2,)),
        Centralised("high-leverage", _mix(SAME, LeverageMix(24, 0.85)), HIGH, 125, (7, 8), (3,)),
        Centralised("isolated", _mix(SAME, isolated=0.9), FORTY, 40, (9, 10), (4,)),
    )
}
"""`hedgers`: three times as many, and twice the whales. The first maintenance rate of each is that of its brackets."""


@dataclass(frozen=True)
class Then:
    """One coin of a venue after some of its days."""

    positions: pl.DataFrame
    series: MarketSeries

    def within_usd(self, side: str, reach_pct: ArrayLike) -> Mapping[str, FloatArray]:
        """Notional of one side that moves of `reach_pct` would liquidate: of the crowd's map, which a model is fitted
        to, and of the raw one."""
        stored = holdings_on(side, self.positions, self.series)
        moved = np.atleast_1d(np.asarray(reach_pct, dtype=np.float64)) / 100
        near = stored.away < np.abs(np.log1p(-moved if side == "long" else moved))[:, None]
        usd = float(self.series.bars.open_interest[-1]) * self.series.mark_px
        return {"crowd": near @ stored.crowd * usd, "raw": near @ stored.share * usd}


@dataclass(frozen=True)
class ShiftedVenue:
    """One venue: per coin `moments` after the days that were asked for, and all that was liquidated."""

    kind: Centralised
    moments: Mapping[str, tuple[Then, ...]]
    liquidations: Mapping[str, pl.DataFrame]

    def series(self, coin: str = COIN) -> MarketSeries:
        """Up to the last of the days."""
        return self.moments[coin][-1].series

    def brackets(self, coin: str = COIN) -> Brackets:
        kind = self.kind
        return Brackets.flat(
            coin, kind.tiers[0][1], float(kind.max_leverage), "a synthetic venue's first tier"
        )

    def reported(self, coverage: float, coin: str = COIN, seed: int = 0) -> pl.DataFrame:
        """What a feed tells that pushes each liquidation with this chance."""
        everything = self.liquidations[coin]
        recorded = np.random.default_rng(seed).random(everything.height) < coverage
        return everything.filter(pl.Series(recorded))


@dataclass(frozen=True)
class ShiftedMarket:
    """Some of `VENUES` on one path of prices, looked at after `days` of it."""

    coins: tuple[str, ...]
    venues: Mapping[str, ShiftedVenue]

    @classmethod
    def of(
        cls,
        seed: int,
        accounts: int,
        days: Sequence[int],
        names: Sequence[str] = tuple(VENUES),
        coins: Sequence[str] = (COIN,),
        kinds: Sequence[Centralised] = (),
    ) -> Self:
        """Deterministic by its arguments; a venue does not depend on which others there are. `kinds`, a source first,
        stand in for those of `VENUES`."""
        spec = MarketSpec(seed=seed, accounts=10, coins=tuple(coins), days=max(days), builder_dex=False)
        streams = np.random.SeedSequence([seed, 77]).spawn(11)
        end_ms = int(spec.ends.timestamp() * 1000)
        path = simulate_path(np.random.default_rng(streams[0]), spec.assets, spec.history_minutes, end_ms)
        market = Market(spec, path, {}, ())
        kinds = kinds or [VENUES[name] for name in dict.fromkeys((SOURCE, *names))]
        return cls(tuple(coins), {kind.name: _run(market, kind, streams, accounts, days) for kind in kinds})

    @cached_property
    def fitted(self) -> LeverageModel:
        """The leverage model that the source's exact maps of all days give, as `calibrate fit` makes it."""
        source, prior, venue = self.venues[SOURCE], leverage_model_named(DEFAULT), venue_named(HYPERLIQUID)
        pairs = tuple(
            sample_of(
                coin,
                then.series,
                venue,
                then.positions,
                prior,
                source.brackets(coin),
                coordinates=COORDINATES,
            )
            for coin in self.coins
            for then in source.moments[coin]
        )
        return LeverageFit(prior).fit(Gathered(pairs, ())).model_


def _run(
    market: Market,
    kind: Centralised,
    streams: Sequence[np.random.SeedSequence],
    accounts: int,
    days: Sequence[int],
) -> ShiftedVenue:
    spec, assets = market.spec, listed(market.spec.coins)
    people_rng, own_rng = (np.random.default_rng(streams[place]) for place in kind.seeds)
    people = draw_population(people_rng, kind.mix, accounts, assets, [float(kind.max_leverage)] * len(assets))
    venue = Venue(rules_of(kind, assets, people), people, market.path, spec.step_minutes, own_rng)
    points = [(spec.warmup_days + day) * MINUTES_PER_DAY for day in days]
    kept: dict[int, Ledger] = {}

    def keep(step: int) -> None:
        if step * spec.step_minutes in points:
            kept[step * spec.step_minutes] = venue.ledger.copy()

    venue.run(spec.history_minutes // spec.step_minutes, keep)
    kept[spec.history_minutes] = venue.ledger
    result = venue.result()
    whole = Record(market, result)
    moments: dict[str, list[Then]] = {coin: [] for coin in spec.coins}
    for point in points:
        known = result.until(point, kept[point])
        then = replace(market, path=market.path.until(point), venues={kind.name: known})
        record, positions = Record.following(whole, then, known), true_positions(then, kind.name)
        for column, coin in enumerate(spec.coins):
            moments[coin].append(Then(positions.filter(pl.col("coin") == coin), series_of(record, column)))
    liquidations = {coin: _liquidations(market, result, column) for column, coin in enumerate(spec.coins)}
    return ShiftedVenue(kind, {coin: tuple(stored) for coin, stored in moments.items()}, liquidations)


def _liquidations(market: Market, result: VenueResult, column: int) -> pl.DataFrame:
    """Every forced close of one coin as a feed that tells all would, within the last millisecond of its minute."""
    tape, asset = result.tape, result.rules.assets[column]
    forced = (tape.kind == LIQUIDATION) & (tape.coin == column) & (tape.point >= market.first_point)
    rows = np.flatnonzero(forced)
    coins, px = np.abs(tape.lots[rows]) / asset.lot_scale, tape.px[rows] / asset.px_scale
    reported = pl.DataFrame(
        {
            "ts": market.path.times_ms[tape.point[rows]] - 1,
            "id": [str(row) for row in rows],
            "side": np.where(tape.before[rows] > 0, "long", "short").tolist(),
            "px": px,
            "coins": coins,
            "notional_usd": coins * px,
        }
    )
    moments = pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC")
    return reported.with_columns(moments).cast(dict(LIQUIDATIONS))  # type: ignore[arg-type]
