"""A leverage model carried over to a venue, from samples of the venue's and of Hyperliquid's liquidations.

    shares_venue = shares_source * exp(s(l) d)

`d` is how far the venue's liquidations deviate from what the model predicts, beside the same on Hyperliquid, so what
the model mispredicts on both is divided out; `s` is how far they speak for each leverage (`deviation`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.transfer.deviation import (
    FARTHEST,
    LEFT_PCT,
    LEFT_SD,
    UNKNOWN,
    WIDENING,
    Known,
    SideSteps,
    speaks,
)
from liqtruth.compare.transfer.record import (
    ReferenceRecord,
    SideHours,
    SideRecord,
    TransferRecord,
    Transferred,
)
from liqtruth.compare.transfer.sample import Sample
from liqtruth.estimator.model.leverage_model import (
    REFERENCE_MAXIMUM,
    Bounds,
    Correction,
    LeverageModel,
    Provenance,
    SideBounds,
)
from liqtruth.heatmap.bounds import OTHER_POPULATION
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC

NEAR_PCT: Final = 10.0
"""The level of a corrected map is that of its mass within this distance."""
Z80: Final = 1.2815515655446004
"""Standard deviations on both sides of its mean that hold `LEVEL` of a normal distribution."""
PAIRS: Final = (("low", "high"), ("crowd_low", "crowd_high"))


@dataclass(frozen=True, eq=False)
class MovedShares:
    """Shares (classes, nodes) of one side, nodes multiplied by exp(`log_factor`) and all by `cut_to`, which keeps their
    sum at one: 1 where that was not needed."""

    shares: FloatArray
    log_factor: FloatArray
    cut_to: float


def moved_shares(model: LeverageModel, side: str, deviation: float) -> MovedShares:
    """Shares times exp(s(l) d); where they would place more than all open interest, they are limited to the whole."""
    leverage = np.array(model.leverage)
    log_factor = np.round(deviation * speaks(leverage, deviation), 6)
    shares = model.shares(side) * np.exp(log_factor)
    cut_to = 1.0 / max(1.0, float(shares.sum()))
    return MovedShares(np.floor(shares * cut_to * 1e9) / 1e9, log_factor, cut_to)


def widened(bounds: Bounds | None, sides: "tuple[_Side, _Side]", basis: str) -> Bounds | None:
    """Bounds with the error of what was corrected added in quadrature; withheld on a side whose deviation says that
    its people are others than those of any venue that the correction was learned on."""
    if bounds is None:
        return None
    long, short = (
        withheld(own)
        if abs(found.deviation.log) > FARTHEST
        else widened_side(own, Z80 * np.interp(own.distance_pct, DISTANCES_PCT, found.missed(WIDENING)))
        for own, found in zip((bounds.long, bounds.short), sides, strict=True)
    )
    return Bounds(long, short, f"{bounds.basis}; {basis}")


def withheld(bounds: SideBounds) -> SideBounds:
    """None at any distance; what is likely stays."""
    nothing = (None,) * len(bounds.distance_pct)
    ends = {
        name: nothing
        for pair in (*PAIRS, ("whales_low", "whales_high"))
        for name in pair
        if getattr(bounds, name)
    }
    reasons = (OTHER_POPULATION,) * len(nothing)
    return msgspec.structs.replace(bounds, withheld=reasons, **ends)


def widened_side(bounds: SideBounds, error: FloatArray) -> SideBounds:
    """`error` is of the logarithm, one per distance. Where the factors stand for the crowd alone they are widened
    alike; how much the whales hold is as uncertain."""
    wider = {}
    for low, high in PAIRS:
        if getattr(bounds, low, ()):
            wider[low], wider[high] = _apart(getattr(bounds, low), getattr(bounds, high), error)
    low_whales, high_whales = (
        np.array(whales, dtype=np.float64) for whales in (bounds.whales_low, bounds.whales_high)
    )
    return msgspec.structs.replace(
        bounds,
        whales_low=_nullable(low_whales * np.exp(-error)),
        whales_high=_nullable(np.minimum(high_whales * np.exp(error), 1.0)),
        **wider,
    )


def _apart(
    low: tuple[float | None, ...], high: tuple[float | None, ...], error: FloatArray
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Both ends further from the factor in between that is nearest to one, in quadrature."""
    tiny = np.finfo(float).tiny
    below, above = (np.log(np.maximum(np.array(part, dtype=np.float64), tiny)) for part in (low, high))
    middle = np.clip(0.0, below, above)
    return (
        _nullable(np.exp(middle - np.hypot(middle - below, error))),
        _nullable(np.exp(middle + np.hypot(above - middle, error))),
    )


def _nullable(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values.tolist())


@dataclass(frozen=True, eq=False)
class _Side:
    """One side: the deviation as measured and as it counts, Hyperliquid's own ratio, what comes of them, and what that
    makes of the model's mass within each of `DISTANCES_PCT`: the factor, and what the deviation's own error is worth of
    its logarithm."""

    deviation: Known
    counted: Known
    reference: Known
    moved: MovedShares
    curve_factor: FloatArray
    told_sd: FloatArray

    def missed(self, part: float = 1.0) -> FloatArray:
        """Standard error of the factors' logarithm, with this part of what venues left out missed."""
        return np.hypot(self.told_sd, part * np.interp(DISTANCES_PCT, LEFT_PCT, LEFT_SD))

    @property
    def near(self) -> tuple[float, float]:
        """Factor and standard error within `NEAR_PCT`."""
        place = DISTANCES_PCT.index(NEAR_PCT)
        return float(self.curve_factor[place]), float(self.missed()[place])


def carried_over(
    source: LeverageModel,
    own: Sample,
    reference: Sample | None,
    *,
    coverage: float,
    name: str,
    trained_to: float = REFERENCE_MAXIMUM,
    seed: int = 0,
    made_at: datetime | None = None,
) -> Transferred:
    """The model, its record and its steps; without a `reference` the model's own bias stays in, errors with it."""
    long, short = (_fitted(source, side, own, reference, coverage, seed) for side in SIDES)
    correction = _correction(source, own, coverage, trained_to, long, short)
    basis = "; ".join(_basis(source, own, reference, correction, (long, short)))
    made = (made_at or datetime.now(UTC)).astimezone(UTC)
    model = LeverageModel(
        name=name,
        kind="transferred",
        provenance=Provenance(
            made,
            f"liqtruth {version('liqtruth')}",
            basis,
            (source.note,),
            synthetic=own.synthetic or source.provenance.synthetic,
        ),
        rates=source.rates,
        leverage=source.leverage,
        long=_rows(long.moved.shares),
        short=_rows(short.moved.shares),
        coordinate=source.coordinate,
        bounds=widened(source.bounds, (long, short), f"widened by the transfer to {own.venue}"),
        correction=correction,
    )
    hours = [_hours(*pair, coverage) for pair in ((own.long, long), (own.short, short))]
    records = [
        _side_record(side, found, shown, coverage)
        for side, found, shown in zip((own.long, own.short), (long, short), hours, strict=True)
    ]
    return Transferred(model, _record(source, model, own, reference, *records), *hours)


def _fitted(
    source: LeverageModel, side: str, own: Sample, reference: Sample | None, coverage: float, seed: int
) -> _Side:
    theirs = UNKNOWN if reference is None else reference.of(side).log_ratio(1.0, seed)
    deviation = own.of(side).log_ratio(coverage, seed).beside(theirs)
    counted = deviation.shrunk()
    moved = moved_shares(source, side, counted.log)
    factor, told = curve_moved(own.mass_by_leverage.of(side), np.array(source.leverage), moved, counted)
    return _Side(deviation, counted, theirs, moved, factor, told)


def curve_moved(
    standing_usd: FloatArray, leverage: FloatArray, moved: MovedShares, counted: Known
) -> tuple[FloatArray, FloatArray]:
    """What a correction makes of the mass within each distance, and what the deviation's error is worth of its
    logarithm; `standing_usd` (distances, nodes) is of the model without it. Where nothing stands the factor is one."""
    before = standing_usd.sum(axis=1)
    after = standing_usd * np.exp(moved.log_factor)
    whole = np.where(before > 0, after.sum(axis=1), 1.0)
    told = after @ speaks(leverage, counted.log) / whole
    return moved.cut_to * whole / np.where(before > 0, before, 1.0), told * counted.sd


def _correction(
    source: LeverageModel, own: Sample, coverage: float, trained_to: float, long: _Side, short: _Side
) -> Correction:
    start, end = own.span
    return Correction(
        venue=own.venue,
        source_model=source.name,
        coverage=coverage,
        start=start,
        end=end,
        hours=int(own.hours),
        events=own.events,
        long=tuple(long.moved.log_factor.tolist()),
        short=tuple(short.moved.log_factor.tolist()),
        level_sd=(long.near[1], short.near[1]),
        trained_to=trained_to,
        held_to=(long.moved.cut_to, short.moved.cut_to),
        deviation=(long.deviation.log, short.deviation.log),
    )


def _basis(
    source: LeverageModel,
    own: Sample,
    reference: Sample | None,
    correction: Correction,
    sides: tuple[_Side, _Side],
) -> Iterator[str]:
    """The parts of one line for the assumptions of every map that the model draws."""
    whose = f"{SYNTHETIC}: " if own.synthetic else ""
    yield (
        f"{whose}{source.name} ({source.hash}) carried over to {own.venue} by {own.events} liquidations of "
        f"{', '.join(own.coins)} in {own.hours:g} h from {correction.start:%Y-%m-%dT%H:%MZ} to "
        f"{correction.end:%Y-%m-%dT%H:%MZ}, of which the feed tells {correction.coverage:.0%}"
    )
    for name, side in zip(SIDES, sides, strict=True):
        factor, sd = side.near
        yield (
            f"{name} mass within {NEAR_PCT:g} % of the mark times {factor:.2f} (within a factor of "
            f"{np.exp(sd):.2f} either way)"
        )
        if side.moved.cut_to < 1:
            yield f"{name} shares would sum to {1 / side.moved.cut_to:.3f} of open interest: held to the whole"
    yield "liquidations tell of positions near the mark: how far they speak for others was learned on synthetic venues"
    if reference is None:
        yield "Hyperliquid's liquidations are left out: the model's own bias is not removed"
    else:
        yield f"its own bias divided out by {reference.events} liquidations in {reference.hours:g} h of Hyperliquid"
    if own.highest_leverage > correction.trained_to:
        yield f"leverage above {correction.trained_to:.3g}x is extrapolation: nothing was fitted there"


def _hours(side: SideSteps, found: _Side, coverage: float) -> SideHours:
    bias = coverage * np.exp(found.reference.log)
    after = side.predicted_usd @ np.exp(found.moved.log_factor) * found.moved.cut_to
    return SideHours(side.realised_usd, bias * side.predicted_usd.sum(axis=1), bias * after)


def _side_record(side: SideSteps, found: _Side, hours: SideHours, coverage: float) -> SideRecord:
    return SideRecord(
        deviation=found.deviation.log,
        deviation_sd=found.deviation.sd,
        counted=found.counted.log,
        hyperliquid=found.reference.log,
        cut_to=found.moved.cut_to,
        curve_factor=tuple(found.curve_factor.tolist()),
        curve_sd=tuple(found.missed().tolist()),
        events=side.events,
        realised_usd=float(side.realised_usd.sum()),
        predicted_usd=float(coverage * side.predicted_usd.sum()),
        as_on_hyperliquid_usd=float(hours.before_usd.sum()),
        transferred_usd=float(hours.after_usd.sum()),
    )


def _record(
    source: LeverageModel,
    model: LeverageModel,
    own: Sample,
    reference: Sample | None,
    long: SideRecord,
    short: SideRecord,
) -> TransferRecord:
    correction = model.correction
    assert correction is not None
    return TransferRecord(
        model=model.name,
        model_hash=model.hash,
        source_model=source.name,
        source_hash=source.hash,
        venue=own.venue,
        coins=own.coins,
        start=correction.start,
        end=correction.end,
        step_s=own.step_ms / 1000,
        hours=own.hours,
        events=own.events,
        coverage=correction.coverage,
        distance_pct=DISTANCES_PCT,
        level_sd=correction.level_sd,
        trained_to=correction.trained_to,
        highest_leverage=own.highest_leverage,
        synthetic=own.synthetic,
        by_days=own.by_days,
        long=long,
        short=short,
        hyperliquid=None if reference is None else _reference(reference),
    )


def _reference(sample: Sample) -> ReferenceRecord:
    start, end = sample.span
    return ReferenceRecord(start, end, sample.hours, sample.events)


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in shares.tolist())
