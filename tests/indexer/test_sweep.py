"""A sweep stores each account once, survives a kill, and says which accounts it could not read."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from info_endpoint import MARK_PX, NOW_MS, InfoEndpoint, address_of, btc, serving, state

from liqtruth.heatmap.errors import BadInput, PartlyRead, SourceUnreachable
from liqtruth.indexer.errors import UnknownCoin, WireError
from liqtruth.indexer.info.budget import Patience, weight_of
from liqtruth.indexer.positions.readings import coin_as_of, positions_as_of
from liqtruth.indexer.positions.remembered import remembered_modes
from liqtruth.indexer.sweep.sweep import SweepReport, plan, plan_of, read_addresses, sweep
from liqtruth.storage.database.markets import universes_at
from liqtruth.storage.store import Settings, Store

QUICK = Patience(attempts=2, total_s=60.0, first_wait_s=0.01, pause_s=0.02)
ROOT = Path(__file__).parents[2]

# Cross short of 1 BTC at 50,000, equity 10,000, own maintenance at 40x: 60,000 = x + x/80.
CROSS_SHORT_PX = 60_000 / (1 + 1 / 80)
# Isolated long of 1 BTC with a cash leg of -45,000: x - 45,000 = x/80.
ISOLATED_LONG_PX = 45_000 / (1 - 1 / 80)


@pytest.fixture
def endpoint() -> Iterator[InfoEndpoint]:
    """Every third account is short on cross margin, every third long on isolated, every third without position."""
    makes = (
        lambda: state(btc(-1.0, CROSS_SHORT_PX)),
        lambda: state(btc(1.0, ISOLATED_LONG_PX, isolated_raw_usd=-45_000.0)),
        lambda: state(),
    )
    states = {address_of(number): makes[number % 3]() for number in range(60)}
    with serving(InfoEndpoint(states=states)) as served:
        yield served


def addresses(count: int = 60) -> list[str]:
    return [address_of(number) for number in range(count)]


async def swept(store: Store, endpoint: InfoEndpoint, listed: list[str], **options: object) -> SweepReport:
    settings: dict[str, object] = {"weight_per_minute": None, "concurrency": 4, "patience": QUICK, **options}
    return await sweep(store, listed, base_url=endpoint.base_url, **settings)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- list


def test_a_list_is_read_in_its_order_each_address_once(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"# mine\n{address_of(2)}\n\n0X{address_of(10)[2:].upper()}  # upper\n{address_of(2)}\n")
    assert read_addresses(path) == [address_of(2), address_of(10)]


@pytest.mark.parametrize("column", ["address", "addr", " User", "ethAddress", "eth_address"])
def test_a_csv_is_read_by_its_column(tmp_path: Path, column: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f'name,{column},value\n"a, b",{address_of(1)},5\nc,{address_of(2)},6\n')
    assert read_addresses(path) == [address_of(1), address_of(2)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{address_of(1)}\n0x123\n", "line 2: '0x123'"),
        (f"{address_of(1)}\nhello\n", "line 2: 'hello'"),
        ("name,purse\na,b\n", "line 1: no column of address"),
        (f"address,value\n{address_of(1)},1\n0xzz,2\n", "line 3: '0xzz'"),
        ("# nobody\n", "no addresses"),
    ],
)
def test_a_bad_list_is_refused_with_the_line_and_the_value(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=rf"list\.csv: {message}"):
        read_addresses(path)


def test_a_plan_says_the_least_and_the_most_that_it_can_cost() -> None:
    planned = plan([*addresses(480), address_of(0)], weight_per_minute=960)
    assert (planned.accounts, planned.requests_min, planned.requests_max) == (480, 482, 962)
    assert (planned.weight_min, planned.weight_max) == (22 + 2 * 480, 22 + 4 * 480)
    assert planned.minutes_max == pytest.approx(1942 / 960)
    assert "no weight limit" in plan(addresses(), weight_per_minute=0).describe()[1]


async def test_the_plan_holds(store: Store, endpoint: InfoEndpoint) -> None:
    planned = plan(addresses())
    report = await swept(store, endpoint, addresses())
    assert planned.weight_min <= report.weight <= planned.weight_max
    assert report.weight == 2 + 20 + 2 * 60 + 2 * 20, "only the 20 with a cross position cost twice"
    assert report.requests == len(endpoint.requests)


# --------------------------------------------------------------------------------------------- truth


async def test_what_is_stored_is_what_was_answered(store: Store, endpoint: InfoEndpoint) -> None:
    done: list[int] = []
    report = await swept(store, endpoint, addresses(), on_progress=done.append)
    assert (report.accounts, report.accounts_with_positions, report.positions) == (60, 40, 40)
    assert report.statuses == {"agree": 40}
    assert report.failed == {}
    assert done[-1] == 60
    known = positions_as_of(store, None, "BTC").sort("address")
    assert known["address"].to_list() == [a for a in addresses() if int(a, 16) % 3 != 2]
    assert known["szi"].to_list() == [-1.0, 1.0] * 20
    assert known["liq_px_solved"].to_list() == pytest.approx(
        [CROSS_SHORT_PX, ISOLATED_LONG_PX] * 20, rel=1e-9
    )
    assert set(known["account_mode"]) == {"standard", None}, "isolated positions need no mode"


async def test_the_dex_is_stored_at_the_moment_of_the_accounts(store: Store, endpoint: InfoEndpoint) -> None:
    report = await swept(store, endpoint, addresses(3))
    market = coin_as_of(store, "BTC")[1]
    assert market is not None
    assert (market.mark_px, market.open_interest, market.max_leverage) == (MARK_PX, 100.0, 40)
    assert market.as_of == report.last
    assert market.as_of.timestamp() * 1000 == NOW_MS
    assert len(universes_at(store.database, "hyperliquid", [""], [market.as_of])[""]) == 1


async def test_an_account_that_closed_its_position_loses_it(store: Store, endpoint: InfoEndpoint) -> None:
    await swept(store, endpoint, addresses(2))
    endpoint.states[address_of(0)] = state(time=NOW_MS + 60_000)
    await swept(store, endpoint, [address_of(0)])
    assert positions_as_of(store, None, "BTC")["address"].to_list() == [address_of(1)]


@pytest.mark.parametrize("mode", ["unified", "portfolio"])
async def test_a_pool_is_distinguished_from_a_dex_balance_by_its_spot_state(
    store: Store, endpoint: InfoEndpoint, mode: str
) -> None:
    """The sub-ledger shows 5 USD; the pool has 10,000 less the maintenance of 625."""
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), account_value=5.0)
    endpoint.spots[address_of(0)] = {
        "balances": [],
        "portfolioMarginEnabled": mode == "portfolio",
        "tokenToAvailableAfterMaintenance": [[0, "9375.0"]],
    }
    await swept(store, endpoint, addresses(2))
    known = positions_as_of(store, None, "BTC").sort("address")
    assert known["account_mode"].to_list() == [mode, None]
    assert known["pooled_available_usd"].to_list() == [9375.0, None]
    assert known["liq_px_solved"][0] == pytest.approx(CROSS_SHORT_PX, rel=1e-9)
    assert known["status"].to_list() == ["agree", "agree"]
    assert endpoint.read("userAbstraction") == []


async def test_an_unknown_dex_is_refused_with_those_that_there_are(
    store: Store, endpoint: InfoEndpoint
) -> None:
    with pytest.raises(BadInput, match=r"no dex 'xzy' .*xyz"):
        await swept(store, endpoint, addresses(2), dex="xzy")


# -------------------------------------------------------------------------------------------- faults


async def test_accounts_that_cannot_be_read_are_named_and_the_others_stored(
    store: Store, endpoint: InfoEndpoint
) -> None:
    bad = {address_of(5): 422, address_of(7): 500}

    def fault(request: dict[str, str], number: int) -> web.Response | None:
        status = bad.get(request.get("user", ""))
        return None if status is None else web.Response(status=status)

    endpoint.fault = fault
    report = await swept(store, endpoint, addresses())
    assert set(report.failed) == set(bad)
    assert "422" in report.failed[address_of(5)]
    assert report.accounts == 58
    assert any("2 accounts could not be read" in line for line in report.describe())


async def test_faults_that_pass_leave_no_trace(store: Store, endpoint: InfoEndpoint) -> None:
    """One request in five meets one: that ten in a row do, for one of 120, is one run in 80,000."""
    kinds = {0: "reset", 5: "truncate"}
    endpoint.fault = lambda request, number: kinds.get(number % 10)
    patience = Patience(attempts=10, total_s=20.0, first_wait_s=0.01, pause_s=0.02)
    report = await swept(store, endpoint, addresses(), patience=patience)
    assert (report.accounts, report.positions, report.failed) == (60, 40, {})


async def test_a_host_that_dies_stops_the_sweep_and_the_next_one_goes_on(
    store: Store, endpoint: InfoEndpoint
) -> None:
    endpoint.fault = lambda request, number: web.Response(status=503) if number > 31 else None
    with pytest.raises(SourceUnreachable, match=r"HTTP 503.*\d+ of 60 are stored: the same command goes on"):
        await swept(store, endpoint, addresses())
    endpoint.fault = lambda request, number: None
    endpoint.requests.clear()
    report = await swept(store, endpoint, addresses())
    assert report.resumed_accounts > 10
    assert len(set(endpoint.read())) == 60 - report.resumed_accounts
    assert (report.accounts, report.positions) == (60, 40)


async def test_a_storm_of_429_is_reported_as_such(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.fault = lambda request, number: web.Response(status=429) if number > 5 else None
    with pytest.raises(SourceUnreachable, match="429, too many requests"):
        await swept(store, endpoint, addresses())


async def test_another_list_does_not_resume_and_restart_forgets(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.fault = lambda request, number: web.Response(status=503) if number > 31 else None
    with pytest.raises(SourceUnreachable):
        await swept(store, endpoint, addresses())
    endpoint.fault = lambda request, number: None
    assert (await swept(store, endpoint, addresses(59))).resumed_accounts == 0
    assert (await swept(store, endpoint, addresses(), restart=True)).resumed_accounts == 0
    assert not list((store.lake.root / "sweeps").iterdir()), "no batches are left behind"


SWEEP = """
import asyncio, sys
from pathlib import Path
import liqtruth.indexer.sweep.sweep as sweeping
from liqtruth.storage.store import Settings
from liqtruth.storage.store import Store
sweeping.BATCH_ACCOUNTS = 7
store = Store.open(Settings(data_dir=Path(sys.argv[1])))
listed = [f"0x{n:040x}" for n in range(60)]
asyncio.run(sweeping.sweep(store, listed, base_url=sys.argv[2], weight_per_minute=None, concurrency=4,
                  on_progress=lambda done: print(done, flush=True)))
"""


def test_a_kill_in_the_middle_loses_a_batch_at_most_and_doubles_nothing(
    tmp_path: Path, endpoint: InfoEndpoint
) -> None:
    endpoint.fault = lambda request, number: 0.02
    data = tmp_path / "data"
    child = subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(data), endpoint.base_url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    while child.stdout.readline().strip() != "30":
        assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=300)
    child.stdout.close()
    time.sleep(0.1)
    endpoint.requests.clear()
    with Store.open(Settings(data_dir=data)) as store:
        report = asyncio.run(swept(store, endpoint, addresses()))
        known = positions_as_of(store, None, "BTC")
    assert 30 - 7 - 4 <= report.resumed_accounts < 60
    assert max(Counter(endpoint.read()).values()) == 1
    assert len(endpoint.read()) == 60 - report.resumed_accounts, "what was stored is not asked again"
    assert (report.accounts, report.positions) == (60, 40)
    assert known["address"].n_unique() == known.height == 40


async def test_a_finished_sweep_read_again_is_a_new_reading(store: Store, endpoint: InfoEndpoint) -> None:
    first = await swept(store, endpoint, addresses())
    second = await swept(store, endpoint, addresses())
    assert first.reading_id != second.reading_id
    assert second.resumed_accounts == 0
    assert positions_as_of(store, None, "BTC").height == 40


async def test_the_budget_is_kept(
    store: Store, endpoint: InfoEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute is half a second here: 60 accounts at 220 weight take one at the least."""
    monkeypatch.setattr("liqtruth.indexer.info.budget.WINDOW_S", 0.5)
    started = time.monotonic()
    report = await swept(store, endpoint, addresses(), weight_per_minute=90)
    assert time.monotonic() - started > 0.5 * (report.weight - 90) / 90


# ------------------------------------------------------------------------------------- what is partly read


async def test_a_coin_without_a_mark_is_left_out_and_the_sweep_goes_on(
    store: Store, endpoint: InfoEndpoint
) -> None:
    endpoint.contexts[1] = {"markPx": None}
    report = await swept(store, endpoint, addresses())
    assert (report.accounts, report.positions, report.failed) == (60, 40, {})
    assert report.left_out.total == 1
    assert "ETH" in next(iter(report.left_out.first.values()))
    assert coin_as_of(store, "BTC")[1] is not None
    with pytest.raises(UnknownCoin):
        coin_as_of(store, "ETH")
    with pytest.raises(PartlyRead) as partly:
        report.raise_if_partly()
    assert partly.value.exit_code == 3


async def test_a_bad_position_is_left_out_and_a_closed_one_is_nothing_that_is_missing(
    store: Store, endpoint: InfoEndpoint
) -> None:
    closed = btc(1.0, None) | {"coin": "SOL", "szi": "-0.0", "entryPx": None}
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), closed)
    report = await swept(store, endpoint, addresses())
    assert report.positions == 40
    report.raise_if_partly()
    assert any("1 closed position (size zero)" in line for line in report.describe())
    bad = btc(1.0, None) | {"coin": "SOL", "entryPx": None}
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), bad)
    again = await swept(store, endpoint, addresses())
    assert (again.positions, again.left_out.total) == (40, 1)
    with pytest.raises(PartlyRead):
        again.raise_if_partly()


async def test_an_account_of_another_time_is_named_and_does_not_become_the_latest(
    store: Store, endpoint: InfoEndpoint
) -> None:
    for number, at in ((0, 9_999_999_999_000), (3, 86_400_000)):
        endpoint.states[address_of(number)] = state(btc(-5.0, CROSS_SHORT_PX), time=at)
    report = await swept(store, endpoint, addresses())
    assert set(report.failed) == {address_of(0), address_of(3)}
    assert report.last.timestamp() * 1000 == NOW_MS
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), time=NOW_MS + 1000)
    await swept(store, endpoint, addresses(1))
    known = positions_as_of(store, None, "BTC").filter(address=address_of(0))
    assert known["szi"].to_list() == [-1.0]


async def test_an_account_that_lists_a_coin_twice_is_refused(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), btc(2.0, 10_000.0))
    report = await swept(store, endpoint, addresses())
    assert list(report.failed) == [address_of(0)]
    assert "more than once" in report.failed[address_of(0)]


@pytest.mark.parametrize("reported", [9_999_999_999_000, 2**53, 86_400_000])
async def test_a_clock_that_cannot_be_true_is_warned_of_and_not_used(
    store: Store, endpoint: InfoEndpoint, reported: int
) -> None:
    endpoint.time = reported
    report = await swept(store, endpoint, addresses(3))
    assert report.failed == {}
    assert sum("exchangeStatus" in note.text for note in report.notes) == 1


@pytest.mark.parametrize("kind", ["metaAndAssetCtxs", "clearinghouseState"])
@pytest.mark.parametrize("count", [1, 60])
@pytest.mark.parametrize("dex", ["", "xyz"])
async def test_a_dex_that_fails_for_everyone_stops_no_other(
    store: Store, endpoint: InfoEndpoint, kind: str, count: int, dex: str
) -> None:
    def fault(request: dict[str, str], number: int) -> web.Response | None:
        lost = request["type"] == kind and request.get("dex") == dex
        return web.Response(status=422) if lost else None

    endpoint.fault = fault
    report = await swept(store, endpoint, addresses(count), dexes="all")
    assert list(report.lost_dexes) == [dex]
    assert (report.accounts, report.failed) == (count, {})
    assert set(positions_as_of(store)["dex"]) == {"", "xyz"} - {dex}
    with pytest.raises(PartlyRead):
        report.raise_if_partly()


async def test_a_host_that_is_gone_is_no_dex_that_fails(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.fault = lambda request, number: web.Response(status=503) if number > 61 else None
    with pytest.raises(SourceUnreachable, match="in a row failed"):
        await swept(store, endpoint, addresses(), dexes="all")


async def test_an_empty_universe_or_no_dex_at_all_is_refused(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.fault = lambda request, number: (
        web.json_response([{"universe": [], "marginTables": []}, []])
        if request["type"] == "metaAndAssetCtxs"
        else web.json_response([])
    )
    with pytest.raises(WireError):
        await swept(store, endpoint, addresses(2))
    with pytest.raises(WireError):
        await swept(store, endpoint, addresses(2), dexes="all")


# --------------------------------------------------------------------------------- dexes and modes


async def test_all_dexes_are_found_and_each_account_is_read_in_each(
    store: Store, endpoint: InfoEndpoint
) -> None:
    """The endpoint answers alike for both dexes, so every position is there twice, under both names."""
    report = await swept(store, endpoint, addresses(6), dexes="all")
    asked = [(r["user"], r["dex"]) for r in endpoint.requests if r["type"] == "clearinghouseState"]
    assert sorted(asked) == sorted((address, dex) for address in addresses(6) for dex in ("", "xyz"))
    assert report.dexes == ("", "xyz")
    assert (report.accounts, report.positions) == (6, 8)
    assert len(endpoint.read("spotClearinghouseState")) == 2, "one spot state for both dexes"
    assert report.weight == 2 + 20 + 2 * 20 + 2 * 2 * 6 + 2 * 2
    assert sorted(set(positions_as_of(store)["dex"])) == ["", "xyz"]


async def test_an_account_with_one_dex_missing_is_not_stored(store: Store, endpoint: InfoEndpoint) -> None:
    def fault(request: dict[str, str], number: int) -> web.Response | None:
        lost = request.get("user") == address_of(0) and request.get("dex") == "xyz"
        return web.Response(status=422) if lost else None

    endpoint.fault = fault
    report = await swept(store, endpoint, addresses(2), dexes=["", "xyz"])
    assert list(report.failed) == [address_of(0)]
    assert positions_as_of(store)["address"].unique().to_list() == [address_of(1)]


async def test_a_plan_over_all_dexes_asks_how_many_they_are_and_nothing_else(endpoint: InfoEndpoint) -> None:
    planned = await plan_of(addresses(), base_url=endpoint.base_url, dexes="all", weight_per_minute=0)
    assert planned == plan(addresses(), dexes=["", "xyz"], weight_per_minute=0)
    assert [request["type"] for request in endpoint.requests] == ["perpDexs"]
    with pytest.raises(BadInput, match="'all'"):
        plan(addresses(), dexes="all")


async def test_a_plan_over_named_dexes_asks_nothing() -> None:
    planned = await plan_of(addresses(), base_url="http://127.0.0.1:9", dexes=["xyz"])
    assert planned == plan(addresses(), dexes=["xyz"])


async def test_a_plan_over_two_dexes_holds(store: Store, endpoint: InfoEndpoint) -> None:
    planned = plan(addresses(), dexes=["", "xyz"])
    report = await swept(store, endpoint, addresses(), dexes=["", "xyz"])
    assert planned.weight_min <= report.weight <= planned.weight_max
    assert planned.requests_min <= report.requests <= planned.requests_max


def pooled(available: float) -> dict[str, object]:
    return {"balances": [], "tokenToAvailableAfterMaintenance": [[0, str(available)]]}


async def test_a_standard_account_is_asked_for_its_spot_state_once_a_day(
    store: Store, endpoint: InfoEndpoint
) -> None:
    listed = [address_of(0)]
    await swept(store, endpoint, listed)
    mode = remembered_modes(store)[address_of(0)]
    assert (mode.mode, mode.at.timestamp() * 1000) == ("standard", NOW_MS)
    day_ms = 24 * 3600 * 1000
    for later, spots in ((day_ms, 1), (day_ms + 1, 2), (2 * day_ms, 2), (2 * day_ms + 2, 3)):
        endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), time=NOW_MS + later)
        report = await swept(store, endpoint, listed)
        assert len(endpoint.read("spotClearinghouseState")) == spots, later
        assert (report.statuses, report.mode_changed) == ({"agree": 1}, 0)
    assert set(positions_as_of(store)["account_mode"]) == {"standard"}


async def test_a_pooled_account_is_asked_for_its_pool_each_time(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.spots[address_of(0)] = pooled(9375.0)
    for times in (1, 2, 3):
        await swept(store, endpoint, [address_of(0)])
        assert len(endpoint.read("spotClearinghouseState")) == times


async def test_prices_that_contradict_a_remembered_mode_have_it_read_again(
    store: Store, endpoint: InfoEndpoint
) -> None:
    """It went from 10,000 in the dex to a pool with 9,375 left, of which the dex shows 5 USD."""
    await swept(store, endpoint, addresses())
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), account_value=5.0, time=NOW_MS + 1000)
    endpoint.spots[address_of(0)] = pooled(9375.0)
    endpoint.requests.clear()
    report = await swept(store, endpoint, addresses())
    assert endpoint.read("spotClearinghouseState") == [address_of(0)], "only the one in doubt"
    assert Counter(endpoint.read())[address_of(0)] == 2
    assert report.mode_changed == 1
    assert (report.statuses, report.mismatches) == ({"agree": 40}, {})
    known = positions_as_of(store, None, "BTC").filter(address=address_of(0)).row(0, named=True)
    assert (known["account_mode"], known["pooled_available_usd"]) == ("unified", 9375.0)
    assert remembered_modes(store)[address_of(0)].mode == "unified"
    assert any("1 account changed" in line for line in report.describe())


async def test_a_pool_that_is_gone_is_a_changed_mode(store: Store, endpoint: InfoEndpoint) -> None:
    endpoint.spots[address_of(0)] = pooled(9375.0)
    await swept(store, endpoint, addresses(2))
    del endpoint.spots[address_of(0)]
    report = await swept(store, endpoint, addresses(2))
    assert report.mode_changed == 1
    assert remembered_modes(store)[address_of(0)].mode == "standard"


async def test_a_memory_of_another_clock_is_not_trusted(store: Store, endpoint: InfoEndpoint) -> None:
    await swept(store, endpoint, [address_of(0)])
    endpoint.states[address_of(0)] = state(btc(-1.0, CROSS_SHORT_PX), time=NOW_MS - 5000)
    await swept(store, endpoint, [address_of(0)])
    assert len(endpoint.read("spotClearinghouseState")) == 2


async def test_prices_that_stay_unexplained_are_counted_and_kept(
    store: Store, endpoint: InfoEndpoint
) -> None:
    endpoint.states[address_of(1)] = state(btc(1.0, 44_000.0, isolated_raw_usd=-45_000.0))
    report = await swept(store, endpoint, addresses())
    assert report.mismatches == {"unexplained": 1}
    assert positions_as_of(store, None, "BTC").filter(address=address_of(1))["liq_px"].item() == 44_000.0
    assert any("mismatches beyond 1e-6: 1 unexplained" in line for line in report.describe())


async def test_not_one_answer_is_a_429(
    store: Store, endpoint: InfoEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute is a second and a half: the endpoint refuses what exceeds 200 in one, the budget is 80 % of that."""
    minute_s, limit = 1.5, 200
    gate = RollingWeight(limit, minute_s)
    endpoint.fault = lambda request, number: gate.refuse(request["type"])
    monkeypatch.setattr("liqtruth.indexer.info.budget.WINDOW_S", minute_s)
    listed = addresses(180)
    report = await swept(store, endpoint, listed, weight_per_minute=0.8 * limit, concurrency=16)
    assert gate.refused == report.too_many_requests == 0
    assert gate.most_in_a_minute <= limit


@dataclass
class RollingWeight:
    """The exchange's side of the limit: weight in any rolling minute, refused with a 429 beyond it."""

    limit: int
    minute_s: float
    times: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0
    spent: int = 0
    most_in_a_minute: int = 0
    first_s: float = 0.0
    last_s: float = 0.0

    def refuse(self, kind: str) -> web.Response | None:
        now = time.monotonic()
        self.first_s = self.first_s or now
        self.last_s = now
        self.times = [one for one in self.times if one[0] > now - self.minute_s]
        self.times.append((now, weight_of(kind)))
        self.spent += weight_of(kind)
        inside = sum(weight for _, weight in self.times)
        self.most_in_a_minute = max(self.most_in_a_minute, inside)
        if inside > self.limit:
            self.refused += 1
            return web.Response(status=429, text="null")
        return None
