"""The wire is Hyperliquid's: its identities hold, its formulas give the sandbox's prices, its own SDK reads it."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hyperliquid.info import Info

from liqtruth.sandbox.hyperliquid.info import InfoEndpoint
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import MODE_NAMES
from liqtruth.sandbox.public.record import INTERVAL_MS
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses, true_positions
from tests.sandbox.wire import liquidation_px

Json = Any


@pytest.fixture(scope="module")
def info(market: Market) -> InfoEndpoint:
    return InfoEndpoint(market)


def states(info: InfoEndpoint, dex: str = "") -> list[tuple[str, Json]]:
    asked = {"type": "clearinghouseState", "dex": dex}
    return [(user, info.answer({**asked, "user": user})) for user in addresses(info.market)]


@pytest.mark.parametrize("dex", ["", "xyz"])
@pytest.mark.parametrize("summary", ["marginSummary", "crossMarginSummary"])
def test_account_value_is_the_cash_leg_plus_the_signed_positions(
    info: InfoEndpoint, dex: str, summary: str
) -> None:
    for _, state in states(info, dex):
        holdings = [row["position"] for row in state["assetPositions"]]
        if summary == "crossMarginSummary":
            holdings = [position for position in holdings if position["leverage"]["type"] == "cross"]
        signed = sum(Decimal(p["positionValue"]).copy_sign(Decimal(p["szi"])) for p in holdings)
        shown = state[summary]
        assert Decimal(shown["accountValue"]) == Decimal(shown["totalRawUsd"]) + signed
        assert Decimal(shown["totalNtlPos"]) == sum(Decimal(p["positionValue"]) for p in holdings)
        assert Decimal(shown["totalMarginUsed"]) == sum(Decimal(p["marginUsed"]) for p in holdings)


def test_every_price_follows_from_the_wire_within_a_billionth(info: InfoEndpoint) -> None:
    seen: dict[str, int] = {}
    for dex in ("", "xyz"):
        meta = info.meta(dex)
        for user, state in states(info, dex):
            spot = info.answer({"type": "spotClearinghouseState", "user": user})
            mode = info.book.abstraction(user)
            for position in (row["position"] for row in state["assetPositions"]):
                computed, shown = liquidation_px(position, state, spot, meta), position["liquidationPx"]
                assert (computed is None) == (shown is None)
                if computed is not None:
                    assert float(computed) == pytest.approx(float(shown), rel=1e-9)
                seen[mode] = seen.get(mode, 0) + 1
    assert set(seen) == set(MODE_NAMES)
    assert min(seen.values()) >= 3


def test_the_wire_holds_the_true_positions_and_no_others(info: InfoEndpoint) -> None:
    truth = {(row["address"], row["coin"]): row for row in true_positions(info.market).to_dicts()}
    shown = {
        (user, row["position"]["coin"]): row["position"]
        for dex in ("", "xyz")
        for user, state in states(info, dex)
        for row in state["assetPositions"]
    }
    assert shown.keys() == truth.keys()
    for key, position in shown.items():
        assert float(position["szi"]) == truth[key]["szi"]
        assert float(position["positionValue"]) == pytest.approx(truth[key]["notional_usd"], rel=1e-12)
        price = position["liquidationPx"]
        assert (None if price is None else float(price)) == truth[key]["liq_px"]


def test_open_interest_is_what_the_longs_hold(info: InfoEndpoint) -> None:
    for dex in ("", "xyz"):
        meta, contexts = info.answer({"type": "metaAndAssetCtxs", "dex": dex})
        longs = {asset["name"]: Decimal(0) for asset in meta["universe"]}
        for _, state in states(info, dex):
            for position in (row["position"] for row in state["assetPositions"]):
                longs[position["coin"]] += max(Decimal(position["szi"]), Decimal(0))
        assert [Decimal(context["openInterest"]) for context in contexts] == list(longs.values())


def isolated_margin(info: InfoEndpoint, user: str) -> Decimal:
    """What a user's isolated positions have posted, on both dexes."""
    asked = {"type": "clearinghouseState", "user": user}
    holdings = [row for dex in ("", "xyz") for row in info.answer({**asked, "dex": dex})["assetPositions"]]
    alone = [row["position"] for row in holdings if row["position"]["leverage"]["type"] == "isolated"]
    return sum((Decimal(position["marginUsed"]) for position in alone), Decimal(0))


def test_a_pooled_account_shows_its_equity_in_the_spot_state_only(info: InfoEndpoint) -> None:
    pooled = [user for user in addresses(info.market) if info.book.abstraction(user) == "unifiedAccount"]
    gaps = 0
    for user in pooled:
        state = info.answer({"type": "clearinghouseState", "user": user})
        spot = info.answer({"type": "spotClearinghouseState", "user": user})
        equity = Decimal(spot["balances"][0]["total"]) - isolated_margin(info, user)
        left = Decimal(dict(spot["tokenToAvailableAfterMaintenance"])[0])
        assert float(left) == pytest.approx(
            float(equity - Decimal(state["crossMaintenanceMarginUsed"])), abs=1e-6
        )
        gaps += Decimal(state["crossMarginSummary"]["accountValue"]) < equity
    assert gaps > len(pooled) // 2


def test_portfolio_margin_counts_hype_at_three_quarters_of_its_oracle_price(info: InfoEndpoint) -> None:
    contexts = info.answer({"type": "metaAndAssetCtxs"})
    names = [asset["name"] for asset in contexts[0]["universe"]]
    oracle = Decimal(contexts[1][names.index("HYPE")]["oraclePx"])
    users = [user for user in addresses(info.market) if info.book.abstraction(user) == "portfolioMargin"]
    for user in users:
        spot = info.answer({"type": "spotClearinghouseState", "user": user})
        due = Decimal(info.answer({"type": "clearinghouseState", "user": user})["crossMaintenanceMarginUsed"])
        usdc, hype = (Decimal(row["total"]) for row in spot["balances"])
        expected = usdc - isolated_margin(info, user) - due + hype * oracle * 3 / 4
        left = Decimal(dict(spot["tokenToAvailableAfterMaintenance"])[0])
        assert float(left) == pytest.approx(float(expected), abs=1e-6)
    assert len(users) >= 3


def test_candles_of_any_interval_tile_the_same_path(info: InfoEndpoint) -> None:
    def candles(interval: str) -> Json:
        end = info.market.as_of_ms
        return info.answer(
            {
                "type": "candleSnapshot",
                "req": {"coin": "ETH", "interval": interval, "startTime": 0, "endTime": end},
            }
        )

    hours, days = candles("1h"), candles("1d")
    assert len(days) == info.market.spec.days
    assert [row["o"] for row in days] == [row["o"] for row in hours[::24]]
    assert sum(Decimal(row["v"]) for row in days) == sum(Decimal(row["v"]) for row in hours)
    assert all(
        float(row["l"]) <= min(float(row["o"]), float(row["c"])) <= float(row["h"]) for row in hours + days
    )
    assert len(candles("1m")) == 5000
    assert all(candles(name) for name in set(INTERVAL_MS) - {"6h"})


def test_funding_comes_in_pages_of_five_hundred_from_the_start(large_market: Market) -> None:
    info = InfoEndpoint(large_market)
    rows = info.answer({"type": "fundingHistory", "coin": "SOL", "startTime": 0})
    assert len(rows) == min(500, 24 * large_market.spec.days + 1)
    steps = {later["time"] - row["time"] for row, later in pairwise(rows)}
    assert steps == {3_600_000}
    assert all(abs(float(row["fundingRate"])) < 0.04 for row in rows)


def test_recent_trades_name_known_addresses(info: InfoEndpoint) -> None:
    rows = info.answer({"type": "recentTrades", "coin": "BTC"})
    assert 0 < len(rows) <= 10
    assert {user for row in rows for user in row["users"]} <= set(addresses(info.market))
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)


def test_an_unknown_address_has_an_empty_account(info: InfoEndpoint) -> None:
    state = info.answer({"type": "clearinghouseState", "user": "0x" + "0" * 40})
    assert state["assetPositions"] == []
    assert state["marginSummary"]["accountValue"] == "0.0"


def test_a_plain_client_reads_an_account(server: SandboxServer) -> None:
    row = true_positions(server.market).row(0, named=True)
    asked = {"type": "clearinghouseState", "user": row["address"], "dex": row["dex"]}
    answer = httpx.post(f"{server.base_url}/info", json=asked)
    holdings = {entry["position"]["coin"]: entry["position"] for entry in answer.json()["assetPositions"]}
    assert float(holdings[row["coin"]]["szi"]) == row["szi"]
    assert "synthetic" in answer.headers["server"]


def test_the_exchanges_own_sdk_reads_it(server: SandboxServer) -> None:
    sdk = Info(server.base_url, skip_ws=True, perp_dexs=["", "xyz"], timeout=120)
    row = true_positions(server.market).filter(dex="").row(0, named=True)
    holdings = {
        entry["position"]["coin"]: entry["position"]
        for entry in sdk.user_state(row["address"])["assetPositions"]
    }
    assert float(holdings[row["coin"]]["szi"]) == row["szi"]
    assert sdk.name_to_asset("xyz:TSLA") == 110000
    assert [dex and dex["name"] for dex in sdk.perp_dexs()] == [None, "xyz"]
    assert float(sdk.all_mids()[row["coin"]]) == row["mark_px"]
    meta, contexts = sdk.meta_and_asset_ctxs()
    assert [asset["name"] for asset in meta["universe"]] == list(server.market.spec.coins)
    assert len(contexts) == 4
    end = server.market.as_of_ms
    assert len(sdk.candles_snapshot("BTC", "1h", end - 24 * 3_600_000, end - 1)) == 24
    assert len(sdk.funding_history("BTC", end - 5 * 3_600_000)) == 6
    assert "balances" in sdk.spot_user_state(row["address"])
    assert sdk.query_user_abstraction_state(row["address"]) == row["account_mode"]
    sdk.session.close()
