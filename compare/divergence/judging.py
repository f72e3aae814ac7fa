"""Each map judged on its own: by which layer of the truth, as far as it and the truth reach, and beside which others.

A map is judged by the whole truth where that rests on enough positions within what both cover, else by its crowd. One
that reaches too few of them is judged by nothing and takes no positions from the others: it is set aside when maps are
ranked. So is a reading of the same positions: it is held against the whole truth, whales included, and needs no
number of them, since another draw of traders is no question there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from liqtruth.compare.conclusion.records import CROWD, RAW, Aside, Barred, Scored
from liqtruth.compare.conclusion.sentences import standing_text
from liqtruth.compare.diagnosis.diagnosis import UNTOLD, diagnose
from liqtruth.compare.divergence.baselines import null_of
from liqtruth.compare.divergence.records import ModelResult, RangeResult, RangeScore
from liqtruth.compare.imported.overlap import common_reach, cut, pair
from liqtruth.compare.matching.assignment import ClusterPair, assign_clusters, unjudged
from liqtruth.compare.matching.matching import clusters_of, match_clusters, recall_clusters
from liqtruth.compare.statistics.scores import ALIKE, chances_of, score, skill, unranked
from liqtruth.compare.statistics.unread import turned_at
from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Heatmap
from liqtruth.heatmap.words.notes import Notes, note, of_codes, without_codes

CLUSTERS_KEPT: Final = 10
LAYER_NOTES: Final = frozenset({"only_crowd", "only_whales"})
"""Codes of the assumptions of maps of one layer."""


Paired = tuple[Heatmap, Heatmap, float]
"""Model and truth cut to what both cover, and how far that reaches."""

# ------------------------------------------------------------------------------------- readings


def is_reading(truth: Heatmap, model: Heatmap) -> bool:
    """Whether both are readings of the positions of one market, whole."""
    return (
        truth.source == model.source == "exact"
        and (truth.coin, truth.venue) == (model.coin, model.venue)
        and not any(one.only or of_codes(one.assumptions, LAYER_NOTES) for one in (truth, model))
    )


def looks_read(truth: Heatmap, crowd: Heatmap | None, model: Heatmap, within_pct: float) -> bool:
    """Whether a file that does not say so has the very positions: it is all but the whole truth, and much nearer to
    that than to its crowd, which no model is."""
    if crowd is None or model.source != "imported" or model.venue not in (truth.venue, UNKNOWN_VENUE):
        return False
    own, whole, reach_pct = pair(truth, model, within_pct)
    off, null, beside = (
        score(wanted, one, reach_pct).wasserstein_pct
        for wanted, one in (
            (whole, own),
            (whole, null_of(whole)),
            (cut(crowd, common_reach(truth, model)), own),
        )
    )
    gained = skill(off, null)
    return gained is not None and gained >= ALIKE and off is not None and off <= (beside or 0.0) / 2


def read_remarks(truth: Heatmap, models: Sequence[Heatmap], readings: Sequence[bool]) -> Notes:
    """Which maps are taken for readings, and that some of them do not say so."""
    return tuple(
        note("held_against_whole" if is_reading(truth, one) else "looks_read").of(one.label)
        for one, read in zip(models, readings, strict=True)
        if read
    )


# ------------------------------------------------------------------------------- what may judge


@dataclass(frozen=True)
class Alone:
    """A map by itself: the layer that may judge it, null where none may, and its scores there."""

    layer: str | None
    scores: RangeScore
    reading: bool

    @classmethod
    def of(cls, ranges: Sequence[RangeResult], at: int, within_pct: float, *, reading: bool) -> "Alone":
        """The map `at` among those of the results."""
        rows = {one.layer: one.models[at] for one in ranges if one.range_pct == within_pct}
        layer = RAW if reading else next((name for name, one in rows.items() if one.enough), None)
        return cls(layer, rows.get(layer or CROWD, rows[RAW]), reading)

    def scored(self, aside: Aside, bar: Barred | None) -> Scored:
        """As a conclusion takes it, where it is not ranked among others."""
        own = self.scores
        read = self.reading and (own.skill or 0.0) >= ALIKE
        return Scored(
            own.label,
            own.scores.wasserstein_pct,
            own.skill,
            own.scores.mean.undefined,
            own.gaps,
            bar,
            turned_at=None if read else own.turned_at,
            aside=aside,
            null_pct=own.null_pct,
            reach_pct=own.reach_pct,
        )


def set_aside(own: Sequence[Alone]) -> tuple[Aside | None, ...]:
    """Why each map is not ranked among the others; null for those that are. Where none of them may be judged, all are
    shown beside one another.

    Those that are left rest on enough positions together too: on each side the least of them decides, which has enough.
    """
    some = any(one.layer and not one.reading for one in own)
    return tuple("reading" if one.reading else "too_few" if some and not one.layer else None for one in own)


# --------------------------------------------------------------------------------------- judging


@dataclass(frozen=True)
class Judge:
    """A layer that maps are judged by: it as it is and cut to what those that are ranked cover."""

    layer: str
    truth: Heatmap
    whole: Heatmap
    part: Heatmap
    range_pct: float
    tolerance_pct: float

    @cached_property
    def wanted(self) -> list[Cluster]:
        return clusters_of(self.whole, self.part)

    def judged(
        self, model: Heatmap, part: Heatmap, result: ModelResult, scored: Scored, alone: Alone
    ) -> ModelResult:
        """The model with its clusters beside the layer's where that may judge them, and with its verdict and its
        diagnosis as far as it and the truth reach."""
        own, layer = alone.scores, alone.layer
        offered, about = clusters_of(model, part), (self.tolerance_pct, self.range_pct)
        matches = match_clusters(self.wanted, offered, *about)
        pairs = _pairs(self.wanted, offered, *about)
        paired = pair(self.whole, model, alone.scores.reach_pct)
        one = self._on_its_own(model, scored, alone, paired)
        known = result.barred is None and one.turned_at is None and scored.turned_at is None
        judge_of = layer if known else None
        silent = layer is None or result.barred is not None
        found = () if silent else self._diagnosed(model, alone, paired, told=known)
        return replace(
            result,
            ranked=result.ranked and one.turned_at is None,
            judged=result.judged if one.turned_at is None else unranked(result.judged),
            verdict=standing_text(layer, one, own.null_pct, own.reach_pct),
            diagnosis=without_codes(found, UNTOLD),
            untold=of_codes(found, UNTOLD),
            by_chance=one.lucky,
            turned_at=one.turned_at,
            clusters_of=judge_of,
            matches=tuple(matches if judge_of else (match.unjudged for match in matches)),
            pairs=pairs if judge_of else unjudged(pairs),
            recall=tuple(recall_clusters(self.wanted, offered, *about)) if judge_of else (),
        )

    def _on_its_own(self, model: Heatmap, scored: Scored, alone: Alone, paired: Paired) -> Scored:
        """As far as the map itself reaches: no nearer than by chance where it is not there, or not among the others."""
        if scored.aside:
            return scored
        own, chance = alone.scores, scored.chance
        part, truth, reach_pct = paired
        if alone.layer and chance is not None and own.reach_pct > self.range_pct:
            chance = max(chance, chances_of(truth, [part], reach_pct)[0] or 0.0)
        turned = turned_at(truth, model, null_of(truth), reach_pct, own.skill)
        return replace(
            scored,
            off_pct=own.scores.wasserstein_pct,
            skill=own.skill,
            gaps=own.gaps,
            chance=chance,
            turned_at=turned,
        )

    def _diagnosed(self, model: Heatmap, alone: Alone, paired: Paired, *, told: bool) -> Notes:
        """Single clusters only where clusters are `told`. Readings of the same positions have no noise."""
        floor_pct = 0.0 if alone.reading else alone.scores.noise_floor_pct
        own, wanted, reach_pct = paired
        truth = wanted if self.whole is self.truth else pair(self.truth, model, reach_pct)[1]
        offered = clusters_of(model, own)
        pairs, of_holders = (
            _pairs(clusters_of(one, part), offered, self.tolerance_pct, reach_pct) if told else ()
            for one, part in ((self.whole, wanted), (self.truth, truth))
        )
        if self.whole is self.truth:
            return diagnose(truth, own, reach_pct, floor_pct, pairs)
        return diagnose(truth, own, reach_pct, floor_pct, pairs, wanted, of_holders)


def _pairs(
    wanted: Sequence[Cluster], offered: Sequence[Cluster], tolerance_pct: float, range_pct: float
) -> tuple[ClusterPair, ...]:
    """The largest of both maps, one to one."""
    return assign_clusters(wanted, offered, tolerance_pct, range_pct)[: 2 * CLUSTERS_KEPT]
