"""Maps asked for from vendors: what is asked, that answers are stored as they came, and where the key never is."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported import fetch
from liqtruth.compare.imported.fetch import Asked, fetch_map
from liqtruth.compare.imported.read import read_map
from liqtruth.heatmap.errors import BadInput, LiqtruthError, SourceUnreachable
from liqtruth.heatmap.writing import facts_of
from liqtruth.storage.store import Settings
from tests.compare.imported import layouts
from tests.compare.imported.layouts import LONG_USD, SHORT_USD
from tests.conftest import Run
from tests.loopback import answering_in_thread

KEY = "k3y-of-a-test-0123456789"
ROUTES: dict[str, Callable[[], Any]] = {
    "/api/futures/liquidation/aggregated-heatmap/model1": layouts.coinglass_heatmap,
    "/api/futures/liquidation/heatmap/model3": layouts.coinglass_heatmap,
    "/api/futures/liquidation/aggregated-map": layouts.coinglass_map_captured,
    "/api/futures/liquidation/map": layouts.coinglass_map_documented,
    "/api/liqMap/getAggLiqMap": layouts.coinank_by_exchange,
    "/api/liqMap/getLiqMap": layouts.coinank_by_leverage,
    "/api/liqMap/getLiqHeatMap": layouts.coinank_heatmap,
}


class VendorServer:
    """Answers as both vendors do, by path; keeps what it was asked. `answer` replaces every answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            (request.path, dict(request.query), {k.lower(): v for k, v in request.headers.items()})
        )
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(body=json.dumps(ROUTES[request.path]()).encode())


@pytest.fixture
def vendor() -> Iterator[tuple[VendorServer, str]]:
    server = VendorServer()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    with answering_in_thread(app) as url:
        yield server, url


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LIQTRUTH_COINGLASS_KEY", KEY)
    monkeypatch.setenv("LIQTRUTH_COINANK_KEY", KEY)
    return Settings(data_dir=tmp_path / "data")


Served = tuple[VendorServer, str]


@pytest.mark.parametrize(
    ("name", "asked", "path", "parameters"),
    [
        ("coinglass", Asked("BTC"), "aggregated-heatmap/model1", {"symbol": "BTC", "range": "3d"}),
        (
            "coinglass",
            Asked("BTC", "binance", "heatmap", "12h", 3),
            "heatmap/model3",
            {"exchange": "Binance", "symbol": "BTCUSDT", "range": "12h"},
        ),
        ("coinglass", Asked("BTC", kind="map"), "aggregated-map", {"symbol": "BTC", "range": "1d"}),
        (
            "coinglass",
            Asked("BTC", "okx", "map", "7d"),
            "liquidation/map",
            {"exchange": "OKX", "symbol": "BTC-USDT-SWAP", "range": "7d"},
        ),
        ("coinank", Asked("BTC"), "getAggLiqMap", {"baseCoin": "BTC", "interval": "1d"}),
        (
            "coinank",
            Asked("kPEPE", "okx"),
            "getLiqMap",
            {"exchange": "Okex", "symbol": "1000PEPEUSDT", "interval": "1d"},
        ),
        (
            "coinank",
            Asked("BTC", "binance", "heatmap"),
            "getLiqHeatMap",
            {"exchange": "Binance", "symbol": "BTCUSDT", "interval": "1d"},
        ),
    ],
)
def test_the_documented_request_is_made_with_no_parameter_more(
    name: str, asked: Asked, path: str, parameters: dict[str, str], vendor: Served, settings: Settings
) -> None:
    server, url = vendor
    fetch_map(settings, name, asked, url)
    ((asked_path, query, headers),) = server.asked
    assert asked_path.endswith(path)
    assert query == parameters
    assert headers["cg-api-key" if name == "coinglass" else "apikey"] == KEY


def test_the_answer_is_stored_as_it_came_and_read_with_what_is_known_of_it(
    vendor: Served, settings: Settings
) -> None:
    _, url = vendor
    file = fetch_map(settings, "coinank", Asked("BTC", "binance"), url)
    assert json.loads(file.read_bytes()) == layouts.coinank_by_leverage()
    found = read_map(file)
    assert (found.coin, found.venue) == ("BTC", "binance")
    assert found.in_grid_usd == pytest.approx((LONG_USD, SHORT_USD))
    assert "moment_of_file" not in {one.code for one in found.coverage.notes}


def test_the_key_is_in_no_file_log_error_or_report(
    vendor: Served, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = vendor
    caplog.set_level(logging.DEBUG)

    async def repeated(request: web.Request) -> web.Response:
        return web.json_response({"code": "40001", "msg": f"no plan for {KEY}"})

    async def repeated_in_a_map(request: web.Request) -> web.Response:
        return web.json_response({**layouts.coinank_by_exchange(), "msg": f"plan of {KEY}"})

    async def spelled_otherwise(request: web.Request) -> web.Response:
        escaped = "".join(f"\\u{ord(one):04x}" for one in KEY)
        return web.Response(body=f'{{"code": "40001", "msg": "no plan for {escaped}"}}'.encode())

    for answer in (repeated, spelled_otherwise):
        server.answer = answer
        with pytest.raises(VendorMapRefused, match="no plan for") as refused:
            fetch_map(settings, "coinank", Asked("BTC"), url)
        assert KEY not in str(refused.value)
    server.answer = repeated_in_a_map
    file = fetch_map(settings, "coinank", Asked("BTC"), url)
    found = read_map(file)
    kept = [file.read_text(), facts_of(file).read_text(), caplog.text, repr(settings), repr(found.coverage)]
    assert not [text for text in kept if KEY in text]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, VendorMapRefused), (403, VendorMapRefused), (404, VendorMapRefused), (429, SourceUnreachable),
     (500, SourceUnreachable), (302, SourceUnreachable)],
)  # fmt: skip
def test_a_refusal_is_one_line_and_nothing_is_stored(
    status: int, error: type[LiqtruthError], vendor: Served, settings: Settings
) -> None:
    server, url = vendor

    async def refusing(request: web.Request) -> web.Response:
        return web.Response(status=status, text=f"{KEY}", headers={"Location": "http://127.0.0.1:1/"})

    server.answer = refusing
    with pytest.raises(error, match=f"HTTP {status}") as refused:
        fetch_map(settings, "coinglass", Asked("BTC"), url)
    assert KEY not in str(refused.value)
    assert len(server.asked) == 1
    assert not (settings.data_dir / fetch.FOLDER).exists()


@pytest.mark.parametrize("body", [b"<html>", b"", b"{", b'{"code":"0","data":{}}', b"[" * 10_000, b"7"])
def test_an_answer_that_is_no_map_is_refused_and_not_stored(
    body: bytes, vendor: Served, settings: Settings
) -> None:
    server, url = vendor

    async def wrong(request: web.Request) -> web.Response:
        return web.Response(body=body)

    server.answer = wrong
    with pytest.raises(LiqtruthError):
        fetch_map(settings, "coinglass", Asked("BTC"), url)
    assert not (settings.data_dir / fetch.FOLDER).exists()


def test_a_slow_answer_meets_a_deadline(
    vendor: Served, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    server, url = vendor
    monkeypatch.setattr(fetch, "DEADLINE_S", 0.3)

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    server.answer = dripping
    with pytest.raises(SourceUnreachable, match=r"no whole answer within 0\.3 s"):
        fetch_map(settings, "coinglass", Asked("BTC"), url)


def test_nobody_there_is_an_error_of_the_source(settings: Settings) -> None:
    with pytest.raises(SourceUnreachable, match="is the address right"):
        fetch_map(settings, "coinglass", Asked("BTC"), "http://127.0.0.1:9")


def test_a_key_is_never_sent_in_the_clear_to_another_machine(settings: Settings) -> None:
    with pytest.raises(BadInput, match="only sent over https"):
        fetch_map(settings, "coinglass", Asked("BTC"), "http://example.org")


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "ключ"])
def test_a_key_that_is_missing_or_none_is_refused_by_the_name_of_its_variable(
    value: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIQTRUTH_COINANK_KEY", value)
    with pytest.raises(BadInput, match="LIQTRUTH_COINANK_KEY must") as refused:
        fetch_map(Settings(data_dir=settings.data_dir), "coinank", Asked("BTC"))
    assert not value or value not in str(refused.value)


@pytest.mark.parametrize(
    ("vendor_name", "asked", "named"),
    [
        ("hyblock", Asked("BTC"), "vendor must be"),
        ("coinglass", Asked("BTC", kind="picture"), "--kind"),
        ("coinglass", Asked("BTC", range="2d"), "--range"),
        ("coinank", Asked("BTC", range="1d&x=1"), "--range"),
        ("coinglass", Asked("BTC", model=4), "--model"),
        ("coinank", Asked("BTC", kind="heatmap"), "--venue"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(
    vendor_name: str, asked: Asked, named: str, settings: Settings
) -> None:
    with pytest.raises(BadInput, match=named):
        fetch_map(settings, vendor_name, asked)


def test_the_command_stores_and_draws(vendor: Served, settings: Settings, run: Run) -> None:
    _, url = vendor
    done = run("map", "fetch", "coinank", "BTC", "--venue", "binance", "--base-url", url)
    assert done.returncode == 0, done.stderr
    assert "imported map coinank" in done.stdout
    assert "stored " in done.stderr
    assert KEY not in done.stdout + done.stderr
