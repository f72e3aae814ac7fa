"""What the protocol has of late is read for what it is: markets that show it give the positions that others give."""

import asyncio
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from test_public_fills import stored, truth

from liqtruth.heatmap.errors import PartlyRead
from liqtruth.indexer.audit.status import status_of
from liqtruth.indexer.audit.verify import available_by_formula
from liqtruth.indexer.coin.census import read_coin
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.evm.sized import sized_notional
from liqtruth.indexer.evm.sizing import EvmEndpoint, numbers_of, size
from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient, find_dexes, largest_markets
from liqtruth.indexer.info.wire import AssetCtx, decode_meta
from liqtruth.indexer.node.public_fills import PublicLiquidations, read_public
from liqtruth.indexer.positions.accounts import AccountReading, account_mode
from liqtruth.indexer.positions.markets import markets_of, stored_tables
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.sandbox.hyperliquid.protocol import ProtocolParts
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.files.coin_names import is_outcome
from liqtruth.storage.store import Settings, Store
from tests.conftest import Run

QUICK = Patience(attempts=2, total_s=20.0, first_wait_s=0.01, pause_s=0.01)
ACCOUNTS = 150
"""Fewer than are worth asking for batches, and some of every kind."""
NEWER = {name: value for name, value in vars(ProtocolParts.newest()).items() if name != "unnamed"}


def some(server: SandboxServer) -> list[str]:
    return addresses(server.market)[:ACCOUNTS]


def swept(store: Store, server: SandboxServer) -> SweepReport:
    return asyncio.run(
        sweep(
            store,
            some(server),
            base_url=server.base_url,
            dexes=("", "xyz"),
            weight_per_minute=None,
            patience=QUICK,
        )
    )


def known(store: Store) -> pl.DataFrame:
    columns = ("address", "dex", "coin", "szi", "liq_px", "liq_px_solved", "status", "account_mode")
    return Readings(store).known().select(columns).sort("address", "dex", "coin")


def client(server: SandboxServer) -> InfoClient:
    return InfoClient(server.base_url, Budget(None), patience=QUICK)


@pytest.fixture(scope="module")
def plain(running: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("plain"))) as store:
        swept(store, running)
        return known(store)


@pytest.mark.parametrize("part", [*NEWER, "all"])
def test_a_market_that_shows_it_gives_the_same_positions_prices_and_checks(
    store: Store, server: SandboxServer, plain: pl.DataFrame, part: str
) -> None:
    vars(server.protocol).update(NEWER if part == "all" else {part: NEWER[part]})
    report = swept(store, server)
    assert known(store).equals(plain)
    assert report.failed == {}
    assert report.lost_dexes == {}
    assert report.left_out.total == 0
    assert "differ" not in report.statuses


def test_outcomes_are_in_no_coverage_and_no_list_of_markets(store: Store, server: SandboxServer) -> None:
    server.protocol.outcomes = True
    swept(store, server)
    assert not [one.coin for one in status_of(store).coins if is_outcome(one.coin)]
    meta = decode_meta(
        b'{"universe":[{"name":"BTC","szDecimals":5,"maxLeverage":40,"marginTableId":40},'
        b'{"name":"#12","szDecimals":0,"maxLeverage":1,"marginTableId":1}],"marginTables":[]}',
        "a test",
    )
    context = AssetCtx(0.0, 10.0, 0.5, 0.5)
    listed = markets_of(meta, [context, context], "", server.as_of)
    assert listed["coin"].to_list() == ["BTC"], "should they ever be listed, places of others stay"


def test_what_is_in_outcomes_counts_as_the_exchange_counts_it(server: SandboxServer) -> None:
    """The pool keeps its available margin, and the documented sum, which knows no outcomes, is not applied."""

    async def readings() -> tuple[list[AccountReading], list[AccountReading]]:
        async with client(server) as info:
            both = []
            for outcomes in (False, True):
                server.protocol.outcomes = outcomes
                both.append(
                    [
                        AccountReading(
                            one, await info.clearinghouse_state(one), "", "", await info.spot_state(one)
                        )
                        for one in some(server)
                    ]
                )
            return both[0], both[1]

    before, after = asyncio.run(readings())
    pooled = [
        (one, other) for one, other in zip(before, after, strict=True) if account_mode(one) == "unified"
    ]
    assert len(pooled) > 10
    for one, other in pooled:
        assert one.spot is not None
        assert other.spot is not None
        assert (
            one.spot.token_to_available_after_maintenance == other.spot.token_to_available_after_maintenance
        )
    held = [other for _, other in pooled if any(is_outcome(row.coin) for row in other.spot.balances)]  # type: ignore[union-attr]
    assert len(held) > 10
    assert {available_by_formula([one]) for one in held} == {None}


def test_tables_that_meta_does_not_list_are_asked_for_and_kept(store: Store, server: SandboxServer) -> None:
    server.protocol.lists_tables = False
    before = server.requests["marginTable"]
    swept(store, server)
    assert server.requests["marginTable"] - before == 4, "one of each tiered table of the main dex"
    tables, _ = stored_tables(store, [""], server.as_of + timedelta(days=1))
    assert set(tables[""].row_of_id) == {52, 54, 55, 56}, "as HYPE, SOL, ETH and BTC have them"


def test_dexes_keep_their_places_where_others_were_disabled(store: Store, server: SandboxServer) -> None:
    server.protocol.disabled = 2

    async def read() -> tuple[tuple[str, ...], dict[str, int]]:
        async with client(server) as info:
            found = await find_dexes(info, "all")
            sized = await size(
                store, some(server), EvmEndpoint(server.evm_url, 0, patience=QUICK), info, found
            )
            assert sized.unread == 0
            return found, await numbers_of(info, found)

    found, numbers = asyncio.run(read())
    assert found == ("", "xyz")
    assert numbers == {"": 0, "xyz": 3}
    stored_sizes = sized_notional(store, found, server.now, timedelta(minutes=15))
    sizes = {address: usd for address, usd in stored_sizes.select("address", "sized_usd").iter_rows() if usd}
    held = server.true_positions().filter(pl.col("address").is_in(some(server)))
    expected = dict(held.group_by("address").agg(pl.col("notional_usd").sum()).iter_rows())
    assert sizes == pytest.approx(expected, rel=1e-6)


def test_a_builders_coin_is_found_behind_disabled_dexes_that_go_while_the_node_runs(
    store: Store, server: SandboxServer
) -> None:
    async def read() -> None:
        async with client(server) as info:
            endpoint = EvmEndpoint(server.evm_url, 0, patience=QUICK)
            await read_coin(store, "xyz:TSLA", addresses(server.market), endpoint, info)

    asyncio.run(read())
    server.protocol.disabled = 2
    asyncio.run(read())
    found = Readings(store, "xyz:TSLA").known().select("address", "szi").sort("address")
    expected = server.true_positions().filter(coin="xyz:TSLA").select("address", "szi").sort("address")
    assert found.equals(expected)
    assert found.height > 0


# ------------------------------------------------------------------------------------------------ fills


def read(store: Store, server: SandboxServer, accounts: list[str]) -> PublicLiquidations:
    asked = read_public(store, server.base_url, accounts, timedelta(days=30), None, patience=QUICK)
    return asyncio.run(asked)


@pytest.mark.parametrize("side", ["own", "other"])
def test_an_account_that_one_sides_fills_lack_is_named_by_the_other(
    store: Store, server: SandboxServer, side: str
) -> None:
    server.protocol.unnamed, server.protocol.outcomes = side, True
    expected = truth(server.market)
    makers = server.market.addresses[: server.market.hyperliquid.people.makers]
    report = read(store, server, list(dict.fromkeys([*expected["address"], *makers])))
    assert report.unnamed == report.left_out.total == 0
    found = stored(store).group_by("address", backstop=pl.col("method") == "backstop")
    both = expected.join(found.agg(pl.col("notional_usd").sum()), on=["address", "backstop"], how="inner")
    assert both["notional_usd"].to_list() == pytest.approx(both["usd"].to_list(), rel=1e-9)
    assert both.height == expected.height > 0


def test_liquidations_of_nobody_are_counted_and_not_stored(store: Store, server: SandboxServer) -> None:
    server.protocol.unnamed = "both"
    report = read(store, server, [server.market.addresses[0]])
    assert report.unnamed > 0
    assert stored(store).is_empty()
    assert "no named account" in "\n".join(report.describe())


# ------------------------------------------------------------------------------------------------ files


TABLE = "address,coin,szi,entry_px,mark_px,liq_px,leverage,margin_mode,notional_usd,ts\n"
ROW = "0x{0:040x},{1},{2},{3},{3},,5,cross,{4},2026-09-01T00:00:00Z\n"


def test_rows_of_outcomes_are_no_positions(store: Store, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "positions.csv"
    rows = [
        ROW.format(1, "BTC", 0.1, 50_000, 5_000),
        ROW.format(1, "+12", 100, 0.37, 37),
        ROW.format(2, "#13", 5, 0.5, 2.5),
    ]
    path.write_text(TABLE + "".join(rows))
    summaries = import_paths(store, [path])
    assert set(Readings(store).known()["coin"]) == {"BTC"}
    assert "outcomes_passed_over" in {note.code for one in summaries for note in one.notes}
    path.write_text(TABLE + "".join(rows[1:]))
    with pytest.raises((ImportRefused, PartlyRead)):
        import_paths(store, [path])


async def test_the_largest_markets_are_perpetuals(server: SandboxServer) -> None:
    async with client(server) as info:
        assert not [name for name in await largest_markets(info, 20) if is_outcome(name)]
