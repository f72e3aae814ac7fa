"""A census as a leverage model: the leverages that stand, by node, drawn as if they were what is opened.

What a census cannot see is assumed, and the model's basis states it: how notional divides into turnover classes is the
shipped prior's mix, and leverages of openings are taken to be those of what stands, though high ones are liquidated
before they are counted. Leverage is measured from entry where entries were read (from the mark where the liquidation
lies past the entry, which no leverage explains), else from the mark. What lies below the lowest node is null mass, as
is what no price liquidates.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.census.census import Census
from liqtruth.estimator.model.leverage_model import (
    PRIOR,
    LeverageModel,
    Provenance,
    check_own_name,
    leverage_model_named,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC, note, of_codes, texts
from liqtruth.heatmap.writing import write_atomically
from liqtruth.indexer.positions.markets import VENUE

LIMITS: Final = frozenset({"census_incomplete", "census_coverage_unknown", "census_few"})
"""Codes of what every map drawn with it must state."""
DIGITS: Final = 1e9
"""Shares are cut to so many digits, so that their sum stays at one or below."""


def census_model(
    census: Census, counted: Sequence[pl.DataFrame], name: str, made_at: datetime | None = None
) -> LeverageModel:
    """`counted` are the positions of the census (`leverages.CENSUS_ROWS`), per coin; raises `BadInput` for a shipped
    model's name."""
    check_own_name(name)
    prior, rows = leverage_model_named(PRIOR), pl.concat(counted)
    nodes = np.array(prior.leverage)
    long, short = (
        _rows(_mix(prior, side)[:, None] * node_shares(rows.filter(pl.col("side") == side), nodes)[None, :])
        for side in SIDES
    )
    return LeverageModel(
        name=name,
        kind="census",
        provenance=Provenance(
            (made_at or datetime.now(UTC)).astimezone(UTC),
            f"liqtruth {version('liqtruth')}",
            _basis(census),
            synthetic=census.synthetic,
        ),
        rates=prior.rates,
        leverage=prior.leverage,
        long=long,
        short=short,
    )


def save_census(data_dir: Path, model: LeverageModel) -> Path:
    """Write it where models are found by name."""
    path = data_dir / "models" / f"{model.name}.json"
    write_atomically(path, model.to_json())
    return path


def node_shares(rows: pl.DataFrame, nodes: FloatArray) -> FloatArray:
    """Share of all of one side's capped notional at each node, the nearest on a log scale; shape (nodes,)."""
    opened = pl.when(pl.col("entry").is_finite()).then("entry").otherwise("mark")
    leverage = rows.select(opened.fill_null(np.nan)).to_series().to_numpy()
    usd = rows["capped"].to_numpy()
    middles = np.log(nodes[1:] * nodes[:-1]) / 2
    place = np.searchsorted(middles, np.log(leverage))
    lowest = nodes[0] / np.sqrt(nodes[1] / nodes[0])
    placed = np.isfinite(leverage) & (leverage >= lowest) | np.isposinf(leverage)
    whole = float(usd.sum())
    shares = np.bincount(place[placed], usd[placed], len(nodes))
    return np.asarray(shares / whole) if whole > 0 else np.zeros(len(nodes))


def _mix(prior: LeverageModel, side: str) -> FloatArray:
    """The prior's shares by turnover class, (classes,), summing to one."""
    classes = prior.shares(side).sum(axis=1)
    return np.asarray(classes / classes.sum())


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in (np.floor(shares * DIGITS) / DIGITS).tolist())


def _basis(census: Census) -> str:
    """One line for the assumptions of every map that the model draws."""
    anchor = census.anchors[0]
    counted = ", ".join(f"{coin.coin} {coin.as_of:%Y-%m-%dT%H:%MZ}" for coin in census.coins)
    least = min(census.row(side, anchor).effective_accounts for side in SIDES)
    whose = f"{SYNTHETIC}: " if census.synthetic else ""
    taken = note("census_as_model", anchor=anchor, cut=LARGEST_SHARE, prior=f"the {PRIOR}")
    stated = texts((taken, *of_codes(census.notes, LIMITS)))
    return (
        f"{whose}census of {VENUE} {counted}, {least:.0f} effective accounts on one side; {'; '.join(stated)}"
    )
