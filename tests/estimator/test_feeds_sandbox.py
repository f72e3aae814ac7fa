"""Three synthetic venues with populations of their own, read through ccxt: what is stored is each ledger's truth.

OKX's contracts are not one coin, so a mistake of units would show.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from liqtruth.estimator.feeds.fetch import FetchSummary, fetch_all
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.exchange import Exchange, Patience
from liqtruth.estimator.venues.requests import read_open_interest_now
from liqtruth.estimator.venues.table import VENUES, venues_named
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import true_positions
from liqtruth.storage.store import Settings, Store
from tests.markets import market_of

NAMES = ("binance", "bybit", "okx")
QUICK = Patience(timeout_s=5.0, attempts=3, total_s=10.0, first_wait_s=0.01)


@pytest.fixture(scope="module")
def market() -> Market:
    """Small: what is tested is that numbers arrive, not how they come about."""
    return market_of(
        MarketSpec(
            seed=3,
            accounts=20,
            days=2,
            cex_accounts=200,
            coins=("BTC", "SOL"),
            builder_dex=False,
            venues=NAMES,
        )
    )


@pytest.fixture(scope="module")
def server(market: Market) -> Iterator[SandboxServer]:
    with serving_in_thread(market, weight_per_minute=None) as running:
        yield running


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, server: SandboxServer
) -> Iterator[tuple[Store, FetchSummary]]:
    """All venues' SOL of a day, in quarters of an hour."""
    root: Path = tmp_path_factory.mktemp("filled")
    with Store.open(Settings(data_dir=root / "data")) as store:
        yield store, fetched(store, server)


def fetched(store: Store, server: SandboxServer) -> FetchSummary:
    venues = venues_named(",".join((*NAMES, "hyperliquid")))
    return fetch_all(store, venues, "SOL", 1, interval="15m", base_url=server.base_url, patience=QUICK)


def stored(store: Store, venue: str, dataset: str) -> pl.DataFrame:
    return store.lake.read_series(dataset, venue, "SOL", DATASETS[dataset].schema)


def true_open_interest(market: Market, venue: str) -> float:
    positions = true_positions(market, venue).filter(pl.col("coin") == "SOL", pl.col("szi") > 0)
    return float(positions["szi"].sum())


def test_everything_comes_of_every_venue(filled: tuple[Store, FetchSummary]) -> None:
    _, summary = filled
    assert (summary.exit_code, summary.failures) == (0, [])
    for report in summary.reports:
        assert report.source.startswith("synthetic")
        assert {series.dataset for series in report.series} == set(VENUES[report.venue].feeds)
        assert all(series.rows for series in report.series)
        gaps = {series.dataset: series.gaps for series in report.series if series.gaps}
        assert set(gaps) <= {"ratios"}, "none of a few top traders may be long: then there is no ratio"


@pytest.mark.parametrize("venue", NAMES)
def test_the_last_open_interest_is_one_side_of_that_venues_ledger(
    filled: tuple[Store, FetchSummary], market: Market, venue: str
) -> None:
    last = stored(filled[0], venue, "open_interest").row(-1, named=True)
    assert last["open_interest"] == pytest.approx(true_open_interest(market, venue), rel=1e-6)


async def test_the_present_open_interest_is_the_ledgers(market: Market, server: SandboxServer) -> None:
    for venue in (*NAMES, "hyperliquid"):
        async with Exchange(VENUES[venue], server.base_url, QUICK) as exchange:
            row = (await read_open_interest_now(exchange, "SOL")).row(0, named=True)
        assert row["open_interest"] == pytest.approx(true_open_interest(market, venue), rel=1e-6), venue


def test_venues_share_a_price_and_not_their_volume(filled: tuple[Store, FetchSummary]) -> None:
    bars = {venue: stored(filled[0], venue, "candles") for venue in NAMES}
    closes = [bars[venue]["close"].to_numpy() for venue in NAMES]
    for other in closes[1:]:
        assert other == pytest.approx(closes[0], rel=0.01)
    volumes = [float(bars[venue]["volume"].sum()) for venue in NAMES]
    assert len({round(volume, 3) for volume in volumes}) == len(NAMES)
    assert max(volumes) / min(volumes) < 20, "coins everywhere: a contract of OKX is another amount"


def test_what_is_stored_of_several_venues_is_not_asked_for_again(
    filled: tuple[Store, FetchSummary], server: SandboxServer
) -> None:
    before = server.requests.copy()
    again = fetched(filled[0], server)
    assert {series.new_rows for report in again.reports for series in report.series} == {0}
    asked = set(server.requests - before)
    assert not {
        path for path in asked if "kline" in path or "open-interest" in path or "openInterest" in path
    }


def test_tiers_of_okx_are_money_at_its_price(filled: tuple[Store, FetchSummary], market: Market) -> None:
    tiers = stored(filled[0], "okx", "tiers").sort("min_notional_usd")
    assert tiers["min_notional_usd"][0] == 0
    assert (tiers["maintenance_margin_rate"].diff().drop_nulls() >= 0).all()
    bound = tiers["max_notional_usd"][0]
    binance_like = stored(filled[0], "bybit", "tiers").sort("min_notional_usd")["max_notional_usd"][0]
    assert bound / binance_like < 100
    assert binance_like / bound < 100
