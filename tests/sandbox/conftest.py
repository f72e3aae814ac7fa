"""What the sandbox's tests call the market and its server; both are synthetic."""

from collections.abc import Iterator

import pytest

from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from tests.markets import market_of


@pytest.fixture(scope="session")
def market(small_market: Market) -> Market:
    return small_market


@pytest.fixture(scope="session")
def large_market() -> Market:
    """As many accounts as the demo has, so that statements about shares mean something."""
    return market_of(MarketSpec(accounts=3000, days=8, cex_accounts=400))


@pytest.fixture(scope="session")
def going_on() -> Market:
    """A market that was simulated eight hours beyond its history."""
    return market_of(MarketSpec(seed=9, accounts=400, days=3, cex_accounts=60, live_hours=8))


@pytest.fixture(scope="session")
def server(served: SandboxServer) -> SandboxServer:
    return served


@pytest.fixture(scope="session")
def three_venues() -> Market:
    """Three centralised venues; its seed is one where prices fall in the four hours after the history."""
    spec = MarketSpec(
        seed=141,
        accounts=30,
        days=4,
        cex_accounts=700,
        coins=("BTC", "ETH", "SOL"),
        builder_dex=False,
        venues=("binance", "bybit", "okx"),
        live_hours=4,
    )
    return market_of(spec)


@pytest.fixture(scope="session")
def venues_server(three_venues: Market) -> Iterator[SandboxServer]:
    """`three_venues` at the end of its history, on real HTTP."""
    with serving_in_thread(three_venues, weight_per_minute=None) as running:
        yield running
