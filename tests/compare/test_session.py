"""From what is stored, or from an exchange, to a divergence."""

from pathlib import Path

import pytest

from liqtruth.compare.divergence.comparison import Comparison
from liqtruth.compare.divergence.divergence import to_json
from liqtruth.compare.divergence.session import compare_stored, make_map, read_exchange
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import same, write_map
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store


def read_and_compared(store: Store, served: SandboxServer, market: Market) -> Comparison:
    done: list[float] = []
    swept = read_exchange(
        store,
        "BTC",
        addresses(market),
        served.base_url,
        served.binance_url,
        days=3,
        on_progress=done.append,
    )
    assert swept.accounts == done[-1] == len(addresses(market))
    return compare_stored(store, "BTC", window="3d")


def test_an_exchange_is_read_modelled_and_compared(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    result = read_and_compared(store, served, small_market)
    found = result.divergence
    assert found.synthetic
    assert found.as_of == small_market.as_of
    assert found.truth.coverage_share == pytest.approx((1.0, 1.0), rel=1e-9)
    assert [model.summary.label for model in found.models] == ["binance tiers", "binance bell"]
    assert all(model.scores.wasserstein_pct is not None for model in found.models)
    assert same(result.truth_map, exact_map(store, "BTC"))


def test_the_same_store_gives_the_same_bytes(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    read_and_compared(store, served, small_market)
    first, second = (to_json(compare_stored(store, "BTC", window="3d").divergence) for _ in range(2))
    assert first == second


def test_a_map_from_a_file_may_be_truth_or_model(
    store: Store, served: SandboxServer, small_market: Market, tmp_path: Path
) -> None:
    truth = read_and_compared(store, served, small_market).truth_map
    path = tmp_path / "mine.parquet"
    write_map(truth, path)
    assert same(make_map(store, "BTC", str(path), None, "3d"), truth)
    itself = compare_stored(store, "BTC", truth=str(path), models=["exact"]).divergence
    assert itself.models[0].scores.wasserstein_pct == pytest.approx(0.0, abs=1e-9)
    assert itself.models[0].skill == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("tiers", BadInput, "'tiers' is no map: write exact, VENUE:MODEL"),
        (":tiers", BadInput, "':tiers' is no map"),
        ("mtgox:tiers", UnknownChoice, "'mtgox'"),
        ("binance:magic", UnknownChoice, "'magic'"),
        ("nowhere.json", BadInput, r"nowhere\.json"),
        ("binance:tiers", NothingStored, "liqtruth feed"),
        ("exact", (NothingStored, UnknownCoin), "liqtruth index"),
    ],
)
def test_a_map_that_cannot_be_made_says_why(
    store: Store, spec: str, error: type[Exception] | tuple[type[Exception], ...], said: str
) -> None:
    with pytest.raises(error, match=said):
        make_map(store, "BTC", spec, None, "30d")
