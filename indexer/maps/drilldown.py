"""Who stands behind a stretch of the exact map: its positions one by one, and the positions that match a filter.

Positions are picked by the price the map uses, `low_px <= liq_px < high_px`, as its bins are. One that the mark has
passed already keeps that price here, whereas the map draws it next to the mark.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from liqtruth.heatmap.ages import AgeRange, age_range, in_order
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.text import age, counted, price, usd
from liqtruth.indexer.maps.exact import AGE_LABELS, describe
from liqtruth.indexer.margin.checks import SHOWN, short_address
from liqtruth.indexer.margin.pools import Backing, backing_of
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.catalogue import check_coin
from liqtruth.indexer.positions.markets import VENUE, stored_tables
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.store import Store

if TYPE_CHECKING:
    from rich.table import Table

DRILLDOWN: Final[Mapping[str, pl.DataType]] = {
    "address": pl.String(),
    "label": pl.String(),  # what the protocol says the account is; null where it says nothing
    "szi": pl.Float64(),
    "notional_usd": pl.Float64(),  # at the map's mark
    "leverage": pl.Float64(),  # the user's setting
    "effective_leverage": pl.Float64(),  # notional over equity, of the position or of its whole pool
    "margin_mode": pl.String(),
    "account_mode": pl.String(),
    "liq_px": pl.Float64(),
    "distance_pct": pl.Float64(),  # from the mark; negative below it
    "margin_left_usd": pl.Float64(),  # equity less maintenance, of the position or of its whole pool
    "age_s": pl.Float64(),
    "share": pl.Float64(),  # of the range's notional
    "hedge_usd": pl.Float64(),  # signed notional of the account's other positions, all dexes, at their marks
}

LIQUIDATOR: Final = "liquidator"
BACKSTOP: Final = re.compile("0x40{35}[0-9a-f]{4}")
"""A builder dex's backstop takes over at the address 0x4000...00 plus the number of the dex."""

FILTERS: Final = ("leverage_band", "margin_mode", "account_mode", "account_size", "age_band", "position_age")
POSITION_AGE: Final = "position_age"


class LabelOf(NamedTuple):
    """The label of an account in the address book."""

    address: str
    label: str


def positions_between(
    store: Store, coin: str, low_px: float, high_px: float, at: datetime | None = None
) -> pl.DataFrame:
    """Positions of `coin` liquidated in `[low_px, high_px)`, largest first; columns `DRILLDOWN`.

    `effective_leverage` and `margin_left_usd` are null where collateral or margin table are not known, or equity is
    not positive. Raises `BadInput` for a range that is none, `UnknownCoin` and `NothingStored` as `exact_map`.
    """
    _check_range(low_px, high_px)
    check_coin(store, coin)
    readings = Readings(store, None, [at])
    known = readings.known(at)
    found = known.filter(
        (pl.col("coin") == coin) & pl.col("liq_px").is_between(low_px, high_px, closed="left")
    )
    if found.is_empty():
        return pl.DataFrame(schema=dict(DRILLDOWN))
    theirs = known.join(found.select("address").unique(), on="address", how="semi", maintain_order="left")
    market, _ = readings.market(coin, known.filter(pl.col("coin") == coin), at)
    mark_px = market.mark_px if market else theirs.filter(pl.col("coin") == coin)["mark_px"].median()
    assert isinstance(mark_px, float)
    rows = _with_margin(theirs, _tables(store, theirs)).filter(
        (pl.col("coin") == coin) & pl.col("liq_px").is_between(low_px, high_px, closed="left")
    )
    return _shown(rows, mark_px, _labels(store, rows["address"].unique().to_list()))


def filtered_positions(
    positions: pl.DataFrame,
    *,
    holder_share: tuple[float, float] | None = None,
    since: datetime | None = None,
    at: datetime | None = None,
    strict: bool = True,
    **wanted: str | Sequence[str],
) -> pl.DataFrame:
    """Rows of a `POSITIONS` frame whose bands have the wanted values; the columns stay as they are.

    Parameters
    ----------
    holder_share : (low, high), optional
        Keep holders whose part of the coin's notional on their side lies in [low, high]; (0.05, 1) the large ones.
    since : datetime, optional
        Keep positions that were first seen after this moment.
    at : datetime, optional
        The moment from which ages count; default: the last reading.
    strict : bool
        Whether a value that no position has is an error.
    wanted : value or values by name
        One of `FILTERS`, labelled as in the map's breakdown; `position_age` also any of `heatmap.ages`.

    Raises `BadInput` for another name, for a value that no position has, and for a share that is no range.
    """
    marked = _banded(positions, at)
    for name, values in wanted.items():
        if name not in FILTERS:
            raise BadInput(f"no filter {name!r}; there are {', '.join(FILTERS)} and holder_share")
        chosen = [values] if isinstance(values, str) else list(values)
        ages = _free_ages(chosen) if name == POSITION_AGE else ()
        if strict:
            _check_values(marked, name, [one for one in chosen if one not in [age.name for age in ages]])
        held = [_held(age) for age in ages]
        marked = marked.filter(pl.any_horizontal(pl.col(name).is_in(chosen), *held))
    if since is not None:
        marked = marked.filter(pl.col("held_since") > since)
    if holder_share is not None:
        low, high = holder_share
        if not 0 <= low <= high:
            raise BadInput(f"holder_share {holder_share} is no range of shares; (0.05, 1) would be")
        marked = marked.filter(pl.col("holder_share").is_between(low, high))
    return positions[marked["row"]]


def _free_ages(names: Sequence[str]) -> tuple[AgeRange, ...]:
    """Those that are no band of the breakdown; raises `BadInput` where any of the names overlap."""
    found = [one for one in map(age_range, names) if one is not None]
    in_order(found)
    return tuple(one for one in found if one.name not in AGE_LABELS)


def _held(age: AgeRange) -> pl.Expr:
    held_s, low_s = pl.col("held_s"), age.youngest.total_seconds()
    inside = (
        held_s >= low_s
        if age.oldest is None
        else held_s.is_between(low_s, age.oldest.total_seconds(), closed="left")
    )
    return inside.fill_null(False)


def _banded(positions: pl.DataFrame, at: datetime | None) -> pl.DataFrame:
    """Row number, bands, and the holder's share of the coin's notional on the position's side."""
    if positions.is_empty():
        return pl.DataFrame(
            schema={
                "row": pl.UInt32,
                **dict.fromkeys(FILTERS, pl.String),
                "holder_share": pl.Float64,
                "held_s": pl.Float64,
                "held_since": pl.Datetime("ms", "UTC"),
            }
        )
    last = at or positions["as_of"].max()
    assert isinstance(last, datetime)
    # Bands need no price: described at a mark of 1, so that frames of several coins can be filtered as well.
    own = pl.coalesce(positions["notional_usd"], positions["szi"].abs() * positions["mark_px"])
    return (
        describe(positions.drop("notional_usd"), 1.0, last)
        .with_row_index("row")
        .with_columns(own_usd=own)
        .with_columns(holder_share=pl.col("own_usd") / pl.col("own_usd").sum().over("coin", "side"))
        .select(
            "row", pl.col(*FILTERS).cast(pl.String), "holder_share", "held_s", "held_since", "coin", "side"
        )
    )


def _check_values(marked: pl.DataFrame, name: str, chosen: Sequence[str]) -> None:
    there = marked[name].drop_nulls().unique().sort().to_list()
    for value in chosen:
        if marked.height and value not in there:
            raise BadInput(f"no position has {name} {value!r}; known here: {', '.join(there)}")


def _check_range(low_px: float, high_px: float) -> None:
    if not (isfinite(low_px) and isfinite(high_px) and 0 <= low_px < high_px):
        raise BadInput(
            f"prices {low_px!r} to {high_px!r} are no range; the first must be the lower, neither negative"
        )


def _tables(store: Store, positions: pl.DataFrame) -> Mapping[str, MarginTables]:
    return stored_tables(store, positions["dex"].unique().sort().to_list(), positions["as_of"].unique())[0]


def _with_margin(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """Margin left and effective leverage of each position or of its pool, and what else its account holds."""
    backing = backing_of(positions, tables)
    left, equity, gross = _margin(positions, backing)
    signed = pl.col("szi") * pl.col("mark_px")
    return positions.with_columns(
        margin_left_usd=left,
        effective_leverage=pl.when(equity > 0).then(gross / equity),
        hedge_usd=signed.sum().over("address") - signed,
    )


def _margin(positions: pl.DataFrame, backing: Backing) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Margin left, equity and gross notional, USD; null where not known."""
    alone = backing.pool < 0
    raw = positions["isolated_raw_usd"].to_numpy()
    own_equity = raw + backing.szi * backing.mark_px
    own_left = own_equity - backing.own_maintenance_usd
    pooled_left = backing.of_pool(backing.available_usd)
    pooled_equity = pooled_left + backing.of_pool(backing.maintenance_usd)
    pooled_gross = backing.of_pool(backing.sum_by_pool(backing.notional_usd))
    pairs = (
        (own_left, pooled_left),
        (own_equity, pooled_equity),
        (backing.notional_usd, pooled_gross),
    )
    left, equity, gross = (
        pl.select(
            pl.when(pl.Series(alone)).then(pl.Series(own)).otherwise(pl.Series(pooled)).fill_nan(None)
        ).to_series()
        for own, pooled in pairs
    )
    return left, equity, gross


def _shown(rows: pl.DataFrame, mark_px: float, labels: Mapping[str, str]) -> pl.DataFrame:
    notional = pl.col("szi").abs() * mark_px
    return (
        rows.with_columns(
            notional_usd=notional,
            label=pl.col("address").replace_strict(labels, default=None, return_dtype=pl.String),
            distance_pct=100 * (pl.col("liq_px") / mark_px - 1),
            share=notional / notional.sum(),
        )
        .sort("notional_usd", "address", descending=[True, False])
        .select(pl.col(name).cast(dtype) for name, dtype in DRILLDOWN.items())
    )


def _labels(store: Store, addresses: Sequence[str]) -> dict[str, str]:
    """Labels of the address book, and of the liquidators that an address names; an account without one is left out."""
    sql = "SELECT address, label FROM account WHERE venue = :venue AND label <> ''"
    with store.database.asking() as asked:
        booked = {row.address: row.label for row in asked.rows(LabelOf, sql, venue=VENUE)}
    named = {address: LIQUIDATOR for address in addresses if BACKSTOP.fullmatch(address)}
    return {**named, **{address: booked[address] for address in addresses if address in booked}}


def drilldown_table(frame: pl.DataFrame, rows: int = SHOWN) -> "Table":
    """The largest positions behind a zone (`indexer.maps.drilldown.DRILLDOWN`)."""
    total = usd(float(frame["notional_usd"].sum()))
    caption = f"{min(frame.height, rows)} largest of {counted(frame.height, 'position')}, {total} in all"
    from rich.table import Table

    table = Table(caption=caption, caption_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("address")  # its label may go below it, so that no figure is cut off at 80 columns
    for name in ("notional", "liq.", "away", "lev.", "margin\nleft", "others", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("mode", no_wrap=True)
    for row in frame.head(rows).iter_rows(named=True):
        table.add_row(*_drilled(row))
    return table


def _drilled(row: dict[str, Any]) -> list[str]:
    side = "long" if row["szi"] > 0 else "short"
    leverage = row["effective_leverage"]
    left = row["margin_left_usd"]
    return [
        f"{short_address(row['address'])} {row['label'] or ''}".strip(),
        f"{usd(row['notional_usd'])} {side}",
        price(row["liq_px"]),
        f"{row['distance_pct']:+.1f}%",
        "-" if leverage is None else f"{leverage:.1f}x",
        "unknown" if left is None else usd(left),
        usd(row["hedge_usd"] or 0.0),
        age(row["age_s"]),
        row["margin_mode"] or "-",
    ]
