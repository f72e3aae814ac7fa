"""Two leverage models beside each other: what each band and side holds, how far apart that is, and what else differs.

Shares by band stand on the market where all coordinates agree (`REFERENCE_MAXIMUM`, `REFERENCE_VOLATILITY`). Distance
is Wasserstein-1 between what both place, each scaled to one, over log leverage: exp(W1) is the factor by which leverage
differs on average. What has no place (null) is left to its own row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.bands import LABELS, NULL, Band, bands_of_model
from liqtruth.estimator.model.leverage_model import (
    REFERENCE_MAXIMUM,
    REFERENCE_VOLATILITY,
    LeverageModel,
    leverage_model_named,
)
from liqtruth.heatmap.levels import SIDES

if TYPE_CHECKING:
    from rich.table import Table

SHARES: Final = ("rates", "leverage", "long", "short", "coordinate", "coins")
"""What draws maps; models that agree in it draw the same ones."""
BESIDE: Final = (
    "name",
    "kind",
    "rates",
    "leverage",
    "coordinate",
    "coins",
    "provenance",
    "bounds",
    "correction",
)
NOTED: Final = ("name", "kind", "provenance made_at", "provenance made_by", "provenance basis")
"""Parts that the notes of both models tell already."""
LONGEST: Final = 60
"""Characters of a value that are shown."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Known:
    """A model, and by side the bands of the record of its fit; null where there is none."""

    model: LeverageModel
    fitted: Mapping[str, tuple[Band, ...]] | None = None


class BandDifference(msgspec.Struct, frozen=True):
    """Shares of a band, or of what has no place (`null`); `points` is second less first, in percent of open interest.
    Intervals are those of 80 % of each fit, `overlap` whether they meet; null where one is not known."""

    band: str
    first: float
    second: float
    points: float
    first_interval: Interval | None
    second_interval: Interval | None
    overlap: bool | None


class SideDifference(msgspec.Struct, frozen=True):
    """One side; `log_distance` is Wasserstein-1 over log leverage, null where either places nothing."""

    side: str
    bands: tuple[BandDifference, ...]
    log_distance: float | None


class Other(msgspec.Struct, frozen=True):
    """A part of both models that is not the same."""

    part: str
    first: str
    second: str


class Differences(msgspec.Struct, frozen=True):
    """Two models, long then short; `equal_shares` where both draw the same maps."""

    first: str
    second: str
    hashes: tuple[str, str]
    notes: tuple[str, str]
    equal_shares: bool
    sides: tuple[SideDifference, ...]
    others: tuple[Other, ...]


def known(data_dir: Path, wanted: str) -> Known:
    """A model by its name, or by the file in which it lies; with a record where it was fitted and saved in its place.

    Raises `UnknownChoice` with the known names, and `BadInput` for a file that cannot be used.
    """
    from liqtruth.compare.calibration.record import load

    path = Path(wanted)
    if path.suffix != ".json":
        model, record = load(data_dir, wanted)
    elif path.parent.resolve().name == "models" and path.is_file():
        model, record = load(path.resolve().parent.parent, path.stem)
    else:
        return Known(leverage_model_named(wanted))
    return Known(model, {side: record.of(side).bands for side in SIDES} if record else None)


def differences(first: Known, second: Known) -> Differences:
    """What `second` has more or less than `first`."""
    a, b = first.model, second.model
    return Differences(
        first=a.name,
        second=b.name,
        hashes=(a.hash, b.hash),
        notes=(a.note, b.note),
        equal_shares=all(getattr(a, part) == getattr(b, part) for part in SHARES),
        sides=tuple(_side(side, first, second) for side in SIDES),
        others=tuple(_others(a, b)),
    )


def log_distance(first: LeverageModel, second: LeverageModel, side: str) -> float | None:
    """Wasserstein-1 over log leverage between what both place on a side; null where either places nothing."""
    from scipy.stats import wasserstein_distance

    placed = [model.shares(side).sum(axis=0) for model in (first, second)]
    if not all(shares.sum() > 0 for shares in placed):
        return None
    nodes = [np.log(model.leverage) for model in (first, second)]
    return float(wasserstein_distance(*nodes, *placed))


def differences_table(result: Differences) -> Table:
    """One row per band: shares of both, points between them, and whether their intervals meet."""
    from rich.table import Table

    title = f"Share of open interest by effective leverage: {result.first}, then {result.second}"
    table = Table(title=title, title_justify="left")
    table.add_column("leverage")
    for side in result.sides:
        for heading in (side.side, "then", "points", "80 %"):
            table.add_column(heading, justify="right", no_wrap=True)
    for rows in zip(*(side.bands for side in result.sides), strict=True):
        table.add_row(rows[0].band, *(cell for row in rows for cell in _cells(row)))
    return table


def differences_lines(result: Differences) -> Iterator[str]:
    """What the table has no room for: on what both rest, how far they are apart, what else differs."""
    yield from result.notes
    if result.equal_shares:
        despite = "" if result.hashes[0] == result.hashes[1] else " though the hashes are not"
        yield f"the shares are equal{despite}: both draw the same maps"
    for side in result.sides:
        yield f"{side.side}: {_apart(side.log_distance)}"
    if any(row.overlap is None for side in result.sides for row in side.bands):
        yield "not known: one of both has no interval of the band, for want of a record of its fit or of data"
    if any(other.part == "coordinate" for other in result.others):
        yield (
            f"the coordinates differ: compared as on a market of {REFERENCE_MAXIMUM:g}x and {REFERENCE_VOLATILITY:.0%} "
            "daily volatility, where they agree"
        )
    for other in (one for one in result.others if one.part not in NOTED):
        yield f"{other.part}: {other.first} | {other.second}"


def _side(side: str, first: Known, second: Known) -> SideDifference:
    shares = zip(*(bands_of_model(one.model, side) for one in (first, second)), strict=True)
    intervals = zip(*(_intervals(one, side) for one in (first, second)), strict=True)
    bands = tuple(
        BandDifference(label, a, b, 100 * (b - a), one, other, _overlap(one, other))
        for label, (a, b), (one, other) in zip((*LABELS, NULL), shares, intervals, strict=True)
    )
    return SideDifference(side, bands, log_distance(first.model, second.model, side))


def _intervals(one: Known, side: str) -> list[Interval | None]:
    if one.fitted is None:
        return [None] * (len(LABELS) + 1)
    return [
        None if band.low is None or band.high is None else (band.low, band.high) for band in one.fitted[side]
    ]


def _overlap(first: Interval | None, second: Interval | None) -> bool | None:
    if first is None or second is None:
        return None
    return first[0] <= second[1] and second[0] <= first[1]


def _others(first: LeverageModel, second: LeverageModel) -> Iterator[Other]:
    for part in BESIDE:
        one, other = getattr(first, part), getattr(second, part)
        if isinstance(one, msgspec.Struct) and type(one) is type(other):
            yield from _others_within(part, one, other)
        elif isinstance(one, dict):
            yield from _coins(one, other)
        elif one != other:
            yield Other(part, _short(one), _short(other))


def _others_within(part: str, first: msgspec.Struct, second: msgspec.Struct) -> Iterator[Other]:
    """By field; what is the same is left out."""
    for name in first.__struct_fields__:
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            yield Other(f"{part} {name}", _short(one), _short(other))


def _coins(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Other]:
    """Coins with shares of their own in either, where these are not the same."""
    for coin in sorted({*first, *second}):
        if first.get(coin) != second.get(coin):
            whose = ["its own shares" if coin in model else "those of all coins" for model in (first, second)]
            yield Other(
                f"shares of {coin}", whose[0], whose[1] if whose[0] != whose[1] else "other own shares"
            )


def _short(value: Any) -> str:
    """Short: the ends of many numbers, the beginning of long texts."""
    if not value:
        return "none"
    if isinstance(value, tuple) and all(isinstance(one, int | float) for one in value):
        few = [f"{one:g}" for one in value]
        return ", ".join(few) if len(few) <= 6 else f"{len(few)} from {few[0]} to {few[-1]}"
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        value = "; ".join(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _cells(row: BandDifference) -> tuple[str, ...]:
    meet = {None: "not known", True: "overlap", False: "apart"}[row.overlap]
    return f"{100 * row.first:.1f} %", f"{100 * row.second:.1f} %", f"{round(row.points, 1) + 0.0:+.1f}", meet


def _apart(distance: float | None) -> str:
    if distance is None:
        return "one of both places nothing, so that there is no distance"
    return (
        f"{distance:.3f} apart in log leverage (Wasserstein-1): on average by a factor of {exp(distance):.2f}"
    )
