"""Two or more maps to a divergence: models against the whole truth and its crowd, beside a no-information baseline.

The baseline knows nothing but the mark: the least that a model has to beat. A few dozen whales make half of a real map,
and another draw of them would have put it elsewhere. What a model can learn is the crowd's; a score against the crowd
shows how well it did, one against the whole what that is worth to a trader. Each layer has its own noise floor.

Nothing here reads a clock, a file or a host: the same maps give the same divergence.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict, Unpack

from liqtruth.compare.conclusion.ranking import ranking_of
from liqtruth.compare.conclusion.records import CROWD, Aside
from liqtruth.compare.conclusion.sentences import in_words
from liqtruth.compare.divergence.caveats import (
    fit_remarks,
    floor_caveat,
    headline_caveats,
    reach_remarks,
    remarks,
)
from liqtruth.compare.divergence.common import Common, Maps, summarise
from liqtruth.compare.divergence.divergence import SCHEMA, Divergence
from liqtruth.compare.divergence.judging import read_remarks
from liqtruth.compare.divergence.records import Band
from liqtruth.compare.errors import NothingToCompare
from liqtruth.compare.observed.reached import Reached
from liqtruth.compare.statistics.distances import (
    HEADLINE_PCT,
    RANGES_PCT,
    band_bounds_pct,
    band_mass_usd,
    side_curve,
)
from liqtruth.compare.statistics.effective_sample_size import mean_floor_pct
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note


class Given(TypedDict, total=False):
    """What `measured` takes beside the maps."""

    crowd: Heatmap | None
    notes: Sequence[Note]
    caveats: Sequence[Note]
    baselines: Sequence[Heatmap]
    within_pct: float
    reached: Reached | None


def compare_maps(
    truth: Heatmap, models: Sequence[Heatmap], tolerance_pct: float = 1.0, **given: Unpack[Given]
) -> Divergence:
    """As `measured`, without the maps."""
    return measured(truth, models, tolerance_pct, **given)[0]


def measured(
    truth: Heatmap,
    models: Sequence[Heatmap],
    tolerance_pct: float = 1.0,
    *,
    crowd: Heatmap | None = None,
    notes: Sequence[Note] = (),
    caveats: Sequence[Note] = (),
    baselines: Sequence[Heatmap] = (),
    within_pct: float = HEADLINE_PCT,
    reached: Reached | None = None,
) -> tuple[Divergence, Heatmap, tuple[Heatmap, ...], Heatmap | None]:
    """Measure every model against the truth and against the null map; clusters match within `tolerance_pct`. With the
    truth, the models and, where the answer is against it, the crowd as they were ranked: cut to what all of them cover.

    Any map may be the truth; `crowd` is its crowd's part, `notes` are remarks beside those of the maps, `caveats` stand
    beside the verdict too, `baselines` are scored beside the models and not ranked among them. Conclusions are drawn
    within `within_pct` of the mark, one of `RANGES_PCT`; `reached` is where the price has been in the hours before.
    Raises `NothingToCompare` without models, with a tolerance that is no distance, or another range.
    """
    _check(models, tolerance_pct, within_pct)
    maps = Maps.of(truth, crowd, models, baselines, within_pct, reached)
    common = Common.of(maps, tolerance_pct)
    conclusion, scored = common.concluded()
    results = common.judged(scored)
    found = Divergence(
        schema=SCHEMA,
        coin=truth.coin,
        as_of=truth.as_of,
        synthetic=any(heatmap.synthetic for heatmap in (truth, *models)),
        verdict=in_words(conclusion),
        caveats=(
            *headline_caveats(common.truth),
            *common.far_apart,
            *caveats,
            *floor_caveat(common.positions(conclusion)),
        ),
        range_pct=common.range_pct,
        tolerance_pct=tolerance_pct,
        truth=summarise(common.truth, truth.mark_px, common.range_pct, truth),
        granularity=common.grains,
        noise_floor_pct=mean_floor_pct(common.grains),
        null_model=common.null.assumptions[0].text,
        null_scores=common.null_scores,
        models=results,
        bands=_bands(common.truth, common.null, common.parts, maps.aside, common.range_pct),
        remarks=(
            *remarks(common.truth, common.parts, common.grains, common.range_pct, within_pct),
            *reach_remarks([one.scores for one in maps.own], maps.aside, common.range_pct),
            *read_remarks(truth, maps.models, [one.reading for one in maps.own]),
            *fit_remarks(scored),
            *(one.of(result.summary.label) for result in results for one in result.untold),
            *notes,
        ),
        layers=tuple(common.as_told(layer, scored) for layer in common.layers),
        conclusion=conclusion,
        baselines=common.baselines,
        asked_pct=within_pct,
        ranges=maps.ranges,
        ranking=ranking_of(scored) if common.speaking or conclusion.readings else (),
    )
    return found, common.truth, common.parts, common.crowd if conclusion.layer == CROWD else None


def _check(models: Sequence[Heatmap], tolerance_pct: float, within_pct: float) -> None:
    if not models:
        raise NothingToCompare("no model to compare with the truth; name at least one, e.g. binance:tiers")
    if not 0 < tolerance_pct <= 50:
        raise NothingToCompare(
            f"the tolerance must be above 0 and at most 50 % of price, got {tolerance_pct!r}"
        )
    if within_pct not in RANGES_PCT:
        raise NothingToCompare(f"the range must be 10, 25 or 50 % of price, got {within_pct!r}")


def _bands(
    truth: Heatmap,
    null: Heatmap,
    models: Sequence[Heatmap],
    aside: Sequence[Aside | None],
    range_pct: float,
) -> tuple[Band, ...]:
    """Shares of a map that covers less than the bands are none of theirs: null."""
    bounds = band_bounds_pct(range_pct)
    rows = []
    for side in SIDES:
        mass = [
            band_mass_usd(side_curve(m, side, range_pct), side, range_pct) for m in (truth, null, *models)
        ]
        shares = [_shares(row) for row in mass]
        for at, why in enumerate(aside):
            if why == "too_few":
                shares[2 + at] = [None] * len(shares[0])
        for n, (low, high) in enumerate(pairwise(bounds)):
            at_n = [share[n] for share in shares]
            rows.append(Band(side, low, high, float(mass[0][n]), at_n[0], at_n[1], tuple(at_n[2:])))
    return tuple(rows)


def _shares(mass: FloatArray) -> list[float | None]:
    total = float(mass.sum())
    return [float(part) / total if total > 0 else None for part in mass]
