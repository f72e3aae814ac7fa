"""Raw answers of the info endpoint that were saved to files: what kind each is, of when, and the dex's meta.

An answer does not name its account, and older ones have no time: the address is the one given or the wrapping's,
else a label made of the file's name; the moment is the answer's own `time`, else its wrapping's, else the one given,
else a date in the file's path, else the file's modification time. Which of them it was is in the notes.
"""

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import expected_time, is_timely
from liqtruth.indexer.errors import ImportRefused, WireError
from liqtruth.indexer.files.answers.answers import (
    Answer,
    Entry,
    Unread,
    answers_of_document,
    answers_of_lines,
    first_documents,
    holds_answers,
    is_lines,
)
from liqtruth.indexer.info.decoding import repeated_key
from liqtruth.indexer.info.wire import (
    AssetCtx,
    ClearinghouseState,
    Meta,
    SpotClearinghouseState,
    decode_clearinghouse_state,
    decode_meta,
    decode_meta_and_asset_ctxs,
    decode_spot_state,
    split_meta_and_ctxs,
)
from liqtruth.storage.files.content import read_content

DATE: Final = re.compile(
    r"(20\d\d)-?([01]\d)-?([0-3]\d)(?:[T_-]?([0-2]\d)[:-]?([0-5]\d)(?:[:-]?([0-5]\d))?Z?)?"
)
OF_POSITIONS: Final = (
    *((f'"{name}"'.encode(), 1) for name in (
        "position", "coin", "szi", "leverage", "entryPx", "positionValue", "unrealizedPnl", "liquidationPx",
        "marginUsed", "maxLeverage", "value",
    )),
    (b'"type"', 2),
)  # fmt: skip
OF_ANSWERS: Final = (
    *((f'"{name}"'.encode(), 1) for name in (
        "marginSummary", "crossMarginSummary", "crossMaintenanceMarginUsed", "withdrawable", "time", "assetPositions",
    )),
    *((f'"{name}"'.encode(), 2) for name in ("accountValue", "totalNtlPos", "totalRawUsd", "totalMarginUsed")),
)  # fmt: skip
"""Fields of a position and of an answer, and how often it has each."""
Moment = tuple[datetime, Note | None]
"""A moment and, where it is not the answer's own nor its wrapping's, a note on where it is from."""


NAMED_FILE: Final = re.compile(r"(0x[0-9a-fA-F]{40})\b.*\.json", re.IGNORECASE)
LARGEST_ANSWER: Final = 2**22
PRINTED: Final = re.compile(rb"\s*\[?\s*\{\s*'")
"""The beginning of a dictionary, or of a list of some, as Python prints it: names in single quotes."""


@dataclass(frozen=True)
class MetaFile:
    """A dex's `meta` answer as sent, decoded, and the contexts where the file has them."""

    path: Path
    raw: bytes
    meta: Meta
    ctxs: list[AssetCtx] | None
    dex: str


def kind_of(content: bytes) -> str:
    """account, answers (wrapped, or of several), spot, meta or metaAndAssetCtxs by the fields of the JSON document;
    empty for anything else."""
    head = content.lstrip()[:1]
    if head == b"{":
        return _kind_of_object(content)
    if head == b"[":
        if re.match(rb'\s*\[\s*\{\s*"(universe|marginTables|collateralToken)"', content):
            return "metaAndAssetCtxs"
        return "answers" if _is_list_of_answers(content) else ""
    return ""


def as_json(content: bytes) -> bytes:
    """What a Python program printed of an answer (`print(info.user_state(...))`) as JSON; anything else as it is."""
    if not PRINTED.match(content) or len(content) > LARGEST_ANSWER:
        return content
    try:
        return json.dumps(ast.literal_eval(content.strip().decode()), allow_nan=False).encode()
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return content


def _is_list_of_answers(content: bytes) -> bool:
    documents = first_documents(content)
    if not documents:  # no whole JSON: recognised by what it still has
        return b'"assetPositions"' in content[: 1 << 20]
    return any(bytes(memoryview(one)[:1]) in (b"{", b"[") and holds_answers(one) for one in documents)


def _kind_of_object(content: bytes) -> str:
    """By its fields; a document that breaks off is recognised by the fields that it still has."""
    marks = (
        ("account", b'"assetPositions"', b'"marginSummary"'),
        ("meta", b'"universe"', b'"marginTables"'),
        ("spot", b'"balances"', b'"tokenToAvailableAfterMaintenance"'),
    )
    try:
        fields: Any = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except NOT_DECODED:
        if b"\n{" in content:
            return ""
        return next((kind for kind, *names in marks if any(name in content for name in names)), "")
    found = next((kind for kind, *names in marks if names[0].decode().strip('"') in fields), "")
    return found or ("answers" if holds_answers(content) else "")


def other_object(content: bytes) -> str:
    """The first fields of a JSON object that is no row of a table; empty for anything else."""
    if content.lstrip()[:1] != b"{":
        return ""
    try:
        fields: Any = msgspec.json.decode(content, type=dict[str, Any])
    except NOT_DECODED:
        return ""
    row = b"\n" not in content.strip() and not any(isinstance(v, dict | list) for v in fields.values())
    names = list(fields)[:6]
    return "" if row else ", ".join(names) + (", …" if len(fields) > len(names) else "")


def label_of(path: Path) -> str:
    """A name for whoever is in the file that its place makes unlike others: `file:folder/name`."""
    stem = Path(path.name.removesuffix(".gz")).stem
    return f"file:{path.resolve().parent.name}/{stem}".lower()


def read_state(
    raw: bytes | msgspec.Raw, source: str, undated: Callable[[], Moment]
) -> tuple[ClearinghouseState, Note | None]:
    """The state, and where its time is from if not from the answer; `undated` is asked where it has none.

    Raises `WireError` naming the JSON path and the value, and `ImportRefused` for a time that no clock can show.
    """
    how: Note | None = None
    raw = bytes(raw)
    sent = raw
    try:
        state = decode_clearinghouse_state(raw, source)
    except WireError:
        dated = _dated(raw, undated)
        if dated is None:
            raise
        raw, how = dated
        state = decode_clearinghouse_state(raw, source)
    if _may_repeat(sent, state) and (twice := repeated_key(sent)):
        raise ImportRefused(f"the key {twice!r} is there twice in one object; record it again")
    moment = datetime.fromtimestamp(state.time / 1000, UTC)
    if not is_timely(moment):
        raise ImportRefused(f"{source}: time {state.time} is {moment:%Y-%m-%d}, not {expected_time()}")
    return state, how


def _may_repeat(raw: bytes, state: ClearinghouseState) -> bool:
    """Whether a field is there more often than positions and sums are: a quick look before the slow one."""
    holdings = state.asset_positions
    unread = state.closed + len(state.left_out)
    isolated = sum(entry.position.leverage.raw_usd is not None for entry in holdings)
    most = {1: len(holdings) + unread, 2: 2 * (len(holdings) + unread)}
    return (
        any(raw.count(name) > most[each] for name, each in OF_POSITIONS)
        or any(raw.count(name) > times for name, times in OF_ANSWERS)
        or raw.count(b'"rawUsd"') > isolated + unread
        or b"\\u" in raw
    )


def _dated(raw: bytes | msgspec.Raw, undated: Callable[[], Moment]) -> tuple[bytes, Note | None] | None:
    """An answer without a time with one; nothing where it has one or is no answer."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except NOT_DECODED:
        return None
    if "time" in fields:
        return None
    moment, how = undated()
    return msgspec.json.encode({**fields, "time": int(moment.timestamp() * 1000)}), how


def when(path: Path, as_of: datetime | None) -> Moment:
    """The moment of a file that does not say it, and where that moment is from; a date of the future is none."""
    if as_of is not None:
        return as_of, note("dated_as_given", at=f"{as_of:%Y-%m-%dT%H:%M}Z")
    if found := (DATE.search(path.name) or DATE.search(path.resolve().parent.name)):
        parts = [int(part) for part in found.groups() if part is not None]
        try:
            moment = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
        except ValueError:
            moment = datetime.max.replace(tzinfo=UTC)
        if is_timely(moment):
            return moment, note("dated_by_path", at=f"{moment:%Y-%m-%dT%H:%M}Z")
    moment = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    if not is_timely(moment):
        raise ImportRefused(
            f"{path}: the answer has no time, and the file's is {moment:%Y-%m-%d}; give --as-of"
        )
    return moment, note("dated_by_file", at=f"{moment:%Y-%m-%dT%H:%M}Z")


def read_spot(path: Path) -> SpotClearinghouseState:
    """The spot state; raises `WireError`."""
    return decode_spot_state(read_content(path), str(path))


def read_meta(path: Path, dex: str) -> MetaFile:
    """A `meta` or `metaAndAssetCtxs` answer; raises `WireError`, and `ImportRefused` for anything else.

    Its dex is what its assets' names are prefixed with; `dex` where they have none.
    """
    content = read_content(path)
    kind = kind_of(content)
    if kind == "metaAndAssetCtxs":
        meta, ctxs = decode_meta_and_asset_ctxs(content, str(path))
        return MetaFile(path, split_meta_and_ctxs(content)[0], meta, ctxs, _dex_of(meta, dex, path))
    if kind == "meta":
        meta = decode_meta(content, str(path))
        return MetaFile(path, content, meta, None, _dex_of(meta, dex, path))
    raise ImportRefused(f"{path}: neither a `meta` nor a `metaAndAssetCtxs` answer")


def _dex_of(meta: Meta, dex: str, path: Path) -> str:
    prefixes = {prefix_of(asset.name) for asset in meta.universe}
    if len(prefixes) > 1:
        raise ImportRefused(f"{path}: assets of several dexes in one meta: {', '.join(sorted(prefixes))}")
    return (prefixes.pop() if prefixes else "") or dex


def prefix_of(coin: str) -> str:
    """The builder dex that the coin's name says; empty for the main dex."""
    prefix, colon, _ = coin.partition(":")
    return prefix if colon else ""


def answers_of_folder(folder: Path, content_of: Callable[[Path], bytes]) -> Iterator[Entry]:
    """The answers of the files below a folder that are named after an address; where none is, of all that hold any."""
    any_named = any(NAMED_FILE.match(path.name) for path in files_below(folder))
    for path in files_below(folder):
        name = path.name
        named = NAMED_FILE.match(name)
        if any_named and not named:
            yield Unread(name, "not named after an address", is_other=True)
            continue
        who = Answer(name, b"", address=named[1].lower() if named else None)
        try:
            content = _plain_object(path) or content_of(path)
            if is_lines(content):
                yield from answers_of_lines(content.split(b"\n"), who)
            elif named or any(map(holds_answers, first_documents(content))):
                yield from answers_of_document(content, who)
            else:
                yield Unread(name, "not an account's answer", is_other=True)
        except BadInput as error:
            yield Unread(name, str(error), is_other=named is None)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below `folder` that is not hidden, in their order."""
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _plain_object(path: Path) -> bytes:
    """The content of an ordinary file that is no larger than an account and begins as its answer does; else nothing."""
    if not path.is_file():
        return b""
    try:
        with path.open("rb", buffering=0) as file:
            content = file.read(LARGEST_ANSWER)
    except OSError:
        return b""
    return content if content.startswith(b"{") and len(content) < LARGEST_ANSWER else b""
