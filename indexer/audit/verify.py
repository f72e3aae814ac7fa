"""One account read twice: by the exchange's own SDK and by our client, side by side.

The SDK is another program by other people: where both show the same, neither our transport nor our decoder made it up;
where our solver gives the same price, we understand it. The two readings are seconds apart, so marks may have moved in
between: the moment of both is shown. What is worked around in the SDK: it has no timeout unless given one, follows
redirects, takes answers of any size, opens a websocket thread and asks three things on construction unless stubbed,
returns `{"error": ...}` for a page that is no JSON, and raises a bare KeyError for a refusal without a code.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import polars as pl
import requests
from hyperliquid.info import Info
from hyperliquid.utils.error import Error as SdkError

from liqtruth.heatmap.errors import LeftOut, SourceUnreachable
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.audit.verification import Verification, VerifiedPosition
from liqtruth.indexer.discovery.address_book import check_address
from liqtruth.indexer.info.attempts import Patience
from liqtruth.indexer.info.budget import Budget, weight_of
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.dexes import find_dexes
from liqtruth.indexer.info.wire import EpochMs, Number, SpotClearinghouseState
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import (
    MODE_OF_ABSTRACTION,
    AccountReading,
    account_mode,
    positions_frame,
)
from liqtruth.storage.net.answers import ACCEPTED, LARGEST_ANSWER, shown_url

__all__ = ["Verification", "VerifiedPosition", "available_by_formula", "verify"]

IMPATIENT: Final = Patience(attempts=2, total_s=15.0)


class _SdkPosition(msgspec.Struct, rename="camel"):
    """What is compared of a position as the SDK hands it on."""

    coin: str
    szi: Number
    liquidation_px: Number | None = None


class _SdkEntry(msgspec.Struct):
    position: _SdkPosition


class _SdkSummary(msgspec.Struct, rename="camel"):
    account_value: Number


class _SdkState(msgspec.Struct, rename="camel"):
    """A page that is no JSON lacks these: the SDK makes an object of it all the same."""

    asset_positions: list[_SdkEntry]
    margin_summary: _SdkSummary
    time: EpochMs


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
    account = check_address(address)
    ours = asyncio.run(_read_ours(account, base_url, dexes, timeout_s, patience, budget or Budget(None)))
    sdk = _SdkReader(base_url, timeout_s)
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


@dataclass(frozen=True)
class _Theirs:
    states: Mapping[str, _SdkState]
    mode: str


class _SdkReader:
    """The official SDK with its traps closed."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._shown = shown_url(base_url)
        self._timeout_s = timeout_s
        self._info = Info(
            base_url.rstrip("/"),
            skip_ws=True,
            meta={"universe": []},
            spot_meta={"universe": [], "tokens": []},
            timeout=timeout_s,
        )
        self._info.session = _Session(timeout_s)

    def close(self) -> None:
        self._info.session.close()

    def read(self, address: str, dexes: Sequence[str]) -> _Theirs:
        states = {dex: self._state(address, dex) for dex in dexes}
        mode = self._ask(self._info.query_user_abstraction_state, address)
        return _Theirs(states, mode if isinstance(mode, str) else "")

    def _state(self, address: str, dex: str) -> _SdkState:
        state = self._ask(self._info.user_state, address, dex)
        try:
            return msgspec.convert(state, _SdkState, strict=False)
        except NOT_DECODED as error:
            text = f"the SDK's user_state was answered with something else: {error}"
            raise SourceUnreachable(f"{self._shown}: {text}") from None

    def _ask(self, method: Callable[..., Any], *values: str) -> Any:
        """The SDK's answer; raises `SourceUnreachable` in one line for whatever it does instead of answering."""
        try:
            return method(*values)
        except requests.exceptions.RequestException as error:
            cause = _cause(error, self._timeout_s)
            raise SourceUnreachable(f"{self._shown}: no answer to the SDK: {cause}") from error
        except (SdkError, LookupError, AttributeError, TypeError, ValueError, *NOT_DECODED) as error:
            status = getattr(error, "status_code", None)
            text = f"HTTP {status}" if status else "a refusal that the SDK cannot read"
            raise SourceUnreachable(
                f"{self._shown}: the SDK's {method.__name__} was answered with {text}"
            ) from error


class _Session(requests.Session):
    """Answers within a deadline and a size, of the host that was asked."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self.headers.update({"Content-Type": "application/json", **ACCEPTED})
        self._timeout_s = timeout_s

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        until_s = time.monotonic() + self._timeout_s
        with super().send(request, **{**options, "stream": True, "allow_redirects": False}) as response:
            response._content = self._body(response, until_s)
        return response

    def _body(self, response: requests.Response, until_s: float) -> bytes:
        if response.is_redirect:
            raise requests.exceptions.TooManyRedirects("a redirect to another place")
        if response.headers.get("content-encoding", "gzip").lower() != "gzip":
            raise requests.exceptions.ContentDecodingError("a packing that was not asked for")
        body = bytearray()
        for piece in response.iter_content(2**14):
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise requests.exceptions.ContentDecodingError(f"more than {LARGEST_ANSWER:,} bytes")
            if time.monotonic() > until_s:
                raise requests.exceptions.Timeout
        return bytes(body)


def _cause(error: requests.exceptions.RequestException, timeout_s: float) -> str:
    if isinstance(error, requests.exceptions.Timeout):
        return f"nothing within {timeout_s:g} s"
    return (
        "cannot connect" if isinstance(error, requests.exceptions.ConnectionError) else type(error).__name__
    )


def _beside(account: str, shown: str, theirs: _Theirs, ours: _Ours, whole: bool) -> Verification:
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
    """K of a unified account from its readings in all dexes, by the documented sum; null without the balance.

    `spot.total - cross maintenance - margin of isolated positions`, over the dexes that share the first one's token.
    """
    token, spot = readings[0].collateral_token, readings[0].spot
    total = None if spot is None else _balance(spot, token)
    if total is None:
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


def _paired(theirs: _Theirs, ours: _Ours) -> tuple[VerifiedPosition, ...]:
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


def _one(dex: str, coin: str, sdk: _SdkPosition | None, ours: Mapping[str, Any]) -> VerifiedPosition:
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
