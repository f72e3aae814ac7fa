"""Models against each layer of the truth, and within each range: where all maps are ranked, and each map on its own.

Maps are ranked on what all of them cover, so that none gains by what it leaves out. A score within a range needs no
other map than its own and the truth: no narrow map cuts the others there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from liqtruth.compare.conclusion.conclusion import passes
from liqtruth.compare.conclusion.records import CROWD, RAW, Aside, Barred
from liqtruth.compare.divergence.baselines import layer_scores, null_of, scored_baselines
from liqtruth.compare.divergence.records import LayerResult, LayerScore, RangeResult, RangeScore
from liqtruth.compare.imported.overlap import pair
from liqtruth.compare.statistics.distances import RANGES_PCT, once_per_map
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, Granularity, granularity, mean_floor_pct
from liqtruth.compare.statistics.scores import Scores, score, skill, widest_gaps
from liqtruth.compare.statistics.unread import turned_at
from liqtruth.heatmap.heatmap import Heatmap


def layer_results(
    raw: Heatmap,
    crowd: Heatmap,
    models: Sequence[Heatmap],
    range_pct: float,
    bars: Sequence[Barred | None] = (),
    baselines: Sequence[Heatmap] = (),
) -> tuple[LayerResult, ...]:
    """The whole map's scores, then the crowd's; both are exact maps of the same reading. `bars` are per model why it is
    not ranked; by default all are."""
    all_bars = bars or [None] * len(models)
    return tuple(
        layer_result(name, truth, models, range_pct, all_bars, baselines)
        for name, truth in ((RAW, raw), (CROWD, crowd))
    )


def layer_result(
    name: str,
    truth: Heatmap,
    models: Sequence[Heatmap],
    range_pct: float,
    bars: Sequence[Barred | None],
    baselines: Sequence[Heatmap] = (),
) -> LayerResult:
    """All models against one truth."""
    grains = granularity(truth, range_pct)
    null = score(truth, null_of(truth), range_pct)
    enough = passes(grains)
    return LayerResult(
        layer=name,
        granularity=grains,
        noise_floor_pct=mean_floor_pct(grains),
        enough=enough,
        says=gate_text(name, grains, enough),
        null_scores=null,
        models=tuple(
            _scored(truth, model, range_pct, null, ranked=enough and bar is None)
            for model, bar in zip(models, bars, strict=True)
        ),
        baselines=layer_scores(scored_baselines(truth, models, baselines, range_pct), null, ranked=enough),
    )


def with_those_aside(
    layer: LayerResult, aside: Sequence[Aside | None], ranges: Sequence[RangeResult], within_pct: float
) -> LayerResult:
    """The layer with the maps that are not ranked among the others in their places: each as far as it reaches itself, a
    reading of the same positions against the whole truth in either layer."""
    own = next(one for one in ranges if (one.layer, one.range_pct) == (layer.layer, within_pct))
    ranked = iter(layer.models)
    rows = (
        next(ranked)
        if why is None
        else LayerScore(one.label, one.scores, one.skill, why == "reading", one.gaps, one.reach_pct)
        for why, one in zip(aside, own.models, strict=True)
    )
    return replace(layer, models=tuple(rows))


def _scored(truth: Heatmap, model: Heatmap, range_pct: float, null: Scores, *, ranked: bool) -> LayerScore:
    found = score(truth, model, range_pct)
    gained = skill(found.wasserstein_pct, null.wasserstein_pct)
    return LayerScore(model.label, found, gained, ranked, widest_gaps(truth, model, range_pct))


def gate_text(name: str, grains: Sequence[Granularity], enough: bool) -> str:
    """Whether the layer passes the gate of claims about shape."""
    numbers = " and ".join(f"{side.effective_least:.0f} {side.side}s" for side in grains)
    if enough:
        return f"{name}: enough positions for claims about shape (effective {numbers}; {ENOUGH:.0f} a side are needed)"
    return (
        f"{name}: too few positions for any claim about shape (effective {numbers}; {ENOUGH:.0f} a side are needed): "
        "scores here rank no model"
    )


def range_results(
    truth: Heatmap,
    crowd: Heatmap | None,
    models: Sequence[Heatmap],
    bars: Sequence[Barred | None],
    baselines: Sequence[Heatmap] = (),
    readings: Sequence[bool] = (),
) -> tuple[RangeResult, ...]:
    """Every map within each of `RANGES_PCT`, first against the whole truth, then against its crowd; those that are
    `readings` of the same positions against the whole truth both times. The maps are not cut to one another: a score
    reaches as far as its map and the truth do."""
    layers = [(RAW, truth), *([] if crowd is None else [(CROWD, crowd)])]
    return tuple(
        _range_result(name, wanted, truth, models, bars, readings or [False] * len(models), baselines, pct)
        for name, wanted in layers
        for pct in RANGES_PCT
    )


@dataclass(frozen=True)
class _Ground:
    """What a score of any map rests on: the truth within a range, and how a map that knows only the mark does there."""

    truth: Heatmap
    reach_pct: float
    null_pct: float | None
    floor_pct: float | None
    enough: bool

    def under(self, model: Heatmap) -> tuple["_Ground", Heatmap]:
        """As far as the map reaches, and the map cut to that."""
        own, truth, reach_pct = pair(self.truth, model, self.reach_pct)
        same = truth is self.truth and reach_pct == self.reach_pct
        return self if same else _ground(truth, reach_pct), own

    def scored(self, model: Heatmap, bar: Barred | None = None, *, reading: bool = False) -> RangeScore:
        ground, own = self.under(model)
        found = score(ground.truth, own, ground.reach_pct)
        gained = skill(found.wasserstein_pct, ground.null_pct)
        null = null_of(ground.truth)
        turned = turned_at(ground.truth, own, null, ground.reach_pct, gained)
        return RangeScore(
            label=model.label,
            reach_pct=ground.reach_pct,
            scores=found,
            null_pct=ground.null_pct,
            skill=gained,
            enough=ground.enough or reading,
            ranked=reading or (ground.enough and bar is None and turned is None),
            gaps=widest_gaps(ground.truth, own, ground.reach_pct),
            noise_floor_pct=ground.floor_pct,
            turned_at=turned,
        )


def _ground(truth: Heatmap, reach_pct: float) -> _Ground:
    return _Ground(truth, reach_pct, *_null_and_floor(truth, reach_pct))


@once_per_map
def _null_and_floor(truth: Heatmap, reach_pct: float) -> tuple[float | None, float | None, bool]:
    """W1 of the map that knows only the mark, the noise floor, and whether there are enough positions."""
    grains = granularity(truth, reach_pct)
    null_pct = score(truth, null_of(truth), reach_pct).wasserstein_pct
    return null_pct, mean_floor_pct(grains), not grains or passes(grains)


def _range_result(
    layer: str,
    wanted: Heatmap,
    truth: Heatmap,
    models: Sequence[Heatmap],
    bars: Sequence[Barred | None],
    readings: Sequence[bool],
    baselines: Sequence[Heatmap],
    range_pct: float,
) -> RangeResult:
    ground, whole = _ground(wanted, range_pct), _ground(truth, range_pct)
    return RangeResult(
        range_pct=range_pct,
        layer=layer,
        enough=ground.enough,
        noise_floor_pct=ground.floor_pct,
        null_pct=ground.null_pct,
        models=tuple(
            whole.scored(model, reading=True) if reading else ground.scored(model, bar)
            for model, bar, reading in zip(models, bars, readings, strict=True)
        ),
        baselines=tuple(ground.scored(baseline) for baseline in baselines),
    )
