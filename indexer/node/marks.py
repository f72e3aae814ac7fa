"""Marks for a node's state, which holds none: from a table, or asked of an endpoint at the same moment."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.layouts import recognise_table
from liqtruth.indexer.files.position_rows import markets_of_table
from liqtruth.indexer.info.budget import USUAL_WEIGHT_PER_MINUTE, Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.dexes import find_dexes
from liqtruth.indexer.positions.universe import markets_of_dexes
from liqtruth.storage.files.tabular import read_table


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
    dexes: Sequence[str] | Literal["all"] = "all",
    data_dir: Path | None = None,
) -> pl.DataFrame:
    """`dex`, `coin`, `mark_px` of now; a node's own info server does not serve them, the exchange does."""
    budget = Budget.shared(USUAL_WEIGHT_PER_MINUTE, base_url, data_dir)
    return asyncio.run(_asked(base_url, timeout_s, dexes, budget))


async def _asked(
    base_url: str, timeout_s: float, dexes: Sequence[str] | Literal["all"], budget: Budget
) -> pl.DataFrame:
    async with InfoClient(base_url, budget, timeout_s, 4) as client:
        names = await find_dexes(client, dexes)
        markets = markets_of_dexes({dex: await client.meta_and_asset_ctxs(dex) for dex in names})
    return markets.drop_nulls("mark_px").select("dex", "coin", "mark_px")
