"""What a file says that it is of agrees with what was asked, or it is refused; of several the asked one is read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.feeds.named_markets import exchange_named, markets_in_name
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Settings, Store
from tests.estimator.feed_files import stored, write

HOURS = [f"2026-08-01T0{hour}:00:00Z" for hour in range(4)]


def funding(tmp_path: Path, column: str, values: list[str], name: str = "feed.csv") -> Path:
    rows = [f"{HOURS[at // len(values)]},{at / 100},{value}" for at, value in enumerate(values * 4)]
    return write(tmp_path, [f"ts,rate,{column}", *rows], name)


@pytest.mark.parametrize(
    "column",
    [
        "symbol",
        "Symbol",
        "pair",
        "instId",
        "instrument_name",
        "market",
        "coin",
        "ticker",
        "code",
        "product_id",
    ],
)
@pytest.mark.parametrize(
    "value", ["BTCUSDT", "BTC-USDT-SWAP", "BTC/USDT:USDT", "btc", "BTC_USDT", "BINANCE:BTCUSDT.P"]
)
def test_a_column_that_names_the_asked_market_is_no_obstacle(
    store: Store, tmp_path: Path, column: str, value: str
) -> None:
    import_feed(store, funding(tmp_path, column, [value]), "binance", "BTC")
    assert stored(store, "funding", "binance", "BTC").height == 4


@pytest.mark.parametrize(
    "value", ["ETHUSDT", "ETH", "eth-usdt-swap", "BTCUSD_PERP", "BTCUSDT_260925", "BTCSTUSDT"]
)
def test_a_column_that_names_another_market_refuses_the_file(
    store: Store, tmp_path: Path, value: str
) -> None:
    with pytest.raises(TableRefused, match="'symbol' names"):
        import_feed(store, funding(tmp_path, "symbol", [value]), "binance", "BTC")
    assert stored(store, "funding", "binance", "BTC").is_empty()


@pytest.mark.parametrize("other", ["ETHUSDT", "BTCUSDC", "BTCUSD_PERP", "BTCUSDT_260925", ""])
def test_of_two_markets_the_asked_ones_rows_are_read_and_the_others_counted(
    store: Store, tmp_path: Path, other: str
) -> None:
    summary = import_feed(store, funding(tmp_path, "symbol", ["BTCUSDT", other]), "binance", "BTC")
    assert stored(store, "funding", "binance", "BTC")["rate"].to_list() == [0.0, 0.02, 0.04, 0.06]
    assert any("4 of 8 rows are of other markets" in remark for remark in summary.remarks)


@pytest.mark.parametrize("value", ["spot", "perp", "USDT", "1", "12.5"])
def test_a_column_that_names_a_kind_or_a_number_states_nothing_of_the_market(
    store: Store, tmp_path: Path, value: str
) -> None:
    import_feed(store, funding(tmp_path, "market", [value]), "binance", "BTC")
    assert stored(store, "funding", "binance", "BTC").height == 4


@pytest.mark.parametrize("value", ["Binance", "BINANCE", "binanceusdm", "Binance Futures", "binance_um"])
def test_exchanges_are_known_under_their_usual_names(store: Store, tmp_path: Path, value: str) -> None:
    path = funding(tmp_path, "exchange", [value])
    import_feed(store, path, "binance", "BTC")
    with pytest.raises(TableRefused, match="'exchange' names"):
        import_feed(store, path, "okx", "BTC")


@pytest.mark.parametrize(
    ("value", "venue"), [("OKEx", "okx"), ("huobi", "htx"), ("gate.io", "gate"), ("FTX", None)]
)
def test_old_names_of_exchanges_are_those_of_today(value: str, venue: str | None) -> None:
    assert exchange_named(value) == venue


def test_of_two_exchanges_the_asked_ones_rows_are_read(store: Store, tmp_path: Path) -> None:
    import_feed(store, funding(tmp_path, "exchange", ["Binance", "Bybit"]), "bybit", "BTC")
    assert stored(store, "funding", "bybit", "BTC")["rate"].to_list() == [0.01, 0.03, 0.05, 0.07]


@pytest.mark.parametrize(
    ("name", "markets"),
    [
        ("BTCUSDT-1h-2026-08.csv", ["BTCUSDT"]),
        ("btcusdt_5m.json.gz", ["BTCUSDT"]),
        ("BTCUSD_PERP-1h.csv", ["BTCUSD_PERP"]),
        ("SOL-USDT-SWAP-candles.csv", ["SOL-USDT-SWAP"]),
        ("BTC_USDT_USDT-1h-futures.json", ["BTC_USDT_USDT"]),
        ("BTCUSDT_260925-1h.csv", ["BTCUSDT_260925"]),
        ("1000PEPEUSDT-metrics-2026-08-01.zip", ["1000PEPEUSDT"]),
        ("positions_ETH.csv", ["ETH"]),
        ("eth_funding.csv", ["ETH"]),
        *(
            (name, [])
            for name in (
                "thousands_dot.csv",
                "y01_volusd.csv",
                "y23_usd_in_coins.csv",
                "k.csv",
                "oi.csv",
                "open_interest_usd.csv",
                "ohlcv_1h.csv",
                "OI_USD.csv",
                "usdt.csv",
            )
        ),
        *(
            (name, [])
            for name in ("feed.csv", "volume-usd-2026.csv", "tiers_2026-09-15.json", "price in USD.csv")
        ),
    ],
)
def test_a_files_name_is_looked_at_for_markets(name: str, markets: list[str]) -> None:
    assert markets_in_name(Path(name)) == markets


@pytest.mark.parametrize(
    "name", ["ETHUSDT-1h.csv", "eth_1h.csv", "BTCUSD_PERP-1h.csv", "okx_btc.csv", "BTCUSDT_260925.csv"]
)
def test_a_name_of_another_market_or_exchange_refuses_the_file_until_it_is_renamed(
    store: Store, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path, ["ts,rate", f"{HOURS[0]},0.1", f"{HOURS[1]},0.2"], name)
    with pytest.raises(TableRefused, match="by its name"):
        import_feed(store, path, "binance", "BTC")
    import_feed(store, path.rename(tmp_path / "funding.csv"), "binance", "BTC")


def test_a_column_counts_for_more_than_the_files_name(store: Store, tmp_path: Path) -> None:
    import_feed(store, funding(tmp_path, "symbol", ["BTCUSDT"], "ETHUSDT.csv"), "binance", "BTC")
    assert stored(store, "funding", "binance", "BTC").height == 4


@pytest.mark.parametrize(
    ("symbol", "factor"), [("PEPEUSDT", 1e-3), ("1000PEPEUSDT", 1.0), ("1000000PEPEUSDT", 1e3)]
)
def test_prices_and_amounts_become_those_of_our_coin(
    store: Store, tmp_path: Path, symbol: str, factor: float
) -> None:
    bars = [
        f"{hour},{0.01 * factor},{0.02 * factor},{0.01 * factor},{0.02 * factor},{5 / factor}"
        for hour in HOURS
    ]
    path = write(tmp_path, ["ts,open,high,low,close,volume,symbol", *(f"{bar},{symbol}" for bar in bars)])
    import_feed(store, path, "binance", "kPEPE")
    kept = stored(store, "candles", "binance", "kPEPE")
    assert kept["open"].to_list() == pytest.approx([0.01] * 4)
    assert kept["volume"].to_list() == pytest.approx([5.0] * 4)


def test_an_answers_own_word_for_its_market_counts(store: Store, tmp_path: Path) -> None:
    bars = ",".join(f'["{ts}","1","2","1","2","5","8"]' for ts in (1785542400000, 1785546000000))
    answer = '{"result":{"symbol":"ETHUSDT","list":[' + bars + "]}}"
    path = write(tmp_path, [answer], "answer.json")
    with pytest.raises(TableRefused, match="ETHUSDT"):
        import_feed(store, path, "bybit", "BTC")
    import_feed(store, path, "bybit", "ETH")


@given(
    st.lists(
        st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDC", "BTCUSD_PERP"]), min_size=4, max_size=30
    )
)
def test_no_row_of_another_market_is_ever_stored(
    tmp_path_factory: pytest.TempPathFactory, symbols: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("markets")
    rows = [
        f"{1785542400 + 3600 * at},{0.01 if symbol == 'BTCUSDT' else 0.5},{symbol}"
        for at, symbol in enumerate(symbols)
    ]
    path = write(folder, ["ts,rate,symbol", *rows])
    with Store.open(Settings(data_dir=folder / "data")) as store:
        if symbols.count("BTCUSDT") >= 2:
            import_feed(store, path, "binance", "BTC")
            assert stored(store, "funding", "binance", "BTC")["rate"].to_list() == [0.01] * symbols.count(
                "BTCUSDT"
            )
        elif "BTCUSDT" in symbols or "BTCUSDC" not in symbols:
            with pytest.raises(TableRefused):
                import_feed(store, path, "binance", "BTC")


@pytest.mark.parametrize("column", ["code", "product_id", "productId"])
def test_an_identity_column_of_any_usual_name_is_looked_at(store: Store, tmp_path: Path, column: str) -> None:
    with pytest.raises(TableRefused, match=f"'{column}' names ETH"):
        import_feed(store, funding(tmp_path, column, ["ETH"]), "binance", "BTC")
