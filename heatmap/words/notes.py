"""`Note(code, values)`: what a result must state about itself, as data; `heatmap.note_texts` turns codes into English.

Code asks a note for its `code` and never reads its text. Files hold the sentences under the keys that other programs
know, and beside them each sentence's code and values (`written`), by which `reader` finds the note again. A sentence
whose code is not known here, as in files of before, is a note of code `text`.

Data of the sandbox are marked in the source that is stored beside them, which begins with `SYNTHETIC`; maps and series
carry that on as a boolean.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final

import msgspec
import polars as pl

from liqtruth.heatmap.words.note_texts import TEXTS, in_english

TEXT: Final = "text"
SYNTHETIC: Final = "synthetic"
SYNTHETIC_NOTE: Final = "SYNTHETIC: of the sandbox, not of an exchange"
"""What stands beside the age of a map of the sandbox."""
SYNTHETIC_NOTES: Final = frozenset({"synthetic_map", "synthetic_positions", "synthetic_series"})
"""Codes of the notes that state it."""
NOT_USD: Final = frozenset({"unit_unknown", "unit_percent"})
"""Codes of the notes of maps whose amounts are not USD, or may not be."""


class Note:
    """One fact. `values` are of JSON types; `about` is whose it is, where notes of several are listed together."""

    __slots__ = ("about", "code", "values")

    def __init__(self, code: str, values: Mapping[str, Any] | None = None, about: str = "") -> None:
        if code not in TEXTS:
            raise ValueError(f"no note has the code {code!r}")
        self.code = code
        self.values = {name: _plain(value) for name, value in (values or {}).items()}
        self.about = about

    @property
    def text(self) -> str:
        english = in_english(self.code, self.values)
        return f"{self.about}: {english}" if self.about else english

    def of(self, whose: str) -> "Note":
        """The same, about one among several."""
        return Note(self.code, self.values, f"{whose}: {self.about}" if self.about else whose)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Note({self.code!r}, {self.values!r}{f', {self.about!r}' if self.about else ''})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Note) and _parts(self) == _parts(other)

    def __hash__(self) -> int:
        return hash((self.code, self.about, repr(self.values)))


Notes = tuple[Note, ...]


def note(code: str, **values: Any) -> Note:
    """`note("stale_positions", count=3, total=10, hours=6.0)`."""
    return Note(code, values)


def sentence(text: str) -> Note:
    """A sentence of which no more is known."""
    return Note(TEXT, {"text": text})


def texts(notes: Iterable[Note]) -> tuple[str, ...]:
    """In English."""
    return tuple(one.text for one in notes)


def of_codes(notes: Iterable[Note], codes: Container[str]) -> Notes:
    """Those whose code is among `codes`."""
    return tuple(one for one in notes if one.code in codes)


def without_codes(notes: Iterable[Note], codes: Container[str]) -> Notes:
    """The others."""
    return tuple(one for one in notes if one.code not in codes)


def written(notes: Iterable[Note]) -> list[dict[str, Any]]:
    """What stands in a file beside the sentences: text, code and values of each note that is more than its text."""
    known = dict.fromkeys(one for one in notes if one.code != TEXT)
    return [
        {
            "text": one.text,
            "code": one.code,
            "values": one.values,
            **({"about": one.about} if one.about else {}),
        }
        for one in known
    ]


class WrittenNote(msgspec.Struct, frozen=True):
    """One entry of `written`."""

    text: str
    code: str
    values: dict[str, Any] = {}
    about: str = ""

    def note(self) -> Note | None:
        """Null where this program does not know the code, or has another text for it."""
        if self.code not in TEXTS:
            return None
        found = Note(self.code, self.values, self.about)
        try:
            return found if found.text == self.text else None
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
            return None


def reader(beside: Iterable[WrittenNote]) -> Callable[[type, Any], Any]:
    """The `dec_hook` of msgspec that makes notes of a file's sentences."""
    known = {one.text: found for one in beside for found in [one.note()] if found is not None}

    def decode(wanted: type, value: Any) -> Any:
        if wanted is Note and isinstance(value, str):
            return known.get(value) or sentence(value)
        raise TypeError(f"{value!r} is no sentence")

    return decode


def as_text(value: Any) -> Any:
    """The `enc_hook` of msgspec that writes notes as their sentences."""
    if isinstance(value, Note):
        return value.text
    raise NotImplementedError(f"cannot write {type(value).__name__}")


def _parts(one: Note) -> tuple[str, Mapping[str, Any], str]:
    return one.code, one.values, one.about


def _plain(value: Any) -> Any:
    """Lists as tuples, numbers of arrays as numbers: what a file gives back equals what was written."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(one) for one in value)
    return value.item() if hasattr(value, "item") else value


def source_of(shown_url: str, server: str) -> str:
    """The source to store beside what a server sent; the sandbox names itself in its `server` header."""
    name = server.lower()
    return f"{SYNTHETIC}: {shown_url}" if SYNTHETIC in name or "sandbox" in name else shown_url


def source_of_file(shown_path: str, rows: pl.DataFrame) -> str:
    """The source to store beside what a file brought; one that the sandbox wrote has it in a column `source`."""
    marked = "source" in rows.columns and rows.schema["source"] == pl.String and any_synthetic(rows["source"])
    return f"{SYNTHETIC}: {shown_path}" if marked else shown_path


def any_synthetic(sources: pl.Series | Iterable[str]) -> bool:
    """Whether any of the sources is the sandbox."""
    column = sources if isinstance(sources, pl.Series) else pl.Series(list(sources), dtype=pl.String)
    return bool(column.str.starts_with(SYNTHETIC).any())
