"""Recorded positions, marks and account answers through the file door."""

import gzip
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from liqtruth.heatmap.words.notes import texts
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.positions.catalogue import known_coins
from liqtruth.indexer.positions.readings import coin_as_of, positions_as_of
from liqtruth.storage.store import Settings, Store

pytestmark = pytest.mark.recorded

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


@pytest.fixture(scope="module")
def imported(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory after the import of `august`."""
    folder, data_dir = recorded / "hyperliquid" / "positions-2026-08", tmp_path_factory.mktemp("august")
    with Store.open(Settings(data_dir=data_dir)) as opened:
        for coin in ("BTC", "ETH", "SOL"):
            import_paths(opened, [folder / f"positions_{coin}.csv.gz"], market=folder / f"market_{coin}.csv")
    return data_dir


@pytest.fixture
def august(imported: Path, tmp_path: Path) -> Iterator[Store]:
    """All three coins of the position tables with their market tables."""
    shutil.copytree(imported, tmp_path, dirs_exist_ok=True)
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def test_a_table_of_positions_is_nineteen_readings(recorded: Path, store: Store) -> None:
    path = recorded / "hyperliquid" / "positions-2026-08" / "positions_BTC.csv.gz"
    summary = import_paths(store, [path])[0]
    assert (summary.positions, summary.readings, summary.unpriced) == (1590, 19, 424)
    assert summary.statuses == {"exchange_only": 1166, "never": 424}
    assert summary.first == datetime(2026, 8, 20, 15, 49, 44, tzinfo=UTC)
    assert summary.last == datetime(2026, 8, 21, 23, 51, 41, tzinfo=UTC)
    assert summary.columns["account_value_usd"] == "av"


def test_noon_is_answered_by_the_reading_of_an_hour_before(august: Store) -> None:
    known = positions_as_of(august, NOON, "BTC")
    assert known["as_of"].unique().to_list() == [datetime(2026, 8, 21, 11, 1, 45, tzinfo=UTC)]
    assert (known.height, known["liq_px"].null_count()) == (91, 26)
    assert known["age_s"].unique().to_list() == [3495.0]
    _, found, _ = coin_as_of(august, "BTC", NOON)
    assert found is not None
    assert (found.mark_px, found.open_interest) == (77_725.0, 34_872.8732)


def test_coverage_at_noon_is_what_the_tables_say(august: Store) -> None:
    """README of the recordings: 26.2 % of longs and 17.3 % of shorts."""
    known = positions_as_of(august, NOON, "BTC")
    longs = known.filter(pl.col("szi") > 0)["szi"].sum() / 34_872.8732
    shorts = -known.filter(pl.col("szi") < 0)["szi"].sum() / 34_872.8732
    assert (round(100 * longs, 1), round(100 * shorts, 1)) == (26.2, 17.3)


def test_a_reading_without_market_row_is_marked_by_its_positions(august: Store) -> None:
    """At 14:27:15 there are positions and no market row; the last one is of 11:01:45."""
    _, found, notes = coin_as_of(august, "BTC", datetime(2026, 8, 21, 14, 30, tzinfo=UTC))
    assert found is not None
    assert found.mark_px == pytest.approx(77_189.0)
    assert found.open_interest == 34_872.8732
    assert "3.4 h older" in texts(notes)[0]


def test_every_coin_has_its_own_readings(august: Store) -> None:
    assert known_coins(august) == ["BTC", "ETH", "SOL"]
    counts = dict(positions_as_of(august, NOON).group_by("coin").len().iter_rows())
    assert counts == {"BTC": 91, "ETH": 75, "SOL": 51}


def test_an_account_answer_is_solved_with_its_meta(recorded: Path, store: Store) -> None:
    folder = recorded / "hyperliquid" / "capture-2026-09-06"
    account, universe = import_paths(
        store,
        [folder / "clearinghouseState.json"],
        meta=folder / "metaAndAssetCtxs.json",
        spot=folder / "spotClearinghouseState.json",
    )
    assert account.statuses == {"agree": 28, "never": 16}
    assert universe.market_rows == 233
    known = positions_as_of(store)
    assert set(known["address"]) == {"file:capture-2026-09-06/clearinghousestate"}
    assert set(known["account_mode"]) == {"standard"}
    priced = known.filter(pl.col("liq_px_exchange").is_not_null())
    assert ((priced["liq_px_solved"] / priced["liq_px_exchange"] - 1).abs() < 1e-5).all()


def test_collateral_that_was_not_captured_is_said_and_no_price_invented(recorded: Path, store: Store) -> None:
    folder = recorded / "hyperliquid"
    summary = import_paths(
        store,
        [folder / "accounts-2026-06-22" / "clearinghouse_small.json"],
        meta=folder / "capture-2026-09-06" / "meta.json",
    )[0]
    assert summary.statuses == {"differs": 3}
    assert any(
        "imply 799,469.76 USD of margin available, 271,225.88 was captured" in n for n in texts(summary.notes)
    )
    known = positions_as_of(store)
    assert known["liq_px"].equals(known["liq_px_exchange"].rename("liq_px"))


def test_an_account_read_after_the_tables_joins_them(august: Store, recorded: Path) -> None:
    before = positions_as_of(august, None, "BTC").height
    import_paths(august, [recorded / "hyperliquid" / "capture-2026-09-06" / "clearinghouseState.json"])
    assert positions_as_of(august, None, "BTC").height == before + 1
    assert positions_as_of(august, NOON, "BTC").height == 91


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_recorded_answer_that_breaks_off_is_refused(
    recorded: Path, store: Store, tmp_path: Path, share: float
) -> None:
    whole = (recorded / "hyperliquid" / "capture-2026-09-06" / "clearinghouseState.json").read_bytes()
    path = tmp_path / "broken.json.gz"
    path.write_bytes(gzip.compress(whole[: int(len(whole) * share)]))
    with pytest.raises(WireError, match=r"broken\.json\.gz: cut off after"):
        import_paths(store, [path])
    assert known_coins(store) == []


def test_a_recorded_position_with_a_wrong_type_is_left_out_and_named(
    recorded: Path, store: Store, tmp_path: Path
) -> None:
    answer = json.loads(
        (recorded / "hyperliquid" / "capture-2026-09-06" / "clearinghouseState.json").read_text()
    )
    answer["assetPositions"][3]["position"]["szi"] = []
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(answer))
    summary = import_paths(store, [path])[0]
    assert (summary.positions, summary.left_out) == (43, 1)
    assert any("$.assetPositions[3].position.szi" in note for note in texts(summary.notes))


@pytest.mark.parametrize("with_markets", [True, False])
def test_nothing_recorded_contradicts_itself(recorded: Path, store: Store, with_markets: bool) -> None:
    folder = recorded / "hyperliquid"
    tables = [folder / "positions-2026-08" / f"positions_{coin}.csv.gz" for coin in ("BTC", "ETH", "SOL")]
    tables.append(folder / "whole-state-BTC-2026-04-05" / "positions_BTC.csv.gz")
    markets = [folder / "positions-2026-08" / f"market_{coin}.csv" for coin in ("BTC", "ETH", "SOL")]
    markets.append(folder / "whole-state-BTC-2026-04-05" / "market.csv")
    answers = [folder / "capture-2026-09-06" / "clearinghouseState.json"]
    answers += [folder / "accounts-2026-06-22" / f"clearinghouse_{one}.json" for one in ("small", "whale")]
    answers.append(folder / "portfolio-margin-2026-03-31" / "accounts.json")
    summaries = import_paths(store, [*tables, *answers], market=markets if with_markets else ())
    assert [one.left_out for one in summaries] == [0] * len(summaries)
    assert [one.warnings for one in summaries] == [()] * len(summaries)
    assert not any(
        "left out" in note or "past their own" in note for one in summaries for note in texts(one.notes)
    )


def test_portfolio_accounts_of_a_capture_are_read_with_mode_and_spot(recorded: Path, store: Store) -> None:
    path = recorded / "hyperliquid" / "portfolio-margin-2026-03-31" / "accounts.json"
    assert import_paths(store, [path])[0].accounts == 3
    assert set(positions_as_of(store)["account_mode"]) == {"portfolio"}
