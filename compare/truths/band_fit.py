"""A leverage model fitted on banded sums: what lies within stretches of the price gives level and shares, never shape.

Per side as `calibration.side_fit`, with a band's sum in the place of bins. With m what is drawn of a band of n bins and
f the variance floor of a bin, its variance is taken as (m + n f) / N, N its effective sample size relative to the
others' mean (one where it is not known). Scores are of cumulative sums alone, on blocks of coin and day left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Final

import numpy as np

from liqtruth.compare.calibration.bands import BANDS_AND_NULL, DRAWS, bands_of_fit, spread_of
from liqtruth.compare.calibration.lake_samples import Refused
from liqtruth.compare.calibration.record import Calibrated, Choices, FitRecord, SampleRow, SideRecord
from liqtruth.compare.calibration.side_fit import (
    LEAST_VARIANCE,
    ROUNDS,
    VARIANCE_FLOOR,
    BoolArray,
    SideFit,
    completed,
    separable,
    solved,
)
from liqtruth.compare.calibration.sizes import SizeTable
from liqtruth.compare.statistics.normal_equations import Blocks, Normal
from liqtruth.compare.truths.band_samples import BandSample, SideBands
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import CURVE_OFFSET, LeverageModel, Provenance, check_own_name
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC, Note, Notes, note, texts
from liqtruth.indexer.positions.markets import VENUE

COORDINATE: Final = "leverage"
RIVAL: Final = "tiers"
DIGITS: Final = 1e9


@one_blas_thread()
def fit_bands(
    samples: Sequence[BandSample],
    prior: LeverageModel,
    name: str,
    *,
    refused: Sequence[Refused] = (),
    seed: int = 0,
    draws: int = DRAWS,
    made_at: datetime | None = None,
) -> Calibrated:
    """Model and record; raises `BadInput` for a shipped model's name, `MissingData` where the series place nothing."""
    check_own_name(name)
    plain = [one.sample for one in samples]
    free = separable(plain, prior, COORDINATE)
    if not free.any():
        raise MissingData(
            f"nothing to fit on in {len(samples)} samples: no open interest has a place within reach"
        )
    blocks = [one.block for one in plain]
    fits = {
        side: fit_side_bands([one.of(side) for one in samples], blocks, prior.shares(side), free)
        for side in SIDES
    }
    notes = tuple(_notes(samples, fits, blocks))
    model = _model(samples, prior, name, {side: fits[side].shares for side in SIDES}, notes, made_at)
    coins = tuple(dict.fromkeys(one.coin for one in plain))
    nodes = np.array(prior.leverage)
    long, short = (
        SideRecord(
            bands_of_fit(fits[side], spread_of(fits[side], coins, seed, draws), nodes),
            fits[side].prior_scale,
            fits[side].at_most_one,
            (),
            None,
        )
        for side in SIDES
    )
    record = FitRecord(
        model=model.name,
        model_hash=model.hash,
        venue=VENUE,
        coins=tuple(sorted(coins)),
        start=min(one.as_of for one in plain),
        end=max(one.as_of for one in plain),
        blocks=len(set(blocks)),
        draws=draws if len(set(blocks)) > 1 else 0,
        seed=seed,
        fitted_leverage=(float(nodes[free][0]), float(nodes[free][-1])),
        coverage=(_mean([one.watched[0] for one in samples]), _mean([one.watched[1] for one in samples])),
        choices=Choices(COORDINATE, (), None, (), SizeTable(BANDS_AND_NULL, (), None, None)),
        long=long,
        short=short,
        pairs=tuple(_row(one) for one in samples),
        refused=tuple(f"{one.coin} {one.moment:%Y-%m-%dT%H:%MZ}: {one.reason}" for one in refused),
        notes=notes,
    )
    return Calibrated(model, record)


def fit_side_bands(
    sides: Sequence[SideBands], blocks: Sequence[str], prior: FloatArray, free: BoolArray
) -> SideFit:
    """Shares (classes, nodes) of one side; `free` nodes are fitted, the others are the prior's."""
    data = _Rows.of(sides, prior, free)
    drawn, scale = np.full(len(data.share), np.nan), 1.0
    for _ in range(ROUNDS - 1):
        weight, _ = solved(data.normal(drawn, scale, np.arange(len(sides))), prior[:, free])
        shares, scale = completed(weight, prior, free)
        drawn = data.columns @ shares[:, free].ravel() + scale * data.rest
    last = Blocks(tuple(blocks), partial(data.normal, drawn, scale))
    weight, bound = solved(last.summed(), prior[:, free])
    shares, scale = completed(weight, prior, free)
    return SideFit(shares, free, prior, scale, bound, last)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Bands of all samples as rows: free `columns`, what the prior's nodes draw (`rest`), what is known (`share`),
    bins, relative weight, and the number of the sample of each."""

    columns: FloatArray
    rest: FloatArray
    share: FloatArray
    bins: FloatArray
    weight: FloatArray
    sample: IntArray

    @classmethod
    def of(cls, sides: Sequence[SideBands], prior: FloatArray, free: BoolArray) -> "_Rows":
        chosen, others = (np.flatnonzero(np.tile(part, len(prior))) for part in (free, ~free))
        columns = np.concatenate([side.columns for side in sides])
        effective = np.concatenate([side.effective for side in sides])
        known = np.isfinite(effective).all() and (effective > 0).any()
        return cls(
            columns[:, chosen],
            columns[:, others] @ prior.ravel()[others],
            np.concatenate([side.share for side in sides]),
            np.concatenate([side.bins for side in sides]),
            _relative(effective) if known else np.ones(len(effective)),
            np.repeat(np.arange(len(sides)), [len(side.share) for side in sides]),
        )

    def normal(self, drawn: FloatArray, scale: float, samples: IntArray) -> Normal:
        """Equations of some samples; a `drawn` that is nan stands for what is known on average."""
        a_bin = float(self.share.sum() / self.bins.sum())
        expected = np.where(np.isfinite(drawn), drawn, a_bin * self.bins)
        variance = expected + self.bins * max(VARIANCE_FLOOR * a_bin, LEAST_VARIANCE)
        own = np.isin(self.sample, samples)
        root = np.sqrt(self.weight / variance)[own]
        rows, wanted = self.columns[own] * root[:, None], (self.share - scale * self.rest)[own] * root
        return Normal(rows.T @ rows, wanted @ rows, len(samples))


def _relative(effective: FloatArray) -> FloatArray:
    """To the mean of bands that hold anything; that another holds nothing was looked at as well as they were."""
    filled = effective > 0
    return np.where(filled, effective / effective[filled].mean(), 1.0)


def curve_errors(
    samples: Sequence[BandSample], fits: dict[str, SideFit], blocks: Sequence[str]
) -> tuple[float, float] | None:
    """Mean |ln ratio| of cumulative sums at the ends of bands, on blocks left out: of the fit and of tiers; null with a
    single block."""
    names = list(dict.fromkeys(blocks))
    if len(names) < 2:
        return None
    fitted, rival = [], []
    for side in SIDES:
        stored = fits[side].blocks
        assert stored is not None
        without = {
            name: fits[side].refitted(np.array([one != name for one in stored.names], np.int64))
            for name in names
        }
        for one, name in zip(samples, blocks, strict=True):
            own = one.of(side)
            fitted += _off(own, own.columns @ without[name].ravel())
            rival += _off(own, own.baselines[RIVAL])
    return float(np.mean(fitted)), float(np.mean(rival))


def _off(side: SideBands, drawn: FloatArray) -> list[float]:
    true, model = (np.cumsum(one) + CURVE_OFFSET for one in (side.share, drawn))
    return [float(one) for one in np.abs(np.log(true / model))]


def _notes(samples: Sequence[BandSample], fits: dict[str, SideFit], blocks: Sequence[str]) -> Iterator[Note]:
    ends = sorted({float(at) for one in samples for side in SIDES for at in one.of(side).high_pct})
    yield note("banded_truth", samples=len(samples), ends=ends)
    if not all(np.isfinite(one.of(side).effective).all() for one in samples for side in SIDES):
        yield note("effective_unknown")
    errors = curve_errors(samples, fits, blocks)
    if errors is not None:
        yield note("banded_curves", fitted=errors[0], rival=errors[1])


def _model(
    samples: Sequence[BandSample],
    prior: LeverageModel,
    name: str,
    shares: dict[str, FloatArray],
    notes: Notes,
    made_at: datetime | None,
) -> LeverageModel:
    plain = [one.sample for one in samples]
    synthetic = any(one.synthetic for one in plain)
    whose = f"{SYNTHETIC}: " if synthetic else ""
    basis = (
        f"{whose}fitted on banded sums of {VENUE} {', '.join(sorted({one.coin for one in plain}))}, "
        f"{min(one.as_of for one in plain):%Y-%m-%dT%H:%MZ} to {max(one.as_of for one in plain):%Y-%m-%dT%H:%MZ}; "
        f"{'; '.join(texts(notes))}"
    )
    long, short = (_tuples(shares[side]) for side in SIDES)
    made = Provenance(
        (made_at or datetime.now(UTC)).astimezone(UTC),
        f"liqtruth {version('liqtruth')}",
        basis,
        synthetic=synthetic,
    )
    return LeverageModel(
        name=name,
        kind="fitted",
        provenance=made,
        rates=prior.rates,
        leverage=prior.leverage,
        long=long,
        short=short,
    )


def _tuples(shares: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Cut to nine digits, so that the sum stays at one or below."""
    return tuple(tuple(row) for row in (np.floor(shares * DIGITS) / DIGITS).tolist())


def _row(one: BandSample) -> SampleRow:
    effective = [_effective(one.of(side)) for side in SIDES]
    sample = one.sample
    return SampleRow(
        sample.coin,
        sample.as_of,
        0,
        sample.highest_leverage,
        sample.before_window,
        one.watched,
        (1.0, 1.0),
        (effective[0], effective[1]),
    )


def _effective(side: SideBands) -> float:
    """The smallest effective sample size of bands that hold anything; zero where one is not known, or none does."""
    filled = side.share > 0
    return float(np.nan_to_num(side.effective[filled]).min()) if filled.any() else 0.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean([min(1.0, one) for one in values]))
