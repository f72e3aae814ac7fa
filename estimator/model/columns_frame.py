"""Mass of a model per age, node and place, put into the long form of `heatmap.levels.BREAKDOWN`."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import BREAKDOWN, SIDE


def broken_down(
    mass_usd: Mapping[str, FloatArray], band: Sequence[str], ages: Sequence[str], venue: str
) -> pl.DataFrame:
    """Notional per side, bin, leverage band and age band of arrays (ages, nodes, bins + 3); empty places are left out.

    A model knows no single positions: it counts none, and the largest is null.
    """
    sides = [_side(side, _per_band(mass, band), band, ages) for side, mass in mass_usd.items()]
    return pl.concat(sides).with_columns(venue=pl.lit(venue))


def places(side: str, bin_: IntArray, notional_usd: FloatArray) -> pl.DataFrame:
    """Rows of one side with the columns of `BREAKDOWN`; a bin of -2 means that no price liquidates the mass."""
    rows = len(bin_)
    return pl.DataFrame(
        {
            "side": pl.repeat(side, rows, dtype=SIDE, eager=True),
            "bin": pl.Series(bin_, dtype=pl.Int32).replace(-2, None),
            "notional_usd": notional_usd,
            "positions": pl.zeros(rows, dtype=pl.UInt32, eager=True),
            "largest_usd": pl.repeat(None, rows, dtype=pl.Float64(), eager=True),
        },
        schema=BREAKDOWN,
    )


def _side(side: str, mass: FloatArray, band: Sequence[str], ages: Sequence[str]) -> pl.DataFrame:
    bands = list(dict.fromkeys(band))
    age, which, place = np.nonzero(mass)
    last = mass.shape[2] - 1
    rows = places(side, np.where(place == last, -2, place - 1), mass[age, which, place])
    return rows.with_columns(
        leverage_band=pl.Series(bands, dtype=pl.String()).gather(which),
        age_band=pl.Series(list(ages), dtype=pl.String()).gather(age),
    )


def _per_band(mass: FloatArray, band: Sequence[str]) -> FloatArray:
    """Sums over the nodes of each band; the nodes of a band are neighbours."""
    starts = [at for at, label in enumerate(band) if at == 0 or label != band[at - 1]]
    return np.asarray(np.add.reduceat(mass, starts, axis=1))
