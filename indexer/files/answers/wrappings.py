"""What answers about accounts are wrapped in: the fields by which a state, its account, dex, mode and moment stand
somewhere, and keys that stand in one object twice."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from liqtruth.indexer.info.decoding import repeated_key

Raw = msgspec.Raw
NULL: Final = Raw(b"null")


class Wrapping(msgspec.Struct, gc=False, rename="camel"):
    """Every field by which an account's state is wrapped somewhere; a field that is absent is empty."""

    address: Raw = Raw()
    user: Raw = Raw()
    wallet: Raw = Raw()
    account: Raw = Raw()
    addr: Raw = Raw()
    users: Raw = Raw()
    addresses: Raw = Raw()
    wallets: Raw = Raw()
    sub_account_user: Raw = Raw()
    dex: Raw = Raw()
    state: Raw = Raw()
    clearinghouse_state: Raw = Raw()
    perp: Raw = Raw()
    response: Raw = Raw()
    result: Raw = Raw()
    clearinghouse_states: Raw = Raw()
    states: Raw = Raw()
    snapshots: Raw = Raw()
    accounts: Raw = Raw()
    results: Raw = Raw()
    dex_to_clearinghouse_state: Raw = Raw()
    perp_dex_states: Raw = Raw()
    spot: Raw = Raw()
    spot_state: Raw = Raw()
    spot_clearinghouse_state: Raw = Raw()
    mode: Raw = Raw()
    abstraction: Raw = Raw()
    user_abstraction: Raw = Raw()
    channel: Raw = Raw()
    data: Raw = Raw()
    request: Raw = Raw()
    asset_positions: Raw = Raw()
    margin_summary: Raw = Raw()
    time: Raw = Raw()
    as_of: Raw = msgspec.field(default=Raw(), name="as_of")
    successful_states: Raw = msgspec.field(default=Raw(), name="successful_states")
    failed_wallets: Raw = msgspec.field(default=Raw(), name="failed_wallets")
    captured_at: Raw = msgspec.field(default=Raw(), name="captured_at")
    snake_state: Raw = msgspec.field(default=Raw(), name="clearinghouse_state")
    snake_spot: Raw = msgspec.field(default=Raw(), name="spot_clearinghouse_state")
    snake_mode: Raw = msgspec.field(default=Raw(), name="user_abstraction")
    ts: Raw = Raw()
    timestamp: Raw = Raw()
    server_time: Raw = Raw()

    def first_of(self, *names: str) -> Raw | None:
        """The first of the fields that is there and not null."""
        for name in names:
            value = getattr(self, name)
            if value and value != NULL:
                return value  # type: ignore[no-any-return]
        return None


OWNERS: Final = ("address", "user", "wallet", "sub_account_user", "account", "addr")
ASKED: Final = ("users", "addresses", "wallets")
"""Accounts of a batch, whose answers are in the order in which they were asked for."""
STATES: Final = ("clearinghouse_state", "snake_state", "state", "perp", "response", "result")
MANY: Final = ("clearinghouse_states", "dex_to_clearinghouse_state", "states", "perp_dex_states")
LISTS: Final = ("snapshots", "accounts", "results", "successful_states")
SPOTS: Final = ("spot_clearinghouse_state", "snake_spot", "spot_state", "spot")
MODES: Final = ("user_abstraction", "snake_mode", "abstraction", "mode")
TIMES: Final = ("time", "as_of", "timestamp", "ts", "captured_at", "server_time")
BESIDE: Final = frozenset(Wrapping.__struct_encode_fields__)
"""What may stand beside the accounts of an object from addresses to answers."""
WRAPPING = msgspec.json.Decoder(Wrapping)
LIST = msgspec.json.Decoder(list[Raw])
PAIRS = msgspec.json.Decoder(list[tuple[str, Raw]])
MEMBERS = msgspec.json.Decoder(dict[str, Raw])


def opens(value: bytes | Raw, brackets: bytes) -> bool:
    """Whether it begins with one of the brackets."""
    first = bytes(memoryview(value)[:1])
    return first != b"" and first in brackets


def refuse_repeated(document: bytes | Raw, members: Mapping[str, Raw]) -> None:
    """Raise `ValueError` for a key that the wrapping has twice."""
    if lost_some(document, members) and (twice := repeated_key(bytes(document), top_only=True)):
        raise ValueError(f"the key {twice[:50]!r} is there twice in one object")


def lost_some(document: bytes | Raw, members: Mapping[str, Raw]) -> bool:
    """Whether an object is longer than its members are together: it had more of them, or escapes in their names."""
    names = sum(_ink(name.encode("utf-8", "replace")) + 2 for name in members)
    return _ink(document) != names + sum(map(_ink, members.values())) + 2 * len(members) + 1


def _ink(text: bytes | Raw) -> int:
    """Length without white space."""
    text = bytes(text)
    return len(text) - sum(map(text.count, (b" ", b"\n", b"\r", b"\t")))


def twice_told(document: bytes | Raw) -> set[str]:
    """Names that the object has twice with different values."""
    pairs: list[tuple[str, Any]] = json.loads(bytes(document), object_pairs_hook=list)
    first: dict[str, Any] = {}
    return {name for name, value in pairs if first.setdefault(name, value) != value}


def text_of(raw: Raw | None) -> str | None:
    """Null where there is none; raises what decoders raise where it is no text."""
    return None if raw is None else str(msgspec.json.decode(raw, type=str))


def moment_of(raw: Raw | None) -> int | str | None:
    """A time as it was written; null where that is neither number nor text."""
    text: Any = None if raw is None else msgspec.json.decode(raw)
    return text if isinstance(text, int | str) and not isinstance(text, bool) else None
