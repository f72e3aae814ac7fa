"""A snapshot of 250,000 positions: written, read back, and its size on disk. Targets: 0.5 s, 0.2 s, 60 bytes a row.

The last figure is what a watch takes up at its start: everything that is known of all 200 coins.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.frames import POSITIONS, from_columns
from liqtruth.indexer.info.wire import Asset, Meta
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.database.tables import Reading, Scope
from liqtruth.storage.store import Settings, Store

ROWS: Final = 250_000
ACCOUNTS: Final = 60_000
COINS: Final = 200
GROUP: Final = f"snapshot of {ROWS:,} positions"
NOON: Final = datetime(2026, 9, 6, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def snapshot() -> pl.DataFrame:
    return drawn_snapshot()


def drawn_snapshot() -> pl.DataFrame:
    """As swept: a few coins hold most rows, numbers have the exchange's decimals, prices are the solver's."""
    rng = np.random.default_rng(20260906)
    owner = np.sort(rng.integers(0, ACCOUNTS, ROWS))
    coin = np.minimum(rng.zipf(1.4, ROWS), COINS) - 1
    mark_px = np.round(np.exp(rng.uniform(-3, 11, COINS)), 4)[coin]
    szi = np.round(rng.choice([-1.0, 1.0], ROWS) * rng.lognormal(7, 2, ROWS) / mark_px, 4)
    szi[szi == 0] = 0.0001
    entry_px = np.round(mark_px * rng.lognormal(0, 0.05, ROWS), 4)
    equity, due = np.round(rng.lognormal(9, 2, ACCOUNTS), 6), np.round(rng.lognormal(5, 2, ACCOUNTS), 6)
    pooled = rng.random(ACCOUNTS) < 0.6
    seconds = np.cumsum(rng.exponential(0.06, ACCOUNTS))
    addresses = np.array(["0x" + rng.bytes(20).hex() for _ in range(ACCOUNTS)])
    columns: dict[str, Any] = {
        "address": addresses[owner],
        "account_mode": np.where(pooled, "unified", "standard")[owner],
        "dex": [""] * ROWS,
        "coin": np.array([f"COIN{n}" for n in range(COINS)])[coin],
        "szi": szi,
        "entry_px": entry_px,
        "mark_px": mark_px,
        "notional_usd": np.round(np.abs(szi) * mark_px, 6),
        "margin_mode": ["cross"] * ROWS,
        "leverage": rng.choice([3.0, 5.0, 10.0, 20.0, 40.0], ROWS),
        "max_leverage": [10.0] * ROWS,
        "margin_used_usd": np.round(np.abs(szi) * mark_px / 10, 6),
        "account_value_usd": equity[owner],
        "cross_maintenance_usd": due[owner],
        "pooled_available_usd": np.where(pooled, np.round(3 * equity, 6), np.nan)[owner],
        "unrealized_pnl_usd": np.round(szi * (mark_px - entry_px), 6),
        "exchange_read": [True] * ROWS,
        "as_of": [NOON + timedelta(seconds=float(s)) for s in np.round(seconds, 3)[owner]],
        "source": ["https://api.hyperliquid.xyz"] * ROWS,
    }
    frame = from_columns(columns, POSITIONS).with_columns(pl.col("pooled_available_usd").fill_nan(None))
    return priced(frame)


def priced(frame: pl.DataFrame) -> pl.DataFrame:
    """The exchange's prices are the solved ones in ten decimals."""
    universe = [
        Asset(name=f"COIN{n}", sz_decimals=4, max_leverage=10, margin_table_id=10) for n in range(COINS)
    ]
    tables = {"": MarginTables.from_meta(Meta(universe=universe, margin_tables=[]))}
    solved = reconcile(frame.with_columns(exchange_read=False), tables)["liq_px_solved"]
    return reconcile(frame.with_columns(liq_px_exchange=solved.round(10)), tables)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("bench"))) as opened:
        yield opened


def reading(name: str) -> Reading:
    return Reading(
        id=name,
        venue="hyperliquid",
        source="bench",
        scope=Scope.CENSUS,
        as_of=NOON,
        accounts=ACCOUNTS,
        positions=ROWS,
    )


@pytest.mark.benchmark(group=GROUP)
def test_written(benchmark: BenchmarkFixture, store: Store, snapshot: pl.DataFrame) -> None:
    benchmark.pedantic(
        lambda: store.lake.write_reading(reading("snapshot"), {"positions": snapshot}),
        rounds=5,
        warmup_rounds=1,
    )
    on_disk = sum(path.stat().st_size for path in Path(store.lake.root).rglob("*.parquet"))
    benchmark.extra_info["bytes_per_row"] = round(on_disk / ROWS, 1)
    benchmark.stats.name += f" ({on_disk / ROWS:.1f} bytes a row)"


@pytest.mark.benchmark(group=GROUP)
def test_read_back(benchmark: BenchmarkFixture, store: Store, snapshot: pl.DataFrame) -> None:
    store.lake.write_reading(reading("snapshot"), {"positions": snapshot})
    known = benchmark.pedantic(
        lambda: store.lake.read_snapshots("positions", ["snapshot"]), rounds=5, warmup_rounds=1
    )
    order = ["address", "coin", "szi", "as_of"]
    assert_frame_equal(known.select(snapshot.columns).sort(order), snapshot.sort(order))


@pytest.mark.benchmark(group=GROUP)
def test_known_of_all_coins(benchmark: BenchmarkFixture, store: Store, snapshot: pl.DataFrame) -> None:
    store.lake.write_reading(reading("snapshot"), {"positions": snapshot})
    known = benchmark.pedantic(lambda: positions_as_of(store), rounds=5, warmup_rounds=1)
    assert known.height == ROWS
