"""Keys that stand twice in one JSON object: decoders keep the last value and lose the other without a word."""

import json
import re
from typing import Any, Final

KEY: Final = re.compile(rb'"([^"\\]*)"\s*:')
"""A key, or a text that looks like one."""


class _Twice(Exception):
    """Ends the decoding at the first key that stands twice; its one argument is the key."""


def repeated_key(content: bytes) -> str | None:
    """The first key that stands twice in one object of a valid JSON document; null where each stands once."""
    names = KEY.findall(content)
    if b"\\" not in content and len(set(names)) == len(names):
        return None  # no key stands twice in the document, let alone in an object
    try:
        json.loads(content, object_pairs_hook=_checked)
    except _Twice as found:
        return str(found.args[0])
    except (ValueError, RecursionError):  # whoever decodes it says so
        return None
    return None


def _checked(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise _Twice(name)
        seen.add(name)


def may_repeat(row: bytes, fields: int) -> bool:
    """Whether a row of so many fields has more signs of a key than that: one that stands twice, or one further in."""
    return row.count(b'":') + row.count(b'" :') != fields
