"""The joint map: where accounts are liquidated when all marks move together with one coin's.

A cross price assumes that all other marks of the account stand still. Here a relative move s of the chosen coin moves
every mark by its beta::

    mark_j(s) = mark_j * max(0, 1 + beta_j * s)

Linear and not a power of (1 + s), since it leaves equity and maintenance piecewise linear in s, so that the shock at
which they meet is exact and needs no search; for the few percent that separate most accounts from it the two agree.
Marks are floored at zero instead of betas being clipped: a beta above one is what most coins have. Short of the
first floored long, equity less maintenance is concave, so a pool has at most one root each way; the walk below over
its kinks (tier bounds and floors) finds the first one in any case.

A pool is liquidated whole. On the chosen coin's map its position in that coin is booked at the shock towards the
position's own side (long: the fall, short: the rise), so that longs stay below the mark. Where only the other way
liquidates (a long in a pool that is short of the market) no bin of its side is right: it is counted as never, and in
`against_usd` at the price where it would be closed. Other coins of the same pool go along as `dragged_usd`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS, FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Note, Notes, note, texts
from liqtruth.heatmap.words.text import usd
from liqtruth.indexer.maps.exact import VALUED_AT_MARK, map_of_positions
from liqtruth.indexer.margin.pools import NO_POOL, Backing, backing_of
from liqtruth.indexer.margin.shocks import Legs, first_shock
from liqtruth.indexer.margin.solver import HIGHEST_PRICE, Floats
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.markets import stored_tables
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.store import Store

PARALLEL: Final[Mapping[str, float]] = {}
"""No beta given: every mark moves by the same fraction."""

DEFAULT_BETA: Final = 1.0
"""Beta of a coin for which none is given."""

Flags = npt.NDArray[np.bool_]

JOINT_COLUMNS: Final = ("joint_px", "joint_down_px", "joint_up_px", "joint_status")


@dataclass(frozen=True, eq=False)
class JointView:
    """A joint map with what its bins cannot hold; all USD at the mark, arrays of shape (bins,).

    Attributes
    ----------
    dragged_usd : the other coins' notional in the pools that are liquidated at that price of the chosen coin
    against_usd : the chosen coin's own notional that is closed there although the move is in its favour
    """

    heatmap: Heatmap
    dragged_usd: FloatArray
    against_usd: FloatArray

    def describe(self) -> list[str]:
        return [*self.dragged(), *texts(self.heatmap.coverage.notes)]

    def dragged(self) -> list[str]:
        """What the bins cannot hold."""
        on_map = self.heatmap.in_grid_usd.total
        return [
            f"{usd(on_map)} of {self.heatmap.coin} within the grid drag {usd(float(self.dragged_usd.sum()))} of "
            "other coins along",
            f"{usd(float(self.against_usd.sum()))} of {self.heatmap.coin} are closed by a move in their favour",
        ]


def joint_view(
    store: Store,
    coin: str,
    at: datetime | None = None,
    betas: Mapping[str, float] = PARALLEL,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> JointView:
    """The joint map of everything known at `at`; raises as `exact_map`, and `MissingData` without margin tables."""
    readings = Readings(store, None, [at])
    known = readings.known(at)
    theirs = known.filter(pl.col("coin") == check_coin(store, coin))
    if theirs.is_empty():
        raise no_positions(coin, at)
    market, notes = readings.market(coin, theirs, at)
    tables, table_notes = stored_tables(
        store, known["dex"].unique().sort().to_list(), known["as_of"].unique()
    )
    if not tables:
        raise MissingData("a joint map needs margin tables and none are stored; `liqtruth index sweep`")
    backing = backing_of(known, tables)
    joint = joint_prices(known, backing, coin, betas)
    lines = (*notes, *table_notes, *_remarks(joint, backing, coin, betas))
    assumed = _assumptions(coin, betas)
    drawn = map_of_positions(_booked(joint, coin), coin, market, width_bps, lines, assumed)
    drawn = replace(drawn, model="joint")
    return JointView(drawn, *_beside(joint, backing, coin, drawn))


def joint_prices(
    positions: pl.DataFrame, backing: Backing, coin: str, betas: Mapping[str, float]
) -> pl.DataFrame:
    """The positions with the prices of `coin` at which a joint move liquidates them.

    Parameters
    ----------
    positions : reconciled frame of schema `POSITIONS`, all cross positions of each account
    backing : their margin tables and pools
    betas : relative move of each coin per relative move of `coin`; 1 for a coin left out

    Returns
    -------
    frame
        `positions` with `joint_down_px` and `joint_up_px` (nearest each way, null where none), `joint_px` (of these
        the one the position loses on, else the other, null where no shock liquidates) and `joint_status`: `joint`,
        `isolated` (its own price), `crossed` (below maintenance already, booked at the mark), `never`, `unknown`.
        A position of an unknown status has no prices: its collateral or a margin table of its pool is not known.

    Raises `BadInput` where nobody holds `coin`, or for a beta that is no number or not 1 for `coin` itself.
    """
    beta = _beta_of(positions["coin"], coin, betas)
    coin_px = _coin_mark(positions["coin"], backing, coin)
    down, up = (1 + way * shock for way, shock in zip((-1, 1), _shocks(backing, beta), strict=True))
    crossed = down == 1
    down_px, up_px = backing.of_pool(down) * coin_px, backing.of_pool(up) * coin_px
    up_px[up_px > HIGHEST_PRICE] = np.nan
    own_px = _isolated_px(positions, backing, beta, coin_px, (positions["coin"] == coin).to_numpy())
    alone = backing.pool == NO_POOL
    below = own_px < coin_px
    down_px = np.where(alone, np.where(below, own_px, np.nan), down_px)
    up_px = np.where(alone, np.where(below, np.nan, own_px), up_px)
    falls = backing.szi * beta >= 0
    losing, other = np.where(falls, down_px, up_px), np.where(falls, up_px, down_px)
    columns = (np.where(np.isnan(losing), other, losing), down_px, up_px)
    return positions.with_columns(
        *(pl.Series(n, v, nan_to_null=True) for n, v in zip(JOINT_COLUMNS[:3], columns, strict=True))
    ).with_columns(joint_status=_status(alone, backing, backing.of_pool(crossed.astype(float), 0.0)))


def _beta_of(coins: pl.Series, coin: str, betas: Mapping[str, float]) -> Floats:
    if coin not in coins:
        raise BadInput(f"nobody holds {coin!r} in these positions; a joint move needs the coin that is moved")
    for name, beta in betas.items():
        if not np.isfinite(beta) or (name == coin and beta != 1):
            wanted = "1, being the coin that is moved" if name == coin else "a number"
            raise BadInput(f"the beta of {name} to {coin} is {beta!r}; it must be {wanted}")
    if not betas:
        return np.full(len(coins), DEFAULT_BETA)
    return coins.replace_strict(dict(betas), default=DEFAULT_BETA, return_dtype=pl.Float64).to_numpy()


def _coin_mark(coins: pl.Series, backing: Backing, coin: str) -> Floats:
    """Mark of the chosen coin at each position: the one its own pool was read with, else the median of all."""
    holdings = (coins == coin).to_numpy()
    median = float(np.nanmedian(backing.mark_px[holdings]))
    per_pool = np.full(backing.pools + 1, median)
    per_pool[backing.pool[holdings]] = backing.mark_px[holdings]
    per_pool[NO_POOL] = median
    return np.where(holdings, backing.mark_px, per_pool[backing.pool])


def _shocks(backing: Backing, beta: Floats) -> tuple[Floats, Floats]:
    """Size of the shock that liquidates each pool, down and up; NaN where none does or it is not known."""
    legs = Legs.of(backing, beta)
    down = first_shock(legs, -1)
    down[~(down < 1)] = np.nan
    return down, first_shock(legs, 1)


def _isolated_px(
    positions: pl.DataFrame, backing: Backing, beta: Floats, coin_px: Floats, own: Flags
) -> Floats:
    """Price of the chosen coin at which an isolated position of any coin meets its own price; NaN where none."""
    own_px = positions["liq_px"].to_numpy()
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        moved = coin_px * (1 + (own_px / backing.mark_px - 1) / beta)
    px = np.where(own, own_px, moved)
    px[~((px > 0) & (px <= HIGHEST_PRICE))] = np.nan
    return px


def _status(alone: Flags, backing: Backing, crossed: Floats) -> pl.Expr:
    pool_known = np.isfinite(backing.of_pool(Legs.known_available(backing), 0.0))
    unpriced = pl.col("joint_px").is_null()
    return (
        pl.when(pl.lit(pl.Series(~pool_known)) | (unpriced & (pl.col("status") == "unknown_collateral")))
        .then(pl.lit("unknown"))
        .when(unpriced)
        .then(pl.lit("never"))
        .when(pl.lit(pl.Series(alone)))
        .then(pl.lit("isolated"))
        .when(pl.lit(pl.Series(crossed > 0)))
        .then(pl.lit("crossed"))
        .otherwise(pl.lit("joint"))
    )


def _own_side_px() -> pl.Expr:
    """Where the chosen coin's map draws its position: an isolated one at its own price, even if it has passed."""
    own_side = pl.when(pl.col("szi") > 0).then("joint_down_px").otherwise("joint_up_px")
    return pl.when(pl.col("margin_mode") == "isolated").then("liq_px").otherwise(own_side)


def _booked(joint: pl.DataFrame, coin: str) -> pl.DataFrame:
    """The coin's positions with the joint price as theirs, and the statuses that `map_of_positions` reads."""
    unknown = pl.col("joint_status") == "unknown"
    return joint.filter(pl.col("coin") == coin).with_columns(
        liq_px=pl.when(~unknown).then(_own_side_px()),
        status=pl.when(unknown).then(pl.lit("unknown_collateral")).otherwise(pl.lit("joint")),
    )


def _beside(
    joint: pl.DataFrame, backing: Backing, coin: str, drawn: Heatmap
) -> tuple[FloatArray, FloatArray]:
    """Notional dragged along and notional closed by a move in its favour, per bin of the map."""
    holdings = (joint["coin"] == coin).to_numpy() & (backing.pool != NO_POOL)
    usd_at_mark = np.nan_to_num(backing.notional_usd)
    px = joint["joint_px"].to_numpy()
    per_pool = np.full(backing.pools, np.nan)
    per_pool[backing.pool[holdings]] = px[holdings]
    others = (joint["coin"] != coin).to_numpy() & (backing.pool != NO_POOL)
    against = holdings & joint.select(_own_side_px().is_null()).to_series().to_numpy()
    dragged = _binned(backing.of_pool(per_pool)[others], usd_at_mark[others], drawn)
    return dragged, _binned(px[against], np.abs(backing.szi[against]) * drawn.mark_px, drawn)


def _binned(px: Floats, amount_usd: Floats, drawn: Heatmap) -> FloatArray:
    known = np.isfinite(px)
    bins = drawn.grid.bin_of(px[known]) + 1
    return np.bincount(bins, amount_usd[known], drawn.grid.bins + 2)[1:-1].astype(np.float64)


def _remarks(joint: pl.DataFrame, backing: Backing, coin: str, betas: Mapping[str, float]) -> list[Note]:
    own = joint.filter(pl.col("coin") == coin)
    against = own.filter(_own_side_px().is_null() & pl.col("joint_px").is_not_null())
    crossed = own.filter(pl.col("joint_status") == "crossed").height
    unseen = int(np.count_nonzero(np.nan_to_num(backing.unseen_maintenance_usd())))
    without = sorted(set(joint["coin"].unique()) - set(betas) - {coin}) if betas else []
    facts = (
        (against.height, note("closed_in_favour", count=against.height)),
        (crossed, note("below_maintenance", count=crossed)),
        (unseen, note("cross_not_read", count=unseen)),
        (len(without), note("no_beta", coins=without[:8], taken=DEFAULT_BETA)),
    )
    return [text for number, text in facts if number]


def _assumptions(coin: str, betas: Mapping[str, float]) -> Notes:
    moves = note("moves_by_beta" if betas else "moves_alike", coin=coin)
    return moves, note("spot_still"), VALUED_AT_MARK
