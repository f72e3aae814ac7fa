"""`score_realised`: a map over time against the liquidations that followed each moment (method, section 5.6)."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from liqtruth.compare.conclusion.conclusion import barred
from liqtruth.compare.conclusion.sentences import barred_text
from liqtruth.compare.observed.price_path import MarkPath, last_bar_end, load_path, ranges_after
from liqtruth.compare.observed.realised import Realised, load_realised
from liqtruth.compare.scoring.realised.map_series import EXACT, Asked, Piece, count_of_pieces, pieces
from liqtruth.compare.scoring.realised.scores import (
    SideScore,
    horizon_name,
    horizon_verdict,
    overall_verdict,
    score_sides,
)
from liqtruth.compare.scoring.realised.windows import Windows, joined, windows_of
from liqtruth.compare.transfer.record import training_of
from liqtruth.estimator.model.leverage_model import LeverageModel, leverage_model_named
from liqtruth.estimator.model.maps import named_model
from liqtruth.estimator.model.model_in_use import CALIBRATED, calibrated_model
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.estimator.over_time.time_grid import in_words
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, Notes, note, of_codes
from liqtruth.heatmap.words.text import of_ms, utc_text
from liqtruth.indexer.positions.markets import VENUE as HYPERLIQUID
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

HORIZONS: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=2))
USUAL_SPAN: Final = timedelta(days=30)


class Refused(msgspec.Struct, frozen=True):
    """A horizon that is not scored."""

    horizon_s: int
    reason: str


class HorizonScore(msgspec.Struct, frozen=True):
    """Long, short and pooled scores of one horizon."""

    horizon_s: int
    sides: tuple[SideScore, ...]
    verdict: str


class RealisedScore(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one model on one market between `start` and `end`, the first and last scored moments."""

    coin: str
    venue: str
    model: str
    weights: str
    start: datetime
    end: datetime
    step_s: int
    moments: int
    coverage: float | None
    synthetic: bool
    seed: int
    horizons: tuple[HorizonScore, ...]
    refused: tuple[Refused, ...]
    verdict: tuple[str, ...]
    notes: Notes


@dataclass(frozen=True, eq=False)
class Scored:
    """The score, and the windows that it was computed from: long and short by horizon in seconds."""

    score: RealisedScore
    windows: dict[int, tuple[Windows, Windows]]


def score_realised(
    store: Store,
    coin: str,
    venue: str,
    model: str,
    *,
    weights: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    step: timedelta = timedelta(hours=1),
    coverage: float | None = None,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Scored:
    """Score `model` at every `step`; `start` is by default 30 days before `end`, `end` the last stored bar.

    Raises `UnknownChoice` and `BadInput` for names and times that are none, `MissingData` where no moment has a map,
    prices and realised liquidations, naming what is lacking.
    """
    store, market = store.view(), venue_named(venue)
    if model != EXACT:
        model, weights = named_model(model, weights, store.settings.data_dir)
    asked = Asked(coin, market.name, model, weights, step)
    realised = load_realised(store, market, coin, coverage=coverage)
    start, end = _span(store, asked, realised, start, end)
    path = load_path(store, market.name, coin, start, end + max(HORIZONS))
    realised = realised.within_bars(path)
    parts: dict[int, list[tuple[Windows, Windows]]] = {}
    drawn_with = _leverage_model(store, asked)
    notes = [*_after_the_fact(drawn_with, start)]
    moments, count = 0, count_of_pieces(asked, start, end)
    for number, piece in enumerate(pieces(store, asked, start, end), start=1):
        moments += piece.moments_ms.size
        notes += piece.notes
        realised = dataclasses.replace(realised, synthetic=realised.synthetic or piece.synthetic)
        for horizon in _horizons(path):
            parts.setdefault(_s(horizon), []).extend(_windows(piece, path, realised, horizon))
        on_progress(number / count)
    windows = {
        horizon_s: (joined([long for long, _ in pairs]), joined([short for _, short in pairs]))
        for horizon_s, pairs in parts.items()
        if pairs
    }
    why = _not_ranked(store, asked, drawn_with, start, end)
    return _silenced(_scored(asked, windows, path, realised, moments, notes, seed), why)


def _silenced(scored: Scored, why: str | None) -> Scored:
    """The same figures without a conclusion, where there is a reason for that."""
    if why is None:
        return scored
    score = scored.score
    horizons = tuple(
        replace(one, verdict=f"{horizon_name(one.horizon_s)}: {score.model} is not ranked")
        for one in score.horizons
    )
    verdict = (f"{score.model} is not ranked: {why}",)
    return Scored(replace(score, horizons=horizons, verdict=verdict), scored.windows)


def _scored(
    asked: Asked,
    windows: dict[int, tuple[Windows, Windows]],
    path: MarkPath,
    realised: Realised,
    moments: int,
    notes: Sequence[Note],
    seed: int,
) -> Scored:
    seen = [side.start_ms for pair in windows.values() for side in pair if side.start_ms.size]
    refused = _refused(path)
    if not seen:
        raise MissingData(_nothing(asked, moments, realised, refused, notes))
    horizons = tuple(
        HorizonScore(horizon_s, sides, horizon_verdict(asked.model, horizon_s, sides[-1]))
        for horizon_s, pair in windows.items()
        for sides in [score_sides(*pair, 1000 * horizon_s, seed=seed)]
    )
    score = RealisedScore(
        coin=asked.coin,
        venue=asked.venue,
        model=asked.model,
        weights=_weights(asked),
        start=of_ms(min(int(times[0]) for times in seen)),
        end=of_ms(max(int(times[-1]) for times in seen)),
        step_s=_s(asked.step),
        moments=moments,
        coverage=realised.coverage,
        synthetic=realised.synthetic,
        seed=seed,
        horizons=horizons,
        refused=refused,
        verdict=overall_verdict(asked.model, [(one.horizon_s, one.sides[-1]) for one in horizons]),
        notes=tuple(
            dict.fromkeys(
                (*_about(realised.synthetic), path.prices(), *realised.notes, note("plain_flatters"), *notes)
            )
        ),
    )
    return Scored(score, windows)


def _span(
    store: Store, asked: Asked, realised: Realised, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime]:
    """The asked span, no longer than what was observed: moments that cannot be scored are not drawn."""
    if start is not None and end is not None and start >= end:
        raise BadInput(f"--from {utc_text(start)} is not before --to {utc_text(end)}")
    last = last_bar_end(store, asked.venue, asked.coin, start)
    if last is None:
        raise NothingStored(
            f"no candles of {asked.venue} {asked.coin}{'' if start is None else f' from {utc_text(start)} on'}: "
            f"`liqtruth feed fetch {asked.venue} {asked.coin}` brings them"
        )
    first_observed, last_observed = (
        of_ms(int(at)) for at in (realised.spans_ms[0, 0], realised.spans_ms[-1, 1])
    )
    wanted_end = last if end is None else end
    wanted_start = wanted_end - USUAL_SPAN if start is None else start
    until = min(wanted_end, last, _up(last_observed, asked.step))
    since = max(wanted_start, first_observed - asked.step)
    if since >= until:
        raise MissingData(
            f"liquidations of {asked.venue} {asked.coin} were observed from {utc_text(first_observed)} to "
            f"{utc_text(last_observed)}, prices end at {utc_text(last)}: nothing between {utc_text(wanted_start)} and "
            f"{utc_text(wanted_end)} has both"
        )
    return since, until


def _up(moment: datetime, step: timedelta) -> datetime:
    """The next whole step (of the clock) at or after a moment, so that moments lie on bars."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + -(-(moment - epoch) // step) * step


def _horizons(path: MarkPath) -> Iterator[timedelta]:
    return (horizon for horizon in HORIZONS if 1000 * _s(horizon) >= path.bar_ms)


def _refused(path: MarkPath) -> tuple[Refused, ...]:
    bar = in_words(timedelta(milliseconds=path.bar_ms))
    kept = set(_horizons(path))
    return tuple(
        Refused(
            _s(horizon), f"bars of {bar} are longer than {in_words(horizon)}: they do not show what it swept"
        )
        for horizon in HORIZONS
        if horizon not in kept
    )


def _windows(
    piece: Piece, path: MarkPath, realised: Realised, horizon: timedelta
) -> list[tuple[Windows, Windows]]:
    if not piece.moments_ms.size:
        return []
    ranges = ranges_after(path, piece.moments_ms, 1000 * _s(horizon))
    long, short = (
        windows_of(piece.moments_ms, piece.mark_px, piece.maps, ranges, realised, side) for side in SIDES
    )
    return [(long, short)]


def _s(length: timedelta) -> int:
    return round(length.total_seconds())


def _leverage_model(store: Store, asked: Asked) -> LeverageModel | None:
    """The one that the maps are drawn with; null for a model without."""
    data_dir = store.settings.data_dir
    if asked.model == CALIBRATED:
        return calibrated_model(data_dir, asked.venue)
    return leverage_model_named(asked.weights, data_dir) if asked.model == VINTAGES else None


def _after_the_fact(model: LeverageModel | None, start: datetime) -> Iterator[Note]:
    """Weights that were made after the first scored moment may have been fitted on what they are scored on."""
    if model is not None and model.kind != "prior" and model.provenance.made_at > start:
        yield note("weights_made_later", weights=model.name, made=utc_text(model.provenance.made_at))


def _not_ranked(
    store: Store, asked: Asked, model: LeverageModel | None, start: datetime, end: datetime
) -> str | None:
    """Why nothing is concluded of a model: it was fitted on these very moments, or its fit fails its gate."""
    training = None if model is None else training_of(store.settings.data_dir, model)
    if model is None or training is None:
        return None
    calibrated_by = model.correction
    if (
        calibrated_by is not None
        and calibrated_by.venue == asked.venue
        and calibrated_by.start < end
        and start < calibrated_by.end
    ):
        span = f"{utc_text(calibrated_by.start)} to {utc_text(calibrated_by.end)}"
        return f"{model.name} was calibrated on liquidations of {asked.venue} from {span}, moments here among them"
    on_chain = asked.venue == HYPERLIQUID
    nearest = None if training.start is None else min(max(training.start, start), end)
    bar = barred(training, asked.coin if on_chain else "", nearest or start)
    return None if bar is None or (bar.code == "no_record" and not on_chain) else barred_text(bar)


def _weights(asked: Asked) -> str:
    if asked.model != VINTAGES:
        return ""
    return asked.weights or leverage_model_named().name


def _about(synthetic: bool) -> Iterator[Note]:
    if synthetic:
        yield note("synthetic_realised")


def _nothing(
    asked: Asked, moments: int, realised: Realised, refused: Sequence[Refused], notes: Sequence[Note]
) -> str:
    reasons = (*notes, *of_codes(realised.notes, ("listened",)))
    why = refused[0].reason if len(refused) == len(HORIZONS) else reasons[0].text
    return (
        f"none of {moments} moments of {asked.venue} {asked.coin} has a map, whole bars after it and liquidations "
        f"that were observed: {why}"
    )
