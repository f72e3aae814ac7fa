"""A small info endpoint on a real socket, whose faults a test decides request by request."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.loopback import answering_in_thread

MARK_PX = 50_000.0
NOW_MS = 1_787_310_105_000
META = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "ETH", "szDecimals": 4, "maxLeverage": 25, "marginTableId": 25},
    ],
    "marginTables": [
        [56, {"description": "tiered 40x", "marginTiers": [
            {"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "150000000.0", "maxLeverage": 20}]}]],
    "collateralToken": 0,
}  # fmt: skip
CTX = {
    "funding": "0.0000125",
    "openInterest": "100.0",
    "markPx": str(MARK_PX),
    "oraclePx": str(MARK_PX),
    "midPx": None,
}

Fault = Callable[[dict[str, Any], int], web.Response | str | float | None]
"""Given the request and its number: an answer of its own, "reset", "truncate", seconds to sleep, or None."""


def address_of(number: int) -> str:
    return f"0x{number:040x}"


def state(*positions: dict[str, Any], account_value: float = 10_000.0, time: int = NOW_MS) -> dict[str, Any]:
    """A `clearinghouseState` answer."""
    summary = {
        "accountValue": str(account_value),
        "totalNtlPos": "0.0",
        "totalRawUsd": "0.0",
        "totalMarginUsed": "0.0",
    }
    maintenance = sum(float(p["positionValue"]) / 80 for p in positions if p["leverage"]["type"] == "cross")
    return {
        "marginSummary": summary,
        "crossMarginSummary": summary,
        "crossMaintenanceMarginUsed": str(maintenance),
        "withdrawable": "0.0",
        "assetPositions": [{"type": "oneWay", "position": position} for position in positions],
        "time": time,
    }


def btc(szi: float, liq_px: float | None, isolated_raw_usd: float | None = None) -> dict[str, Any]:
    """A BTC position at `MARK_PX`."""
    leverage: dict[str, Any] = {"type": "cross", "value": 10}
    if isolated_raw_usd is not None:
        leverage = {"type": "isolated", "value": 10, "rawUsd": str(isolated_raw_usd)}
    return {
        "coin": "BTC", "szi": str(szi), "leverage": leverage, "entryPx": str(MARK_PX),
        "positionValue": str(abs(szi) * MARK_PX), "unrealizedPnl": "0.0", "returnOnEquity": "0.0",
        "liquidationPx": None if liq_px is None else str(liq_px), "marginUsed": "0.0", "maxLeverage": 40,
        "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
    }  # fmt: skip


@dataclass
class InfoEndpoint:
    """Answers `POST /info`; `requests` are those received."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    spots: dict[str, dict[str, Any]] = field(default_factory=dict)
    fault: Fault = lambda request, number: None
    requests: list[dict[str, Any]] = field(default_factory=list)
    base_url: str = ""
    contexts: list[dict[str, Any]] = field(default_factory=lambda: [{}, {}])
    """What is different in the context of each coin."""
    time: int | None = None
    """What `exchangeStatus` tells; null refuses it, as an own node does."""

    def read(self, kind: str = "clearinghouseState") -> list[str]:
        """Accounts that were asked for, in order."""
        return [request["user"] for request in self.requests if request["type"] == kind]

    async def answer(self, http: web.Request) -> web.StreamResponse:
        request = await http.json()
        self.requests.append(request)
        fault = self.fault(request, len(self.requests))
        if isinstance(fault, web.Response):
            return fault
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        if request["type"] == "exchangeStatus":
            return web.json_response({"time": self.time}, status=422 if self.time is None else 200)
        content = json.dumps(self._content(request)).encode()
        if fault == "reset":
            assert http.transport is not None
            http.transport.abort()
        if fault == "truncate":
            content = content[: len(content) // 2]
        return web.Response(body=content, content_type="application/json")

    def _content(self, request: dict[str, Any]) -> object:
        kind = request["type"]
        if kind == "metaAndAssetCtxs":
            return [META, [CTX | one for one in self.contexts]]
        if kind == "meta":
            return META
        if kind == "perpDexs":
            return [None, {"name": "xyz", "fullName": "XYZ", "deployer": address_of(1)}]
        if kind == "spotClearinghouseState":
            return self.spots.get(request["user"], {"balances": []})
        return self.states.get(request["user"], state())


@contextmanager
def serving(endpoint: InfoEndpoint) -> Iterator[InfoEndpoint]:
    """The endpoint on a free port of loopback, in a thread of its own."""
    app = web.Application()
    app.router.add_post("/info", endpoint.answer)
    with answering_in_thread(app, handler_cancellation=True) as endpoint.base_url:
        yield endpoint
