"""ccxt's way to a venue made strict: answers are bounded, redirects are refused, and no row takes others with it.

ccxt reads an answer of any size, goes wherever it is sent, makes an empty list of a web page, and gives up a whole
page of rows for one that it cannot parse. A row that it cannot parse comes out with the time `UNREADABLE_MS`, which
no calendar knows, so that who reads the rows can count it.
"""

from collections.abc import Callable
from typing import Any, Final

import aiohttp
import polars as pl

from liqtruth.heatmap.files import NOT_DECODED

LARGEST_ANSWER: Final = 16 * 2**20
"""Bytes of one answer, unpacked: several times what the largest list of markets takes."""
UNREADABLE_MS: Final = 2**53
ROWS_DEPTH: Final = 4
"""Lists of rows lie no deeper than this in an answer."""
UNREADABLE: Final = (
    *NOT_DECODED,
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    pl.exceptions.PolarsError,
)
"""What parsing code raises for an answer of another shape than it was written for."""


class Malformed(Exception):
    """An answer of another shape than documented: a gateway's page, or one that broke off.

    Where it has two arguments, the first is its kind and the second the message.
    """

    def __str__(self) -> str:
        return ": ".join(str(part) for part in self.args)


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

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """UTF-8, whatever is claimed: ccxt would put other characters in place of those that it cannot read."""
        try:
            return (await self.read()).decode()
        except UnicodeError as error:
            raise Malformed("no UTF-8") from error


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

    return type("Strict", (Strictly, getattr(ccxt.async_support, ccxt_id)), {})


class Strictly:
    """Mixin before a class of ccxt: no redirect, no endless answer; a row that cannot be read takes no other along."""

    unread_markets = 0
    is_listing = False
    session: Any
    id: str

    def open(self, lazy: bool = False) -> None:
        before = self.session
        super().open(lazy)  # type: ignore[misc]
        if self.session is not before:
            self.session.detach()
            connector = self.tcp_connector  # type: ignore[attr-defined]
            self.session = aiohttp.ClientSession(
                connector=connector, response_class=BoundedResponse, middlewares=(stay,)
            )

    def on_json_response(self, body: str) -> Any:
        answer = without_holes(super().on_json_response(body))  # type: ignore[misc]
        # Hyperliquid's lists belong together by place.
        return without_empty_rows(answer) if self.is_listing and self.id != "hyperliquid" else answer

    def handle_errors(self, status: int, *more: Any) -> Any:
        answer = more[5]
        if status < 400 and answer is None:
            raise Malformed("no JSON")
        return super().handle_errors(status, *more)  # type: ignore[misc]

    # ------------------------------------------------------------------------------------------ rows

    def parse_ohlcv(self, bar: Any, market: Any = None) -> Any:
        found = _parsed(super().parse_ohlcv, bar, market)  # type: ignore[misc]
        has_time = isinstance(found, list) and found and isinstance(found[0], int | float)
        return found if has_time else [UNREADABLE_MS, *[None] * 5]

    def parse_funding_rate_history(self, row: Any, market: Any = None) -> Any:
        found = _parsed(super().parse_funding_rate_history, row, market)  # type: ignore[misc]
        return found if found is not None and found["timestamp"] else _no_row(row, market)

    def parse_open_interest(self, row: Any, market: Any = None) -> Any:
        """The present one may have no time."""
        found = _parsed(super().parse_open_interest, row, market)  # type: ignore[misc]
        return _no_row(row, market) if found is None else found

    def parse_open_interests_history(self, rows: Any, market: Any = None, *_: Any) -> Any:
        """All of them: ccxt's filter by time would pass over rows without any."""
        parsed = super().parse_open_interests_history(rows, market)  # type: ignore[misc]
        return [row if row["timestamp"] else _no_row(row["info"], market) for row in parsed]

    # --------------------------------------------------------------------------------------- markets

    async def load_markets_helper(self, *asked: Any) -> Any:
        self.is_listing = True
        try:
            return await super().load_markets_helper(*asked)  # type: ignore[misc]
        finally:
            self.is_listing = False

    def parse_market(self, *given_by_venue: Any) -> Any:
        return _parsed(super().parse_market, *given_by_venue)  # type: ignore[misc]

    def parse_contract_market(self, *given_by_venue: Any) -> Any:
        """Gate's."""
        return _parsed(super().parse_contract_market, *given_by_venue)  # type: ignore[misc]

    def set_markets(self, markets: Any, currencies: Any = None) -> Any:
        given = list(markets.values()) if isinstance(markets, dict) else markets
        listed = [market for market in given if _is_market(market)]
        self.unread_markets = len(given) - len(listed)
        return super().set_markets(listed, currencies)  # type: ignore[misc]


def _parsed(parse: Callable[..., Any], *given_by_venue: Any) -> Any:
    """Null where ccxt cannot parse it."""
    import ccxt

    try:
        return parse(*given_by_venue)
    except (ccxt.BaseError, *UNREADABLE):
        return None


def _is_market(market: Any) -> bool:
    named = ("id", "symbol", "base", "quote")
    return isinstance(market, dict) and all(isinstance(market.get(name), str) for name in named)


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


def without_empty_rows(answer: Any, depth: int = ROWS_DEPTH) -> Any:
    """An answer whose lists of objects hold nothing but objects, and none that is empty."""
    if isinstance(answer, dict) and depth:
        return {name: without_empty_rows(value, depth - 1) for name, value in answer.items()}
    if not isinstance(answer, list) or not any(isinstance(value, dict) for value in answer):
        return answer
    return [value for value in answer if isinstance(value, dict) and value]
