"""A leverage model carried over to a venue, from samples of the venue's and of Hyperliquid's liquidations.

    shares_venue = shares_source * (r_venue / r_Hyperliquid) ** w

Both tilts are of the same model and the same fit (`tilt_fit`), so what the model mispredicts on both is divided out;
`w` is how far liquidations of the next hour, which are of positions near the mark, speak for each leverage.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.transfer.record import (
    ReferenceRecord,
    SideHours,
    SideRecord,
    TransferRecord,
    Transferred,
)
from liqtruth.compare.transfer.sample import Sample
from liqtruth.compare.transfer.tilt_fit import (
    NEAR_LEVERAGE,
    NO_TILT,
    REFERENCE_SD,
    SideSteps,
    Tilt,
    Triple,
    fit_tilt,
    local_powers,
    local_ratios,
    ratios,
)
from liqtruth.estimator.model.leverage_model import (
    REFERENCE_MAXIMUM,
    Bounds,
    Correction,
    LeverageModel,
    Provenance,
    SideBounds,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.notes import SYNTHETIC

HABIT_SD: Final = 1.0
"""Error of a tilt's level beside what the fit tells: venues whose people answer margin calls otherwise have other
ratios of liquidations to positions."""
BODY_SD: Final = 0.1
"""Error of a curve that no liquidation shows. With both, 80 % intervals covered 20 to 22 of the 24 sides of the
synthetic venues that they were chosen on, within 2, 5 and 10 % of the mark."""
BIAS_SD: Final = 0.8
"""Error of the tilt's level where Hyperliquid's is not divided out: the logarithm of predicted over realised was 0.5 to
1.1 on synthetic Hyperliquid-like venues."""
NEAR_PCT: Final = 10.0
"""The level of a corrected map is that of its mass within this distance."""
Z80: Final = 1.2815515655446004
"""Standard deviations on both sides of its mean that hold `LEVEL` of a normal distribution."""
PAIRS: Final = (("low", "high"), ("crowd_low", "crowd_high"))


@dataclass(frozen=True, eq=False)
class TiltedShares:
    """Shares (classes, nodes) of one side, multiplied by what `b` gives and by `cut_to`, which keeps their sum at one:
    1 where that was not needed."""

    shares: FloatArray
    b: Triple
    cut_to: float


def tilted_shares(model: LeverageModel, side: str, b: Triple) -> TiltedShares:
    """Shares times r(l) ** w(l); where they would place more than all open interest, they are limited to the whole."""
    shares = model.shares(side) * local_ratios(np.array(model.leverage), b)
    cut_to = 1.0 / max(1.0, float(shares.sum()))
    cut = np.floor(shares * cut_to * 1e9) / 1e9
    return TiltedShares(cut, b, cut_to)


def widened(bounds: Bounds | None, curve_sd: tuple[FloatArray, FloatArray], basis: str) -> Bounds | None:
    """Bounds with the error of what was corrected added in quadrature: standard errors of the curve's logarithm at
    `DISTANCES_PCT`, long and short."""
    if bounds is None:
        return None
    long, short = (
        widened_side(side, Z80 * np.interp(side.distance_pct, DISTANCES_PCT, sd))
        for side, sd in zip((bounds.long, bounds.short), curve_sd, strict=True)
    )
    return Bounds(long, short, f"{bounds.basis}; {basis}")


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
    """One side: the fits, what comes of their ratio, its covariance, and what it makes of the model's mass within each
    of `DISTANCES_PCT`: the factor, and the standard error of its logarithm."""

    own: Tilt
    reference: Triple
    tilt: TiltedShares
    covariance: FloatArray
    curve_factor: FloatArray
    curve_sd: FloatArray

    @property
    def near(self) -> tuple[float, float]:
        """Factor and standard error within `NEAR_PCT`."""
        place = DISTANCES_PCT.index(NEAR_PCT)
        return float(self.curve_factor[place]), float(self.curve_sd[place])


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
        long=_rows(long.tilt.shares),
        short=_rows(short.tilt.shares),
        coordinate=source.coordinate,
        bounds=widened(
            source.bounds, (long.curve_sd, short.curve_sd), f"widened by the transfer to {own.venue}"
        ),
        correction=correction,
    )
    hours = [_hours(source, *pair, coverage) for pair in ((own.long, long), (own.short, short))]
    records = [
        _side_record(side, found, shown, coverage)
        for side, found, shown in zip((own.long, own.short), (long, short), hours, strict=True)
    ]
    return Transferred(model, _record(source, model, own, reference, *records), *hours)


def _fitted(
    source: LeverageModel, side: str, own: Sample, reference: Sample | None, coverage: float, seed: int
) -> _Side:
    leverage = np.array(source.leverage)
    towards, unsure = NO_TILT, np.diag([BIAS_SD**2, 0.0, 0.0])
    if reference is not None:
        theirs = fit_tilt(reference.of(side), leverage, 1.0, prior_sd=REFERENCE_SD, seed=seed)
        towards, unsure = theirs.b, theirs.covariance
    ours = fit_tilt(own.of(side), leverage, coverage, towards=towards, seed=seed)
    first, second, third = (np.array(ours.b) - np.array(towards)).tolist()
    found = tilted_shares(source, side, (first, second, third))
    covariance = ours.covariance + unsure + np.diag([HABIT_SD**2, 0.0, 0.0])
    factor, sd = curve_moved(own.mass_by_leverage.of(side), leverage, found, covariance)
    return _Side(ours, towards, found, covariance, factor, sd)


def curve_moved(
    standing_usd: FloatArray, leverage: FloatArray, found: TiltedShares, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What a tilt makes of the mass within each distance, and the standard error of its logarithm; `standing_usd`
    (distances, nodes) is of the model without it. Where nothing stands the factor is one."""
    before = standing_usd.sum(axis=1)
    after = standing_usd * local_ratios(leverage, found.b)
    whole = np.where(before > 0, after.sum(axis=1), 1.0)
    moves = after @ local_powers(leverage) / whole[:, None]
    variance = np.einsum("di,ij,dj->d", moves, covariance, moves)
    return found.cut_to * whole / np.where(before > 0, before, 1.0), np.sqrt(variance + BODY_SD**2)


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
        long=long.tilt.b,
        short=short.tilt.b,
        level_sd=(long.near[1], short.near[1]),
        trained_to=trained_to,
        near_leverage=NEAR_LEVERAGE,
        held_to=(long.tilt.cut_to, short.tilt.cut_to),
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
        if side.tilt.cut_to < 1:
            yield f"{name} shares would sum to {1 / side.tilt.cut_to:.3f} of open interest: held to the whole"
    yield f"liquidations tell of positions near the mark: shares below {NEAR_LEVERAGE:g}x are corrected in part"
    if reference is None:
        yield "Hyperliquid's liquidations are left out: the model's own bias is not removed"
    else:
        yield f"its own bias divided out by {reference.events} liquidations in {reference.hours:g} h of Hyperliquid"
    if own.highest_leverage > correction.trained_to:
        yield f"leverage above {correction.trained_to:.3g}x is extrapolation: nothing was fitted there"


def _hours(source: LeverageModel, side: SideSteps, found: _Side, coverage: float) -> SideHours:
    leverage = np.array(source.leverage)
    bias = ratios(leverage, found.reference)
    both = bias * local_ratios(leverage, found.tilt.b) * found.tilt.cut_to
    before, after = (coverage * side.predicted_usd @ factor for factor in (bias, both))
    return SideHours(side.realised_usd, before, after)


def _side_record(side: SideSteps, found: _Side, hours: SideHours, coverage: float) -> SideRecord:
    return SideRecord(
        b=found.tilt.b,
        covariance=_square(found.covariance),
        venue_tilt=found.own.b,
        hyperliquid_tilt=found.reference,
        cut_to=found.tilt.cut_to,
        curve_factor=tuple(found.curve_factor.tolist()),
        curve_sd=tuple(found.curve_sd.tolist()),
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


def _square(covariance: FloatArray) -> tuple[Triple, Triple, Triple]:
    first, second, third = (tuple(row) for row in covariance.tolist())
    return first, second, third


def _rows(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in shares.tolist())
