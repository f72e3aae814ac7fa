"""`LeverageFit`: from samples to a fitted leverage model and the record of its fit."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, Self

import numpy as np

from liqtruth.compare.calibration.bands import (
    DRAWS,
    Spread,
    Unseen,
    bands_of_fit,
    bounds_of,
    known_bounds_of,
    spread_of,
)
from liqtruth.compare.calibration.choices.pooled_fit import PooledFit
from liqtruth.compare.calibration.implied_leverage import entry_check, implied_leverage, observed_to
from liqtruth.compare.calibration.lake_samples import WHOLE, Gathered, mean_coverage
from liqtruth.compare.calibration.record import NAME, Calibrated, Choices, FitRecord, SampleRow, SideRecord
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.sizes import LEAST_MIX, SizeFits, SizeTable, fit_sizes, size_table
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import (
    FADES,
    MAINTENANCE,
    MIXED,
    CoinShares,
    Coordinate,
    LeverageModel,
    Provenance,
    check_own_name,
)
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC, Notes, texts
from liqtruth.indexer.positions.markets import VENUE

FITTING: Final = 0.3
"""Part of a calibration's time that goes into the fits; the rest draws intervals."""
IN_WORDS: Final[Mapping[Coordinate, str]] = {
    "leverage": "coins share the leverages as they stand",
    "of-maximum": "coins share leverage as a part of their highest, here as on a market of 40x",
    "of-volatility": "coins share leverage times volatility, here as on a market of 3 % a day",
    "mixed": "a part of leverage is the same on all coins, a part goes by their highest (here as on a market of 40x), "
    "a part by volatility (3 % a day), a part keeps its distance from the mark",
}


class LeverageFit:
    """A leverage model fitted on samples of exact positions, both sides on all samples together.

    Parameters
    ----------
    prior : classes, nodes, and the shares that cannot be fitted
    name : what the fitted model is called; not the name of a shipped one
    venue : where the positions are from
    seed, draws : of the bootstrap; the same samples and seed give the same shares and intervals
    made_at : default: now

    Attributes
    ----------
    pooled_ : the shares that coins have in common, and what was chosen
    sizes_, size_table_ : fits by size class of position, and what they are worth on coins left out
    spreads_ : per side, shares as they might have come out
    model_ : the `LeverageModel`
    record_ : the `FitRecord`, what the model rests on
    """

    pooled_: PooledFit
    sizes_: dict[str, SizeFits]
    size_table_: SizeTable
    spreads_: dict[str, Spread]
    model_: LeverageModel
    record_: FitRecord

    def __init__(
        self,
        prior: LeverageModel,
        *,
        name: str = NAME,
        venue: str = VENUE,
        seed: int = 0,
        draws: int = DRAWS,
        made_at: datetime | None = None,
    ) -> None:
        self.prior = prior
        self.name = name
        self.venue = venue
        self.seed = seed
        self.draws = draws
        self.made_at = made_at

    @one_blas_thread()
    def fit(self, samples: Gathered, on_progress: Callable[[float], None] = lambda share: None) -> Self:
        """Coordinates are those that the samples were gathered in.

        Raises `BadInput` for a name that cannot be used, `MissingData` where the series place nothing.
        """
        check_own_name(self.name)
        pairs = samples.pairs
        self.pooled_ = PooledFit(self.prior).fit(pairs, lambda share: on_progress(FITTING * share))
        if not self.pooled_.fitted_.long.free.any():
            raise MissingData(
                f"nothing to fit on in {len(pairs)} pairs: no open interest has a place within reach"
            )
        self.sizes_ = fit_sizes(pairs, self.prior, self.pooled_.fitted_)
        self.size_table_ = size_table(pairs, self.prior, self.pooled_.fitted_, self.sizes_)
        self.spreads_ = self._spreads(on_progress)
        self.model_ = self._model(samples.notes)
        self.record_ = self._record(samples)
        return self

    @property
    def calibrated_(self) -> Calibrated:
        return Calibrated(self.model_, self.record_)

    @property
    def leverage_(self) -> FloatArray:
        """Nodes that were fitted; of a mixture those that the highest market reaches as they stand."""
        nodes, fitted = np.array(self.prior.leverage), self.pooled_.fitted_
        within = nodes <= MAINTENANCE * max(pair.highest_leverage for pair in self.pooled_.samples_)
        return nodes[fitted.long.free & (within | (fitted.coordinate != MIXED))]

    def _spreads(self, on_progress: Callable[[float], None]) -> dict[str, Spread]:
        done, pooled = iter(range(1, 2 * self.draws + 1)), self.pooled_

        def on_draw() -> None:
            on_progress(FITTING + (1 - FITTING) * next(done) / (2 * self.draws))

        return {
            side: spread_of(pooled.fitted_.of(side), pooled.coins_, self.seed, self.draws, on_draw)
            for side in SIDES
        }

    def _model(self, notes: Notes) -> LeverageModel:
        fitted, pairs = self.pooled_.fitted_, self.pooled_.samples_
        made = (self.made_at or datetime.now(UTC)).astimezone(UTC)
        long, short = (_rows(fitted.shares(side)) for side in SIDES)
        own, known = self._own_shares(), known_bounds_of(pairs, fitted, self.pooled_.ridge_)
        return LeverageModel(
            name=self.name,
            kind="fitted",
            provenance=Provenance(
                made,
                f"liqtruth {version('liqtruth')}",
                self._basis(notes),
                synthetic=any(pair.synthetic for pair in pairs),
            ),
            rates=self.prior.rates,
            leverage=self.prior.leverage,
            long=long,
            short=short,
            coordinate=fitted.coordinate,
            coins={coin: CoinShares(*(_rows(each[side]) for side in SIDES)) for coin, each in own.items()},
            bounds=bounds_of(pairs, fitted),
            known_bounds=known,
            known_coins=() if known is None else self.pooled_.coins_,
            reach=MAINTENANCE,
            fades=FADES if fitted.coordinate == MIXED else None,
        )

    def _own_shares(self) -> dict[str, dict[str, FloatArray]]:
        """Shares of coins by coin and side: deviating where that is nearer on unseen days, else by each coin's mix of
        sizes         where that is nearer on coins left out, else none."""
        pooled = self.pooled_
        if pooled.ridge_ is not None:
            return {coin: {side: pooled.shares(coin, side) for side in SIDES} for coin in pooled.coins_}
        if not self.size_table_.kept:
            return {}
        names = np.array([pair.coin for pair in pooled.samples_])
        return {
            coin: {side: self.sizes_[side].of_mix(names == coin) for side in SIDES} for coin in pooled.coins_
        }

    def _basis(self, notes: Notes) -> str:
        """One line for the assumptions of every map that the model draws."""
        pairs, nodes = self.pooled_.samples_, self.leverage_
        sides, times = (
            [side for pair in pairs for side in (pair.long, pair.short)],
            [pair.as_of for pair in pairs],
        )
        coverage = np.array([side.coverage for side in sides])
        effective = float(np.median([side.holdings.effective(side.holdings.crowd) for side in sides]))
        whose = f"{SYNTHETIC}: " if any(pair.synthetic for pair in pairs) else ""
        beside = "".join(f"; {text}" for text in texts(notes))
        return (
            f"{whose}fitted on exact positions of {self.venue} {', '.join(sorted({pair.coin for pair in pairs}))}, "
            f"{min(times):%Y-%m-%dT%H:%MZ} to {max(times):%Y-%m-%dT%H:%MZ}: "
            f"{len(pairs)} samples, {coverage.min():.0%} to {coverage.max():.0%} of open interest covered, "
            f"{effective:.0f} effective positions a side (median) with each cut at "
            f"{LARGEST_SHARE:.1%} of open interest; {IN_WORDS[self.pooled_.fitted_.coordinate]}; "
            f"{nodes[0]:.3g}x to {nodes[-1]:.3g}x is fitted{self._extrapolated()}, other leverages are the "
            f"prior's{beside}"
        )

    def _extrapolated(self) -> str:
        """What of the fitted leverages nothing was seen of."""
        last, seen = float(self.leverage_[-1]), self.observed_to_
        beyond = (
            ""
            if seen is None or seen >= last
            else f", above {seen:.3g}x by extrapolation: nothing stood there"
        )
        if any(pair.assumed_maximum for pair in self.pooled_.samples_):
            return f"{beyond} (the highest leverage of a coin is not known but assumed)"
        return beyond

    @property
    def observed_to_(self) -> float | None:
        """The highest leverage that anything was seen at; null where positions show none."""
        return observed_to(self.pooled_.samples_, self.pooled_.fitted_, self.prior)

    def _record(self, samples: Gathered) -> FitRecord:
        pairs, nodes = samples.pairs, self.leverage_
        return FitRecord(
            model=self.model_.name,
            model_hash=self.model_.hash,
            venue=self.venue,
            coins=tuple(sorted({pair.coin for pair in pairs})),
            start=min(pair.as_of for pair in pairs),
            end=max(pair.as_of for pair in pairs),
            blocks=len({pair.block for pair in pairs}),
            draws=self.draws if self.spreads_["long"].known else 0,
            seed=self.seed,
            fitted_leverage=(float(nodes[0]), float(nodes[-1])),
            observed_to=self.observed_to_,
            coverage=(mean_coverage(pairs, "long"), mean_coverage(pairs, "short")),
            choices=self._choices(),
            long=self._side_record("long"),
            short=self._side_record("short"),
            pairs=tuple(_row(pair) for pair in pairs),
            refused=tuple(
                f"{one.coin} {one.moment:%Y-%m-%dT%H:%MZ}: {one.reason}" for one in samples.refused
            ),
            notes=samples.notes,
        )

    def _choices(self) -> Choices:
        pooled = self.pooled_
        return Choices(
            pooled.fitted_.coordinate,
            pooled.coordinate_scores_,
            pooled.ridge_,
            pooled.deviation_.table,
            self.size_table_,
            pooled.fitted_.pull.ridge,
            pooled.pull_scores_,
            pooled.fitted_.pull.only,
        )

    def _side_record(self, side: str) -> SideRecord:
        pairs, fitted, spread = self.pooled_.samples_, self.pooled_.fitted_, self.spreads_[side]
        fit = fitted.of(side)
        return SideRecord(
            bands_of_fit(fit, spread, np.array(self.prior.leverage), _unseen(pairs, side, self.size_table_)),
            fit.prior_scale,
            fit.at_most_one,
            implied_leverage(pairs, fitted, side, self.prior, spread),
            entry_check(pairs, side, self.model_.class_shares(side), self.prior.rates),
        )


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Cut to nine digits, so that the sum stays at one or below."""
    return tuple(tuple(row) for row in (np.floor(shares * 1e9) / 1e9).tolist())


def _unseen(pairs: Sequence[Sample], side: str, sizes: SizeTable) -> Unseen | None:
    """What was not covered, null where all was; its shares per band may be those of any class that was seen."""
    coverage = mean_coverage(pairs, side)
    if coverage >= WHOLE:
        return None
    at = SIDES.index(side)
    seen = np.array([row.of(side) for row in sizes.rows if row.crowd_share[at] > LEAST_MIX])
    return Unseen(coverage, seen.min(axis=0), seen.max(axis=0))


def _row(pair: Sample) -> SampleRow:
    long, short = pair.long, pair.short
    return SampleRow(
        pair.coin,
        pair.as_of,
        pair.positions,
        pair.highest_leverage,
        pair.before_window,
        (long.coverage, short.coverage),
        (long.holdings.kept, short.holdings.kept),
        (long.holdings.effective(long.holdings.crowd), short.holdings.effective(short.holdings.crowd)),
    )
