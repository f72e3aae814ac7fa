"""Addresses are found where the exchange shows them, and each place is as incomplete as the real one."""

from decimal import Decimal
from typing import Any

import httpx
import polars as pl
import pytest

from liqtruth.sandbox.hyperliquid.directory import account_values, performance
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint
from liqtruth.sandbox.live import market_at
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.market.roles import draw_roles
from liqtruth.sandbox.server import SandboxServer, serving
from liqtruth.sandbox.truth import addresses, true_liquidations, true_positions, true_roles
from tests.markets import market_of

Json = Any


@pytest.fixture(scope="module")
def info(market: Market) -> InfoEndpoint:
    return InfoEndpoint(market)


def of_role(market: Market, role: str) -> pl.DataFrame:
    return true_roles(market).filter(pl.col("role") == role)


def test_the_endpoint_reports_every_accounts_role_as_it_truly_is(info: InfoEndpoint) -> None:
    for row in true_roles(info.market).to_dicts():
        result = info.answer({"type": "userRole", "user": row["address"]})
        assert result["role"] == row["role"]
        assert result.get("data", {}).get("master") == row["master"]
    assert info.answer({"type": "userRole", "user": "0x" + "0" * 40}) == {"role": "missing"}


def test_there_are_vaults_sub_accounts_and_one_liquidator(info: InfoEndpoint) -> None:
    counts = dict(true_roles(info.market)["role"].value_counts().iter_rows())
    assert 20 < counts["subAccount"] < 60
    assert counts["vault"] >= info.market.hyperliquid.people.makers + 2
    liquidator = true_roles(info.market).filter(pl.col("is_liquidator")).to_dicts()
    assert [(row["role"], row["relationship"]) for row in liquidator] == [("vault", "child")]


def test_no_sub_account_or_vault_is_a_master_or_a_leader(info: InfoEndpoint) -> None:
    roles = true_roles(info.market)
    users = set(of_role(info.market, "user")["address"])
    assert set(roles["master"].drop_nulls()) <= users
    led = roles.filter((pl.col("relationship") == "normal") & pl.col("leader").is_not_null())
    assert set(led["leader"]) <= users


def test_users_vaults_hold_nothing_on_the_builder_dex(large_market: Market) -> None:
    vaults = of_role(large_market, "vault").filter(pl.col("relationship") == "normal")["address"].implode()
    holdings = true_positions(large_market).filter(pl.col("address").is_in(vaults))
    assert holdings.height > 0
    assert set(holdings["dex"]) == {""}


def test_the_sub_accounts_of_all_masters_are_all_sub_accounts_with_their_states(info: InfoEndpoint) -> None:
    found = {}
    for user in of_role(info.market, "user")["address"]:
        for child in info.answer({"type": "subAccounts", "user": user}) or []:
            found[child["subAccountUser"]] = child
    assert set(found) == set(of_role(info.market, "subAccount")["address"])
    for user, child in found.items():
        assert child["clearinghouseState"] == info.answer({"type": "clearinghouseState", "user": user})
        assert child["spotState"] == info.answer({"type": "spotClearinghouseState", "user": user})
    master = next(iter(found.values()))["master"]
    second = info.answer({"type": "subAccounts2", "user": master})[0]
    assert [dex for dex, _ in second["dexToClearinghouseState"]] == ["", "xyz"]
    assert info.answer({"type": "subAccounts", "user": next(iter(found))}) is None


def test_the_provider_leads_to_every_market_maker(info: InfoEndpoint) -> None:
    parents = of_role(info.market, "vault").filter(pl.col("relationship") == "parent")
    details = info.answer({"type": "vaultDetails", "vaultAddress": parents["address"][0]})
    makers = addresses(info.market)[: info.market.hyperliquid.people.makers]
    assert details["relationship"] == {"type": "parent", "data": {"childAddresses": makers}}
    assert len(details["followers"]) == 100
    assert (
        info.answer({"type": "clearinghouseState", "user": details["vaultAddress"]})["assetPositions"] == []
    )


def test_followers_of_a_vault_share_its_equity(info: InfoEndpoint) -> None:
    values = dict(zip(addresses(info.market), account_values(info.market), strict=True))
    vaults = of_role(info.market, "vault").filter(pl.col("relationship") == "normal")
    for address in vaults["address"]:
        details = info.answer({"type": "vaultDetails", "vaultAddress": address})
        assert details["followers"][0]["user"] == "Leader"
        shared = sum(float(follower["vaultEquity"]) for follower in details["followers"])
        assert shared == pytest.approx(values.get(address, 0.0))
    assert info.answer({"type": "vaultDetails", "vaultAddress": addresses(info.market)[-1]}) is None


def test_a_newborn_vault_is_summarised_until_it_is_two_hours_old(going_on: Market) -> None:
    def young(minutes: int) -> list[Json]:
        return InfoEndpoint(market_at(going_on, going_on.point + minutes)).answer({"type": "vaultSummaries"})

    assert [vault["name"] for vault in young(59)] == ["Synthetic newborn vault"]
    assert young(60) == []


def test_roles_are_the_same_wherever_the_clock_stands(going_on: Market) -> None:
    assert draw_roles(market_at(going_on, going_on.point + 200)) == draw_roles(going_on)


def test_the_smallest_market_has_roles_too() -> None:
    market = market_of(MarketSpec(accounts=10, days=1, cex_accounts=10))
    assert set(true_roles(market)["role"]) == {"user", "vault", "subAccount"}


async def test_the_leaderboard_lists_a_quarter_of_holders_all_profitable(large_market: Market) -> None:
    async with serving(large_market) as server, httpx.AsyncClient() as client:
        rows = (await client.get(f"{server.base_url}/Mainnet/leaderboard")).json()["leaderboardRows"]
        assert server.weight_spent == 0
    holders = set(true_positions(large_market)["address"])
    listed = [row["ethAddress"] for row in rows]
    assert 0.2 < len(holders & set(listed)) / len(holders) <= 0.25
    assert not set(listed) & {
        *of_role(large_market, "vault")["address"],
        *of_role(large_market, "subAccount")["address"],
    }
    assert all(float(dict(row["windowPerformances"])["allTime"]["pnl"]) > 0 for row in rows)
    values = [float(row["accountValue"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert [name for name, _ in rows[0]["windowPerformances"]] == ["day", "week", "month", "allTime"]


async def test_the_vault_list_names_all_vaults(market: Market) -> None:
    async with serving(market) as server, httpx.AsyncClient() as client:
        rows = (await client.get(f"{server.base_url}/Mainnet/vaults")).json()
    named = {row["summary"]["vaultAddress"] for row in rows}
    assert named == set(of_role(market, "vault")["address"])


def test_profits_of_all_accounts_cancel_in_every_window(market: Market) -> None:
    """What somebody gains on a mark or a fill, somebody else loses."""
    for window, done in performance(market).items():
        assert abs(done.pnl.sum()) < 1e-3, window
        assert done.pnl.max() > 1000
        assert done.volume.sum() > 0


def fills_of(info: InfoEndpoint, user: str) -> list[Json]:
    """All pages, oldest first."""
    fills: list[Json] = []
    while True:
        start = fills[-1]["time"] + 1 if fills else 0
        page = info.answer({"type": "userFillsByTime", "user": user, "startTime": start})
        fills += page
        if len(page) < 2000:
            return fills


def test_fills_lead_to_the_current_position(info: InfoEndpoint) -> None:
    holdings = {(row["address"], row["coin"]): row["szi"] for row in true_positions(info.market).to_dicts()}
    followed = 0
    for user in addresses(info.market)[10:60]:
        sizes: dict[str, Decimal] = {}
        for fill in fills_of(info, user):
            start = Decimal(fill["startPosition"])
            assert sizes.get(fill["coin"], start) == start
            sizes[fill["coin"]] = start + Decimal(fill["sz"]) * (1 if fill["side"] == "B" else -1)
            followed += 1
        assert all(float(size) == holdings.get((user, coin), 0.0) for coin, size in sizes.items())
    assert followed > 100


def test_closing_profit_is_price_over_entry(info: InfoEndpoint) -> None:
    """A position opened by one fill and closed by the next, with nothing between."""
    checked = 0
    for user in addresses(info.market)[10:200]:
        last: dict[str, Json] = {}
        for fill in fills_of(info, user):
            opened = last.get(fill["coin"])
            last[fill["coin"]] = fill
            if opened is None or Decimal(opened["startPosition"]) or fill["sz"] != opened["sz"]:
                continue
            if not fill["dir"].startswith("Close"):
                continue
            sign = 1 if opened["side"] == "B" else -1
            gained = sign * Decimal(fill["sz"]) * (Decimal(fill["px"]) - Decimal(opened["px"]))
            assert Decimal(fill["closedPnl"]) == gained
            checked += 1
    assert checked > 20


def test_every_true_liquidation_is_in_the_fills_of_its_account_and_of_the_other_side(
    info: InfoEndpoint,
) -> None:
    true = true_liquidations(info.market)
    assert true.height > 20
    result: dict[str, float] = {}
    for user in set(true["address"]):
        for fill in fills_of(info, user):
            if fill.get("liquidation", {}).get("liquidatedUser") == user:
                assert fill["dir"].startswith("Liquidated")
                assert fill["liquidation"]["method"] in {"market", "backstop"}
                assert fill["fee"] == "0.0"
                result[user] = result.get(user, 0.0) + float(fill["px"]) * float(fill["sz"])
    expected = dict(true.group_by("address").agg(pl.col("notional_usd").sum()).iter_rows())
    assert result == pytest.approx(expected)
    maker_fills = info.answer({"type": "userFillsByTime", "user": addresses(info.market)[0], "startTime": 0})
    seen = [fill for fill in maker_fills if "liquidation" in fill]
    assert all(fill["liquidation"]["liquidatedUser"] != addresses(info.market)[0] for fill in seen)
    assert seen


def test_fills_come_in_pages_of_two_thousand_and_the_newest_ten_thousand_only(info: InfoEndpoint) -> None:
    maker = addresses(info.market)[0]
    newest = info.answer({"type": "userFills", "user": maker})
    assert len(newest) == 2000
    assert [fill["time"] for fill in newest] == sorted((fill["time"] for fill in newest), reverse=True)
    assert len(info.answer({"type": "userFillsByTime", "user": maker, "startTime": 0})) <= 2000
    assert info.answer({"type": "userFillsByTime", "user": "0x" + "0" * 40, "startTime": 0}) == []


async def test_fills_weigh_one_more_for_every_twenty(served: SandboxServer) -> None:
    async with serving(served.market, weight_per_minute=None) as server, httpx.AsyncClient() as client:
        asked = {"type": "userFills", "user": addresses(server.market)[0]}
        assert len((await client.post(f"{server.base_url}/info", json=asked)).json()) == 2000
        assert server.weight_spent == 120
        await client.post(f"{server.base_url}/info", json={"type": "userRole", "user": asked["user"]})
        assert server.weight_spent == 180


@pytest.mark.parametrize(
    "body",
    [
        {"type": "userFillsByTime"},
        {"type": "vaultDetails"},
        {"type": "userRole", "user": "0x1"},
        {"type": "subAccounts"},
    ],
)
async def test_requests_without_what_they_need_are_refused(market: Market, body: Json) -> None:
    async with serving(market) as server, httpx.AsyncClient() as client:
        assert (await client.post(f"{server.base_url}/info", json=body)).status_code == 422


def test_all_perp_metas_are_the_metas_in_the_order_of_the_dexs(info: InfoEndpoint) -> None:
    assert info.answer({"type": "allPerpMetas"}) == [
        info.answer({"type": "meta", "dex": dex}) for dex in ("", "xyz")
    ]
