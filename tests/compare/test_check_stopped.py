"""A check of its own process that is stopped by a signal, at whatever it does, answers with what came until then."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liqtruth.compare.check import CheckPlan, check_coin
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.gather import Watching, gather
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.sweep.largest import Endpoint
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Settings, Store
from tests.compare.imported import layouts

BOTH = [signal.SIGINT, signal.SIGTERM]
SLOW = """
import sys, time
from liqtruth.compare import check
from liqtruth.cli import main

def slowly(function):
    def made(*args, **more):
        sys.stderr.write(f"making {args[2]}\\n"); sys.stderr.flush()
        time.sleep(3)
        return function(*args, **more)
    return made

check.make_map = slowly(check.make_map)
main()
"""
"""The program with models that take three seconds each."""
SLOW_ANSWER = """
import sys, time
from liqtruth.compare.divergence import as_json
from liqtruth.cli import main

def slowly(found):
    sys.stderr.write("answering\\n"); sys.stderr.flush()
    time.sleep(1)
    return to_json(found)

to_json, as_json.to_json = as_json.to_json, slowly
main()
"""
"""The program with an answer that takes a second to be written."""


def started(
    folder: Path, *words: str, program: tuple[str, ...] = ("-m", "liqtruth.cli")
) -> subprocess.Popen[str]:
    line = [sys.executable, *program, "--data-dir", str(folder / "data"), "check", "BTC", *words, "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(line, cwd=folder, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def ended(process: "subprocess.Popen[str]", code: int) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def at_endpoint(served: SandboxServer) -> list[str]:
    return ["--base-url", served.base_url, "--stats-url", served.base_url, "--weight-per-minute", "0"]


@pytest.mark.parametrize("signum", BOTH, ids=lambda one: one.name)
def test_stopped_while_accounts_are_read(
    signum: signal.Signals, served: SandboxServer, tmp_path: Path
) -> None:
    """A budget that lets a few accounts through a second; the signal comes after the first of them."""
    slow = [*at_endpoint(served)[:-1], "1200", "--concurrency", "2", "--coverage", "100"]
    before = served.requests["clearinghouseState"]
    (tmp_path / "map.json").write_text(json.dumps(layouts.coinank_by_leverage()))
    process = started(tmp_path, *slow, "--venue", "none", "--map", "map.json", "--within", "3m")
    until = time.monotonic() + 90
    while served.requests["clearinghouseState"] < before + 20 and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signum)
    out, err = ended(process, 3)
    assert "stopped after" in err
    found = json.loads(out)
    assert found["coin"] == "BTC"
    assert found["models"]
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        assert positions_as_of(store, None, "BTC").height > 0
        again = check_coin(store, CheckPlan(["BTC"], [str(tmp_path / "map.json")], venues=[]), "BTC")
    seen = json.loads(to_json(again.comparison.divergence))["truth"]["coverage"]
    assert seen == found["truth"]["coverage"], "nothing is stored half"


@pytest.mark.parametrize(
    ("signum", "times", "code"),
    [(signal.SIGTERM, 1, 3), (signal.SIGINT, 2, 130)],
    ids=["once", "twice"],
)
def test_stopped_while_models_are_made(
    signum: signal.Signals, times: int, code: int, served: SandboxServer, tmp_path: Path
) -> None:
    """What was made is compared, what was not is named; a second signal does not wait."""
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        endpoint = Endpoint(served.base_url, served.base_url, None)
        gather(store, CheckPlan(["BTC"], venues=["binance"], coverage=0.5), endpoint, Watching())
    process = started(tmp_path, "--offline", "--venue", "binance", program=("-c", SLOW))
    assert process.stderr is not None
    assert process.stderr.readline().startswith("making binance:")
    for _ in range(times):
        process.send_signal(signum)
        time.sleep(0.3)
    out, err = ended(process, code)
    if code == 3:
        assert [one["summary"]["label"] for one in json.loads(out)["models"]] == ["binance vintages"]
        assert "stopped before binance:tiers" in err
    else:
        assert out == ""


@pytest.mark.parametrize("signum", BOTH, ids=lambda one: one.name)
def test_stopped_while_the_answer_is_written(
    signum: signal.Signals, served: SandboxServer, tmp_path: Path
) -> None:
    """Nothing is left to stop: the whole answer is given."""
    (tmp_path / "map.json").write_text(json.dumps(layouts.coinank_by_leverage()))
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        endpoint = Endpoint(served.base_url, served.base_url, None)
        gather(store, CheckPlan(["BTC"], venues=[], coverage=0.5), endpoint, Watching())
    words = ["--offline", "--venue", "none", "--map", "map.json"]
    process = started(tmp_path, *words, program=("-c", SLOW_ANSWER))
    assert process.stderr is not None
    while process.stderr.readline() not in ("answering\n", ""):
        pass
    process.send_signal(signum)
    out, _ = ended(process, 0)
    assert json.loads(out)["coin"] == "BTC"


def test_stopped_while_series_are_fetched(served: SandboxServer, tmp_path: Path) -> None:
    """A venue that takes a connection and never answers; the file is compared with what was read."""
    (tmp_path / "map.json").write_text(json.dumps(layouts.coinank_by_leverage()))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = [
            *at_endpoint(served),
            "--venue",
            "binance",
            "--venue-url",
            url,
            "--coverage",
            "1",
            "--within",
            "2m",
        ]
        process = started(tmp_path, *words, "--map", "map.json")
        silent.settimeout(60)
        connection, _ = silent.accept()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = ended(process, 3)
        connection.close()
    assert "series not read to their end before the stop" in err
    assert json.loads(out)["models"]
