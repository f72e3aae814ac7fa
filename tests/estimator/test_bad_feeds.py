"""Bad feeds through the command line: refused in one line, or repaired with the reason in the map's `quality`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liqtruth.estimator.feeds import watch
from liqtruth.estimator.feeds.watch import FeedWatchPlan, FeedWatchReport, watch_feeds
from liqtruth.estimator.venues.exchange import Patience
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import serving_in_thread
from liqtruth.storage.store import Store
from tests.conftest import Run
from tests.estimator.feed_files import write

HOURS = 48
START_S = 1_785_542_400


def bars(rng: np.random.Generator) -> list[list[float]]:
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, HOURS)))
    opened = np.append(100.0, close[:-1])
    return np.column_stack(
        [
            START_S + 3600 * np.arange(HOURS),
            opened,
            np.maximum(opened, close) * 1.002,
            np.minimum(opened, close) * 0.998,
            close,
            rng.uniform(500, 900, HOURS),
        ]
    ).tolist()  # type: ignore[no-any-return]


def readings(rng: np.random.Generator) -> list[list[float]]:
    coins = 10_000 + np.cumsum(rng.uniform(-300, 300, HOURS + 1))
    return np.column_stack([START_S + 3600 * np.arange(HOURS + 1), coins]).tolist()  # type: ignore[no-any-return]


def files(
    tmp_path: Path, candles: Sequence[Sequence[float]], holdings: Sequence[Sequence[float]]
) -> tuple[str, str]:
    def lines(header: str, rows: Sequence[Sequence[float]]) -> list[str]:
        return [header, *(",".join(f"{value:.10g}" for value in row) for row in rows)]

    return (
        str(write(tmp_path, lines("ts,open,high,low,close,volume", candles), "candles.csv")),
        str(write(tmp_path, lines("ts,open_interest", holdings), "open_interest.csv")),
    )


def quality(run: Run, paths: tuple[str, str]) -> list[str]:
    run("feed", "import", *paths, "--venue", "okx", "--coin", "SOL")
    drawn = json.loads(
        run("map", "model", "SOL", "--venue", "okx", "--model", "tiers", "--window", "24h", "--json").stdout
    )
    found = drawn["quality"]
    assert isinstance(found, list)
    return found


Spoil = Callable[[list[list[float]], list[list[float]]], None]


def gap(candles: list[list[float]], holdings: list[list[float]]) -> None:
    del candles[30:33]


def zeros(candles: list[list[float]], holdings: list[list[float]]) -> None:
    holdings[35][1] = holdings[36][1] = 0.0


def split(candles: list[list[float]], holdings: list[list[float]]) -> None:
    for row in holdings[36:]:
        row[1] *= 100


def nothing(candles: list[list[float]], holdings: list[list[float]]) -> None:
    """A sound feed."""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gap, ["1 gaps in the candles, 3.0 h in all, the widest 3.0 h before 2026-08-02T09:00Z"]),
        (
            zeros,
            [
                "2 readings of open interest of zero, below zero or none left out, the first of 2026-08-02T11:00Z",
                "1 gaps in the open interest",
            ],
        ),
        (
            split,
            [
                "open interest changes its unit: ",
                "open interest moves by more than was traded in 9 of 12 steps",
            ],
        ),
        (nothing, []),
    ],
)
def test_a_map_of_a_bad_file_states_what_was_wrong_and_a_sound_one_nothing(
    run: Run, tmp_path: Path, spoil: Spoil, message: list[str]
) -> None:
    rng = np.random.default_rng(1)
    candles, holdings = bars(rng), readings(rng)
    spoil(candles, holdings)
    found = quality(run, files(tmp_path, candles, holdings))
    assert len(found) == len(message), found
    assert all(text.startswith(start) for text, start in zip(found, message, strict=True))


def test_a_file_with_negative_open_interest_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    holdings = readings(rng)
    holdings[5][1] = -3.0
    _, path = files(tmp_path, bars(rng), holdings)
    refused = run("feed", "import", path, "--venue", "okx", "--coin", "SOL", code=2)
    assert "row 6, column 'open_interest': -3.0 is not an amount: it must not be negative" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_venue_that_answers_web_pages_is_refused_with_3(
    run: Run, small_market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_round(store: Store, plan: FeedWatchPlan) -> FeedWatchReport:
        return watch_feeds(store, replace(plan, rounds=1, patience=Patience(attempts=1, total_s=20.0)))

    monkeypatch.setattr(watch, "watch_feeds", one_round)
    faults = Faults(rate_html=1.0)
    with serving_in_thread(small_market, weight_per_minute=None, faults=faults) as server:
        words = ("feed", "watch", "binance", "BTC", "--for", "60s", "--base-url", server.base_url, "--quiet")
        ended = run(*words, code=3)
    assert "venue_failing" in ended.stderr
    assert "nothing new" in ended.stdout


def test_the_status_of_a_bad_feed_shows_its_findings(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    candles, holdings = bars(rng), readings(rng)
    split(candles, holdings)
    run("feed", "import", *files(tmp_path, candles, holdings), "--venue", "okx", "--coin", "SOL")
    shown = run("feed", "status")
    assert "open_interest*" in shown.stdout
    assert "okx SOL open_interest: open interest changes its unit: " in shown.stdout
    listed = json.loads(run("feed", "status", "--json").stdout)
    assert [row["dataset"] for row in listed] == ["candles", "open_interest"]
