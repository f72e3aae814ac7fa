"""Models that start from stored exact maps: what they keep, what prices since have taken away, and what is refused."""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from liqtruth.compare.drawn import drawn_series, exact_maps
from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.model.baselines import EXACT_BASED, FORMER_NAMES
from liqtruth.estimator.model.leverage_model import ALIASES
from liqtruth.estimator.model.maps import ALONE
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import same
from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.truth import true_positions
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store
from tests.estimator.fitted_models import fitted, save

HOURS = 60
READ_BEFORE_H = 30


@pytest.fixture(scope="module")
def read_yesterday(tmp_path_factory: pytest.TempPathFactory, small_market: Market) -> Iterator[Store]:
    """Exact positions as they were thirty hours ago, and hourly series until now: down 4 % and back."""
    folder = tmp_path_factory.mktemp("yesterday")
    with Store.open(Settings(data_dir=folder / "data")) as store:
        positions = true_positions(small_market).filter(pl.col("coin") == "BTC")
        now = small_market.as_of
        table = positions.with_columns(as_of=pl.lit(now - timedelta(hours=READ_BEFORE_H)))
        table.write_parquet(folder / "positions.parquet")
        import_paths(store, [folder / "positions.parquet"])
        mark = float(positions["mark_px"][0])
        close = mark * np.exp(-0.04 * np.sin(np.pi * np.clip(np.arange(-29, 31) / 30, 0, 1)))
        starts = [now - timedelta(hours=HOURS - at) for at in range(HOURS)]
        bars = pl.DataFrame(
            {
                "ts": starts,
                "interval_s": 3600,
                "open": np.append(close[0], close[:-1]),
                "close": close,
                "volume": 100.0,
            }
        ).with_columns(high=pl.max_horizontal("open", "close"), low=pl.min_horizontal("open", "close"))
        coins = float(positions.filter(pl.col("szi") > 0)["szi"].sum())
        stored = pl.DataFrame(
            {"ts": [*starts, now], "open_interest": np.append(np.full(HOURS, coins), 0.9 * coins)}
        )
        for dataset, rows in (("candles", bars), ("open_interest", stored)):
            key = DATASETS[dataset].key
            store.lake.merge_series(dataset, "hyperliquid", "BTC", conform(rows, dataset), key, source="test")
        yield store


def test_yesterdays_exact_map_is_shrunk_with_open_interest_and_swept_by_what_prices_did_since(
    read_yesterday: Store,
) -> None:
    before = exact_map(read_yesterday, "BTC")
    drawn = modelled_map(read_yesterday, "BTC", "hyperliquid", "persistence", "3d")
    middle, reached = before.grid.bins_each_way, before.grid.bin_of(before.mark_px * np.exp(-0.04))
    kept = slice(0, int(reached) - 1)
    assert drawn.long_usd[kept] == pytest.approx(0.9 * before.long_usd[kept], rel=1e-6, abs=1.0)
    assert drawn.long_usd[int(reached) + 1 : middle].sum() == 0, "the price was there since"
    assert before.long_usd[int(reached) + 1 : middle].sum() > 0
    assert drawn.short_usd == pytest.approx(0.9 * before.short_usd, rel=1e-6, abs=1.0)
    assert drawn.source == "modelled"


def test_the_mean_shape_of_one_exact_map_is_that_map_where_the_last_bar_was_not(
    read_yesterday: Store,
) -> None:
    before = exact_map(read_yesterday, "BTC")
    drawn = modelled_map(read_yesterday, "BTC", "hyperliquid", "climatology", "3d")
    assert drawn.label == "hyperliquid climatology"
    last_bar = before.grid.bin_of(before.mark_px * np.exp([-0.01, 0.01]))
    beyond = np.r_[0 : last_bar[0], last_bar[1] : before.grid.bins]
    for both in ((drawn.long_usd, before.long_usd), (drawn.short_usd, before.short_usd)):
        ours, theirs = (mass[beyond] for mass in both)
        assert ours.sum() > 0
        assert ours / ours.sum() == pytest.approx(theirs / theirs.sum(), rel=1e-6, abs=1e-9)


def test_a_map_from_less_than_a_day_ago_is_not_taken_for_one_from_before(
    read_yesterday: Store, small_market: Market
) -> None:
    early = small_market.as_of - timedelta(hours=10)
    with pytest.raises(NothingStored, match="no exact map of BTC is older than"):
        exact_maps(read_yesterday, "BTC", early, 1)


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_former_names_of_models_are_taken_as_options(read_yesterday: Store, former: str, name: str) -> None:
    drawn, before = (modelled_map(read_yesterday, "BTC", "hyperliquid", one, "3d") for one in (name, former))
    assert drawn.model == name
    assert same(drawn, before)


def test_a_persistence_map_of_another_venue_is_refused(store: Store) -> None:
    with pytest.raises(
        BadInput, match="persistence needs exact positions of okx: only hyperliquid shows them"
    ):
        modelled_map(store, "SOL", "okx", "persistence")


def test_every_model_is_named_where_an_unknown_one_is_asked_for(store: Store) -> None:
    with pytest.raises(
        UnknownChoice, match=r"unknown model 'magic'; known: vintages, .*, climatology, persistence"
    ):
        modelled_map(store, "SOL", "okx", "magic")


def test_weights_are_for_vintages_only(store: Store) -> None:
    for model in ("tiers", "climatology"):
        with pytest.raises(BadInput, match="weights"):
            modelled_map(store, "SOL", "okx", model, weights="prior")


def test_all_venues_of_a_coin_of_which_nothing_is_stored_are_none(store: Store) -> None:
    with pytest.raises(NothingStored, match="no venue has stored candles and open interest of SOL"):
        modelled_map(store, "SOL", "all", "tiers")


CENSUS = "what-stands"


@pytest.mark.parametrize("model", [*ALONE, *EXACT_BASED, *FORMER_NAMES, "population", *ALIASES, CENSUS])
def test_whatever_names_a_model_names_it_for_one_moment_and_over_time(
    read_yesterday: Store, model: str
) -> None:
    """The last moment of a series is the map of that moment; the names of leverage models are names of models."""
    save(read_yesterday.settings.data_dir, fitted(), fitted(CENSUS, kind="census", bounds=None))
    one = modelled_map(read_yesterday, "BTC", "hyperliquid", model)
    series = drawn_series(read_yesterday, "BTC", "hyperliquid", model, timedelta(hours=6), timedelta(hours=3))
    assert series.times[-1] == one.as_of
    assert series.times[-1] - series.times[-2] == timedelta(hours=3)
    assert series.mark_px[-1] == one.mark_px
    seen = np.nansum(series.long_usd[-1]) + series.beyond_usd[-1].long
    assert seen == pytest.approx(one.in_grid_usd.long + one.beyond_usd.long, rel=0.05)


def test_an_unknown_model_is_refused_with_the_names_of_leverage_models(read_yesterday: Store) -> None:
    save(read_yesterday.settings.data_dir, fitted(CENSUS, kind="census", bounds=None))
    with pytest.raises(UnknownChoice, match=CENSUS):
        drawn_series(read_yesterday, "BTC", "hyperliquid", "what-stand", timedelta(hours=6))
