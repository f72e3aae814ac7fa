"""Venues that misbehave in every known way: each is a named fault, no venue ends another, and all go on collecting."""

from collections.abc import Iterator

import pytest

from liqtruth.estimator.feeds.fetch import fetch_all
from liqtruth.estimator.feeds.watch import FeedWatchPlan
from liqtruth.estimator.venues.exchange import Patience
from liqtruth.estimator.venues.table import venues_named
from liqtruth.sandbox.http.misbehaviour import ELSEWHERE, VALUES, WHOLE
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.market.population import BINANCE, BYBIT, OKX
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Store
from tests.estimator.test_feed_watch import plan, rows, watched
from tests.markets import market_of

THREE = (BINANCE, BYBIT, OKX)
PATIENT = Patience(timeout_s=60.0, attempts=3, total_s=120.0, first_wait_s=0.01)
SHORT = Patience(timeout_s=1.5, attempts=1, total_s=3.0, first_wait_s=0.01)


@pytest.fixture(scope="module")
def three_venues() -> Market:
    return market_of(
        MarketSpec(
            seed=5,
            accounts=60,
            days=2,
            cex_accounts=150,
            venues=THREE,
            coins=("BTC", "ETH"),
        )
    )


@pytest.fixture
def spoiling(three_venues: Market) -> Iterator[SandboxServer]:
    """Three venues that answer soundly until they misbehave."""
    with serving_in_thread(three_venues, weight_per_minute=None) as server:
        yield server
        assert server.requests[ELSEWHERE] == 0, "a redirect was followed"


def chosen(server: SandboxServer, **more: object) -> FeedWatchPlan:
    return plan(server, ",".join(THREE), **{"patience": SHORT, "every_s": 0.05, **more})


@pytest.mark.parametrize("kinds", [*((kind,) for kind in WHOLE), VALUES], ids=[*WHOLE, "values"])
def test_answers_spoiled_in_any_way_are_named_and_the_next_sound_ones_are_stored(
    store: Store, spoiling: SandboxServer, kinds: tuple[str, ...]
) -> None:
    """`fetch` first, of which a part fails; then everything comes."""
    spoiling.misbehaviour.kinds, spoiling.misbehaviour.rate = kinds, 0.5
    settings = {"days": 1, "interval": "1h", "base_url": spoiling.base_url}
    spoiled = fetch_all(store, venues_named(",".join(THREE)), "BTC", patience=SHORT, **settings)  # type: ignore[arg-type]
    assert spoiled.exit_code in (0, 2, 3)
    assert spoiling.misbehaviour.met.total() > 0
    assert all(line.isprintable() for line in spoiled.failures)
    spoiling.misbehaviour.rate = 0.0
    sound = fetch_all(store, venues_named(",".join(THREE)), "BTC", patience=PATIENT, **settings)  # type: ignore[arg-type]
    assert (sound.exit_code, sound.failures) == (0, [])
    for name in THREE:
        assert rows(store, name, "candles") == 24
        assert rows(store, name, "open_interest") >= 24


def test_venues_that_misbehave_all_the_time_are_all_collected_and_come_back(
    store: Store, spoiling: SandboxServer
) -> None:
    spoiling.misbehaviour.rate, spoiling.misbehaviour.socket_rate = 0.4, 0.3
    spoiled, _ = watched(store, chosen(spoiling, rounds=5))
    assert spoiled.exit_code == 3
    assert all(venue.rounds == 5 for venue in spoiled.venues)
    spoiling.misbehaviour.rate = spoiling.misbehaviour.socket_rate = 0.0
    sound, _ = watched(store, chosen(spoiling, rounds=2, patience=PATIENT))
    assert sound.exit_code == 0, sound.describe()
    for name in THREE:
        assert rows(store, name, "candles") > 200
        assert rows(store, name, "open_interest") > 200
