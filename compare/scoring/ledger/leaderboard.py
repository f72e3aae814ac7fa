"""How models stand in the ledger: their scored forecasts, pooled per market, horizon and what exactly the model was;
what counts against a model; and both as a table in the terminal.

Replays are kept apart from forecasts, and a model that was fitted anew apart from what it was before. A flag needs at
least ten liquidations, and an upper bound below the baseline: of the share of liquidations in the thickest tenth of its
zones below chance, or of its difference in rank skill below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from liqtruth.compare.scoring.realised.scores import SideScore, horizon_name, score_sides
from liqtruth.compare.scoring.realised.shown import UNKNOWN, estimate_text, precision_text
from liqtruth.compare.scoring.realised.windows import LEAST_EVENTS, Precision, Windows
from liqtruth.estimator.model.baselines import FORMER_NAMES, TIERS, UNIFORM
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC, Note, Notes, note
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.records import Forecast, ForecastScore
from liqtruth.storage.store import Store

if TYPE_CHECKING:
    from rich.table import Table


Scored = tuple[Forecast, ForecastScore]
COLUMNS = (
    "market",
    "model",
    "ahead",
    "made",
    "scored",
    "partial rank",
    "predicted/realised",
    "top tenth",
    "chance",
    "flag",
)


class LeaderboardRow(msgspec.Struct, frozen=True):
    """One model on one market at one horizon; `pooled` are both sides of its scored forecasts, null where none is."""

    venue: str
    coin: str
    model: str
    weights: str
    model_hash: str
    horizon_s: int
    replayed: bool
    synthetic: bool
    forecasts: int
    scored: int
    pooled: SideScore | None

    @property
    def name(self) -> str:
        """`vintages (prior)`, `tiers`."""
        return f"{self.model} ({self.weights})" if self.weights else self.model


def leaderboard(
    store: Store, model: str | None = None, venues: Sequence[str] | None = None, *, seed: int = 0
) -> tuple[LeaderboardRow, ...]:
    """All of the ledger, or what concerns one model and some venues, in order of venue, coin, model and horizon."""
    groups: dict[tuple[object, ...], list[Forecast]] = {}
    for row in _forecasts(store, model, venues):
        groups.setdefault(_group(row), []).append(row)
    scores: dict[str, list[ForecastScore]] = {}
    for score in _scores(store, model, venues):
        scores.setdefault(score.forecast_hash, []).append(score)
    ordered = sorted(groups, key=str)
    return tuple(_row(groups[key], scores, seed) for key in ordered)


def flags_of(store: Store, model: str, venue: str, weights: str | None = None) -> Notes:
    """Notes for the `quality` of a map of `model` on `venue` (a name, several with commas, or `all`).

    `weights` keeps what concerns one leverage model by its name. Empty where the ledger has nothing against it.
    """
    venues = None if venue.strip() == "all" else [name.strip() for name in venue.split(",")]
    return tuple(
        line
        for one in leaderboard(store, model, venues)
        if weights is None or one.weights in ("", weights)
        for line in flags_of_row(one)
    )


def flags_of_row(one: LeaderboardRow) -> Notes:
    """What counts against the model of a row."""
    if one.pooled is None or one.pooled.events < LEAST_EVENTS:
        return ()
    replayed = " of replays" if one.replayed else ""
    where = f"ledger{replayed}, {one.venue} {one.coin} {horizon_name(one.horizon_s)}, {one.scored} scored"
    return tuple(reason.of(where) for reason in _reasons(one.name, one.pooled))


def ledger_table(rows: Sequence[LeaderboardRow]) -> Table:
    """What is known of each so far."""
    from rich.table import Table

    table = Table(title="Forecasts kept before their time, and what came of them", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("market", "model", "flag") else "right")
    for one in rows:
        table.add_row(*_cells(one))
    return table


def ledger_lines(rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    """Flags in full, then what stands against believing a row."""
    if not rows:
        yield "no forecast is stored: `liqtruth score forecast COIN --venue NAME` keeps one"
    for one in rows:
        yield from (f"flag: {line}" for line in flags_of_row(one))
    if any(one.replayed for one in rows):
        yield "replay: made when what it speaks of could be known; no evidence of foresight"
    if any(one.synthetic for one in rows):
        yield f"{SYNTHETIC}: forecasts on markets of the sandbox, not of an exchange"
    for one in rows:
        if one.pooled is not None:
            where = f"{one.venue} {one.coin} {one.name} {horizon_name(one.horizon_s)}"
            yield from (lacking.of(where).text for lacking in one.pooled.notes)


def _group(row: Forecast) -> tuple[object, ...]:
    return row.venue, row.coin, _name(row), row.weights, row.model_hash, row.horizon_s, row.replayed


def _name(row: Forecast) -> str:
    """What the model of a row is called now."""
    return FORMER_NAMES.get(row.model, row.model)


def _names(model: str) -> list[str]:
    """All that the model has been called."""
    return [model, *(former for former, name in FORMER_NAMES.items() if name == model)]


def _forecasts(store: Store, model: str | None, venues: Sequence[str] | None) -> list[Forecast]:
    where, values = _of(model, venues)
    sql = f"SELECT {columns(Forecast, 'f')} FROM forecast f WHERE {where}"
    with store.database.asking() as asked:
        return asked.rows(Forecast, sql, **values)


def _scores(store: Store, model: str | None, venues: Sequence[str] | None) -> list[ForecastScore]:
    where, values = _of(model, venues)
    sql = (
        f"SELECT {columns(ForecastScore, 's')} FROM forecastscore s JOIN forecast f ON s.forecast_hash = f.hash "
        f"WHERE {where}"
    )
    with store.database.asking() as asked:
        return asked.rows(ForecastScore, sql, **values)


def _of(model: str | None, venues: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    """A condition on forecasts `f`, of a model or a leverage model by its name, and its values."""
    conditions, values = ["TRUE"], dict[str, Any]()
    if model is not None:
        conditions.append("(f.model IN :names OR f.weights = :model)")
        values |= {"names": _names(model), "model": model}
    if venues is not None:
        conditions.append("f.venue IN :venues")
        values["venues"] = venues
    return " AND ".join(conditions), values


def _row(rows: Sequence[Forecast], scores: dict[str, list[ForecastScore]], seed: int) -> LeaderboardRow:
    first = rows[0]
    scored = [(row, score) for row in rows for score in scores.get(row.hash, ())]
    return LeaderboardRow(
        venue=first.venue,
        coin=first.coin,
        model=_name(first),
        weights=first.weights,
        model_hash=first.model_hash,
        horizon_s=first.horizon_s,
        replayed=first.replayed,
        synthetic=any(row.synthetic for row in rows),
        forecasts=len(rows),
        scored=len({row.hash for row, _ in scored}),
        pooled=_pooled(scored, _name(first), 1000 * first.horizon_s, seed) if scored else None,
    )


def _pooled(scored: Sequence[Scored], model: str, horizon_ms: int, seed: int) -> SideScore:
    long, short = (
        _windows([(row, score) for row, score in scored if score.side == side], model) for side in SIDES
    )
    return score_sides(long, short, horizon_ms, seed=seed)[-1]


def _windows(scored: Sequence[Scored], model: str) -> Windows:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(score, name) for _, score in scored], dtype=np.float64)

    return Windows(
        start_ms=np.array([round(row.as_of.timestamp() * 1000) for row, _ in scored], dtype=np.int64),
        move=column("move"),
        volatility=column("volatility"),
        reported_usd=column("told_usd"),
        coverage=column("coverage"),
        events=column("events"),
        predicted_usd={name: column(usd) for name, usd, _ in _maps(scored, model)},
        zoned_events=column("zoned_events"),
        hits={name: column(hits) for name, _, hits in _maps(scored, model)},
    )


def _maps(scored: Sequence[Scored], model: str) -> Iterator[tuple[str, str, str]]:
    """Each map's name and its columns; a baseline that some of the forecasts lack is left out."""
    yield (f"{UNIFORM} as kept" if model == UNIFORM else model), "predicted_usd", "hits"
    yield UNIFORM, "uniform_usd", "uniform_hits"
    if model != TIERS and all(score.tiers_usd is not None for _, score in scored):
        yield TIERS, "tiers_usd", "tiers_hits"


def _reasons(name: str, pooled: SideScore) -> Iterator[Note]:
    found = pooled.maps[0].precision
    if found is not None and found.high < found.chance:
        yield note(
            "worse_than_chance",
            model=name,
            share=found.share,
            events=found.events,
            high=found.high,
            chance=found.chance,
        )
    for baseline in pooled.maps[1:]:
        skill = baseline.skill
        if skill is not None and skill.high is not None and skill.low is not None and skill.high < 0:
            yield note(
                "worse_than_baseline",
                model=name,
                baseline=baseline.name,
                by=-skill.value,
                low=-skill.high,
                high=-skill.low,
            )


def _cells(one: LeaderboardRow) -> tuple[str, ...]:
    model = f"{one.name} {one.model_hash[:6]}" + (" (replay)" if one.replayed else "")
    market = f"{one.venue} {one.coin}" + (f" ({SYNTHETIC})" if one.synthetic else "")
    about = (market, model, horizon_name(one.horizon_s), f"{one.forecasts:,}", f"{one.scored:,}")
    if one.pooled is None:
        return (*about, *[UNKNOWN] * 4, "")
    score = one.pooled.maps[0]
    flag = "worse than a baseline" if flags_of_row(one) else ""
    found = score.precision
    return (
        *about,
        estimate_text(score.partial),
        estimate_text(score.ratio, "ratio"),
        precision_text(found),
        _chance(found),
        flag,
    )


def _chance(found: Precision | None) -> str:
    return UNKNOWN if found is None else f"{found.chance:.0%}"
