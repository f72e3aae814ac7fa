"""The part of plotly.js that pages draw with, a quarter of it: maps of the earth and scenes in space stay out.

The package ships one bundle, in which a module is a function that other modules call by its name. Kept are the modules
that the kinds of traces in `DRAWN` reach. A bundle that is not laid out so is taken whole: its page is larger, no more.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Final

DRAWN: Final = frozenset({"bar", "heatmap", "candlestick"})
"""Kinds of traces that our figures are made of, beside scatter, which the core has."""
MODULE: Final = re.compile(r"var ([\w$]+)=([\w$]+)\((?:\([\w$,]*\)|[\w$]+)=>\{")
"""`var name=wrapper((exports,module)=>{`: where a module begins."""
INNER: Final = re.compile(r"[ ,]([\w$]+)=([\w$]+)\(\(\)=>\{")
"""`name=wrapper(()=>{`: one of the newer form, which stands behind a module and is kept with it."""
CALL: Final = re.compile(r"(?<![\w$.])([\w$]+)\(\)")
REGISTERED: Final = re.compile(r"(?<=\.register\(\[)[\w$(),]+(?=\]\))")
TRACE: Final = re.compile(r'moduleType:"trace",name:"(\w+)"')
EXPORTED: Final = re.compile(r"exports=([\w$]+)\(\)")
LINKS: Final = 4
"""At most so many modules from what is registered to the one that states its kind."""


@cache
def drawing_script() -> str:
    """The script, with the licences of the whole bundle."""
    from plotly.offline import get_plotlyjs

    return part_of(get_plotlyjs())


def part_of(bundle: str) -> str:
    """The bundle without what no trace of `DRAWN` reaches; the bundle itself where its layout is another."""
    starts = _starts(MODULE, bundle)
    end = bundle.find(f"return {starts[-1][1]}();", starts[-1].start()) if starts else -1
    if end < 0:
        return bundle
    bounds = [*(found.start() for found in starts), end]
    modules = {
        found[1]: bundle[low:high] for found, (low, high) in zip(starts, pairwise(bounds), strict=True)
    }
    last = starts[-1][1]
    drawn = [name for name in _registered(modules[last]) if _kind(name, modules) in DRAWN]
    if len(drawn) < len(DRAWN):
        return bundle
    modules[last] = REGISTERED.sub(",".join(f"{name}()" for name in drawn), modules[last])
    inner = {found[1]: bisect(bounds, found.start()) - 1 for found in _starts(INNER, bundle, starts[-1][2])}
    names = [*modules]
    holders = {name: names[place] for name, place in inner.items() if 0 <= place < len(names)}
    kept = _reached(last, modules, holders)
    inside = "".join(text for name, text in modules.items() if name in kept)
    return bundle[: bounds[0]] + inside + bundle[end:]


def _starts(form: re.Pattern[str], text: str, other_than: str = "") -> list[re.Match[str]]:
    """Where modules of a form begin: those of its most frequent wrapper, whose name is another in each release."""
    found = [one for one in form.finditer(text) if one[2] != other_than]
    wrappers = Counter(one[2] for one in found).most_common(1)
    return [one for one in found if one[2] == wrappers[0][0]]


def _registered(text: str) -> list[str]:
    return CALL.findall(found[0]) if (found := REGISTERED.search(text)) else []


def _kind(name: str, modules: Mapping[str, str]) -> str | None:
    """What kind of trace is registered: a module states it, or exports the one that does."""
    for _ in range(LINKS):
        text = modules.get(name, "")
        if found := TRACE.search(text):
            return found[1]
        if not (exported := EXPORTED.search(text)):
            return None
        name = exported[1]
    return None


def _reached(first: str, modules: Mapping[str, str], holders: Mapping[str, str]) -> set[str]:
    """Names of the modules that `first` calls, and of those that they call in turn; `holders` are the modules behind
    which one of the newer form stands."""
    kept, waiting = set[str](), [first]
    while waiting:
        name = waiting.pop()
        if name in modules and name not in kept:
            kept.add(name)
            waiting += [holders.get(called, called) for called in set(CALL.findall(modules[name]))]
    return kept
