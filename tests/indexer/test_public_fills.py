"""Liquidations out of fills that anyone may read: whole by their own side, in part by the other, never twice."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from liqtruth.compare.observed.coverage import partly_seen
from liqtruth.compare.observed.realised import load_realised
from liqtruth.compare.transfer.sample import sample_of
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import MissingData, PartlyRead, SourceUnreachable
from liqtruth.indexer.discovery.find import find
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.node.events import Fill, Liquidation
from liqtruth.indexer.node.fills import Found
from liqtruth.indexer.node.public_fills import (
    LIQUIDATOR,
    PublicLiquidations,
    liquidations_of,
    read_public,
    takers,
)
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.store import Store
from tests.conftest import Run

QUICK = Patience(attempts=2, total_s=3.0, first_wait_s=0.01, pause_s=0.01)
ALL = timedelta(days=30)
VICTIM, TAKER, OTHER = ("0x" + digits * 20 for digits in ("11", "22", "33"))


def read(store: Store, server: SandboxServer, accounts: list[str]) -> PublicLiquidations:
    return asyncio.run(read_public(store, server.base_url, accounts, ALL, None, patience=QUICK))


def stored(store: Store) -> pl.DataFrame:
    coins = [coin for venue, coin in store.lake.series_coins("liquidations") if venue == VENUE]
    frames = [store.lake.read_series("liquidations", VENUE, coin, LIQUIDATIONS) for coin in coins]
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict(LIQUIDATIONS))


def truth(market: Market) -> pl.DataFrame:
    """USD of the forced trades that are kept, by liquidated account and whether the liquidator took them over."""
    trades = market.trades
    rows = [
        (market.addresses[victim], bool(backstop), int(lots) * int(px) / 1e6)
        for victim, backstop, lots, px, point in zip(
            trades.liquidated, trades.backstop, trades.lots, trades.px, trades.point, strict=True
        )
        if victim >= 0 and point >= market.first_point
    ]
    frame = pl.DataFrame(rows, schema=["address", "backstop", "usd"], orient="row")
    return frame.group_by("address", "backstop").agg(pl.col("usd").sum())


def test_by_both_sides_every_liquidation_is_whole_and_counts_once(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    expected = truth(small_market)
    victims = expected["address"].unique().to_list()
    report = read(store, served, [*victims, small_market.addresses[0]])
    found = stored(store).group_by("address", backstop=pl.col("method") == "backstop")
    found_usd = found.agg(pl.col("notional_usd").sum())
    both = expected.join(found_usd, on=["address", "backstop"], how="full")
    assert both["notional_usd"].to_list() == pytest.approx(both["usd"].to_list(), rel=1e-9)
    assert report.in_part == 0
    assert report.added == stored(store).height > 0
    assert report.source.startswith("synthetic")
    assert read(store, served, victims).added == 0


def test_the_providers_fills_show_what_it_took_over_and_never_too_much(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    makers = small_market.hyperliquid.people.makers
    report = read(store, served, list(small_market.addresses[:makers]))
    expected = truth(small_market)
    by_method = (
        stored(store).group_by(backstop=pl.col("method") == "backstop").agg(pl.col("notional_usd").sum())
    )
    found = dict(by_method.iter_rows())
    whole = dict(expected.group_by("backstop").agg(pl.col("usd").sum()).iter_rows())
    assert found.get(True, 0.0) == pytest.approx(whole.get(True, 0.0), rel=1e-9)
    assert 0.0 < found[False] <= whole[False] * (1 + 1e-9)
    assert report.liquidations == report.backstops + report.in_part


def test_a_part_never_replaces_what_is_stored_whole(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    victims = truth(small_market)["address"].unique().to_list()
    read(store, served, victims)
    before = stored(store)
    read(store, served, [small_market.addresses[0], small_market.addresses[1]])
    after = stored(store).join(before, on=["ts", "address", "coin", "hash", "method"], how="inner")
    assert after.height == before.height
    assert (after["size"] >= after["size_right"]).all()


def fills(*sides: tuple[str, str, int, float]) -> pl.DataFrame:
    found = Found()
    for account, side, tid, sz in sides:
        event = Liquidation(mark_px=99.0, method="market", liquidated_user=VICTIM)
        found.add(account, Fill("BTC", 100.0, sz, side, 1_788_264_000_000, "0xab", tid, tid, event), event)
    return found.frame()


@pytest.mark.parametrize(("side", "closed"), [("B", "long"), ("A", "short")])
def test_who_stood_opposite_shows_the_side_of_the_position(side: str, closed: str) -> None:
    own, opposite = liquidations_of(fills((TAKER, side, 1, 2.0), (OTHER, side, 2, 1.0)))
    assert own.is_empty()
    [row] = opposite.to_dicts()
    assert (row["address"], row["side"], row["size"], row["fills"]) == (VICTIM, closed, 3.0, 2)


def test_a_trade_of_which_both_sides_were_read_counts_once() -> None:
    own, opposite = liquidations_of(fills((VICTIM, "A", 1, 2.0), (TAKER, "B", 1, 2.0), (TAKER, "B", 2, 5.0)))
    assert own["size"].to_list() == [2.0]
    assert opposite["size"].to_list() == [5.0]


def test_a_fill_that_names_nobody_is_not_counted() -> None:
    found = Found()
    event = Liquidation(mark_px=99.0, method="market")
    found.add(TAKER, Fill("BTC", 100.0, 1.0, "B", 1_788_264_000_000, "0xab", 1, 1, event), event)
    own, opposite = liquidations_of(found.frame())
    assert own.is_empty()
    assert opposite.is_empty()


# --------------------------------------------------------------------------------- what others make of them


def test_their_share_of_all_liquidations_is_not_known_and_transfer_refuses_them(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    read(store, served, [small_market.addresses[0]])
    coin = stored(store)["coin"][0]
    assert partly_seen(store, coin)
    realised = load_realised(store, venue_named(VENUE), coin)
    assert realised.coverage is None
    assert "coverage_unknown" in [one.code for one in realised.notes]
    assert load_realised(store, venue_named(VENUE), coin, coverage=0.5).coverage == 0.5
    with pytest.raises(MissingData, match="public fills"):
        sample_of(store, venue_named(VENUE), [coin], leverage_model_named("prior"), timedelta(hours=1))


def test_the_provider_s_components_are_asked_once_the_address_book_knows_them(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    assert takers(store) == [LIQUIDATOR]
    find(store, served.base_url, served.base_url, ["vaults"], weight_per_minute=None)
    assert {LIQUIDATOR, small_market.addresses[0]} <= set(takers(store))


def test_an_account_that_cannot_be_read_is_named_and_the_others_are_stored(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    report = read(store, served, ["no address", small_market.addresses[0]])
    assert report.liquidations > 0
    with pytest.raises(PartlyRead):
        report.raise_if_partly()
    with pytest.raises(SourceUnreachable):
        read(store, served, ["no address"])


def test_the_command_reads_named_accounts(run: Run, served: SandboxServer, small_market: Market) -> None:
    asked = ["--accounts", small_market.addresses[0], "--since", "5d", "--weight-per-minute", "0"]
    done: dict[str, Any] = json.loads(
        run("index", "liquidations", "--json", "--base-url", served.base_url, *asked).stdout
    )
    assert (done["accounts"], done["cut"]) == (1, 0)
    assert done["liquidations"] == done["backstops"] + done["in_part"]


def test_no_address_is_one_line(run: Run, tmp_path: Path) -> None:
    assert "0x12" in run("index", "liquidations", "--accounts", "0x12", code=2).stderr
