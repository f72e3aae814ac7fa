"""`feed fetch` and `feed venues` as they are typed."""

import json

import pytest

from liqtruth.estimator.venues.table import VENUES
from liqtruth.sandbox.server import SandboxServer
from tests.conftest import Run


def test_the_table_of_venues_is_for_people_and_for_programs(run: Run) -> None:
    shown = run("feed", "venues").stdout
    assert all(name in shown for name in VENUES)
    assert "from files only" in shown
    found = json.loads(run("feed", "venues", "--json").stdout)
    assert [row["venue"] for row in found] == list(VENUES)


def test_one_venue_of_two_that_fails_is_reported_on_stderr_and_by_the_exit_code(
    run: Run, served: SandboxServer
) -> None:
    """This sandbox serves no Bybit."""
    words = ["feed", "fetch", "binance,bybit", "BTC", "--days", "1", "--base-url", served.base_url, "--json"]
    done = run(*words, code=3)
    binance, bybit = json.loads(done.stdout)["reports"]
    assert (binance["failed"], bybit["series"]) == ([], [])
    assert binance["series"][0]["rows"] == 288
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line == f"error: {bybit['failed'][0]}"
    assert "bybit (http://127.0.0.1" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mtgox", "BTC"], "unknown venue 'mtgox'"),
        (["binance,bitmex", "BTC"], "bitmex cannot be fetched"),
        (["binance", "BTC", "--interval", "7m"], "interval of binance '7m'"),
    ],
)
def test_what_is_not_offered_is_bad_input_in_one_line(run: Run, words: list[str], message: str) -> None:
    done = run("feed", "fetch", *words, code=2)
    assert message in done.stderr
    assert done.stdout == ""
