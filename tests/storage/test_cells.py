"""A column of any type becomes what it is wanted as, or is refused in one line; text is text however it is packed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.files.tables.layouts import Place, recognise_table
from liqtruth.indexer.files.tables.position_rows import markets_of_table, typed_rows, without_repetitions
from liqtruth.indexer.frames import POSITIONS
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.tabular import read_table, to_float, to_text, to_time
from liqtruth.storage.store import Store

DAY = datetime(2026, 8, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARS = {
    "ts": pl.Series([DAY, DAY + HOUR]),
    **{name: pl.Series([10.0, 10.0]) for name in ("open", "high", "low", "close", "volume")},
}
ODD: dict[str, pl.Series] = {
    "bytes": pl.Series([b"\xff\x00", b"\xfe"]),
    "bytes of text": pl.Series([b"soon", b"later"]),
    "times of day": pl.Series([time(1), time(2)]),
    "spans": pl.Series([timedelta(1), timedelta(2)]),
    "lists of times": pl.Series([[DAY], [DAY]]),
    "lists of numbers": pl.Series([[1.0], []]),
    "arrays": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
    "records": pl.Series([{"a": 1}, {"a": 2}]),
    "truths": pl.Series([True, False]),
    "categories": pl.Series(["a", "b"], dtype=pl.Categorical),
    "an enumeration": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
    "nothing": pl.Series([None, None]),
    "not a number": pl.Series([float("nan"), float("inf")]),
    "far days": pl.Series([date(9999, 1, 1), date(1, 1, 1)]),
    "nanoseconds": pl.Series([0, 2**62]).cast(pl.Datetime("ns")),
    "decimals": pl.Series(["1.5", "2.5"]).cast(pl.Decimal(38, 2)),
    "large numbers": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
}
TEXT = {
    "a category": pl.Categorical,
    "an enumeration": pl.Enum(["BTCUSDT", "ETHUSDT"]),
    "bytes": pl.Binary,
    "text": pl.String,
}


def packed(tmp_path: Path, columns: dict[str, pl.Series], name: str = "odd.parquet") -> Path:
    path = tmp_path / name
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "want",
    [
        lambda table, path: to_time(table, "x", path),
        lambda table, path: to_float(table, ["x"], path),
        lambda table, path: to_text(table, ["x"], path),
    ],
    ids=["time", "number", "text"],
)
def test_a_column_of_any_type_is_read_or_refused(
    tmp_path: Path, kind: str, want: Callable[[pl.DataFrame, Path], pl.DataFrame]
) -> None:
    path = packed(tmp_path, {"x": ODD[kind]})
    message = refusal_of(lambda: want(read_table(path), path))
    assert message is None or "column 'x'" in message


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize("column", ["symbol", "exchange"])
def test_text_names_its_market_however_it_is_packed(
    store: Store, tmp_path: Path, kind: str, column: str
) -> None:
    named = pl.Series(["ETHUSDT", "ETHUSDT"]).cast(TEXT[kind])
    path = packed(tmp_path, {**BARS, column: named})
    with pytest.raises(TableRefused, match=f"'{column}' names ETHUSDT"):
        import_feed(store, path, "binance", "BTC")


@pytest.mark.parametrize("kind", ODD)
def test_a_feed_with_any_type_in_any_column_is_read_or_refused(
    store: Store, tmp_path: Path, kind: str
) -> None:
    names = ("ts", "close", "volume", "symbol", "source")
    for path in (packed(tmp_path, {**BARS, name: ODD[kind]}, f"{name}.parquet") for name in names):
        refusal_of(partial(import_feed, store, path, "okx", "BTC"))


@pytest.mark.parametrize("kind", ODD)
def test_positions_and_marks_with_any_type_in_any_column_are_read_or_refused(
    tmp_path: Path, kind: str
) -> None:
    marks = {"as_of": [DAY, DAY + HOUR], "coin": ["BTC", "BTC"], "mark_px": [10.0, 10.0]}
    positions = {**marks, "address": ["a", "b"], "szi": [1.0, 1.0], "notional_usd": [10.0, 10.0]}
    every = {ours: positions.get(ours, [None, None]) for ours in POSITIONS}
    for columns in (marks, positions, every):
        for name in (*columns, "side", "dex", "open_interest"):
            found = {ours: pl.Series(values) for ours, values in columns.items()}
            path = packed(tmp_path, {**found, name: ODD[kind]})
            refusal_of(partial(rows_of, path))


def rows_of(path: Path) -> pl.DataFrame:
    """As the door of the index types them."""
    table = read_table(path)
    known = recognise_table(table.columns, {}, Place(path, {}))
    if known.kind == "markets":
        return markets_of_table(table, known, path, None)
    return without_repetitions(typed_rows(table, known, path)[0], path)[0]


def refusal_of(act: Callable[[], object]) -> str | None:
    """What it is refused with; null where it is not. Anything but a refusal passes through."""
    try:
        act()
    except BadInput as error:
        return str(error)
    return None
