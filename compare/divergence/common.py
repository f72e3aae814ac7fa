"""The maps that are ranked among one another, cut to what all of them cover, and how every map scores.

A map that is set aside is scored as far as it covers itself, and cuts nothing off the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from liqtruth.compare.conclusion.conclusion import barred, concluded, passes, with_readings
from liqtruth.compare.conclusion.records import CROWD, RAW, Aside, Barred, Conclusion, Scored
from liqtruth.compare.divergence.baselines import baseline_results, null_of, rivals, scored_baselines
from liqtruth.compare.divergence.judging import CLUSTERS_KEPT, Alone, Judge, is_reading, looks_read, set_aside
from liqtruth.compare.divergence.layers import layer_results, range_results, with_those_aside
from liqtruth.compare.divergence.others import Others
from liqtruth.compare.divergence.records import (
    BaselineResult,
    LayerResult,
    MapSummary,
    ModelResult,
    RangeResult,
)
from liqtruth.compare.imported.overlap import common_reach, lined_up, pair, told_apart
from liqtruth.compare.matching.matching import clusters_of, in_range
from liqtruth.compare.observed.reached import Reached
from liqtruth.compare.statistics.distances import common_range_pct
from liqtruth.compare.statistics.effective_sample_size import Granularity, granularity, mean_floor_pct
from liqtruth.compare.statistics.scores import (
    PERFECT,
    Scores,
    chances_of,
    judge,
    score,
    share_above,
    skill,
    widest_gaps,
)
from liqtruth.compare.statistics.unread import turned_at, unread_shares
from liqtruth.heatmap.clusters.distribution import nearest_mass_pct
from liqtruth.heatmap.drawing.view import data_moment
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes


@dataclass(frozen=True)
class Maps:
    """The maps as they were given, what each is on its own, and why some are not ranked among the others."""

    truth: Heatmap
    crowd: Heatmap | None
    models: tuple[Heatmap, ...]
    baselines: Sequence[Heatmap]
    within_pct: float
    bars: tuple[Barred | None, ...]
    ranges: tuple[RangeResult, ...]
    own: tuple[Alone, ...]
    aside: tuple[Aside | None, ...]
    reached: Reached | None

    @classmethod
    def of(
        cls,
        truth: Heatmap,
        crowd: Heatmap | None,
        models: Sequence[Heatmap],
        baselines: Sequence[Heatmap],
        within_pct: float,
        reached: Reached | None = None,
    ) -> "Maps":
        named = tuple(told_apart(models))
        bars = tuple(barred(model.training, truth.coin, truth.as_of) for model in named)
        readings = [is_reading(truth, one) or looks_read(truth, crowd, one, within_pct) for one in named]
        ranges = range_results(truth, crowd, named, bars, baselines, readings)
        own = tuple(Alone.of(ranges, at, within_pct, reading=reading) for at, reading in enumerate(readings))
        aside = set_aside(own)
        return cls(truth, crowd, named, baselines, within_pct, bars, ranges, own, aside, reached)

    @property
    def ranked(self) -> list[int]:
        """Places of the maps that are ranked among one another; of all, where every one is a reading."""
        return [at for at, why in enumerate(self.aside) if why is None] or [*range(len(self.models))]


@dataclass(frozen=True)
class Common:
    """The maps cut to what those that are ranked cover, and how they score there."""

    maps: Maps
    tolerance_pct: float
    truth: Heatmap
    parts: tuple[Heatmap, ...]
    crowd: Heatmap | None
    far_apart: Notes
    range_pct: float
    null: Heatmap
    null_scores: Scores
    grains: tuple[Granularity, ...]
    layers: tuple[LayerResult, ...]

    @classmethod
    def of(cls, maps: Maps, tolerance_pct: float) -> "Common":
        among = [maps.models[at] for at in maps.ranked]
        truth, parts, crowd, far_apart = lined_up(maps.truth, maps.models, maps.crowd, among)
        range_pct = min(
            common_range_pct(truth, *among, within_pct=maps.within_pct),
            common_reach(truth, *among).farthest_pct,
        )
        ranked = [at for at, why in enumerate(maps.aside) if why is None]
        found = (
            ()
            if crowd is None
            else layer_results(
                truth,
                crowd,
                [parts[at] for at in ranked],
                range_pct,
                [maps.bars[at] for at in ranked],
                maps.baselines,
            )
        )
        layers = tuple(with_those_aside(one, maps.aside, maps.ranges, maps.within_pct) for one in found)
        null = null_of(truth)
        return cls(
            maps,
            tolerance_pct,
            truth,
            parts,
            crowd,
            far_apart,
            range_pct,
            null,
            score(truth, null, range_pct),
            granularity(truth, range_pct),
            layers,
        )

    @property
    def speaking(self) -> str | None:
        """The layer that conclusions on models are drawn from: the whole truth, else its crowd, else none. A truth that
        is no reading of positions has no gate: its scores are how alike the maps are."""
        if passes(self.grains) or not self.grains:
            return RAW
        return next((layer.layer for layer in self.layers if layer.layer == CROWD and layer.enough), None)

    @property
    def judged_by(self) -> Heatmap:
        return self.crowd if self.speaking == CROWD and self.crowd is not None else self.truth

    @property
    def of_layer(self) -> str:
        """Whose positions the gate is applied to: of the best layer there is where none may speak."""
        return RAW if self.speaking == RAW or not self.layers else CROWD

    @property
    def _layer(self) -> LayerResult | None:
        return next((one for one in self.layers if one.layer == self.of_layer), None)

    @cached_property
    def known(self) -> bool:
        """Whether all of the layer was read, so that nothing can turn what is said of baselines."""
        return all(share == 0 for share in unread_shares(self.judged_by, self.range_pct))

    def positions(self, conclusion: Conclusion) -> tuple[Granularity, ...]:
        """Those that the answer rests on: none in particular where it is about readings of the same positions."""
        if conclusion.code == "readings":
            return ()
        return self.grains if self._layer is None else self._layer.granularity

    def concluded(self) -> tuple[Conclusion, list[Scored]]:
        """The answer, and every map as it is scored for it."""
        scored = self._scored()
        among = [one for one in scored if one.aside is None]
        layer = self._layer
        found = concluded(
            self.speaking,
            among,
            (self.null_scores if layer is None else layer.null_scores).wasserstein_pct,
            mean_floor_pct(self.grains) if layer is None else layer.noise_floor_pct,
            self.grains if layer is None else layer.granularity,
            self.of_layer,
        )
        told = rivals(self.speaking, self.baselines, self.layers, found.off_pct) if self.known else ()
        found = replace(found, range_pct=self.range_pct, baselines=told)
        readings = [one for one in scored if one.aside == "reading"]
        return with_readings(found, readings, alone=not among), scored

    def _scored(self) -> list[Scored]:
        """Each map that is ranked on the layer that speaks, the others on their own."""
        layer = self._layer
        null = self.null_scores if layer is None else layer.null_scores
        chances = iter(self._chances())
        found = []
        for at, (part, bar, aside) in enumerate(
            zip(self.parts, self.maps.bars, self.maps.aside, strict=True)
        ):
            own = self.maps.own[at]
            if aside is not None:
                found.append(own.scored(aside, bar))
                continue
            row = None if layer is None else layer.models[at]
            scores = score(self.truth, part, self.range_pct) if row is None else row.scores
            gained = skill(scores.wasserstein_pct, null.wasserstein_pct)
            found.append(
                Scored(
                    part.label,
                    scores.wasserstein_pct,
                    gained,
                    _why(scores, null),
                    widest_gaps(self.truth, part, self.range_pct) if row is None else row.gaps,
                    bar,
                    next(chances),
                    turned_at(self.judged_by, part, null_of(self.judged_by), self.range_pct, gained),
                )
            )
        return found

    def _chances(self) -> list[float | None]:
        """Of those that are ranked among one another; those that are not barred are corrected for one another, since
        the best of several is nearer by luck more often."""
        places = [at for at, why in enumerate(self.maps.aside) if why is None]
        free = [self.parts[at] for at in places if self.maps.bars[at] is None]
        if self.speaking is None:
            return [None] * len(places)
        found = iter(chances_of(self.judged_by, free, self.range_pct))
        return [next(found) if self.maps.bars[at] is None else None for at in places]

    @cached_property
    def baselines(self) -> tuple[BaselineResult, ...]:
        among = [self.maps.models[at] for at in self.maps.ranked]
        scores = scored_baselines(self.truth, among, self.maps.baselines, self.range_pct)
        ranked = self.speaking == RAW and self.known
        return baseline_results(scores, self.null_scores, ranked=ranked)

    def as_told(self, layer: LayerResult, scored: Sequence[Scored]) -> LayerResult:
        """Without a word on maps whose standing the unread part of the truth could turn."""
        return replace(
            layer,
            models=tuple(
                replace(row, ranked=row.ranked and one.turned_at is None)
                for row, one in zip(layer.models, scored, strict=True)
            ),
            baselines=tuple(replace(row, ranked=row.ranked and self.known) for row in layer.baselines),
        )

    def judge(self, layer: str | None) -> Judge:
        """Who judges a map of this layer; where none may, the whole truth, which then says nothing."""
        whole, part = self.maps.truth, self.truth
        if layer == CROWD and self.maps.crowd is not None and self.crowd is not None:
            whole, part = self.maps.crowd, self.crowd
        return Judge(layer or RAW, self.maps.truth, whole, part, self.range_pct, self.tolerance_pct)

    def judged(self, scored: Sequence[Scored]) -> tuple[ModelResult, ...]:
        """Every map with its verdict, its clusters and its diagnosis."""
        judges = {layer: self.judge(layer) for layer in (RAW, CROWD, None)}
        others = Others.of(self.maps.truth, self.maps.models, self.maps.baselines, self.maps.reached)
        found = []
        for at, (model, part, own) in enumerate(
            zip(self.maps.models, self.parts, self.maps.own, strict=True)
        ):
            result = judges[own.layer].judged(model, part, self._result(at), scored[at], own)
            found.append(others.beside(result, model, own, judges[own.layer].whole))
        return tuple(found)

    def _result(self, at: int) -> ModelResult:
        """The map's scores against the whole truth; its verdict, its clusters and its diagnosis are the judge's."""
        model, part, bar, aside = (
            self.maps.models[at], self.parts[at], self.maps.bars[at], self.maps.aside[at],
        )  # fmt: skip
        own, truth, range_pct, null_scores = part, self.truth, self.range_pct, self.null_scores
        if aside is not None:
            own, truth, range_pct = pair(self.maps.truth, model, self.maps.within_pct)
            null_scores = score(truth, null_of(truth), range_pct)
        scores = score(truth, own, range_pct)
        ranked = aside == "reading" or (aside is None and self.speaking == RAW and bar is None)
        return ModelResult(
            summary=summarise(part, self.truth.mark_px, self.range_pct, model),
            scores=scores,
            skill=skill(scores.wasserstein_pct, null_scores.wasserstein_pct),
            verdict="",
            judged=judge(scores, null_scores, ranked=ranked),
            gaps=widest_gaps(truth, own, range_pct),
            matches=(),
            recall=(),
            ranked=ranked,
            barred=bar,
            aside=aside,
        )


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


def _why(scores: Scores, null: Scores) -> str | None:
    """Why a model has no skill; null where it may have one."""
    if scores.wasserstein_pct is None or null.wasserstein_pct is None:
        return scores.mean.undefined or null.mean.undefined
    return (
        "the truth looks just like the map that knows only the mark"
        if null.wasserstein_pct <= PERFECT
        else None
    )
