"""Filters of a map by the dimensions of its breakdown: what was asked for, whether it has such labels, which rows."""

from collections.abc import Mapping, Sequence

import polars as pl

from liqtruth.heatmap.errors import BadInput

Kept = Mapping[str, tuple[str, ...]]
"""Labels to keep, by dimension."""


def kept_by(wanted: Mapping[str, str | Sequence[str]], dimensions: Sequence[str]) -> Kept:
    """What was asked for, by the names of dimensions; raises `BadInput` for one that is named twice."""
    kept = {
        next((one for one in dimensions if name == one.removesuffix("_band")), name): (
            (values,) if isinstance(values, str) else tuple(values)
        )
        for name, values in wanted.items()
    }
    if len(kept) < len(wanted):
        raise BadInput(f"each dimension must be named once, got {', '.join(kept)} and a short name of it")
    return kept


def check_labels(breakdown: pl.DataFrame | None, dimensions: Sequence[str], kept: Kept, whole: bool) -> None:
    """Raises `BadInput` for a dimension that a map has not, and for a label that a whole map has not: what an earlier
    filter left out of a part is no mistake."""
    for name, labels in kept.items():
        if breakdown is None or name not in dimensions:
            has = ", ".join(dimensions) or "none"
            raise BadInput(f"this map has no breakdown by {name!r}; it has: {has}")
        known = breakdown[name].drop_nulls().unique(maintain_order=True).to_list()
        unknown = [label for label in labels if label not in known]
        if unknown and whole:
            raise BadInput(
                f"this map has no {name} {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'none'}"
            )


def rows_kept(breakdown: pl.DataFrame, kept: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    return breakdown.filter(pl.col(name).cast(pl.String).is_in(list(values)) for name, values in kept.items())


def narrowed(before: Kept, kept: Kept) -> Kept:
    """What is left of each dimension's labels after a filter of a filter."""
    return {name: _narrowed(before.get(name), kept.get(name)) for name in {**before, **kept}}


def _narrowed(before: tuple[str, ...] | None, kept: tuple[str, ...] | None) -> tuple[str, ...]:
    if before is None or kept is None:
        return kept or before or ()
    return tuple(value for value in kept if value in before)


def filtered_by(only: Kept) -> str:
    """What a map was filtered by, in words."""
    kept = (f"{_plainly(name)} {' or '.join(values) or 'none'}" for name, values in only.items())
    return f"only {'; '.join(kept)}" if only else ""


def _plainly(name: str) -> str:
    return name.removesuffix("_band").replace("_", " ")
