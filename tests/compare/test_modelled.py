"""Models that start from exact maps are made where both are seen, and refused with the reason where they cannot be."""

import pytest

from liqtruth.compare.modelled import modelled_map
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store


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
