"""Whether HyperEVM and the info endpoint show the same account: what is not documented is checked before it is used."""

from typing import Final

import polars as pl

from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import MarginSummary

APART: Final = 0.1
"""Both doors are asked seconds apart, in which marks move and accounts trade; another unit is off by ten at least."""
LEAST_USD: Final = 1.0
"""Amounts below this are not compared."""
NAMES: Final = {
    "notional_usd": ("ntlPos", "total_ntl_pos"),
    "raw_usd": ("rawUsd", "total_raw_usd"),
    "account_value_usd": ("accountValue", "account_value"),
}
"""Columns of the sizes: what HyperEVM calls them, and the field of the clearinghouse's summary."""


async def disagreement(info: InfoClient, sizes: pl.DataFrame) -> str:
    """What differs, in a line: an amount that most accounts of `sizes` (rows of `SIZES`) have otherwise in the info
    endpoint. Empty where they agree. Costs a weight of 2 a row."""
    shown = [
        (await info.clearinghouse_state(row["address"], row["dex"])).margin_summary
        for row in sizes.iter_rows(named=True)
    ]
    for column, (name, attribute) in NAMES.items():
        apart = _apart(sizes, shown, column, attribute)
        if 2 * len(apart) > len(shown):
            address, ours, theirs = apart[0]
            return (
                f"{name} differs from clearinghouseState for {len(apart)} of {len(shown)} accounts "
                f"({address}: {ours:,.2f} against {theirs:,.2f} USD); sizes are not used"
            )
    return ""


def _apart(
    sizes: pl.DataFrame, shown: list[MarginSummary], column: str, attribute: str
) -> list[tuple[str, float, float]]:
    pairs = [
        (address, ours, float(getattr(summary, attribute)))
        for address, ours, summary in zip(sizes["address"], sizes[column], shown, strict=True)
    ]
    return [
        (address, ours, theirs)
        for address, ours, theirs in pairs
        if abs(ours - theirs) > max(APART * max(abs(ours), abs(theirs)), LEAST_USD)
    ]
