"""The endpoint's faults are met or named, and no minute sees more weight than the budget."""

import asyncio
import gzip
import json
import socket
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from info_endpoint import META, NOW_MS, Fault, InfoEndpoint, address_of, btc, serving, state

from liqtruth.heatmap.errors import BadInput, SourceUnreachable
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info.budget import Budget, Patience, RequestRefused, weight_of
from liqtruth.indexer.info.client import InfoClient, exchange_time_s
from liqtruth.sandbox.http.faults import bomb
from liqtruth.storage.net.answers import LARGEST_ANSWER, AnswerRefused

QUICK = Patience(attempts=4, total_s=5.0, first_wait_s=0.01, pause_s=0.02)


@pytest.fixture
def endpoint() -> Iterator[InfoEndpoint]:
    with serving(InfoEndpoint(states={address_of(1): state(btc(1.0, 45_000.0))})) as served:
        yield served


def client(endpoint: InfoEndpoint, timeout_s: float = 2.0, patience: Patience = QUICK) -> InfoClient:
    return InfoClient(endpoint.base_url, Budget(None), timeout_s, patience=patience)


def first(count: int, fault: object) -> Fault:
    return lambda request, number: fault if number <= count else None  # type: ignore[return-value]


HTML = web.Response(body=b"<html>bad gateway</html>", content_type="text/html")


@pytest.mark.parametrize(
    "fault",
    [web.Response(status=500), web.Response(status=503), web.Response(status=429), "reset", "truncate"],
    ids=["500", "503", "429", "reset", "truncated"],
)
async def test_a_passing_fault_is_met_by_asking_again(endpoint: InfoEndpoint, fault: object) -> None:
    # A response object serves one request only, so each fault strikes once.
    endpoint.fault = first(1, fault)
    async with client(endpoint) as asked:
        answer = await asked.clearinghouse_state(address_of(1))
    assert answer.asset_positions[0].position.liquidation_px == 45_000.0
    assert len(endpoint.requests) == 2


async def test_a_page_of_html_with_status_200_is_asked_again(endpoint: InfoEndpoint) -> None:
    endpoint.fault = first(1, HTML)
    async with client(endpoint) as asked:
        assert (await asked.meta()).universe[0].name == "BTC"
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(("status", "message"), [(400, "400"), (403, "403"), (422, "422: no such user")])
async def test_a_refusal_is_not_asked_again(endpoint: InfoEndpoint, status: int, message: str) -> None:
    endpoint.fault = lambda request, number: web.Response(status=status, text="no such user")
    async with client(endpoint) as asked:
        with pytest.raises(
            RequestRefused, match=rf"{endpoint.base_url}: meta was refused.*{message}"
        ) as caught:
            await asked.meta()
    assert len(endpoint.requests) == 1
    assert not caught.value.retryable


async def test_an_answer_of_another_shape_is_named_and_not_asked_again(endpoint: InfoEndpoint) -> None:
    endpoint.states[address_of(2)] = {"assetPositions": []}
    async with client(endpoint) as asked:
        with pytest.raises(WireError, match=r"marginSummary is missing"):
            await asked.clearinghouse_state(address_of(2))
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda request, number: web.Response(status=500), "HTTP 500"),
        (lambda request, number: "reset", "broke off"),
        (lambda request, number: "truncate", r"breaks off after \d+ bytes"),
        (lambda request, number: web.Response(status=429), "429, too many requests.*--weight-per-minute"),
    ],
    ids=["500", "reset", "truncated", "429"],
)
async def test_a_lasting_fault_ends_in_one_line_with_host_and_cause(
    endpoint: InfoEndpoint, fault: Fault, message: str
) -> None:
    endpoint.fault = fault
    async with client(endpoint) as asked:
        with pytest.raises(
            SourceUnreachable, match=rf"^{endpoint.base_url}: no answer to meta: .*{message}"
        ) as caught:
            await asked.meta()
    assert len(endpoint.requests) == QUICK.attempts
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


async def test_a_slow_host_meets_the_deadline_of_each_attempt(endpoint: InfoEndpoint) -> None:
    endpoint.fault = lambda request, number: 600.0
    async with client(endpoint, timeout_s=0.1, patience=Patience(2, 5.0, 0.01, 0.02)) as asked:
        with pytest.raises(SourceUnreachable, match=r"no whole answer within 0\.1 s \(2 attempts"):
            await asked.meta()


async def test_a_host_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with InfoClient(f"http://127.0.0.1:{port}", Budget(None), 1.0, patience=QUICK) as asked:
        with pytest.raises(SourceUnreachable, match=rf"http://127\.0\.0\.1:{port}: .*cannot connect"):
            await asked.meta()


async def test_the_keys_of_a_provider_are_not_shown(endpoint: InfoEndpoint) -> None:
    url = endpoint.base_url.replace("http://", "http://desk:hunter2@") + "/s3cret-key"
    async with InfoClient(url, Budget(None), 1.0, patience=QUICK) as asked:
        with pytest.raises(RequestRefused) as caught:  # the small endpoint knows no such path: 404
            await asked.meta()
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert endpoint.base_url in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host", "api.hyperliquid.xyz", "http://", "http://[::1"),
        *(f"http://127.0.0.1:{port}" for port in ("99999", "65536", "0", "-1", "abc", "9" * 3000)),
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="address"):
        InfoClient(url, Budget(None))


async def test_connections_are_kept_and_bounded(endpoint: InfoEndpoint) -> None:
    in_flight, most = 0, 0
    answer = endpoint.answer

    async def counted(http: web.Request) -> web.StreamResponse:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.01)
        in_flight -= 1
        return await answer(http)

    endpoint.answer = counted  # type: ignore[method-assign]
    with serving(endpoint):
        async with InfoClient(endpoint.base_url, Budget(None), concurrency=3) as asked:
            await asyncio.gather(*(asked.meta() for _ in range(12)))
    assert most == 3


@pytest.mark.parametrize("budget", [Budget(None), Budget(960, window_s=2.0)], ids=["lifted", "tight"])
async def test_who_asks_once_is_not_kept_waiting_by_those_who_ask_without_a_pause(
    endpoint: InfoEndpoint, budget: Budget
) -> None:
    readers, asks = 8, 5
    most = asks * (
        3 * readers + 1
    )  # a turn of everybody's for a connection, one for the budget, one under way

    async def read_without_a_pause() -> None:
        while True:
            await asked.clearinghouse_state(address_of(1))

    async def ask_now_and_then() -> None:
        for _ in range(asks):
            await asked.meta()

    async with InfoClient(endpoint.base_url, budget, concurrency=readers, patience=QUICK) as asked:
        reading = [asyncio.create_task(read_without_a_pause()) for _ in range(readers)]
        while len(endpoint.requests) < 5 * readers:  # noqa: ASYNC110 - the endpoint is of another thread
            await asyncio.sleep(0.01)
        until = len(endpoint.requests) + most
        asking = asyncio.create_task(ask_now_and_then())
        while not asking.done() and len(endpoint.requests) <= until:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        answered = asking.done()
        for task in (*reading, asking):
            task.cancel()
        await asyncio.gather(*reading, asking, return_exceptions=True)
    assert answered


async def test_the_meta_of_a_dex_is_kept_as_it_was_sent(endpoint: InfoEndpoint) -> None:
    async with client(endpoint) as asked:
        answer = await asked.meta_and_asset_ctxs()
    assert json.loads(answer.meta_json) == META
    assert answer.ctxs[0].open_interest == 100.0


# ----------------------------------------------------------------------------------- hostile answers


@pytest.mark.parametrize(
    "message", ["²", "1e30", "-5", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT", "", "9" * 400]
)
async def test_an_odd_retry_after_is_one_more_wait_of_our_own(endpoint: InfoEndpoint, message: str) -> None:
    def once(request: dict[str, object], number: int) -> web.Response | None:
        return web.Response(status=429, headers={"Retry-After": message}) if number == 1 else None

    endpoint.fault = once
    patience = Patience(attempts=2, total_s=60.0, first_wait_s=0.01, pause_s=0.02)
    async with client(endpoint, patience=patience) as asked:
        if message == "9" * 400:  # a number of seconds all the same, and more than anybody waits
            asked.budget.hold = lambda seconds: holdings.append(seconds)  # type: ignore[method-assign]
            holdings: list[float] = []
            endpoint.fault = lambda request, number: web.Response(
                status=429, headers={"Retry-After": message}
            )
            asked.patience = Patience(attempts=1, total_s=1.0)
            with pytest.raises(SourceUnreachable):
                await asked.meta()
            assert holdings == [30.0]
        else:
            assert (await asked.meta()).universe[0].name == "BTC"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(endpoint: InfoEndpoint, status: int) -> None:
    with serving(InfoEndpoint()) as elsewhere:
        endpoint.fault = lambda request, number: web.Response(
            status=status, headers={"Location": f"{elsewhere.base_url}/info"}
        )
        async with client(endpoint) as asked:
            with pytest.raises(RequestRefused):
                await asked.meta()
        assert (len(endpoint.requests), elsewhere.requests) == (1, [])


def packed(kind: str) -> bytes:
    if kind == "zstd":
        import zstandard

        return zstandard.compress(b" " * 10**6)
    return bomb(1_500_000_000) if kind == "gzip" else b"\x00"


@pytest.mark.parametrize("kind", ["gzip", "zstd", "br", "deflate"])
async def test_an_answer_that_unpacks_to_too_much_ends_within_little_memory(
    endpoint: InfoEndpoint, kind: str
) -> None:
    """Whatever it is packed as; 1.5 GB of blanks in gzip, which is what was asked for."""
    content = packed(kind)
    endpoint.fault = lambda request, number: web.Response(
        body=content, headers={"Content-Encoding": kind, "Content-Type": "application/json"}
    )
    tracemalloc.start()
    try:
        async with client(endpoint, timeout_s=60.0) as asked:
            with pytest.raises(AnswerRefused):
                await asked.meta()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4 * LARGEST_ANSWER
    assert len(endpoint.requests) == 1, "the next answer would be no better"


async def test_an_answer_in_drops_meets_the_deadline(endpoint: InfoEndpoint) -> None:
    async def dripping(http: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(http)
        while True:
            await answer.write(b" ")
            await asyncio.sleep(0.02)

    endpoint.answer = dripping  # type: ignore[method-assign]
    with serving(endpoint):
        async with client(endpoint, timeout_s=0.3, patience=Patience(1, 5.0, 0.01, 0.02)) as asked:
            with pytest.raises(SourceUnreachable, match="no whole answer"):
                await asked.meta()


@pytest.mark.parametrize("cut", [1, 10, -1, -9])
async def test_a_damaged_gzip_answer_is_asked_again(endpoint: InfoEndpoint, cut: int) -> None:
    whole = gzip.compress(json.dumps(META).encode())
    endpoint.fault = lambda request, number: (
        web.Response(body=whole[:cut], headers={"Content-Encoding": "gzip"}) if number == 1 else None
    )
    async with client(endpoint) as asked:
        assert (await asked.meta()).universe[0].name == "BTC"
    assert len(endpoint.requests) == 2


async def test_a_gzip_answer_of_several_members_is_read_whole(endpoint: InfoEndpoint) -> None:
    content = json.dumps(META).encode()
    parts = b"".join(gzip.compress(content[start : start + 50]) for start in range(0, len(content), 50))
    endpoint.fault = lambda request, number: web.Response(body=parts, headers={"Content-Encoding": "gzip"})
    async with client(endpoint) as asked:
        assert (await asked.meta()).universe[1].name == "ETH"


# --------------------------------------------------------------------------------------------- times

FAR = 9_999_999_999_000


async def test_an_account_of_the_year_2286_is_refused_and_one_of_now_is_not(endpoint: InfoEndpoint) -> None:
    now_ms = int(1000 * time.time())
    for number, at in enumerate((FAR, now_ms + 10 * 60_000, now_ms + 60_000, now_ms)):
        endpoint.states[address_of(number)] = state(btc(1.0, 45_000.0), time=at)
    async with client(endpoint) as asked:
        for number in (0, 1):
            with pytest.raises(WireError, match=r"\$\.time is"):
                await asked.clearinghouse_state(address_of(number))
        for number in (2, 3):
            await asked.clearinghouse_state(address_of(number))


async def test_the_clock_that_counts_is_the_exchanges(endpoint: InfoEndpoint) -> None:
    """A sandbox lives in a past of its own: an hour after its now is the future, though it is past for us."""
    endpoint.time = NOW_MS
    endpoint.states[address_of(1)] = state(time=NOW_MS + 3_600_000)
    async with client(endpoint) as asked:
        assert await asked.reported_time_s() == NOW_MS / 1000
        with pytest.raises(WireError):
            await asked.clearinghouse_state(address_of(1))
        endpoint.time = NOW_MS + 3_600_000
        await asked.clearinghouse_state(address_of(1))
        assert asked.clock_warning == ""


@pytest.mark.parametrize("reported", [FAR, 2**53, 10**30, 0, 86_400_000, -5, "soon"])
async def test_a_clock_that_cannot_be_true_is_not_believed(endpoint: InfoEndpoint, reported: Any) -> None:
    endpoint.time = reported
    async with client(endpoint) as asked:
        assert await asked.reported_time_s() is None
        assert abs(await exchange_time_s(asked) - time.time()) < 60
        assert asked.clock_warning
        endpoint.states[address_of(1)] = state(time=FAR)
        with pytest.raises(WireError):
            await asked.clearinghouse_state(address_of(1))


# -------------------------------------------------------------------------------------------- budget


@pytest.mark.parametrize(
    ("request_type", "items", "weight"),
    [
        ("clearinghouseState", 0, 2),
        ("spotClearinghouseState", 0, 2),
        ("metaAndAssetCtxs", 0, 20),
        ("userAbstraction", 0, 20),
        ("userRole", 0, 60),
        ("userFills", 2000, 120),
        ("candleSnapshot", 5000, 104),
        ("unheard-of", 0, 20),
    ],
)
def test_weights_are_those_of_the_documentation(request_type: str, items: int, weight: int) -> None:
    assert weight_of(request_type, items) == weight


@pytest.mark.parametrize(("limit", "weights"), [(960, (2,)), (960, (2, 20)), (800, (20, 2, 2, 2))])
async def test_no_window_of_a_minute_sees_more_than_the_budget(limit: int, weights: tuple[int, ...]) -> None:
    """A minute is half a second here; waiting callers are many, as in a sweep."""
    window_s = 0.5
    budget = Budget(limit, window_s=window_s)
    spent: list[tuple[float, int]] = []

    async def caller(number: int) -> None:
        for turn in range(1000):
            weight = weights[(number + turn) % len(weights)]
            async with budget.spend(weight):
                spent.append((time.monotonic(), weight))

    async with asyncio.timeout(60):
        tasks = [asyncio.create_task(caller(number)) for number in range(4)]
        while sum(weight for _, weight in spent) <= 1.5 * limit:  # noqa: ASYNC110
            await asyncio.sleep(window_s / 10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for start, _ in spent:
        assert sum(w for t, w in spent if start <= t < start + window_s) <= limit + 2 * max(weights)


async def test_a_lifted_budget_counts_and_does_not_wait() -> None:
    budget = Budget(0)
    budget._taken = None  # type: ignore[assignment, method-assign]
    for _ in range(1000):
        async with budget.spend(60):
            pass
    assert (budget.spent, budget.requests) == (60_000, 1000)


async def test_a_429_holds_back_every_caller(endpoint: InfoEndpoint) -> None:
    times: list[float] = []

    def once(request: dict[str, object], number: int) -> web.Response | None:
        times.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1"}) if number == 1 else None

    endpoint.fault = once
    async with client(endpoint) as asked:
        first_call = asyncio.create_task(asked.meta())
        async with asyncio.timeout(300):
            while not asked.budget.refused:  # noqa: ASYNC110 - the budget knows nothing of events
                await asyncio.sleep(0.01)
        await asyncio.gather(first_call, asked.meta(), asked.meta())
        assert asked.budget.refused == 1
    assert all(moment - times[0] >= 0.95 for moment in times[1:])
    assert Counter(request["type"] for request in endpoint.requests) == {"meta": 4}
