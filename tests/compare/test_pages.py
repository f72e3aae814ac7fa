"""Every kind of page: one shell, no wider than a phone, the badge of the sandbox and the age in its head."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from liqtruth.compare.calibration.calibrated import calibrate
from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.shown import shown
from liqtruth.compare.calibration.shown import write_page as fit_page
from liqtruth.compare.divergence.divergence import compare_maps
from liqtruth.compare.divergence.report import write_report
from liqtruth.compare.scoring.lead_lag.shown import write_page as lead_page
from liqtruth.compare.scoring.realised.page import write_page as realised_page
from liqtruth.compare.scoring.realised.score import score_realised
from liqtruth.compare.scoring.visits.job import VisitPlan, visits_stored
from liqtruth.compare.scoring.visits.shown import write_page as visits_page
from liqtruth.compare.transfer.shown import write_page as transfer_page
from liqtruth.compare.transfer.transfer import carried_over
from liqtruth.compare.validation.findings import SplitFindings
from liqtruth.compare.validation.page import write_page as proof_page
from liqtruth.heatmap.drawing import figure, series_figure
from liqtruth.storage.settings import Settings
from liqtruth.storage.store import Store
from tests.compare import test_leads_lake as leads
from tests.compare import test_scoring_realised as realised
from tests.compare import test_transfer_model as transfers
from tests.compare.calibrated_markets import PRIOR, random_pair, random_series
from tests.compare.maps import FAR, NEAR, TRUTH, map_of
from tests.compare.test_proof_verdicts import DOUBTFUL, WORSE, findings_of, split_of
from tests.compare.test_visits_lake import COIN, READ_AT, stored_reading, stored_series
from tests.heatmap.test_bounds import MAP
from tests.heatmap.test_series import series_of

PHONE_PX = 390
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LONG_WORD = "synthetic: " + "0123456789abcdef" * 8
MEASURE = """<!doctype html><body>{frames}<script>
onload = () => setTimeout(() => {{
  for (const frame of document.querySelectorAll("iframe"))
    frame.title = frame.contentDocument.documentElement.scrollWidth
      + " " + frame.contentDocument.querySelectorAll(".figure .main-svg:first-child").length;
}}, 1500);
</script>"""


def map_page(path: Path) -> None:
    figure.write_html(replace(MAP, coverage=replace(MAP.coverage, notes=(LONG_WORD,))), path)


def model_page(path: Path) -> None:
    drawn = map_of(TRUTH, venue="binance", source="modelled", model="calibrated", assumptions=(LONG_WORD,))
    figure.write_html(replace(drawn, bounds=MAP.bounds), path)


def time_page(path: Path) -> None:
    series_figure.write_html(series_of([(2, "long", 95.0, 1e6), (3, "short", 107.0, 3e6)]), path)


def report_page(path: Path) -> None:
    shared = {"venue": "binance", "mark_px": 66_933.0}
    truth = map_of(TRUTH, mark_px=66_907.0, open_interest_usd=2e8)
    models = [map_of(one, model=name, **shared) for one, name in ((NEAR, "tiers"), (FAR, "calibrated"))]
    divergence = replace(compare_maps(truth, models), synthetic=True)
    write_report(divergence, truth, models, path)


def fitted_page(path: Path) -> None:
    made = calibrate(Gathered(tuple(random_pair(seed) for seed in range(4)), ()), PRIOR, draws=20)
    fit_page(shown(made.model, made.record), path)


def transferred_page(path: Path) -> None:
    own, reference = transfers.sample(transfers.WIDE, 0.3, 1), transfers.sample(transfers.BRACKETS, 0.0, 2)
    transfer_page(carried_over(transfers.MODEL, own, reference, coverage=1.0, name="carried"), path)


def validated_page(path: Path) -> None:
    splits = (split_of(), split_of("coins left out", tiers=DOUBTFUL, shape_copy=WORSE), split_of("both"))
    findings = findings_of(*(on_every_side(split) for split in splits))
    proof_page(findings, path)


def on_every_side(split: SplitFindings) -> SplitFindings:
    sides = [
        msgspec.structs.replace(one, side=side) for side in ("both", "long", "short") for one in split.sides
    ]
    return msgspec.structs.replace(split, sides=tuple(sides))


def scored_page(path: Path) -> None:
    with Store.open(Settings(data_dir=path.with_suffix(""))) as store:
        realised.store_market(store, realised.MARKET)
        realised_page(score_realised(store, realised.COIN, realised.VENUE, "bell"), path)


def visited_page(path: Path) -> None:
    market = random_series(12)
    with Store.open(Settings(data_dir=path.with_suffix(""))) as store:
        stored_series(store, market)
        for bar in READ_AT:
            stored_reading(store, market, bar)
        visits_page(visits_stored(store, VisitPlan(COIN, "hyperliquid", "tiers")), path)


def lead_lag_page(path: Path) -> None:
    series = random_series(13, bars=leads.BARS)
    with Store.open(Settings(data_dir=path.with_suffix(""))) as store:
        stored_series(store, series)
        for bar in range(4, leads.BARS, 6):
            stored_reading(store, series, bar)
        leads.stored_liquidations(store, *leads.swept_usd(store, series))
        leads.listened(store, series)
        lead_page(leads.asked(store), path)


KINDS: dict[str, Callable[[Path], None]] = {
    "map": map_page,
    "model": model_page,
    "series": time_page,
    "report": report_page,
    "fit": fitted_page,
    "transfer": transferred_page,
    "proof": validated_page,
    "realised": scored_page,
    "visits": visited_page,
    "leads": lead_lag_page,
}
