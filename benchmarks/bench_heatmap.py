"""200,000 positions to a heatmap: columns beside the loop over positions that others run."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.indexer.maps.exact import DIMENSIONS

POSITIONS = 200_000
GRID = PriceGrid.around(80_000.0)
TEXTS = ("margin_mode", "account_mode")
GROUP = f"{POSITIONS:,} positions to a heatmap"


@pytest.fixture(scope="module")
def levels() -> pl.DataFrame:
    return levels_of()


def levels_of() -> pl.DataFrame:
    """Prices up to half the mark away on the right side of it, log-normal notionals, a twentieth without price."""
    rng = np.random.default_rng(20260906)
    is_long = rng.random(POSITIONS) < 0.5
    distance = np.abs(rng.normal(0, 0.2, POSITIONS)).clip(1e-4, 0.45)
    px = GRID.mark_px * np.where(is_long, 1 - distance, 1 + distance)
    words = ["a", "b", "c", "d"]
    bands = {name: pl.Series(rng.choice(words, POSITIONS), dtype=pl.Enum(words)) for name in DIMENSIONS}
    return pl.DataFrame(
        {
            "side": np.where(is_long, "long", "short").tolist(),
            "px": pl.Series(np.where(rng.random(POSITIONS) < 0.05, np.nan, px)).fill_nan(None),
            "notional_usd": rng.lognormal(9, 2, POSITIONS),
            **bands,
        },
        schema_overrides={"side": pl.Enum(["long", "short"])},
    )


def made(levels: pl.DataFrame, by: tuple[str, ...] = ()) -> Heatmap:
    return Heatmap.from_levels(
        levels,
        GRID,
        coin="BTC",
        venue="hyperliquid",
        source="exact",
        as_of=datetime(2026, 9, 6, tzinfo=UTC),
        coverage=Coverage(open_interest_usd=None, seen_usd=Sides(0.0, 0.0)),
        by=by,
    )


def looped(rows: list[tuple[str, float | None, float]], edges: list[float]) -> list[float]:
    """One position after the other into a dictionary of bins, as the field's scripts do."""
    width, low = math.log(edges[1] / edges[0]), edges[0]
    sums: dict[tuple[str, int], float] = {}
    for side, px, notional_usd in rows:
        if px is not None:
            key = (side, int(math.log(px / low) / width))
            sums[key] = sums.get(key, 0.0) + notional_usd
    return [
        sum(sums.get((side, number), 0.0) for side in ("long", "short")) for number in range(len(edges) - 1)
    ]


@pytest.mark.benchmark(group=GROUP)
def test_columns(benchmark: BenchmarkFixture, levels: pl.DataFrame) -> None:
    heatmap = benchmark(lambda: made(levels.select("side", "px", "notional_usd")))
    expected = levels.filter(pl.col("px").is_not_null())["notional_usd"].sum()
    assert sum(heatmap.in_grid_usd) == pytest.approx(expected)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("texts", [(), TEXTS], ids=["of Enum", "two of text, as commands have them"])
def test_columns_with_every_breakdown(
    benchmark: BenchmarkFixture, levels: pl.DataFrame, texts: tuple[str, ...]
) -> None:
    """The map, and its breakdown when it is first looked at."""
    told = levels.with_columns(pl.col(texts).cast(pl.String)) if texts else levels
    breakdown = benchmark(lambda: made(told, DIMENSIONS).breakdown)
    assert set(DIMENSIONS) <= set(breakdown.columns)
    assert breakdown["notional_usd"].sum() == pytest.approx(levels["notional_usd"].sum())


@pytest.mark.benchmark(group=GROUP)
def test_floor_of_one_bincount(benchmark: BenchmarkFixture, levels: pl.DataFrame) -> None:
    assert benchmark(floor_of(levels)).sum() == pytest.approx(levels.drop_nulls("px")["notional_usd"].sum())


def floor_of(levels: pl.DataFrame) -> Callable[[], np.ndarray]:
    """What numpy needs to bin both sides' prices and to add them up, with no check and no other figure."""
    priced = levels.drop_nulls("px")
    px, notional_usd = priced["px"].to_numpy(), priced["notional_usd"].to_numpy()
    is_short = priced["side"].to_physical().to_numpy().astype(np.int64)
    edges, bins = GRID.edges, GRID.bins

    def floor() -> np.ndarray:
        place = (np.log(px / edges[0]) / GRID.log_width).astype(np.int64)
        return np.bincount(place + is_short * bins, notional_usd, 2 * bins)

    return floor


@pytest.mark.benchmark(group=GROUP)
def test_loop(benchmark: BenchmarkFixture, levels: pl.DataFrame) -> None:
    rows = list(zip(*(levels[name].to_list() for name in ("side", "px", "notional_usd")), strict=True))
    edges = GRID.edges.tolist()
    mass = benchmark.pedantic(lambda: looped(rows, edges), rounds=5)
    assert sum(mass) == pytest.approx(sum(made(levels.select("side", "px", "notional_usd")).in_grid_usd))
