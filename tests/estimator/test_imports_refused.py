"""A file that cannot be right is refused in one line with row, column and value, and nothing of it is stored."""

import gzip
from pathlib import Path

import pytest

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.frames import DATASETS
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Store
from tests.estimator.feed_files import BAR, CANDLES, bring, stored, write

AGGREGATES = "ts,price,oi,funding,source"


OK = [BAR.format(0), BAR.format(1)]
REFUSED = {
    "a missing column": (
        ["ts,open,high,low", "1785542400,1,1,1"],
        "the columns ts, open, high, low are no known",
    ),
    "a negative amount": (
        ["ts,open_interest", "1785542400,5", "1785546000,-3"],
        "row 2, column 'open_interest': -3.0 is not an amount: it must not be negative",
    ),
    "a negative volume": (
        [CANDLES, OK[0], "2026-08-01T01:00:00Z,10,12,9,11,-5"],
        "row 2, column 'volume': -5.0 is not an amount",
    ),
    "a price of zero": (
        [CANDLES, OK[0], "2026-08-01T01:00:00Z,10,12,0,11,5"],
        "row 2, column 'low': 0.0 is not a price: it must be positive",
    ),
    "a high below the close": (
        [CANDLES, OK[0], "2026-08-01T01:00:00Z,10,10.5,9,11,5"],
        "row 2, column 'high': 10.5 is not the bar's high",
    ),
    "a low above the open": (
        [CANDLES, "2026-08-01T01:00:00Z,10,12,10.5,11,5", OK[0]],
        "row 1, column 'low': 10.5 is not the bar's low",
    ),
    "a word for a number": (
        ["ts,rate", "1785542400,0.1", "1785546000,none"],
        "row 2, column 'rate': 'none' is not a number",
    ),
    "an infinite number": (
        ["ts,rate", "1785542400,inf", "1785546000,1"],
        "row 1, column 'rate': 'inf' is not",
    ),
    "a word for a time": (
        ["ts,rate", "soon,0.1", "1785546000,0.1"],
        "row 1, column 'ts': 'soon' is not a time",
    ),
    "an empty cell": (
        ["ts,rate", "1785542400,0.1", "1785546000,"],
        "row 2, column 'rate': None is not given",
    ),
    "open interest in USD where billions belong": (
        [AGGREGATES, "1785542400,10,6.3,0.01,x", "1785546000,10,6300000000,0.01,x"],
        "row 2, column 'oi': 6300000000.0 is not below 1000, as this layout's unit has it",
    ),
    "an empty file": ([], "the file is empty"),
    "a header alone": (["ts,rate"], "a series must have at least two rows, got 0"),
    "one row": (["ts,rate", "1785542400,0.1"], "a series must have at least two rows, got 1"),
}


@pytest.mark.parametrize(("lines", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_right_is_refused_in_one_line_and_leaves_nothing(
    store: Store, tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write(tmp_path, lines)
    with pytest.raises(TableRefused) as refused:
        bring(store, path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [found.name for found in store.lake.root.rglob("*") if found.is_file()] == ["id"]
    assert all(store.lake.series_coins(dataset) == [] for dataset in DATASETS)


def test_a_refused_file_leaves_what_was_stored_before(store: Store, tmp_path: Path) -> None:
    bring(store, write(tmp_path, [CANDLES, *OK]))
    before = stored(store, "candles")
    with pytest.raises(TableRefused, match="the bar's high"):
        bring(store, write(tmp_path, [CANDLES, OK[0].replace("11", "10"), "2026-08-01T02:00:00Z,9,8,7,8,5"]))
    assert stored(store, "candles").equals(before)


def test_a_cut_gz_file_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    whole = gzip.compress("\n".join([CANDLES, *OK]).encode())
    path.write_bytes(whole)
    assert "candles: 2 rows (2 new)" in bring(store, path)[1]
    path.write_bytes(whole[:-12])
    with pytest.raises(TableRefused, match=r"cut\.csv\.gz: .*Compressed file ended"):
        bring(store, path)


def test_a_mapped_column_that_is_not_there_is_refused_with_those_that_are(
    store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path, ["ts,px", "1785542400,1", "1785546000,1"])
    with pytest.raises(TableRefused, match=r"no column 'last' \(for price\); the file has ts, px"):
        bring(store, path, price="last")
    with pytest.raises(TableRefused, match="the columns ts hold no series"):
        bring(store, path, ts="ts")


def test_an_unknown_venue_is_refused_before_the_file_is_read(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownChoice, match="unknown venue 'mtgox'; known: binance, "):
        import_feed(store, tmp_path / "absent.csv", "mtgox", "BTC")


@pytest.mark.parametrize("when", ["2025", "nan", "inf", "-5", "1e30"])
def test_what_no_clock_showed_is_no_time(store: Store, tmp_path: Path, when: str) -> None:
    path = write(tmp_path, ["ts,rate", f"{when},0.1", f"{when},0.2"])
    with pytest.raises(TableRefused, match=rf"row 1, column 'ts': '{when}' is not a time"):
        import_feed(store, path, "okx", "SOL")


def test_a_column_is_called_by_the_files_own_name(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, ["ts,fundingRate", "1780000000000,abc", "1780003600000,0.1"])
    with pytest.raises(TableRefused, match="row 1, column 'fundingRate': 'abc' is not a number"):
        import_feed(store, path, "okx", "SOL")


def test_a_broken_compression_is_refused_in_one_line(store: Store, tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "feed.csv.gz"
    whole = bytearray(gzip.compress(b"ts,rate\n" + b"1780000000000,0.1\n" * 500))
    whole[20:30] = b"\xff" * 10
    path.write_bytes(whole)
    with pytest.raises(TableRefused, match=r"feed\.csv\.gz: "):
        import_feed(store, path, "okx", "SOL")


def test_taker_volume_that_makes_no_ratio_is_no_series(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, ["ts,sellVol,buyVol", "1780000000000,0,5", "1780003600000,0,6"])
    with pytest.raises(TableRefused, match="hold no series"):
        import_feed(store, path, "okx", "SOL")


@pytest.mark.parametrize("columns", [3, 40, 400])
def test_a_long_list_of_columns_leaves_the_remedy_whole(store: Store, tmp_path: Path, columns: int) -> None:
    names = ",".join(f"a_rather_long_name_{at}" for at in range(columns))
    row = ",".join(["1"] * columns)
    with pytest.raises(TableRefused) as refused:
        import_feed(store, write(tmp_path, [names, row, row]), "okx", "SOL")
    assert "--columns OURS=THEIRS" in str(refused.value)
    assert "ts, price, open" in str(refused.value)


def test_price_samples_are_known_by_their_two_columns(store: Store, tmp_path: Path) -> None:
    bring(store, write(tmp_path, ["ts,price", "1785542400,10", "1785546000,12", "1785549600,11"]))
    assert stored(store, "candles")["close"].to_list() == [12.0, 11.0]


@pytest.mark.parametrize(
    "name", ["volCcyQuote", "quoteVol", "turnoverUsd", "Volume USD", "volume_quote", "trade_turnover"]
)
def test_quote_volume_under_any_known_name_is_compared_with_the_volume(
    store: Store, tmp_path: Path, name: str
) -> None:
    lines = [f"{CANDLES},{name}", *(f"{BAR.format(hour)},5000" for hour in range(3))]
    with pytest.raises(TableRefused, match="volume, quote_volume"):
        bring(store, write(tmp_path, lines))
    bring(store, write(tmp_path, [lines[0], *(f"{BAR.format(hour)},53" for hour in range(3))]))


def test_base_and_quote_volume_under_each_others_name_are_refused(store: Store, tmp_path: Path) -> None:
    header = CANDLES.replace("volume", "baseVolume,quoteVolume")
    swapped = [header, *(f"2026-08-01T0{hour}:00:00Z,10,12,9,11,5300,500" for hour in range(3))]
    with pytest.raises(TableRefused, match="volume, quote_volume"):
        bring(store, write(tmp_path, swapped))
    bring(store, write(tmp_path, [header, *(row.replace("5300,500", "5,53") for row in swapped[1:])]))
    assert stored(store, "candles")["volume"].to_list() == [5.0] * 3
