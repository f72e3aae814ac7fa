"""Two or more maps to a divergence: what each places where, how far models are from the truth, and beside what null.

Nothing here reads a clock, a file or a host: the same maps give the same divergence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Final

import polars as pl

from liqtruth.compare.conclusion import (
    CROWD,
    RAW,
    Barred,
    Conclusion,
    Scored,
    barred,
    concluded,
    in_words,
    passes,
    standing_said,
)
from liqtruth.compare.divergence.caveats import fit_remarks, headline_caveat, remarks
from liqtruth.compare.divergence.layers import LayerResult, layer_results
from liqtruth.compare.divergence.matching import (
    ClusterMatch,
    Recall,
    in_range,
    match_clusters,
    recall_clusters,
)
from liqtruth.compare.divergence.no_information import SAYS, null_of
from liqtruth.compare.errors import NothingToCompare
from liqtruth.compare.statistics.distances import (
    band_bounds_pct,
    band_mass_usd,
    common_range_pct,
    side_curve,
)
from liqtruth.compare.statistics.effective_sample_size import Granularity, granularity, mean_floor_pct
from liqtruth.compare.statistics.scores import Scores, score, share_above
from liqtruth.compare.statistics.skill import PERFECT, Gap, Judged, judge, skill, widest_gaps
from liqtruth.heatmap.distribution import Cluster, find_clusters, nearest_mass_pct
from liqtruth.heatmap.drawing.view import data_moment
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import SIDES, Sides
from liqtruth.heatmap.notes import Notes

SCHEMA: Final = "liqtruth.divergence/1"
CLUSTERS_KEPT: Final = 10
FRAME: Final[Mapping[str, pl.DataType]] = {
    "model": pl.String(),
    "score": pl.String(),
    "side": pl.String(),
    "value": pl.Float64(),
    "null_value": pl.Float64(),
    "skill": pl.Float64(),
    "ranked": pl.Boolean(),
}
"""Columns of `Divergence.frame`."""


@dataclass(frozen=True)
class MapSummary:
    """What a map is, how much it has seen, and where its mass lies; USD at its own mark. `data_moment` is when what it
    rests on was taken, `only` what a filtered map was filtered by."""

    label: str
    coin: str
    venue: str
    source: str
    as_of: datetime
    mark_px: float
    basis_bps: float
    in_grid_usd: Sides
    beyond_usd: Sides
    never_usd: Sides
    coverage: Coverage
    coverage_share: Sides | None
    share_above: float | None
    nearest_pct: tuple[float | None, float | None]
    clusters: tuple[Cluster, ...]
    assumptions: Notes
    data_moment: datetime | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Band:
    """One side's mass in one distance band; shares are null where a map has nothing on the side."""

    side: str
    low_pct: float
    high_pct: float
    truth_usd: float
    truth_share: float | None
    null_share: float | None
    model_shares: tuple[float | None, ...]


@dataclass(frozen=True)
class ModelResult:
    """One model against the whole truth; `skill` is that of the mean Wasserstein-1 of both sides. Only where `ranked`
    does any of it rank the model: the whole truth has enough positions, and nothing bars the model's fit. `verdict` is
    of the layer that speaks."""

    summary: MapSummary
    scores: Scores
    skill: float | None
    verdict: str
    judged: tuple[Judged, ...]
    gaps: tuple[Gap, ...]
    matches: tuple[ClusterMatch, ...]
    recall: tuple[Recall, ...]
    ranked: bool = True
    barred: Barred | None = None


@dataclass(frozen=True)
class Divergence:
    """Everything a report says. Scores and bands are within `range_pct` of each map's own mark.

    `layers` are the same models against the whole truth and against its crowd; none where the truth's positions are
    not at hand. `verdict` is `conclusion` in words.

    Examples
    --------
    >>> found = lt.compare(truth, model).divergence
    >>> found.coin, found.synthetic, found.null_scores.wasserstein_pct > 0
    ('BTC', True, True)
    """

    schema: str
    coin: str
    as_of: datetime
    synthetic: bool
    verdict: str
    caveat: str
    range_pct: float
    tolerance_pct: float
    truth: MapSummary
    granularity: tuple[Granularity, ...]
    noise_floor_pct: float | None
    null_model: str
    null_scores: Scores
    models: tuple[ModelResult, ...]
    bands: tuple[Band, ...]
    remarks: tuple[str, ...]
    layers: tuple[LayerResult, ...] = ()
    conclusion: Conclusion | None = None

    def frame(self) -> pl.DataFrame:
        """Every score of every model beside that of the map that knows only the mark.

        Returns
        -------
        polars.DataFrame
            `model`, `score` (`wasserstein_pct` is in percent of price), `side` (`mean` of both, `both` on one axis),
            `value`, `null_value`, `skill` (1 perfect, 0 no better than the null), `ranked` (whether it may rank the
            model).

        Examples
        --------
        >>> found = lt.compare(truth, model)
        >>> found.divergence.frame().columns
        ['model', 'score', 'side', 'value', 'null_value', 'skill', 'ranked']
        """
        rows = [
            (result.summary.label, row.score, row.side, row.model, row.null, row.skill, row.ranked)
            for result in self.models
            for row in result.judged
        ]
        return pl.DataFrame(rows, schema=FRAME, orient="row")


def compare_maps(
    truth: Heatmap,
    models: Sequence[Heatmap],
    tolerance_pct: float = 1.0,
    *,
    crowd: Heatmap | None = None,
    said: Sequence[str] = (),
) -> Divergence:
    """Measure every model against the truth and against the null map; clusters match within `tolerance_pct`.

    Any map may be the truth; `crowd` is its crowd's part, `said` are remarks beside those of the maps. Raises
    `NothingToCompare` without models or with a tolerance that is no distance.
    """
    if not models:
        raise NothingToCompare("no model to compare with the truth; name at least one, e.g. binance:tiers")
    if not 0 < tolerance_pct <= 50:
        raise NothingToCompare(f"tolerance {tolerance_pct!r} % is not above 0 and up to 50 % of price")
    range_pct = common_range_pct(truth, *models)
    null = null_of(truth)
    null_scores = score(truth, null, range_pct)
    grains = granularity(truth, range_pct)
    bars = [barred(model.training, truth.coin, truth.as_of) for model in models]
    layers = () if crowd is None else layer_results(truth, crowd, models, range_pct, bars)
    speaking = _speaking(grains, layers)
    results = tuple(
        _result(truth, model, null_scores, tolerance_pct, range_pct, bar, speaks=speaking == RAW)
        for model, bar in zip(models, bars, strict=True)
    )
    scored, null_pct, floor_pct, held = _on_layer(speaking, results, layers, null_scores, grains)
    of_layer = RAW if speaking == RAW or not layers else CROWD
    conclusion = concluded(speaking, scored, null_pct, floor_pct, held, of_layer)
    return Divergence(
        schema=SCHEMA,
        coin=truth.coin,
        as_of=truth.as_of,
        synthetic=any(heatmap.synthetic for heatmap in (truth, *models)),
        verdict=in_words(conclusion),
        caveat=headline_caveat(truth, held, range_pct),
        range_pct=range_pct,
        tolerance_pct=tolerance_pct,
        truth=summarise(truth, truth.mark_px, range_pct),
        granularity=grains,
        noise_floor_pct=mean_floor_pct(grains),
        null_model=SAYS,
        null_scores=null_scores,
        models=tuple(
            replace(result, verdict=standing_said(speaking, one, null_pct))
            for result, one in zip(results, scored, strict=True)
        ),
        bands=_bands(truth, null, models, range_pct),
        remarks=(*remarks(truth, models, grains, range_pct), *fit_remarks(scored), *said),
        layers=layers,
        conclusion=conclusion,
    )


def _speaking(grains: Sequence[Granularity], layers: Sequence[LayerResult]) -> str | None:
    """The layer that conclusions are drawn from: the whole truth, else its crowd, else none. A truth that is no reading
    of positions has no gate: what is told of it is how alike the maps are."""
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


def summarise(heatmap: Heatmap, truth_mark_px: float, range_pct: float) -> MapSummary:
    """The figures of one map; `basis_bps` is its mark over the truth's."""
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
        clusters=tuple(in_range(find_clusters(heatmap), range_pct)[:CLUSTERS_KEPT]),
        assumptions=heatmap.assumptions,
        data_moment=data_moment(heatmap),
        only=heatmap.only,
    )


def undefined_reasons(divergence: Divergence) -> list[str]:
    """Why scores of any model are undefined, each reason once."""
    found = [
        f"{result.summary.label}: {row.undefined}"
        for result in divergence.models
        for row in result.judged
        if row.undefined
    ]
    return list(dict.fromkeys(found))


def _result(
    truth: Heatmap,
    model: Heatmap,
    null_scores: Scores,
    tolerance_pct: float,
    range_pct: float,
    bar: Barred | None,
    *,
    speaks: bool,
) -> ModelResult:
    scores = score(truth, model, range_pct)
    wanted, offered = find_clusters(truth), find_clusters(model)
    ranked = speaks and bar is None
    return ModelResult(
        summary=summarise(model, truth.mark_px, range_pct),
        scores=scores,
        skill=skill(scores.wasserstein_pct, null_scores.wasserstein_pct),
        verdict="",
        judged=judge(scores, null_scores, ranked=ranked),
        gaps=widest_gaps(truth, model, range_pct),
        matches=tuple(match_clusters(wanted, offered, tolerance_pct, range_pct)),
        recall=tuple(recall_clusters(wanted, offered, tolerance_pct, range_pct)),
        ranked=ranked,
        barred=bar,
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
