"""The fitted model on a synthetic venue, against exact maps of days that it has not seen.

Synthetic, one coin, six days to fit on. The fit is of the crowd, so the crowd's map is what it is compared with: every
position cut at the share of open interest at which the fit cuts it. In this venue two thirds of the mass near the
mark are above that cut, and whales use other leverage than the crowd: on the raw map the fitted model beats equal
tiers, and the prior only sometimes.

Seeds 1 to 4 were looked at over 10 and over 12 days. On the crowd's map the fitted model is nearer than tiers in all
eight histories and nearer than the prior in seven (not on seed 3 over 10 days: 1.13 against 0.97 %); on the raw map
it is nearer than tiers in all eight and nearer than the prior in four.
"""

from collections.abc import Sequence

import polars as pl
import pytest

from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.leverage_fit import LeverageFit
from liqtruth.compare.calibration.samples import sample_of
from liqtruth.estimator.model.leverage import tiers
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from tests.estimator.known_truth import BRACKETS, COIN, VENUE, KnownVenue, Moment, cohort_map

SEED, ACCOUNTS, DAYS = 1, 4000, (3, 4, 5, 6, 7, 8, 9, 10)
FITTED_ON = 6

Distances = dict[str, float]


def crowd_of(moment: Moment) -> Moment:
    held_usd = float(moment.series.bars.open_interest[-1]) * moment.series.mark_px
    cut = pl.min_horizontal("notional_usd", pl.lit(LARGEST_SHARE * held_usd))
    return Moment(moment.positions.with_columns(notional_usd=cut), moment.series)


@pytest.fixture(scope="module")
def later() -> dict[str, Distances]:
    """Mean Wasserstein-1 in percent of price over both sides of the later days, by map and model."""
    venue, prior = KnownVenue.of(SEED, ACCOUNTS, DAYS), leverage_model_named("prior")
    pairs = tuple(
        sample_of(COIN, moment.series, venue_named(VENUE), moment.positions, prior, BRACKETS)
        for moment in venue.moments[:FITTED_ON]
    )
    fitted = LeverageFit(prior, draws=2).fit(Gathered(pairs, ())).model_
    models = {"fitted": fitted, "prior": prior, "tiers": tiers()}
    unseen = venue.moments[FITTED_ON:]
    maps = {name: [cohort_map(moment, model) for moment in unseen] for name, model in models.items()}

    def distances(truths: Sequence[Moment]) -> Distances:
        return {
            name: sum(
                moment.distance_pct(one, side)
                for moment, one in zip(truths, drawn, strict=True)
                for side in SIDES
            )
            / (len(SIDES) * len(truths))
            for name, drawn in maps.items()
        }

    return {"raw": distances(unseen), "crowd": distances([crowd_of(moment) for moment in unseen])}


def test_the_fitted_model_is_nearer_to_the_crowds_later_maps_than_tiers(later: dict[str, Distances]) -> None:
    assert later["crowd"]["fitted"] < 0.65 * later["crowd"]["tiers"]


def test_the_fitted_model_is_nearer_to_the_crowds_later_maps_than_the_prior(
    later: dict[str, Distances],
) -> None:
    assert later["crowd"]["fitted"] < later["crowd"]["prior"]


def test_with_whales_on_the_map_the_fitted_model_is_nearer_than_tiers(later: dict[str, Distances]) -> None:
    assert later["raw"]["fitted"] < later["raw"]["tiers"]
