"""A divergence as data: what each map places where, how far models are from the truth, and each score beside the
no-information baseline's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from liqtruth.compare.conclusion.ranking import Placed
from liqtruth.compare.conclusion.records import RAW, Conclusion
from liqtruth.compare.conclusion.sentences import against, sentences
from liqtruth.compare.divergence.records import (
    Band,
    BaselineResult,
    LayerResult,
    LayerScore,
    MapSummary,
    ModelResult,
    RangeResult,
    RangeScore,
)
from liqtruth.compare.matching.consensus import ClusterRow
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.compare.statistics.effective_sample_size import Granularity
from liqtruth.compare.statistics.scores import (
    Gap,
    Scores,
    gap_sentence,
)
from liqtruth.heatmap.clusters.facts import Surroundings
from liqtruth.heatmap.words.notes import Notes, texts

SCHEMA: Final = "liqtruth.divergence/1"
SAME_RANGE_PCT: Final = 0.05
"""Ranges so near to one another are one."""
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
class Divergence:
    """Everything a report states. Scores and bands are within `range_pct` of each map's own mark, that is within
    `asked_pct` as far as all maps reach; `ranges` has each map's scores within 10, 25 and 50 %. `caveats` must stand
    beside the verdict.

    `layers` are the same models against the whole truth and against its crowd; none where the truth's positions are
    not at hand. `verdict` is `conclusion` in words. `baselines` are maps that anyone has for free, beside the models.
    `clusters` are those of all maps, each once, `markets` what is stored of the maps' venues. `ranking` has every map
    within `range_pct`, the nearest first; empty where no layer may speak.

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
    caveats: Notes
    range_pct: float
    tolerance_pct: float
    truth: MapSummary
    granularity: tuple[Granularity, ...]
    noise_floor_pct: float | None
    null_model: str
    null_scores: Scores
    models: tuple[ModelResult, ...]
    bands: tuple[Band, ...]
    remarks: Notes
    layers: tuple[LayerResult, ...] = ()
    conclusion: Conclusion | None = None
    baselines: tuple[BaselineResult, ...] = ()
    clusters: tuple[ClusterRow, ...] = ()
    markets: tuple[Surroundings, ...] = ()
    asked_pct: float = HEADLINE_PCT
    ranges: tuple[RangeResult, ...] = ()
    ranking: tuple[Placed, ...] = ()

    @property
    def layer(self) -> str | None:
        """The layer that speaks; null where none may."""
        return None if self.conclusion is None else self.conclusion.layer

    @property
    def judge(self) -> str:
        """Label of the truth where a layer of it may judge how others stand to it; empty where none may."""
        return self.truth.label if self.layer and any(one.clusters_of for one in self.models) else ""

    @property
    def shown_ranges(self) -> list[RangeResult]:
        """Each map on the layer that speaks (the whole truth where none may) within 10, 25 and 50 %, and within the
        range of the answer where that is another, since a map covers less."""
        rows = [one for one in self.ranges if one.layer == (self.layer or RAW)]
        if rows and not any(self.is_answers(one) for one in rows):
            rows.append(self._answers)
        return sorted(rows, key=lambda one: one.range_pct)

    def is_answers(self, one: RangeResult) -> bool:
        """Whether it is of the range that the answer is of."""
        return abs(one.range_pct - self.range_pct) < SAME_RANGE_PCT

    @property
    def _answers(self) -> RangeResult:
        """All maps within the range that they have in common, where they are ranked."""
        layer = next((one for one in self.layers if one.layer == (self.layer or RAW)), None)
        null = self.null_scores if layer is None else layer.null_scores
        enough = layer is None or layer.enough
        models: Sequence[LayerScore | ModelResult] = self.models if layer is None else layer.models
        free: Sequence[LayerScore | BaselineResult] = self.baselines if layer is None else layer.baselines
        labels = [one.summary.label for one in self.models], [one.label for one in self.baselines]
        of_models, of_baselines = (
            tuple(
                RangeScore(
                    label,
                    getattr(one, "reach_pct", None) or self.range_pct,
                    one.scores,
                    null.wasserstein_pct,
                    one.skill,
                    enough,
                    one.ranked,
                    _gaps(one),
                )
                for label, one in zip(names, found, strict=True)
            )
            for names, found in zip(labels, (models, free), strict=True)
        )
        floor_pct = self.noise_floor_pct if layer is None else layer.noise_floor_pct
        return RangeResult(
            self.range_pct,
            self.layer or RAW,
            enough,
            floor_pct,
            null.wasserstein_pct,
            of_models,
            of_baselines,
        )

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        return self.verdict if self.conclusion is None else sentences(self.conclusion)[0]

    @property
    def beside(self) -> str:
        """How baselines stand to it, and where the gap is widest; empty where nothing is to be said."""
        return "" if self.conclusion is None else " ".join(sentences(self.conclusion)[1:])

    @property
    def of_maps(self) -> list[str]:
        """Where several maps are compared, each in one line, the nearest first; a map that was given as a file with
        what its gap to the truth is, since whoever asks of a map wants to be told of it."""
        return [self._of_map(one) for one in self._in_lines]

    @property
    def of_first_given(self) -> str:
        """The line of the first map that was given as a file, where the headline is about another; else empty."""
        label = next((one.summary.label for one in self.models if one.summary.source == "imported"), None)
        if label is None or self.conclusion is None or label == self.conclusion.label:
            return ""
        return next((self._of_map(one) for one in self._in_lines if one.label == label), "")

    @property
    def _in_lines(self) -> list[Placed]:
        told_already = {one.label for one in self.conclusion.readings} if self.conclusion else set()
        return [one for one in self.ranking if one.label not in told_already] if len(self.ranking) > 1 else []

    def _of_map(self, one: Placed) -> str:
        assert self.conclusion is not None
        given = {model.summary.label for model in self.models if model.summary.source == "imported"}
        if one.label not in given - {self.conclusion.label} or one.says in ("cannot_be_told", "too_few"):
            return one.text
        gaps = next(found.gaps for found in self._answers.models if found.label == one.label)
        return f"{one.text}. {gap_sentence(gaps, one.label, against(self.conclusion.layer))}".rstrip(". ")

    @property
    def caveat(self) -> str:
        """The caveats in words."""
        return " ".join(texts(self.caveats))

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


def _gaps(one: LayerScore | ModelResult | BaselineResult) -> tuple[Gap, ...]:
    return () if isinstance(one, BaselineResult) else one.gaps


def range_cell(within: RangeResult, one: RangeScore) -> str:
    """W1, and how far it reaches, in percent of the mark, where that is less than the range: `1.99 % (to 7.6)`."""
    off_pct = one.scores.wasserstein_pct
    if off_pct is None:
        return "-"
    short = one.reach_pct < within.range_pct - 1e-6
    return f"{off_pct:.2f} %{f' (to {one.reach_pct:.2g})' if short else ''}"


def undefined_reasons(divergence: Divergence) -> list[str]:
    """Why scores of any model are undefined, each reason once."""
    found = [
        f"{result.summary.label}: {row.undefined}"
        for result in divergence.models
        for row in result.judged
        if row.undefined
    ]
    return list(dict.fromkeys(found))
