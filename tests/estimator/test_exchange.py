"""A venue through ccxt: all its addresses lead where they should, and its clock is its own."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from liqtruth.estimator.errors import BadAnswer, SourceUnreachable, UnknownMarket
from liqtruth.estimator.venues.exchange import Exchange, Patience, redirected, worth_another_try
from liqtruth.estimator.venues.table import VENUES
from liqtruth.estimator.venues.transport import LARGEST_ANSWER
from tests.estimator.specified import BY_VENUE, NOW_MS, OKX, Routes, serving_routes

QUICK = Patience(timeout_s=2.0, attempts=3, total_s=3.0, first_wait_s=0.01)
FETCHABLE = [name for name, venue in VENUES.items() if venue.fetchable]


def leaves(urls: Any) -> list[str]:
    return [leaf for url in urls.values() for leaf in leaves(url)] if isinstance(urls, dict) else [urls]


@pytest.mark.parametrize("name", FETCHABLE)
async def test_no_address_of_a_venue_is_left_when_it_is_sent_elsewhere(name: str) -> None:
    base = "http://127.0.0.1:9/under"
    async with Exchange(VENUES[name], base) as sent:
        assert {leaf.startswith(base) for leaf in leaves(sent.api.urls["api"])} == {True}
        assert sent.shown_url == "http://127.0.0.1:9/…", "a path may hold a key"


def test_paths_stay_when_the_host_changes() -> None:
    urls = {"public": {"futures": "https://api.{hostname}/api/v4"}, "rest": "https://www.okx.com"}
    assert redirected(urls, "http://here") == {
        "public": {"futures": "http://here/api/v4"},
        "rest": "http://here",
    }


@pytest.mark.parametrize("name", FETCHABLE)
async def test_a_venues_own_host_is_named(name: str) -> None:
    async with Exchange(VENUES[name]) as exchange:
        assert exchange.shown_url.startswith("https://")
        assert "{" not in exchange.shown_url


@pytest.mark.parametrize("name", FETCHABLE)
async def test_the_markets_of_a_venue_cost_a_few_requests(name: str) -> None:
    """Currencies, spot, options and dated futures are not asked for."""
    async with (
        serving_routes(BY_VENUE[name]) as served,
        Exchange(VENUES[name], served.base_url, QUICK) as reader,
    ):
        await reader.contract("BTC")
        assert 1 <= len(served.asked) <= 6


async def test_ccxt_goes_by_the_venues_clock() -> None:
    """It chooses OKX's recent or historical candles by the time."""
    async with serving_routes(OKX) as served, Exchange(VENUES["okx"], served.base_url, QUICK) as reader:
        assert await reader.now_ms() == NOW_MS
        assert abs(reader.api.milliseconds() - NOW_MS) < 60_000
        assert abs(reader.api.seconds() - NOW_MS // 1000) < 60


async def test_a_venue_that_sends_no_time_goes_by_ours() -> None:
    async with Exchange(VENUES["kraken"]) as reader:
        assert abs(await reader.now_ms() - 1000 * time.time()) < 60_000


async def test_a_path_that_is_not_there_is_asked_for_once() -> None:
    routes: Routes = {path: answer for path, answer in OKX.items() if "instruments" not in path}
    async with serving_routes(routes) as served, Exchange(VENUES["okx"], served.base_url, QUICK) as reader:
        with pytest.raises(BadAnswer, match="did not give the list of markets"):
            await reader.market("BTC")
        assert len(served.asked) == 1


def test_only_faults_of_the_way_are_worth_another_try() -> None:
    import ccxt

    assert worth_another_try(ccxt.ExchangeNotAvailable("okx GET http://x 503 busy"))
    assert not worth_another_try(ccxt.ExchangeNotAvailable("okx GET http://x 404 not there"))
    assert not worth_another_try(ccxt.BadRequest("okx no"))


async def test_a_market_that_is_closed_is_not_found() -> None:
    routes = {**BY_VENUE["mexc"]}
    detail = dict(routes["/api/v1/contract/detail"])  # type: ignore[arg-type]
    routes["/api/v1/contract/detail"] = {**detail, "data": [{**detail["data"][0], "state": 3}]}
    async with serving_routes(routes) as served, Exchange(VENUES["mexc"], served.base_url, QUICK) as reader:
        with pytest.raises(UnknownMarket, match="mexc has no perpetual BTCUSDT"):
            await reader.market("BTC")


# ------------------------------------------------------------------------------------------ bad answers

PATIENT = Patience(timeout_s=60.0, attempts=3, total_s=120.0, first_wait_s=0.01)
OKX_TIME = "/api/v5/public/time"


def page(body: bytes, **headers: str) -> Callable[[Any], web.Response]:
    return lambda _: web.Response(body=body, headers={"Content-Type": "application/json", **headers})


BOMB = gzip.compress(bytes(4 * LARGEST_ANSWER), 9)
UNREAD: dict[str, tuple[Any, int]] = {
    "a gzip bomb": (page(BOMB, **{"Content-Encoding": "gzip"}), 1),
    "a body that is too large": (page(b" " * (LARGEST_ANSWER + 1)), 1),
    "nesting without end": (page(b"[" * 200_000), 3),
    "no UTF-8": (page(b'{"data": [{"ts": "\xff"}]}'), 3),
    "nothing": (page(b""), 3),
    "a null": (page(b"null"), 3),
    "an error with HTTP 200": (page(b'{"code": "50011", "msg": "Too Many"}'), 3),
    "a clock of 1970": (page(b'{"code": "0", "data": [{"ts": "1000"}]}'), 3),
    "a clock of 2286": (page(b'{"code": "0", "data": [{"ts": "9999999999999"}]}'), 3),
    "a clock without end": (page(b'{"code": "0", "data": [{"ts": "%s"}]}' % (b"9" * 400)), 3),
}
"""Answers, and how often they are asked for: what is refused for good only once."""


@pytest.mark.parametrize("kind", list(UNREAD))
async def test_an_answer_that_cannot_be_read_is_one_line(kind: str) -> None:
    answer, attempts = UNREAD[kind]
    async with (
        serving_routes({OKX_TIME: answer}) as served,
        Exchange(VENUES["okx"], served.base_url, PATIENT) as reader,
    ):
        with pytest.raises(SourceUnreachable, match="did not give the time") as refused:
            await reader.now_ms()
        assert len(served.asked) == attempts
        assert len(str(refused.value)) <= 300


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed_not_even_to_the_same_host(status: int) -> None:
    moved = {"Location": "/elsewhere"}
    routes: Routes = {OKX_TIME: lambda _: web.Response(status=status, headers=moved), "/elsewhere": {}}
    async with serving_routes(routes) as served, Exchange(VENUES["okx"], served.base_url, QUICK) as reader:
        with pytest.raises(BadAnswer, match="redirected"):
            await reader.now_ms()
        assert [path for path, _ in served.asked] == [OKX_TIME], "asked once"


async def test_a_body_without_an_end_is_given_up() -> None:
    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        return response

    runner = web.ServerRunner(web.Server(drip), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    once = Patience(timeout_s=0.3, attempts=1, total_s=1.0)
    async with Exchange(VENUES["okx"], f"http://127.0.0.1:{runner.addresses[0][1]}", once) as reader:
        with pytest.raises(SourceUnreachable, match="no whole answer in time"):
            await reader.now_ms()
    await runner.cleanup()


@pytest.mark.parametrize("size", [None, "", "0", "-0.01", "1e308", "9" * 400, "nan"])
async def test_a_size_of_contracts_that_cannot_be_is_refused(size: Any) -> None:
    where = "/api/v5/public/instruments"
    found = json.loads(json.dumps(OKX[where]({"instType": "SWAP"}) if callable(OKX[where]) else OKX[where]))
    for market in found["data"]:
        market["ctVal"] = size
    async with (
        serving_routes({**OKX, where: found}) as served,
        Exchange(VENUES["okx"], served.base_url, QUICK) as reader,
    ):
        with pytest.raises((BadAnswer, UnknownMarket)):
            await reader.contract("BTC")
