"""Shares that coins have in common, with what the data chose on the way."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

from liqtruth.compare.calibration.choices.coordinates import (
    CoordinateScore,
    PullScore,
    choose_coordinate,
    choose_pull,
)
from liqtruth.compare.calibration.choices.deviations import (
    NO_DEVIATION,
    Deviation,
    choose_deviation,
    own_shares,
)
from liqtruth.compare.calibration.choices.fitted import Fitted, coins_of, drawn, fit_coordinates
from liqtruth.compare.calibration.samples import Sample
from liqtruth.estimator.model.leverage_model import Coordinate, LeverageModel
from liqtruth.heatmap.grid import FloatArray


class PooledFit:
    """Shares that coins have in common, with what the data chose on the way: what `LeverageFit` rests on, and what
    validation repeats in every fold.

    Parameters
    ----------
    prior : classes, nodes, and the shares that cannot be fitted
    coordinates : candidates for what coins share; default: those that the samples were gathered in

    Attributes
    ----------
    samples_ : what was fitted on
    fitted_ : both sides, in the chosen coordinate
    coins_ : coins that the fit has seen
    coordinate_scores_ : what the coordinate was chosen by
    pull_scores_ : what the pull to the prior was chosen by
    deviation_ : whether coins deviate, and what was tried
    """

    samples_: tuple[Sample, ...]
    fitted_: Fitted
    coins_: tuple[str, ...]
    coordinate_scores_: tuple[CoordinateScore, ...]
    pull_scores_: tuple[PullScore, ...]
    deviation_: Deviation

    def __init__(self, prior: LeverageModel, coordinates: Sequence[Coordinate] | None = None) -> None:
        self.prior = prior
        self.coordinates = coordinates

    def fit(
        self, samples: Sequence[Sample], on_progress: Callable[[float], None] = lambda share: None
    ) -> Self:
        """The coordinate by coins left out; coins deviate where that is nearer on unseen days."""
        coordinates = self.coordinates or samples[0].long.coordinates
        return self.choose(samples, fit_coordinates(samples, self.prior, coordinates, on_progress))

    def choose(self, samples: Sequence[Sample], fits: Sequence[Fitted], without: str | None = None) -> Self:
        """As `fit`, out of `fits` on these samples in every coordinate, without looking at columns again: as if the
        coin `without` had never been read; for it the pooled shares of all others, which do not deviate."""
        excluded = () if without is None else (without,)
        self.samples_ = tuple(samples)
        anew = [replace(fitted, excluded=excluded, left_out_pct=None) for fitted in fits]
        tried = [choose_pull(samples, fitted) for fitted in anew]
        pulls = {fitted.coordinate: table for fitted, table in tried}
        self.fitted_, self.coordinate_scores_ = choose_coordinate(samples, [one for one, _ in tried])
        self.pull_scores_ = pulls[self.fitted_.coordinate]
        self.coins_ = tuple(coin for coin in coins_of(samples) if coin not in excluded)
        self.deviation_ = NO_DEVIATION if excluded else choose_deviation(samples, self.prior, self.fitted_)
        return self

    @property
    def ridge_(self) -> float | None:
        """Of coins' own shares; null: coins do not deviate."""
        return self.deviation_.ridge

    def shares(self, coin: str, side: str) -> FloatArray:
        """The coin's own where it was seen and coins deviate, else the pooled ones."""
        ridge = self.ridge_ if coin in self.coins_ else None
        return own_shares(self.fitted_, side, [coin], ridge)[coin]

    def maps(self, samples: Sequence[Sample], side: str) -> FloatArray:
        """What the fit draws of these samples (samples, bins)."""
        own = {coin: self.shares(coin, side) for coin in coins_of(samples)}
        return drawn(samples, side, self.fitted_.coordinate, own)
