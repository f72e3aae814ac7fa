"""Maps of vendors with one layout each: DataMaxi+, Undertow, Kiyotaka; those that read positions are in `measured`.

DataMaxi+ names sides, and prints the leverages that it assumes, which become a leverage model of this program.
Undertow sends shares instead of amounts. Kiyotaka's list alternates prices and amounts.
"""

import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.compare.imported.documents import (
    Answer,
    amounts,
    check_once,
    floats,
    moment_of,
    price_of,
    prices,
)
from liqtruth.compare.imported.fields import Body, rows_of, sides_of, text_of
from liqtruth.compare.imported.levels import Levels, span
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.totals import SUM_FITS, share_of_total
from liqtruth.compare.imported.vendor_map import WHOLE, VendorMap
from liqtruth.heatmap.words.notes import note

if TYPE_CHECKING:
    from liqtruth.estimator.model.leverage_model import LeverageModel

TIER: Final = re.compile(r"l(\d{1,4})xUsd")
HYPERLIQUID: Final = "hyperliquid"


# ---------------------------------------------------------------------------------------- DataMaxi+


def is_datamaxi(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("buckets"), list) and "currentPrice" in body


def read_datamaxi(answer: Answer) -> MapsInFile:
    body = answer.body
    rows = rows_of(body["buckets"], "buckets", answer)
    px = prices([row.get("price") for row in rows], "price of bucket", answer)
    side = sides_of([row.get("side") for row in rows], answer)
    check_once("buckets", answer, px, side)
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
    stated = [body.get(name) for name in ("cumulativeLongUsd", "cumulativeShortUsd")]
    return MapsInFile.by_leverage(
        VendorMap(
            answer,
            "datamaxi",
            "buckets",
            levels,
            span(levels),
            coin=text_of(body, "base", "symbol"),
            venue=text_of(body, "exchange"),
            as_of=moment_of(body.get("generatedAt"), "generatedAt", answer),
            mark_px=price_of(body["currentPrice"], "currentPrice", answer),
            leverages=tuple(sorted(tiers.values())),
            unit="usd",
            notes=share_of_total(float(amount.sum()), stated, answer),
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


# ---------------------------------------------------------------------------------------- Undertow


def is_undertow(body: Any) -> bool:
    return isinstance(body, dict) and "ref_price" in body and isinstance(body.get("clusters"), list)


def read_undertow(answer: Answer) -> MapsInFile:
    """Shares of the map, kept as percent of it; clusters are single prices."""
    body = answer.body
    rows = rows_of(body["clusters"], "clusters", answer)
    px = prices([row.get("price") for row in rows], "price of cluster", answer)
    check_once("clusters", answer, px)
    share = amounts([row.get("share") for row in rows], "share of cluster", answer)
    if not share.any():
        raise answer.empty()
    if share.sum() > 1 + SUM_FITS:
        raise answer.refuse(f"shares of clusters must sum to at most 1, got {share.sum():.6g}")
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
            coin=text_of(body, "symbol"),
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
