"""The server keeps the exchange's budget and has exactly the faults asked for."""

import os
import signal
import threading

import httpx
import pytest

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.hyperliquid.info import WeightBudget, weight_of
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serve_forever, serving, serving_in_thread

STATUS = {"type": "exchangeStatus"}


async def ask(client: httpx.AsyncClient, server: SandboxServer, body: object = STATUS) -> httpx.Response:
    return await client.post(f"{server.base_url}/info", json=body)


async def test_after_the_budget_comes_429_with_a_null_body(market: Market) -> None:
    async with serving(market, weight_per_minute=44) as server, httpx.AsyncClient() as client:
        answers = [await ask(client, server, {"type": "meta"}) for _ in range(2)]
        answers += [await ask(client, server) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert answers[-1].text == "null"
        assert server.weight_spent == 44
        assert server.count_429 == 1
        assert server.requests == {"meta": 2, "exchangeStatus": 3}


async def test_an_own_node_has_no_budget(market: Market) -> None:
    async with serving(market, weight_per_minute=None) as server, httpx.AsyncClient() as client:
        answers = [await ask(client, server, {"type": "meta"}) for _ in range(70)]
        assert {answer.status_code for answer in answers} == {200}
        assert server.weight_spent == 1400


def test_what_was_spent_a_minute_ago_is_free_again() -> None:
    budget = WeightBudget(20)
    assert budget.spend(20, now_s=0.0)
    assert not budget.spend(2, now_s=59.9)
    assert budget.spend(20, now_s=60.0)


@pytest.mark.parametrize(
    ("request_type", "items", "weight"),
    [
        ("clearinghouseState", 0, 2),
        ("userAbstraction", 0, 20),
        ("userRole", 0, 60),
        ("candleSnapshot", 5000, 103),
        ("fundingHistory", 500, 45),
    ],
)
def test_weights_are_the_documented_ones(request_type: str, items: int, weight: int) -> None:
    assert weight_of(request_type, items) == weight


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"type": "nothingLikeIt"}', 422),
        (b'{"type": "clearinghouseState", "user": "0x12"}', 422),
        (b'{"type": "clearinghouseState"}', 422),
        (b'{"type": "meta", "dex": "nope"}', 422),
        (b'{"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "7m"}}', 422),
        (b"[]", 422),
        (b"{not json", 400),
    ],
)
async def test_what_cannot_be_read_is_refused(market: Market, body: bytes, status: int) -> None:
    async with serving(market) as server, httpx.AsyncClient() as client:
        answer = await client.post(f"{server.base_url}/info", content=body)
        assert answer.status_code == status
        assert 0 < len(answer.text) < 120


async def test_a_storm_answers_429_until_it_is_over(market: Market) -> None:
    async with serving(market, faults=Faults(storm_429=True)) as server, httpx.AsyncClient() as client:
        assert [(await ask(client, server)).status_code for _ in range(3)] == [429] * 3
        server.faults.storm_429 = False
        assert (await ask(client, server)).status_code == 200
        assert server.count_429 == 3


async def test_status_and_html_faults(market: Market) -> None:
    async with serving(market, faults=Faults(rate_500=1)) as server, httpx.AsyncClient() as client:
        assert (await ask(client, server)).status_code == 500
        server.faults.rate_500, server.faults.rate_html = 0, 1
        page = await ask(client, server)
        assert page.status_code == 200
        assert page.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("faults", [Faults(rate_reset=1), Faults(rate_truncated=1)])
async def test_cut_connections_are_errors_of_the_transport(market: Market, faults: Faults) -> None:
    async with serving(market, faults=faults) as server, httpx.AsyncClient() as client:
        for _ in range(3):
            with pytest.raises(httpx.RemoteProtocolError):
                await ask(client, server, {"type": "meta"})
        faults.rate_reset = faults.rate_truncated = 0
        assert (await ask(client, server)).status_code == 200


async def test_faults_come_at_their_rates_in_the_same_order(market: Market) -> None:
    def drawn() -> list[str | None]:
        faults = Faults(rate_429=0.1, rate_500=0.2, seed=3)
        return [faults.next() for _ in range(2000)]

    kinds = drawn()
    assert kinds == drawn()
    assert kinds.count("429") == pytest.approx(200, abs=45)
    assert kinds.count("500") == pytest.approx(400, abs=60)


async def test_a_slow_server_lets_the_client_time_out(market: Market) -> None:
    async with (
        serving(market, faults=Faults(delay_s=600)) as server,
        httpx.AsyncClient(timeout=0.05) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await ask(client, server)


def test_a_port_that_is_taken_is_reported(market: Market) -> None:
    with (
        serving_in_thread(market) as server,
        pytest.raises(SandboxRefused, match=f"127.0.0.1:{server.port}"),
        serving_in_thread(market, port=server.port),
    ):
        pass


def test_serving_forever_ends_on_a_signal(market: Market) -> None:
    seen: list[int] = []

    def on_ready(server: SandboxServer) -> None:
        seen.append(server.port)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    serve_forever(market, on_ready=on_ready)
    assert seen[0] > 0
