"""What a reader must know before believing a score, in plain words, computed from the maps themselves."""

from collections.abc import Iterator, Sequence
from typing import Final

from liqtruth.compare.conclusion import Scored, barred_said
from liqtruth.compare.statistics.distances import RANGE_PCT, side_curve
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, Granularity, mean_floor_pct
from liqtruth.heatmap.distribution import nearest_mass_pct
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.notes import of_codes, texts
from liqtruth.heatmap.text import age, percent, usd

NEAR_PCT: Final = 10.0
FULL_COVERAGE: Final = 0.95
FRESH_S: Final = 3600.0
SAME_MARK_BPS: Final = 1.0


def remarks(
    truth: Heatmap,
    models: Sequence[Heatmap],
    grains: Sequence[Granularity] = (),
    range_pct: float = RANGE_PCT,
) -> list[str]:
    """All remarks, gravest first; what is true of several models is said once."""
    found = [
        *_kind(truth, models),
        *_coverage(truth),
        *_emptiness(truth, range_pct),
        *_granularity(grains),
        *_range(range_pct),
        *_mass_off_the_map(truth, range_pct),
        *_age(truth),
    ]
    told: dict[str, list[str]] = {}
    for model in models:
        for remark in _model(truth, model):
            told.setdefault(remark, []).append(model.label)
    return found + [f"{', '.join(labels)}: {remark}" for remark, labels in told.items()]


def headline_caveat(truth: Heatmap, grains: Sequence[Granularity], range_pct: float = RANGE_PCT) -> str:
    """The one sentence that must stand beside the verdict; empty where the truth is whole."""
    parts = []
    share = truth.coverage.share
    if truth.source != "exact":
        parts.append("The truth here is itself no reading of positions.")
    if truth.only:
        parts.append(f"The truth here is a part of its map: {truth.filtered_by}.")
    if share is not None and min(share) < FULL_COVERAGE:
        covered = f"{percent(share.long)} of long and {percent(share.short)} of short open interest"
        empty = all(at is None or at > NEAR_PCT for at in nearest_mass_pct(truth))
        near = f", with nothing within {NEAR_PCT:.0f} % of the mark: large accounts only?" if empty else "."
        parts.append(f"The truth covers {covered}{near}")
    floor = mean_floor_pct(tuple(grains))
    if floor is not None and _few(grains):
        parts.append(
            f"It rests on so few positions that a perfect model would be off by about {floor:.1f} %."
        )
    return " ".join(parts)


def fit_remarks(models: Sequence[Scored]) -> list[str]:
    """Models that are shown and not ranked, and why."""
    return [
        f"{model.label} is not ranked: {barred_said(model.barred)}"
        for model in models
        if model.barred is not None
    ]


def _kind(truth: Heatmap, models: Sequence[Heatmap]) -> Iterator[str]:
    if truth.source != "exact":
        yield (
            f"{truth.label} stands in for the truth but is no reading of positions: the scores say how alike the maps "
            "are, not which of them is right"
        )
    for model in models:
        if model.coin != truth.coin:
            yield f"{model.label} is a map of {model.coin}, the truth one of {truth.coin}"
    for part in (truth, *models):
        if part.only:
            name = f"{part.venue} {part.model or part.source}"
            yield f"of {name} a part is compared, {part.filtered_by}: what is said here is of that part"


def _coverage(truth: Heatmap) -> Iterator[str]:
    share = truth.coverage.share
    if share is None:
        yield f"open interest is unknown, so nobody can say how much of the market {truth.label} covers"
    elif min(share) < FULL_COVERAGE:
        held = truth.coverage.positions
        counted = "" if held is None else f" ({held:,} positions)"
        yield (
            f"{truth.label} covers {percent(share.long)} of long and {percent(share.short)} of short open interest"
            f"{counted}; the rest was not read"
        )


def _emptiness(truth: Heatmap, range_pct: float) -> Iterator[str]:
    """Real markets always have leverage near the mark: a truth without any was read from large accounts only."""
    near_pct = min(NEAR_PCT, range_pct)
    distances = nearest_mass_pct(truth)
    far = [(side, at) for side, at in zip(SIDES, distances, strict=True) if at is None or at > near_pct]
    if len(far) == len(SIDES):
        told = ", ".join(
            f"no {side}s at all" if at is None else f"{side}s begin at {at:.1f} %" for side, at in far
        )
        yield (
            f"nothing of {truth.label} lies within {near_pct:.3g} % of the mark ({told}): large accounts only? "
            "Its shape then says nothing about the leverage of small ones"
        )
        return
    for side, at in far:
        where = "at all" if at is None else f"nearer than {at:.1f} %"
        yield (
            f"{truth.label} has no {side}s {where}: nothing lies within {near_pct:.3g} % of the mark on the {side} "
            "side: large accounts only?"
        )


def _few(grains: Sequence[Granularity]) -> bool:
    return any(side.effective_least < ENOUGH for side in grains)


def _granularity(grains: Sequence[Granularity]) -> Iterator[str]:
    if not _few(grains):
        return
    told = ", ".join(f"{_effective(side)} of {side.positions:,} {side.side}s" for side in grains)
    floor = mean_floor_pct(tuple(grains))
    at_best = "" if floor is None else f"; even a perfect model would be off by about {floor:.1f} %"
    yield (
        f"a few positions make the truth's shape (effective number {told}; below {ENOUGH:.0f} a side claims about "
        f"shape rank no model{at_best}): one snapshot is no verdict"
    )


def _effective(side: Granularity) -> str:
    low, high = f"{side.effective_least:.0f}", f"{side.effective_most:.0f}"
    return low if low == high else f"{low} to {high}"


def _range(range_pct: float) -> Iterator[str]:
    if range_pct < RANGE_PCT:
        yield (
            f"the narrowest grid reaches {range_pct:.3g} % from its mark: nothing further away is compared, on any map"
        )


def _mass_off_the_map(truth: Heatmap, range_pct: float) -> Iterator[str]:
    coverage = truth.coverage
    if coverage.unpriced_positions:
        yield (
            f"{coverage.unpriced_positions:,} of {coverage.positions or 0:,} positions have no liquidation price "
            f"({usd(truth.never_usd.long)} long, {usd(truth.never_usd.short)} short): no move liquidates them"
        )
    if coverage.unknown_usd.total:
        yield f"{usd(coverage.unknown_usd.total)} is not on the map: its collateral was not captured"
    scored = [side_curve(truth, side, range_pct).total_usd for side in SIDES]
    far = [truth.in_grid_usd[n] + truth.beyond_usd[n] - scored[n] for n in range(len(SIDES))]
    if sum(far) > 0.01 * sum(truth.total_usd):
        yield f"{usd(far[0])} long and {usd(far[1])} short lie further than {range_pct:.3g} % away and are not scored"


def _age(truth: Heatmap) -> Iterator[str]:
    oldest = truth.coverage.oldest_age_s
    if oldest is not None and oldest > FRESH_S:
        yield f"the oldest position was read {age(oldest)} before the map's moment"
    yield from texts(truth.coverage.notes)


def _model(truth: Heatmap, model: Heatmap) -> Iterator[str]:
    yield from texts(of_codes(model.assumptions, ("not_levelled",)))
    basis_bps = 1e4 * (model.mark_px / truth.mark_px - 1)
    if abs(basis_bps) > SAME_MARK_BPS:
        yield f"the mark is {basis_bps:+.0f} bps from the truth's; distances are from each map's own mark"
    share = model.coverage.share
    if share is not None and min(share) < FULL_COVERAGE:
        yield (
            f"places {percent(share.long)} of long and {percent(share.short)} of short open interest of its venue; "
            "shapes are compared, not amounts"
        )
    gap_s = abs((truth.as_of - model.as_of).total_seconds())
    if gap_s > FRESH_S / 2:
        yield f"made for a moment {age(gap_s)} away from the truth's reading"
    yield from texts(model.coverage.notes)
