"""What the figures of a validation mean, in plain words: the answer, and a line per rival, layer and split.

Only an interval that lies whole on one side of zero is called nearer or further off; everything else is not shown.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

import numpy as np

from liqtruth.compare.statistics.distances import RANGE_PCT
from liqtruth.compare.statistics.map_scores import REACH
from liqtruth.compare.validation.backtest import CHANCE, FINAL
from liqtruth.compare.validation.baselines import BASELINES, FITTED
from liqtruth.compare.validation.findings import (
    BOTH,
    FEWEST_BLOCKS,
    MAIN_SCORE,
    NAIVE,
    NEAR_SCORE,
    BoundsFindings,
    Chosen,
    Gain,
    SideFindings,
    SplitFindings,
)
from liqtruth.compare.validation.validation import Findings
from liqtruth.estimator.model.baselines import CLIMATOLOGY, PERSISTENCE
from liqtruth.estimator.model.leverage_model import LEVEL
from liqtruth.heatmap.bounds import SHOWN_PCT
from liqtruth.heatmap.words.notes import texts
from liqtruth.heatmap.words.text import counted, format_duration, percent

RIVALS: Final = (*BASELINES, CHANCE)
ABOUT: Final = {
    "tiers": "equal shares of 1x, 5x, 10x, 25x, 50x and 100x",
    "bell": "leverage around 12.4x",
    "uniform": "the same everywhere within 30 % of the mark",
    "volume-profile": "entries by traded volume, equal tiers",
    CLIMATOLOGY: "the mean of the exact maps that the fit has seen",
    PERSISTENCE: "the exact map of a day before, swept since: on Hyperliquid alone",
    CHANCE: "the fitted maps at wrong moments",
}
SCORE_NAMES: Final = {
    MAIN_SCORE: "W1, % of price",
    NEAR_SCORE: "W1 within 10 %",
    "jensen_shannon": "JS divergence, bits",
    "fractions_1pct": "fractions skill, 1 %",
    "mass": "mass, |ln ratio|",
    "curve_2pct": "2 % move, |ln ratio|",
    "curve_5pct": "5 % move, |ln ratio|",
    "curve_10pct": "10 % move, |ln ratio|",
    "recall_5": "recall of 5 clusters",
}
BOUNDS: Final = percent(LEVEL, 0)
RANGE_LINE: Final = (
    f"not scored within {RANGE_PCT:g} % of the mark: a fit sees what lies up to {percent(-np.expm1(-REACH), 0)} below "
    f"it and {percent(np.expm1(REACH), 0)} above, and nothing beyond was fitted; `compare` scores single maps there"
)
MOST: Final = 0.5
"""Part of maps below the gate from which on a layer's shape proves little, and nothing is concluded of it."""
THIN: Final = "most maps have too few positions"


def answer(findings: Findings) -> str:
    """Whether the fit beats each baseline, by how much, and where not: of the crowd's map, over all splits."""
    splits = findings.splits
    if not any(split.main("crowd").maps for split in splits):
        gate = f"{findings.least_effective:.0f} effective positions a side"
        return f"No conclusion on shape: no map has {gate}."
    claimed = [split for split in splits if split.skill is not None and not proves_little(split, "crowd")]
    if not claimed and all(proves_little(split, "crowd") for split in splits):
        return f"No claim: {THIN}."
    if not claimed:
        most = max(_counted_blocks(split) for split in splits)
        return f"No claim: {counted(most, 'block')} of coin and days give no interval, {FEWEST_BLOCKS} are needed."
    unclaimed = [split.name for split in splits if split not in claimed]
    rest = f" No claim on {listed(unclaimed)}." if unclaimed else ""
    return f"{_skill_sentence(claimed)} {_rivals_sentence(claimed)}{rest}"


def split_line(split: SplitFindings, layer: str) -> str:
    """`later days, crowd: off by 1.09 % of price (W1), 1.2 times the noise floor; 90 % of the gap closed`."""
    side = split.of(BOTH, layer)
    score = side.of(MAIN_SCORE)
    fitted = score.means[FITTED]
    if fitted is None:
        return f"{_whose(split, layer)}: no map passes the gate, no conclusion on shape"
    parts = [f"{_whose(split, layer)}: off by {fitted:.2f} % of price (W1)"]
    if score.over_floor is not None:
        parts.append(f", {score.over_floor:.1f} times the noise floor")
    if score.gap_closed is not None and score.gap_closed > 0 and not proves_little(split, layer):
        closed = "all" if score.gap_closed >= 1 else percent(score.gap_closed, 0)
        parts.append(f"; {closed} of the gap from {rival_name(split, NAIVE)} to the floor is closed")
    return "".join(parts)


def skill_line(split: SplitFindings) -> str:
    """Whether the split shows skill at all."""
    blocks = _counted_blocks(split)
    if not blocks:
        return f"{split.name}: no claim, no map passes the gate"
    if proves_little(split, "crowd"):
        return f"{split.name}: no claim, {THIN}"
    if split.skill is None:
        return f"{split.name}: no claim, {counted(blocks, 'block')} of coin and days ({FEWEST_BLOCKS} are needed)"
    if split.skill:
        return f"{split.name}: skill is shown, nearer than a copied shape and than chance"
    missing = [rival for rival in (CLIMATOLOGY, CHANCE) if not beats(split, rival)]
    return f"{split.name}: skill is not shown, the fit is not shown to be nearer than {' and '.join(missing)}"


def rival_line(split: SplitFindings, layer: str, rival: str) -> str:
    """`later days, crowd: nearer than tiers by 66 % (61 to 70 %)`, or what else follows from the interval."""
    gain = split.main(layer).gain(rival)
    where = _whose(split, layer)
    if gain is None:
        return f"{where}: {rival} is known on no map"
    if proves_little(split, layer):
        return f"{where}: no claim about {rival}, {THIN}"
    if gain.low is None or gain.high is None:
        blocks = counted(gain.blocks, "block")
        return f"{where}: no claim about {rival}: {span(gain)} in {blocks}, {FEWEST_BLOCKS} are needed"
    name = rival_name(split, rival)
    if gain.low > 0:
        return f"{where}: nearer than {name} by {span(gain)}"
    if gain.high < 0:
        turned = Gain(rival, -gain.gain, -gain.high, -gain.low, gain.maps, gain.blocks)
        return f"{where}: further off than {name} by {span(turned)}"
    return f"{where}: not shown to be nearer than {name}: {span(gain)}"


def rival_name(split: SplitFindings, rival: str) -> str:
    """Tiers with how often open interest was read: where that is rare they place openings badly, and a gain over them
    is in part of that."""
    if rival != NAIVE or split.oi_step_s is None:
        return rival
    return f"{rival} (open interest every {format_duration(timedelta(seconds=split.oi_step_s))})"


def span(gain: Gain) -> str:
    """`3 % (−5 to 9 %)`; without an interval the value alone."""
    value = _percent(gain.gain)
    if gain.low is None or gain.high is None:
        return f"{value} %"
    return f"{value} % ({_percent(gain.low)} to {_percent(gain.high)} %)"


def gate_line(split: SplitFindings, layer: str, least_effective: float) -> str:
    """How many maps have too few positions to have a shape."""
    side = split.of(BOTH, layer)
    gate = f"the gate of {least_effective:.0f} effective positions"
    median = f"(median {side.effective:.0f})"
    if side.enough == side.maps:
        return f"{_whose(split, layer)}: every map passes {gate} {median}"
    failing = 1 - side.enough / side.maps
    text = f"{_whose(split, layer)}: {gate} fails on {percent(failing, 0)} of maps {median}"
    return f"{text}, so its shape proves little" if proves_little(split, layer) else text


def proves_little(split: SplitFindings, layer: str) -> bool:
    """Whether so many maps of a layer have too few positions that nothing is concluded from the rest of them."""
    return is_thin(split.of(BOTH, layer))


def is_thin(side: SideFindings) -> bool:
    """Whether at least `MOST` of its maps have too few positions."""
    return side.maps > 0 and 1 - side.enough / side.maps >= MOST


def bounds_line(split: SplitFindings, layer: str) -> str:
    """How often the truth lay within the bounds, against what they promise."""
    found = split.of(BOTH, layer).bounds
    where = _whose(split, layer)
    if found is None:
        return (
            f"{where}: the {BOUNDS} bounds are not judged, some fit has seen too few coins or maps for bounds"
        )
    text = f"{where}: the truth lay within the {BOUNDS} bounds {percent(found.overall, 0)} of the time"
    return f"{_with_verdict(text, found)}{_by_distance(found)}"


def _with_verdict(text: str, found: BoundsFindings) -> str:
    if found.low is None or found.high is None:
        return f"{text}, without an interval"
    ends = f"{text} ({100 * found.low:.0f} to {percent(found.high, 0)})"
    if found.high < LEVEL:
        return f"{ends}: they are too narrow"
    return f"{ends}: they are too wide" if found.low > LEVEL else ends


def _by_distance(found: BoundsFindings) -> str:
    """`; withheld within 1, 2 %; within 5, 10 % 78, 82 %, upper ends 3.2, 2.1 times the lower`."""
    rows = list(zip(found.distance_pct, found.inside, found.widths, strict=True)) if found.widths else []
    gone = [f"{pct:g}" for pct, share, _ in rows if share is None]
    shown = [(f"{pct:g}", f"{100 * share:.0f}", f"{width:.1f}") for pct, share, width in rows
             if pct in SHOWN_PCT and share is not None and width is not None]  # fmt: skip
    withheld = f"; withheld within {', '.join(gone)} %" if gone else ""
    if not shown:
        return withheld
    at, held, wide = (", ".join(cells) for cells in zip(*shown, strict=True))
    return f"{withheld}; within {at} %: {held} %, upper ends {wide} times the lower{_where_not(found)}"


def _where_not(found: BoundsFindings) -> str:
    """`; too narrow within 20, 25 %; too wide within 3 %`, where the interval of a distance leaves no doubt."""
    each = (("too narrow", found.too_narrow), ("too wide", found.too_wide))
    return "".join(
        f"; {what} within {', '.join(f'{pct:g}' for pct in where)} %" for what, where in each if where
    )


def recall_line(split: SplitFindings, layer: str) -> str:
    """Recall of clusters, only ever beside what chance finds."""
    score = split.of(BOTH, layer).of("recall_5")
    fitted, chance = score.means[FITTED], score.means[CHANCE]
    if fitted is None or chance is None:
        return f"{_whose(split, layer)}: no map passes the gate, no conclusion on clusters"
    found, by_chance = percent(fitted, 0), percent(chance, 0)
    text = f"{_whose(split, layer)}: finds {found} of the five largest clusters, chance {by_chance}"
    gain = score.gain(CHANCE)
    shown = gain is not None and gain.shown and not proves_little(split, layer)
    return text if shown else f"{text}: not shown to be more than chance"


def _whose(split: SplitFindings, layer: str) -> str:
    """`later days, crowd`; of a split without a name the layer alone."""
    return f"{split.name}, {layer}" if split.name else layer


def setting_lines(findings: Findings) -> Iterator[str]:
    """How it was judged."""
    for split in findings.splits:
        yield (
            f"{split.name}: {split.pairs} pairs of {', '.join(split.coins)} on {counted(split.days, 'day')}, "
            f"{split.first_day} to {split.last_day}, {counted(split.blocks, 'block')} of coin and days"
        )
        yield f"{split.name}: {chosen_words(split)}"
    yield (
        f"{counted(findings.embargo_days, 'day')} between what is fitted and what is judged; intervals are 95 %, by "
        f"drawing blocks; seed {findings.seed}"
    )
    yield RANGE_LINE
    yield window_line(findings)
    yield from texts(findings.notes)
    if findings.refused:
        yield f"{counted(len(findings.refused), 'moment')} without a pair, the last: {findings.refused[-1]}"


def chosen_words(split: SplitFindings) -> str:
    """How many variants the fits tried, and what they chose for themselves."""
    choices = sorted(_choice(one) for one in split.chosen)
    chosen = [f"{name} ({len(list(same))})" for name, same in groupby(choices)]
    variants = sum(one.coordinates_tried + one.ridges_tried for one in split.chosen)
    fits = counted(len(split.chosen), "fit")
    return f"{fits} tried {counted(variants, 'variant')} on what each had seen, and chose {'; '.join(chosen)}"


def window_line(findings: Findings) -> str:
    if findings.window is None:
        return "no final window is set aside: too few days"
    window = findings.window
    days = f"{window.first_day} to {window.last_day}, {counted(window.pairs, 'pair')}"
    if any(split.name == FINAL for split in findings.splits):
        return f"the final window ({days}) is opened: it cannot be judged again"
    text = f"set aside, and not looked at: the final window, {days}; `validate open-final` judges it, once"
    if window.blocks >= FEWEST_BLOCKS:
        return text
    blocks = counted(window.blocks, "block")
    return f"{text}, and could make no claim by now: {blocks} of coin and days, {FEWEST_BLOCKS} are needed"


def _skill_sentence(splits: Sequence[SplitFindings]) -> str:
    shown = [split.name for split in splits if split.skill]
    others = [split.name for split in splits if not split.skill]
    if not shown:
        return f"No skill is shown on {listed(others)}."
    text = f"The fit shows skill on {listed(shown)}: nearer to the crowd's map than a copied shape and than chance"
    return f"{text}; not on {listed(others)}." if others else f"{text}."


def _rivals_sentence(splits: Sequence[SplitFindings]) -> str:
    known = [rival for rival in BASELINES if any(split.main("crowd").gain(rival) for split in splits)]
    beaten, others = [], []
    for rival in known:
        where = [split.name for split in splits if not beats(split, rival)]
        if not where:
            beaten.append(f"{rival_name(splits[0], rival)} ({_gain_range(splits, rival)})")
        else:
            others.append(rival if len(where) == len(splits) else f"{rival} (on {listed(where)})")
    sentences = [f"It is nearer than {listed(beaten)}."] if beaten else []
    if others:
        sentences.append(f"It is not shown to be nearer than {listed(others)}.")
    return " ".join(sentences)


def _counted_blocks(split: SplitFindings) -> int:
    """Blocks of maps that pass the gate, on which rivals are judged."""
    return max((gain.blocks for gain in split.main("crowd").gains), default=0)


def _gain_range(splits: Sequence[SplitFindings], rival: str) -> str:
    gains = [gain.gain for split in splits if (gain := split.main("crowd").gain(rival)) is not None]
    low, high = _percent(min(gains)), _percent(max(gains))
    return f"by {low} %" if low == high else f"by {low} to {high} %"


def beats(split: SplitFindings, rival: str) -> bool:
    """Whether the fit is nearer to the crowd than the rival beyond doubt."""
    gain = split.main("crowd").gain(rival)
    return gain is not None and bool(gain.shown)


def _choice(chosen: Chosen) -> str:
    alike = "coins alike" if chosen.ridge is None else f"coins apart, ridge {chosen.ridge:g}"
    return f"{chosen.coordinate}, {alike}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}".replace("-0", "0").replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; names with commas of their own are kept apart by semicolons."""
    if len(names) < 2:
        return "".join(names)
    comma = "; " if any("," in name for name in names) else ", "
    return f"{comma.join(names[:-1])} and {names[-1]}"
