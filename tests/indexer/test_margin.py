"""The solver's prices are the exchange's, and equity meets maintenance margin at every one of them."""

import json
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.solver import (
    HIGHEST_PRICE,
    Floats,
    implied_available,
    implied_constant,
    maintenance_margin,
    pooled_constant,
    solve_liquidation_price,
)
from liqtruth.indexer.margin.tables import NO_TABLE, MarginTables, tiers_by_continuity

TIERS = {
    51: [(0.0, 10), (3e6, 5)],
    54: [(0.0, 20), (70e6, 10)],
    55: [(0.0, 25), (100e6, 15)],
    56: [(0.0, 40), (150e6, 20)],
    60: [(0.0, 50), (1e4, 20), (1e7, 3)],  # three tiers, the first bound as low as on the test net
}
UNIVERSE = {"BTC": 56, "ETH": 55, "SOL": 54, "ARB": 51, "LOW": 60, "WIF": 5, "ODD": 999}


def make_tables() -> MarginTables:
    meta = {
        "universe": [
            {"name": coin, "szDecimals": 2, "maxLeverage": 5, "marginTableId": table}
            for coin, table in UNIVERSE.items()
        ],
        "marginTables": [
            [
                table,
                {
                    "description": "",
                    "marginTiers": [{"lowerBound": str(b), "maxLeverage": m} for b, m in tiers],
                },
            ]
            for table, tiers in TIERS.items()
        ],
        "collateralToken": 0,
    }
    return MarginTables.from_meta(wire.decode_meta(json.dumps(meta).encode(), "test"))


TABLES = make_tables()
ROWS = {coin: TABLES.row_of_coin[coin] for coin in ("BTC", "ETH", "SOL", "ARB", "LOW", "WIF")}

rows = st.sampled_from(sorted(ROWS.values()))
sides = st.sampled_from([-1.0, 1.0])
sizes = st.floats(-5, 9).map(lambda e: float(10**e))
prices = st.floats(-8, 6).map(lambda e: float(10**e))
constants = st.builds(lambda sign, e: sign * 10**e, sides, st.floats(-3, 13))


def arr(value: float) -> Floats:
    return np.array([value], dtype=np.float64)


def row_of(row: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([row], dtype=np.int64)


def solve(szi: float, constant: float, row: int) -> float:
    return float(solve_liquidation_price(arr(szi), arr(constant), row_of(row), TABLES)[0])


def margin_of(notional: float, row: int) -> float:
    return float(maintenance_margin(arr(notional), row_of(row), TABLES)[0])


def constant_for(szi: float, price: float, row: int) -> float:
    return float(implied_constant(arr(szi), arr(price), row_of(row), TABLES)[0])


def solve_exactly(szi: float, constant: float, row: int) -> Fraction | None:
    """The reference: each tier's root in rational arithmetic, accepted in its half-open tier."""
    q, z, c = Fraction(szi), abs(Fraction(szi)), Fraction(constant)
    tiers = [k for k in range(TABLES.tiers) if np.isfinite(TABLES.lower_bound_usd[row, k])]
    bounds = [Fraction(TABLES.lower_bound_usd[row, k]) for k in tiers]
    rate, deduction = Fraction(0), Fraction(0)
    for k, lower in zip(tiers, bounds, strict=True):
        next_rate = Fraction(TABLES.rate[row, k])
        deduction += lower * (next_rate - rate) if k else 0
        rate = next_rate
        x = (-deduction - c) / (q - z * rate)
        reached = z * x >= lower
        if 0 < x <= HIGHEST_PRICE and reached and (k + 1 == len(bounds) or z * x < bounds[k + 1]):
            return x
    return None


class TestMaintenanceMargin:
    def test_deductions_follow_from_continuity(self) -> None:
        """The node's own state stores 1,875,000 for BTC and 1,333,333.33 for ETH."""
        btc, eth = TABLES.row_of_id[56], TABLES.row_of_id[55]
        assert TABLES.deduction_usd[btc, 1] == pytest.approx(1_875_000)
        assert TABLES.deduction_usd[eth, 1] == pytest.approx(1_333_333.333333, rel=1e-12)

    def test_the_lower_bound_itself_is_in_the_higher_tier(self) -> None:
        bound = 150e6
        assert margin_of(np.nextafter(bound, 0), ROWS["BTC"]) == pytest.approx(bound / 80)
        assert margin_of(2 * bound, ROWS["BTC"]) == pytest.approx(2 * bound / 40 - 1_875_000)

    @given(rows, st.floats(-4, 12).map(lambda e: 10**e), st.floats(1, 2))
    def test_it_grows_without_a_step(self, row: int, notional: float, factor: float) -> None:
        lower, higher = margin_of(notional, row), margin_of(notional * factor, row)
        assert lower - 1e-9 * lower <= higher <= lower + notional * (factor - 1) * 0.5 + 1e-9 * higher

    def test_tiers_may_come_in_any_order(self) -> None:
        tiers = [
            wire.MarginTier(lower_bound=3e6, max_leverage=5),
            wire.MarginTier(lower_bound=0, max_leverage=10),
        ]
        assert tiers_by_continuity(tiers) == [(0.0, 0.05, 0.0), (3e6, 0.1, 150_000.0)]


class TestChoiceOfTable:
    def rows(self, coin: str, max_leverage: float | None, table_id: int | None = None) -> int:
        found = TABLES.rows_of(
            pl.Series([coin]),
            pl.Series([max_leverage], dtype=pl.Float64),
            pl.Series([table_id], dtype=pl.Int64),
        )
        return int(found[0])

    def test_the_coins_table_where_the_positions_leverage_is_the_tables(self) -> None:
        assert self.rows("BTC", 40) == ROWS["BTC"]
        assert self.rows("WIF", 5) == 5

    def test_the_positions_own_leverage_goes_before_meta(self) -> None:
        """DYDX of a vault's child: 50x while meta says 5x; ignoring it moves the price by 8 %."""
        assert self.rows("WIF", 10) == 10
        assert self.rows("BTC", 50) == 50

    def test_meta_where_the_source_has_no_leverage(self) -> None:
        assert self.rows("BTC", None) == ROWS["BTC"]

    def test_the_positions_own_table_id_settles_it(self) -> None:
        """A position grandfathered at flat 10x on a coin that is tiered 10x now looks the same otherwise."""
        assert self.rows("ARB", 10) == ROWS["ARB"]
        assert self.rows("ARB", 10, table_id=10) == 10
        assert self.rows("WIF", 5, table_id=56) == ROWS["BTC"]

    @pytest.mark.parametrize(("coin", "leverage"), [("NEW", 5.0), ("ODD", 5.0), ("BTC", 2.5), ("BTC", 1e6)])
    def test_no_table_is_invented(self, coin: str, leverage: float) -> None:
        assert self.rows(coin, leverage) == NO_TABLE
        assert np.isnan(solve(1.0, -1.0, NO_TABLE))

    @pytest.mark.parametrize("leverage", range(1, 101))
    def test_flat_tables_have_their_id_as_leverage(self, leverage: int) -> None:
        assert TABLES.first_leverage[leverage] == leverage
        assert TABLES.rate[leverage, 0] == 1 / (2 * leverage)


CROSS = [
    # coin and side, szi, positionValue, cross account value, cross maintenance, max leverage, price, error
    ("HYPE short", -1.95, 50.26905, 49.589238, 8.378175, 3, 43.89375297, 1e-10),
    ("BTC long", 0.00416, 371.9664, 17.013125, 4.64958, 40, 86405.373661149, 1e-14),
    ("BTC long 2", 0.00496, 554.70656, 462.860761, 6.933832, 40, 18751.694365047, 1e-14),
    ("DYDX short", -100480.9, 12141.107147, 3001412.122254, 38312.328233, 50, 29.3180423289, 1e-12),
    ("SAGA short", -103774.5, 2527.94682, 3155203.7660619998, 43452.918775, 50, 29.713170189, 1e-12),
    ("ETH of two", 0.3839, 1201.64539, 265.547215, 90.221703, 50, 2668.7911259, 1e-12),
    ("TIA of two", 310.0, 3128.21, 265.547215, 90.221703, 20, 9.51093214, 1e-9),
]
ISOLATED = [
    # coin and side, szi, rawUsd, max leverage, price, error (rawUsd has six decimals)
    ("ETH of the docs", 0.0335, -95.059824, 50, 2866.26936529, 1e-8),
    ("ONDO", 2036.0, -1344.853853, 10, 0.69530237, 1e-8),
    ("BTC short", -0.0003, 29.840434, 40, 98240.1119341564, 1e-15),
    ("HYPE", 2.0, -68.126246, 10, 35.8559189474, 1e-12),
    ("xyz:SPCX", 25.77, -4179.840643, 5, 180.2199216574, 1e-13),
]


@pytest.mark.parametrize(
    ("szi", "value", "equity", "margin", "leverage", "price", "error"), [c[1:] for c in CROSS]
)
def test_cross_prices_of_the_exchange_are_reproduced(
    szi: float, value: float, equity: float, margin: float, leverage: int, price: float, error: float
) -> None:
    own = arr(margin_of(value, leverage))
    constant = pooled_constant(arr(equity - margin), own, arr(szi), arr(value / abs(szi)))
    assert solve(szi, float(constant[0]), leverage) == pytest.approx(price, rel=error)


@pytest.mark.parametrize(("szi", "raw_usd", "leverage", "price", "error"), [c[1:] for c in ISOLATED])
def test_isolated_prices_of_the_exchange_are_reproduced(
    szi: float, raw_usd: float, leverage: int, price: float, error: float
) -> None:
    assert solve(szi, raw_usd, leverage) == pytest.approx(price, rel=error)


class TestRoot:
    @given(sides, sizes, prices, rows)
    def test_equity_equals_maintenance_at_the_root(
        self, side: float, size: float, price: float, row: int
    ) -> None:
        szi = side * size
        constant = constant_for(szi, price, row)
        x = solve(szi, constant, row)
        assert constant + szi * x == pytest.approx(margin_of(size * x, row), rel=1e-9)
        assert x == pytest.approx(price, rel=1e-12)

    @given(sides, sizes, constants, rows)
    def test_it_is_the_root_of_exact_arithmetic(
        self, side: float, size: float, constant: float, row: int
    ) -> None:
        exact = solve_exactly(side * size, constant, row)
        found = solve(side * size, constant, row)
        if exact is None:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(float(exact), rel=1e-12)

    @given(sides, sizes, rows)
    def test_null_exactly_outside_the_range_of_prices(self, side: float, size: float, row: int) -> None:
        """A long with cash enough never falls; one whose price would exceed 1e15 has none either."""
        assert np.isnan(solve(side * size, 1e-3, row)) == (side > 0)
        assert np.isnan(solve(side * size, 0.0, row))
        for factor, null in ((0.999, False), (1.001, True)):
            constant = constant_for(side * size, HIGHEST_PRICE * factor, row)
            assert np.isnan(solve(side * size, constant, row)) == null

    @pytest.mark.parametrize("unknown", [(np.nan, 1.0), (1.0, np.nan), (0.0, 1.0)])
    def test_unknown_inputs_give_null_and_no_warning(self, unknown: tuple[float, float]) -> None:
        assert np.isnan(solve(*unknown, ROWS["BTC"]))

    def test_no_positions_have_no_prices(self) -> None:
        none = np.array([], dtype=np.float64)
        assert solve_liquidation_price(none, none, none.astype(np.int64), TABLES).shape == (0,)


class TestTierBounds:
    @given(sides, sizes, st.sampled_from([c for c in ROWS if c != "WIF"]), st.integers(-3, 3))
    def test_a_root_within_rounding_of_a_bound_is_found(
        self, side: float, size: float, coin: str, ulps: int
    ) -> None:
        row = ROWS[coin]
        bound = TABLES.lower_bound_usd[row, 1]
        constant = float(TABLES.bound_margin_usd[row, 1] - side * bound)
        for _ in range(abs(ulps)):
            constant = float(np.nextafter(constant, np.sign(ulps) * np.inf))
        assert solve(side * size, constant, row) * size == pytest.approx(bound, rel=1e-14)

    @pytest.mark.parametrize("side", [-1.0, 1.0])
    @pytest.mark.parametrize("offset", [-1e-3, -1e-6, -1e-9, 1e-9, 1e-6, 1e-3])
    def test_the_tier_is_taken_at_the_liquidation_notional(self, side: float, offset: float) -> None:
        """1,000 BTC at a mark far from the bound; only the notional at the price found decides."""
        notional = 150e6 * (1 + offset)
        rate, deduction = (1 / 80, 0.0) if offset < 0 else (1 / 40, 1_875_000.0)
        constant = notional * rate - deduction - side * notional
        assert solve(side * 1000, constant, ROWS["BTC"]) == pytest.approx(notional / 1000, rel=1e-13)

    @given(sides, sizes, st.floats(-1e-6, 1e-6), st.sampled_from([1, 2]))
    def test_the_price_is_continuous_in_collateral_across_a_bound(
        self, side: float, size: float, shift: float, tier: int
    ) -> None:
        row = ROWS["LOW"]
        bound = TABLES.lower_bound_usd[row, tier]
        constant = TABLES.bound_margin_usd[row, tier] - side * bound
        moved = solve(side * size, float(constant + shift * bound), row) * size
        assert abs(moved - bound) <= 1.3 * abs(shift) * bound + 1e-12 * bound


class TestSymmetries:
    @given(sizes, prices, rows)
    def test_cash_legs_that_sum_to_twice_the_maintenance_mirror_a_long_and_a_short(
        self, size: float, price: float, row: int
    ) -> None:
        """At the long's root n: C + n = MM. The short with C' = 2 MM - C has C' - n = MM there as well."""
        long_constant = constant_for(size, price, row)
        short_constant = 2 * margin_of(size * price, row) - long_constant
        assert solve(-size, short_constant, row) == pytest.approx(solve(size, long_constant, row), rel=1e-12)

    @given(sides, sizes, prices, st.floats(0.01, 100), st.integers(1, 50))
    def test_size_and_collateral_scale_together_within_a_tier(
        self, side: float, size: float, price: float, k: float, leverage: int
    ) -> None:
        constant = constant_for(side * size, price, leverage)
        assert solve(k * side * size, k * constant, leverage) == pytest.approx(price, rel=1e-12)

    @given(sides, sizes, prices, st.floats(0.01, 100), st.integers(1, 50))
    def test_collateral_and_price_scale_together_within_a_tier(
        self, side: float, size: float, price: float, k: float, leverage: int
    ) -> None:
        constant = constant_for(side * size, price, leverage)
        assert solve(side * size, k * constant, leverage) == pytest.approx(k * price, rel=1e-12)

    @given(sides, sizes, prices, rows, st.floats(1e-9, 0.5))
    def test_more_collateral_moves_a_longs_price_down_and_a_shorts_up(
        self, side: float, size: float, price: float, row: int, share: float
    ) -> None:
        constant = constant_for(side * size, price, row)
        before = solve(side * size, constant, row)
        after = solve(side * size, constant + share * size * price, row)
        assume(not np.isnan(after))
        assert (after - before) * side < 0

    @given(sides, sizes, prices, prices, rows)
    def test_the_solver_runs_backwards(
        self, side: float, size: float, price: float, mark: float, row: int
    ) -> None:
        szi = arr(side * size)
        available = implied_available(szi, arr(price), arr(mark), row_of(row), TABLES)
        own = maintenance_margin(arr(size * mark), row_of(row), TABLES)
        constant = pooled_constant(available, own, szi, arr(mark))
        scale = max(1.0, mark / price)
        assert solve(side * size, float(constant[0]), row) == pytest.approx(price, rel=1e-13 * scale + 1e-12)
