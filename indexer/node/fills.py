"""Realised liquidations out of the fills of a node's event files.

`node_fills` has one `[address, fill]` per line, `node_fills_by_block` one block per line; files are plain, gzip or LZ4
and are read line by line. Only lines that carry a liquidation are decoded. The counterparty's fill carries the same
`liquidation` object, so a fill counts only where its own address is the liquidated one; a fill that stands in two
files counts once. Fills are grouped by (liquidated address, coin, hash, method), the time taking the place of an
all-zero hash. Names of fields: the exchange's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.errors import BadInput, LeftOut
from liqtruth.heatmap.words.text import counted, usd
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.frames import LIQUIDATIONS, Schema
from liqtruth.indexer.node.events import (
    Fill,
    Liquidation,
    Tally,
    event_files,
    fills_of,
    lines_of,
)
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

DATASET: Final = "liquidations"
KEY: Final = ("ts", "address", "coin", "hash", "method")
NO_HASH: Final = "0x" + "0" * 64
PART_ROWS: Final = 100_000
ONE_FILL: Final = ("address", "coin", "ts", "tid", "oid")
COLUMNS: Schema = {
    "address": pl.String(),
    "coin": pl.String(),
    "ts": pl.Int64(),
    "tid": pl.Int64(),
    "oid": pl.Int64(),
    "px": pl.Float64(),
    "sz": pl.Float64(),
    "side": pl.String(),
    "hash": pl.String(),
    "mark_px": pl.Float64(),
    "method": pl.String(),
    "liquidated": pl.String(),
    "own": pl.Boolean(),
}


@dataclass
class Found:
    """Fills that carry a liquidation, one column per name; `liquidated` null where no account is named."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, address: str, fill: Fill, event: Liquidation) -> None:
        who = event.liquidated_user and event.liquidated_user.lower()
        values = (address, fill.coin, fill.time, fill.tid, fill.oid, fill.px, fill.sz, fill.side, fill.hash,
                  event.mark_px, event.method, who, address == who)  # fmt: skip
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)

    def frame(self) -> pl.DataFrame:
        return pl.DataFrame(self.columns, schema=dict(COLUMNS))


@dataclass(frozen=True, eq=False)
class NodeLiquidations:
    """Realised liquidations of some event files.

    Attributes
    ----------
    liquidations : frame of schema `LIQUIDATIONS`, by time
    files, lines : what was read
    repeated_fills : fills left out because they stand in more than one place
    counterparty_fills : fills of those who took the other side, not counted
    left_out : fills, lines and files that are not as documented, by kind
    """

    liquidations: pl.DataFrame
    files: int
    lines: int
    repeated_fills: int
    counterparty_fills: int
    notes: tuple[str, ...]
    left_out: LeftOut = field(default_factory=LeftOut)


def read_liquidations(paths: Sequence[Path]) -> NodeLiquidations:
    """Liquidations in files or folders of `node_fills` or `node_fills_by_block`, in memory that grows with them only.

    What is not as documented, or of a time that cannot be, is left out: an entry, a line, or a file that breaks off or
    is of another kind. Raises `ImportRefused` for a path that is not there or holds no file, and `WireError` naming
    file and line where nothing can be read at all.
    """
    files, tally = event_files(paths), Tally()
    rows = _Rows()
    refused: list[BadInput] = []
    for file in files:
        try:
            rows.add(_fills_in(file, tally))
        except BadInput as error:
            refused.append(error)
            tally.left_out.note("files", str(error))
    if len(refused) == len(files):
        raise refused[0]
    once = named_by_either(rows.once())
    own = once.filter("own")
    return NodeLiquidations(
        liquidations=grouped(own),
        files=len(files),
        lines=tally.lines,
        repeated_fills=rows.read - once.height,
        counterparty_fills=once.height - own.height,
        notes=(*tally.notes, *_unattributed(once, own)),
        left_out=tally.left_out,
    )


@dataclass
class _Rows:
    """Fills of all files, each once; repetitions go as soon as they are many, so that none stay in memory."""

    parts: list[pl.DataFrame] = field(default_factory=list)
    read: int = 0

    def add(self, parts: Iterable[pl.DataFrame]) -> None:
        """The fills of one file, or none of them where it breaks off."""
        whole, read = pl.DataFrame(schema=dict(COLUMNS)), 0
        for part in parts:
            whole, read = self._of([whole, part]), read + part.height
        self.parts, self.read = [self._of([*self.parts, whole])], self.read + read

    def once(self) -> pl.DataFrame:
        return self._of(self.parts)

    def _of(self, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        whole = pl.concat([pl.DataFrame(schema=dict(COLUMNS)), *parts])
        return whole.unique(subset=list(ONE_FILL), keep="first", maintain_order=True)


def _fills_in(file: Path, tally: Tally) -> Iterator[pl.DataFrame]:
    """Fills with a liquidation, in parts; raises `WireError` where no line of the file is one of fills."""
    found, readable = Found(), 0
    refused: WireError | None = None
    for at, line in lines_of(file, tally):
        if readable and b'"liquidation"' not in line:
            continue
        try:
            fills = fills_of(line, file, at, tally)
        except WireError as error:
            refused = refused or error
            tally.left_out.note("lines", str(error))
            continue
        readable += 1
        for address, fill in fills:
            if fill.liquidation is not None:
                found.add(address, fill, fill.liquidation)
        if len(found.columns["tid"]) >= PART_ROWS:
            yield found.frame()
            found = Found()
    if not readable:
        text = tally.left_out.first.get("lines", "no line of fills in it")
        raise refused or WireError("node fills", str(file), text)
    yield found.frame()


# ------------------------------------------------------------------------------------------ liquidations


def named_by_either(fills: pl.DataFrame) -> pl.DataFrame:
    """`COLUMNS` with the liquidated account of each trade where either side's fill names it: a fill may lack it."""
    if not fills["liquidated"].null_count():
        return fills
    of_trade = pl.col("liquidated").drop_nulls().first().over("coin", "tid", "ts")
    named = fills.with_columns(liquidated=pl.coalesce("liquidated", of_trade))
    return named.with_columns(own=(pl.col("address") == pl.col("liquidated")).fill_null(False))


def unnamed(fills: pl.DataFrame) -> int:
    """Fills with a liquidation of which neither side names the account."""
    return named_by_either(fills)["liquidated"].null_count()


def grouped(own: pl.DataFrame) -> pl.DataFrame:
    """One row per liquidation of the liquidated accounts' own fills; a sale closes a long."""
    act = pl.when(pl.col("hash") == NO_HASH).then(pl.col("ts").cast(pl.String)).otherwise("hash")
    value = (pl.col("px") * pl.col("sz")).sum()
    side = pl.when(pl.col("side") == "A").then(pl.lit("long")).otherwise(pl.lit("short"))
    grouped = (
        own.with_columns(
            act=act, side=side, ts=pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC")
        )
        .group_by("address", "coin", "act", "method", "side", maintain_order=True)
        .agg(
            pl.col("ts").min(),
            pl.col("mark_px", "hash").first(),
            (value / pl.col("sz").sum()).alias("mean_px"),
            pl.col("sz").sum().alias("size"),
            value.alias("notional_usd"),
            pl.len().alias("fills"),
        )
    )
    return grouped.select(pl.col(name).cast(dtype) for name, dtype in LIQUIDATIONS.items()).sort(*KEY)


def _unattributed(once: pl.DataFrame, own: pl.DataFrame) -> Iterable[str]:
    """Liquidations that the files show from the other side only, or of nobody."""
    nobody = once["liquidated"].null_count()
    if nobody:
        yield f"{counted(nobody, 'fill')} with a liquidation of no named account, left out"
    known = own.select("coin", "tid", "ts").unique()
    alone = once.filter(~pl.col("own") & pl.col("liquidated").is_not_null()).join(
        known, on=["coin", "tid", "ts"], how="anti"
    )
    if alone.height:
        yield f"{counted(alone.height, 'fill')} of counterparties whose liquidated side no file has, left out"


@dataclass(frozen=True)
class FillsImport:
    """What event files brought into the store."""

    files: int
    lines: int
    liquidations: int
    added: int
    coins: int
    notional_usd: float
    first: datetime | None
    last: datetime | None
    repeated_fills: int
    counterparty_fills: int
    notes: tuple[str, ...]
    left_out: LeftOut = field(default_factory=LeftOut)

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = [f"{counted(self.files, 'file')}, {counted(self.lines, 'line')} of a node's fills"]
        if self.first is not None and self.last is not None:
            lines.append(
                f"  {counted(self.liquidations, 'liquidation')} of {usd(self.notional_usd)} in "
                f"{counted(self.coins, 'coin')}, {self.first:%Y-%m-%dT%H:%M:%S}Z .. {self.last:%Y-%m-%dT%H:%M:%S}Z; "
                f"{self.added:,} new"
            )
        else:
            lines.append("  no liquidation among them")
        lines.append(
            f"  not counted: {counted(self.counterparty_fills, 'fill')} of counterparties, "
            f"{counted(self.repeated_fills, 'repeated fill')}"
        )
        lines += [f"  {line}" for line in self.left_out.describe()]
        return lines + [f"  note: {note}" for note in self.notes]


def import_fills(store: Store, paths: Sequence[Path]) -> FillsImport:
    """Merge the liquidations of `paths` into the series `liquidations`, per coin, key `KEY`; importing again adds none.

    Everything is read before anything is written. Raises as `read_liquidations`.
    """
    read = read_liquidations(paths)
    source = ", ".join(sorted({f"node:{path.resolve().name}" for path in paths}))
    added = 0
    for (coin,), rows in read.liquidations.group_by("coin", maintain_order=True):
        added += store.lake.merge_series(DATASET, VENUE, str(coin), rows, KEY, source)
    times = read.liquidations["ts"]
    return FillsImport(
        files=read.files,
        lines=read.lines,
        liquidations=read.liquidations.height,
        added=added,
        coins=read.liquidations["coin"].n_unique(),
        notional_usd=float(read.liquidations["notional_usd"].sum()),
        first=times.min(),  # type: ignore[arg-type]
        last=times.max(),  # type: ignore[arg-type]
        repeated_fills=read.repeated_fills,
        counterparty_fills=read.counterparty_fills,
        notes=read.notes,
        left_out=read.left_out,
    )
