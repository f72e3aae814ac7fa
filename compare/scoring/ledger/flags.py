"""What the ledger holds against a model: one plain line where it is worse than a map that knows less.

A line needs at least ten liquidations, and an upper bound below the baseline: of the share of liquidations in the
thickest tenth of its zones below chance, or of its difference in rank skill below zero.
"""

from collections.abc import Iterator

from sqlmodel import select

from liqtruth.compare.scoring.ledger.leaderboard import LeaderboardRow, leaderboard
from liqtruth.compare.scoring.realised.precision import LEAST_EVENTS
from liqtruth.compare.scoring.realised.scores import SideScore
from liqtruth.compare.scoring.realised.verdict import horizon_name
from liqtruth.heatmap.notes import Note, Notes, note
from liqtruth.storage.database.tables import Forecast, ForecastScore
from liqtruth.storage.store import Store


def flags_of(store: Store, model: str, venue: str, weights: str | None = None) -> Notes:
    """Notes for the `quality` of a map of `model` on `venue` (a name, several with commas, or `all`).

    `weights` keeps what concerns one leverage model by its name. Empty where the ledger has nothing against it; with
    no scored forecast that is one look at an index.
    """
    venues = None if venue.strip() == "all" else [name.strip() for name in venue.split(",")]
    if model not in store.once(_scored_models):
        return ()
    return tuple(
        line
        for one in leaderboard(store, model, venues)
        if weights is None or one.weights in ("", weights)
        for line in flags_of_row(one)
    )


def flags_of_row(one: LeaderboardRow) -> Notes:
    """What one standing gives reason to say."""
    if one.pooled is None or one.pooled.events < LEAST_EVENTS:
        return ()
    replayed = " of replays" if one.replayed else ""
    where = f"ledger{replayed}, {one.venue} {one.coin} {horizon_name(one.horizon_s)}, {one.scored} scored"
    return tuple(reason.of(where) for reason in _reasons(one.name, one.pooled))


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


def _scored_models(store: Store) -> set[str]:
    """Models of which the ledger has a score."""
    query = select(Forecast.model).join(ForecastScore).distinct()
    with store.database.session() as session:
        return set(session.exec(query).all())
