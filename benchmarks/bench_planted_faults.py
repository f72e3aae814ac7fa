"""How often a planted fault is named and a map without one accused, on synthetic markets; run it by itself:
`python -m benchmarks.bench_planted_faults [SEEDS] [--first SEED] [--keep FOLDER]`.

Rows are faults (`planted.faults`), columns kinds of maps: copies of the exact map and of its crowd, two of our models
that stand beside the file, a model of another family (bell), a vendor's tiers with shares of its own, and another
venue's real positions. A cell has how often the fault was named, of how many; then how often it was among changes that
cannot be told apart (`+`), another change was named (`x`), levels where the price has just been were without what is
wrong with them (`!`), or it was said that it cannot be told (`?`). The last rows are of sums of three venues.
Everything is synthetic.
"""

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.planted import PLANTED_AT, VENUE, VENUES, Ground, faults, file_of, ground_of, with_whale
from liqtruth.compare.diagnosis.diagnosis import CHANGED
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.divergence.records import ModelResult
from liqtruth.heatmap.words.notes import Note, of_codes

LEAST_MEAN: Final = 0.01
"""A mean price nearer to the mark than this is no other centre than the mark."""
TWICE: Final = 1.4
"""A leverage that was doubled is named where the factor is at least so many times that of the map without a fault."""
NEAR: Final = 0.015
"""Of price, between where a cluster was planted and where it is named."""
WANTED: Final = {
    "none": frozenset[str](),
    "exchanged": {"looks_mirrored"},
    "centred on the mean": {"looks_centred_on_mean"},
    "stale": {"swept_levels", "looks_moved"},
}
"""What names a fault, else `looks_moved`, whose text states another moment too."""
OF_ONE: Final = ("whole", "crowd", "vintages", "tiers", "bell", "vendor", "real")


def results(ground: Ground, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Kind, fault, and what is said of it."""
    models = [of[VENUE] for of in ground.models.values()]
    for kind in OF_ONE:
        honest = 1.0
        for fault, mass in faults(ground, kind):
            if fault == "centred on the mean" and abs(ground.mean_away) < LEAST_MEAN:
                continue
            truth = with_whale(ground.truth, ground.below) if fault == "whale" else ground.truth
            given = [file_of(truth, mass, folder), *models]
            found = compare_maps(
                truth, given, crowd=ground.crowd, baselines=[ground.baseline], reached=ground.reached
            ).models[0]
            if fault == "none":
                honest = factor_of(found)
            yield kind, fault, said(found, fault, honest, truth.mark_px)
    for kind, parts in ground.sums.items():
        of_venues = [one for of in ground.models.values() for one in of.values()]
        for lacking in ("", *VENUES):
            mass = np.sum([one for venue, one in parts.items() if venue != lacking], axis=0)
            given = [file_of(ground.truth, mass, folder, "all"), *of_venues]
            found = compare_maps(ground.truth, given, crowd=ground.crowd).models[0]
            yield kind, "sum, a venue missing" if lacking else "sum, none", missing(found, lacking)


def said(result: ModelResult, fault: str, honest: float, mark_px: float) -> str:
    """`named`, `wrong` (another change, or one where there is none), `untold` or `silent`."""
    codes = {one.code for one in result.diagnosis}
    if fault.startswith("leverage"):
        ratio = factor_of(result) / honest
        named = ratio >= TWICE if fault.endswith("doubled") else ratio <= 1 / TWICE
    elif fault == "phantom":
        named = any(
            at(one, PLANTED_AT * mark_px)
            for one in of_codes(result.diagnosis, ("phantom_cluster", "heavy_cluster"))
        )
    elif fault == "whale":
        named = any(at(one, mark_px / PLANTED_AT) for one in of_codes(result.diagnosis, ("missed_holder",)))
    else:
        named = bool(codes & WANTED.get(fault, {"looks_moved"}))
    if named:
        return "named"
    if any(among(one, fault) for one in of_codes(result.diagnosis, ("looks_one_of",))):
        return "among"
    if codes & CHANGED:
        return "wrong"
    return "swept" if "swept_levels" in codes else "untold" if result.untold else "silent"


def among(one: Note, fault: str) -> bool:
    """Whether a planted exchange or move is among the causes that a note cannot tell apart."""
    wanted = {"looks_mirrored"} if fault == "exchanged" else {"looks_moved"}
    if fault == "stale":
        return any(code == "other" for code, _ in one.values["causes"])
    return fault != "none" and any(
        code in wanted and (not fault.startswith("moved") or (value < 0) == ("up" in fault))
        for code, value in one.values["causes"]
    )


def factor_of(result: ModelResult) -> float:
    """By which the map's distances are said to be multiplied, 1 where by none."""
    for one in result.diagnosis:
        if one.code == "looks_scaled":
            return float(one.values["value"])
        if "factor" in one.values:
            return float(one.values["factor"])
    return 1.0


def at(one: Note, px: float) -> bool:
    return abs(float(one.values["px"]) / px - 1) <= NEAR


def missing(result: ModelResult, lacking: str) -> str:
    found = of_codes(result.diagnosis, ("venue_missing",))
    if found:
        return "named" if found[0].values["venue"] == lacking else "wrong"
    return "untold" if of_codes(result.untold, ("venue_untold",)) else "silent"


def cell(words: list[str]) -> str:
    counts = Counter(words)
    more = "".join(
        f" {mark}{counts[word]}"
        for word, mark in (("among", "+"), ("wrong", "x"), ("swept", "!"), ("untold", "?"))
        if counts[word]
    )
    return f"{counts['named']}/{len(words)}{more}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", type=int, nargs="?", default=12)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where markets are kept")
    asked = parser.parse_args()
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.first, asked.first + asked.seeds):
            for kind, fault, word in results(ground_of(seed, asked.keep), Path(folder)):
                found[fault][kind].append(word)
    sys.stdout.write(f"{'synthetic':22}" + "".join(f"{kind:>13}" for kind in OF_ONE) + "\n")
    for fault, by_kind in found.items():
        cells = (f"{cell(by_kind[kind]) if kind in by_kind else '':>13}" for kind in OF_ONE)
        sys.stdout.write(f"{fault:22}{''.join(cells)}\n")


if __name__ == "__main__":
    main()
