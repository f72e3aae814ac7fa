"""A leverage model carried over to a venue, from samples of the venue's and of Hyperliquid's liquidations.

    shares_venue = shares_source * (r_venue / r_Hyperliquid) ** carried

Both tilts are of the same model and the same fit (`level`), so what the model mispredicts on both is divided out.
Liquidations of the next hour are of positions near the mark. How far their ratio holds for those further away is not
told by them: `CARRIED` of its logarithm is carried over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import numpy as np

from compare.transfer.level import NO_TILT, REFERENCE_SD, SideSteps, Tilt, Triple, fit_tilt, ratios
from compare.transfer.record import ReferenceRecord, SideHours, SideRecord, TransferRecord, Transferred
from compare.transfer.sample import Sample
from compare.transfer.tilted import Tilted, tilted, widened
from estimator.leverage_model import REFERENCE_MAXIMUM, Correction, LeverageModel, Provenance
from heatmap.grid import FloatArray
from heatmap.levels import SIDES
from heatmap.synthetic import SYNTHETIC

CARRIED: Final = 0.5
"""In the method's own simulation the whole was right (section 5.4); on synthetic venues where people answer margin
calls the whole was worse within 10 % of the mark than nothing (`benchmarks/bench_transfer.py`)."""
HABIT_SD: Final = 0.3
"""Error of a level beside what the fit tells: venues whose people answer margin calls otherwise have other ratios. With
it 80 % intervals held 23 of 24 sides of the synthetic venues that it was chosen on."""
BIAS_SD: Final = 0.8
"""Error of the tilt's level where Hyperliquid's is not divided out: the logarithm of predicted over realised was 0.5 to
1.1 on synthetic Hyperliquid-like venues."""


@dataclass(frozen=True, eq=False)
class _Side:
    """One side: the fits, what is carried over of their ratio, and its standard errors."""

    own: Tilt
    reference: Triple
    tilted: Tilted
    sd: Triple


def carried_over(
    source: LeverageModel,
    own: Sample,
    reference: Sample | None,
    *,
    coverage: float,
    name: str,
    trained_to: float = REFERENCE_MAXIMUM,
    carried: float = CARRIED,
    seed: int = 0,
    made_at: datetime | None = None,
) -> Transferred:
    """The model, its record and its steps; without a `reference` the model's own bias stays in, and errors say so."""
    long, short = (_fitted(source, side, own, reference, coverage, carried, seed) for side in SIDES)
    correction = _correction(source, own, coverage, trained_to, long, short)
    said = "; ".join(_basis(source, own, reference, correction, carried, (long, short)))
    made = (made_at or datetime.now(UTC)).astimezone(UTC)
    model = LeverageModel(
        name=name,
        kind="transferred",
        provenance=Provenance(made, f"liqtruth {version('liqtruth')}", said, (source.note,)),
        rates=source.rates,
        leverage=source.leverage,
        long=_rows(long.tilted.shares),
        short=_rows(short.tilted.shares),
        coordinate=source.coordinate,
        bounds=widened(source.bounds, correction.level_sd, f"widened by the transfer to {own.venue}"),
        correction=correction,
    )
    hours = [_hours(source, *pair, coverage) for pair in ((own.long, long), (own.short, short))]
    records = [
        _side_record(side, found, shown, coverage)
        for side, found, shown in zip((own.long, own.short), (long, short), hours, strict=True)
    ]
    return Transferred(model, _record(source, model, own, reference, carried, *records), *hours)


def _fitted(
    source: LeverageModel,
    side: str,
    own: Sample,
    reference: Sample | None,
    coverage: float,
    carried: float,
    seed: int,
) -> _Side:
    leverage = np.array(source.leverage)
    towards, spread = NO_TILT, np.array([BIAS_SD, 0.0, 0.0])
    if reference is not None:
        theirs = fit_tilt(getattr(reference, side), leverage, 1.0, prior_sd=REFERENCE_SD, seed=seed)
        towards, spread = theirs.b, np.array(theirs.sd)
    ours = fit_tilt(getattr(own, side), leverage, coverage, towards=towards, seed=seed)
    first, second, third = (carried * (np.array(ours.b) - np.array(towards))).tolist()
    level_sd, slope_sd, bend_sd = (carried * np.hypot(ours.sd, spread)).tolist()
    sd = (float(np.hypot(level_sd, HABIT_SD)), slope_sd, bend_sd)
    return _Side(ours, towards, tilted(source, side, (first, second, third)), sd)


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
        long=long.tilted.b,
        short=short.tilted.b,
        level_sd=(long.sd[0], short.sd[0]),
        trained_to=trained_to,
    )


def _basis(
    source: LeverageModel,
    own: Sample,
    reference: Sample | None,
    correction: Correction,
    carried: float,
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
        factor, error = np.exp(side.tilted.b[0]), np.exp(side.sd[0])
        yield f"{name} shares at 10x times {factor:.2f} (within a factor of {error:.2f} either way)"
        if side.tilted.held_to < 1:
            yield f"{name} shares would sum to {1 / side.tilted.held_to:.3f} of open interest: held to the whole"
    yield f"{carried:.0%} of the ratio of liquidations is carried over, which they tell near the mark alone"
    if reference is None:
        yield "Hyperliquid's liquidations are left out: the model's own bias is not removed"
    else:
        yield f"its own bias divided out by {reference.events} liquidations in {reference.hours:g} h of Hyperliquid"
    if own.highest_leverage > correction.trained_to:
        yield f"leverage above {correction.trained_to:.3g}x is extrapolation: nothing was fitted there"


def _hours(source: LeverageModel, side: SideSteps, found: _Side, coverage: float) -> SideHours:
    leverage = np.array(source.leverage)
    bias = ratios(leverage, found.reference)
    both = bias * ratios(leverage, found.tilted.b)
    before, after = (coverage * side.predicted_usd @ factor for factor in (bias, both))
    return SideHours(side.realised_usd, before, after)


def _side_record(side: SideSteps, found: _Side, hours: SideHours, coverage: float) -> SideRecord:
    return SideRecord(
        b=found.tilted.b,
        sd=found.sd,
        venue_tilt=found.own.b,
        hyperliquid_tilt=found.reference,
        held_to=found.tilted.held_to,
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
    carried: float,
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
        carried=carried,
        level_sd=correction.level_sd,
        trained_to=correction.trained_to,
        highest_leverage=own.highest_leverage,
        synthetic=own.synthetic,
        long=long,
        short=short,
        hyperliquid=None if reference is None else _reference(reference),
    )


def _reference(sample: Sample) -> ReferenceRecord:
    start, end = sample.span
    return ReferenceRecord(start, end, sample.hours, sample.events)


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in shares.tolist())
