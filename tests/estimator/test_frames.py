"""A stored frame has the columns of its dataset, whatever a source gave."""

import polars as pl
import pytest

from liqtruth.estimator.frames import DATASETS, conform


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_frame_of_another_order_and_width_becomes_the_datasets(dataset: str) -> None:
    known = DATASETS[dataset]
    rows = pl.DataFrame({"stray": [1], "ts": [1_780_000_000_000]})
    made = conform(rows, dataset)
    assert dict(made.schema) == known.schema
    assert made["ts"].dt.epoch("ms").to_list() == [1_780_000_000_000]
    assert all(made[name].null_count() == 1 for name in known.schema if name != "ts")


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_key_is_made_of_the_datasets_columns(dataset: str) -> None:
    known = DATASETS[dataset]
    assert known.name == dataset
    assert known.key[0] == "ts"
    assert set(known.key) <= set(known.schema)
