"""A node's event files line by line: fills (one by one or by block) and miscellaneous events, decoded and checked.

Files are plain, gzip or LZ4. A line is decoded only when it is asked for; every line must look like one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec

from heatmap.decoding import NOT_DECODED
from indexer.compressed import DAMAGED, open_binary
from indexer.errors import ImportRefused, WireError
from indexer.wire import EpochMs, Number, Price

LONGEST_LINE: Final = 1 << 28


class Liquidation(msgspec.Struct, rename="camel", gc=False):
    """What the exchange says of a liquidation; both sides' fills carry it."""

    mark_px: Price
    method: str
    liquidated_user: str | None = None


class Fill(msgspec.Struct, rename="camel", gc=False):
    """One side of a trade, as far as liquidations need it."""

    coin: str
    px: Price
    sz: Annotated[float, msgspec.Meta(gt=0)]
    side: Annotated[str, msgspec.Meta(pattern="^[AB]$")]
    time: EpochMs
    hash: str
    tid: int
    oid: int
    liquidation: Liquidation | None = None


class _FillBlock(msgspec.Struct, gc=False):
    events: list[tuple[str, Fill]]


class _Delta(msgspec.Struct, gc=False):
    user: str
    coin: str
    funding_amount: Number
    szi: Number


class _Funding(msgspec.Struct, gc=False):
    deltas: list[_Delta]


class _Inner(msgspec.Struct, gc=False):
    funding: _Funding | None = msgspec.field(default=None, name="Funding")


class Event(msgspec.Struct, gc=False):
    """A miscellaneous event; anything but funding has an empty `inner` here."""

    time: str
    inner: _Inner


class _EventBlock(msgspec.Struct, gc=False):
    events: list[Event]


_fill = msgspec.json.Decoder(tuple[str, Fill], strict=False)
_fill_block = msgspec.json.Decoder(_FillBlock, strict=False)
_event = msgspec.json.Decoder(Event, strict=False)
_event_block = msgspec.json.Decoder(_EventBlock, strict=False)


@dataclass
class Tally:
    """Lines read, and what was left out of them."""

    lines: int = 0
    notes: list[str] = field(default_factory=list)


def event_files(paths: Sequence[Path]) -> list[Path]:
    """The files given and all below the folders given, hidden ones left out, each once."""
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            if not below:
                raise ImportRefused(f"{path}: holds no file; give a folder like node_fills/hourly/20260901")
            files |= dict.fromkeys(below)
        else:
            files[path] = None
    return list(files)


def lines_of(file: Path, tally: Tally) -> Iterator[tuple[int, bytes]]:
    """(number, line) of every line that is not empty. A plain file may break off in its last line, which the node is
    still writing: it is left out and noted. A compressed one may not."""
    with open_binary(file) as (stream, _):
        at = 0
        try:
            for at, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
                whole = line.rstrip()
                if not whole:
                    continue
                tally.lines += 1
                if (whole[:1], whole[-1:]) in ((b"{", b"}"), (b"[", b"]")):
                    yield at, whole
                elif line.endswith(b"\n") or at == 1:
                    raise WireError("node events", f"{file}:{at}", f"no JSON object or pair: {_shown(whole)}")
                else:
                    tally.notes.append(
                        f"{file}: the last line breaks off and is left out; the node may be writing it"
                    )
        except DAMAGED:
            raise WireError(
                "node events", str(file), f"cut off after line {at:,}; copy the file again"
            ) from None


def fills_of(line: bytes, file: Path, at: int) -> Sequence[tuple[str, Fill]]:
    """(address, fill) of one line of either layout; raises `WireError` naming file and line."""
    try:
        return [_fill.decode(line)] if line[:1] == b"[" else _fill_block.decode(line).events
    except NOT_DECODED as error:
        raise WireError("node fills", f"{file}:{at}", str(error)) from None


def events_of(line: bytes, file: Path, at: int) -> Sequence[Event]:
    """Events of one line of either layout; raises `WireError` naming file and line."""
    try:
        return _event_block.decode(line).events if b'"events"' in line[:400] else [_event.decode(line)]
    except NOT_DECODED as error:
        raise WireError("misc_events", f"{file}:{at}", str(error)) from None


def _shown(line: bytes) -> str:
    return repr(line[:60].decode(errors="replace"))
