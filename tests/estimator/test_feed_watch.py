"""A watch brings what venues do not keep; a failure is reported once and stops no other; a kill loses nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import structlog

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.watch import FeedWatchPlan, FeedWatchReport, watch_feeds
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.exchange import Patience
from liqtruth.estimator.venues.table import venues_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Store
from tests.conftest import ROOT

QUICK = Patience(timeout_s=20.0, attempts=1, total_s=20.0, first_wait_s=0.01)


def plan(server: SandboxServer, venues: str, **more: object) -> FeedWatchPlan:
    usual = {
        "every_s": 0.2,
        "rounds": 2,
        "for_s": 60.0,
        "patience": QUICK,
        "first_wait_s": 0.05,
        "flush_s": 0.1,
    }
    return FeedWatchPlan(
        venues=venues_named(venues),
        coins=("BTC",),
        base_url=server.base_url,
        **{**usual, **more},  # type: ignore[arg-type]
    )


def watched(store: Store, chosen: FeedWatchPlan) -> tuple[FeedWatchReport, list[tuple[str, str]]]:
    """The report, and (venue, event) of every log line."""
    with structlog.testing.capture_logs() as lines:
        report = watch_feeds(store, chosen)
    return report, [(line["venue"], line["event"]) for line in lines]


def rows(store: Store, venue: str, dataset: str) -> int:
    return store.lake.read_series(dataset, venue, "BTC", DATASETS[dataset].schema).height


@pytest.fixture(scope="module")
def once(served: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> FeedWatchPlan:
    return plan(served, "binance,hyperliquid")


def test_open_interest_is_collected_also_where_no_history_is_kept(store: Store, once: FeedWatchPlan) -> None:
    report, _ = watched(store, once)
    assert report.exit_code == 0, report.describe()
    for venue in ("binance", "hyperliquid"):
        assert rows(store, venue, "candles") > 200
        assert rows(store, venue, "open_interest") >= 1
    sources = store.lake.series_sources("open_interest", "hyperliquid", "BTC")
    assert all(source.startswith("synthetic") for source in sources)
    assert rows(store, "binance", "listening") == 1
    assert rows(store, "hyperliquid", "listening") == 0


def test_a_second_watch_brings_only_what_is_new(store: Store, once: FeedWatchPlan) -> None:
    first, _ = watched(store, once)
    again, _ = watched(store, once)
    assert first.venues[1].new_rows["candles"] > 200
    assert again.venues[1].new_rows["candles"] == 0


def test_one_venue_that_fails_is_reported_once_and_stops_no_other(
    store: Store, served: SandboxServer
) -> None:
    """The sandbox serves no Gate."""
    report, found = watched(store, plan(served, "gate,hyperliquid"))
    gate, other = report.venues
    assert gate.rounds == gate.failed_rounds >= 2
    assert found.count(("gate", "venue_failing")) == 1
    assert "gate" in gate.last_error
    assert other.failed_rounds == 0
    assert rows(store, "hyperliquid", "candles") > 200
    assert report.exit_code == 3, "a part of what was asked for was not read"


def test_a_watch_to_which_nobody_ever_answered_ends_with_3(store: Store, served: SandboxServer) -> None:
    report, _ = watched(store, plan(served, "gate", rounds=1))
    assert report.exit_code == 3


def test_a_watch_that_ends_before_anything_was_read_ends_with_3(store: Store, served: SandboxServer) -> None:
    report, _ = watched(store, plan(served, "binance,hyperliquid", for_s=0.0))
    assert report.exit_code == 3
    assert all(venue.unread for venue in report.venues)


def test_a_venue_that_answered_with_web_pages_recovers_and_states_it(
    store: Store, small_market: Market
) -> None:
    faults = Faults(rate_html=1.0)
    with (
        serving_in_thread(small_market, weight_per_minute=None, faults=faults) as server,
        structlog.testing.capture_logs() as lines,
    ):

        def answer_soundly() -> None:
            while not any(line["event"] == "venue_failing" for line in lines):
                time.sleep(0.01)
            faults.rate_html = 0.0

        sound = threading.Thread(target=answer_soundly, daemon=True)
        sound.start()
        report = watch_feeds(store, plan(server, "binance", rounds=4))
        sound.join(timeout=60)
    [venue] = report.venues
    assert 0 < venue.failed_rounds < venue.rounds
    assert "did not give" in venue.last_error
    events = [line["event"] for line in lines]
    assert events.index("venue_failing") < events.index("venue_recovered")
    assert events.count("venue_failing") == 1
    assert rows(store, "binance", "candles") > 200


def test_a_coin_that_is_not_listed_is_reported_and_the_others_are_collected(
    store: Store, served: SandboxServer
) -> None:
    asked = plan(served, "hyperliquid")
    report, found = watched(store, FeedWatchPlan(**{**vars(asked), "coins": ("NOSUCH", "BTC")}))
    assert found.count(("hyperliquid", "coin_not_listed")) == 1
    assert "has no perpetual NOSUCH" in report.venues[0].remarks[0]
    assert rows(store, "hyperliquid", "candles") > 200


def test_a_venue_that_only_comes_from_files_and_an_unknown_one_are_refused(
    store: Store, served: SandboxServer
) -> None:
    with pytest.raises(BadInput, match="bitmex cannot be watched"):
        watch_feeds(store, plan(served, "bitmex"))
    with pytest.raises(UnknownChoice, match="unknown venue 'mtgox'"):
        plan(served, "mtgox")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_what_came_before_a_signal_is_stored_and_the_next_watch_goes_on(
    store: Store, tmp_path: Path, served: SandboxServer, signum: signal.Signals, code: int
) -> None:
    words = ["feed", "watch", "hyperliquid", "BTC", "--every", "1s", "--base-url", served.base_url]
    command = [
        sys.executable,
        "-m",
        "liqtruth.cli",
        "--data-dir",
        str(tmp_path / "data"),
        *words,
        "--log-json",
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as watch:
        assert watch.stderr is not None
        received = iter(watch.stderr.readline, "")
        assert any('"polled"' in line for _, line in zip(range(3), received, strict=False))
        os.kill(watch.pid, signum)
        out, _ = watch.communicate(timeout=300)
    assert watch.returncode == code
    assert ("hyperliquid: " in out) == (code == 0)
    again, _ = watched(store, plan(served, "hyperliquid", rounds=1))
    assert again.venues[0].new_rows == {"open_interest": 0, "candles": 0}
    assert rows(store, "hyperliquid", "candles") > 200
