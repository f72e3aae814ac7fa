"""What a venue answers, as the estimator's frames; an answer of another shape raises `Malformed`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from estimator.exchange import Malformed, Rows
from estimator.frames import conform

KLINE: Final[Mapping[str, int]] = {
    "ts": 0,
    "open": 1,
    "high": 2,
    "low": 3,
    "close": 4,
    "volume": 5,
    "taker_buy_volume": 9,
}
"""Places in one of Binance's kline rows."""


def candles_of_klines(rows: Rows, step_s: int) -> pl.DataFrame:
    """Rows in the shape of Binance's klines: with the volume that takers bought."""
    return _candles(rows, KLINE, step_s)


def candles_of_ohlcv(rows: Rows, step_s: int) -> pl.DataFrame:
    """ccxt's unified rows; taker volume stays null."""
    return _candles(rows, {name: place for name, place in KLINE.items() if place < 6}, step_s)


def open_interest_of(rows: Rows) -> pl.DataFrame:
    """ccxt's unified rows."""
    names = {
        "ts": "timestamp",
        "open_interest": "openInterestAmount",
        "open_interest_usd": "openInterestValue",
    }
    return conform(_columns(rows, names), "open_interest")


def funding_of(rows: Rows) -> pl.DataFrame:
    """ccxt's unified rows."""
    return conform(_columns(rows, {"ts": "timestamp", "rate": "fundingRate"}), "funding")


def ratios_of(rows: Rows, kind: str, name: str) -> pl.DataFrame:
    """Raw rows with a `timestamp` and the ratio in field `name`."""
    return conform(
        _columns(rows, {"ts": "timestamp", "ratio": name}).with_columns(kind=pl.lit(kind)), "ratios"
    )


def _candles(rows: Rows, places: Mapping[str, int], step_s: int) -> pl.DataFrame:
    frame = _columns(rows, places).with_columns(interval_s=pl.lit(step_s))
    wrong = frame.filter((pl.col("low") <= 0) | (pl.col("high") < pl.col("low")))
    if wrong.height:
        raise Malformed(f"a candle with low {wrong['low'][0]:g} and high {wrong['high'][0]:g}")
    return conform(frame, "candles")


def _columns(rows: Rows, fields: Mapping[str, Any]) -> pl.DataFrame:
    """Numbers by our names; `fields` are keys or places in each row."""
    try:
        values = {ours: _numbers(rows, theirs) for ours, theirs in fields.items()}
    except (LookupError, TypeError, ValueError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    frame = pl.DataFrame(values, schema=dict.fromkeys(fields, pl.Float64))
    return frame.with_columns(pl.from_epoch(pl.col("ts").cast(pl.Int64), "ms").dt.replace_time_zone("UTC"))


def _numbers(rows: Sequence[Any] | Iterable[Any], theirs: Any) -> list[float]:
    return [float(row[theirs]) for row in rows]
