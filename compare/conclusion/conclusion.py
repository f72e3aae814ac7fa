"""What may be concluded from scores: computed from the layers that may speak and the models that may be ranked.

A conclusion is a code and its values; `sentences` turns codes into English, and terminal, page and JSON show nothing
else. A layer whose truth rests on too few positions is silent, and so is every sentence about it; a model whose fit saw
the moment, or does not pass its own gate, is shown and not ranked.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from liqtruth.compare.conclusion.records import (
    RAW,
    Barred,
    Code,
    Conclusion,
    OtherReading,
    Rival,
    Scored,
    Standing,
)
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, Granularity
from liqtruth.compare.statistics.scores import PERFECT, SAME_SKILL
from liqtruth.heatmap.heatmap import Training


def barred(training: Training | None, coin: str, at: datetime) -> Barred | None:
    """Why a map of this fit may not be ranked on positions of `coin` at `at`; null where it may, or nothing was fitted.

    What the record of a fit lacks is not taken to be fine.
    """
    if training is None:
        return None
    if training.start is None or training.end is None or training.effective_positions is None:
        return Barred("no_record", training.fit)
    about = (training.fit, training.start, training.end, training.effective_positions)
    if coin in training.coins and training.start <= at <= training.end:
        return Barred("saw_this_moment", *about)
    return Barred("fails_its_gate", *about) if training.effective_positions < ENOUGH else None


def passes(grains: Sequence[Granularity]) -> bool:
    """Whether both sides rest on so many positions that their shape can be claimed."""
    return bool(grains) and all(side.effective_least >= ENOUGH for side in grains)


def concluded(
    layer: str | None,
    models: Sequence[Scored],
    null_pct: float | None,
    floor_pct: float | None,
    grains: Sequence[Granularity],
    of_layer: str = RAW,
) -> Conclusion:
    """From the scores on the layer that speaks; `grains` are of `of_layer`: of it, or of the best there is where none
    may."""
    effective = tuple(side.effective_least for side in grains)
    silenced = tuple(model.label for model in models if model.barred is not None)
    if layer is None:
        return Conclusion("too_few_positions", effective=effective, of_layer=of_layer, barred=silenced)
    free = [model for model in models if model.barred is None]
    scored = [model for model in free if model.skill is not None]
    if not scored:
        why = next((model.undefined for model in free if model.undefined), None)
        code: Code = "none_scored" if free else "none_ranked"
        return Conclusion(code, layer, effective=effective, undefined=why, barred=silenced)
    best = max(scored, key=lambda model: round(model.skill or 0.0, 2))  # of equals, the first that was given
    beats = (best.skill or 0.0) > SAME_SKILL
    at = [model.turned_at for model in ((best,) if beats else scored) if model.turned_at is not None]
    found: Code = "none_beats_mark" if not beats else "by_chance" if best.lucky else "nearest"
    return Conclusion(
        "cannot_be_told" if at else found,
        layer,
        best.label,
        len(free),
        best.off_pct,
        null_pct,
        floor_pct,
        best.skill,
        None if at else max(best.gaps, key=lambda gap: abs(gap.truth_share - gap.model_share), default=None),
        effective,
        barred=silenced,
        chance=best.chance,
        coverage=min(at, default=None),
    )


def with_readings(found: Conclusion, readings: Sequence[Scored], *, alone: bool) -> Conclusion:
    """The conclusion with what is to be said of readings of the same positions; `alone`, there is no other map."""
    told = tuple(
        OtherReading(one.label, one.off_pct, one.null_pct, one.reach_pct, one.alike, one.turned_at)
        for one in readings
        if one.off_pct is not None and one.null_pct is not None and one.reach_pct is not None
    )
    if not (alone and told):
        return replace(found, readings=told)
    best = min(told, key=lambda one: one.off_pct)
    [scored] = [one for one in readings if one.label == best.label]
    return Conclusion(
        "readings",
        RAW,
        best.label,
        len(told),
        best.off_pct,
        best.null_pct,
        skill=scored.skill,
        gap=None
        if best.says != "differs"
        else max(scored.gaps, key=lambda gap: abs(gap.truth_share - gap.model_share), default=None),
        range_pct=best.range_pct,
        coverage=best.coverage,
        readings=told,
    )


def rivals_of(baselines: Sequence[tuple[str, float | None]], best_pct: float) -> tuple[Rival, ...]:
    """Models and their mean W1 beside that of the best map; what has no score is left out."""
    found = [Rival(model, off, _stands(off, best_pct)) for model, off in baselines if off is not None]
    return tuple(sorted(found, key=lambda one: one.off_pct))


def _stands(off_pct: float, best_pct: float) -> Standing:
    """Differences of up to `SAME_SKILL` are none, as in skills."""
    farther = max(off_pct, best_pct)
    if farther <= PERFECT or abs(off_pct - best_pct) <= SAME_SKILL * farther:
        return "as_near"
    return "nearer" if off_pct < best_pct else "beaten"
