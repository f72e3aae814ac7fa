"""Every compared map in one short line, the nearest first, in the range of the answer and by the layer that speaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from liqtruth.compare.conclusion.records import Scored
from liqtruth.compare.conclusion.sentences import MARKS, told_text
from liqtruth.compare.statistics.scores import SAME_SKILL

Says = Literal[
    "better", "no_better", "worse", "by_chance", "cannot_be_told", "undefined", "saw_this_moment", "fails_its_gate",
    "no_record", "too_few", "agrees", "differs",
]  # fmt: skip
WORDS: Final[dict[str, str]] = {
    "better": "better than knowing only the mark",
    "no_better": "no better than knowing only the mark",
    "worse": "worse than knowing only the mark",
    "by_chance": "no nearer than by chance",
    "undefined": "not scored on both sides",
    "too_few": "not judged, since it covers too few positions",
    "agrees": "a reading of the same positions, which agrees",
    "differs": "a reading of the same positions, which does not agree",
    **{code: f"{words}, not ranked" for code, words in MARKS.items()},
}


@dataclass(frozen=True)
class Placed:
    """One map among those compared: its `place`, 1 for the nearest and null where it is not ranked, its mean W1 in
    percent of price, and how it stands to a map that knows only the mark. `coverage` is that at which it cannot be
    told."""

    label: str
    place: int | None
    off_pct: float | None
    says: Says
    coverage: float | None = None

    @property
    def text(self) -> str:
        """`2. binance tiers: off by 3.1 %, worse than knowing only the mark`."""
        place = "–" if self.place is None else f"{self.place}."
        off = "" if self.off_pct is None or self.says == "too_few" else f"off by {self.off_pct:.1f} %, "
        says = told_text(self.coverage) if self.coverage is not None else WORDS[self.says]
        return f"{place} {self.label}: {off}{says}"


def ranking_of(models: Sequence[Scored]) -> tuple[Placed, ...]:
    """Those that are ranked by how near they are, equals as they were given, then the others."""
    said = [(one, _says(one)) for one in models]
    ranked = [pair for pair in said if pair[1] in ("better", "no_better", "worse", "by_chance")]
    ranked.sort(key=lambda pair: round(pair[0].off_pct or 0.0, 1))
    others = [pair for pair in said if pair not in ranked]
    return tuple(
        Placed(
            one.label,
            place,
            one.off_pct,
            says,
            one.turned_at if says == "cannot_be_told" else None,
        )
        for place, (one, says) in [*enumerate(ranked, start=1), *((None, pair) for pair in others)]
    )


def _says(model: Scored) -> Says:
    if model.aside == "reading" and model.skill is not None:
        return model.alike
    if model.barred is not None:
        return model.barred.code
    if model.aside == "too_few":
        return model.aside
    if model.skill is None or model.off_pct is None:
        return "undefined"
    if model.turned_at is not None:
        return "cannot_be_told"
    if abs(model.skill) <= SAME_SKILL:
        return "no_better"
    if model.skill < 0:
        return "worse"
    return "by_chance" if model.lucky else "better"
