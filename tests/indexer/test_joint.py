"""Joint prices are where equity meets maintenance when all marks move together, compared with plain Python."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import delete

from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.words.notes import note
from liqtruth.indexer.maps.betas import FEWEST_RETURNS, betas_of, stored_betas
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.maps.joint import JointView, joint_prices, joint_view
from liqtruth.indexer.margin.pools import backing_of
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.storage.database.tables import Universe
from liqtruth.storage.store import Store
from tests.indexer.margined import MARKS, TABLES, Holder, Holding, crowds, frame_of, stow

betas_drawn = st.fixed_dictionaries({coin: st.floats(-2, 2) for coin in sorted(MARKS) if coin != "BTC"})


def prices(
    positions: pl.DataFrame, tables: Mapping[str, MarginTables], coin: str, betas: Mapping[str, float]
) -> pl.DataFrame:
    return joint_prices(positions, backing_of(positions, tables), coin, betas)


def joined(holders: list[Holder], betas: dict[str, float] | None = None) -> pl.DataFrame:
    return prices(frame_of(holders), TABLES, "BTC", betas or {})


def moves_of(row: dict[str, object]) -> dict[str, float | None]:
    """The shocks of one position by direction."""
    found = {}
    for way in ("down", "up"):
        px = row[f"joint_{way}_px"]
        found[way] = None if px is None else float(px) / MARKS["BTC"] - 1  # type: ignore[arg-type]
    return found


def one_of_each_pool(
    frame: pl.DataFrame, holders: list[Holder]
) -> Iterator[tuple[Holder, dict[str, object]]]:
    by_address = {holder.address: holder for holder in holders}
    met = set()
    for row in frame.filter(pl.col("margin_mode") == "cross").iter_rows(named=True):
        holder = by_address[row["address"]]
        pool = (holder.address, holder.backing(row["coin"]))
        if pool not in met:
            met.add(pool)
            yield holder, row


def scale_of(holder: Holder, move: float) -> float:
    return sum(abs(p.notional_usd) for p in holder.holdings) * (1 + abs(move)) + holder.available_usd


@settings(max_examples=20)
@given(crowds(), betas_drawn)
def test_at_the_joint_price_equity_is_maintenance_and_before_it_more(
    holders: list[Holder], betas: dict[str, float]
) -> None:
    for holder, row in one_of_each_pool(joined(holders, betas), holders):
        for way, end in (("down", -1.0), ("up", 1e4)):
            move, coin = moves_of(row)[way], str(row["coin"])
            if move is not None:
                left = holder.margin_left(coin, move, betas)
                assert abs(left) <= 1e-9 * scale_of(holder, move)
            until = end if move is None else move
            for share in (*np.linspace(0, 1, 21)[:-1], 1e-3, 1e-4, 1e-5):
                assert holder.margin_left(coin, until * share, betas) >= -1e-9 * scale_of(holder, until)


def bisected(holder: Holder, coin: str, end: float) -> float | None:
    """The only root in (0, end] of the concave margin left under a parallel move."""
    if holder.margin_left(coin, end, {}) >= 0:
        return None
    safe, lost = 0.0, end
    for _ in range(90):
        middle = (safe + lost) / 2
        safe, lost = (middle, lost) if holder.margin_left(coin, middle, {}) >= 0 else (safe, middle)
    return safe


@settings(max_examples=20)
@given(crowds())
def test_a_parallel_move_liquidates_where_bisection_finds(holders: list[Holder]) -> None:
    for holder, row in one_of_each_pool(joined(holders), holders):
        for way, end in (("down", -1.0), ("up", 1e6)):
            move, expected = moves_of(row)[way], bisected(holder, str(row["coin"]), end)
            if expected is None:
                assert move is None or move > 1e6
            else:
                assert move == pytest.approx(expected, rel=1e-7, abs=1e-11)


@settings(max_examples=20)
@given(crowds())
def test_an_account_of_one_position_keeps_its_own_price(holders: list[Holder]) -> None:
    single = [h for h in holders if len(h.holdings) == 1 and h.holdings[0].coin == "BTC"]
    found = joined(single)
    assert found["joint_px"].is_null().equals(found["liq_px"].is_null())
    both = found.drop_nulls("liq_px")
    assert np.allclose(both["joint_px"].to_numpy(), both["liq_px"].to_numpy(), rtol=1e-10)


@settings(max_examples=20)
@given(crowds(), betas_drawn)
def test_positions_of_one_pool_share_their_prices_and_isolated_ones_keep_theirs(
    holders: list[Holder], betas: dict[str, float]
) -> None:
    found = joined(holders, betas)
    for holder, row in one_of_each_pool(found, holders):
        mates = {p.coin for p in holder.pool(str(row["coin"]))}
        rows = found.filter((pl.col("address") == holder.address) & pl.col("coin").is_in(mates))
        cross = rows.filter(pl.col("margin_mode") == "cross")
        assert cross["joint_down_px"].n_unique() == cross["joint_up_px"].n_unique() == 1
    own = found.filter((pl.col("margin_mode") == "isolated") & (pl.col("coin") == "BTC"))
    assert own["joint_px"].equals(own["liq_px"], check_names=False)


def test_a_hedge_moves_the_joint_price_away_and_a_second_long_brings_it_nearer() -> None:
    alone = Holder("0x1", "standard", 10_000.0, (Holding("BTC", 100_000.0),))
    hedged = Holder("0x2", "standard", 10_000.0, (Holding("BTC", 100_000.0), Holding("ARB", -60_000.0)))
    doubled = Holder("0x3", "standard", 10_000.0, (Holding("BTC", 100_000.0), Holding("ARB", 60_000.0)))
    px = dict(
        joined([alone, hedged, doubled]).filter(pl.col("coin") == "BTC").select("address", "joint_px").rows()
    )
    assert px["0x2"] < px["0x1"] < px["0x3"] < MARKS["BTC"]
    # 10,000 of margin left, 100,000 + 60,000 long; maintenance falls with the notional: 1/80 and 1/20 of it.
    lost_per_move = 100_000 * (1 - 1 / 80) + 60_000 * (1 - 1 / 20)
    assert px["0x3"] / MARKS["BTC"] == pytest.approx(1 - 10_000 / lost_per_move, rel=1e-12)


def test_a_short_of_another_coin_is_liquidated_by_a_fall_where_its_beta_is_negative() -> None:
    holder = Holder("0x1", "unified", 1_000.0, (Holding("BTC", 10.0), Holding("ARB", -20_000.0)))
    (row,) = joined([holder], {"ARB": -1.0}).filter(pl.col("coin") == "ARB").rows(named=True)
    assert row["joint_px"] == row["joint_down_px"] < MARKS["BTC"]


def test_a_pool_below_maintenance_already_is_booked_at_the_mark() -> None:
    found = joined([Holder("0x1", "unified", -5.0, (Holding("BTC", 1e4), Holding("ARB", 1e3)))])
    assert found["joint_status"].to_list() == ["crossed", "crossed"]
    assert found["joint_px"].to_list() == [MARKS["BTC"]] * 2


def test_nothing_is_invented_for_a_pool_with_an_unknown_table_or_unknown_collateral() -> None:
    holdings = (Holding("BTC", 1e4), Holding("xyz:TSLA", 1e3))
    frame = frame_of([Holder("0x1", "unified", 1e3, holdings), Holder("0x2", "standard", 1e3, holdings)])
    without = {dex: tables for dex, tables in TABLES.items() if dex != "xyz"}
    status = prices(frame, without, "BTC", {}).select("address", "coin", "joint_status", "joint_px")
    reported = {(a, c): (s, px is None) for a, c, s, px in status.rows()}
    # The unified account's pool is not the dex's token any more once the dex is unknown: each is judged by what is.
    assert reported["0x2", "BTC"] == ("joint", False)
    assert reported["0x1", "xyz:TSLA"] == reported["0x2", "xyz:TSLA"] == ("unknown", True)
    modeless = frame.with_columns(
        account_mode=pl.lit(None, pl.String), pooled_available_usd=pl.lit(None, pl.Float64)
    )
    assert set(prices(modeless, TABLES, "BTC", {})["joint_status"]) == {"unknown"}


def test_collateral_is_what_the_exchanges_prices_agree_on_where_they_contradict_what_was_captured() -> None:
    frame = frame_of(
        [Holder("0x1", "standard", 1e3, (Holding("BTC", 1e4), Holding("ARB", 5e3)))], exchange=True
    )
    right = prices(frame, TABLES, "BTC", {})["joint_px"].to_list()
    wrong = reconcile(frame.with_columns(account_value_usd=pl.lit(7.0)), TABLES)
    assert set(wrong["status"]) == {"differs"}
    assert prices(wrong, TABLES, "BTC", {})["joint_px"].to_list() == pytest.approx(right, rel=1e-9)
    # Prices that imply two different collaterals tell nothing of either.
    moved = (
        pl.when(pl.col("coin") == "BTC").then(0.99 * pl.col("liq_px_exchange")).otherwise("liq_px_exchange")
    )
    torn = reconcile(wrong.with_columns(liq_px_exchange=moved), TABLES)
    assert set(prices(torn, TABLES, "BTC", {})["joint_status"]) == {"unknown"}


@pytest.mark.parametrize(
    ("coin", "betas", "reported"),
    [
        ("DOGE", {}, "nobody holds 'DOGE'"),
        ("BTC", {"ARB": float("nan")}, "ARB"),
        ("BTC", {"BTC": 2.0}, "must be 1"),
    ],
)
def test_bad_betas_and_coins_are_refused(coin: str, betas: dict[str, float], reported: str) -> None:
    frame = frame_of([Holder("0x1", "standard", 1e3, (Holding("BTC", 1e4),))])
    with pytest.raises(BadInput, match=reported):
        prices(frame, TABLES, coin, betas)


# ------------------------------------------------------------------------------------------- the map


@pytest.fixture(scope="module")
def view(swept: Store) -> JointView:
    return joint_view(swept, "BTC")


def test_the_joint_map_holds_the_same_mass_as_the_exact_one_elsewhere(swept: Store, view: JointView) -> None:
    exact = exact_map(swept, "BTC")
    assert view.heatmap.total_usd == pytest.approx(exact.total_usd, rel=1e-12)
    assert not np.allclose(view.heatmap.long_usd, exact.long_usd)
    assert view.heatmap.label == "hyperliquid joint"
    assert view.heatmap.coverage.unknown_usd.total == 0


def test_isolated_positions_lie_where_they_do_on_the_exact_map(swept: Store, view: JointView) -> None:
    exact = exact_map(swept, "BTC").filter(margin_mode="isolated")
    joint = view.heatmap.filter(margin_mode="isolated")
    assert exact.long_usd.sum() > 0
    assert np.allclose(joint.long_usd, exact.long_usd)
    assert np.allclose(joint.short_usd, exact.short_usd)


def test_only_where_accounts_of_the_map_are_liquidated_is_anything_dragged_along(view: JointView) -> None:
    assert view.dragged_usd.sum() > 0
    on_map = view.heatmap.long_usd + view.heatmap.short_usd + view.against_usd
    assert not view.dragged_usd[on_map == 0].any()


def test_a_map_holds_what_goes_along_and_what_a_favourable_move_closes_beside_its_bins(store: Store) -> None:
    """By hand, all with 10,000 left, everything moving alike; maintenance is 1/80 of BTC and 1/20 of ARB."""
    fallen = Holder("0x1", "standard", 10_000.0, (Holding("BTC", 100_000.0), Holding("ARB", 60_000.0)))
    short_of_all = Holder("0x2", "unified", 10_000.0, (Holding("BTC", 20_000.0), Holding("ARB", -100_000.0)))
    stow(store, [fallen, short_of_all])
    view = joint_view(store, "BTC")
    fall = 10_000 / (100_000 * (1 - 1 / 80) + 60_000 * (1 - 1 / 20))
    rise = 10_000 / (-20_000 * (1 - 1 / 80) + 100_000 * (1 + 1 / 20))
    at = [int(view.heatmap.grid.bin_of(MARKS["BTC"] * (1 + move))) for move in (-fall, rise)]
    assert view.heatmap.in_grid_usd == (pytest.approx(100_000), 0.0)
    assert view.heatmap.long_usd[at[0]] == pytest.approx(100_000)
    assert [view.dragged_usd[i] for i in at] == pytest.approx([60_000, 100_000])
    assert view.against_usd[at[1]] == pytest.approx(20_000)
    assert view.dragged_usd.sum() == pytest.approx(160_000)
    assert view.heatmap.never_usd.long == pytest.approx(20_000)
    assert note("closed_in_favour", count=1) in view.heatmap.coverage.notes
    assert "drag $160k" in view.describe()[0]


def test_cross_positions_that_were_not_read_are_unmoved() -> None:
    whole = Holder("0x1", "standard", 1_000.0, (Holding("BTC", 10_000.0), Holding("ARB", 10_000.0)))
    frame = frame_of([whole])
    found = prices(frame.filter(pl.col("coin") == "BTC"), TABLES, "BTC", {})
    assert found["joint_px"][0] == pytest.approx(found["liq_px"][0], rel=1e-12)
    assert joined([whole]).filter(pl.col("coin") == "BTC")["joint_px"][0] > found["joint_px"][0]


def test_a_map_without_margin_tables_or_positions_says_what_to_do(store: Store) -> None:
    stow(store, [Holder("0x1", "standard", 1e3, (Holding("BTC", 1e4),))])
    with store.database.session() as session:
        session.exec(delete(Universe))
    with pytest.raises(MissingData, match="needs margin tables and none are stored"):
        joint_view(store, "BTC")
    with pytest.raises(MissingData, match="no positions of ARB"):
        joint_view(store, "ARB")


def test_betas_change_the_map_and_are_named_in_its_assumptions(swept: Store, view: JointView) -> None:
    moved = joint_view(swept, "BTC", betas={"ETH": 0.0, "SOL": 0.0, "HYPE": 0.0}).heatmap
    exact = exact_map(swept, "BTC")
    assert moved.assumptions[0].code == "moves_by_beta"
    assert view.heatmap.assumptions[0].code == "moves_alike"
    # With all other marks unmoved a joint move is the cross price of the exact map.
    assert np.allclose(moved.long_usd, exact.long_usd)
    assert np.allclose(moved.short_usd, exact.short_usd)


# ------------------------------------------------------------------------------------------------ betas

START = datetime(2026, 8, 1, tzinfo=UTC)


def closes_of(coin: str, returns: np.ndarray) -> pl.DataFrame:  # type: ignore[type-arg]
    ts = [START + timedelta(hours=n) for n in range(len(returns) + 1)]
    path = 100 * np.exp(np.append(0.0, np.cumsum(returns)))
    return pl.DataFrame({"ts": ts, "coin": coin, "close": path}).with_columns(
        pl.col("ts").dt.cast_time_unit("ms")
    )


def walk(seed: int, n: int = 500) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).normal(0, 0.01, n)


@given(st.floats(-3, 3), st.integers(0, 99))
def test_a_coin_that_follows_exactly_has_its_own_slope(slope: float, seed: int) -> None:
    base = walk(seed)
    betas = betas_of(pl.concat([closes_of("BTC", base), closes_of("ARB", slope * base)]), "BTC")
    assert betas["ARB"] == pytest.approx(slope, abs=1e-6)
    assert betas["BTC"] == 1.0


def test_missing_closes_distort_nothing() -> None:
    base = walk(1)
    whole = pl.concat([closes_of("BTC", base), closes_of("ARB", 1.5 * base)])
    holes = whole.filter((pl.col("coin") == "BTC") | (pl.col("ts").dt.hour() % 5 != 0))
    assert betas_of(holes, "BTC")["ARB"] == pytest.approx(1.5, abs=1e-6)


def test_a_noisy_coin_is_drawn_towards_one_and_more_so_with_fewer_points() -> None:
    def beta(n: int) -> float:
        base, noise = walk(2, n), 30 * walk(3, n)
        return betas_of(pl.concat([closes_of("BTC", base), closes_of("ARB", -2 * base + noise)]), "BTC")[
            "ARB"
        ]

    assert abs(beta(40) - 1) < 0.2
    assert abs(beta(200_000 // 4) + 2) < 0.3


def test_a_coin_with_few_returns_gets_no_beta_and_a_base_without_them_is_refused() -> None:
    few, base = walk(4, FEWEST_RETURNS - 1), walk(4)
    assert set(betas_of(pl.concat([closes_of("BTC", base), closes_of("NEW", few)]), "BTC")) == {"BTC"}
    with pytest.raises(MissingData, match="--move parallel"):
        betas_of(closes_of("BTC", few), "BTC")
    with pytest.raises(BadInput, match="a price is positive"):
        betas_of(closes_of("BTC", base).with_columns(close=pl.lit(0.0)), "BTC")


def test_betas_are_read_from_stored_candles_that_had_closed_by_then(store: Store) -> None:
    base = walk(5)
    with pytest.raises(MissingData, match="no candles of BTC on hyperliquid are stored"):
        stored_betas(store, "BTC")
    for coin, slope in (("BTC", 1.0), ("ARB", 1.5)):
        bent = np.where(np.arange(len(base)) < 300, slope, 1.0) * base
        rows = closes_of(coin, bent).select("ts", interval_s=pl.lit(3600), close="close")
        store.lake.merge_series("candles", "hyperliquid", coin, rows, ["ts", "interval_s"])
    early = stored_betas(store, "BTC", at=START + timedelta(hours=301))
    assert early["ARB"] == pytest.approx(1.5, abs=1e-6)
    assert stored_betas(store, "BTC")["ARB"] < 1.4
