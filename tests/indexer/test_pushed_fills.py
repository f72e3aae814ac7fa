"""Liquidations that providers push: whole, once, in spans that were listened to, and the key nowhere."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from test_public_fills import stored

from liqtruth.compare.observed.coverage import partly_seen, reported_share, spans_observed
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, LeftOut, PartlyRead
from liqtruth.indexer.doctor import provider_checks
from liqtruth.indexer.doctor.claims import Seen
from liqtruth.indexer.node import pushed_fills
from liqtruth.indexer.node.fill_streams import STREAMS, StreamRefused, pushed, stream_named
from liqtruth.indexer.node.fills import Found, named_by_either, unnamed
from liqtruth.indexer.node.pushed_fills import Listener, PushedLiquidations, listen
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.lake.listening import LISTENING, SPANS
from liqtruth.storage.settings import Secret
from liqtruth.storage.store import Settings, Store
from tests.conftest import Run
from tests.markets import market_of

KEY = "sesame-of-the-stream"
HOUR_S = 3600.0
NAMES = tuple(STREAMS)


@pytest.fixture(scope="module")
def going_on() -> Market:
    """A small market in which accounts are liquidated while it is listened to."""
    return market_of(MarketSpec(seed=9, accounts=300, days=2, cex_accounts=20, live_hours=12))


@pytest.fixture
def live(going_on: Market) -> Iterator[SandboxServer]:
    with serving_in_thread(going_on, weight_per_minute=None) as running:
        running.provider_streams.key = KEY
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    keys = {f"{name}_key": Secret(KEY) for name in NAMES}
    with Store.open(Settings(data_dir=tmp_path / "data", **keys)) as opened:  # type: ignore[arg-type]
        yield opened


def heard(
    store: Store,
    server: SandboxServer,
    name: str,
    happens: Callable[[Listener], None],
    for_s: float = 60.0,
) -> PushedLiquidations:
    """What came while `happens` did, which begins when the stream was subscribed to."""
    stops: list[Callable[[], None]] = []

    def work(listener: Listener) -> None:
        try:
            wait_for(lambda: bool(listener.report.since))
            happens(listener)
        finally:
            stops[0]()

    def ready(listener: Listener) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        stops.append(lambda: loop.call_soon_threadsafe(listener.stop.set))
        assert task is not None
        threading.Thread(target=work, args=(listener,), daemon=True).start()

    url = server.provider_url(name)
    return listen(store, stream_named(name), server.base_url, for_s, url, flush_s=0.2, on_ready=ready)


def wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    ended = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if holds():
            return
        ended.wait(0.02)
    raise AssertionError("it never came")


def advanced(server: SandboxServer, hours: int = 12) -> Callable[[Listener], None]:
    """The hours pass, and everything of them has come."""

    def happens(listener: Listener) -> None:
        for _ in range(hours):
            server.advance(HOUR_S)
        expected = len(forced(server))
        assert expected
        seen = {"alchemy": 2 * trades_after(server), "goldrush": expected, "hydromancer": 2 * expected}
        wait_for(lambda: listener.report.fills >= seen[listener.stream.name])

    return happens


def begins(server: SandboxServer) -> int:
    return server.market.spec.history_minutes


def trades_after(server: SandboxServer) -> int:
    return int((server.market.trades.point > begins(server)).sum())


def forced(server: SandboxServer) -> list[tuple[str, str, float]]:
    """(account, coin, USD) of each forced trade since the server was started."""
    trades, market = server.market.trades, server.market
    rows = zip(trades.liquidated, trades.coin, trades.lots, trades.px, trades.point, strict=True)
    return [
        (market.addresses[victim], market.spec.assets[coin].name, int(lots) * int(px) / 1e6)
        for victim, coin, lots, px, point in rows
        if victim >= 0 and point > begins(server)
    ]


def per_account(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["address", "coin", "usd"], orient="row")
    return frame.group_by("address", "coin").agg(pl.col("usd").sum()).sort("address", "coin")


@pytest.mark.parametrize("name", NAMES)
def test_every_liquidation_that_is_pushed_is_stored_whole_and_once(
    store: Store, live: SandboxServer, name: str
) -> None:
    report = heard(store, live, name, advanced(live))
    truth = per_account(forced(live))
    found = (
        stored(store)
        .group_by("address", "coin")
        .agg(usd=pl.col("notional_usd").sum())
        .sort("address", "coin")
    )
    assert found.select("address", "coin").equals(truth.select("address", "coin"))
    assert found["usd"].to_list() == pytest.approx(truth["usd"].to_list(), rel=1e-9)
    assert report.added == report.liquidations == stored(store).height
    assert report.notional_usd == pytest.approx(truth["usd"].sum())
    assert report.source.startswith("synthetic")
    assert report.left_out.total == 0
    files = [path for path in store.settings.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in "\n".join(report.describe())


def test_the_span_has_what_the_provider_states_and_silence_in_it_is_known(
    store: Store, live: SandboxServer
) -> None:
    report = heard(store, live, "goldrush", advanced(live))
    coin = sorted(report.coins)[0]
    spans = store.lake.read_series(LISTENING, VENUE, coin, SPANS)
    assert set(spans["coverage"]) == {STREAMS["goldrush"].coverage}
    assert not partly_seen(store, coin)
    observed = spans_observed(store, VENUE, coin)
    assert (observed[-1, 1] - observed[0, 0]) / 1000 >= 11 * HOUR_S
    share, stated = reported_share(venue_named("hyperliquid"), spans, None)
    assert share == 1.0
    assert "goldrush" in str(dict(stated.values))


def test_a_lost_connection_ends_the_span_and_the_next_begins_another(
    store: Store, live: SandboxServer
) -> None:
    def happens(listener: Listener) -> None:
        assert live.loop is not None
        (session,) = live.provider_streams.sessions
        live.loop.call_soon_threadsafe(session.cut)
        wait_for(lambda: listener.report.drops > 0)
        wait_for(lambda: any(one.subscriptions for one in live.provider_streams.sessions))
        advanced(live)(listener)

    report = heard(store, live, "hydromancer", happens)
    assert (report.drops, report.connects) == (1, 2)
    coin = sorted(report.coins)[0]
    assert spans_observed(store, VENUE, coin).shape[0] == 1, "nothing was known of this coin before"


def test_who_asks_for_a_sign_gets_one(store: Store, live: SandboxServer) -> None:
    def happens(listener: Listener) -> None:
        assert live.loop is not None
        live.loop.call_soon_threadsafe(live.provider_streams.ask_for_a_sign)
        advanced(live)(listener)

    assert heard(store, live, "hydromancer", happens).left_out.total == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_is_refused_ends_it_with_the_name_of_its_variable(
    tmp_path: Path, live: SandboxServer, name: str
) -> None:
    wrong = {f"{name}_key": Secret("another-" + KEY)}
    with (
        Store.open(Settings(data_dir=tmp_path / "other", **wrong)) as store,  # type: ignore[arg-type]
        pytest.raises(StreamRefused, match=f"LIQTRUTH_{name.upper()}_KEY") as refused,
    ):
        listen(store, stream_named(name), live.base_url, 30.0, live.provider_url(name))
    assert KEY not in str(refused.value)


def test_what_cannot_be_read_costs_itself_only(store: Store, live: SandboxServer) -> None:
    live.faults.spoiled = {"garbage": 0.3}
    report = heard(
        store,
        live,
        "alchemy",
        lambda listener: (
            live.advance(12 * HOUR_S),
            wait_for(lambda: listener.report.left_out.total > 0 and listener.report.fills > 0),
        )[1],
    )  # type: ignore[func-returns-value]
    assert report.left_out.total > 0
    with pytest.raises(PartlyRead):
        report.raise_if_partly()


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_looks_at_those_whose_key_is_set(
    live: SandboxServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_checks, "PATIENCE_S", 1.0)

    def looked(**evidence: Any) -> Seen:
        given: Any = SimpleNamespace(
            **{"provider_keys": {}, "provider_url": live.provider_url(name), **evidence}
        )
        return asyncio.run(provider_checks.answered(STREAMS[name], given))

    assert looked().verdict == "not_seen"
    assert looked(provider_keys={name: KEY}).verdict == "holds"
    refused = looked(provider_keys={name: "another-" + KEY})
    assert refused.verdict == "differs"
    assert KEY not in refused.words


# ------------------------------------------------------------------------------------------ one message


USER, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
NOW_MS = 1_790_000_000_000


def a_fill(**changed: Any) -> dict[str, Any]:
    fill = {
        "coin": "ETH", "px": "2150.5", "sz": "1.5", "side": "A", "time": NOW_MS, "startPosition": "1.5",
        "dir": "Close Long", "closedPnl": "1.0", "hash": "0xabc", "oid": 1, "tid": 2, "fee": "0.1",
        "feeTrialEscrow": "0.0", "liquidation": {"liquidatedUser": USER, "markPx": "2148.0", "method": "market"},
    }  # fmt: skip
    return {**fill, **changed}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "liquidationFills", "channel": "liquidationFills", "seq": 1, "fills": [[USER, a_fill()]]},
        {"channel": "allFills", "data": {"blockNumber": 1, "fills": [[USER, a_fill()]]}},
        {"channel": "userFills", "data": {"fills": [{"user": USER, **a_fill()}]}},
        {"channel": "liquidationFills", "data": [[USER, a_fill()]]},
        {"channel": "builderLiquidations", "liquidations": [[USER, a_fill()]]},
    ],
)
def test_every_documented_shape_is_read(message: dict[str, Any]) -> None:
    left_out = LeftOut()
    ((address, fill),) = pushed(json.dumps(message).encode(), left_out, NOW_MS / 1000).liquidations
    assert (address, fill.coin, fill.sz) == (USER, "ETH", 1.5)
    assert left_out.total == 0


@pytest.mark.parametrize("coin", ["#12", "+12", "PURR/USDC"])
def test_what_is_no_perpetual_and_what_is_no_liquidation_is_none(coin: str) -> None:
    ordinary = {name: value for name, value in a_fill().items() if name != "liquidation"}
    message = {"channel": "allFills", "data": {"fills": [[USER, a_fill(coin=coin)], [OTHER, ordinary]]}}
    read = pushed(json.dumps(message).encode(), LeftOut(), NOW_MS / 1000)
    assert (read.fills, read.liquidations) == (2, [])


def test_a_fill_of_another_time_or_shape_is_left_out_and_the_rest_read() -> None:
    fills = [[USER, a_fill()], [USER, a_fill(time=7)], [USER, {"coin": "ETH"}], 5]
    left_out = LeftOut()
    read = pushed(json.dumps({"fills": fills}).encode(), left_out, NOW_MS / 1000)
    assert len(read.liquidations) == 1
    assert left_out.total == 3


def test_an_account_that_one_side_lacks_is_named_by_the_other() -> None:
    def found(*sides: tuple[str, dict[str, Any]]) -> pl.DataFrame:
        rows = Found()
        fills = [[address, a_fill(liquidation=liquidation)] for address, liquidation in sides]
        for address, fill in pushed(
            json.dumps({"fills": fills}).encode(), LeftOut(), NOW_MS / 1000
        ).liquidations:
            assert fill.liquidation is not None
            rows.add(address, fill, fill.liquidation)
        return rows.frame()

    named = {"liquidatedUser": USER, "markPx": "1", "method": "market"}
    absent = {"markPx": "1", "method": "market"}
    one_side = found((USER, absent), (OTHER, named))
    assert named_by_either(one_side)["own"].to_list() == [True, False]
    assert unnamed(one_side) == 0
    assert unnamed(found((USER, absent), (OTHER, absent))) == 2


# ------------------------------------------------------------------------------------------ the command


def test_the_command_needs_a_known_provider_and_its_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIQTRUTH_GOLDRUSH_KEY", raising=False)
    assert "goldrush" in run("index", "liquidations", "--provider", "nobody", code=2).stderr
    assert "LIQTRUTH_GOLDRUSH_KEY" in run("index", "liquidations", "--provider", "goldrush", code=2).stderr
    both = ("--provider", "goldrush", "--accounts", USER)
    run("index", "liquidations", *both, code=2)


def test_a_key_is_sent_over_no_open_net() -> None:
    with pytest.raises(BadInput):
        STREAMS["goldrush"].shown("http://example.com")


def test_the_command_listens_and_stores(
    run: Run, live: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIQTRUTH_GOLDRUSH_KEY", KEY)
    monkeypatch.setattr(pushed_fills, "FLUSH_S", 0.2)

    def later() -> None:
        wait_for(lambda: any(one.subscriptions for one in live.provider_streams.sessions))
        live.advance(12 * HOUR_S)

    threading.Thread(target=later, daemon=True).start()
    url, base = live.provider_url("goldrush"), live.base_url
    line = (
        "--provider",
        "goldrush",
        "--provider-url",
        url,
        "--base-url",
        base,
        "--for",
        "4s",
        "--quiet",
        "--json",
    )
    done = run("index", "liquidations", *line)
    assert json.loads(done.stdout)["added"] > 0
    assert KEY not in done.stdout + done.stderr
