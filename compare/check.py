"""A map that people use, checked against what is stored of the chain (`compare.gather` reads it first).

What cannot be made of it is left out of the comparison and named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from liqtruth.compare.comparison.comparison import Comparison, compared
from liqtruth.compare.comparison.session import (
    Files,
    Lacking,
    MapsRead,
    ages_now,
    around_maps,
    baseline_maps,
    left_out,
    make_map,
    reached_before,
    venues_of,
)
from liqtruth.compare.imported.named_files import names_file
from liqtruth.compare.imported.vendor_map import PictureGiven
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.estimator.model.maps import default_model
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import LiqtruthError, MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note
from liqtruth.heatmap.words.text import counted, format_duration
from liqtruth.indexer.maps.exact import whole_and_layer
from liqtruth.storage.net.stops import Stop
from liqtruth.storage.store import Store

NAIVE: Final = "tiers"
STOPPED: Final = "stopped before it was made"


@dataclass(frozen=True)
class CheckPlan:
    """What is checked and what it may take. `maps` are files, with the `mark_px` of those that state none, whose levels
    `shift` sees from the truth's mark, and what `picture` states of screenshots; `addresses` are lists of accounts
    beside those that are found; `venue_url` stands in for the hosts of all venues. `models` are compared in place of
    those of the venues, `at` is the moment of what is stored, by default the latest. Conclusions are drawn within
    `within_pct` of the mark; with `windows` every modelled map is made for 24 h, 7 d and 30 d too, to state which of
    them show a cluster. `kept` are the maps of files that were read."""

    coins: Sequence[str]
    maps: Sequence[str] = ()
    venues: Sequence[str] = ("binance", "bybit", "okx")
    within_s: float = 180.0
    coverage: float = 0.95
    days: int = 30
    venue_url: str | None = None
    addresses: Sequence[Path] = ()
    mark_px: float | None = None
    shift: bool = False
    picture: PictureGiven | None = None
    models: Sequence[str] = ()
    at: datetime | None = None
    within_pct: float = HEADLINE_PCT
    windows: bool = False
    kept: MapsRead = field(default_factory=dict, compare=False)

    @property
    def window(self) -> str:
        """How far back the venues are modelled."""
        return format_duration(timedelta(days=self.days))

    def files_of(self, coin: str) -> Files:
        """The maps to check of one coin: of several coins, a file that is of another one is left to that."""
        paths = [path for path in self.maps if not self._is_of_another(path, coin)]
        return self._files(paths)

    def _files(self, paths: Sequence[str]) -> Files:
        """Each is read once for all that is done with it."""
        return Files(paths, self.mark_px, self.shift, self.picture, self.kept)

    def _is_of_another(self, path: str, coin: str) -> bool:
        others = [one for one in self.coins if one != coin]
        return any(self._is_of(other, path) for other in others) and not self._is_of(coin, path)

    def _is_of(self, coin: str, path: str) -> bool:
        """Whether the file can be read as a map of the coin."""
        try:
            return self._files([path]).read(coin)[0].coin == coin
        except LiqtruthError:
            return False


@dataclass(frozen=True)
class Checked:
    """One coin: the comparison, and what it lacks."""

    coin: str
    comparison: Comparison
    lacking: tuple[str, ...]
    """Labels or specs of the maps that could not be made; why is among the remarks."""
    unmade: tuple[str, ...] = ()
    """Those among them that a stop left unmade."""
    files: tuple[str, ...] = ()
    """The map files that may be of this coin."""


def left_out_of_all(checked: Sequence[Checked]) -> list[str]:
    """Why maps that were asked for by name were not compared, each once; a file that was with any coin is none."""
    found = {asked: why for one in checked for asked, why in one.comparison.left_out.items()}
    compared = {file for one in checked for file in one.files if file not in one.comparison.left_out}
    return [why for asked, why in found.items() if asked not in compared]


def check_coin(store: Store, plan: CheckPlan, coin: str, stop: Stop | None = None) -> Checked:
    """Compare what is stored of one coin; once `stop` is set and there is a map, no further model is made, and each is
    named as lacking.

    Raises `NothingStored` without positions, `MissingData` without any map.
    """
    asked = stop or Stop()
    view = store.view()
    truth, crowd = whole_and_layer(view, coin, "crowd", plan.at)
    files = plan.files_of(coin)
    maps, lacking = _maps(view, plan, files, truth, asked)
    if not maps:
        why = _why(lacking) or "give --map or --venue"
        raise MissingData(f"nothing to check of {coin}: {why}{_stored_instead(store, coin, plan.venues)}")
    venues = venues_of(maps) if plan.models else plan.venues
    baselines, without = (
        ((), ())
        if asked.is_set
        else baseline_maps(view, coin, truth.as_of, plan.window, venues, (truth, *maps))
    )
    notes = [*(one.note for one in lacking), *without]
    absent = _absent(plan.models or [f"{venue}:" for venue in plan.venues], maps)
    found = compared(
        truth,
        maps,
        crowd=crowd,
        notes=notes,
        caveats=[
            *([note("venues_gave_nothing", venues=absent)] if absent else []),
            *(() if plan.at else ages_now(truth, maps)),
        ],
        baselines=baselines,
        around=around_maps(view, coin, (truth, *maps), of_windows=maps if plan.windows else ()),
        within_pct=plan.within_pct,
        reached=reached_before(view, truth, maps),
    )
    found = replace(found, left_out=left_out(lacking))
    unmade = tuple(one.label for one in lacking if one.why == STOPPED)
    return Checked(coin, found, tuple(one.label for one in lacking), unmade, tuple(files.paths))


def _absent(specs: Iterable[str], maps: Sequence[Heatmap]) -> tuple[str, ...]:
    """Venues that were asked for and are in no modelled map."""
    named = (spec.partition(":")[0].split(",") for spec in specs if ":" in spec and not names_file(spec))
    asked = dict.fromkeys(venue_named(name).name for names in named for name in names if name != "all")
    there = set(venues_of(maps))
    return tuple(name for name in asked if name not in there)


def _why(lacking: Sequence[Lacking]) -> str:
    """The first reason, whole, and how many other maps could not be made; empty where none was asked for."""
    others = f"; nor could {counted(len(lacking) - 1, 'other map')} be made" if len(lacking) > 1 else ""
    return "".join(f"{one.label} ({one.why}){others}" for one in lacking[:1])


def _stored_instead(store: Store, coin: str, asked: Sequence[str]) -> str:
    """Which venues have candles of the coin here and were not asked for; empty where none has."""
    there = sorted(
        {venue for venue, of in store.lake.series_coins("candles") if of == coin}.difference(asked)
    )
    return f"; stored are series of {', '.join(there)}: --venue {there[0]}" if there else ""


def _maps(
    store: Store, plan: CheckPlan, files: Files, truth: Heatmap, stop: Stop
) -> tuple[list[Heatmap], list[Lacking]]:
    """The given maps first; a model that cannot be made is named, with the reason."""
    coin = truth.coin
    maps, lacking = files.beside(truth)
    for spec in plan.models or _models(store, plan.venues):
        if stop.is_set and maps:
            lacking.append(Lacking(spec, STOPPED))
            continue
        try:
            maps.append(make_map(store, coin, spec, truth.as_of, plan.window))
        except LiqtruthError as error:
            if error.exit_code == 2:
                raise
            asked = f"{spec} of {coin}" if plan.models else None
            lacking.append(Lacking(spec, str(error), asked))
    return maps, lacking


def _models(store: Store, venues: Iterable[str]) -> list[str]:
    """The default, and the naive model beside it."""
    used = default_model(store.settings.data_dir)
    return [f"{venue}:{model}" for venue in venues for model in (used, NAIVE)]
