"""Anyone's table of liquidations: sides and amounts by their words, one coin of several, never a table of trades."""

from pathlib import Path

import pytest

from liqtruth.compare.observed.coverage import spans_observed
from liqtruth.compare.observed.realised import load_liquidations
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Store
from tests.estimator.feed_files import stored

ROWS = "2026-07-10T00:00:05Z,BTC,{long},60000,12000\n" * 2 + (
    "2026-07-10T03:00:05Z,BTC,{short},60500,500\n2026-07-10T03:00:05Z,ETH,{short},2500,500\n"
)


def table(folder: Path, header: str, long: str = "sell", short: str = "buy") -> Path:
    path = folder / "table.csv"
    path.write_text(f"{header}\n{ROWS.format(long=long, short=short)}")
    return path


@pytest.mark.parametrize(("long", "short"), [("sell", "BUY"), ("Long", "short")])
def test_a_side_is_that_of_the_position_whichever_the_file_names(
    tmp_path: Path, store: Store, long: str, short: str
) -> None:
    import_feed(store, table(tmp_path, "ts,coin,side,price,usd", long, short), "bybit", "BTC")
    rows = stored(store, "liquidations", "bybit", "BTC")
    assert rows["side"].to_list() == ["long", "long", "short"]
    assert rows["notional_usd"].to_list() == [12_000, 12_000, 500]
    assert rows["coins"].to_list() == pytest.approx([0.2, 0.2, 500 / 60_500])


def test_columns_of_any_name_are_mapped_and_coins_are_an_amount(tmp_path: Path, store: Store) -> None:
    path = table(tmp_path, "when,market,dir,px,qty")
    columns = {"ts": "when", "coin": "market", "side": "dir", "price": "px", "coins": "qty"}
    import_feed(store, path, "bybit", "BTC", columns)
    assert stored(store, "liquidations", "bybit", "BTC")["coins"].to_list() == [12_000, 12_000, 500]
    with pytest.raises(UnknownChoice, match="unknown column of ours 'colour'"):
        import_feed(store, path, "bybit", "BTC", {**columns, "colour": "qty"})
    with pytest.raises(TableRefused, match="liquidations need ts, side, price and usd or coins"):
        import_feed(store, path, "bybit", "BTC", {"ts": "when", "side": "dir", "price": "px"})


def test_trades_are_not_taken_for_liquidations(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "table.csv"
    path.write_text("ts,side,price,usd,trade_id\n2026-07-10T00:00:05Z,sell,60000,12,1\n")
    with pytest.raises(BadInput):
        import_feed(store, path, "bybit", "BTC")
    assert stored(store, "liquidations", "bybit", "BTC").is_empty()


def test_positions_and_orders_are_not_mixed(tmp_path: Path, store: Store) -> None:
    with pytest.raises(TableRefused, match=r"names positions .* and orders"):
        import_feed(store, table(tmp_path, "ts,coin,side,price,usd", "long", "buy"), "bybit", "BTC")


def test_what_was_imported_counts_as_observed_by_its_days_for_every_reader(
    tmp_path: Path, store: Store
) -> None:
    """`score` took it so, and `transfer` found no span at all."""
    import_feed(store, table(tmp_path, "ts,coin,side,price,usd"), "bybit", "BTC")
    found = load_liquidations(store, venue_named("bybit"), "BTC")
    assert found.by_days
    assert (found.spans_ms[:, 1] - found.spans_ms[:, 0]).tolist() == [3 * 3_600_000]
    assert spans_observed(store, "bybit", "ETH").size == 0
