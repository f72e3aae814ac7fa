"""Many accounts in one request give what single requests give, or are given up with one line."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.discovery import address_book
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.batch_doors import BatchEndpoint, endpoint_of
from liqtruth.indexer.info.batch_forms import PUBLIC, form_of, states_of
from liqtruth.indexer.info.batch_memory import remembered
from liqtruth.indexer.info.budget import Patience, weight_of
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.sweep.largest import Endpoint, read_largest
from liqtruth.indexer.sweep.report import Sight
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.indexer.watch.watch import Pace, Watch
from liqtruth.sandbox.hyperliquid.batches import BOTH, BY_INFO, PLACE, Batches
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.net.stops import Stop
from liqtruth.storage.settings import Secret
from liqtruth.storage.store import Settings, Store
from tests.conftest import Run

QUICK = Patience(attempts=2, total_s=20.0, first_wait_s=0.01, pause_s=0.01)
DEXES = ("", "xyz")
SINGLE = "clearinghouseState"
KEY = "sesame-of-the-provider"
USERS = [f"0x{digit * 40}" for digit in "abc"]
STATE = {"assetPositions": [], "marginSummary": {}}


def some(server: SandboxServer) -> list[str]:
    """Enough for the public door to be asked."""
    return addresses(server.market)[:240]


def swept(store: Store, server: SandboxServer, **options: Any) -> SweepReport:
    return asyncio.run(
        sweep(
            store,
            some(server),
            base_url=server.base_url,
            dexes=DEXES,
            weight_per_minute=None,
            patience=QUICK,
            **options,
        )
    )


def provider(server: SandboxServer, path: str = "", key: str = "") -> BatchEndpoint:
    return BatchEndpoint(server.batch_url + path, None, Secret(key) if key else None, QUICK)


def known(store: Store) -> pl.DataFrame:
    columns = ("address", "dex", "coin", "szi", "liq_px", "status", "account_mode")
    return Readings(store).known().select(columns).sort("address", "dex", "coin")


def truth(server: SandboxServer) -> pl.DataFrame:
    return server.true_positions().select("address", "coin", "szi").sort("address", "coin")


def lines(report: SweepReport) -> str:
    return "\n".join(report.describe())


@pytest.fixture(scope="module")
def one_by_one(running: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("singly"))) as store:
        swept(store, running)
        return known(store)


# ---------------------------------------------------------------------------------------------- sweeps


@pytest.mark.parametrize("path", ["", "/info"])
def test_a_sweep_through_a_provider_stores_what_one_by_one_does(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame, path: str
) -> None:
    server.batches.provider = True
    report = swept(store, server, batch=provider(server, path))
    assert known(store).equals(one_by_one)
    assert report.failed == {}
    accounts = len(some(server))
    assert server.requests[PLACE] == len(DEXES) * -(-accounts // 1000)
    assert 0 < server.requests[SINGLE] <= 8 * len(DEXES), "single states are asked for to compare them alone"
    assert BY_INFO not in server.requests, "who names a provider asks the exchange for no batch"


def test_the_endpoints_own_batches_are_used_where_it_answers_them(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame
) -> None:
    server.batches.public = True
    report = swept(store, server)
    assert known(store).equals(one_by_one)
    accounts = len(some(server))
    assert server.requests[BY_INFO] == 1 + len(DEXES) * -(-accounts // PUBLIC.most), (
        "asked once whether it does"
    )
    assert server.requests[SINGLE] < accounts / 2
    assert "taken to weigh as much as single requests" in lines(report)
    (said,) = remembered(store).values()
    assert said.answered


def test_where_it_refuses_nothing_is_said_and_the_moment_kept(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame
) -> None:
    report = swept(store, server)
    assert known(store).equals(one_by_one)
    assert server.requests[BY_INFO] == 1
    assert BY_INFO not in lines(report)
    (said,) = remembered(store).values()
    assert not said.answered
    assert "422" in said.reason


def test_few_accounts_are_not_worth_the_question(store: Store, server: SandboxServer) -> None:
    few = addresses(server.market)[:20]
    asyncio.run(sweep(store, few, base_url=server.base_url, weight_per_minute=None, patience=QUICK))
    assert BY_INFO not in server.requests
    assert remembered(store) == {}


def test_who_is_absent_from_an_answer_is_read_singly(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame
) -> None:
    server.batches.provider = True
    server.batches.absent = frozenset(addresses(server.market)[10:30])
    report = swept(store, server, batch=provider(server))
    assert known(store).equals(one_by_one)
    assert f"{20 * len(DEXES)} were read one by one" in lines(report)


def test_a_door_that_takes_fewer_is_asked_for_fewer(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame
) -> None:
    server.batches.provider, server.batches.most = True, 40
    report = swept(store, server, batch=provider(server))
    assert known(store).equals(one_by_one)
    assert server.requests[SINGLE] <= 8 * len(DEXES)
    refused = 4 + len(DEXES)  # 240, 120, 60, and none of the other dex where the first one showed it
    assert server.requests[PLACE] <= len(DEXES) * -(-len(some(server)) // 30) + refused
    assert "not used" not in lines(report)


@pytest.mark.parametrize("fault", ["shifted", "only_main", "down", "key"])
def test_what_differs_or_fails_is_given_up_with_one_line(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame, fault: str
) -> None:
    server.batches.provider = True
    setattr(server.batches, fault, KEY if fault == "key" else True)
    report = swept(store, server, batch=provider(server, key="another-" + KEY))
    assert known(store).equals(one_by_one)
    assert len(report.ahead) == 1
    assert "is not used" in report.ahead[0] or "given up" in report.ahead[0]
    assert KEY not in lines(report)


def test_a_public_door_that_answers_for_others_is_given_up(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame
) -> None:
    server.batches.public, server.batches.shifted = True, True
    report = swept(store, server)
    assert known(store).equals(one_by_one)
    assert "differ from clearinghouseState" in lines(report)


@pytest.mark.parametrize("path", ["", "/{key}", "/{key}/info"])
def test_the_key_goes_into_a_header_or_its_place_and_nowhere_else(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame, path: str
) -> None:
    server.batches.provider, server.batches.key = True, KEY
    report = swept(store, server, batch=provider(server, path, key=KEY))
    assert "not used" not in lines(report)
    assert known(store).equals(one_by_one)
    files = [path for path in store.settings.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in lines(report)
    assert KEY not in repr(provider(server, key=KEY))


# ------------------------------------------------------------------------------- beside sizes by HyperEVM


def sizes_of(server: SandboxServer) -> EvmEndpoint:
    return EvmEndpoint(server.evm_url, None, patience=QUICK)


@pytest.mark.parametrize("fault", ["", "no sizes", "down", "shifted"])
def test_sizing_and_reading_ahead_together_store_what_one_by_one_does(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame, fault: str
) -> None:
    """Whichever of the two is away or wrong."""
    server.batches.provider = True
    server.evm_node.chain_id = 1 if fault == "no sizes" else 999
    if fault in ("down", "shifted"):
        setattr(server.batches, fault, True)
    report = swept(store, server, batch=provider(server), evm=sizes_of(server))
    assert known(store).equals(one_by_one)
    assert report.failed == {}
    assert server.requests[PLACE] > 0
    assert ("not sized" in lines(report)) == (fault == "no sizes")
    assert server.requests[SINGLE] <= len(DEXES) * (len(some(server)) + 8), "nobody is read singly twice"


async def test_a_sweep_with_both_that_was_broken_off_goes_on_without_reading_anyone_again(
    store: Store, server: SandboxServer, one_by_one: pl.DataFrame
) -> None:
    server.batches.provider = True
    done = asyncio.Event()

    async def run(on_progress: Callable[[int], None]) -> SweepReport:
        return await sweep(
            store,
            some(server),
            base_url=server.base_url,
            dexes=DEXES,
            weight_per_minute=None,
            patience=QUICK,
            batch=provider(server),
            evm=sizes_of(server),
            on_progress=on_progress,
        )

    first = asyncio.create_task(run(lambda count: done.set() if count >= 30 else None))
    await done.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    report = await run(lambda count: None)
    assert report.resumed_accounts >= 30
    assert known(store).equals(one_by_one)


def test_a_check_with_both_that_is_stopped_stores_what_it_has_read(
    store: Store, server: SandboxServer, tmp_path: Path
) -> None:
    server.batches.provider = True
    listed = tmp_path / "everyone.txt"
    listed.write_text("\n".join(addresses(server.market)))
    stop = Stop()
    endpoint = Endpoint(server.base_url, server.base_url, None, 4, QUICK, sizes_of(server), provider(server))

    def end(sight: Sight) -> None:
        if sight.accounts == 20:
            stop.set()

    reading = read_largest(
        store, ["BTC"], endpoint, files=[listed], within_s=120, target=1.1, on_change=end, stop=stop
    )
    report = asyncio.run(reading)
    assert report.ended == "stopped"
    assert report.swept is not None
    assert 20 <= report.swept.accounts < report.accounts
    read = Readings(store).accounts()["address"].unique()
    of_them = truth(server).filter(pl.col("address").is_in(read.implode()), pl.col("coin") == "BTC")
    found = known(store).filter(pl.col("address").is_in(read.implode()), pl.col("coin") == "BTC")
    assert found.select("address", "coin", "szi").equals(of_them)


# -------------------------------------------------------------------------------------- check and watch


def test_a_check_reads_its_largest_accounts_through_it(store: Store, server: SandboxServer) -> None:
    server.batches.provider = True
    endpoint = Endpoint(server.base_url, server.base_url, None, patience=QUICK, batch=provider(server))
    report = asyncio.run(read_largest(store, ["BTC"], endpoint, within_s=120, target=0.9))
    assert report.ended in ("all", "coverage")
    assert server.requests[PLACE] > 0
    assert any("hl_batch" in line for line in report.describe())


async def test_a_watch_reads_through_it(store: Store, server: SandboxServer) -> None:
    server.batches.provider = True
    address_book.remember(store, addresses(server.market), "file", server.as_of)
    watch = Watch(
        store,
        server.base_url,
        dexes=DEXES,
        weight_per_minute=None,
        pace=Pace(plan_s=0.05, keep_s=0.2, mark_s=60.0, first_book_s=3600),
        patience=QUICK,
        batch=provider(server),
    )
    stop = asyncio.Event()
    run = asyncio.create_task(watch.run(stop))
    async with asyncio.timeout(120):
        while not watch.state.pairs_read == watch.state.pairs > 0:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    stop.set()
    await run
    found = Readings(store).known().select("address", "coin", "szi").sort("address", "coin")
    assert found.equals(truth(server))
    assert server.requests[SINGLE] <= 8 * len(DEXES)


# ---------------------------------------------------------------------------------------- the sandbox's doors


def test_the_sandbox_opens_one_door_or_both() -> None:
    opened = {name: Batches.named(name) for name in ("", "public", "provider", BOTH, "public, provider")}
    assert [(one.public, one.provider) for one in opened.values()] == [
        (False, False),
        (True, False),
        (False, True),
        (True, True),
        (True, True),
    ]


# ------------------------------------------------------------------------------------------ one answer


LIST = [STATE, STATE, STATE]
OWNED = {"result": {"successful_states": [{"address": user, "data": STATE} for user in USERS[:2]]}}
SHAPES = {
    "a list": (LIST, USERS),
    "a list with a null": ([STATE, None, STATE], [USERS[0], USERS[2]]),
    "owners": (OWNED, USERS[:2]),
    "by address": ({USERS[1].upper().replace("0X", "0x"): STATE}, [USERS[1]]),
    "wrapped": ({"clearinghouseStates": LIST}, USERS),
    "others": ({"states": [{"user": "0x" + "f" * 40, "state": STATE}]}, []),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_an_answer_is_read(shape: str) -> None:
    document, present = SHAPES[shape]
    assert sorted(states_of(json.dumps(document).encode(), USERS, "a test")) == sorted(present)


@pytest.mark.parametrize(
    "document",
    [
        [STATE, STATE],
        {"error": {"code": -32601, "message": "no such method"}},
        {"message": "hello"},
        [{"address": USERS[0], "data": STATE}, {"address": USERS[0], "data": {**STATE, "time": 1}}],
        "text",
        7,
    ],
)
def test_an_answer_whose_owners_are_not_known_is_refused(document: object) -> None:
    with pytest.raises(WireError):
        states_of(json.dumps(document).encode(), USERS, "a test")


def test_a_provider_is_known_by_its_host() -> None:
    forms = {
        "https://api.hydromancer.xyz/info": ("Hydromancer", 1000, False),
        "https://hypercore.goldrushdata.com/info": ("GoldRush", 50, False),
        "https://some-name.quiknode.pro/token/hypercore": ("QuickNode", 1000, True),
        "https://quiknode.pro.example.com/hypercore": ("provider", 1000, True),
        "http://127.0.0.1:9/info": ("provider", 1000, False),
    }
    assert {
        url: (form.name, form.most, form.by_rpc) for url, form in ((u, form_of(u)) for u in forms)
    } == forms


def test_an_undocumented_weight_is_that_of_single_requests() -> None:
    assert weight_of(BY_INFO, 50) == 50 * weight_of(SINGLE)
    assert weight_of(BY_INFO, 2) == 20


@pytest.mark.parametrize(
    ("url", "key"),
    [("http://example.com/info", KEY), ("https://a.quiknode.pro/{key}/hypercore", None), ("ftp://x", None)],
)
def test_a_key_goes_over_no_open_net_and_is_not_invented(url: str, key: str | None) -> None:
    with pytest.raises(BadInput) as refused:
        endpoint_of(url, None if key is None else Secret(key))
    assert KEY not in str(refused.value)


def test_the_command_takes_it_and_status_says_what_the_endpoint_said(
    run: Run, server: SandboxServer, tmp_path: Path
) -> None:
    server.batches.provider = True
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(some(server)))
    options = ["--addresses", str(listed), "--base-url", server.base_url, "--weight-per-minute", "0"]
    done = run("index", "sweep", *options, "--batch-url", server.batch_url)
    assert "hl_batchClearinghouseStates" in done.stdout
    run("index", "sweep", *options)
    assert "did not answer batchClearinghouseStates" in run("index", "status").stdout
