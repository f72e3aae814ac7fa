"""A report as a table: a row per distance band and model, and a row per cluster and model.

Columns of a cluster are those of `assignment.Zone`, once of the truth and once of the model. What was matched with what
is left out where the model may not be ranked by it: each cluster has a row of its own there.
"""

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any, Final

import msgspec
import polars as pl

from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.records import ModelResult
from liqtruth.compare.matching.assignment import Zone
from liqtruth.heatmap.clusters.facts import Surroundings, in_atr
from liqtruth.heatmap.words.notes import as_text

BANDS: Final = (
    "low_pct", "high_pct", "low_atr", "high_atr", "truth_usd", "truth_share", "model_share", "mark_only_share",
)  # fmt: skip
MARKET: Final = ("funding_24h_pct", "open_interest_24h_pct")
CLUSTERS: Final = ("fate", "shift_pct")
ZONE: Final = tuple(one.name for one in fields(Zone))
COLUMNS: Final = (
    "kind", "coin", "as_of", "model", "ranked", "side", *BANDS, *CLUSTERS,
    *(f"truth_{name}" for name in ZONE), *(f"model_{name}" for name in ZONE),
    *(f"truth_{name}" for name in MARKET), *(f"model_{name}" for name in MARKET),
)  # fmt: skip
"""`kind` is `band` or `cluster`; what the other kind has is empty."""


def report_frame(divergence: Divergence) -> pl.DataFrame:
    """Every band of every model, then every cluster; `COLUMNS`."""
    rows = [*_bands(divergence), *_clusters(divergence)]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row", infer_schema_length=None)


def _bands(divergence: Divergence) -> Iterator[tuple[Any, ...]]:
    market = _market(divergence, divergence.truth.venue)
    atr_pct = None if market is None else market.atr_pct
    for at, result in enumerate(divergence.models):
        for band in divergence.bands:
            yield _row(
                divergence,
                result,
                "band",
                side=band.side,
                low_pct=band.low_pct,
                high_pct=band.high_pct,
                low_atr=in_atr(band.low_pct, atr_pct),
                high_atr=in_atr(band.high_pct, atr_pct),
                truth_usd=band.truth_usd,
                truth_share=band.truth_share,
                model_share=band.model_shares[at],
                mark_only_share=band.null_share,
            )


def _clusters(divergence: Divergence) -> Iterator[tuple[Any, ...]]:
    for result in divergence.models:
        for pair in result.pairs:
            yield _row(
                divergence,
                result,
                "cluster",
                side=pair.side,
                ranked=result.clusters_of is not None,
                fate=pair.fate,
                shift_pct=pair.shift_pct,
                **_zone("truth", pair.truth),
                **_zone("model", pair.model),
            )


def _zone(whose: str, zone: Zone | None) -> dict[str, Any]:
    return {} if zone is None else {f"{whose}_{name}": _cell(value) for name, value in asdict(zone).items()}


def _market(divergence: Divergence, venue: str) -> Surroundings | None:
    return next((one for one in divergence.markets if one.venue == venue), None)


def _cell(value: Any) -> Any:
    """Names of windows with spaces between; what else is a list or has fields of its own is JSON text in its cell."""
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return msgspec.json.encode(value, enc_hook=as_text).decode()


def _row(divergence: Divergence, result: ModelResult, kind: str, **cells: Any) -> tuple[Any, ...]:
    known = {
        "kind": kind,
        "coin": divergence.coin,
        "as_of": f"{divergence.as_of:%Y-%m-%dT%H:%M:%SZ}",
        "model": result.summary.label,
        "ranked": result.ranked,
        **cells,
    }
    for whose, venue in (("truth", divergence.truth.venue), ("model", result.summary.venue)):
        market = _market(divergence, venue)
        known |= {f"{whose}_{name}": market and getattr(market, name) for name in MARKET}
    return tuple(known.get(name) for name in COLUMNS)
