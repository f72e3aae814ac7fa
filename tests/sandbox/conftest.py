"""What the sandbox's tests call the market and its server; both are synthetic."""

import pytest

from sandbox.market import Market, MarketSpec, simulate
from sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def market(small_market: Market) -> Market:
    return small_market


@pytest.fixture(scope="session")
def crowd() -> Market:
    """As many accounts as the demo has, so that statements about shares mean something."""
    return simulate(MarketSpec(accounts=3000, days=8, cex_accounts=400))


@pytest.fixture(scope="session")
def going_on() -> Market:
    """A market that was simulated eight hours beyond its history."""
    return simulate(MarketSpec(seed=9, accounts=400, days=3, cex_accounts=60, live_hours=8))


@pytest.fixture(scope="session")
def server(served: SandboxServer) -> SandboxServer:
    return served
