"""What several tests of comparisons share."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from liqtruth.compare.divergence.comparison import Comparison
from liqtruth.compare.divergence.session import compare_stored, read_exchange
from liqtruth.indexer.sweep.sweep import SweepReport
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
        swept = read_exchange(
            store,
            "BTC",
            addresses(small_market),
            served.base_url,
            served.binance_url,
            days=3,
            on_progress=progress.append,
        )
        yield ExchangeRead(store, swept, tuple(progress), compare_stored(store, "BTC", window="3d"))
