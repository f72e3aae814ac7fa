"""The node's door: a state file of every account becomes the same frames as the endpoint's answers.

The state carries no liquidation prices and, as far as is known, no marks. Marks are given, else the state's oracle
prices stand for them and the notes say so. Per dex the cross account value is `u` + sum(szi * mark) over cross
positions; a unified account has K = spot total - cross maintenance of all dexes of that collateral - isolated equity.
A portfolio account's K needs loan-to-value ratios that the state does not show: its cross positions stay unknown.
Prices are then solved by `indexer.margin.reconcile`, as for any source without the exchange's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.text import counted, expected_time, is_timely
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.frames import ACCOUNTS, MARKETS, POSITIONS, conform
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.solver import Floats
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.node.listing import Ints, Listing, listing_of, totals, unchecked_of, violations_of
from liqtruth.indexer.node.messagepack import KIND, OnProgress, as_documented
from liqtruth.indexer.node.positions import DEX, dex_rows, named, whole, with_margins
from liqtruth.indexer.node.stream import DexColumns, RawState, read_raw

MODE_OF_LETTER: Final = {"u": "unified", "p": "portfolio", "d": "standard", None: "standard"}
SMALLEST_UNIT: Final = {0: 1e-8}
"""Smallest unit of a collateral token by spot index; only USDC's is documented."""
SHOWN: Final = 5
MOST_LEFT_OUT: Final = 0.05
"""Share of a dex's holders that may be left out as not as documented."""

Marks: TypeAlias = Mapping[tuple[str, str], float] | pl.DataFrame


@dataclass(frozen=True, eq=False)
class NodeState:
    """Everybody who held a position after block `height`.

    Attributes
    ----------
    positions, accounts, markets : frames of `indexer.frames`; positions are reconciled
    modes : address, account_mode (null unknown)
    spot_totals : address, token, total (null where the token's smallest unit is not known)
    tables : margin tables by dex
    accounts_read : all accounts of the state, with or without positions
    violations : what contradicts the layout as it was understood; empty for a state read rightly
    left_out : accounts and balances that are not as documented, by kind
    """

    source: str
    height: int
    as_of: datetime
    positions: pl.DataFrame
    accounts: pl.DataFrame
    markets: pl.DataFrame
    modes: pl.DataFrame
    spot_totals: pl.DataFrame
    tables: Mapping[str, MarginTables]
    listings: tuple[Listing, ...]
    accounts_read: int
    notes: tuple[str, ...]
    violations: tuple[str, ...]
    left_out: LeftOut


def read_state(path: Path, marks: Marks | None = None, on_progress: OnProgress | None = None) -> NodeState:
    """Read a state file in memory that grows with its holders, not with its accounts.

    `marks` is (dex, coin) to price, or a frame with columns dex, coin, mark_px; coins without one take the oracle's.
    `on_progress` gets the share of the file read. An account that is not as documented is left out. Raises
    `WireError` for a file that is cut off, of a time that cannot be, or not laid out as documented, where that is more
    than a few accounts, in one line that names the place in the document.
    """
    raw = read_raw(path, on_progress)
    listings = tuple(listing_of(dex, index, str(path)) for index, dex in enumerate(raw.dexes))
    for dex, listing in zip(raw.dexes, listings, strict=True):
        _leave_out_unlisted(raw, dex, listing)
        _refuse_another_layout(raw, dex, str(path))
    as_of, height = _moment(raw, str(path)), _height(raw, str(path))
    source = f"{'synthetic: ' if raw.synthetic else ''}node:{path.resolve().parent.name}/{path.name}"
    given = _given(marks)
    modes, spot = _modes(raw), _spot_totals(raw)
    with as_documented(str(path), lambda: "the positions of exchange.locus.cls"):
        rows = pl.concat(
            dex_rows(dex, listing, _marks(listing, given))
            for dex, listing in zip(raw.dexes, listings, strict=True)
        )
    if rows.is_empty():
        raise WireError(KIND, str(path), "no account holds a position; not a node's state as documented")
    tables = {listing.dex: listing.tables for listing in listings}
    margined = with_margins(rows.join(modes, on="owner", how="left", maintain_order="left"), spot)
    rows = named(margined, raw, as_of, source)
    positions = reconcile(conform(rows, POSITIONS), tables)
    return NodeState(
        source=source,
        height=height,
        as_of=as_of,
        positions=positions,
        accounts=_accounts(rows),
        markets=_markets(raw, listings, given, as_of),
        modes=named(modes, raw, as_of, source).select("address", "account_mode"),
        spot_totals=named(spot, raw, as_of, source).select("address", "token", "total"),
        tables=tables,
        listings=listings,
        accounts_read=max(dex.accounts for dex in raw.dexes),
        notes=(*_notes(raw, listings, given, positions), *_unbalanced(raw, listings)),
        violations=tuple(
            line
            for dex, listing in zip(raw.dexes, listings, strict=True)
            for line in violations_of(dex, listing, raw.addresses, str(path), whole=not dex.left_out)
        ),
        left_out=raw.left_out,
    )


def _leave_out_unlisted(raw: RawState, dex: DexColumns, listing: Listing) -> None:
    """Take out accounts that hold an asset which the dex does not list."""
    listed = len(listing.lots_per_coin)
    wrong = {row: asset for row, asset in zip(dex.owner, dex.asset, strict=True) if asset >= listed}
    for asset in wrong.values():
        text = f"a position of asset {asset} on {listing.shown}, which lists {listed}"
        raw.left_out.note("accounts", text)
    if wrong:
        dex.left_out += len(wrong)
        dex.drop(set(wrong))


def _refuse_another_layout(raw: RawState, dex: DexColumns, source: str) -> None:
    """Where more than a few accounts are not as documented, it is the layout that was not understood."""
    if dex.left_out > MOST_LEFT_OUT * (dex.left_out + len(dex.holder)):
        count = counted(dex.left_out, "account")
        raise WireError(
            KIND, source, f"{count} beside {len(dex.holder):,} read: {raw.left_out.first['accounts']}"
        )


def _unbalanced(raw: RawState, listings: Sequence[Listing]) -> Iterator[str]:
    for dex, listing in zip(raw.dexes, listings, strict=True):
        if dex.left_out:
            yield (
                f"sizes on {listing.shown} are not held against each other nor against open interest, because "
                f"{counted(dex.left_out, 'account')} of it were left out"
            )


def _height(raw: RawState, source: str) -> int:
    with as_documented(source, lambda: "exchange.locus.ctx.height"):
        if type(raw.height) is not int or not 0 <= raw.height < 2**63:
            raise ValueError(f"{raw.height!r:.40} is no number of a block")
        return raw.height


def _moment(raw: RawState, source: str) -> datetime:
    """The block's own time; the node writes UTC without saying so, to the nanosecond."""
    with as_documented(source, lambda: "exchange.locus.ctx.time"):
        moment = datetime.fromisoformat(raw.time)
        aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not is_timely(aware):
            raise ValueError(f"{raw.time} is not {expected_time()}")
        return aware.replace(microsecond=aware.microsecond // 1000 * 1000)


def _given(marks: Marks | None) -> Mapping[tuple[str, str], float]:
    if isinstance(marks, pl.DataFrame):
        rows = marks.drop_nulls("mark_px").select("dex", "coin", "mark_px").iter_rows()
        return {(dex, coin): px for dex, coin, px in rows}
    return marks or {}


def _marks(listing: Listing, given: Mapping[tuple[str, str], float]) -> Floats:
    """One price per asset: the given mark, else the oracle's, else NaN."""
    marks = np.array([given.get((listing.dex, coin), np.nan) for coin in listing.coins], np.float64)
    return np.where(marks > 0, marks, listing.oracle_px)


def _accounts(rows: pl.DataFrame) -> pl.DataFrame:
    """One `ACCOUNTS` row per holder and dex; what is withdrawable the state does not show."""
    firsts = (
        "account_mode",
        "account_value_usd",
        "cross_maintenance_usd",
        "pooled_available_usd",
        "as_of",
        "source",
    )
    holdings = rows.with_columns(isolated_usd=whole("isolated_usd", DEX), used=whole("margin_used_usd", DEX))
    accounts = holdings.group_by("address", "dex", maintain_order=True).agg(
        pl.col(*firsts).first(),
        pl.col("isolated_usd").first(),
        pl.col("used").first().alias("margin_used_usd"),
        pl.col("notional_usd").sum().alias("total_notional_usd"),
        pl.len().alias("positions"),
    )
    return conform(
        accounts.with_columns(
            cross_account_value_usd=pl.col("account_value_usd"),
            account_value_usd=pl.col("account_value_usd") + pl.col("isolated_usd"),
        ),
        ACCOUNTS,
    )


# --------------------------------------------------------------------------- modes, balances, markets, notes


def _modes(raw: RawState) -> pl.DataFrame:
    """owner, account_mode of every holder; null where the state has no modes or the letter is not a known one."""
    letters = dict(raw.modes) if raw.modes is not None else {}
    known = raw.modes is not None
    modes = [MODE_OF_LETTER.get(letters.get(row)) if known else None for row in range(len(raw.addresses))]
    return pl.DataFrame(
        {"owner": range(len(modes)), "account_mode": modes},
        schema={"owner": pl.Int64, "account_mode": pl.String},
    )


def _spot_totals(raw: RawState) -> pl.DataFrame:
    """owner, token, total in units of the token."""
    owner, token, total = raw.spot if raw.spot is not None else ([], [], [])
    unit = pl.col("token").replace_strict(SMALLEST_UNIT, default=None, return_dtype=pl.Float64)
    return pl.DataFrame(
        {
            "owner": np.asarray(owner, np.int64),
            "token": np.asarray(token, np.int64),
            "raw": np.asarray(total, np.int64),
        }
    ).select("owner", "token", total=pl.col("raw") * unit)


def _markets(
    raw: RawState, listings: Sequence[Listing], given: Mapping[tuple[str, str], float], as_of: datetime
) -> pl.DataFrame:
    """Mark and open interest of every asset; the latter is the sum of all longs, which the state has."""
    return pl.concat(
        conform(
            pl.DataFrame(
                {
                    "coin": pl.Series(listing.coins, dtype=pl.String),
                    "mark_px": _marks(listing, given),
                    "open_interest": _longs(dex, listing) / listing.lots_per_coin,
                    "max_leverage": [float(asset.max_leverage) for asset in listing.meta.universe],
                    "margin_table_id": [asset.margin_table_id for asset in listing.meta.universe],
                }
            ).with_columns(
                dex=pl.lit(listing.dex),
                mark_px=pl.col("mark_px").fill_nan(None),
                open_interest_usd=pl.col("open_interest") * pl.col("mark_px").fill_nan(None),
                collateral_token=pl.lit(listing.meta.collateral_token),
                as_of=pl.lit(as_of, MARKETS["as_of"]),
            ),
            MARKETS,
        )
        for dex, listing in zip(raw.dexes, listings, strict=True)
    )


def _longs(dex: DexColumns, listing: Listing) -> Ints:
    sizes = np.maximum(np.asarray(dex.size, np.int64), 0)
    return totals(np.asarray(dex.asset, np.int64), sizes, len(listing.lots_per_coin))


def _notes(
    raw: RawState,
    listings: Sequence[Listing],
    given: Mapping[tuple[str, str], float],
    positions: pl.DataFrame,
) -> list[str]:
    """What a reader must know of how the figures were come by."""
    notes = [note for listing in listings for note in listing.notes]
    notes += [
        note for dex, listing in zip(raw.dexes, listings, strict=True) for note in unchecked_of(dex, listing)
    ]
    holdings = positions.select("dex", "coin").unique().rows()
    unmarked = sum(not given.get(coin, 0) > 0 for coin in holdings)
    if unmarked:
        notes.append(
            f"no mark given for {unmarked} of {len(holdings)} coins: oracle prices stand for them, approximately"
        )
    for part, meaning in (("modes", "account modes (ust)"), ("spot", "spot balances (scl)")):
        if getattr(raw, part) is None:
            notes.append(f"the state has no {meaning}: what depends on them is unknown")
    strange = sorted({str(letter) for _, letter in raw.modes or [] if letter not in MODE_OF_LETTER})
    if strange:
        notes.append(
            f"account modes {', '.join(strange[:SHOWN])} have no known meaning: their accounts are unknown"
        )
    return notes + _unconfirmed(positions)


def _unconfirmed(positions: pl.DataFrame) -> list[str]:
    """Readings of the layout that nobody has confirmed, where prices rest on them."""
    notes = []
    both = (
        positions.group_by("address", "dex")
        .agg(pl.col("margin_mode").n_unique())
        .filter(pl.col("margin_mode") > 1)
    )
    if both.height:
        notes.append(
            f"{counted(both.height, 'account')} with cross and isolated positions: `u` is taken as the cross cash leg "
            "alone, which the layout's notes leave unsure"
        )
    cross = positions.filter(pl.col("margin_mode") == "cross")
    unified = cross.filter(pl.col("pooled_available_usd").is_not_null())["address"].n_unique()
    if unified:
        notes.append(
            f"{counted(unified, 'unified account')}: the spot total is taken to include the gains of open positions, "
            "as on the info endpoint; unconfirmed for the state"
        )
    unknown = cross.filter(pl.col("status") == "unknown_collateral")
    if unknown.height:
        modes = ", ".join(f"{n:,} {mode or 'of unknown mode'}" for mode, n in
                          unknown["account_mode"].value_counts(sort=True).iter_rows())  # fmt: skip
        notes.append(
            f"{counted(unknown.height, 'cross position')} with collateral the state does not tell: {modes}"
        )
    return notes
