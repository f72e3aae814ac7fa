"""Predicted flow: what a map of the hour's start holds between the mark and where the hour's prices went."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.compare.transfer.flow import Flow, predicted_flow, swept_coins
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.model.turnover import activity, turn_over
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.levels import SIDES
from tests.compare.transferred_markets import BRACKETS, COIN, HOUR, fitted_model, random_series

MODEL = fitted_model()
VENUE = venue_named("bybit")


def flow_of(series: MarketSeries, step: timedelta = HOUR, model: LeverageModel = MODEL) -> Flow:
    return predicted_flow(series, model, BRACKETS, COIN, step)


def until(series: MarketSeries, bars: int) -> MarketSeries:
    """The series as it was known after so many bars."""
    whole = series.bars
    assert whole.volume is not None
    cut = Bars(whole.high[:bars], whole.low[:bars], whole.close[:bars], whole.open_interest[: bars + 1],
               whole.volume[:bars])  # fmt: skip
    return replace(series, bars=cut, end_ms=series.end_ms[:bars])


def following(part: float) -> LeverageModel:
    """The model as a mixture, with such a part at the mark, evenly over the nodes."""
    mixed = MODEL.in_coordinate("mixed")
    sides = {}
    for side in SIDES:
        shares = mixed.shares(side) * (1 - part)
        shares[-1] = part / shares.shape[1]
        sides[side] = tuple(tuple(row) for row in shares.tolist())
    return msgspec.structs.replace(mixed, **sides)


def between_usd(
    series: MarketSeries, side: str, extreme_px: float, model: LeverageModel = MODEL
) -> tuple[float, float]:
    """Mass of the model's map between the mark and an extreme: of bins crossed whole, and of those touched too."""
    drawn = CohortModel(model, brackets=BRACKETS, width_bps=10).fit(series, VENUE, COIN).heatmap()
    edges, mark = drawn.grid.edges, drawn.mark_px
    if side == "long":
        whole, touched = edges[:-1] >= extreme_px, edges[1:] > extreme_px
    else:
        whole, touched = edges[1:] <= extreme_px, edges[:-1] < extreme_px
    near = edges[1:] <= mark * (1 + 1e-9) if side == "long" else edges[:-1] >= mark * (1 - 1e-9)
    mass = drawn.long_usd if side == "long" else drawn.short_usd
    return float(mass[whole & near].sum()), float(mass[touched & near].sum())


@settings(max_examples=8)
@given(st.integers(0, 50), st.integers(100, 235), st.sampled_from([MODEL, following(0.3)]))
def test_the_flow_of_an_hour_is_what_the_map_before_it_holds_up_to_its_extremes(
    seed: int, bars: int, model: LeverageModel
) -> None:
    series = random_series(seed, 240)
    flow = flow_of(series, model=model)
    before = until(series, bars)
    row = int(np.flatnonzero(flow.start_ms == before.end_ms[-1])[0])
    for side, extreme in (("long", series.bars.low[bars]), ("short", series.bars.high[bars])):
        whole, touched = between_usd(before, side, float(extreme), model)
        assert whole * (1 - 1e-9) <= flow.of(side)[row].sum() <= touched * (1 + 1e-9) + 1e-6


def test_an_hour_is_predicted_from_what_was_known_before_it() -> None:
    series = random_series(3, 200)
    flow = flow_of(series)
    shorter = flow_of(until(series, 150))
    assert np.array_equal(flow.long[: len(shorter.long)], shorter.long)
    changed = replace(series.bars, open_interest=series.bars.open_interest.copy())
    changed.open_interest[151:] *= 3
    later = flow_of(replace(series, bars=changed))
    at = int(np.flatnonzero(flow.start_ms == series.end_ms[149])[0])
    assert later.long[: at + 1] == pytest.approx(flow.long[: at + 1])


def test_sides_mirror_with_prices() -> None:
    series = random_series(5, 200)
    bars = series.bars
    mirrored = Bars(1e4 / bars.low, 1e4 / bars.high, 1e4 / bars.close, bars.open_interest, bars.volume)
    active = activity(bars.open_interest, bars.volume, 3600.0)
    turned = turn_over(bars.open_interest, active.coins, np.array(MODEL.rates))
    factors, weights, of_bar = np.linspace(0.5, 0.99, 40), MODEL.shares("long"), np.arange(200) // 4
    long = swept_coins(bars, turned, factors, weights, of_bar, is_long=True)
    short = swept_coins(mirrored, turned, 1 / factors, weights, of_bar, is_long=False)
    assert long.sum() > 0
    assert short == pytest.approx(long)


def test_no_lot_is_swept_twice_and_no_more_than_ever_opened() -> None:
    series = random_series(7, 300)
    flow = flow_of(series)
    opened = series.bars.open_interest.max() * 300
    coins = (flow.long / flow.mark_px[:, None]).sum()
    longer = flow_of(series, timedelta(hours=2))
    assert 0 < coins < opened
    assert (longer.long / longer.mark_px[:, None]).sum() < coins


def test_hours_without_all_of_their_bars_are_left_out() -> None:
    series = random_series(9, 100)
    kept = np.r_[0:40, 43:100]
    bars = series.bars
    assert bars.volume is not None
    holed = Bars(bars.high[kept], bars.low[kept], bars.close[kept],
                 np.append(bars.open_interest[0], bars.open_interest[1:][kept]), bars.volume[kept])  # fmt: skip
    flow = flow_of(replace(series, bars=holed, end_ms=series.end_ms[kept]))
    assert flow.start_ms.size == 96
    assert not set(series.end_ms[40:43] - 3_600_000) & set(flow.start_ms)


def test_bars_longer_than_the_step_are_refused() -> None:
    with pytest.raises(BadInput, match=r"SOL has bars of 1\.0 h, which do not fill steps of 15 min"):
        flow_of(random_series(1, 50), timedelta(minutes=15))
