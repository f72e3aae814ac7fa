"""Several venues' maps of one coin as one map."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap, Sides
from liqtruth.heatmap.notes import Notes, note

TOGETHER: Final = "+"
"""Between the names of venues in the name of their sum."""


def aggregated(maps: Sequence[Heatmap]) -> Heatmap:
    """The sum of maps of one coin and moment, on one grid around the mark weighted by open interest.

    Levels keep their distance from their own venue's mark: venues' prices move together, and a basis between them would
    otherwise put levels on the wrong side. The breakdown keeps `venue`. Raises `BadInput` for maps that do not fit.
    """
    if (
        len({(drawn.coin, drawn.model, drawn.as_of, drawn.grid.width_bps, drawn.grid.bins) for drawn in maps})
        != 1
    ):
        raise BadInput("only maps of one coin, model, moment and bin width can be added; these differ")
    held = [drawn.coverage.open_interest_usd or 0.0 for drawn in maps]
    whole = sum(held)
    if not whole > 0:
        raise BadInput("open interest of no venue is known: nothing can be weighted by it")
    first = maps[0]
    mark_px = sum(drawn.mark_px * share for drawn, share in zip(maps, held, strict=True)) / whole
    grid = PriceGrid(mark_px, first.grid.width_bps, first.grid.bins_each_way)
    frames = [drawn.breakdown for drawn in maps if drawn.breakdown is not None]
    return Heatmap.from_breakdown(
        pl.concat(frames, how="diagonal"),
        grid,
        coin=first.coin,
        venue=TOGETHER.join(drawn.venue for drawn in maps),
        source=first.source,
        model=first.model,
        as_of=first.as_of,
        coverage=_coverage(maps, held, whole),
        assumptions=_assumptions(maps, mark_px),
        quality=_told([drawn.quality for drawn in maps], maps),
        only=first.only,
    )


def _coverage(maps: Sequence[Heatmap], held: Sequence[float], whole: float) -> Coverage:
    shares = tuple(
        note("venue_share", venue=drawn.venue, share=part / whole, usd=part, mark_px=drawn.mark_px)
        for drawn, part in zip(maps, held, strict=True)
    )
    ages = [drawn.coverage.oldest_age_s for drawn in maps if drawn.coverage.oldest_age_s is not None]
    seen = [drawn.coverage.seen_usd for drawn in maps]
    return Coverage(
        open_interest_usd=whole,
        seen_usd=Sides(sum(side.long for side in seen), sum(side.short for side in seen)),
        oldest_age_s=max(ages, default=None),
        notes=(*shares, *_told([drawn.coverage.notes for drawn in maps], maps)),
        synthetic=any(drawn.synthetic for drawn in maps),
    )


def _told(said: Sequence[Notes], maps: Sequence[Heatmap]) -> Notes:
    """What all venues share once, the rest with its venue."""
    common = [line for line in said[0] if all(line in lines for lines in said)]
    own = [
        line.of(drawn.venue)
        for drawn, lines in zip(maps, said, strict=True)
        for line in lines
        if line not in common
    ]
    return (*common, *own)


def _assumptions(maps: Sequence[Heatmap], mark_px: float) -> Notes:
    placed = note("added_by_distance", mark_px=mark_px)
    return (placed, *_told([drawn.assumptions for drawn in maps], maps))
