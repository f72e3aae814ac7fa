"""Many readings in an archive: each reads as before, to the bit and in its order, whatever lies in its columns."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sqlmodel import select

from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, conform
from liqtruth.storage.database.tables import Partition, Reading, Scope
from liqtruth.storage.lake.archives import Archive
from liqtruth.storage.lake.manifest import file_of
from liqtruth.storage.packing.digits import READING
from liqtruth.storage.packing.forecasts import FORMATS, OF_POSITIONS
from liqtruth.storage.packing.moving import KEY, Digits, decoded, encoded
from liqtruth.storage.store import Settings, Store

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
Frames = dict[tuple[str, str, str | None], pl.DataFrame]
"""By reading, dataset and coin."""
COINS = ("BTC", "ETH", "xyz:TSLA")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def book(number: int) -> Reading:
    at = NOON + number * STEP
    return Reading(
        id=f"book-{number:03}", venue="hyperliquid", source="test", scope=Scope.BOOK, as_of=at, accounts=1, positions=1
    )  # fmt: skip


def drawn(number: int, accounts: int = 30, seed: int = 0) -> pl.DataFrame:
    """Positions that come and go, some without prices, in an order of their own."""
    rng = np.random.default_rng(seed)
    size = rng.normal(0, 10, (accounts, len(COINS))).round(4)
    entry = rng.lognormal(4, 1, (accounts, len(COINS))).round(3)
    equity = rng.lognormal(9, 2, accounts)
    chance = np.random.default_rng(1000 * seed + number)
    moved = np.exp(0.001 * number) * rng.lognormal(4, 1, len(COINS))
    rows = [
        {
            "address": f"0x{who:040x}",
            "dex": "xyz" if coin.startswith("xyz") else "",
            "coin": coin,
            "szi": size[who, place],
            "entry_px": entry[who, place],
            "mark_px": moved[place],
            "notional_usd": abs(size[who, place]) * moved[place] + (chance.random() < 0.1),
            "leverage": 10.0,
            "isolated_raw_usd": equity[who] if who % 5 == 0 else None,
            "account_value_usd": equity[who] * (1 + 0.01 * number),
            "cross_maintenance_usd": equity[who] / 50 * (1 + 0.01 * number),
            "pooled_available_usd": equity[who] * (1 + 0.009 * number) if who % 2 else None,
            "margin_used_usd": abs(size[who, place]) * moved[place] / 10,
            "unrealized_pnl_usd": size[who, place] * (moved[place] - entry[who, place]),
            "liq_px_exchange": None if who % 7 == 0 else moved[place] / 2,
            "liq_px_solved": None if who % 7 == 0 else moved[place] / 2 * (1 + 1e-9 * chance.random()),
            "liq_px": None if who % 7 == 0 else moved[place] / 2,
            "as_of": NOON + number * STEP - timedelta(seconds=who),
            "source": "test",
        }
        for who in range(accounts)
        for place, coin in enumerate(COINS)
        if chance.random() < 0.8
    ]
    return conform(
        pl.DataFrame(rows, infer_schema_length=None).sample(fraction=1, shuffle=True, seed=number), POSITIONS
    )


def accounts_of(positions: pl.DataFrame) -> pl.DataFrame:
    return conform(positions.unique(["address", "dex"], maintain_order=True), ACCOUNTS)


def write(store: Store, numbers: Sequence[int]) -> None:
    for number in numbers:
        positions = drawn(number)
        store.lake.write_reading(book(number), {"positions": positions, "accounts": accounts_of(positions)})


def stored(store: Store, *ids: str) -> list[Reading]:
    with store.database.session() as session:
        query = select(Reading).order_by(Reading.as_of)  # type: ignore[arg-type]
        return [one for one in session.exec(query).all() if not ids or one.id in ids]


def everything(store: Store) -> Frames:
    return {
        (one.id, dataset, coin): store.lake.read_snapshots(dataset, [one.id], coin)
        for one in stored(store)
        for dataset, coins in (("positions", (None, *COINS)), ("accounts", (None,)))
        for coin in coins
    }


def assert_same(
    found: Frames,
    wanted: Frames,
) -> None:
    assert found.keys() == wanted.keys()
    for key, frame in wanted.items():
        assert_frame_equal(found[key], frame, check_exact=True)


def test_archived_readings_read_as_before_to_the_bit(store: Store) -> None:
    write(store, range(9))
    before = everything(store)
    assert store.lake.archive(Archive("one", stored(store)[:4]))
    assert_same(everything(store), before)
    assert store.lake.archive(Archive("two", stored(store)[4:8]))
    assert store.lake.archive(Archive("both", stored(store)[:8])), "archives are put together as books are"
    assert_same(everything(store), before)
    together = store.lake.read_snapshots("positions", [one.id for one in stored(store)])
    apart = [before[one.id, "positions", None] for one in stored(store)]
    assert_frame_equal(together, pl.concat(apart), check_exact=True)


def test_an_archive_is_few_files_and_the_old_ones_are_gone(store: Store) -> None:
    write(store, range(6))
    store.lake.archive(Archive("one", stored(store)))
    with store.database.session() as session:
        listed = {file_of(row) for row in session.exec(select(Partition)).all()}
    assert len(listed) == 3, "positions, their collateral, accounts"
    assert {
        path.relative_to(store.lake.root).as_posix() for path in store.lake.root.rglob("*.parquet")
    } == listed


def test_a_large_archive_is_split_by_coins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, range(4))
    before = everything(store)
    monkeypatch.setattr("liqtruth.storage.lake.archives.PART_ROWS", 100)
    store.lake.archive(Archive("one", stored(store)))
    assert len(list(store.lake.root.glob("positions/**/*.parquet"))) == len(COINS)
    assert_same(everything(store), before)


def test_positions_that_share_no_collateral_keep_their_own(store: Store) -> None:
    for number in range(3):
        positions = drawn(number).with_columns(account_value_usd=pl.col("szi") * 7.3)
        store.lake.write_reading(book(number), {"positions": positions, "accounts": accounts_of(positions)})
    before = everything(store)
    store.lake.archive(Archive("one", stored(store)))
    assert_same(everything(store), before)
    assert not list(store.lake.root.glob("collateral/**/*.parquet"))


def test_readings_of_few_columns_can_be_archived(store: Store) -> None:
    for number in range(3):
        rows = pl.DataFrame({"coin": ["ETH", "BTC"], "szi": [float(number), -0.5], "as_of": [NOON, NOON]})
        store.lake.write_reading(book(number), {"positions": rows.cast({"as_of": pl.Datetime("ms", "UTC")})})
    before = {one.id: store.lake.read_snapshots("positions", [one.id]) for one in stored(store)}
    assert store.lake.archive(Archive("one", stored(store)))
    for name, frame in before.items():
        assert_frame_equal(store.lake.read_snapshots("positions", [name]), frame, check_exact=True)


def test_a_reading_that_was_changed_meanwhile_stays_as_it_is(store: Store) -> None:
    write(store, range(3))
    planned = Archive("one", stored(store))
    store.lake.forget("book-001", lambda session: None)
    before = everything(store)
    assert not store.lake.archive(planned)
    assert_same(everything(store), before)


def test_dropped_readings_are_gone_and_the_others_as_before(store: Store) -> None:
    write(store, range(4))
    before = everything(store)
    store.lake.archive(Archive("one", stored(store)))
    kept, dropped = stored(store, "book-000", "book-003"), stored(store, "book-001", "book-002")
    store.lake.archive(Archive("thinner", kept, dropped))
    assert_same(
        everything(store), {key: frame for key, frame in before.items() if key[0] in ("book-000", "book-003")}
    )


def test_an_archived_reading_can_be_forgotten(store: Store) -> None:
    write(store, range(3))
    before = everything(store)
    store.lake.archive(Archive("one", stored(store)))
    store.lake.forget("book-001", lambda session: None)
    assert_same(everything(store), {key: frame for key, frame in before.items() if key[0] != "book-001"})


FIGURES = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, -0.0, 1e-320, 1.5, 1e300]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 5), *[FIGURES] * 10),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[:2],
    )
)
def test_any_figures_are_given_back_bit_by_bit(rows: list[tuple[object, ...]]) -> None:
    """Infinities, not-a-number, signed zeros and nulls included: a forecast that is off costs bytes alone."""
    names = [
        "szi", "entry_px", "mark_px", "leverage", "isolated_raw_usd", "unrealized_pnl_usd", "margin_used_usd",
        "liq_px_exchange", "liq_px_solved", "liq_px",
    ]  # fmt: skip
    schema = {"coin": pl.String(), READING: pl.UInt32(), **dict.fromkeys(names, pl.Float64())}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        notional_usd=pl.col("liq_px"),
        account_value_usd=1.0,
        cross_maintenance_usd=0.5,
        pooled_available_usd=None,
    )
    frame = frame.cast({"pooled_available_usd": pl.Float64}).sort("coin", READING)
    stored, digits = encoded(frame, OF_POSITIONS, KEY)
    back = decoded(stored, OF_POSITIONS, KEY, frame.columns, digits)
    for name in frame.columns:
        assert (back[name].is_null() == frame[name].is_null()).all()
        if frame[name].dtype == pl.Float64:
            bits = [one[name].drop_nulls().to_numpy().view(np.int64) for one in (back, frame)]
            assert np.array_equal(*bits)


def test_an_archive_of_before_is_read_by_its_own_forecasts() -> None:
    """All distances were in bits: 2 is one bit up. Notional, profit by the mark, at first the exchange's price."""
    stored = pl.DataFrame({"coin": "BTC", "szi": [2.0, 2.0], "mark_px": [10.0, 11.0], "entry_px": [9.0, 9.0]})
    stored = stored.with_columns(pl.Series(READING, [0, 1], pl.UInt32()), liq_px_exchange=pl.lit(5.0))
    for name, steps in (("notional_usd", [0, 0]), ("unrealized_pnl_usd", [0, 2]), ("liq_px_solved", [2, 0])):
        stored = stored.with_columns(
            pl.Series(f"{name}+", steps, pl.UInt16()), pl.Series(f"{name}++", [0, 0], pl.UInt64())
        )
    columns = ["notional_usd", "unrealized_pnl_usd", "liq_px_solved"]
    back = decoded(stored, FORMATS["moving-1"], KEY, columns, Digits())
    assert back["notional_usd"].to_list() == [20.0, 22.0]
    assert back["unrealized_pnl_usd"].to_list() == [2.0, np.nextafter(4.0, 5.0)]
    assert back["liq_px_solved"][0] == np.nextafter(5.0, 6.0)
