"""Where part of what was asked for cannot be read, the rest is stored and the command ends with exit code 3."""

from collections.abc import Iterator

import pytest
from aiohttp import web
from info_endpoint import NOW_MS, InfoEndpoint, address_of, btc, serving, state

from liqtruth.heatmap.errors import LiqtruthError, PartlyRead, SourceUnreachable
from liqtruth.indexer.audit.verify import verify
from liqtruth.indexer.discovery.find import find
from liqtruth.indexer.maps.candles import fetch_candles
from liqtruth.sandbox.http.faults import Faults, bomb
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.storage.store import Store

HOUR_MS = 3_600_000


@pytest.fixture
def endpoint() -> Iterator[InfoEndpoint]:
    with serving(InfoEndpoint(states={address_of(1): state(btc(1.0, 45_000.0))})) as served:
        yield served


def candle(number: int, **bad: object) -> dict[str, object]:
    opened = NOW_MS - (100 - number) * HOUR_MS
    times = {"t": opened, "T": opened + HOUR_MS - 1, "s": "BTC", "i": "1h", "n": 3}
    return {**times, "o": "5.0", "h": "6.0", "l": "4.0", "c": "5.5", "v": "10.0", **bad}


def test_a_coin_or_a_candle_that_cannot_be_read_stops_no_other(store: Store, endpoint: InfoEndpoint) -> None:
    rows = [candle(0), candle(1, h="7" * 400), candle(2, t=86_400_000), candle(3)]

    def fault(request: dict[str, object], number: int) -> web.Response | None:
        if request["type"] != "candleSnapshot":
            return None
        coin = request["req"]["coin"]  # type: ignore[index]
        return web.json_response(rows) if coin == "BTC" else web.Response(status=422)

    endpoint.fault = fault
    report = fetch_candles(store, endpoint.base_url, ["BTC", "ETH"], weight_per_minute=0)
    assert (report.coins, report.rows, list(report.failed)) == (("BTC",), 2, ["ETH"])
    assert report.left_out.total == 2
    with pytest.raises(PartlyRead):
        report.raise_if_partly()


def test_where_no_coin_can_be_read_the_reason_is_raised(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.fault = lambda request, number: (
        web.Response(status=422) if request["type"] == "candleSnapshot" else None
    )
    with pytest.raises(SourceUnreachable):
        fetch_candles(store, endpoint.base_url, ["BTC", "ETH"], weight_per_minute=0)


def test_a_source_of_addresses_that_fails_is_reported_at_the_end(store: Store, small_market: Market) -> None:
    with serving_in_thread(small_market, weight_per_minute=None) as server:
        whole = find(store, server.base_url, server.base_url, ["leaderboard", "vaults"], weight_per_minute=0)
        whole.raise_if_partly()
        partly = find(
            store,
            server.base_url,
            "http://127.0.0.1:9",
            ["leaderboard", "recent-trades"],
            weight_per_minute=0,
        )
    assert partly.discovery.found[1].addresses
    with pytest.raises(PartlyRead):
        partly.raise_if_partly()


def test_a_bad_position_of_a_verified_account_is_reported(endpoint: InfoEndpoint) -> None:
    bad, closed = (
        btc(1.0, None) | {"coin": "SOL", "entryPx": None},
        btc(1.0, None) | {"coin": "X", "szi": "0.0"},
    )
    endpoint.states[address_of(1)] = state(btc(1.0, 45_000.0), bad, closed)
    found = verify(address_of(1), endpoint.base_url)
    assert [holdings.coin for holdings in found.positions] == ["BTC", "SOL"], (
        "the SDK shows what we cannot read"
    )
    with pytest.raises(PartlyRead):
        found.raise_if_partly()


@pytest.mark.parametrize("kind", ["redirect", "bomb", "zstd", "nested", "list", "no positions", "text"])
def test_whatever_the_sdk_is_answered_ends_in_one_line(endpoint: InfoEndpoint, kind: str) -> None:
    """Our reader gets good answers; only the SDK, which asks last, meets the bad one."""
    with serving(InfoEndpoint()) as elsewhere:
        moved = {"Location": f"{elsewhere.base_url}/info"}
        content: dict[str, tuple[int, bytes, dict[str, str]]] = {
            "redirect": (307, b"", moved),
            "bomb": (200, bomb(300_000_000), {"Content-Encoding": "gzip"}),
            "zstd": (200, b"\x28\xb5\x2f\xfd", {"Content-Encoding": "zstd"}),
            "nested": (200, b"[" * 100_000 + b"]" * 100_000, {}),
            "list": (200, b"[1, 2]", {}),
            "no positions": (
                200,
                b'{"assetPositions":[{}],"marginSummary":{"accountValue":"x"},"time":1e300}',
                {},
            ),
            "text": (200, b"\xff\xfe", {}),
        }

        def fault(request: dict[str, object], number: int) -> web.Response | None:
            asked = [one["type"] for one in endpoint.requests].count("clearinghouseState")
            if asked < 2:
                return None
            status, body, headers = content[kind]
            return web.Response(status=status, body=body, headers=headers)

        endpoint.fault = fault
        with pytest.raises(LiqtruthError) as refused:
            verify(address_of(1), endpoint.base_url, timeout_s=30.0)
        assert refused.value.exit_code == 3
        assert elsewhere.requests == []


def test_a_sweep_through_all_faults_at_random_ends_in_an_answer_or_one_line(
    store: Store, small_market: Market
) -> None:
    """Deadlines apart, which would make the test wait."""
    import asyncio

    from liqtruth.indexer.info.budget import Patience
    from liqtruth.indexer.sweep.sweep import sweep
    from liqtruth.sandbox.truth import addresses

    patience = Patience(attempts=6, total_s=60.0, first_wait_s=0.001, pause_s=0.001)
    ended = 0
    for seed in range(3):
        faults = Faults.of_every_kind(0.2, seed, without=frozenset({"drip", "bomb", "odd_retry_after"}))
        with serving_in_thread(small_market, weight_per_minute=None, faults=faults) as server:
            listed = addresses(small_market)[seed * 60 : seed * 60 + 60]
            try:
                report = asyncio.run(
                    sweep(store, listed, base_url=server.base_url, weight_per_minute=None, patience=patience)
                )
            except LiqtruthError:
                continue
            assert report.accounts + len(report.failed) == len(listed)
            assert report.last <= server.now
            ended += 1
    assert ended, "not every sweep meets what ends it"
