"""Two or more maps to a divergence: models against the whole truth and its crowd, beside a no-information baseline.

The baseline knows nothing but the mark: the least that a model has to beat. A few dozen whales make half of a real map,
and another draw of them would have put it elsewhere. What a model can learn is the crowd's; a score against the crowd
shows how well it did, one against the whole what that is worth to a trader. Each layer has its own noise floor.

Nothing here reads a clock, a file or a host: the same maps give the same divergence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, TypedDict, Unpack

from liqtruth.compare.conclusion import (
    CROWD,
    RAW,
    Barred,
    Scored,
    barred,
    concluded,
    in_words,
    passes,
    standing_text,
)
from liqtruth.compare.divergence.assignment import ClusterPair, assign_clusters, unjudged
from liqtruth.compare.divergence.baselines import baseline_results, null_of, rivals, scored_baselines
from liqtruth.compare.divergence.caveats import fit_remarks, headline_caveats, reach_remarks, remarks
from liqtruth.compare.divergence.diagnosis import diagnose, on_mean
from liqtruth.compare.divergence.divergence import (
    SCHEMA,
    Band,
    Divergence,
    LayerResult,
    MapSummary,
    ModelResult,
    RangeScore,
)
from liqtruth.compare.divergence.layers import layer_results, pair, range_results
from liqtruth.compare.divergence.matching import (
    clusters_of,
    in_range,
    match_clusters,
    recall_clusters,
)
from liqtruth.compare.divergence.ranking import ranking_of
from liqtruth.compare.divergence.venues import lacking_venue
from liqtruth.compare.errors import NothingToCompare
from liqtruth.compare.imported.overlap import common_reach, lined_up, told_apart
from liqtruth.compare.statistics.distances import (
    HEADLINE_PCT,
    RANGES_PCT,
    band_bounds_pct,
    band_mass_usd,
    common_range_pct,
    side_curve,
)
from liqtruth.compare.statistics.effective_sample_size import Granularity, granularity, mean_floor_pct
from liqtruth.compare.statistics.scores import (
    PERFECT,
    Scores,
    chances_of,
    judge,
    score,
    share_above,
    skill,
    unranked,
    widest_gaps,
)
from liqtruth.compare.statistics.unread import turned_at, unread_shares
from liqtruth.heatmap.distribution import Cluster, nearest_mass_pct
from liqtruth.heatmap.drawing.view import data_moment
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.notes import Note, Notes, of_codes

CLUSTERS_KEPT: Final = 10


class Given(TypedDict, total=False):
    """What `measured` takes beside the maps."""

    crowd: Heatmap | None
    notes: Sequence[Note]
    caveats: Sequence[Note]
    baselines: Sequence[Heatmap]
    within_pct: float


def compare_maps(
    truth: Heatmap, models: Sequence[Heatmap], tolerance_pct: float = 1.0, **given: Unpack[Given]
) -> Divergence:
    """As `measured`, without the maps."""
    return measured(truth, models, tolerance_pct, **given)[0]


def measured(
    truth: Heatmap,
    models: Sequence[Heatmap],
    tolerance_pct: float = 1.0,
    *,
    crowd: Heatmap | None = None,
    notes: Sequence[Note] = (),
    caveats: Sequence[Note] = (),
    baselines: Sequence[Heatmap] = (),
    within_pct: float = HEADLINE_PCT,
) -> tuple[Divergence, Heatmap, tuple[Heatmap, ...], Heatmap | None]:
    """Measure every model against the truth and against the null map; clusters match within `tolerance_pct`. With the
    truth, the models and, where the answer is against it, the crowd as they were ranked: cut to what all of them cover.

    Any map may be the truth; `crowd` is its crowd's part, `notes` are remarks beside those of the maps, `caveats` stand
    beside the verdict too, `baselines` are scored beside the models and not ranked among them. Conclusions are drawn
    within `within_pct` of the mark, one of `RANGES_PCT`. Raises `NothingToCompare` without models, with a tolerance
    that is no distance, or another range.
    """
    if not models:
        raise NothingToCompare("no model to compare with the truth; name at least one, e.g. binance:tiers")
    if not 0 < tolerance_pct <= 50:
        raise NothingToCompare(
            f"the tolerance must be above 0 and at most 50 % of price, got {tolerance_pct!r}"
        )
    if within_pct not in RANGES_PCT:
        raise NothingToCompare(f"the range must be 10, 25 or 50 % of price, got {within_pct!r}")
    whole = (truth, crowd, tuple(told_apart(models)))
    truth, models, crowd, far_apart = lined_up(truth, models, crowd)
    range_pct = min(
        common_range_pct(truth, *models, within_pct=within_pct), common_reach(truth, *models).farthest_pct
    )
    null = null_of(truth)
    null_scores = score(truth, null, range_pct)
    grains = granularity(truth, range_pct)
    bars = [barred(model.training, truth.coin, truth.as_of) for model in models]
    layers = () if crowd is None else layer_results(truth, crowd, models, range_pct, bars, baselines)
    speaking = _speaking(grains, layers)
    results = tuple(
        _result(truth, *each, null_scores, range_pct, speaks=speaking == RAW)
        for each in zip(models, whole[2], bars, strict=True)
    )
    scored, null_pct, floor_pct, of_positions = _on_layer(speaking, results, layers, null_scores, grains)
    of_layer = RAW if speaking == RAW or not layers else CROWD
    judged_by = crowd if speaking == CROWD and crowd is not None else truth
    chances = _chances(judged_by, models, bars, range_pct) if speaking else [None] * len(models)
    scored = [
        replace(
            one,
            chance=chance,
            turned_at=turned_at(judged_by, model, null_of(judged_by), range_pct, one.skill),
        )
        for one, model, chance in zip(scored, models, chances, strict=True)
    ]
    conclusion = concluded(speaking, scored, null_pct, floor_pct, of_positions, of_layer)
    conclusion = replace(conclusion, range_pct=range_pct)
    free = baseline_results(
        scored_baselines(truth, models, baselines, range_pct), null_scores, ranked=speaking == RAW
    )
    known = all(share == 0 for share in unread_shares(judged_by, range_pct))
    free = tuple(replace(one, ranked=one.ranked and known) for one in free)
    told = rivals(speaking, free, layers, conclusion.off_pct) if known else ()
    conclusion = replace(conclusion, baselines=told)
    layers = tuple(_as_told(layer, scored, known=known) for layer in layers)
    ranges = range_results(*whole, bars, baselines)
    headline = next(one for one in ranges if (one.layer, one.range_pct) == (of_layer, within_pct))
    judge_of = _Judge(speaking, *whole[:2], judged_by, range_pct, tolerance_pct)
    own = [
        judge_of.judged(*each, headline.noise_floor_pct)
        for each in zip(whole[2], models, results, scored, headline.models, strict=True)
    ]
    means = of_codes((one for baseline in baselines for one in baseline.assumptions), ("opened_at_mean",))
    own = [
        replace(
            one,
            diagnosis=(*on_mean(one.diagnosis, means), *lacking_venue(model, whole[2], scored_on.reach_pct)),
        )
        for one, model, scored_on in zip(own, whole[2], headline.models, strict=True)
    ]
    found = Divergence(
        schema=SCHEMA,
        coin=truth.coin,
        as_of=truth.as_of,
        synthetic=any(heatmap.synthetic for heatmap in (truth, *models)),
        verdict=in_words(conclusion),
        caveats=(*headline_caveats(truth, of_positions, range_pct), *far_apart, *caveats),
        range_pct=range_pct,
        tolerance_pct=tolerance_pct,
        truth=summarise(truth, truth.mark_px, range_pct, whole[0]),
        granularity=grains,
        noise_floor_pct=mean_floor_pct(grains),
        null_model=null.assumptions[0].text,
        null_scores=null_scores,
        models=tuple(own),
        bands=_bands(truth, null, models, range_pct),
        remarks=(
            *remarks(truth, models, grains, range_pct, within_pct),
            *reach_remarks(headline.models, range_pct),
            *fit_remarks(scored),
            *notes,
        ),
        layers=layers,
        conclusion=conclusion,
        baselines=free,
        asked_pct=within_pct,
        ranges=ranges,
        ranking=ranking_of(scored) if speaking else (),
    )
    return found, truth, models, crowd if speaking == CROWD else None


@dataclass(frozen=True)
class _Judge:
    """What maps are judged by: the layer that speaks, of the maps as they are and cut to what all of them cover."""

    layer: str | None
    truth: Heatmap
    crowd: Heatmap | None
    part: Heatmap
    range_pct: float
    tolerance_pct: float

    @property
    def whole(self) -> Heatmap:
        return self.crowd if self.layer == CROWD and self.crowd is not None else self.truth

    @cached_property
    def wanted(self) -> list[Cluster]:
        return clusters_of(self.whole, self.part)

    def judged(
        self,
        model: Heatmap,
        part: Heatmap,
        result: ModelResult,
        scored: Scored,
        own: RangeScore,
        floor_pct: float | None,
    ) -> ModelResult:
        """The model with its clusters beside the layer's where that may judge them, and with its verdict and its
        diagnosis as far as it and the truth reach."""
        offered, about = clusters_of(model, part), (self.tolerance_pct, self.range_pct)
        matches = match_clusters(self.wanted, offered, *about)
        pairs = _pairs(self.wanted, offered, *about)
        one = replace(scored, off_pct=own.scores.wasserstein_pct, skill=own.skill, gaps=own.gaps)
        _, truth, reach_pct = pair(self.whole, model, own.reach_pct)
        one = replace(one, turned_at=turned_at(truth, model, null_of(truth), reach_pct, own.skill))
        layer = self.layer if own.enough else None
        known = result.barred is None and one.turned_at is None and scored.turned_at is None
        judge_of = layer if known else None
        silent = layer is None or result.barred is not None
        return replace(
            result,
            ranked=result.ranked and one.turned_at is None,
            judged=result.judged if one.turned_at is None else unranked(result.judged),
            verdict=standing_text(layer, one, own.null_pct, own.reach_pct),
            diagnosis=() if silent else self._diagnosed(model, own.reach_pct, floor_pct, told=known),
            by_chance=one.lucky,
            turned_at=one.turned_at,
            clusters_of=judge_of,
            matches=tuple(matches if judge_of else (match.unjudged for match in matches)),
            pairs=pairs if judge_of else unjudged(pairs),
            recall=tuple(recall_clusters(self.wanted, offered, *about)) if judge_of else (),
        )

    def _diagnosed(self, model: Heatmap, reach_pct: float, floor_pct: float | None, *, told: bool) -> Notes:
        """Single clusters only where clusters are `told`."""
        own, wanted, reach_pct = pair(self.whole, model, reach_pct)
        truth = wanted if self.whole is self.truth else pair(self.truth, model, reach_pct)[1]
        offered = clusters_of(model, own)
        pairs, of_holders = (
            _pairs(clusters_of(one, part), offered, self.tolerance_pct, reach_pct) if told else ()
            for one, part in ((self.whole, wanted), (self.truth, truth))
        )
        if self.whole is self.truth:
            return diagnose(truth, own, reach_pct, floor_pct, pairs)
        return diagnose(truth, own, reach_pct, floor_pct, pairs, wanted, of_holders)


def _chances(
    truth: Heatmap, models: Sequence[Heatmap], bars: Sequence[Barred | None], range_pct: float
) -> list[float | None]:
    """Those that may be ranked are corrected for one another: the best of several is nearer by luck more often."""
    free = [model for model, bar in zip(models, bars, strict=True) if bar is None]
    found = iter(chances_of(truth, free, range_pct))
    return [next(found) if bar is None else None for bar in bars]


def _as_told(layer: LayerResult, scored: Sequence[Scored], *, known: bool) -> LayerResult:
    """Without a word on maps whose standing the unread part of the truth could turn."""
    return replace(
        layer,
        models=tuple(
            replace(row, ranked=row.ranked and one.turned_at is None)
            for row, one in zip(layer.models, scored, strict=True)
        ),
        baselines=tuple(replace(row, ranked=row.ranked and known) for row in layer.baselines),
    )


def _pairs(
    wanted: Sequence[Cluster], offered: Sequence[Cluster], tolerance_pct: float, range_pct: float
) -> tuple[ClusterPair, ...]:
    """The largest of both maps, one to one."""
    return assign_clusters(wanted, offered, tolerance_pct, range_pct)[: 2 * CLUSTERS_KEPT]


def summarise(heatmap: Heatmap, truth_mark_px: float, range_pct: float, whole: Heatmap) -> MapSummary:
    """The figures of one map, cut from the `whole`; `basis_bps` is its mark over the truth's."""
    return MapSummary(
        label=heatmap.label,
        coin=heatmap.coin,
        venue=heatmap.venue,
        source=heatmap.source,
        as_of=heatmap.as_of,
        mark_px=heatmap.mark_px,
        basis_bps=1e4 * (heatmap.mark_px / truth_mark_px - 1),
        in_grid_usd=heatmap.in_grid_usd,
        beyond_usd=heatmap.beyond_usd,
        never_usd=heatmap.never_usd,
        coverage=heatmap.coverage,
        coverage_share=heatmap.coverage.share,
        share_above=share_above(heatmap, range_pct),
        nearest_pct=nearest_mass_pct(heatmap),
        clusters=tuple(in_range(clusters_of(whole, heatmap), range_pct)[:CLUSTERS_KEPT]),
        assumptions=heatmap.assumptions,
        data_moment=data_moment(heatmap),
        only=heatmap.only,
    )


def _result(
    truth: Heatmap,
    model: Heatmap,
    whole: Heatmap,
    bar: Barred | None,
    null_scores: Scores,
    range_pct: float,
    *,
    speaks: bool,
) -> ModelResult:
    """The model's scores; its verdict, its clusters and its diagnosis are the judge's."""
    scores = score(truth, model, range_pct)
    ranked = speaks and bar is None
    return ModelResult(
        summary=summarise(model, truth.mark_px, range_pct, whole),
        scores=scores,
        skill=skill(scores.wasserstein_pct, null_scores.wasserstein_pct),
        verdict="",
        judged=judge(scores, null_scores, ranked=ranked),
        gaps=widest_gaps(truth, model, range_pct),
        matches=(),
        recall=(),
        ranked=ranked,
        barred=bar,
    )


def _speaking(grains: Sequence[Granularity], layers: Sequence[LayerResult]) -> str | None:
    """The layer that conclusions are drawn from: the whole truth, else its crowd, else none. A truth that is no reading
    of positions has no gate: its scores are how alike the maps are."""
    if passes(grains) or not grains:
        return RAW
    return next((layer.layer for layer in layers if layer.layer == CROWD and layer.enough), None)


def _on_layer(
    speaking: str | None,
    results: Sequence[ModelResult],
    layers: Sequence[LayerResult],
    null_scores: Scores,
    grains: Sequence[Granularity],
) -> tuple[list[Scored], float | None, float | None, tuple[Granularity, ...]]:
    """Models as the layer that speaks has them, the null's score there, the noise floor, and the layer's positions."""
    layer = next((layer for layer in layers if layer.layer == CROWD), None)
    if speaking == RAW or layer is None:
        scored = [
            Scored(
                r.summary.label,
                r.scores.wasserstein_pct,
                r.skill,
                _why(r.scores, null_scores),
                r.gaps,
                r.barred,
            )
            for r in results
        ]
        return scored, null_scores.wasserstein_pct, mean_floor_pct(tuple(grains)), tuple(grains)
    null = layer.null_scores
    scored = [
        Scored(
            row.label, row.scores.wasserstein_pct, row.skill, _why(row.scores, null), row.gaps, result.barred
        )
        for row, result in zip(layer.models, results, strict=True)
    ]
    return scored, null.wasserstein_pct, layer.noise_floor_pct, layer.granularity


def _why(scores: Scores, null: Scores) -> str | None:
    """Why a model has no skill; null where it may have one."""
    if scores.wasserstein_pct is None or null.wasserstein_pct is None:
        return scores.mean.undefined or null.mean.undefined
    return (
        "the truth looks just like the map that knows only the mark"
        if null.wasserstein_pct <= PERFECT
        else None
    )


def _bands(truth: Heatmap, null: Heatmap, models: Sequence[Heatmap], range_pct: float) -> tuple[Band, ...]:
    bounds = band_bounds_pct(range_pct)
    rows = []
    for side in SIDES:
        mass = [
            band_mass_usd(side_curve(m, side, range_pct), side, range_pct) for m in (truth, null, *models)
        ]
        shares = [_shares(row) for row in mass]
        for n, (low, high) in enumerate(pairwise(bounds)):
            at = [share[n] for share in shares]
            rows.append(Band(side, low, high, float(mass[0][n]), at[0], at[1], tuple(at[2:])))
    return tuple(rows)


def _shares(mass: FloatArray) -> list[float | None]:
    total = float(mass.sum())
    return [float(part) / total if total > 0 else None for part in mass]
