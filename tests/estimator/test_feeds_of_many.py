"""Several venues at once: what one does wrong is reported of it alone, and what is stored is not asked for again.

The venues are specified payloads on real sockets (`specified.py`); their numbers are invented.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.fetch import FetchSummary, fetch_all
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.exchange import Patience
from liqtruth.estimator.venues.table import venues_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.text import of_ms
from liqtruth.storage.store import Settings, Store
from tests.estimator.specified import (
    BAR_MS,
    BITGET,
    BY_VENUE,
    GATE,
    HOUR_MS,
    HYPERLIQUID,
    MEXC,
    NOW_MS,
    OKX,
    Routes,
    Served,
    serving_routes,
)

QUICK = Patience(timeout_s=2.0, attempts=2, total_s=4.0, first_wait_s=0.01)
THREE: Routes = {**BITGET, **OKX, **HYPERLIQUID}
OKX_TIME = "/api/v5/public/time"
OKX_OI = "/api/v5/rubik/stat/contracts/open-interest-history"


@contextmanager
def served_in_thread(routes: Routes) -> Iterator[Served]:
    """`fetch_all` brings its own event loop, so the venues have theirs in a thread."""
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Served] = []

    async def serve() -> None:
        async with serving_routes(routes) as served:
            found.append(served)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def fetched(store: Store, served: Served, names: str, **options: Any) -> FetchSummary:
    settings = {"coin": "BTC", "days": 1, "interval": "1h", "patience": QUICK, **options}
    return fetch_all(store, venues_named(names), base_url=served.base_url, **settings)


def stored(store: Store, venue: str, dataset: str) -> pl.DataFrame:
    return store.lake.read_series(dataset, venue, "BTC", DATASETS[dataset].schema)


def page_of_html(_: Mapping[str, Any]) -> web.Response:
    return web.Response(text="<html>maintenance</html>", content_type="text/html")


def too_many(_: Mapping[str, Any]) -> web.Response:
    return web.Response(status=429, text="slow down")


def broken_off(_: Mapping[str, Any]) -> web.Response:
    return web.Response(body=b'{"code": "0", "data": [{"ts": "17', content_type="application/json")


def refused(_: Mapping[str, Any]) -> web.Response:
    return web.json_response({"code": "51000", "msg": "Parameter instId error", "data": []})


def error_page(_: Mapping[str, Any]) -> web.Response:
    return web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html")


FAULTS = [
    (page_of_html, "not what it should be"),
    (too_many, "too many requests"),
    (broken_off, "not what it should be"),
    (error_page, "HTTP 502"),
    (refused, "Parameter instId error"),
]


# ------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_a_venue_that_fails_stops_no_other(store: Store, fault: Any, message: str) -> None:
    with served_in_thread({**THREE, OKX_TIME: fault}) as served:
        summary = fetched(store, served, "bitget,okx,hyperliquid")
    bitget, okx, hyperliquid = summary.reports
    assert (bitget.failed, hyperliquid.failed, okx.series) == ((), (), ())
    assert [stored(store, name, "candles").height for name in ("bitget", "okx", "hyperliquid")] == [1, 0, 1]
    [failure] = summary.failures
    assert failure.startswith(f"okx ({served.base_url}) did not give the time")
    assert message in failure
    assert "\n" not in failure
    assert summary.exit_code == 3


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_a_series_that_fails_stops_no_other_of_its_venue(store: Store, fault: Any, message: str) -> None:
    with served_in_thread({**THREE, OKX_OI: fault}) as served:
        summary = fetched(store, served, "okx,hyperliquid")
    okx = summary.reports[0]
    assert [series.dataset for series in okx.series] == [
        "candles",
        "mark_candles",
        "funding",
        "ratios",
        "tiers",
    ]
    [failure] = okx.failed
    assert "open_interest of BTC" in failure
    assert message in failure
    assert (okx.exit_code, summary.exit_code, stored(store, "okx", "candles").height) == (3, 3, 1)
    with served_in_thread(THREE) as served:
        again = fetched(store, served, "okx,hyperliquid")
    assert (again.exit_code, again.failures) == (0, [])
    assert stored(store, "okx", "open_interest").height == 1


def test_a_value_that_cannot_be_is_left_out_and_reported_and_the_rest_is_stored(store: Store) -> None:
    candle = [str(BAR_MS), *"1 -2 3 1 1 1 1 1".split()]  # noqa: SIM905
    wrong = {**OKX, "/api/v5/market/candles": {"code": "0", "data": [candle]}}
    with served_in_thread(wrong) as served:
        summary = fetched(store, served, "okx")
    [failure] = summary.failures
    assert "candles of BTC: 1 left out: candles, high is not a number" in failure
    assert summary.exit_code == 3
    assert stored(store, "okx", "candles").is_empty()
    assert not stored(store, "okx", "open_interest").is_empty()


def with_holes(result: Any, hole: Any) -> Any:
    """An answer with something that is no row before the rows of each of its lists."""
    if isinstance(result, dict):
        return {name: with_holes(value, hole) for name, value in result.items()}
    if not isinstance(result, list):
        return result
    is_rows = bool(result) and all(isinstance(row, dict | list) for row in result)
    return [*([hole] * is_rows), *(with_holes(row, hole) for row in result)]


def holed(answer: Any, hole: Any) -> Any:
    def result(query: Mapping[str, Any]) -> web.Response:
        sound = answer(query) if callable(answer) else answer
        return web.json_response(with_holes(sound, hole))

    return result


NOT_HOLED = ("time", "timestamp", "/info")
"""One object in a list is the answer there, and Hyperliquid's lists belong together by place.
Kraken tells no time: its hour is never now."""


@pytest.mark.parametrize("hole", [None, "x"], ids=["null", "text"])
@pytest.mark.parametrize("name", [name for name in BY_VENUE if name not in ("hyperliquid", "kraken")])
def test_one_row_that_is_none_takes_no_other_with_it(tmp_path: Path, name: str, hole: Any) -> None:
    """In the list of markets and in every series of every venue; of tiers all are wanted or none."""
    sound = BY_VENUE[name]
    broken = {
        path: result if path.endswith(NOT_HOLED) else holed(result, hole) for path, result in sound.items()
    }
    rows = []
    for number, routes in enumerate((sound, broken)):
        with (
            Store.open(Settings(data_dir=tmp_path / str(number))) as store,
            served_in_thread(routes) as served,
        ):
            [report] = fetched(store, served, name).reports
        rows.append({series.dataset: series.rows for series in report.series if series.dataset != "tiers"})
    assert rows[0] == rows[1]
    assert sum(rows[0].values()) > 0


def test_a_coin_that_a_named_venue_does_not_list_is_bad_input_and_a_remark_among_all(store: Store) -> None:
    with served_in_thread(THREE) as served:
        named = fetched(store, served, "bitget,okx", coin="PEPE")
        among = fetched(store, served, "bitget,okx", coin="PEPE", unlisted_fails=False)
    assert (named.exit_code, among.exit_code) == (2, 0)
    assert "bitget has no perpetual PEPEUSDT" in named.reports[0].failed[0]
    assert "bitget has no perpetual PEPEUSDT" in among.reports[0].remarks[0]
    assert "bitget has no perpetual" in "\n".join(among.describe())


def test_what_no_venue_can_be_asked_is_refused_before_any_is(store: Store) -> None:
    with served_in_thread(THREE) as served:
        with pytest.raises(BadInput, match=r"bitmex cannot be fetched"):
            fetched(store, served, "okx,bitmex")
        with pytest.raises(UnknownChoice, match="interval of mexc '2h'"):
            fetched(store, served, "okx,mexc", interval="2h")
        assert served.asked == []


def test_progress_is_reported_of_each_venue_up_to_its_end(store: Store) -> None:
    result: list[tuple[str, float]] = []
    with served_in_thread({**THREE, OKX_TIME: page_of_html}) as served:
        fetched(store, served, "bitget,okx", on_progress=lambda name, share: result.append((name, share)))
    for name in ("bitget", "okx"):
        shares = [share for venue, share in result if venue == name]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


# --------------------------------------------------------------------------------------- what is asked for


def hours_of_mexc(missing: set[int]) -> Routes:
    """A day of hours without those that are `missing`, counted back from now."""

    def klines(query: Mapping[str, Any]) -> Any:
        hours = range(int(query["start"]) // 3600, int(query["end"]) // 3600 + 1)
        times = [hour * 3600 for hour in hours if NOW_MS // HOUR_MS - hour not in missing]
        columns = {name: [100 + index % 7 for index, _ in enumerate(times)] for name in ("open", "close")}
        rest = {"high": [200] * len(times), "low": [50] * len(times), "vol": [1] * len(times)}
        return {"success": True, "data": {"time": times, **columns, **rest, "amount": rest["vol"]}}

    return {**MEXC, "/api/v1/contract/kline/BTC_USDT": klines}


def test_a_gap_is_reported_and_only_the_gap_is_asked_for_again(store: Store) -> None:
    path = "/api/v1/contract/kline/BTC_USDT"
    with served_in_thread(hours_of_mexc({9, 10, 15})) as served:
        candles = fetched(store, served, "mexc").reports[0].series[0]
    assert (candles.rows, candles.missing_rows) == (21, 3)
    assert candles.gaps[0].startswith("2.0 h from")
    assert "3 rows missing: 2.0 h from" in candles.line()
    with served_in_thread(hours_of_mexc(set())) as served:
        candles = fetched(store, served, "mexc").reports[0].series[0]
        asked = served.queries(path)
    assert [(int(query["start"]), int(query["end"]) // 3600) for query in asked] == [
        (NOW_MS // 1000 - 15 * 3600, NOW_MS // HOUR_MS - 9)
    ]
    assert (candles.new_rows, candles.rows, candles.gaps) == (3, 24, ())
    with served_in_thread(hours_of_mexc(set())) as served:
        fetched(store, served, "mexc")
        assert served.queries(path) == []


def test_a_window_that_is_shorter_than_a_bar_brings_nothing_and_breaks_nothing(store: Store) -> None:
    with served_in_thread(HYPERLIQUID) as served:
        report = fetched(store, served, "hyperliquid", days=1, interval="1d").reports[0]
    candles = report.series[0]
    assert (candles.pages, candles.rows, candles.first) == (0, 0, None)
    assert "candles: 0 new rows, 0 in all from nothing" in candles.line()


def test_pages_by_number_are_followed_to_the_start_of_the_window(store: Store) -> None:
    """Bitget gives funding newest first, a hundred a page: here one each hour of 250."""

    def page(query: Mapping[str, Any]) -> Any:
        first = 100 * (int(query["pageNo"]) - 1)
        rows = [
            {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingTime": str(NOW_MS - hour * HOUR_MS)}
            for hour in range(first, min(first + 100, 250))
        ]
        return {"code": "00000", "data": rows}

    path = "/api/v2/mix/market/history-fund-rate"
    with served_in_thread({**BITGET, path: page}) as served:
        fetched(store, served, "bitget", days=7)
        assert [query["pageNo"] for query in served.queries(path)] == ["1", "2"]
    assert stored(store, "bitget", "funding").height == 7 * 24 + 1


def orders_of_gate(asked_at_most: int, times_s: list[int]) -> Routes:
    """Gate's liquidation orders at these seconds, at most so many in an answer."""

    def orders(query: Mapping[str, Any]) -> Any:
        assert int(query["to"]) - int(query["from"]) < 3600, "Gate refuses more than an hour"
        within = [at for at in times_s if int(query["from"]) <= at <= int(query["to"])]
        return [
            {
                "time": at,
                "size": -10_000,
                "order_size": 10_000,
                "left": 0,
                "fill_price": str(100 + at % 7),
                "order_price": "1",
            }
            for at in within[: min(asked_at_most, int(query["limit"]))]
        ]

    return {**GATE, "/api/v4/futures/usdt/liq_orders": orders}


def test_a_full_answer_of_liquidations_is_asked_for_again_in_halves(store: Store) -> None:
    times = [BAR_MS // 1000 + second for second in range(0, 3600, 3)] * 3
    with served_in_thread(orders_of_gate(1000, times)) as served:
        report = fetched(store, served, "gate").reports[0]
    rows = stored(store, "gate", "liquidations")
    assert rows.height == 3600
    assert rows["coins"].sum() == pytest.approx(3600)
    liquidations = next(series for series in report.series if series.dataset == "liquidations")
    assert "does not say whether all" in liquidations.line()


def test_an_hour_without_liquidations_that_was_read_is_not_read_again(store: Store) -> None:
    path = "/api/v4/futures/usdt/liq_orders"
    with served_in_thread(orders_of_gate(1000, [BAR_MS // 1000 + 5])) as served:
        fetched(store, served, "gate")
        assert len(served.queries(path)) == 25
    spans = stored(store, "gate", "listening")
    assert spans["coverage"].unique().len() == 1
    assert spans["until"].max() == of_ms(NOW_MS)
    with served_in_thread(orders_of_gate(1000, [])) as served:
        fetched(store, served, "gate")
        assert served.queries(path) == []
    assert stored(store, "gate", "liquidations").height == 1


def test_tiers_that_did_not_change_are_stored_once(store: Store) -> None:
    """A reading is one of a moment; the venue's clock goes on by a minute each time."""
    path, clock = "/api/v2/mix/market/query-position-lever", "/api/v2/public/time"
    tier = BITGET[path]["data"][0]  # type: ignore[index]
    for minute, rate in enumerate(("0.004", "0.004", "0.005")):
        result = {"code": "00000", "data": [{**tier, "keepMarginRate": rate}]}
        at = {"code": "00000", "data": {"serverTime": str(NOW_MS + 60_000 * minute)}}
        with served_in_thread({**BITGET, path: result, clock: at}) as served:
            fetched(store, served, "bitget")
    tiers = stored(store, "bitget", "tiers")
    assert tiers["maintenance_margin_rate"].to_list() == [0.004, 0.005]
    assert tiers["ts"].to_list() == [of_ms(NOW_MS), of_ms(NOW_MS + 120_000)]


def test_an_inverse_market_is_marked(store: Store) -> None:
    with served_in_thread(OKX) as served:
        report = fetched(store, served, "okx", coin="ETH").reports[0]
    assert "ETH/USD:ETH is inverse" in report.remarks[0]


def test_a_depth_that_was_asked_beyond_is_reported_once_per_depth(store: Store) -> None:
    with served_in_thread(OKX) as served:
        report = fetched(store, served, "okx", days=100).reports[0]
    assert report.remarks == (
        "okx keeps open_interest and ratios for 60 days: asked for 100, got those",
        "okx keeps funding for 90 days: asked for 100, got those",
    )
