"""The exchange's own SDK as a second reader of one account, with its traps closed.

What is worked around in it: it has no timeout unless given one, follows redirects, takes answers of any size, opens a
websocket thread and asks three things on construction unless stubbed, returns `{"error": ...}` for a page that is no
JSON, and raises a bare KeyError for a refusal without a code.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import requests
from hyperliquid.info import Info
from hyperliquid.utils.error import Error as SdkError

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.info.wire import EpochMs, Number
from liqtruth.storage.net.answers import ACCEPTED, LARGEST_ANSWER, shown_url


class SdkPosition(msgspec.Struct, rename="camel"):
    """What is compared of a position as the SDK hands it on."""

    coin: str
    szi: Number
    liquidation_px: Number | None = None


class SdkEntry(msgspec.Struct):
    position: SdkPosition


class SdkSummary(msgspec.Struct, rename="camel"):
    account_value: Number


class SdkState(msgspec.Struct, rename="camel"):
    """A page that is no JSON lacks these: the SDK makes an object of it all the same."""

    asset_positions: list[SdkEntry]
    margin_summary: SdkSummary
    time: EpochMs


@dataclass(frozen=True)
class SdkReading:
    states: Mapping[str, SdkState]
    mode: str


class SdkReader:
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

    def read(self, address: str, dexes: Sequence[str]) -> SdkReading:
        states = {dex: self._state(address, dex) for dex in dexes}
        mode = self._ask(self._info.query_user_abstraction_state, address)
        return SdkReading(states, mode if isinstance(mode, str) else "")

    def _state(self, address: str, dex: str) -> SdkState:
        state = self._ask(self._info.user_state, address, dex)
        try:
            return msgspec.convert(state, SdkState, strict=False)
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
