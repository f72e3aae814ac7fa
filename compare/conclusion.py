"""What may be concluded from scores: computed from the layers that may speak and the models that may be ranked.

A conclusion is a code and its values; the tables at the end turn codes into English, and terminal, page and JSON show
nothing else. A layer whose truth rests on too few positions is silent, and so is every sentence about it; a model
whose fit saw the moment, or does not pass its own gate, is shown and not ranked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, Granularity
from liqtruth.compare.statistics.scores import (
    ALIKE,
    BY_CHANCE,
    PERFECT,
    SAME_SKILL,
    Gap,
    comparison,
    gap_sentence,
    share_text,
)
from liqtruth.estimator.model.baselines import CLIMATOLOGY, MOVING_AVERAGE, PERSISTENCE
from liqtruth.heatmap.heatmap import Training
from liqtruth.heatmap.words.notes import note
from liqtruth.heatmap.words.text import percent

RAW: Final = "raw"
CROWD: Final = "crowd"

BarCode = Literal["saw_this_moment", "fails_its_gate", "no_record"]
Standing = Literal["nearer", "as_near", "beaten"]
Code = Literal[
    "nearest",
    "by_chance",
    "cannot_be_told",
    "none_beats_mark",
    "too_few_positions",
    "none_scored",
    "none_ranked",
    "readings",
]
Aside = Literal["reading", "too_few"]
"""Why a map is not ranked among the others: it is itself a reading of the same positions, or covers too few of them."""
Alike = Literal["agrees", "differs", "cannot_be_told"]


@dataclass(frozen=True)
class Barred:
    """Why a model is shown and not ranked; `start` and `end` are the span of what its fit has seen."""

    code: BarCode
    fit: str
    start: datetime | None = None
    end: datetime | None = None
    effective_positions: float | None = None


@dataclass(frozen=True)
class Scored:
    """One model on the layer that speaks: mean W1 of the sides in percent of price, and its skill against the mark;
    `chance` is that of a map which knows nothing to be as near, null where it was not asked for. `turned_at` is
    the coverage of open interest at which what was not read could turn whether it beats the mark, null where not. What
    is set `aside` is scored on its own: within `reach_pct` of the mark, where a map that knows only the mark is off by
    `null_pct`; a reading against the whole truth."""

    label: str
    off_pct: float | None
    skill: float | None
    undefined: str | None
    gaps: tuple[Gap, ...]
    barred: Barred | None
    chance: float | None = None
    turned_at: float | None = None
    aside: Aside | None = None
    null_pct: float | None = None
    reach_pct: float | None = None

    @property
    def alike(self) -> Alike:
        """Of a reading: whether it has the same positions in the same places."""
        if (self.skill or 0.0) >= ALIKE:
            return "agrees"
        return "differs" if self.turned_at is None else "cannot_be_told"

    @property
    def lucky(self) -> bool:
        """Whether it is no nearer to the truth than chance may bring a map."""
        return self.chance is not None and self.chance > BY_CHANCE


@dataclass(frozen=True)
class Rival:
    """A baseline beside the best map: its mean W1 in percent of price, and whether it is `nearer`, `as_near` or
    `beaten`."""

    model: str
    off_pct: float
    stands: Standing


@dataclass(frozen=True)
class OtherReading:
    """A reading of the same positions against the whole truth, within `range_pct` of the mark, where a map that knows
    only the mark is off by `null_pct`."""

    label: str
    off_pct: float
    null_pct: float
    range_pct: float
    says: Alike
    coverage: float | None = None


@dataclass(frozen=True)
class Conclusion:
    """The answer as data. `layer` is the one that speaks, null where none may; `label` the model that is nearest of
    `ranked` models; `effective` the numbers of longs and shorts that the gate was applied to, where they are known,
    `of_layer` whose they are; all of it within `range_pct` of the mark. `baselines` are maps that anyone has for free,
    nearest first; none of them is ranked. `coverage` is that at which it cannot be told. `readings` are those of the
    maps that have the same positions; where there are no others, they are the answer.
    """

    code: Code
    layer: str | None = None
    label: str | None = None
    ranked: int = 0
    off_pct: float | None = None
    null_pct: float | None = None
    floor_pct: float | None = None
    skill: float | None = None
    gap: Gap | None = None
    effective: tuple[float, ...] = ()
    of_layer: str = RAW
    undefined: str | None = None
    barred: tuple[str, ...] = ()
    chance: float | None = None
    baselines: tuple[Rival, ...] = ()
    range_pct: float = HEADLINE_PCT
    coverage: float | None = None
    readings: tuple[OtherReading, ...] = ()


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


def against(layer: str | None) -> str:
    """What the shares and scores of an answer are measured against, in words."""
    return "the crowd" if layer == CROWD else "the truth"


def in_words(found: Conclusion) -> str:
    """The conclusion in a few sentences."""
    return " ".join(sentences(found))


def sentences(found: Conclusion) -> list[str]:
    """The headline, what it rests on, how baselines stand to it and where the gap is widest."""
    read = [one for one in found.readings if found.code != "readings" or one.label != found.label]
    gap = "" if found.gap is None or found.code in COMPARING else _gap(found)
    return [
        part
        for part in (
            CONCLUSIONS[found.code](found),
            *_grounds(found),
            *map(_reading, read),
            *_baselines(found),
            gap,
        )
        if part
    ]


def standing_text(
    layer: str | None, model: Scored, null_pct: float | None, range_pct: float = HEADLINE_PCT
) -> str:
    """One model alone, on the layer that speaks, within `range_pct` of the mark."""
    if layer is None:
        return f"{model.label} is not judged: too few positions within {range_pct:.3g} % of the mark"
    if model.aside == "reading" and model.off_pct is not None and null_pct is not None:
        read = OtherReading(model.label, model.off_pct, null_pct, range_pct, model.alike, model.turned_at)
        return _reading(read).rstrip(".")
    if model.barred is not None:
        return f"{model.label} is not ranked: {barred_text(model.barred)}"
    if model.off_pct is None or model.skill is None:
        return f"{model.label} cannot be scored on both sides: {model.undefined}"
    against = "" if layer == RAW else "against the crowd of the truth "
    return (
        f"{against}within {range_pct:.3g} % of the mark {model.label} is off by {model.off_pct:.1f} % of price on "
        f"average, a map that knows only the mark by {null_pct:.1f} %: {_compared(model)}"
    )


def _compared(model: Scored) -> str:
    if model.turned_at is not None:
        return told_text(model.turned_at)
    beats = (model.skill or 0.0) > SAME_SKILL
    return "no nearer than by chance" if beats and model.lucky else comparison(model.skill or 0.0)


def _reading(one: OtherReading) -> str:
    told = told_text(one.coverage or 0.0) if one.says == "cannot_be_told" else READ[one.says]
    off = f"{one.off_pct:.1f} % of price within {one.range_pct:.3g} % of the mark"
    return f"{one.label} reads the same positions: off by {off} (mark only: {one.null_pct:.1f} %), {told}."


def told_text(coverage: float) -> str:
    """Why neither better nor worse is stated."""
    return f"cannot be told at {percent(coverage, 0)} coverage"


def barred_text(why: Barred) -> str:
    """Why a model is not ranked, for a sentence."""
    return note(why.code, **barred_values(why)).text


def barred_values(why: Barred) -> dict[str, Any]:
    """Values of the note of its code."""
    span = {"start": _moment(why.start), "end": _moment(why.end)}
    return {"fit": why.fit, **span, "effective": why.effective_positions, "enough": ENOUGH}


def _baselines(found: Conclusion) -> list[str]:
    """One sentence for each baseline that the best map does not beat, and one for those that it does."""
    sentences = [
        f"{_capital(RIVALS.get(one.model, one.model))} is {STANDINGS[one.stands]}: {one.off_pct:.1f} %."
        for one in found.baselines
        if one.stands != "beaten"
    ]
    beaten = [
        f"{RIVALS.get(one.model, one.model)} ({one.off_pct:.1f} %)"
        for one in found.baselines
        if one.stands == "beaten"
    ]
    if beaten and found.code == "nearest":
        *first, last = beaten
        sentences.append(f"{found.label} is nearer than {', '.join(first)}{' and ' if first else ''}{last}.")
    return sentences


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _compared_maps(found: Conclusion) -> str:
    """Where the shares of the best map differ most from the truth's, how far it is off, and the verdict."""
    shares = "" if found.gap is None else share_text((found.gap,), found.label or "", against(found.layer))
    lucky = found.code == "by_chance"
    says = "no nearer than by chance" if lucky else comparison(found.skill or 0.0)
    whose = "" if shares else " of the mark"
    off = (
        f"off by {found.off_pct:.1f} % of price within {found.range_pct:.3g} %{whose} "
        f"(mark only: {found.null_pct:.1f} %), {says}."
    )
    return f"{shares}: {off}" if shares else f"{found.label} is {off}"


def _gap(found: Conclusion) -> str:
    assert found.gap is not None
    return gap_sentence((found.gap,), found.label or "", against(found.layer))


def _cannot_be_told(found: Conclusion) -> str:
    return (
        f"It {told_text(found.coverage or 0.0)} of open interest whether {found.label} is nearer than a map that "
        f"knows only the mark, within {found.range_pct:.3g} % of it."
    )


def _too_few(found: Conclusion) -> str:
    counts = zip(found.effective, ("longs", "shorts"), strict=False)
    counted = " and ".join(f"{count:.0f} {side}" for count, side in counts)
    whose = (
        "the truth" if found.of_layer == RAW else "even the truth's crowd, its largest positions cut down,"
    )
    return f"Too few positions to judge: {whose} weighs like {counted} of equal size, {ENOUGH:.0f} a side are needed."


def _grounds(found: Conclusion) -> list[str]:
    """What a headline that compares maps rests on."""
    said = []
    if found.code == "cannot_be_told":
        off = f"off by {found.off_pct:.1f} % of price, mark only by {found.null_pct:.1f} %"
        said.append(f"As far as the truth is read it is {off}, and what was not read could turn that.")
    elif found.code not in COMPARING:
        return []
    if found.code == "by_chance":
        said.append(
            f"With its levels anywhere on their sides it does as well in {100 * (found.chance or 0.0):.1f} % of "
            f"draws; up to {100 * BY_CHANCE:.0f} % is called better."
        )
    nearer = any(one.stands == "nearer" for one in found.baselines)
    if found.code == "none_beats_mark" and found.ranked > 1 and not nearer:
        said.append("No other map is nearer.")
    if found.floor_pct is not None and found.code != "cannot_be_told":
        near = found.off_pct is not None and found.off_pct <= found.floor_pct
        alone = "It is no further off than chance alone: a" if near else "A"
        said.append(f"{alone} perfect model would be off by about {found.floor_pct:.1f} %.")
    if found.layer == CROWD:
        said.append(
            "The crowd is the truth with its largest positions cut down; only so it rests on enough of them."
        )
    return said


def _moment(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at:%Y-%m-%dT%H:%MZ}"


CONCLUSIONS: Final[dict[Code, Callable[[Conclusion], str]]] = {
    "nearest": _compared_maps,
    "by_chance": _compared_maps,
    "cannot_be_told": _cannot_be_told,
    "none_beats_mark": _compared_maps,
    "too_few_positions": _too_few,
    "none_scored": lambda found: f"No map could be scored: {found.undefined or 'its score is undefined'}.",
    "none_ranked": lambda found: (
        f"No map may be ranked here: the fit of {', '.join(found.barred)} does not allow it, as the remarks state."
    ),
    "readings": lambda found: _reading(next(one for one in found.readings if one.label == found.label)),
}
READ: Final[dict[Alike, str]] = {
    "agrees": "the two readings agree",
    "differs": "the two readings do not agree",
    "cannot_be_told": "cannot be told",
}
COMPARING: Final = frozenset({"nearest", "by_chance", "none_beats_mark"})
"""Codes of the conclusions that begin with where shares differ most; mark only is a map that knows nothing else."""
RIVALS: Final = {
    MOVING_AVERAGE: "a map that only follows the mean price of three days",
    CLIMATOLOGY: "the mean of earlier exact maps",
    PERSISTENCE: "the exact map of a day before",
}
STANDINGS: Final[dict[Standing, str]] = {"nearer": "nearer", "as_near": "as near", "beaten": "farther"}
MARKS: Final[dict[BarCode, str]] = {
    "saw_this_moment": "saw this moment",
    "fails_its_gate": "fit fails its gate",
    "no_record": "fit unknown",
}
"""What stands in a table instead of a rank."""
