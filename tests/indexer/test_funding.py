"""An hour's funding moves cash from one side to the other, and prices with it."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.indexer.frames import POSITIONS, from_columns
from liqtruth.indexer.info.wire import Asset, Meta
from liqtruth.indexer.margin.reconcile import pay_funding, reconcile, remark
from liqtruth.indexer.margin.tables import MarginTables

META = Meta(
    universe=[
        Asset(name=name, sz_decimals=2, max_leverage=20, margin_table_id=20) for name in ("BTC", "ETH")
    ],
    margin_tables=[],
)
TABLES = {"": MarginTables.from_meta(META)}
MARKS = pl.DataFrame({"dex": "", "coin": ["BTC", "ETH"], "mark_px": [100.0, 10.0]})


def rates(btc: float, eth: float = 0.0) -> pl.DataFrame:
    return MARKS.with_columns(pl.Series("funding_rate", [btc, eth]))


def account(**columns: object) -> pl.DataFrame:
    """One cross position of BTC with 50 USD of equity, unless given otherwise; solved."""
    szi = columns.get("szi", [1.0])
    rows = len(szi) if isinstance(szi, list) else 1
    given_ = {
        "address": ["0xa"] * rows,
        "account_mode": ["standard"] * rows,
        "dex": [""] * rows,
        "coin": ["BTC"] * rows,
        "szi": [1.0],
        "margin_mode": ["cross"] * rows,
        "max_leverage": [20.0] * rows,
        "account_value_usd": [50.0] * rows,
        "exchange_read": [False] * rows,
        **columns,
    }
    frame = from_columns(given_, POSITIONS)
    mark_px = frame.join(MARKS, on=["dex", "coin"], how="left", maintain_order="left")["mark_px_right"]
    notional = frame["szi"].abs() * mark_px
    frame = frame.with_columns(
        mark_px=mark_px, notional_usd=notional, cross_maintenance_usd=pl.lit(notional.sum() / 40)
    )
    return reconcile(frame, TABLES)


def test_a_long_pays_a_positive_rate_and_a_short_receives_it() -> None:
    long, short = account(), account(szi=[-1.0])
    assert pay_funding(long, rates(0.001), TABLES)["account_value_usd"][0] == pytest.approx(50 - 0.1)
    assert pay_funding(short, rates(0.001), TABLES)["account_value_usd"][0] == pytest.approx(50 + 0.1)


def test_the_price_after_an_hour_is_that_of_an_account_with_so_much_less() -> None:
    paid = remark(pay_funding(account(), rates(0.01), TABLES), MARKS, TABLES)
    poorer = account(account_value_usd=[49.0])
    assert paid["liq_px"][0] == pytest.approx(poorer["liq_px"][0], rel=1e-12)
    assert paid["liq_px"][0] > account()["liq_px"][0], "a long that paid is liquidated sooner"


def test_an_isolated_position_pays_out_of_its_own_cash() -> None:
    holdings = account(margin_mode=["isolated"], isolated_raw_usd=[-80.0])
    paid = pay_funding(holdings, rates(0.01), TABLES)
    assert paid["isolated_raw_usd"][0] == pytest.approx(-81.0)
    assert paid["account_value_usd"][0] == 50.0


def test_all_cross_positions_of_an_account_pay_out_of_one_balance() -> None:
    holdings = account(coin=["BTC", "ETH"], szi=[1.0, -5.0])
    paid = pay_funding(holdings, rates(0.01, 0.02), TABLES)
    # 1 * 100 * 0.01 paid, 5 * 10 * 0.02 received.
    assert paid["account_value_usd"].to_list() == pytest.approx([50.0, 50.0])


def test_a_pool_pays_for_every_dex_of_its_collateral() -> None:
    tables = {**TABLES, "xyz": TABLES[""]}
    holdings = account(szi=[1.0, 1.0], pooled_available_usd=[30.0, 30.0], account_mode=["unified"] * 2)
    holdings = holdings.with_columns(pl.Series("dex", ["", "xyz"]))
    both = pl.concat([rates(0.01), rates(0.01).with_columns(dex=pl.lit("xyz"))])
    assert pay_funding(holdings, both, tables)["pooled_available_usd"].to_list() == pytest.approx(
        [28.0, 28.0]
    )


def test_a_coin_without_a_rate_pays_nothing() -> None:
    assert pay_funding(account(), rates(0.01).filter(coin="ETH"), TABLES).equals(account())


@given(
    st.lists(st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=8),
    st.floats(-0.04, 0.04),
    st.integers(1, 5),
)
def test_what_longs_pay_shorts_receive(sizes: list[float], rate: float, hours: int) -> None:
    """Sizes that sum to zero: no cash is made."""
    sizes = [*sizes, -sum(sizes)]
    holdings = pl.concat(
        account(address=[f"0x{n}"], szi=[szi]) for n, szi in enumerate(sizes) if abs(szi) > 1e-9
    )
    paid = pay_funding(holdings, rates(rate), TABLES, hours)
    change = (paid["account_value_usd"] - holdings["account_value_usd"]).sum()
    assert change == pytest.approx(0.0, abs=1e-6)
