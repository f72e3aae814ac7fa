"""Whether positions read through HyperEVM, and prices solved from them, are those of the info endpoint.

Units, and what backs a position, are not documented; so the largest positions of each kind are read through both doors
before any is used. What most of a kind have otherwise stops that use, and one line says what differed.
"""

from typing import Final, NamedTuple

import polars as pl

from liqtruth.indexer.coin.solved import KINDS
from liqtruth.indexer.evm.sizing import CHECKED
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import Position

APART: Final = 1e-3
"""Both doors are asked seconds apart, in which funding is paid and margin is moved."""
LEAST: Final = 1e-6


class Agreement(NamedTuple):
    """Kinds of positions (`KINDS`) that may be solved, accounts that were read through both doors, and what differed,
    a line each; `sizes` is false where the positions themselves differ."""

    kinds: tuple[str, ...]
    checked: int
    problems: tuple[str, ...]
    sizes: bool


async def compared(info: InfoClient, solved: pl.DataFrame, coin: str, dex: str) -> Agreement:
    """Of `solved` positions of the coin (`POSITIONS`); costs a weight of 2 for each of at most `CHECKED` of a kind.

    Who traded between the two looks shows another size; a size that most accounts have otherwise is another unit.
    """
    kinds, problems, checked, sizes = [], list[str](), 0, True
    for kind in KINDS:
        some = solved.filter(margin_mode=kind).sort("notional_usd", descending=True).head(CHECKED)
        pairs = [(row, await _shown(info, row["address"], coin, dex)) for row in some.iter_rows(named=True)]
        checked += len(pairs)
        differs = [problem for row, position in pairs if (problem := _difference(row, position))]
        if 2 * len(differs) <= len(pairs):
            kinds.append(kind)
            continue
        sizes &= not any(problem.startswith("szi") for problem in differs)
        problems.append(
            f"{len(differs)} of {len(pairs)} {kind} positions differ ({differs[0]}); none is solved"
        )
    return Agreement(tuple(kinds), checked, tuple(problems), sizes)


async def _shown(info: InfoClient, address: str, coin: str, dex: str) -> Position | None:
    state = await info.clearinghouse_state(address, dex)
    return next((one.position for one in state.asset_positions if one.position.coin == coin), None)


def _difference(row: dict[str, float | str], position: Position | None) -> str:
    """What differs first, with both values; empty where the position is the same."""
    if position is None:
        return f"szi {row['szi']} against none"
    theirs = {
        "szi": position.szi,
        "entryPx": position.entry_px,
        "leverage": float(position.leverage.value),
        "isolatedRawUsd": position.leverage.raw_usd,
        "liquidationPx": position.liquidation_px,
    }
    ours = dict(zip(theirs, (row[name] for name in NAMES), strict=True))
    for name, value in theirs.items():
        if not _same(ours[name], value):
            return f"{name} of {row['address']} is {ours[name]} against {value}"
    return ""


NAMES: Final = ("szi", "entry_px", "leverage", "isolated_raw_usd", "liq_px")
"""Columns of `POSITIONS` in the order in which they are compared."""


def _same(ours: float | str | None, theirs: float | None) -> bool:
    if not isinstance(ours, float) or theirs is None:
        return ours is None and theirs is None
    return abs(ours - theirs) <= APART * max(abs(ours), abs(theirs)) + LEAST
