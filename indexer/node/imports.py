"""A node's state file into the store, with markets and margin tables, and the marks that such a file does not hold."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.text import counted
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.tables.layouts import recognise_table
from liqtruth.indexer.files.tables.position_rows import markets_of_table
from liqtruth.indexer.info.budget import USUAL_WEIGHT_PER_MINUTE, Budget
from liqtruth.indexer.info.client import ALL, InfoClient, find_dexes
from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.node.formats import OnProgress
from liqtruth.indexer.node.listing import meta_json
from liqtruth.indexer.node.state import NodeState, read_state
from liqtruth.indexer.node.state_frames import Marks
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import VENUE, market_rows, markets_of_dexes, universe_row
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.files.tabular import read_table
from liqtruth.storage.store import Store


@dataclass(frozen=True)
class NodeImport:
    """What a state file brought into the store. `unpriced` counts positions with no liquidation price."""

    file: str
    reading_id: str
    height: int
    as_of: datetime
    accounts_read: int
    holders: int
    positions: int
    coins: int
    market_rows: int
    unpriced: int
    statuses: dict[str, int]
    solved: int
    checks: Checks
    notes: tuple[str, ...]
    violations: tuple[str, ...]
    left_out: LeftOut = field(default_factory=LeftOut)

    def describe(self) -> list[str]:
        """Lines for people."""
        who = "everybody but those left out" if self.left_out.total else "everybody"
        return [
            f"{self.file}: node state of block {self.height:,}, {self.as_of:%Y-%m-%dT%H:%M:%S}Z",
            f"  {counted(self.accounts_read, 'account')} read, {counted(self.holders, 'holder')} of "
            f"{counted(self.positions, 'position')} in {counted(self.coins, 'coin')}: {who}",
            f"  {counted(self.unpriced, 'position')} without liquidation price; {self.solved:,} solved; {self.checks}",
            *(f"  violated: {line}" for line in self.violations),
            *(f"  {line}" for line in self.left_out.describe()),
            *(f"  note: {line}" for line in self.notes),
        ]


def import_state(
    store: Store,
    path: Path,
    marks: Marks | None = None,
    on_progress: OnProgress | None = None,
    tolerate: bool = False,
) -> NodeImport:
    """Store a state file as one book, which replaces every earlier reading, with its markets and margin tables.

    Doing it again replaces what it wrote.

    A state that contradicts the layout as it was understood is refused with `ImportRefused`, and nothing is written;
    `tolerate` stores it with the contradictions as notes. Raises as `read_state` does.
    """
    state = read_state(path, marks, on_progress)
    if state.violations and not tolerate:
        more = f" (and {len(state.violations) - 1} more)" if len(state.violations) > 1 else ""
        raise ImportRefused(
            f"{path}: {state.violations[0]}{more}; the layout may have changed, tolerate it to import all the same"
        )
    reading = _reading(state)
    for listing in state.listings:
        store_universe(store.database, universe_row(meta_json(listing), listing.dex, state.as_of))
    markets = market_rows(state.markets)
    store_markets(store.database, markets)
    store.lake.write_reading(reading, {"positions": state.positions, "accounts": state.accounts})
    keep_latest(store)
    counts = state.positions.group_by("status").len().sort("len", "status", descending=[True, False])
    return NodeImport(
        file=str(path),
        reading_id=reading.id,
        height=state.height,
        as_of=state.as_of,
        accounts_read=state.accounts_read,
        holders=reading.accounts,
        positions=reading.positions,
        coins=state.positions["coin"].n_unique(),
        market_rows=len(markets),
        unpriced=state.positions["liq_px"].null_count(),
        statuses=dict(counts.iter_rows()),
        solved=state.positions.height - state.positions.filter(status="unknown_collateral").height,
        checks=Checks.of(state.positions),
        notes=state.notes,
        violations=state.violations,
        left_out=state.left_out,
    )


def _reading(state: NodeState) -> Reading:
    return Reading(
        id=f"node-{state.height}@{state.as_of:%Y%m%dT%H%M%S}.{state.as_of.microsecond // 1000:03d}Z",
        venue=VENUE,
        source=state.source,
        scope=Scope.BOOK,
        as_of=state.as_of,
        accounts=state.positions["address"].n_unique(),
        positions=state.positions.height,
        notes="; ".join((*state.violations, *state.left_out.describe(), *state.notes)),
    )


def marks_of_file(path: Path) -> pl.DataFrame:
    """`dex`, `coin`, `mark_px` of a market table, the last row of each coin; raises `ImportRefused` for another."""
    table = read_table(path)
    known = recognise_table(table.columns, {}, path)
    if known.kind != "markets":
        raise ImportRefused(f"{path}: holds {known.kind}; marks need the columns coin, mark and a time")
    rows = markets_of_table(table, known, path, None).sort("as_of")
    return rows.unique(["dex", "coin"], keep="last", maintain_order=True).select("dex", "coin", "mark_px")


def marks_of_endpoint(
    base_url: str,
    timeout_s: float,
    data_dir: Path | None = None,
) -> pl.DataFrame:
    """`dex`, `coin`, `mark_px` of now; a node's own info server does not serve them, the exchange does."""
    budget = Budget.shared(USUAL_WEIGHT_PER_MINUTE, base_url, data_dir)
    return asyncio.run(_asked(base_url, timeout_s, budget))


async def _asked(base_url: str, timeout_s: float, budget: Budget) -> pl.DataFrame:
    async with InfoClient(base_url, budget, timeout_s, 4) as client:
        names = await find_dexes(client, ALL)
        markets = markets_of_dexes({dex: await client.meta_and_asset_ctxs(dex) for dex in names})
    return markets.drop_nulls("mark_px").select("dex", "coin", "mark_px")
