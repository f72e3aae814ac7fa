"""What solving all known positions again brought, for people and machines: how many prices agree, differ and were not
checked, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.heatmap.words.text import ago, counted, percent, price, usd
from liqtruth.indexer.audit.mismatch import count_reasons, mismatches_of
from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.margin.checks import Checks, check
from liqtruth.indexer.margin.inferred import adopted_tables
from liqtruth.indexer.margin.solver import (
    PRICED,
    READ,
    relative_error,
)
from liqtruth.indexer.positions.markets import VENUE, stored_tables
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.database.markets import last_markets
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

SHOWN: Final = 20


@dataclass(frozen=True)
class Mismatch:
    """One position whose solved price is not the exchange's, in the terms of `MISMATCHES`."""

    address: str
    dex: str
    coin: str
    szi: float
    notional_usd: float
    liq_px_exchange: float | None
    liq_px_solved: float | None
    relative_error: float | None
    reason: str
    captured_available_usd: float | None
    implied_available_usd: float | None
    implying_prices: int
    explaining_table_id: int | None
    as_of: datetime

    def describe(self) -> str:
        """One line for people: both prices, and what would explain the exchange's."""
        side = "long" if self.szi > 0 else "short"
        off = "" if self.relative_error is None else f", {100 * self.relative_error:.2g} % apart"
        return (
            f"{self.reason}: {self.address} {side} {usd(self.notional_usd)} {self.coin}: exchange "
            f"{_price(self.liq_px_exchange)}, solved {_price(self.liq_px_solved)}{off}{self._explanation()}"
        )

    def _explanation(self) -> str:
        if self.explaining_table_id is not None:
            return f"; margin table {self.explaining_table_id} gives the exchange's"
        if self.implied_available_usd is None:
            return ""
        captured = self.captured_available_usd
        known = "none captured" if captured is None else f"{captured:,.2f} captured"
        text = counted(self.implying_prices, "price")
        return f"; {self.implied_available_usd:,.2f} USD available would explain it ({known}, {text} of the account)"


@dataclass(frozen=True)
class MismatchReport:
    """What solving all known positions again brought: how many agree, differ and were not checked, and why.

    `solved` positions have a price of ours or a null that was worked out; `nulls` are null on both sides.
    `worst_fitting` is the largest relative error among those that agree. `stored` are the checks that were made when
    the positions were read, by the margin tables of then: what `liqtruth index status` counts.
    """

    as_of: datetime
    positions: int
    with_exchange_price: int
    solved: int
    checks: Checks
    nulls: int
    worst_fitting: float | None
    reasons: dict[str, int]
    usd_by_reason: dict[str, float]
    share_usd: float
    mismatches: tuple[Mismatch, ...]
    notes: Notes = ()
    stored: Checks = field(default_factory=Checks)

    def describe(self) -> list[str]:
        """Lines for people."""
        worst = (
            ""
            if self.worst_fitting is None
            else f"; the worst of what agrees is {self.worst_fitting:.1e} apart"
        )
        lines = [
            f"{counted(self.positions, 'position')} as of {self.as_of:%Y-%m-%dT%H:%M:%S}Z ({ago(self.as_of)}), "
            f"{self.with_exchange_price:,} with the exchange's price, {self.solved:,} solved",
            f"  {self.checks}",
            *self._since_read(),
            f"  {self.nulls:,} are null on both sides; {percent(self.share_usd)} of notional differs{worst}",
        ]
        lines += [
            f"    {reason}: {counted(count, 'position')}, {usd(self.usd_by_reason[reason])}"
            for reason, count in self.reasons.items()
        ]
        off = len(self.mismatches)
        lines += [f"  {found.describe()}" for found in self.mismatches[:SHOWN]]
        if off > SHOWN:
            lines.append(f"  and {off - SHOWN:,} more; --json has them all")
        return lines + [f"  note: {note}" for note in self.notes]

    def _since_read(self) -> list[str]:
        """What `index status` counts, where it is something else."""
        same = (self.stored.agree, self.stored.differ) == (self.checks.agree, self.checks.differ)
        return [] if same else [f"  when they were read, by the margin tables of then: {self.stored}"]


def mismatch_report(store: Store, at: datetime | None = None) -> MismatchReport:
    """Solve and reconcile everything known at `at` (default: now) again; raises `NothingStored`."""
    known = positions_as_of(store, at)
    if known.is_empty():
        raise NothingStored("no positions are stored yet; `liqtruth index sweep` or `liqtruth index import`")
    moment = at or known["as_of"].max()
    assert isinstance(moment, datetime)
    dexes = known["dex"].unique().sort().to_list()
    tables, notes = stored_tables(store, dexes, known["as_of"].unique().to_list())
    lacking = [dex or "the main dex" for dex in dexes if dex not in tables]
    notes += [note("margin_tables_lacking", dex=dex) for dex in lacking]
    positions = conform(known, POSITIONS)
    checked = check(positions, tables)
    notes += [table.note for table in adopted_tables(checked)[:SHOWN]]
    found = mismatches_of(checked, tables, _marks_beside(store, positions, at))
    return _report(checked, found, moment, notes, Checks.of(positions))


def _marks_beside(store: Store, positions: pl.DataFrame, at: datetime | None) -> pl.DataFrame:
    """The marks stored last by `at`: `dex`, `coin`, `mark_px`."""
    stored = last_markets(store.database, VENUE, at)
    holdings = positions["coin"].unique().to_list()
    rows = [(row.dex, row.coin, row.mark_px) for row in map(stored.get, holdings) if row is not None]
    schema = {name: POSITIONS[name] for name in ("dex", "coin", "mark_px")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _report(
    checked: pl.DataFrame, found: pl.DataFrame, moment: datetime, notes: Sequence[Note], stored: Checks
) -> MismatchReport:
    agree = checked.filter(pl.col("check").str.starts_with("agree"))
    worst = agree.select(pl.coalesce(relative_error(), "others_error").max()).item()
    total_usd = float(checked["notional_usd"].sum())
    names = list(Mismatch.__dataclass_fields__)
    by_reason = found.group_by("reason").agg(pl.col("notional_usd").sum())
    return MismatchReport(
        as_of=moment,
        positions=checked.height,
        with_exchange_price=checked.filter(READ).height,
        solved=checked.filter(pl.col("constant_usd").is_not_null()).height,
        checks=Checks.of(checked),
        nulls=agree.filter(~PRICED).height,
        worst_fitting=worst if isinstance(worst, float) else None,
        reasons=count_reasons(found),
        usd_by_reason=dict(by_reason.iter_rows()),
        share_usd=float(found["notional_usd"].sum()) / total_usd if total_usd else 0.0,
        mismatches=tuple(Mismatch(**row) for row in found.select(names).iter_rows(named=True)),
        notes=tuple(notes),
        stored=stored,
    )


def _price(px: float | None) -> str:
    return "none" if px is None else price(px)
