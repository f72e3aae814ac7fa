"""States of many accounts in one answer: the info endpoint's own, where it is said to have one, and a provider's.

Off unless asked for, as on the exchange, which documents none: then the request is refused with 422. The public answer
is a list parallel to the users. A provider answers at `/hypercore` by JSON-RPC, states with their owners beside those
that failed, and at `/hypercore/info` as the public endpoint does; it asks for a key where one is set, as a bearer's or
in the path.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from liqtruth.sandbox.errors import SandboxRefused

Json = Any
PUBLIC, PROVIDER, BOTH = "public", "provider", "both"
PLACE: Final = "/hypercore"
BY_INFO: Final = "batchClearinghouseStates"
BY_RPC: Final = f"hl_{BY_INFO}"
State = Callable[[str, str], Json]


@dataclass
class Batches:
    """What is served, and what goes wrong; may be changed while the server runs.

    `most` accounts are taken in a request; of `absent` ones nothing is answered; with `shifted` every account gets the
    state of the next, and with `only_main` every dex is answered as the main one. `down` answers 503.
    """

    public: bool = False
    provider: bool = False
    key: str = ""
    most: int = 1000
    absent: frozenset[str] = frozenset()
    shifted: bool = False
    only_main: bool = False
    down: bool = False

    @classmethod
    def named(cls, text: str) -> "Batches":
        """From a comma-separated list of `public` and `provider`, or `both`."""
        if text == BOTH:
            return cls(public=True, provider=True)
        names = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in names if name not in (PUBLIC, PROVIDER)]:
            raise SandboxRefused(f"--batch must be {PUBLIC}, {PROVIDER} or {BOTH}, got {unknown[0]!r}")
        return cls(public=PUBLIC in names, provider=PROVIDER in names)

    def listed(self, users: object, dex: str, state: State) -> list[Json] | None:
        """A state for each of the users, null for who is absent; null where the list is refused."""
        if not isinstance(users, list) or not 0 < len(users) <= self.most:
            return None
        asked = [str(user).lower() for user in users]
        shown = [*asked[1:], asked[0]] if self.shifted else asked
        where = "" if self.only_main else dex
        return [
            None if user in self.absent else state(other, where)
            for user, other in zip(asked, shown, strict=True)
        ]

    def respond(self, path: str, body: Mapping[str, Any], key: str, state: State) -> tuple[int, Json]:
        """A provider's answer: status and content."""
        if not self.provider:
            return 404, None
        if self.down:
            return 503, None
        if self.key and key != f"Bearer {self.key}" and self.key not in path.split("/"):
            return 401, {"error": "unauthorised", "given": key}
        by_rpc = not path.endswith("/info")
        asked = body.get("params") if by_rpc else body
        if body.get("method" if by_rpc else "type") != (BY_RPC if by_rpc else BY_INFO):
            return 422, None
        if not isinstance(asked, dict):
            return 422, None
        states = self.listed(asked.get("users"), str(asked.get("dex") or ""), state)
        if states is None:
            return 400, {"error": f"at most {self.most} users"}
        return 200, _with_owners(asked["users"], states) if by_rpc else states


def _with_owners(users: Sequence[str], states: Sequence[Json]) -> Json:
    found = [
        {"address": user, "data": state}
        for user, state in zip(users, states, strict=True)
        if state is not None
    ]
    failed = [
        {"address": user, "error": "not found"}
        for user, state in zip(users, states, strict=True)
        if state is None
    ]
    return {"jsonrpc": "2.0", "id": 1, "result": {"successful_states": found, "failed_wallets": failed}}
