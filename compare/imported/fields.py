"""What documents state under one of several names, or under several, which must then be the same."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from liqtruth.compare.imported.documents import Answer
from liqtruth.compare.imported.levels import LONG, SHORT
from liqtruth.heatmap.grid import IntArray
from liqtruth.storage.files.coin_names import folded

SIDE_WORDS: Final = {"long": LONG, "longs": LONG, "l": LONG, "short": SHORT, "shorts": SHORT, "s": SHORT}
OTHER_NAMES: Final = {"okex": "okx", "huobi": "htx", "gate.io": "gate", "gateio": "gate"}
"""Other names of venues, in lower case."""

Body = Mapping[str, Any]


def first_of(body: Body, names: tuple[str, ...]) -> Any:
    """The value of the first of the names that is there; null where none is."""
    return next((body[name] for name in names if body.get(name) is not None), None)


def text_of(body: Body, *names: str) -> str | None:
    """The first of the names that holds a text."""
    return next((one for name in names if isinstance(one := body.get(name), str) and one), None)


def rows_of(value: Any, what: str, answer: Answer) -> list[Body]:
    """A list of objects; raises where it is none, or empty."""
    if not value:
        raise answer.empty()
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise answer.refuse(f"{what} must be a list of objects")
    return value


def sides_of(words: list[Any], answer: Answer) -> IntArray:
    """0 for long, 1 for short; raises for any other word."""
    found = [SIDE_WORDS.get(str(word).strip().lower()) for word in words]
    if None in found:
        at = found.index(None)
        raise answer.refuse(f"side {at + 1} must be long or short, got {str(words[at])[:20]!r}")
    return np.array(found, dtype=np.int64)


def coin_stated(answer: Answer, *bodies: Body) -> str | None:
    """The coin as the first of the bodies that states one spells it; where a pair (`1000PEPEUSDT`) states another unit
    than its coin (`PEPE`), the pair, whose prices these are. Raises where two statements are of two coins, or two pairs
    of two units."""
    found = _texts(bodies, ("baseAsset", "symbol", "pair", "instrumentId", "baseCoin"))
    names = [folded(one) for one in found]
    _check_one("coin", [(name.coin, name.given) for name in names], answer)
    pairs = [name for name in names if name.quote]
    if pairs and len({name.factor for name in names}) > 1:
        _check_one("unit", [(str(pair.factor), pair.given) for pair in pairs], answer)
        return pairs[0].given
    return found[0] if found else None


def venue_stated(answer: Answer, *bodies: Body) -> str | None:
    """The same of the venue."""
    found = _texts(bodies, ("exName", "exchange", "exchangeName"))
    _check_one("venue", [(venue_called(one), one) for one in found], answer)
    return found[0] if found else None


def _texts(bodies: Sequence[Body], names: Sequence[str]) -> list[str]:
    return [one for body in bodies for name in names if (one := text_of(body, name))]


def _check_one(what: str, found: Sequence[tuple[str, str]], answer: Answer) -> None:
    """Raises where what is meant, beside how it is spelled, is not the same throughout."""
    other = next((spelled for meant, spelled in found if meant != found[0][0]), None)
    if other is not None:
        raise answer.refuse(f"the {what} must be one, got {found[0][1]}, {other}: which is the map of?")


def venue_called(name: str) -> str:
    """As this program calls it, in lower case."""
    return OTHER_NAMES.get(name.strip().lower(), name.strip().lower())
