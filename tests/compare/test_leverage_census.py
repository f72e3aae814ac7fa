"""The leverage census: what it reads off prices is the leverage that opened there, and its figures are of accounts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.options.shared import GLOBALS
from liqtruth.compare.calibration.bands import LABELS
from liqtruth.compare.census.as_model import census_model, node_shares
from liqtruth.compare.census.census import census_of, counted_coin
from liqtruth.compare.census.figures import CELLS, FEWEST, LAYERS, CensusRow, cell_of, census_figures
from liqtruth.compare.census.leverages import CENSUS_ROWS, effective_leverage
from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.brackets import LONG, SHORT, Brackets, liquidation_price
from liqtruth.estimator.model.leverage import band_of
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.heatmap.levels import SIDES
from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.frames import conform
from liqtruth.storage.store import Settings, Store
from tests.compare.conftest import ExchangeRead

TIERED = Brackets(
    "BTC", np.array([0.0, 5e4, 5e5]), np.array([0.0125, 0.02, 0.05]), np.array([40.0, 25.0, 10.0]), "tiers"
)


@given(leverage=st.floats(1.5, 39), usd=st.floats(1e2, 1e7), side=st.sampled_from([LONG, SHORT]))
def test_a_position_with_its_own_initial_margin_alone_has_the_leverage_that_it_opened_with(
    leverage: float, usd: float, side: float
) -> None:
    px = liquidation_price(TIERED, 100.0, usd / 100, leverage, side)
    found = effective_leverage(
        np.array([100.0]),
        np.array([float(px)]),
        np.array([side * usd / 100]),
        TIERED.maintenance_usd(np.array([usd / 100 * float(px)])),
    )
    assert found[0] == pytest.approx(leverage, rel=1e-9)


def test_no_leverage_opens_where_a_position_in_profit_is_liquidated() -> None:
    entry, liquidated, szi = np.array([100.0, 100.0, np.nan]), np.array([110.0, np.nan, 90.0]), np.ones(3)
    found = effective_leverage(entry, liquidated, szi, 0.01 * liquidated)
    assert found[0] == np.inf
    assert np.isnan(found[1:]).all()


def test_a_cell_of_the_histogram_lies_in_one_band() -> None:
    for leverage in (0.01, 2.999, 3.0, 6.99, 7.0, 15.0, 29.9, 60.0, 1e6, np.inf):
        cell = int(cell_of(np.array([leverage]))[0])
        label = LABELS[-1] if np.isinf(leverage) else band_of(leverage)
        assert LABELS[cell * len(LABELS) // CELLS] == label


def people(rng: np.random.Generator, count: int, **columns: Any) -> pl.DataFrame:
    """Longs of as many accounts, of unequal sizes, a third of them above 7x; none is without liquidation price."""
    leverage = np.where(rng.random(count) < 1 / 3, 10.0, 2.0)
    usd = rng.pareto(2.0, count) + 1
    return conform(
        pl.DataFrame(
            {
                "account": [f"0x{at}" for at in range(count)],
                "coin": ["BTC"] * count,
                "side": ["long"] * count,
                "size": ["<10k"] * count,
                "maximum": ["40x"] * count,
                "margin_mode": rng.choice(["cross", "isolated"], count),
                "uncapped": usd,
                "capped": np.minimum(usd, 3.0),
                "priced": [True] * count,
                "unpriced_read": [True] * count,
                "highest": [40.0] * count,
                "entry": leverage,
                "mark": leverage,
                "past_entry": [False] * count,
                "past_mark": [False] * count,
            }
            | columns
        ),
        CENSUS_ROWS,
    )


def whole(rows: pl.DataFrame, side: str = "long", anchor: str = "mark", **more: Any) -> CensusRow:
    return next(
        row
        for row in census_figures(rows, **more)
        if (row.grouping, row.side, row.anchor, row.layer) == ("all", side, anchor, "capped")
    )


class TestFigures:
    def test_intervals_hold_the_share_of_the_population_about_as_often_as_they_say(self) -> None:
        """A third of the population is above 7x. 95 % intervals from 40 accounts of unequal size, over 150 samples:
        between 90 and 100 % hold it (two-sided chance of fewer than 90 % at a true 95 %: 1 %)."""
        rng = np.random.default_rng(1)
        alike: dict[str, Any] = {"margin_mode": ["cross"] * 40, "entry": [None] * 40}
        found = [whole(people(rng, 40, **alike), draws=60).bands[2] for _ in range(150)]
        held = [one.low <= 1 / 3 <= one.high for one in found if one.low is not None and one.high is not None]
        assert len(held) == 150
        assert np.mean(held) >= 0.90
        assert np.mean([one.high - one.low for one in found if one.low is not None and one.high]) < 0.45

    def test_shares_are_of_what_a_price_liquidates_and_the_rest_stands_apart(self) -> None:
        rng = np.random.default_rng(2)
        priced = np.arange(100) >= 40
        rows = people(rng, 100, priced=priced, capped=np.ones(100)).with_columns(
            pl.when("priced").then("mark").alias("mark")
        )
        row = whole(rows)
        assert row.without_price is not None
        assert row.without_price.value == pytest.approx(0.4)
        assert sum(one.value for one in row.bands) == pytest.approx(1.0)
        assert row.effective_accounts == pytest.approx(60)

    def test_a_source_without_unpriced_positions_does_not_tell_their_share(self) -> None:
        rng = np.random.default_rng(2)
        assert whole(people(rng, 20, unpriced_read=[False] * 20)).without_price is None

    def test_few_accounts_give_no_interval_however_many_positions_they_have(self) -> None:
        rows = people(np.random.default_rng(3), 200, account=[f"0x{at % 5}" for at in range(200)])
        row = whole(rows)
        assert row.accounts == 5
        assert row.effective_accounts < FEWEST
        assert all(one.low is None for one in row.bands)

    def test_what_was_never_drawn_is_not_sure_to_be_absent(self) -> None:
        row = whole(people(np.random.default_rng(4), 50))
        assert row.bands[-1].value == 0.0
        assert (row.bands[-1].high or 0.0) > 0.02

    def test_groups_add_up_to_all_and_an_unknown_maximum_has_nothing_above_it(self) -> None:
        rows = people(np.random.default_rng(5), 300, highest=[None] * 300)
        figures = census_figures(rows)
        for layer in LAYERS:
            chosen = [one for one in figures if (one.layer, one.anchor) == (layer, "mark")]
            usd = {
                name: sum(one.notional_usd for one in chosen if one.grouping == name)
                for name in ("all", "margin_mode")
            }
            assert usd["margin_mode"] == pytest.approx(usd["all"])
        assert all(one.above_maximum is None for one in figures)


def test_a_census_as_a_model_keeps_what_stands_and_adds_up_to_one_with_what_has_no_place() -> None:
    nodes = np.array(leverage_model_named("prior").leverage)
    rows = people(np.random.default_rng(6), 100)
    rows = rows.with_columns(entry=pl.when(pl.col("account") == "0x0").then(float("inf")).otherwise("entry"))
    shares = node_shares(rows, nodes)
    assert shares.sum() == pytest.approx(1.0)
    assert set(np.round(nodes[shares > 0])) == {2.0, 10.0}
    slow = node_shares(rows.with_columns(entry=pl.lit(1.0)), nodes)
    assert slow.sum() == 0.0


class TestOnAnExchange:
    """Every account of a synthetic exchange, read over HTTP."""

    def test_a_census_is_shown_written_and_drawn_with(
        self, exchange: ExchangeRead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(GLOBALS, "data_dir", exchange.store.settings.data_dir)
        page, path = tmp_path / "census.html", tmp_path / "census.json"
        line = ["census", "BTC", "-o", str(page), "-o", str(path), "--save", "counted"]
        shown = CliRunner().invoke(calibrate_app, line, catch_exceptions=False)
        model = exchange.store.settings.data_dir / "models" / "counted.json"
        try:
            assert "without price" in shown.stdout
            heading, table = shown.stdout.split("leverage", 2)[1:]
            assert ", capped" in heading + table.splitlines()[0]
            assert "capped: each position counts with at most 0.3 % of open interest" in shown.stdout
            assert "uncapped" in shown.stdout, "medians without the cap stand below"
            assert "of what stands, not of what was opened" in shown.stdout
            drawn = leverage_model_named("counted", exchange.store.settings.data_dir)
            assert (drawn.kind, drawn.provenance.synthetic) == ("census", True)
            assert "turnover class they are in is not seen" in drawn.note
            by_name, by_weights = (
                modelled_map(exchange.store, "BTC", "binance", "counted", "3d"),
                modelled_map(exchange.store, "BTC", "binance", "vintages", "3d", weights="counted"),
            )
            assert (by_name.long_usd == by_weights.long_usd).all()
            assert by_name.long_usd.any()
            with pytest.raises(UnknownChoice):
                modelled_map(exchange.store, "BTC", "binance", "uncounted", "3d")
        finally:
            model.unlink()
        assert "SYNTHETIC MARKET" in page.read_text()
        found = json.loads(path.read_text())
        assert found["synthetic"] is True
        assert {row["anchor"] for row in found["rows"]} == {"entry", "mark"}
        assert {row["grouping"] for row in found["rows"]} >= {"all", "size", "margin_mode"}

    def test_measured_from_entry_more_lies_above_the_maximum_than_from_the_mark(
        self, exchange: ExchangeRead
    ) -> None:
        """Cross collateral follows the price, so that the distance from entry says little for a position in profit."""
        census = census_of([counted_coin(exchange.store, "BTC")])
        for side in SIDES:
            entry, mark = (census.row(side, anchor).above_maximum for anchor in ("entry", "mark"))
            assert entry is not None
            assert mark is not None
            assert entry.value >= mark.value


@pytest.mark.recorded
class TestRecorded:
    def test_large_accounts_are_called_that(self, recorded: Path, tmp_path: Path) -> None:
        """26 % of BTC longs: a third or less stands above 3x from the mark, and the sources' nulls are counted."""
        folder = recorded / "hyperliquid" / "positions-2026-08"
        with Store.open(Settings(data_dir=tmp_path)) as store:
            import_paths(store, [folder / "positions_BTC.csv.gz"], market=folder / "market_BTC.csv")
            counted = [counted_coin(store, "BTC")]
        census = census_of(counted)
        codes = {one.code for one in census.notes}
        assert {"census_incomplete", "census_few", "census_maintenance"} <= codes
        assert "large accounts" in " ".join(one.text for one in census.notes)
        assert census.coins[0].coverage == pytest.approx((0.26, 0.166), abs=0.001)
        long = census.row("long", "mark")
        assert long.median is not None
        assert long.median.value == pytest.approx(2.1, abs=0.1)
        assert long.without_price is not None
        model = census_model(census, [one.rows for one in counted], "large")
        assert model.null_share("long") > long.without_price.value - 1e-6
        assert "large accounts" in model.note

    def test_the_whole_state_has_no_entries_and_is_measured_from_the_mark(
        self, recorded: Path, tmp_path: Path
    ) -> None:
        """Half of it below 5x: the leverages of everybody, not of large accounts."""
        folder = recorded / "hyperliquid" / "whole-state-BTC-2026-04-05"
        with Store.open(Settings(data_dir=tmp_path)) as store:
            import_paths(store, [folder / "positions_BTC.csv.gz"], market=folder / "market.csv")
            census = census_of([counted_coin(store, "BTC")])
        assert census.anchors == ("mark",)
        assert {"census_no_entries", "census_all_priced"} <= {one.code for one in census.notes}
        medians = [census.row(side, "mark").median for side in SIDES]
        assert [one.value for one in medians if one is not None] == pytest.approx([4.9, 5.3], abs=0.15)
        assert all(census.row(side, "mark").without_price is None for side in SIDES)
