"""Maps for the tests of `compare`: from a few levels written out, and from a synthetic crowd with whales."""

from collections.abc import Iterable
from dataclasses import replace
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

Level = tuple[str, float, float]
"""Side, distance from the mark in percent (always positive), notional in USD."""

distances = st.floats(0.2, 45.0)
amounts = st.floats(1e3, 1e8)


def sides(side: str) -> st.SearchStrategy[list[Level]]:
    return st.lists(st.tuples(st.just(side), distances, amounts), min_size=1, max_size=8)


levels_of_both = st.tuples(sides("long"), sides("short")).map(lambda pair: [*pair[0], *pair[1]])


def price_at(side: str, distance_pct: float, mark_px: float = MARK) -> float:
    return mark_px * (1 - distance_pct / 100 if side == "long" else 1 + distance_pct / 100)


def mid_bin(distance_pct: float, side: str) -> float:
    """The distance moved to the middle of its default bin, where no rounding moves it to the next one."""
    width = PriceGrid.around(MARK).log_width
    bins = np.floor(abs(np.log(price_at(side, distance_pct) / MARK)) / width) + 0.5
    return float(100 * abs(np.expm1((-1 if side == "long" else 1) * bins * width)))


def frame(levels: Iterable[Level], mark_px: float = MARK) -> pl.DataFrame:
    rows = [(side, price_at(side, away, mark_px), usd) for side, away, usd in levels]
    return pl.DataFrame(rows, schema=LEVELS, orient="row")


def map_of(
    levels: Iterable[Level] | pl.DataFrame,
    *,
    venue: str = "hyperliquid",
    model: str = "",
    mark_px: float = MARK,
    grid: PriceGrid | None = None,
    open_interest_usd: float | None = None,
    **more: Any,
) -> Heatmap:
    """An exact map, or a modelled one where `model` names it; coverage counts what the levels hold.

    Without `open_interest_usd` the map has seen everything: both sides are whole.
    """
    stored = levels if isinstance(levels, pl.DataFrame) else frame(levels, mark_px)
    seen = Sides(
        *(float(stored.filter(pl.col("side") == side)["notional_usd"].sum()) for side in ("long", "short"))
    )
    about = {
        "coin": "BTC",
        "venue": venue,
        "model": model,
        "source": "modelled" if model else "exact",
        "as_of": NOON,
        "coverage": Coverage(
            open_interest_usd=open_interest_usd or min(seen) or max(seen),
            seen_usd=seen,
            positions=stored.height,
            accounts=stored.height,
        ),
    }
    return Heatmap.from_levels(stored, grid or PriceGrid.around(mark_px), **{**about, **more})


def read_whole(heatmap: Heatmap) -> Heatmap:
    """Nothing of open interest is unread: what the levels lack, no price liquidates."""
    whole = heatmap.coverage.open_interest_usd or 0.0
    return replace(heatmap, coverage=replace(heatmap.coverage, seen_usd=Sides(whole, whole)))


def crowd(
    seed: int, positions: int = 400, whales: int = 0, spread: float = 0.8, middle_pct: float = 8.0
) -> list[Level]:
    """Lognormal distances on both sides; each whale is as large as a twentieth of the crowd."""
    rng = np.random.default_rng(seed)
    away = np.clip(middle_pct * rng.lognormal(0.0, spread, positions), 0.1, 49.0)
    usd = rng.lognormal(11.0, 1.0, positions)
    usd[:whales] = usd.sum() / 20
    return [(("long", "short")[n % 2], float(away[n]), float(usd[n])) for n in range(positions)]


TRUTH = crowd(1, whales=4)
"""Too few effective positions to judge by: whales hold a sixth."""
MANY = crowd(1, positions=900)
"""Enough of them."""
NEAR = crowd(2)
FAR = crowd(3, middle_pct=20.0, spread=0.3)
