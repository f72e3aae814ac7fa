"""`make_forecast`: the map of this moment into the ledger, before what it speaks of can be seen.

A map may be at most ten minutes, and at most a quarter of its horizon, older than the clock. One that is older is
taken as a replay only, and stays marked as one: who made it could have known the outcome.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from msgspec.structs import asdict

from liqtruth.compare.errors import TooLate
from liqtruth.compare.modelled import modelled_map
from liqtruth.compare.scoring.ledger.ledger import Content, add_forecast
from liqtruth.compare.scoring.realised.map_series import EXACT
from liqtruth.compare.scoring.realised.scores import horizon_name
from liqtruth.estimator.model.baselines import FORMER_NAMES, TIERS
from liqtruth.estimator.model.leverage import MODELS, weights_named
from liqtruth.estimator.model.leverage_model import LeverageModel, leverage_model_named
from liqtruth.estimator.model.maps import named_model
from liqtruth.estimator.model.model_in_use import CALIBRATED, calibrated_model
from liqtruth.estimator.model.node_shares import VINTAGES
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import SYNTHETIC
from liqtruth.heatmap.words.text import age, utc_text
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.records import Forecast
from liqtruth.storage.store import Store

OLDEST: Final = timedelta(minutes=10)
OLDEST_SHARE: Final = 0.25
"""Of the horizon."""
LONGEST: Final = timedelta(days=7)
SHORTEST: Final = timedelta(minutes=5)


class StoredForecast(Forecast, frozen=True, kw_only=True):
    """A forecast in the ledger; `new` is false where the same moment was forecast before."""

    new: bool

    def describe(self) -> Iterator[str]:
        """Lines for people."""
        weights = f" ({self.weights})" if self.weights else ""
        what = f"{self.venue} {self.coin} {self.model}{weights} as of {utc_text(self.as_of)}"
        word = "stored" if self.new else "stored before, and kept as it was"
        yield f"{what}, {horizon_name(self.horizon_s)}: {word} as {self.hash[:12]}"
        if self.replayed:
            yield "a replay: it is marked as one for good, what it speaks of could be known when it was made"
        if self.synthetic:
            yield f"{SYNTHETIC}: of the sandbox, not of an exchange"
        over = self.as_of + timedelta(seconds=self.horizon_s)
        yield f"`liqtruth score settle` scores it once prices and liquidations up to {utc_text(over)} are stored"


@dataclass(frozen=True)
class ForecastPlan:
    """What to forecast; `at` only makes sense for a replay."""

    coin: str
    venue: str
    model: str
    weights: str | None = None
    horizon: timedelta = timedelta(hours=1)
    at: datetime | None = None
    replay: bool = False

    def __post_init__(self) -> None:
        if not SHORTEST <= self.horizon <= LONGEST:
            raise BadInput(f"--horizon must be from 5 minutes to 7 days, got {self.horizon}")
        if self.at is not None and not self.replay:
            raise BadInput("--at asks for a map of another moment than now: that is a replay, add --replay")
        if self.model == EXACT and self.venue != VENUE:
            raise BadInput(f"exact positions of {self.venue} are not to be had: only {VENUE} shows them")


def make_forecast(
    store: Store, plan: ForecastPlan, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> StoredForecast:
    """Draw the map and store it. Raises `TooLate` for a map that is too old, and what its maker raises."""
    store, venue = store.view(), venue_named(plan.venue).name
    if plan.model != EXACT:
        model, weights = named_model(plan.model, plan.weights, store.settings.data_dir)
        plan = replace(plan, model=model, weights=weights)
    drawn = _bare(_map(store, plan, venue))
    tiers = _tiers(store, plan, venue, drawn)
    made_at = clock()
    if not plan.replay:
        _refuse_late(drawn.as_of, made_at, plan.horizon)
    about = {
        "venue": venue,
        "coin": plan.coin,
        "model": plan.model,
        "weights": _weights_name(store, plan, venue),
        "model_hash": model_hash(store, plan.model, plan.weights, venue),
        "as_of": drawn.as_of,
        "made_at": made_at.astimezone(UTC),
        "horizon_s": round(plan.horizon.total_seconds()),
        "replayed": plan.replay,
        "synthetic": drawn.synthetic,
    }
    row, new = add_forecast(store, about, Content(drawn, tiers))
    return StoredForecast(**asdict(row), new=new)


def model_hash(store: Store, model: str, weights: str | None, venue: str) -> str:
    """Of what the model assumes; of one without weights, of the name that it had first."""
    if model in (VINTAGES, CALIBRATED):
        return _leverage_model(store, model, weights, venue).hash
    if model not in MODELS:
        first_name = next((former for former, name in FORMER_NAMES.items() if name == model), model)
        return sha256(first_name.encode()).hexdigest()[:12]
    assumed = weights_named(model)
    return sha256(assumed.leverage.tobytes() + assumed.weight.tobytes()).hexdigest()[:12]


def _leverage_model(store: Store, model: str, weights: str | None, venue: str) -> LeverageModel:
    data_dir = store.settings.data_dir
    return (
        calibrated_model(data_dir, venue) if model == CALIBRATED else leverage_model_named(weights, data_dir)
    )


def _map(store: Store, plan: ForecastPlan, venue: str) -> Heatmap:
    if plan.model == EXACT:
        return exact_map(store, plan.coin, plan.at)
    return modelled_map(store, plan.coin, venue, plan.model, weights=plan.weights, at=plan.at)


def _tiers(store: Store, plan: ForecastPlan, venue: str, drawn: Heatmap) -> Heatmap | None:
    """The baseline of the same moment; null where its series are not stored."""
    if plan.model == TIERS:
        return None
    try:
        return _bare(modelled_map(store, plan.coin, venue, TIERS, at=drawn.as_of))
    except MissingData:
        return None


def _bare(drawn: Heatmap) -> Heatmap:
    """Without the breakdown, which no score looks at."""
    return replace(drawn, breakdown=None)


def _weights_name(store: Store, plan: ForecastPlan, venue: str) -> str:
    if plan.model not in (VINTAGES, CALIBRATED):
        return ""
    return _leverage_model(store, plan.model, plan.weights, venue).name


def _refuse_late(as_of: datetime, made_at: datetime, horizon: timedelta) -> None:
    late, most = made_at - as_of, min(OLDEST, OLDEST_SHARE * horizon)
    if late > most:
        raise TooLate(
            f"the map is of {utc_text(as_of)}, {age(late.total_seconds())} before now, and what came after it can be "
            f"seen: at most {age(most.total_seconds())} is a forecast; fetch later series, or store it as a --replay"
        )
    if late < -OLDEST:
        raise TooLate(
            f"the map is of {utc_text(as_of)}, which is yet to come: the data or the clock are wrong; a synthetic "
            "market's maps are stored with --replay"
        )
