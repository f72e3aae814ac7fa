"""The baselines on real aggregates of Binance BTCUSDT: what a map says, and what its parts and refusals are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from liqtruth.estimator.errors import StaleSeries, UnknownChoice
from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage import tiers
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.estimator.model.maps import ALONE, model_map
from liqtruth.estimator.series.series import load_series
from liqtruth.estimator.venues.table import VENUES, venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.words.notes import texts
from liqtruth.storage.store import Settings, Store
from tests.estimator.fitted_models import fitted, save

pytestmark = pytest.mark.recorded

AT = datetime(2026, 8, 21, 11, 1, 45, tzinfo=UTC)


@pytest.fixture(scope="module")
def binance(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The hourly aggregates of Binance BTCUSDT, imported once for all tests, which only read."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("binance"))) as store:
        path = recorded / "cex" / "binance-btc" / "oi_price_funding_hourly_2026-07_08.jsonl"
        import_feed(store, path, "binance", "BTC")
        yield store


@pytest.mark.parametrize("model", ["tiers", "bell"])
def test_a_map_states_its_mark_its_age_and_all_it_assumed(binance: Store, model: str) -> None:
    """The last sample before 11:01:45 is 77,635 USD at 10:04:55 with 8.45 billion USD of open interest."""
    drawn = model_map(binance, "BTC", "binance", model, at=AT)
    assert (drawn.mark_px, drawn.as_of, drawn.coverage.oldest_age_s) == (77_635, AT, 3410)
    assert (drawn.source, drawn.label, drawn.coin) == ("modelled", f"binance {model}", "BTC")
    assert drawn.coverage.open_interest_usd == pytest.approx(8.45e9)
    assert drawn.total_usd == pytest.approx(drawn.coverage.seen_usd)
    assert 0 < min(drawn.coverage.share) < max(drawn.coverage.share) < 1
    message = "\n".join(texts(drawn.assumptions))
    assert "maintenance brackets of binance BTCUSDT, 2026-09" in message
    assert "isolated positions of 10,000 USD at entry" in message
    assert "last prices, not marks" in message
    assert "the source rounds open interest to 10,000,000 USD" in message
    assert "older than the window (from 2026-07-22T" in drawn.coverage.notes[0].text


@pytest.mark.parametrize(("model", "leverages"), [("tiers", tiers().leverage), ("bell", (1, 5, 10, 20, 40))])
def test_the_bands_of_leverage_are_parts_of_the_map(
    binance: Store, model: str, leverages: tuple[float, ...]
) -> None:
    whole = model_map(binance, "BTC", "binance", model, "7d", at=AT)
    parts = [model_map(binance, "BTC", "binance", model, "7d", at=AT, leverage=[one]) for one in leverages]
    assert sum(part.long_usd for part in parts) == pytest.approx(whole.long_usd)
    assert sum(part.short_usd for part in parts) == pytest.approx(whole.short_usd)
    assert sum(part.never_usd.long for part in parts) == pytest.approx(whole.never_usd.long)
    assert all(0 < part.total_usd.total < whole.total_usd.total for part in parts)
    assert parts[0].assumptions[-1].code == "filtered"


def test_several_leverages_keep_the_mass_of_all_their_bands(binance: Store) -> None:
    both = model_map(binance, "BTC", "binance", "tiers", "7d", at=AT, leverage=[25, 50])
    one, other = (model_map(binance, "BTC", "binance", "tiers", "7d", at=AT, leverage=[x]) for x in (25, 50))
    assert both.total_usd == pytest.approx(np.add(one.total_usd, other.total_usd))
    assert set(both.breakdown["leverage_band"]) == {"25x", "50x"}


def test_a_longer_window_knows_the_age_of_more_open_interest(binance: Store) -> None:
    known = [
        model_map(binance, "BTC", "binance", "tiers", window, at=AT).coverage
        for window in ("12h", "24h", "3d", "7d", "30d")
    ]
    older = [100 * coverage.notes[0].values["before_window"][0] for coverage in known]
    assert older == sorted(older, reverse=True)
    assert older[0] > 90 > 50 > older[-1]


@pytest.mark.parametrize("window", ["90d", "180d"])
def test_a_window_longer_than_history_states_where_history_begins(binance: Store, window: str) -> None:
    notes = model_map(binance, "BTC", "binance", "tiers", window, at=AT).coverage.notes
    assert any(one.code == "history_begins" and one.values["at"] == "2026-07-02T07:26Z" for one in notes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"venue": "ftx"}, f"unknown venue 'ftx'; known: {', '.join(VENUES)}"),
        (
            {"model": "magic"},
            "unknown model 'magic'; known: vintages, tiers, bell, uniform, volume-profile, moving-average, calibrated, "
            "climatology, persistence, prior, population, large-accounts",
        ),
        ({"leverage": [33]}, "unknown leverage of tiers '33x'; known: 1x, 5x, 10x, 25x, 50x, 100x"),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_with_those_that_are(
    binance: Store, wrong: dict[str, object], message: str
) -> None:
    chosen = {"venue": "binance", "model": "tiers", "window": "7d", "at": AT, **wrong}
    with pytest.raises(UnknownChoice) as refused:
        model_map(binance, "BTC", **chosen)  # type: ignore[arg-type]
    assert str(refused.value) == message


def test_a_window_that_is_too_short_is_refused_with_the_bounds(binance: Store) -> None:
    with pytest.raises(BadInput, match=r"^window must be from 12h to 5y long, got '2h'$"):
        model_map(binance, "BTC", "binance", "tiers", "2h", at=AT)


def test_a_moment_after_the_data_is_refused(binance: Store) -> None:
    with pytest.raises(StaleSeries, match=r"the last bar ended at 2026-08-22T19:55Z, 16\.1 h before"):
        model_map(binance, "BTC", "binance", "tiers", at=datetime(2026, 8, 23, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def okx(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Everything recorded of OKX SOL."""
    with Store.open(Settings(data_dir=tmp_path_factory.mktemp("okx"))) as store:
        for name in ("ohlcv_1h.csv", "ohlcv_5m.csv.gz", "open_interest.csv"):
            import_feed(store, recorded / "cex" / "okx-sol" / name, "okx", "SOL")
        save(store.settings.data_dir, fitted())
        yield store


@pytest.mark.parametrize("window", ["24h", "7d", "30d"])
@pytest.mark.parametrize("model", ALONE)
def test_every_model_accounts_for_the_open_interest_of_okx(okx: Store, model: str, window: str) -> None:
    """The last open interest is of 221 million USD; what is seen is on the map, and no more than all of it."""
    drawn = model_map(okx, "SOL", "okx", model, window)
    holdings = drawn.coverage.open_interest_usd
    assert holdings == pytest.approx(221.3e6, rel=1e-3)
    assert drawn.total_usd == pytest.approx(drawn.coverage.seen_usd, rel=1e-9)
    assert 0.03 * holdings < min(drawn.total_usd) <= max(drawn.total_usd) <= holdings * (1 + 1e-9)


def test_the_cohorts_of_okx_state_where_the_rest_went(okx: Store) -> None:
    model = CohortModel(leverage_model_named("prior")).fit(
        load_series(okx, venue_named("okx"), "SOL", "7d"), venue_named("okx"), "SOL"
    )
    drawn = model.heatmap()
    for balance, seen, null in zip(model.balance_, drawn.total_usd, model.null_, strict=True):
        assert balance.total * drawn.mark_px == pytest.approx(drawn.coverage.open_interest_usd, rel=1e-9)
        assert seen == pytest.approx(drawn.coverage.open_interest_usd * (1 - null), rel=1e-9)
        assert balance.unassigned / balance.total == pytest.approx(0.178, abs=1e-3)
        assert balance.unallowed / balance.total == pytest.approx(0.008, abs=1e-3)
        assert min(balance.swept, balance.before_window) > 0
    assert "shape of volume" in "\n".join(texts(drawn.assumptions))
    fresh = model.heatmap(leverage=[5], age=["<4h", "4-24h"])
    assert 0 < fresh.total_usd.long < drawn.total_usd.long


def test_without_volume_the_clock_falls_back_and_states_it(binance: Store) -> None:
    drawn = model_map(binance, "BTC", "binance", "vintages", "7d", at=AT)
    assert drawn.total_usd == pytest.approx(drawn.coverage.seen_usd, rel=1e-9)
    assert any(
        "falls back to the changes of open interest" in message for message in texts(drawn.assumptions)
    )
    with pytest.raises(MissingData, match="volume-profile needs volume"):
        model_map(binance, "BTC", "binance", "volume-profile", "7d", at=AT)
