"""Each kind of fault is met as it says, over real sockets."""

import zlib

import aiohttp
import httpx
import msgspec
import pytest

from liqtruth.sandbox.http.faults import KINDS, SOCKET_KINDS, SPOILINGS, Faults, bomb, spoiled
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import serving
from liqtruth.sandbox.truth import addresses

STATE = (
    b'{"assetPositions":[{"type":"oneWay","position":{"coin":"BTC","szi":"1.0","leverage":{"type":"cross",'
    b'"value":20},"entryPx":"50000.0","maxLeverage":40}}],"time":1787310105000}'
)
CONTEXTS = (
    b'[{"universe":[]},[{"funding":"0.00001","openInterest":"5.0","markPx":"50000.0","oraclePx":"1.0"}]]'
)
TRADES = b'{"channel":"trades","data":[{"coin":"BTC","px":"50000.0","sz":"1.0","time":1787310105000}]}'


@pytest.mark.parametrize("kind", SPOILINGS)
def test_every_kind_spoils_at_least_one_kind_of_answer(kind: str) -> None:
    assert any(spoiled(kind, body) != body for body in (STATE, CONTEXTS, TRADES))


@pytest.mark.parametrize("kind", sorted(set(SPOILINGS) - {"not_utf8", "garbage", "nested"}))
def test_what_is_spoiled_in_its_content_is_json_all_the_same(kind: str) -> None:
    for body in (STATE, CONTEXTS, TRADES):
        msgspec.json.decode(spoiled(kind, body))


def test_a_bomb_is_a_small_stream_of_much_nothing() -> None:
    packed = bomb(50 * 2**20)
    assert len(packed) < 2**17
    assert zlib.decompressobj(31).decompress(packed[:-8]) == b" " * 50 * 2**20


@pytest.mark.parametrize("kind", ["redirect", "odd_retry_after", "bomb"])
async def test_faults_of_transport_are_answered_as_they_state(small_market: Market, kind: str) -> None:
    faults = Faults(**{f"rate_{kind}": 1.0}, bomb_bytes=2**20)  # type: ignore[arg-type]
    async with serving(small_market, faults=faults) as server, httpx.AsyncClient() as client:
        body = {"type": "meta"}
        async with client.stream("POST", f"{server.base_url}/info", json=body) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.status_code == {"redirect": 307, "odd_retry_after": 429, "bomb": 200}[kind]
    assert (answer.headers.get("location") == faults.redirect_to) == (kind == "redirect")
    assert (answer.headers.get("retry-after") == "²") == (kind == "odd_retry_after")
    assert (raw == bomb(2**20)) == (kind == "bomb")


async def test_a_message_that_is_no_text_is_sent_as_it_is(small_market: Market) -> None:
    user = addresses(small_market)[0]
    faults = Faults(spoiled={"not_utf8": 1.0})
    async with serving(small_market, faults=faults) as server, httpx.AsyncClient() as client:
        body = {"type": "clearinghouseState", "user": user}
        answer = await client.post(f"{server.base_url}/info", json=body)
        assert b"\xff\xfe" in answer.content


async def test_a_handshake_may_be_turned_away_and_a_dex_may_fail(small_market: Market) -> None:
    faults = Faults(rate_socket_redirect=1.0, failing_dexes=frozenset({"xyz"}))
    async with (
        serving(small_market, faults=faults) as server,
        aiohttp.ClientSession() as client,
        httpx.AsyncClient() as plain,
    ):
        async with client.get(f"{server.base_url}/ws", allow_redirects=False) as turned:
            assert turned.status == 307
        body = {"type": "metaAndAssetCtxs", "dex": "xyz"}
        assert (await plain.post(f"{server.base_url}/info", json=body)).status_code == 500
        assert (await plain.post(f"{server.base_url}/info", json={"type": "meta"})).status_code == 200


def test_of_every_kind_each_is_met_sooner_or_later() -> None:
    faults = Faults.of_every_kind(0.5, seed=3, without=frozenset({"drip"}))
    for _ in range(3000):
        faults.next()
        faults.next_on_socket()
        faults.turns_away()
    wanted = {*KINDS, *SOCKET_KINDS, *SPOILINGS, "socket_redirect"} - {"drip"}
    assert set(faults.met) == wanted
    assert 0.3 < sum(faults.met.values()) / 9000 < 0.6
