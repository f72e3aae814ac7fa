"""One account read twice, by the exchange's own SDK and by our client, side by side, for people and for JSON.

The SDK is another program by other people: where both show the same, neither our transport nor our decoder made it up;
where our solver gives the same price, we understand it. The two readings are seconds apart, so marks may have moved in
between: the moment of both is shown.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import polars as pl

from liqtruth.heatmap.errors import LeftOut, SourceUnreachable
from liqtruth.heatmap.words.text import counted
from liqtruth.indexer.audit.sdk import SdkPosition, SdkReader, SdkReading
from liqtruth.indexer.discovery.address_lists import check_address
from liqtruth.indexer.info.budget import Budget, Patience, weight_of
from liqtruth.indexer.info.client import InfoClient, find_dexes
from liqtruth.indexer.info.wire import SpotClearinghouseState
from liqtruth.indexer.margin.checks import AGREE, DIFFER, words_of
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.solver import MISMATCH
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import (
    MODE_OF_ABSTRACTION,
    AccountReading,
    account_mode,
    positions_frame,
)
from liqtruth.storage.files.coin_names import is_outcome
from liqtruth.storage.net.answers import shown_url

IMPATIENT: Final = Patience(attempts=2, total_s=15.0)


@dataclass(frozen=True)
class VerifiedPosition:
    """One position by both readers; a null price is the exchange's own null, a null size a position not shown."""

    dex: str
    coin: str
    szi_sdk: float | None
    szi_ours: float | None
    liq_px_sdk: float | None
    liq_px_ours: float | None
    liq_px_solved: float | None
    status: str
    check: str = "agree"

    @property
    def read_alike(self) -> bool:
        return self.szi_sdk == self.szi_ours and self.liq_px_sdk == self.liq_px_ours

    @property
    def difference(self) -> float | None:
        """Relative difference of the solved price from the one that the SDK read; null where one has none."""
        if self.liq_px_sdk is None or self.liq_px_solved is None:
            return None
        return self.liq_px_solved / self.liq_px_sdk - 1

    @property
    def checked(self) -> bool:
        """A price or a null of ours was compared with the exchange's."""
        return self.check in AGREE or self.check in DIFFER

    @property
    def solved_alike(self) -> bool:
        difference = self.difference
        if not self.checked:
            return False
        return self.liq_px_sdk is self.liq_px_solved if difference is None else abs(difference) <= MISMATCH


@dataclass(frozen=True)
class Verification:
    """One account by the SDK and by us.

    `mode_sdk` is by `userAbstraction`, `mode_ours` by the spot state. `available_usd` is K of the main
    collateral as sent; `available_by_formula_usd` the same by the documented sum, where every dex was read and the
    account is unified.
    """

    address: str
    base_url: str
    dexes: tuple[str, ...]
    sdk_at: datetime
    ours_at: datetime
    mode_sdk: str | None
    mode_ours: str | None
    account_value_sdk_usd: float
    account_value_ours_usd: float
    available_usd: float | None
    available_by_formula_usd: float | None
    positions: tuple[VerifiedPosition, ...]
    left_out: LeftOut = field(default_factory=LeftOut)

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where something of the account could not be read."""
        self.left_out.raise_any("verify again later")

    @property
    def agrees(self) -> bool:
        """Everything was read alike and every price was reproduced; one that could not be checked was not."""
        return all(position.read_alike and position.solved_alike for position in self.positions)

    def describe(self) -> list[str]:
        """Lines for people: one position a line, both readers side by side."""
        where = ", ".join(dex or "the main dex" for dex in self.dexes)
        if not self.positions:
            return [
                f"{self.address} holds nothing on {where} at {self.base_url}, by the SDK and by us; an agent's "
                "wallet shows nothing either: ask for its master account"
            ]
        lines = [self._heading(where), *self._facts(), *_table(self.positions)]
        read = sum(position.read_alike for position in self.positions)
        solved = sum(position.solved_alike for position in self.positions)
        unchecked = sum(not position.checked for position in self.positions)
        verdict = (
            f"{read} of {counted(len(self.positions), 'position')} read alike; {solved} agree (to {MISMATCH:g}), "
            f"{len(self.positions) - solved - unchecked} differ, {unchecked} not checked"
        )
        return [*lines, verdict]

    def _heading(self, where: str) -> str:
        apart_s = abs((self.ours_at - self.sdk_at).total_seconds())
        return (
            f"{self.address} on {where} at {self.base_url}: the SDK's reading of "
            f"{self.sdk_at:%Y-%m-%dT%H:%M:%S}Z, ours {apart_s:.1f} s apart"
        )

    def _facts(self) -> list[str]:
        lines = [
            f"mode: {self.mode_sdk or 'unknown'} by userAbstraction, {self.mode_ours or 'unknown'} by the spot state",
            f"account value: {self.account_value_sdk_usd:,.2f} USD by the SDK, "
            f"{self.account_value_ours_usd:,.2f} by us",
        ]
        if self.available_usd is not None:
            formula = self.available_by_formula_usd
            check = "" if formula is None else f", {formula:,.2f} by the documented sum"
            lines.append(f"available after maintenance: {self.available_usd:,.2f} USD as sent{check}")
        return lines


def verify(
    address: str,
    base_url: str,
    dexes: Sequence[str] | Literal["all"] = ("",),
    *,
    timeout_s: float = 10.0,
    patience: Patience = IMPATIENT,
    budget: Budget | None = None,
) -> Verification:
    """Read one account by both; raises `ImportRefused` for no address, `SourceUnreachable`, `BadInput` for a dex.

    Weight: 2 per dex and reader, 4 for spot states, 20 for the mode, 20 per dex for margin tables, 20 for the list of
    dexes where others than the main one are asked for. Not for use inside an event loop.
    """
    account = check_address(address, "ADDRESS")
    ours = asyncio.run(_read_ours(account, base_url, dexes, timeout_s, patience, budget or Budget(None)))
    sdk = SdkReader(base_url, timeout_s)
    with closing(sdk):
        theirs = sdk.read(account, ours.dexes)
    shown = shown_url(base_url)
    try:
        return _beside(account, shown, theirs, ours, whole=dexes == "all")
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
        raise SourceUnreachable(f"{shown}: the SDK's user_state was answered with something else") from None


@dataclass(frozen=True)
class _Ours:
    dexes: tuple[str, ...]
    readings: list[AccountReading]
    positions: pl.DataFrame
    left_out: LeftOut


async def _read_ours(
    address: str,
    base_url: str,
    dexes: Sequence[str] | Literal["all"],
    timeout_s: float,
    patience: Patience,
    budget: Budget,
) -> _Ours:
    """The account by our client; what the SDK will ask for is paid as well."""
    async with InfoClient(base_url, budget, timeout_s, concurrency=1, patience=patience) as client:
        names = await find_dexes(client, dexes)
        tables = {dex: MarginTables.from_meta(await client.meta(dex)) for dex in names}
        states = {dex: await client.clearinghouse_state(address, dex) for dex in names}
        spot = await client.spot_state(address)
        await budget.charge(weight_of("userAbstraction") + len(names) * weight_of("clearinghouseState"))
    readings = [
        AccountReading(
            address, state, client.shown_url, dex, spot, collateral_token=tables[dex].collateral_token
        )
        for dex, state in states.items()
    ]
    return _Ours(names, readings, reconcile(positions_frame(readings), tables), client.left_out)


def _beside(account: str, shown: str, theirs: SdkReading, ours: _Ours, whole: bool) -> Verification:
    first = ours.readings[0]
    mode = account_mode(first)
    available = dict(first.spot.token_to_available_after_maintenance or []) if first.spot else {}
    return Verification(
        address=account,
        base_url=shown,
        dexes=ours.dexes,
        sdk_at=_moment(min(state.time for state in theirs.states.values())),
        ours_at=_moment(min(reading.state.time for reading in ours.readings)),
        mode_sdk=MODE_OF_ABSTRACTION.get(theirs.mode, theirs.mode),
        mode_ours=mode,
        account_value_sdk_usd=sum(state.margin_summary.account_value for state in theirs.states.values()),
        account_value_ours_usd=sum(reading.state.margin_summary.account_value for reading in ours.readings),
        available_usd=available.get(first.collateral_token),
        available_by_formula_usd=available_by_formula(ours.readings) if whole and mode == "unified" else None,
        positions=_paired(theirs, ours),
        left_out=ours.left_out,
    )


def available_by_formula(readings: Sequence[AccountReading]) -> float | None:
    """K of a unified account from its readings in all dexes, by the documented sum; null without the balance, and where
    outcomes are held: the exchange may count them, and documents not how.

    `spot.total - cross maintenance - margin of isolated positions`, over the dexes that share the first one's token.
    """
    token, spot = readings[0].collateral_token, readings[0].spot
    total = None if spot is None else _balance(spot, token)
    if total is None or any(is_outcome(one.coin) for one in (spot.balances if spot else ())):
        return None
    states = [reading.state for reading in readings if reading.collateral_token == token]
    isolated = sum(
        entry.position.margin_used
        for state in states
        for entry in state.asset_positions
        if entry.position.leverage.type == "isolated"
    )
    return total - sum(state.cross_maintenance_margin_used for state in states) - isolated


def _balance(spot: SpotClearinghouseState, token: int) -> float | None:
    return next((balance.total for balance in spot.balances if balance.token == token), None)


def _paired(theirs: SdkReading, ours: _Ours) -> tuple[VerifiedPosition, ...]:
    """All positions that either reader shows, in the SDK's order."""
    by_sdk = {
        (dex, entry.position.coin): entry.position
        for dex, state in theirs.states.items()
        for entry in state.asset_positions
        if entry.position.szi != 0
    }
    by_us = {(row["dex"], row["coin"]): row for row in ours.positions.iter_rows(named=True)}
    return tuple(
        _one(dex, coin, by_sdk.get((dex, coin)), by_us.get((dex, coin), {}))
        for dex, coin in dict.fromkeys([*by_sdk, *by_us])
    )


def _one(dex: str, coin: str, sdk: SdkPosition | None, ours: Mapping[str, Any]) -> VerifiedPosition:
    return VerifiedPosition(
        dex=dex,
        coin=coin,
        szi_sdk=None if sdk is None else sdk.szi,
        szi_ours=ours.get("szi"),
        liq_px_sdk=None if sdk is None else sdk.liquidation_px,
        liq_px_ours=ours.get("liq_px_exchange"),
        liq_px_solved=ours.get("liq_px_solved"),
        status=ours.get("status", "not shown to us"),
        check=ours.get("check") or "not shown to us",
    )


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _table(positions: Sequence[VerifiedPosition]) -> list[str]:
    head = (
        "coin",
        "size by SDK",
        "size by us",
        "price by SDK",
        "price by us",
        "solved",
        "difference",
        "check",
    )
    cells = [head, *(_cells(position) for position in positions)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]


def _cells(position: VerifiedPosition) -> tuple[str, ...]:
    difference = position.difference
    return (
        position.coin,
        *(
            f"{number:.12g}" if number is not None else "none"
            for number in (
                position.szi_sdk,
                position.szi_ours,
                position.liq_px_sdk,
                position.liq_px_ours,
                position.liq_px_solved,
            )
        ),
        "" if difference is None else f"{difference:+.1e}",
        words_of(position.check),
    )
