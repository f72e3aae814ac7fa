"""The cohort model where the truth is known: given the venue's own distribution of leverage it comes near the true
map, nearer than every model that knows less. The full figures are printed by `benchmarks/bench_model_truth.py`."""

import numpy as np
import pytest

from liqtruth.heatmap.levels import SIDES
from tests.estimator.known_truth import KnownVenue, all_maps, as_rows, cohort_map, distances

SEED, ACCOUNTS, DAYS = 4, 4000, (3, 4, 5, 6)


@pytest.fixture(scope="module")
def venue() -> KnownVenue:
    return KnownVenue.of(SEED, ACCOUNTS, DAYS)


@pytest.fixture(scope="module")
def pooled(venue: KnownVenue) -> dict[str, float]:
    """Wasserstein-1 of each model, both sides and all moments together, and of the noise floor."""
    sums: dict[str, float] = {}
    for place, moment in enumerate(venue.moments[1:], start=1):
        maps = all_maps(moment, venue.own_model, venue.moments[:place])
        for side in SIDES:
            found = distances(moment, maps, side)
            sums = {name: sums.get(name, 0.0) + value for name, value in found.items()}
    return sums


def test_with_the_venues_own_leverage_the_model_is_below_every_baseline(pooled: dict[str, float]) -> None:
    nearer = {name for name, value in pooled.items() if value <= pooled["own"]}
    assert nearer <= {"own", "floor"}


def test_the_model_is_near_the_noise_floor_of_the_truth(pooled: dict[str, float]) -> None:
    assert pooled["own"] < 1.4 * pooled["floor"]


def test_the_level_of_the_map_is_about_right(venue: KnownVenue) -> None:
    """Mass within a quarter of the mark over open interest, against the truth's."""
    for moment in venue.moments:
        drawn, truth = cohort_map(moment, venue.own_model), moment.truth
        near = np.abs(np.log(moment.grid.centers / moment.grid.mark_px)) < 0.22
        assert (
            0.5
            < (drawn.long_usd + drawn.short_usd)[near].sum() / (truth.long_usd + truth.short_usd)[near].sum()
            < 2
        )


def test_another_distribution_of_leverage_is_worse(venue: KnownVenue, pooled: dict[str, float]) -> None:
    """Null model: the same classes with leverages in reverse order of the nodes."""
    own = venue.own_model
    turned = {side: as_rows(own.shares(side)[:, ::-1]) for side in SIDES}
    model = type(own)(**{**{name: getattr(own, name) for name in own.__struct_fields__}, **turned})
    worse = sum(
        moment.distance_pct(cohort_map(moment, model), side) for moment in venue.moments[1:] for side in SIDES
    )
    assert worse > 1.5 * pooled["own"]
