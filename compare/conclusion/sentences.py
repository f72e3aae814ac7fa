"""A conclusion, and why a map is not ranked, in English."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from liqtruth.compare.conclusion.records import (
    CROWD,
    RAW,
    Alike,
    BarCode,
    Barred,
    Code,
    Conclusion,
    OtherReading,
    Scored,
    Standing,
)
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.compare.statistics.scores import BY_CHANCE, SAME_SKILL, comparison, gap_sentence, share_text
from liqtruth.estimator.model.baselines import CLIMATOLOGY, MOVING_AVERAGE, PERSISTENCE
from liqtruth.heatmap.words.notes import note
from liqtruth.heatmap.words.text import percent


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
    mine, null = _told_apart(found.off_pct or 0.0, found.null_pct or 0.0)
    off = f"off by {mine} % of price within {found.range_pct:.3g} %{whose} (mark only: {null} %), {says}."
    return f"{shares}: {off}" if shares else f"{found.label} is {off}"


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two figures with one decimal, or with two where one would show them as equal and they are not."""
    digits = 1 if f"{one:.1f}" != f"{other:.1f}" or f"{one:.2f}" == f"{other:.2f}" else 2
    return f"{one:.{digits}f}", f"{other:.{digits}f}"


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
    counted = " and ".join(f"{count:.0f} equal {side}" for count, side in counts)
    whose = (
        "the truth" if found.of_layer == RAW else "even the truth's crowd, its largest positions cut down,"
    )
    within = f"within {found.range_pct:.3g} %"
    return (
        f"Too few positions to judge {within}: {whose} weighs like {counted}, {ENOUGH:.0f} a side are needed."
    )


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
