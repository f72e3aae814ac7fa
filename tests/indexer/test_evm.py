"""HyperEVM: sizes equal the truth, batches adapt, a bad read costs itself, and what differs is not used."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import pytest
from aiohttp import web
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput, SourceUnreachable
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.evm.abi import (
    ACCOUNT_MARGIN_SUMMARY,
    AGGREGATE3,
    MARK_PX,
    POSITION_2,
    BrokenAnswer,
    Once,
    address_words,
    decoded,
    encoded,
    number_words,
)
from liqtruth.indexer.evm.batches import Answers, BatchReader
from liqtruth.indexer.evm.client import EvmClient, NodeBehind, RequestRefused, evm_budget
from liqtruth.indexer.evm.sized import sized_notional
from liqtruth.indexer.evm.sizing import (
    TURN_S,
    EvmEndpoint,
    SizeReport,
    SizesRefused,
    could_hold,
    size,
)
from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, from_columns
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.sweep.largest import Endpoint, LargestReport, read_largest
from liqtruth.indexer.sweep.report import Sight
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.indexer.watch.crawl_queue import CrawlQueue
from liqtruth.indexer.watch.run import highest_rate
from liqtruth.indexer.watch.watch import Watch
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.hyperliquid.evm import EvmNode
from liqtruth.sandbox.market.market import MarketSpec
from liqtruth.sandbox.market.population import MODE_NAMES
from liqtruth.sandbox.market.venue import VenueResult
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Store
from tests.conftest import Run
from tests.loopback import answering
from tests.markets import market_of

T = TypeVar("T")
QUICK = Patience(attempts=4, total_s=5.0, first_wait_s=0.01, pause_s=0.01)
INT64 = st.integers(-(2**63), 2**63 - 1)
UINT63 = st.integers(0, 2**63 - 1)
EMPTY = [f"0x{number:040x}" for number in range(1, 400)]
"""Accounts that nobody has."""


# ------------------------------------------------------------------------------------------------- coding


@given(st.lists(st.tuples(st.binary(min_size=20, max_size=20), st.integers(0, 2**32 - 1)), max_size=9))
def test_a_batch_is_what_the_reference_encodes(users: list[tuple[bytes, int]]) -> None:
    """eth-abi, which encodes each call by itself, is the reference."""
    who = address_words(["0x" + user.hex() for user, _ in users])
    arguments = np.concatenate([who, number_words(np.array([perp for _, perp in users], np.int64))], axis=1)
    calls = [(f"0x{0x809:040x}", True, b"")] + [
        (f"0x{0x813:040x}", True, encode(["address", "uint32"], [user, perp])) for user, perp in users
    ]
    assert encoded(POSITION_2.address, arguments) == AGGREGATE3 + encode(["(address,bool,bytes)[]"], [calls])


def returned(block: int, results: list[tuple[bool, bytes]]) -> bytes:
    return encode(["(bool,bytes)[]"], [[(True, encode(["uint64"], [block])), *results]])


SUMMARY = ["int64", "uint64", "uint64", "int64"]


@given(st.integers(0, 2**40), st.lists(st.tuples(INT64, UINT63, UINT63, INT64, st.booleans()), max_size=9))
def test_answers_are_decoded_as_they_were_encoded_and_failed_ones_are_not_read(
    block: int, rows: list[tuple[int, int, int, int, bool]]
) -> None:
    content = returned(block, [(went, encode(SUMMARY, row) if went else b"") for *row, went in rows])
    batch = decoded(content, len(rows), ACCOUNT_MARGIN_SUMMARY.signed)
    assert batch.block == block
    assert batch.is_read.tolist() == [went for *_, went in rows]
    assert batch.values.tolist() == [row if went else [0] * 4 for *row, went in rows]


@pytest.mark.parametrize(
    "wrong", [b"\1", encode(["int256"] * 4, [2**63, 0, 0, 0]), encode(SUMMARY, [0, 2**64 - 1, 0, 0])]
)
def test_a_result_of_another_length_or_beyond_its_type_costs_itself(wrong: bytes) -> None:
    good = encode(SUMMARY, [-1, 2, 3, 4])
    batch = decoded(
        returned(7, [(True, good), (True, wrong), (True, good)]), 3, ACCOUNT_MARGIN_SUMMARY.signed
    )
    assert batch.is_read.tolist() == [True, False, True]
    assert batch.values.tolist() == [[-1, 2, 3, 4], [0] * 4, [-1, 2, 3, 4]]


@given(st.data())
def test_no_bytes_make_the_decoder_fail_otherwise_than_by_refusing_them(data: st.DataObject) -> None:
    whole = bytearray(returned(7, [(True, encode(SUMMARY, [-1, 2, 3, 4]))] * 3))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        batch = decoded(bytes(whole[:cut]), 3, ACCOUNT_MARGIN_SUMMARY.signed)
    except BrokenAnswer:
        return
    assert batch.values.shape == (3, 4)


# ------------------------------------------------------------------------------------------------- batches


def asked(url: str, act: Callable[[EvmClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with EvmClient(url, Budget(None), 5.0, 2, QUICK) as client:
            return await act(client)

    return asyncio.run(run())


def read_margins(
    served: SandboxServer, dexes: list[int], addresses: list[str], size: int = 200
) -> tuple[Answers, BatchReader]:
    async def act(client: EvmClient) -> tuple[Answers, BatchReader]:
        reader = BatchReader(client, size)
        arguments = np.concatenate([number_words(np.array(dexes)), address_words(addresses)], axis=1)
        return await reader.read(ACCOUNT_MARGIN_SUMMARY, arguments), reader

    return asked(served.evm_url, act)


@pytest.fixture(autouse=True)
def node(served: SandboxServer) -> Iterator[EvmNode]:
    """How the sandbox's node behaves, as a test may change it; it and the way to it are as before after each."""
    served.requests.clear()
    yield served.evm_node
    served.faults = Faults()
    vars(served.evm_node).update(vars(EvmNode()))


def test_a_node_that_takes_less_is_asked_for_less(served: SandboxServer, node: EvmNode) -> None:
    """A read costs 17,480 gas here, so 400,000 take 21."""
    node.gas_cap = 400_000
    answers, reader = read_margins(served, [0] * len(EMPTY), EMPTY)
    assert answers.is_read.all()
    assert 1 < reader.size <= 21
    assert served.requests["/evm"] < 4 * len(EMPTY) / 21


def test_a_node_that_takes_more_is_asked_for_more(served: SandboxServer) -> None:
    _, reader = read_margins(served, [0] * len(EMPTY), EMPTY, size=20)
    assert reader.size > 40
    assert reader.refused == 0


def test_a_read_that_burns_the_gas_of_its_batch_costs_itself_only(served: SandboxServer) -> None:
    """No dex has that number. The size stays as it was: it was not the size."""
    dexes = [0] * len(EMPTY)
    dexes[123] = 77
    answers, reader = read_margins(served, dexes, EMPTY)
    assert np.flatnonzero(~answers.is_read).tolist() == [123]
    assert reader.size >= 200


def test_a_node_that_runs_nothing_is_given_up(served: SandboxServer, node: EvmNode) -> None:
    node.gas_cap = 30_000
    with pytest.raises(SourceUnreachable, match="out of gas"):
        read_margins(served, [0] * len(EMPTY), EMPTY)
    assert served.requests["/evm"] < 60


def test_what_a_node_that_lags_behind_another_one_says_is_not_used(
    served: SandboxServer, node: EvmNode
) -> None:
    """It answers every time here, so that the batch is given up; a little is the order in which answers come."""

    async def act(client: EvmClient) -> list[tuple[bool, int]]:
        reader, found = BatchReader(client), []
        arguments = np.concatenate([number_words(np.array([0])), address_words(EMPTY[:1])], axis=1)
        for node.lag_blocks in (0, 20, 0, 500, 0):
            answers = await reader.read(ACCOUNT_MARGIN_SUMMARY, arguments)
            found.append((bool(answers.is_read.all()), reader.behind))
        return found

    read, behind = zip(*asked(served.evm_url, act), strict=True)
    assert read == (True, True, True, False, True)
    assert behind[:3] == (0, 0, 0)
    assert behind[3] == behind[4] > 0


def test_a_node_that_stands_still_is_not_used(store: Store, served: SandboxServer, node: EvmNode) -> None:
    """Alone at its address, so that only the exchange's clock shows it: a block is a tenth of a second here."""
    node.lag_blocks = 3_000
    with pytest.raises(NodeBehind, match="300 s behind"):
        sized(store, served, list(served.market.addresses))
    assert sized_notional(store, [""], served.now, timedelta(minutes=15)).is_empty()
    node.lag_blocks = 100
    assert sized(store, served, list(served.market.addresses)).unread == 0


def test_what_is_read_once_a_batch_is_of_its_block(served: SandboxServer) -> None:
    """Marks of both coins beside accounts, in batches that are refused and halved."""
    served.evm_node.gas_cap = 400_000

    async def act(client: EvmClient) -> Answers:
        arguments = np.concatenate(
            [number_words(np.zeros(400, np.int64))[: len(EMPTY)], address_words(EMPTY)], axis=1
        )
        marks = [Once(MARK_PX.address, number_words(np.array([perp]))) for perp in (0, 1)]
        return await BatchReader(client).read(ACCOUNT_MARGIN_SUMMARY, arguments, once=marks)

    answers = asked(served.evm_url, act)
    assert answers.is_read.all()
    assert (answers.once == served.market.path.mark_units[-1, :2]).all()


def test_faults_on_the_way_are_asked_again(served: SandboxServer) -> None:
    served.faults = Faults(rate_500=0.1, rate_truncated=0.1, rate_429=0.1, rate_html=0.05, seed=3)
    answers, _ = read_margins(served, [0] * len(EMPTY), EMPTY, size=40)
    assert answers.is_read.all()
    assert sum(served.faults.met.values()) > 0


def test_a_node_of_another_chain_is_refused(served: SandboxServer, node: EvmNode) -> None:
    node.chain_id = 1
    with pytest.raises(BadInput, match=r"chain 1; .*999"):
        read_margins(served, [0], EMPTY[:1])


def test_a_chain_without_multicall_is_named() -> None:
    async def answer(request: web.Request) -> web.Response:
        method = (await request.json())["method"]
        return web.json_response({"result": "0x3e7" if method == "eth_chainId" else "0x"})

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/", answer)
        async with answering(app) as url, EvmClient(url, Budget(None), patience=QUICK) as client:
            await client.aggregate(b"", bytes)

    with pytest.raises(RequestRefused, match="no Multicall3"):
        asyncio.run(run())


async def test_its_budget_is_not_the_info_endpoints(store: Store) -> None:
    folder = store.settings.data_dir
    one, other = Budget.shared(960, "http://h:1", folder), evm_budget(100, "http://h:1/evm", folder)
    one.hold(60.0)
    assert [pace.blocked_s() for pace in other._paces] == [0.0, 0.0]


# ------------------------------------------------------------------------------------------------- sizes


def sized(store: Store, served: SandboxServer, addresses: list[str]) -> SizeReport:
    async def run() -> SizeReport:
        async with InfoClient(served.base_url, Budget(None)) as info:
            return await size(
                store, addresses, EvmEndpoint(served.evm_url, None, patience=QUICK), info, ["", "xyz"]
            )

    return asyncio.run(run())


def true_sizes(served: SandboxServer) -> dict[str, float]:
    held = served.true_positions().group_by("address").agg(pl.col("notional_usd").sum())
    return dict(held.iter_rows())


def test_sizes_are_the_true_ones_in_every_dex(store: Store, served: SandboxServer) -> None:
    truth = true_sizes(served)
    report = sized(store, served, [*served.market.addresses, *EMPTY])
    stored = sized_notional(store, ["", "xyz"], served.now, timedelta(minutes=15))
    found = {address: usd for address, usd in stored.select("address", "sized_usd").iter_rows() if usd > 0}
    assert found == pytest.approx(truth, rel=1e-6)
    assert stored.height == len(served.market.addresses) + len(EMPTY)
    assert (report.holders, report.unread, report.left_out) == (len(truth), 0, 0)
    assert report.source.startswith("synthetic")


MAIN_SIZES = pl.DataFrame(
    {
        "address": EMPTY[:300],
        "dex": [""] * 300,
        "account_value_usd": [1.0] + [0.0] * 299,
        "notional_usd": [0.0] * 300,
        "raw_usd": [0.0, -1.0] + [0.0] * 298,
    }
)


@pytest.mark.parametrize("room", [30, 100, 1_000])
def test_who_has_nothing_in_the_main_dex_has_a_turn_in_the_others(room: int) -> None:
    """Whoever has something there, was met in the dex, or was not read in the main dex is asked for each time."""
    always, turns = {EMPTY[0], EMPTY[1], EMPTY[7], *EMPTY[300:]}, list[set[str]]()
    for turn in range(-(-297 // room)):
        asked = could_hold(EMPTY, MAIN_SIZES, {EMPTY[7]}, 1.8e9 + turn * TURN_S, room)
        assert always <= set(asked)
        assert asked == [address for address in EMPTY if address in set(asked)]
        turns.append(set(asked) - always)
    assert set().union(*turns) | always == set(EMPTY)
    assert sum(map(len, turns)) == len(EMPTY) - len(always)
    assert max(map(len, turns)) <= 1.5 * room


def test_amounts_in_another_unit_are_not_used(store: Store, served: SandboxServer, node: EvmNode) -> None:
    node.usd_scale = 100
    with pytest.raises(SizesRefused, match="ntlPos differs from clearinghouseState for 5 of 5 accounts"):
        sized(store, served, list(served.market.addresses))
    assert sized_notional(store, [""], served.now, timedelta(minutes=15)).is_empty()


# ------------------------------------------------------------------------------------------------- order


def read(store: Store, served: SandboxServer, evm: EvmEndpoint | None, target: float = 0.5) -> LargestReport:
    endpoint = Endpoint(served.base_url, served.base_url, weight_per_minute=None, concurrency=4, evm=evm)
    return asyncio.run(read_largest(store, ["BTC"], endpoint, target=target))


def test_who_holds_nothing_of_the_coin_or_is_solved_is_not_read(store: Store, served: SandboxServer) -> None:
    report = read(store, served, EvmEndpoint(served.evm_url, None, patience=QUICK), target=1.1)
    known = served.true_positions().filter(coin="BTC")["address"].is_in(book(store)["address"].to_list())
    assert report.ended == "all"
    waiting = report.coins[0].waiting.height
    assert 0 < report.accounts == waiting < known.sum() < book(store).height


def test_positions_in_another_unit_order_nothing(store: Store, served: SandboxServer, node: EvmNode) -> None:
    """Everyone who holds anything is read then, largest in all coins first."""
    node.lot_scale = 1000
    report = read(store, served, EvmEndpoint(served.evm_url, None, patience=QUICK))
    assert report.sized is not None
    assert report.sized.report is not None
    assert report.accounts == report.sized.report.holders
    assert "exceed the notional of their account" in report.evm_problem


def test_sizes_that_are_not_had_leave_the_order_as_it_was(
    store: Store, served: SandboxServer, node: EvmNode
) -> None:
    node.chain_id = 1
    report = read(store, served, EvmEndpoint(served.evm_url, None, patience=QUICK))
    assert report.ended == "coverage"
    assert "chain 1" in report.describe()[0]


def test_a_sweep_reads_the_largest_first_and_everyone(store: Store, served: SandboxServer) -> None:
    """With one request at a time the order of readings is the order of asking; sizes of one dex come at once."""
    listed = [*served.market.addresses[:60], *EMPTY[:20]]
    seen: list[str] = []

    class Noting(Sight):
        def take(self, readings: Sequence[AccountReading]) -> None:
            seen.append(readings[0].address)
            super().take(readings)

    async def run() -> None:
        evm = EvmEndpoint(served.evm_url, None, patience=QUICK)
        await sweep(
            store,
            listed,
            base_url=served.base_url,
            dexes=[""],
            weight_per_minute=None,
            concurrency=1,
            sight=Noting(["BTC"], 2.0),
            evm=evm,
        )

    asyncio.run(run())
    truth = dict(
        served.true_positions()
        .filter(dex="")
        .group_by("address")
        .agg(pl.col("notional_usd").sum())
        .iter_rows()
    )
    order = list(dict.fromkeys(seen))
    assert sorted(order) == sorted(listed)
    sizes = [truth.get(address, 0.0) for address in order]
    assert sizes == sorted(sizes, reverse=True)


def test_a_watch_expects_what_was_sized(served: SandboxServer) -> None:
    queue = CrawlQueue()
    queue.add([("0xa", ""), ("0xb", ""), ("0xc", "")])
    unknown = queue.candidates(0.0).expected_usd[2]
    note_sizes(queue, {"0xa": (5e6, 0.0), "0xb": (0.0, 0.0)}, 1.0)
    assert queue.candidates(0.0).expected_usd.tolist() == [5e6, 1.0, unknown]


def note_sizes(
    queue: CrawlQueue, found: dict[str, tuple[float, float]], at_s: float, rate: float = 1e-4
) -> int:
    """Notional and cash of each account, sized at `at_s`."""
    held, raw = zip(*found.values(), strict=True)
    ts = pl.Series([int(1000 * at_s)] * len(found)).cast(pl.Datetime("ms", "UTC"))
    rows = pl.DataFrame({"address": list(found), "sized_usd": held, "raw_usd": raw, "ts": ts})
    return queue.note_sizes("", rows, rate)


def test_those_are_sized_first_of_whom_most_is_expected() -> None:
    """By the leaderboard, in all dexes together; who is in no dex yet comes last."""
    queue = CrawlQueue()
    nothing = [None] * 3
    leaders = pl.DataFrame(
        {"address": ["0xa", "0xb", "0xc"], "account_value_usd": [1e4, 1e7, 1e5], "day_pnl_usd": nothing,
         "week_volume_usd": nothing},
        schema_overrides={"day_pnl_usd": pl.Float64, "week_volume_usd": pl.Float64},
    )  # fmt: skip
    queue.add([(address, dex) for address in ("0xa", "0xb", "0xc") for dex in ("", "xyz")], leaders)
    assert queue.largest_first(["0xnew", "0xa", "0xb", "0xc"]) == ["0xb", "0xc", "0xa", "0xnew"]


HOUR = 3600.0
DAY_S = 1_788_000_000.0 // 86400 * 86400


def watched(raw_usd: float, read_s: float) -> CrawlQueue:
    """One account, read with a position of 1 BTC at 100."""
    queue = CrawlQueue()
    when = pl.Series([int(1000 * read_s)]).cast(pl.Datetime("ms", "UTC"))
    pair = {"address": ["0xa"], "dex": [""]}
    accounts = from_columns({**pair, "account_mode": ["standard"]}, ACCOUNTS).with_columns(as_of=when)
    columns = {"coin": ["BTC"], "szi": [1.0], "mark_px": [100.0], "notional_usd": [100.0]}
    queue.note_reads(accounts, from_columns({**pair, **columns}, POSITIONS))
    queue.note_cash([("0xa", "")], np.array([raw_usd]), np.array([read_s]))
    return queue


@pytest.mark.parametrize(
    ("raw_usd", "hours", "dirty"),
    [
        (-50.0, 0.5, False),  # the same
        (-50.5, 0.5, True),  # no funding was paid, so this is something else
        (-50.015, 1.5, False),  # one payment of at most 1 bp of 100 USD, twice that is allowed
        (-50.5, 1.5, True),
        (-30.0, 0.5, True),  # a deposit
        (math.nan, 0.5, False),
    ],
)
def test_cash_that_moved_by_more_than_funding_makes_an_account_dirty(
    raw_usd: float, hours: float, dirty: bool
) -> None:
    """The tape showed nothing. It is as urgent as a trade of as much, until it is read again."""
    queue = watched(-50.0, DAY_S)
    at_s = DAY_S + hours * HOUR
    assert note_sizes(queue, {"0xa": (100.0, raw_usd)}, at_s) == dirty
    seen = queue.candidates(at_s)
    assert (not math.isnan(seen.dirty_since_s[0])) == dirty
    assert (seen.traded_usd[0] > 0) == dirty
    assert note_sizes(queue, {"0xa": (100.0, raw_usd)}, at_s) == 0


def test_sizes_of_before_a_reading_say_nothing_about_it() -> None:
    assert note_sizes(watched(-50.0, DAY_S), {"0xa": (100.0, 900.0)}, DAY_S - 1.0) == 0


def test_a_trade_that_the_tape_missed_is_found_by_sizing_again(store: Store) -> None:
    """Everyone is read, an hour passes without a tape, in which funding is paid, and everyone is sized again: of
    accounts margined per dex whose positions changed all are found, and nobody of whom only funding moved the cash."""
    spec = MarketSpec(seed=5, accounts=200, days=2, live_hours=2)
    with serving_in_thread(market_of(spec), weight_per_minute=None) as served:

        async def run() -> CrawlQueue:
            watch = Watch(store, served.base_url, weight_per_minute=None)
            async with InfoClient(served.base_url, Budget(None)) as info:
                await watch.marks.read(info, [""], watch.book)
                read = [await watch._read(info, (address, "")) for address in served.market.addresses]
                watch._take([one for readings in read for one in readings])
                await asyncio.to_thread(served.advance, 4000)
                await watch.marks.set_clock(info)
                await size(
                    store, list(served.market.addresses), EvmEndpoint(served.evm_url, None), info, [""]
                )
            sizes = sized_notional(store, [""], served.now, timedelta(minutes=15))
            watch.crawl_queue.note_sizes("", sizes, highest_rate(watch.marks.markets, ""))
            return watch.crawl_queue

        before = served.market.hyperliquid
        queue = asyncio.run(run())
        after = served.market.hyperliquid
        addresses = np.array(served.market.addresses)
        main = [asset.dex == "" for asset in served.market.spec.assets]
    standard = np.array([MODE_NAMES[mode] for mode in before.people.mode]) == "default"

    def cash(venue: VenueResult) -> np.ndarray:
        """Without funding: what only trades and transfers move."""
        ledger = venue.ledger
        return ledger.cash + (ledger.isolated_cash + ledger.funding_all_time)[:, main].sum(axis=1)

    traded = set(addresses[standard & (before.ledger.lots != after.ledger.lots)[:, main].any(axis=1)])
    moved = set(addresses[cash(before) != cash(after)])
    dirty = {queue.pairs[row][0] for row in np.flatnonzero(~np.isnan(queue.sizes.dirty_since_s))}
    assert len(traded) > 5
    assert traded <= dirty <= moved
    assert len(dirty) < 0.8 * len(addresses)


def test_the_command_sizes_a_list_and_names_what_is_missing(
    run: Run, served: SandboxServer, tmp_path: Path
) -> None:
    listed = tmp_path / "accounts.txt"
    listed.write_text("\n".join(served.market.addresses))
    asked = ["index", "size", "--base-url", served.base_url, "--evm-requests-per-minute", "0"]
    shown = json.loads(run(*asked, "--addresses", str(listed), "-o", "-", "--weight-per-minute", "0").stdout)
    assert shown["holders"] == len(true_sizes(served))
    assert shown["first_block"] == shown["last_block"]
    assert "no account is known" in run(*asked, code=1).stderr
