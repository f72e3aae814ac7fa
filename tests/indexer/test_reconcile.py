"""One rule decides the price of each position; no price is invented, and null stays null."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from liqtruth.indexer.frames import ACCOUNTS, AS_OF, MARKETS, POSITIONS, empty, from_columns
from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.reconcile import STATUSES, implied_collateral_notes, reconcile, remark
from liqtruth.indexer.margin.solver import implied_available, maintenance_margin
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading, accounts_frame, positions_frame
from liqtruth.indexer.positions.markets import markets_of

META = wire.Meta(
    universe=[
        wire.Asset(name="BTC", sz_decimals=5, max_leverage=40, margin_table_id=56),
        wire.Asset(name="ETH", sz_decimals=4, max_leverage=25, margin_table_id=55),
        wire.Asset(name="WIF", sz_decimals=0, max_leverage=5, margin_table_id=5),
    ],
    margin_tables=[
        (56, wire.MarginTable([wire.MarginTier(0, 40), wire.MarginTier(150e6, 20)])),
        (55, wire.MarginTable([wire.MarginTier(0, 25), wire.MarginTier(100e6, 15)])),
    ],
)
TABLES = {"": MarginTables.from_meta(META)}
LEVERAGE = {"BTC": 40.0, "ETH": 25.0, "WIF": 5.0}
MARKS = {"BTC": 80_000.0, "ETH": 2_500.0, "WIF": 1.0}


def margins(coins: list[str], szi: list[float], marks: dict[str, float]) -> np.ndarray[Any, Any]:
    rows = TABLES[""].rows_of(pl.Series(coins), pl.Series([LEVERAGE[c] for c in coins]))
    notional = np.abs(szi) * np.array([marks[c] for c in coins])
    return maintenance_margin(notional, rows, TABLES[""])


def account(holdings: dict[str, float], equity: float, **facts: Any) -> pl.DataFrame:
    """Cross positions of one standard account, exchange's prices not in the source unless given."""
    coins, szi, n = list(holdings), list(holdings.values()), len(holdings)
    columns = {
        "address": "0xa",
        "account_mode": "standard",
        "dex": "",
        "margin_mode": "cross",
        "account_value_usd": equity,
        "cross_maintenance_usd": float(margins(coins, szi, MARKS).sum()),
        "exchange_read": False,
        "source": "test",
        **facts,
    }
    lists = {name: value if isinstance(value, list) else [value] * n for name, value in columns.items()}
    lists |= {
        "coin": coins,
        "szi": szi,
        "mark_px": [MARKS[c] for c in coins],
        "notional_usd": [abs(q) * MARKS[c] for c, q in holdings.items()],
        "max_leverage": [LEVERAGE[c] for c in coins],
    }
    return from_columns(lists, POSITIONS)


def read(holdings: dict[str, float], prices: list[float | None], equity: float, **facts: Any) -> pl.DataFrame:
    return account(holdings, equity, exchange_read=True, liq_px_exchange=prices, **facts)


def one(frame: pl.DataFrame, tables: dict[str, MarginTables] = TABLES) -> dict[str, Any]:
    return reconcile(frame, tables).row(0, named=True)


LONG = {"BTC": 1.0}
# 80,000 of notional, 20,000 of equity, 1,000 of maintenance: 60,000 of debt over 1 - 1/80 of a coin.
LONG_PX = 60_000 / (1 - 1 / 80)


class TestStatus:
    def test_agree_takes_the_exchanges_price(self) -> None:
        sent = LONG_PX * (1 + 9e-6)
        row = one(read(LONG, [sent], 20_000))
        assert (row["status"], row["liq_px"]) == ("agree", sent)
        assert row["liq_px_solved"] == pytest.approx(LONG_PX, rel=1e-12)

    def test_differs_takes_the_exchanges_price(self) -> None:
        sent = LONG_PX * (1 + 1.1e-5)
        row = one(read(LONG, [sent], 20_000))
        assert (row["status"], row["liq_px"]) == ("differs", sent)

    def test_a_price_where_the_solver_has_none_differs(self) -> None:
        row = one(read(LONG, [30_000.0], 90_000))
        assert (row["status"], row["liq_px"], row["liq_px_solved"]) == ("differs", 30_000.0, None)

    @pytest.mark.parametrize("sent", [None, 0.0, -66.0])
    def test_null_from_the_exchange_stays_null_whatever_is_solved(self, sent: float | None) -> None:
        row = one(read(LONG, [sent], 20_000))
        assert (row["status"], row["liq_px"]) == ("never", None)

    def test_exchange_only_without_margin_tables(self) -> None:
        row = one(read(LONG, [50_000.0], 20_000), {})
        assert (row["status"], row["liq_px"], row["liq_px_solved"]) == ("exchange_only", 50_000.0, None)

    def test_solved_only_where_the_source_has_no_exchange_price(self) -> None:
        row = one(account(LONG, 20_000))
        assert row["status"] == "solved_only"
        assert row["liq_px"] == row["liq_px_solved"] == pytest.approx(LONG_PX, rel=1e-12)

    def test_solved_never(self) -> None:
        row = one(account(LONG, 90_000))
        assert (row["status"], row["liq_px"]) == ("never", None)

    def test_every_status_is_listed(self) -> None:
        assert set(STATUSES) == {
            *("agree", "differs", "exchange_only", "solved_only", "unknown_collateral", "never")
        }


class TestUnknownCollateral:
    """Most large accounts pool their collateral: equity of one dex says nothing about them."""

    @pytest.mark.parametrize("mode", ["unified", "portfolio"])
    def test_a_pooled_account_without_its_pool_gets_no_price(self, mode: str) -> None:
        row = one(account(LONG, 20_000, account_mode=mode))
        assert (row["status"], row["liq_px"], row["liq_px_solved"]) == ("unknown_collateral", None, None)

    def test_with_an_exchange_price_that_is_kept(self) -> None:
        row = one(read(LONG, [70_000.0], 20_000, account_mode="unified"))
        assert (row["status"], row["liq_px"], row["liq_px_solved"]) == ("exchange_only", 70_000.0, None)

    def test_an_account_of_unknown_mode_gets_no_price_either(self) -> None:
        assert one(account(LONG, 20_000, account_mode=None))["status"] == "unknown_collateral"

    def test_its_exchange_price_is_checked_as_if_margined_per_dex(self) -> None:
        assert one(read(LONG, [LONG_PX], 20_000, account_mode=None))["status"] == "agree"

    def test_an_isolated_position_needs_no_account(self) -> None:
        frame = account(LONG, 0.0, account_mode=None, margin_mode="isolated", isolated_raw_usd=-60_000.0)
        row = one(frame.with_columns(account_value_usd=None))
        assert row["status"] == "solved_only"
        assert row["liq_px"] == pytest.approx(LONG_PX, rel=1e-12)

    def test_a_short_bankrupt_at_any_price_is_missing_collateral(self) -> None:
        row = one(account({"BTC": -1.0}, -100_000))
        assert (row["status"], row["liq_px"]) == ("unknown_collateral", None)

    def test_no_table_and_no_exchange_price(self) -> None:
        assert one(account(LONG, 20_000), {})["status"] == "unknown_collateral"

    @pytest.mark.parametrize("mode", ["unified", "portfolio", None])
    def test_the_pool_stands_for_equity_less_maintenance(self, mode: str | None) -> None:
        row = one(account(LONG, 3.0, account_mode=mode, pooled_available_usd=19_000.0))
        assert row["status"] == "solved_only"
        assert row["liq_px"] == pytest.approx(LONG_PX, rel=1e-12)

    def test_the_pool_is_not_used_for_an_account_margined_per_dex(self) -> None:
        row = one(account(LONG, 20_000, account_mode="dexAbstraction", pooled_available_usd=1.0))
        assert row["liq_px"] == pytest.approx(LONG_PX, rel=1e-12)


HOLDINGS = {"BTC": -2.0, "ETH": 30.0, "WIF": -5_000.0}


def exchange_prices(holdings: dict[str, float], available: float) -> list[float | None]:
    pool = account(holdings, 0.0, account_mode="unified", pooled_available_usd=available)
    return reconcile(pool, TABLES)["liq_px"].to_list()


class TestImpliedCollateral:
    def test_prices_that_agree_on_other_collateral_name_it(self) -> None:
        prices = exchange_prices(HOLDINGS, 60_000.0)
        reconciled = reconcile(read(HOLDINGS, prices, 10_000, account_mode=None), TABLES)
        assert reconciled["status"].to_list() == ["differs"] * 3
        assert reconciled["liq_px"].to_list() == prices
        [note] = implied_collateral_notes(reconciled)
        assert note.implied_available_usd == pytest.approx(60_000)
        assert note.captured_available_usd == pytest.approx(
            10_000 - margins([*HOLDINGS], [*HOLDINGS.values()], MARKS).sum()
        )
        assert note.positions == 3
        assert note.note.text.startswith(
            "0xa on the main dex: prices of 3 positions imply 60,000.00 USD of margin"
        )

    def test_a_pool_that_was_not_captured_is_named_as_well(self) -> None:
        prices = exchange_prices(HOLDINGS, 60_000.0)
        reconciled = reconcile(read(HOLDINGS, prices, 10_000, account_mode="unified"), TABLES)
        [note] = implied_collateral_notes(reconciled)
        assert note.captured_available_usd is None
        assert note.note.values["captured_usd"] is None

    def test_prices_that_agree_with_what_was_captured_are_no_news(self) -> None:
        equity = 60_000 + float(margins([*HOLDINGS], [*HOLDINGS.values()], MARKS).sum())
        reconciled = reconcile(read(HOLDINGS, exchange_prices(HOLDINGS, 60_000.0), equity), TABLES)
        assert reconciled["status"].to_list() == ["agree"] * 3
        assert implied_collateral_notes(reconciled) == []

    def test_most_prices_are_believed_and_the_one_that_contradicts_them_is_not(self) -> None:
        prices = exchange_prices(HOLDINGS, 60_000.0)
        assert prices[0] is not None
        prices[0] *= 1.01
        [note] = implied_collateral_notes(reconcile(read(HOLDINGS, prices, 10_000), TABLES))
        assert note.implied_available_usd == pytest.approx(60_000)

    def test_prices_of_which_no_majority_agrees_imply_nothing(self) -> None:
        prices = exchange_prices(HOLDINGS, 60_000.0)
        apart = [px * factor for px, factor in zip(prices, (1.01, 1.02, 1.0), strict=True) if px is not None]
        assert implied_collateral_notes(reconcile(read(HOLDINGS, [*apart], 10_000), TABLES)) == []

    def test_one_position_alone_implies_nothing(self) -> None:
        reconciled = reconcile(read(LONG, [50_000.0], 20_000), TABLES)
        assert reconciled["status"].item() == "differs"
        assert implied_collateral_notes(reconciled) == []

    def test_accounts_are_distinguished_by_address_and_dex(self) -> None:
        prices = exchange_prices(HOLDINGS, 60_000.0)
        first = read(HOLDINGS, prices, 10_000)
        second = read(HOLDINGS, exchange_prices(HOLDINGS, 90_000.0), 10_000, address="0xb")
        notes = implied_collateral_notes(reconcile(pl.concat([first, second]), TABLES))
        assert [(n.address, round(n.implied_available_usd)) for n in notes] == [
            ("0xa", 60_000),
            ("0xb", 90_000),
        ]


shares = st.floats(0.02, 3.0)
moves = st.fixed_dictionaries({coin: st.floats(0.8, 1.25) for coin in MARKS})


class TestRemark:
    def marks(self, move: dict[str, float]) -> pl.DataFrame:
        return pl.DataFrame(
            {"dex": [""] * len(MARKS), "coin": [*MARKS], "mark_px": [MARKS[c] * move[c] for c in MARKS]}
        )

    def account_after(self, equity: float, move: dict[str, float]) -> pl.DataFrame:
        """The same account, read when marks had moved: its equity by hand, its prices from the solver."""
        gain = sum(q * MARKS[c] * (move[c] - 1) for c, q in HOLDINGS.items())
        later = {c: MARKS[c] * move[c] for c in MARKS}
        frame = account(HOLDINGS, equity + gain).with_columns(
            mark_px=pl.Series([later[c] for c in HOLDINGS]),
            notional_usd=pl.Series([abs(q) * later[c] for c, q in HOLDINGS.items()]),
            cross_maintenance_usd=pl.lit(float(margins([*HOLDINGS], [*HOLDINGS.values()], later).sum())),
        )
        return reconcile(frame, TABLES)

    @given(shares, moves)
    def test_it_is_the_account_read_at_the_later_marks(self, share: float, move: dict[str, float]) -> None:
        equity = share * 100_000
        moved = remark(reconcile(account(HOLDINGS, equity), TABLES), self.marks(move), TABLES)
        later = self.account_after(equity, move)
        columns = ["mark_px", "notional_usd", "account_value_usd", "cross_maintenance_usd", "liq_px"]
        bankrupt = pl.col("status") == "unknown_collateral"
        assert_frame_equal(
            moved.select(pl.when(~later.select(bankrupt).to_series()).then(pl.col(columns))),
            later.select(pl.when(~bankrupt).then(pl.col(columns))),
            rel_tol=1e-9,
        )

    def test_prices_that_differed_stay_the_exchanges(self) -> None:
        before = reconcile(read(HOLDINGS, exchange_prices(HOLDINGS, 60_000.0), 10_000), TABLES)
        after = remark(before, self.marks(dict.fromkeys(MARKS, 1.1)), TABLES)
        assert after["liq_px"].to_list() == before["liq_px"].to_list()
        assert after["status"].to_list() == before["status"].to_list()

    def test_a_pool_is_carried_over_all_its_dexes(self) -> None:
        tables = TABLES | {"xyz": TABLES[""]}
        main = account({"ETH": 30.0}, 0.0, account_mode="unified", pooled_available_usd=50_000.0)
        other = account({"BTC": 1.0}, 0.0, account_mode="unified", pooled_available_usd=50_000.0, dex="xyz")
        before = reconcile(pl.concat([main, other]), tables)
        marks = pl.DataFrame({"dex": ["xyz"], "coin": ["BTC"], "mark_px": [81_000.0]})
        after = remark(before, marks, tables)
        # One coin gains 1,000 and needs 1,000 / 80 more of maintenance margin.
        assert after["pooled_available_usd"].to_list() == pytest.approx([50_987.5, 50_987.5])
        assert after["liq_px"][1] == pytest.approx(before["liq_px"][1])
        assert after["liq_px"][0] < before["liq_px"][0]

    def test_without_newer_marks_nothing_moves(self) -> None:
        before = reconcile(read(HOLDINGS, exchange_prices(HOLDINGS, 60_000.0), 10_000), TABLES)
        assert_frame_equal(remark(before, empty(MARKETS), TABLES), before)


class TestFrames:
    def state(self, *positions: wire.Position) -> wire.ClearinghouseState:
        summary = wire.MarginSummary(20_000, 80_000, -60_000, 2_000)
        holdings = [wire.AssetPosition(p) for p in positions]
        return wire.ClearinghouseState(summary, summary, 1_000, 0, holdings, 1_788_713_175_818)

    def btc(self, **changes: Any) -> wire.Position:
        fields: dict[str, Any] = {
            "coin": "BTC",
            "szi": 1.0,
            "leverage": wire.CrossLeverage(40),
            "entry_px": 79_000,
            "position_value": 80_000,
            "unrealized_pnl": 1_000,
            "liquidation_px": LONG_PX,
            "margin_used": 2_000,
            "max_leverage": 40,
        }
        return wire.Position(**(fields | changes))

    def spot(self, **facts: Any) -> wire.SpotClearinghouseState:
        return wire.SpotClearinghouseState(balances=[], **facts)

    def test_a_reading_becomes_a_row_of_the_schema(self) -> None:
        frame = positions_frame([AccountReading("0xAB", self.state(self.btc()), "api")])
        assert frame.schema == pl.Schema(POSITIONS)
        row = frame.row(0, named=True)
        assert (row["address"], row["mark_px"], row["exchange_read"]) == ("0xab", 80_000, True)
        assert row["as_of"].isoformat() == "2026-09-06T16:46:15.818000+00:00"
        assert one(frame)["status"] == "agree"

    def test_no_readings_and_empty_accounts_give_an_empty_frame(self) -> None:
        assert positions_frame([]).schema == pl.Schema(POSITIONS)
        nothing = positions_frame([AccountReading("0xa", self.state(), "api")])
        assert reconcile(nothing, TABLES).schema == pl.Schema(POSITIONS)
        assert implied_collateral_notes(reconcile(nothing, TABLES)) == []

    def test_dust_whose_value_rounds_to_zero_has_no_mark(self) -> None:
        frame = positions_frame([AccountReading("0xa", self.state(self.btc(position_value=0.0)), "api")])
        assert frame["mark_px"].item() is None
        assert frame["notional_usd"].item() == 0

    @pytest.mark.parametrize(
        ("spot", "asked", "mode"),
        [
            (None, None, None),
            (None, "portfolio", "portfolio"),
            ({}, None, "standard"),
            ({"token_to_available_after_maintenance": [(0, 1.0)]}, None, "unified"),
            (
                {"token_to_available_after_maintenance": [(0, 1.0)], "portfolio_margin_enabled": True},
                None,
                "portfolio",
            ),
            ({"token_to_available_after_maintenance": [(0, 1.0)]}, "portfolio", "portfolio"),
        ],
    )
    def test_the_mode_is_the_one_asked_for_else_recognised_by_the_spot_state(
        self, spot: dict[str, Any] | None, asked: str | None, mode: str | None
    ) -> None:
        reading = AccountReading(
            "0xa", self.state(self.btc()), "api", spot=None if spot is None else self.spot(**spot), mode=asked
        )
        assert positions_frame([reading])["account_mode"].item() == mode

    def test_the_pool_is_that_of_the_dexs_collateral(self) -> None:
        spot = self.spot(token_to_available_after_maintenance=[(0, 1.0), (360, 2.5)])
        readings = [
            AccountReading("0xa", self.state(self.btc()), "api", spot=spot, collateral_token=token)
            for token in (0, 360, 235)
        ]
        assert positions_frame(readings)["pooled_available_usd"].to_list() == [1.0, 2.5, None]

    def test_accounts_and_markets_follow_their_schemas(self) -> None:
        accounts = accounts_frame(
            [AccountReading("0xa", self.state(self.btc(), self.btc(coin="ETH")), "api")]
        )
        assert accounts.schema == pl.Schema(ACCOUNTS)
        assert accounts["positions"].item() == 2
        as_of = pl.Series([0]).cast(AS_OF).item()
        contexts = [wire.AssetCtx(1e-5, 10.0, mark, 1.0) for mark in (80_000.0, 2_500.0, 0.0)]
        markets = markets_of(META, contexts, "", as_of)
        assert markets.schema == pl.Schema(MARKETS)
        assert markets["open_interest_usd"].to_list() == [800_000.0, 25_000.0, None]
        assert markets_of(wire.Meta([], []), [], "", as_of).schema == pl.Schema(MARKETS)


def test_the_implied_margin_available_is_one_number_per_account() -> None:
    prices = np.array(exchange_prices(HOLDINGS, 60_000.0), dtype=np.float64)
    rows = TABLES[""].rows_of(pl.Series([*HOLDINGS]), pl.Series([LEVERAGE[c] for c in HOLDINGS]))
    marks = np.array([MARKS[c] for c in HOLDINGS])
    implied = implied_available(np.array([*HOLDINGS.values()]), prices, marks, rows, TABLES[""])
    assert implied == pytest.approx([60_000.0] * 3, rel=1e-12)
