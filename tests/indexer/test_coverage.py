"""How much of open interest is known, per coin and side, and what its price rests on."""

import asyncio
import json

import polars as pl
import pytest

from liqtruth.indexer.audit.coverage import KINDS, NOT_IN_BOOK, coverage_report
from liqtruth.indexer.coin.census import read_coin
from liqtruth.indexer.discovery.address_book import remember
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.evm.sizing import EvmEndpoint, size
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.conftest import Run


def read_btc(store: Store, served: SandboxServer) -> None:
    """The first hundred accounts by the info endpoint, after everyone's position in BTC by HyperEVM."""
    listed, evm = list(served.market.addresses), EvmEndpoint(served.evm_url, None)

    async def run() -> None:
        async with InfoClient(served.base_url, Budget(None)) as info:
            await read_coin(store, "BTC", listed, evm, info)
            await size(store, listed, evm, info, [""])
        await sweep(store, listed[:100], base_url=served.base_url, weight_per_minute=None)

    asyncio.run(run())


def test_everyone_of_a_closed_market_is_read_solved_or_sized(store: Store, served: SandboxServer) -> None:
    remember(store, served.market.addresses[50:200], "leaderboard", served.now)
    read_btc(store, served)
    report = coverage_report(store, "BTC")
    truth = served.true_positions().filter(coin="BTC")
    assert [one.side for one in report.sides] == ["long", "short"]
    for one, sign in zip(report.sides, (1, -1), strict=True):
        assert one.share == pytest.approx(1.0, rel=1e-6)
        assert one.known_usd == pytest.approx(
            truth.filter(pl.col("szi") * sign > 0)["notional_usd"].sum(), rel=1e-6
        )
        parts = [getattr(one, f"{kind}_usd") for kind in KINDS]
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(one.known_usd)
        assert sum(one.sources.values()) == pytest.approx(one.known_usd)
        assert {"leaderboard", NOT_IN_BOOK} <= set(one.sources)
    held = truth.filter(pl.col("address").is_in(served.market.addresses[:100]))["notional_usd"].sum()
    assert sum(one.read_usd for one in report.sides) == pytest.approx(held, rel=1e-6)
    everyone = served.true_positions().filter(dex="")
    unread = everyone.filter(~pl.col("address").is_in(served.market.addresses[:100]))
    [waits] = report.unread
    assert (waits.dex, waits.accounts) == ("", unread["address"].n_unique())
    assert waits.notional_usd == pytest.approx(unread["notional_usd"].sum(), rel=1e-6)


def test_the_largest_market_comes_first_and_a_coin_that_nobody_holds_is_there(
    store: Store, served: SandboxServer
) -> None:
    read_btc(store, served)
    sides = coverage_report(store).sides
    interest = [one.open_interest_usd or 0.0 for one in sides]
    assert interest == sorted(interest, reverse=True)
    assert {one.coin for one in sides} == {"BTC", "ETH", "SOL", "HYPE"}


@pytest.mark.parametrize("coin", [None, "BTC"])
async def test_who_was_only_sized_is_shown_before_any_market_is_stored(
    coin: str | None, store: Store, served: SandboxServer
) -> None:
    if coin is not None:
        with pytest.raises(NothingStored):
            coverage_report(store, coin)
    async with InfoClient(served.base_url, Budget(None)) as info:
        report = await size(store, served.market.addresses, EvmEndpoint(served.evm_url, None), info, [""])
    shown = coverage_report(store, coin)
    assert shown.sides == ()
    [waits] = shown.unread
    assert (waits.accounts, waits.notional_usd) == (report.holders, pytest.approx(report.notional_usd))
    assert len(shown.describe()) == 2


def test_nothing_stored_and_unknown_coins_are_said(run: Run, store: Store, served: SandboxServer) -> None:
    assert "no market is stored" in run("index", "coverage").stdout
    read_btc(store, served)
    with pytest.raises(UnknownCoin):
        coverage_report(store, "BTX")


def test_the_command_gives_json(run: Run, served: SandboxServer) -> None:
    unlimited = ("--evm-requests-per-minute", "0", "--weight-per-minute", "0")
    run("index", "coin", "BTC", "--base-url", served.base_url, *unlimited)
    shown = json.loads(run("index", "coverage", "BTC", "-o", "-").stdout)
    assert [one["side"] for one in shown["sides"]] == ["long", "short"]
    assert "solved" in run("index", "coverage").stdout
