"""A thousand recorded blocks of a node's fills: 7,282 fills, of which two carry a liquidation.

Both belong to one liquidation: the liquidated account's own fill, and that of the account which took the other side.
"""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import lz4.frame
import polars as pl
import pytest

from liqtruth.indexer.errors import WireError
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.node.fills import DATASET, import_fills, read_liquidations
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

pytestmark = pytest.mark.recorded

WHO = "0xa59f55114ccb120487c4fb5766cb89b123c13563"


@pytest.fixture
def fills(recorded: Path) -> Path:
    return recorded / "hyperliquid" / "node_fills_by_block-2025-10-27T17.jsonl.gz"


def test_the_two_fills_with_a_liquidation_are_one_liquidation(fills: Path) -> None:
    read = read_liquidations([fills])
    assert (read.files, read.lines, read.repeated_fills, read.counterparty_fills) == (1, 1000, 0, 1)
    assert read.notes == ()
    assert read.liquidations.rows(named=True) == [
        {
            "ts": datetime(2025, 10, 27, 17, 0, 2, 387_000, tzinfo=UTC),
            "address": WHO,
            "coin": "WLFI",
            "side": "short",  # startPosition -890.0, bought back
            "method": "market",
            "mark_px": 0.15319,
            "mean_px": pytest.approx(0.15327, rel=1e-12),
            "size": 890.0,
            "notional_usd": pytest.approx(890 * 0.15327, rel=1e-12),
            "fills": 1,
            "hash": "0xce46e3a07a2baa4ecfc0042e503ea8018200fb86152ec920720f8ef3392f8439",
        }
    ]


def test_the_same_hour_in_three_wrappings_is_counted_once(fills: Path, tmp_path: Path) -> None:
    plain = gzip.decompress(fills.read_bytes())
    (tmp_path / "hourly" / "20251027").mkdir(parents=True)
    (tmp_path / "hourly" / "20251027" / "17").write_bytes(plain)
    (tmp_path / "17.lz4").write_bytes(lz4.frame.compress(plain))
    read = read_liquidations([fills, tmp_path])
    assert (read.files, read.lines, read.repeated_fills) == (3, 3000, 4)
    assert read.liquidations.equals(read_liquidations([fills]).liquidations)


def test_it_is_merged_into_the_lake_once(fills: Path, store: Store) -> None:
    first, again = import_fills(store, [fills]), import_fills(store, [fills])
    assert (first.liquidations, first.added, again.added) == (1, 1, 0)
    rows = store.lake.read_series(DATASET, VENUE, "WLFI", LIQUIDATIONS)
    assert rows.select("address", "size").rows() == [(WHO, 890.0)]
    assert first.describe() == [
        "1 file, 1,000 lines of a node's fills",
        "  1 liquidation of $136 in 1 coin, 2025-10-27T17:00:02Z .. 2025-10-27T17:00:02Z; 1 new",
        "  not counted: 1 fill of counterparties, 0 repeated fills",
    ]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9999])
def test_a_recorded_archive_that_breaks_off_is_refused(
    fills: Path, store: Store, tmp_path: Path, share: float
) -> None:
    whole = fills.read_bytes()
    (tmp_path / "17.gz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WireError, match=r"17\.gz: cut off after line"):
        import_fills(store, [tmp_path / "17.gz"])
    assert store.lake.series_coins(DATASET) == []


def test_the_liquidated_coin_is_the_only_one_stored(fills: Path, store: Store) -> None:
    import_fills(store, [fills])
    assert store.lake.series_coins(DATASET) == [(VENUE, "WLFI")]
    assert isinstance(store.lake.read_series(DATASET, VENUE, "BTC", LIQUIDATIONS), pl.DataFrame)
