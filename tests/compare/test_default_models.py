"""What a comparison is made of where nobody names a model: the shipped one, naive ones, and the fitted one as far as it
can be drawn."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqtruth.compare.comparison.session import compare_stored
from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.statistics.effective_sample_size import granularity
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.files import write_map
from liqtruth.heatmap.words.notes import of_codes
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.storage.store import Store
from tests.compare.conftest import ExchangeRead
from tests.estimator.fitted_models import fitted, save

UNFITTED = ["binance vintages", "binance tiers", "binance bell"]


@pytest.fixture
def with_fit(exchange: ExchangeRead) -> Iterator[Store]:
    store = exchange.store
    save(store.settings.data_dir, fitted())
    yield store
    shutil.rmtree(store.settings.data_dir / "models")


def labels(divergence: Divergence) -> list[str]:
    return [model.summary.label for model in divergence.models]


def test_without_a_fit_the_shipped_model_and_naive_ones_are_compared_and_nothing_is_left_out(
    exchange: ExchangeRead,
) -> None:
    found = exchange.comparison.divergence
    assert labels(found) == UNFITTED
    assert not of_codes(found.remarks, ["not_compared"])


def test_a_fitted_model_stands_beside_them_where_its_series_are_stored_and_elsewhere_it_is_stated(
    with_fit: Store,
) -> None:
    found = compare_stored(with_fit, "BTC", window="3d").divergence
    assert labels(found) == [*UNFITTED, "binance calibrated"]
    (left_out,) = of_codes(found.remarks, ["not_compared"])
    assert [spec for spec, _ in left_out.values["missing"]] == ["hyperliquid:calibrated"]
    (carried,) = of_codes(found.remarks, ["not_levelled"])
    assert (carried.about, carried.values["venue"]) == ("binance calibrated", "binance")
    (unranked,) = of_codes(found.remarks, ["not_ranked"])
    assert (unranked.values["why"], unranked.values["fit"]) == ("no_record", "calibrated")


def test_models_that_are_named_are_the_only_ones(with_fit: Store) -> None:
    found = compare_stored(with_fit, "BTC", models=["binance:calibrated"], window="3d").divergence
    assert labels(found) == ["binance calibrated"]
    assert not of_codes(found.remarks, ["not_compared"])


def test_a_fitted_model_that_is_named_and_is_not_there_is_an_error_with_the_remedy(
    exchange: ExchangeRead,
) -> None:
    with pytest.raises(MissingData, match="liqtruth calibrate fit COIN"):
        compare_stored(exchange.store, "BTC", models=["binance:calibrated"], window="3d")


def test_a_fit_whose_record_cannot_be_read_is_scored_and_not_ranked(with_fit: Store) -> None:
    record = with_fit.settings.data_dir / "models" / "fits" / "calibrated.json"
    record.parent.mkdir()
    record.write_text("{}")
    found = compare_stored(with_fit, "BTC", models=["binance:calibrated"], window="3d").divergence
    assert found.models[0].skill is not None
    assert found.models[0].barred is not None
    assert found.models[0].barred.code == "no_record"
    assert found.conclusion is not None
    assert found.conclusion.label is None


def test_the_exact_truth_is_scored_whole_and_as_its_crowd(exchange: ExchangeRead) -> None:
    store, found = exchange.store, exchange.comparison.divergence
    assert [layer.layer for layer in found.layers] == ["raw", "crowd"]
    crowd = exact_map(store, "BTC", layer="crowd")
    assert found.layers[1].granularity == granularity(crowd, found.range_pct)


def test_a_truth_from_a_file_or_a_model_has_no_layers(exchange: ExchangeRead, tmp_path: Path) -> None:
    store, result = exchange.store, exchange.comparison
    write_map(result.truth_map, tmp_path / "mine.json")
    for spec in (str(tmp_path / "mine.json"), "binance:tiers"):
        found = compare_stored(store, "BTC", truth=spec, models=["binance:bell"], window="3d")
        assert found.divergence.layers == ()
