"""The newest liquidations: every stored one of the time asked for, once, and sums that add up to them."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from liqtruth.compare.observed.recent import recent, recent_view
from liqtruth.estimator.frames import DATASETS
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.node.fills import KEY
from liqtruth.storage.store import Store
from tests.conftest import Run

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def store_some(store: Store) -> None:
    """Three of Binance, one of them two hours old, and one of Hyperliquid."""
    ages_s = [30.0, 90.0, 7200.0]
    of_venue = pl.DataFrame(
        {
            "ts": [NOW - timedelta(seconds=age) for age in ages_s],
            "id": ["a", "b", "c"],
            "side": ["long", "short", "long"],
            "px": [100.0, 101.0, 99.0],
            "coins": [1.0, 2.0, 3.0],
            "notional_usd": [100.0, 202.0, 297.0],
        }
    ).cast(dict(DATASETS["liquidations"].schema))  # type: ignore[arg-type]
    store.lake.merge_series("liquidations", "binance", "BTC", of_venue, ("ts", "id"), "synthetic: test")
    spans = pl.DataFrame(
        {"ts": [NOW - timedelta(hours=3)], "until": [NOW], "coverage": ["at most one a second"]}
    ).cast(dict(DATASETS["listening"].schema))  # type: ignore[arg-type]
    store.lake.merge_series("listening", "binance", "BTC", spans, ("ts",), "synthetic: test")
    on_chain = {name: [None] for name in LIQUIDATIONS} | {
        "ts": [NOW - timedelta(seconds=31)], "address": ["0x1"], "coin": ["BTC"], "side": ["long"],
        "method": ["market"], "mark_px": [99.0], "mean_px": [98.0], "size": [1.0], "notional_usd": [98.0],
        "hash": ["0xab"],
    }  # fmt: skip
    rows = pl.DataFrame(on_chain).cast(dict(LIQUIDATIONS))  # type: ignore[arg-type]
    store.lake.merge_series("liquidations", "hyperliquid", "BTC", rows, KEY, "synthetic: test")


def test_every_one_of_the_hour_is_shown_once_and_the_minutes_add_up(store: Store) -> None:
    store_some(store)
    found = recent(store, [], [], timedelta(hours=1), NOW)
    assert found.events["notional_usd"].to_list() == [100.0, 98.0, 202.0]
    assert found.minutes.select("long_usd", "short_usd", "long", "short").rows() == [
        (198.0, 0.0, 2, 0),
        (0.0, 202.0, 0, 1),
    ]
    assert found.synthetic
    assert [line.split(":")[0] for line in found.coverage] == ["binance BTC", "hyperliquid BTC"]
    assert recent_view(found, 20)


@pytest.mark.parametrize(
    ("coins", "venues", "count"), [(["ETH"], [], 0), ([], ["binance"], 2), (["BTC"], ["hyperliquid"], 1)]
)
def test_only_what_was_asked_for(store: Store, coins: list[str], venues: list[str], count: int) -> None:
    store_some(store)
    assert recent(store, coins, venues, timedelta(hours=1), NOW).events.height == count


def test_the_command_says_when_no_event_is_stored(run: Run, store: Store) -> None:
    assert "feed watch" in run("feed", "events").stdout
    assert json.loads(run("feed", "events", "--json").stdout)["events"] == []
