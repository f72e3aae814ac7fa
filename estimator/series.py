"""Stored series of one market, put on one time line: non-overlapping bars with the open interest at each bar's end.

Reads the lake; never calls a venue. What had to be chosen or could not be had is said in `notes`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from estimator.errors import StaleSeries, UnknownChoice
from estimator.frames import DATASETS
from estimator.venues import Venue
from estimator.vintages import Bars
from heatmap.grid import FloatArray, IntArray
from storage.errors import NothingStored
from storage.store import Store

WINDOWS: Final = {
    "12h": timedelta(hours=12),
    "24h": timedelta(hours=24),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "180d": timedelta(days=180),
}

STALE_AFTER: Final = timedelta(hours=6)
"""A map is refused when its last bar ended this long before the moment that was asked for."""

LOOK_BACK: Final = timedelta(days=1)
"""Open interest may be this much older than the first and the last bar that it is put beside."""

NEARLY: Final = 0.98
"""Bar lengths that cover this share of what the best one covers count as equal; the shortest wins."""


@dataclass(frozen=True, eq=False)
class MarketSeries:
    """Bars of one market up to `as_of`; `end_ms` is the end of each bar, `oi_rounding_usd` the step in which the
    source rounds its open interest (zero where it shows none), `last_oi_at` when its last value was taken."""

    bars: Bars
    start: datetime
    as_of: datetime
    end_ms: IntArray
    last_oi_at: datetime
    oi_rounding_usd: float
    notes: tuple[str, ...]

    @property
    def mark_px(self) -> float:
        """Close of the last bar."""
        return float(self.bars.close[-1])

    @property
    def oldest_age_s(self) -> float:
        """Age at `as_of` of the older of the last price and the last open interest."""
        last = min(self.last_oi_at, _moment(int(self.end_ms[-1])))
        return (self.as_of - last).total_seconds()


def window_named(name: str) -> timedelta:
    """One of `WINDOWS`; raises `UnknownChoice`."""
    if name not in WINDOWS:
        raise UnknownChoice("window", name, WINDOWS)
    return WINDOWS[name]


def load_series(
    store: Store, venue: Venue, coin: str, window: str, at: datetime | None = None
) -> MarketSeries:
    """What is stored of a market in the `window` before `at` (default: the end of the last bar).

    Raises `NothingStored` where a series is missing altogether, `StaleSeries` where it ends long before `at`.
    """
    length = window_named(window)
    start = None if at is None else at - length - LOOK_BACK
    candles = _stored(store, "candles", venue, coin, start, at)
    as_of = at or _ends(candles).max()
    assert isinstance(as_of, datetime)
    open_interest = _stored(store, "open_interest", venue, coin, as_of - length - LOOK_BACK, as_of)
    series = align(candles, open_interest, as_of - length, as_of)
    return replace(series, notes=(*series.notes, *_synthetic(store, venue, coin)))


def _synthetic(store: Store, venue: Venue, coin: str) -> tuple[str, ...]:
    sources = [
        source
        for dataset in ("candles", "open_interest")
        for source in store.lake.series_sources(dataset, venue.name, coin)
    ]
    if any(source.startswith("synthetic") for source in sources):
        return ("synthetic: fetched from the sandbox, not from an exchange",)
    return ()


def _stored(
    store: Store, dataset: str, venue: Venue, coin: str, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    rows = store.lake.read_series(dataset, venue.name, coin, DATASETS[dataset].schema, start, end)
    if rows.is_empty():
        before = "" if end is None else f" in the time before {end:%Y-%m-%dT%H:%MZ}"
        fetch = f"liqtruth feed fetch {venue.name} {coin}` or `" if venue.fetchable else ""
        raise NothingStored(
            f"no {dataset} of {venue.name} {coin}{before}: "
            f"`{fetch}liqtruth feed import PATH --venue {venue.name} --coin {coin}` brings them"
        )
    return rows


def align(
    candles: pl.DataFrame, open_interest: pl.DataFrame, start: datetime, as_of: datetime
) -> MarketSeries:
    """Bars that lie within `start` and `as_of`, with the last open interest known at the end of each.

    Frames as in `estimator.frames`. Open interest in USD is turned into coins at the bar's close.
    Raises `StaleSeries` and `NothingStored` as `load_series` does.
    """
    bars = pick_bars(candles, start, as_of)
    _refuse_stale(bars, as_of)
    joined = _with_open_interest(bars, open_interest)
    lacking = int(joined["coins"].is_null().sum())
    bars, joined = bars[lacking:], joined[lacking:]
    if bars.is_empty():
        raise NothingStored(f"no open interest before the last bar that ends by {as_of:%Y-%m-%dT%H:%MZ}")
    first, last_oi_at = bars["ts"][0], joined["oi_ts"][-1]
    assert isinstance(first, datetime)
    assert isinstance(last_oi_at, datetime)
    if as_of - last_oi_at > LOOK_BACK:
        raise StaleSeries(
            f"the last open interest is of {last_oi_at:%Y-%m-%dT%H:%MZ}, {_hours(as_of - last_oi_at)} before "
            f"{as_of:%Y-%m-%dT%H:%MZ}: fetch or import later ones, or ask for an earlier --at"
        )
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    return MarketSeries(
        bars=Bars(high, low, close, joined["coins"].to_numpy()),
        start=first,
        as_of=as_of,
        end_ms=bars["end"].dt.epoch("ms").to_numpy(),
        last_oi_at=last_oi_at,
        oi_rounding_usd=rounding_usd(open_interest, float(close[-1])),
        notes=(*_clipped(start, first), *_gaps(bars), *_old_open_interest(joined)),
    )


def pick_bars(candles: pl.DataFrame, start: datetime, as_of: datetime) -> pl.DataFrame:
    """One line of bars (with their `end`) out of all that is stored, which may overlap at several lengths.

    The length that covers most of the window is taken, the shortest among nearly equal ones; others only before
    and after it. Bars made from price samples (no volume) are one length of their own.
    """
    inside = candles.with_columns(
        end=_ends(candles),
        group=pl.when(pl.col("volume").is_null()).then(0).otherwise(pl.col("interval_s")),
    ).filter(pl.col("ts") >= start, pl.col("end") <= as_of)
    if inside.is_empty():
        return inside
    covered = inside.group_by("group").agg(
        pl.col("interval_s").sum().alias("covered"), step=pl.col("interval_s").median()
    )
    best = covered.filter(pl.col("covered") >= NEARLY * pl.col("covered").max()).sort("step", "group")[
        "group"
    ][0]
    base = _without_overlaps(inside.filter(pl.col("group") == best).sort("ts", "interval_s"))
    rest = inside.select(candles.columns)
    before = pick_bars(rest.filter(inside["end"] <= base["ts"].min()), start, as_of)
    after = pick_bars(rest.filter(inside["ts"] >= base["end"].max()), start, as_of)
    return pl.concat([before, base, after])


def _without_overlaps(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of one length that begin before an earlier one has ended are left out."""
    return bars.filter((pl.col("ts") >= pl.col("end").cum_max().shift(1)).fill_null(True))


def _ends(candles: pl.DataFrame) -> pl.Series:
    return candles.select(pl.col("ts") + pl.duration(seconds=pl.col("interval_s"))).to_series()


def _with_open_interest(bars: pl.DataFrame, open_interest: pl.DataFrame) -> pl.DataFrame:
    """`coins` and their `oi_ts` at the start of the first bar and the end of every bar (one row more than bars).

    USD become coins at the price of their own moment: at a later one a move of the price would look like births.
    """
    line = pl.DataFrame(
        {
            "ts": pl.concat([bars["ts"].head(1), bars["end"].rename("ts")]),
            "px": pl.concat([bars["open"].head(1), bars["close"].rename("open")]),
        }
    )
    known = open_interest.sort("ts").with_columns(oi_ts=pl.col("ts"))
    priced = known.join_asof(line, on="ts", strategy="backward").with_columns(
        px=pl.col("px").fill_null(line["px"][0])
    )
    coins = pl.coalesce("open_interest", pl.col("open_interest_usd") / pl.col("px"))
    return line.join_asof(priced.select("ts", "oi_ts", coins=coins), on="ts", strategy="backward")


def _refuse_stale(bars: pl.DataFrame, as_of: datetime) -> None:
    last = bars["end"].max() if bars.height else None
    if last is None:
        raise NothingStored(f"no bar ends in the window before {as_of:%Y-%m-%dT%H:%MZ}")
    assert isinstance(last, datetime)
    if as_of - last > STALE_AFTER:
        raise StaleSeries(
            f"the last bar ended at {last:%Y-%m-%dT%H:%MZ}, {_hours(as_of - last)} before {as_of:%Y-%m-%dT%H:%MZ}: "
            "fetch or import later candles, or ask for an earlier --at"
        )


def rounding_usd(open_interest: pl.DataFrame, px: float) -> float:
    """The decimal step (USD) of which every value is a multiple; zero where it is finer than 1e-5 of the value."""
    name, unit_usd = (
        ("open_interest", px) if open_interest["open_interest"].count() else ("open_interest_usd", 1.0)
    )
    values = open_interest[name].drop_nulls().to_numpy()
    steps = 10.0 ** np.arange(12, -9, -1)
    multiples = values[:, None] / steps
    usual = np.median(values)
    whole = np.all(np.abs(multiples - np.round(multiples)) < 1e-6, axis=0)
    fits = whole & (steps > 1e-5 * usual) & (steps <= usual)
    return float(steps[fits][0] * unit_usd) if len(values) and fits.any() else 0.0


def rounding_share(series: MarketSeries, births: FloatArray) -> float:
    """Share of all births whose bar opened no more than one rounding step of the source."""
    opened_usd = births * series.bars.close
    small = opened_usd <= series.oi_rounding_usd
    return float(opened_usd[small].sum() / opened_usd.sum()) if opened_usd.sum() > 0 else 0.0


def _clipped(wanted: datetime, first: datetime) -> tuple[str, ...]:
    if first - wanted <= timedelta(hours=6):
        return ()
    return (f"history begins at {first:%Y-%m-%dT%H:%MZ}, {_hours(first - wanted)} after the window's start",)


def _gaps(bars: pl.DataFrame) -> tuple[str, ...]:
    missing_s = (bars["ts"] - bars["end"].shift(1)).dt.total_seconds().drop_nulls()
    gaps = missing_s.filter(missing_s > 0)
    if gaps.is_empty():
        return ()
    return (
        f"{gaps.len()} gaps in the candles, {gaps.sum() / 3600:.1f} h in all: prices inside them are unknown",
    )


def _old_open_interest(joined: pl.DataFrame) -> tuple[str, ...]:
    step_s = float(joined["ts"].diff().dt.total_seconds().median() or 0)  # type: ignore[arg-type]
    late = joined.filter((pl.col("ts") - pl.col("oi_ts")).dt.total_seconds() >= max(step_s, 1.0))
    if late.is_empty():
        return ()
    return (
        f"open interest is older than a bar at {late.height} of {joined.height} bars: its changes come late",
    )


def _hours(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} days"


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
