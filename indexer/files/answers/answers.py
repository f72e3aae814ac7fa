"""Answers about accounts in whatever they were saved in: whose each is, of which dex, and the state itself.

A file may hold one answer, JSON lines or an array of them, an object from addresses to answers, or frames of the
websocket; a folder one file per account, named after its address. All are the same to this module: it takes wrappings
off until a `clearinghouseState` is left, and hands on what the wrappings state. It decodes no state.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.discovery.address_lists import ADDRESS
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.files.answers.wrappings import (
    ASKED,
    BESIDE,
    LIST,
    LISTS,
    MANY,
    MEMBERS,
    MODES,
    NULL,
    OWNERS,
    PAIRS,
    SPOTS,
    STATES,
    TIMES,
    WRAPPING,
    Raw,
    Wrapping,
    lost_some,
    moment_of,
    opens,
    refuse_repeated,
    text_of,
    twice_told,
)

NO_POSITIONS: Final = ("webData3", "subscriptionResponse", "pong")
"""Channels whose frames carry no positions."""
DEEPEST: Final = 5
"""Wrappings around one state; a document that is nested deeper is none of these."""
FIRST_LINES: Final = 50
"""So many lines are tried to find what a file of JSON lines is."""


class Answer(msgspec.Struct, frozen=True):
    """One state as it was sent, and what its wrapping states about it; `where` names it in a message."""

    where: str
    state: bytes | Raw
    address: str | None = None
    dex: str | None = None
    spot: Raw | None = None
    mode: str | None = None
    stated_at: int | str | None = None


class Unread(msgspec.Struct, frozen=True):
    """An entry without a state that could be taken out of it, and why."""

    where: str
    problem: str
    is_other: bool = False
    """A file of a folder that is none of an account: noted, and not missed."""


Entry = Answer | Unread


def holds_answers(document: bytes | Raw) -> bool:
    """Whether a JSON object is one answer or wraps some; false for the row of a table and anything else."""
    try:
        entry = WRAPPING.decode(document)
        if entry.data and (entry.channel or entry.first_of(*OWNERS) or _asked(entry)):
            return True
        if entry.first_of("asset_positions") or (entry.margin_summary and opens(entry.margin_summary, b"{")):
            return True
        wrapped = (getattr(entry, name) for name in (*STATES, *MANY))
        if any(opens(value, b"{[") or bytes(value) == b"null" for value in wrapped if value):
            return True
        if any(_holds_some(value) for value in (getattr(entry, name) for name in LISTS) if value):
            return True
        members = MEMBERS.decode(document)
    except NOT_DECODED:
        return False
    return any(
        ADDRESS.fullmatch(name) and (opens(one, b"{[") or one == NULL) for name, one in members.items()
    )


def _holds_some(listed: Raw) -> bool:
    return opens(listed, b"[") and any(
        opens(one, b"{") and holds_answers(one) for one in LIST.decode(listed)[:1]
    )


def answers_of_document(content: bytes, who: Answer) -> Iterator[Entry]:
    """The answers of one JSON document, an array or an object; `who` is what is known from outside."""
    if not content.lstrip().startswith(b"["):
        yield from unwrapped(replace(who, state=content))
        return
    try:
        entries = LIST.decode(content)
    except NOT_DECODED as error:
        cut = "truncated" in str(error)
        problem = f"cut off after {len(content)} bytes" if cut else f"not JSON: {error}"
        raise WireError("list of answers", who.where, problem) from None
    for number, entry in enumerate(entries, 1):
        yield from unwrapped(replace(who, where=f"{who.where}: entry {number}", state=entry))


def answers_of_lines(lines: Iterable[bytes], who: Answer) -> Iterator[Entry]:
    """The answers of JSON lines; a line that cannot be read is one unread entry."""
    for number, line in enumerate(lines, 1):
        if line and not line.isspace():
            yield from unwrapped(replace(who, where=f"{who.where}: line {number}", state=line))


def is_lines(content: bytes) -> bool:
    """Whether it is JSON lines of answers: several objects, of which one of the first does hold any."""
    if not content.lstrip().startswith(b"{"):
        return False
    lines = [line for line in content[: 1 << 22].split(b"\n", FIRST_LINES)[:FIRST_LINES] if line.strip()]
    return len(lines) > 1 and any(line.lstrip()[:1] == b"{" and holds_answers(line) for line in lines)


def first_documents(content: bytes) -> list[bytes | Raw]:
    """The document, or the first entries of an array; none where it is no JSON."""
    if not content.lstrip().startswith(b"["):
        return [content]
    try:
        return list(LIST.decode(content)[:FIRST_LINES])
    except NOT_DECODED:
        return []


def unwrapped(entry: Answer, depth: int = 0) -> Iterator[Entry]:
    """The states inside `entry.state`, with what this wrapping and those around it state; never raises."""
    try:
        if depth > DEEPEST:
            raise ValueError("nested too deep")
        if opens(entry.state.lstrip() if isinstance(entry.state, bytes) else entry.state, b"["):
            for inner in LIST.decode(entry.state):
                yield from unwrapped(replace(entry, state=inner), depth + 1)
            return
        wrapping = WRAPPING.decode(entry.state)
        who = _with_wrapping(wrapping, entry)
        if wrapping.asset_positions or wrapping.margin_summary:
            yield who
        else:
            yield from _inside(wrapping, who, depth)
    except NOT_DECODED as error:
        yield Unread(entry.where, f"not readable as an answer ({error}): {_start(entry.state)}")
    except ValueError as error:
        yield Unread(entry.where, str(error))


def _with_wrapping(wrapping: Wrapping, outer: Answer) -> Answer:
    """`outer` with what the wrapping adds; two addresses or dexes that differ raise `ValueError`."""
    address = _owner(wrapping)
    dex = text_of(wrapping.first_of("dex"))
    if request := wrapping.first_of("request"):
        asked = WRAPPING.decode(request)
        address, dex = address or text_of(asked.first_of(*OWNERS)), dex or text_of(asked.first_of("dex"))
    if address and outer.address and address.lower() != outer.address.lower():
        raise ValueError(f"it is named {address[:50]!r}, its place {outer.address!r}")
    return replace(
        outer,
        address=address or outer.address,
        dex=outer.dex if dex is None else dex,
        spot=wrapping.first_of(*SPOTS) or outer.spot,
        mode=text_of(wrapping.first_of(*MODES)) or outer.mode,
        stated_at=moment_of(wrapping.first_of(*TIMES)) or outer.stated_at,
    )


def _owner(wrapping: Wrapping) -> str | None:
    """Whose it is; two fields that name two accounts raise `ValueError`."""
    reported = [value for name in OWNERS if (value := getattr(wrapping, name)) and value != NULL]
    if len(reported) > 1:
        texts = [text_of(value) for value in reported if opens(value, b'"')]
        named = sorted({text.lower() for text in texts if text and ADDRESS.fullmatch(text)})
        if len(named) > 1:
            raise ValueError(f"it names two accounts, {named[0]} and {named[1]}")
    return text_of(reported[0]) if reported else None


def _inside(wrapping: Wrapping, who: Answer, depth: int) -> Iterator[Entry]:
    members = MEMBERS.decode(who.state)
    if not any(map(ADDRESS.fullmatch, members)):
        refuse_repeated(who.state, members)
    channel = text_of(wrapping.first_of("channel"))
    if channel in NO_POSITIONS and not (wrapping.data and b"assetPositions" in bytes(wrapping.data)):
        return  # nothing was lost: such frames hold no positions
    yield from _failed(wrapping, who)
    users, batch = _asked(wrapping), wrapping.first_of("data", *STATES, *MANY, *LISTS)
    if users and batch and opens(batch, b"["):
        yield from _of_batch(users, batch, who, depth)
    elif inner := wrapping.first_of("data", *STATES):
        yield from unwrapped(replace(who, state=inner), depth + 1)
    elif listed := wrapping.first_of(*LISTS):
        for number, inner in enumerate(LIST.decode(listed), 1):
            yield from unwrapped(replace(who, where=f"{who.where}: entry {number}", state=inner), depth + 1)
    elif many := wrapping.first_of(*MANY):
        for dex, state in _by_dex(many):
            yield from unwrapped(replace(who, state=state, dex=who.dex if dex is None else dex), depth + 1)
    else:
        yield from _by_address(who, depth)


def _asked(wrapping: Wrapping) -> list[str | None]:
    """The accounts that a batch was asked of, as the file states them beside the answers."""
    request = wrapping.first_of("request")
    for one in (wrapping, *([WRAPPING.decode(request)] if request else [])):
        if (listed := one.first_of(*ASKED)) and opens(listed, b"["):
            return [text_of(user) for user in LIST.decode(listed)]
    return []


def _failed(wrapping: Wrapping, who: Answer) -> Iterator[Entry]:
    """Accounts that the provider itself could not read."""
    if (listed := wrapping.first_of("failed_wallets")) and opens(listed, b"["):
        for number, one in enumerate(LIST.decode(listed), 1):
            yield Unread(
                f"{who.where}: failed wallet {number}", f"its sender could not read it: {_start(one)}"
            )


def _of_batch(users: list[str | None], answers: Raw, who: Answer, depth: int) -> Iterator[Entry]:
    """The answers of a batch, each with its account; raises `ValueError` where they are not as many."""
    states = LIST.decode(answers)
    if len(states) != len(users):
        raise ValueError(f"answers must be as many as users, got {len(states)} and {len(users)}")
    for number, (user, state) in enumerate(zip(users, states, strict=True), 1):
        where = f"{who.where}: answer {number}"
        if state == NULL:
            yield Unread(where, f"null, not a state, of {user}")
        else:
            yield from unwrapped(replace(who, where=where, address=user, state=state), depth + 1)


def _by_dex(many: Raw) -> list[tuple[str | None, Raw]]:
    """States of several dexes: pairs, an object by dex, or a list of answers."""
    if opens(many, b"{"):
        return list(MEMBERS.decode(many).items())
    try:
        return list(PAIRS.decode(many))
    except msgspec.ValidationError:
        return [(None, entry) for entry in LIST.decode(many)]


def _by_address(who: Answer, depth: int) -> Iterator[Entry]:
    members = MEMBERS.decode(who.state)
    if not any(map(ADDRESS.fullmatch, members)):
        fields = ", ".join(list(members)[:5])
        raise ValueError(f"no account's state in it; its fields are {fields or 'none'}")
    twice = twice_told(who.state) if lost_some(who.state, members) else set()
    for name, state in members.items():
        where = f"{who.where}: {name[:60]}"
        if not ADDRESS.fullmatch(name):
            if name not in BESIDE:
                yield Unread(where, f"{name[:60]!r} is no address (0x and 40 hexadecimal digits)")
        elif name in twice:
            yield Unread(where, "it is there twice in one object, with different answers")
        elif state == NULL:
            yield Unread(where, "null, not a state")
        else:
            yield from unwrapped(replace(who, where=where, address=name, state=state), depth + 1)


def _start(state: bytes | Raw) -> str:
    return repr(bytes(memoryview(state)[:40]).decode("utf-8", errors="replace"))
