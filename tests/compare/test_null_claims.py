"""How often something is claimed where there is nothing: maps that know nothing, and maps that are right."""

from collections.abc import Callable

import numpy as np
import pytest

from liqtruth.compare.divergence.baselines import null_of
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.compare.statistics.scores import BY_CHANCE, SAME_SKILL, chances_of, score, skill
from liqtruth.heatmap.words.notes import Notes
from tests.compare.maps import Level, map_of

LEVERAGES = (3, 5, 10, 20, 25, 50)
CHANGES = {"looks_mirrored", "looks_scaled", "looks_moved"}


def walk(rng: np.random.Generator, positions: int = 900, steps: int = 2000) -> list[Level]:
    """Positions opened along a random walk and not yet liquidated."""
    px = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, steps)))
    px *= 100 / px[-1]
    lowest, highest = (f.accumulate(px[::-1])[::-1] for f in (np.minimum, np.maximum))
    at, leverage = rng.integers(0, steps, 8 * positions), rng.choice(LEVERAGES, 8 * positions)
    long = rng.random(at.size) < 0.5
    liquidated = px[at] * np.where(long, 1 - 0.95 / leverage, 1 + 0.95 / leverage)
    away = 100 * np.abs(liquidated / 100 - 1)
    alive = np.where(long, lowest[at] > liquidated, highest[at] < liquidated) & (away > 0.1) & (away < 49)
    which = np.flatnonzero(alive)[:positions]
    return [
        ("long" if long[one] else "short", float(away[one]), float(rng.lognormal(11, 1))) for one in which
    ]


def shuffled(rng: np.random.Generator, levels: list[Level]) -> list[Level]:
    """Each keeps its side and size, and may be anywhere."""
    return [(side, float(rng.uniform(0.02, 49.98)), usd) for side, _, usd in levels]


def lumps(rng: np.random.Generator, positions: int = 900) -> list[Level]:
    """A few clusters of each side, anywhere."""
    rows: list[Level] = []
    for side in ("long", "short"):
        count = int(rng.integers(2, 10))
        at, width = rng.uniform(0.5, 48, count), rng.uniform(0.1, 2, count)
        for one in rng.choice(count, positions // 2, p=rng.dirichlet(np.ones(count))):
            away = min(max(rng.normal(at[one], width[one]), 0.1), 49.0)
            rows.append((side, away, float(rng.lognormal(11, 1))))
    return rows


def claims(
    make: Callable[[np.random.Generator], tuple[list[Level], list[Level]]],
    runs: int = 100,
    within_pct: float = HEADLINE_PCT,
) -> int:
    """In how many runs the other map is called better than one that knows only the mark."""
    found = 0
    for seed in range(runs):
        truth, other = make(np.random.default_rng([seed, 7]))
        conclusion = compare_maps(
            map_of(truth), [map_of(other, model="other")], within_pct=within_pct
        ).conclusion
        assert conclusion is not None
        found += conclusion.code == "nearest"
    return found


def test_of_a_hundred_maps_of_shuffled_positions_at_most_five_agree_with_a_random_walk() -> None:
    def walk_and_shuffled(rng: np.random.Generator) -> tuple[list[Level], list[Level]]:
        truth = walk(rng)
        return truth, shuffled(rng, truth)

    assert claims(walk_and_shuffled) <= 5


def test_of_a_hundred_maps_of_random_clusters_at_most_five_agree_with_other_random_clusters() -> None:
    assert claims(lambda rng: (lumps(rng), lumps(rng))) <= 5


def test_of_a_hundred_times_five_maps_of_random_clusters_the_best_agrees_at_most_five_times() -> None:
    """Each alone keeps 5 %: of five, unless they are corrected for one another, the best does not."""
    found, alone = 0, 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 11])
        truth, *models = (map_of(lumps(rng), model=f"m{n}") for n in range(6))
        off_pct = [score(truth, one, HEADLINE_PCT).wasserstein_pct or 100.0 for one in models]
        best = int(np.argmin(off_pct))
        if (
            skill(off_pct[best], score(truth, null_of(truth), HEADLINE_PCT).wasserstein_pct) or 0
        ) > SAME_SKILL:
            found += (chances_of(truth, models, HEADLINE_PCT)[best] or 0.0) <= BY_CHANCE
            alone += (chances_of(truth, [models[best]], HEADLINE_PCT)[0] or 0.0) <= BY_CHANCE
    assert found <= 5 < alone


def test_what_is_claimed_where_the_largest_were_read_first_holds_of_the_whole() -> None:
    """A right map, one that looks like the large accounts, and one that is too far, at 40, 60, 80 and 95 % coverage."""
    wrong = {True: 0, False: 0}
    spoken = 0
    for seed in range(4):
        rows, usd = sized(seed)
        other, others_usd = sized(seed + 500)
        large = other[: among_largest(others_usd, 0.4)]
        far = [(side, min(1.6 * away, 49.0), one) for side, away, one in other]
        parts = [
            map_of(rows[: among_largest(usd, share)], open_interest_usd=sum(usd) / 2)
            for share in (0.4, 0.6, 0.8, 0.95)
        ]
        for levels in (other, large, far):
            model = map_of(levels, model="other")
            whole, *found = (compare_maps(truth, [model]).conclusion for truth in (map_of(rows), *parts))
            for one in found:
                claimed = one.code in ("nearest", "none_beats_mark")
                spoken += claimed
                wrong[one.code == "nearest"] += claimed and one.code != whole.code
    assert spoken
    assert max(wrong.values()) <= 2, "of 48"


def sized(seed: int, positions: int = 3000) -> tuple[list[Level], list[float]]:
    """Large accounts lie farther from the mark than small ones; the largest first."""
    rng = np.random.default_rng(seed)
    size = -np.sort(-rng.normal(0, 1.3, positions))
    away = np.clip(8 * np.exp(rng.normal(0, 0.7, positions) + 0.35 * size), 0.1, 49)
    usd = np.exp(11 + size)
    return [(("long", "short")[n % 2], float(away[n]), float(usd[n])) for n in range(positions)], usd.tolist()


def among_largest(usd: list[float], share: float) -> int:
    return int(np.searchsorted(np.cumsum(usd), share * sum(usd))) + 1


def test_a_map_of_the_same_positions_but_another_draw_does_agree() -> None:
    """The price of the gate: the same positions, of which each map has a random half; enough of them for any claim lie
    within 50 %."""

    def halves(rng: np.random.Generator) -> tuple[list[Level], list[Level]]:
        levels = walk(rng, positions=1800)
        half = rng.random(len(levels)) < 0.5
        return (
            [one for one, first in zip(levels, half, strict=True) if first],
            [one for one, first in zip(levels, half, strict=True) if not first],
        )

    assert claims(halves, runs=20, within_pct=50.0) >= 19


@pytest.mark.parametrize(
    ("positions", "middle_pct", "spread", "sizes"),
    [(900, 3.0, 0.5, 1.0), (900, 20.0, 0.3, 1.0), (2000, 8.0, 0.8, 1.5), (600, 8.0, 1.2, 1.0)],
)
def test_another_draw_of_the_same_population_is_seldom_said_to_be_changed(
    positions: int, middle_pct: float, spread: float, sizes: float
) -> None:
    def draw(rng: np.random.Generator) -> list[Level]:
        away = np.clip(middle_pct * rng.lognormal(0, spread, positions), 0.1, 49)
        usd = rng.lognormal(11, sizes, positions)
        return [(("long", "short")[n % 2], float(away[n]), float(usd[n])) for n in range(positions)]

    named = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, positions])
        codes = {one.code for one in said(draw(rng), draw(rng))}
        named += bool(codes & {*CHANGES, "heavy_cluster"})
    assert named <= 1


def said(truth: list[Level], model: list[Level]) -> Notes:
    return compare_maps(map_of(truth), [map_of(model, model="other")], within_pct=50.0).models[0].diagnosis


def test_where_a_side_cannot_be_scored_no_change_is_said_to_explain_the_distance() -> None:
    """A truth of which only one side is stated is no reading of positions: it speaks without a gate."""
    rng = np.random.default_rng(3)
    both = walk(rng)
    longs = [(side, away, usd) for side, away, usd in both if side == "long"]
    near = [(side, away / 3, usd) for side, away, usd in both]
    truth = map_of(longs, model="stated", source="imported")
    found = compare_maps(truth, [map_of(near, model="near")])
    assert found.models[0].scores.wasserstein_pct is None
    assert not {one.code for one in found.models[0].diagnosis} & CHANGES


def test_what_the_unread_rest_of_the_truth_may_hold_is_no_phantom() -> None:
    """With a half of open interest unread a cluster of a seventh may be there; with all of it read it is not."""
    rng = np.random.default_rng(5)
    levels = [(side, min(away, 20.0), usd) for side, away, usd in walk(rng)]
    total = sum(usd for side, _, usd in levels if side == "short")
    extra: list[Level] = [*levels, ("short", 35.0, total / 6)]
    whole = compare_maps(map_of(levels), [map_of(extra, model="other")], within_pct=50.0)
    sides = [sum(usd for side, _, usd in levels if side == one) for one in ("long", "short")]
    part = compare_maps(
        map_of(levels, open_interest_usd=2 * max(sides)), [map_of(extra, model="other")], within_pct=50.0
    )
    codes = [{one.code for one in found.models[0].diagnosis} for found in (whole, part)]
    assert "phantom_cluster" in codes[0]
    assert "phantom_cluster" not in codes[1]


def test_a_right_map_is_not_said_to_be_wrong_where_only_the_largest_were_read() -> None:
    """Large accounts lie farther from the mark than small ones; a check reads them first and may end half way."""
    named, spoken = 0, 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        size = rng.normal(0, 1.3, 4000)
        away = np.clip(8 * np.exp(rng.normal(0, 0.7, 4000) + 0.35 * size), 0.1, 49)
        usd = np.exp(11 + size)
        rows = [(("long", "short")[n % 2], float(away[n]), float(usd[n])) for n in np.argsort(-usd)]
        read = int(np.searchsorted(np.cumsum(np.sort(usd)[::-1]), 0.5 * usd.sum()))
        truth = map_of(rows[:read], open_interest_usd=float(usd.sum() / 2))
        found = compare_maps(truth, [map_of(rows, model="right")])
        assert found.conclusion is not None
        spoken += found.conclusion.layer is not None
        named += bool({one.code for one in found.models[0].diagnosis} & CHANGES)
    assert spoken
    assert not named
