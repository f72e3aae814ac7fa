"""Maps of vendors with one layout each: DataMaxi+, 0xArchive, Undertow, Kiyotaka.

DataMaxi+ names sides, and prints the leverages that it assumes, which become a leverage model of this program.
0xArchive reads positions: its map is exact, with it as the provider. Undertow sends shares instead of amounts.
Kiyotaka's list alternates prices and amounts.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.compare.imported.documents import (
    Answer,
    amounts,
    ascending,
    floats,
    moment_of,
    price_of,
    prices,
)
from liqtruth.compare.imported.levels import LONG, SHORT, Levels, buckets, span
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.vendor_map import WHOLE, VendorMap
from liqtruth.heatmap.grid import IntArray
from liqtruth.heatmap.notes import Notes, note

if TYPE_CHECKING:
    from liqtruth.estimator.model.leverage_model import LeverageModel

SIDE_WORDS: Final = {"long": LONG, "longs": LONG, "l": LONG, "short": SHORT, "shorts": SHORT, "s": SHORT}
TIER: Final = re.compile(r"l(\d{1,4})xUsd")
SUM_FITS: Final = 0.01
"""Relative, between the sum of the tiers and the total beside them."""
MOST_POSITIONS: Final = 10_000_000
"""In one level; no exchange has so many."""
HYPERLIQUID: Final = "hyperliquid"

Body = Mapping[str, Any]
SAME_TOTAL: Final = 1e-3
"""Levels and a stated total this close are the same, rounded."""


def sides_of(words: list[Any], answer: Answer) -> IntArray:
    """0 for long, 1 for short; raises for any other word."""
    found = [SIDE_WORDS.get(str(word).strip().lower()) for word in words]
    if None in found:
        at = found.index(None)
        raise answer.refuse(f"side {at + 1} must be long or short, got {str(words[at])[:20]!r}")
    return np.array(found, dtype=np.int64)


def _rows(value: Any, what: str, answer: Answer) -> list[Body]:
    if not value:
        raise answer.empty()
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise answer.refuse(f"{what} must be a list of objects")
    return value


def _text(body: Body, *names: str) -> str | None:
    return next((one for name in names if isinstance(one := body.get(name), str) and one), None)


# ---------------------------------------------------------------------------------------- DataMaxi+


def is_datamaxi(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("buckets"), list) and "currentPrice" in body


def read_datamaxi(answer: Answer) -> MapsInFile:
    body = answer.body
    rows = _rows(body["buckets"], "buckets", answer)
    px = prices([row.get("price") for row in rows], "price of bucket", answer)
    side = sides_of([row.get("side") for row in rows], answer)
    tiers = {name: float(found[1]) for name in rows[0] if (found := TIER.fullmatch(name))}
    total = (
        amounts([row.get("totalUsd") for row in rows], "totalUsd of bucket", answer)
        if "totalUsd" in rows[0]
        else None
    )
    if not tiers and total is None:
        raise answer.refuse("buckets must have totalUsd or amounts per leverage")
    by_tier = {name: amounts([row.get(name) for row in rows], f"{name} of bucket", answer) for name in tiers}
    if tiers and total is not None:
        off = np.abs(sum(by_tier.values()) - total) > SUM_FITS * np.maximum(total, 1.0)
        if off.any():
            at = int(np.flatnonzero(off)[0])
            raise answer.refuse(
                f"totalUsd of bucket {at + 1} must be the sum of its leverages, "
                f"{sum(one[at] for one in by_tier.values()):,.6g}, got {total[at]:,.6g}"
            )
    amount = np.concatenate([*by_tier.values()]) if tiers else total
    times = max(len(tiers), 1)
    leverage = np.repeat([*tiers.values()], px.size) if tiers else None
    assert amount is not None
    levels = Levels(np.tile(px, times), np.tile(px, times), amount, np.tile(side, times), leverage)
    return MapsInFile.by_leverage(
        VendorMap(
            answer,
            "datamaxi",
            "buckets",
            levels,
            span(levels),
            coin=_text(body, "base", "symbol"),
            venue=_text(body, "exchange"),
            as_of=moment_of(body.get("generatedAt"), "generatedAt", answer),
            mark_px=price_of(body["currentPrice"], "currentPrice", answer),
            leverages=tuple(sorted(tiers.values())),
            unit="usd",
        )
    )


def leverage_model_of(answer: Answer) -> "LeverageModel":
    """The leverages that DataMaxi+ states it assumes (`assumptions.tiers`), as a model of this program.

    Alike on both sides, of one turnover class; shares that sum to more than one are refused. Raises `VendorMapRefused`
    for a file that states none.
    """
    from liqtruth.estimator.model.leverage_model import LeverageModel, Provenance

    body = answer.body
    found = body.get("assumptions") if isinstance(body, dict) else None
    assumed: Body = found if isinstance(found, dict) else {}
    tiers = assumed.get("tiers")
    if not isinstance(tiers, list) or not tiers or not all(isinstance(row, dict) for row in tiers):
        raise answer.refuse("a leverage model needs assumptions.tiers, and the file has none")
    leverage = floats([row.get("leverage") for row in tiers], "leverage of tier", answer, 1.0)
    share = amounts([row.get("share") for row in tiers], "share of tier", answer)
    order = np.argsort(leverage)
    shares = (tuple(share[order].tolist()),)
    made_at = moment_of(body.get("generatedAt"), "generatedAt", answer) or datetime.now(UTC)
    details = ", ".join(
        f"{name} {assumed[name]}"
        for name in ("mmr", "entryWindow", "longShareOfOi")
        if isinstance(assumed.get(name), int | float | str)
    )
    return LeverageModel(
        name="datamaxi",
        kind="prior",
        provenance=Provenance(
            made_at,
            f"liqtruth {version('liqtruth')}",
            f"tiers that DataMaxi+ states it assumes, no fit of ours{f' ({details})' if details else ''}",
            ("DataMaxi+, assumptions.tiers",),
        ),
        rates=(1.0,),
        leverage=tuple(leverage[order].tolist()),
        long=shares,
        short=shares,
    )


# --------------------------------------------------------------------------------------- 0xArchive


def is_oxarchive(body: Any) -> bool:
    return isinstance(body, dict) and "mid_price" in body and "levels" in body


def read_oxarchive(answer: Answer) -> MapsInFile:
    """Buckets named by their centres, longs and shorts in each: positions that the provider has read."""
    body = answer.body
    if body["levels"] is None:
        raise answer.refuse("levels must be there, got null: ask without summary=true")
    rows = _rows(body["levels"], "levels", answer)
    centres = ascending([row.get("price") for row in rows], "price of level", answer)
    low_px, high_px = buckets(centres)
    long, short = (
        amounts([row.get(f"{side}_notional") for row in rows], f"{side}_notional of level", answer)
        for side in ("long", "short")
    )
    found = [row.get(f"{side}_count") for side in ("long", "short") for row in rows]
    counts = None if any(one is None for one in found) else amounts(found, "count of level", answer)
    if counts is not None and (counts > MOST_POSITIONS).any():
        raise answer.refuse(f"counts of levels must be at most {MOST_POSITIONS:,}, got {counts.max():g}")
    flagged = body.get("flagged_notional")
    notes: Notes = ()
    if flagged is not None and amounts([flagged], "flagged_notional", answer)[0] > 0:
        notes = (note("not_in_buckets", usd=float(flagged)),)
    notes += _share_of_total(float(long.sum() + short.sum()), answer)
    return MapsInFile.of_one(
        VendorMap(
            answer,
            "0xarchive",
            "levels",
            Levels(
                np.tile(low_px, 2), np.tile(high_px, 2), np.concatenate([long, short]),
                np.repeat([LONG, SHORT], centres.size),
            ),
            (float(low_px[0]), float(high_px[-1])),
            coin=_text(body, "coin", "symbol"),
            venue=HYPERLIQUID,
            as_of=moment_of(body.get("snapshot_ts_ms") or body.get("snapshot_ts"), "snapshot_ts", answer),
            mark_px=price_of(body["mid_price"], "mid_price", answer),
            unit="usd",
            exact=True,
            counts=counts,
            notes=notes,
        )
    )  # fmt: skip


def _share_of_total(in_levels: float, answer: Answer) -> Notes:
    """A note where the levels are not all that the provider states to have read."""
    totals = [answer.body.get(f"total_{side}") for side in ("long", "short")]
    if any(one is None for one in totals):
        return ()
    total = float(amounts(totals, "total_long and total_short", answer).sum())
    share = in_levels / total if total > 0 else 0.0
    return () if abs(share - 1) < SAME_TOTAL else (note("levels_of_total", share=share, usd=total),)


# ---------------------------------------------------------------------------------------- Undertow


def is_undertow(body: Any) -> bool:
    return isinstance(body, dict) and "ref_price" in body and isinstance(body.get("clusters"), list)


def read_undertow(answer: Answer) -> MapsInFile:
    """Shares of the map, kept as percent of it; clusters are single prices."""
    body = answer.body
    rows = _rows(body["clusters"], "clusters", answer)
    px = prices([row.get("price") for row in rows], "price of cluster", answer)
    share = amounts([row.get("share") for row in rows], "share of cluster", answer)
    if not share.any():
        raise answer.empty()
    levels = Levels(px, px, 100 * share)
    mark_px = price_of(body["ref_price"], "ref_price", answer)
    covers = span(levels)
    reach = body.get("span_pct")
    if reach is not None and mark_px is not None:
        share_away = float(floats([reach], "span_pct", answer, 0.0)[0]) / 100
        covers = mark_px * max(1 - share_away, 0.01), mark_px * (1 + share_away)
    stale = body.get("stale") is True
    return MapsInFile.of_one(
        VendorMap(
            answer,
            "undertow",
            "clusters",
            levels,
            covers,
            coin=_text(body, "symbol"),
            venue=WHOLE,
            as_of=moment_of(body.get("as_of"), "as_of", answer),
            mark_px=mark_px,
            unit="percent",
            notes=(note("stated_stale", vendor="undertow"),) if stale else (),
        )
    )


# ---------------------------------------------------------------------------------------- Kiyotaka

FLAT: Final = "HYPERLIQUID_LIQUIDATION_AGG"
LEAST_PAIRS: Final = 2


def _flat(body: Any) -> Any:
    return body.get(FLAT) if isinstance(body, dict) else body


def is_kiyotaka(body: Any) -> bool:
    """A flat list of numbers, of which every other one ascends as prices do."""
    values = _flat(body)
    if not isinstance(values, list) or len(values) < 2 * LEAST_PAIRS or isinstance(values[0], list | dict):
        return False
    try:
        return bool((np.diff(np.asarray(values[::2], dtype=np.float64)) > 0).all())
    except (ValueError, TypeError, OverflowError):
        return False


def read_kiyotaka(answer: Answer) -> MapsInFile:
    values = _flat(answer.body)
    if len(values) % 2:
        raise answer.refuse(f"prices and amounts must alternate, got {len(values)} numbers")
    px = prices(values[::2], "price", answer)
    levels = Levels(px, px, amounts(values[1::2], "amount", answer))
    return MapsInFile.of_one(
        VendorMap(answer, "kiyotaka", "flat list", levels, span(levels), venue=HYPERLIQUID, unit="unknown")
    )
