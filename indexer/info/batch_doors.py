"""Where many accounts are asked for at once: the info endpoint itself, where it answers that, or a provider.

The public door is asked once per start whether it answers; what it said is kept with the moment (`batch.json`), for
people and for `liqtruth index status`. A provider's key comes from the environment and goes into one header, or into
the place of `{key}` in its address; it is sent over https alone, and is in no log, error or file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.info.batch_forms import PUBLIC, BatchForm, form_of, states_of
from liqtruth.indexer.info.batch_memory import Answered, remember
from liqtruth.indexer.info.budget import (
    TOO_MANY,
    Budget,
    Patience,
    RequestRefused,
    TransientError,
    check_status,
    check_whole,
    retry_after_s,
)
from liqtruth.indexer.info.client import InfoClient
from liqtruth.storage.net.keys import KEY_PLACE, KEY_REFUSED, check_private, sound_key, without_key
from liqtruth.storage.settings import PREFIX, Secret
from liqtruth.storage.store import Store

KEY_VARIABLE: Final = f"{PREFIX}BATCH_KEY"
USUAL_PER_MINUTE: Final = 60
"""Requests to a provider; plans differ, so this is below all that are documented."""
WORTH_ASKING: Final = 200
"""So many states or more to read, before the public door is asked for a weight of about ten of them."""
LARGEST_ANSWER: Final = 256 * 2**20
"""Of a provider: a thousand accounts of hundreds of positions."""
BATCH_TIMEOUT_S: Final = 30.0


class BatchEndpoint(NamedTuple):
    """Where a provider is asked, how often, and its key; null where it needs none."""

    url: str
    requests_per_minute: float | None = USUAL_PER_MINUTE
    key: Secret | None = None
    patience: Patience | None = None


class BatchDoor(Protocol):
    """Asks for many accounts at once; `shown` names it, without a key."""

    @property
    def form(self) -> BatchForm: ...

    @property
    def shown(self) -> str: ...

    async def ask(self, users: Sequence[str], dex: str) -> dict[str, bytes]:
        """States as they were sent, by address; raises `LiqtruthError`."""

    async def close(self) -> None: ...


@dataclass
class PublicDoor:
    """The info endpoint's own, through its client and within its budget."""

    client: InfoClient
    form: BatchForm = PUBLIC

    @property
    def shown(self) -> str:
        return self.client.shown_url

    async def ask(self, users: Sequence[str], dex: str) -> dict[str, bytes]:
        brief = replace(self.client.patience, attempts=min(self.client.patience.attempts, 2))
        raw = await self.client.post(
            self.form.method, items=len(users), patience=brief, users=list(users), dex=dex
        )
        return states_of(raw, users, self.shown)

    async def close(self) -> None:
        """Its connections are the client's."""


class ProviderDoor:
    """A provider's, with a budget of requests of its own; raises `BadInput` for an address or key that cannot be."""

    def __init__(self, endpoint: BatchEndpoint, timeout_s: float, data_dir: Path | None) -> None:
        from liqtruth.indexer.info.connections import Connections

        self._key = "" if endpoint.key is None else endpoint.key.get_secret_value()
        self.shown = check_private(endpoint.url, "--batch-url")
        self.form = form_of(endpoint.url)
        in_address = KEY_PLACE in endpoint.url
        url = endpoint.url.replace(KEY_PLACE, self._key)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key and not in_address else {}
        self._budget = Budget.shared(endpoint.requests_per_minute, endpoint.url, data_dir, door="batch")
        self._patience = endpoint.patience or Patience(attempts=3, total_s=60.0)
        self._connections = Connections(
            url, self.shown, max(timeout_s, BATCH_TIMEOUT_S), 4, headers, LARGEST_ANSWER
        )

    async def ask(self, users: Sequence[str], dex: str) -> dict[str, bytes]:
        body = self.form.body(users, dex)
        try:
            raw = await self._patience.until_answered(
                lambda _: self._send(body), self.form.method, self.shown
            )
            return states_of(raw, users, self.shown)
        except LiqtruthError as error:
            error.args = (without_key(str(error), self._key),)
            raise

    async def _send(self, body: bytes) -> bytes:
        async with self._budget.spend(1):
            answer = await self._connections.post(body)
        if answer.status == TOO_MANY:
            wait_s = retry_after_s(answer.headers) or self._patience.pause_s
            self._budget.hold(wait_s)
            raise TransientError("HTTP 429, too many requests: --batch-requests-per-minute", wait_s)
        if answer.status in KEY_REFUSED:
            raise KeyRefused(f"{self.shown}: HTTP {answer.status}, the key is refused: {KEY_VARIABLE}")
        check_status(answer.status, f"{self.shown}: {self.form.method}")
        check_whole(answer.content)
        return answer.content

    async def close(self) -> None:
        await self._connections.close()


class KeyRefused(RequestRefused):
    """A provider does not take the key: nothing smaller would be answered either."""


def endpoint_of(
    url: str, key: Secret | None, requests_per_minute: float | None = USUAL_PER_MINUTE
) -> BatchEndpoint:
    """Checked; raises `BadInput` for no address, one in the clear, or where `{key}` stands and no key is set."""
    check_private(url, "--batch-url")
    if KEY_PLACE in url or key is not None:
        key = Secret(sound_key(key, KEY_VARIABLE, "the provider of --batch-url"))
    return BatchEndpoint(url, requests_per_minute, key)


async def public_door(store: Store, client: InfoClient, users: Sequence[str]) -> PublicDoor | None:
    """The endpoint's own door where it answers for two of `users`; null, without a word, where it does not.

    What it said is remembered; an endpoint that is away says nothing.
    """
    door, asked = PublicDoor(client), list(users[:2])
    try:
        answered, reason = len(await door.ask(asked, "")) == len(asked), ""
    except LiqtruthError as error:
        if error.retryable:
            return None
        answered, reason = False, str(error)
    remember(store, client.shown_url, Answered(answered, datetime.now(UTC), reason))
    return door if answered else None


@dataclass
class BatchUse:
    """What a door was used for: `served` states out of `requests`; `singly` were expected of it and read one by one.
    `problem` says in a line why it was given up; empty where it was not."""

    shown: str
    form: BatchForm
    requests: int = 0
    served: int = 0
    singly: int = 0
    problem: str = ""
    checked: int = 0

    def describe(self) -> list[str]:
        """Lines for people."""
        who = f"{self.form.method} of {self.shown}"
        if self.problem and not self.served:
            return [f"{who} is not used: {self.problem}"]
        given_up = f"; then it was given up: {self.problem}" if self.problem else ""
        return [self._used(who) + given_up] if self.requests else []

    def _used(self, who: str) -> str:
        weight = ", each taken to weigh as much as single requests" if self.form is PUBLIC else ""
        rest = f"; {self.singly:,} were read one by one" if self.singly else ""
        return f"{self.served:,} states by {self.requests:,} requests, {who}{weight}{rest}"
