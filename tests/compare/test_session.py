"""From what is stored, or from an exchange, to a divergence."""

from pathlib import Path

import pytest

from liqtruth.compare.comparison.session import compare_stored, make_map
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import same, write_map
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.compare.conftest import ExchangeRead


def test_an_exchange_is_read_modelled_and_compared(exchange: ExchangeRead, small_market: Market) -> None:
    assert exchange.swept.accounts == exchange.progress[-1] == len(addresses(small_market))
    found = exchange.comparison.divergence
    assert found.synthetic
    assert found.as_of == small_market.as_of
    assert found.truth.coverage_share == pytest.approx((1.0, 1.0), rel=1e-9)
    assert [model.summary.label for model in found.models] == [
        "binance vintages",
        "binance tiers",
        "binance bell",
    ]
    assert all(model.scores.wasserstein_pct is not None for model in found.models)
    assert same(exchange.comparison.truth_map, exact_map(exchange.store, "BTC"))


def test_the_same_store_gives_the_same_bytes(exchange: ExchangeRead) -> None:
    again = compare_stored(exchange.store, "BTC", window="3d")
    assert to_json(again.divergence) == to_json(exchange.comparison.divergence)


def test_a_map_from_a_file_may_be_truth_or_model(exchange: ExchangeRead, tmp_path: Path) -> None:
    truth, path = exchange.comparison.truth_map, tmp_path / "mine.parquet"
    write_map(truth, path)
    assert same(make_map(exchange.store, "BTC", str(path), None, "3d"), truth)
    itself = compare_stored(exchange.store, "BTC", truth=str(path), models=["exact"]).divergence
    assert itself.models[0].scores.wasserstein_pct == pytest.approx(0.0, abs=1e-9)
    assert itself.models[0].skill == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spec", "error", "expected"),
    [
        ("tiers", BadInput, "a map must be exact, VENUE:MODEL .* got 'tiers'"),
        (":tiers", BadInput, "got ':tiers'"),
        ("mtgox:tiers", UnknownChoice, "'mtgox'"),
        ("binance:magic", UnknownChoice, "'magic'"),
        ("nowhere.json", BadInput, r"nowhere\.json"),
        ("binance:tiers", NothingStored, "liqtruth feed"),
        ("exact", (NothingStored, UnknownCoin), "liqtruth check"),
    ],
)
def test_a_map_that_cannot_be_made_gives_the_reason(
    store: Store, spec: str, error: type[Exception] | tuple[type[Exception], ...], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        make_map(store, "BTC", spec, None, "30d")


def test_windows_of_each_model_are_made_where_they_are_asked_for(exchange: ExchangeRead) -> None:
    """The model's own window is among those that show its clusters."""
    found = compare_stored(
        exchange.store, "BTC", models=["binance:tiers"], window="7d", windows=True
    ).divergence
    of_model = [row for row in found.clusters if row.map == "binance tiers"]
    assert of_model
    assert all("7d" in row.windows["binance tiers"] for row in of_model)
    assert not any(row.windows for row in exchange.comparison.divergence.clusters), "not asked for"
    assert [market.venue for market in found.markets] == ["hyperliquid", "binance"]
