"""At the liquidation price equity is the venue's maintenance, whatever the size, the leverage and the side."""

import json
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.frames import conform
from liqtruth.estimator.model.brackets import (
    LONG,
    POSITION_USD,
    SHORT,
    Brackets,
    brackets_of,
    facts_date,
    liquidation_factors,
    liquidation_price,
    read_facts,
    stored_brackets,
)
from liqtruth.estimator.venues.table import VENUES, venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.tables import Market, Universe
from liqtruth.storage.store import Store

BINANCE = venue_named("binance")
FACTS = read_facts(BINANCE.facts or "")
COINS = sorted(FACTS["coin"].unique())
BTC = brackets_of(BINANCE, "BTC")

coins = st.sampled_from(COINS)
sides = st.sampled_from([LONG, SHORT])
notionals = st.floats(0, 9.3).map(lambda exponent: float(10**exponent))
leverages = st.floats(1, 150)


class TestLiquidationPrice:
    @pytest.mark.parametrize(
        ("side", "leverage", "px"),
        [
            (LONG, 10, (1000 + 0 - 0.2 * 50_000) / (0.2 * (0.004 - 1))),
            (SHORT, 10, (1000 + 0 + 0.2 * 50_000) / (0.2 * (0.004 + 1))),
            (LONG, 10, 45_180.72289),
            (SHORT, 10, 54_780.87649),
            (LONG, 100, 49_698.79518),
        ],
    )
    def test_is_binances_published_one(self, side: float, leverage: float, px: float) -> None:
        """(WB + cum - side*q*EP) / (q*(MMR - side)): 0.2 BTC at 50,000 is 10,000 USD, where MMR is 0.4 %, cum 0."""
        assert float(liquidation_price(BTC, 50_000.0, 0.2, leverage, side)) == pytest.approx(px, rel=1e-9)

    def test_of_a_larger_position_takes_the_bracket_that_it_is_in_when_it_is_liquidated(self) -> None:
        """A long of 310,000 USD is worth 279,000 at -10 %: back in the first bracket; a short has grown out of it."""
        long, short = (float(liquidation_factors(BTC, 10.0, side, 310_000.0)) for side in (LONG, SHORT))
        assert long == pytest.approx(0.9 / 0.996)
        assert short == pytest.approx((1.1 + 300 / 310_000) / 1.005)

    @given(coins, notionals, leverages, sides)
    def test_is_where_equity_meets_maintenance(
        self, coin: str, notional: float, leverage: float, side: float
    ) -> None:
        brackets = brackets_of(BINANCE, coin)
        px = float(liquidation_factors(brackets, leverage, side, notional))
        if px <= 0:
            return

        def excess(price: float) -> float:
            equity = notional / leverage + side * notional * (price - 1)
            return (equity - float(brackets.maintenance_usd(notional * price))) / notional

        assert excess(px) == pytest.approx(0, abs=1e-9)
        assert excess(px + side * 1e-6) > 0 > excess(px - side * 1e-6)

    @given(coins, notionals)
    def test_a_long_at_1x_has_none(self, coin: str, notional: float) -> None:
        assert float(liquidation_factors(brackets_of(BINANCE, coin), 1.0, LONG, notional)) <= 0

    @given(coins, notionals, sides, st.floats(1e-3, 1e6))
    def test_as_a_factor_does_not_depend_on_the_entry_price(
        self, coin: str, notional: float, side: float, entry: float
    ) -> None:
        brackets = brackets_of(BINANCE, coin)
        px = float(liquidation_price(brackets, entry, notional / entry, 7.0, side))
        assert px / entry == pytest.approx(float(liquidation_factors(brackets, 7.0, side, notional)))

    @given(st.floats(0.001, 0.05), st.floats(1, 20))
    def test_of_the_two_sides_mirror_each_other_up_to_squares(self, rate: float, leverage: float) -> None:
        """In log price the sides are reciprocal but for (1 - 1/L^2) / (1 - m^2)."""
        flat = Brackets.flat("X", rate, 100, "test")
        long, short = (float(liquidation_factors(flat, leverage, side)) for side in (LONG, SHORT))
        assert long * short == pytest.approx((1 - leverage**-2) / (1 - rate**2), abs=1e-12)


class TestMaintenance:
    def test_amounts_of_btc_follow_from_continuity(self) -> None:
        assert BTC.amount_usd[:4] == pytest.approx([0, 300, 1500, 12_000])

    @given(coins, notionals)
    def test_is_the_line_of_the_bracket_that_holds_the_notional(self, coin: str, notional: float) -> None:
        brackets = brackets_of(BINANCE, coin)
        at = brackets.bracket_of(notional)
        line = notional * brackets.rate[at] - brackets.amount_usd[at]
        assert float(brackets.maintenance_usd(notional)) == pytest.approx(line, rel=1e-9)

    @given(coins)
    def test_has_no_step_at_a_bound(self, coin: str) -> None:
        brackets = brackets_of(BINANCE, coin)
        bounds, at = brackets.floor_usd[1:], np.arange(1, len(brackets.floor_usd))
        lower, upper = (bounds * brackets.rate[k] - brackets.amount_usd[k] for k in (at - 1, at))
        assert lower == pytest.approx(upper, rel=1e-9, abs=1e-6)

    def test_a_bound_belongs_to_the_bracket_below_it(self) -> None:
        assert [BTC.highest_leverage(usd) for usd in (1, 300_000, 300_001, 2e9)] == [150, 150, 100, 1]


class TestFacts:
    def test_every_symbol_is_readable_and_its_brackets_join(self) -> None:
        assert len(COINS) == FACTS["symbol"].n_unique() > 200
        for coin in COINS:
            brackets = brackets_of(BINANCE, coin)
            rows = FACTS.filter(coin=coin)
            assert brackets.source == f"maintenance brackets of binance {brackets.symbol}, 2026-09"
            assert rows["min_notional_usd"][1:].to_list() == rows["max_notional_usd"][:-1].to_list()
            assert np.all((brackets.rate > 0) & (brackets.rate < 1))
            assert np.all(np.diff(brackets.max_leverage) <= 0)
            assert np.all(brackets.max_leverage * brackets.rate < 1), "opened above its own maintenance"

    def test_hyperliquids_thousands_are_found_under_the_venues_name(self) -> None:
        assert brackets_of(BINANCE, "kPEPE").symbol == "1000PEPEUSDT"

    def test_their_date_is_their_names(self) -> None:
        assert facts_date("binance_usdm_2026_09.csv") == "2026-09"

    @pytest.mark.parametrize(("venue", "coin"), [("binance", "NOSUCH"), ("okx", "BTC")])
    def test_a_market_without_facts_states_what_is_assumed(self, venue: str, coin: str) -> None:
        brackets = brackets_of(VENUES[venue], coin)
        assert brackets.source == (
            f"no maintenance brackets of {venue} {coin}USDT are known: 1.0% maintenance and at most 50x assumed"
        )
        assert float(brackets.maintenance_usd(POSITION_USD)) == pytest.approx(100)
        assert brackets.highest_leverage(1e9) == 50


@pytest.mark.parametrize(
    ("floor", "rate"), [([1.0, 2.0], [0.1, 0.2]), ([0.0, 0.0], [0.1, 0.2]), ([0.0, 5.0], [0.2, 0.1])]
)
def test_brackets_that_do_not_ascend_from_zero_are_refused(floor: list[float], rate: list[float]) -> None:
    with pytest.raises(BadInput, match=re.escape("brackets of ODD must start at 0 and ascend")):
        Brackets("ODD", np.array(floor), np.array(rate), np.array([10.0, 5.0]), "test")


def tiers(
    ts: datetime, floors: tuple[float, ...], rates: tuple[float, ...], caps: tuple[float, ...]
) -> pl.DataFrame:
    columns = {"ts": ts, "min_notional_usd": floors, "maintenance_margin_rate": rates, "max_leverage": caps}
    return conform(pl.DataFrame(columns), "tiers")


JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


class TestStoredTiers:
    def test_precede_the_dated_table_and_the_reading_nearest_to_the_map_is_taken(self, store: Store) -> None:
        for ts, rate in ((JUNE, 0.01), (JULY, 0.02)):
            result = tiers(ts, (0.0, 50_000.0), (rate, 2 * rate), (40.0, 20.0))
            store.lake.merge_series(
                "tiers", "binance", "BTC", result, ("ts", "min_notional_usd"), source="test"
            )
        june = stored_brackets(store, BINANCE, "BTC", JUNE + timedelta(days=3))
        assert june.rate.tolist() == [0.01, 0.02]
        assert june.source == "maintenance tiers of binance BTCUSDT, reported 2026-06-01"
        assert stored_brackets(store, BINANCE, "BTC", JULY).rate.tolist() == [0.02, 0.04]
        assert stored_brackets(store, BINANCE, "ETH", JULY).source.endswith("2026-09")

    def test_that_make_no_sense_are_not_used_and_that_is_reported(self) -> None:
        result = tiers(JUNE, (10.0, 50_000.0), (0.01, 0.02), (40.0, 20.0))
        brackets = brackets_of(BINANCE, "BTC", result)
        assert brackets.rate.tolist() == BTC.rate.tolist()
        assert "the reported tiers are not used: brackets of BTCUSDT must start at 0" in brackets.source


def market_of(at: datetime, highest: int | None, venue: str = "hyperliquid") -> Market:
    return Market(venue=venue, dex="", coin="SOL", as_of=at, mark_px=100.0, max_leverage=highest)


class TestHyperliquidsOwnBracket:
    HYPERLIQUID = venue_named("hyperliquid")

    def test_is_half_the_initial_margin_at_the_coins_highest_leverage(self, store: Store) -> None:
        store_markets(store.database, [market_of(JUNE, 20), market_of(JULY, 10)])
        june = stored_brackets(store, self.HYPERLIQUID, "SOL", JULY - timedelta(hours=1))
        assert (june.rate.tolist(), june.highest_leverage(1e9)) == ([0.025], 20.0)
        assert june.source == "hyperliquid SOL: maintenance is half the initial margin at 20x"
        assert stored_brackets(store, self.HYPERLIQUID, "SOL", JULY).rate.tolist() == [0.05]

    def test_that_was_reported_only_later_is_better_than_the_default(self, store: Store) -> None:
        store_markets(store.database, [market_of(JULY, 10)])
        assert stored_brackets(store, self.HYPERLIQUID, "SOL", JUNE).rate.tolist() == [0.05]

    def test_is_the_coins_margin_table_where_only_meta_is_stored(self, store: Store) -> None:
        """As `index import --meta` leaves it: tables, and market rows without a highest leverage."""
        tiers = [{"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "150000000.0", "maxLeverage": 20}]
        universe = [
            {"name": "BTC", "maxLeverage": 40, "marginTableId": 56, "szDecimals": 5},
            {"name": "SOL", "maxLeverage": 20, "marginTableId": 20, "szDecimals": 2},
        ]
        meta = {"universe": universe, "marginTables": [[56, {"description": "", "marginTiers": tiers}]]}
        store_universe(
            store.database,
            Universe(venue="hyperliquid", dex="", as_of=JULY, meta_json=json.dumps(meta).encode()),
        )
        store_markets(store.database, [market_of(JUNE, None)])
        found = {
            coin: stored_brackets(store, self.HYPERLIQUID, coin, JUNE) for coin in ("BTC", "SOL", "DOGE")
        }
        assert found["SOL"].rate.tolist() == [0.025]
        assert found["BTC"].rate.tolist() == [0.0125, 0.025]
        assert found["BTC"].highest_leverage(2e8) == 20
        assert "at 40x, by `meta` of 2026-07" in found["BTC"].source
        assert "no maintenance brackets" in found["DOGE"].source

    @pytest.mark.parametrize(
        ("venue", "highest"), [("hyperliquid", None), ("hyperliquid", 0), ("binance", 20)]
    )
    def test_is_not_guessed_where_no_highest_leverage_is_stored(
        self, store: Store, venue: str, highest: int | None
    ) -> None:
        store_markets(store.database, [market_of(JUNE, highest, venue)])
        found = stored_brackets(store, self.HYPERLIQUID, "SOL", JULY)
        assert "no maintenance brackets of hyperliquid" in found.source
        if venue != "hyperliquid":
            assert "2026-09" in stored_brackets(store, BINANCE, "SOL", JULY).source, (
                "another venue keeps its own"
            )
