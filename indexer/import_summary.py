"""What a file was taken for and what came of it, for people and for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from heatmap.money import counted
from indexer.checks import Checks
from indexer.reconcile import implied_collateral_notes
from indexer.server_marks import marks_said
from indexer.table_choice import adopted_tables
from storage.tables import Reading

SHOWN_NOTES: Final = 5


@dataclass(frozen=True)
class ImportSummary:
    """What one file was taken for and what came of it. `unpriced` counts positions with no liquidation price."""

    file: str
    kind: str
    layout: str
    columns: dict[str, str] = field(default_factory=dict)
    positions: int = 0
    accounts: int = 0
    coins: tuple[str, ...] = ()
    readings: int = 0
    first: datetime | None = None
    last: datetime | None = None
    unpriced: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    checks: Checks = field(default_factory=Checks)
    market_rows: int = 0
    notes: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = [f"{self.file}: {self.kind}, recognised as {self.layout}"]
        if self.columns:
            said = [f"{ours}={theirs}" for ours, theirs in self.columns.items() if ours != theirs]
            lines.append(f"  columns: {', '.join(said) or 'named as ours'}")
        if self.readings:
            lines.append(
                f"  {counted(self.positions, 'position row')} of {counted(self.accounts, 'account')} in "
                f"{_named(self.coins)}, {counted(self.readings, 'reading')} {_span(self.first, self.last)}"
            )
            lines.append(f"  {counted(self.unpriced, 'position')} without liquidation price; {self.checks}")
        if self.market_rows:
            lines.append(f"  {counted(self.market_rows, 'market row')} {_span(self.first, self.last)}")
        return lines + [f"  note: {note}" for note in self.notes]


def _named(coins: Sequence[str]) -> str:
    return ", ".join(coins) if len(coins) <= 6 else f"{len(coins)} coins"


def _span(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return ""
    return f"{first:%Y-%m-%dT%H:%M:%S}Z" + ("" if first == last else f" .. {last:%Y-%m-%dT%H:%M:%S}Z")


def summarise(
    path: Path,
    kind: str,
    layout: str,
    columns: Mapping[str, str],
    readings: Sequence[Reading],
    positions: pl.DataFrame,
    accounts: int,
) -> ImportSummary:
    counts = positions.group_by("status").len().sort("len", "status", descending=[True, False])
    moments = [reading.as_of for reading in readings]
    return ImportSummary(
        file=str(path),
        kind=kind,
        layout=layout,
        columns=dict(columns),
        positions=positions.height,
        accounts=accounts,
        coins=tuple(sorted(positions["coin"].unique())),
        readings=len(readings),
        first=min(moments),
        last=max(moments),
        unpriced=positions["liq_px"].null_count(),
        statuses=dict(counts.iter_rows()),
        checks=Checks.of(positions),
    )


def notes_on_collateral(positions: pl.DataFrame) -> list[str]:
    """What a reader must know of reconciled positions: collateral, tables and marks that their prices told."""
    collateral = [str(note) for note in implied_collateral_notes(positions)]
    tables = [str(note) for note in adopted_tables(positions)]
    return [
        *_few(collateral, "accounts like these"),
        *_few(tables, "coins with another table"),
        *marks_said(positions),
    ]


def _few(notes: Sequence[str], what: str) -> list[str]:
    more = len(notes) - SHOWN_NOTES
    return [*notes[:SHOWN_NOTES], *([f"and {more} more {what}"] if more > 0 else [])]
