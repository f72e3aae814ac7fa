"""What other maps and the price show of a map, which needs no truth, beside what the truth shows of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from liqtruth.compare.diagnosis.diagnosis import CHANGED, UNTOLD, beside_models, models_of, on_mean
from liqtruth.compare.diagnosis.fine_structure import placed
from liqtruth.compare.diagnosis.peaks import one_of, places_of
from liqtruth.compare.diagnosis.swept import contradicted, swept_levels
from liqtruth.compare.diagnosis.venues import lacking_venue
from liqtruth.compare.divergence.judging import Alone
from liqtruth.compare.divergence.records import ModelResult
from liqtruth.compare.observed.reached import Reached
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, of_codes, without_codes


@dataclass(frozen=True)
class Others:
    """The truth, all maps that are compared, where the price has been, and the mean prices of baselines."""

    truth: Heatmap
    maps: Sequence[Heatmap]
    reached: Reached | None
    means: Notes

    @classmethod
    def of(
        cls, truth: Heatmap, maps: Sequence[Heatmap], baselines: Sequence[Heatmap], reached: Reached | None
    ) -> "Others":
        stated = (note for baseline in baselines for note in baseline.assumptions)
        return cls(truth, maps, reached, of_codes(stated, ("opened_at_mean",)))

    def beside(self, result: ModelResult, model: Heatmap, own: Alone, judge: Heatmap) -> ModelResult:
        """The result with what they show: a change that leaves next to nothing beside a model of the same venue, or
        that the price shows, stands in place of one that explains some of the distance from the truth. `judge` is the
        layer that may judge the map."""
        found, in_place = result.diagnosis, False
        changed: Notes = ()
        if not own.reading:
            found, changed, in_place = self._changed(result, model, own, judge)
        if changed:
            found = (*changed, *without_codes(found, CHANGED))
        venues = lacking_venue(model, self.maps, own.scores.reach_pct)
        return replace(
            result,
            diagnosis=(*on_mean(found, self.means), *without_codes(venues, UNTOLD)),
            untold=(*(() if changed or in_place else result.untold), *of_codes(venues, UNTOLD)),
        )

    def _changed(
        self, result: ModelResult, model: Heatmap, own: Alone, judge: Heatmap
    ) -> tuple[Notes, Notes, bool]:
        """What of the diagnosis stays, the change that stands in place of the rest, and whether the map is known to
        have its sides and prices in place: first by its fine structure, then by its peaks beside the truth's."""
        ours, found = models_of(model, self.maps), result.diagnosis
        fitted = placed(model, ours, own.scores.reach_pct) if model.source == "imported" else None
        if fitted is not None:
            found = without_codes(found, CHANGED)
            changed = fitted.noted or self._swept(result, model, own, judge, found)
            return found, changed, fitted.kind == "as_it_is"
        places = places_of(model, self.truth, ours)
        by_peaks = () if places is None else places.noted()
        if places is not None and places.in_place:
            found = without_codes(found, CHANGED)
        found = self._believable(model, found)
        beside = self._believable(model, beside_models(model, self.maps, own.scores.reach_pct), self.maps)
        if sets := of_codes(by_peaks, ("looks_one_of",)):
            agreeing = (one for one in (*beside, *of_codes(found, CHANGED)) if one_of(sets[0], one))
            by_peaks = tuple(agreeing)[:1] or sets
        return found, by_peaks or beside or self._swept(result, model, own, judge, found), False

    def _believable(self, model: Heatmap, found: Notes, named_by: Sequence[Heatmap] = ()) -> Notes:
        """Without an exchange or a move that where the price has been contradicts."""
        about = (self.truth, self.reached, named_by)
        return tuple(one for one in found if one.code not in CHANGED or not contradicted(model, one, *about))

    def _swept(self, result: ModelResult, model: Heatmap, own: Alone, judge: Heatmap, found: Notes) -> Notes:
        """What the prices show that were just reached, where no change is named."""
        if of_codes(found, CHANGED):
            return ()
        told = own.layer is not None and result.barred is None and result.turned_at is None
        return swept_levels(
            judge, self.truth, model, self.maps, self.reached, own.scores.reach_pct, told=told
        )
