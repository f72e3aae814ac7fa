"""Divergences as JSON: a versioned schema, the same bytes for the same input, and back."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from liqtruth.compare.divergence.divergence import SCHEMA, Divergence
from liqtruth.compare.errors import DivergenceFileError
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.notes import Note, WrittenNote, as_text, reader, written


def to_json(divergence: Divergence) -> str:
    """Indented JSON, keys in the order of the dataclasses; times are ISO 8601, undefined figures null."""
    content = msgspec.to_builtins(divergence, enc_hook=as_text, builtin_types=(datetime,))
    if notes := written(_notes(divergence)):
        content["notes"] = notes
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _notes(divergence: Divergence) -> Iterator[Note]:
    for summary in (divergence.truth, *(result.summary for result in divergence.models)):
        yield from (*summary.coverage.notes, *summary.assumptions)


def from_json(text: str | bytes, where: str = "this text") -> Divergence:
    """The divergence that `to_json` wrote; raises `DivergenceFileError` for anything else."""
    try:
        found = msgspec.json.decode(text)
    except NOT_DECODED as error:
        raise DivergenceFileError(f"{where} is not JSON: {error}") from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise DivergenceFileError(f"{where} has schema {schema!r}; this program reads {SCHEMA!r}")
    try:
        beside = msgspec.convert(found.get("notes", []), list[WrittenNote])
        return msgspec.convert(found, Divergence, dec_hook=reader(beside))
    except msgspec.ValidationError as error:
        raise DivergenceFileError(f"{where} is not a divergence: {error}") from error


def read_json(path: Path) -> Divergence:
    """Read what `liqtruth compare --json FILE` wrote."""
    try:
        return from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise DivergenceFileError(f"cannot read {path}: {error.strerror}") from error
