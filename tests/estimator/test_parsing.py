"""Answers become frames in coins and USD, or are refused; nothing that is null becomes a number."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.frames import LONG_SHORT_ACCOUNTS, TAKER_BUY_SELL
from liqtruth.estimator.venues import parsing
from liqtruth.estimator.venues.bounds import possible
from liqtruth.estimator.venues.spec import COINS, CONTRACTS, USD, Call, Contract
from liqtruth.estimator.venues.table import VENUES
from liqtruth.estimator.venues.transport import Malformed
from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.text import of_ms

BTC = Contract("BTC", "BTC/USDT:USDT", "BTCUSDT", 0.01)
NOW = of_ms(1_780_002_000_000)
prices = st.floats(1, 1e6)


@given(st.lists(st.tuples(prices, prices, prices, st.floats(0, 1e9)), min_size=1))
def test_a_candle_keeps_its_order_of_prices_in_any_unit(
    bars: list[tuple[float, float, float, float]],
) -> None:
    rows = [
        [60_000 * at, *(sorted(px)[which] for which in (1, 2, 0, 1)), volume]
        for at, (*px, volume) in enumerate(bars)
    ]
    for unit in (COINS, CONTRACTS, USD):
        frame = parsing.candles_of(parsing.table_of(rows, parsing.OHLCV), BTC, unit, 60, "candles")
        assert (frame["low"] <= frame["close"]).all()
        assert (frame["high"] >= frame["open"]).all()
        assert (frame["volume"] >= 0).all()
        assert frame.height == len(bars)


def test_an_empty_answer_is_an_empty_frame() -> None:
    empty = parsing.table_of([], parsing.OHLCV)
    assert parsing.candles_of(empty, BTC, COINS, 60, "candles").is_empty()
    assert parsing.funding_of(parsing.table_of([], parsing.FUNDING)).is_empty()
    assert parsing.open_interest_of(parsing.table_of([], parsing.OPEN_INTEREST), BTC, COINS).is_empty()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2, 3]], "IndexError"),
        ([{"t": 1}], "KeyError"),
        ([None], "TypeError"),
        ([["x", 1, 1, 1, 1, 1]], "ValueError"),
        ([[0, None, 1, 1, 1, 1]], "TypeError"),
    ],
)
def test_rows_of_another_shape_are_malformed(rows: list[Any], message: str) -> None:
    with pytest.raises(Malformed, match=message):
        parsing.table_of(rows, parsing.OHLCV)


@given(
    st.lists(
        st.one_of(
            st.just(None),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(),
            st.just("9" * 400),
            st.just(10**400),
            st.lists(
                st.one_of(st.none(), st.floats(), st.integers(), st.text(), st.just(10**400)), max_size=8
            ),
            st.dictionaries(st.sampled_from("abcdef"), st.none() | st.floats() | st.text()),
        )
    )
)
def test_whatever_stands_beside_a_row_that_can_be_read_is_counted_and_the_row_is_kept(
    others: list[Any],
) -> None:
    sound = [1_780_000_000_000, "1", "3", "1", "2", "5"]
    left_out = LeftOut()
    raw = parsing.table_of([*others, sound], parsing.OHLCV, left_out=left_out)
    candles = parsing.candles_of(raw, BTC, COINS, 60, "candles")
    kept = possible(candles, "candles", NOW, left_out)
    assert kept.height + left_out.total == len(others) + 1
    assert kept.row(-1)[1:6] == (60, 1, 3, 1, 2)


def test_a_volume_that_is_not_reported_stays_null() -> None:
    for row in ([0, 1, 2, 1, 1], [0, 1, 2, 1, 1, None]):
        raw = parsing.table_of([row], parsing.OHLCV)
        assert parsing.candles_of(raw, BTC, CONTRACTS, 60, "candles")["volume"].to_list() == [None]


@pytest.mark.parametrize("answer", [{"data": "closed"}, {"result": []}, {"data": None}, [], None, "down"])
def test_an_answer_without_its_list_is_malformed(answer: Any) -> None:
    with pytest.raises(Malformed):
        parsing.rows_at(answer, ("data",))


def test_seconds_become_milliseconds_and_a_quotient_without_a_divisor_is_none() -> None:
    call = Call("m", {}, {"ts": "t", "ratio": ("long", "short")}, in_seconds=True)
    frame = parsing.called([{"t": 1_780_002_000, "long": "0.6", "short": "0.4"}], call)
    assert frame["ts"].to_list() == [NOW]
    assert frame["ratio"][0] == pytest.approx(1.5)
    nobody = parsing.called([{"t": 1, "long": "1", "short": "0"}], call)
    assert parsing.ratios_of(nobody, TAKER_BUY_SELL).is_empty()


def test_a_ratio_of_zero_is_known_of_takers_only() -> None:
    raw = parsing.table_of([{"t": 5, "r": "0"}, {"t": 6, "r": "1.5"}], {"ts": "t", "ratio": "r"})
    assert parsing.ratios_of(raw, TAKER_BUY_SELL)["ratio"].to_list() == [0, 1.5]
    assert parsing.ratios_of(raw, LONG_SHORT_ACCOUNTS)["ratio"].to_list() == [1.5]


def test_open_interest_in_money_alone_leaves_coins_null() -> None:
    found = [{"timestamp": 1_780_002_000_000, "openInterestValue": 525_000.0}]
    raw = parsing.table_of(found, parsing.OPEN_INTEREST)
    row = parsing.open_interest_of(raw, BTC, USD).row(0, named=True)
    assert (row["open_interest"], row["open_interest_usd"]) == (None, 525_000)


def test_open_interest_without_an_amount_is_left_out() -> None:
    found = [{"timestamp": 1_780_002_000_000}, {"timestamp": 1_780_002_000_000, "openInterestAmount": 5.0}]
    raw = parsing.table_of(found, parsing.OPEN_INTEREST)
    left_out = LeftOut()
    kept = possible(parsing.open_interest_of(raw, BTC, COINS), "open_interest", NOW, left_out)
    assert kept["open_interest"].to_list() == [5.0]
    assert left_out.total == 1


def test_liquidations_of_one_millisecond_are_distinguished_and_the_same_twice() -> None:
    """Two equal orders are two; the same answer read again makes the same ids."""
    rows = [{"t": 5, "px": 100, "size": size, "left": 0} for size in (-3, -3, 3)]
    fields = {"ts": "t", "px": "px", "signed": "size", "ordered": "order_size", "left": "left"}
    frame = parsing.liquidations_of(parsing.table_of(rows, fields), BTC, COINS)
    assert frame["id"].n_unique() == 3
    assert frame["side"].to_list() == ["short", "short", "long"]
    again = parsing.liquidations_of(parsing.table_of(rows, fields), BTC, COINS)
    assert again.equals(frame)


def test_a_liquidation_of_no_side_is_left_out_and_the_others_stay() -> None:
    fields = {"ts": "t", "px": "px", "amount": "usd", "side": "side", "id": "id"}
    row = {"t": 1_780_002_000_000, "px": 100, "usd": 10, "side": "long", "id": 7}
    raw = parsing.table_of([row, {**row, "side": "both", "id": 8}], fields)
    left_out = LeftOut()
    kept = possible(parsing.liquidations_of(raw, BTC, USD), "liquidations", NOW, left_out)
    assert kept["id"].to_list() == ["7"]
    assert left_out.total == 1


def test_the_last_tier_may_have_no_upper_bound() -> None:
    rows = [{"minNotional": 0, "maxNotional": None, "maintenanceMarginRate": 0.01, "maxLeverage": 50}]
    tier = parsing.tiers_of(parsing.table_of(rows, parsing.TIERS), BTC, USD, 1.0, NOW).row(0, named=True)
    assert tier["max_notional_usd"] is None


# --------------------------------------------------------------------------------------------- recorded


def recorded_rows(recorded: Path, path: str, words: str) -> Any:
    """The answer that Binance once gave to a query with these words."""
    routes = json.loads(gzip.decompress((recorded / "cex" / "binance-rest" / "http.json.gz").read_bytes()))[
        "routes"
    ]
    return next(answer["data"] for answer in routes[path]["GET"] if words in (answer["queryString"] or ""))


@pytest.mark.recorded
def test_recorded_candles_of_binance_have_what_takers_bought(recorded: Path) -> None:
    rows = recorded_rows(recorded, "/fapi/v1/klines", "endTime=1673136000000")
    raw = parsing.called(rows, VENUES["binance"].feeds["candles"].calls[""])
    first = parsing.candles_of(raw, BTC, COINS, 86_400, "candles").row(0, named=True)
    assert first["ts"] == of_ms(1_672_531_200_000)
    assert (first["open"], first["high"], first["low"], first["close"]) == (
        16537.5,
        16618.8,
        16488.0,
        16610.3,
    )
    assert (first["volume"], first["taker_buy_volume"]) == (105_502.965, 52_617.509)


@pytest.mark.recorded
def test_recorded_ratios_and_funding_of_binance(recorded: Path) -> None:
    calls = VENUES["binance"].feeds["ratios"].calls
    for kind, path, words, ratio in (
        ("long_short_accounts", "/futures/data/globalLongShortAccountRatio", "limit=3&period=5m", 1.3804),
        ("top_long_short_positions", "/futures/data/topLongShortPositionRatio", "limit=3&period=5m", 1.1322),
        ("taker_buy_sell", "/futures/data/takerlongshortRatio", "limit=10", 1.2946),
    ):
        raw = parsing.called(recorded_rows(recorded, path, words), calls[kind])
        assert parsing.ratios_of(raw, kind)["ratio"][0] == ratio


@pytest.mark.recorded
async def test_recorded_open_interest_and_funding_go_through_ccxt(recorded: Path) -> None:
    """36,316.877 BTC were worth 413,220,015.27 USDT: 11,378 each."""
    import ccxt.async_support

    rows = recorded_rows(recorded, "/futures/data/openInterestHist", "limit=1&period=5m&symbol=BTCUSDT")
    api = ccxt.async_support.binanceusdm()
    parsed = api.parse_open_interests_history(rows, {"symbol": BTC.symbol, "contract": True, "linear": True})
    row = parsing.open_interest_of(parsing.unified(parsing.OPEN_INTEREST)(parsed), BTC, COINS).row(
        0, named=True
    )
    assert row["open_interest"] == 36_316.877
    assert row["open_interest_usd"] / row["open_interest"] == pytest.approx(11_378, rel=1e-3)
