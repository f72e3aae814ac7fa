"""A venue is a row of a table: what it offers and by which call, and why it lacks the rest. ccxt is asked whether it
is so."""

import inspect
import re

import ccxt
import ccxt.async_support
import pytest

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.frames import DATASETS, RATIO_KINDS
from liqtruth.estimator.venues.requests import READERS
from liqtruth.estimator.venues.spec import PAGINGS, PERIODS, UNITS, Call, Feed
from liqtruth.estimator.venues.table import (
    FETCHED,
    VENUES,
    capabilities,
    venue_named,
    venue_table,
    venue_words,
    venues_named,
)

FETCHABLE = [name for name, venue in VENUES.items() if venue.fetchable]
UNIFIED = {
    "candles": "fetchOHLCV",
    "mark_candles": "fetchMarkOHLCV",
    "open_interest": "fetchOpenInterestHistory",
    "funding": "fetchFundingRateHistory",
    "tiers": "fetchMarketLeverageTiers",
}


def api(name: str) -> ccxt.Exchange:
    return getattr(ccxt.async_support, str(VENUES[name].ccxt_id))()


def feeds_of(name: str) -> list[tuple[str, Feed]]:
    venue = VENUES[name]
    now = [("open_interest_now", venue.open_interest_now)] if venue.open_interest_now else []
    return [*venue.feeds.items(), *now]


def calls_of(name: str) -> list[Call]:
    return [call for _, feed in feeds_of(name) for call in feed.calls.values()]


@pytest.mark.parametrize(
    ("coin", "symbol"),
    [("BTC", "BTCUSDT"), ("kPEPE", "1000PEPEUSDT"), ("k", "kUSDT"), ("kas", "kasUSDT"), ("0G", "0GUSDT")],
)
def test_only_a_small_k_before_capitals_is_a_thousand(coin: str, symbol: str) -> None:
    assert venue_named("binance").symbol(coin) == symbol


def test_an_unknown_venue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownChoice, match=r"unknown venue 'Binance'; known: binance, bybit, okx"):
        venue_named("Binance")


def test_several_venues_are_named_with_commas_each_once() -> None:
    assert [venue.name for venue in venues_named("okx, binance,okx")] == ["okx", "binance"]
    assert [venue.name for venue in venues_named("all")] == FETCHABLE
    for nothing in ("", ","):
        with pytest.raises(UnknownChoice, match="unknown venue"):
            venues_named(nothing)


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_gives_a_dataset_or_states_why_not(name: str) -> None:
    venue = VENUES[name]
    assert venue.name == name
    assert set(venue.feeds) <= set(READERS)
    assert not set(venue.feeds) & set(venue.lacks)
    if venue.fetchable:
        assert set(venue.feeds) | set(venue.lacks) == set(FETCHED)
    else:
        assert "from files only" in venue.note
        assert not venue.feeds


@pytest.mark.parametrize("name", FETCHABLE)
def test_every_feed_is_described_in_known_words(name: str) -> None:
    for dataset, feed in feeds_of(name):
        assert feed.paging in PAGINGS, dataset
        assert feed.unit in UNITS
        assert feed.inverse_unit in (None, *UNITS)
        assert set(feed.periods) <= set(PERIODS)
        assert feed.limit > 0
    ratios = VENUES[name].feeds.get("ratios")
    assert ratios is None or set(ratios.calls) <= set(RATIO_KINDS)


@pytest.mark.parametrize("name", FETCHABLE)
def test_liquidations_that_are_given_or_pushed_state_how_much_of_them(name: str) -> None:
    venue = VENUES[name]
    if "liquidations" in venue.feeds:
        assert venue.feeds["liquidations"].coverage
    assert venue.liquidation_stream != ""


# ---------------------------------------------------------------------------------------- as ccxt has it


@pytest.mark.parametrize("name", FETCHABLE)
async def test_ccxt_has_every_method_that_the_table_names(name: str) -> None:
    exchange = api(name)
    for call in calls_of(name):
        assert callable(getattr(exchange, call.method)), call.method
    method = VENUES[name].markets_method
    assert method is None or callable(getattr(exchange, method))


@pytest.mark.parametrize("name", FETCHABLE)
async def test_what_goes_through_a_unified_method_ccxt_has(name: str) -> None:
    exchange = api(name)
    for dataset, feed in VENUES[name].feeds.items():
        if not feed.calls:
            assert exchange.has[UNIFIED[dataset]], dataset


@pytest.mark.parametrize("name", FETCHABLE)
async def test_every_bar_length_is_one_of_ccxts(name: str) -> None:
    exchange = api(name)
    for dataset in ("candles", "mark_candles"):
        feed = VENUES[name].feeds.get(dataset)
        for step_s in feed.periods if feed else ():
            assert exchange.timeframes.get(PERIODS[step_s]), (dataset, step_s)


@pytest.mark.parametrize("name", FETCHABLE)
async def test_open_interest_history_that_is_lacking_is_lacking_in_ccxt_too(name: str) -> None:
    if "open_interest" in VENUES[name].lacks:
        assert not api(name).has["fetchOpenInterestHistory"]


def test_bitmex_is_from_files_because_this_ccxt_has_no_such_exchange() -> None:
    assert not hasattr(ccxt, "bitmex")
    assert ccxt.__version__ in VENUES["bitmex"].note


def test_page_limits_are_no_larger_than_those_in_ccxts_source() -> None:
    """Numbers that its methods cap a request at, or page by."""
    source = inspect.getsource(ccxt.async_support.okx.handle_trading_statistics_window)
    assert VENUES["okx"].feeds["open_interest"].limit == int(re.search(r"maxLimit = (\d+)", source)[1])  # type: ignore[index]
    source = inspect.getsource(ccxt.async_support.kucoin.fetch_contract_ohlcv)
    assert VENUES["kucoin"].feeds["candles"].limit == int(re.search(r"maxLimit = (\d+)", source)[1])  # type: ignore[index]
    source = inspect.getsource(ccxt.async_support.gate.fetch_ohlcv)
    assert VENUES["gate"].feeds["candles"].limit == int(re.search(r"maxLimit = (\d+)", source)[1])  # type: ignore[index]


# ------------------------------------------------------------------------------------------- as it is shown


def test_the_table_that_is_shown_has_every_venue_and_every_reason() -> None:
    rows = capabilities()
    table = venue_table(rows)
    assert [*table.columns[0].cells] == list(VENUES)
    words = "\n".join(venue_words(rows))
    for venue in VENUES.values():
        for reason in venue.lacks.values():
            assert reason in words
    assert "only the latest order of each symbol and second" in words


def test_programs_read_the_same_as_people() -> None:
    binance, bitmex = (
        next(row for row in capabilities() if row.venue == name) for name in ("binance", "bitmex")
    )
    assert binance.named("open_interest").depth == "30 days"
    assert binance.named("candles").periods[0] == "1m"
    assert not any(capability.given for capability in bitmex.datasets)
    assert {capability.dataset for capability in bitmex.datasets} <= set(DATASETS)
