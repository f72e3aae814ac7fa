"""`score leads` on stored series: exact maps, prices and liquidations that were observed, side by side."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from liqtruth.commands.options.shared import GLOBALS
from liqtruth.commands.score import score_app
from liqtruth.compare.observed.price_path import PricePath, load_path
from liqtruth.compare.scoring.lead_lag.job import (
    LeadLagPlan,
    LeadLagReport,
    StepClock,
    lead_lag_stored,
    step_clock,
    swept_steps,
)
from liqtruth.compare.scoring.visits.major_zones import exact_maps_between
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.text import of_ms
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import random_series
from tests.compare.test_calibration_lake import COIN, HOUR, stored_reading, stored_series

VENUE = "bybit"
BARS = 192
LATE = 2
"""Steps by which liquidations on the venue come after the sweep."""


def swept_usd(store: Store, series: MarketSeries) -> tuple[StepClock, FloatArray]:
    maps = exact_maps_between(store, COIN, None, None, HOUR)
    path = PricePath(load_path(store, "hyperliquid", COIN, series.start, series.as_of))
    last = int(series.end_ms[-1])
    clock = step_clock(last - BARS * 3_600_000, last, HOUR)
    return clock, swept_steps(maps, path, clock, own_prices=True).usd


def stored_liquidations(store: Store, clock: StepClock, usd: FloatArray, late: int = LATE) -> None:
    """What was swept, `late` steps later, in the middle of a step."""
    parts = []
    for side, row in zip(SIDES, usd, strict=True):
        at = np.flatnonzero(np.nan_to_num(row[: row.size - late]) > 0)
        parts.append(
            pl.DataFrame(
                {
                    "ts": [of_ms(int(ms)) for ms in clock.start_ms[at + late] + clock.step_ms // 2],
                    "id": [f"{side}-{n}" for n in at],
                    "side": [side] * at.size,
                    "px": [100.0] * at.size,
                    "coins": row[at] / 100,
                    "notional_usd": row[at],
                }
            )
        )
    rows = conform(pl.concat(parts).sort("ts"), "liquidations")
    store.lake.merge_series(
        "liquidations", VENUE, COIN, rows, DATASETS["liquidations"].key, "synthetic: a test"
    )


def recorded(store: Store, series: MarketSeries, hours: int = BARS) -> None:
    span = {"ts": [series.as_of - hours * HOUR], "until": [series.as_of], "coverage": ["every liquidation"]}
    rows = conform(pl.DataFrame(span), "listening")
    store.lake.merge_series("listening", VENUE, COIN, rows, ("ts",), "synthetic: a test")


@pytest.fixture(scope="module")
def series() -> MarketSeries:
    """Eight days of hours."""
    return random_series(13, bars=BARS)


@pytest.fixture(scope="module")
def opened(series: MarketSeries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Prices, exact maps every six hours, and liquidations of a venue that follow the sweep; tests only read it."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("leads"))) as stored:
        stored_series(stored, series)
        for bar in range(4, BARS, 6):
            stored_reading(stored, series, bar)
        stored_liquidations(stored, *swept_usd(stored, series))
        recorded(stored, series)
        yield stored


def asked(store: Store, **more: object) -> LeadLagReport:
    return lead_lag_stored(store, LeadLagPlan(COIN, VENUE, step=HOUR, max_lag=4, shuffles=200, **more))  # type: ignore[arg-type]


class TestStored:
    def test_liquidations_that_follow_the_sweep_are_led_by_the_exact_map(self, opened: Store) -> None:
        found = asked(opened)
        assert [lead.side for lead in found.leads] == ["both", "long", "short"]
        for lead in found.leads:
            assert (lead.best_lag, lead.answer) == (LATE, "leads")
            assert lead.p_value is not None
            assert lead.p_value < 0.05
        assert found.answer.startswith("The exact map leads bybit by 2 steps (2.0 h)")
        assert found.prices_of == "hyperliquid"
        assert found.synthetic

    def test_only_the_time_that_is_asked_for_counts(self, opened: Store, series: MarketSeries) -> None:
        later = asked(opened, start=series.as_of - 160 * HOUR).leads[0]
        assert later.days == 7
        assert later.steps <= 160

    def test_fewer_than_six_days_are_refused(self, opened: Store, series: MarketSeries) -> None:
        with pytest.raises(MissingData, match="at least 6 are needed"):
            asked(opened, start=series.as_of - 100 * HOUR)

    def test_bars_longer_than_a_step_tell_nothing_of_it(self, opened: Store) -> None:
        plan = LeadLagPlan(COIN, VENUE, step=timedelta(minutes=15))
        with pytest.raises(MissingData, match=r"in bars of at most 15 min are stored: .*--interval 5m"):
            lead_lag_stored(opened, plan)

    def test_what_was_not_recorded_is_not_known(self, store: Store, series: MarketSeries) -> None:
        stored_series(store, series)
        stored_reading(store, series, 4)
        with pytest.raises(NothingStored, match=r"bybit SOL were recorded.*feed watch"):
            asked(store)
        recorded(store, series, hours=50)
        with pytest.raises(MissingData, match=r"no exact map of SOL is stored from .*index watch"):
            asked(store)


class TestCommand:
    def test_table_json_and_page(
        self, opened: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(GLOBALS, "data_dir", opened.settings.data_dir)
        line = ["leads", COIN, "--venue", VENUE, "--step", "1h", "--max-lag", "4", "--shuffles", "200"]
        result = CliRunner().invoke(score_app, line, catch_exceptions=False).stdout
        assert "The exact map leads bybit by 2 steps (2.0 h)" in result
        page = tmp_path / "page.html"
        more = [*line, "--json", "-", "--html", str(page)]
        answer = json.loads(CliRunner().invoke(score_app, more, catch_exceptions=False).stdout)
        assert answer["schema"] == "liqtruth.leads/1"
        assert answer["leads"][0]["answer"] == "leads"
        assert len(answer["leads"][0]["partial"]) == 9
        html = page.read_text()
        assert "SYNTHETIC MARKET" in html
        assert "The exact map leads bybit" in html
