"""Books that a watch moved by its marks and stored: their size once compacted, and that questions about them answer
as before. Synthetic accounts, moved by the product's own code."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, conform
from liqtruth.indexer.info.wire import Asset, Meta
from liqtruth.indexer.maps.views import exact_history, exact_view
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.storage.database.markets import store_markets
from liqtruth.storage.database.tables import Market, Reading, Scope
from liqtruth.storage.store import Settings, Store
from liqtruth.storage.upkeep.compaction import compact
from tests.read_budget import counted_reads

NOON = datetime(2026, 8, 20, tzinfo=UTC)
STEP = timedelta(minutes=10)
BOOKS = 72
COINS = tuple(f"COIN{n}" for n in range(12))
HOLDERS = 300
MOST_BYTES = 8.0
MOST_FILES = 300
"""Of a coin in a month."""
TABLES = {
    "": MarginTables.from_meta(
        Meta(
            universe=[Asset(name=coin, sz_decimals=4, max_leverage=10, margin_table_id=10) for coin in COINS],
            margin_tables=[],
        )
    )
}


def book_of(rng: np.random.Generator, px: np.ndarray) -> LiveBook:
    """Each account in about four coins, a third of them pooled, one in ten positions isolated."""
    rows = []
    for who in range(HOLDERS):
        equity, pooled = round(float(rng.lognormal(9, 2)), 6), bool(rng.random() < 0.6)
        due = round(equity / float(rng.uniform(5, 50)), 6)
        for place in rng.choice(len(COINS), rng.integers(1, 8), replace=False):
            szi = round(float(rng.choice([-1, 1]) * rng.lognormal(7, 2) / px[place]), 4) or 0.0001
            isolated = round(float(rng.lognormal(5, 1)), 6) if rng.random() < 0.1 else None
            entry = round(float(px[place] * rng.lognormal(0, 0.05)), 4)
            rows.append(
                {
                    "address": f"0x{who * 7919:040x}",
                    "account_mode": "unified" if pooled else "standard",
                    "dex": "",
                    "coin": COINS[place],
                    "szi": szi,
                    "entry_px": entry,
                    "mark_px": float(px[place]),
                    "notional_usd": abs(szi) * px[place],
                    "margin_mode": "cross" if isolated is None else "isolated",
                    "leverage": 5.0,
                    "max_leverage": 10.0,
                    "margin_used_usd": round(abs(szi) * px[place] / 5, 6),
                    "isolated_raw_usd": isolated,
                    "account_value_usd": equity,
                    "cross_maintenance_usd": due,
                    "pooled_available_usd": round(2 * equity, 6) if pooled else None,
                    "unrealized_pnl_usd": round(szi * (px[place] - entry), 6),
                    "exchange_read": False,
                    "as_of": NOON,
                    "source": "synthetic test",
                }
            )
    solved = reconcile(conform(pl.DataFrame(rows, infer_schema_length=None), POSITIONS), TABLES)
    read = solved.with_columns(exchange_read=True, liq_px_exchange=pl.col("liq_px_solved").round(10))
    positions = reconcile(read, TABLES)
    accounts = conform(positions.unique(["address", "dex"], maintain_order=True), ACCOUNTS)
    return LiveBook(positions, accounts, dict(TABLES))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    rng = np.random.default_rng(20260820)
    px = np.round(np.exp(rng.uniform(0, 9, len(COINS))), 4)
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("books"))) as opened:
        book = book_of(rng, px)
        for number in range(BOOKS):
            at = NOON + number * STEP
            px = np.round(px * np.exp(rng.normal(0, 0.002, len(COINS))), 4)
            book.remark(pl.DataFrame({"dex": "", "coin": COINS, "mark_px": px}))
            store_markets(
                opened.database,
                [
                    Market(
                        venue="hyperliquid",
                        dex="",
                        coin=coin,
                        as_of=at,
                        mark_px=float(mark),
                        open_interest=1e5,
                    )
                    for coin, mark in zip(COINS, px, strict=True)
                ],
            )
            replace(book).write(opened, at, "synthetic test")
        yield opened


def answers(store: Store) -> list[object]:
    """Of the past and of now: maps by their JSON, positions as frames."""
    history = exact_history(store, COINS[0], 8 * 6 * STEP, 6 * STEP)
    return [
        positions_as_of(store, NOON + 40.5 * STEP),
        positions_as_of(store, NOON + 11 * STEP, COINS[1]),
        positions_as_of(store),
        history.frame(),
        exact_view(store, COINS[0], NOON + 20 * STEP).breakdown,
    ]


SWEEPS = 24
PARTS = 10
"""Of a sweep, with marks of their own."""
USD = [
    "notional_usd", "unrealized_pnl_usd", "margin_used_usd", "account_value_usd", "cross_maintenance_usd",
    "pooled_available_usd",
]  # fmt: skip
"""What the exchange sends with six decimals."""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Everybody read on their own once an hour for a day, within ten minutes in which marks move as well."""
    rng = np.random.default_rng(20260821)
    px = np.round(np.exp(rng.uniform(0, 9, len(COINS))), 4)
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("sweeps"))) as opened:
        book = book_of(rng, px)
        for number in range(SWEEPS):
            at = NOON + number * timedelta(hours=1)
            parts = []
            for part in np.array_split(rng.permutation(book.accounts.height), PARTS):
                px = np.round(px * np.exp(rng.normal(0, 0.005 / np.sqrt(PARTS), len(COINS))), 4)
                book.remark(pl.DataFrame({"dex": "", "coin": COINS, "mark_px": px}))
                left_ms = 600_000 * (1 - len(parts) / PARTS) - rng.integers(0, 600_000 // PARTS, part.size)
                parts.append(sent_of(book, book.accounts[part]["address"], left_ms, at))
            frames = solved_of(
                {
                    name: pl.concat([one[name] for one in parts]).sort("address", maintain_order=True)
                    for name in ("positions", "accounts")
                }
            )
            reading = Reading(
                id=f"sweep-{number:02}", venue="hyperliquid", source="synthetic test", scope=Scope.ACCOUNTS,
                as_of=at, accounts=book.accounts.height, positions=book.positions.height,
            )  # fmt: skip
            opened.lake.write_reading(reading, frames)
        yield opened


def sent_of(book: LiveBook, who: pl.Series, left_ms: np.ndarray, end: datetime) -> dict[str, pl.DataFrame]:
    """What the exchange answers of these accounts: money in six decimals, its prices in ten, no mark but notional over
    size."""
    read = pl.DataFrame({"address": who, "left_ms": left_ms.astype(np.int64)})
    as_of = pl.lit(end, POSITIONS["as_of"]) - pl.duration(milliseconds="left_ms")
    frames = {
        name: frame.join(read, on="address", maintain_order="left").with_columns(as_of=as_of).drop("left_ms")
        for name, frame in (("positions", book.positions), ("accounts", book.accounts))
    }
    sent = frames["positions"].with_columns(
        pl.col(USD).round(6), liq_px_exchange=pl.col("liq_px_solved").round(10), exchange_read=True
    )
    sent = sent.with_columns(mark_px=pl.col("notional_usd") / pl.col("szi").abs())
    return frames | {"positions": sent}


def solved_of(sent: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """What a sweep makes of it: prices solved of what was sent."""
    return sent | {"positions": reconcile(sent["positions"], TABLES)}


def test_sweeps_are_found_as_before_in_a_fraction_of_the_room(swept: Store) -> None:
    moments = [NOON + hours * timedelta(hours=1) for hours in (0.9, 7, 20.5)]
    before = [positions_as_of(swept, at, coin) for at in moments for coin in (None, COINS[3])]
    rows = sum(one.height for one in swept.lake.snapshots("positions", [f"sweep-{n:02}" for n in range(24)]))
    own = size_of(swept.lake.root, "positions") / rows
    assert compact(swept.lake, now=NOON + timedelta(days=2)).readings == SWEEPS
    after = [positions_as_of(swept, at, coin) for at in moments for coin in (None, COINS[3])]
    for found, expected in zip(after, before, strict=True):
        assert_frame_equal(found, expected, check_exact=True)
    bytes_a_row = size_of(swept.lake.root, "positions", "collateral") / rows
    assert bytes_a_row <= MOST_BYTES
    assert own > 2 * bytes_a_row
    files = sum(1 for _ in swept.lake.place.files())
    assert files * 30 / 2 <= MOST_FILES, "a month of days, of which these sweeps fill two in part"


def size_of(path: Path, *folders: str) -> int:
    return sum(file.stat().st_size for folder in folders for file in (path / folder).rglob("*.parquet"))


def test_compacted_books_answer_as_before_in_a_fraction_of_the_room(store: Store) -> None:
    before, was = answers(store), size_of(store.lake.root, "positions")
    last = positions_as_of(store).height
    own = was / (BOOKS * last)
    done = compact(store.lake, now=NOON + timedelta(days=1, hours=1))
    assert done.archives == 1
    for found, expected in zip(answers(store), before, strict=True):
        assert_frame_equal(found, expected, check_exact=True)  # type: ignore[arg-type]
    [archived] = store.lake.root.glob("positions/**/books-*.parquet")
    bytes_a_row = (archived.stat().st_size + size_of(store.lake.root, "collateral")) / ((BOOKS - 1) * last)
    assert bytes_a_row <= MOST_BYTES
    assert own > 5 * bytes_a_row
    with counted_reads() as reads:
        exact_history(store.view(), COINS[0], 30 * STEP, STEP)
    assert not reads.repeated
    assert len(reads.opened) <= 4, "the last book, and positions, collateral and accounts of the archive"
