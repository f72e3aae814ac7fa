"""The index and the map of it as a user meets them, against a synthetic exchange that goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from liqtruth.cli import INTERRUPTED
from liqtruth.indexer.info import client
from liqtruth.indexer.info.budget import Patience
from liqtruth.sandbox.hyperliquid.node_state import write_state
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.store import Settings, Store
from tests.markets import market_of
from tests.on_server import database_of_children, url_of_data_dir  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def live() -> Iterator[SandboxServer]:
    market = market_of(MarketSpec(seed=9, accounts=250, days=3, cex_accounts=20, live_hours=6))
    with serving_in_thread(market, weight_per_minute=None) as running:
        yield running


@pytest.fixture
def listed(tmp_path: Path, live: SandboxServer) -> Path:
    path = tmp_path / "addresses.txt"
    path.write_text("\n".join(addresses(live.market)))
    return path


def watch_words(live: SandboxServer, listed: Path, *more: str) -> list[str]:
    words = ["index", "watch", "--base-url", live.base_url, "--addresses", str(listed)]
    return [*words, "--weight-per-minute", "0", "--log-json", *more]


IN_A_HURRY = """
from functools import partial
from liqtruth.cli import main
from liqtruth.indexer.watch import watch
watch.Pace = partial(watch.Pace, plan_s=0.1, keep_s=0.5)
main()
"""
"""The program with shorter waits between the steps of a watch, whose checkpoints these tests wait for."""


def hurried(words: list[str], tmp_path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", IN_A_HURRY, "--data-dir", str(tmp_path / "data"), *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def watched_until_all_is_read(words: list[str], tmp_path: Path) -> list[str]:
    """The lines of a watch that a user ends, once it has logged that it has read everybody."""
    lines: list[str] = []
    with hurried(words, tmp_path) as child:
        assert child.stderr is not None
        for line in child.stderr:
            lines.append(line)
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "checkpoint written" and event["pairs_read"] == event["pairs"] > 0:
                child.terminate()
    assert child.returncode == 0
    return lines


OLD_AND_NEW = {
    ("--joint", "parallel"): ("joint", "BTC"),
    ("--executable",): ("execution", "BTC"),
    ("--series", "2h"): ("history", "BTC", "--last", "2h"),
}


def test_a_watch_fills_the_book_and_everything_can_be_asked_of_it(
    run: Run, live: SandboxServer, listed: Path, tmp_path: Path
) -> None:
    lines = watched_until_all_is_read(watch_words(live, listed, "--metrics-port", "0"), tmp_path)
    assert any("metrics: http://127.0.0.1:" in line for line in lines)
    truth = live.true_positions()
    status = json.loads(run("index", "status", "--json").stdout)
    assert status["positions"] == truth.height
    assert {row["coin"] for row in status["coins"]} == set(truth["coin"])
    assert all(row["long_share"] == pytest.approx(1.0) for row in status["coins"])
    assert "coverage of open interest" in run("index", "status").stdout

    assert "0 differ" in run("index", "reconcile").stdout
    zone = run("map", "positions", "BTC", "--between", "1", "1e9", "--json").stdout
    assert len(json.loads(zone)) == truth.filter(coin="BTC")["liq_px"].count()
    for words in (
        ["joint", "BTC"],
        ["execution", "BTC"],
        ["exact", "BTC", "--margin-mode", "cross"],
        ["exact", "BTC", "--holder-share", "0-50"],
    ):
        assert "mark" in run("map", *words).stdout
    for old, now in OLD_AND_NEW.items():
        before, after = run("map", "exact", "BTC", *old, "--json"), run("map", *now, "--json")
        assert before.stdout == after.stdout
        assert f"`liqtruth map exact {old[0]}` is now `liqtruth map {now[0]}`" in before.stderr
    run("map", "history", "BTC", "--last", "2h", "--step", "60m", "-o", str(tmp_path / "series.html"))
    assert (tmp_path / "series.html").stat().st_size > 400_000
    drawn = json.loads(run("map", "exact", "xyz:TSLA", "--json").stdout)
    assert drawn["coverage"]["positions"] == truth.filter(coin="xyz:TSLA").height


def test_a_watch_that_was_killed_goes_on_without_loss_or_doubling(
    run: Run, live: SandboxServer, listed: Path, tmp_path: Path
) -> None:
    child = hurried(watch_words(live, listed), tmp_path)
    assert child.stderr is not None
    kept = 0
    while not kept and (line := child.stderr.readline()):
        event = json.loads(line)
        kept = event.get("pairs_read", 0) if event.get("event") == "checkpoint written" else 0
    shown = run("index", "status").stdout
    assert f"process {child.pid}" in shown
    assert "coverage of open interest" in shown, "what a watch has read is known while it runs"
    stored = json.loads(run("index", "status", "--json").stdout)["accounts_read"]
    assert run("map", "exact", "BTC").stdout
    refused = run("index", "watch", "--base-url", live.base_url, code=1)
    assert f"process {child.pid}" in refused.stderr
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stderr.close()
    assert kept > 0
    assert stored > 0

    assert "was killed" in run("index", "status").stdout
    again = watched_until_all_is_read(watch_words(live, listed), tmp_path)
    resumed = next(row for row in map(json.loads, again[:-1]) if row["event"] == "resumed")
    assert resumed["accounts"] >= stored
    rows = json.loads(run("index", "positions", "--json").stdout)
    keys = [(row["address"], row["coin"]) for row in rows]
    assert len(set(keys)) == len(keys) == live.true_positions().height


def test_sources_are_asked_and_their_yield_is_reported(run: Run, live: SandboxServer) -> None:
    words = ["index", "find", "--base-url", live.base_url, "--weight-per-minute", "0"]
    found = run(*words).stdout
    assert "leaderboard:" in found
    assert "vault:" in found
    assert "new addresses" in found
    rows = json.loads(run(*words, "--sources", "leaderboard", "--json").stdout)["discovery"]["found"]
    assert len(rows[0]["leaders"]) == len(rows[0]["addresses"]) > 0
    assert "'telepathy'" in run(*words, "--sources", "telepathy", code=2).stderr


def test_a_dry_sweep_of_all_dexes_counts_each_of_them(run: Run, live: SandboxServer, listed: Path) -> None:
    words = ["index", "sweep", "--addresses", str(listed), "--base-url", live.base_url, "--dry", "--json"]
    every, two = (json.loads(run(*words, "--dex", dex).stdout) for dex in ("all", "main,xyz"))
    assert every == two, "the sandbox has these two"
    assert every["weight_min"] > 2 * 2 * every["accounts"]


def test_an_interrupt_is_one_line_and_the_same_command_goes_on(
    live: SandboxServer, listed: Path, tmp_path: Path
) -> None:
    live.requests.clear()
    words = ["index", "sweep", "--base-url", live.base_url, "--addresses", str(listed)]
    with hurried([*words, "--weight-per-minute", "600"], tmp_path) as child:
        while not live.requests["clearinghouseState"] and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, shown = child.communicate(timeout=60)
    assert child.returncode == INTERRUPTED
    assert len(shown.splitlines()) == 1


def test_one_account_is_verified_through_the_sdk(
    run: Run, live: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Patience", partial(Patience, first_wait_s=0.01))
    holder = live.true_positions().filter(dex="")["address"][0]
    shown = run("index", "verify", holder, "--base-url", live.base_url).stdout
    assert holder[:10] in shown
    assert "0x12" in run("index", "verify", "0x12", "--base-url", live.base_url, code=2).stderr
    assert "127.0.0.1:9" in run("index", "verify", holder, "--base-url", "http://127.0.0.1:9", code=3).stderr


def test_a_nodes_state_is_read(run: Run, small_market: Market, tmp_path: Path) -> None:
    state = tmp_path / "state.rmp"
    write_state(small_market, state)
    marks = tmp_path / "marks.csv"
    marks.write_text("ts,coin,mark\n1790000000000,BTC,80000\n")
    assert "BTC" not in run("index", "node", str(state), "--marks", str(marks)).stderr
    assert run("map", "exact", "BTC").stdout
    cut = tmp_path / "cut.rmp"
    cut.write_bytes(state.read_bytes()[:20_000])
    refused = run("index", "node", str(cut), code=2).stderr
    assert "cut.rmp" in refused
    assert len(refused.strip().splitlines()) == 1


def test_what_killed_writers_left_is_shown_and_then_set_aside(run: Run, tmp_path: Path) -> None:
    Store.open(Settings(data_dir=tmp_path / "data")).close()
    assert json.loads(run("index", "tidy", "--json").stdout)["files"] == 0
    orphan = tmp_path / "data" / "lake" / "positions" / "orphan.parquet"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"half of it")
    run("index", "tidy")
    assert orphan.exists(), "a file of this hour may be about to be listed"
    os.utime(orphan, (0, 0))
    planned = json.loads(run("index", "tidy", "--dry", "--json").stdout)
    found = json.loads(run("index", "tidy", "--json").stdout)
    assert planned == {**found, "dry": True}
    assert (found["files"], found["bytes"], found["paths"]) == (1, 10, ["positions/orphan.parquet"])
    assert not orphan.exists()
    assert (Path(found["aside"]) / "positions" / "orphan.parquet").read_bytes() == b"half of it"


def test_a_reading_is_listed_and_then_forgotten(
    run: Run, live: SandboxServer, listed: Path, tmp_path: Path
) -> None:
    run("index", "sweep", "--addresses", str(listed), "--base-url", live.base_url, "--weight-per-minute", "0")
    (stored,) = json.loads(run("index", "forget", "--json").stdout)
    run("index", "forget", "-o", str(tmp_path / "readings.csv"), "-o", str(tmp_path / "readings.parquet"))
    assert pl.read_csv(tmp_path / "readings.csv").to_dicts() == [stored]
    assert pl.read_parquet(tmp_path / "readings.parquet").to_dicts() == [stored]
    assert stored["id"] in run("index", "forget").stdout
    run("index", "forget", stored["id"], "--dry")
    run("map", "exact", "BTC")
    run("index", "forget", stored["id"])
    run("map", "exact", "BTC", code=1)
    assert stored["id"] in run("index", "forget", stored["id"], code=1).stderr
    assert json.loads(run("index", "forget", "--json").stdout) == []


def test_the_levels_of_a_map_are_no_history_of_marks(run: Run, tmp_path: Path) -> None:
    path, rows = tmp_path / "map.csv", "57000,57100,5,0\n63000,63100,0,7\n".splitlines()
    header = "time,mark,coin,low_px,high_px,long_usd,short_usd"
    path.write_text("\n".join([header, *(f"2026-08-20T12:00:00Z,60000,BTC,{row}" for row in rows)]))
    assert "liqtruth map import" in run("index", "import", str(path), code=2).stderr


@pytest.mark.recorded
def test_recorded_fills_are_read_and_their_liquidation_found(run: Run, recorded: Path) -> None:
    files = sorted(str(path) for path in recorded.rglob("*node_fills*") if path.is_file())
    assert files
    assert "1 liquidation" in run("index", "fills", *files).stdout


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["map", "positions", "BTC", "--between", "9", "1"], "9"),
        (["map", "exact", "BTC", "--holder-share", "5"], "such as 5-100, got '5'"),
        (["map", "history", "BTC", "--last", "soon"], "--last must be a length of time such as 90s"),
        (["map", "history", "BTC", "--last", "999999d"], "at most a century, got '999999d'"),
        (["map", "exact", "BTC", "--series", "1d", "--step", "1e300d"], "got '1e300d'"),
        (["index", "watch", "--for", "36526d"], "at most a century, got '36526d'"),
        (["map", "joint", "BTC", "--betas", "ETH"], "must be written as ETH=1.2,SOL=1.5, got 'ETH'"),
        (["index", "watch", "--for", "-1h"], "-1h"),
        (["index", "node", "nowhere.rmp"], "nowhere.rmp"),
        (["index", "fills", "nowhere"], "nowhere"),
        (["index", "liquidations", "--accounts", "0x12"], "--accounts: '0x12'"),
        (["index", "compact", "--keep-hourly", "1y"], "--keep-hourly 1y must be longer than --keep"),
        (["index", "sweep", "--addresses", "nowhere.txt", "--dex", "main,xyz"], "nowhere.txt"),
    ],
)
def test_a_bad_value_is_named(run: Run, words: list[str], part: str) -> None:
    assert part in run(*words, code=2).stderr


@pytest.mark.parametrize("port", ["99999", "-1"])
@pytest.mark.parametrize(
    "words",
    [
        ["index", "sweep", "--addresses", "ADDRESSES", "--base-url"],
        ["index", "find", "--base-url"],
        ["index", "find", "--stats-url"],
        ["index", "verify", "0x" + "1" * 40, "--base-url"],
        ["index", "candles", "--base-url"],
        ["index", "watch", "--base-url"],
        ["index", "watch", "--stats-url"],
        ["index", "size", "--evm-url"],
        ["index", "coin", "BTC", "--batch-url"],
        ["index", "liquidations", "--provider-url"],
        ["check", "BTC", "--venue-url"],
        ["feed", "fetch", "binance", "BTC", "--base-url"],
        ["feed", "watch", "binance", "BTC", "--base-url"],
    ],
    ids=lambda words: " ".join(words[:2] + words[-1:]),
)
def test_a_port_that_is_none_is_refused_before_anything_is_asked(
    run: Run, tmp_path: Path, words: list[str], port: str
) -> None:
    addresses = tmp_path / "addresses.txt"
    addresses.write_text("0x" + "1" * 40)
    filled = [str(addresses) if word == "ADDRESSES" else word for word in words]
    (line,) = run(*filled, f"http://127.0.0.1:{port}", code=2).stderr.strip().splitlines()
    assert port in line
