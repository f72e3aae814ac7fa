"""What several tests of comparisons share."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from liqtruth.compare.comparison.comparison import Comparison
from liqtruth.compare.comparison.session import compare_stored
from liqtruth.estimator.feeds.fetch import fetch
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.store import Settings, Store


@dataclass(frozen=True)
class ExchangeRead:
    """A store with everything of an exchange, how the reading went, and the comparison of before any fit."""

    store: Store
    swept: SweepReport
    progress: tuple[float, ...]
    comparison: Comparison


@pytest.fixture(scope="session")
def exchange(
    tmp_path_factory: pytest.TempPathFactory, served: SandboxServer, small_market: Market
) -> Iterator[ExchangeRead]:
    """`small_market`, read once; whoever adds to the store takes it out again."""
    progress: list[float] = []
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("exchange"))) as store:
        reading = sweep(
            store,
            addresses(small_market),
            base_url=served.base_url,
            weight_per_minute=0,
            on_progress=progress.append,
        )
        swept = asyncio.run(reading)
        fetch(store, "binance", "BTC", 3, base_url=served.binance_url)
        yield ExchangeRead(store, swept, tuple(progress), compare_stored(store, "BTC", window="3d"))
