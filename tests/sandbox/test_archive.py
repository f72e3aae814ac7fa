"""The archive says of earlier days what the ledger and the record of then say, and that it is synthetic."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from liqtruth.sandbox.market.market import HYPERLIQUID, Market, MarketSpec, simulate
from liqtruth.sandbox.public.record import Record
from liqtruth.sandbox.truth import Archive, true_positions, write_archive
from tests.markets import market_of
from tests.openings import watch

SPEC = MarketSpec(seed=3, accounts=150, cex_accounts=300, days=3, coins=("BTC", "HYPE"))


@dataclass(frozen=True)
class Written:
    market: Market
    archive: Archive


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    market = simulate(SPEC, past_days=(1, 2))
    return Written(market, write_archive(market, tmp_path_factory.mktemp("archive")))


def test_what_is_kept_of_earlier_days_changes_nothing_and_is_what_a_second_run_shows(
    written: Written,
) -> None:
    plain = market_of(SPEC)
    assert true_positions(written.market).equals(true_positions(plain))
    again = watch(plain, HYPERLIQUID, (1, 2)).then
    assert [one.as_of for one in written.market.past] == [one.as_of for one in again]
    for kept, then in zip(written.market.past, again, strict=True):
        assert true_positions(kept).equals(true_positions(then))


def test_positions_are_those_of_the_main_dex_at_all_earlier_moments(written: Written) -> None:
    assert written.archive.positions is not None
    table = pl.read_parquet(written.archive.positions)
    assert table["ts"].unique(maintain_order=True).to_list() == [one.as_of for one in written.market.past]
    for then in written.market.past:
        rows, holdings = (
            table.filter(pl.col("ts") == then.as_of),
            true_positions(then).filter(pl.col("dex") == ""),
        )
        assert 0 < holdings.height < true_positions(then).height
        assert rows.select("address", "coin", "szi", "liq_px").equals(
            holdings.select("address", "coin", "szi", "liq_px")
        )


def test_aggregates_reach_from_the_first_served_moment_to_the_last(written: Written) -> None:
    market, paths = written.market, written.archive.aggregates
    assert list(paths) == ["BTC", "HYPE"]
    for column, coin in enumerate(paths):
        candles, holdings = (pl.read_parquet(path) for path in paths[coin])
        asset = market.spec.assets[column]
        assert holdings["ts"][0] == candles["ts"][0]
        assert holdings["ts"][-1] == market.as_of
        record = Record(market, market.hyperliquid)
        assert holdings["open_interest"][-1] == record.open_lots[-1, column] / asset.lot_scale
        assert holdings["open_interest"][0] == record.open_lots[market.first_point, column] / asset.lot_scale
        assert candles["close"][-1] == market.path.mark_units[-1, column] / asset.px_scale


def test_every_row_states_that_it_is_synthetic(written: Written) -> None:
    archive = written.archive
    files = [archive.positions, *(path for paths in archive.aggregates.values() for path in paths)]
    for path in files:
        assert path is not None
        assert pl.read_parquet(path)["source"].str.starts_with("synthetic").all()


def test_a_market_without_earlier_days_has_an_archive_of_aggregates_alone(tmp_path: Path) -> None:
    archive = write_archive(market_of(SPEC), tmp_path)
    assert archive.positions is None
    assert len(archive.aggregates) == 2
