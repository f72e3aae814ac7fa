"""Crowd and whales: what is left of positions when each is cut at a share of open interest, and what was cut off.

With q a position's notional and L = `LARGEST_SHARE` of one side's open interest (of what was seen on the position's
side where open interest is not known):

    crowd = min(q, L),    whales = q - min(q, L)

so that both layers add up to the whole map. The crowd is what a model can learn; the whales are known only where
positions are.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Coverage
from liqtruth.heatmap.levels import SIDES, Sides
from liqtruth.heatmap.words.notes import Note, note

LARGEST_SHARE: Final = 0.003
"""Share of open interest that one position has at most in the crowd."""
NEAR_PCT: Final = 30.0
"""The crowd's share of a map is measured within this distance of the mark, percent."""
LAYERS: Final = ("crowd", "whales")
ABOUT_LAYERS: Final = frozenset({"whales", "only_crowd", "only_whales"})
"""Codes of the notes that `whales_note` and `layer_note` make."""


@dataclass(frozen=True)
class Cut:
    """The notional (USD) at which positions of each side are cut, of open interest or, where that is not known, of what
    was seen of their side."""

    at_usd: Sides
    of_open_interest: bool

    @classmethod
    def of(cls, coverage: Coverage) -> Self:
        """By open interest, else by what was seen on each side."""
        if coverage.open_interest_usd:
            largest = LARGEST_SHARE * coverage.open_interest_usd
            return cls(Sides(largest, largest), True)
        seen = Sides(*(LARGEST_SHARE * side for side in coverage.seen_usd))
        return cls(seen, False)

    @property
    def values(self) -> dict[str, Any]:
        """For a note."""
        return {"cut_share": LARGEST_SHARE, "cut_usd": self.at_usd, "of_open_interest": self.of_open_interest}


def layer_of(levels: pl.DataFrame, cut: Cut, layer: str) -> pl.DataFrame:
    """The crowd's or the whales' part of `levels` (`heatmap.levels.LEVELS`), one row per position that has any.

    Raises `BadInput` for another layer.
    """
    if layer not in LAYERS:
        raise BadInput(f"the layer must be {' or '.join(LAYERS)}, got {layer!r}")
    limit = pl.when(pl.col("side") == SIDES[0]).then(cut.at_usd.long).otherwise(cut.at_usd.short)
    crowd = pl.min_horizontal("notional_usd", limit)
    if layer == "crowd":
        return levels.with_columns(notional_usd=crowd)
    return levels.with_columns(notional_usd=pl.col("notional_usd") - crowd).filter(pl.col("notional_usd") > 0)


def layer_note(layer: str, part_usd: Sides, whole_usd: Sides, cut: Cut) -> Note:
    """What a map of one layer shows, and which share of the whole map's mass that is."""
    shares = [part / whole if whole > 0 else 0.0 for part, whole in zip(part_usd, whole_usd, strict=True)]
    return Note(f"only_{layer}", {"shares": shares, **cut.values})


def whales_note(levels: pl.DataFrame, cut: Cut, mark_px: float) -> Note:
    """How much of what lies near the mark is the whales', in how many positions, and how many make the crowd."""
    near = levels.filter(
        pl.col("px").is_not_null(),
        pl.col("px").is_between(mark_px * (1 - NEAR_PCT / 100), mark_px * (1 + NEAR_PCT / 100))
        | ((pl.col("side") == SIDES[0]) == (pl.col("px") > mark_px)),
        pl.col("notional_usd") > 0,
    )
    crowd, whales = (layer_of(near, cut, layer) for layer in LAYERS)
    whole_usd = float(near["notional_usd"].sum())
    return note(
        "whales",
        within_pct=NEAR_PCT,
        share=float(whales["notional_usd"].sum()) / whole_usd if whole_usd > 0 else None,
        whales=whales.height,
        crowd=crowd.height,
        effective=[_effective(crowd, side) for side in SIDES],
        **cut.values,
    )


def effective_positions(notional_usd: FloatArray) -> float:
    """(sum q)^2 / sum q^2: so many equal positions would be as uneven."""
    squares = float((notional_usd**2).sum())
    return float(notional_usd.sum()) ** 2 / squares if squares > 0 else 0.0


def _effective(levels: pl.DataFrame, side: str) -> float:
    notional = levels.filter(pl.col("side") == side)["notional_usd"].to_numpy()
    return effective_positions(np.asarray(notional, dtype=np.float64))
