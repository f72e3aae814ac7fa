"""Assumed distributions of leverage: the weights that field practice invents, each a plain value.

A `LeverageWeights` states which share of newly opened notional has which leverage. Nothing in a venue's public
aggregates determines it; that is why it is a parameter, and printed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray

TIERS: Final = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)
BELL_AVERAGE: Final = 12.4
BELL_SD: Final = 6.0
BELL_REACH_SD: Final = 5.0
"""Nodes of the bell end this many standard deviations above its average."""

BAND_EDGES: Final = (0.0, 3.0, 7.0, 15.0, 30.0, 60.0, float("inf"))


@dataclass(frozen=True, eq=False)
class LeverageWeights:
    """Shares `weight` (they sum to one) of opened notional at each `leverage`; `band` labels each node."""

    name: str
    leverage: FloatArray
    weight: FloatArray
    band: tuple[str, ...]
    note: str

    def __post_init__(self) -> None:
        if not (len(self.leverage) == len(self.weight) == len(self.band) > 0):
            raise BadInput(f"{self.name}: every leverage needs one weight and one band")
        if (
            np.any(self.leverage < 1)
            or np.any(self.weight < 0)
            or not np.isclose(self.weight.sum(), 1.0, atol=1e-12)
        ):
            raise BadInput(f"{self.name}: leverages start at 1x and weights are shares that sum to one")

    @property
    def mean(self) -> float:
        return float(self.leverage @ self.weight)

    def up_to(self, highest: float) -> "LeverageWeights":
        """Without the leverages above `highest`, the rest scaled to sum to one; the note states it."""
        kept = self.leverage <= highest
        if kept.all():
            return self
        if not self.weight[kept].sum() > 0:
            raise BadInput(f"{self.name}: no leverage at or below the venue's highest, {highest:g}x")
        dropped = _listed(self.leverage[~kept])
        return replace(
            self,
            leverage=self.leverage[kept],
            weight=self.weight[kept] / self.weight[kept].sum(),
            band=tuple(label for label, keep in zip(self.band, kept, strict=True) if keep),
            note=f"{self.note}; {dropped} above the venue's highest of {highest:g}x dropped, the rest rescaled",
        )


def bands_among(model: str, bands: Sequence[str], wanted: Sequence[float]) -> list[str]:
    """Those of `bands` in which the wanted leverages lie, in their order; raises `UnknownChoice` naming the model."""
    return sorted({_band_among(model, bands, value) for value in wanted}, key=bands.index)


def _band_among(model: str, bands: Sequence[str], value: float) -> str:
    if not (np.isfinite(value) and value >= 1):
        raise BadInput(f"leverage must be a number of at least 1, got {value!r}")
    label = f"{value:g}x" if f"{value:g}x" in bands else band_of(value)
    if label not in bands:
        raise UnknownChoice(f"leverage of {model}", f"{value:g}x", dict.fromkeys(bands))
    return label


def tiers(weights: Sequence[float] | None = None, leverage: Sequence[float] = TIERS) -> LeverageWeights:
    """A few leverages that retail interfaces offer; equal shares unless `weights` are given (any positive scale)."""
    share = np.ones(len(leverage)) if weights is None else np.asarray(weights, dtype=np.float64)
    if len(share) != len(leverage) or np.any(share < 0) or not share.sum() > 0:
        raise BadInput(f"tiers need {len(leverage)} weights that are not negative, not {list(share)}")
    share = share / share.sum()
    listed = ", ".join(f"{value:g}x {part:.1%}" for value, part in zip(leverage, share, strict=True))
    labels = tuple(f"{value:g}x" for value in leverage)
    return LeverageWeights(
        "tiers", np.asarray(leverage, dtype=np.float64), share, labels, f"leverage tiers {listed}"
    )


def bell(average: float = BELL_AVERAGE, sd: float = BELL_SD) -> LeverageWeights:
    """A normal distribution of leverage on whole leverages from 1x, cut there and rescaled."""
    if not (average >= 1 and sd > 0):
        raise BadInput(f"a bell needs an average of at least 1x and a positive sd, not {average} and {sd}")
    nodes = np.arange(1.0, np.ceil(average + BELL_REACH_SD * sd) + 1)
    density = np.exp(-0.5 * ((nodes - average) / sd) ** 2)
    share = density / density.sum()
    note = (
        f"leverage normal around {average:g}x, sd {sd:g}x, on whole leverages from 1x to {nodes[-1]:g}x "
        f"(mean after the cut {nodes @ share:.1f}x)"
    )
    return LeverageWeights("bell", nodes, share, tuple(band_of(value) for value in nodes), note)


def band_of(leverage: float) -> str:
    """Label of the band of one leverage: 0-3x, 3-7x, 7-15x, 15-30x, 30-60x or 60x+ (lower bound included)."""
    low, high = next(pair for pair in pairwise(BAND_EDGES) if leverage < pair[1])
    return f"{low:g}x+" if np.isinf(high) else f"{low:g}-{high:g}x"


def _listed(values: FloatArray) -> str:
    """Every one of a few, the ends of many."""
    names = [f"{value:g}x" for value in values]
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}"


MODELS: Final[Mapping[str, Callable[[], LeverageWeights]]] = {"tiers": tiers, "bell": bell}
"""The baselines which field practice uses, by the name that the user types."""


def weights_named(model: str) -> LeverageWeights:
    """The baseline of that name with its default parameters; raises `UnknownChoice`."""
    if model not in MODELS:
        raise UnknownChoice("model", model, MODELS)
    return MODELS[model]()
