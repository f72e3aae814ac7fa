"""The crowd and the whales of a stored market: parts of the same reading, named wherever the map is shown."""

from collections.abc import Callable

import numpy as np
import pytest

from liqtruth.heatmap.drawing.view import head_lines, title
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import LARGEST_SHARE, LAYERS
from liqtruth.indexer.maps.exact import exact_map, whole_and_layer
from liqtruth.indexer.maps.execution import executable_map
from liqtruth.indexer.maps.views import exact_view, joint_map
from liqtruth.storage.store import Store


def test_both_layers_of_a_reading_add_up_to_its_map(swept: Store) -> None:
    whole = exact_map(swept, "BTC")
    crowd, whales = (exact_map(swept, "BTC", layer=layer) for layer in LAYERS)
    assert np.allclose(crowd.long_usd + whales.long_usd, whole.long_usd, rtol=1e-12)
    assert np.allclose(crowd.short_usd + whales.short_usd, whole.short_usd, rtol=1e-12)
    assert np.add(crowd.never_usd, whales.never_usd) == pytest.approx([*whole.never_usd])
    assert 0 < whales.total_usd.total < whole.total_usd.total
    assert crowd.as_of == whales.as_of == whole.as_of


def test_no_position_of_the_crowd_has_more_than_its_share_of_open_interest(swept: Store) -> None:
    crowd = exact_map(swept, "BTC", layer="crowd")
    assert crowd.breakdown is not None
    assert crowd.coverage.open_interest_usd is not None
    largest = LARGEST_SHARE * crowd.coverage.open_interest_usd
    assert crowd.breakdown["largest_usd"].max() == pytest.approx(largest)


def test_a_layer_says_what_it_is_and_how_much_of_the_mass(swept: Store) -> None:
    whole, whales = whole_and_layer(swept, "BTC", "whales")
    share = whales.total_usd.long / whole.total_usd.long
    message = next(one for one in whales.assumptions if one.code == "only_whales")
    assert message.values["shares"][0] == pytest.approx(share)
    assert f"{100 * share:.1f} % of long" in message.text
    assert message == whales.coverage.notes[0]
    assert whales.coverage.share == whole.coverage.share, "coverage is the whole map's"
    assert whales.label == "hyperliquid whales"
    assert "exact positions, whales" in title(whales)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: exact_view(store, "BTC"),
        lambda store: exact_view(store, "BTC", filters={"margin_mode": ["cross"]}),
        lambda store: joint_map(store, "BTC")[0],
        lambda store: executable_map(store, "BTC"),
        lambda store: exact_view(store, "BTC", layer="crowd"),
    ],
    ids=["whole", "filtered", "joint", "execution", "layer"],
)
def test_every_exact_map_says_at_once_how_much_of_it_is_whales(
    swept: Store, ask: Callable[[Store], Heatmap]
) -> None:
    assert any(line.startswith("whales hold ") for line in head_lines(ask(swept)))


def test_a_layer_is_a_map_of_its_own(swept: Store) -> None:
    with pytest.raises(BadInput, match="the layer must be crowd or whales, got 'fish'"):
        exact_view(swept, "BTC", layer="fish")
