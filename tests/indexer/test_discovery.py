"""Sources of addresses over real sockets: what each brings and costs, and that none of them stops the others."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web
from info_endpoint import address_of

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.indexer.discovery.find import Discovery, discover
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.discovery.sources import (
    Found,
    leaderboard,
    liquidated,
    listed,
    recent_trades,
    sub_accounts,
    vaults,
)
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Store
from tests.loopback import answering

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
BRIEF = Patience(attempts=2, total_s=2, first_wait_s=0.01, pause_s=0.01)
VAULT, LEADER, CHILD = address_of(100), address_of(101), address_of(102)
MASTER, SUB = address_of(200), address_of(201)

Answer = Callable[[dict[str, Any]], Any]


def leader(number: int, value: str = "1000.5") -> dict[str, Any]:
    windows = {"day": 1, "week": 7, "month": 30, "allTime": 90}
    performances = [
        [name, {"pnl": str(-days), "roi": "0.1", "vlm": str(10 * days)}] for name, days in windows.items()
    ]
    row = {"ethAddress": address_of(number), "accountValue": value, "windowPerformances": performances}
    return {**row, "prize": 0, "displayName": None}


def trade(buyer: int, seller: int, tid: int) -> dict[str, Any]:
    row = {"coin": "BTC", "side": "B", "px": "50000", "sz": "0.1", "time": 1_787_310_105_000, "hash": "0x0"}
    return {**row, "tid": tid, "users": [address_of(buyer), address_of(seller)]}


def usual(request: dict[str, Any]) -> Any:
    """Answers of a small exchange: one vault with a child and a follower, one sub-account, two coins."""
    kind = request["type"]
    if kind == "vaultDetails":
        relationship = {"type": "parent", "data": {"childAddresses": [CHILD]}}
        followers = [{"user": "Leader"}, {"user": address_of(103)}]
        return {
            "vaultAddress": request["vaultAddress"],
            "leader": LEADER,
            "followers": followers,
            "relationship": relationship,
        }
    if kind == "subAccounts":
        return [{"subAccountUser": SUB, "master": MASTER}] if request["user"] == MASTER else None
    return [trade(1, 2, 1), trade(2, 3, 2)]


@asynccontextmanager
async def exchange(
    answer: Answer = usual, pages: dict[str, web.Response | Any] | None = None
) -> AsyncIterator[str]:
    """An info endpoint and stats pages on one free port."""

    async def info(http: web.Request) -> web.Response:
        content = answer(await http.json())
        return content if isinstance(content, web.Response) else web.json_response(content)

    async def page(http: web.Request) -> web.Response:
        content = (pages or {}).get(http.path)
        if content is None:
            return web.Response(status=404)
        return content if isinstance(content, web.Response) else web.json_response(content)

    app = web.Application()
    app.router.add_post("/info", info)
    app.router.add_get("/{path:.*}", page)
    async with answering(app) as url:
        yield url


def client_of(url: str) -> InfoClient:
    return InfoClient(url, Budget(None), patience=BRIEF)


async def test_the_leaderboard_brings_everyone_on_it_with_what_it_tells_of_them() -> None:
    rows = [leader(n) for n in range(300)]
    rows[5]["windowPerformances"] = []
    rows[6]["ethAddress"] = "nobody"
    async with exchange(pages={"/Mainnet/leaderboard": {"leaderboardRows": rows}}) as url:
        found = await leaderboard(url)
    assert len(found.addresses) == 299
    assert (found.weight, found.requests) == (0, 1)
    assert found.problems == ("1 entries are no addresses and were left out",)
    assert found.leaders is not None
    first = found.leaders.row(0, named=True)
    assert (first["account_value_usd"], first["day_pnl_usd"], first["week_volume_usd"]) == (
        1000.5,
        -1.0,
        70.0,
    )
    assert found.leaders["day_pnl_usd"].null_count() == 1


@pytest.mark.parametrize(
    ("page", "error", "says"),
    [
        (web.Response(status=403), SourceUnreachable, "HTTP 403"),
        ({"rows": []}, WireError, "leaderboardRows"),
        ({"leaderboardRows": [leader(1, value="much")]}, WireError, "much"),
    ],
)
async def test_a_leaderboard_that_is_none_is_refused_in_one_line(
    page: Any, error: type[Exception], says: str
) -> None:
    async with exchange(pages={"/Mainnet/leaderboard": page}) as url:
        with pytest.raises(error, match=says) as raised:
            await leaderboard(url)
    assert "\n" not in str(raised.value)


async def test_vaults_bring_leaders_for_nothing_and_depositors_and_children_of_the_largest_for_20_each() -> (
    None
):
    summaries = [
        {"vaultAddress": address_of(300), "leader": address_of(301), "tvl": "5.0"},
        {"vaultAddress": VAULT, "leader": LEADER, "tvl": "900.0"},
    ]
    page = [{"apr": 0.0, "pnls": [], "summary": summary} for summary in summaries]
    async with exchange(pages={"/Mainnet/vaults": page}) as url, client_of(url) as client:
        found = await vaults(client, url, most_details=1)
    met = {address_of(300), address_of(301), VAULT, LEADER, CHILD, address_of(103)}
    assert set(found.addresses) == met
    assert found.weight == 20
    labels = {reported.address: (reported.label, reported.master) for reported in found.labels}
    assert labels[VAULT] == ("vault", LEADER)
    assert labels[CHILD] == ("vault", VAULT)


async def test_sub_accounts_are_found_with_their_master() -> None:
    async with exchange() as url, client_of(url) as client:
        found = await sub_accounts(client, [MASTER, address_of(5)])
    assert found.addresses == (SUB,)
    assert [(reported.label, reported.master) for reported in found.labels] == [("sub-account", MASTER)]
    assert (found.requests, found.weight) == (2, 40)


async def test_recent_trades_bring_both_sides_and_cost_by_their_number() -> None:
    async with exchange() as url, client_of(url) as client:
        found = await recent_trades(client, ["BTC", "ETH"])
        assert client.budget.spent == found.weight == 42
    assert found.addresses == tuple(address_of(n) for n in (1, 2, 3))


async def test_one_request_that_fails_leaves_the_others_of_its_source() -> None:
    def answer(request: dict[str, Any]) -> Any:
        return web.Response(status=422, text="no coin") if request["coin"] == "BAD" else usual(request)

    async with exchange(answer) as url, client_of(url) as client:
        found = await recent_trades(client, ["BAD", "BTC"])
    assert len(found.addresses) == 3
    assert len(found.problems) == 1
    assert "422" in found.problems[0]


async def test_a_frame_of_liquidations_and_a_file_are_sources_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"address": [address_of(1), None, address_of(1), address_of(2).upper()]})
    assert (await liquidated(frame)).addresses == (address_of(1), address_of(2))
    path = tmp_path / "some.txt"
    path.write_text(f"# mine\n{address_of(7)}\n")
    assert (await listed(path)).addresses == (address_of(7),)


async def test_a_source_that_fails_stops_no_other_and_is_reported(store: Store, tmp_path: Path) -> None:
    pages = {"/Mainnet/leaderboard": web.Response(text="<html>busy</html>")}
    async with exchange(pages=pages) as url, client_of(url) as client:
        sources: list[tuple[str, Callable[[], Awaitable[Found]]]] = [
            ("leaderboard", partial(leaderboard, url)),
            ("file", partial(listed, tmp_path / "absent.txt")),
            ("sub-account", partial(sub_accounts, client, [MASTER])),
            ("recent trades", partial(recent_trades, client, ["BTC"])),
        ]
        done = await discover(store, sources, NOON)
    assert [found.source for found in done.failed] == ["leaderboard", "file"]
    assert done.new == (0, 0, 1, 3)
    assert book(store)["source"].to_list().count("recent trades") == 3
    assert book(store).filter(label="sub-account")["master"].to_list() == [MASTER]
    assert len(done.describe()) == 5
    assert "not JSON" in done.describe()[0]
    assert done.describe()[-1] == "4 new addresses from 4 sources"


async def test_a_host_that_is_not_there_is_named(store: Store) -> None:
    done = await discover(
        store, [("leaderboard", partial(leaderboard, "http://127.0.0.1:9", timeout_s=2))], NOON
    )
    assert isinstance(done, Discovery)
    assert "127.0.0.1:9/Mainnet/leaderboard" in done.failed[0].problems[0]


async def test_the_sandbox_is_discovered(served: SandboxServer, store: Store) -> None:
    """Every address that its leaderboard, vaults and trades name is one of its accounts, or a vault's own."""
    async with client_of(served.base_url) as client:
        sources: list[tuple[str, Callable[[], Awaitable[Found]]]] = [
            ("leaderboard", partial(leaderboard, served.base_url)),
            ("vault", partial(vaults, client, served.base_url)),
            ("recent trades", partial(recent_trades, client, ["BTC", "ETH"])),
        ]
        done = await discover(store, sources, NOON)
    assert not [found.problems for found in done.found if found.problems]
    assert all(done.new)


def test_a_found_says_its_yield_and_its_cost_in_one_line() -> None:
    found = Found("vault", ("a", "b"), weight=20, requests=1, seconds=0.25, problems=("one", "two"))
    assert found.describe(1) == "vault: 2 addresses (1 new); 1 requests, weight 20, 0.2 s; one and 1 more"


def test_the_size_of_the_real_leaderboard_is_decoded_whole() -> None:
    """45,000 rows, as in September 2026."""
    from liqtruth.indexer.discovery.source_answers import LEADERBOARD, leaders_frame

    one = json.dumps(leader(0))
    rows = (one.replace(address_of(0), address_of(n)) for n in range(45_000))
    raw = f'{{"leaderboardRows": [{", ".join(rows)}]}}'.encode()
    assert leaders_frame(LEADERBOARD(raw, "test").leaderboard_rows).height == 45_000


@pytest.mark.filterwarnings("error")
async def test_a_find_that_fails_before_it_asks_leaves_nothing_unasked(store: Store) -> None:
    """No source is begun before its turn: a coroutine that nobody awaits would be warned of."""
    begun: list[str] = []

    async def broken() -> Found:
        raise RuntimeError("the first")

    def later() -> Awaitable[Found]:
        begun.append("second")
        return broken()

    with pytest.raises(RuntimeError, match="the first"):
        await discover(store, [("one", broken), ("two", later)], NOON)
    assert begun == []
