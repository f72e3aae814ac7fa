"""Which faults of a request are worth another attempt, how long to wait for it, and how a fault is named."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec
import stamina
import stamina.instrumentation

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.info.budget import Budget

stamina.instrumentation.set_on_retry_hooks([])  # its default hook prints to stdout, where results go

TOO_MANY: Final = 429


LONGEST_WAIT_S: Final = 30.0

stamina.instrumentation.set_on_retry_hooks([])  # its default hook prints to stdout, where results go


class RequestRefused(SourceUnreachable):
    """The exchange answered 4xx: asking the same again would be answered the same."""

    retryable = False


class TransientError(Exception):
    """A fault of this attempt only; `wait_s` where the exchange or we know how long to wait."""

    def __init__(self, cause: str, wait_s: float | None = None) -> None:
        super().__init__(cause)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Patience:
    """How long a call is tried for: attempts, seconds in all, first wait, pause of all callers after a 429."""

    attempts: int = 5
    total_s: float = 60.0
    first_wait_s: float = 0.5
    pause_s: float = 4.0

    def attempts_made(self) -> AsyncIterator[stamina.Attempt]:
        """Each attempt, after its wait."""
        return stamina.retry_context(
            on=_wait_before_next,
            attempts=self.attempts,
            timeout=self.total_s,
            wait_initial=self.first_wait_s,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=self.first_wait_s,
        ).__aiter__()


def _wait_before_next(error: Exception) -> bool | float:
    """What stamina asks: not again, again after its own growing wait, or after so many seconds."""
    if not isinstance(error, TransientError):
        return False
    return True if error.wait_s is None else error.wait_s


def fault_of(error: httpx.RequestError | TimeoutError, timeout_s: float) -> TransientError:
    """The cause in a few words, without the address."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return TransientError(f"no whole answer within {timeout_s:g} s")
    if isinstance(error, httpx.ConnectError):
        return TransientError("cannot connect")
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return TransientError("the connection broke off")
    return TransientError(type(error).__name__)


def check_whole(content: bytes) -> None:
    """Raise `TransientError` for what is no whole JSON document."""
    try:
        content.decode()
        msgspec.json.decode(content, type=msgspec.Raw)
    except NOT_DECODED as error:
        raise TransientError(_broken(content, error)) from None


def _broken(content: bytes, error: Exception) -> str:
    if content.lstrip()[:1] == b"<":
        return "a page of HTML instead of an answer"
    if not content.strip():
        return "an empty answer"
    if "truncated" in str(error):
        return f"an answer that breaks off after {len(content)} bytes"
    return f"an answer that is no JSON ({error})"


def too_many(budget: Budget) -> str:
    limit = budget.weight_per_minute
    asked = "without a limit" if limit is None else f"at {limit:g} weight a minute"
    return (
        f"HTTP 429, too many requests ({asked}); lower --weight-per-minute or stop what else asks from here"
    )


def retry_after_s(response: httpx.Response) -> float | None:
    """Whole seconds as the exchange says them; anything else (a date, a sign, an exponent) is as good as nothing."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdigit() else None
