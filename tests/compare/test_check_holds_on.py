"""A check whose sources hang, break off, or are stopped answers with what came, and names what did not."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from liqtruth.compare import gather as gathering
from liqtruth.compare.check import CheckPlan, check_coin
from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.gather import Gathered, Watching, gather
from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.heatmap.files import write_map
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.indexer.errors import SourceUnreachable
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.sweep import largest
from liqtruth.indexer.sweep.largest import Endpoint, read_largest
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Store
from tests.compare.imported import layouts
from tests.compare.imported.layouts import written
from tests.conftest import Run

NOWHERE = "http://127.0.0.1:9"


def endpoint_of(served: SandboxServer, **more: Any) -> Endpoint:
    return Endpoint(served.base_url, served.base_url, weight_per_minute=None, concurrency=4)._replace(**more)


def gathered(store: Store, served: SandboxServer, plan: CheckPlan) -> Gathered:
    return gather(store, plan, endpoint_of(served), Watching())


async def hanging(*_: Any, **__: Any) -> Any:
    await asyncio.sleep(3600)


def breaking_off(monkeypatch: pytest.MonkeyPatch, accounts: int) -> None:
    """The exchange answers for so many accounts, then never again."""
    real, answered = InfoClient.clearinghouse_state, [0]

    async def state(client: InfoClient, address: str, dex: str = "") -> Any:
        answered[0] += 1
        if answered[0] > accounts:
            raise SourceUnreachable("gone")
        return await real(client, address, dex)

    monkeypatch.setattr(InfoClient, "clearinghouse_state", state)


def test_an_exchange_that_breaks_off_leaves_what_was_read_until_then(
    store: Store, served: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking_off(monkeypatch, 40)
    report = asyncio.run(read_largest(store, ["BTC"], endpoint_of(served), target=1.1))
    assert report.ended == "broken"
    assert report.swept is not None
    assert 36 <= report.swept.accounts <= 40, "but for those under way"
    assert any("gone" in why for why in report.lacking)
    assert positions_as_of(store, None, "BTC")["address"].n_unique() > 0


def test_who_was_read_in_one_dex_is_read_again_for_a_coin_of_another(
    store: Store, served: SandboxServer
) -> None:
    first = asyncio.run(read_largest(store, ["xyz:TSLA"], endpoint_of(served), target=1.1))
    then = asyncio.run(read_largest(store, ["BTC"], endpoint_of(served), target=1.1))
    assert first.swept is not None
    assert then.swept is not None
    assert then.fresh == 0
    assert then.swept.accounts >= first.swept.accounts


def test_who_was_read_by_a_check_that_was_killed_is_read_again(
    store: Store, served: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address book knows that they were read, but no reading has their positions."""
    from liqtruth.indexer.sweep import sweep

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(sweep, "_complete", killed)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(read_largest(store, ["BTC"], endpoint_of(served), target=0.3))
    again = asyncio.run(read_largest(store, ["BTC"], endpoint_of(served), target=0.3))
    assert again.fresh == 0
    assert again.ended == "coverage"


def test_two_checks_of_one_data_directory_do_not_disturb_each_other(
    store: Store, served: SandboxServer
) -> None:
    async def both() -> Any:
        once = read_largest(store, ["BTC"], endpoint_of(served), target=1.1)
        return await asyncio.gather(once, read_largest(store, ["BTC"], endpoint_of(served), target=1.1))

    reports = asyncio.run(both())
    assert [one.ended for one in reports] == ["all", "all"]
    assert all(one.swept is not None and not one.lacking for one in reports)


def test_a_leaderboard_that_never_comes_leaves_time_for_those_who_are_known(
    store: Store, served: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(largest, "leaderboard", hanging)
    plan = CheckPlan(coins=["BTC"], venues=[], within_s=6.0, coverage=0.99)
    read = gathered(store, served, plan)
    assert read.accounts is not None
    assert read.accounts.swept is not None
    assert any(why.startswith("leaderboard (no whole answer within 3 s)") for why in read.failed)


def test_an_interrupt_while_series_are_waited_for_ends_the_wait(
    store: Store, served: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "fetching", hanging)
    plan = CheckPlan(coins=["BTC"], venues=["binance"], within_s=600.0, coverage=0.15)
    timer = threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT))
    real = gathering.read_largest

    async def then_interrupted(*args: Any, **more: Any) -> Any:
        report = await real(*args, **more)
        timer.interval = 0.5
        timer.start()
        return report

    monkeypatch.setattr(gathering, "read_largest", then_interrupted)
    began_s = time.monotonic()
    read = gathered(store, served, plan)
    assert time.monotonic() - began_s < 300
    assert read.accounts is not None
    assert read.accounts.ended == "coverage"
    assert read.failed == ["series not read to their end before the stop"]


def test_a_map_that_cannot_be_read_is_refused_before_any_host_is_asked(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    before = dict(served.requests)
    for name, error in (("missing.json", BadInput), ("empty.json", LiqtruthError)):
        (tmp_path / "empty.json").write_text("")
        with pytest.raises(error):
            gathered(store, served, CheckPlan(coins=["BTC"], maps=[str(tmp_path / name)]))
    assert dict(served.requests) == before


def test_of_several_coins_each_map_goes_to_the_coin_that_it_states(tmp_path: Path) -> None:
    stated = {coin: layouts.coinglass_heatmap() for coin in ("BTC", "ETH")}
    for coin, document in stated.items():
        document["data"]["symbol"] = coin
    files = [str(written(tmp_path, document, f"{coin}.json")) for coin, document in stated.items()]
    plan = CheckPlan(coins=["BTC", "ETH"], maps=files)
    assert [plan.files_of(coin).paths for coin in plan.coins] == [files[:1], files[1:]]
    with pytest.raises(VendorMapRefused, match="must be a map of SOL"):
        CheckPlan(coins=["SOL"], maps=files).files_of("SOL").read("SOL")


def test_an_exchange_that_is_away_is_named_and_series_are_not_the_reason_to_stop(
    store: Store, served: SandboxServer
) -> None:
    plan = CheckPlan(coins=["BTC"], venues=["binance"], coverage=0.3, days=5, within_s=20.0)
    gathered(store, served, plan)
    away = Endpoint(NOWHERE, NOWHERE, None, patience=Patience(attempts=1))
    read = gather(store, plan, away, Watching())
    assert read.failed
    assert check_coin(store, plan, "BTC").comparison.divergence.models


def test_one_coin_without_an_answer_does_not_take_the_others(
    run: Run, store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    plan = CheckPlan(coins=["BTC"], venues=["binance"], coverage=0.3, days=5, within_s=20.0)
    gathered(store, served, plan)
    given, page = tmp_path / "given.json", tmp_path / "check.html"
    write_map(exact_map(store, "BTC"), given)
    said = run(
        "check", "BTC", "SOL", "--offline", "--map", str(given), "--venue", "none", "-o", str(page), code=3
    )
    assert "SOL" in said.stderr.splitlines()[-1]
    assert (tmp_path / "check.html").exists() or (tmp_path / "check-BTC.html").exists()


def test_a_map_named_twice_is_compared_once_and_maps_of_one_name_are_told_apart(
    run: Run, store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    plan = CheckPlan(coins=["BTC"], venues=[], coverage=0.3, within_s=20.0)
    gathered(store, served, plan)
    truth: Heatmap = exact_map(store, "BTC")
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        write_map(truth, file)
    maps = [str(files[0]), str(files[0]), str(files[1])]
    found = check_coin(store, CheckPlan(coins=["BTC"], maps=maps, venues=[]), "BTC").comparison
    labels = [model.summary.label for model in found.divergence.models]
    assert len(set(labels)) == len(labels) == 2
    assert [one.label for one in found.model_maps] == labels
