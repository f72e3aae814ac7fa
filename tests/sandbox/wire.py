"""What a reader of the wire would compute, in exact decimals: the documented formulas, written for these tests only."""

from decimal import Decimal
from typing import Any

import polars as pl

from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.truth import true_positions

Tiers = list[tuple[Decimal, Decimal, Decimal]]


def tiers(table: list[dict[str, Any]]) -> Tiers:
    """(lower bound, rate, deduction) of each tier."""
    rows: Tiers = []
    for row in table:
        lower, rate = Decimal(row["lowerBound"]), 1 / (2 * Decimal(row["maxLeverage"]))
        deduction = rows[-1][2] + lower * (rate - rows[-1][1]) if rows else Decimal(0)
        rows.append((lower, rate, deduction))
    return rows


def table_of(position: dict[str, Any], meta: dict[str, Any]) -> Tiers:
    """Of the position's own table: flat when its `maxLeverage` is not the asset's."""
    asset = next(row for row in meta["universe"] if row["name"] == position["coin"])
    tables = {number: table["marginTiers"] for number, table in meta["marginTables"]}
    flat = [{"lowerBound": "0.0", "maxLeverage": position["maxLeverage"]}]
    table = tables.get(asset["marginTableId"], flat)
    return tiers(table if table[0]["maxLeverage"] == position["maxLeverage"] else flat)


def maintenance(notional: Decimal, table: Tiers) -> Decimal:
    return max(notional * rate - deduction for _, rate, deduction in table)


def solved(szi: Decimal, rest: Decimal, table: Tiers) -> Decimal | None:
    """The x with rest + szi * x = maintenance(|szi| * x), tier by tier."""
    for index, (lower, rate, deduction) in enumerate(table):
        px = (-deduction - rest) / (szi - abs(szi) * rate)
        upper = table[index + 1][0] if index + 1 < len(table) else Decimal("Infinity")
        if 0 < px <= Decimal("1e15") and lower <= abs(szi) * px < upper:
            return px
    return None


def liquidation_px(
    position: dict[str, Any], state: dict[str, Any], spot: dict[str, Any], meta: dict[str, Any]
) -> Decimal | None:
    """Reference sections 4.5 and 4.7, from what is on the wire."""
    szi, value = Decimal(position["szi"]), Decimal(position["positionValue"])
    table, signed = table_of(position, meta), value if Decimal(position["szi"]) > 0 else -value
    if position["leverage"]["type"] == "isolated":
        return solved(szi, Decimal(position["leverage"]["rawUsd"]), table)
    pooled = dict(spot.get("tokenToAvailableAfterMaintenance", []))
    if pooled:
        return solved(szi, Decimal(pooled[0]) + maintenance(value, table) - signed, table)
    equity = Decimal(state["crossMarginSummary"]["accountValue"])
    other = Decimal(state["crossMaintenanceMarginUsed"]) - maintenance(value, table)
    return solved(szi, equity - other - signed, table)


def longs_in_coins(market: Market, venue: str, coin: str) -> float:
    """Of all positions of a venue: its open interest."""
    sizes = true_positions(market, venue).filter(pl.col("coin") == coin)["szi"]
    return float(sizes.clip(lower_bound=0).sum())
