"""The info endpoint over HTTP: every call has a deadline, pays its weight, and is tried again where that may help.

Tried again, with growing and jittered waits, up to a number of attempts and a total time: 429, 5xx, timeouts, broken
connections, answers that break off, and pages of HTML with status 200 (a gateway's). Never tried again: any other
4xx, a redirect (none is followed), an answer too long to be one, and one that is JSON but not what was asked for
(`AnswerMalformed`). What is shown of the address is its host: a provider's path or user part may hold a key.
"""

import asyncio
import difflib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar, cast

import msgspec

from liqtruth.heatmap.errors import BadInput, LeftOut, LiqtruthError
from liqtruth.heatmap.words.notes import source_of
from liqtruth.heatmap.words.text import CLOCK_AHEAD, EARLIEST, expected_time, is_timely_ms
from liqtruth.indexer.errors import AnswerMalformed, WireError
from liqtruth.indexer.info.budget import (
    LONGEST_WAIT_S,
    TOO_MANY,
    Budget,
    Patience,
    RequestRefused,
    TransientError,
    check_status,
    check_whole,
    retry_after_s,
    too_many,
    weight_of,
)
from liqtruth.indexer.info.decoding import Decoder, ItemDecoder
from liqtruth.indexer.info.wire import (
    ClearinghouseState,
    DexAnswer,
    Meta,
    PerpDex,
    SpotClearinghouseState,
    decode_clearinghouse_state,
    decode_margin_table,
    decode_meta,
    decode_perp_dexs,
    decode_spot_state,
    with_tables,
)
from liqtruth.storage.files.coin_names import is_outcome
from liqtruth.storage.net.answers import shown_url, socket_url

if TYPE_CHECKING:
    from liqtruth.indexer.info.connections import Answer, Connections

T = TypeVar("T")

POSITIONS: Final = "positions"
"""Under which kind positions of accounts are left out."""
ALL: Final = "all"
MAIN: Final = ""
LAST_FLAT_TABLE: Final = 50
"""Margin tables of higher ids have tiers."""


class InfoClient:
    """One pool of connections to `base_url`; use as an async context manager.

    Methods raise `SourceUnreachable` when all attempts failed, `RequestRefused` for a 4xx, `WireError` for an answer
    of another shape or of an impossible time. `headers` are those of the last answer, `left_out` is what could not be
    read of answers that were used all the same.
    """

    def __init__(
        self,
        base_url: str,
        budget: Budget,
        timeout_s: float = 10.0,
        concurrency: int = 16,
        patience: Patience | None = None,
    ) -> None:
        self.shown_url = shown_url(base_url)
        self.budget = budget
        self.timeout_s = timeout_s
        self.patience = patience or Patience()
        self.headers: Mapping[str, str] = {}
        self.left_out = LeftOut()
        self.clock_warning = ""
        self._ahead_s = 0.0
        self._tables: dict[tuple[str, int], bytes] = {}
        self._url = base_url.rstrip("/") + "/info"
        self._concurrency = concurrency
        self._turn = asyncio.Semaphore(concurrency)
        self._open: Connections | None = None

    @property
    def _connections(self) -> "Connections":
        """Opened for the first request: who only looks at what is stored loads no HTTP."""
        if self._open is None:
            from liqtruth.indexer.info.connections import Connections

            self._open = Connections(self._url, self.shown_url, self.timeout_s, self._concurrency)
        return self._open

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            await self._open.close()

    @property
    def source(self) -> str:
        """Where answers come from; the sandbox says in its headers that it is synthetic."""
        return source_of(self.shown_url, self.headers.get("server", ""))

    async def post(
        self, request_type: str, *, items: int = 0, patience: Patience | None = None, **fields: Any
    ) -> bytes:
        """The answer to an info request, known to be whole JSON; `items` is how many are expected, as weight counts."""
        weight = weight_of(request_type, items)
        body = msgspec.json.encode({"type": request_type, **fields})
        return await (patience or self.patience).until_answered(
            lambda attempt: self._send(request_type, weight, body, attempt), request_type, self.shown_url
        )

    async def _send(self, request_type: str, weight: int, body: bytes, attempt: int) -> bytes:
        """Weight is paid once a connection is free, first come, first served, so that it is spent when paid."""
        async with self._turn, self.budget.spend(weight):
            answer = await self._connections.post(body)
        self.headers = answer.headers
        self._check_status(answer, request_type, attempt)
        check_whole(answer.content)
        return answer.content

    def _check_status(self, answer: "Answer", request_type: str, attempt: int) -> None:
        status = answer.status
        if status == TOO_MANY:
            wait_s = retry_after_s(answer.headers) or min(
                self.patience.pause_s * 2 ** (attempt - 1), LONGEST_WAIT_S
            )
            self.budget.hold(wait_s)
            raise TransientError(too_many(self.budget), wait_s)
        if status != 200:
            text = " ".join(answer.content[:120].decode(errors="replace").split())
            check_status(status, f"{self.shown_url}: {request_type}", f": {text}")

    async def ask(self, decode: Callable[[bytes, str], T], request_type: str, **fields: Any) -> T:
        """The decoded answer; items of it that could not be read are in `left_out`."""
        raw = await self.post(request_type, **fields)
        with _of_an_endpoint():
            if not isinstance(decode, ItemDecoder):
                return decode(raw, self.shown_url)
            answer, sifted = decode.read(raw, self.shown_url)
        self.left_out.note_all(f"items of {decode.kind}", sifted.problems)
        return cast(T, answer)

    async def clearinghouse_state(self, address: str, dex: str = "") -> ClearinghouseState:
        """The account in that dex; positions that could not be read are in its `left_out`, and in ours."""
        return await self.read_state(await self.post("clearinghouseState", user=address, dex=dex), address)

    async def read_state(self, raw: bytes, address: str) -> ClearinghouseState:
        """A state as it was sent, for `address`; raises `AnswerMalformed` for one that is none of now."""
        with _of_an_endpoint():
            state = decode_clearinghouse_state(raw, self.shown_url)
        if not is_timely_ms(state.time, self.now_s):
            await self.reported_time_s()  # it may have moved since: a sandbox lets it run faster
        if not is_timely_ms(state.time, self.now_s):
            now = datetime.fromtimestamp(self.now_s, UTC)
            raise AnswerMalformed(
                "clearinghouseState", self.shown_url, f"$.time is {state.time}: not {expected_time(now)}"
            )
        self.left_out.note_all(POSITIONS, (f"{address}: {problem}" for problem in state.left_out))
        return state

    async def spot_state(self, address: str) -> SpotClearinghouseState:
        return await self.ask(decode_spot_state, "spotClearinghouseState", user=address)

    async def meta(self, dex: str = "") -> Meta:
        return await self.ask(decode_meta, "meta", dex=dex)

    async def meta_and_asset_ctxs(self, dex: str = "") -> DexAnswer:
        raw = await self.post("metaAndAssetCtxs", dex=dex)
        with _of_an_endpoint():
            answer = DexAnswer.of(raw, self.shown_url, time.time())
        if not dex and not answer.meta.universe:
            raise AnswerMalformed(
                "metaAndAssetCtxs", self.shown_url, "$[0].universe is []: the main dex has assets"
            )
        self.left_out.note_all("coins of metaAndAssetCtxs", answer.meta.left_out)
        return await self._with_unlisted_tables(answer, dex)

    async def _with_unlisted_tables(self, answer: DexAnswer, dex: str) -> DexAnswer:
        """With the tiered margin tables that the dex's coins use and its meta does not list, each asked for once
        (weight 20); one that is not answered stays unknown, as its coin's prices are."""
        listed = {number for number, _ in answer.meta.margin_tables}
        used = {asset.margin_table_id for asset in answer.meta.universe}
        lacking = sorted(number for number in used - listed if number > LAST_FLAT_TABLE)
        for number in lacking:
            if (dex, number) not in self._tables:
                with suppress(RequestRefused, WireError):
                    raw = await self.post("marginTable", id=number, dex=dex)
                    decode_margin_table(raw, self.shown_url)
                    self._tables[dex, number] = raw
        found = {number: self._tables[dex, number] for number in lacking if (dex, number) in self._tables}
        return with_tables(answer, found, self.shown_url) if found else answer

    async def perp_dexs(self) -> list[PerpDex | None]:
        """In the exchange's order; None stands for the main dex."""
        return await self.ask(decode_perp_dexs, "perpDexs")

    @property
    def socket_url(self) -> str:
        """Where the exchange's websocket is."""
        return socket_url(self._url.removesuffix("/info"), "/ws")

    @property
    def ahead_s(self) -> float:
        """By how much the exchange's clock was ahead of ours when it was last reported."""
        return self._ahead_s

    @property
    def now_s(self) -> float:
        """The exchange's clock as it was last reported; ours where it was not."""
        return time.time() + self._ahead_s

    async def reported_time_s(self) -> float | None:
        """The exchange's clock; null where the endpoint reports none, or one that is not believed."""
        try:
            brief = replace(self.patience, attempts=min(self.patience.attempts, 2))
            reported_s = (
                _status(await self.post("exchangeStatus", patience=brief), self.shown_url).time / 1000
            )
        except LiqtruthError as error:
            self.clock_warning = "" if isinstance(error, RequestRefused) else str(error)
            reported_s = None
        now_s = time.time()
        if (
            reported_s is not None
            and not EARLIEST.timestamp() <= reported_s <= now_s + CLOCK_AHEAD.total_seconds()
        ):
            self.clock_warning = (
                f"{self.shown_url}: exchangeStatus reports a time {reported_s - now_s:+,.0f} s from this machine's "
                "clock, which is used instead"
            )
            reported_s = None
        self._ahead_s = 0.0 if reported_s is None else reported_s - now_s
        return reported_s


async def largest_markets(client: InfoClient, most: int) -> list[str]:
    """Coins of the main dex with the most open interest, largest first; asks for marks once (weight 20)."""
    answer = await client.meta_and_asset_ctxs()
    held_usd = [(ctx.open_interest or 0.0) * (ctx.mark_px or 0.0) for ctx in answer.ctxs]
    pairs = zip(held_usd, answer.meta.universe, strict=True)
    ranked = sorted((pair for pair in pairs if not is_outcome(pair[1].name)), key=lambda one: -one[0])
    return [asset.name for usd, asset in ranked[:most] if usd > 0]


class _Status(msgspec.Struct):
    time: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


_status = Decoder[_Status]("exchangeStatus", _Status)


async def exchange_time_s(client: InfoClient) -> float:
    """The exchange's clock; ours where an endpoint reports none, or one that is not believed."""
    reported = await client.reported_time_s()
    return time.time() if reported is None else reported


@contextmanager
def _of_an_endpoint() -> Iterator[None]:
    """What a decoder refuses within the block was an endpoint's answer."""
    try:
        yield
    except WireError as error:
        raise AnswerMalformed(error.kind, error.source, error.problem) from error


async def read_dexes(client: InfoClient, names: Sequence[str]) -> tuple[dict[str, DexAnswer], dict[str, str]]:
    """Markets of each dex, and why some could not be read; raises the error where none could, or the host is gone."""
    answers: dict[str, DexAnswer] = {}
    lost: dict[str, str] = {}
    for name in names:
        try:
            answers[name] = await client.meta_and_asset_ctxs(name)
        except LiqtruthError as error:
            lost[name] = str(error)
            if len(lost) == len(names) or (error.retryable and not answers and len(lost) > 1):
                raise
    return answers, lost


async def find_dexes(client: InfoClient, wanted: Sequence[str] | Literal["all"]) -> tuple[str, ...]:
    """The dexes to read, each once; asks the exchange (weight 20) unless only the main one is wanted.

    Raises `BadInput` for one that it does not list, and for none at all.
    """
    if isinstance(wanted, str) and wanted != ALL:
        wanted = [wanted]
    if not wanted:
        raise BadInput('no dex to read; "" is the main one')
    if list(wanted) == [MAIN]:
        return (MAIN,)
    listed = [MAIN if entry is None else entry.name for entry in await client.perp_dexs()]
    for name in () if wanted == ALL else wanted:
        if name not in listed:
            builders = [known for known in listed if known]
            near = difflib.get_close_matches(name, builders, n=3, cutoff=0.4) or builders
            raise BadInput(
                f"no dex {name!r} at {client.shown_url}; there are {', '.join(near) or 'none but the main one'}"
            )
    return tuple(dict.fromkeys(listed if wanted == ALL else wanted))
