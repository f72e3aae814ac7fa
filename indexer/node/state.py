"""The node's door: a state file of every account becomes the same frames as the endpoint's answers.

The state carries no liquidation prices and, as far as is known, no marks. Marks are given, else the state's oracle
prices stand for them and the notes state that. Per dex the cross account value is `u` + sum(szi * mark) over cross
positions; a unified account has K = spot total - cross maintenance of all dexes of that collateral - isolated equity.
A portfolio account's K needs loan-to-value ratios that the state does not show: its cross positions stay unknown.
Prices are then solved by `indexer.margin.reconcile`, as for any source without the exchange's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.text import counted, expected_time, is_timely
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.node.formats import KIND, OnProgress, as_documented
from liqtruth.indexer.node.listing import Listing, listing_of, unchecked_of, violations_of
from liqtruth.indexer.node.state_frames import (
    MODE_OF_LETTER,
    Marks,
    accounts_of,
    dex_rows,
    given_marks,
    markets_frame,
    marks_of,
    modes_frame,
    named,
    spot_totals,
    with_margins,
)
from liqtruth.indexer.node.stream import DexColumns, RawState, read_raw

SHOWN: Final = 5
MOST_LEFT_OUT: Final = 0.05
"""Share of a dex's holders that may be left out as not as documented."""


@dataclass(frozen=True, eq=False)
class NodeState:
    """Everybody with a position after block `height`.

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
    given = given_marks(marks)
    modes, spot = modes_frame(raw), spot_totals(raw)
    with as_documented(str(path), lambda: "the positions of exchange.locus.cls"):
        rows = pl.concat(
            dex_rows(dex, listing, marks_of(listing, given))
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
        accounts=accounts_of(rows),
        markets=markets_frame(raw, listings, given, as_of),
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
                f"sizes on {listing.shown} are compared neither with each other nor with open interest, because "
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


# --------------------------------------------------------------------------- modes, balances, markets, notes


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
            f"{counted(unknown.height, 'cross position')} with collateral that the state does not show: {modes}"
        )
    return notes
