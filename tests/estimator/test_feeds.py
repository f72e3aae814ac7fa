"""A fetch through ccxt brings what the synthetic venue's ledger holds, whatever happens on the way."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from liqtruth.estimator.errors import BadAnswer, UnknownChoice, UnknownMarket
from liqtruth.estimator.feeds.backfill import pages_of
from liqtruth.estimator.feeds.fetch import FetchReport, fetch
from liqtruth.estimator.frames import CANDLES, FUNDING, OPEN_INTEREST, RATIO_KINDS, RATIOS
from liqtruth.estimator.model.maps import model_map
from liqtruth.estimator.venues.exchange import Exchange, Patience, shown_url
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, SourceUnreachable
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import true_positions
from liqtruth.storage.store import Store

QUICK = Patience(timeout_s=2.0, attempts=6, total_s=8.0, first_wait_s=0.01)
HOPELESS = Patience(timeout_s=0.5, attempts=2, total_s=2.0, first_wait_s=0.01)


def fetched(store: Store, server: SandboxServer, days: int = 4, **options: object) -> FetchReport:
    settings = {"interval": "1h", "base_url": server.base_url, "patience": QUICK, **options}
    return fetch(store, "binance", "BTC", days, **settings)  # type: ignore[arg-type]


def stored(store: Store, dataset: str) -> pl.DataFrame:
    schema = {"candles": CANDLES, "open_interest": OPEN_INTEREST, "funding": FUNDING, "ratios": RATIOS}[
        dataset
    ]
    return store.lake.read_series(dataset, "binance", "BTC", schema)


def true_open_interest(market: Market) -> float:
    return float(
        true_positions(market, "binance").filter(pl.col("coin") == "BTC", pl.col("szi") > 0)["szi"].sum()
    )


# ------------------------------------------------------------------------------------------- truth


def test_candles_are_the_markets_hours_with_the_volume_that_takers_bought(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    fetched(store, served)
    candles = stored(store, "candles")
    assert candles.height == 4 * 24
    assert candles["ts"][-1] + timedelta(hours=1) == small_market.as_of
    marks = small_market.path.mark_px(small_market.spec.assets)[-4 * 1440 - 1 :, 0]
    assert candles["close"].to_list() == marks[60::60].tolist()
    assert candles["high"].to_list() == [marks[at : at + 61].max() for at in range(0, 4 * 1440, 60)]
    assert (candles["taker_buy_volume"] <= candles["volume"]).all()
    assert (candles["taker_buy_volume"] > 0).any()


def test_the_last_open_interest_is_one_side_of_the_ledger(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    fetched(store, served)
    history = stored(store, "open_interest")
    assert history["ts"][-1] == small_market.as_of
    assert history["open_interest"][-1] == pytest.approx(true_open_interest(small_market), rel=1e-9)
    close = stored(store, "candles")["close"][-1]
    assert history["open_interest_usd"][-1] == pytest.approx(history["open_interest"][-1] * close, rel=1e-6)


def test_funding_and_every_kind_of_ratio_come_too(store: Store, served: SandboxServer) -> None:
    fetched(store, served)
    assert stored(store, "funding")["ts"].diff().drop_nulls().unique().to_list() == [timedelta(hours=8)]
    ratios = stored(store, "ratios")
    assert sorted(ratios["kind"].unique()) == sorted(RATIO_KINDS)
    assert (ratios["ratio"] > 0).all()


def test_short_fetches_take_five_minute_bars(store: Store, served: SandboxServer) -> None:
    report = fetched(store, served, days=1, interval=None)
    assert report.interval == "5m"
    assert stored(store, "candles").height == 288


def test_a_map_of_fetched_series_is_called_synthetic(store: Store, served: SandboxServer) -> None:
    assert fetched(store, served).source.startswith("synthetic")
    drawn = model_map(store, "BTC", "binance", "tiers", "3d")
    assert drawn.synthetic
    assert drawn.mark_px == stored(store, "candles")["close"][-1]


# ------------------------------------------------------------------------------------------ resume


def test_what_is_stored_is_not_asked_for_again(store: Store, served: SandboxServer) -> None:
    first = fetched(store, served)
    before = served.requests["/fapi/v1/klines"]
    second = fetched(store, served)
    assert served.requests["/fapi/v1/klines"] == before
    assert [series.new_rows for series in second.series] == [0] * 5
    assert [series.rows for series in second.series] == [series.rows for series in first.series]


def test_a_longer_fetch_fills_what_a_shorter_one_left_open(store: Store, served: SandboxServer) -> None:
    fetched(store, served, days=1)
    assert stored(store, "candles").height == 24
    report = fetched(store, served, days=4)
    assert stored(store, "candles").height == 4 * 24
    assert report.series[0].new_rows == 3 * 24


def test_pages_cover_every_step_once_and_never_exceed_the_limit() -> None:
    pages = pages_of(start_ms=1, end_ms=2_345_678, step_ms=1000, limit=7)
    times = np.concatenate([np.arange(page.start_ms, page.end_ms + 1, page.step_ms) for page in pages])
    assert times.tolist() == list(range(1000, 2_345_001, 1000))
    assert max(page.rows for page in pages) == 7


def test_a_venue_that_keeps_thirty_days_is_asked_for_no_more(store: Store, served: SandboxServer) -> None:
    """The sandbox refuses an earlier start with -1130, as Binance does."""
    report = fetched(store, served, days=45)
    assert "binance keeps open_interest and ratios for 30 days" in report.remarks[0]


# ------------------------------------------------------------------------------------------ faults


def test_faults_on_the_way_change_nothing_that_is_stored(
    store: Store, served: SandboxServer, small_market: Market
) -> None:
    fetched(store, served)
    calm = stored(store, "candles"), stored(store, "open_interest")
    faults = Faults(rate_429=0.1, rate_500=0.1, rate_reset=0.1, rate_truncated=0.1, rate_html=0.1, seed=3)
    with serving_in_thread(small_market, weight_per_minute=None, faults=faults) as faulty:
        patient = Patience(timeout_s=2.0, attempts=30, total_s=30.0, first_wait_s=0.005)
        fetch(store, "binance", "BTC", 4, interval="15m", base_url=faulty.base_url, patience=patient)
    assert len(faults.met) >= 3, faults.met
    hourly = stored(store, "candles").filter(pl.col("interval_s") == 3600)
    assert hourly.equals(calm[0])
    quarters = stored(store, "candles").filter(pl.col("interval_s") == 900)
    assert quarters.height == 4 * 96
    assert stored(store, "open_interest").height == 4 * 96 + 1


def test_a_storm_of_429_ends_in_one_line(store: Store, small_market: Market) -> None:
    with (
        serving_in_thread(small_market, faults=Faults(storm_429=True)) as stormy,
        pytest.raises(SourceUnreachable, match=r"binance \(http://127.*too many requests"),
    ):
        fetched(store, stormy, patience=HOPELESS)


def test_a_host_that_does_not_answer_is_named(store: Store) -> None:
    with pytest.raises(SourceUnreachable, match=r"http://127\.0\.0\.1:9\).*cannot connect") as raised:
        fetch(store, "binance", "BTC", 3, base_url="http://127.0.0.1:9", patience=HOPELESS)
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)


async def test_a_refusal_is_not_tried_again(served: SandboxServer) -> None:
    asked = served.requests.copy()
    async with Exchange(venue_named("binance"), served.base_url, QUICK) as reader:
        query = {"symbol": "NOPEUSDT", "interval": "1h"}
        with pytest.raises(BadAnswer, match=r"did not give candles.*Invalid symbol"):
            await reader.rows("candles", lambda: reader.api.fapiPublicGetKlines(query))
    assert sum((served.requests - asked).values()) == 1


# --------------------------------------------------------------------------------------- bad input


def test_an_unknown_coin_names_those_that_are_near(store: Store, served: SandboxServer) -> None:
    with pytest.raises(UnknownMarket, match=r"no perpetual BTXUSDT; it has e\.g\. BTC"):
        fetch(store, "binance", "BTX", 1, base_url=served.base_url, patience=QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"venue": "mtgox"}, "'mtgox'; known: binance"),
        ({"interval": "7m"}, "'7m'; known: 1m, 5m, 15m"),
    ],
)
def test_a_name_that_is_not_offered_is_refused(store: Store, options: dict[str, str], message: str) -> None:
    named = {"venue": "binance", **options}
    with pytest.raises(UnknownChoice, match=message):
        fetch(store, coin="BTC", days=1, **named)  # type: ignore[arg-type]


def test_a_venue_without_a_live_door_states_where_its_series_come_from(store: Store) -> None:
    with pytest.raises(BadInput, match=r"bitmex cannot be fetched.*ccxt.*feed import.*binance"):
        fetch(store, "bitmex", "BTC", 1)


def test_a_fetch_needs_a_day(store: Store) -> None:
    with pytest.raises(BadInput, match="days must be at least 1, got 0"):
        fetch(store, "binance", "BTC", 0)


def test_no_key_in_an_address_is_ever_shown() -> None:
    assert shown_url("https://user:secret@host.example:8443/key/abc?token=x") == "https://host.example:8443/…"
    with pytest.raises(BadInput, match="http"):
        shown_url("ftp://host")
