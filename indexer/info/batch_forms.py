"""Many accounts in one request: what each door calls it, how many accounts it takes, and what its answer holds.

The exchange documents no such request, and reports of whether its public endpoint answers one contradict each other.
Providers do: the names and sizes below are their documentation's of 2026. None of it was verified on a live endpoint;
`liqtruth doctor --live` looks at the public one, and before any answer is used the first accounts are compared with
`clearinghouseState`.

    door         request                                        accounts  key
    public       `batchClearinghouseStates` of the info endpoint      50  none
    Hydromancer  the same                                          1,000  bearer
    GoldRush     `batchClearinghouseState`, the same otherwise        50  bearer
    QuickNode    `hl_batchClearinghouseStates`, JSON-RPC           1,000  in the address
    Alchemy      the same                                            100  in the address

The public number is ours: nobody states its weight, so it is taken to weigh as much as so many single requests. So is
Alchemy's, whose preview states none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.errors import WireError

MOST: Final = 1_000
OWNERS: Final = ("address", "user", "wallet")
STATES: Final = ("data", "state", "clearinghouseState")
WRAPPINGS: Final = ("result", "successful_states", "states", "clearinghouseStates")
DEEPEST: Final = 4
NOTHING: Final = msgspec.Raw(b"null")


@dataclass(frozen=True)
class BatchForm:
    """One door's request: its `method`, and how many accounts it takes at `most`; `host` is the end of its name."""

    name: str
    method: str
    most: int = MOST
    by_rpc: bool = False
    host: str = ""

    def body(self, users: Sequence[str], dex: str) -> bytes:
        """The request for `users` in one dex; the main one is the empty name everywhere."""
        asked: dict[str, Any] = {"users": list(users), "dex": dex}
        if self.by_rpc:
            return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": self.method, "params": asked})
        return msgspec.json.encode({"type": self.method, **asked})


INFO_METHOD: Final = "batchClearinghouseStates"
RPC_METHOD: Final = f"hl_{INFO_METHOD}"
PUBLIC: Final = BatchForm("public", INFO_METHOD, 50)
PROVIDERS: Final = (
    BatchForm("Hydromancer", INFO_METHOD, host="hydromancer.xyz"),
    BatchForm("GoldRush", "batchClearinghouseState", 50, host="goldrushdata.com"),
    BatchForm("QuickNode", RPC_METHOD, by_rpc=True, host="quiknode.pro"),
    BatchForm("Alchemy", RPC_METHOD, 100, by_rpc=True, host="g.alchemy.com"),
)


def form_of(url: str) -> BatchForm:
    """That of a provider by its host; of anyone else an info endpoint's where the path ends in it, else JSON-RPC."""
    address = urlsplit(url)
    host = address.hostname or ""
    for form in PROVIDERS:
        if host == form.host or host.endswith(f".{form.host}"):
            return form
    by_rpc = not address.path.rstrip("/").endswith("/info")
    return BatchForm("provider", RPC_METHOD if by_rpc else INFO_METHOD, by_rpc=by_rpc)


def states_of(raw: bytes, users: Sequence[str], source: str) -> dict[str, bytes]:
    """The state of each of `users` that the answer has, as it was sent, by address in lower case.

    An answer is a list parallel to the users (null for who could not be read), a list of states with their owners, or
    an object by address, wrapped or not. Raises `WireError` where it is none, where a list is not as long as what was
    asked, and where one account has two answers.
    """
    try:
        found = _states(msgspec.Raw(raw), users, 0)
    except WireError:
        raise
    except (*NOT_DECODED, ValueError) as error:
        raise WireError("batch of states", source, str(error)) from None
    asked = {user.lower() for user in users}
    return {address: state for address, state in found.items() if address in asked}


def _states(raw: msgspec.Raw, users: Sequence[str], depth: int) -> dict[str, bytes]:
    if depth > DEEPEST:
        raise ValueError("nested too deep")
    if _opens(raw, b"["):
        return _of_list(msgspec.json.decode(raw, type=list[msgspec.Raw]), users)
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if refused := members.get("error"):
        raise ValueError(f"refused: {bytes(refused)[:120].decode(errors='replace')}")
    for name in WRAPPINGS:
        if name in members:
            return _states(members[name], users, depth + 1)
    by_address = {name.lower(): bytes(state) for name, state in members.items() if name.startswith("0x")}
    if not by_address and members:
        raise ValueError(f"no states in it; its fields are {', '.join(list(members)[:5])}")
    return {address: state for address, state in by_address.items() if state != NOTHING}


def _of_list(entries: Sequence[msgspec.Raw], users: Sequence[str]) -> dict[str, bytes]:
    """By the owners that entries name, else by their places."""
    named = [_named(entry) for entry in entries]
    if entries and all(owner for owner, _ in named):
        found: dict[str, bytes] = {}
        for owner, state in named:
            if found.setdefault(owner, state) != state:
                raise ValueError(f"{owner} has two answers")
        return found
    if len(entries) != len(users):
        raise ValueError(f"{len(entries)} states for {len(users)} accounts")
    pairs = zip(users, entries, strict=True)
    return {user.lower(): bytes(entry) for user, entry in pairs if entry != NOTHING}


def _named(entry: msgspec.Raw) -> tuple[str, bytes]:
    """Owner and state of an entry that names its owner; an empty owner where it does not."""
    if not _opens(entry, b"{"):
        return "", b""
    members: Mapping[str, msgspec.Raw] = msgspec.json.decode(entry, type=dict[str, msgspec.Raw])
    owner = next((members[name] for name in OWNERS if name in members), None)
    state = next((members[name] for name in STATES if name in members), None)
    if owner is None or state is None:
        return "", b""
    return msgspec.json.decode(owner, type=str).lower(), bytes(state)


def _opens(raw: msgspec.Raw, bracket: bytes) -> bool:
    return bytes(raw).lstrip()[:1] == bracket
