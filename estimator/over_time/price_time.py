"""`model_series`: the price-time heatmap of a model from stored series, on one grid, by one recursion over steps."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.estimator.model.ages import refuse_later
from liqtruth.estimator.model.at_mark import AtMark
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets, stored_brackets
from liqtruth.estimator.model.cohort_model import ageless_notes
from liqtruth.estimator.model.leverage import bands_among
from liqtruth.estimator.model.maps import named_venues, stored_venues
from liqtruth.estimator.model.node_shares import NodeShares, Weights, daily_volatility, node_shares
from liqtruth.estimator.model.turnover import Turnover, activity, turn_over
from liqtruth.estimator.over_time.several_venues import added_series
from liqtruth.estimator.over_time.time_evolution import PriceTime, SideMass, price_time
from liqtruth.estimator.over_time.time_grid import Clock, bar_s, clock_of, in_words
from liqtruth.estimator.series.series import WINDOWS, MarketSeries, load_series
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_REACH, DEFAULT_WIDTH_BPS, FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage
from liqtruth.heatmap.levels import NOTHING, Sides
from liqtruth.heatmap.series import Candles, HeatmapSeries
from liqtruth.heatmap.words.notes import Note, Notes, note, of_codes, without_codes
from liqtruth.heatmap.words.text import of_ms, utc_text
from liqtruth.storage.store import Store

SHORTEST_LEAD: Final = timedelta(days=3)
LONGEST_LEAD: Final = timedelta(days=30)
MOST_CELLS: Final = 16_000_000
"""Classes x steps x bins in memory at once for a side: 128 MB."""
ROOM: Final = 0.1
"""Log price that the grid reaches beyond the path of prices."""


def model_series(
    store: Store,
    coin: str,
    venue: str,
    model: str,
    series: timedelta,
    step: timedelta | None = None,
    *,
    weights: Weights | None = None,
    leverage: Sequence[float] | None = None,
    age: str | None = None,
    since: datetime | None = None,
    at: datetime | None = None,
) -> HeatmapSeries:
    """The heatmap of `model` at every `step` of the last `series` before `at` (default: the last stored bar's end).

    `venue` is a name, several with commas, or `all` that have series: their sum, up to the last moment that all of them
    reach. `weights` are a leverage model, its name or file (model `vintages`) or a baseline's own; `leverage` keeps the
    bands of those leverages, `age` one or several of `heatmap.ages` with commas, `since` what was opened after that
    moment. As much again before the span, at least 3 and at most 30 days, is read as warm-up where it is stored. Raises
    `UnknownChoice` for an unknown name, `BadInput` for a span or step that is too short or too long, `MissingData` for
    `calibrated` where no model was fitted, `NothingStored` and `StaleSeries` as `load_series` does.
    """
    markets = stored_venues(store, coin) if venue.strip() == "all" else named_venues(venue)
    loaded = _loaded(store, markets, coin, _window_for(series), at)
    end = min(of_ms(int(one.end_ms[-1])) for one in loaded)
    steps = [clock_of(one, series, step, end).step for one in loaded]
    reach = max(_reach_of(one.bars) for one in loaded)
    drawn = []
    for market, one in zip(markets, loaded, strict=True):
        known = store.once(stored_brackets, market, coin, one.as_of)
        shares = node_shares(
            model,
            weights,
            known,
            POSITION_USD,
            store.settings.data_dir,
            venue=market.name,
            coin=coin,
            daily_volatility=daily_volatility(one.bars.close, bar_s(one)),
        )
        only: dict[str, tuple[str, ...]] = {} if age is None else {"age_band": tuple(age.split(","))}
        if since is not None:
            only["since"] = (utc_text(since),)
        if leverage:
            only["leverage_band"] = tuple(bands_among(shares.model, shares.bands, leverage))
            shares = shares.only(leverage)
        made = drawn_series(
            one, shares, known, market, coin, series, max(steps), age, since=since, end=end, reach=reach
        )
        drawn.append(replace(made, only=only))
    return added_series(drawn) if len(drawn) > 1 else drawn[0]


def _loaded(
    store: Store, markets: Sequence[Venue], coin: str, window: str, at: datetime | None
) -> list[MarketSeries]:
    """Series of every venue up to the last moment that all of them reach."""
    loaded = [store.once(load_series, market, coin, window, at) for market in markets]
    end = min(of_ms(int(one.end_ms[-1])) for one in loaded)
    return [
        one if one.as_of == end or len(loaded) == 1 else store.once(load_series, market, coin, window, end)
        for market, one in zip(markets, loaded, strict=True)
    ]


def drawn_series(
    loaded: MarketSeries,
    shares: NodeShares,
    brackets: Brackets,
    venue: Venue,
    coin: str,
    span: timedelta,
    step: timedelta | None = None,
    age: str | None = None,
    *,
    since: datetime | None = None,
    end: datetime | None = None,
    reach: float = 0.0,
) -> HeatmapSeries:
    """`model_series` of series that are at hand already; moments count back from `end`, and the grid reaches at least
    `reach` in log price."""
    clock = clock_of(loaded, span, step, end)
    grid = PriceGrid.around(
        float(loaded.bars.close[-1]), DEFAULT_WIDTH_BPS, max(reach, _reach_of(loaded.bars))
    )
    _refuse_too_many(len(shares.rates) * clock.end_ms.size * grid.bins, clock.step)
    bars = loaded.bars
    active = activity(bars.open_interest, bars.volume, bar_s(loaded))
    turnover = turn_over(bars.open_interest, active.coins, shares.rates)
    mass = price_time(
        bars,
        turnover if since is None else _opened_since(turnover, loaded, since),
        shares.factors(brackets, POSITION_USD),
        (shares.long, shares.short),
        clock.steps,
        grid,
        ages=clock.age_bands(age),
    )
    notes = (
        *shares.notes,
        *(() if not shares.rates.any() or active.by_volume else (
            note("no_volume_clock"),)),
        *_assumptions(loaded, brackets, clock, grid, age),
        *(() if since is None else (note("only_since", at=utc_text(since)),)),
        *(() if age is None and since is None else ageless_notes(shares)),
    )  # fmt: skip
    if age is None and since is None:
        mass = with_what_follows(mass, shares.at_mark, bars.close[clock.steps.ends - 1], grid, brackets)
    synthetic = loaded.synthetic or shares.synthetic
    return _shown(mass, loaded, clock, grid, notes, synthetic, (coin, venue.name, shares.model))


def with_what_follows(
    mass: PriceTime, at_mark: AtMark | None, mark_px: FloatArray, grid: PriceGrid, brackets: Brackets
) -> PriceTime:
    """With what keeps its distance from the mark, drawn anew at each moment's mark (moments,)."""
    if at_mark is None:
        return mass

    def side_of(side: str) -> SideMass:
        own, coins = mass.of(side), mass.open_interest
        inside, beyond, never = at_mark.over_time(mark_px, grid, brackets, side, POSITION_USD)
        return replace(
            own,
            on_map=own.on_map + coins[:, None] * inside,
            beyond=own.beyond + coins * beyond,
            never=own.never + coins * never,
            unassigned=own.unassigned - coins * (inside.sum(axis=1) + beyond + never),
        )

    return replace(mass, long=side_of("long"), short=side_of("short"))


def _opened_since(turnover: Turnover, loaded: MarketSeries, since: datetime) -> Turnover:
    """The same closings, but nothing opened in bars that had ended by `since`."""
    refuse_later(since, loaded.as_of)
    later = loaded.end_ms > since.timestamp() * 1000
    return replace(turnover, openings=turnover.openings * later[:, None])


def _window_for(span: timedelta) -> str:
    """The shortest stored window that holds the span and its lead-in."""
    longest = max(WINDOWS.values())
    if not timedelta(0) < span <= longest:
        raise BadInput(
            f"a series of {in_words(span)} must be longer than zero and at most {in_words(longest)}"
        )
    wanted = min(span + min(max(span, SHORTEST_LEAD), LONGEST_LEAD), longest)
    return min((name for name in WINDOWS if WINDOWS[name] >= wanted), key=WINDOWS.__getitem__)


def _reach_of(bars: Bars) -> float:
    """Log price from the last mark: as far as a single map's grid and beyond every price of the path."""
    mark = float(bars.close[-1])
    lows = bars.low if bars.swept_low is None else np.minimum(bars.low, bars.swept_low)
    highs = bars.high if bars.swept_high is None else np.maximum(bars.high, bars.swept_high)
    path = max(float(np.log(highs.max() / mark)), float(np.log(mark / lows.min())))
    return max(DEFAULT_REACH, path + ROOM)


def _refuse_too_many(cells: int, step: timedelta) -> None:
    if cells > MOST_CELLS:
        raise BadInput(
            f"a step of {in_words(step)} makes {cells:,} cells, more than {MOST_CELLS:,}: "
            f"take --step {in_words(step * -(-cells // MOST_CELLS))} or longer"
        )


def _shown(
    mass: PriceTime,
    loaded: MarketSeries,
    clock: Clock,
    grid: PriceGrid,
    notes: Notes,
    synthetic: bool,
    about: tuple[str, str, str],
) -> HeatmapSeries:
    """The moments after the lead-in, in USD at each moment's mark; one without a bar of its own step is not known."""
    shown = slice(clock.lead, None)
    ends, starts = clock.steps.ends[shown], clock.steps.starts[shown]
    known = ends > starts
    mark = np.where(known, loaded.bars.close[ends - 1], np.nan)
    coin, venue, model = about
    coverage = _coverage(mass, loaded, clock, known, of_codes(notes, ("not_levelled",)), synthetic)
    return HeatmapSeries(
        coin=coin,
        venue=venue,
        source="modelled",
        times=clock.times,
        grid=grid,
        long_usd=mass.long.on_map[shown] * mark[:, None],
        short_usd=mass.short.on_map[shown] * mark[:, None],
        mark_px=mark,
        beyond_usd=_sides(mass.long.beyond[shown], mass.short.beyond[shown], mark),
        never_usd=_sides(mass.long.never[shown], mass.short.never[shown], mark),
        coverage=coverage,
        assumptions=notes,
        model=model,
        quality=loaded.quality,
        candles=_candles(loaded.bars, starts, ends),
    )


def _sides(long: FloatArray, short: FloatArray, mark: FloatArray) -> tuple[Sides, ...]:
    usd = np.nan_to_num(np.stack([long, short], axis=1) * mark[:, None])
    return tuple(
        Sides(*row) if is_known else NOTHING
        for row, is_known in zip(usd.tolist(), np.isfinite(mark), strict=True)
    )


def _coverage(
    mass: PriceTime, loaded: MarketSeries, clock: Clock, known: np.ndarray, lacking: Notes, synthetic: bool
) -> tuple[Coverage | None, ...]:
    ends = clock.steps.ends
    notes = _notes(loaded, clock)
    age_s = (clock.end_ms - loaded.end_ms[ends - 1]) / 1000
    age_s[-1] = loaded.oldest_age_s
    mark = loaded.bars.close[ends - 1]
    return tuple(
        Coverage(
            open_interest_usd=float(mass.open_interest[at] * mark[at]),
            seen_usd=Sides(float(mass.long.seen[at] * mark[at]), float(mass.short.seen[at] * mark[at])),
            oldest_age_s=float(age_s[at]),
            notes=(*lacking, _null_note(mass, at), *notes),
            synthetic=synthetic,
        )
        if is_known
        else None
        for at, is_known in zip(range(clock.lead, ends.size), known, strict=True)
    )


def _null_note(mass: PriceTime, at: int) -> Note:
    """What of open interest has no place, per side."""
    open_interest = max(float(mass.open_interest[at]), np.finfo(float).tiny)

    return note(
        "null_shares",
        before_window=mass.sides.map(lambda side: side.before_window[at] / open_interest),
        swept=mass.sides.map(lambda side: side.swept[at] / open_interest),
        unassigned=mass.sides.map(lambda side: side.unassigned[at] / open_interest),
    )


def _notes(loaded: MarketSeries, clock: Clock) -> Notes:
    """Those of the series; that history is short of the warm-up is in the assumptions, not here."""
    return loaded.notes if clock.lead == 0 else without_codes(loaded.notes, ("history_begins",))


def _candles(bars: Bars, starts: IntArray, ends: IntArray) -> Candles:
    """Extremes of each step's bars; a step opens at the close before it."""
    filled = ends > starts
    low, high = np.full(ends.size, np.nan), np.full(ends.size, np.nan)
    first = starts[filled]
    stop = int(ends[-1])
    low[filled] = np.minimum.reduceat(bars.low[:stop], first)
    high[filled] = np.maximum.reduceat(bars.high[:stop], first)
    opened = np.where(filled, bars.close[np.maximum(starts - 1, 0)], np.nan)
    return Candles(open=opened, high=np.fmax(high, opened), low=np.fmin(low, opened))


def _assumptions(
    loaded: MarketSeries, brackets: Brackets, clock: Clock, grid: PriceGrid, age: str | None
) -> Notes:
    lead = clock.end_ms[clock.lead] - clock.step / timedelta(milliseconds=1) - loaded.start.timestamp() * 1000
    by_marks, start = loaded.bars.swept_low is not None, utc_text(loaded.start)
    return (
        note("brackets", source=brackets.source),
        note("isolated", usd=POSITION_USD),
        note("steps_open_evenly"),
        note("bins_emptied", by_marks=by_marks, width_bps=grid.width_bps),
        note("warm_up", bars=len(loaded.bars.close), start=start, lead_s=max(lead, 0.0) / 1000),
        *(() if age is None else (note("only_age", age=age),)),
    )
