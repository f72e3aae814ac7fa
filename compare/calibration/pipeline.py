"""The whole recipe of a fit, choices included, as one step: what `calibrate fit` does and what proof repeats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liqtruth.compare.calibration.samples import Pair
from liqtruth.compare.calibration.selection import (
    NO_DEVIATION,
    CoordinateScore,
    Deviation,
    DeviationScore,
    Fitted,
    choose_coordinate,
    choose_deviation,
    coins_of,
    drawn,
    fit_coordinates,
    own_shares,
)
from liqtruth.estimator.model.leverage_model import Coordinate, LeverageModel
from liqtruth.heatmap.grid import FloatArray


@dataclass(frozen=True, eq=False)
class Recipe:
    """A fit with what was chosen on the way: the coordinate (with its table), and whether coins deviate."""

    fitted: Fitted
    coins: tuple[str, ...]
    coordinates: tuple[CoordinateScore, ...]
    deviation: Deviation

    @property
    def ridge(self) -> float | None:
        """Of coins' own shares; null: coins do not deviate."""
        return self.deviation.ridge

    @property
    def deviations(self) -> tuple[DeviationScore, ...]:
        """What was tried to choose the ridge."""
        return self.deviation.table

    def shares(self, coin: str, side: str) -> FloatArray:
        """The coin's own where it was seen and coins deviate, else the pooled ones."""
        ridge = self.ridge if coin in self.coins else None
        return own_shares(self.fitted, side, [coin], ridge)[coin]

    def maps(self, pairs: Sequence[Pair], side: str) -> FloatArray:
        """What the fit draws of these pairs (pairs, bins)."""
        own = {coin: self.shares(coin, side) for coin in coins_of(pairs)}
        return drawn(pairs, side, self.fitted.coordinate, own)


@dataclass(frozen=True, eq=False)
class Fits:
    """Fits in every coordinate on some pairs, out of which recipes are made without looking at columns again."""

    pairs: tuple[Pair, ...]
    prior: LeverageModel
    each: tuple[Fitted, ...]

    @classmethod
    def of(
        cls,
        pairs: Sequence[Pair],
        prior: LeverageModel,
        coordinates: Sequence[Coordinate],
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> "Fits":
        return cls(tuple(pairs), prior, fit_coordinates(pairs, prior, coordinates, on_progress))

    def recipe(self) -> Recipe:
        """On all pairs: the coordinate by coins left out, and coins deviate where unseen days say so."""
        fitted, table = choose_coordinate(self.pairs, self.each)
        deviation = choose_deviation(self.pairs, self.prior, fitted)
        return Recipe(fitted, coins_of(self.pairs), table, deviation)

    def without(self, coin: str) -> Recipe:
        """As if `coin` had never been read; for it the pooled shares of all others."""
        fitted, table = choose_coordinate(self.pairs, self.each, (coin,))
        others = tuple(name for name in coins_of(self.pairs) if name != coin)
        return Recipe(fitted, others, table, NO_DEVIATION)
