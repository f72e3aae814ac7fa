"""One coin of everyone through HyperEVM: solved prices equal the truth, intervals hold it, other units are not used."""

import asyncio
import json
from collections.abc import Iterator

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.indexer.audit.status import status_of
from liqtruth.indexer.coin.census import CoinRead, read_coin
from liqtruth.indexer.coin.solved import HELD, intervals_of, positions_of
from liqtruth.indexer.evm import holdings
from liqtruth.indexer.evm.client import NodeBehind
from liqtruth.indexer.evm.sizing import EvmEndpoint, SizesRefused
from liqtruth.indexer.frames import conform
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import decode_meta
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.positions.intervals import stored_intervals
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.sweep.crawl import read_account
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.hyperliquid.evm import EvmNode
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.lake.latest import LatestKnown
from liqtruth.storage.store import Store
from tests.conftest import Run

QUICK = Patience(attempts=4, total_s=5.0, first_wait_s=0.01, pause_s=0.01)
COINS = ("BTC", "HYPE", "xyz:TSLA")


@pytest.fixture(autouse=True)
def node(served: SandboxServer) -> Iterator[EvmNode]:
    yield served.evm_node
    vars(served.evm_node).update(vars(EvmNode()))


def read(
    store: Store, served: SandboxServer, coin: str = "BTC", addresses: list[str] | None = None
) -> CoinRead:
    async def run() -> CoinRead:
        async with InfoClient(served.base_url, Budget(None)) as info:
            evm = EvmEndpoint(served.evm_url, None, patience=QUICK)
            return await read_coin(store, coin, addresses or list(served.market.addresses), evm, info)

    return asyncio.run(run())


def beside_truth(store: Store, served: SandboxServer, coin: str) -> pl.DataFrame:
    truth = (
        served.true_positions()
        .filter(coin=coin)
        .select(
            "address",
            true_szi="szi",
            true_px="liq_px",
            true_mode="account_mode",
            true_leverage="max_leverage",
        )
    )
    return Readings(store, coin).known().join(truth, on="address", how="full", coalesce=True)


def listed_leverage(served: SandboxServer, coin: str) -> int:
    column = served.market.coin_index(coin)
    assert column is not None
    return int(served.market.hyperliquid.rules.margin.max_leverage[column])


@pytest.mark.parametrize("coin", COINS)
def test_simple_accounts_are_solved_and_intervals_hold_all_others(
    store: Store, served: SandboxServer, coin: str
) -> None:
    """Cross, isolated, several coins, a builder dex, pools. A position under an older margin table (one in a hundred
    here) shows it nowhere on HyperEVM: its price is off by the difference of the maintenance rates, no more."""
    report = read(store, served, coin).report
    rows = beside_truth(store, served, coin)
    assert rows["szi"].to_list() == rows["true_szi"].to_list()
    assert report.problems == ()
    solved = rows.filter(pl.col("status").is_in(["solved_only", "never"]))
    of_listed = pl.col("true_leverage") == listed_leverage(served, coin)
    error = (pl.col("liq_px") / pl.col("true_px") - 1).abs()
    for part, most in ((solved.filter(of_listed), 1e-6), (solved.filter(~of_listed), 0.02)):
        assert (part["liq_px"].is_null() == part["true_px"].is_null()).all()
        assert part.select((error.fill_null(0.0) <= most).all()).item()
    assert solved.filter(of_listed).height > 0.3 * rows.height
    waiting = stored_intervals(store, rows.drop("true_px"))
    assert waiting.height + solved.height == rows.height
    both = waiting.join(rows.select("address", "true_px"), on="address")
    apart = 1e-9
    inside = (pl.col("true_px") >= pl.col("low_px") * (1 - apart)) & (
        pl.col("true_px") <= pl.col("high_px") * (1 + apart)
    )
    held = pl.when(pl.col("true_px").is_null()).then("may_be_never").otherwise(inside)
    assert both.select(held.all()).item()


def test_accounts_of_every_kind_are_among_those_compared_with_the_truth(
    store: Store, served: SandboxServer
) -> None:
    read(store, served)
    rows = beside_truth(store, served, "BTC")
    priced = pl.col("liq_px").is_not_null()
    assert set(rows.filter(priced)["margin_mode"]) == {"cross", "isolated"}
    waits = rows.filter(pl.col("status") == "unknown_collateral")
    assert {"unifiedAccount", "portfolioMargin", "default"} <= set(waits["true_mode"])


def test_no_cross_position_of_a_pool_is_solved(store: Store, served: SandboxServer) -> None:
    """Its equity is elsewhere, and HyperEVM does not say that it is a pool."""
    for coin in COINS:
        read(store, served, coin)
        rows = beside_truth(store, served, coin).filter(
            pl.col("true_mode").is_in(["unifiedAccount", "portfolioMargin"]), margin_mode="cross"
        )
        assert (rows["status"] == "unknown_collateral").all()


def test_the_map_counts_what_waits_and_books_only_what_is_solved(store: Store, served: SandboxServer) -> None:
    report = read(store, served).report
    drawn = exact_map(store, "BTC")
    assert drawn.coverage is not None
    assert sum(drawn.coverage.unknown_usd) == pytest.approx(report.waiting["notional_usd"].sum(), rel=1e-9)
    assert sum(drawn.total_usd) == pytest.approx(sum(report.solved_usd), rel=1e-9)
    [waits] = [one for one in drawn.coverage.notes if one.code == "known_to_an_interval"]
    assert 0 <= waits.values["least"] <= waits.values["most"] <= waits.values["usd"]


def test_whoever_is_known_by_one_position_alone_is_not_counted_as_read(
    store: Store, served: SandboxServer
) -> None:
    read(store, served)
    status = status_of(store)
    assert status.accounts_read == 0
    assert status.by_positions == Readings(store).known()["address"].n_unique() > 0
    assert status.positions == Readings(store).known().height


def test_what_is_known_now_is_merged_by_whoever_read_the_coin(store: Store, served: SandboxServer) -> None:
    read(store, served)
    assert LatestKnown.of(store.lake, VENUE) is not None


def test_what_the_info_endpoint_read_just_before_stands_until_the_size_changes(
    store: Store, served: SandboxServer
) -> None:
    before = read(store, served)
    some = before.waiting["address"].head(9).to_list()
    asyncio.run(sweep(store, some, base_url=served.base_url, weight_per_minute=None))
    again = read(store, served)
    assert len(some) == 9
    assert again.report.waiting.height == before.report.waiting.height - 9
    known = Readings(store, "BTC").known().filter(pl.col("address").is_in(some))
    assert known["exchange_read"].all()
    assert sum(again.report.read_usd) == pytest.approx(known["notional_usd"].sum())


def test_what_the_info_endpoint_reads_while_others_are_asked_for_stands_in_the_census(
    store: Store, served: SandboxServer
) -> None:
    """Of accounts that were shown to wait, as a check reads them; one of them has closed its position by then."""
    readings = list[AccountReading]()

    async def read_some(info: InfoClient, waiting: list[str]) -> None:
        for address in waiting:
            readings.extend(await read_account(info, address, {"": 0}, "test", None, 0.0))
        closed = msgspec.structs.replace(readings[-1].state, asset_positions=[])
        readings[-1] = msgspec.structs.replace(readings[-1], state=closed)

    async def run() -> CoinRead:
        async with InfoClient(served.base_url, Budget(None)) as info:
            evm, everyone = EvmEndpoint(served.evm_url, None, patience=QUICK), list(served.market.addresses)
            waiting = (
                (await read_coin(store, "BTC", everyone, evm, info)).waiting["address"].head(5).to_list()
            )
            await read_some(info, waiting)
            return await read_coin(store, "BTC", everyone, evm, info, meanwhile=lambda: readings)

    report = asyncio.run(run()).report
    *some, closed = [reading.address for reading in readings]
    known = beside_truth(store, served, "BTC").filter(pl.col("address").is_in([*some, closed]))
    [gone] = known.filter(address=closed).to_dicts()
    assert gone["szi"] is None
    rest = known.filter(pl.col("address") != closed)
    assert rest["exchange_read"].all()
    assert rest.select((pl.col("liq_px") / pl.col("true_px") - 1).abs().max()).item() <= 1e-9
    assert not set(report.waiting["address"]) & {*some, closed}


def test_who_was_not_asked_stands_as_before(store: Store, served: SandboxServer, node: EvmNode) -> None:
    """A stop after the first part, as Ctrl-C sets it."""
    first = read(store, served)

    async def run() -> CoinRead:
        stop = asyncio.Event()
        stop.set()
        async with InfoClient(served.base_url, Budget(None)) as info:
            evm = EvmEndpoint(served.evm_url, None, patience=QUICK)
            return await read_coin(store, "BTC", list(served.market.addresses), evm, info, stop=stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holdings, "TOGETHER", 50)
        cut = asyncio.run(run())
    assert cut.report.unread == cut.report.asked - 50
    assert sorted(cut.positions["address"]) == sorted(first.positions["address"])
    assert cut.report.waiting.height == first.report.waiting.height


def test_what_came_before_the_node_was_gone_is_stored(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    def gone(positions: pl.DataFrame, asked: int) -> None:
        node.gas_cap = 30_000

    async def run() -> CoinRead:
        async with InfoClient(served.base_url, Budget(None)) as info:
            evm = EvmEndpoint(served.evm_url, None, patience=QUICK)
            return await read_coin(store, "BTC", list(served.market.addresses), evm, info, on_part=gone)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holdings, "TOGETHER", 50)
        cut = asyncio.run(run())
    assert cut.report.unread == cut.report.asked - 50
    assert "out of gas" in cut.report.problems[0]
    truth = served.true_positions().filter(pl.col("address").is_in(served.market.addresses[:50]), coin="BTC")
    assert sorted(Readings(store, "BTC").known()["address"]) == sorted(truth["address"])


def test_sizes_in_another_unit_are_not_used(store: Store, served: SandboxServer, node: EvmNode) -> None:
    node.lot_scale = 10
    with pytest.raises(SizesRefused):
        read(store, served)
    assert Readings(store, "BTC").known().is_empty()


def test_money_in_another_unit_solves_nothing_and_one_line_says_what_differs(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    node.isolated_scale = 100
    report = read(store, served).report
    assert len(report.problems) == 1
    assert "isolatedRawUsd" in report.problems[0]
    solved = Readings(store, "BTC").known().filter(pl.col("status") != "unknown_collateral")
    assert set(solved["margin_mode"]) == {"cross"}


def test_a_list_that_has_another_coin_at_that_place_is_refused(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    node.perp_shift = 1
    with pytest.raises(SizesRefused, match="perpAssetInfo"):
        read(store, served)


def test_a_node_that_stands_still_gives_no_positions(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    node.lag_blocks = 36_000
    with pytest.raises(NodeBehind):
        read(store, served)


def test_the_command_prices_what_it_can_and_reads_the_rest(run: Run, served: SandboxServer) -> None:
    asked = ["index", "coin", "BTC", "--base-url", served.base_url, "--evm-requests-per-minute", "0"]
    shown = json.loads(run(*asked, "--weight-per-minute", "0", "--coverage", "30", "-o", "-").stdout)
    assert shown["ended"] == "coverage"
    assert min(shown["priced"]) >= 0.3
    assert shown["evm"]["unread"] == 0
    again = json.loads(run(*asked, "--weight-per-minute", "0", "--coverage", "30", "-o", "-").stdout)
    assert again["evm"] is None
    assert again["priced"] == pytest.approx(shown["priced"])


# ------------------------------------------------------------------------------------------- bounds, any account

META = b"""{"universe": [{"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56}],
  "marginTables": [[56, {"description": "", "marginTiers": [
    {"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "1000000.0", "maxLeverage": 20}]}]],
  "collateralToken": 0}"""
TABLES = MarginTables.from_meta(decode_meta(META, "a test"))
MARK = 80_000.0
usd = st.floats(0.0, 1e6)


@given(
    szi=st.floats(0.01, 20.0),
    long=st.booleans(),
    equity=st.floats(1.0, 3e6),
    isolated=usd,
    cross_margin=usd,
    needs=st.floats(0.0, 0.5),
    pool=st.booleans(),
    beyond=usd,
)
def test_bounds_hold_for_whatever_the_rest_of_an_account_is(
    szi: float,
    long: bool,
    equity: float,
    isolated: float,
    cross_margin: float,
    needs: float,
    pool: bool,
    beyond: float,
) -> None:
    """The truth is made first: cross equity, isolated equity of others, maintenance of other cross positions as a share
    of the margin that they use, and what a pool has beyond the dex."""
    from liqtruth.indexer.margin.solver import solve_liquidation_price

    signed, own = (szi if long else -szi), szi * MARK / 10
    used = own + cross_margin + isolated
    shown = min(equity, own + cross_margin) if pool else equity
    real = equity + beyond if pool and equity >= own + cross_margin else equity
    constant = real - needs * cross_margin - signed * MARK
    row = TABLES.rows_of(pl.Series(["BTC"]), pl.Series([None], dtype=pl.Float64))
    [truth] = solve_liquidation_price(np.array([signed]), np.array([constant]), row, TABLES)
    held = conform(
        pl.DataFrame(
            {
                "address": ["0x1"],
                "szi": [signed],
                "mark_px": [MARK],
                "notional_usd": [szi * MARK],
                "leverage": [10.0],
                "is_isolated": [False],
                "account_value_usd": [shown + isolated],
                "margin_used_usd": [used],
                "account_notional_usd": [szi * MARK + 1.0],
                "is_alone": [False],
            }
        ),
        HELD,
    )
    positions = positions_of(held, "BTC", "", TABLES, "a test")
    assert positions["status"].to_list() == ["unknown_collateral"]
    [found] = intervals_of(held, positions, TABLES).to_dicts()
    if np.isnan(truth):
        bankrupt_short = not long and constant <= 0
        assert found["low_px"] == 0 if bankrupt_short else found["may_be_never"]
    else:
        assert found["low_px"] * (1 - 1e-9) <= truth <= found["high_px"] * (1 + 1e-9)
