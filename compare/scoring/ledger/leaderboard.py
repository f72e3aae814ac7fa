"""How models stand in the ledger: their scored forecasts, pooled per market, horizon and what exactly the model was.

Replays are kept apart from forecasts, and a model that was fitted anew apart from what it was before.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from sqlmodel import select

from liqtruth.compare.scoring.realised.scores import SideScore, score_sides
from liqtruth.compare.scoring.realised.windows import Windows
from liqtruth.estimator.model.baselines import TIERS, UNIFORM
from liqtruth.heatmap.levels import SIDES
from liqtruth.storage.database.tables import Forecast, ForecastScore
from liqtruth.storage.store import Store

Scored = tuple[Forecast, ForecastScore]


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


def _group(row: Forecast) -> tuple[object, ...]:
    return row.venue, row.coin, row.model, row.weights, row.model_hash, row.horizon_s, row.replayed


def _forecasts(store: Store, model: str | None, venues: Sequence[str] | None) -> Sequence[Forecast]:
    query = select(Forecast)
    if model is not None:
        query = query.where(Forecast.model == model)
    if venues is not None:
        query = query.where(Forecast.venue.in_(venues))  # type: ignore[attr-defined]
    with store.database.session() as session:
        return session.exec(query).all()


def _scores(store: Store, model: str | None, venues: Sequence[str] | None) -> Sequence[ForecastScore]:
    query = select(ForecastScore).join(Forecast)
    if model is not None:
        query = query.where(Forecast.model == model)
    if venues is not None:
        query = query.where(Forecast.venue.in_(venues))  # type: ignore[attr-defined]
    with store.database.session() as session:
        return session.exec(query).all()


def _row(rows: Sequence[Forecast], scores: dict[str, list[ForecastScore]], seed: int) -> LeaderboardRow:
    first = rows[0]
    scored = [(row, score) for row in rows for score in scores.get(row.hash, ())]
    return LeaderboardRow(
        venue=first.venue,
        coin=first.coin,
        model=first.model,
        weights=first.weights,
        model_hash=first.model_hash,
        horizon_s=first.horizon_s,
        replayed=first.replayed,
        synthetic=any(row.synthetic for row in rows),
        forecasts=len(rows),
        scored=len({row.hash for row, _ in scored}),
        pooled=_pooled(scored, first.model, 1000 * first.horizon_s, seed) if scored else None,
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
        told_usd=column("told_usd"),
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
