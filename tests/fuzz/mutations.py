"""Wrong inputs made of right ones: bytes, lines, numbers, words and JSON trees changed."""

import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final

import zstandard

ODD_NUMBERS: Final = (
    *("0", "-0", "-0.0", "-1", "1e308", "-1e308", "1e400", "1e-320", "nan", "NaN", "inf", "-inf", "0x10"),
    *("²", "١٢", "1_000", "1,234.5", "1.2.3", "", " ", "null", "true", "9" * 400, "0." + "1" * 400),
    *("1577836799999", "4102444800000", "9999999999999", "99999999999999999999", "1e18", "-62135596800001"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "4294967296", "1e30"),
    *("2286-11-20T17:46:39Z", "1970-01-01", "2026-13-45", "0000-00-00", "99999-01-01T00:00:00Z"),
)
ODD_WORDS: Final = (
    *("null", "true", "", "..", "/", "../../x", "\u202e", "\x1b[31m", "\x00", "=1+1", "[bold]", "[/]", "NaN"),
    *("x" * 5000, "中文", "😀", "BTC", "btc-perp", "xyz:TSLA", ":", "xyz:", "0x", "long", "short", "cross"),
)
ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1e308, -1e308, 1e-320, 10**13, 10**15, 2**63, -(2**63), 0.1, "", "0", "-0.0"),
    *(
        [],
        {},
        [[]],
        [None],
        {"": None},
        "NaN",
        "1e999",
        "²",
        "9" * 400,
        "\x1b[31m",
        "\u202e",
        "..",
        "x" * 2000,
    ),
)
ODD_BYTES: Final = (
    *(
        b"\x00",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\n",
        b"\r",
        b"\r\n",
        b"\t",
        b'"',
        b"'",
        b",",
        b";",
        b"{",
    ),
    *(
        b"}",
        b"[",
        b"]",
        b":",
        b"#",
        b"\x1b[2J",
        b"\x1f\x8b",
        b"PK\x03\x04",
        b"PAR1",
        b"\x28\xb5\x2f\xfd",
        b"\xed\xa0\x80",
    ),
)
NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
WORD: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_:./-]*")
MOST_BYTES: Final = 200_000

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of `seeds`, changed one to four times."""
    content = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        content = chance.choice(MUTATIONS)(content, chance, seeds)
    return content if len(content) <= MOST_BYTES else content[:MOST_BYTES]


def _flip(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    for _n in range(chance.choice((1, 1, 2, 8))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _span(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 4, 16, 64, 1024)))


def _cut(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + content[end:]


def _end(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _repeat(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 1, 2, 100)) + content[end:]


def _insert(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.choice(ODD_BYTES) + content[at:]


def _splice(content: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    other = chance.choice(seeds)
    return content[: chance.randrange(len(content) + 1)] + other[chance.randrange(len(other) + 1) :]


def _nested(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    depth, (left, right) = chance.choice((1, 50, 5000)), chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return left * depth + content + right * chance.choice((0, depth))


def _lines(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.randrange(4)
    if kind == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 1:
        lines.insert(one, lines[other])
    elif kind == 2:
        del lines[one]
    else:
        cells = lines[one].split(b",")
        del cells[chance.randrange(len(cells))]
        lines[one] = b",".join(cells)
    return b"\n".join(lines)


def _token(pattern: "re.Pattern[bytes]", others: Sequence[str]) -> Mutation:
    def change(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
        found = list(pattern.finditer(content[:MOST_BYTES]))
        if not found:
            return content
        one = chance.choice(found)
        return content[: one.start()] + chance.choice(others).encode() + content[one.end() :]

    return change


def _tree(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    try:
        return json.dumps(changed_tree(json.loads(content), chance)).encode()
    except (ValueError, RecursionError):
        return content


def changed_tree(tree: Any, chance: random.Random) -> Any:
    """The JSON-like tree with one member changed, removed, doubled or nested; the tree itself may be changed."""
    places = list(_places(tree))
    if not places:
        return chance.choice(ODD_VALUES)
    holder, key = chance.choice(places)
    kind = chance.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif kind == 2:
        value = holder[key]
        for _n in range(chance.choice((1, 2, 500))):
            value = [value]
        holder[key] = value
    elif kind == 3 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * chance.choice((-1, 0, 10, 1e3, 1e6, 1e12, 1e-6, 1e-12))
    elif kind == 4 and isinstance(holder, dict):
        holder[chance.choice(ODD_WORDS)] = holder.pop(key)
    elif kind == 5:
        other, at = chance.choice(places)
        holder[key] = deepcopy(other[at])
    else:
        holder[key] = chance.choice(ODD_VALUES)
    return tree


def _places(tree: Any, most: int = 5000) -> Iterator[tuple[Any, Any]]:
    stack = [tree]
    while stack and most:
        node = stack.pop()
        members = (
            node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        )
        for key, value in members:
            most -= 1
            yield node, key
            if isinstance(value, dict | list) and most > 0:
                stack.append(value)


def _packed(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Compressed, whole or broken."""
    kind = chance.randrange(4)
    if kind == 0:
        made = gzip.compress(content)
    elif kind == 1:
        made = zstandard.compress(content)
    else:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(chance.choice((0, 1, 1, 2))):
                archive.writestr(f"{number}{chance.choice(('.csv', '.json', '', '/x.csv'))}", content)
        made = held.getvalue()
    return made if chance.random() < 0.5 else _flip(made, chance, ())


def _encoded(content: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    text = content.decode("utf-8", errors="replace")
    return text.encode(chance.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32", "cp037")), errors="replace")


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(_flip, _cut, _end, _repeat, _insert, _splice, _lines, _lines, _packed, _encoded, _nested),
    *(_token(NUMBER, ODD_NUMBERS),) * 4,
    *(_token(WORD, ODD_WORDS),) * 3,
    *(_tree,) * 5,
)
