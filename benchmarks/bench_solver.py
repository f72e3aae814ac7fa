"""Liquidation prices of 300,000 positions: the array solver beside the loop over positions that others run."""

from typing import TypeAlias

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.info.wire import Asset, MarginTable, MarginTier, Meta
from liqtruth.indexer.margin.solver import Floats, Rows, implied_constant, solve_liquidation_price
from liqtruth.indexer.margin.tables import MarginTables

POSITIONS = 300_000
TIERED = {51: (10, 3e6, 5), 52: (10, 20e6, 5), 54: (20, 70e6, 10), 55: (25, 100e6, 15), 56: (40, 150e6, 20)}
Tier: TypeAlias = tuple[float, float, float]
Position: TypeAlias = tuple[float, float, list[Tier]]


@pytest.fixture(scope="module")
def tables() -> MarginTables:
    return tables_of()


def tables_of() -> MarginTables:
    """Flat and tiered tables as on the exchange."""
    flat = [Asset(name=f"FLAT{n}", sz_decimals=2, max_leverage=n, margin_table_id=n) for n in (3, 5)]
    tiered = [Asset(name=f"TIER{n}", sz_decimals=2, max_leverage=40, margin_table_id=n) for n in TIERED]
    listed = [
        (n, MarginTable([MarginTier(0, first), MarginTier(bound, then)]))
        for n, (first, bound, then) in TIERED.items()
    ]
    return MarginTables.from_meta(Meta(universe=[*flat, *tiered], margin_tables=listed))


@pytest.fixture(scope="module")
def positions(tables: MarginTables) -> tuple[Floats, Floats, Rows]:
    return positions_of(tables, POSITIONS)


def positions_of(tables: MarginTables, count: int) -> tuple[Floats, Floats, Rows]:
    """Log-normal notionals on random tables, prices within a factor of three of the mark, a tenth null."""
    rng = np.random.default_rng(20260906)
    rows = rng.choice(list(tables.row_of_coin.values()), count)
    mark_px = 10 ** rng.uniform(-3, 5, count)
    szi = rng.choice([-1.0, 1.0], count) * rng.lognormal(10, 3, count) / mark_px
    price = mark_px * 3 ** rng.uniform(-1, 1, count)
    constant_usd = implied_constant(szi, price, rows, tables)
    covered = (szi > 0) & (rng.random(count) < 0.2)
    return szi, np.where(covered, np.abs(constant_usd), constant_usd), rows


@pytest.fixture(scope="module")
def listed(positions: tuple[Floats, Floats, Rows], tables: MarginTables) -> list[Position]:
    return listed_of(positions, tables)


def listed_of(positions: tuple[Floats, Floats, Rows], tables: MarginTables) -> list[Position]:
    """The same positions as Python numbers, each with the list of its tiers."""
    columns = zip(
        tables.lower_bound_usd.tolist(), tables.rate.tolist(), tables.deduction_usd.tolist(), strict=True
    )
    tiers = [[tier for tier in zip(*table, strict=True) if tier[0] < float("inf")] for table in columns]
    szi, constant_usd, rows = positions
    return list(zip(szi.tolist(), constant_usd.tolist(), [tiers[row] for row in rows], strict=True))


def solve_one(q: float, constant: float, tiers: list[Tier]) -> float | None:
    """The published reference: tiers tried in turn until a root lies in its own."""
    size = abs(q)
    for k, (lower, rate, deduction) in enumerate(tiers):
        price = (-deduction - constant) / (q - size * rate)
        upper = tiers[k + 1][0] if k + 1 < len(tiers) else float("inf")
        if 0 < price <= 1e15 and lower <= size * price < upper:
            return price
    return None


@pytest.mark.benchmark(group=f"{POSITIONS:,} liquidation prices")
def test_arrays(
    benchmark: BenchmarkFixture,
    positions: tuple[Floats, Floats, Rows],
    tables: MarginTables,
    listed: list[Position],
) -> None:
    solved = benchmark(lambda: solve_liquidation_price(*positions, tables))
    some = 20_000
    expected = np.array([solve_one(*position) for position in listed[:some]], float)
    np.testing.assert_allclose(solved[:some], expected, rtol=1e-11)


@pytest.mark.benchmark(group=f"{POSITIONS:,} liquidation prices")
def test_loop(benchmark: BenchmarkFixture, listed: list[Position]) -> None:
    benchmark.pedantic(lambda: [solve_one(*position) for position in listed], rounds=5)


@pytest.mark.benchmark(group=f"{POSITIONS:,} liquidation prices")
def test_floor_of_one_division(benchmark: BenchmarkFixture, positions: tuple[Floats, Floats, Rows]) -> None:
    szi, constant_usd, _ = positions
    assert benchmark(lambda: constant_usd / szi).size == POSITIONS
