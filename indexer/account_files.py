"""Raw answers of the info endpoint that were saved to files: one account's state, its spot state, a dex's meta.

The account answer does not say whose it is and older ones not when: the address is the one given, else a label made
of the file's name; the moment is the answer's own `time`, else the one given, else a date in the file's path, else
the file's modification time. Which of them it was is said in the notes.
"""

import gzip
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from heatmap.decoding import NOT_DECODED
from heatmap.money import counted
from indexer.errors import ImportRefused
from indexer.universe import split_meta_and_ctxs
from indexer.wire import (
    AssetCtx,
    ClearinghouseState,
    Meta,
    SpotClearinghouseState,
    decode_clearinghouse_state,
    decode_meta,
    decode_meta_and_asset_ctxs,
    decode_spot_state,
)

ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
DATE: Final = re.compile(
    r"(20\d\d)-?([01]\d)-?([0-3]\d)(?:[T_-]?([0-2]\d)[:-]?([0-5]\d)(?:[:-]?([0-5]\d))?Z?)?"
)


@dataclass(frozen=True)
class AccountFile:
    """One account's state as a file holds it, with whose and of when it is taken to be."""

    path: Path
    address: str
    state: ClearinghouseState
    as_of: datetime
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MetaFile:
    """A dex's `meta` answer as sent, decoded, and the contexts where the file has them."""

    path: Path
    raw: bytes
    meta: Meta
    ctxs: list[AssetCtx] | None


def read_content(path: Path) -> bytes:
    """The file's bytes, unpacked where it is gzip; raises `ImportRefused` naming it."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise ImportRefused(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImportRefused(f"{path}: cannot be read: {reason}") from error


def kind_of(content: bytes) -> str:
    """account, spot, meta or metaAndAssetCtxs by the fields of the JSON document; empty for anything else."""
    head = content.lstrip()[:1]
    if head == b"{":
        return _kind_of_object(content)
    if head == b"[" and content.lstrip()[1:].lstrip()[:1] == b"{":
        found = re.match(rb'\s*\[\s*\{\s*"(universe|marginTables|collateralToken)"', content)
        return "metaAndAssetCtxs" if found else ""
    return ""


def _kind_of_object(content: bytes) -> str:
    """By its fields; a document that breaks off is told by the fields that it still has."""
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
    return next((kind for kind, *names in marks if names[0].decode().strip('"') in fields), "")


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


def check_address(text: str) -> str:
    """The address in lower case; raises `ImportRefused` for what is none."""
    folded = text.strip().lower()
    if not ADDRESS.fullmatch(folded):
        raise ImportRefused(f"--address: {text!r} is no address; write 0x and 40 hexadecimal digits")
    return folded


def read_account(path: Path, content: bytes, address: str | None, as_of: datetime | None) -> AccountFile:
    """The account's state; raises `WireError` naming the JSON path and the value."""
    notes = (
        []
        if address
        else [f"the answer does not say whose it is: kept as {label_of(path)} (--address names it)"]
    )
    content, moment, how = _dated(path, content, as_of)
    state = decode_clearinghouse_state(content, str(path))
    if how:
        notes.append(how)
    if state.closed:
        notes.append(f"{counted(state.closed, 'closed position')} (size zero) passed over")
    if state.left_out:
        notes.append(f"{counted(len(state.left_out), 'position')} left out: {state.left_out[0]}")
    return AccountFile(path, address or label_of(path), state, moment, tuple(notes))


def _dated(path: Path, content: bytes, as_of: datetime | None) -> tuple[bytes, datetime, str]:
    """The answer with its time, that time, and where it is from if not from the answer."""
    try:
        fields = msgspec.json.decode(content)
    except NOT_DECODED:
        return content, datetime.fromtimestamp(0, UTC), ""  # refused by its decoder, which says why
    if isinstance(fields.get("time"), int):
        return content, datetime.fromtimestamp(fields["time"] / 1000, UTC), ""
    if "time" in fields:
        return content, datetime.fromtimestamp(0, UTC), ""
    moment, how = when(path, as_of)
    return msgspec.json.encode({**fields, "time": int(moment.timestamp() * 1000)}), moment, how


def when(path: Path, as_of: datetime | None) -> tuple[datetime, str]:
    """The moment of a file that does not say it, and where that moment is from."""
    if as_of is not None:
        return as_of, f"the answer has no time: {as_of:%Y-%m-%dT%H:%M}Z as given"
    if found := (DATE.search(path.name) or DATE.search(path.resolve().parent.name)):
        parts = [int(part) for part in found.groups() if part is not None]
        try:
            moment = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
            return moment, f"the answer has no time: {moment:%Y-%m-%dT%H:%M}Z as in its path; or --as-of"
        except ValueError:
            pass
    moment = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    return moment, f"the answer has no time: {moment:%Y-%m-%dT%H:%M}Z, when the file was changed; or --as-of"


def read_spot(path: Path) -> SpotClearinghouseState:
    """The spot state; raises `WireError`."""
    return decode_spot_state(read_content(path), str(path))


def read_meta(path: Path) -> MetaFile:
    """A `meta` or `metaAndAssetCtxs` answer; raises `WireError`, and `ImportRefused` for anything else."""
    content = read_content(path)
    kind = kind_of(content)
    if kind == "metaAndAssetCtxs":
        meta, ctxs = decode_meta_and_asset_ctxs(content, str(path))
        return MetaFile(path, split_meta_and_ctxs(content)[0], meta, ctxs)
    if kind == "meta":
        return MetaFile(path, content, decode_meta(content, str(path)), None)
    raise ImportRefused(f"{path}: neither a `meta` nor a `metaAndAssetCtxs` answer")
