"""Bytes into structs: whole where all is well, item by item where it is not, so that one bad item voids no other.

A refusal names the payload, the JSON path and the value. Of a list that is read by items a bad one is left out and
named; where none of them can be read, the payload is refused.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.errors import WireError

T = TypeVar("T")

LARGEST_TREE: Final = 16 * 2**20
"""A longer document is not built as a tree of objects to say what is wrong with it: that takes many times its size."""


class Decoder(Generic[T]):
    """Decoder of one kind of payload; call it with the raw bytes and the name of their source."""

    def __init__(self, kind: str, shape: Any) -> None:
        self.kind = kind
        self._json: msgspec.json.Decoder[T] = msgspec.json.Decoder(shape, strict=False)

    def __call__(self, raw: bytes, source: str) -> T:
        """The payload; raises `WireError` with one line that names the JSON path and the value."""
        try:
            return self._json.decode(raw)
        except NOT_DECODED as error:
            raise WireError(self.kind, source, _describe(raw, str(error))) from None


@dataclass
class Sifted:
    """What was left out of a payload: `problems` as JSON path, value and reason; `closed` entries hold nothing."""

    problems: list[str] = field(default_factory=list)
    closed: int = 0


class ItemDecoder(Decoder[T]):
    """The same for an object (or, under the name "", a list) some of whose lists are read item by item.

    `items` maps the names of those lists to the shape of an item. `is_closed` finds an item that holds nothing and is
    passed over. `finish` puts what was left out into the payload.
    """

    def __init__(
        self,
        kind: str,
        shape: Any,
        items: Mapping[str, Any],
        finish: Callable[[T, Sifted], T] = lambda payload, sifted: payload,
        is_closed: Callable[[Any], bool] = lambda item: False,
    ) -> None:
        super().__init__(kind, shape)
        self._shape, self._items, self._finish, self._is_closed = shape, items, finish, is_closed

    def __call__(self, raw: bytes, source: str) -> T:
        try:
            return self._json.decode(raw)
        except NOT_DECODED as error:
            return self._item_by_item(raw, source, str(error))[0]

    def read(self, raw: bytes, source: str) -> tuple[T, Sifted]:
        """The payload and what was left out of it; raises `WireError` as above."""
        try:
            return self._json.decode(raw), Sifted()
        except NOT_DECODED as error:
            return self._item_by_item(raw, source, str(error))

    def _item_by_item(self, raw: bytes, source: str, error: str) -> tuple[T, Sifted]:
        tree = tree_of(raw) if len(raw) <= LARGEST_TREE else None
        if not isinstance(tree, dict | list):
            raise WireError(self.kind, source, _describe(raw, error))
        sifted = Sifted()
        for name, shape in self._items.items():
            tree = self._sift(tree, name, shape, sifted, source)
        try:
            payload: T = msgspec.convert(tree, self._shape, strict=False)
        except NOT_DECODED as problem:
            raise WireError(self.kind, source, describe_invalid(tree, str(problem))) from None
        return self._finish(payload, sifted), sifted

    def _sift(self, tree: Any, name: str, shape: Any, sifted: Sifted, source: str) -> Any:
        listed = tree if not name else tree.get(name) if isinstance(tree, dict) else None
        if not isinstance(listed, list):
            return tree
        open_items = [(number, item) for number, item in enumerate(listed) if not self._is_closed(item)]
        sifted.closed += len(listed) - len(open_items)
        path = f"$.{name}" if name else "$"
        kept, problems = [], []
        for number, item in open_items:
            problem = problem_of(item, shape, f"{path}[{number}]")
            if problem is None:
                kept.append(item)
            else:
                problems.append(problem)
        if problems and not kept:
            raise WireError(self.kind, source, problems[0])
        sifted.problems += problems
        return {**tree, name: kept} if name else kept


def repeated_key(raw: bytes, top_only: bool = False) -> str | None:
    """A key that one object of the document has twice (of the outermost object with `top_only`); null where none has.

    Decoders take the last of them in silence, and which was meant is unknown. Bytes that are no JSON have none.
    """
    found: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        reported = dict(members)
        twice = (
            []
            if len(reported) == len(members)
            else [name for name, n in Counter(k for k, _ in members).items() if n > 1]
        )
        if top_only:
            found.clear()
        found.extend(twice[:1])
        return reported

    try:
        json.loads(raw, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return None
    return found[0] if found else None


def tree_of(raw: bytes) -> Any:
    """The document as plain objects; null where it is none."""
    try:
        return msgspec.json.decode(raw)
    except NOT_DECODED:
        return None


def problem_of(item: Any, shape: Any, path: str) -> str | None:
    """Why the item is not of that shape, with its path; null where it is."""
    try:
        msgspec.convert(item, shape, strict=False)
    except NOT_DECODED as error:
        return path + describe_invalid(item, str(error)).removeprefix("$")
    return None


_AT = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<path>.+)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.+)`$")
_FIELD = re.compile(r"^`(?P<name>\w+)` (?P<reason>.*)$")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]")
_SHOWN = 60


def _describe(raw: bytes, error: str) -> str:
    """What is wrong: that the bytes are no JSON document comes before what the document lacks."""
    if len(raw) > LARGEST_TREE:
        return f"{error} (of {len(raw):,} bytes)"
    try:
        tree = msgspec.json.decode(raw)
    except NOT_DECODED as malformed:
        return _describe_malformed(raw, str(malformed))
    return describe_invalid(tree, error)


def describe_invalid(tree: Any, error: str) -> str:
    """`$.path is value: reason`, the value looked up in the document."""
    match = _AT.match(error)
    reason, path = (match["reason"], match["path"] or "$") if match else (error, "$")
    if missing := _MISSING.match(reason):
        return f"{path}.{missing['name']} is missing"
    if field_ := _FIELD.match(reason):
        path, reason = f"{path}.{field_['name']}", field_["reason"]
    return f"{path} is {_shorten(_value_at(tree, path))}: {reason}"


def _describe_malformed(raw: bytes, error: str) -> str:
    """Why the bytes are no JSON document, with their first characters where they never were one."""
    if not raw.strip():
        return "the answer is empty"
    if "truncated" in error:
        return f"cut off after {len(raw)} bytes: …{_printable(raw[-40:])!r}"
    return f"not JSON ({error}): {_printable(raw[:40])!r}"


def _value_at(tree: Any, path: str) -> Any:
    """Value at a msgspec path."""
    for step in _STEP.finditer(path):
        if step["name"] is not None:
            tree = tree.get(step["name"]) if isinstance(tree, dict) else None
        else:
            tree = tree[int(step["index"])]
    return tree


def _shorten(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (*NOT_DECODED, OverflowError):
        return "nested too deep to be shown"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _printable(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").replace("\n", " ")
