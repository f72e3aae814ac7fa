"""Claims about accounts: identities of a state, and whether each kind of liquidation price follows from it."""

from functools import partial
from typing import Final

import polars as pl

from liqtruth.indexer.audit.verify import available_by_formula
from liqtruth.indexer.doctor.claims import Check, Seen
from liqtruth.indexer.doctor.evidence import Evidence, apart
from liqtruth.indexer.info.budget import RequestRefused
from liqtruth.indexer.margin.checks import AGREE, DIFFER
from liqtruth.indexer.positions.accounts import account_mode

SAME_MARK: Final = 0.003
"""Contexts and states are read seconds apart."""
SAME_USD: Final = 1e-6
SAME_POOL: Final = 0.01
"""Balance and states of an account are separate answers."""
LIQUIDATOR: Final = "0x2e3d94f0562703b25c83308a05046ddaf9a8dd14"
"""HLP's liquidator, whose fills carry every backstop liquidation. Source: the exchange's vault pages."""


async def marks_of_positions(evidence: Evidence) -> Seen:
    wrong, count = [], 0
    held = [
        entry.position
        for account in evidence.accounts
        for state in account.states.values()
        for entry in state.asset_positions
    ]
    for position in held:
        if position.coin in evidence.marks:
            count += 1
            mark = position.position_value / abs(position.szi)
            if apart(mark, evidence.marks[position.coin]) > SAME_MARK:
                wrong.append(f"{position.coin} {mark:g} against {evidence.marks[position.coin]:g}")
    return Seen.all_of(count - len(wrong), count, "marks of positions", wrong[0] if wrong else "")


async def account_values(evidence: Evidence) -> Seen:
    wrong, count = [], 0
    for account in evidence.accounts:
        for state in account.states.values():
            summary = state.margin_summary
            found = summary.total_raw_usd + sum(
                entry.position.position_value * (1 if entry.position.szi > 0 else -1)
                for entry in state.asset_positions
            )
            if not state.asset_positions or state.left_out:
                continue
            count += 1
            if abs(found - summary.account_value) > max(SAME_USD * summary.total_ntl_pos, 0.01):
                wrong.append(f"{account.address}: {found:,.2f} against {summary.account_value:,.2f}")
    return Seen.all_of(count - len(wrong), count, "account values", wrong[0] if wrong else "")


async def available(evidence: Evidence) -> Seen:
    """The pool of unified accounts, read in all dexes."""
    wrong, count = [], 0
    for account in evidence.accounts:
        readings = account.readings(evidence.markets, evidence.info.shown_url)
        sent = dict(account.spot.token_to_available_after_maintenance or [])
        token = readings[0].collateral_token
        if (
            len(readings) < len(evidence.markets)
            or account_mode(readings[0]) != "unified"
            or token not in sent
        ):
            continue
        formula = available_by_formula(readings)
        if formula is None:
            continue
        count += 1
        if apart(formula, sent[token], 1.0) > SAME_POOL:
            wrong.append(f"{account.address}: {formula:,.2f} against {sent[token]:,.2f}")
    return Seen.all_of(
        count - len(wrong), count, "unified accounts' available margin", wrong[0] if wrong else ""
    )


PRICES: Final = {
    "isolated": pl.col("margin_mode") == "isolated",
    "cross": (pl.col("margin_mode") == "cross")
    & pl.col("account_mode").is_in(["standard", "dexAbstraction"]),
    "unified": (pl.col("margin_mode") == "cross") & (pl.col("account_mode") == "unified"),
    "portfolio": (pl.col("margin_mode") == "cross") & (pl.col("account_mode") == "portfolio"),
}


async def prices(kind: str, evidence: Evidence) -> Seen:
    """Those that could be compared; a null of the exchange agrees where no price solves."""
    found = evidence.positions.filter(PRICES[kind])
    wrong = found.filter(pl.col("check").is_in(list(DIFFER)))
    right = found.filter(pl.col("check").is_in(list(AGREE))).height
    first = wrong.row(0, named=True) if wrong.height else None
    shown = (
        first
        and f"{first['address']} {first['coin']}: {first['liq_px_solved']} against {first['liq_px_exchange']}"
    )
    return Seen.all_of(right, right + wrong.height, f"prices ({kind})", shown or "")


async def nulls(evidence: Evidence) -> Seen:
    """Only longs have no liquidation price."""
    none = evidence.positions.filter(pl.col("exchange_read") & pl.col("liq_px_exchange").is_null())
    wrong = none.filter(pl.col("szi") < 0)
    first = wrong.row(0, named=True) if wrong.height else None
    shown = f"{first['address']} is short {first['coin']}" if first else ""
    return Seen.all_of(
        none.height - wrong.height, none.height, "positions without a liquidation price", shown
    )


async def liquidation_fills(evidence: Evidence) -> Seen:
    """Fills of the liquidator and of the accounts read: which direction words stand, and who is named."""
    users = [LIQUIDATOR, *(account.address for account in evidence.accounts[:4])]
    forced = []
    for user in users:
        try:
            fills = await evidence.tree("userFills", user=user)
        except RequestRefused:
            continue
        forced += [fill for fill in fills if isinstance(fill, dict) and fill.get("liquidation")]
    if not forced:
        return Seen("not_seen", f"no liquidation among the newest fills of {len(users)} accounts")
    named = [fill for fill in forced if fill["liquidation"].get("liquidatedUser")]
    words = sorted({str(fill.get("dir")) for fill in forced})
    return Seen(
        "holds" if len(named) == len(forced) else "differs",
        f"{len(named)} of {len(forced)} fills of liquidations name the account; dir: {', '.join(words[:6])}",
    )


CHECKS: Final = (
    Check("position-mark", "accounts", "`positionValue` / |szi| is the mark", marks_of_positions),
    Check(
        "account-value",
        "accounts",
        "`accountValue` is `totalRawUsd` and the signed values of positions",
        account_values,
    ),
    Check(
        "available",
        "accounts",
        "available after maintenance is the balance less cross maintenance and isolated margin",
        available,
    ),
    *(
        Check(
            f"price-{kind}",
            "accounts",
            f"liquidation prices ({kind}) are our solver's",
            partial(prices, kind),
        )
        for kind in PRICES
    ),
    Check("null-price", "accounts", "only longs have no liquidation price", nulls),
    Check("liquidation-fills", "accounts", "fills of a liquidation name the account", liquidation_fills),
)
