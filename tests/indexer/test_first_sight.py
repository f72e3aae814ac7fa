"""Since when a position has been seen is carried along, and never claimed where nobody looked before."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, from_columns
from liqtruth.indexer.positions.remembered import with_first_sight

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def at(hour: float) -> datetime:
    return NOON + timedelta(hours=hour)


def holdings(hour: float, since: float | None = None, **sizes: float) -> pl.DataFrame:
    rows = len(sizes)
    return from_columns(
        {
            "address": ["0xa"] * rows,
            "dex": [""] * rows,
            "coin": list(sizes),
            "szi": list(sizes.values()),
            "held_since": [None if since is None else at(since)] * rows,
            "as_of": [at(hour)] * rows,
        },
        POSITIONS,
    )


READ = from_columns({"address": ["0xa"], "dex": [""]}, ACCOUNTS)
NEVER = from_columns({"address": [], "dex": []}, ACCOUNTS)


def since(fresh: pl.DataFrame, known: pl.DataFrame, accounts: pl.DataFrame = READ) -> list[datetime | None]:
    return with_first_sight(fresh, known, accounts)["held_since"].to_list()


def test_of_a_position_met_at_the_first_reading_nothing_is_known() -> None:
    assert since(holdings(5, BTC=1.0), holdings(0), NEVER) == [None]


def test_a_position_that_was_there_before_is_as_old_as_its_first_sight() -> None:
    assert since(holdings(5, BTC=2.0), holdings(1, BTC=1.0)) == [at(1)]
    assert since(holdings(9, BTC=3.0), holdings(5, since=1, BTC=2.0)) == [at(1)], "carried on and on"


@pytest.mark.parametrize(
    "known", [holdings(1, ETH=1.0), holdings(1, since=0, BTC=-1.0)], ids=["other coin", "other side"]
)
def test_a_position_that_was_not_there_before_is_new(known: pl.DataFrame) -> None:
    assert since(holdings(5, BTC=1.0), known) == [at(5)]


def test_rows_keep_their_order() -> None:
    fresh = holdings(5, SOL=1.0, BTC=1.0, ETH=1.0)
    assert with_first_sight(fresh, holdings(1, BTC=1.0), READ)["coin"].to_list() == ["SOL", "BTC", "ETH"]
