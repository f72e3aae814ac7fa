"""The synthetic market is the same for the same seed, conserves what an exchange conserves, and looks like one."""

from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint
from liqtruth.sandbox.market.ledger import MICRO
from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.market.population import MODE_NAMES
from liqtruth.sandbox.market.venue import VenueResult
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import open_positions, true_liquidations, true_positions


def wire_bytes(market: Market) -> bytes:
    info = InfoEndpoint(market)
    states = [info.answer({"type": "clearinghouseState", "user": user}) for user in market.addresses]
    candles = info.answer({"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "15m"}})
    return msgspec.json.encode([states, candles, info.answer({"type": "metaAndAssetCtxs"})])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    spec = MarketSpec(seed=11, accounts=60, days=2, cex_accounts=40)
    first = wire_bytes(simulate(spec))
    assert wire_bytes(simulate(spec)) == first
    assert wire_bytes(simulate(MarketSpec(seed=12, accounts=60, days=2, cex_accounts=40))) != first


@pytest.mark.parametrize("venue", ["hyperliquid", "binance"])
def test_sizes_sum_to_zero_and_longs_equal_shorts_through_all_of_history(market: Market, venue: str) -> None:
    result: VenueResult = getattr(market, venue)
    assert (result.ledger.lots.sum(axis=0) == 0).all()
    assert (result.long_lots == result.short_lots).all()
    assert (result.long_lots[-1] > 0).all()


@pytest.mark.parametrize("venue", ["hyperliquid", "binance"])
def test_open_interest_rebuilt_from_the_tape_is_the_ledgers(market: Market, venue: str) -> None:
    result: VenueResult = getattr(market, venue)
    rebuilt = Record(market, result).open_lots[result.step_points]
    assert (rebuilt == result.long_lots).all()


def test_nobody_is_below_maintenance_at_the_end(large_market: Market) -> None:
    for result in (large_market.hyperliquid, large_market.binance):
        coins = result.ledger.lots.shape[1]
        mark, oracle = large_market.path.mark_units[-1, :coins], large_market.path.oracle_units[-1, :coins]
        due = result.ledger.cross_maintenance_usd(mark)
        assert (result.ledger.cross_equity_usd(mark, oracle)[due > 0] >= due[due > 0]).all()
        holdings = result.ledger.isolated & (result.ledger.lots != 0)
        alone = result.ledger.rules.maintenance_usd(
            np.abs(result.ledger.lots * mark) / MICRO, np.broadcast_to(result.ledger.table, holdings.shape)
        )
        assert (result.ledger.isolated_equity_usd(mark)[holdings] >= alone[holdings]).all()


def test_every_longs_price_lies_below_the_mark_and_every_shorts_above(large_market: Market) -> None:
    for venue in ("hyperliquid", "binance"):
        holdings = true_positions(large_market, venue).drop_nulls("liq_px")
        side = pl.when(pl.col("szi") > 0).then(1).otherwise(-1)
        assert holdings.select((side * (pl.col("mark_px") - pl.col("liq_px")) >= 0).all()).item()


def test_open_interest_moves_both_ways(large_market: Market) -> None:
    daily = large_market.hyperliquid.long_lots[::96, 0].astype(float)
    moves = np.diff(daily) / daily[:-1]
    assert moves.max() > 0.03
    assert moves.min() < -0.03


def test_volume_exceeds_every_change_of_open_interest(market: Market) -> None:
    record = Record(market, market.binance)
    assert (np.abs(np.diff(record.open_lots, axis=0)) <= record.activity.volume_lots)[1:].all()
    assert (record.activity.taker_buy_lots <= record.activity.volume_lots).all()


def leverage_shares(market: Market) -> list[float]:
    """Share of notional by effective leverage: on cross the account's, on isolated the position's."""
    ledger, holdings = market.hyperliquid.ledger, open_positions(market, market.hyperliquid)
    notional = np.abs(holdings.exposure.szi) * holdings.exposure.mark_px
    cross = ~ledger.isolated[holdings.account, holdings.coin]
    whole = np.zeros(ledger.cash.size)
    np.add.at(whole, holdings.account[cross], notional[cross])
    exposure = np.where(cross, whole[holdings.account], notional)
    leverage = exposure / holdings.exposure.equity_usd
    edges = [0, 3, 7, 15, np.inf]
    return [
        float(notional[(leverage >= low) & (leverage < high)].sum() / notional.sum())
        for low, high in pairwise(edges)
    ]


def test_effective_leverage_is_spread_like_hyperliquids(large_market: Market) -> None:
    """Stated 48/30/13/10 %; one moment of one path may be off by 12 points, as few dozen whales decide it."""
    assert leverage_shares(large_market) == pytest.approx([0.48, 0.30, 0.13, 0.10], abs=0.12)


def test_a_few_dozen_accounts_hold_about_half(large_market: Market) -> None:
    by_account = true_positions(large_market).group_by("address").agg(pl.col("notional_usd").sum())
    ranked = by_account["notional_usd"].sort(descending=True)
    assert 0.4 < ranked[:60].sum() / ranked.sum() < 0.6


def test_liquidations_are_a_few_percent_of_open_interest_a_day(large_market: Market) -> None:
    liquidated = true_liquidations(large_market)["notional_usd"].sum() / large_market.spec.days
    open_usd = true_positions(large_market)["notional_usd"].sum() / 2
    assert 0.002 < liquidated / open_usd < 0.06


def test_every_account_mode_and_both_margin_modes_hold_positions(large_market: Market) -> None:
    holdings = true_positions(large_market)
    assert set(holdings["account_mode"]) == set(MODE_NAMES)
    assert set(holdings["margin_mode"]) == {"cross", "isolated"}
    assert holdings.filter(pl.col("dex") == "xyz")["margin_mode"].unique().to_list() == ["isolated"]
    assert holdings["address"].n_unique() < holdings.height


def test_some_positions_cross_a_tier_on_the_way_and_some_are_grandfathered(large_market: Market) -> None:
    holdings = open_positions(large_market, large_market.hyperliquid)
    rules, exposure = large_market.hyperliquid.ledger.rules, holdings.exposure
    ends = ~np.isnan(holdings.liq_px)
    now = rules.tier(np.abs(exposure.szi) * exposure.mark_px, exposure.table)
    then = rules.tier(np.abs(exposure.szi) * np.nan_to_num(holdings.liq_px), exposure.table)
    assert (now[ends] != then[ends]).sum() >= 5
    assert (
        true_positions(large_market)
        .filter((pl.col("coin") == "HYPE") & (pl.col("max_leverage") == 50))
        .height
        > 0
    )


def test_progress_is_reported_from_zero_to_one() -> None:
    found: list[float] = []
    simulate(
        MarketSpec(accounts=20, days=1, cex_accounts=20, coins=("BTC",), builder_dex=False), found.append
    )
    assert found == sorted(found)
    assert found[-1] == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"coins": ("NOPE",)}, "NOPE"), ({"accounts": 3}, "accounts"), ({"step_minutes": 7}, "step_minutes")],
)
def test_a_market_that_cannot_be_is_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SandboxRefused, match=message):
        MarketSpec(**wrong)  # type: ignore[arg-type]
