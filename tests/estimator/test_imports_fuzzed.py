"""Whatever bytes a file holds, the door of the feeds ends in a summary or in one printable line."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.estimator.feeds.imports import ImportSummary, import_feed
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.store import Settings, Store


def _parquet() -> bytes:
    written = io.BytesIO()
    pl.DataFrame({"ts": [1785542400, 1785546000], "rate": [0.1, 0.2]}).write_parquet(written)
    return written.getvalue()


def _zip() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("a.csv", CANDLES)
    return written.getvalue()


CANDLES = b"ts,symbol,open,high,low,close,volume,quote_volume\n" + b"".join(
    b"%d,BTCUSDT,10,12,9,11,5,50\n" % (1785542400 + 3600 * at) for at in range(6)
)
WHOLE = (
    CANDLES,
    b"1785542400000,10,12,9,11,5,1785545999999,50,3,2,20,0\n1785546000000,10,12,9,11,5,1785549599999,50,3,2,20,0\n",
    b"ts;open_interest;open_interest_usd\n2026-08-01 00:00;1,5;15,25\n2026-08-01 01:00;1,5;15,25\n",
    b'{"ts":1785542400,"rate":0.1}\n{"ts":1785546000,"rate":"0.2"}\n',
    b'{"code":"0","data":[["1785542400000","1","2","1","2","5","8"],["1785546000000","1","2","1","2","5","8"]]}',
    b'{"columns":["min_notional","max_notional","maintenance_margin_rate","max_leverage"],"tiers":{"BTC/USDT:USDT":[[0,5,0.1,5]]}}',
    b"BTCUSDT,SELL,LIMIT,IOC,0.5,60000,None,FILLED,0.5,0.5,1785585600000,30000\n" * 2,
    _parquet(),
    gzip.compress(CANDLES, mtime=0),
    zstandard.compress(CANDLES),
    _zip(),
)
PIECES = (
    *(
        b",",
        b";",
        b"\t",
        b'"',
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b"nan",
        b"1e400",
    ),
    *(
        b"-",
        b"0x1",
        b"1,234.5",
        b"9" * 400,
        b"[" * 2000,
        b"\xef\xbb\xbf",
        b"2286-01-01",
        b"ETHUSDT",
        b"\\u0000",
    ),
    *(b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"exchange", b"price", b"\x1b[31m", "币".encode()),
)
change = st.tuples(
    st.integers(0, 2000), st.integers(0, 40), st.one_of(st.sampled_from(PIECES), st.binary(max_size=8))
)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with Store.open(Settings(data_dir=folder / "data")) as opened:
        yield opened


@settings(max_examples=50)
@given(
    st.sampled_from(WHOLE),
    st.lists(change, max_size=5),
    st.sampled_from([{}, {"ts": "1", "price": "2"}, {"rate": "rate"}]),
)
def test_any_bytes_end_in_a_summary_or_in_one_line(
    one_store: Store, content: bytes, changes: list[tuple[int, int, bytes]], columns: dict[str, str]
) -> None:
    for at, gone, new in changes:
        place = at % (len(content) + 1)
        content = content[:place] + new + content[place + gone :]
    path = one_store.lake.root.parent / "fuzzed.csv"
    path.write_bytes(content)
    found = outcome(one_store, path, columns)
    assert found
    assert all(line.isprintable() for line in found)


def outcome(store: Store, path: Path, columns: dict[str, str]) -> list[str]:
    try:
        summary: ImportSummary = import_feed(store, path, "binance", "BTC", columns or None)
    except LiqtruthError as error:
        return [str(error)]
    return summary.describe()
