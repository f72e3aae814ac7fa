"""ccxt's way to a venue made strict: answers are bounded, redirects are refused, and no row takes others with it.

ccxt reads an answer of any size, goes wherever it is sent, makes an empty list of a web page, and gives up a whole
page of rows for one that it cannot parse. A row that it cannot parse comes out with the time `UNREADABLE_MS`, which
no calendar knows, so that who reads the rows can count it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import aiohttp

from heatmap.decoding import NOT_DECODED

LARGEST_ANSWER: Final = 16 * 2**20
"""Bytes of one answer, unpacked: several times what the largest list of markets takes."""
UNREADABLE_MS: Final = 2**53
ROWS_DEPTH: Final = 4
"""Lists of rows lie no deeper than this in an answer."""
UNREADABLE: Final = (*NOT_DECODED, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What parsing code raises for an answer of another shape than it was written for."""


class Malformed(Exception):
    """An answer of another shape than documented: a gateway's page, or one that broke off."""


class TurnedAway(Exception):
    """An answer that is refused for good: one that leads elsewhere, or has no end."""


class BoundedResponse(aiohttp.ClientResponse):
    """Reads at most `LARGEST_ANSWER` bytes, counted after unpacking."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            try:
                async for chunk in self.content.iter_any():
                    body += chunk
                    if len(body) > LARGEST_ANSWER:
                        raise TurnedAway(f"the answer is larger than {LARGEST_ANSWER >> 20} MB")
            except BaseException:
                self.close()
                raise
            self._body = bytes(body)
        return await super().read()


async def stay(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware: a redirect is an error, wherever it leads."""
    response = await send(request)
    if 300 <= response.status < 400:
        response.close()
        raise TurnedAway(f"it is redirected (HTTP {response.status}), and redirects are not followed")
    return response


def strict(ccxt_id: str) -> Any:
    """ccxt's class of that name, made strict."""
    import ccxt.async_support

    base: Any = getattr(ccxt.async_support, ccxt_id)

    class Strict(base):  # type: ignore[misc]
        unread_markets = 0
        session: Any
        parse_ohlcv = _row_by_row(base.parse_ohlcv, _no_bar)
        parse_open_interest = _row_by_row(base.parse_open_interest, _no_row)
        parse_funding_rate_history = _row_by_row(base.parse_funding_rate_history, _no_row)

        def open(self, lazy: bool = False) -> None:
            before = self.session
            super().open(lazy)
            if self.session is not before:
                self.session.detach()
                self.session = aiohttp.ClientSession(
                    connector=self.tcp_connector, response_class=BoundedResponse, middlewares=(stay,)
                )

        def on_json_response(self, body: str) -> Any:
            return without_holes(base.on_json_response(body))

        def handle_errors(self, status: int, *more: Any) -> Any:
            answer = more[5]
            if status < 400 and answer is None:
                raise Malformed("no JSON")
            return super().handle_errors(status, *more)

        def parse_open_interests_history(self, rows: Any, market: Any = None, *_: Any) -> Any:
            """All of them: ccxt's filter by time would pass over rows without any."""
            told = super().parse_open_interests_history(rows, market)
            return [row if row["timestamp"] else _no_row(row["info"], market) for row in told]

        def parse_market(self, market: Any) -> Any:
            try:
                return super().parse_market(market)
            except UNREADABLE:
                return None

        def set_markets(self, markets: Any, currencies: Any = None) -> Any:
            listed = [market for market in self.to_array(markets) if _is_market(market)]
            self.unread_markets = len(markets) - len(listed)
            return super().set_markets(listed, currencies)

    return Strict


def _is_market(market: Any) -> bool:
    named = ("id", "symbol", "base", "quote")
    return isinstance(market, dict) and all(isinstance(market.get(name), str) for name in named)


def _row_by_row(parse: Callable[..., Any], otherwise: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """`parse` of one row of a list, giving a row that nobody can read instead of raising."""
    is_present = parse.__name__ == "parse_open_interest"  # the present one may tell no time

    @wraps(parse)
    def parsed(api: Any, row: Any, market: Any = None) -> Any:
        try:
            found = parse(api, row, market)
            at = found[0] if isinstance(found, list) else found["timestamp"]
        except UNREADABLE:
            return otherwise(row, market)
        return found if is_present or isinstance(at, int | float) else otherwise(row, market)

    return parsed


def _no_bar(row: Any, market: Any) -> Any:
    return [UNREADABLE_MS, None, None, None, None, None]


def _no_row(row: Any, market: Any) -> Any:
    return {"info": row, "symbol": (market or {}).get("symbol"), "timestamp": UNREADABLE_MS}


def without_holes(answer: Any, depth: int = ROWS_DEPTH) -> Any:
    """An answer in whose lists of rows whatever is no row is an empty one: ccxt raises for null, not for `{}`."""
    if isinstance(answer, dict) and depth:
        return {name: without_holes(value, depth - 1) for name, value in answer.items()}
    if not isinstance(answer, list) or not depth:
        return answer
    row = next((type(value) for value in answer if isinstance(value, dict | list)), None)
    if row is None:
        return answer
    return [row() if value is None else without_holes(value, depth - 1) for value in answer]
