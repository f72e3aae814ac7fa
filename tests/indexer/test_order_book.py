"""The order book: what rests up to each price is what the orders of the sandbox add up to, whatever the rounding."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from liqtruth.compare.observed.surroundings import depth_of, surroundings_of
from liqtruth.heatmap.clusters.facts import BOOK_WITHIN, RestingDepth, surroundings_line
from liqtruth.heatmap.grid import FloatArray
from liqtruth.indexer.errors import AnswerMalformed
from liqtruth.indexer.frames import BOOKS
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.sweep.order_book import (
    BookLevel,
    decode_book,
    largest_coins,
    merged,
    read_book,
    store_book,
    store_books,
)
from liqtruth.indexer.sweep.report import plan
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.hyperliquid.orders import resting
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Store


def of_sandbox(served: SandboxServer, coin: str = "BTC") -> pl.DataFrame:
    async def read() -> pl.DataFrame:
        async with InfoClient(served.base_url, Budget(None), 10, 4) as client:
            return await read_book(client, coin)

    return asyncio.run(read())


def orders(market: Market, side: str) -> tuple[FloatArray, FloatArray]:
    """Prices and coins of every order of BTC."""
    px, lots = resting(market, 0, "bid" if side == "long" else "ask")
    decimals = market.spec.assets[0].sz_decimals
    return px / 10.0 ** (6 - decimals), lots / 10.0**decimals


def stored(store: Store, served: SandboxServer) -> RestingDepth:
    async def read() -> None:
        async with InfoClient(served.base_url, Budget(None), 10, 4) as client:
            await store_book(store, client, "BTC")

    asyncio.run(read())
    rows = store.lake.read_series("books", VENUE, "BTC", BOOKS)
    found = depth_of(store, VENUE, "BTC", rows["ts"][0])
    assert found is not None
    return found


@pytest.mark.parametrize("side", ["long", "short"])
def test_the_sum_up_to_each_price_is_that_of_all_orders(
    side: str, store: Store, served: SandboxServer, small_market: Market
) -> None:
    found = stored(store, served)
    px, coins = orders(small_market, side)
    away = -1 if side == "long" else 1
    for at, held in zip(found.px[side], found.coins[side], strict=True):
        assert held == pytest.approx(coins[away * px <= away * at].sum(), rel=1e-9)
    assert abs(found.px[side][-1] / px[0] - 1) > 0.15, "round prices reach far"
    assert (np.diff(found.coins[side]) >= 0).all()


def test_depth_before_a_price_is_valued_at_the_mark_and_null_beyond_the_end(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    found, (px, coins) = stored(store, served), orders(small_market, "short")
    mark_px = float(px[0])
    near = found.before("short", 1.05 * mark_px, mark_px)
    assert near is not None
    whole = mark_px * coins[px <= 1.05 * mark_px].sum()
    assert 0.7 * whole < near <= whole, "no more than what rests, to the rounding"
    assert found.before("short", 10 * mark_px, mark_px) is None
    assert found.before("short", 0.99 * mark_px, mark_px) == 0.0
    assert RestingDepth(found.at, {}, {}).before("long", 1.0, 1.0) is None


def test_a_book_of_another_time_is_not_taken(store: Store, served: SandboxServer) -> None:
    at = stored(store, served).at
    assert depth_of(store, VENUE, "BTC", at + BOOK_WITHIN) is not None
    assert depth_of(store, VENUE, "BTC", at + BOOK_WITHIN + timedelta(seconds=1)) is None
    assert depth_of(store, "binance", "BTC", at) is None


@pytest.mark.parametrize(
    ("minutes", "said"), [(40, "40 min before"), (-40, "40 min after"), (0, "0 s before")]
)
def test_between_the_books_of_a_watch_the_nearest_is_taken_and_its_age_said(
    minutes: int, said: str, store: Store, served: SandboxServer
) -> None:
    at = stored(store, served).at
    found = surroundings_of(store, "BTC", VENUE, at + timedelta(minutes=minutes))
    assert found.book_age_s == 60 * minutes
    assert f"order book read {said}" in surroundings_line(found)


@pytest.mark.parametrize(("side", "away"), [("long", -1), ("short", 1)])
def test_what_the_mark_has_passed_since_the_book_was_read_rests_no_more(side: str, away: int) -> None:
    px, coins = 100.0 + away * np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 11.0])
    book = RestingDepth(datetime(2026, 8, 20, tzinfo=UTC), {side: px}, {side: coins})
    assert [book.before(side, float(px[-1]), 100.0 + away * moved) for moved in (-1, 0, 1.5, 2.5)] == [
        pytest.approx((100.0 + away * moved) * rests)
        for moved, rests in ((-1, 11), (0, 11), (1.5, 6), (2.5, 4))
    ]


def test_of_a_rounder_answer_only_what_lies_beyond_is_taken() -> None:
    fine = [BookLevel(99.0, 1.0), BookLevel(98.0, 2.0)]
    rough = [BookLevel(90.0, 7.0), BookLevel(80.0, 5.0)]
    px, coins = merged([fine, rough], rising=False)
    assert px.tolist() == [99.0, 98.0, 90.0, 80.0]
    assert coins.tolist() == [1.0, 3.0, 7.0, 12.0]


@pytest.mark.parametrize(
    "levels",
    ['[[],[{"px":"2","sz":"1"}]]', '[[{"px":"1","sz":"1"},{"px":"1.5","sz":"1"}],[{"px":"2","sz":"1"}]]'],
)
def test_a_book_that_cannot_be_is_refused(
    levels: str, served: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def post(*_: object, **__: object) -> bytes:
        return f'{{"coin":"BTC","time":1788713174308,"levels":{levels}}}'.encode()

    monkeypatch.setattr(InfoClient, "post", post)
    with pytest.raises(AnswerMalformed):
        of_sandbox(served)


def test_the_recorded_answer_is_read(recorded: Path) -> None:
    raw = (recorded / "hyperliquid" / "capture-2026-09-06" / "l2Book.json").read_bytes()
    book = decode_book(raw, "capture")
    assert book.coin == "BTC"
    assert [len(side) for side in book.levels] == [20, 20]
    px, coins = merged([book.levels[0]], rising=False)
    assert px[0] == 79_672.0
    assert coins[0] == 3.89176
    assert (np.diff(px) < 0).all()


def test_a_sweep_stores_the_books_of_the_largest_coins_within_its_plan(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    listed = small_market.addresses[:5]
    report = asyncio.run(sweep(store, listed, base_url=served.base_url, weight_per_minute=None, books=2))
    assert plan(listed, books=2).weight_min <= report.weight <= plan(listed, books=2).weight_max
    assert plan(listed, books=2).weight_min - plan(listed).weight_min == 2 * 4 * 2
    kept = store.lake.series_coins("books")
    assert len(kept) == len(report.books) == 2
    assert all(line.startswith("order book of ") for line in report.books)
    for _, coin in kept:
        at = store.lake.read_series("books", VENUE, coin, BOOKS)["ts"][0]
        assert depth_of(store, VENUE, coin, at) is not None


def test_the_largest_coins_are_those_of_most_open_interest_that_is_known() -> None:
    rows = {"coin": ["A", "B", "C", "D"], "open_interest_usd": [1.0, None, 3.0, 2.0]}
    assert largest_coins(pl.DataFrame(rows), 2) == ["C", "D"]
    assert largest_coins(pl.DataFrame(rows).clear()) == []


def test_a_book_that_does_not_come_is_a_line_and_no_failure(store: Store, served: SandboxServer) -> None:
    async def read() -> list[str]:
        async with InfoClient(served.base_url, Budget(None), 10, 4, Patience(1, 0.0)) as client:
            return await store_books(store, client, ["NOPE", "ETH"])

    missing, there = asyncio.run(read())
    assert missing.startswith("no order book of NOPE: ")
    assert there.startswith("order book of ETH: ")
