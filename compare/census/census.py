"""The leverage census: which effective leverages stand, straight from stored positions, without any model.

It is of what was read, and of what stands: whoever reads accounts finds large ones first, and high leverages are
liquidated before they are counted. Both are stated. Beside it stand the leverages that maps assume.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
import polars as pl

from liqtruth.compare.calibration.bands import LABELS, bands_of_model
from liqtruth.compare.calibration.lake_samples import WHOLE
from liqtruth.compare.census.figures import ALL, DRAWS, CensusRow, census_figures
from liqtruth.compare.census.leverages import ANCHORS, census_rows
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.estimator.model.brackets import FALLBACK_MAX_LEVERAGE
from liqtruth.estimator.model.leverage import LeverageWeights, bell, tiers
from liqtruth.estimator.model.leverage_model import PRIOR, LeverageModel, leverage_model_named
from liqtruth.heatmap.heatmap import Coverage
from liqtruth.heatmap.layers import Cut
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.indexer.maps.exact import PlacedLevels, levels_of
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.markets import stored_tables
from liqtruth.indexer.positions.readings import coin_as_of
from liqtruth.storage.database.records import Market
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

SCHEMA: Final = "liqtruth.leverage_census/1"
LARGE_USD: Final = 100_000.0
"""An incomplete reading half of whose positions are above it is one of large accounts."""


class CoinRead(msgspec.Struct, frozen=True):
    """What was read of one coin: shares of open interest, long then short (null where it is unknown), and the coin's
    highest leverage setting (null where it is unknown)."""

    coin: str
    as_of: datetime
    mark_px: float
    positions: int
    accounts: int
    coverage: tuple[float, float] | None
    highest_leverage: float | None


class Assumed(msgspec.Struct, frozen=True):
    """What maps assume: shares by band of leverage of what has a liquidation price, long then short, and what has
    none."""

    name: str
    bands: tuple[tuple[float, ...], tuple[float, ...]]
    without_price: tuple[float, float]


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one or several coins together, weighted by notional. `labels` name the bands of every row."""

    schema: str = SCHEMA
    coins: tuple[CoinRead, ...]
    labels: tuple[str, ...] = LABELS
    rows: tuple[CensusRow, ...]
    assumed: tuple[Assumed, ...]
    seed: int
    draws: int
    synthetic: bool
    notes: Notes

    @property
    def as_of(self) -> datetime:
        """Of the coin that was read last."""
        return max(coin.as_of for coin in self.coins)

    @property
    def anchors(self) -> tuple[str, ...]:
        """From where leverage could be measured."""
        return tuple(anchor for anchor in ANCHORS if any(row.anchor == anchor for row in self.rows))

    def row(self, side: str, anchor: str, layer: str = "capped") -> CensusRow:
        """Figures of all positions of a side."""
        return next(
            row
            for row in self.rows
            if (row.grouping, row.side, row.anchor, row.layer) == (ALL, side, anchor, layer)
        )


@dataclass(frozen=True, eq=False)
class CountedCoin:
    """One coin's positions (`leverages.CENSUS_ROWS`), what was read of it, and notes on both."""

    rows: pl.DataFrame
    read: CoinRead
    notes: Notes
    synthetic: bool


def counted_coin(store: Store, coin: str, at: datetime | None = None) -> CountedCoin:
    """What is known of a coin at a moment (default: the latest); raises `UnknownCoin` and `NothingStored`."""
    positions, market, notes = coin_as_of(store, coin, at)
    levels = levels_of(positions, market, notes)
    tables, table_notes = _tables(store, levels.rows)
    highest = _highest(coin, levels.rows, market, tables)
    cut = Cut.of(levels.coverage)
    rows = census_rows(coin, levels.rows, levels.mark_px, cut, highest, tables)
    own = (*_notes_on(coin, levels, rows, highest, tables), *(one.of(coin) for one in table_notes))
    coverage = levels.coverage
    share = coverage.share
    read = CoinRead(
        coin,
        levels.as_of,
        levels.mark_px,
        levels.rows.height,
        coverage.accounts or 0,
        None if share is None else (share.long, share.short),
        highest,
    )
    return CountedCoin(rows, read, own, coverage.synthetic)


def census_of(counted: Sequence[CountedCoin], seed: int = 0, draws: int = DRAWS) -> Census:
    """Coins counted together; raises `NothingStored` where no position has a liquidation price."""
    rows = pl.concat([one.rows for one in counted])
    if not rows["priced"].any():
        raise NothingStored("no stored position has a liquidation price: nothing to take a census of")
    figures = census_figures(rows, seed, draws)
    notes = [note("census_stands"), *_few(figures), *(line for one in counted for line in one.notes)]
    if len(counted) > 1:
        notes.insert(1, note("census_of_several"))
    return Census(
        coins=tuple(one.read for one in counted),
        rows=figures,
        assumed=tuple(assumed()),
        seed=seed,
        draws=draws,
        synthetic=any(one.synthetic for one in counted),
        notes=tuple(dict.fromkeys(notes)),
    )


def assumed() -> Iterator[Assumed]:
    """Equal-weight tiers, the normal prior, and the shipped one."""
    models: dict[str, LeverageModel | LeverageWeights] = {
        "tiers": tiers(),
        "bell": bell(),
        PRIOR: leverage_model_named(PRIOR),
    }
    for name, model in models.items():
        long, short = (bands_of_model(model, side) for side in SIDES)
        yield Assumed(name, (_of_priced(long), _of_priced(short)), (round(long[-1], 9), round(short[-1], 9)))


def _of_priced(shares: Sequence[float]) -> tuple[float, ...]:
    """Bands without the null share behind them, as shares of their sum."""
    *bands, _ = shares
    return tuple(share / sum(bands) for share in bands)


def _tables(store: Store, positions: pl.DataFrame) -> tuple[MarginTables | None, list[Note]]:
    """Margin tables of the coin's dex at the moments of the readings; null where none is stored."""
    if positions.is_empty():
        return None, []
    dex = positions["dex"][0]
    found, notes = stored_tables(store, [dex], positions["as_of"].unique().to_list())
    return found.get(dex), notes


def _highest(
    coin: str, positions: pl.DataFrame, market: Market | None, tables: MarginTables | None
) -> float | None:
    """The coin's highest setting: of its market, of its margin table, or the highest of its positions' own."""
    if market is not None and market.max_leverage:
        return float(market.max_leverage)
    row = 0 if tables is None else tables.row_of_coin.get(coin, 0)
    if tables is not None and row:
        return float(tables.first_leverage[row])
    own = positions["max_leverage"].max()
    return float(own) if isinstance(own, int | float) else None


def _notes_on(
    coin: str,
    levels: PlacedLevels,
    rows: pl.DataFrame,
    highest: float | None,
    tables: MarginTables | None,
) -> Iterator[Note]:
    coverage = levels.coverage
    yield from (one.of(coin) for one in _coverage_notes(coverage, rows))
    if rows["entry"].null_count() == rows.height:
        yield note("census_no_entries").of(coin)
    if rows["priced"].all():
        yield note("census_all_priced", positions=rows.height).of(coin)
    if tables is None:
        known = highest is not None
        yield note("census_maintenance", known=known, highest=highest or FALLBACK_MAX_LEVERAGE).of(coin)
    if coverage.unknown_usd.total:
        yield note("collateral_unknown", usd=coverage.unknown_usd.total).of(coin)


def _coverage_notes(coverage: Coverage, rows: pl.DataFrame) -> Iterator[Note]:
    share, median = coverage.share, rows["uncapped"].median()
    middle = float(median) if isinstance(median, int | float) else 0.0
    if share is None:
        yield note("census_coverage_unknown", middle_usd=middle)
    elif min(share) < WHOLE:
        large = middle > LARGE_USD
        yield note("census_incomplete", long=share.long, short=share.short, middle_usd=middle, large=large)
    stale = [one for one in coverage.notes if one.code in ("stale_positions", "market_is_older")]
    yield from stale


def _few(figures: Sequence[CensusRow]) -> Iterator[Note]:
    """Where the shares of a side rest on too few accounts to mean much."""
    whole = [row for row in figures if row.grouping == ALL and row.layer == "capped"]
    least = min(row.effective_accounts for row in whole)
    if least < ENOUGH:
        yield note("census_few", effective=least, enough=ENOUGH)
