"""How far each coin moves when one coin does: betas of log returns, by least squares, from closes at the same moments.

A return is taken between two moments at which both coins have a close, so a gap in either costs one return and
distorts none. With fewer than `FEWEST_RETURNS` of them a coin is refused: it gets no beta. The others are shrunk
towards 1 by their own uncertainty (O. Vasicek, "A Note on Using Cross-Sectional Information in Bayesian Estimation of
Security Betas", J. Finance 28, 1973)::

    beta = w * slope + (1 - w)        w = PRIOR_SD^2 / (PRIOR_SD^2 + standard_error^2)

so that a coin which follows closely keeps its slope and a noisy one is taken to move with the market. The closes are
those of the exchange's own hourly candles, which `indexer.maps.candles` brings.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

FEWEST_RETURNS: Final = 30
PRIOR_SD: Final = 0.5
"""How far betas of coins to one another usually lie from 1."""

DATASET: Final = "candles"
CLOSES: Final = {"ts": pl.Datetime("ms", "UTC"), "interval_s": pl.Int64(), "close": pl.Float64()}
LENGTH: Final = timedelta(days=30)


def betas_of(closes: pl.DataFrame, coin: str) -> dict[str, float]:
    """Betas of every coin in `closes` (`ts`, `coin`, `close`) to `coin`, itself 1; refused coins are left out.

    Raises `BadInput` for missing columns and closes that are not positive, `MissingData` where `coin` is not there
    or does not move.
    """
    missing = [name for name in ("ts", "coin", "close") if name not in closes.columns]
    if missing:
        raise BadInput(f"closes lack the column {missing[0]!r}; they have {', '.join(closes.columns)}")
    known = closes.select("ts", "coin", "close").drop_nulls().unique(["ts", "coin"], keep="last")
    refused = known.filter(~(pl.col("close") > 0) | pl.col("close").is_infinite())
    if refused.height:
        row = refused.row(0, named=True)
        raise BadInput(f"close of {row['coin']} at {row['ts']} is {row['close']}; a price is positive")
    base = known.filter(pl.col("coin") == coin).select("ts", base="close")
    if base.height <= FEWEST_RETURNS or base["base"].n_unique() == 1:
        raise MissingData(
            f"{coin} has {base.height} closes, more than {FEWEST_RETURNS} that move are needed; --betas, or "
            "--move parallel needs none"
        )
    fitted = _fits(known.join(base, on="ts").sort("coin", "ts"))
    found = dict(fitted.filter(pl.col("returns") >= FEWEST_RETURNS).select("coin", "beta").iter_rows())
    return {name: beta for name, beta in {**found, coin: 1.0}.items() if beta is not None}


def stored_betas(store: Store, coin: str, at: datetime | None = None) -> dict[str, float]:
    """Betas from the stored candles of the exchange, of the `LENGTH` before `at` (default: the last candle).

    Nothing that closed after `at` is used. Raises `MissingData` with the remedy where there are none.
    """
    own = _candles(store, coin, at)
    others = [name for venue, name in store.lake.series_coins(DATASET) if venue == VENUE and name != coin]
    if own.is_empty() or not others:
        lacking = f"of {coin}" if own.is_empty() else f"of any coin but {coin}"
        until = f" by {at:%Y-%m-%dT%H:%M}Z" if at else ""
        raise MissingData(
            f"no candles {lacking} on {VENUE} are stored{until}; `liqtruth index candles`, --betas, or "
            "--move parallel needs none"
        )
    interval_s = own["interval_s"].mode().min()
    last = own["ts"].max()
    assert isinstance(last, datetime)
    parts = [own.with_columns(coin=pl.lit(coin))]
    parts += [_candles(store, name, at).with_columns(coin=pl.lit(name)) for name in others]
    closes = pl.concat(parts).filter(
        (pl.col("interval_s") == interval_s) & (pl.col("ts") > last - LENGTH) & (pl.col("ts") <= last)
    )
    return betas_of(closes, coin)


def describe_betas(betas: Mapping[str, float], coin: str) -> list[str]:
    """One line per coin, the largest move first."""
    rows = sorted(((beta, name) for name, beta in betas.items() if name != coin), reverse=True)
    return [f"{name}: {beta:.2f} for 1 of {coin}" for beta, name in rows]


def _fits(joined: pl.DataFrame) -> pl.DataFrame:
    """Slope, its standard error and the shrunk beta of each coin; null where the base did not move."""
    returns = joined.select(
        "coin",
        x=pl.col("base").log().diff().over("coin"),
        y=pl.col("close").log().diff().over("coin"),
    ).drop_nulls()
    n, x, y = pl.len(), pl.col("x"), pl.col("y")
    sums = returns.group_by("coin", maintain_order=True).agg(
        returns=n,
        xx=((x - x.mean()) ** 2).sum(),
        xy=((x - x.mean()) * (y - y.mean())).sum(),
        yy=((y - y.mean()) ** 2).sum(),
    )
    slope = pl.col("xy") / pl.col("xx")
    rest = pl.max_horizontal(pl.col("yy") - slope * pl.col("xy"), 0.0)
    variance = rest / (pl.col("returns") - 2) / pl.col("xx")
    weight = PRIOR_SD**2 / (PRIOR_SD**2 + variance)
    beta = pl.when(pl.col("xx") > 0).then(weight * slope + 1 - weight)
    return sums.filter(pl.col("returns") > 2).select("coin", "returns", beta=beta)


def _candles(store: Store, coin: str, at: datetime | None) -> pl.DataFrame:
    """Columns `CLOSES`; `ts` is the bar's open, and only bars that had closed by `at`."""
    rows = store.lake.read_series(DATASET, VENUE, coin, CLOSES, end=at).select(*CLOSES)
    if at is None:
        return rows
    return rows.filter(pl.col("ts") + pl.duration(seconds="interval_s") <= at)
