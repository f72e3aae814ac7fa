"""Modelled maps of what is stored: one venue or several, by the name of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.baselines import (
    AVERAGED,
    EXACT_BASED,
    FORMER_NAMES,
    MOVING_AVERAGE,
    OF_SERIES,
    plain_map,
)
from liqtruth.estimator.model.brackets import stored_brackets
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage import MODELS, LeverageWeights, weights_named
from liqtruth.estimator.model.leverage_model import ALIASES, LeverageModel, known_models, leverage_model_named
from liqtruth.estimator.model.model_in_use import CALIBRATED, calibrated_model, is_fitted
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.estimator.series.series import load_series, window_named
from liqtruth.estimator.venues.table import VENUES, Venue, venue_named, venues_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.words.text import format_duration
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

ALONE = (VINTAGES, *MODELS, *OF_SERIES, CALIBRATED)
"""Models that need no exact map."""
OVER_TIME: Final = (VINTAGES, *MODELS, CALIBRATED)
"""Of those, what one recursion draws at all moments of a series."""
TOGETHER: Final = "+"
"""Between the names of venues in the name of their sum."""


def aggregated(maps: Sequence[Heatmap]) -> Heatmap:
    """The sum of maps of one coin and moment, on one grid around the mark weighted by open interest.

    Levels keep their distance from their own venue's mark: venues' prices move together, and a basis between them would
    otherwise put levels on the wrong side. The breakdown keeps `venue`. Raises `BadInput` for maps that do not fit.
    """
    if (
        len({(drawn.coin, drawn.model, drawn.as_of, drawn.grid.width_bps, drawn.grid.bins) for drawn in maps})
        != 1
    ):
        raise BadInput("only maps of one coin, model, moment and bin width can be added; these differ")
    open_interest = [drawn.coverage.open_interest_usd or 0.0 for drawn in maps]
    whole = sum(open_interest)
    if not whole > 0:
        raise BadInput("open interest of no venue is known: nothing can be weighted by it")
    first = maps[0]
    mark_px = sum(drawn.mark_px * share for drawn, share in zip(maps, open_interest, strict=True)) / whole
    grid = PriceGrid(mark_px, first.grid.width_bps, first.grid.bins_each_way)
    frames = [drawn.breakdown for drawn in maps if drawn.breakdown is not None]
    return Heatmap.from_breakdown(
        pl.concat(frames, how="diagonal"),
        grid,
        coin=first.coin,
        venue=TOGETHER.join(drawn.venue for drawn in maps),
        source=first.source,
        model=first.model,
        as_of=first.as_of,
        coverage=_coverage(maps, open_interest, whole),
        assumptions=_assumptions(maps, mark_px),
        quality=merged_notes([drawn.quality for drawn in maps], _venues(maps)),
        only={
            name: tuple(dict.fromkeys(one for drawn in maps for one in drawn.only.get(name, ())))
            for name in first.only
        },
    )


def _coverage(maps: Sequence[Heatmap], open_interest: Sequence[float], whole: float) -> Coverage:
    shares = tuple(
        note("venue_share", venue=drawn.venue, share=part / whole, usd=part, mark_px=drawn.mark_px)
        for drawn, part in zip(maps, open_interest, strict=True)
    )
    return added_coverage([drawn.coverage for drawn in maps], _venues(maps), shares)


def added_coverage(coverages: Sequence[Coverage], venues: Sequence[str], notes: Notes) -> Coverage:
    """What venues have seen of their open interest together; `notes` come before their own."""
    ages = [one.oldest_age_s for one in coverages if one.oldest_age_s is not None]
    seen = [one.seen_usd for one in coverages]
    return Coverage(
        open_interest_usd=sum(one.open_interest_usd or 0.0 for one in coverages),
        seen_usd=Sides(sum(side.long for side in seen), sum(side.short for side in seen)),
        oldest_age_s=max(ages, default=None),
        notes=(*notes, *merged_notes([one.notes for one in coverages], venues)),
        synthetic=any(one.synthetic for one in coverages),
    )


def _venues(maps: Sequence[Heatmap]) -> list[str]:
    return [drawn.venue for drawn in maps]


def merged_notes(notes: Sequence[Notes], venues: Sequence[str]) -> Notes:
    """What all venues share once, the rest with its venue."""
    common = [line for line in notes[0] if all(line in lines for lines in notes)]
    own = [
        line.of(venue)
        for venue, lines in zip(venues, notes, strict=True)
        for line in lines
        if line not in common
    ]
    return (*common, *own)


def _assumptions(maps: Sequence[Heatmap], mark_px: float) -> Notes:
    placed = note("added_by_distance", mark_px=mark_px)
    return (placed, *merged_notes([drawn.assumptions for drawn in maps], _venues(maps)))


def default_model(data_dir: Path | None = None, weights: str | None = None) -> str:
    """What is drawn where no model is named: `calibrated` where a leverage model was fitted and is in use, else
    `vintages` with the shipped one; `vintages` also where `weights` name one."""
    return CALIBRATED if weights is None and is_fitted(data_dir) else VINTAGES


def named_model(
    model: str | None, weights: str | None, data_dir: Path | None = None
) -> tuple[str, str | None]:
    """The model and its weights: the name of a leverage model stands for `vintages` with it, a former name for today's,
    null for `default_model`.

    Raises `UnknownChoice` for a name that is neither.
    """
    model = default_model(data_dir, weights) if model is None else FORMER_NAMES.get(model, model)
    if model in ALONE or model in EXACT_BASED:
        return model, weights
    known = (*known_models(data_dir), *ALIASES)
    if model not in known:
        raise UnknownChoice("model", model, (*ALONE, *EXACT_BASED, *known))
    if weights not in (None, model):
        raise BadInput(f"model {model} is a leverage model: leave out --weights {weights}")
    return VINTAGES, model


def model_map(
    store: Store,
    coin: str,
    venue: str,
    model: str,
    window: str = "30d",
    *,
    weights: str | None = None,
    leverage: Sequence[float] | None = None,
    age: Sequence[str] | None = None,
    since: datetime | None = None,
    at: datetime | None = None,
    width_bps: float = DEFAULT_WIDTH_BPS,
) -> Heatmap:
    """The map of `model` on what is stored of `venue`: a name, several with commas, or `all` that have series.

    Models are those of `ALONE` and leverage models by name.

    `weights` names the leverage model of `vintages`; `calibrated` is `vintages` with the fitted model in use.
    `leverage` and `age` (`heatmap.ages`) keep only those bands, `since` what was opened after that moment. Several
    venues are taken at one moment, the latest that all of them reach; one that lacks a leverage is left out of it, with
    a note. Raises `UnknownChoice` for another venue, model,
    window, leverage or age; `MissingData` where no model was fitted, `NothingStored` and `StaleSeries` where the series
    do not reach `at`.
    """
    model, weights = named_model(model, weights, store.settings.data_dir)
    if model not in ALONE:
        raise UnknownChoice("model", model, ALONE)
    if weights is not None and model != VINTAGES:
        raise BadInput(f"model {model} has its own weights; --weights is for --model {VINTAGES}")

    def draw(market: Venue, moment: datetime | None, leverages: Sequence[float] | None = leverage) -> Heatmap:
        return _draw(store, coin, market, model, window, weights, (leverages, age, since), moment, width_bps)

    chosen = stored_venues(store, coin) if venue.strip() == "all" else named_venues(venue)
    if len(chosen) == 1:
        return draw(chosen[0], at)
    parts = {market: _of_known(partial(draw, market, at), leverage) for market in chosen}
    found = {market: (drawn, known) for market, (drawn, known) in parts.items() if drawn is not None}
    if not found:
        return draw(chosen[0], at)
    moment = at or min(drawn.as_of for drawn, _ in found.values())
    added = aggregated(
        [
            drawn if drawn.as_of == moment else draw(market, moment, known)
            for market, (drawn, known) in found.items()
        ]
    )
    lacking = _lacking({market.name: known for market, (_, known) in parts.items()}, leverage or ())
    return replace(added, coverage=replace(added.coverage, notes=(*lacking, *added.coverage.notes)))


def _of_known(
    draw: Callable[[Sequence[float] | None], Heatmap], leverage: Sequence[float] | None
) -> tuple[Heatmap | None, Sequence[float] | None]:
    """One venue's map of those of the leverages that it has, and which these are; no map where it has none of them."""
    try:
        return draw(leverage), leverage
    except UnknownChoice:
        known = [one for one in leverage or () if _draws(draw, one)]
        return (draw(known) if known else None), known


def _draws(draw: Callable[[Sequence[float] | None], Heatmap], leverage: float) -> bool:
    try:
        draw([leverage])
    except UnknownChoice:
        return False
    return True


def _lacking(known: Mapping[str, Sequence[float] | None], wanted: Sequence[float]) -> Notes:
    """What of the wanted leverages each venue lacks."""
    lacking = {venue: tuple(one for one in wanted if one not in (has or ())) for venue, has in known.items()}
    return tuple(
        note("leverage_lacking", venue=venue, leverages=some) for venue, some in lacking.items() if some
    )


def stored_venues(store: Store, coin: str) -> tuple[Venue, ...]:
    """Venues of which candles and open interest are stored; raises `NothingStored` where there is none."""
    needed = ("candles", "open_interest")
    found = tuple(
        venue
        for venue in VENUES.values()
        if all(store.lake.series_sources(name, venue.name, coin) for name in needed)
    )
    if not found:
        raise NothingStored(
            f"no venue has stored candles and open interest of {coin}: `liqtruth feed fetch VENUE {coin}` or "
            f"`liqtruth feed import PATH --venue VENUE --coin {coin}` brings them"
        )
    return found


def named_venues(names: str) -> tuple[Venue, ...]:
    """Venues by comma-separated names; raises `UnknownChoice`."""
    return venues_named(names) if "," in names else (venue_named(names.strip()),)


def _draw(
    store: Store,
    coin: str,
    venue: Venue,
    model: str,
    window: str,
    weights: str | None,
    part: tuple[Sequence[float] | None, Sequence[str] | None, datetime | None],
    at: datetime | None,
    width_bps: float,
) -> Heatmap:
    if model in OF_SERIES and any(part):
        raise BadInput(
            f"model {model} knows neither leverages nor ages: leave out --leverage, --age and --since"
        )
    chosen = None if model in OF_SERIES else _weights(store, model, weights, venue)
    if model == MOVING_AVERAGE and window_named(window) < AVERAGED:
        window = format_duration(AVERAGED)
    series = store.once(load_series, venue, coin, window, at)
    brackets = store.once(stored_brackets, venue, coin, series.as_of)
    if chosen is None:
        return plain_map(model, series, venue, coin, brackets, width_bps)
    name = CALIBRATED if model == CALIBRATED else VINTAGES
    assumed = CohortModel(chosen, width_bps=width_bps, brackets=brackets, name=name)
    leverage, age, since = part
    return assumed.fit(series, venue, coin).heatmap(leverage=leverage, age=age, since=since)


def _weights(store: Store, model: str, weights: str | None, venue: Venue) -> LeverageModel | LeverageWeights:
    """A baseline's own, the fitted model in use, else the leverage model of that name or file."""
    if model in MODELS:
        return weights_named(model)
    if model == CALIBRATED:
        return calibrated_model(store.settings.data_dir, venue.name)
    return leverage_model_named(weights, store.settings.data_dir)
