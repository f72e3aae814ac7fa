"""Maps for the tests of `heatmap`: from levels written out or drawn at random around a mark of 100."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import LEVELS, Sides

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
MARK = 100.0
SUFFIXES = (".json", ".csv", ".parquet")

Level = tuple[str, float | None, float]
"""Side, price (null: no price liquidates it) and notional in USD."""

side = st.sampled_from(["long", "short"])
amounts = st.floats(0.0, 1e9)
widths = st.floats(1.0, 300.0)
moves = st.floats(-1.5, 1.5)
"""Log price from the mark; the default grid ends at 0.69, so some are off it."""


def at(move: float, mark_px: float = MARK) -> float:
    """The price that is `move` in log price from the mark."""
    return float(mark_px * np.exp(move))


any_level = st.tuples(side, st.none() | moves.map(at), amounts)
any_levels = st.lists(any_level, max_size=20)


@st.composite
def levels_off_the_edges(draw: st.DrawFn, grid: PriceGrid, crossed: bool = True) -> list[Level]:
    """Levels inside the bins of `grid` and up to five bins past it, never within rounding of an edge."""
    last = grid.bins_each_way + 4
    found = []
    for _ in range(draw(st.integers(0, 12))):
        name = draw(side)
        bin_from_mark = draw(st.integers(-last - 1, last) if crossed else st.integers(0, last))
        move = (bin_from_mark + draw(st.floats(0.1, 0.9))) * grid.log_width
        away = -1 if name == "long" and not crossed else 1
        found.append((name, at(away * move, grid.mark_px), draw(amounts)))
    return found


def mid_bin(price: float, grid: PriceGrid) -> float:
    """The price moved to the middle of its bin, where no rounding moves it to the next one."""
    return float(grid.centers[grid.bin_of(price)])


def frame(levels: Iterable[Level], **dimensions: Sequence[str]) -> pl.DataFrame:
    holdings = pl.DataFrame(list(levels), schema=LEVELS, orient="row")
    return holdings.with_columns(
        pl.Series(name, values, dtype=pl.String) for name, values in dimensions.items()
    )


def map_of(levels: Iterable[Level] | pl.DataFrame, grid: PriceGrid | None = None, **more: Any) -> Heatmap:
    """An exact map of `levels` on the default grid around 100; `more` replaces any other field."""
    holdings = levels if isinstance(levels, pl.DataFrame) else frame(levels)
    seen = Sides(
        *(float(holdings.filter(pl.col("side") == s)["notional_usd"].sum()) for s in ("long", "short"))
    )
    about = {
        "coin": "BTC",
        "venue": "hyperliquid",
        "source": "exact",
        "as_of": NOON,
        "coverage": Coverage(open_interest_usd=None, seen_usd=seen),
    }
    return Heatmap.from_levels(holdings, grid or PriceGrid.around(MARK), **{**about, **more})


def plain() -> Heatmap:
    """Two levels of amounts that are no round binary numbers, in forty bins."""
    levels = frame([("long", 90.0, 0.1), ("short", 110.0, 1 / 3)], margin_mode=["cross", "isolated"])
    return map_of(levels, PriceGrid(100.0, 100.0, 20), by=["margin_mode"])
