"""From pairs to a fitted leverage model and the record of its fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import numpy as np

from liqtruth.compare.calibration.bands import Unseen, bands_of_fit
from liqtruth.compare.calibration.coverage import WHOLE, mean_coverage
from liqtruth.compare.calibration.curve_bounds import bounds_of, own_bounds_of
from liqtruth.compare.calibration.entries import entry_check
from liqtruth.compare.calibration.implied_leverage import standing
from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.pipeline import Fits, Recipe
from liqtruth.compare.calibration.record import Choices, FitRecord, PairRow, SideRecord
from liqtruth.compare.calibration.samples import Pair
from liqtruth.compare.calibration.sizes import LEAST_MIX, SizeFits, SizeTable, fit_sizes, size_table
from liqtruth.compare.calibration.uncertainty import DRAWS, Spread, spread_of
from liqtruth.compare.calibration.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import DEFAULT, CoinShares, Coordinate, LeverageModel, Provenance
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.synthetic import SYNTHETIC
from liqtruth.indexer.positions.universe import VENUE

FITTING: Final = 0.3
"""Part of a calibration's time that goes into the fits; the rest draws intervals."""
IN_WORDS: Final[Mapping[Coordinate, str]] = {
    "leverage": "coins share the leverages as they stand",
    "of-maximum": "coins share leverage as a part of their highest, here as on a market of 40x",
    "of-volatility": "coins share leverage times volatility, here as on a market of 3 % a day",
}
NAME: Final = "calibrated"


@dataclass(frozen=True)
class Calibrated:
    """A model with the record of its fit."""

    model: LeverageModel
    record: FitRecord


@one_blas_thread()
def calibrate(
    gathered: Gathered,
    prior: LeverageModel,
    *,
    name: str = NAME,
    seed: int = 0,
    made_at: datetime | None = None,
    venue: str = VENUE,
    draws: int = DRAWS,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Calibrated:
    """Fit both sides on all pairs together; `prior` gives classes, nodes, and the shares that cannot be fitted.

    The coordinates are those that the pairs were gathered in. The same pairs and seed give the same shares and
    intervals. Raises `BadInput` for a name that cannot be used, `MissingData` where the series place nothing.
    """
    if name == DEFAULT:
        raise BadInput(f"{name!r} is the shipped prior's name: give the fitted model another --name")
    pairs = gathered.pairs
    coordinates = tuple(pairs[0].long.columns)
    fits = Fits.of(pairs, prior, coordinates, lambda share: on_progress(FITTING * share))
    recipe = fits.recipe()
    if not recipe.fitted.long.free.any():
        raise MissingData(
            f"nothing to fit on in {len(pairs)} pairs: no open interest has a place within reach"
        )
    sizes = fit_sizes(pairs, prior, recipe.fitted)
    table = size_table(pairs, prior, recipe.fitted, sizes)
    done = iter(range(1, 2 * draws + 1))
    spreads = {
        side: spread_of(
            recipe.fitted.of(side),
            recipe.coins,
            seed,
            draws,
            lambda: on_progress(FITTING + (1 - FITTING) * next(done) / (2 * draws)),
        )
        for side in SIDES
    }
    made = (made_at or datetime.now(UTC)).astimezone(UTC)
    model = _model(name, made, venue, pairs, prior, recipe, _own(pairs, recipe, table, sizes), gathered.notes)
    sides = {side: _side_record(pairs, prior, recipe, side, spreads[side], table, model) for side in SIDES}
    choices = Choices(
        recipe.fitted.coordinate, recipe.coordinates, recipe.ridge, recipe.deviation.table, table
    )
    known = draws if spreads["long"].known else 0
    return Calibrated(model, _record(gathered, model, venue, seed, known, recipe, choices, sides))


def _model(
    name: str,
    made: datetime,
    venue: str,
    pairs: Sequence[Pair],
    prior: LeverageModel,
    recipe: Recipe,
    own: Mapping[str, Mapping[str, FloatArray]],
    notes: Sequence[str],
) -> LeverageModel:
    fitted, leverage = recipe.fitted, np.array(prior.leverage)
    basis = _basis(pairs, venue, leverage[fitted.long.free], fitted.coordinate, notes)
    long, short = (_rows(fitted.shares(side)) for side in SIDES)
    coins = {coin: CoinShares(*(_rows(each[side]) for side in SIDES)) for coin, each in own.items()}
    return LeverageModel(
        name=name,
        kind="fitted",
        provenance=Provenance(
            made,
            f"liqtruth {version('liqtruth')}",
            basis,
            synthetic=any(pair.synthetic for pair in pairs),
        ),
        rates=prior.rates,
        leverage=prior.leverage,
        long=long,
        short=short,
        coordinate=fitted.coordinate,
        coins=coins,
        bounds=bounds_of(pairs, fitted),
        own_bounds=own_bounds_of(pairs, recipe),
    )


def _own(
    pairs: Sequence[Pair], recipe: Recipe, table: SizeTable, sizes: Mapping[str, SizeFits]
) -> dict[str, dict[str, FloatArray]]:
    """Shares of coins by coin and side: deviating where unseen days say so, else by each coin's mix of sizes where
    coins left out say so, else none."""
    if recipe.ridge is not None:
        return {coin: {side: recipe.shares(coin, side) for side in SIDES} for coin in recipe.coins}
    if not table.kept:
        return {}
    names = np.array([pair.coin for pair in pairs])
    return {coin: {side: sizes[side].of_mix(names == coin) for side in SIDES} for coin in recipe.coins}


def _basis(
    pairs: Sequence[Pair], venue: str, nodes: FloatArray, coordinate: Coordinate, notes: Sequence[str]
) -> str:
    """One line for the assumptions of every map that the model draws."""
    sides = [side for pair in pairs for side in (pair.long, pair.short)]
    coverage = np.array([side.coverage for side in sides])
    effective = float(np.median([side.held.effective(side.held.crowd) for side in sides]))
    whose = f"{SYNTHETIC}: " if any(pair.synthetic for pair in pairs) else ""
    beside = "".join(f"; {note}" for note in notes)
    return (
        f"{whose}fitted on exact positions of {venue} {', '.join(sorted({pair.coin for pair in pairs}))}, "
        f"{min(pair.as_of for pair in pairs):%Y-%m-%dT%H:%MZ} to {max(pair.as_of for pair in pairs):%Y-%m-%dT%H:%MZ}: "
        f"{len(pairs)} pairs, {coverage.min():.0%} to {coverage.max():.0%} of open interest covered, "
        f"{effective:.0f} effective positions a side (median) with each cut at "
        f"{LARGEST_SHARE:.1%} of open interest; {IN_WORDS[coordinate]}; {nodes[0]:.3g}x to {nodes[-1]:.3g}x is "
        f"fitted, other leverages are the prior's{beside}"
    )


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Cut to nine digits, so that the sum stays at one or below."""
    return tuple(tuple(row) for row in (np.floor(shares * 1e9) / 1e9).tolist())


def _side_record(
    pairs: Sequence[Pair],
    prior: LeverageModel,
    recipe: Recipe,
    side: str,
    spread: Spread,
    sizes: SizeTable,
    model: LeverageModel,
) -> SideRecord:
    fit = recipe.fitted.of(side)
    unseen = _unseen(pairs, side, sizes)
    return SideRecord(
        bands_of_fit(fit, spread, np.array(prior.leverage), unseen),
        fit.prior_scale,
        fit.at_most_one,
        standing(pairs, recipe.fitted, side, prior, spread),
        entry_check(pairs, side, model.shares(side), prior.rates),
    )


def _unseen(pairs: Sequence[Pair], side: str, sizes: SizeTable) -> Unseen | None:
    """What was not covered, null where all was; its shares per band may be those of any class that was seen."""
    coverage = mean_coverage(pairs, side)
    if coverage >= WHOLE:
        return None
    at = SIDES.index(side)
    seen = np.array([row.of(side) for row in sizes.rows if row.crowd_share[at] > LEAST_MIX])
    return Unseen(coverage, seen.min(axis=0), seen.max(axis=0))


def _record(
    gathered: Gathered,
    model: LeverageModel,
    venue: str,
    seed: int,
    draws: int,
    recipe: Recipe,
    choices: Choices,
    sides: Mapping[str, SideRecord],
) -> FitRecord:
    pairs, nodes = gathered.pairs, np.array(model.leverage)[recipe.fitted.long.free]
    return FitRecord(
        model=model.name,
        model_hash=model.hash,
        venue=venue,
        coins=tuple(sorted({pair.coin for pair in pairs})),
        start=min(pair.as_of for pair in pairs),
        end=max(pair.as_of for pair in pairs),
        blocks=len({pair.block for pair in pairs}),
        draws=draws,
        seed=seed,
        fitted_leverage=(float(nodes[0]), float(nodes[-1])),
        coverage=(mean_coverage(pairs, "long"), mean_coverage(pairs, "short")),
        choices=choices,
        long=sides["long"],
        short=sides["short"],
        pairs=tuple(_row(pair) for pair in pairs),
        refused=tuple(f"{one.coin} {one.moment:%Y-%m-%dT%H:%MZ}: {one.reason}" for one in gathered.refused),
        notes=gathered.notes,
    )


def _row(pair: Pair) -> PairRow:
    long, short = pair.long, pair.short
    return PairRow(
        pair.coin,
        pair.as_of,
        pair.positions,
        pair.highest_leverage,
        pair.before_window,
        (long.coverage, short.coverage),
        (long.held.kept, short.held.kept),
        (long.held.effective(long.held.crowd), short.held.effective(short.held.crowd)),
    )
