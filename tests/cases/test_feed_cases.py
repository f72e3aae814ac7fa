"""Small files that went wrong for others, through the commands that they were given to (`../shared/cases`).

Each folder is one instance of a kind; the kinds themselves are tested beside the readers.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from liqtruth.storage.store import Settings, Store
from tests.conftest import Run
from tests.estimator.feed_files import stored

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES}")

Stored = Callable[..., int]


@pytest.fixture
def rows(tmp_path: Path) -> Stored:
    """How many rows of a dataset are stored."""

    def count(dataset: str, venue: str = "binance", coin: str = "BTC") -> int:
        with Store.open(Settings(data_dir=tmp_path / "data")) as store:
            return stored(store, dataset, venue, coin).height

    return count


def bring(run: Run, file: str, venue: str = "binance", code: int = 0) -> str:
    done = run("feed", "import", str(CASES / file), "--venue", venue, "--coin", "BTC", code=code)
    if code:
        assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr if code else done.stdout


def test_06_milliseconds_and_microseconds_in_one_column_are_the_same_hours(run: Run, rows: Stored) -> None:
    bring(run, "06/us.csv")
    assert rows("candles") == 48
    bring(run, "06/mixed.csv")
    assert rows("candles") == 96


def test_07_a_column_of_usd_that_holds_coins_is_refused_beside_the_candles(run: Run, rows: Stored) -> None:
    bring(run, "07/k.csv", "okx")
    assert "seems to be coins" in bring(run, "07/oi.csv", "okx", code=2)
    assert rows("open_interest", "okx") == 0


def test_07_in_the_other_order_the_headline_warns(run: Run) -> None:
    bring(run, "07/oi.csv", "okx")
    assert "WARNING" in bring(run, "07/k.csv", "okx").splitlines()[0]


@pytest.mark.parametrize("name", ["BTCUSD_PERP-1h.csv", "k.csv"])
def test_08_candles_in_contracts_of_usd_are_refused_by_name_and_by_number(
    run: Run, rows: Stored, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes((CASES / "08" / "BTCUSD_PERP-1h.csv").read_bytes())
    assert "margined in" in bring(run, str(path), code=2)
    assert rows("candles") == 0
    bring(run, "08/m.csv")
    assert rows("open_interest") == 168


def test_09_an_archive_without_a_header_is_known_by_its_structure(run: Run, rows: Stored) -> None:
    assert "klines" in bring(run, "09/BTCUSDT-1h-2021-05.csv")
    assert rows("candles") == 48


def test_10_tiers_that_touch_within_one_unit_are_read(run: Run, rows: Stored) -> None:
    bring(run, "10/tiers_2026-09-15.json", "okx")
    assert rows("tiers", "okx") == 3


def test_12b_of_two_markets_in_one_file_the_asked_one_is_read(run: Run, rows: Stored) -> None:
    assert "168 of 336 rows are of other markets (ETHUSDT)" in bring(run, "12b/two.csv")
    assert rows("candles") == 168
    assert rows("candles", coin="ETH") == 0


def test_27_a_zip_is_read_and_a_cut_zstd_refused(run: Run, rows: Stored) -> None:
    bring(run, "27/BTCUSDT-1h-2026-08.zip")
    assert rows("candles") == 48
    assert "k.csv.zst" in bring(run, "27/k.csv.zst", code=2)
    assert "Excel" in bring(run, "27/pos.xlsx", code=2)


@pytest.mark.parametrize("name", ["fo1.csv", "fo2.csv", "fo3.csv"])
def test_36_forced_orders_are_known_whatever_their_first_row_is_of(run: Run, rows: Stored, name: str) -> None:
    assert "2 of 3 orders are of BTCUSDT" in bring(run, f"36/{name}")
    assert rows("liquidations") == 2


def test_a_file_that_is_refused_stops_no_other(run: Run, rows: Stored) -> None:
    good, bad = str(CASES / "06" / "us.csv"), str(CASES / "27" / "pos.xlsx")
    done = run("feed", "import", bad, good, "--venue", "binance", "--coin", "BTC", code=3)
    assert rows("candles") == 48
    assert "pos.xlsx" in done.stderr
    run("feed", "import", bad, bad, "--venue", "binance", "--coin", "BTC", code=2)
