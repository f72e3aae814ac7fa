"""A node's event files line by line: fills, one by one or by block, decoded and checked.

Files are plain, gzip or LZ4. A line is decoded only when it is asked for; every line must look like one. What is not as
documented is left out in the smallest unit that it spoils, an entry of a block, a line or a file, and counted.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.text import expected_time, is_timely_ms
from liqtruth.indexer.errors import ImportRefused, WireError
from liqtruth.indexer.info.wire import EpochMs
from liqtruth.indexer.node.formats import DAMAGED, open_binary

LONGEST_LINE: Final = 64 << 20
"""A block of a node is a few MB at most; a longer line is left out unread."""

PERPETUAL: Final = re.compile(r"[\w:-][\w:.-]{0,39}$")
"""Names of the coins that are read; spot pairs, which have no liquidations, have other names too."""

Amount = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
Address = Annotated[str, msgspec.Meta(pattern="^0x[0-9a-fA-F]{40}$")]
Word = Annotated[str, msgspec.Meta(pattern=r"^\w{1,80}$")]


class Liquidation(msgspec.Struct, rename="camel", gc=False):
    """What the exchange reports of a liquidation; both sides' fills carry it."""

    mark_px: Amount
    method: Word
    liquidated_user: Address | None = None


class Fill(msgspec.Struct, rename="camel", gc=False):
    """One side of a trade, as far as liquidations need it."""

    coin: str
    px: Amount
    sz: Amount
    side: Annotated[str, msgspec.Meta(pattern="^[AB]$")]
    time: EpochMs
    hash: Word
    tid: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    oid: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    liquidation: Liquidation | None = None


class _Block(msgspec.Struct, gc=False):
    """A block of either kind, its entries not decoded yet."""

    events: list[msgspec.Raw]


class _FillBlock(msgspec.Struct, gc=False):
    events: list[tuple[Address, Fill]]


_block = msgspec.json.Decoder(_Block)
_fill = msgspec.json.Decoder(tuple[Address, Fill], strict=False)
_fill_block = msgspec.json.Decoder(_FillBlock, strict=False)


@dataclass
class Tally:
    """Lines read, what a reader must know of them, and what was left out."""

    lines: int = 0
    notes: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)


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
    """(number, line) of every line that is not empty and looks like one; others are left out.

    A plain file may break off in its last line, which the node is still writing: that is noted. A compressed one may
    not: raises `WireError`.
    """
    with open_binary(file) as (stream, _):
        at = 0
        try:
            for at, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
                whole = line.rstrip()
                if not whole:
                    continue
                tally.lines += 1
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    _skip_line(stream)
                    tally.left_out.note("lines", f"{file}:{at}: longer than {LONGEST_LINE >> 20} MB")
                elif (whole[:1], whole[-1:]) in ((b"{", b"}"), (b"[", b"]")):
                    yield at, whole
                elif line.endswith(b"\n") or at == 1:
                    tally.left_out.note("lines", f"{file}:{at}: no JSON object or pair: {_shown(whole)}")
                else:
                    tally.notes.append(
                        f"{file}: the last line breaks off and is left out; the node may be writing it"
                    )
        except DAMAGED:
            raise WireError(
                "node events", str(file), f"cut off after line {at:,}; copy the file again"
            ) from None


def _skip_line(stream: IO[bytes]) -> None:
    """Read on to the end of the line."""
    for piece in iter(lambda: stream.readline(LONGEST_LINE), b""):
        if piece.endswith(b"\n"):
            return


def fills_of(line: bytes, file: Path, at: int, tally: Tally) -> Sequence[tuple[str, Fill]]:
    """(address, fill) of one line of either layout; entries that cannot be true are left out.

    Raises `WireError` naming file and line for one that is neither a fill nor a block.
    """
    try:
        pairs = [_fill.decode(line)] if line[:1] == b"[" else _fill_block.decode(line).events
    except NOT_DECODED as error:
        pairs = _one_by_one(line, file, at, tally, str(error))
    kept = []
    for address, fill in pairs:
        if not is_timely_ms(fill.time):
            tally.left_out.note("fills", f"{file}:{at}: time {fill.time} is not {expected_time()}")
        elif fill.liquidation is not None and not PERPETUAL.match(fill.coin):
            tally.left_out.note("fills", f"{file}:{at}: {fill.coin!r} is no perpetual's name")
        else:
            kept.append((address.lower(), fill))
    return kept


def _one_by_one(line: bytes, file: Path, at: int, tally: Tally, why: str) -> list[tuple[str, Fill]]:
    """The fills of a block of which one at least is not as documented."""
    try:
        entries = [] if line[:1] == b"[" else _block.decode(line).events
    except NOT_DECODED:
        entries = []
    if not entries:
        raise WireError("node fills", f"{file}:{at}", why)
    pairs = []
    for number, entry in enumerate(entries):
        try:
            pairs.append(_fill.decode(entry))
        except NOT_DECODED as error:
            tally.left_out.note("fills", f"{file}:{at}: $.events[{number}]: {error}")
    return pairs


def _shown(line: bytes) -> str:
    return repr(line[:60].decode(errors="replace"))
