"""Joint liquidation prices of 60,000 accounts: the walk over all kinks at once beside a loop over accounts.

The loop does the same for one account at a time in plain Python: it sorts the account's kinks and steps from one to
the next, so that both are exact and only the arrays differ.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import TypeAlias

import numpy as np
import polars as pl
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.frames import POSITIONS, from_columns
from liqtruth.indexer.info.wire import Asset, MarginTable, MarginTier, Meta
from liqtruth.indexer.maps.joint import joint_prices
from liqtruth.indexer.margin.pools import backing_of
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables

ACCOUNTS, POSITIONS_HELD, COINS = 60_000, 250_000, 40
TIERED = {51: (10, 3e6, 5), 54: (20, 70e6, 10), 55: (25, 100e6, 15), 56: (40, 150e6, 20)}
BETAS = {f"C{n}": 0.4 + n / 20 for n in range(1, COINS)}

Leg: TypeAlias = tuple[float, float, float, list[tuple[float, float, float]]]
"""Notional, side, beta and tiers (lower bound, rate, deduction) of one position."""


def tiers_of(coin: int) -> tuple[int, list[tuple[float, float, float]]]:
    table = sorted(TIERED)[coin % len(TIERED)]
    first, bound, then = TIERED[table]
    low, high = 0.5 / first, 0.5 / then
    return table, [(0.0, low, 0.0), (bound, high, bound * (high - low))]


@pytest.fixture(scope="module")
def tables() -> dict[str, MarginTables]:
    assets = [
        Asset(name=f"C{n}", sz_decimals=2, max_leverage=40, margin_table_id=tiers_of(n)[0])
        for n in range(COINS)
    ]
    listed = [
        (n, MarginTable([MarginTier(0, first), MarginTier(bound, then)]))
        for n, (first, bound, then) in TIERED.items()
    ]
    return {"": MarginTables.from_meta(Meta(universe=assets, margin_tables=listed))}


@pytest.fixture(scope="module")
def positions(tables: dict[str, MarginTables]) -> pl.DataFrame:
    """Log-normal notionals, a seventh isolated, margins from a hundredth to twice the account's notional."""
    rng = np.random.default_rng(20260906)
    account = np.sort(np.append(np.arange(ACCOUNTS), rng.integers(0, ACCOUNTS, POSITIONS_HELD - ACCOUNTS)))
    coin = rng.integers(0, COINS, POSITIONS_HELD)
    signed = rng.choice([-1.0, 1.0], POSITIONS_HELD) * rng.lognormal(9, 2.5, POSITIONS_HELD)
    gross = np.bincount(account, np.abs(signed), ACCOUNTS)
    value = (gross * 10 ** rng.uniform(-1, 0.3, ACCOUNTS))[account]
    isolated = rng.random(POSITIONS_HELD) < 1 / 7
    columns = {
        "address": [f"0x{n:040x}" for n in account],
        "account_mode": ["standard"] * POSITIONS_HELD,
        "dex": [""] * POSITIONS_HELD,
        "coin": [f"C{n}" for n in coin],
        "szi": signed / 100,
        "mark_px": [100.0] * POSITIONS_HELD,
        "notional_usd": np.abs(signed),
        "margin_mode": np.where(isolated, "isolated", "cross").tolist(),
        "isolated_raw_usd": np.where(isolated, 0.1 * np.abs(signed) - signed, np.nan),
        "account_value_usd": value,
        "exchange_read": [False] * POSITIONS_HELD,
        "as_of": [datetime(2026, 9, 1, tzinfo=UTC)] * POSITIONS_HELD,
        "source": ["bench"] * POSITIONS_HELD,
    }
    frame = from_columns(columns, POSITIONS).with_columns(pl.col("isolated_raw_usd").fill_nan(None))
    cross = frame["margin_mode"] == "cross"
    own = 0.04 * frame["notional_usd"]
    due = pl.select(pl.when(cross).then(own).otherwise(0.0)).to_series()
    frame = frame.with_columns(cross_maintenance_usd=due).with_columns(
        pl.col("cross_maintenance_usd").sum().over("address")
    )
    return reconcile(frame, tables)


@pytest.fixture(scope="module")
def accounts(positions: pl.DataFrame) -> list[tuple[str, float, list[Leg]]]:
    """The same cross positions as Python numbers: address, margin available, legs."""
    cross = positions.filter(pl.col("margin_mode") == "cross").sort("address", maintain_order=True)
    rows = cross.select(
        "address",
        pl.col("account_value_usd") - pl.col("cross_maintenance_usd"),
        "notional_usd",
        "szi",
        "coin",
    ).rows()
    tiers = {f"C{n}": tiers_of(n)[1] for n in range(COINS)}
    found = []
    for address, group in groupby(rows, key=lambda row: row[0]):
        own = list(group)
        legs = [
            (usd, 1.0 if szi > 0 else -1.0, BETAS.get(coin, 1.0), tiers[coin]) for _, _, usd, szi, coin in own
        ]
        found.append((address, own[0][1], legs))
    return found


def kinks_of(legs: list[Leg], way: int) -> Iterator[tuple[float, float]]:
    for notional, side, beta, tiers in legs:
        drift = way * beta
        for (_, below, _), (bound, above, _) in pairwise(tiers):
            at = (bound / notional - 1) / drift
            if at > 0:
                yield at, -notional * abs(drift) * (above - below)
        if drift < 0:
            yield -1 / drift, -notional * drift * (side - tiers[0][1])


def shock_of(available: float, legs: list[Leg], way: int) -> float | None:
    if available < 0:
        return 0.0
    slope = 0.0
    for notional, side, beta, tiers in legs:
        rate = next(rate for lower, rate, _ in reversed(tiers) if notional >= lower)
        slope += notional * way * beta * (side - rate)
    value, reached = available, 0.0
    for at, change in sorted(kinks_of(legs, way)):
        following = value + slope * (at - reached)
        if following < 0:
            break
        value, reached, slope = following, at, slope + change
    return reached - value / slope if slope < 0 else None


@pytest.mark.benchmark(group=f"joint prices of {ACCOUNTS:,} accounts, {POSITIONS_HELD:,} positions")
def test_arrays(
    benchmark: BenchmarkFixture,
    positions: pl.DataFrame,
    tables: dict[str, MarginTables],
    accounts: list[tuple[str, float, list[Leg]]],
) -> None:
    found = benchmark(lambda: joint_prices(positions, backing_of(positions, tables), "C0", BETAS))
    cross = found.filter(pl.col("margin_mode") == "cross").unique("address", keep="first")
    rises = dict(cross.select("address", "joint_up_px").rows())
    some = accounts[:5_000]
    expected = np.array([shock_of(available, legs, 1) for _, available, legs in some], float)
    np.testing.assert_allclose(
        np.array([rises[address] for address, _, _ in some], float), 100 * (1 + expected), rtol=1e-9
    )


@pytest.mark.benchmark(group=f"joint prices of {ACCOUNTS:,} accounts, {POSITIONS_HELD:,} positions")
def test_loop(benchmark: BenchmarkFixture, accounts: list[tuple[str, float, list[Leg]]]) -> None:
    benchmark.pedantic(
        lambda: [shock_of(available, legs, way) for _, available, legs in accounts for way in (-1, 1)],
        rounds=3,
    )


@pytest.mark.benchmark(group=f"joint prices of {ACCOUNTS:,} accounts, {POSITIONS_HELD:,} positions")
def test_floor_of_one_sort(benchmark: BenchmarkFixture, positions: pl.DataFrame) -> None:
    """Each account's tiers in the order in which a move reaches them: positions by account and size."""
    holder, size = positions["address"].rank("dense").to_numpy(), positions["notional_usd"].to_numpy()
    assert benchmark(lambda: np.lexsort((size, holder))).size == positions.height
