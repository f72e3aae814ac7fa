"""A sweep of the synthetic exchange over real sockets finds the truth that its ledger holds, in every account mode.

The ledger's prices come from direct search, in a package that never imports the readers.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.indexer.audit.mismatch_report import mismatch_report
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses, true_positions
from liqtruth.storage.store import Settings, Store


@pytest.fixture(scope="module")
def swept_main(
    tmp_path_factory: pytest.TempPathFactory, served: SandboxServer, small_market: Market
) -> Iterator[tuple[Store, SweepReport]]:
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("truth"))) as store:
        yield store, read_all(store, served.base_url, small_market)


def read_all(store: Store, base_url: str, market: Market, **options: object) -> SweepReport:
    return asyncio.run(sweep(store, addresses(market), base_url=base_url, weight_per_minute=0, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def joined(swept_main: tuple[Store, SweepReport], small_market: Market) -> pl.DataFrame:
    """Every position of the main dex with its true price as `true_px`."""
    truth = on_main_dex(small_market).rename({"liq_px": "true_px", "szi": "true_szi"})
    read = positions_as_of(swept_main[0], None, None)
    assert read.height == truth.height
    return read.join(truth.select("address", "coin", "true_px", "true_szi"), on=["address", "coin"])


def on_main_dex(market: Market) -> pl.DataFrame:
    return true_positions(market).filter(pl.col("dex") == "")


def map_of(swept_main: tuple[Store, SweepReport], coin: str = "BTC") -> Heatmap:
    return exact_map(swept_main[0], coin)


def test_every_position_of_the_ledger_is_read(joined: pl.DataFrame, small_market: Market) -> None:
    assert joined.height == on_main_dex(small_market).height > 300
    assert (joined["szi"] == joined["true_szi"]).all()


@pytest.mark.parametrize("mode", ["standard", "unified", "portfolio"])
def test_the_solved_price_is_the_ledgers_in_every_account_mode(joined: pl.DataFrame, mode: str) -> None:
    rows = joined.filter(pl.col("account_mode").str.to_lowercase().str.starts_with(mode))
    assert rows.height >= 10, joined["account_mode"].unique().to_list()
    assert (rows["liq_px_solved"].is_null() == rows["true_px"].is_null()).all()
    priced = rows.drop_nulls("true_px")
    # The exchange's decimal strings carry ten significant digits or more; the solver adds nothing to that.
    error = (priced["liq_px_solved"] / priced["true_px"] - 1).abs().max()
    assert isinstance(error, float)
    assert error < 1e-9


@pytest.mark.parametrize("margin_mode", ["cross", "isolated"])
def test_both_margin_modes_are_among_them(joined: pl.DataFrame, margin_mode: str) -> None:
    rows = joined.filter(pl.col("margin_mode") == margin_mode)
    assert rows.height > 20
    assert set(rows["status"]) <= {"agree", "never"}


def test_a_position_that_no_price_liquidates_keeps_its_null(joined: pl.DataFrame) -> None:
    never = joined.filter(pl.col("status") == "never")
    assert never.height > 0
    assert never["liq_px"].is_null().all()
    assert never["true_px"].is_null().all()
    assert joined.filter(pl.col("status") == "agree")["liq_px"].is_not_null().all()


def test_the_map_covers_the_whole_market_and_both_sides_are_equal(
    swept_main: tuple[Store, SweepReport],
) -> None:
    drawn = map_of(swept_main)
    share = drawn.coverage.share
    assert share is not None
    assert tuple(share) == pytest.approx((1.0, 1.0), rel=1e-9)
    assert drawn.total_usd.long == pytest.approx(drawn.total_usd.short, rel=1e-9)
    assert drawn.synthetic


def test_the_maps_mass_is_the_ledgers_at_every_distance(
    swept_main: tuple[Store, SweepReport], small_market: Market
) -> None:
    drawn = map_of(swept_main)
    truth = on_main_dex(small_market).filter(pl.col("coin") == "BTC").drop_nulls("liq_px")
    for side, sign in (("long", 1), ("short", -1)):
        rows = truth.filter(pl.col("szi") * sign > 0)
        px, usd = rows["liq_px"].to_numpy(), rows["notional_usd"].to_numpy()
        within = (px >= drawn.grid.edges[0]) & (px < drawn.grid.edges[-1])
        mass = drawn.long_usd if side == "long" else drawn.short_usd
        assert mass.sum() == pytest.approx(usd[within].sum(), rel=1e-9)
        expected = np.histogram(px[within], drawn.grid.edges, weights=usd[within])[0]
        assert np.allclose(mass, expected, rtol=1e-9, atol=1e-3)


def test_faults_on_the_way_change_nothing_that_is_read(
    swept_main: tuple[Store, SweepReport], small_market: Market, tmp_path: Path
) -> None:
    faults = Faults(
        rate_429=0.01, rate_500=0.03, rate_reset=0.03, rate_truncated=0.03, rate_html=0.03, seed=1
    )
    patience = Patience(attempts=30, total_s=30.0, first_wait_s=0.005, pause_s=0.02)
    with (
        serving_in_thread(small_market, weight_per_minute=None, faults=faults) as faulty,
        Store.open(Settings(data_dir=tmp_path / "faulty")) as store,
    ):
        report = read_all(store, faulty.base_url, small_market, patience=patience)
        assert len(faults.met) >= 4, faults.met
        assert report.failed == {}
        columns = ["address", "coin", "szi", "liq_px", "status"]
        calm = positions_as_of(swept_main[0], None, None).select(columns).sort(columns[:2])
        assert positions_as_of(store, None, None).select(columns).sort(columns[:2]).equals(calm)


def test_a_builder_dex_is_read_by_its_own_name(
    served: SandboxServer, small_market: Market, store: Store
) -> None:
    read_all(store, served.base_url, small_market, dex="xyz")
    truth = true_positions(small_market).filter(pl.col("coin") == "xyz:TSLA")
    drawn = exact_map(store, "xyz:TSLA")
    assert truth.height > 5
    assert drawn.coverage.positions == truth.height
    assert drawn.total_usd.long == pytest.approx(
        truth.filter(pl.col("szi") > 0)["notional_usd"].sum(), rel=1e-9
    )


# ------------------------------------------------------------------------------------- all dexes together


@pytest.fixture(scope="module")
def swept_all(swept: Store, swept_once: tuple[Path, SweepReport]) -> tuple[Store, SweepReport]:
    return swept, swept_once[1]


@pytest.fixture(scope="module")
def everywhere(swept_all: tuple[Store, SweepReport], small_market: Market) -> pl.DataFrame:
    """Every position of every dex with its true price as `true_px`, joined from the ledger's side."""
    read = positions_as_of(swept_all[0], None, None).rename({"szi": "read_szi", "account_mode": "read_mode"})
    truth = true_positions(small_market).rename({"liq_px": "true_px"})
    columns = ["address", "coin", "read_szi", "read_mode", "liq_px_solved", "status"]
    assert read.height == truth.height
    return truth.join(read.select(columns), on=["address", "coin"], how="left")


def test_all_dexes_together_are_the_whole_ledger(
    swept_all: tuple[Store, SweepReport], everywhere: pl.DataFrame
) -> None:
    report = swept_all[1]
    assert report.dexes == ("", "xyz")
    assert (everywhere["szi"] == everywhere["read_szi"]).all()
    assert everywhere.filter(pl.col("dex") == "xyz").height > 20
    assert report.accounts == 600, "an account read in two dexes is one account"
    assert report.accounts_with_positions == everywhere["address"].n_unique()


@pytest.mark.parametrize(
    "mode", ["default", "disabled", "unifiedAccount", "portfolioMargin", "dexAbstraction"]
)
def test_all_dexes_together_are_exact_in_every_mode(everywhere: pl.DataFrame, mode: str) -> None:
    rows = everywhere.filter(pl.col("account_mode") == mode)
    assert rows.height >= 10
    assert (rows["liq_px_solved"].is_null() == rows["true_px"].is_null()).all()
    error = (rows["liq_px_solved"] / rows["true_px"] - 1).abs().max()
    assert isinstance(error, float)
    assert error < 1e-9


def test_no_price_of_any_dex_is_a_mismatch(swept_all: tuple[Store, SweepReport]) -> None:
    store, report = swept_all
    found = mismatch_report(store)
    assert report.mismatches == found.reasons == {}
    assert found.solved == found.positions == report.positions
    assert found.nulls == report.statuses["never"]
    assert found.worst_fitting is not None
    assert found.worst_fitting < 1e-9


def test_the_builder_dex_has_its_own_map_and_coverage(swept_all: tuple[Store, SweepReport]) -> None:
    drawn = exact_map(swept_all[0], "xyz:TSLA")
    share = drawn.coverage.share
    assert share is not None
    assert tuple(share) == pytest.approx((1.0, 1.0), rel=1e-9)


def test_the_second_sweep_spares_the_spot_states_of_standard_accounts(
    swept_main: tuple[Store, SweepReport], served: SandboxServer, small_market: Market
) -> None:
    store, first = swept_main
    second = read_all(store, served.base_url, small_market)
    holdings = on_main_dex(small_market).filter(pl.col("margin_mode") == "cross")
    separate = holdings.filter(~pl.col("account_mode").is_in(["unifiedAccount", "portfolioMargin"]))
    assert first.weight - second.weight == 2 * separate["address"].n_unique() > 100
    assert second.statuses == first.statuses
    assert second.mode_changed == 0
