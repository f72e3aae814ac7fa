"""The figures of a leverage census: shares by band of effective leverage per group of positions, with intervals.

Shares are of what a price liquidates; the share without liquidation price stands apart. Accounts, not positions, are
drawn with replacement: an account's positions belong together. All figures are drawn together, as sums over a histogram
that is fine enough for medians. What few accounts hold, or none, may not be drawn at all, so that the interval of a
share is at least Wilson's for the effective sample size of accounts (1 / HHI). Below `FEWEST` it is withheld.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from liqtruth.compare.calibration.bands import LABELS
from liqtruth.compare.calibration.holdings import SIZES
from liqtruth.compare.census.leverages import ANCHORS
from liqtruth.compare.statistics.effective_sample_size import effective_number
from liqtruth.compare.statistics.intervals import FEWEST_BLOCKS, INTERVAL, Estimate, times_drawn, wilson
from liqtruth.estimator.model.leverage import BAND_EDGES
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES

BoolArray = NDArray[np.bool_]

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LAYERS: Final = ("capped", "uncapped")
ALL: Final = "all"
GROUPINGS: Final = ("size", "maximum", "margin_mode", "coin")
"""Columns of `CENSUS_ROWS` that positions are grouped by, beside all together."""
FEWEST: Final = float(FEWEST_BLOCKS)
DRAWS: Final = 200
AT_ONCE: Final = 20
"""Draws whose sums are formed together: bounds the memory for many accounts."""

FINE: Final = 40
"""Cells of the histogram in each band of leverage."""
LEAST_LEVERAGE: Final = 0.1
MOST_LEVERAGE: Final = 1_000.0
CELLS: Final = FINE * len(LABELS)
WHOLE, NEVER, ABOVE, PAST = range(CELLS, CELLS + 4)
"""Sums beside the histogram: of all, without liquidation price, above the coin's maximum, past the reference price."""
SUMS: Final = CELLS + 4


class CensusRow(msgspec.Struct, frozen=True):
    """One group of positions of one side, measured from one `anchor` (`entry` or `mark`) in one `layer` (`capped`: each
    position with at most 0.3 % of open interest).

    `without_price` is the share of all of them that no price liquidates, null where a source may have left those out.
    The others are shares of those whose leverage is known, `notional_usd` (USD at the mark) altogether: `bands` by
    `LABELS`, `above_maximum` above the coin's highest setting (null where that is unknown), `past` liquidated on the
    far side of the reference price; `median` is their weighted median leverage. `effective_accounts` is 1 / HHI of what
    accounts have of it. Intervals (95 %) are null where that is below `FEWEST`, estimates where there is nothing.
    """

    grouping: str
    group: str
    side: str
    anchor: str
    layer: str
    accounts: int
    positions: int
    effective_accounts: float
    notional_usd: float
    without_price: Estimate | None
    median: Estimate | None
    bands: tuple[Estimate, ...]
    above_maximum: Estimate | None
    past: Estimate | None


def census_figures(rows: pl.DataFrame, seed: int = 0, draws: int = DRAWS) -> tuple[CensusRow, ...]:
    """Figures of `CENSUS_ROWS`, all together first, then by each of `GROUPINGS` that has more than one group."""
    account = rows["account"].rank("dense").cast(pl.Int64).to_numpy() - 1
    measured = [anchor for anchor in ANCHORS if rows[anchor].is_not_null().any()]
    groupings = (ALL, *(name for name in GROUPINGS if rows[name].n_unique() > 1))
    tables = [
        _Table.of(rows, account, grouping, anchor, layer)
        for grouping, anchor, layer in product(groupings, measured, LAYERS)
    ]
    drawn = _drawn([table.sums for table in tables], seed, draws)
    return tuple(row for table, sums in zip(tables, drawn, strict=True) for row in table.figures(sums))


def _drawn(tables: Sequence["csr_array"], seed: int, draws: int) -> list[FloatArray]:
    """Sums of all accounts once, then of accounts drawn again, (1 + draws, sums) per table; some draws at a time."""
    parts: list[list[FloatArray]] = [[np.asarray(table.sum(axis=1), np.float64)[None, :]] for table in tables]
    for start in range(0, draws, AT_ONCE):
        times = times_drawn(tables[0].shape[1], seed + start, min(AT_ONCE, draws - start))
        for part, table in zip(parts, tables, strict=True):
            part.append((table @ times.T).T)
    return [np.concatenate(part) for part in parts]


def cell_of(leverage: FloatArray) -> IntArray:
    """Cell of the histogram of each leverage; what is below or above it is in its first or last cell."""
    place = np.searchsorted(EDGES, leverage, side="right") - 1
    return np.clip(place, 0, CELLS - 1)


@dataclass(frozen=True, eq=False)
class _Table:
    """Positions of one layer, measured from one anchor: `place` of each is its group's number times two, plus its
    side's; `sums` (groups x sides x `SUMS`, accounts) in USD."""

    grouping: str
    names: Sequence[str]
    anchor: str
    layer: str
    account: IntArray
    place: IntArray
    highest: FloatArray
    unpriced_read: BoolArray
    sums: "csr_array"

    @classmethod
    def of(
        cls,
        rows: pl.DataFrame,
        account: IntArray,
        grouping: str,
        anchor: str,
        layer: str,
    ) -> "_Table":
        from scipy.sparse import coo_array

        names, group = _groups(rows, grouping)
        place = 2 * group + (rows["side"] == SIDES[1]).cast(pl.Int64).to_numpy()
        position, part = _parts(rows, anchor)
        at = (place[position] * SUMS + part, account[position])
        shape = (2 * len(names) * SUMS, int(account.max()) + 1)
        sums = coo_array((rows[layer].to_numpy()[position], at), shape=shape).tocsr()
        return cls(
            grouping,
            names,
            anchor,
            layer,
            account,
            place,
            _floats(rows, "highest"),
            rows["unpriced_read"].to_numpy(),
            sums,
        )

    def figures(self, drawn: FloatArray) -> Iterator[CensusRow]:
        """By sums of all accounts (the first row) and of accounts drawn again, (draws, groups x sides x `SUMS`)."""
        by_group = drawn.reshape(len(drawn), -1, SUMS)
        for place, (group, side) in enumerate(product(self.names, SIDES)):
            yield self._row((self.grouping, group, side), place, by_group[:, place])

    def _row(self, group: tuple[str, str, str], place: int, drawn: FloatArray) -> CensusRow:
        chosen = self.place == place
        known = np.asarray(self.sums[place * SUMS : place * SUMS + CELLS].sum(axis=0), np.float64)
        effective = effective_number(known)
        cells = drawn[:, :CELLS]
        priced = cells.sum(axis=1)
        bands = cells.reshape(len(drawn), len(LABELS), FINE).sum(axis=2)
        shares = [_share(bands[:, at], priced, effective) for at in range(len(LABELS))]
        return CensusRow(
            *group,
            self.anchor,
            self.layer,
            int(np.unique(self.account[chosen]).size),
            int(chosen.sum()),
            effective,
            float(priced[0]),
            self._without_price(place, drawn),
            _median(cells, effective),
            tuple(one for one in shares if one is not None),
            None if np.isnan(self.highest[chosen]).any() else _share(drawn[:, ABOVE], priced, effective),
            _share(drawn[:, PAST], priced, effective),
        )

    def _without_price(self, place: int, drawn: FloatArray) -> Estimate | None:
        """Null where a source may have left them out."""
        if not self.unpriced_read[self.place == place].all():
            return None
        whole = self.sums[place * SUMS + WHOLE].toarray().ravel()
        return _share(drawn[:, NEVER], drawn[:, WHOLE], effective_number(whole))


def _groups(rows: pl.DataFrame, grouping: str) -> tuple[Sequence[str], IntArray]:
    """Names of the groups in the order shown, and each position's."""
    if grouping == ALL:
        return (ALL,), np.zeros(rows.height, np.int64)
    names = sorted(rows[grouping].unique().to_list(), key=_order)
    number = rows[grouping].replace_strict(names, range(len(names)), return_dtype=pl.Int64)
    return names, number.to_numpy()


def _order(label: str) -> tuple[float, str]:
    """Size classes by size, `40x` after `5x`, other names by letter."""
    number = label.removesuffix("x")
    known = SIZES.index(label) if label in SIZES else float(number) if number.isdigit() else np.inf
    return known, label


def _parts(rows: pl.DataFrame, anchor: str) -> tuple[IntArray, IntArray]:
    """Which positions count in which of the `SUMS`, pair by pair."""
    leverage = _floats(rows, anchor)
    known = ~np.isnan(leverage)
    members = {
        WHOLE: np.ones(rows.height, bool),
        NEVER: ~rows["priced"].to_numpy(),
        ABOVE: known & (leverage > _floats(rows, "highest")),
        PAST: known & rows[f"past_{anchor}"].fill_null(False).to_numpy(),
    }
    position = [np.flatnonzero(known), *(np.flatnonzero(member) for member in members.values())]
    part = [cell_of(leverage[known]), *(np.full(int(m.sum()), at) for at, m in members.items())]
    return np.concatenate(position), np.concatenate(part)


def _floats(rows: pl.DataFrame, column: str) -> FloatArray:
    return rows[column].fill_null(np.nan).to_numpy()


def _share(part: FloatArray, whole: FloatArray, effective: float) -> Estimate | None:
    """Of the first draw, which takes all once; ends from the others, and at least Wilson's."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = _estimate(part / whole, effective)
    if found is None or found.low is None or found.high is None:
        return found
    low, high = wilson(found.value * effective, effective)
    return Estimate(found.value, min(found.low, low), max(found.high, high))


def _median(cells: FloatArray, effective: float) -> Estimate | None:
    """Leverage that halves the mass, on a log scale inside its cell."""
    summed = np.cumsum(cells, axis=1)
    half = summed[:, -1:] / 2
    at = np.minimum((summed < half).sum(axis=1), CELLS - 1)
    draw = np.arange(len(cells))
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (half[:, 0] - (summed - cells)[draw, at]) / cells[draw, at]
    return _estimate(np.exp(np.log(EDGES[at]) + part * np.log(EDGES[at + 1] / EDGES[at])), effective)


def _estimate(values: FloatArray, effective: float) -> Estimate | None:
    if not np.isfinite(values[0]):
        return None
    known = values[1:][np.isfinite(values[1:])]
    if effective < FEWEST or not known.size:
        return Estimate(float(values[0]))
    low, high = np.quantile(known, INTERVAL)
    return Estimate(float(values[0]), float(low), float(high))


def _edges() -> FloatArray:
    ends = np.clip(np.array(BAND_EDGES), LEAST_LEVERAGE, MOST_LEVERAGE)
    parts = [np.geomspace(low, high, FINE + 1)[:-1] for low, high in pairwise(ends)]
    return np.append(np.concatenate(parts), ends[-1])


EDGES: Final = _edges()
"""Of the histogram's cells, ascending; every edge of a band is one."""
