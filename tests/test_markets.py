"""A market that another process simulated is the market of its specification, down to what is still to come."""

from pathlib import Path

import numpy as np
import pytest

from liqtruth.sandbox.live import Live
from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.truth import true_positions
from tests.markets import FOLDER, market_of

SPEC = MarketSpec(seed=2, accounts=30, days=1, cex_accounts=20, coins=("BTC", "SOL"), live_hours=1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def test_a_kept_market_is_what_simulating_it_gives_now_and_later() -> None:
    simulated, (first, second) = simulate(SPEC), (market_of(SPEC), market_of(SPEC))
    for kept in (first, second):
        assert kept.spec == SPEC
        assert kept.addresses == simulated.addresses
        assert np.array_equal(kept.trades.lots, simulated.trades.lots)
        assert same_positions(kept, simulated)
        assert same_positions(later(kept), later(simulated))


def test_letting_time_pass_on_one_leaves_the_next_where_it_was(folder: Path) -> None:
    first = market_of(SPEC)
    later(first)
    assert same_positions(market_of(SPEC), simulate(SPEC))
    assert len([*folder.glob("*.pickle")]) == 1


def test_other_specifications_are_other_markets(folder: Path) -> None:
    other = MarketSpec(seed=3, accounts=10, days=1, cex_accounts=10, coins=("BTC",), builder_dex=False)
    assert market_of(SPEC).addresses != market_of(other).addresses
    assert len([*folder.glob("*.pickle")]) == 2


def later(market: Market) -> Market:
    return Live(market).advance_to(market.point + 45)


def same_positions(one: Market, other: Market) -> bool:
    return all(true_positions(one, venue).equals(true_positions(other, venue)) for venue in one.venues)
