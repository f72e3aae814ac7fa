"""Recorded forced orders and lists of tiers become one coin's series; what cannot be right is refused."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Store
from tests.estimator.feed_files import stored, write

SELL = "BTC,SELL,LIMIT,IOC,0.5,60000,None,FILLED,0.5,0.5,1785585600000,30000"
BUY = "BTC,BUY,LIMIT,IOC,0.1,61000,None,FILLED,0.1,0.1,1785585601000,6100"
TIERS = {
    "columns": ["min_notional", "max_notional", "maintenance_margin_rate", "max_leverage"],
    "tiers": {"BTC/USDT:USDT": [[0, 50000, 0.004, 125], [50000, 250000, 0.005, 100]]},
}


@pytest.mark.recorded
def test_the_recorded_forced_orders_of_one_coin_are_its_liquidations(recorded: Path, store: Store) -> None:
    path = recorded / "cex" / "force-orders" / "binance_all_2025-06-23.csv"
    summary = import_feed(store, path, "binance", "BTC")
    rows = stored(store, "liquidations", "binance", "BTC")
    assert rows.height == 17
    assert rows.drop("id").row(0, named=True) == {
        "ts": datetime(2025, 6, 23, 21, 27, 15, 144000, tzinfo=UTC),
        "side": "long",
        "px": 103_484.0,
        "coins": 0.001,
        "notional_usd": pytest.approx(103.484),
    }
    assert summary.remarks == (
        "17 of 700 orders are of BTC; a sell liquidates a long, a buy a short",
        "coverage: only the latest order of each symbol and second",
    )
    assert import_feed(store, path, "binance", "BTC").series[0].new_rows == 0


@pytest.mark.recorded
def test_the_recorded_tiers_of_binance_are_read_with_the_month_of_their_name(
    recorded: Path, store: Store
) -> None:
    path = recorded / "cex" / "binance_leverage_tiers_2026-09.json.gz"
    import_feed(store, path, "binance", "BTC")
    rows = stored(store, "tiers", "binance", "BTC")
    assert rows.height == 12
    assert rows["ts"].unique().to_list() == [datetime(2026, 9, 1, tzinfo=UTC)]
    raw = json.loads(gzip.decompress(path.read_bytes()))["tiers"]["BTC/USDT:USDT"]
    assert rows.drop("ts").rows() == [tuple(map(float, row)) for row in raw]


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("route", "coin", "dataset", "column", "first"),
    [
        ("/futures/data/openInterestHist", "LTC", "open_interest", "open_interest", 286060.674),
        ("/fapi/v1/fundingRate", "BTC", "funding", "rate", -0.0002227),
        ("/futures/data/takerlongshortRatio", "BTC", "ratios", "ratio", 1.2946),
    ],
)
def test_recorded_answers_of_binance_saved_to_a_file_are_recognised(
    recorded: Path,
    store: Store,
    tmp_path: Path,
    route: str,
    coin: str,
    dataset: str,
    column: str,
    first: float,
) -> None:
    calls = json.loads(gzip.decompress((recorded / "cex" / "binance-rest" / "http.json.gz").read_bytes()))
    answers = [call["data"] for call in calls["routes"][route]["GET"] if len(call["data"] or ()) > 2]
    path = write(tmp_path, [json.dumps(answers[0])], "answer.json")
    import_feed(store, path, "binance", coin)
    assert stored(store, dataset, "binance", coin)[column][0] == first


def test_the_side_is_that_of_the_position_and_not_of_the_order(store: Store, tmp_path: Path) -> None:
    import_feed(store, write(tmp_path, [SELL, BUY]), "binance", "BTC")
    rows = stored(store, "liquidations", "binance", "BTC")
    assert rows.select("side", "coins", "notional_usd").rows() == [
        ("long", 0.5, 30_000.0),
        ("short", 0.1, pytest.approx(6_100.0)),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([SELL, BUY.replace("61000", "0")], "row 2, column 'price': 0.0 is not above zero"),
        ([SELL, BUY.replace("BUY", "HOLD")], "row 2, column 'side': 'HOLD' is not BUY or SELL"),
        ([SELL.replace("BTC", "ETH")], "nothing of BTC among 1 markets; it has e.g. ETH"),
    ],
)
def test_forced_orders_that_cannot_be_right_are_refused(
    store: Store, tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(TableRefused) as refused:
        import_feed(store, write(tmp_path, lines), "binance", "BTC")
    assert message in str(refused.value)
    assert stored(store, "liquidations", "binance", "BTC").is_empty()


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [
        ([[0, 5, 0.1, 5]], "tiers.json", "put it into the name"),
        ([[0, 5, 0.1, 5], [7, 9, 0.2, 4]], "tiers_2026-09.json", "must follow one another"),
        ([[0, 5, 0.2, 5], [5, 9, 0.1, 4]], "tiers_2026-09.json", "rates that do not fall"),
        ([[1, 5, 0.2, 5]], "tiers_2026-09.json", "must begin at 0"),
        ([[0, 5, 0.2]], "tiers_2026-09.json", "tiers of BTC/USDT:USDT"),
    ],
)
def test_tiers_that_cannot_be_right_are_refused(
    store: Store, tmp_path: Path, rows: list[list[float]], name: str, message: str
) -> None:
    path = write(tmp_path, [json.dumps({**TIERS, "tiers": {"BTC/USDT:USDT": rows}})], name)
    with pytest.raises(TableRefused) as refused:
        import_feed(store, path, "binance", "BTC")
    assert message in str(refused.value)


def test_tiers_are_dated_to_the_day_where_the_name_states_it(store: Store, tmp_path: Path) -> None:
    import_feed(store, write(tmp_path, [json.dumps(TIERS)], "tiers_2026-09-15.json"), "binance", "BTC")
    assert stored(store, "tiers", "binance", "BTC")["ts"][0] == datetime(2026, 9, 15, tzinfo=UTC)
