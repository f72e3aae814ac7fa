"""What a reader must know before believing a score, computed from the maps themselves."""

from collections.abc import Iterator, Sequence
from typing import Final

from liqtruth.compare.conclusion.records import Aside, Scored
from liqtruth.compare.conclusion.sentences import barred_values
from liqtruth.compare.divergence.records import RangeScore
from liqtruth.compare.imported.overlap import APART
from liqtruth.compare.statistics.distances import RANGE_PCT, side_curve
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, Granularity, mean_floor_pct
from liqtruth.heatmap.clusters.distribution import nearest_mass_pct
from liqtruth.heatmap.heatmap import MORE_THAN_ALL, Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, Notes, note, of_codes, without_codes

NEAR_PCT: Final = 10.0
FULL_COVERAGE: Final = 0.95
FRESH_S: Final = 3600.0
SAME_MARK_BPS: Final = 1.0
SAME_REACH_PCT: Final = 0.5


def remarks(
    truth: Heatmap,
    models: Sequence[Heatmap],
    grains: Sequence[Granularity] = (),
    range_pct: float = RANGE_PCT,
    asked_pct: float = RANGE_PCT,
) -> Notes:
    """All remarks, gravest first; one that is true of several models names them together. `range_pct` is what of
    `asked_pct` all maps reach."""
    found = [
        *_kind(truth, models),
        *_coverage(truth),
        *_emptiness(truth, range_pct),
        *_granularity(grains),
        *(_range(range_pct, asked_pct) if truth.covers is None else ()),
        *_mass_off_the_map(truth, range_pct),
        *_age(truth),
    ]
    labels: dict[Note, list[str]] = {}
    for model in models:
        for remark in _model(truth, model):
            labels.setdefault(remark, []).append(model.label)
    return (*found, *(remark.of(", ".join(whose)) for remark, whose in labels.items()))


def headline_caveats(truth: Heatmap) -> Iterator[Note]:
    """What must stand beside the verdict, gravest first; nothing where the truth is whole."""
    share = truth.coverage.share
    if truth.source != "exact":
        yield note("truth_is_no_reading")
    if truth.only:
        yield note("truth_is_a_part", part=truth.filtered_by)
    if share is not None and min(share) < FULL_COVERAGE:
        empty = all(at is None or at > NEAR_PCT for at in nearest_mass_pct(truth))
        yield note(
            "truth_is_incomplete", long=share.long, short=share.short, empty_pct=NEAR_PCT if empty else None
        )
    if share is not None and max(share) > MORE_THAN_ALL:
        yield note("truth_exceeds", long=share.long, short=share.short)


def floor_caveat(grains: Sequence[Granularity]) -> Iterator[Note]:
    """What too few positions mean for a score: the least of what stands beside the verdict, which states that they
    are too few."""
    floor = mean_floor_pct(tuple(grains))
    if floor is not None and _few(grains):
        yield note("few_positions_floor", floor_pct=floor)


def fit_remarks(models: Sequence[Scored]) -> Notes:
    """Models that are shown and not ranked, and why."""
    return tuple(
        note("not_ranked", label=model.label, why=model.barred.code, **barred_values(model.barred))
        for model in models
        if model.barred is not None
    )


def _kind(truth: Heatmap, models: Sequence[Heatmap]) -> Iterator[Note]:
    if truth.source != "exact":
        yield note("stands_in", label=truth.label)
    for model in models:
        if model.coin != truth.coin:
            yield note("other_coin", label=model.label, coin=model.coin, truth_coin=truth.coin)
    for part in (truth, *models):
        if part.only:
            name = f"{part.venue} {part.model or part.source}"
            yield note("part_compared", name=name, part=part.filtered_by)


def _coverage(truth: Heatmap) -> Iterator[Note]:
    share = truth.coverage.share
    if share is None:
        yield note("coverage_unmeasured", label=truth.label)
    elif min(share) < FULL_COVERAGE:
        counted = truth.coverage.positions
        yield note("truth_covers", label=truth.label, long=share.long, short=share.short, positions=counted)


def _emptiness(truth: Heatmap, range_pct: float) -> Iterator[Note]:
    """Real markets always have leverage near the mark: a truth without any was read from large accounts only."""
    near_pct = min(NEAR_PCT, range_pct)
    nearest = dict(zip(SIDES, nearest_mass_pct(truth), strict=True))
    far = {side: at for side, at in nearest.items() if at is None or at > near_pct}
    if len(far) == len(SIDES):
        yield note("nothing_near", label=truth.label, near_pct=near_pct, nearest_pct=far)
        return
    for side, at in far.items():
        yield note("nothing_near_on_side", label=truth.label, near_pct=near_pct, side=side, nearest_pct=at)


def _few(grains: Sequence[Granularity]) -> bool:
    return any(side.effective_least < ENOUGH for side in grains)


def _granularity(grains: Sequence[Granularity]) -> Iterator[Note]:
    if _few(grains):
        yield note(
            "few_positions",
            sides=[(one.side, one.positions, one.effective_least, one.effective_most) for one in grains],
            enough=ENOUGH,
            floor_pct=mean_floor_pct(tuple(grains)),
        )


def reach_remarks(models: Sequence[RangeScore], aside: Sequence[Aside | None], range_pct: float) -> Notes:
    """Where one map narrows what all are ranked on, others are scored further out; a map's own score is. Those that
    cover too little to be ranked are named with how far they reach."""
    ranked = [one for one, why in zip(models, aside, strict=True) if why is None]
    narrow = [one.label for one in ranked if one.reach_pct <= range_pct + SAME_REACH_PCT]
    found = [
        note("set_aside", range_pct=one.reach_pct).of(one.label)
        for one, why in zip(models, aside, strict=True)
        if why == "too_few"
    ]
    if len(narrow) not in (0, len(ranked)):
        found.insert(0, note("ranked_on_common", range_pct=range_pct, label=", ".join(narrow)))
    return tuple(found)


def _range(range_pct: float, asked_pct: float) -> Iterator[Note]:
    if range_pct < asked_pct:
        yield note("narrowest_grid", range_pct=range_pct)


def _mass_off_the_map(truth: Heatmap, range_pct: float) -> Iterator[Note]:
    coverage = truth.coverage
    if coverage.unpriced_positions:
        yield note(
            "never_liquidated",
            count=coverage.unpriced_positions,
            positions=coverage.positions or 0,
            long_usd=truth.never_usd.long,
            short_usd=truth.never_usd.short,
        )
    if coverage.unknown_usd.total:
        yield note("collateral_unknown", usd=coverage.unknown_usd.total)
    scored = [side_curve(truth, side, range_pct).total_usd for side in SIDES]
    far = [truth.in_grid_usd[n] + truth.beyond_usd[n] - scored[n] for n in range(len(SIDES))]
    if sum(far) > 0.01 * sum(truth.total_usd):
        yield note("out_of_range", long_usd=far[0], short_usd=far[1], range_pct=range_pct)


def _age(truth: Heatmap) -> Iterator[Note]:
    oldest = truth.coverage.oldest_age_s
    if oldest is not None and oldest > FRESH_S:
        yield note("oldest_position", age_s=oldest)
    yield from truth.coverage.notes


def _model(truth: Heatmap, model: Heatmap) -> Iterator[Note]:
    yield from of_codes(model.assumptions, ("not_levelled",))
    basis_bps = 1e4 * (model.mark_px / truth.mark_px - 1)
    if abs(basis_bps) > SAME_MARK_BPS:
        yield note("basis", bps=basis_bps)
    share = model.coverage.share
    if share is not None and min(share) < FULL_COVERAGE:
        yield note("model_places", long=share.long, short=share.short)
    gap_s = abs((truth.as_of - model.as_of).total_seconds())
    if gap_s > FRESH_S / 2:
        yield note("other_moment", gap_s=gap_s)
    yield from without_codes(model.coverage.notes, APART)
