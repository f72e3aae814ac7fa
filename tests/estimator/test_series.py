"""Stored series become one line of bars with the open interest known at the end of each, and say what was lacking."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.errors import StaleSeries
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.series.series import (
    WINDOWS,
    MarketSeries,
    align,
    load_series,
    rounding_share,
    window_named,
)
from liqtruth.estimator.series.time_line import pick_bars, rounding_usd
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.notes import texts
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.estimator.markets import HOUR, START, bars_of, candles, holdings, series_of

DAY = timedelta(days=1)
FIVE = 300

spans = st.tuples(st.integers(0, 36), st.sampled_from([300, 900, 3600]), st.integers(1, 30))


def hours(*numbers: float) -> list[datetime]:
    return [START + number * HOUR for number in numbers]


def keep(store: Store, dataset: str, rows: pl.DataFrame, source: str = "") -> None:
    store.lake.merge_series(dataset, "okx", "SOL", rows, DATASETS[dataset].key, source)


class TestOneLineOfBars:
    @given(st.lists(spans, min_size=1, max_size=4), st.integers(0, 24), st.integers(1, 48))
    def test_bars_never_overlap_and_lie_in_the_window(
        self, stored: list[tuple[int, int, int]], first: int, length: int
    ) -> None:
        rows = pl.concat(candles(START + at * HOUR, step, count) for at, step, count in stored)
        start, end = hours(first, first + length)
        line = pick_bars(rows, start, end)
        inside = rows.filter(pl.col("ts") >= start, pl.col("ts") + pl.duration(seconds="interval_s") <= end)
        assert line.is_empty() == inside.is_empty()
        assert (line["ts"] >= start).all()
        assert (line["end"] <= end).all()
        assert (line["ts"][1:] >= line["end"][:-1]).all()

    def test_five_minutes_win_over_hours_where_both_cover_the_window(self) -> None:
        both = pl.concat([candles(START, 3600, 24), candles(START, FIVE, 288)])
        line = pick_bars(both, START, START + DAY)
        assert line["interval_s"].to_list() == [FIVE] * 288

    def test_hours_win_where_five_minutes_are_few_and_fill_only_around_them(self) -> None:
        """Five-minute bars from 20:00 to 26:00 beside hours up to 24:00: only those after the hours are taken."""
        both = pl.concat([candles(START, 3600, 24), candles(START + 20 * HOUR, FIVE, 72)])
        line = pick_bars(both, START, START + 2 * DAY)
        assert line["interval_s"].to_list() == [3600] * 24 + [FIVE] * 24
        assert line["end"][-1] == START + 26 * HOUR

    @pytest.mark.parametrize(("missing", "step"), [(5, FIVE), (6, 3600)])
    def test_shorter_bars_may_cover_two_percent_less(self, missing: int, step: int) -> None:
        """Of the 288 bars of a day, 98 % are 282.24."""
        both = pl.concat([candles(START, 3600, 24), candles(START, FIVE, 288 - missing)])
        assert pick_bars(both, START, START + DAY)["interval_s"][0] == step

    def test_bars_from_price_samples_are_one_length_although_their_own_differ(self) -> None:
        samples = pl.concat(
            candles(start, step, 1, volume=None)
            for start, step in zip(hours(0, 1.5, 2.5), (5400, 3600, 7200), strict=True)
        )
        line = pick_bars(pl.concat([samples, candles(START, FIVE, 12)]), START, START + DAY)
        assert line["interval_s"].to_list() == [5400, 3600, 7200]


class TestOpenInterest:
    def test_is_the_last_one_known_at_the_end_of_each_bar(self) -> None:
        """That of 1:30 is known at 2:00; that of 4:00 itself at 4:00."""
        series = align(
            candles(START, 3600, 4, volume=50.0),
            holdings(hours(0, 1.5, 4), [10, 20, 40]),
            START,
            START + 4 * HOUR,
        )
        assert series.bars.open_interest.tolist() == [10, 10, 20, 20, 40]

    def test_in_usd_is_turned_into_coins_at_the_bars_close(self) -> None:
        usd = holdings(hours(0, 1, 2), usd=[1000.0, 2000.0, 500.0])
        series = align(candles(START, 3600, 2, px=50, volume=50.0), usd, START, START + 2 * HOUR)
        assert series.bars.open_interest.tolist() == [20, 40, 10]

    def test_in_coins_wins_over_usd(self) -> None:
        both = holdings(hours(0, 1), [7.0, 8.0], [705.0, 790.0])
        series = align(candles(START, 3600, 1), both, START, START + HOUR)
        assert series.bars.open_interest.tolist() == [7, 8]

    def test_bars_before_the_first_open_interest_are_left_out_and_a_long_lack_is_reported(self) -> None:
        late = holdings(hours(*range(10, 25)), [float(n) for n in range(10, 25)])
        series = align(candles(START, 3600, 24), late, START, START + DAY)
        assert series.bars.open_interest.tolist() == list(range(10, 25))
        assert series.start == START + 10 * HOUR
        assert texts(series.notes) == (
            "history begins at 2026-08-01T10:00Z, 10.0 h after the window's start",
        )

    def test_that_all_comes_after_the_bars_is_no_series(self) -> None:
        with pytest.raises(NothingStored, match="no open interest before the last bar"):
            align(candles(START, 3600, 2), holdings(hours(3), [1.0]), START, START + 2 * HOUR)

    def test_that_is_older_than_a_bar_is_reported(self) -> None:
        """Values at 0:00 and 2:00 for bars that end at 1:00, 2:00, 3:00 and 4:00: late at 1, 3 and 4."""
        series = align(candles(START, 3600, 4), holdings(hours(0, 2), [1, 2]), START, START + 4 * HOUR)
        assert texts(series.notes) == (
            "open interest is older than a bar at 3 of 5 bars: its changes come late",
        )
        assert series.last_oi_at == START + 2 * HOUR
        assert series.oldest_age_s == 2 * 3600


def test_a_complete_series_has_no_findings_and_is_as_old_as_its_last_bar() -> None:
    at = START + 4 * HOUR + timedelta(minutes=20)
    series = align(candles(START, 3600, 4, px=7), holdings(hours(*range(5)), [1.0] * 5), START, at)
    assert series.notes == ()
    assert series.mark_px == 7
    assert series.oldest_age_s == 1200
    assert np.diff(series.end_ms).tolist() == [3_600_000] * 3


def test_gaps_between_bars_are_counted() -> None:
    broken = pl.concat(
        candles(start, 3600, count) for start, count in zip(hours(0, 3, 7), (2, 2, 1), strict=True)
    )
    series = align(broken, holdings(hours(*range(9)), [1.0] * 9), START, START + 8 * HOUR)
    assert series.notes == ()
    assert texts(series.quality) == (
        "2 gaps in the candles, 3.0 h in all, the widest 2.0 h before 2026-08-01T07:00Z: "
        "prices inside them are unknown",
    )


def test_bars_that_ended_more_than_six_hours_ago_are_refused() -> None:
    bars, known = candles(START, 3600, 4), holdings(hours(0), [1.0])
    assert align(bars, known, START, START + 10 * HOUR).oldest_age_s == 10 * 3600
    with pytest.raises(StaleSeries, match=r"the last bar ended at 2026-08-01T04:00Z, 6\.5 h before"):
        align(bars, known, START, START + 10.5 * HOUR)


class TestWindows:
    def test_have_names(self) -> None:
        assert list(WINDOWS) == ["12h", "24h", "3d", "7d", "30d", "90d", "180d"]
        assert window_named("3d") == 3 * DAY
        assert window_named("20d") == 20 * DAY

    def test_of_another_name_are_refused_with_the_known_ones(self) -> None:
        with pytest.raises(BadInput, match="window must be from 12h to 5y long, got '2h'"):
            window_named("2h")

    def test_any_length_between_will_do(self) -> None:
        assert window_named("48h") == window_named("2d") == 2 * DAY
        assert window_named("1y") == 365 * DAY

    @pytest.mark.parametrize(("window", "bars"), [("12h", 12), ("24h", 24), ("3d", 72), ("7d", 96)])
    def test_end_with_the_last_bar_and_reach_back_by_their_length(
        self, store: Store, window: str, bars: int
    ) -> None:
        keep(store, "candles", candles(START, 3600, 96))
        keep(store, "open_interest", holdings(hours(*range(97)), [1.0] * 97))
        series = load_series(store, venue_named("okx"), "SOL", window)
        assert len(series.bars.close) == bars
        assert series.as_of == START + 96 * HOUR
        assert series.start == START + (96 - bars) * HOUR

    def test_end_at_the_moment_that_was_asked_for_and_never_look_past_it(self, store: Store) -> None:
        keep(store, "candles", candles(START, 3600, 96))
        keep(store, "open_interest", holdings(hours(*range(97)), [float(n) for n in range(97)]))
        at = START + 30.5 * HOUR
        series = load_series(store, venue_named("okx"), "SOL", "12h", at)
        assert series.as_of == at
        assert series.bars.open_interest.tolist() == list(range(19, 31))


def test_a_missing_series_states_which_command_brings_it(store: Store) -> None:
    with pytest.raises(NothingStored) as refused:
        load_series(store, venue_named("okx"), "SOL", "7d")
    assert str(refused.value).startswith("no candles of okx SOL: `")
    assert str(refused.value).endswith("liqtruth feed import PATH --venue okx --coin SOL` brings them")
    keep(store, "candles", candles(START, 3600, 4))
    with pytest.raises(
        NothingStored, match="no open_interest of okx SOL in the time before 2026-08-01T04:00Z"
    ):
        load_series(store, venue_named("okx"), "SOL", "7d")


def test_series_from_the_sandbox_are_called_synthetic(store: Store) -> None:
    keep(store, "candles", candles(START, 3600, 4), "synthetic: sandbox")
    keep(store, "open_interest", holdings(hours(*range(5)), [1.0] * 5), "a file")
    notes = texts(load_series(store, venue_named("okx"), "SOL", "12h").notes)
    assert "synthetic: fetched from the sandbox, not from an exchange" in notes


class TestRounding:
    @given(st.lists(st.integers(100, 900), min_size=1, max_size=30), st.sampled_from([1e5, 1e6, 1e7]))
    def test_the_step_divides_every_value_and_ten_of_it_do_not(self, counts: list[int], step: float) -> None:
        usd = holdings(hours(*range(len(counts) + 1)), usd=[n * step for n in (*counts, 123)])
        assert rounding_usd(usd, px=50.0) == step

    def test_a_step_in_coins_is_worth_the_price(self) -> None:
        assert rounding_usd(holdings(hours(0, 1), [12e6, 13e6]), px=50.0) == 50e6

    def test_values_finer_than_a_hundred_thousandth_show_none(self) -> None:
        for usd in ([257766545.4815, 259084130.0574], [257766545.0, 259084130.0]):
            assert rounding_usd(holdings(hours(0, 1), usd=usd), px=50.0) == 0

    def test_openings_of_one_step_are_the_share_that_may_be_rounding(self) -> None:
        """Openings of 1 and 3 coins at 100 with a step of 100 USD: a quarter."""
        series = series_of(bars_of([(100, 100, 100)] * 2, [5, 6, 9]))
        openings = np.diff(series.bars.open_interest)
        assert rounding_share(series, openings) == 0
        stepped = type(series)(**{**vars(series), "oi_rounding_usd": 100.0})
        assert rounding_share(stepped, openings) == 0.25
        assert rounding_share(stepped, np.zeros(2)) == 0


class TestVolumeAndMarks:
    BARS = candles(START, 3600, 4, volume=2.0)
    OI = holdings(hours(*range(5)), [1.0] * 5)

    def marks(self, start: datetime, interval_s: int, count: int, px: float) -> pl.DataFrame:
        return candles(start, interval_s, count, px).drop("volume", "taker_buy_volume")

    def aligned(self, bars: pl.DataFrame, marks: pl.DataFrame | None) -> MarketSeries:
        return align(bars, self.OI, START, START + 4 * HOUR, marks)

    def test_volume_is_there_or_not_at_all_and_a_lack_is_reported(self) -> None:
        assert self.aligned(self.BARS, None).bars.volume.tolist() == [2.0] * 4  # type: ignore[union-attr]
        lacking = self.BARS.with_columns(volume=pl.when(pl.int_range(4) > 2).then(None).otherwise("volume"))
        series = self.aligned(lacking, None)
        assert series.bars.volume is None
        assert texts(series.notes) == ("1 of 4 bars have no volume: none is used",)

    def test_marks_that_cover_every_bar_state_what_was_swept(self) -> None:
        marks = pl.concat([self.marks(START, FIVE, 24, 90.0), self.marks(START + 2 * HOUR, FIVE, 24, 110.0)])
        series = self.aligned(self.BARS, marks)
        assert series.bars.swept_low is not None
        assert series.bars.swept_high is not None
        assert series.bars.swept_low.tolist() == series.bars.swept_high.tolist() == [90, 90, 110, 110]
        assert series.bars.low.tolist() == [100] * 4
        assert series.notes == ()

    def test_where_marks_lack_last_prices_sweep_and_it_is_reported(self) -> None:
        """The second bar's marks end a quarter of an hour too early."""
        series = self.aligned(self.BARS, self.marks(START, FIVE, 21, 90.0))
        assert series.bars.swept_low is not None
        assert series.bars.swept_low.tolist() == [90, 100, 100, 100]
        assert texts(series.notes) == (
            "mark prices cover 1 of 4 bars: last prices, not marks, sweep in the others",
        )

    def test_without_marks_or_with_longer_ones_nothing_is_reported_of_them_but_their_lack(self) -> None:
        for marks in (self.marks(START, FIVE, 0, 1.0), self.marks(START, 7200, 2, 90.0)):
            series = self.aligned(self.BARS, marks)
            assert series.bars.swept_low is None
            assert texts(series.notes) == ("no mark prices: levels are swept by last prices, not marks",)

    def test_marks_are_read_from_the_store(self, store: Store) -> None:
        keep(store, "candles", self.BARS)
        keep(store, "open_interest", self.OI)
        keep(store, "mark_candles", self.marks(START, FIVE, 48, 90.0))
        series = load_series(store, venue_named("okx"), "SOL", "12h")
        assert series.bars.swept_high is not None
        assert series.bars.swept_high.tolist() == [90] * 4
