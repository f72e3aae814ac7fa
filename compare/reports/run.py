"""A report of each coin from what is stored, one after another, and the index of all that lie in the folder.

A coin that cannot be compared is left out with the reason; a place that cannot be written ends the run, since nothing
after it could be written either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from liqtruth.compare.check import Checked, CheckPlan, check_coin, left_out_of_all
from liqtruth.compare.comparison.report import write_report
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.reports.conditions import Condition, Held, held, not_made
from liqtruth.compare.reports.content import Content, read_content
from liqtruth.compare.reports.folder import Place, place_of, prune
from liqtruth.compare.reports.rows import report_frame
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.writing import harmless, write_atomically
from liqtruth.storage.store import Store

STORED: Final = "stored"
"""In place of venues: those of `VENUES` whose series are stored."""
VENUES: Final = ("binance", "bybit", "okx")


@dataclass(frozen=True)
class Made:
    """One coin's report, and the maps that were asked for and could not be compared."""

    place: Place
    content: Content
    lacking: tuple[str, ...]


@dataclass
class Run:
    """What came of a run: coins without a report are in `failed`, with why."""

    made: list[Made] = field(default_factory=list)
    failed: list[tuple[str, LiqtruthError]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Maps that were asked for by name and compared with no coin, with why."""

    def held(self, conditions: Sequence[Condition], now: datetime) -> list[Held]:
        """Every condition that holds; also of maps that could not be compared, where they were with no coin."""
        compared = {label for one in self.made for label in one.content.labels}
        found = []
        for one in self.made:
            found += held(one.content, conditions, now)
            for label in one.lacking:
                if label not in compared:
                    found += not_made(one.content.coin, label, conditions)
        return found


def write_reports(
    store: Store,
    plan: CheckPlan,
    folder: Path,
    *,
    keep: int | None = None,
    on_made: Callable[[Made], None] = lambda made: None,
) -> Run:
    """Compare what is stored of each coin of the plan, and write what came of it; nothing is fetched.

    `keep` is how many reports of each of these coins stay, by default all. Raises `LiqtruthError` where `folder` cannot
    be written.
    """
    run, compared = Run(), list[Checked]()
    for coin in plan.coins:
        try:
            checked = check_coin(store, with_stored(store, plan, coin), coin)
        except LiqtruthError as error:
            run.failed.append((coin, error))
            continue
        compared.append(checked)
        made = write_one(checked, folder)
        if keep is not None:
            prune(folder, coin, keep)
        run.made.append(made)
        on_made(made)
    run.left_out = left_out_of_all(compared)
    return run


def write_one(checked: Checked, folder: Path) -> Made:
    """The page, the table and at last the JSON of one coin."""
    found = checked.comparison
    divergence = found.divergence
    place = place_of(folder, checked.coin, divergence.as_of)
    text = to_json(divergence)
    content = read_content(text.encode(), str(place.file(".json")))
    write_report(divergence, found.truth_map, found.model_maps, place.file(".html"), found.crowd_map)
    write_atomically(place.file(".csv"), harmless(report_frame(divergence)).write_csv())
    write_atomically(place.file(".json"), text + "\n")
    return Made(place, content, checked.lacking)


def with_stored(store: Store, plan: CheckPlan, coin: str) -> CheckPlan:
    """The plan with the venues whose series of the coin are stored in place of `STORED`; the first of `VENUES` where
    none is, so that the reason is given."""
    if list(plan.venues) != [STORED]:
        return plan
    stored = {venue for venue, of in store.lake.series_coins("open_interest") if of == coin}
    venues = [venue for venue in VENUES if venue in stored]
    return replace(plan, venues=venues or ([] if plan.maps else VENUES[:1]))
