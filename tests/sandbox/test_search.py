"""Liquidation prices found by search are roots, and null exactly where no price liquidates."""

import numpy as np
import pytest

from liqtruth.sandbox.market.listings import MarginRules, half_of_initial
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.truth import (
    HIGHEST_PX,
    LOWEST_PX,
    Exposure,
    liquidation_prices,
    open_positions,
    surplus_usd,
)
from tests.steps import lines_run

TIERED = MarginRules.build([half_of_initial([(0.0, 40), (1000.0, 20)])], [40])


@pytest.mark.parametrize("venue", ["hyperliquid", "binance"])
def test_every_price_is_a_root_of_equity_minus_maintenance(large_market: Market, venue: str) -> None:
    result = getattr(large_market, venue)
    holdings = open_positions(large_market, result)
    found = ~np.isnan(holdings.liq_px)
    px = np.where(found, holdings.liq_px, holdings.exposure.mark_px)
    left = surplus_usd(result.ledger.rules, holdings.exposure, px)
    scale = np.abs(holdings.exposure.szi) * px + np.abs(holdings.exposure.equity_usd)
    assert found.sum() > 100
    assert (np.abs(left[found]) / scale[found]).max() < 1e-9


def test_where_no_price_was_found_the_ends_are_safe(large_market: Market) -> None:
    holdings = open_positions(large_market, large_market.hyperliquid)
    never = np.isnan(holdings.liq_px)
    for px in (LOWEST_PX, HIGHEST_PX):
        left = surplus_usd(large_market.hyperliquid.ledger.rules, holdings.exposure, np.full(never.size, px))
        toward = (holdings.exposure.szi > 0) == (px == LOWEST_PX)
        assert (left[never & toward] >= 0).all()
        assert (left[~never & toward] < 0).all()


def test_a_worked_example_in_each_tier() -> None:
    """1 coin at 100, cash leg -90: x - 90 = x / 80. Ten coins end above the bound: 10x - 1400 = 10x/40 - 12.5."""
    exposure = Exposure(
        szi=np.array([1.0, 10.0]),
        mark_px=np.array([100.0, 200.0]),
        equity_usd=np.array([10.0, 600.0]),
        other_due_usd=np.zeros(2),
        table=np.zeros(2, np.int64),
    )
    expected = [90 / (1 - 1 / 80), (1400 - 12.5) / (10 - 10 / 40)]
    assert liquidation_prices(TIERED, exposure) == pytest.approx(expected, rel=1e-12)


def test_a_bound_belongs_to_the_higher_tier_and_the_requirement_is_continuous() -> None:
    table = np.zeros(3, np.int64)
    notional = np.array([999.999999, 1000.0, 1000.000001])
    assert TIERED.tier(notional, table).tolist() == [0, 1, 1]
    assert TIERED.maintenance_usd(notional, table) == pytest.approx([12.5, 12.5, 12.5], abs=1e-6)


def test_three_thousand_accounts_are_searched_without_a_loop_over_them(large_market: Market) -> None:
    assert lines_run(lambda: open_positions(large_market, large_market.hyperliquid)) < 20_000
