"""From what is stored to a divergence: build the truth and the models of one moment, then compare them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from liqtruth.compare.comparison.comparison import Comparison, compared
from liqtruth.compare.imported.named_files import names_file
from liqtruth.compare.imported.overlap import apart, shift
from liqtruth.compare.imported.vendor_map import PictureGiven
from liqtruth.compare.matching.consensus import Around
from liqtruth.compare.modelled import clusters_by_window, modelled_map
from liqtruth.compare.observed.reached import Reached, reached_prices
from liqtruth.compare.observed.surroundings import depth_of, surroundings_of
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.estimator.model.baselines import CLIMATOLOGY, MOVING_AVERAGE, PERSISTENCE
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.estimator.model.model_in_use import CALIBRATED, is_fitted
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Note, Notes, note, of_codes
from liqtruth.heatmap.words.text import price
from liqtruth.indexer.maps.exact import exact_map, whole_and_layer
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

DEFAULT_MODELS: Final = ("binance:vintages", "binance:tiers", "binance:bell")
FITTED_MODELS: Final = tuple(f"{venue}:{CALIBRATED}" for venue in ("binance", VENUE))
"""Beside the others where a leverage model was fitted and the venue's series are stored."""
BASELINES: Final = (MOVING_AVERAGE, CLIMATOLOGY, PERSISTENCE)
"""What stands beside the scores where it can be made: the first needs a venue's candles, the others exact maps."""


MARKS_APART: Final = 3.0
"""A map whose mark is so many times the truth's, or that part of it, is of another coin, not of another day."""


@dataclass(frozen=True)
class Lacking:
    """A map that could not be compared, and why; `asked` is the file or the spec that it was asked for by, null where
    it is one that stands there by default."""

    label: str
    why: str
    asked: str | None = None

    @property
    def note(self) -> Note:
        return note("not_compared", missing=[(self.label, self.why)])


def left_out(lacking: Iterable[Lacking]) -> dict[str, str]:
    """Of those that were asked for by name: what is to be stated of each."""
    return {one.asked: f"{one.label} ({one.why})" for one in lacking if one.asked is not None}


MapsRead = dict[tuple[str, str, float | None, PictureGiven | None], Heatmap]
"""Maps of files by path, the coin that was asked for, and what was stated of the file."""


@dataclass(frozen=True)
class Files:
    """Map files to compare, `FILE` or `FILE#NAME`: the price that splits sides where a file states none, whether
    their levels are to be seen from the truth's mark, and where things are in screenshots; `kept` once they are read.
    """

    paths: Sequence[str] = ()
    mark_px: float | None = None
    shift: bool = False
    picture: PictureGiven | None = None
    kept: MapsRead = field(default_factory=dict, compare=False)

    def read(self, coin: str) -> list[Heatmap]:
        """As the files have them, each once, however often it is named; raises what `read_map` does."""
        return [self._read(path, coin) for path in dict.fromkeys(self.paths)]

    def beside(self, truth: Heatmap) -> tuple[list[Heatmap], list[Lacking]]:
        """Those that can be compared with this truth, as they are compared, and the others with the reason: a file that
        cannot be read, a map of another coin, or one that cannot be seen from the truth's mark. Where no file can be
        read, what is wrong with the first is raised."""
        found, lacking, refused = list[Heatmap](), list[Lacking](), list[LiqtruthError]()
        for path in dict.fromkeys(self.paths):
            try:
                one = self._read(path, truth.coin)
            except LiqtruthError as error:
                refused.append(error)
                lacking.append(Lacking(path, str(error).removeprefix(f"{path}: "), path))
                continue
            if (why := of_another_coin(one, truth)) is not None:
                lacking.append(Lacking(one.label, why, path))
                continue
            try:
                found.append(shift(one, truth.mark_px) if self.shift else one)
            except BadInput as error:
                lacking.append(Lacking(one.label, str(error), path))
        if refused and len(refused) == len(lacking) and not found:
            raise refused[0]
        return found, lacking

    def _read(self, path: str, coin: str) -> Heatmap:
        from liqtruth.compare.imported.read import picture_of, read_map

        asked = (path, coin, self.mark_px, picture_of(path, self.picture))
        if asked not in self.kept:
            self.kept[asked] = self._of_own_mark(path, coin, asked[-1]) or read_map(
                path, coin=coin, mark=self.mark_px, picture=asked[-1]
            )
        return self.kept[asked]

    def _of_own_mark(self, path: str, coin: str, picture: PictureGiven | None) -> Heatmap | None:
        """Of several files one that states a mark keeps it: the one that was given is meant for the others."""
        from liqtruth.compare.imported.read import read_map

        if self.mark_px is None or len(set(self.paths)) < 2:
            return None
        try:
            return read_map(path, coin=coin, picture=picture)
        except LiqtruthError:
            return None


NO_FILES: Final = Files()


def compare_stored(
    store: Store,
    coin: str,
    *,
    at: datetime | None = None,
    truth: str = "exact",
    models: Sequence[str] | None = None,
    files: Files = NO_FILES,
    window: str = "30d",
    tolerance_pct: float = 1.0,
    windows: bool = False,
    within_pct: float = HEADLINE_PCT,
) -> Comparison:
    """Compare maps of `coin` as of `at`; the models are built for the very moment of the truth's reading.

    `truth` and `models` are `exact`, `VENUE:MODEL`, or the path of a map file. Raises `BadInput` for another
    spelling, and whatever the makers raise where data are missing; a file that cannot be compared is named among the
    remarks, and refused where nothing else is compared. Without `models` and `files` they are `DEFAULT_MODELS`, and
    `FITTED_MODELS` as far as they can be made. Baselines stand beside them where
    the data for them are stored. With `windows` every model given as `VENUE:MODEL` is made for 24 h, 7 d and 30 d as
    well, to tell which of them show a cluster.
    """
    view = store.view()
    truth_map, crowd = _truth(view, coin, truth, at, window)
    if truth_map.coin != coin:
        raise BadInput(f"{truth_map.label} must be a map of {coin}: a map of {truth_map.coin}")
    moment = truth_map.as_of
    named = models or (() if files.paths else DEFAULT_MODELS)
    maps = [make_map(view, coin, spec, moment, window) for spec in named]
    for one in maps:
        if (why := of_another_coin(one, truth_map)) is not None:
            raise BadInput(f"{one.label} must be a map of {truth_map.coin}: {why}")
    given, unfit = files.beside(truth_map)
    maps += given
    if unfit and not maps:
        raise BadInput(f"{unfit[0].label} must be a map that can be compared: {unfit[0].why}")
    notes: Notes = tuple(one.note for one in unfit)
    if not (models or files.paths):
        fitted, missing = _fitted_maps(view, coin, moment, window)
        maps, notes = [*maps, *fitted], (*notes, *missing)
    baselines, lacking = baseline_maps(view, coin, moment, window, venues_of(maps), (truth_map, *maps))
    around = around_maps(view, coin, (truth_map, *maps), of_windows=maps if windows else ())
    found = compared(
        truth_map,
        maps,
        tolerance_pct,
        crowd=crowd,
        notes=(*notes, *lacking),
        caveats=() if at else ages_now(truth_map, maps),
        baselines=baselines,
        around=around,
        within_pct=within_pct,
        reached=reached_before(view, truth_map, maps),
    )
    return replace(found, left_out=left_out(unfit))


def of_another_coin(given: Heatmap, truth: Heatmap) -> str | None:
    """Why a file is no map of the truth's coin: it says so, or its mark is another coin's; null where it may be one."""
    if given.coin != truth.coin:
        return f"a map of {given.coin}"
    if 1 / MARKS_APART < given.mark_px / truth.mark_px < MARKS_APART:
        return None
    return f"its mark is {price(given.mark_px)}, that of {truth.coin} {price(truth.mark_px)}: a map of another coin?"


def ages_now(truth: Heatmap, maps: Sequence[Heatmap], now: datetime | None = None) -> Notes:
    """How old the older one is now, the truth or the map, of those whose moments are so far apart that a headline must
    state it; each once. By default the clock's now."""
    at, older = now or datetime.now(UTC), dict[str, Heatmap]()
    for one in maps:
        if of_codes(apart(truth, one), ("moments_apart",)):
            which = min(truth, one, key=lambda each: each.as_of)
            older.setdefault(which.label, which)
    return tuple(
        note("moment_ago", at=f"{one.as_of:%Y-%m-%d %H:%M} UTC", age_s=_whole(at - one.as_of)).of(label)
        for label, one in older.items()
        if at > one.as_of
    )


def _whole(age: timedelta) -> float:
    """Seconds of whole hours."""
    return 3600.0 * (age // timedelta(hours=1))


def around_maps(
    store: Store, coin: str, maps: Sequence[Heatmap], of_windows: Sequence[Heatmap] = ()
) -> Around:
    """What is stored of the venues of maps at the moment of the first, the truth; and clusters by window of the
    modelled ones among `of_windows`."""
    at, venues = maps[0].as_of, list(dict.fromkeys(one.venue for one in maps))
    markets = {name: surroundings_of(store, coin, name, at) for name in venues}
    books = ((name, store.once(depth_of, market.venue, coin, at)) for name, market in markets.items())
    windows = {
        one.label: clusters_by_window(store, coin, one.venue.replace(TOGETHER, ","), one.model, at=at)
        for one in of_windows
        if one.source == "modelled" and not one.only
    }
    return Around(markets, windows, {name: depth for name, depth in books if depth is not None})


def baseline_maps(
    store: Store,
    coin: str,
    at: datetime,
    window: str,
    venues: Iterable[str],
    compared: Sequence[Heatmap] = (),
) -> tuple[tuple[Heatmap, ...], Notes]:
    """Each of `BASELINES` of the first of `venues`, then of Hyperliquid, that has what it takes, and one note of those
    that cannot be made. A model that is among `compared` is not made again."""
    found, missing = [], []
    for model in BASELINES:
        if any(model == one.model for one in compared):
            continue
        candidates = (VENUE,) if model == PERSISTENCE else tuple(dict.fromkeys((*venues, VENUE)))
        reasons = []
        for venue in candidates:
            try:
                found.append(modelled_map(store, coin, venue, model, window, at=at))
                break
            except LiqtruthError as error:
                reasons.append(str(error))
        else:
            missing.append((model, reasons[0]))
    return tuple(found), (note("baselines_missing", missing=missing),) if missing else ()


def reached_before(store: Store, truth: Heatmap, maps: Sequence[Heatmap]) -> Reached | None:
    """Where the price has been in the hours before the truth; asked only where somebody else's map is compared."""
    if not any(one.source == "imported" for one in maps):
        return None
    venues = dict.fromkeys((*venues_of(maps), truth.venue))
    return reached_prices(store, truth.coin, venues, truth.as_of)


def venues_of(maps: Sequence[Heatmap]) -> list[str]:
    """Venues of modelled maps, in their order."""
    return [name for one in maps if one.source == "modelled" for name in one.venue.split(TOGETHER)]


def _truth(
    store: Store, coin: str, spec: str, at: datetime | None, window: str
) -> tuple[Heatmap, Heatmap | None]:
    """The truth and its crowd; only the stored exact map knows its positions."""
    if spec == "exact":
        return whole_and_layer(store, coin, "crowd", at)
    return make_map(store, coin, spec, at, window), None


def _fitted_maps(store: Store, coin: str, at: datetime, window: str) -> tuple[list[Heatmap], Notes]:
    """Maps of the fitted model, where there is one, and a remark on those that cannot be made."""
    if not is_fitted(store.settings.data_dir):
        return [], ()
    maps, missing = [], []
    for spec in FITTED_MODELS:
        try:
            maps.append(make_map(store, coin, spec, at, window))
        except MissingData as error:
            missing.append((spec, str(error)))
    return maps, (note("not_compared", missing=missing),) if missing else ()


def make_map(store: Store, coin: str, spec: str, at: datetime | None, window: str) -> Heatmap:
    """The map that a spec names: `exact`, `VENUE:MODEL` or a file."""
    if spec == "exact":
        return store.once(exact_map, coin, at)
    if names_file(spec):
        from liqtruth.compare.imported.read import read_map

        return read_map(spec, coin=coin)
    venue, colon, model = spec.partition(":")
    if not (venue and colon and model):
        raise BadInput(f"a map must be exact, VENUE:MODEL (e.g. binance:tiers) or a map file, got {spec!r}")
    return modelled_map(store, coin, venue, model, window, at=at)
